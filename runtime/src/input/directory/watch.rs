//! What happens in a directory and below, as Linux tells it (`inotify(7)`).

use std::{
    collections::HashMap,
    fs, io,
    mem::MaybeUninit,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use blocking::Task;
use httpout_proto::{
    fs::RelPath,
    live::{FileEvent, is_published},
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fd::OwnedFd,
    fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags},
    io::Errno,
    pipe::{PipeFlags, pipe_with},
};

use super::{FollowError, News};

/// Bytes of events that are read at once.
const BUFFER: usize = 64 << 10;

const EVENTS: WatchFlags = WatchFlags::CREATE
    .union(WatchFlags::MODIFY)
    .union(WatchFlags::CLOSE_WRITE)
    .union(WatchFlags::MOVE)
    .union(WatchFlags::DELETE)
    .union(WatchFlags::EXCL_UNLINK)
    .union(WatchFlags::ONLYDIR);

/// News; `None` when the directory is gone.
type Heard = Result<Option<Vec<News>>, FollowError>;

/// What happens in a directory.
#[derive(Debug)]
pub(super) struct Watch {
    /// Waits for the next events, on a thread that may wait.
    reading: Task<(Tree, Heard)>,
    /// What has come and was not taken; `None`: nothing.
    ready: Option<Heard>,
    inotify: Arc<OwnedFd>,
    /// Something is read that has not come yet.
    coming: Arc<AtomicBool>,
    /// Its waiter is woken when this is dropped.
    _stop: OwnedFd,
}

impl Watch {
    /// Watches a directory; its first news is what is in it.
    ///
    /// # Errors
    /// A directory that cannot be read; a limit of the system.
    pub(super) async fn begin(dir: &Path) -> Result<Self, FollowError> {
        let dir = dir.to_owned();
        let begun = blocking::unblock(move || {
            let inotify = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC);
            let inotify = inotify.map_err(|why| limit("instances", why))?;
            let (stopped, stop) =
                pipe_with(PipeFlags::CLOEXEC).map_err(|why| FollowError::new(why.to_string()))?;
            let (inotify, coming) = (Arc::new(inotify), Arc::default());
            let watched = HashMap::new();
            let mut tree = Tree { dir, inotify, coming, stopped, watched, gone: false };
            let mut news = Vec::new();
            tree.watch(&RelPath::root())?;
            tree.look(RelPath::root(), FileEvent::FoundFirst, &mut news)?;
            Ok((tree, news, stop))
        });
        let (tree, news, stop) = begun.await?;
        let (inotify, coming) = (tree.inotify.clone(), tree.coming.clone());
        Ok(Self { reading: tree.read(), ready: Some(Ok(Some(news))), inotify, coming, _stop: stop })
    }

    /// What has happened; `None` when the directory is gone.
    ///
    /// # Errors
    /// What happens cannot be told any more.
    pub(super) async fn next(&mut self) -> Heard {
        self.wait().await;
        self.ready.take().unwrap_or(Ok(None))
    }

    /// True if something has happened that has not come yet.
    pub(super) fn is_behind(&self) -> bool {
        // First what is not read: what is read meanwhile is on its way.
        let mut fds = [PollFd::new(&self.inotify, PollFlags::IN)];
        let unread = poll(&mut fds, Some(&Timespec::default())).is_ok_and(|ready| ready > 0);
        unread || self.ready.is_some() || self.coming.load(Ordering::SeqCst)
    }

    /// The news that has come; the end stays for [`Self::next`].
    pub(super) fn come(&mut self) -> Vec<News> {
        match &mut self.ready {
            Some(Ok(Some(news))) => {
                let news = std::mem::take(news);
                self.ready = None;
                news
            }
            Some(Ok(None) | Err(_)) | None => Vec::new(),
        }
    }

    /// Resolves when something has happened.
    pub(super) async fn wait(&mut self) {
        if self.ready.is_none() {
            let (tree, news) = (&mut self.reading).await;
            self.ready = Some(news);
            tree.coming.store(false, Ordering::SeqCst);
            self.reading = tree.read();
        }
    }
}

/// Directories that are watched. All its functions block.
#[derive(Debug)]
struct Tree {
    dir: PathBuf,
    inotify: Arc<OwnedFd>,
    coming: Arc<AtomicBool>,
    stopped: OwnedFd,
    /// Watched directories, by what the kernel calls them.
    watched: HashMap<i32, RelPath>,
    /// The directory was removed, or is somewhere else.
    gone: bool,
}

/// An event as the kernel tells it.
struct Event {
    watch: i32,
    what: ReadFlags,
    cookie: u32,
    name: Option<String>,
}

impl Tree {
    fn read(mut self) -> Task<(Self, Heard)> {
        blocking::unblock(move || {
            let news = self.next();
            (self, news)
        })
    }

    fn next(&mut self) -> Heard {
        if self.gone {
            return Ok(None);
        }
        let mut news = Vec::new();
        let events = self.events().map_err(|why| FollowError::new(format!("is lost: {why}")))?;
        for event in events {
            self.take(event, &mut news)?;
        }
        // Many small writes are one thing to look at.
        news.dedup();
        Ok(Some(news))
    }

