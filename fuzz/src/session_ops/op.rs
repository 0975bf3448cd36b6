//! What can happen, and how an input tells of it.

use arbitrary::{Result, Unstructured};
use bytes::Bytes;

use super::templates::TEMPLATES;

/// One thing that happens to a session. Numbers that choose among things are taken modulo how many
/// there are.
#[derive(Clone, Debug)]
pub(super) enum Op {
    /// Bytes are received, in two pieces if they are cut.
    Feed { bytes: Bytes, cut: usize },
    /// The peer sends no more.
    Eof,
    /// Some of what is to be sent is sent.
    Sent { most: u64 },
    /// Nothing can be sent any more.
    Unsendable,
    /// Nor received.
    Broken,
    /// The runtime gives up in the middle of something.
    Abort,
    /// Time passes.
    Advance { millis: u64 },
    /// An effect is answered.
    Answer { which: usize, how: u8, value: u8 },
    /// An effect that has been answered, or is no longer to be, is answered.
    AnswerAgain { which: usize, value: u8 },
    /// An upload that is followed goes on.
    Growth { which: usize, bytes: u8, over: Over },
    /// Word of an upload that is no longer followed.
    LateGrowth { which: usize },
    /// The server goes down.
    ShutDown,
    /// Time passes up to the deadline.
    Deadline,
}

/// Whether an upload is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    No,
    Complete,
    Aborted,
}

impl Op {
    /// Takes the next one, and whether the session is polled after it. Everything is taken from the
    /// front, byte by byte, so that inputs can also be written by hand.
    pub(super) fn next(input: &mut Unstructured<'_>) -> Result<(Self, bool)> {
        let code: u8 = input.arbitrary()?;
        let byte = |input: &mut Unstructured<'_>| input.arbitrary::<u8>().map(usize::from);
        let op = match code & 0x7f {
            b'T' => {
                let text = TEMPLATES[byte(input)? % TEMPLATES.len()];
                Self::Feed { bytes: Bytes::from_static(text.as_bytes()), cut: 0 }
            }
            b'C' => {
                let text = TEMPLATES[byte(input)? % TEMPLATES.len()];
                Self::Feed { bytes: Bytes::from_static(text.as_bytes()), cut: byte(input)? }
            }
            b'R' => {
                let len = byte(input)?.min(input.len());
                Self::Feed { bytes: Bytes::copy_from_slice(input.bytes(len)?), cut: 0 }
            }
            b'E' => Self::Eof,
            b'S' => Self::Sent { most: u64::MAX },
            b's' => Self::Sent { most: input.arbitrary::<u8>()?.into() },
            b'U' => Self::Unsendable,
            b'B' => Self::Broken,
            b'Q' => Self::Abort,
            b'A' => Self::Advance { millis: 1 << (byte(input)? % 24) },
            b'D' => Self::Answer {
                which: byte(input)?,
                how: input.arbitrary()?,
                value: input.arbitrary()?,
            },
            b'd' => Self::Answer { which: 0, how: 0, value: 0 },
            b'L' => Self::AnswerAgain { which: byte(input)?, value: input.arbitrary()? },
            b'G' => Self::Growth { which: byte(input)?, bytes: input.arbitrary()?, over: Over::No },
            b'g' => {
                let which = byte(input)?;
                let over = if byte(input)? & 1 == 0 { Over::Complete } else { Over::Aborted };
                Self::Growth { which, bytes: 0, over }
            }
            b'l' => Self::LateGrowth { which: byte(input)? },
            b'X' => Self::ShutDown,
            b'W' => Self::Deadline,
            // Whatever else it is, it is an answer or a short write: those are what sessions mostly
            // wait for.
            other if other % 2 == 0 => Self::Answer { which: 0, how: other / 2 % 8, value: other },
            other => Self::Sent { most: other.into() },
        };
        Ok((op, code & 0x80 == 0))
    }
}
