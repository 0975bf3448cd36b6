//! Writes lines by a thread of its own, so that who logs never waits.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    mem,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
};

/// Most that waits to be written, in bytes; lines beyond are lost, and counted.
const MOST: usize = 4 << 20;

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

    fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        match self {
            Self::File(_, file) => file.write_all(lines),
            Self::Stdout => {
                let mut out = io::stdout().lock();
                out.write_all(lines)?;
                out.flush()
            }
            Self::Stderr => io::stderr().lock().write_all(lines),
            #[cfg(test)]
            Self::Test(out) => out.write_all(lines),
        }
    }

    fn reopen(&mut self) -> io::Result<()> {
        if let Self::File(path, _) = self {
            *self = Self::file(path.clone())?;
        }
        Ok(())
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
    pub(super) fn start(mut sink: Sink) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let of_thread = shared.clone();
        let thread =
            thread::Builder::new().name("log".into()).spawn(move || of_thread.write(&mut sink))?;
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

    /// Opens the file anew before the next line.
    pub(super) fn reopen(&self) {
        self.shared.lock().reopen = true;
        self.shared.filled.notify_one();
    }

    /// Waits until all that was taken is written.
    pub(super) fn flush(&self) {
        let mut state = self.shared.lock();
        while state.busy || !state.lines.is_empty() {
            state = self.shared.written.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Lines that were lost.
    pub(super) fn lost(&self) -> u64 {
        self.shared.lock().lost
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.filled.notify_one();
        if let Some(thread) = self.thread.take() {
            // It does not panic.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn write(&self, sink: &mut Sink) {
        let mut failing = false;
        let mut told = 0;
        let mut state = self.lock();
        loop {
            if mem::take(&mut state.reopen) {
                drop(state);
                if let Err(error) = sink.reopen() {
                    tracing::error!(%error, "the access log cannot be opened anew; the old file is written to");
                }
                state = self.lock();
            }
            if state.lines.is_empty() {
                if state.closed {
                    return;
                }
                state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let lines = mem::take(&mut state.lines);
            let lost = state.lost;
            state.busy = true;
            drop(state);
            let result = sink.write(&lines);
            if lost > told {
                tracing::warn!(
                    lines = lost - told,
                    "lines of a log were lost: it is written too slowly"
                );
                told = lost;
            }
            match &result {
                Err(error) if !failing => {
                    tracing::error!(%error, "a log cannot be written; lines are lost until it can be");
                }
                Ok(()) if failing => tracing::info!("the log can be written again"),
                Ok(()) | Err(_) => {}
            }
            failing = result.is_err();
            state = self.lock();
            if failing {
                let count = lines.iter().filter(|&&b| b == b'\n').count() as u64;
                state.lost += count;
                told += count;
            }
            state.busy = false;
            self.written.notify_all();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
