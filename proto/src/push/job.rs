//! What is to be done at the origin, and the body of it.

use super::target::Target;
use crate::{fs::FileId, http::Part};

/// Names one job. The embedder chooses it; no two jobs that are under way or waiting have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobId(pub u32);

impl JobId {
    /// Names the file of this job's body in [`Part::File`].
    pub fn file(self) -> FileId {
        FileId::outside(self.0)
    }
}

/// Something to be done at the origin.
#[derive(Clone, Debug)]
pub struct Job {
    /// Its name.
    pub id: JobId,
    /// The resource.
    pub target: Target,
    /// What is to be done.
    pub kind: JobKind,
}

/// What is to be done with a resource.
#[derive(Clone, Debug)]
pub enum JobKind {
    /// Its content is sent.
    Upload(Upload),
    /// It is removed; one that is not there is removed already.
    Delete,
}

/// A body to be sent.
#[derive(Clone, Debug, Default)]
pub struct Upload {
    /// Bytes, where known: sent with `Content-Length`, and exactly so many are. `None`: it ends
    /// when it ends.
    pub len: Option<u64>,
    /// It can be had again from its first byte.
    pub rewindable: bool,
    /// What `Content-Type` says.
    pub media_type: Option<String>,
    /// It is a part of the resource.
    pub range: Option<UploadRange>,
}

/// Where the bytes of a body belong in the resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UploadRange {
    /// Offset of the first byte.
    pub first: u64,
    /// Offset of the last byte. `None`: the body's length tells.
    pub last: Option<u64>,
}

impl Upload {
    /// The length, from whatever tells it.
    ///
    /// # Errors
    /// What is wrong: a range that ends before it begins, is empty, or of another length than the
    /// body.
    pub(crate) fn length(&self) -> Result<Option<u64>, &'static str> {
        let Some(range) = self.range else { return Ok(self.len) };
        let by_range = match range.last {
            Some(last) => Some(
                last.checked_sub(range.first)
                    .and_then(|more| more.checked_add(1))
                    .ok_or("the range ends before it begins")?,
            ),
            None => None,
        };
        match (self.len, by_range) {
            (None, None) => Err("a range needs its end, or a body of known length"),
            (Some(0), _) => Err("a range cannot be empty"),
            (Some(len), Some(range)) if len != range => Err("the range is not as long as the body"),
            (Some(len), _) if range.first.checked_add(len).is_none() => {
                Err("the range is out of bounds")
            }
            (len, by_range) => Ok(len.or(by_range)),
        }
    }
}

/// How far the body of the current job has come.
#[derive(Debug, Default)]
pub(super) struct Source {
    /// Bytes given to the wire.
    pub(super) at: u64,
    /// The part at `at`, if it is there.
    held: Option<Part>,
    /// The part from here on was asked for and has not come.
    asked: Option<u64>,
    /// Where the body ends, if that is known.
    end: Option<u64>,
}

/// What to do next with a body.
#[derive(Debug)]
pub(super) enum Next {
    Push(Part),
    Finish,
    Ask(u64),
    /// The part is on its way.
    Wait,
}

impl Source {
    pub(super) fn next(&mut self) -> Next {
        if let Some(part) = self.held.take() {
            self.at += part.len();
            return Next::Push(part);
        }
        if self.end == Some(self.at) {
            return Next::Finish;
        }
        match self.asked {
            Some(_) => Next::Wait,
            None => {
                self.asked = Some(self.at);
                Next::Ask(self.at)
            }
        }
    }

    /// A part came; ignored unless it is the one that was asked for.
    pub(super) fn part(&mut self, at: u64, part: Part) {
        if self.asked == Some(at) && !part.is_empty() && at.checked_add(part.len()).is_some() {
            self.asked = None;
            self.held = Some(part);
        }
    }

    /// The body ends at `at`; ignored unless that is where the next part would begin.
    pub(super) fn end(&mut self, at: u64) {
        let next = self.at + self.held.as_ref().map_or(0, Part::len);
        if next == at && self.asked.is_none_or(|asked| asked == at) {
            self.asked = None;
            self.end = Some(at);
        }
    }

    /// True if nothing of the body was given away, so that it need not be had again.
    pub(super) fn is_untouched(&self) -> bool {
        self.at == 0
    }

    /// Back to the first byte.
    pub(super) fn rewind(&mut self) {
        if self.at > 0 {
            *self = Self::default();
        }
    }
}
