//! One live stream from one source through one server to a crowd, and what that cost the server.

use std::{
    io::Write,
    process::{Command, Stdio},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{
    crowd::Crowd,
    error::{Context, Error, Result},
    icecast,
    peers::{Kind, Lab, Server, free_port, program},
    tap::content,
};

const NAME: &str = "live.bin";
/// What a server needs once, however many listeners there are, is there after these.
const WARM_UP: usize = 64;
const SETTLE: Duration = Duration::from_millis(500);

/// How the bytes of the stream come to the server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Feed {
    /// Bytes.
    pub(crate) packet: usize,
    pub(crate) period: Duration,
}

/// What was seen in one window of time, with all listeners there.
#[derive(Debug)]
pub(crate) struct Sample {
    /// Listeners.
    pub(crate) count: usize,
    /// Packets that were sent to the server.
    pub(crate) packets: usize,
    /// Processor time of the server, in seconds.
    pub(crate) cpu: f64,
    /// By how much the server's resident memory is more than without listeners, in bytes.
    pub(crate) memory: f64,
    /// Listeners whose connection was closed.
    pub(crate) dropped: usize,
    /// How often a listener's stream did not go on where it was.
    pub(crate) gaps: u64,
    /// How many packets the listener who is farthest from it got more or less than were sent.
    pub(crate) uneven: f64,
    /// Milliseconds from each packet's way into the server until the last listener had all of it;
    /// infinite if one never had.
    pub(crate) latencies: Vec<f64>,
}

/// Starts a server, feeds it, lets `count` listeners join, and looks on for the time of `window`.
pub(crate) fn sample(
    kind: Kind,
    lab: &Lab,
    feed: Feed,
    count: usize,
    window: Duration,
) -> Result<Sample> {
    let (server, input) = start(kind, lab)?;
    let start = Instant::now();
    let sent = Sent::default();
    thread::scope(|scope| {
        let feeder = scope.spawn(|| feed.run(input, start, &sent));
        let sample = look_on(&server, feed, start, &sent, count, window);
        sent.over.store(true, Ordering::Relaxed);
        // Ended before its source is waited for, which may be stuck.
        drop(server);
        let fed = feeder.join().map_err(|_| Error::new("the source panicked"))?;
        fed.context("source").and(sample)
    })
}

fn look_on(
    server: &Server,
    feed: Feed,
    start: Instant,
    sent: &Sent,
    count: usize,
    window: Duration,
) -> Result<Sample> {
    let mut warm_up = Crowd::new(feed.packet, start)?;
    warm_up.join(server, NAME, WARM_UP)?;
    drop(warm_up);
    thread::sleep(SETTLE);
    let memory = server.memory_kib("VmRSS")?;
    let mut crowd = Crowd::new(feed.packet, start)?;
    crowd.join(server, NAME, count)?;
    crowd.listen(feed.quiet(start, Instant::now() + SETTLE))?;
    let before = (crowd.received(), sent.count(), server.cpu_seconds()?);
    crowd.listen(feed.quiet(start, Instant::now() + window))?;
    let after = (crowd.received(), sent.count(), server.cpu_seconds()?);
    let grown = server.memory_kib("VmRSS")? as f64 - memory as f64;
    // What is under way may still come.
    crowd.listen(Instant::now() + SETTLE)?;
    let due = ((after.1 - before.1) * feed.packet) as f64;
    let off = |(before, after): (&u64, &u64)| ((after - before) as f64 - due).abs();
    let farthest = before.0.iter().zip(&after.0).map(off).fold(0.0, f64::max);
    let times = sent.times.lock().unwrap_or_else(PoisonError::into_inner);
    let latency = |packet: usize| match crowd.last(packet) {
        Some(last) => last.saturating_sub(times[packet]).as_secs_f64() * 1e3,
        None => f64::INFINITY,
    };
    Ok(Sample {
        count,
        packets: after.1 - before.1,
        cpu: after.2 - before.2,
        memory: grown * 1024.0,
        dropped: crowd.dropped(),
        gaps: crowd.gaps(),
        uneven: farthest / feed.packet as f64,
        latencies: (before.1..after.1).map(latency).collect(),
    })
}

