//! WebM and Matroska. Up to the first Cluster, each element is a packet, and what a player needs of
//! them is the tune-in data. Then each block is one; the first of a Cluster comes with the
//! Cluster's head. A client joins at a keyframe of the video track, without video at any block.
//! Encoders do not begin a Cluster with each keyframe: who joins inside of one gets another head
//! for the rest of it.
//!
//! The ends of Segments and Clusters are not looked for: what follows tells. So it does not matter
//! whether their sizes are known.

use std::time::Duration;

use bytes::Bytes;

use super::{
    Fault, Frames, LARGEST, Step, TuneIn,
    clock::Clock,
    ebml::{self, Element, Front},
    search::{Probe, Search, looks_like},
};

const HELP: &str = "name its real format, or send it as application/octet-stream";

#[derive(Debug, Default)]
pub(super) struct WebM {
    begun: bool,
    /// The stream is damaged: the next Cluster is looked for.
    search: Option<Search>,
    /// The next element begins here.
    at: usize,
    /// The packet to come has the head of its Cluster.
    opening: bool,
    /// The Cluster's timestamp, in ticks.
    cluster: Option<u64>,
    /// That of the packet before, if a client can join there and it was without the head of its
    /// Cluster.
    inside: Option<u64>,
    /// Nanoseconds of a tick.
    scale: u64,
    video: Option<u64>,
    /// The tune-in data of a stream whose first Cluster is still to come.
    header: Option<Vec<u8>>,
    tune_in: Bytes,
    clock: Clock,
}

impl Frames for WebM {
    fn next(&mut self, data: &[u8], last: bool) -> Result<Step, Fault> {
        loop {
            if let Some(search) = &mut self.search {
                if let Some(step) = search.run(data, "Cluster", HELP, probe)? {
                    return Ok(step);
                }
                self.search = None;
            }
            let at = self.at;
            let rest = data.get(at..).unwrap_or(&[]);
            let element = match ebml::front(rest) {
                Front::Element(element) => element,
                Front::Need(_) if last && rest.is_empty() && at > 0 => {
                    return Ok(self.cut(at, false, false));
                }
                Front::Need(more) => return Ok(Step::Need(at + more)),
                Front::Bad => Element { id: 0, id_len: 0, head_len: 0, size: None },
            };
            if !self.begun && element.id != ebml::EBML {
                return Err(Fault::new(format!("no EBML header: {}", looks_like(data)), HELP));
            }
            self.begun = true;
            let step = match element.id {
                ebml::SEGMENT | ebml::CLUSTER => self.open(at, rest, element),
                ebml::EBML
                | ebml::SEEK_HEAD
                | ebml::INFO
                | ebml::TRACKS
                | ebml::CUES
                | ebml::CHAPTERS
                | ebml::TAGS
                | ebml::ATTACHMENTS => self.level_1(at, rest, element)?,
                ebml::VOID
                | ebml::CRC
                | ebml::TIMESTAMP
                | ebml::POSITION
                | ebml::PREV_SIZE
                | ebml::SILENT_TRACKS
                | ebml::SIMPLE_BLOCK
                | ebml::BLOCK_GROUP => self.in_cluster(at, rest, element)?,
                _ => self.damaged(at),
            };
            if let Some(step) = step {
                return Ok(step);
            }
        }
    }

    fn tune_in(&self) -> TuneIn {
        let head = self.inside.map(ebml::cluster).unwrap_or_default();
        TuneIn { header: self.tune_in.clone(), head: head.into() }
    }
}

impl WebM {
    /// Segment and Cluster: only their heads count.
    fn open(&mut self, at: usize, rest: &[u8], element: Element) -> Option<Step> {
        if at > 0 {
            return Some(self.cut(at, false, false));
        }
        let len = element.head_len;
        if element.id == ebml::SEGMENT {
            if let Some(header) = &mut self.header {
                header.extend(ebml::endless(&rest[..len], element.id_len));
            }
            return Some(self.cut(len, false, false));
        }
        if let Some(header) = self.header.take() {
            self.tune_in = header.into();
        }
        (self.at, self.opening, self.cluster) = (len, true, None);
        None
    }

