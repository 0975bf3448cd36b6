//! Files that are copied into the first read directory as they grow.

use std::{
    collections::HashMap,
    fmt::Display,
    fs::{File, Metadata},
    io,
    sync::Arc,
};

use httpout_proto::{
    FsError,
    fs::{Expect, Meta, RelPath},
    live::Copied,
};
use rustix::{
    fd::OwnedFd,
    fs::{Timespec, Timestamps, fstat, futimens},
};

use super::{Begun, Files, Sink, source::read_at};
use crate::input::{Kept, Recording};

/// Most bytes that are copied before other files have their turn.
const BLOCK: u64 = 1 << 20;

/// Copies files.
#[derive(Debug)]
pub(super) struct Copier {
    files: Files,
    /// Those that are being copied.
    copying: HashMap<RelPath, Copying>,
}

#[derive(Debug)]
struct Copying {
    source: Arc<File>,
    recording: Recording,
    copied: u64,
    /// So many bytes of the copy are known to be those of the file, after so many writes.
    compared: u64,
    after: u64,
}

impl Copier {
    pub(super) fn new(files: Files) -> Self {
        Self { files, copying: HashMap::new() }
    }

    /// True if the file that is served is this one.
    async fn is_served(&self, path: &RelPath, is: Metadata) -> bool {
        let Some(place) = self.files.place(path) else { return false };
        let roots = self.files.shared.offer().roots.clone();
        let served = blocking::unblock(move || roots.stat(&place)).await;
        let is_same =
            |served: Meta, modified| served.len == is.len() && served.modified == modified;
        served.ok().zip(is.modified().ok()).is_some_and(|(served, time)| is_same(served, time))
    }

    /// Tells why a file is not served.
    fn give_up(&self, path: &RelPath, why: &dyn Display) {
        tracing::error!(%path, "a file of an input is not served: {why}");
    }
}

impl Sink for Copier {
    async fn begin(&mut self, path: &RelPath, _whole: bool, found: bool) -> Begun {
        let (source, meta) = match self.files.dir.file(path).await {
            Ok(Some(opened)) => opened,
            Ok(None) => return Begun::Not,
            Err(why) => {
                self.give_up(path, &why);
                return Begun::Not;
            }
        };
        if found && self.is_served(path, meta).await {
            return Begun::Whole;
        }
        let Some(place) = self.files.place(path) else { return Begun::Not };
        // If the server dies, the file is copied again: half of it must not stand there meanwhile.
        match Recording::begin(&self.files.shared, place, None, Kept::Whole).await {
            Ok(recording) => {
                let copying = Copying { source, recording, copied: 0, compared: 0, after: 0 };
                self.copying.insert(path.clone(), copying);
                Begun::Growing
            }
            Err(why) => {
                self.give_up(path, &why);
                Begun::Not
            }
        }
    }

    async fn copy(&mut self, path: &RelPath, last: bool, writes: u64) -> Option<Copied> {
        match self.copying.get_mut(path)?.go_on(last, writes).await {
            Ok(copied) => Some(copied),
            Err(why) => {
                self.abandon(path).await;
                self.give_up(path, &why);
                None
            }
        }
    }

    async fn end(&mut self, path: &RelPath) -> bool {
        let Some(copying) = self.copying.remove(path) else { return false };
        let Copying { source, recording, .. } = copying;
        if let Some(part) = recording.file().cloned() {
            // So that the file is known again when the server starts again.
            blocking::unblock(move || keep_time(&source, &part)).await;
        }
        match recording.end().await {
            Ok(()) => true,
            Err(why) => {
                self.give_up(path, &why);
                false
            }
        }
    }

    async fn abandon(&mut self, path: &RelPath) {
        if let Some(copying) = self.copying.remove(path) {
            copying.recording.abort().await;
        }
    }

    async fn remove(&mut self, path: &RelPath) {
        let Some(place) = self.files.place(path) else { return };
        let roots = self.files.shared.offer().roots.clone();
        match blocking::unblock(move || roots.remove(&place, Expect::Any)).await {
            Ok(()) | Err(FsError::NotFound) => {}
            Err(why) => {
                tracing::error!(%path, "a file that an input removed is still served: {why}")
            }
        }
    }
}

impl Copying {
    async fn go_on(&mut self, last: bool, writes: u64) -> Result<Copied, String> {
        let system = |why: io::Error| format!("it cannot be read: {why}");
        let (source, copied) = (self.source.clone(), self.copied);
        let (len, data) = blocking::unblock(move || {
            let len = source.metadata()?.len();
            let most = len.saturating_sub(copied).min(BLOCK);
            Ok((len, read_at(&source, copied, usize::try_from(most).unwrap_or_default())?))
        })
        .await
        .map_err(system)?;
        if len < self.copied {
            return Ok(Copied::Changed);
        }
        if !data.is_empty() {
            self.copied += data.len() as u64;
            self.recording.write(vec![data]).await.map_err(|why| why.to_string())?;
        }
        if self.copied < len {
            return Ok(Copied::More);
        }
        if !last || writes == 0 {
            return Ok(Copied::All(len));
        }
        if std::mem::replace(&mut self.after, writes) != writes {
            self.compared = 0;
        }
        self.compare().await.map_err(system)
    }

    /// Compares the next block of the copy with the file: a writer may go back, and write over what
    /// was copied.
    async fn compare(&mut self) -> io::Result<Copied> {
        let Some(part) = self.recording.file().cloned() else { return Ok(Copied::Changed) };
        let (source, at) = (self.source.clone(), self.compared);
        let most = usize::try_from((self.copied - at).min(BLOCK)).unwrap_or_default();
        let (same, len) = blocking::unblock(move || {
            let written = read_at(&source, at, most)?;
            Ok::<_, io::Error>((written == read_at(&part, at, most)?, written.len()))
        })
        .await?;
        self.compared += len as u64;
        Ok(if !same {
            Copied::Changed
        } else if self.compared < self.copied {
            Copied::More
        } else {
            Copied::All(self.copied)
        })
    }
}

/// Gives the copy the time of the file.
fn keep_time(source: &File, copy: &OwnedFd) {
    let kept = fstat(source).and_then(|stat| {
        let time = Timespec { tv_sec: stat.st_mtime, tv_nsec: stat.st_mtime_nsec as _ };
        futimens(copy, &Timestamps { last_access: time, last_modification: time })
    });
    if let Err(error) = kept {
        tracing::debug!(%error, "the time of a file cannot be kept");
    }
}
