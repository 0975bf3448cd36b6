//! The boxes of MP4 (ISO 14496-12): as far as it must be known where a client may join, and when.

use std::time::Duration;

use super::clock::ticks;

/// What `moov` says of a track.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Track {
    id: u32,
    /// Ticks of a second.
    timescale: u32,
    video: bool,
    /// Flags of samples that have none of their own, from `trex`.
    flags: u32,
}

/// What `moov` says.
#[derive(Debug, Default)]
pub(super) struct Movie {
    tracks: Vec<Track>,
    /// There is an `mvex`: the samples are in fragments.
    pub(super) fragmented: bool,
}

/// What `moof` says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Fragment {
    pub(super) random_access: bool,
    /// It tells the places of its samples from the beginning of the file.
    pub(super) absolute: bool,
    /// The decoding time of the first sample.
    pub(super) time: Option<Duration>,
}

impl Movie {
    /// From the content of a `moov`.
    pub(super) fn new(moov: &[u8]) -> Self {
        let mut tracks: Vec<_> = children(moov, b"trak").map(track).collect();
        let mvex = child(moov, b"mvex");
        for trex in mvex.into_iter().flat_map(|mvex| children(mvex, b"trex")) {
            let (id, flags) = (u32_at(trex, 4), u32_at(trex, 20));
            for track in tracks.iter_mut().filter(|track| Some(track.id) == id) {
                track.flags = flags.unwrap_or(0);
            }
        }
        Self { tracks, fragmented: mvex.is_some() }
    }

    /// From the content of a `moof`. A client joins where the first sample of the video track needs no other; without
    /// video at any.
    pub(super) fn fragment(&self, moof: &[u8]) -> Fragment {
        let has_video = self.tracks.iter().any(|track| track.video);
        let mut fragment = Fragment { random_access: !has_video, absolute: false, time: None };
        for traf in children(moof, b"traf") {
            let Some(tfhd) = child(traf, b"tfhd") else { continue };
            // base-data-offset-present
            fragment.absolute |= u32_at(tfhd, 0).is_some_and(|flags| flags & 1 != 0);
            let id = u32_at(tfhd, 4);
            let Some(track) = self.tracks.iter().find(|track| Some(track.id) == id) else {
                continue;
            };
            // The first track of the movie is not always in the fragment, but one is enough to tell the time.
            if track.video || !has_video && fragment.time.is_none() {
                fragment.time =
                    child(traf, b"tfdt").and_then(|tfdt| decode_time(tfdt, track.timescale));
            }
            if track.video {
                let first =
                    child(traf, b"trun").and_then(|trun| first_flags(tfhd, trun, track.flags));
                // sample_is_non_sync_sample
                fragment.random_access |= first.is_some_and(|flags| flags & 0x1_0000 == 0);
            }
        }
        fragment
    }
}

fn track(trak: &[u8]) -> Track {
    let tkhd = child(trak, b"tkhd").unwrap_or(&[]);
    let mdia = child(trak, b"mdia").unwrap_or(&[]);
    let mdhd = child(mdia, b"mdhd").unwrap_or(&[]);
    // Two times of 4 bytes each stand before, of 8 in version 1.
    let behind_times = |full_box: &[u8]| if full_box.first() == Some(&1) { 20 } else { 12 };
    Track {
        id: u32_at(tkhd, behind_times(tkhd)).unwrap_or(0),
        timescale: u32_at(mdhd, behind_times(mdhd)).unwrap_or(0),
        video: child(mdia, b"hdlr").is_some_and(|hdlr| hdlr.get(8..12) == Some(b"vide")),
        flags: 0,
    }
}

fn decode_time(tfdt: &[u8], timescale: u32) -> Option<Duration> {
    let time = match tfdt.first()? {
        1 => u64::from(u32_at(tfdt, 4)?) << 32 | u64::from(u32_at(tfdt, 8)?),
        _ => u32_at(tfdt, 4)?.into(),
    };
    (timescale > 0).then(|| ticks(time, timescale.into()))
}

/// The flags of the first sample of a run, if it has one.
fn first_flags(tfhd: &[u8], trun: &[u8], default: u32) -> Option<u32> {
    let (head, run) = (u32_at(tfhd, 0)?, u32_at(trun, 0)?);
    if u32_at(trun, 4)? == 0 {
        return None;
    }
    /// The place behind those fields that are there.
    fn behind(start: usize, flags: u32, fields: &[(u32, usize)]) -> usize {
        start
            + fields.iter().filter(|(flag, _)| flags & flag != 0).map(|(_, len)| len).sum::<usize>()
    }
    if run & 0x4 != 0 {
        return u32_at(trun, behind(8, run, &[(0x1, 4)]));
    }
    if run & 0x400 != 0 {
        return u32_at(trun, behind(8, run, &[(0x1, 4), (0x100, 4), (0x200, 4)]));
    }
    if head & 0x20 != 0 {
        return u32_at(tfhd, behind(8, head, &[(0x1, 8), (0x2, 4), (0x8, 4), (0x10, 4)]));
    }
    Some(default)
}

fn u32_at(data: &[u8], at: usize) -> Option<u32> {
    data.get(at..)?.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}

fn child<'a>(data: &'a [u8], name: &'static [u8; 4]) -> Option<&'a [u8]> {
    children(data, name).next()
}

/// The contents of the boxes of that name in `data`. What is cut off is left out.
fn children<'a>(mut data: &'a [u8], name: &'static [u8; 4]) -> impl Iterator<Item = &'a [u8]> {
    std::iter::from_fn(move || {
        while let Some((&[a, b, c, d, ref found @ ..], _)) = data.split_first_chunk::<8>() {
            let len = usize::try_from(u32::from_be_bytes([a, b, c, d])).ok()?;
            let (whole, rest) = data.split_at_checked(len)?;
            data = rest;
            let content = whole.get(8..)?;
            if found == name {
                return Some(content);
            }
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full_box(flags: u32, fields: &[u32]) -> Vec<u8> {
        [&[flags], fields].concat().iter().flat_map(|field| field.to_be_bytes()).collect()
    }

    #[test]
    fn flags_of_the_first_sample() {
        let (plain, with_flags) = (full_box(0, &[1]), full_box(0x2_0038, &[1, 1000, 7, 8]));
        let flags = |tfhd: &[u8], run, fields: &[u32]| first_flags(tfhd, &full_box(run, fields), 9);
        assert_eq!(flags(&plain, 0, &[2]), Some(9), "from trex");
        assert_eq!(flags(&with_flags, 0x1, &[2, 100]), Some(8), "from tfhd");
        assert_eq!(flags(&with_flags, 0x205, &[2, 100, 5, 60]), Some(5), "of the first");
        assert_eq!(flags(&with_flags, 0xE01, &[1, 100, 60, 4, 0]), Some(4), "of each");
        assert_eq!(flags(&with_flags, 0x705, &[1, 100]), None, "cut");
        assert_eq!(flags(&plain, 0, &[0]), None, "no sample");
    }

    #[test]
    fn decoding_times() {
        let seconds = Some(Duration::from_secs(3));
        assert_eq!(decode_time(&full_box(0, &[3000]), 1000), seconds);
        assert_eq!(decode_time(&full_box(0x0100_0000, &[0, 3000]), 1000), seconds);
        assert_eq!(decode_time(&full_box(0x0100_0000, &[1]), 1000), None);
        assert_eq!(decode_time(&full_box(0, &[3000]), 0), None);
    }
}
