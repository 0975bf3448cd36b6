//! Which segments of a live stream are dropped as new ones come (`max_cache_segs`).
//!
//! A *quality* is what is alike in directory and name but for the name's last number: `seg-11.ts`
//! and `seg-12.ts` are of one quality, `chunk-stream0-00012.m4s` and `chunk-stream1-00012.m4s` are
//! not. Of each quality so many segments are kept as are wanted; the others go in the order in
//! which they came. What is no segment stays: see [`quality`] and [`Sort`]. What the newest version
//! of a manifest names stays, too.

mod manifest;

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    hash::Hash,
};

use crate::semantics::media::{extension, is_manifest};

pub use manifest::Manifest;

/// Qualities that are remembered. Where there are more, the half without news for longest is
/// forgotten, and what is left of their segments stays.
const MOST: usize = 100_000;

/// Bytes of names that are remembered, of all manifests. Where there are more, those without news
/// for longest are forgotten.
const MOST_BYTES: usize = 16 << 20;

/// Larger manifests are not read.
const MOST_MANIFEST: usize = 4 << 20;

/// So much tells a file that has its own header.
const HEAD: usize = 8;

/// Words that mark what a player needs before the first segment.
const LEADS: [&str; 2] = ["init", "header"];

/// How many segments of a quality are kept in memory, by the option `max_cache_segs`: at least one,
/// and never all.
pub fn most_in_memory(max_cache_segs: i32) -> usize {
    usize::try_from(max_cache_segs.unsigned_abs()).unwrap_or(usize::MAX).max(1)
}

/// How many segments of a quality are kept on disk, by the option `max_cache_segs`; `None`: all.
/// Only a negative number is a limit: nothing tells how far back the players of an upload may go,
/// and a positive one leaves them so much.
pub fn most_on_disk(max_cache_segs: i32) -> Option<usize> {
    (max_cache_segs < 0).then(|| most_in_memory(max_cache_segs))
}

/// The quality of a segment within its directory, by its file name: the name with `/` in place of
/// its last number. `None` for what is no segment:
///
/// * manifests, by their extension; one exception, `vtt` with a number, is a segment of subtitles
/// * what bears no number (that of the extension does not count)
/// * what a player needs first: the extensions `init` and `header`, and names with one of these
///   words (no letter behind it)
pub fn quality(name: &str) -> Option<String> {
    let extension = extension(name).unwrap_or_default();
    let is_subtitles = extension.eq_ignore_ascii_case("vtt");
    let is_lead = LEADS.iter().any(|lead| extension.eq_ignore_ascii_case(lead));
    if is_manifest(name) && !is_subtitles || is_lead {
        return None;
    }
    let stem = match extension {
        "" => name,
        _ => name.rsplit_once('.').map_or(name, |(stem, _)| stem),
    };
    if LEADS.iter().any(|lead| has_word(stem, lead)) {
        return None;
    }
    let end = stem.rfind(|c: char| c.is_ascii_digit())? + 1;
    let start = stem[..end].trim_end_matches(|c: char| c.is_ascii_digit()).len();
    Some([&name[..start], "/", &name[end..]].concat())
}

/// True if `word` is in `text`, in whatever case, and no letter follows it.
fn has_word(text: &str, word: &str) -> bool {
    let text = text.to_ascii_lowercase();
    text.match_indices(word)
        .any(|(at, _)| !text[at + word.len()..].starts_with(|next: char| next.is_alphabetic()))
}

/// What a file is that was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sort {
    /// One of a sequence.
    Segment,
    /// It names others.
    Manifest(Manifest),
    /// It stays: what bears no number, what a player needs first, and files that have their own
    /// header, as a whole rendition has.
    Other,
}

impl Sort {
    /// So much of the beginning of a file must be seen to tell. A larger manifest need not be.
    pub fn look(name: &str) -> usize {
        match quality(name) {
            Some(_) => HEAD,
            None if is_manifest(name) => MOST_MANIFEST,
            None => 0,
        }
    }

