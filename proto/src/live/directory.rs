//! A directory that an encoder writes into: which of its files are to be served, when one is over,
//! and what is to be done next.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

use crate::fs::RelPath;

/// A file whose writer was not seen, and that has not grown for this time, is whole. So is an empty
/// one in place of another.
const QUIET: Duration = Duration::from_secs(1);
/// How the names end that encoders give to what they are going to rename.
const TEMPORARY: [&str; 2] = [".tmp", ".part"];

/// What the system tells of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileEvent {
    /// It was made, and perhaps opened to be written.
    Created,
    /// It was written to, or cut.
    Modified,
    /// The writer has closed it.
    Closed,
    /// It bears this name no longer. Equal numbers mean the same file.
    MovedAway(u32),
    /// It got this name, perhaps in place of another file.
    MovedHere(u32),
    /// It was removed.
    Removed,
    /// It is there: it was before anybody looked.
    FoundFirst,
    /// It is there. Since when, and whether a process writes to it, is unknown.
    Found,
}

/// What is to be done; the outcome of the first three is told before the next [`Directory::poll`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DirectoryAction {
    /// Begin to serve this file. Answer: [`Directory::handle_begun`], [`Directory::handle_whole`]
    /// or [`Directory::handle_failed`].
    Begin {
        /// Its path.
        path: RelPath,
        /// No process writes to it.
        whole: bool,
        /// It was there before: it may be served already.
        found: bool,
    },
    /// Serve more of a file that was begun, up to what is there now. Answer:
    /// [`Directory::handle_copied`] or [`Directory::handle_failed`].
    Copy {
        /// Its path.
        path: RelPath,
        /// No process writes to it.
        last: bool,
        /// Changes when somebody writes to it; 0 where nobody has since it was begun. Else, before
        /// the last of it is said to be all, what was served is to be compared with what is there.
        writes: u64,
    },
    /// All of a file is served: put it in place. Answer: [`Directory::handle_whole`] or
    /// [`Directory::handle_failed`].
    End(RelPath),
    /// What was begun is not to be ended.
    Abandon(RelPath),
    /// A file that was served is no longer there.
    Remove(RelPath),
}

/// What is next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DirectoryStep {
    /// This.
    Do(DirectoryAction),
    /// Nothing, until something is told, or it is this time.
    Wait(Option<Instant>),
}

/// How far a copy came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Copied {
    /// There is more.
    More,
    /// All that is there, so many bytes.
    All(u64),
    /// What was served is not what is there any more.
    Changed,
}

/// The files of a directory, by their paths from there. Facts in, actions out; see
/// [`Directory::poll`].
#[derive(Debug, Default)]
pub struct Directory {
    files: HashMap<RelPath, File>,
    /// Files that something is to be done with: those that are being written, and those that were
    /// there before, one at a time.
    soon: VecDeque<RelPath>,
    later: VecDeque<RelPath>,
    /// Files that may be over without a word.
    quiet: Vec<RelPath>,
    /// The last file that was moved while a process wrote to it.
    moved: Option<u32>,
    /// Files that were not found again since this count was raised are gone.
    look: u64,
}

