//! Sends what a session shows: small pieces together in one `sendmsg`, large spans of files by `sendfile`.

use std::{
    cell::RefCell,
    io::{self, IoSlice},
    sync::Arc,
};

use httpout_proto::{
    FileId,
    http1::{Piece, Transmit},
};
use rustix::{
    fd::{AsFd, BorrowedFd, OwnedFd},
    io::{Errno, ReadWriteFlags, preadv, preadv2},
    net::{SendAncillaryBuffer, SendFlags, sendmsg},
};

/// Most bytes of one `sendfile`.
const SPAN: u64 = 1 << 20;
/// Most slices of one `sendmsg`.
const SLICES: usize = 64;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// What became of it.
#[derive(Debug)]
pub(crate) enum Sent {
    /// So many bytes are with the socket.
    Bytes(usize),
    /// This span of a file is not in the page cache: reading it here would hold up the other connections.
    Cold { file: Arc<OwnedFd>, at: u64, len: u64 },
}

/// Sends as much as one call can. Spans of up to `block` bytes are read and sent together with what stands around them.
/// With `patient` it may wait for the device: the span was just fetched, and if it is cold all the same, fetching it again
/// would not help.
///
/// # Errors
/// Those of the socket; `UnexpectedEof` if a file is shorter than it was.
pub(crate) fn send<'f>(
    socket: BorrowedFd<'_>,
    what: Transmit<'_>,
    block: usize,
    patient: bool,
    file: impl Fn(FileId) -> Option<&'f Arc<OwnedFd>>,
) -> io::Result<Sent> {
    SCRATCH.with_borrow_mut(|scratch| {
        scratch.resize(block, 0);
        let mut pieces: [Gathered<'_>; SLICES] = [Gathered::Read { start: 0, end: 0 }; SLICES];
        let mut count = 0;
        let mut used = 0;
        let mut more = false;
        for piece in what {
            if count == SLICES {
                more = true;
                break;
            }
            match piece {
                Piece::Bytes(bytes) => pieces[count] = Gathered::Bytes(bytes),
                Piece::File { file: id, at, len } => {
                    let open = file(id).ok_or(io::ErrorKind::NotFound)?;
                    if len > (block - used) as u64 {
                        if count == 0 {
                            return send_span(socket, open, at, len.min(SPAN), patient);
                        }
                        more = true;
                        break;
                    }
                    let end = used + len as usize;
                    match read(open.as_fd(), &mut scratch[used..end], at, patient) {
                        Ok(got) if got == end - used => {}
                        Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                        // Short although more was there once: sendfile tells which.
                        Ok(_) if count == 0 => return send_span(socket, open, at, len, patient),
                        Err(Errno::AGAIN) if count == 0 => {
                            return Ok(Sent::Cold { file: open.clone(), at, len });
                        }
                        Ok(_) | Err(Errno::AGAIN) => {
                            more = true;
                            break;
                        }
                        Err(error) => return Err(error.into()),
                    }
                    pieces[count] = Gathered::Read { start: used, end };
                    used = end;
                }
            }
            count += 1;
        }
        let scratch = &scratch[..];
        let slices = pieces.map(|piece| match piece {
            Gathered::Bytes(bytes) => IoSlice::new(bytes),
            Gathered::Read { start, end } => IoSlice::new(&scratch[start..end]),
        });
        let flags = if more { SendFlags::NOSIGNAL | SendFlags::MORE } else { SendFlags::NOSIGNAL };
        let sent = sendmsg(socket, &slices[..count], &mut SendAncillaryBuffer::default(), flags)?;
        Ok(Sent::Bytes(sent))
    })
}

#[derive(Clone, Copy)]
enum Gathered<'a> {
    Bytes(&'a [u8]),
    Read { start: usize, end: usize },
}

fn send_span(
    socket: BorrowedFd<'_>,
    file: &Arc<OwnedFd>,
    at: u64,
    len: u64,
    patient: bool,
) -> io::Result<Sent> {
    // Both ends in the page cache: so is, but for rare cases, what lies between.
    for probe in [at, at + len - 1] {
        match read(file.as_fd(), &mut [0], probe, patient) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Err(Errno::AGAIN) => return Ok(Sent::Cold { file: file.clone(), at, len }),
            Ok(_) | Err(_) => {}
        }
    }
    let mut offset = at;
    match rustix::fs::sendfile(socket, file, Some(&mut offset), len as usize)? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        sent => Ok(Sent::Bytes(sent)),
    }
}

/// Reads; unless `patient`, only what is in the page cache: `AGAIN` if the device would have to be waited for.
fn read(file: BorrowedFd<'_>, buffer: &mut [u8], at: u64, patient: bool) -> Result<usize, Errno> {
    let mut slices = [io::IoSliceMut::new(buffer)];
    if !patient {
        match preadv2(file, &mut slices, at, ReadWriteFlags::NOWAIT) {
            // The file system does not know the flag.
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {}
            result => return result,
        }
    }
    preadv(file, &mut slices, at)
}

/// Brings a span into the page cache; on the blocking pool.
pub(crate) fn fetch(file: &OwnedFd, mut at: u64, mut len: u64) {
    let mut buffer = vec![0; 128 << 10];
    while len > 0 {
        let want = buffer.len().min(usize::try_from(len).unwrap_or(usize::MAX));
        // An error shows itself when the span is sent.
        let Ok(read @ 1..) = rustix::io::pread(file, &mut buffer[..want], at) else { return };
        at += read as u64;
        len -= read as u64;
    }
}
