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
    fd::{BorrowedFd, OwnedFd},
    io::{Errno, ReadWriteFlags, preadv, preadv2},
    net::{SendAncillaryBuffer, SendFlags, sendmsg},
};

/// Most bytes of one `sendfile`.
const SPAN: u64 = 1 << 20;
/// The kernel reads at least so far ahead: where the first byte of such a span is cached, the rest is.
const READ_AHEAD: u64 = 128 << 10;
/// Most slices of one `sendmsg`.
const SLICES: usize = 64;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// What became of it.
#[derive(Debug)]
pub(crate) enum Sent {
    /// So many bytes are with the socket; `full`: it would have been offered more, but took no more.
    Bytes { count: usize, full: bool },
    /// This span of a file is not in the page cache: reading it here would hold up the other connections.
    Cold { file: Arc<OwnedFd>, at: u64, len: u64 },
}

/// A span that was found in the page cache, so that what is left of it after a short send is not looked for again.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Warm {
    file: Option<FileId>,
    end: u64,
}

impl Warm {
    /// Nothing is to be looked for: the span that is next was just fetched, and if it is cold all the same, fetching it again would
    /// not help.
    pub(crate) const ALL: Self = Self { file: None, end: u64::MAX };

    pub(crate) fn is_all(self) -> bool {
        self.end == u64::MAX
    }

    fn holds(self, file: FileId, at: u64) -> bool {
        at < self.end && (self.is_all() || self.file == Some(file))
    }
}

/// Sends as much as one call can. Spans of up to `block` bytes are read and sent together with what stands around them.
///
/// # Errors
/// Those of the socket; `UnexpectedEof` if a file is shorter than it was.
pub(crate) fn send<'f>(
    socket: BorrowedFd<'_>,
    what: Transmit<'_>,
    block: usize,
    warm: &mut Warm,
    file: impl Fn(FileId) -> Option<&'f Arc<OwnedFd>>,
) -> io::Result<Sent> {
    SCRATCH.with_borrow_mut(|scratch| {
        scratch.resize(block, 0);
        let mut pieces = [const { Gathered::Read { start: 0, end: 0 } }; SLICES];
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
                    let end = used as u64 + len;
                    if end > block as u64 {
                        if count == 0 {
                            return send_span(socket, (id, open), at, len.min(SPAN), warm);
                        }
                        more = true;
                        break;
                    }
                    let end = end as usize;
                    match read(open, &mut scratch[used..end], at, warm.holds(id, at)) {
                        Ok(got) if got == end - used => {}
                        Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                        // Cached in part.
                        Ok(_) | Err(Errno::AGAIN) if count == 0 => {
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
        let mut slices = [IoSlice::new(&[]); SLICES];
        for (slice, piece) in slices.iter_mut().zip(&pieces[..count]) {
            *slice = IoSlice::new(match *piece {
                Gathered::Bytes(bytes) => bytes,
                Gathered::Read { start, end } => &scratch[start..end],
            });
        }
        let slices = &slices[..count];
        let flags = if more { SendFlags::NOSIGNAL | SendFlags::MORE } else { SendFlags::NOSIGNAL };
        let sent = match slices {
            [only] => rustix::net::send(socket, only, flags)?,
            several => sendmsg(socket, several, &mut SendAncillaryBuffer::default(), flags)?,
        };
        let offered: usize = slices.iter().map(|slice| slice.len()).sum();
        Ok(Sent::Bytes { count: sent, full: sent < offered })
    })
}

#[derive(Clone, Copy)]
enum Gathered<'a> {
    Bytes(&'a [u8]),
    Read { start: usize, end: usize },
}

fn send_span(
    socket: BorrowedFd<'_>,
    (id, file): (FileId, &Arc<OwnedFd>),
    at: u64,
    len: u64,
    warm: &mut Warm,
) -> io::Result<Sent> {
    if !warm.holds(id, at) {
        // Both ends in the page cache: so is, but for rare cases, what lies between.
        let last = if len > READ_AHEAD { Some(at + len - 1) } else { None };
        for probe in [Some(at), last].into_iter().flatten() {
            match read(file, &mut [0], probe, false) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Err(Errno::AGAIN) => return Ok(Sent::Cold { file: file.clone(), at, len }),
                Ok(_) | Err(_) => {}
            }
        }
        *warm = Warm { file: Some(id), end: at + len };
    }
    let mut offset = at;
    match rustix::fs::sendfile(socket, file, Some(&mut offset), len as usize)? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        count => Ok(Sent::Bytes { count, full: (count as u64) < len }),
    }
}

/// Reads; unless `patient`, only what is in the page cache: `AGAIN` if the device would have to be waited for.
fn read(file: &OwnedFd, buffer: &mut [u8], at: u64, patient: bool) -> Result<usize, Errno> {
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
