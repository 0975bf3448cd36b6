//! What a packet is, format by format.

use std::{collections::VecDeque, fmt, time::Duration};

use bytes::Bytes;

use super::Audio;

/// A piece of a live resource that is sent whole or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// The bytes.
    pub data: Bytes,
    /// A client may begin here, with the [tune-in data](Framer::tune_in) before.
    pub random_access: bool,
    /// Media time since the first packet, where the format tells.
    pub time: Option<Duration>,
}

/// How a stream is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// As it comes.
    Raw,
}

impl Format {
    /// That of a media type.
    pub fn from_media_type(_media_type: &str) -> Option<Self> {
        None
    }

    /// That of an extension.
    pub fn from_extension(_extension: &str) -> Option<Self> {
        None
    }

    /// That of a stream with these first bytes.
    pub fn sniff(_first: &[u8]) -> Option<Self> {
        None
    }

    /// Its media type.
    pub fn media_type(self) -> &'static str {
        "application/octet-stream"
    }
}

/// Cuts a stream.
#[derive(Debug)]
pub struct Framer {
    packets: VecDeque<Packet>,
}

/// Why a stream cannot be cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FramingError(String);

impl fmt::Display for FramingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for FramingError {}

impl Framer {
    /// For a stream of this format.
    pub fn new(_format: Format) -> Self {
        Self { packets: VecDeque::new() }
    }

    /// More of it.
    pub fn handle_data(&mut self, mut data: Bytes) {
        while !data.is_empty() {
            let data = data.split_to(data.len().min(64 << 10));
            self.packets.push_back(Packet { data, random_access: true, time: None });
        }
    }

    /// No more.
    pub fn handle_end(&mut self) {}

    /// The next packet, if it is there.
    ///
    /// # Errors
    /// What is wrong with the stream.
    pub fn poll(&mut self) -> Result<Option<Packet>, FramingError> {
        Ok(self.packets.pop_front())
    }

    /// What a client needs that begins with the packet polled last.
    pub fn tune_in(&self) -> Bytes {
        Bytes::new()
    }

    /// Bytes that were cut at the end.
    pub fn leftover(&self) -> usize {
        0
    }

    /// What kind of sound it is.
    pub fn info(&self) -> Option<Audio> {
        None
    }
}
