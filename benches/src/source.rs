//! Uploads handed on to standard output: bytes a second from one client to one reader of the pipe,
//! beside a copy from socket to pipe that does nothing else.

use std::{
    env,
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver, Sender},
    thread,
    time::{Duration, Instant},
};

use crate::{
    Plan,
    client::Client,
    error::{Context, Error, Result},
    measure::{cpu_seconds, median},
    peers::{Kind, banner_address, program},
    report::{Report, Target, grouped},
};

/// Bytes of one upload, and of one write.
const SIZE: u64 = 1 << 30;
const BLOCK: usize = 256 << 10;
/// Fewer uploads say little.
const LEAST: usize = 5;
const PATIENCE: Duration = Duration::from_secs(60);

/// A server whose standard output is read and counted.
#[derive(Debug)]
struct Tap {
    name: &'static str,
    child: Child,
    addr: SocketAddr,
    /// Tells when an upload has come through.
    whole: Receiver<Instant>,
}

/// Millions of bytes per second of time, and of the server's processor time.
#[derive(Debug)]
struct Sample {
    wall: f64,
    cpu: f64,
}

pub(crate) fn run(plan: &Plan) -> Result<Report> {
    let own = env::current_exe().context("own path")?;
    let mut floor = Command::new(own);
    floor.arg("floor-source");
    let mut taps = vec![Tap::start("floor", floor)?];
    for &kind in plan.ours {
        let mut command = Command::new(program(kind)?);
        command.args(["--hmode", "source", "-o", "-", "--ifce", "127.0.0.1", "--port", "auto"]);
        taps.push(Tap::start(kind.name(), command)?);
    }
    let mut samples: Vec<Vec<Sample>> = taps.iter().map(|_| Vec::new()).collect();
    let end = Instant::now() + plan.seconds * plan.rounds * taps.len() as u32;
    while Instant::now() < end || samples.iter().any(|samples| samples.len() < LEAST) {
        for (tap, samples) in taps.iter().zip(&mut samples) {
            samples.push(tap.upload()?);
        }
    }
    let count = samples.iter().map(Vec::len).max().unwrap_or_default();
    let title = format!(
        "source: {} MiB handed on to standard output, the median of {count} uploads",
        SIZE >> 20
    );
    let mut report = Report::new(title, &["server", "MB/s", "× floor", "MB/CPU s", "× floor"]);
    let figures: Vec<Sample> = samples.iter().map(|samples| middle(samples)).collect();
    for (tap, own) in taps.iter().zip(&figures) {
        report.row([
            tap.name.into(),
            grouped(own.wall),
            format!("{:.2}", own.wall / figures[0].wall),
            grouped(own.cpu),
            format!("{:.2}", own.cpu / figures[0].cpu),
        ]);
        if [Kind::Tokio.name(), Kind::Smol.name()].contains(&tap.name) {
            let what = format!("source, {}", tap.name);
            // A GB/s, or what the pipe gives.
            let ratio = (own.wall / 1000.0).max(own.wall / figures[0].wall);
            report.check(what, ratio, "× the lower of 1 GB/s and the floor", Target::AtLeast(1.0));
        }
    }
    Ok(report)
}

fn middle(samples: &[Sample]) -> Sample {
    let of = |value: fn(&Sample) -> f64| median(&samples.iter().map(value).collect::<Vec<_>>());
    Sample { wall: of(|sample| sample.wall), cpu: of(|sample| sample.cpu) }
}

impl Tap {
    fn start(name: &'static str, mut command: Command) -> Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().context(name)?;
        let stdout = child.stdout.take().context("standard output")?;
        let stderr = child.stderr.take().context("standard error")?;
        let (told, whole) = mpsc::channel();
        thread::spawn(move || count(stdout, &told));
        let (found, address) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(|line| line.ok()) {
                if let Some(addr) = banner_address(&line) {
                    // It may name several; the first is taken.
                    let _ = found.send(addr);
                }
            }
        });
        let addr = address.recv_timeout(PATIENCE).context(format_args!("{name}: no address"))?;
        Ok(Self { name, child, addr, whole })
    }

    fn upload(&self) -> Result<Sample> {
        let before = cpu_seconds(&[self.child.id()])?;
        let began = Instant::now();
        let mut client = Client::connect(self.addr)?;
        let head =
            format!("PUT /a.ts HTTP/1.1\r\nHost: localhost\r\nContent-Length: {SIZE}\r\n\r\n");
        client.send(head.as_bytes())?;
        let block = [0x47; BLOCK];
        for _ in 0..SIZE / BLOCK as u64 {
            client.send(&block)?;
        }
        let mut answer = vec![0; 16 << 10];
        let (head, _) = client.read_head(&mut answer)?;
        if head.status != 200 {
            return Err(Error::new(format!("PUT to {}: status {}", self.name, head.status)));
        }
        let ended = self.whole.recv_timeout(PATIENCE).context(self.name)?;
        let megabytes = SIZE as f64 / 1e6;
        let cpu = cpu_seconds(&[self.child.id()])? - before;
        let wall = ended.duration_since(began).as_secs_f64();
        Ok(Sample { wall: megabytes / wall, cpu: megabytes / cpu })
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        // One that is gone is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads all, and tells of each whole upload.
fn count(mut output: impl Read, whole: &Sender<Instant>) {
    let mut block = vec![0; 1 << 20];
    let mut have = 0;
    while let Ok(len @ 1..) = output.read(&mut block) {
        have += len as u64;
        if have >= SIZE {
            have -= SIZE;
            let _ = whole.send(Instant::now());
        }
    }
}
