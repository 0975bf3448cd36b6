//! Streams of audio frames that begin with a header each. Tags between them are passed on.

use std::time::Duration;

use super::{
    Fault, Frames, Step,
    clock::ticks,
    search::{Probe, Search},
};

/// Tags are passed on in pieces of so many bytes.
const TAG_PIECE: usize = 64 << 10;

/// What the frames of a stream say about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Audio {
    /// bit/s: for MPEG audio as the latest frame says, for ADTS the mean of all frames.
    pub bitrate: u32,
    /// Hz.
    pub sample_rate: u32,
    /// 1 to 8; 0 where the header leaves it to the content.
    pub channels: u8,
}

/// A frame's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// The frame's length in bytes, with the header.
    pub(super) len: usize,
    /// Samples of each channel.
    pub(super) samples: u32,
    /// Hz, never 0.
    pub(super) sample_rate: u32,
    /// bit/s, where the header says.
    pub(super) bitrate: Option<u32>,
    pub(super) channels: u8,
    /// What does not change from frame to frame.
    pub(super) kind: u16,
}

/// What is special to a format.
#[derive(Debug)]
pub(super) struct Kind {
    pub(super) what: &'static str,
    /// The header's length in bytes.
    pub(super) head_len: usize,
    /// Reads a header of that length; the frame is longer than it.
    pub(super) head: fn(&[u8]) -> Option<Head>,
}

/// The frames of one stream. A frame is believed if it follows one of its kind, or if another one
/// of its kind, a tag or the end follows it.
#[derive(Debug)]
pub(super) struct AudioFrames {
    kind: Kind,
    search: Search,
    /// The kind of the frame before, if one ends here.
    follows: Option<u16>,
    /// So much of a tag is still to come.
    tag: usize,
    /// The rate in Hz, samples since it came to that, and the time when it did.
    samples: (u32, u64, Duration),
    bytes: u64,
    latest: Option<Head>,
}

impl AudioFrames {
    pub(super) fn new(kind: Kind) -> Self {
        Self {
            kind,
            search: Search::default(),
            follows: None,
            tag: 0,
            samples: (1, 0, Duration::ZERO),
            bytes: 0,
            latest: None,
        }
    }

    /// Whether a stream that begins like this is one of these.
    pub(super) fn begins(&self, data: &[u8]) -> bool {
        let data = match tag(data, true) {
            // Without a look behind the tag: these are found in MP3 above all.
            Tag::Of(len) if len >= data.len() => return self.kind.what == super::mpeg_audio::WHAT,
            Tag::Of(len) => &data[len..],
            Tag::None | Tag::Need(_) => data,
        };
        let head = data.get(..self.kind.head_len).and_then(self.kind.head);
        head.is_some_and(|head| match data.get(head.len..head.len + self.kind.head_len) {
            Some(next) => self.confirms(next, head),
            None => true,
        })
    }

    fn confirms(&self, next: &[u8], head: Head) -> bool {
        (self.kind.head)(next).is_some_and(|next| next.kind == head.kind)
    }

    fn probe(&self, data: &[u8], last: bool) -> Probe {
        match tag(data, last) {
            Tag::None => {}
            Tag::Of(_) => return Probe::Yes,
            Tag::Need(more) => return Probe::Need(more),
        }
        let size = self.kind.head_len;
        let Some(head) = data.get(..size) else {
            return if last { Probe::No } else { Probe::Need(size) };
        };
        let Some(head) = (self.kind.head)(head) else { return Probe::No };
        match data.get(head.len..) {
            Some([]) if last => Probe::Yes,
            Some(next) if next.len() >= size => {
                // So many bytes of a tag are enough, and no more may be needed.
                let is_tag = TAGS.iter().any(|(magic, _)| next[..size].starts_with(&magic[..3]));
                if is_tag || self.confirms(&next[..size], head) { Probe::Yes } else { Probe::No }
            }
            Some(_) | None if last => Probe::No,
            Some(_) | None => Probe::Need(head.len + size),
        }
    }

    fn time(&self) -> Duration {
        let (rate, samples, since) = self.samples;
        since.saturating_add(ticks(samples, rate.into()))
    }