    /// Elements beside the Clusters.
    fn level_1(&mut self, at: usize, rest: &[u8], element: Element) -> Result<Option<Step>, Fault> {
        if at > 0 {
            return Ok(Some(self.cut(at, false, false)));
        }
        let Some((end, content)) = whole(rest, element)? else {
            return Ok(Some(self.need(0, rest, element)));
        };
        match element.id {
            ebml::EBML => {
                self.clock.restart();
                (self.video, self.cluster, self.scale) = (None, None, 1_000_000);
                self.header = Some(Vec::new());
            }
            ebml::INFO => self.scale = ebml::timestamp_scale(content),
            ebml::TRACKS => self.video = ebml::video_track(content),
            _ => {}
        }
        // Places in the file mean nothing to a listener that joins later.
        let needed = !matches!(element.id, ebml::SEEK_HEAD | ebml::CUES);
        if let Some(header) = self.header.as_mut().filter(|_| needed) {
            if header.len() + end > LARGEST {
                return Err(Fault::too_large("the header of the stream"));
            }
            header.extend_from_slice(&rest[..end]);
        }
        Ok(Some(self.cut(end, false, false)))
    }

    fn in_cluster(
        &mut self,
        at: usize,
        rest: &[u8],
        element: Element,
    ) -> Result<Option<Step>, Fault> {
        let Some((len, content)) = whole(rest, element)? else {
            return Ok(Some(self.need(at, rest, element)));
        };
        let end = at + len;
        if end > LARGEST {
            return Err(Fault::too_large("a block"));
        }
        let block = match element.id {
            ebml::SIMPLE_BLOCK => ebml::simple_block(content),
            ebml::BLOCK_GROUP => ebml::block_group(content),
            ebml::TIMESTAMP => {
                self.cluster = Some(ebml::number(content));
                None
            }
            _ => None,
        };
        self.at = end;
        if let (Some(block), Some(cluster)) = (block, self.cluster) {
            let nanos = (i128::from(cluster) + i128::from(block.time)) * i128::from(self.scale);
            let nanos = u64::try_from(nanos.max(0)).unwrap_or(u64::MAX);
            self.clock.at(Duration::from_nanos(nanos));
        }
        // What is no block goes with the next one.
        let Some(block) = block else { return Ok(None) };
        let leads = self.video.is_none_or(|video| block.track == video && block.key);
        let in_cluster = self.cluster.is_some() && self.header.is_none();
        Ok(Some(self.cut(end, in_cluster, leads && in_cluster)))
    }

    /// No element that can be here.
    fn damaged(&mut self, at: usize) -> Option<Step> {
        self.search = Some(Search::behind_damage());
        (at > 0).then(|| self.cut(at, false, false))
    }

    /// An element that is not whole.
    fn need(&mut self, at: usize, rest: &[u8], element: Element) -> Step {
        let size = element.size.and_then(|size| usize::try_from(size).ok());
        Step::Need(at + element.head_len + size.unwrap_or(rest.len()))
    }

    fn cut(&mut self, len: usize, content: bool, random_access: bool) -> Step {
        self.inside = self.cluster.filter(|_| content && !self.opening);
        (self.at, self.opening) = (0, false);
        Step::Take { len, random_access, content, time: self.clock.now() }
    }
}

/// An element's length and content, once it is whole. An unknown size counts as a large one: only
/// Segment and Cluster may have it.
fn whole(rest: &[u8], element: Element) -> Result<Option<(usize, &[u8])>, Fault> {
    let size = element.size.and_then(|size| usize::try_from(size).ok());
    let end = size.and_then(|size| size.checked_add(element.head_len));
    let Some(end) = end.filter(|&end| end <= LARGEST) else {
        return Err(Fault::too_large("an element"));
    };
    Ok(rest.get(element.head_len..end).map(|content| (end, content)))
}

/// Damage is passed on up to the next Cluster, or the next stream.
fn probe(data: &[u8]) -> Probe {
    let ids = [ebml::CLUSTER.to_be_bytes(), ebml::EBML.to_be_bytes()];
    match data.first_chunk::<4>() {
        Some(id) if ids.contains(id) => Probe::Yes,
        Some(_) => Probe::No,
        None if ids.iter().any(|id| id.starts_with(data)) => Probe::Need(4),
        None => Probe::No,
    }
}
