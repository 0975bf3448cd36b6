//! Ogg: a page is a packet. The header pages of all logical streams are the tune-in data; a chained
//! stream brings new ones.

use bytes::{Bytes, BytesMut};

use super::{
    Fault, Frames, LARGEST, Packet, Step, TuneIn,
    clock::{Clock, ticks},
    search::{Probe, Search},
};

/// Most logical streams side by side.
const STREAMS: usize = 64;

/// Bytes of a page before its segment table.
const HEAD: usize = 27;

#[derive(Debug, Default)]
pub(super) struct Ogg {
    search: Search,
    synced: bool,
    streams: Vec<Stream>,
    /// The pages so far are headers.
    heading: bool,
    /// The packet to come is one of them.
    header: bool,
    headers: BytesMut,
    tune_in: Bytes,
    clock: Clock,
}

/// A logical stream.
#[derive(Debug)]
struct Stream {
    serial: [u8; 4],
    codec: Codec,
    /// Header packets still to come; `None`: as long as the granule position is 0.
    headers: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Codec {
    /// Granule positions count samples, so many to the second.
    Audio(u32),
    Theora,
    Vp8,
    Other,
}

impl Frames for Ogg {
    fn next(&mut self, data: &[u8], last: bool) -> Result<Step, Fault> {
        if data.len() < 4 {
            return Ok(Step::Need(4));
        }
        if !self.synced || !data.starts_with(b"OggS") {
            self.synced = false;
            let help = "name its real format, or send it as application/octet-stream";
            if let Some(step) = self.search.run(data, "Ogg page", help, |data| probe(data, last))? {
                return Ok(step);
            }
            self.synced = true;
        }
        match page_len(data) {
            Some(len) if data.len() >= len => self.page(&data[..len]),
            Some(len) => Ok(Step::Need(len)),
            None => Ok(Step::Need((data.len() + 1).max(HEAD))),
        }
    }

    fn taken(&mut self, packet: &Packet) {
        if std::mem::take(&mut self.header) {
            self.headers.extend_from_slice(&packet.data);
        } else if packet.content && !self.headers.is_empty() {
            self.tune_in = self.headers.split().freeze();
        }
    }

    fn tune_in(&self) -> TuneIn {
        self.tune_in.clone().into()
    }
}

impl Ogg {
    fn page(&mut self, page: &[u8]) -> Result<Step, Fault> {
        let page = Page::new(page);
        if page.begins {
            if !self.heading {
                self.clock.restart();
                self.streams.clear();
                self.headers.clear();
            }
            self.heading = true;
            if self.streams.len() == STREAMS {
                return Err(Fault::new(
                    format!("there are more than {STREAMS} streams in one"),
                    "check that the input is not damaged",
                ));
            }
            let (codec, headers) = identify(page.content);
            self.streams.push(Stream { serial: page.serial, codec, headers });
        }
        let stream = self.streams.iter_mut().find(|stream| stream.serial == page.serial);
        self.header = self.heading
            && stream.is_some_and(|stream| match &mut stream.headers {
                Some(0) => false,
                Some(left) => {
                    *left = left.saturating_sub(page.packets);
                    true
                }
                None => page.begins || page.granule == Some(0),
            });
        if self.header && self.headers.len() + page.len > LARGEST {
            return Err(Fault::too_large("the header of the stream"));
        }
        self.heading &= self.header;
        let content = !self.header;
        let random_access = content && self.is_join(&page);
        self.tick(&page);
        Ok(Step::Take { len: page.len, random_access, content, time: self.clock.now() })
    }

    /// Video: a page that begins with a keyframe. Sound: any page that begins with a packet.
    fn is_join(&self, page: &Page<'_>) -> bool {
        let is_video = |stream: &&Stream| matches!(stream.codec, Codec::Theora | Codec::Vp8);
        let video = self.streams.iter().find(is_video);
        let Some(stream) = self.streams.iter().find(|stream| stream.serial == page.serial) else {
            return false;
        };
        let first = page.content.first();
        !page.continues
            && video.is_none_or(|video| video.serial == page.serial)
            && match stream.codec {
                Codec::Audio(_) | Codec::Other => true,
                Codec::Theora => first.is_some_and(|byte| byte & 0xC0 == 0),
                Codec::Vp8 => first.is_some_and(|byte| byte & 1 == 0),
            }
    }

