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

    /// From the content of a `moof`. A client joins at a fragment in which a sample of a video
    /// track needs no other; without video at any. The picture then begins at that sample.
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
            // The first track of the movie is not always in the fragment, but one is enough to tell
            // the time.
            if track.video || !has_video && fragment.time.is_none() {
                fragment.time =
                    child(traf, b"tfdt").and_then(|tfdt| decode_time(tfdt, track.timescale));
            }
            if track.video {
                fragment.random_access |=
                    children(traf, b"trun").any(|trun| has_sync_sample(tfhd, trun, track.flags));
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

/// Whether a sample of a run needs no other. `default` are the flags from `trex`.
fn has_sync_sample(tfhd: &[u8], trun: &[u8], default: u32) -> bool {
    sync_samples(tfhd, trun, default).unwrap_or(false)
}

/// The same; `None` if the boxes are cut off before it is known.
fn sync_samples(tfhd: &[u8], trun: &[u8], default: u32) -> Option<bool> {
    /// The place behind those fields that are there.
    fn behind(start: usize, flags: u32, fields: &[(u32, usize)]) -> usize {
        start
            + fields.iter().filter(|(flag, _)| flags & flag != 0).map(|(_, len)| len).sum::<usize>()
    }
    // sample_is_non_sync_sample
    let is_sync = |flags: u32| flags & 0x1_0000 == 0;
    let (head, run, count) = (u32_at(tfhd, 0)?, u32_at(trun, 0)?, u32_at(trun, 4)?);
    let first = if run & 0x4 == 0 {
        None
    } else {
        let at = behind(8, run, &[(0x1, 4)]);
        Some(u32_at(trun, at)?)
    };
    if first.is_some_and(|flags| count > 0 && is_sync(flags)) {
        return Some(true);
    }
    // The flags of the first sample stand in for its own.
    let others = usize::try_from(count).ok()?.saturating_sub(usize::from(first.is_some()));
    if others == 0 {
        return Some(false);
    }
    if run & 0x400 != 0 {
        let of_sample = [(0x100, 4), (0x200, 4), (0x400, 4), (0x800, 4)];
        let samples = trun.get(behind(8, run, &[(0x1, 4), (0x4, 4)])..)?;
        let (len, at) = (behind(0, run, &of_sample), behind(0, run, &of_sample[..2]));
        let mut samples = samples.chunks_exact(len).skip(usize::from(first.is_some())).take(others);
        return Some(samples.any(|sample| u32_at(sample, at).is_some_and(is_sync)));
    }
    if head & 0x20 != 0 {
        let at = behind(8, head, &[(0x1, 8), (0x2, 4), (0x8, 4), (0x10, 4)]);
        return Some(is_sync(u32_at(tfhd, at)?));
    }
    Some(is_sync(default))
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
    fn sync_samples_are_found_anywhere_in_a_run() {
        const SYNC: u32 = 0x200_0000;
        const OTHER: u32 = 0x101_0000;
        let plain = full_box(0, &[1]);
        let of_tfhd = |flags| full_box(0x2_0038, &[1, 1000, 7, flags]);
        let sync = |tfhd: &[u8], run, fields: &[u32], trex| {
            has_sync_sample(tfhd, &full_box(run, fields), trex)
        };
        // The flags are those of trex.
        assert!(sync(&plain, 0, &[2], SYNC) && !sync(&plain, 0, &[2], OTHER));
        // Those of tfhd go before.
        assert!(sync(&of_tfhd(SYNC), 0x1, &[2, 100], OTHER));
        assert!(!sync(&of_tfhd(OTHER), 0x1, &[2, 100], SYNC));
        // The first sample has its own; the others have not.
        assert!(sync(&of_tfhd(OTHER), 0x205, &[2, 100, SYNC, 60, 60], OTHER));
        assert!(!sync(&of_tfhd(OTHER), 0x205, &[2, 100, OTHER, 60, 60], SYNC));
        assert!(sync(&of_tfhd(SYNC), 0x205, &[2, 100, OTHER, 60, 60], OTHER));
        assert!(!sync(&of_tfhd(SYNC), 0x205, &[1, 100, OTHER, 60], OTHER));
        // Each has its own: duration, size, flags, offset.
        let of_each = |flags: [u32; 3]| {
            let samples = flags.into_iter().flat_map(|flags| [100, 60, flags, 0]);
            [3, 8].into_iter().chain(samples).collect::<Vec<_>>()
        };
        assert!(sync(&plain, 0xF01, &of_each([SYNC, OTHER, OTHER]), OTHER));
        assert!(sync(&plain, 0xF01, &of_each([OTHER, OTHER, SYNC]), OTHER));
        assert!(!sync(&plain, 0xF01, &of_each([OTHER; 3]), SYNC));
        // The count ends the run, and a cut box has what is there.
        assert!(!sync(&plain, 0x400, &[1, OTHER, SYNC], SYNC));
        assert!(sync(&plain, 0x400, &[9, OTHER, SYNC], OTHER));
        assert!(!sync(&plain, 0x705, &[1, 100], SYNC));
        assert!(!sync(&plain, 0, &[0], SYNC), "there is no sample");
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