    fn frame(&mut self, head: Head) -> Step {
        let time = self.time();
        if self.samples.0 != head.sample_rate {
            self.samples = (head.sample_rate, 0, time);
            self.bytes = 0;
        }
        self.samples.1 += u64::from(head.samples);
        self.bytes += head.len as u64;
        self.follows = Some(head.kind);
        self.latest = Some(head);
        Step::Take { len: head.len, random_access: true, content: true, time: Some(time) }
    }
}

impl Frames for AudioFrames {
    fn next(&mut self, data: &[u8], last: bool) -> Result<Step, Fault> {
        if self.tag == 0 {
            match tag(data, last) {
                Tag::Of(len) => self.tag = len,
                Tag::Need(more) => return Ok(Step::Need(more)),
                Tag::None => {}
            }
        }
        if self.tag > 0 {
            let len = self.tag.min(TAG_PIECE);
            if data.len() < len {
                return Ok(Step::Need(len));
            }
            self.tag -= len;
            return Ok(Step::pass(len, Some(self.time())));
        }
        let size = self.kind.head_len;
        let Some(head) = data.get(..size) else { return Ok(Step::Need(size)) };
        let mut head = (self.kind.head)(head);
        if head.is_none_or(|head| self.follows != Some(head.kind)) {
            self.follows = None;
            let mut search = std::mem::take(&mut self.search);
            let found = search.run(
                data,
                self.kind.what,
                "name its real format, or send it as application/octet-stream",
                |data| self.probe(data, last),
            );
            self.search = search;
            if let Some(step) = found? {
                return Ok(step);
            }
            head = data.get(..size).and_then(self.kind.head);
        }
        match head {
            Some(head) if data.len() < head.len => Ok(Step::Need(head.len)),
            Some(head) => Ok(self.frame(head)),
            None => Ok(Step::Need(data.len() + 1)),
        }
    }

    fn info(&self) -> Option<Audio> {
        let head = self.latest?;
        let mean = u128::from(self.bytes) * 8 * u128::from(head.sample_rate)
            / u128::from(self.samples.1.max(1));
        let bitrate = head.bitrate.unwrap_or_else(|| u32::try_from(mean).unwrap_or(u32::MAX));
        Some(Audio { bitrate, sample_rate: head.sample_rate, channels: head.channels })
    }
}

/// How ID3v2, ID3v1 and APE tags begin, and how much tells their length.
const TAGS: [(&[u8], usize); 3] = [(b"ID3", 10), (b"TAG", 128), (b"APETAGEX", 32)];

/// Whether data begin with a tag.
enum Tag {
    None,
    /// So long, in bytes.
    Of(usize),
    /// So many bytes are needed to tell.
    Need(usize),
}

fn tag(data: &[u8], last: bool) -> Tag {
    let of = |(magic, _): &&(&[u8], _)| data.starts_with(magic) || magic.starts_with(data);
    let Some(&(_, len)) = TAGS.iter().find(of).filter(|_| !data.is_empty()) else {
        return Tag::None;
    };
    match data.get(..len) {
        Some(head) => tag_len(head).map_or(Tag::None, Tag::Of),
        None if last => Tag::None,
        None => Tag::Need(data.len() + 1),
    }
}

fn tag_len(head: &[u8]) -> Option<usize> {
    match *head {
        [b'I', b'D', b'3', 2..=4, _, flags, a, b, c, d, ..] if (a | b | c | d) < 0x80 => {
            let footer = if flags & 0x10 == 0 { 0 } else { 10 };
            let size = [a, b, c, d].iter().fold(0, |size, &byte| size << 7 | usize::from(byte));
            Some(10 + size + footer)
        }
        [b'T', b'A', b'G', ..] => Some(128),
        [b'A', b'P', b'E', b'T', b'A', b'G', b'E', b'X', _, 3 | 7, 0, 0, a, b, c, 0, ..] => {
            // The header counts what follows it; a footer (bit 29 is clear) stands behind its
            // items.
            let is_header = head.get(23).is_some_and(|flags| flags & 0x20 != 0);
            let size = usize::from(a) | usize::from(b) << 8 | usize::from(c) << 16;
            Some(if is_header { 32 + size } else { 32 })
        }
        _ => None,
    }
}
