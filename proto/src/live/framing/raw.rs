//! Bytes that nothing is known of: packets as they come.

use super::{Fault, Frames, Step};

/// Most bytes of a packet.
const LARGEST: usize = 64 << 10;

#[derive(Debug)]
pub(super) struct Raw;

impl Frames for Raw {
    fn next(&mut self, data: &[u8], _: bool) -> Result<Step, Fault> {
        let len = data.len().min(LARGEST);
        Ok(Step::Take { len, random_access: true, content: true, time: None })
    }
}