    /// Waits for events and reads them; none if they are not wanted any more.
    fn events(&self) -> io::Result<Vec<Event>> {
        let mut events = Vec::new();
        let mut buffer = vec![MaybeUninit::uninit(); BUFFER];
        let mut reader = Reader::new(&self.inotify, &mut buffer);
        loop {
            let mut fds = [&*self.inotify, &self.stopped].map(|fd| PollFd::new(fd, PollFlags::IN));
            rustix::io::retry_on_intr(|| poll(&mut fds, None))?;
            if !fds[1].revents().is_empty() {
                return Ok(events);
            }
            self.coming.store(true, Ordering::SeqCst);
            while events.is_empty() || !reader.is_buffer_empty() {
                match reader.next() {
                    Ok(event) => {
                        let name =
                            event.file_name().map(|name| name.to_string_lossy().into_owned());
                        let (watch, what, cookie) = (event.wd(), event.events(), event.cookie());
                        events.push(Event { watch, what, cookie, name });
                    }
                    Err(Errno::INTR) => {}
                    Err(Errno::AGAIN) => break,
                    Err(why) => return Err(why.into()),
                }
            }
            if !events.is_empty() {
                return Ok(events);
            }
            self.coming.store(false, Ordering::SeqCst);
        }
    }

    fn take(&mut self, event: Event, news: &mut Vec<News>) -> Result<(), FollowError> {
        let Event { watch, what, cookie, name } = event;
        if what.contains(ReadFlags::QUEUE_OVERFLOW) {
            tracing::warn!(
                "more happens in {} than was read of it: it is looked at anew; see fs.inotify.max_queued_events",
                self.dir.display()
            );
            news.push(News::Lost);
            self.look(RelPath::root(), FileEvent::Found, news)?;
            news.push(News::Looked);
            return Ok(());
        }
        let Some(parent) = self.watched.get(&watch) else { return Ok(()) };
        let gone = ReadFlags::IGNORED | ReadFlags::MOVE_SELF;
        if what.intersects(gone) {
            self.gone |= parent.is_root();
            self.watched.remove(&watch);
            return Ok(());
        }
        let Some(path) = name.and_then(|name| child(parent, &name)) else { return Ok(()) };
        let appears = ReadFlags::CREATE | ReadFlags::MOVED_TO;
        let vanishes = ReadFlags::DELETE | ReadFlags::MOVED_FROM;
        if !what.contains(ReadFlags::ISDIR) {
            news.extend(file_event(what, cookie).map(|event| News::File(path, event)));
        } else if what.intersects(appears) && is_published(&path) {
            self.look(path, FileEvent::Found, news)?;
        } else if what.intersects(vanishes) {
            self.leave(&path);
            news.push(News::DirectoryGone(path));
        }
        Ok(())
    }

    /// Watches a directory and all below that are to be served, and tells of their files.
    fn look(
        &mut self,
        path: RelPath,
        found: FileEvent,
        news: &mut Vec<News>,
    ) -> Result<(), FollowError> {
        let mut dirs = vec![path];
        while let Some(dir) = dirs.pop() {
            // What is gone meanwhile is told by another event.
            if !self.watch(&dir)? {
                continue;
            }
            let Ok(entries) = fs::read_dir(self.dir.join(dir.as_str())) else { continue };
            for entry in entries.flatten() {
                let name = entry.file_name();
                let path = name.to_str().and_then(|name| child(&dir, name));
                let (Some(path), Ok(kind)) = (path, entry.file_type()) else { continue };
                if kind.is_dir() && is_published(&path) {
                    dirs.push(path);
                } else if kind.is_file() {
                    news.push(News::File(path, found));
                }
            }
        }
        Ok(())
    }

    /// False for what is no directory any more.
    fn watch(&mut self, path: &RelPath) -> Result<bool, FollowError> {
        let flags = if path.is_root() {
            EVENTS | WatchFlags::MOVE_SELF
        } else {
            EVENTS | WatchFlags::DONT_FOLLOW
        };
        match inotify::add_watch(&self.inotify, self.dir.join(path.as_str()), flags) {
            Ok(watch) => {
                self.watched.insert(watch, path.clone());
                Ok(true)
            }
            Err(Errno::NOSPC) => Err(limit("watches", Errno::NOSPC)),
            Err(why) if path.is_root() => Err(FollowError::unreadable(&why.into())),
            Err(Errno::ACCESS) => {
                tracing::warn!("{}/{path} cannot be read: it is not served", self.dir.display());
                Ok(false)
            }
            Err(_) => Ok(false),
        }
    }

    /// A directory is gone, or is somewhere else.
    fn leave(&mut self, path: &RelPath) {
        let inotify = &self.inotify;
        self.watched.retain(|watch, dir| {
            let rest = dir.as_str().strip_prefix(path.as_str());
            let left = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
            if left {
                // What was removed is no longer watched anyway.
                let _ = inotify::remove_watch(inotify, *watch);
            }
            !left
        });
    }
}

fn child(dir: &RelPath, name: &str) -> Option<RelPath> {
    if dir.is_root() { RelPath::new(name) } else { RelPath::new(&format!("{dir}/{name}")) }
}

fn file_event(what: ReadFlags, cookie: u32) -> Option<FileEvent> {
    [
        (ReadFlags::CREATE, FileEvent::Created),
        (ReadFlags::MODIFY, FileEvent::Modified),
        (ReadFlags::CLOSE_WRITE, FileEvent::Closed),
        (ReadFlags::DELETE, FileEvent::Removed),
        (ReadFlags::MOVED_FROM, FileEvent::MovedAway(cookie)),
        (ReadFlags::MOVED_TO, FileEvent::MovedHere(cookie)),
    ]
    .into_iter()
    .find_map(|(flag, event)| what.contains(flag).then_some(event))
}

/// Too many of these.
fn limit(what: &str, why: Errno) -> FollowError {
    FollowError::new(format!(
        "cannot be followed: {why}; raise fs.inotify.max_user_{what} (sysctl)"
    ))
}
