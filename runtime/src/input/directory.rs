//! A directory that an encoder writes into, as an input: each file is in progress until it is
//! closed, and is served while it grows.
//!
//! Its files are copied into the first read directory as they grow. Where the directory is that
//! directory, nothing is copied: see [`in_place`] for what that cannot promise.

mod copy;
mod in_place;
mod source;
#[cfg(test)]
mod tests;
#[cfg(target_os = "linux")]
mod watch;
#[cfg(not(target_os = "linux"))]
#[path = "directory/no_watch.rs"]
mod watch;

use std::{
    fmt, fs,
    future::Future,
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use futures_lite::future;
use httpout_proto::{
    fs::{Place, RelPath},
    live::{Copied, Directory, DirectoryAction, DirectoryStep, FileEvent},
};

pub(crate) use self::source::Dir;
#[cfg(feature = "push")]
pub(crate) use self::source::read_at;
use self::{copy::Copier, in_place::InPlace, watch::Watch};
use crate::server::Shared;

/// It is looked so often whether a directory is there.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Why a directory is not followed, or not any more.
#[derive(Debug)]
pub(crate) struct FollowError {
    problem: String,
    /// It is not there.
    pub(crate) is_missing: bool,
}

impl FollowError {
    fn new(problem: impl Into<String>) -> Self {
        Self { problem: problem.into(), is_missing: false }
    }

    fn unreadable(why: &io::Error) -> Self {
        let missing = [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory];
        Self {
            problem: format!("cannot be read: {why}"),
            is_missing: missing.contains(&why.kind()),
        }
    }
}

impl fmt::Display for FollowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem)
    }
}

/// What is served of a directory is done here. Each answer tells what came of it; why something
/// cannot be done is told to the log.
pub(crate) trait Sink {
    /// Begins to serve a file. `whole`: no process writes to it; `found`: it was there before.
    async fn begin(&mut self, path: &RelPath, whole: bool, found: bool) -> Begun;

    /// Serves more of a file that was begun, as [`DirectoryAction::Copy`] says; `None` where that
    /// cannot be done, and nothing is left of it.
    async fn copy(&mut self, path: &RelPath, last: bool, writes: u64) -> Option<Copied>;

    /// All of it was served. False where that cannot be ended, and nothing is left of it.
    async fn end(&mut self, path: &RelPath) -> bool;

    /// What was begun is not to be ended.
    async fn abandon(&mut self, path: &RelPath);

    /// The file was removed.
    async fn remove(&mut self, path: &RelPath);
}

/// What came of a beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begun {
    /// It is to be copied.
    Growing,
    /// It is served already.
    Whole,
    /// It is not there, or cannot be served.
    Not,
}

/// What is told of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
enum News {
    File(RelPath, FileEvent),
    DirectoryGone(RelPath),
    /// Something was not told: all that is there comes next.
    Lost,
    /// All that is there was told.
    Looked,
}

/// Serves the files of `dir` below the path `under`, until the server is shut down. What is in
/// progress when `dir` is removed or renamed is given up; then the input is over if the server is
/// to quit, or else `dir` is followed again when it is back.
///
/// # Errors
/// A directory that cannot be followed.
pub(crate) async fn follow<S: Future<Output = ()>>(
    shared: &Arc<Shared>,
    dir: &Path,
    under: &RelPath,
    sleep: &impl Fn(Instant) -> S,
) -> Result<(), FollowError> {
    let target = shared.site().recorded(under);
    let target = target.ok_or_else(|| FollowError::new("has no read directory to go to"))?;
    let mut watched = Watched::default();
    while watched.is_there(dir, &|| shared.stopped(), sleep).await {
        let served = follow_once(shared, dir, &target, &watched, sleep).await;
        if shared.is_stopping() || !watched.is_gone(dir, served)? || shared.is_to_quit() {
            break;
        }
    }
    Ok(())
}

