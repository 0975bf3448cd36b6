//! Puts together what is to be sealed next.

use std::io;

use httpout_proto::{
    FileId,
    http::{Piece, Transmit},
};
use rustix::io::Errno;

use crate::output::{self, Sent, Source, Warm};

/// A cold span is brought into the page cache up to this length at once.
const SPAN: u64 = 1 << 20;

/// Fills `room` from the front of `what`: `Ok` with the number of bytes, at least one.
///
/// # Errors
/// What is at the front cannot be had, or not yet.
pub(super) fn fill<'f>(
    room: &mut [u8],
    what: Transmit<'_>,
    warm: Warm,
    file: impl Fn(FileId) -> Option<Source<'f>>,
) -> Result<usize, Sent> {
    let mut used = 0;
    for piece in what {
        let left = &mut room[used..];
        if left.is_empty() {
            break;
        }
        match piece {
            Piece::Bytes(bytes) => {
                let len = bytes.len().min(left.len());
                left[..len].copy_from_slice(&bytes[..len]);
                used += len;
            }
            Piece::File { file: id, at, len } => {
                let wanted = left.len().min(usize::try_from(len).unwrap_or(usize::MAX));
                let left = &mut left[..wanted];
                let source = file(id).ok_or(Sent::Lost { file: id, why: io::ErrorKind::NotFound });
                match source
                    .and_then(|source| read(left, (id, source), (at, len), warm.holds(id, at)))
                {
                    Ok(got) => {
                        used += got;
                        // Cached in part, or shorter than it was.
                        if got < wanted {
                            break;
                        }
                    }
                    // It shows itself again when it is at the front.
                    Err(_) if used > 0 => break,
                    Err(sent) => return Err(sent),
                }
            }
        }
    }
    Ok(used)
}

fn read(
    room: &mut [u8],
    (id, Source { fd, content }): (FileId, Source<'_>),
    (at, len): (u64, u64),
    patient: bool,
) -> Result<usize, Sent> {
    let kept = content.and_then(|all| all.get(usize::try_from(at).ok()?..)?.get(..room.len()));
    if let Some(kept) = kept {
        room.copy_from_slice(kept);
        return Ok(room.len());
    }
    match output::read(fd, room, at, patient) {
        Ok(0) => Err(Sent::Lost { file: id, why: io::ErrorKind::UnexpectedEof }),
        Ok(got) => Ok(got),
        Err(Errno::AGAIN) => Err(Sent::Cold { file: fd.clone(), at, len: len.min(SPAN) }),
        Err(error) => Err(Sent::Lost { file: id, why: error.kind() }),
    }
}
