//! Compressed texts, kept for the next request. One that is asked for while it is being made is made once. Each is known by the
//! state of the inode it was made of, which nobody can set back; and one that may still change unnoticed is not kept.

use std::{
    collections::{HashMap, VecDeque},
    io::{self, Write},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use flate2::{
    Compression,
    write::{GzEncoder, ZlibEncoder},
};
use httpout_proto::{FsError, effect::Place, exchange::coding::Coding};
use rustix::{fd::OwnedFd, fs::fstat};

use super::{beneath::fs_error, cache::State};

/// Most that is kept, in bytes.
const MOST: usize = 16 << 20;

/// A text in a coding.
pub(crate) type Key = (Place, Coding);

/// What an inode is when it is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Inode {
    state: State,
    /// Its next change will have another time.
    settled: bool,
}

impl Inode {
    /// Looks at an open file.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn of(file: &OwnedFd) -> Result<Self, FsError> {
        let stat = fstat(file).map_err(fs_error)?;
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let changed = Duration::new(stat.st_ctime.unsigned_abs(), stat.st_ctime_nsec as u32);
        // Where times have fractions, they are as fine as the kernel's tick.
        let tick = if stat.st_ctime_nsec % 1_000_000 == 0 { COARSE } else { FINE };
        let settled = since.checked_sub(changed).is_some_and(|age| age >= tick);
        Ok(Self { state: State::of(&stat), settled })
    }
}

/// More than the coarsest clock of a file system, and than the tick of a kernel.
const COARSE: Duration = Duration::from_secs(3);
const FINE: Duration = Duration::from_millis(30);

/// What is kept, and who waits for what is being made: `W`.
#[derive(Debug)]
pub(crate) struct Encoded<W>(Mutex<Slots<W>>);

#[derive(Debug)]
struct Slots<W> {
    slots: HashMap<Key, Slot<W>>,
    /// Those that are made, the oldest first.
    order: VecDeque<Key>,
    bytes: usize,
}

#[derive(Debug)]
struct Slot<W> {
    of: Inode,
    content: Content<W>,
}

#[derive(Debug)]
enum Content<W> {
    Making(Vec<W>),
    Made { bytes: Bytes, used: bool },
}

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Wanted<W> {
    /// Nothing: here it is.
    Made(Bytes),
    /// Nothing: it is being made, and the waiter will be told.
    Waits,
    /// Make it, then call [`Encoded::made`], and tell the waiters that gives; or, if it changes all the time, this one alone.
    Make(Option<W>),
}

impl<W> Default for Encoded<W> {
    fn default() -> Self {
        Self(Mutex::new(Slots { slots: HashMap::new(), order: VecDeque::new(), bytes: 0 }))
    }
}

impl<W> Encoded<W> {
    /// Looks for the text as it is now.
    pub(crate) fn want(&self, key: &Key, now: Inode, waiter: W) -> Wanted<W> {
        let mut state = self.lock();
        match state.slots.get_mut(key) {
            Some(Slot { of, content: Content::Made { bytes, used } }) if *of == now => {
                *used = true;
                return Wanted::Made(bytes.clone());
            }
            Some(Slot { of, content: Content::Making(waiters) }) => {
                if *of == now {
                    waiters.push(waiter);
                    return Wanted::Waits;
                }
                return Wanted::Make(Some(waiter));
            }
            Some(Slot { content: Content::Made { .. }, .. }) => state.forget(key),
            None => {}
        }
        let content = Content::Making(vec![waiter]);
        state.slots.insert(key.clone(), Slot { of: now, content });
        Wanted::Make(None)
    }

    /// It is made, or could not be; who waited for it.
    pub(crate) fn made(&self, key: &Key, result: &Result<Bytes, FsError>) -> Vec<W> {
        let mut state = self.lock();
        let Some(Slot { of, content: Content::Making(waiters) }) = state.slots.remove(key) else {
            return Vec::new();
        };
        if let Ok(bytes) = result
            && of.settled
        {
            let content = Content::Made { bytes: bytes.clone(), used: false };
            state.slots.insert(key.clone(), Slot { of, content });
            state.order.push_back(key.clone());
            state.bytes += bytes.len();
            state.shrink();
        }
        waiters
    }

    fn lock(&self) -> MutexGuard<'_, Slots<W>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<W> Slots<W> {
    /// Lets go what was not asked for lately, until the rest is small enough.
    fn shrink(&mut self) {
        while self.bytes > MOST {
            let Some(key) = self.order.pop_front() else { return };
            match self.slots.get_mut(&key) {
                Some(Slot { content: Content::Made { used, .. }, .. }) if *used => {
                    *used = false;
                    self.order.push_back(key);
                }
                Some(_) | None => self.forget(&key),
            }
        }
    }

    fn forget(&mut self, key: &Key) {
        if let Some(Slot { content: Content::Made { bytes, .. }, .. }) = self.slots.remove(key) {
            self.bytes -= bytes.len();
        }
        self.order.retain(|other| other != key);
    }
}

/// Compresses a file of `len` bytes.
///
/// # Errors
/// It cannot be read, or is shorter than that.
pub(crate) fn encode(file: &OwnedFd, len: u64, coding: Coding) -> Result<Bytes, FsError> {
    let failed = |error: io::Error| FsError::Other(error.kind());
    let mut content = vec![0; usize::try_from(len).map_err(|_| FsError::Changed)?];
    let mut got = 0;
    while got < content.len() {
        match rustix::io::pread(file, &mut content[got..], got as u64) {
            Ok(0) => return Err(FsError::Changed),
            Ok(read) => got += read,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(FsError::Other(error.kind())),
        }
    }
    let out = Vec::with_capacity(content.len() / 2);
    let level = Compression::default();
    let encoded = match coding {
        Coding::Gzip => {
            let mut encoder = GzEncoder::new(out, level);
            encoder.write_all(&content).and_then(|()| encoder.finish())
        }
        Coding::Deflate => {
            let mut encoder = ZlibEncoder::new(out, level);
            encoder.write_all(&content).and_then(|()| encoder.finish())
        }
    };
    encoded.map(Bytes::from).map_err(failed)
}
