//! A directory's listing, for people and for programs: written in pieces, so that a large directory
//! delays no other client.

mod escape;
mod html;
mod json;

use bytes::Bytes;
use percent_encoding::percent_decode_str;

use crate::semantics::coding;
use crate::{
    fs::{Entries, Entry, EntryKind, Order, RelPath},
    http::HeaderList,
};

pub(crate) use html::CONTENT_SECURITY_POLICY;

/// Most entries of one piece.
const PIECE: usize = 256;

/// Most bytes of names in one piece, unless a single one is longer. A byte is written as up to
/// nine, so a piece stays below 128 KiB.
const PIECE_NAMES: usize = 8 << 10;

/// Which entries are listed: those whose names hold a text, without regard to case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Filter(String);

impl Filter {
    /// Reads `filter=TEXT` out of a query, as a form writes it; anything else is passed over.
    pub(crate) fn from_query(query: Option<&str>) -> Self {
        let pairs = query.unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
        let text = pairs.filter(|(key, _)| *key == "filter").map(|(_, text)| text).next();
        let text = text.unwrap_or_default().replace('+', " ");
        Self(percent_decode_str(&text).decode_utf8_lossy().into_owned())
    }

    /// Leaves the entries that are to be listed.
    pub(crate) fn keep(&self, entries: &mut Entries) {
        if !self.0.is_empty() {
            let wanted = self.0.to_lowercase();
            entries.retain(|entry| entry.name.to_lowercase().contains(&wanted));
        }
    }
}

/// The form of a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Html,
    Json,
}

impl Format {
    /// What the client likes better by its `Accept` (RFC 9110 §12.5.1); HTML of two it likes as
    /// much.
    pub(crate) fn negotiate(fields: &HeaderList) -> Self {
        let (html, json) = (weight(fields, b"text/html"), weight(fields, b"application/json"));
        if json > html { Self::Json } else { Self::Html }
    }

    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Self::Html => "text/html; charset=utf-8",
            Self::Json => "application/json",
        }
    }
}

/// How much the client likes a media type, in thousandths: by the most specific range that fits.
fn weight(fields: &HeaderList, media_type: &[u8]) -> u16 {
    let mut best = (0, 0);
    for member in fields.list("accept") {
        let mut parts = member.split(|&b| b == b';').map(<[u8]>::trim_ascii);
        let range = parts.next().unwrap_or_default();
        let fits = if range == b"*/*" {
            1
        } else if range.eq_ignore_ascii_case(media_type) {
            3
        } else {
            let major = media_type.split(|&b| b == b'/').next().unwrap_or_default();
            let same = range.strip_suffix(b"/*").is_some_and(|r| r.eq_ignore_ascii_case(major));
            if same { 2 } else { 0 }
        };
        let q = parts.find_map(|parameter| {
            parameter.strip_prefix(b"q=").or_else(|| parameter.strip_prefix(b"Q="))
        });
        let weight = q.map_or(Some(1000), coding::weight);
        if let (true, Some(weight)) = (fits > best.0, weight) {
            best = (fits, weight);
        }
    }
    best.1
}

/// What is still to be written of a listing.
#[derive(Debug)]
pub(crate) struct Listing {
    format: Format,
    path: RelPath,
    order: Order,
    filter: Filter,
    entries: Entries,
    /// The next entry to write.
    position: usize,
    total: Total,
    truncated: bool,
    at: At,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Start,
    Rows,
    End,
}

/// What the entries that are written come to.
#[derive(Clone, Copy, Debug, Default)]
struct Total {
    directories: u64,
    files: u64,
    bytes: u64,
}

impl Listing {
    /// Of the directory with this path in the URL; `truncated`: there is more than these entries.
    pub(crate) fn new(
        format: Format,
        path: &RelPath,
        order: Order,
        filter: Filter,
        entries: Entries,
        truncated: bool,
    ) -> Self {
        Self {
            format,
            path: path.clone(),
            order,
            filter,
            entries,
            position: 0,
            total: Total::default(),
            truncated,
            at: At::Start,
        }
    }

    /// True if one piece is all.
    pub(crate) fn is_short(&self) -> bool {
        self.at == At::Start && self.rows() == self.left()
    }

    /// The next piece; `None` at the end.
    pub(crate) fn next(&mut self) -> Option<Bytes> {
        if self.at == At::End {
            return None;
        }
        let mut out = String::new();
        if self.at == At::Start {
            self.at = At::Rows;
            match self.format {
                Format::Html => {
                    let (filter, is_empty) = (&self.filter.0, self.entries.is_empty());
                    html::head(&mut out, &self.path, self.order, filter, is_empty);
                }
                Format::Json => json::head(&mut out, &self.path),
            }
        }
        let end = self.position + self.rows();
        while let Some(entry) = self.entries.get(self.position).filter(|_| self.position < end) {
            self.total.add(entry);
            match self.format {
                Format::Html => html::row(&mut out, entry),
                Format::Json => json::row(&mut out, entry, self.position == 0),
            }
            self.position += 1;
        }
        if self.left() == 0 {
            self.at = At::End;
            match self.format {
                Format::Html => html::foot(&mut out, self.total, self.truncated),
                Format::Json => json::foot(&mut out, self.truncated),
            }
        }
        Some(out.into())
    }

    /// How many entries go into the next piece.
    fn rows(&self) -> usize {
        let mut names = 0;
        let fit = (self.position..).map_while(|at| self.entries.get(at)).take(PIECE).take_while(
            |entry| {
                let first = names == 0;
                names += entry.name.len();
                first || names <= PIECE_NAMES
            },
        );
        fit.count()
    }

    /// How many entries are not written yet.
    fn left(&self) -> usize {
        self.entries.len() - self.position
    }
}

impl Total {
    fn add(&mut self, entry: Entry<'_>) {
        match entry.kind {
            EntryKind::Directory => self.directories += 1,
            EntryKind::File => self.files += 1,
        }
        self.bytes = self.bytes.saturating_add(entry.len);
    }
}

#[cfg(test)]
mod tests;
