//! What uploads are made of.

use std::{
    collections::VecDeque,
    fmt,
    fs::{File, Metadata},
    future::Future,
    io,
    os::unix::fs::MetadataExt as _,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker, ready},
};

use blocking::Task;
use bytes::Bytes;
use futures_lite::FutureExt as _;
use httpout_proto::{http::Part, push::JobId};
use rustix::fd::OwnedFd;
use sha2::{Digest as _, Sha256};

use crate::input::{Dir, Reader, read_at};

/// Most bytes of a growing file that are read at once.
const BLOCK: u64 = 256 << 10;
/// Most bytes that wait in a [`Pipe`].
const ROOM: usize = 256 << 10;

/// Where the content of an upload comes from.
pub(super) enum Body {
    /// There is none.
    Nothing,
    /// A file that is there, to be opened when its turn comes.
    File(Place),
    /// A file that grows.
    Growing(Arc<Growing>),
    /// An input that is read once.
    Input(Input),
    /// What a program writes.
    Pipe(Arc<Pipe>),
}

/// Where a file is.
#[derive(Clone)]
pub(super) enum Place {
    /// Anywhere.
    Path(std::path::PathBuf),
    /// In a directory that is followed.
    In(Dir, httpout_proto::fs::RelPath),
}

/// What is given of a body.
#[derive(Debug)]
pub(super) enum Given {
    Part(Part),
    End,
    /// What was sent is not what is there any more.
    Changed,
}

/// A file that is open and as long as it is going to be.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) file: Arc<OwnedFd>,
    pub(super) len: u64,
}

impl Place {
    /// Opens it, if that needs no disk; `None` where it might, or where something is odd.
    pub(super) fn open_at_once(&self) -> Option<Opened> {
        let Self::In(dir, path) = self else { return None };
        let file = dir.file_at_once(path)?;
        let meta = file.metadata().ok().filter(Metadata::is_file)?;
        Some(Opened { file: Arc::new(file.into()), len: meta.size() })
    }

    /// Opens it; `None`: it is not there.
    ///
    /// # Errors
    /// Those of the file system; it is no regular file.
    pub(super) async fn open(self) -> io::Result<Option<Opened>> {
        let (file, meta) = match self {
            Self::In(dir, path) => match dir.file(&path).await? {
                Some((file, meta)) => (file, meta),
                None => return Ok(None),
            },
            Self::Path(path) => {
                blocking::unblock(move || {
                    let file = File::open(path)?;
                    let meta = file.metadata()?;
                    Ok::<_, io::Error>((Arc::new(file), meta))
                })
                .await?
            }
        };
        if !meta.is_file() {
            return Err(io::Error::other("it is no regular file"));
        }
        let file = Arc::into_inner(file).map(OwnedFd::from);
        let file = file.ok_or_else(|| io::Error::other("it is in use"))?;
        Ok(Some(Opened { file: Arc::new(file), len: meta.size() }))
    }
}

// ---- a file that grows ----

/// A file that grows while it is uploaded.
#[derive(Debug)]
pub(super) struct Growing {
    file: Arc<File>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    len: u64,
    over: bool,
    waker: Option<Waker>,
}

impl Growing {
    pub(super) fn new(file: Arc<File>) -> Self {
        Self { file, state: Mutex::default() }
    }

    /// How long it is now; `None` if it has become shorter, and what was sent of it may be wrong.
    ///
    /// # Errors
    /// Those of the file system.
    pub(super) fn look(&self) -> io::Result<Option<u64>> {
        let len = self.file.metadata()?.len();
        let mut state = lock(&self.state);
        if len < state.len {
            return Ok(None);
        }
        if len > state.len {
            state.len = len;
            wake(state);
        }
        Ok(Some(len))
    }

    /// It does not grow any more.
    pub(super) fn settle(&self) {
        let mut state = lock(&self.state);
        state.over = true;
        wake(state);
    }