/// The server, and the way into it.
fn start(kind: Kind, lab: &Lab) -> Result<(Server, Box<dyn Write + Send>)> {
    if kind == Kind::Icecast {
        let server = Server::start(kind, lab, &[])?;
        let input = icecast::source(server.addr, NAME)?;
        return Ok((server, Box::new(input)));
    }
    let dir = lab.path(kind.name());
    std::fs::create_dir_all(&dir).context(dir.display())?;
    let mut command = if kind == Kind::Floor {
        let mut command = Command::new(std::env::current_exe().context("own path")?);
        command.arg("floor-live");
        command
    } else {
        let mut command = Command::new(program(kind)?);
        command.args(["-i", "-", "-o", &format!("http://{}/{NAME}", free_port()?)]);
        command.args(["--maxc", "0", "--maxp", "0"]);
        command
    };
    command.stdin(Stdio::piped());
    let mut server = Server::start_with(kind, &mut command, dir.clone(), &dir.join("log"))?;
    let input = server.take_stdin().context("standard input")?;
    Ok((server, Box::new(input)))
}

/// What the source did so far.
#[derive(Debug, Default)]
struct Sent {
    /// When the first byte of each packet left.
    times: Mutex<Vec<Duration>>,
    /// It is to stop.
    over: AtomicBool,
}

impl Sent {
    fn count(&self) -> usize {
        self.times.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl Feed {
    pub(crate) fn name(self) -> String {
        format!("{} B/{:?}", self.packet, self.period)
    }

    /// One packet after the other, each at its time, until it is enough.
    fn run(self, mut out: impl Write, start: Instant, sent: &Sent) -> Result<()> {
        for at in 0_u32.. {
            let packet = content(u64::from(at) * self.packet as u64, self.packet);
            thread::sleep((start + self.period * at).saturating_duration_since(Instant::now()));
            if sent.over.load(Ordering::Relaxed) {
                break;
            }
            sent.times.lock().unwrap_or_else(PoisonError::into_inner).push(start.elapsed());
            match out.write_all(&packet) {
                Err(_) if sent.over.load(Ordering::Relaxed) => break,
                written => written.context("write")?,
            }
        }
        Ok(())
    }

    /// When, after `time`, nothing is likely to be under way: between two packets.
    fn quiet(self, start: Instant, time: Instant) -> Instant {
        let packets = time.saturating_duration_since(start).as_nanos() / self.period.as_nanos();
        start + self.period * (packets as u32 + 1) + self.period / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_quiet_between_packets() {
        let feed = Feed { packet: 8, period: Duration::from_millis(100) };
        let start = Instant::now();
        let quiet = |millis| feed.quiet(start, start + Duration::from_millis(millis)) - start;
        assert_eq!(quiet(0), Duration::from_millis(150));
        assert_eq!(quiet(199), Duration::from_millis(250));
        assert_eq!(quiet(200), Duration::from_millis(350));
    }

    #[test]
    fn the_source_sends_the_stream_until_it_is_closed() {
        struct Closed(Vec<u8>);
        impl Write for Closed {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                if self.0.len() == 48 {
                    return Err(std::io::ErrorKind::BrokenPipe.into());
                }
                self.0.extend_from_slice(bytes);
                Ok(bytes.len())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let feed = Feed { packet: 16, period: Duration::from_micros(1) };
        let (mut out, sent) = (Closed(Vec::new()), Sent::default());
        assert!(feed.run(&mut out, Instant::now(), &sent).is_err());
        assert_eq!(out.0, content(0, 48));
        assert_eq!(sent.count(), 4);
    }
}