#[derive(Debug)]
struct File {
    writer: Writer,
    served: Served,
    /// Something stands under its name where it is served.
    stands: bool,
    /// There may be more of it than is served.
    more: bool,
    /// What was begun is another file, or has another content.
    stale: bool,
    /// A whole file took its name while it was begun, and it was whole itself.
    succeeded: bool,
    gone: bool,
    found: bool,
    length: u64,
    /// Writes since it was begun.
    writes: u64,
    /// It was looked at again, and is unchanged since.
    rested: bool,
    queued: Queued,
    look: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writer {
    /// There is a writer, which is going to close it.
    Open,
    /// Unknown; if it has not grown by this time, there is none.
    Unknown(Option<Instant>),
    Closed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Served {
    Not,
    Begun,
    Whole,
    /// It cannot be; not to be tried again before it is written again.
    Refused,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Queued {
    No,
    Soon,
    Later,
}

impl Directory {
    /// Nothing is known of it yet.
    pub fn new() -> Self {
        Self::default()
    }

    // ---- facts ----

    /// Something happened to a file.
    pub fn handle(&mut self, path: &RelPath, event: FileEvent) {
        let look = self.look;
        let known = self.files.contains_key(path);
        if !known && matches!(event, FileEvent::Removed | FileEvent::MovedAway(_)) {
            return;
        }
        let moved = self.moved;
        let file = self.files.entry(path.clone()).or_insert_with(|| File::new(look));
        file.look = look;
        match event {
            // By its writer, or as a link to a file that was written before.
            FileEvent::Created => file.begin_anew(Writer::Unknown(None)),
            FileEvent::MovedHere(cookie) => {
                let open = moved == Some(cookie);
                if !open && file.is_begun_whole() {
                    *file = File { succeeded: true, gone: false, ..*file };
                } else {
                    file.begin_anew(if open { Writer::Unknown(None) } else { Writer::Closed });
                }
            }
            FileEvent::Modified => {
                if file.writer == Writer::Closed && file.served == Served::Refused {
                    file.served = Served::Not;
                }
                let writes = file.writes + 1;
                // Which of the two is written to is not known.
                let stale = file.stale || file.succeeded;
                let writer = Writer::Open;
                *file = File { writer, more: true, found: false, writes, stale, ..*file };
            }
            FileEvent::Closed => {
                file.more |= !known || file.writer != Writer::Closed;
                file.writer = Writer::Closed;
            }
            FileEvent::Removed => file.gone = true,
            FileEvent::MovedAway(cookie) => {
                if file.writer != Writer::Closed {
                    self.moved = Some(cookie);
                }
                file.gone = true;
            }
            FileEvent::FoundFirst => {
                file.begin_anew(Writer::Closed);
                file.found = true;
            }
            FileEvent::Found => file.find(known),
        }
        let urgent = !file.found;
        self.queue(path, urgent);
    }

    /// A directory is gone, with all that was in it.
    pub fn handle_directory_gone(&mut self, path: &RelPath) {
        let inside = |file: &RelPath| {
            let rest = file.as_str().strip_prefix(path.as_str());
            path.is_root() || rest.is_some_and(|rest| rest.starts_with('/'))
        };
        for path in self.sorted(|path, _| inside(path)) {
            self.handle(&path, FileEvent::Removed);
        }
    }

    /// Events were lost: each file that is there is going to be [found](FileEvent::Found), then
    /// comes [`Self::handle_looked`].
    pub fn handle_lost(&mut self) {
        self.look += 1;
    }

    /// Every file that is there was told of since [`Self::handle_lost`].
    pub fn handle_looked(&mut self) {
        let look = self.look;
        for path in self.sorted(|_, file| file.look < look) {
            self.handle(&path, FileEvent::Removed);
        }
    }

    // ---- outcomes ----

    /// It is begun, and may be followed.
    pub fn handle_begun(&mut self, path: &RelPath) {
        let Some(file) = self.files.get_mut(path) else { return };
        file.served = Served::Begun;
        file.more = true;
        file.length = 0;
        self.go_on(path);
    }

    /// All that there is at `now` was looked at.
    pub fn handle_copied(&mut self, path: &RelPath, copied: Copied, now: Instant) {
        let Some(file) = self.files.get_mut(path) else { return };
        match copied {
            Copied::More => file.more = true,
            Copied::Changed => file.stale = true,
            Copied::All(length) => {
                file.more = false;
                // A writer that writes it again may have cut it, which was not told yet.
                if length == 0 && file.writer == Writer::Closed && file.stands && !file.rested {
                    file.writer = Writer::Unknown(Some(now + QUIET));
                    self.quiet.push(path.clone());
                }
                // An empty file was opened by a writer that has nothing to write yet.
                if let Writer::Unknown(until) = &mut file.writer
                    && length > 0
                    && (until.is_none() || length > file.length)
                {
                    if until.is_none() {
                        self.quiet.push(path.clone());
                    }
                    *until = Some(now + QUIET);
                }
                file.length = length;
            }
        }
        self.go_on(path);
    }

    /// It is served whole, under its name.
    pub fn handle_whole(&mut self, path: &RelPath) {
        let Some(file) = self.files.get_mut(path) else { return };
        *file = File { served: Served::Whole, stands: true, more: false, found: false, ..*file };
        if std::mem::take(&mut file.succeeded) {
            file.begin_anew(Writer::Closed);
            self.go_on(path);
        }
    }

    /// It is not there, or no file, or cannot be served; nothing is left of what was begun.
    pub fn handle_failed(&mut self, path: &RelPath) {
        if let Some(file) = self.files.get_mut(path) {
            let again = std::mem::take(&mut file.succeeded);
            let served = if again { Served::Not } else { Served::Refused };
            let more = file.more || again;
            *file = File { served, more, stale: false, found: false, ..*file };
            self.go_on(path);
        }
    }

    // ---- what is next ----

    /// What is to be done. To be called until it says [`DirectoryStep::Wait`], and again after each
    /// fact.
    pub fn poll(&mut self, now: Instant) -> DirectoryStep {
        self.take_quiet_for_closed(now);
        loop {
            let Some((path, queued)) = self.next() else {
                let deadlines = self.quiet.iter().filter_map(|path| self.files.get(path)?.until());
                return DirectoryStep::Wait(deadlines.min());
            };
            let Some(file) = self.files.get_mut(&path).filter(|file| file.queued == queued) else {
                continue;
            };
            file.queued = Queued::No;
            if let Some(action) = file.next(&path) {
                match action {
                    // There is no outcome to wait for.
                    DirectoryAction::Abandon(_) => self.go_on(&path),
                    DirectoryAction::Remove(_) => {
                        self.files.remove(&path);
                    }
                    DirectoryAction::Begin { .. }
                    | DirectoryAction::Copy { .. }
                    | DirectoryAction::End(_) => {}
                }
                return DirectoryStep::Do(action);
            }
            if file.gone {
                self.files.remove(&path);
            }
        }
    }

    /// True if [`DirectoryAction::End`] is still what is to be done with a file, after what was
    /// told since. If it is not, what is to be done instead comes next.
    pub fn is_to_end(&self, path: &RelPath) -> bool {
        self.files.get(path).is_some_and(|file| {
            file.served == Served::Begun
                && file.writer == Writer::Closed
                && !(file.gone || file.stale || file.more)
        })
    }

    /// Files that are begun and neither ended nor abandoned.
    pub fn in_progress(&self) -> Vec<RelPath> {
        self.sorted(|_, file| file.served == Served::Begun)
    }

    fn next(&mut self) -> Option<(RelPath, Queued)> {
        let soon = self.soon.pop_front().map(|path| (path, Queued::Soon));
        soon.or_else(|| self.later.pop_front().map(|path| (path, Queued::Later)))
    }

    fn take_quiet_for_closed(&mut self, now: Instant) {
        let Self { files, quiet, soon, .. } = self;
        quiet.retain(|path| {
            let Some(file) = files.get_mut(path) else { return false };
            let Some(until) = file.until() else { return false };
            if until <= now {
                file.writer = Writer::Closed;
                file.more = true;
                file.rested = true;
                file.queued = Queued::Soon;
                soon.push_back(path.clone());
            }
            until > now
        });
    }

    fn queue(&mut self, path: &RelPath, urgent: bool) {
        let Some(file) = self.files.get_mut(path) else { return };
        if file.queued == Queued::Soon || file.queued == Queued::Later && !urgent {
            return;
        }
        let queue = if urgent { &mut self.soon } else { &mut self.later };
        queue.push_back(path.clone());
        file.queued = if urgent { Queued::Soon } else { Queued::Later };
    }

    /// There may be more to do with a file: in its turn, but what was there before is ended before
    /// the next such one is begun.
    fn go_on(&mut self, path: &RelPath) {
        let Some(file) = self.files.get_mut(path) else { return };
        if !file.found {
            self.queue(path, true);
        } else if file.queued == Queued::No {
            file.queued = Queued::Later;
            self.later.push_front(path.clone());
        }
    }

    /// Sorted, since the order of a map is another one each time.
    fn sorted(&self, wanted: impl Fn(&RelPath, &File) -> bool) -> Vec<RelPath> {
        let mut paths: Vec<_> = self
            .files
            .keys()
            .filter(|path| self.files.get(*path).is_some_and(|file| wanted(path, file)))
            .cloned()
            .collect();
        paths.sort();
        paths
    }
}

impl File {
    fn new(look: u64) -> Self {
        Self {
            writer: Writer::Closed,
            served: Served::Not,
            stands: false,
            more: false,
            stale: false,
            succeeded: false,
            gone: false,
            found: false,
            length: 0,
            writes: 0,
            rested: false,
            queued: Queued::No,
            look,
        }
    }

    /// Another file has this name now.
    fn begin_anew(&mut self, writer: Writer) {
        match self.served {
            Served::Begun => self.stale = true,
            Served::Not | Served::Whole | Served::Refused => self.served = Served::Not,
        }
        *self = Self { writer, more: true, gone: false, found: false, ..*self };
    }

    /// It was whole when it was begun, and nobody has written to it since: its readers are given
    /// the rest of it, even if another file takes its name.
    fn is_begun_whole(&self) -> bool {
        let rests = self.writer == Writer::Closed && self.writes == 0;
        self.served == Served::Begun && rests && !self.stale && !self.found
    }

    /// It is there, and what happened meanwhile is not known.
    fn find(&mut self, known: bool) {
        if known && self.served == Served::Whole && self.writer == Writer::Closed {
            self.found = true;
        } else {
            self.writer = Writer::Unknown(None);
        }
        if self.served == Served::Refused {
            self.served = Served::Not;
        }
        let stale = self.stale || self.succeeded;
        *self = Self { more: true, gone: false, stale, ..*self };
    }

    fn until(&self) -> Option<Instant> {
        match self.writer {
            Writer::Unknown(until) => until.filter(|_| !self.gone),
            Writer::Open | Writer::Closed => None,
        }
    }

    fn next(&mut self, path: &RelPath) -> Option<DirectoryAction> {
        let closed = self.writer == Writer::Closed;
        if self.served == Served::Begun {
            if self.gone || self.stale {
                let (served, more) = (Served::Not, true);
                *self = Self { served, more, stale: false, succeeded: false, ..*self };
                return Some(DirectoryAction::Abandon(path.clone()));
            }
            if self.more {
                let writes = self.writes;
                return Some(DirectoryAction::Copy { path: path.clone(), last: closed, writes });
            }
            return closed.then(|| DirectoryAction::End(path.clone()));
        }
        if self.gone {
            return self.stands.then(|| DirectoryAction::Remove(path.clone()));
        }
        let wanted = self.more && self.served != Served::Refused && is_published(path);
        self.rested = false;
        // The writer may already have written what is served first.
        self.writes = u64::from(!closed);
        wanted.then(|| DirectoryAction::Begin {
            path: path.clone(),
            whole: closed,
            found: self.found,
        })
    }
}

/// True for a path that is to be served: no segment begins with a dot, or ends as temporary names
/// do.
pub fn is_published(path: &RelPath) -> bool {
    let is_temporary = |name: &str| TEMPORARY.iter().any(|end| name.ends_with(end));
    path.as_str().split('/').all(|name| !name.starts_with('.') && !is_temporary(name))
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests need some moment to begin at")]
mod tests;
