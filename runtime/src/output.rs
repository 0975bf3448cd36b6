//! Sends what a session shows: small pieces together in one `send`, large spans of files by
//! `sendfile`.

use std::{cell::RefCell, io, sync::Arc};

use httpout_proto::{
    FileId,
    http::{Piece, Transmit},
};
use rustix::{
    fd::{BorrowedFd, OwnedFd},
    io::{Errno, ReadWriteFlags, preadv2, retry_on_intr},
    net::SendFlags,
};

/// Most bytes of one `sendfile`.
const SPAN: u64 = 1 << 20;
/// The kernel reads at least so far ahead: where the first byte of such a span is cached, the rest
/// is.
const READ_AHEAD: u64 = 128 << 10;
/// Room for heads, beside that for what is read from files.
const HEADS: usize = 4 << 10;

/// What `sendfile` says of the file, not of the socket.
const FILE_ERRORS: [Errno; 5] =
    [Errno::IO, Errno::OVERFLOW, Errno::STALE, Errno::NODEV, Errno::ACCESS];

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Where a file's bytes come from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source<'f> {
    pub(crate) fd: &'f Arc<OwnedFd>,
    /// All of it, if it is small and kept.
    pub(crate) content: Option<&'f [u8]>,
}

/// What became of it.
#[derive(Debug)]
pub(crate) enum Sent {
    /// So many bytes are with the socket. Fewer than were offered does not mean that it is full: a
    /// signal shortens a send.
    Bytes(usize),
    /// A file is not what it was; what is announced of it cannot be sent.
    Lost { file: FileId, why: io::ErrorKind },
    /// This span of a file is not in the page cache: reading it here would hold up the other
    /// connections.
    Cold { file: Arc<OwnedFd>, at: u64, len: u64 },
}

/// A span that was found in the page cache, so that what is left of it after a short send is not
/// looked for again.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Warm {
    file: Option<FileId>,
    end: u64,
}

impl Warm {
    /// Nothing is to be looked for: the span that is next was just fetched, and if it is cold all
    /// the same, fetching it again would not help.
    pub(crate) const ALL: Self = Self { file: None, end: u64::MAX };

    pub(crate) fn is_all(self) -> bool {
        self.end == u64::MAX
    }

    pub(crate) fn holds(self, file: FileId, at: u64) -> bool {
        at < self.end && (self.is_all() || self.file == Some(file))
    }
}

/// Sends as much as one call can. Small pieces, and spans of up to `block` bytes, are put together:
/// to copy them costs less than to hand the kernel a list.
///
/// # Errors
/// Those of the socket.
pub(crate) fn send<'f>(
    socket: BorrowedFd<'_>,
    what: Transmit<'_>,
    block: usize,
    warm: &mut Warm,
    file: impl Fn(FileId) -> Option<Source<'f>>,
) -> io::Result<Sent> {
    SCRATCH.with_borrow_mut(|scratch| {
        scratch.resize(block + HEADS, 0);
        let mut used = 0;
        let mut more = false;
        for piece in what {
            let room = &mut scratch[used..];
            match piece {
                Piece::Bytes(bytes) if bytes.len() <= room.len() => {
                    room[..bytes.len()].copy_from_slice(bytes);
                    used += bytes.len();
                }
                Piece::Bytes(bytes) if used == 0 => return send_bytes(socket, bytes, false),
                Piece::Bytes(_) => {
                    more = true;
                    break;
                }
                Piece::File { file: id, at, len } => {
                    let Some(Source { fd, content }) = file(id) else {
                        return Ok(Sent::Lost { file: id, why: io::ErrorKind::NotFound });
                    };
                    if len > block.min(room.len()) as u64 {
                        if used == 0 {
                            return send_span(socket, (id, fd), at, len.min(SPAN), warm, scratch);
                        }
                        // A head and a short span fill few packets together; in front of a long one
                        // the kernel cuts all that follows less well, and the peer waits longer for
                        // the head.
                        more = len <= READ_AHEAD;
                        break;
                    }
                    let room = &mut room[..len as usize];
                    if let Some(span) =
                        content.and_then(|all| all.get(at as usize..)?.get(..room.len()))
                    {
                        room.copy_from_slice(span);
                        used += room.len();
                        continue;
                    }
                    let patient = warm.holds(id, at);
                    match read(fd, room, at, patient) {
                        Ok(got) if got as u64 == len => used += got,
                        Ok(0) => {
                            return Ok(Sent::Lost { file: id, why: io::ErrorKind::UnexpectedEof });
                        }
                        Ok(_) if patient && used == 0 => {
                            return Ok(Sent::Lost { file: id, why: io::ErrorKind::UnexpectedEof });
                        }
                        // Cached in part, or shorter than it was.
                        Ok(_) | Err(Errno::AGAIN) if used == 0 => {
                            return Ok(Sent::Cold { file: fd.clone(), at, len });
                        }
                        Ok(_) | Err(Errno::AGAIN) => {
                            more = true;
                            break;
                        }
                        Err(error) => return Ok(Sent::Lost { file: id, why: error.kind() }),
                    }
                }
            }
        }
        send_bytes(socket, &scratch[..used], more)
    })
}

