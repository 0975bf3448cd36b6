//! Compressed texts, kept for the next request. One that is asked for while it is being made is
//! made once. Each is known by the state of the inode it was made of, which no process can set
//! back; and one that may still change unnoticed is not kept.

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
use httpout_proto::{FsError, fs::Place, semantics::coding::Coding};
use rustix::{fd::OwnedFd, fs::fstat};

use super::{beneath::fs_error, cache::State};

/// Most that is kept, in bytes.
const MOST: usize = 16 << 20;

/// Entries of the order that may be of texts that are gone, beside as many as there are.
const SPARE: usize = 64;

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

/// What is kept, and the waiters (`W`) for what is being made.
#[derive(Debug)]
pub(crate) struct Encoded<W>(Mutex<Slots<W>>);

#[derive(Debug)]
struct Slots<W> {
    slots: HashMap<Key, Slot<W>>,
    /// Those that are made, the oldest first, by their numbers; some are no longer there.
    order: VecDeque<(u64, Key)>,
    bytes: usize,
    /// How many were made.
    made: u64,
}

#[derive(Debug)]
struct Slot<W> {
    of: Inode,
    content: Content<W>,
}

#[derive(Debug)]
enum Content<W> {
    Making(Vec<W>),
    Made { bytes: Bytes, used: bool, number: u64 },
}

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Wanted<W> {
    /// Nothing: here it is.
    Made(Bytes),
    /// Nothing: it is being made, and the waiter will be told.
    Waits,
    /// Make it, then call [`Encoded::made`], and tell the waiters that gives; or, if it changes all
    /// the time, this one alone.
    Make(Option<W>),
}

impl<W> Default for Encoded<W> {
    fn default() -> Self {
        Self(Mutex::new(Slots { slots: HashMap::new(), order: VecDeque::new(), bytes: 0, made: 0 }))
    }
}

impl<W> Encoded<W> {
    /// Looks for the text as it is now.
    pub(crate) fn want(&self, key: &Key, now: Inode, waiter: W) -> Wanted<W> {
        let mut state = self.lock();
        match state.slots.get_mut(key) {
            Some(Slot { of, content: Content::Made { bytes, used, .. } }) if *of == now => {
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

    /// It is made, or could not be. Returns its waiters.
    pub(crate) fn made(&self, key: &Key, result: &Result<Bytes, FsError>) -> Vec<W> {
        let mut state = self.lock();
        let Some(Slot { of, content: Content::Making(waiters) }) = state.slots.remove(key) else {
            return Vec::new();
        };
        if let Ok(bytes) = result
            && of.settled
        {
            state.made += 1;
            let number = state.made;
            let content = Content::Made { bytes: bytes.clone(), used: false, number };
            state.slots.insert(key.clone(), Slot { of, content });
            state.order.push_back((number, key.clone()));
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
        if self.order.len() > 2 * self.slots.len() + SPARE {
            let slots = &self.slots;
            self.order.retain(|(number, key)| slots.get(key).is_some_and(|slot| slot.is(*number)));
        }
        while self.bytes > MOST {
            let Some((number, key)) = self.order.pop_front() else { return };
            match self.slots.get_mut(&key) {
                Some(Slot { content: Content::Made { used, number: of, .. }, .. })
                    if *of == number =>
                {
                    if std::mem::take(used) {
                        self.order.push_back((number, key));
                    } else {
                        self.forget(&key);
                    }
                }
                Some(_) | None => {}
            }
        }
    }

    fn forget(&mut self, key: &Key) {
        if let Some(Slot { content: Content::Made { bytes, .. }, .. }) = self.slots.remove(key) {
            self.bytes -= bytes.len();
        }
    }
}

impl<W> Slot<W> {
    fn is(&self, other: u64) -> bool {
        matches!(self.content, Content::Made { number, .. } if number == other)
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

#[cfg(test)]
mod tests {
    use std::fs;

    use httpout_proto::{
        Config,
        fs::{Place, RelPath},
    };

    use super::*;
    use crate::files::{Roots, tests::Scratch};

    fn key(root: &Place, name: usize) -> Key {
        (Place { path: RelPath::new(&format!("f{name}")).unwrap(), ..root.clone() }, Coding::Gzip)
    }

    #[test]
    fn what_is_kept_is_bounded_and_what_is_used_stays() {
        let scratch = Scratch::new();
        let path = scratch.path().join("f");
        fs::write(&path, "x").unwrap();
        let mut inode = Inode::of(&fs::File::open(&path).unwrap().into()).unwrap();
        inode.settled = true;
        let mut config = Config::default();
        config.read_dirs = vec![scratch.path().to_owned()];
        let site = config.check().unwrap();
        Roots::open(&site).unwrap();
        let root = Place { root: site.mounts().next().unwrap().1.unwrap(), path: RelPath::root() };
        let encoded = Encoded::default();
        let text = Bytes::from(vec![0; MOST / 16]);
        for number in 0..100 {
            assert!(matches!(encoded.want(&key(&root, number), inode, number), Wanted::Make(None)));
            assert!(matches!(encoded.want(&key(&root, number), inode, 1000), Wanted::Waits));
            assert_eq!(encoded.made(&key(&root, number), &Ok(text.clone())), [number, 1000]);
            assert!(matches!(encoded.want(&key(&root, 0), inode, 0), Wanted::Made(_)));
            assert!(encoded.lock().bytes <= MOST);
        }
        // A text that changes all the time leaves nothing behind.
        for _ in 0..1000 {
            let key = key(&root, 0);
            encoded.lock().forget(&key);
            assert!(matches!(encoded.want(&key, inode, 0), Wanted::Make(None)));
            encoded.made(&key, &Ok(Bytes::from_static(b"x")));
        }
        let slots = encoded.lock();
        assert!(slots.order.len() <= 2 * slots.slots.len() + SPARE + 1);
        assert_eq!(slots.bytes, 15 * text.len() + 1);
    }

    #[test]
    fn what_may_still_change_unnoticed_is_not_kept() {
        let scratch = Scratch::new();
        let path = scratch.path().join("f");
        fs::write(&path, "x").unwrap();
        let file = OwnedFd::from(fs::File::open(&path).unwrap());
        let fresh = Inode { settled: false, ..Inode::of(&file).unwrap() };
        let settled = Inode { settled: true, ..fresh };
        let mut config = Config::default();
        config.read_dirs = vec![scratch.path().to_owned()];
        let site = config.check().unwrap();
        let root = Place { root: site.mounts().next().unwrap().1.unwrap(), path: RelPath::root() };
        let (encoded, key) = (Encoded::default(), key(&root, 0));
        assert!(matches!(encoded.want(&key, fresh, 1), Wanted::Make(None)));
        // A reader that sees another state does not wait for it.
        assert!(matches!(encoded.want(&key, settled, 2), Wanted::Make(Some(2))));
        assert_eq!(encoded.made(&key, &Ok(Bytes::from_static(b"x"))), [1]);
        assert!(matches!(encoded.want(&key, settled, 3), Wanted::Make(None)));
    }
}