    /// True if it does not grow any more.
    pub(super) fn is_settled(&self) -> bool {
        lock(&self.state).over
    }

    /// The file, as it is.
    ///
    /// # Errors
    /// Those of the file system.
    pub(super) fn open(&self) -> io::Result<Opened> {
        let len = self.file.metadata()?.len();
        Ok(Opened { file: Arc::new(self.file.try_clone()?.into()), len })
    }
}

impl Growing {
    /// True if the file has so many bytes, and they have this hash.
    fn is(&self, len: u64, hash: Sha256) -> io::Result<bool> {
        let mut own = Sha256::new();
        let mut at = 0;
        while at < len {
            let most = usize::try_from((len - at).min(BLOCK)).unwrap_or_default();
            let data = read_at(&self.file, at, most)?;
            if data.is_empty() {
                return Ok(false);
            }
            at += data.len() as u64;
            own.update(&data);
        }
        Ok(own.finalize() == hash.finalize() && self.file.metadata()?.len() == len)
    }
}

/// How far a growing file was sent.
pub(super) struct Follow {
    growing: Arc<Growing>,
    at: u64,
    /// Of what was sent.
    hash: Sha256,
    /// What was sent is compared with what is there.
    checking: Option<Task<io::Result<bool>>>,
}

impl Follow {
    pub(super) fn new(growing: Arc<Growing>) -> Self {
        Self { growing, at: 0, hash: Sha256::new(), checking: None }
    }

    fn poll(&mut self, cx: &mut Context<'_>, at: u64) -> Poll<io::Result<Given>> {
        if at == 0 && self.at > 0 {
            *self = Self::new(self.growing.clone());
        } else if at != self.at {
            return Poll::Ready(Ok(Given::Changed));
        }
        if let Some(checking) = &mut self.checking {
            let is_same = ready!(checking.poll(cx))?;
            self.checking = None;
            return Poll::Ready(Ok(if is_same { Given::End } else { Given::Changed }));
        }
        let len = {
            let mut state = lock(&self.growing.state);
            if state.len <= self.at && !state.over {
                state.waker = Some(cx.waker().clone());
                return Poll::Pending;
            }
            state.len
        };
        if len <= self.at {
            // Its writer may have gone back in it.
            let (growing, at, hash) = (self.growing.clone(), self.at, self.hash.clone());
            self.checking = Some(blocking::unblock(move || growing.is(at, hash)));
            return self.poll(cx, at);
        }
        let most = usize::try_from((len - self.at).min(BLOCK)).unwrap_or_default();
        let data = read_at(&self.growing.file, self.at, most)?;
        if data.is_empty() {
            return Poll::Ready(Ok(Given::Changed));
        }
        self.at += data.len() as u64;
        self.hash.update(&data);
        Poll::Ready(Ok(Given::Part(Part::Bytes(data))))
    }
}

// ---- an input that is read once ----

type Reading = Pin<Box<dyn Future<Output = (Reader, io::Result<Bytes>)> + Send>>;

/// An input that is read once: standard input, or a FIFO.
pub(super) struct Input {
    reader: Option<Reader>,
    reading: Option<Reading>,
    first: Option<Bytes>,
}

impl Input {
    /// Its first bytes are there; none, if it is empty.
    pub(super) fn new(reader: Reader, first: Bytes) -> Self {
        Self { reader: Some(reader), reading: None, first: Some(first) }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Ok(first));
        }
        if let Some(mut reader) = self.reader.take() {
            self.reading = Some(Box::pin(async move {
                let read = reader.read().await;
                (reader, read)
            }));
        }
        let Some(reading) = &mut self.reading else { return Poll::Ready(Ok(Bytes::new())) };
        let (reader, read) = ready!(reading.as_mut().poll(cx));
        (self.reader, self.reading) = (Some(reader), None);
        Poll::Ready(read)
    }

    /// Reads it to its end: its writer must not be stopped.
    pub(super) async fn drain(mut self) {
        while let Ok(data) = std::future::poll_fn(|cx| self.poll(cx)).await
            && !data.is_empty()
        {}
    }
}

