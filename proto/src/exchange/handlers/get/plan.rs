//! What is sent of a growing file.

use crate::semantics::range::{RangeSpec, Ranges, Span, VERY_LARGE};

/// What is to be sent of a growing file, and when the answer can begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// All of it, from its first byte on.
    Whole,
    /// From here on; begins when this byte is there.
    From { first: u64, last: Option<u64> },
    /// Exactly this; begins when all of it is there.
    Closed(Span),
    /// What can only be told at the end.
    AtEnd,
}

impl Plan {
    pub(super) fn new(ranges: &Ranges, total: Option<u64>) -> Self {
        match (ranges.single(), total) {
            // Without a length there is no Content-Range for the whole; players that always ask for
            // `bytes=0-` take a 200.
            (Some(RangeSpec::From { first: 0 }), None) => Self::Whole,
            // RFC 8673 §3 asks for what is to come, which ends here.
            (Some(RangeSpec::Closed { first, last }), Some(total))
                if last >= VERY_LARGE && first < total =>
            {
                Self::From { first, last: None }
            }
            (Some(RangeSpec::From { first }), Some(total)) if first >= total => Self::AtEnd,
            (Some(RangeSpec::From { first }), _) => Self::From { first, last: None },
            // RFC 8673 §3: the peer says with a very large number that it wants what is to come.
            (Some(RangeSpec::Closed { first, last }), None) if last >= VERY_LARGE => {
                Self::From { first, last: Some(last) }
            }
            // With the last byte goes the word that the upload was stored.
            (Some(RangeSpec::Closed { last, .. }), Some(total))
                if last.saturating_add(1) >= total =>
            {
                Self::AtEnd
            }
            (Some(RangeSpec::Closed { first, last }), _) => {
                Self::Closed(Span { start: first, end: last.saturating_add(1) })
            }
            (Some(RangeSpec::Suffix { len }), Some(total)) if len > 0 && total > 0 => {
                Self::From { first: total.saturating_sub(len), last: None }
            }
            (Some(RangeSpec::Suffix { .. }) | None, _) => Self::AtEnd,
        }
    }
}
