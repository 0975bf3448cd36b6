//! Downloads of small and large files over connections that last: how many requests a second of
//! processor time is enough for.

use std::{process::Command, time::Duration};

use crate::{
    Plan,
    error::{Context, Error, Result},
    measure::{median, output},
    peers::{Kind, Server},
    report::{Report, Target, grouped},
};

const CONNECTIONS: u32 = 32;

/// Name, length, and how many times the requests of nginx we promise.
const FILES: [(&str, u64, f64); 3] =
    [("1 KiB", 1 << 10, 1.5), ("100 KiB", 100 << 10, 1.0), ("1 MiB", 1 << 20, 1.0)];

/// What one run of wrk showed.
#[derive(Debug)]
pub(crate) struct Sample {
    pub(crate) per_cpu_second: f64,
    per_second: f64,
}

pub(crate) fn run(plan: &Plan) -> Result<Report> {
    let mut report = Report::new(
        format!("get: {CONNECTIONS} connections, {} rounds of {:?}", plan.rounds, plan.seconds),
        &["file", "server", "requests/CPU s", "× nginx", "requests/s", "× nginx"],
    );
    let files = FILES.map(|(name, len, _)| (format!("{}.bin", name.replace(' ', "")), len));
    let files: Vec<(&str, u64)> = files.iter().map(|(name, len)| (name.as_str(), *len)).collect();
    let kinds = [Kind::Nginx].into_iter().chain(plan.ours.iter().copied());
    let servers = Server::start_all(kinds, &plan.lab, &files)?;
    for ((name, _, least), (file, _)) in FILES.iter().zip(&files) {
        let mut samples: Vec<Vec<Sample>> = servers.iter().map(|_| Vec::new()).collect();
        for _ in 0..plan.rounds {
            for (server, samples) in servers.iter().zip(&mut samples) {
                samples.push(sample(server, file, &[], plan.seconds)?);
            }
        }
        let figures = samples.iter().map(|samples| {
            let cpu: Vec<f64> = samples.iter().map(|sample| sample.per_cpu_second).collect();
            let wall: Vec<f64> = samples.iter().map(|sample| sample.per_second).collect();
            (median(&cpu), median(&wall))
        });
        let figures: Vec<(f64, f64)> = figures.collect();
        let nginx = figures.first().context("nginx")?;
        for (server, figure) in servers.iter().zip(&figures) {
            let ratio = figure.0 / nginx.0;
            report.row([
                (*name).into(),
                server.kind.name().into(),
                grouped(figure.0),
                format!("{ratio:.2}"),
                grouped(figure.1),
                format!("{:.2}", figure.1 / nginx.1),
            ]);
            if server.kind != Kind::Nginx {
                let what = format!("get, {name}, {}", server.kind.name());
                report.check(what, ratio, "× nginx", Target::AtLeast(*least));
            }
        }
    }
    Ok(report)
}

/// Asks for a file as often as it goes, with these fields.
pub(crate) fn sample(
    server: &Server,
    file: &str,
    fields: &[&str],
    seconds: Duration,
) -> Result<Sample> {
    let mut wrk = Command::new("wrk");
    for field in fields {
        wrk.args(["-H", field]);
    }
    sample_by(wrk, server, file, seconds)
}

/// The same with a wrk that was told other things already.
pub(crate) fn sample_by(
    mut wrk: Command,
    server: &Server,
    file: &str,
    seconds: Duration,
) -> Result<Sample> {
    wrk.args(["-t1", &format!("-c{CONNECTIONS}"), &format!("-d{}s", seconds.as_secs())]);
    wrk.arg(server.url(file));
    let before = server.cpu_seconds()?;
    let text = output(&mut wrk, "wrk", seconds + Duration::from_secs(20))?;
    let cpu = server.cpu_seconds()? - before;
    // A server that answers with errors is fast.
    if text.contains("Non-2xx") || text.contains("Socket errors") {
        return Err(Error::new(format!("wrk, {}: {text}", server.kind.name())));
    }
    let (requests, per_second) = figures(&text).context(format_args!("wrk printed {text}"))?;
    Ok(Sample { per_cpu_second: requests / cpu, per_second })
}

/// The number of requests and the number per second, from what wrk prints.
fn figures(text: &str) -> Option<(f64, f64)> {
    let mut lines = text.lines().map(str::trim);
    let requests = lines.find_map(|line| line.split_once(" requests in ")?.0.parse().ok())?;
    let rate = lines.find_map(|line| line.strip_prefix("Requests/sec:")?.trim().parse().ok())?;
    Some((requests, rate))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_wrk_prints() {
        let text = "Running 3s test\n  Latency  1 2 3\n  1000 requests in 3.00s, 1.00GB read\n\
                    Requests/sec:    333.33\nTransfer/sec: 1GB\n";
        assert_eq!(figures(text), Some((1000.0, 333.33)));
        assert_eq!(figures("Requests/sec: 1"), None);
    }
}
