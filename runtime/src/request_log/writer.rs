//! Writes lines by a thread of its own, so that a connection never waits for the log.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    mem,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::alarm::Alarm;

/// Most that waits to be written, in bytes; lines beyond are lost, and counted.
const MOST: usize = 4 << 20;
/// What is kept of a buffer that was needed once, in bytes.
const SPARE: usize = 64 << 10;
/// Losses are told at most this often.
const QUIET: Duration = Duration::from_secs(1);
/// How long the end waits for a disk, or for the reader of standard output.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// Where lines go.
pub(super) enum Sink {
    File(PathBuf, File),
    Stdout,
    Stderr,
    #[cfg(test)]
    Test(Box<dyn Write + Send>),
}

impl Sink {
    /// A file, to be appended to; `-`: standard output.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        if path == Path::new("-") { Ok(Self::Stdout) } else { Self::file(path.to_owned()) }
    }

    pub(super) fn stderr() -> Self {
        Self::Stderr
    }

    fn file(path: PathBuf) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).mode(0o640).open(&path)?;
        Ok(Self::File(path, file))
    }

    /// Writes from the front: how much was written, and why not all.
    fn write(&mut self, lines: &[u8]) -> (usize, io::Result<()>) {
        let mut written = 0;
        while let Some(rest @ [_, ..]) = lines.get(written..) {
            match self.write_some(rest) {
                Ok(0) => return (written, Err(io::ErrorKind::WriteZero.into())),
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return (written, Err(error)),
            }
        }
        (written, Ok(()))
    }

    fn write_some(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::File(_, file) => file.write(bytes),
            // Not through its buffer, which does not tell how much of it came out.
            Self::Stdout => Ok(rustix::io::write(io::stdout().lock(), bytes)?),
            Self::Stderr => io::stderr().lock().write(bytes),
            #[cfg(test)]
            Self::Test(out) => out.write(bytes),
        }
    }

    /// True if it is another file now.
    fn reopen(&mut self) -> io::Result<bool> {
        let Self::File(path, _) = self else { return Ok(false) };
        *self = Self::file(path.clone())?;
        Ok(true)
    }
}

/// Takes lines and never waits.
#[derive(Debug)]
pub(super) struct Writer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    filled: Condvar,
    written: Condvar,
}

#[derive(Debug, Default)]
struct State {
    lines: Vec<u8>,
    /// Being written.
    busy: bool,
    lost: u64,
    reopen: bool,
    closed: bool,
}

impl Writer {
    /// Starts the thread.
    ///
    /// # Errors
    /// Those of starting it.
    pub(super) fn start(sink: Sink, alarm: &Alarm) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let pen = Pen { shared: shared.clone(), sink, torn: false, told: Told::default() };
        let alarm = alarm.clone();
        let work = move || alarm.watch("the thread that writes a log", || pen.write());
        let thread = thread::Builder::new().name("log".into()).spawn(work)?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Takes a line, its end included.
    pub(super) fn write(&self, line: &str) {
        let mut state = self.shared.lock();
        if state.lines.len() + line.len() > MOST {
            state.lost += 1;
            return;
        }
        let wake = state.lines.is_empty();
        state.lines.extend_from_slice(line.as_bytes());
        drop(state);
        if wake {
            self.shared.filled.notify_one();
        }
    }

    /// Opens the file again before the next line.
    pub(super) fn reopen(&self) {
        self.shared.lock().reopen = true;
        self.shared.filled.notify_one();
    }

