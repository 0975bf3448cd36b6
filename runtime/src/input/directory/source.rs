//! The files that are followed, opened for reading in a way that follows no symbolic link.

use std::{
    fs::{File, Metadata},
    io,
    path::Path,
    sync::Arc,
};

use bytes::{Bytes, BytesMut};
use httpout_proto::fs::RelPath;
use rustix::{
    fd::AsFd,
    fs::{Mode, OFlags, open, openat},
    io::{Errno, pread, retry_on_intr},
};

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
/// Reading, without waiting for the writer of a FIFO.
const READ: OFlags = OFlags::RDONLY
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// The directory that is followed. Not kept open: while it was, its removal would not be told.
#[derive(Clone, Debug)]
pub(crate) struct Dir(Arc<Path>);

impl Dir {
    pub(crate) fn new(path: &Path) -> Self {
        Self(path.into())
    }

    /// Opens a file in it; `None` for what is not there, or is no regular file.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) async fn file(&self, path: &RelPath) -> io::Result<Option<(Arc<File>, Metadata)>> {
        let (dir, path) = (self.0.clone(), path.clone());
        blocking::unblock(move || match file(&dir, path.as_str()) {
            Ok(file) => {
                let meta = file.metadata()?;
                Ok(meta.is_file().then(|| (Arc::new(file), meta)))
            }
            // LOOP: a symbolic link; NXIO: a socket.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NXIO) => Ok(None),
            Err(why) => Err(why.into()),
        })
        .await
    }
}

#[cfg(target_os = "linux")]
impl Dir {
    /// As [`file`](Self::file), if that needs no disk; `None` where it might, or where something is
    /// odd.
    #[cfg(feature = "push")]
    pub(crate) fn file_at_once(&self, path: &RelPath) -> Option<File> {
        use rustix::fs::{ResolveFlags, openat2};
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::CACHED;
        let dir = open(&*self.0, DIRECTORY, Mode::empty()).ok()?;
        openat2(dir, path.as_str(), READ, Mode::empty(), resolve).ok().map(File::from)
    }
}

#[cfg(not(target_os = "linux"))]
impl Dir {
    /// As [`file`](Self::file), if that needs no disk; `None` where it might.
    pub(crate) fn file_at_once(&self, _: &RelPath) -> Option<File> {
        None
    }
}

/// Reads up to `most` bytes from there on.
///
/// # Errors
/// Those of the file system.
pub(crate) fn read_at(file: impl AsFd, at: u64, most: usize) -> io::Result<Bytes> {
    let mut data = BytesMut::zeroed(most);
    let mut len = 0;
    while len < most {
        match retry_on_intr(|| pread(&file, &mut data[len..], at + len as u64))? {
            0 => break,
            read => len += read,
        }
    }
    data.truncate(len);
    Ok(data.freeze())
}

fn file(dir: &Path, path: &str) -> rustix::io::Result<File> {
    let mut inner = open(dir, DIRECTORY, Mode::empty())?;
    let mut rest = path;
    while let Some((name, after)) = rest.split_once('/') {
        inner = openat(&inner, name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())?;
        rest = after;
    }
    openat(&inner, rest, READ, Mode::empty()).map(File::from)
}