    /// By a file's path, and its content as far as it [must be seen](Self::look).
    pub fn new(path: &str, content: &[u8]) -> Self {
        let (_, name) = split(path);
        if quality(name).is_some() {
            let has_header = content.get(4..8) == Some(b"ftyp")
                || content.starts_with(&[0x1A, 0x45, 0xDF, 0xA3]);
            return if has_header { Self::Other } else { Self::Segment };
        }
        if !is_manifest(name) || content.len() >= MOST_MANIFEST {
            return Self::Other;
        }
        Manifest::parse(path, content).map_or(Self::Other, Self::Manifest)
    }
}

/// The segments there are, by quality, in the order in which they came, and what manifests name.
/// Paths are counted from a root, `R`; `T` is what is to be told with a segment when it is dropped.
#[derive(Debug)]
pub struct Retention<R, T> {
    qualities: HashMap<Quality<R>, Segments<T>>,
    /// Number of manifests that name a file of this directory.
    named: HashMap<(R, String), HashMap<String, usize>>,
    /// So many segments of a quality are named, by each manifest.
    windows: HashMap<Quality<R>, Vec<usize>>,
    manifests: HashMap<(R, String), (Manifest, u64)>,
    /// The manifests, by the numbers of their last versions.
    ages: BTreeMap<u64, (R, String)>,
    /// Bytes of what manifests name.
    bytes: usize,
    /// How many were stored.
    stored: u64,
}

/// A quality of a directory.
type Quality<R> = (R, String, String);

#[derive(Debug)]
struct Segments<T> {
    /// Names, the oldest first.
    names: VecDeque<(String, T)>,
    /// The last one's number.
    last: u64,
}

/// What follows from a file that was stored or removed.
#[derive(Debug, PartialEq, Eq)]
pub struct Change<T> {
    /// Segments of the file's directory that are to be dropped, by their names. They are forgotten.
    pub dropped: Vec<(String, T)>,
    /// Files that another number of manifests names now.
    pub renamed: Vec<String>,
}

impl<T> Default for Change<T> {
    fn default() -> Self {
        Self { dropped: Vec::new(), renamed: Vec::new() }
    }
}

impl<R, T> Default for Retention<R, T> {
    fn default() -> Self {
        Self {
            qualities: HashMap::new(),
            named: HashMap::new(),
            windows: HashMap::new(),
            manifests: HashMap::new(),
            ages: BTreeMap::new(),
            bytes: 0,
            stored: 0,
        }
    }
}

impl<R: Clone + Eq + Hash, T> Retention<R, T> {
    /// The file is complete, be it new or replaced: it is the newest of its quality now. Segments
    /// are dropped so that `most` are left, the newest among them, and those that a manifest names.
    pub fn stored(&mut self, root: R, path: &str, sort: Sort, tag: T, most: usize) -> Change<T> {
        self.stored += 1;
        let (dir, name) = split(path);
        let mut change = Change::default();
        match (sort, quality(name)) {
            (Sort::Segment, Some(quality)) => {
                change.dropped = self.add((root, dir.to_owned(), quality), name, tag, most);
            }
            (Sort::Manifest(manifest), _) => change.renamed = self.read(root, path, manifest),
            // It may have been a segment before.
            (Sort::Other | Sort::Segment, _) => self.forget_segment(root, path),
        }
        change
    }

    /// The file is gone. Returns the files that another number of manifests names now.
    pub fn removed(&mut self, root: R, path: &str) -> Vec<String> {
        let renamed = self.forget_manifest(&(root.clone(), path.to_owned()));
        self.forget_segment(root, path);
        renamed
    }

    /// True if a manifest names the file.
    pub fn is_named(&self, root: R, path: &str) -> bool {
        let (dir, name) = split(path);
        self.named.get(&(root, dir.to_owned())).is_some_and(|names| names.contains_key(name))
    }