async fn follow_once<S: Future<Output = ()>>(
    shared: &Arc<Shared>,
    dir: &Path,
    target: &Place,
    watched: &Watched,
    sleep: &impl Fn(Instant) -> S,
) -> Result<(), FollowError> {
    let (path, into) = (dir.to_owned(), shared.offer().roots.key(target));
    let here = blocking::unblock(move || is_same(&path, &into)).await?;
    let files = Files { dir: Dir::new(dir), shared: shared.clone(), under: target.clone() };
    if !here {
        return serve(dir, &mut Copier::new(files), &|| shared.stopped(), sleep).await;
    }
    if watched.before {
        // What is open is the directory that is gone.
        let shared = shared.clone();
        let reopened = blocking::unblock(move || shared.reopen_roots()).await;
        reopened.map_err(|why| FollowError::new(format!("cannot be served: {why}")))?;
    }
    serve(dir, &mut InPlace::new(files), &|| shared.stopped(), sleep).await
}

/// A directory that may go and come back.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    /// It was followed before.
    before: bool,
    /// It was told that it is not there.
    told: bool,
}

impl Watched {
    /// Waits until the directory is there; false when it is `over`.
    pub(crate) async fn is_there<O: Future<Output = ()>, S: Future<Output = ()>>(
        &mut self,
        dir: &Path,
        over: &impl Fn() -> O,
        sleep: &impl Fn(Instant) -> S,
    ) -> bool {
        loop {
            let path = dir.to_owned();
            if blocking::unblock(move || path.is_dir()).await {
                if std::mem::take(&mut self.told) {
                    tracing::info!("the directory {} is there: it is followed", dir.display());
                }
                return true;
            }
            if !std::mem::replace(&mut self.told, true) {
                tracing::warn!("the directory {} is not there: it is waited for", dir.display());
            }
            future::or(over(), sleep(Instant::now() + LOOK_AGAIN)).await;
            if future::poll_once(over()).await.is_some() {
                return false;
            }
        }
    }

    /// True if it was followed to its end, and may come back.
    ///
    /// # Errors
    /// It cannot be followed.
    pub(crate) fn is_gone(
        &mut self,
        dir: &Path,
        served: Result<(), FollowError>,
    ) -> Result<bool, FollowError> {
        match served {
            Err(why) if !why.is_missing => return Err(why),
            // It went before it was looked at.
            Err(_) => {}
            Ok(()) => {
                self.before = true;
                self.told = true;
                tracing::warn!(
                    "the directory {} is gone: what was being written in it is given up",
                    dir.display()
                );
            }
        }
        Ok(true)
    }
}

/// Lets a sink serve the files of a directory until that is gone, or until `over`; what is in
/// progress then is abandoned.
///
/// # Errors
/// A directory that cannot be followed.
pub(crate) async fn serve<O: Future<Output = ()>, S: Future<Output = ()>>(
    dir: &Path,
    sink: &mut impl Sink,
    over: &impl Fn() -> O,
    sleep: &impl Fn(Instant) -> S,
) -> Result<(), FollowError> {
    let mut directory = Directory::new();
    let served = serve_in(&mut directory, dir, sink, over, sleep).await;
    for path in directory.in_progress() {
        sink.abandon(&path).await;
    }
    served
}

