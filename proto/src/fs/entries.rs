//! The entries of a directory, packed: of a large directory, each takes little memory.

use std::{path::Path, time::SystemTime};

use super::Order;

/// Entries of one block. An allocator gives blocks of this size back to the system; it keeps parts
/// of larger ones for later.
const ROWS: usize = 256;

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A directory.
    Directory,
    /// A regular file.
    File,
}

/// An entry of a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// One segment of a path: not empty, without slash, NUL or backslash.
    pub name: &'a str,
    /// Directory or file.
    pub kind: EntryKind,
    /// Length in bytes; of a directory, 0.
    pub len: u64,
    /// Last modification, if known.
    pub modified: Option<SystemTime>,
    /// The target of a symbolic link: absolute, without links.
    pub link: Option<&'a Path>,
}

impl<'a> Entry<'a> {
    /// A mounted directory.
    pub fn mount(name: &'a str) -> Self {
        Self { name, kind: EntryKind::Directory, len: 0, modified: None, link: None }
    }
}

/// The entries of a directory, in an order. An entry takes the bytes of its name and 56 more.
#[derive(Clone, Debug, Default)]
pub struct Entries {
    blocks: Vec<Block>,
    /// The entries that are left, as numbers of rows, in their order.
    order: Vec<usize>,
    rows: usize,
}

#[derive(Clone, Debug, Default)]
struct Block {
    /// The names of the rows, without anything between them.
    names: String,
    rows: Vec<Row>,
}

#[derive(Clone, Debug)]
struct Row {
    name_end: usize,
    len: u64,
    modified: Option<SystemTime>,
    link: Option<Box<Path>>,
    kind: EntryKind,
}

impl Entries {
    /// Adds an entry as the last one.
    pub fn push(&mut self, entry: Entry<'_>) {
        if self.rows.is_multiple_of(ROWS) {
            self.blocks.push(Block { rows: Vec::with_capacity(ROWS), ..Block::default() });
        }
        if let Some(block) = self.blocks.last_mut() {
            block.names.push_str(entry.name);
            block.rows.push(Row {
                name_end: block.names.len(),
                len: entry.len,
                modified: entry.modified,
                link: entry.link.map(Into::into),
                kind: entry.kind,
            });
            self.order.push(self.rows);
            self.rows += 1;
        }
    }

    /// The number of entries.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// True if there is no entry.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// The entry at a position.
    pub fn get(&self, position: usize) -> Option<Entry<'_>> {
        self.order.get(position).map(|row| entry(&self.blocks, *row))
    }

    /// The entries in their order.
    pub fn iter(&self) -> impl Iterator<Item = Entry<'_>> {
        self.order.iter().map(|row| entry(&self.blocks, *row))
    }

    /// Sorts the entries. Of a large directory this takes a while: an event loop leaves it to a
    /// thread.
    pub fn sort(&mut self, order: Order) {
        let blocks = &self.blocks;
        self.order.sort_unstable_by(|one, other| {
            order.compare(entry(blocks, *one), entry(blocks, *other))
        });
    }

    /// Keeps the entries that pass a test.
    pub fn retain(&mut self, mut keeps: impl FnMut(Entry<'_>) -> bool) {
        let blocks = &self.blocks;
        self.order.retain(|row| keeps(entry(blocks, *row)));
    }

    /// Keeps the first entries, at most so many.
    pub fn truncate(&mut self, most: usize) {
        self.order.truncate(most);
    }
}

impl<'a> Extend<Entry<'a>> for Entries {
    fn extend<T: IntoIterator<Item = Entry<'a>>>(&mut self, entries: T) {
        entries.into_iter().for_each(|entry| self.push(entry));
    }
}

impl<'a> FromIterator<Entry<'a>> for Entries {
    fn from_iter<T: IntoIterator<Item = Entry<'a>>>(entries: T) -> Self {
        let mut all = Self::default();
        all.extend(entries);
        all
    }
}

fn entry(blocks: &[Block], row: usize) -> Entry<'_> {
    let (Block { names, rows }, at) = (&blocks[row / ROWS], row % ROWS);
    let start = if at == 0 { 0 } else { rows[at - 1].name_end };
    let Row { name_end, len, modified, ref link, kind } = rows[at];
    Entry { name: &names[start..name_end], kind, len, modified, link: link.as_deref() }
}
