//! The elements of WebM and Matroska (RFC 8794, RFC 9559), as far as framing needs them.

pub(super) const EBML: u32 = 0x1A45_DFA3;
pub(super) const SEGMENT: u32 = 0x1853_8067;
pub(super) const SEEK_HEAD: u32 = 0x114D_9B74;
pub(super) const INFO: u32 = 0x1549_A966;
pub(super) const TRACKS: u32 = 0x1654_AE6B;
pub(super) const CLUSTER: u32 = 0x1F43_B675;
pub(super) const CUES: u32 = 0x1C53_BB6B;
pub(super) const CHAPTERS: u32 = 0x1043_A770;
pub(super) const TAGS: u32 = 0x1254_C367;
pub(super) const ATTACHMENTS: u32 = 0x1941_A469;
pub(super) const VOID: u32 = 0xEC;
pub(super) const CRC: u32 = 0xBF;
pub(super) const TIMESTAMP: u32 = 0xE7;
pub(super) const POSITION: u32 = 0xA7;
pub(super) const PREV_SIZE: u32 = 0xAB;
pub(super) const SILENT_TRACKS: u32 = 0x5854;
pub(super) const SIMPLE_BLOCK: u32 = 0xA3;
pub(super) const BLOCK_GROUP: u32 = 0xA0;
const BLOCK: u32 = 0xA1;
const REFERENCE_BLOCK: u32 = 0xFB;
const TIMESTAMP_SCALE: u32 = 0x002A_D7B1;
const TRACK_ENTRY: u32 = 0xAE;
const TRACK_NUMBER: u32 = 0xD7;
const TRACK_TYPE: u32 = 0x83;

/// The head of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Element {
    pub(super) id: u32,
    pub(super) id_len: usize,
    /// With the id.
    pub(super) head_len: usize,
    /// Of the content; `None`: unknown.
    pub(super) size: Option<u64>,
}

/// What stands at the front.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Front {
    Element(Element),
    Need(usize),
    /// No element.
    Bad,
}

/// Reads the head of an element.
pub(super) fn front(data: &[u8]) -> Front {
    let Some(&first) = data.first() else { return Front::Need(1) };
    let id_len = first.leading_zeros() as usize + 1;
    if id_len > 4 {
        return Front::Bad;
    }
    let Some(&size) = data.get(id_len) else { return Front::Need(id_len + 1) };
    let size_len = size.leading_zeros() as usize + 1;
    if size_len > 8 {
        return Front::Bad;
    }
    let head_len = id_len + size_len;
    let Some(size) = data.get(id_len..head_len) else { return Front::Need(head_len) };
    let size = number(size) & !(1 << (7 * size_len));
    let unknown = (1 << (7 * size_len)) - 1;
    let id = u32::try_from(number(&data[..id_len])).unwrap_or(0);
    Front::Element(Element { id, id_len, head_len, size: (size != unknown).then_some(size) })
}

/// The head of a Segment with its size made unknown.
pub(super) fn endless(head: &[u8], id_len: usize) -> Vec<u8> {
    let mut head = head.to_vec();
    let width = head.len() - id_len;
    for (at, byte) in head[id_len..].iter_mut().enumerate() {
        *byte = if at == 0 { 0xFF >> (width - 1) } else { 0xFF };
    }
    head
}

/// The head of a Cluster of unknown size, with its timestamp.
pub(super) fn cluster(timestamp: u64) -> Vec<u8> {
    let size = [1, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF];
    [&CLUSTER.to_be_bytes()[..], &size, &[0xE7, 0x88], &timestamp.to_be_bytes()].concat()
}

/// The content of an unsigned integer; 0 if it is longer than one can be.
pub(super) fn number(content: &[u8]) -> u64 {
    if content.len() > 8 {
        return 0;
    }
    content.iter().fold(0, |number, &byte| number << 8 | u64::from(byte))
}

/// Nanoseconds of a tick, from the content of Info.
pub(super) fn timestamp_scale(info: &[u8]) -> u64 {
    child(info, TIMESTAMP_SCALE).map(number).filter(|&scale| scale > 0).unwrap_or(1_000_000)
}