async fn serve_in<O: Future<Output = ()>, S: Future<Output = ()>>(
    directory: &mut Directory,
    dir: &Path,
    sink: &mut impl Sink,
    over: &impl Fn() -> O,
    sleep: &impl Fn(Instant) -> S,
) -> Result<(), FollowError> {
    let was = identify(dir).await.map_err(|why| FollowError::unreadable(&why))?;
    let mut watch = Watch::begin(dir).await?;
    let mut look = Instant::now() + LOOK_AGAIN;
    while future::poll_once(over()).await.is_none() {
        let mut is_gone = false;
        if let Some(news) = future::poll_once(watch.next()).await {
            match news? {
                Some(news) => news.into_iter().for_each(|news| tell(directory, news)),
                None => is_gone = true,
            }
        } else if look <= Instant::now() {
            // The kernel does not tell that a directory is removed that is served and so kept open.
            look = Instant::now() + LOOK_AGAIN;
            let is = identify(dir).await.ok();
            is_gone = is != Some(was) && !watch.is_behind();
        }
        if is_gone {
            // What was still told.
            while let DirectoryStep::Do(action) = directory.poll(Instant::now()) {
                act(directory, sink, action).await;
            }
            break;
        }
        match directory.poll(Instant::now()) {
            DirectoryStep::Do(DirectoryAction::End(path)) => {
                // It may be being written again already, and half of that is what was copied. What
                // has happened by now is told in two pieces of news: one that is on its way, and
                // the next.
                for _ in 0..2 {
                    if !watch.is_behind() {
                        break;
                    }
                    future::or(over(), watch.wait()).await;
                    watch.come().into_iter().for_each(|news| tell(directory, news));
                }
                if directory.is_to_end(&path) {
                    act(directory, sink, DirectoryAction::End(path)).await;
                }
            }
            DirectoryStep::Do(action) => act(directory, sink, action).await,
            DirectoryStep::Wait(until) => {
                let until = until.map_or(look, |until| until.min(look));
                future::or(over(), future::or(watch.wait(), sleep(until))).await;
            }
        }
    }
    Ok(())
}

/// What tells a directory from another of its name.
async fn identify(dir: &Path) -> io::Result<(u64, u64)> {
    let dir = dir.to_owned();
    blocking::unblock(move || fs::metadata(dir).map(|meta| (meta.dev(), meta.ino()))).await
}

fn tell(directory: &mut Directory, news: News) {
    match news {
        News::File(path, event) => directory.handle(&path, event),
        News::DirectoryGone(path) => directory.handle_directory_gone(&path),
        News::Lost => directory.handle_lost(),
        News::Looked => directory.handle_looked(),
    }
}

async fn act(directory: &mut Directory, sink: &mut impl Sink, action: DirectoryAction) {
    match action {
        DirectoryAction::Begin { path, whole, found } => {
            match sink.begin(&path, whole, found).await {
                Begun::Growing => directory.handle_begun(&path),
                Begun::Whole => directory.handle_whole(&path),
                Begun::Not => directory.handle_failed(&path),
            }
        }
        DirectoryAction::Copy { path, last, writes } => {
            match sink.copy(&path, last, writes).await {
                Some(copied) => directory.handle_copied(&path, copied, Instant::now()),
                None => directory.handle_failed(&path),
            }
        }
        DirectoryAction::End(path) => {
            if sink.end(&path).await {
                directory.handle_whole(&path);
            } else {
                directory.handle_failed(&path);
            }
        }
        DirectoryAction::Abandon(path) => sink.abandon(&path).await,
        DirectoryAction::Remove(path) => sink.remove(&path).await,
    }
}

/// The files of a directory, and where they are served.
#[derive(Debug)]
struct Files {
    dir: Dir,
    shared: Arc<Shared>,
    under: Place,
}

impl Files {
    /// Where a file is served; `None` for a path that no URL has.
    fn place(&self, path: &RelPath) -> Option<Place> {
        let Place { root, path: under } = &self.under;
        let path =
            if under.is_root() { path.clone() } else { RelPath::new(&format!("{under}/{path}"))? };
        Some(Place { root: *root, path })
    }
}

/// True if both are the same directory.
///
/// # Errors
/// The files would be copied into the directory from which they are copied.
fn is_same(dir: &Path, into: &Path) -> Result<bool, FollowError> {
    let identity = |path: &Path| fs::metadata(path).map(|meta| (meta.dev(), meta.ino()));
    let own = identity(dir).map_err(|why| FollowError::unreadable(&why))?;
    if identity(into).is_ok_and(|other| other == own) {
        return Ok(true);
    }
    let mut above: PathBuf = into.to_owned();
    while above.pop() {
        if identity(&above).is_ok_and(|other| other == own) {
            let problem = format!("cannot be copied into itself: {} lies in it", into.display());
            return Err(FollowError::new(problem));
        }
    }
    Ok(false)
}
