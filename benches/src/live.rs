//! How long a chunk takes from an uploader, through the server, to those who read the resource
//! while it grows.

use std::{
    fs,
    io::{ErrorKind, Read},
    process::{Command, Stdio},
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::{
    Plan,
    client::Client,
    error::{Context, Error, Result},
    measure::{median, percentile},
    peers::{Kind, Server, program},
    report::{Report, Target},
};

const READERS: usize = 10;
const CHUNK: usize = 8 << 10;
const PERIOD: Duration = Duration::from_millis(20);
/// What is sent before all readers are there is not measured.
const LEAD: Duration = Duration::from_millis(500);
const MOST_P50: f64 = 0.5;
const MOST_P50_IN_MEMORY: f64 = 0.3;
const MOST_P99: f64 = 5.0;

/// Milliseconds.
#[derive(Debug)]
struct Sample {
    p50: f64,
    p99: f64,
    max: f64,
}

pub(crate) fn run(plan: &Plan) -> Result<Report> {
    let servers = Server::start_all(plan.ours.iter().copied(), &plan.lab, &[])?;
    compare(plan, "live", servers, MOST_P50)
}

/// The same, but nothing is written to a disk.
pub(crate) fn in_memory(plan: &Plan) -> Result<Report> {
    let start = |&kind: &Kind| {
        let dir = plan.lab.path("gmem").join(kind.name());
        fs::create_dir_all(&dir).context(dir.display())?;
        let mut command = Command::new(program(kind)?);
        command.args(["--rdirs", "gmem", "--wdir", "gmem", "--port", "auto"]);
        command.args(["--maxc", "0", "--maxp", "0", "--timeout", "0"]).stdin(Stdio::null());
        let log = dir.join("log");
        Server::start_with(kind, &mut command, dir, &log)
    };
    let servers = plan.ours.iter().map(start).collect::<Result<_>>()?;
    compare(plan, "gmem", servers, MOST_P50_IN_MEMORY)
}

fn compare(plan: &Plan, what: &str, servers: Vec<Server>, most_p50: f64) -> Result<Report> {
    let mut report = Report::new(
        format!(
            "{what}: {READERS} readers, {} KiB each {PERIOD:?}, {} rounds of {:?}",
            CHUNK >> 10,
            plan.rounds,
            plan.seconds
        ),
        &["server", "p50, ms", "p99, ms", "max, ms"],
    );
    let mut samples: Vec<Vec<Sample>> = servers.iter().map(|_| Vec::new()).collect();
    for round in 0..plan.rounds {
        // A name of its own: of an upload that has not begun, readers would get the one before.
        let path = format!("/live{round}.m4s");
        for (server, samples) in servers.iter().zip(&mut samples) {
            let sample = sample(server, &path, plan.seconds).context(server.kind.name())?;
            samples.push(sample);
        }
    }
    for (server, samples) in servers.iter().zip(&samples) {
        let of = |figure: fn(&Sample) -> f64| samples.iter().map(figure).collect::<Vec<f64>>();
        let (p50, p99) = (median(&of(|sample| sample.p50)), median(&of(|sample| sample.p99)));
        let max = percentile(&of(|sample| sample.max), 100.0);
        let name = server.kind.name();
        report.row([name.into(), format!("{p50:.3}"), format!("{p99:.3}"), format!("{max:.3}")]);
        report.check(format!("{what}, p50, {name}"), p50, "ms", Target::AtMost(most_p50));
        report.check(format!("{what}, p99, {name}"), p99, "ms", Target::AtMost(MOST_P99));
    }
    Ok(report)
}

/// One upload, from its first chunk to its end.
fn sample(server: &Server, path: &str, seconds: Duration) -> Result<Sample> {
    let chunks = ((seconds + LEAD).as_millis() / PERIOD.as_millis()) as usize;
    let start = Instant::now();
    // When each chunk was sent, in nanoseconds since the start; 0 as long as it was not.
    let sent: Vec<AtomicU64> = (0..chunks).map(|_| AtomicU64::new(0)).collect();
    let (readers, first) = thread::scope(|scope| {
        let uploader = scope.spawn(|| upload(server, path, start, &sent));
        let readers = read(server, path, start, &sent);
        let uploaded = uploader.join().map_err(|_| Error::new("the uploader panicked"))?;
        uploaded.context("upload")?;
        readers
    })?;
    let mut latencies = Vec::new();
    for reader in &readers {
        let body = Body::decode(&reader.raw)?;
        body.compare(chunks)?;
        for (chunk, sent) in sent.iter().enumerate().skip(first) {
            let received = reader.time_of(body.raw_offset((chunk + 1) * CHUNK - 1)?)?;
            let sent = Duration::from_nanos(sent.load(Ordering::Relaxed));
            latencies.push((received.as_secs_f64() - sent.as_secs_f64()) * 1e3);
        }
    }
    Ok(Sample {
        p50: percentile(&latencies, 50.0),
        p99: percentile(&latencies, 99.0),
        max: percentile(&latencies, 100.0),
    })
}

fn upload(server: &Server, path: &str, start: Instant, sent: &[AtomicU64]) -> Result<()> {
    let mut client = Client::connect(server.addr)?;
    let head = format!(
        "PUT {path} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    );
    client.send(head.as_bytes())?;
    for (at, sent) in sent.iter().enumerate() {
        let mut chunk = format!("{CHUNK:x}\r\n").into_bytes();
        chunk.extend_from_slice(&content(at));
        chunk.extend_from_slice(b"\r\n");
        let due = start + PERIOD * at as u32;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        sent.store(start.elapsed().as_nanos() as u64, Ordering::Release);
        client.send(&chunk)?;
    }
    client.send(b"0\r\n\r\n")?;
    let (head, _) = client.read_head(&mut vec![0; 16 << 10])?;
    match head.status {
        200 | 201 => Ok(()),
        status => Err(Error::new(format!("PUT {path}: status {status}"))),
    }
}

/// The bytes of one chunk: none is like another.
fn content(chunk: usize) -> Vec<u8> {
    let words = (0..CHUNK / 8).map(|word| (chunk * CHUNK + word * 8) as u64);
    words.flat_map(|word| word.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes()).collect()
}

/// Everything that one reader got, and when. It is looked at only at the end, so that looking
/// delays nobody.
#[derive(Debug)]
struct Reader {
    client: Client,
    raw: Vec<u8>,
    /// After each read: how much there was then, and the time.
    marks: Vec<(usize, Duration)>,
    ended: bool,
}

impl Reader {
    /// `None` if there is nothing to read yet.
    fn join(server: &Server, path: &str, start: Instant) -> Result<Option<Self>> {
        let mut client = Client::connect(server.addr)?;
        client.send(
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                .as_bytes(),
        )?;
        let mut raw = vec![0; 1 << 20];
        let (head, have) = client.read_head(&mut raw)?;
        raw.truncate(have);
        match head.status {
            200 => {}
            404 => return Ok(None),
            status => return Err(Error::new(format!("GET {path}: status {status}"))),
        }
        client.0.set_nonblocking(true).context("reader")?;
        Ok(Some(Self { client, raw, marks: vec![(have, start.elapsed())], ended: false }))
    }

    fn read(&mut self, start: Instant, buffer: &mut [u8]) -> Result<()> {
        match self.client.0.read(buffer) {
            Ok(0) => self.ended = true,
            Ok(len) => {
                let time = start.elapsed();
                self.raw.extend_from_slice(&buffer[..len]);
                self.marks.push((self.raw.len(), time));
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error).context("reader"),
        }
        Ok(())
    }

    fn time_of(&self, raw_offset: usize) -> Result<Duration> {
        let mark = self.marks.partition_point(|(len, _)| *len <= raw_offset);
        Ok(self.marks.get(mark).context("time of a chunk")?.1)
    }
}

/// Reads with all readers until all are through. Also gives the first chunk that was sent when all
/// were there.
fn read(
    server: &Server,
    path: &str,
    start: Instant,
    sent: &[AtomicU64],
) -> Result<(Vec<Reader>, usize)> {
    let mut readers = Vec::with_capacity(READERS);
    while readers.len() < READERS {
        if start.elapsed() > LEAD {
            return Err(Error::new("the upload is not to be read while it grows"));
        }
        match Reader::join(server, path, start)? {
            Some(reader) => readers.push(reader),
            None => thread::sleep(Duration::from_millis(2)),
        }
    }
    let first = sent.partition_point(|sent| sent.load(Ordering::Acquire) > 0);
    let mut buffer = vec![0; 64 << 10];
    let patience = Timespec { tv_sec: 10, tv_nsec: 0 };
    while readers.iter().any(|reader| !reader.ended) {
        let waiting: Vec<usize> = (0..READERS).filter(|&at| !readers[at].ended).collect();
        let mut fds: Vec<PollFd<'_>> =
            waiting.iter().map(|&at| PollFd::new(&readers[at].client.0, PollFlags::IN)).collect();
        if poll(&mut fds, Some(&patience)).context("poll")? == 0 {
            return Err(Error::new("readers got nothing for ten seconds"));
        }
        let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        drop(fds);
        for (at, _) in waiting.into_iter().zip(ready).filter(|(_, ready)| *ready) {
            readers[at].read(start, &mut buffer)?;
        }
    }
    Ok((readers, first))
}

/// A response's body, and where its bytes were on the wire.
#[derive(Debug)]
struct Body {
    content: Vec<u8>,
    /// Where each run of content begins: in the content, on the wire.
    runs: Vec<(usize, usize)>,
}

impl Body {
    fn decode(raw: &[u8]) -> Result<Self> {
        let head = crate::client::parse_head(raw)?.context("response head")?;
        let mut body = Self { content: Vec::new(), runs: Vec::new() };
        if !head.chunked {
            body.push(raw, head.len, raw.len());
            return Ok(body);
        }
        let mut at = head.len;
        loop {
            let line = raw[at..].windows(2).position(|bytes| bytes == b"\r\n");
            let line = &raw[at..at + line.context("the end of a chunked body")?];
            let size = std::str::from_utf8(line).context("chunk size")?;
            let len = usize::from_str_radix(size, 16).context("chunk size")?;
            if len == 0 {
                return Ok(body);
            }
            at += line.len() + 2;
            if raw.len() < at + len + 2 {
                return Err(Error::new("a chunk is cut short"));
            }
            body.push(raw, at, at + len);
            at += len + 2;
        }
    }

    fn push(&mut self, raw: &[u8], from: usize, to: usize) {
        self.runs.push((self.content.len(), from));
        self.content.extend_from_slice(&raw[from..to]);
    }

    fn raw_offset(&self, offset: usize) -> Result<usize> {
        let run = self.runs.partition_point(|(content, _)| *content <= offset);
        let (content, raw) = self.runs[..run].last().context("content")?;
        Ok(raw + (offset - content))
    }

    fn compare(&self, chunks: usize) -> Result<()> {
        let (len, all) = (self.content.len(), chunks * CHUNK);
        if len != all {
            return Err(Error::new(format!("a reader got {len} bytes of {all}")));
        }
        let mut parts = self.content.chunks(CHUNK).enumerate();
        match parts.find(|(chunk, part)| *part != content(*chunk)) {
            None => Ok(()),
            Some((chunk, _)) => Err(Error::new(format!("a reader got chunk {chunk} wrong"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_and_knows_where_bytes_were() {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        let body =
            Body::decode(format!("{head}3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n").as_bytes()).unwrap();
        assert_eq!(body.content, b"abcde");
        assert_eq!(body.raw_offset(2).unwrap(), head.len() + 5);
        assert_eq!(body.raw_offset(3).unwrap(), head.len() + 11);
        assert!(Body::decode(format!("{head}3\r\nabc\r\n").as_bytes()).is_err());
        assert!(Body::decode(format!("{head}3\r\nab").as_bytes()).is_err());
    }

    #[test]
    fn no_chunk_is_like_another() {
        assert_eq!(content(0).len(), CHUNK);
        assert_ne!(content(0), content(1));
    }
}
