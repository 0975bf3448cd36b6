//! Live inputs cut into packets, so that a client always joins on a boundary, gets the tune-in data
//! first and never half a frame.
//!
//! A packet is what the format cannot do without as a whole: one audio frame, a run of TS packets,
//! `moof` with `mdat`, an Ogg page, a block of WebM. It is given as soon as it is complete, so
//! packets can be small: a sender may send several together.

//!
//! ```
//! use bytes::Bytes;
//! use httpout_proto::live::framing::{Format, Framer};
//!
//! let mut framer = Framer::new(Format::MpegAudio);
//! // A frame of MPEG audio layer III: 128 kbit/s, 44.1 kHz, 417 bytes; three times.
//! let frame = [&[0xff, 0xfb, 0x90, 0x00][..], &[0; 413]].concat();
//! framer.handle_data(Bytes::from(frame.repeat(3)));
//! framer.handle_end();
//! let mut packets = 0;
//! while let Some(packet) = framer.poll()? {
//!     assert_eq!((packet.data.len(), packet.random_access), (417, true));
//!     packets += 1;
//! }
//! assert_eq!(packets, 3);
//! # Ok::<(), httpout_proto::live::framing::FramingError>(())
//! ```

mod adts;
mod audio;
mod boxes;
mod buffer;
mod clock;
mod ebml;
mod fmp4;
mod format;
mod mpeg_audio;
mod mpeg_ts;
mod ogg;
mod psi;
mod raw;
mod search;
mod webm;

use std::{fmt, time::Duration};

use bytes::Bytes;

pub use audio::Audio;
pub use format::Format;

use buffer::Buffer;

/// Most bytes of one packet, and of the tune-in data.
const LARGEST: usize = 16 << 20;

/// A piece of a live resource that is sent whole or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// The bytes, never none.
    pub data: Bytes,
    /// A client may join here, with [`Framer::tune_in`] before it.
    pub random_access: bool,
    /// It is neither a header nor damage. A client can join here too, but it may have to wait for a
    /// keyframe before it shows anything.
    pub content: bool,
    /// Media time since the stream's first packet, where the format tells. A step back in the
    /// stream's own time does not show here: the time stands still at it.
    pub time: Option<Duration>,
}

/// What a client that joins gets before its first packet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TuneIn {
    /// The header of the stream.
    pub header: Bytes,
    /// The head of what the stream keeps together, where the client joins in the middle of that.
    pub head: Bytes,
}

impl TuneIn {
    /// Both parts, one after the other.
    pub fn concat(&self) -> Bytes {
        if self.head.is_empty() {
            return self.header.clone();
        }
        [&self.header[..], &self.head].concat().into()
    }
}

impl From<Bytes> for TuneIn {
    fn from(header: Bytes) -> Self {
        Self { header, head: Bytes::new() }
    }
}

/// Cuts one live input into packets. Any split of the input gives the same packets, except for
/// [`Format::Raw`], where the split is all there is to go by.
///
/// The packets joined are the input, but for [`leftover`](Self::leftover) at its end: bytes between
/// frames come along as packets without random access, or at the front of the packet after them.
/// Damage is passed on too, and framing resumes behind it. At most one unfinished packet (16 MiB)
/// is held if `poll` is called until it gives none.
#[derive(Debug)]
pub struct Framer {
    format: Format,
    frames: Box<dyn Frames>,
    buffer: Buffer,
    /// So many bytes are needed before there can be a packet.
    need: usize,
    /// The position of the buffer in the input.
    at: u64,
    ended: bool,
    failed: bool,
}

impl Framer {
    /// For an input from its beginning.
    pub fn new(format: Format) -> Self {
        let frames: Box<dyn Frames> = match format {
            Format::MpegAudio => Box::new(mpeg_audio::frames()),
            Format::Adts => Box::new(adts::frames()),
            Format::MpegTs => Box::<mpeg_ts::Ts>::default(),
            Format::Fmp4 => Box::<fmp4::Fmp4>::default(),
            Format::Ogg => Box::<ogg::Ogg>::default(),
            Format::WebM => Box::<webm::WebM>::default(),
            Format::Raw => Box::new(raw::Raw),
        };
        let buffer = Buffer::default();
        Self { format, frames, buffer, need: 1, at: 0, ended: false, failed: false }
    }

