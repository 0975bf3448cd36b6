//! What the body of an upload is: a whole file, or runs of bytes in one.

use crate::exchange::{
    context::ExchangeContext,
    error::{refuse, say},
    reply::error_head,
};
use crate::{
    fs::Patch,
    http::{Method, RequestHead, Status},
    semantics::{
        content_range,
        patch::{self, Parser},
        range::{RangeSpec, Ranges},
    },
};

/// What the body is.
#[derive(Debug)]
pub(super) enum Content {
    /// The whole resource.
    Whole,
    /// Ranges, before the length of the target is known.
    Ranges(UploadRanges),
    /// These runs, the last of which may be open (length `u64::MAX`).
    Patches { patches: Vec<Patch>, create: bool },
    /// Runs that the body itself names.
    Patch(Box<Parser>),
}

/// The ranges that an upload fills, before the length of the target is known.
#[derive(Debug)]
pub(super) enum UploadRanges {
    Range(Ranges),
    ContentRange { at: u64, len: u64 },
}

/// Length of a run that ends where the body ends.
const OPEN: u64 = u64::MAX;
pub(super) const COUNT: &str = "the body has more or fewer bytes than the ranges";

/// What the body is, by method and fields; `None` if it was refused.
pub(super) fn read(request: &RequestHead, cx: &mut ExchangeContext<'_>) -> Option<Content> {
    if request.method == Method::Patch {
        let media_type = request.fields.get("content-type").unwrap_or_default();
        return match patch::kind(media_type) {
            Some(Ok(kind)) => Some(Content::Patch(Box::new(Parser::new(kind)))),
            Some(Err(why)) => {
                refuse(cx, Status::BAD_REQUEST, why);
                None
            }
            None => {
                let head = error_head(cx.site, Status::UNSUPPORTED_MEDIA_TYPE)
                    .field("Accept-Patch", "message/byterange, multipart/byteranges");
                say(cx, head, "PATCH takes message/byterange and multipart/byteranges");
                None
            }
        };
    }
    let fields = &request.fields;
    let mut ranges = fields.all("range");
    let mut content_ranges = fields.all("content-range");
    let asked = match (ranges.next(), content_ranges.next(), ranges.next(), content_ranges.next()) {
        (None, None, _, _) => return Some(Content::Whole),
        (Some(range), None, None, _) => {
            Ranges::parse(range, cx.site.config.limits.ranges)
                .filter(only_the_last_is_open)
                .map(UploadRanges::Range)
                .ok_or("the Range of an upload is not a list of byte ranges, the last of which may be open")
        }
        (None, Some(range), _, None) => content_range::parse(range)
            .map(|range| UploadRanges::ContentRange { at: range.first, len: range.length().min(OPEN - 1) }),
        _ => Err("an upload has one Range or one Content-Range"),
    };
    match asked {
        Ok(asked) => Some(Content::Ranges(asked)),
        Err(why) => {
            refuse(cx, Status::BAD_REQUEST, why);
            None
        }
    }
}

fn only_the_last_is_open(ranges: &Ranges) -> bool {
    let open = |spec: &RangeSpec| matches!(spec, RangeSpec::From { .. });
    ranges.specs().split_last().is_some_and(|(_, before)| !before.iter().any(open))
}

impl UploadRanges {
    /// The runs to fill in a file of `len` bytes, and whether the file may be missing.
    pub(super) fn patches(&self, len: u64) -> (Vec<Patch>, bool) {
        match self {
            &Self::ContentRange { at, len } => (vec![Patch { at, len }], at == 0),
            Self::Range(ranges) => {
                let patch = |spec: &RangeSpec| match *spec {
                    // However far it reaches, it is not open: so many bytes must come.
                    RangeSpec::Closed { first, last } => {
                        Patch { at: first, len: (last - first).saturating_add(1).min(OPEN - 1) }
                    }
                    RangeSpec::From { first } => Patch { at: first, len: OPEN },
                    RangeSpec::Suffix { len: suffix } => {
                        let suffix = suffix.min(len);
                        Patch { at: len - suffix, len: suffix }
                    }
                };
                (ranges.specs().iter().map(patch).collect(), false)
            }
        }
    }
}

/// The bytes that the runs take for certain, and whether the last one is open.
pub(super) fn room(patches: &[Patch]) -> (u64, bool) {
    let open = patches.last().is_some_and(|last| last.len == OPEN);
    let fixed = if open { &patches[..patches.len() - 1] } else { patches };
    (fixed.iter().fold(0, |sum, patch| patch.len.saturating_add(sum)), open)
}

/// Where the farthest of the runs ends; an open one, where the rest of so many bytes does.
pub(super) fn end_of(patches: &[Patch], received: u64) -> u64 {
    let (fixed, _) = room(patches);
    let end = |patch: &Patch| {
        let len = if patch.len == OPEN { received.saturating_sub(fixed) } else { patch.len };
        patch.at.saturating_add(len)
    };
    patches.iter().map(end).max().unwrap_or(0)
}

/// The length of the file where a run would leave a hole.
pub(super) fn check_holes(patches: &[Patch], len: u64) -> Result<(), u64> {
    patches
        .iter()
        .try_fold(len, |len, patch| {
            if patch.at > len { Err(len) } else { Ok(len.max(patch.at.saturating_add(patch.len))) }
        })
        .map(|_| ())
}

/// Gives the open run the length that remains.
pub(super) fn fill(mut patches: Vec<Patch>, received: u64) -> Result<Vec<Patch>, &'static str> {
    let (fixed, open) = room(&patches);
    match (patches.last_mut(), received.checked_sub(fixed)) {
        (Some(last), Some(left)) if open && left > 0 => last.len = left,
        (Some(_), Some(0)) if !open => {}
        _ => return Err(COUNT),
    }
    Ok(patches)
}
