//! Uploads of one large file: how many bytes a second of processor time is enough for.

use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use crate::{
    Plan,
    error::{Context, Error, Result},
    measure::{best_quarter, median, output},
    peers::{Kind, Server},
    report::{Report, Target, grouped},
};

/// Bytes of one upload.
const SIZE: u64 = 512 << 20;
/// Fewer uploads say little.
const LEAST: usize = 8;
const LIMIT: Duration = Duration::from_secs(120);

/// Millions of bytes per second: of processor time, and of time.
#[derive(Debug)]
struct Sample {
    cpu: f64,
    wall: f64,
}

pub(crate) fn run(plan: &Plan) -> Result<Report> {
    let source = plan.lab.path("source");
    fs::write(&source, pattern()).context(source.display())?;
    let kinds = [Kind::Nginx, Kind::Floor].into_iter().chain(plan.ours.iter().copied());
    let servers = Server::start_all(kinds, &plan.lab, &[])?;
    for server in &servers {
        upload(server, &source)?;
    }
    let mut samples: Vec<Vec<Sample>> = servers.iter().map(|_| Vec::new()).collect();
    let end = Instant::now() + plan.seconds * plan.rounds * servers.len() as u32;
    while Instant::now() < end || samples.iter().any(|samples| samples.len() < LEAST) {
        for (server, samples) in servers.iter().zip(&mut samples) {
            samples.push(upload(server, &source)?);
        }
    }
    let count = samples.iter().map(Vec::len).max().unwrap_or_default();
    let mut report = Report::new(
        format!("put: curl -T of {} MiB, the best quarter of {count} uploads", SIZE >> 20),
        &["server", "MB/CPU s", "× nginx", "× floor", "median", "MB/s", "× nginx", "× floor"],
    );
    let figures: Vec<Figures> = samples.iter().map(|samples| Figures::of(samples)).collect();
    let (nginx, floor) = (&figures[0], &figures[1]);
    for (server, own) in servers.iter().zip(&figures) {
        report.row([
            server.kind.name().into(),
            grouped(own.cpu),
            format!("{:.2}", own.cpu / nginx.cpu),
            format!("{:.2}", own.cpu / floor.cpu),
            grouped(own.median),
            grouped(own.wall),
            format!("{:.2}", own.wall / nginx.wall),
            format!("{:.2}", own.wall / floor.wall),
        ]);
        if matches!(server.kind, Kind::Tokio | Kind::Smol) {
            let what = format!("put, {}", server.kind.name());
            report.check(what.clone(), own.cpu / nginx.cpu, "× nginx", Target::AtLeast(2.3));
            report.check(what, own.cpu / floor.cpu, "× floor", Target::AtLeast(0.9));
        }
    }
    Ok(report)
}

/// What counts of all uploads to one server.
///
/// Not the median: in a virtual machine a page that the host has to find first costs several times
/// as much, that goes onto the server's account, and it happens to half of the uploads or to none.
/// It can only add, so the cheapest uploads show the server.
#[derive(Debug)]
struct Figures {
    cpu: f64,
    wall: f64,
    /// Of `cpu`; far below it the machine was restless.
    median: f64,
}

impl Figures {
    fn of(samples: &[Sample]) -> Self {
        let cpu: Vec<f64> = samples.iter().map(|sample| sample.cpu).collect();
        let wall: Vec<f64> = samples.iter().map(|sample| sample.wall).collect();
        Self { cpu: best_quarter(&cpu), wall: best_quarter(&wall), median: median(&cpu) }
    }
}

/// Bytes that a file system cannot leave out.
fn pattern() -> Vec<u8> {
    (0..SIZE / 8).flat_map(|word| word.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes()).collect()
}

fn upload(server: &Server, source: &Path) -> Result<Sample> {
    let before = server.cpu_seconds()?;
    let wall = curl(server, source)?;
    let cpu = server.cpu_seconds()? - before;
    let target = server.root.join("upload");
    let len = fs::metadata(&target).context(target.display())?.len();
    if len != SIZE {
        return Err(Error::new(format!("{}: {len} bytes", target.display())));
    }
    fs::remove_file(&target).context(target.display())?;
    let megabytes = SIZE as f64 / 1e6;
    Ok(Sample { cpu: megabytes / cpu, wall: megabytes / wall })
}

/// Gives the seconds it took by curl's own clock.
fn curl(server: &Server, source: &Path) -> Result<f64> {
    let mut curl = Command::new("curl");
    // No `Expect`: a server that does not know it would make curl wait for a second.
    curl.args(["--silent", "--show-error", "--fail", "--noproxy", "*", "-H", "Expect:", "-T"]);
    curl.arg(source).args(["-w", "\n%{http_code} %{time_total}"]).arg(server.url("upload"));
    let text = output(&mut curl, "curl", LIMIT)?;
    let line = text.lines().last().unwrap_or_default();
    let (status, time) = line.split_once(' ').context(format_args!("curl printed {text}"))?;
    if !matches!(status, "200" | "201" | "204") {
        return Err(Error::new(format!("PUT to {}: status {status}", server.kind.name())));
    }
    time.parse().context(format_args!("curl printed {text}"))
}
