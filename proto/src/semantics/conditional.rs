//! Conditional requests (RFC 9110 §13) and the validators they compare (§8.8).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::coding::Coding;
use crate::{fs::Meta, http::HeaderList};

/// Seconds from 1970 to the year 10000, where dates of HTTP end (RFC 9110 §5.6.7).
const END_OF_DATES: u64 = 253_402_300_800;

/// What tells one state of a representation from another (RFC 9110 §8.8). The default is a
/// representation without validators.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Validators {
    /// Value of `ETag`, with its quotes.
    pub etag: Option<String>,
    /// Value of `Last-Modified`, in whole seconds.
    pub modified: Option<SystemTime>,
}

/// What the preconditions of a request come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precondition {
    /// They hold, or there are none.
    Go,
    /// The client has it already: 304.
    NotModified,
    /// They do not hold: 412.
    Failed,
}

/// A strong entity tag (RFC 9110 §8.8.3), quoted: inode, length and time of modification in
/// nanoseconds.
pub fn etag(meta: &Meta) -> String {
    let (sign, nanos) = match meta.modified.duration_since(UNIX_EPOCH) {
        Ok(since) => ("", since.as_nanos()),
        Err(before) => ("-", before.duration().as_nanos()),
    };
    format!("\"{:x}-{:x}-{sign}{nanos:x}\"", meta.inode, meta.len)
}

impl Validators {
    /// The validators of a file. No date is later than `now` (RFC 9110 §8.8.2.1); a file from
    /// before 1970 or after 9999 has none, for no field can name it.
    pub fn of(meta: &Meta, now: SystemTime) -> Self {
        let since = meta.modified.min(now).duration_since(UNIX_EPOCH);
        let seconds =
            since.ok().map(|since| since.as_secs()).filter(|&seconds| seconds < END_OF_DATES);
        Self {
            etag: Some(etag(meta)),
            modified: seconds.map(|seconds| UNIX_EPOCH + Duration::from_secs(seconds)),
        }
    }

    /// Those of the same file in a content coding: a strong tag is of one representation (RFC 9110
    /// §8.8.3.3).
    #[must_use]
    pub fn coded(mut self, coding: Coding) -> Self {
        if let Some(etag) = &mut self.etag {
            etag.truncate(etag.len() - 1);
            etag.push('-');
            etag.push_str(coding.token());
            etag.push('"');
        }
        self
    }
}

/// True if the request has a precondition that [`evaluate`] looks at.
pub fn is_conditional(fields: &HeaderList) -> bool {
    ["if-match", "if-none-match", "if-modified-since", "if-unmodified-since"]
        .into_iter()
        .any(|name| fields.get(name).is_some())
}

/// Evaluates the preconditions in the order of RFC 9110 §13.2.2, but for `If-Range`. `safe` is true
/// for GET and HEAD; `current` is `None` if there is no representation.
///
/// A member of a list that cannot be read matches nothing. A date that cannot be read, or that
/// comes on more than one line, is as if it were not there; so is any date if the representation
/// has none.
pub fn evaluate(fields: &HeaderList, safe: bool, current: Option<&Validators>) -> Precondition {
    let modified = current.and_then(|current| current.modified);
    let dates = |name| date(fields, name).zip(modified);
    // A client that read the file compressed writes the same file.
    let (strongly, weakly): (Same, Same) =
        if safe { (strongly, weakly) } else { (strongly_plain, weakly_plain) };
    if fields.get("if-match").is_some() {
        if !lists(fields, "if-match", current, strongly) {
            return Precondition::Failed;
        }
    } else if dates("if-unmodified-since").is_some_and(|(since, modified)| modified > since) {
        return Precondition::Failed;
    }
    if fields.get("if-none-match").is_some() {
        if lists(fields, "if-none-match", current, weakly) {
            return if safe { Precondition::NotModified } else { Precondition::Failed };
        }
    } else if safe && dates("if-modified-since").is_some_and(|(since, modified)| modified <= since)
    {
        return Precondition::NotModified;
    }
    Precondition::Go
}

/// True if `Range` is to be honoured as far as `If-Range` goes (RFC 9110 §13.1.5): it is absent, or
/// its tag is strong and the current one, or its date is the current one, and that is strong
/// (§8.8.2.2): at least a second before `now`. What cannot be read does not match.
pub fn range_applies(fields: &HeaderList, current: &Validators, now: SystemTime) -> bool {
    let mut lines = fields.all("if-range");
    let value = match (lines.next(), lines.next()) {
        (None, _) => return true,
        (Some(value), None) => value,
        (Some(_), Some(_)) => return false,
    };
    if let Some((tag, rest)) = Tag::read(value) {
        return rest.is_empty() && current.tag().is_some_and(|current| strongly(tag, current));
    }
    let (Some(date), Some(modified)) = (parse_date(value), current.modified) else { return false };
    let settled = now.duration_since(modified).is_ok_and(|age| age >= Duration::from_secs(1));
    date == modified && settled
}