/// The number of the first video track, from the content of Tracks.
pub(super) fn video_track(tracks: &[u8]) -> Option<u64> {
    let mut entries = children(tracks).filter(|(id, _)| *id == TRACK_ENTRY).map(|(_, entry)| entry);
    entries
        .find(|entry| child(entry, TRACK_TYPE).map(number) == Some(1))
        .and_then(|entry| child(entry, TRACK_NUMBER))
        .map(number)
}

/// What the head of a block says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) track: u64,
    /// In ticks, from the Cluster's.
    pub(super) time: i16,
    pub(super) key: bool,
}

/// From the content of a SimpleBlock (RFC 9559 §10.2).
pub(super) fn simple_block(content: &[u8]) -> Option<Block> {
    let len = content.first()?.leading_zeros() as usize + 1;
    let track = content.get(..len).filter(|_| len <= 8)?;
    let &[a, b, flags] = content.get(len..len + 3)? else { return None };
    Some(Block {
        track: number(track) & !(1 << (7 * len)),
        time: i16::from_be_bytes([a, b]),
        key: flags & 0x80 != 0,
    })
}

/// From the content of a BlockGroup: a keyframe refers to no other block.
pub(super) fn block_group(content: &[u8]) -> Option<Block> {
    let block = simple_block(child(content, BLOCK)?)?;
    Some(Block { key: child(content, REFERENCE_BLOCK).is_none(), ..block })
}

fn child(data: &[u8], id: u32) -> Option<&[u8]> {
    children(data).find(|(found, _)| *found == id).map(|(_, content)| content)
}

/// Ids and contents of the elements in `data`, up to one that is cut.
fn children(mut data: &[u8]) -> impl Iterator<Item = (u32, &[u8])> {
    std::iter::from_fn(move || {
        let Front::Element(element) = front(data) else { return None };
        let size = usize::try_from(element.size?).ok()?;
        let end = element.head_len.checked_add(size)?;
        let content = data.get(element.head_len..end)?;
        data = &data[end..];
        Some((element.id, content))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads() {
        let element = |data: &[u8]| match front(data) {
            Front::Element(element) => (element.id, element.head_len, element.size),
            other @ (Front::Need(_) | Front::Bad) => panic!("{other:?}"),
        };
        assert_eq!(element(&[0xEC, 0x85]), (VOID, 2, Some(5)));
        assert_eq!(element(&[0x1F, 0x43, 0xB6, 0x75, 0x40, 0x10]), (CLUSTER, 6, Some(16)));
        assert_eq!(element(&[0xA3, 0xFF]), (SIMPLE_BLOCK, 2, None));
        assert_eq!(element(&[0xA3, 1, 255, 255, 255, 255, 255, 255, 255]), (SIMPLE_BLOCK, 9, None));
        assert_eq!(front(&[0x1F, 0x43]), Front::Need(5));
        assert_eq!(front(&[0xA3, 0x01]), Front::Need(9));
        assert_eq!(front(&[0x08, 0x80]), Front::Bad);
        assert_eq!(front(&[0xA3, 0x00]), Front::Bad);
    }

    #[test]
    fn a_segment_is_made_endless() {
        let head = [0x18, 0x53, 0x80, 0x67, 0x01, 0, 0, 0, 0, 0, 0x12, 0x34];
        let endless = endless(&head, 4);
        assert_eq!(endless[..4], head[..4]);
        assert!(matches!(
            front(&endless),
            Front::Element(Element { head_len: 12, size: None, .. })
        ));
    }

    #[test]
    fn blocks() {
        let block = |track, time, key| Some(Block { track, time, key });
        assert_eq!(simple_block(&[0x81, 0xFF, 0xFE, 0x80, 1]), block(1, -2, true));
        assert_eq!(simple_block(&[0x40, 0x81, 0, 3, 0]), block(0x81, 3, false));
        assert_eq!(simple_block(&[0x81, 0]), None);
        let group = [0xA1, 0x84, 0x82, 0, 7, 0];
        assert_eq!(block_group(&group), block(2, 7, true));
        assert_eq!(block_group(&[&group[..], &[0xFB, 0x81, 0xFF]].concat()), block(2, 7, false));
    }
}