    /// What came from the input. Nothing is taken after the end or after an error.
    pub fn handle_data(&mut self, data: Bytes) {
        if !self.ended && !self.failed {
            self.buffer.push(data);
        }
    }

    /// The input is over.
    pub fn handle_end(&mut self) {
        self.ended = true;
    }

    /// The next packet that is whole.
    ///
    /// # Errors
    ///
    /// Once, where the input is not what it is said to be, or not fit for live use. There is
    /// nothing more after it.
    pub fn poll(&mut self) -> Result<Option<Packet>, FramingError> {
        while !self.failed {
            let total = self.buffer.len();
            if total == 0 || total < self.need && !self.ended {
                self.buffer.join(self.need);
                break;
            }
            let data = self.buffer.join(self.need);
            let there = data.len();
            let last = self.ended && there == total;
            match self.frames.next(data, last) {
                Ok(Step::Take { len, random_access, content, time }) => {
                    let data = self.buffer.take(len);
                    self.at += data.len() as u64;
                    self.need = 1;
                    let packet = Packet { data, random_access, content, time };
                    self.frames.taken(&packet);
                    return Ok(Some(packet));
                }
                Ok(Step::Need(_)) if last => break,
                Ok(Step::Need(need)) => {
                    debug_assert!(need > there, "it waits for what is there");
                    self.need = if self.ended { need.min(total) } else { need };
                }
                Err(fault) => {
                    self.failed = true;
                    self.buffer = Buffer::default();
                    return Err(FramingError { format: self.format, at: self.at, fault });
                }
            }
        }
        Ok(None)
    }

    /// What a client that joins at the packet polled last must get before it; empty if nothing.
    pub fn tune_in(&self) -> TuneIn {
        self.frames.tune_in()
    }

    /// Bytes that are in no packet (yet): after the end, those that were cut in the middle of a
    /// frame.
    pub fn leftover(&self) -> usize {
        self.buffer.len()
    }

    /// What the frames say about the sound; `None` before the first one, and for formats other than
    /// MPEG audio and ADTS.
    pub fn info(&self) -> Option<Audio> {
        self.frames.info()
    }
}

/// The input is not what it is said to be, or not fit for live use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FramingError {
    /// What it was taken for.
    pub format: Format,
    /// The position in the input from which nothing more could be cut, in bytes.
    pub at: u64,
    fault: Fault,
}

impl fmt::Display for FramingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { format, at, fault: Fault { problem, help } } = self;
        write!(f, "{format} input, byte {at}: {problem}; {help}")
    }
}

impl std::error::Error for FramingError {}

/// What is wrong with an input, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Fault {
    problem: String,
    help: &'static str,
}

impl Fault {
    fn new(problem: impl Into<String>, help: &'static str) -> Self {
        Self { problem: problem.into(), help }
    }

    /// `what` is larger than [`LARGEST`].
    fn too_large(what: &str) -> Self {
        Self::new(
            format!("{what} is larger than {} MiB", LARGEST >> 20),
            "send smaller ones, or check that the input is not damaged",
        )
    }
}

/// One format.
trait Frames: fmt::Debug + Send {
    /// Looks at the input from the end of the packet before. `data` are at least as many bytes as
    /// were needed at last; where `last` is set, it is all there will be. What comes out must
    /// depend on the stream alone, not on the length of `data`.
    fn next(&mut self, data: &[u8], last: bool) -> Result<Step, Fault>;

    /// The packet is cut off.
    fn taken(&mut self, _packet: &Packet) {}

    fn tune_in(&self) -> TuneIn {
        TuneIn::default()
    }

    fn info(&self) -> Option<Audio> {
        None
    }
}

/// What a format makes of its input.
#[derive(Debug)]
enum Step {
    /// At least so many bytes are needed, which is more than there are.
    Need(usize),
    /// The first `len` bytes are a packet.
    Take { len: usize, random_access: bool, content: bool, time: Option<Duration> },
}

impl Step {
    /// Bytes that no client can begin with.
    fn pass(len: usize, time: Option<Duration>) -> Self {
        Self::Take { len, random_access: false, content: false, time }
    }
}

#[cfg(test)]
mod tests;
