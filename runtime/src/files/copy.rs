//! Writing and copying, by the cheapest way that the file system offers.

use std::io::{ErrorKind, IoSlice};

use httpout_proto::FsError;
use rustix::{
    fd::OwnedFd,
    io::{Errno, pread, pwritev},
};

use super::{beneath::fs_error, sys};

/// Buffers handed over in one system call.
const SLICES: usize = 64;

/// Bytes handed over in one system call where the kernel cannot copy.
const BLOCK: usize = 256 << 10;

/// Writes all of `data`, one after the other, from `at` on.
pub(super) fn write_all_at<B: AsRef<[u8]>>(
    file: &OwnedFd,
    mut at: u64,
    data: &[B],
) -> Result<(), FsError> {
    for group in data.chunks(SLICES) {
        let mut slices = [IoSlice::new(&[]); SLICES];
        for (slice, bytes) in slices.iter_mut().zip(group) {
            *slice = IoSlice::new(bytes.as_ref());
        }
        let mut rest = &mut slices[..group.len()];
        // Drops empty ones too: the kernel takes nothing of them, which would look like a full
        // device.
        IoSlice::advance_slices(&mut rest, 0);
        while !rest.is_empty() {
            match pwritev(file, rest, at) {
                Ok(0) => return Err(FsError::Other(ErrorKind::WriteZero)),
                Ok(n) => {
                    at += n as u64;
                    IoSlice::advance_slices(&mut rest, n);
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(fs_error(error)),
            }
        }
    }
    Ok(())
}

/// Copies the first `len` bytes of `from` into the empty file `to`, shared where the file system
/// can.
pub(super) fn copy_whole(from: &OwnedFd, to: &OwnedFd, len: u64) -> Result<(), FsError> {
    if len == 0 || sys::clone_file(from, to).is_ok() {
        return Ok(());
    }
    copy_run(from, 0, to, 0, len)
}

/// Copies `len` bytes. A source that ends before is an error.
pub(super) fn copy_run(
    from: &OwnedFd,
    mut from_at: u64,
    to: &OwnedFd,
    mut to_at: u64,
    len: u64,
) -> Result<(), FsError> {
    let end = from_at + len;
    while from_at < end {
        let most = usize::try_from(end - from_at).unwrap_or(usize::MAX).min(1 << 30);
        match sys::copy_some(from, &mut from_at, to, &mut to_at, most) {
            Err(Errno::INTR) => {}
            // Whatever the kernel has against it: if the fault is real, it shows again when copying
            // by hand.
            Ok(0) | Err(_) => return copy_by_hand(from, from_at, to, to_at, end),
            Ok(_) => {}
        }
    }
    Ok(())
}

fn copy_by_hand(
    from: &OwnedFd,
    mut from_at: u64,
    to: &OwnedFd,
    mut to_at: u64,
    end: u64,
) -> Result<(), FsError> {
    let mut buffer = vec![0; BLOCK];
    while from_at < end {
        let most = usize::try_from(end - from_at).unwrap_or(BLOCK).min(BLOCK);
        match pread(from, &mut buffer[..most], from_at) {
            Ok(0) => return Err(FsError::Other(ErrorKind::UnexpectedEof)),
            Ok(n) => {
                write_all_at(to, to_at, &[&buffer[..n]])?;
                from_at += n as u64;
                to_at += n as u64;
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(fs_error(error)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{fs::File, io::Read};

    use bytes::Bytes;

    use super::*;
    use crate::files::tests::Scratch;

    #[test]
    fn writes_many_and_empty_buffers_in_order() {
        let dir = Scratch::new();
        let path = dir.path().join("f");
        let file = OwnedFd::from(File::create(&path).unwrap());
        let data: Vec<Bytes> =
            (0..1500u32).map(|n| Bytes::from(n.to_string().repeat((n % 4) as usize))).collect();
        write_all_at(&file, 3, &data).unwrap();
        write_all_at::<Bytes>(&file, 0, &[]).unwrap();
        write_all_at(&file, 0, &[Bytes::new(), Bytes::new()]).unwrap();
        let mut text = Vec::new();
        File::open(&path).unwrap().read_to_end(&mut text).unwrap();
        assert_eq!(text[3..], data.concat());
        assert_eq!(text[..3], [0; 3]);
    }

    #[test]
    fn copies_by_every_way_and_notices_a_short_source() {
        let dir = Scratch::new();
        let data: Vec<u8> = (0..700_000u32).flat_map(u32::to_le_bytes).collect();
        std::fs::write(dir.path().join("from"), &data).unwrap();
        let from = OwnedFd::from(File::open(dir.path().join("from")).unwrap());
        type Way = fn(&OwnedFd, u64, &OwnedFd, u64, u64) -> Result<(), FsError>;
        let by_hand: Way =
            |from, from_at, to, to_at, len| copy_by_hand(from, from_at, to, to_at, from_at + len);
        for way in [copy_run, by_hand] {
            let path = dir.path().join("to");
            let to = OwnedFd::from(File::create(&path).unwrap());
            way(&from, 5, &to, 2, 2_500_000).unwrap();
            assert_eq!(std::fs::read(&path).unwrap()[2..], data[5..2_500_005]);
            let short = way(&from, data.len() as u64 - 1, &to, 0, 2);
            assert_eq!(short, Err(FsError::Other(ErrorKind::UnexpectedEof)));
        }
    }
}