impl Validators {
    fn tag(&self) -> Option<Tag<'_>> {
        let (tag, rest) = Tag::read(self.etag.as_deref()?.as_bytes())?;
        rest.is_empty().then_some(tag)
    }
}

/// An entity tag (RFC 9110 §8.8.3).
#[derive(Clone, Copy)]
struct Tag<'a> {
    weak: bool,
    /// Between the quotes.
    opaque: &'a [u8],
}

impl<'a> Tag<'a> {
    /// The tag of the same file without content coding.
    fn plain(mut self) -> Self {
        for coding in Coding::ALL {
            if let Some(plain) = self.opaque.strip_suffix(coding.token().as_bytes())
                && let Some(plain) = plain.strip_suffix(b"-")
            {
                self.opaque = plain;
            }
        }
        self
    }

    /// Reads a tag off the front; there is no escape in it, but there may be commas.
    fn read(value: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (weak, quoted) = match value.strip_prefix(b"W/") {
            Some(quoted) => (true, quoted),
            None => (false, value),
        };
        let quoted = quoted.strip_prefix(b"\"")?;
        let end = quoted.iter().position(|b| !matches!(b, 0x21 | 0x23..=0x7e | 0x80..))?;
        let rest = quoted[end..].strip_prefix(b"\"")?;
        Some((Self { weak, opaque: &quoted[..end] }, rest))
    }
}

/// Strong comparison (RFC 9110 §8.8.3.2).
fn strongly(one: Tag<'_>, other: Tag<'_>) -> bool {
    !one.weak && !other.weak && one.opaque == other.opaque
}

/// Weak comparison.
fn weakly(one: Tag<'_>, other: Tag<'_>) -> bool {
    one.opaque == other.opaque
}

type Same = fn(Tag<'_>, Tag<'_>) -> bool;

fn strongly_plain(one: Tag<'_>, other: Tag<'_>) -> bool {
    strongly(one.plain(), other)
}

fn weakly_plain(one: Tag<'_>, other: Tag<'_>) -> bool {
    weakly(one.plain(), other)
}

/// A member of `If-Match` or `If-None-Match`.
enum Member<'a> {
    Any,
    Tag(Tag<'a>),
    Unreadable,
}

/// The members of a list, without the empty ones.
struct Members<'a>(&'a [u8]);

impl<'a> Iterator for Members<'a> {
    type Item = Member<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let start = self.0.iter().position(|b| !matches!(b, b' ' | b'\t' | b','))?;
        let value = &self.0[start..];
        let (member, rest) = match (Tag::read(value), value.strip_prefix(b"*")) {
            (Some((tag, rest)), _) => (Member::Tag(tag), rest),
            (None, Some(rest)) => (Member::Any, rest),
            (None, None) => (Member::Unreadable, value),
        };
        let (behind, next) =
            rest.split_at(rest.iter().position(|&b| b == b',').unwrap_or(rest.len()));
        self.0 = next;
        Some(if behind.trim_ascii().is_empty() { member } else { Member::Unreadable })
    }
}

/// True if the lines of this name hold the current tag, or nothing but `*` while there is a
/// representation.
fn lists(fields: &HeaderList, name: &str, current: Option<&Validators>, same: Same) -> bool {
    let Some(current) = current else { return false };
    let tag = current.tag();
    let (mut members, mut any, mut found) = (0, false, false);
    for member in fields.all(name).flat_map(Members) {
        members += 1;
        match member {
            Member::Any => any = true,
            Member::Tag(asked) => found |= tag.is_some_and(|current| same(asked, current)),
            Member::Unreadable => {}
        }
    }
    found || any && members == 1
}

/// The date on the only line of this name.
fn date(fields: &HeaderList, name: &str) -> Option<SystemTime> {
    let mut lines = fields.all(name);
    let value = lines.next()?;
    if lines.next().is_some() { None } else { parse_date(value) }
}

/// Reads any of the three forms of RFC 9110 §5.6.7.
fn parse_date(value: &[u8]) -> Option<SystemTime> {
    httpdate::parse_http_date(std::str::from_utf8(value).ok()?).ok()
}

#[cfg(test)]
mod tests;