// ---- what a program writes ----

/// What a program writes, and an upload reads.
#[derive(Debug, Default)]
pub(super) struct Pipe(Mutex<Inside>);

#[derive(Debug, Default)]
struct Inside {
    waiting: VecDeque<Bytes>,
    len: usize,
    ended: bool,
    /// The upload is over: nothing is read any more.
    closed: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Pipe {
    /// Ready when there is room, or the reader is gone.
    pub(super) fn poll_room(&self, cx: &Context<'_>) -> Poll<()> {
        let mut inside = lock(&self.0);
        if inside.len < ROOM || inside.closed {
            return Poll::Ready(());
        }
        inside.writer = Some(cx.waker().clone());
        Poll::Pending
    }

    pub(super) fn write(&self, data: Bytes) {
        let mut inside = lock(&self.0);
        if data.is_empty() || inside.closed {
            return;
        }
        inside.len += data.len();
        inside.waiting.push_back(data);
        let reader = inside.reader.take();
        drop(inside);
        reader.into_iter().for_each(Waker::wake);
    }

    pub(super) fn end(&self) {
        let mut inside = lock(&self.0);
        inside.ended = true;
        let reader = inside.reader.take();
        drop(inside);
        reader.into_iter().for_each(Waker::wake);
    }

    pub(super) fn is_closed(&self) -> bool {
        lock(&self.0).closed
    }

    /// Nothing is read any more.
    pub(super) fn close(&self) {
        let mut inside = lock(&self.0);
        inside.closed = true;
        inside.waiting = VecDeque::new();
        let writer = inside.writer.take();
        drop(inside);
        writer.into_iter().for_each(Waker::wake);
    }

    fn poll(&self, cx: &Context<'_>) -> Poll<io::Result<Bytes>> {
        let mut inside = lock(&self.0);
        if let Some(data) = inside.waiting.pop_front() {
            inside.len -= data.len();
            let writer = inside.writer.take();
            drop(inside);
            writer.into_iter().for_each(Waker::wake);
            return Poll::Ready(Ok(data));
        }
        if inside.ended {
            return Poll::Ready(Ok(Bytes::new()));
        }
        inside.reader = Some(cx.waker().clone());
        Poll::Pending
    }
}

// ---- the content of the upload that is under way ----

/// The content of the upload that is under way.
pub(super) enum Content {
    File(Opened),
    Follow(Follow),
    Input(Input),
    Pipe(Arc<Pipe>),
}

impl Content {
    /// The part that begins at `at`, when there is one.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        job: JobId,
        at: u64,
    ) -> Poll<io::Result<Given>> {
        let bytes = match self {
            Self::File(opened) => {
                let len = opened.len.saturating_sub(at);
                let part = Part::File { file: job.file(), at, len };
                return Poll::Ready(Ok(if len > 0 { Given::Part(part) } else { Given::End }));
            }
            Self::Follow(follow) => return follow.poll(cx, at),
            Self::Input(input) => ready!(input.poll(cx))?,
            Self::Pipe(pipe) => ready!(pipe.poll(cx))?,
        };
        Poll::Ready(Ok(match bytes.is_empty() {
            true => Given::End,
            false => Given::Part(Part::Bytes(bytes)),
        }))
    }
}

impl Content {
    /// What is left of it.
    pub(super) fn into_body(self) -> Body {
        match self {
            Self::File(_) => Body::Nothing,
            Self::Follow(follow) => Body::Growing(follow.growing),
            Self::Input(input) => Body::Input(input),
            Self::Pipe(pipe) => Body::Pipe(pipe),
        }
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Content")
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Body")
    }
}

fn lock<T>(state: &Mutex<T>) -> MutexGuard<'_, T> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn wake(mut state: MutexGuard<'_, State>) {
    let waker = state.waker.take();
    drop(state);
    waker.into_iter().for_each(Waker::wake);
}