    /// True if nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.qualities.is_empty()
            && self.named.is_empty()
            && self.windows.is_empty()
            && self.manifests.is_empty()
            && self.ages.is_empty()
            && self.bytes == 0
    }

    fn add(&mut self, key: Quality<R>, name: &str, tag: T, most: usize) -> Vec<(String, T)> {
        let window = self.windows.get(&key).and_then(|most| most.iter().max()).copied();
        let most = most.max(window.unwrap_or(0)).max(1);
        let named = self.named.get(&(key.0.clone(), key.1.clone()));
        let segments = self
            .qualities
            .entry(key)
            .or_insert_with(|| Segments { names: VecDeque::new(), last: 0 });
        segments.last = self.stored;
        segments.names.retain(|(other, _)| other != name);
        segments.names.push_back((name.to_owned(), tag));
        let over = segments.names.len().saturating_sub(most);
        let is_named = |name: &str| named.is_some_and(|names| names.contains_key(name));
        let (stay, dropped): (Vec<_>, _) =
            segments.names.drain(..over).partition(|(name, _)| is_named(name));
        stay.into_iter().rev().for_each(|segment| segments.names.push_front(segment));
        self.forget_oldest();
        dropped
    }

    /// Takes what a manifest names now, in place of what its version before named.
    fn read(&mut self, root: R, path: &str, manifest: Manifest) -> Vec<String> {
        let key = (root.clone(), path.to_owned());
        let mut renamed = self.forget_manifest(&key);
        for file in &manifest.files {
            let (dir, name) = split(file);
            let names = self.named.entry((root.clone(), dir.to_owned())).or_default();
            *names.entry(name.to_owned()).or_default() += 1;
        }
        for (dir, quality, most) in &manifest.windows {
            let key = (root.clone(), dir.clone(), quality.clone());
            self.windows.entry(key).or_default().push(*most);
        }
        renamed.extend(manifest.files.iter().cloned());
        self.bytes += manifest.bytes();
        self.manifests.insert(key.clone(), (manifest, self.stored));
        self.ages.insert(self.stored, key.clone());
        while self.bytes > MOST_BYTES
            && let Some(oldest) = self.ages.values().next().filter(|oldest| **oldest != key)
        {
            let oldest = oldest.clone();
            renamed.extend(self.forget_manifest(&oldest));
        }
        renamed
    }

    fn forget_manifest(&mut self, key: &(R, String)) -> Vec<String> {
        let Some((manifest, stored)) = self.manifests.remove(key) else { return Vec::new() };
        self.ages.remove(&stored);
        self.bytes -= manifest.bytes();
        let root = &key.0;
        for file in &manifest.files {
            let (dir, name) = split(file);
            let key = (root.clone(), dir.to_owned());
            let Some(names) = self.named.get_mut(&key) else { continue };
            if let Some(count) = names.get_mut(name) {
                *count -= 1;
                if *count == 0 {
                    names.remove(name);
                }
            }
            if names.is_empty() {
                self.named.remove(&key);
            }
        }
        for (dir, quality, most) in manifest.windows {
            let key = (root.clone(), dir, quality);
            let Some(windows) = self.windows.get_mut(&key) else { continue };
            if let Some(at) = windows.iter().position(|other| *other == most) {
                windows.swap_remove(at);
            }
            if windows.is_empty() {
                self.windows.remove(&key);
            }
        }
        manifest.files
    }

    fn forget_segment(&mut self, root: R, path: &str) {
        let (dir, name) = split(path);
        let Some(quality) = quality(name) else { return };
        let key = (root, dir.to_owned(), quality);
        if let Some(segments) = self.qualities.get_mut(&key) {
            segments.names.retain(|(other, _)| other != name);
            if segments.names.is_empty() {
                self.qualities.remove(&key);
            }
        }
    }

    fn forget_oldest(&mut self) {
        if self.qualities.len() <= MOST {
            return;
        }
        let mut times: Vec<_> = self.qualities.values().map(|segments| segments.last).collect();
        let (_, &mut middle, _) = times.select_nth_unstable(MOST / 2);
        self.qualities.retain(|_, segments| segments.last >= middle);
    }
}

/// The directory of a path, and its last name.
fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

#[cfg(test)]
mod tests;