    /// Waits until all that was taken is written or lost. False if it takes longer than that.
    pub(super) fn flush(&self, patience: Duration) -> bool {
        let under_way = |state: &mut State| state.busy || !state.lines.is_empty();
        let waited =
            self.shared.written.wait_timeout_while(self.shared.lock(), patience, under_way);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    /// Lines that were lost.
    pub(super) fn lost(&self) -> u64 {
        self.shared.lost()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.filled.notify_one();
        // One that is stuck is left behind: the process ends without it.
        if self.flush(PATIENCE)
            && let Some(thread) = self.thread.take()
        {
            // It does not panic.
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// Waits for something to do. Lines to be written are moved to `lines`.
    fn next(&self, lines: &mut Vec<u8>, told: &Told) -> Work {
        let mut state = self.lock();
        loop {
            if mem::take(&mut state.reopen) {
                return Work::Reopen;
            }
            if !state.lines.is_empty() {
                mem::swap(&mut state.lines, lines);
                state.busy = true;
                return Work::Write;
            }
            if state.closed {
                return Work::Close;
            }
            state = match told.due(state.lost, Instant::now()) {
                None => self.filled.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(Duration::ZERO) => return Work::Tell,
                Some(rest) => {
                    let waited = self.filled.wait_timeout(state, rest);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    fn wrote(&self, lost: u64) {
        let mut state = self.lock();
        state.lost += lost;
        state.busy = false;
        drop(state);
        self.written.notify_all();
    }

    fn lost(&self) -> u64 {
        self.lock().lost
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Work {
    Reopen,
    Write,
    Tell,
    Close,
}

/// The thread's side. It holds no lock while it writes or tells something, which may take long.
struct Pen {
    shared: Arc<Shared>,
    sink: Sink,
    /// The last line was begun and not ended.
    torn: bool,
    told: Told,
}

impl Pen {
    fn write(mut self) {
        let mut lines = Vec::new();
        loop {
            match self.shared.next(&mut lines, &self.told) {
                Work::Reopen => match self.sink.reopen() {
                    Ok(other) => self.torn &= !other,
                    Err(error) => {
                        tracing::error!(%error, "the access log cannot be opened anew; the old file is written to");
                    }
                },
                Work::Write => {
                    let (lost, result) = self.put(&lines);
                    lines.clear();
                    lines.shrink_to(SPARE);
                    self.shared.wrote(lost);
                    self.tell(result);
                }
                Work::Tell => self.tell(Ok(())),
                Work::Close => return,
            }
        }
    }

    /// Writes lines; how many were lost, of which one may be begun.
    fn put(&mut self, lines: &[u8]) -> (u64, io::Result<()>) {
        let (mut written, mut result) = (0, Ok(()));
        if self.torn {
            result = self.sink.write(b"\n").1;
            self.torn = result.is_err();
        }
        if result.is_ok() {
            (written, result) = self.sink.write(lines);
        }
        let (done, rest) = lines.split_at(written);
        self.torn |= done.last().is_some_and(|byte| *byte != b'\n');
        (rest.iter().filter(|byte| **byte == b'\n').count() as u64, result)
    }

    fn tell(&mut self, result: io::Result<()>) {
        let lost = self.shared.lost();
        match (self.told.news(result.is_ok(), lost, Instant::now()), result) {
            (Some(News::Failing), Err(error)) => {
                tracing::error!(%error, "a log cannot be written; lines are lost until it can be");
            }
            (Some(News::Again(lines)), _) => {
                tracing::info!(lines, "the log can be written again; lines were lost");
            }
            (Some(News::Lost(lines)), _) => {
                tracing::warn!(lines, "lines of a log were lost: it is written too slowly");
            }
            (Some(News::Failing), Ok(())) | (None, _) => {}
        }
    }
}

/// What the operator was told of losses.
#[derive(Debug, Default)]
struct Told {
    lost: u64,
    at: Option<Instant>,
    /// It was told that nothing can be written.
    failing: bool,
}

/// What the operator is to be told.
#[derive(Debug, PartialEq, Eq)]
enum News {
    Failing,
    /// With the lines that were lost meanwhile.
    Again(u64),
    Lost(u64),
}

impl Told {
    /// How long to wait before losses are told; `None` if there is nothing to tell.
    fn due(&self, lost: u64, now: Instant) -> Option<Duration> {
        (lost > self.lost && !self.failing).then(|| self.rest(now))
    }

    /// After lines were written or could not be.
    fn news(&mut self, written: bool, lost: u64, now: Instant) -> Option<News> {
        let more = lost - self.lost;
        let news = match (written, self.failing) {
            (true, true) => News::Again(more),
            (true, false) if more > 0 && self.rest(now).is_zero() => News::Lost(more),
            // A disk that is full every other moment is told of once a second too.
            (false, false) if self.rest(now).is_zero() => News::Failing,
            (true, false) | (false, _) => return None,
        };
        self.failing = !written;
        if written {
            self.lost = lost;
        }
        if news != News::Again(more) {
            self.at = Some(now);
        }
        Some(news)
    }

    fn rest(&self, now: Instant) -> Duration {
        self.at.map_or(Duration::ZERO, |at| QUIET.saturating_sub(now.saturating_duration_since(at)))
    }
}

#[cfg(test)]
mod tests;
