//! The way back into a stream, at its beginning and behind damage.

use super::{Fault, Step};

/// So far a frame is looked for before what lies there is given up.
pub(super) const FAR: usize = 64 << 10;

/// Whether a frame begins here.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Probe {
    Yes,
    No,
    /// So many bytes are needed to tell.
    Need(usize),
}

/// A search for the next frame.
#[derive(Debug, Default)]
pub(super) struct Search {
    /// No frame begins before this place.
    done: usize,
    /// There was a frame once.
    found: bool,
}

impl Search {
    /// In the middle of a stream, from the second byte.
    pub(super) fn behind_damage() -> Self {
        Self { done: 1, found: true }
    }

    /// Goes on until `probe` says that a frame begins at the front of `data`, which is `None`.
    /// Anything else is the step to do before.
    pub(super) fn run(
        &mut self,
        data: &[u8],
        what: &str,
        help: &'static str,
        mut probe: impl FnMut(&[u8]) -> Probe,
    ) -> Result<Option<Step>, Fault> {
        loop {
            let at = self.done;
            let Some(rest) = data.get(at..).filter(|rest| !rest.is_empty()) else {
                return Ok(Some(Step::Need(at + 1)));
            };
            if at >= FAR && !self.found {
                return Err(Fault::new(
                    format!("no {what} in the first {} KiB: {}", FAR >> 10, looks_like(data)),
                    help,
                ));
            }
            match probe(rest) {
                Probe::Need(more) => return Ok(Some(Step::Need(at + more))),
                Probe::No if at < FAR => self.done += 1,
                Probe::Yes if at == 0 => {
                    *self = Self { done: 0, found: true };
                    return Ok(None);
                }
                Probe::Yes | Probe::No => {
                    self.done = 0;
                    return Ok(Some(Step::pass(at, None)));
                }
            }
        }
    }
}

/// What a user may know the input by.
pub(super) fn looks_like(data: &[u8]) -> String {
    let start = &data[..data.len().min(12)];
    match super::Format::sniff(data) {
        Some(format) => format!("it looks like {format}"),
        None => format!("it begins with \"{}\"", start.escape_ascii()),
    }
}
