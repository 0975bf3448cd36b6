//! Receive buffers, a few per thread: a connection that waits holds none.

use std::{
    cell::RefCell,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;

/// Size of a receive buffer in bytes.
const SIZE: usize = 256 << 10;
/// What is received in pieces up to this size is copied out, so that the buffer is free at once;
/// larger pieces are handed on in the buffer.
const COPIED: usize = 32 << 10;
/// Buffers kept for reuse by each thread.
const KEPT: usize = 8;

type Spare = Arc<Mutex<Vec<Box<[u8]>>>>;

thread_local! {
    static POOL: RefCell<Pool> = RefCell::default();
}

#[derive(Default)]
struct Pool {
    current: Option<Box<[u8]>>,
    spare: Spare,
}

/// Lets `receive` fill a buffer; returns what it received. `Ok(None)`: nothing.
pub(crate) fn receive<E>(
    receive: impl FnOnce(&mut [u8]) -> Result<usize, E>,
) -> Result<Option<Bytes>, E> {
    POOL.with_borrow_mut(|pool| {
        let mut buffer = match pool.current.take() {
            Some(buffer) => buffer,
            None => {
                let spare = pool.spare.lock().unwrap_or_else(PoisonError::into_inner).pop();
                spare.unwrap_or_else(|| vec![0; SIZE].into())
            }
        };
        let received = receive(&mut buffer);
        match received {
            Ok(len @ 1..) if len > COPIED => {
                let filled = Filled { buffer: Some(buffer), len, home: pool.spare.clone() };
                Ok(Some(Bytes::from_owner(filled)))
            }
            Ok(len) => {
                let copy = (len > 0).then(|| Bytes::copy_from_slice(&buffer[..len]));
                pool.current = Some(buffer);
                Ok(copy)
            }
            Err(error) => {
                pool.current = Some(buffer);
                Err(error)
            }
        }
    })
}

/// A buffer on its way through a session; goes home when the last slice of it is dropped.
struct Filled {
    buffer: Option<Box<[u8]>>,
    len: usize,
    home: Spare,
}

impl AsRef<[u8]> for Filled {
    fn as_ref(&self) -> &[u8] {
        self.buffer.as_deref().map_or(&[], |buffer| &buffer[..self.len])
    }
}

impl Drop for Filled {
    fn drop(&mut self) {
        let mut home = self.home.lock().unwrap_or_else(PoisonError::into_inner);
        if home.len() < KEPT {
            home.extend(self.buffer.take());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_pieces_are_not_copied_and_their_buffers_come_back() {
        let fill = |len: usize| {
            move |buffer: &mut [u8]| {
                buffer[..len].fill(7);
                Ok::<_, ()>(len)
            }
        };
        let large = receive(fill(COPIED + 1)).unwrap().unwrap();
        let at = large.as_ptr();
        assert_eq!((large.len(), large[COPIED]), (COPIED + 1, 7));
        let small = receive(fill(3)).unwrap().unwrap();
        assert_eq!(&small[..], [7; 3]);
        drop(large);
        // The small piece went through another buffer, which is current now; the first one is
        // spare.
        let other = receive(fill(SIZE)).unwrap().unwrap();
        assert!(other.as_ptr() != at && other.len() == SIZE);
        let again = receive(fill(SIZE)).unwrap().unwrap();
        assert_eq!(again.as_ptr(), at, "the buffer that came back is used again");
        assert_eq!(again.len(), SIZE);
        assert_eq!(receive(|_| Ok::<_, ()>(0)), Ok(None));
        assert_eq!(receive(|_| Err(5)), Err(5));
    }
}
