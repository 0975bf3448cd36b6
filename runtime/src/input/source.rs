//! Reading an input on a thread that may wait.

use std::{
    fs::File,
    io::{self, Read as _},
};

use bytes::{Bytes, BytesMut};
use rustix::{
    event::{PollFd, PollFlags, poll},
    fd::AsFd as _,
    io::Errno,
};

use super::Source;

/// Most bytes of one read.
const BLOCK: usize = 64 << 10;

/// An input that is open.
#[derive(Debug)]
pub(crate) struct Reader {
    /// `None` while it is being read.
    file: Option<File>,
    buffer: BytesMut,
}

impl Reader {
    /// Opens an input; waits for the writer of a FIFO.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) async fn open(source: &Source) -> io::Result<Self> {
        let source = source.clone();
        let file = blocking::unblock(move || match source {
            Source::File(path) | Source::Directory(path) => File::open(path),
            Source::Stdin => io::stdin().as_fd().try_clone_to_owned().map(File::from),
        })
        .await?;
        Ok(Self { file: Some(file), buffer: BytesMut::new() })
    }

    /// What comes next; empty at the end.
    ///
    /// # Errors
    /// Those of the file.
    pub(crate) async fn read(&mut self) -> io::Result<Bytes> {
        let Some(file) = self.file.take() else { return Ok(Bytes::new()) };
        let mut buffer = std::mem::take(&mut self.buffer);
        let (file, mut buffer, read) = blocking::unblock(move || {
            buffer.resize(BLOCK, 0);
            let read = read(&file, &mut buffer);
            (file, buffer, read)
        })
        .await;
        self.file = Some(file);
        let data = buffer.split_to(read?).freeze();
        self.buffer = buffer;
        Ok(data)
    }
}

/// Reads, also from what was opened by others not to block.
fn read(mut file: &File, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match file.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                match poll(&mut [PollFd::new(&file, PollFlags::IN)], None) {
                    Ok(_) | Err(Errno::INTR) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            done => return done,
        }
    }
}