    /// The first sound tells the time, at the end of each page.
    fn tick(&mut self, page: &Page<'_>) {
        let sound = self.streams.iter().find_map(|stream| match stream.codec {
            Codec::Audio(rate) => Some((stream.serial, rate)),
            Codec::Theora | Codec::Vp8 | Codec::Other => None,
        });
        if let (Some((serial, rate)), Some(granule), false) = (sound, page.granule, self.header)
            && serial == page.serial
        {
            self.clock.at(ticks(granule, rate.into()));
        }
    }
}

fn probe(data: &[u8], last: bool) -> Probe {
    if !data.starts_with(b"OggS") && !b"OggS".starts_with(data) {
        return Probe::No;
    }
    match page_len(data) {
        Some(_) if data[4] != 0 => Probe::No,
        Some(len) => match data.get(len..) {
            Some(next) if next.starts_with(b"OggS") || last && next.is_empty() => Probe::Yes,
            Some(next) if next.len() >= 4 || last => Probe::No,
            None if last => Probe::No,
            Some(_) | None => Probe::Need(len + 4),
        },
        None if last => Probe::No,
        None => Probe::Need((data.len() + 1).max(HEAD)),
    }
}

/// The length of the page that begins here, once its head is there.
fn page_len(data: &[u8]) -> Option<usize> {
    let segments = usize::from(*data.get(HEAD - 1)?);
    let table = data.get(HEAD..HEAD + segments)?;
    Some(HEAD + segments + table.iter().map(|&len| usize::from(len)).sum::<usize>())
}

/// A page (RFC 3533 §6).
struct Page<'a> {
    len: usize,
    /// The first packet began on a page before.
    continues: bool,
    /// The first page of its logical stream.
    begins: bool,
    /// `None`: no packet ends here.
    granule: Option<u64>,
    serial: [u8; 4],
    /// Packets that end here.
    packets: u32,
    content: &'a [u8],
}

impl<'a> Page<'a> {
    /// A page that is whole.
    fn new(page: &'a [u8]) -> Self {
        let head = |from: usize| page.get(from..).unwrap_or(&[]);
        let granule = head(6).first_chunk().map_or(-1, |bytes| i64::from_le_bytes(*bytes));
        let segments = usize::from(page[HEAD - 1]);
        let table = &page[HEAD..HEAD + segments];
        Self {
            len: page.len(),
            continues: page[5] & 1 != 0,
            begins: page[5] & 2 != 0,
            granule: u64::try_from(granule).ok(),
            serial: head(14).first_chunk().copied().unwrap_or_default(),
            packets: table.iter().map(|&len| u32::from(len < 255)).sum(),
            content: head(HEAD + segments),
        }
    }
}

/// The codec, and the number of its header packets, by the first of them.
fn identify(packet: &[u8]) -> (Codec, Option<u32>) {
    let le = |at: usize| {
        packet.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |bytes| u32::from_le_bytes(*bytes))
    };
    if packet.starts_with(b"\x01vorbis") {
        (Codec::Audio(le(12)), Some(3))
    } else if packet.starts_with(b"OpusHead") {
        (Codec::Audio(48_000), Some(2))
    } else if packet.starts_with(b"Speex   ") {
        (Codec::Audio(le(36)), Some(le(68).saturating_add(2)))
    } else if let Some(flac) = packet.strip_prefix(b"\x7FFLAC") {
        // The mapping's version, the number of further headers (0: unknown), "fLaC", and
        // STREAMINFO, in which the rate has 20 bits.
        let more = flac.get(2..4).map_or(0, |n| u32::from(n[0]) << 8 | u32::from(n[1]));
        let rate = flac
            .get(22..25)
            .map_or(0, |r| u32::from(r[0]) << 12 | u32::from(r[1]) << 4 | u32::from(r[2]) >> 4);
        (Codec::Audio(rate), (more > 0).then_some(more + 1))
    } else if packet.starts_with(b"\x80theora") {
        (Codec::Theora, Some(3))
    } else if packet.starts_with(b"OVP80") {
        (Codec::Vp8, Some(2))
    } else {
        (Codec::Other, None)
    }
}