fn send_bytes(socket: BorrowedFd<'_>, bytes: &[u8], more: bool) -> io::Result<Sent> {
    let flags = if more { SendFlags::NOSIGNAL | SendFlags::MORE } else { SendFlags::NOSIGNAL };
    Ok(Sent::Bytes(retry_on_intr(|| rustix::net::send(socket, bytes, flags))?))
}

fn send_span(
    socket: BorrowedFd<'_>,
    (id, file): (FileId, &Arc<OwnedFd>),
    at: u64,
    len: u64,
    warm: &mut Warm,
    scratch: &mut [u8],
) -> io::Result<Sent> {
    if !warm.holds(id, at) {
        // Both ends in the page cache: so is, but for rare cases, what lies between.
        let last = if len > READ_AHEAD { Some(at + len - 1) } else { None };
        for probe in [Some(at), last].into_iter().flatten() {
            match read(file, &mut [0], probe, false) {
                Ok(0) => return Ok(Sent::Lost { file: id, why: io::ErrorKind::UnexpectedEof }),
                Err(Errno::AGAIN) => return Ok(Sent::Cold { file: file.clone(), at, len }),
                Ok(_) | Err(_) => {}
            }
        }
        *warm = Warm { file: Some(id), end: at + len };
    }
    let mut offset = at;
    match retry_on_intr(|| rustix::fs::sendfile(socket, file, Some(&mut offset), len as usize)) {
        Ok(0) => Ok(Sent::Lost { file: id, why: io::ErrorKind::UnexpectedEof }),
        Ok(count) => Ok(Sent::Bytes(count)),
        // The file system does not know how.
        Err(Errno::INVAL | Errno::NOSYS) => {
            let most = scratch.len().min(usize::try_from(len).unwrap_or(usize::MAX));
            match read(file, &mut scratch[..most], at, true) {
                Ok(0) => Ok(Sent::Lost { file: id, why: io::ErrorKind::UnexpectedEof }),
                Ok(read) => send_bytes(socket, &scratch[..read], false),
                Err(error) => Ok(Sent::Lost { file: id, why: error.kind() }),
            }
        }
        Err(error) if FILE_ERRORS.contains(&error) => {
            Ok(Sent::Lost { file: id, why: error.kind() })
        }
        Err(error) => Err(error.into()),
    }
}

/// Reads; unless `patient`, only what is in the page cache: `AGAIN` if the device would have to be
/// waited for.
pub(crate) fn read(
    file: &OwnedFd,
    buffer: &mut [u8],
    at: u64,
    patient: bool,
) -> Result<usize, Errno> {
    if !patient {
        let mut slices = [io::IoSliceMut::new(buffer)];
        match retry_on_intr(|| preadv2(file, &mut slices, at, ReadWriteFlags::NOWAIT)) {
            // The file system does not know the flag.
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {}
            result => return result,
        }
    }
    let mut filled = 0;
    while filled < buffer.len() {
        let rest = &mut buffer[filled..];
        match retry_on_intr(|| rustix::io::pread(file, &mut *rest, at + filled as u64)) {
            Ok(0) => break,
            // Fewer bytes than asked for need not be the end of the file: some file systems stop at
            // a signal.
            Ok(more) => filled += more,
            // What was read before is used; the error shows itself again.
            Err(_) if filled > 0 => break,
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Brings a span into the page cache; on the blocking pool.
pub(crate) fn fetch(file: &OwnedFd, mut at: u64, mut len: u64) {
    let mut buffer = vec![0; 128 << 10];
    while len > 0 {
        let want = buffer.len().min(usize::try_from(len).unwrap_or(usize::MAX));
        // An error shows itself when the span is sent.
        let read = retry_on_intr(|| rustix::io::pread(file, &mut buffer[..want], at));
        let Ok(read @ 1..) = read else { return };
        at += read as u64;
        len -= read as u64;
    }
}
