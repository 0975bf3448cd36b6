//! The files that are followed, opened for reading in a way that follows no symbolic link.

use std::{
    fs::{File, Metadata},
    io,
    path::Path,
    sync::Arc,
};

use bytes::{Bytes, BytesMut};
use httpout_proto::effect::RelPath;
use rustix::{
    fd::{AsFd, OwnedFd},
    fs::{Mode, OFlags, open, openat},
    io::{Errno, pread, retry_on_intr},
};

use super::FollowError;

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
/// Reading, without waiting for the writer of a FIFO.
const READ: OFlags = OFlags::RDONLY
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// The directory that is followed.
#[derive(Clone, Debug)]
pub(super) struct Dir(Arc<OwnedFd>);

impl Dir {
    /// Opens it.
    ///
    /// # Errors
    /// Those of the file system.
    pub(super) async fn open(path: &Path) -> Result<Self, FollowError> {
        let path = path.to_owned();
        let opened = blocking::unblock(move || open(path, DIRECTORY, Mode::empty())).await;
        let opened = opened.map_err(|why| FollowError(format!("cannot be read: {why}")))?;
        Ok(Self(Arc::new(opened)))
    }

    /// Opens a file in it; `None` for what is not there, or is no regular file.
    ///
    /// # Errors
    /// Those of the file system.
    pub(super) async fn file(&self, path: &RelPath) -> io::Result<Option<(Arc<File>, Metadata)>> {
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

/// Reads up to `most` bytes from there on.
///
/// # Errors
/// Those of the file system.
pub(super) fn read_at(file: impl AsFd, at: u64, most: usize) -> io::Result<Bytes> {
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

fn file(dir: &OwnedFd, path: &str) -> rustix::io::Result<File> {
    let mut inner = None;
    let mut rest = path;
    while let Some((name, after)) = rest.split_once('/') {
        let outer = inner.as_ref().unwrap_or(dir);
        inner = Some(openat(outer, name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())?);
        rest = after;
    }
    openat(inner.as_ref().unwrap_or(dir), rest, READ, Mode::empty()).map(File::from)
}
