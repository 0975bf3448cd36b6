//! What the kernel knows of a process, what an external tool prints, and medians.

use std::{
    fs,
    io::Read,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::error::{Context, Error, Result};

/// As many open files as this process may have.
pub(crate) fn raise_file_limit() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // If that fails, so does what needs more files, and says so.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

/// Says so if this process may not have that many open files.
pub(crate) fn need_files(count: u64) -> Result<()> {
    match getrlimit(Resource::Nofile).current {
        Some(limit) if limit < count => Err(Error::new(format!(
            "{count} open files are needed, {limit} allowed: raise ulimit -n"
        ))),
        _ => Ok(()),
    }
}

/// Seconds of processor time that these processes took so far: all threads, user and system.
pub(crate) fn cpu_seconds(pids: &[u32]) -> Result<f64> {
    let mut ticks = 0;
    for pid in pids {
        ticks += cpu_ticks(&stat(*pid)?).context(format_args!("/proc/{pid}/stat"))?;
    }
    Ok(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// Kilobytes that `/proc/PID/status` names `key`, e.g. `VmRSS`, of these processes together.
pub(crate) fn memory_kib(pids: &[u32], key: &str) -> Result<u64> {
    let mut sum = 0;
    for pid in pids {
        let path = format!("/proc/{pid}/status");
        let status = fs::read_to_string(&path).context(&path)?;
        sum += status_value(&status, key).context(format_args!("{key} in {path}"))?;
    }
    Ok(sum)
}

/// The processes that `pid` started.
pub(crate) fn children(pid: u32) -> Result<Vec<u32>> {
    let processes = fs::read_dir("/proc").context("/proc")?;
    let pids = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    // A process that ended meanwhile is not one of them.
    Ok(pids.filter(|&each| stat(each).is_ok_and(|stat| parent(&stat) == Some(pid))).collect())
}

fn stat(pid: u32) -> Result<String> {
    let path = format!("/proc/{pid}/stat");
    fs::read_to_string(&path).context(&path)
}

/// The fields of `/proc/PID/stat` from the third on: the second is a name that may hold anything.
fn fields(stat: &str) -> Option<impl Iterator<Item = &str>> {
    Some(stat.rsplit_once(')')?.1.split_ascii_whitespace())
}

fn cpu_ticks(stat: &str) -> Option<u64> {
    let mut fields = fields(stat)?.skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

fn parent(stat: &str) -> Option<u32> {
    fields(stat)?.nth(1)?.parse().ok()
}

fn status_value(status: &str, key: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// Runs a tool that prints little, and gives what it printed. `package` is where Debian has it.
pub(crate) fn output(command: &mut Command, package: &str, limit: Duration) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.map_err(|error| missing(&name, package, &error))?;
    let end = Instant::now() + limit;
    let status = loop {
        if let Some(status) = child.try_wait().context(&name)? {
            break status;
        }
        if Instant::now() > end {
            child.kill().and_then(|()| child.wait()).context(&name)?;
            return Err(Error::new(format!("{name} did not end within {limit:?}")));
        }
        thread::sleep(Duration::from_millis(2));
    };
    let mut text = String::new();
    if let Some(mut stdout) = child.stdout.take() {
        stdout.read_to_string(&mut text).context(&name)?;
    }
    if !status.success() {
        if let Some(mut stderr) = child.stderr.take() {
            stderr.read_to_string(&mut text).context(&name)?;
        }
        return Err(Error::new(format!("{name}: {status}: {}", text.trim())));
    }
    Ok(text)
}

/// Says where a program comes from that could not be started.
pub(crate) fn missing(name: &str, package: &str, error: &std::io::Error) -> Error {
    if error.kind() == std::io::ErrorKind::NotFound {
        return Error::new(format!("{name} is not installed: apt-get install {package}"));
    }
    Error::new(format!("{name}: {error}"))
}

/// The middle one; not a number if there is none.
pub(crate) fn median(values: &[f64]) -> f64 {
    percentile(values, 50.0)
}

/// The smallest value that `percent` of all do not exceed; not a number if there is none.
pub(crate) fn percentile(values: &[f64], percent: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (percent / 100.0 * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

/// The mean of the largest quarter, at least of one; not a number if there is none.
pub(crate) fn best_quarter(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    sorted.truncate(values.len().div_ceil(4));
    sorted.iter().sum::<f64>() / sorted.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "42 (a) b) S 7 42 42 0 -1 4194560 100 0 0 0 12 30 0 0 20 0 1 0 100 0 0";

    #[test]
    fn reads_stat_and_status() {
        assert_eq!(cpu_ticks(STAT), Some(42));
        assert_eq!(parent(STAT), Some(7));
        assert_eq!(status_value("VmHWM:\t  12 kB\nVmRSS:\t   8 kB\n", "VmRSS"), Some(8));
        assert_eq!(status_value("VmHWM:\t  12 kB\n", "VmRSS"), None);
    }

    #[test]
    fn finds_percentiles() {
        let values: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!(median(&values), 50.0);
        assert_eq!(percentile(&values, 99.0), 99.0);
        assert_eq!(percentile(&values, 100.0), 100.0);
        assert_eq!(median(&[2.0, 9.0, 1.0]), 2.0);
        assert!(median(&[]).is_nan());
        assert_eq!(best_quarter(&[1.0, 8.0, 6.0, 2.0, 3.0]), 7.0);
        assert!(best_quarter(&[]).is_nan());
    }
}
