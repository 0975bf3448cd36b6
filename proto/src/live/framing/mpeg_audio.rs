//! MPEG-1, 2 and 2.5 audio, layers I to III.

use super::audio::{AudioFrames, Head, Kind};

pub(super) const WHAT: &str = "MPEG audio frame";

pub(super) fn frames() -> AudioFrames {
    AudioFrames::new(Kind { what: WHAT, head_len: 4, head })
}

/// kbit/s by layer, for MPEG-1.
const RATES_1: [[u16; 15]; 3] = [
    [0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448],
    [0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384],
    [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
];

/// kbit/s for MPEG-2 and 2.5: layer I, and both others.
const RATES_2: [[u16; 15]; 2] = [
    [0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256],
    [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
];

/// ISO 11172-3 §2.4.1.3. Frames of the free format do not tell their length: they are not
/// understood.
fn head(data: &[u8]) -> Option<Head> {
    let &[0xFF, b, c, d] = data else { return None };
    if b & 0xE0 != 0xE0 {
        return None;
    }
    // The rates of MPEG-2 are half, those of 2.5 a quarter.
    let halved = match b >> 3 & 3 {
        3 => 0,
        2 => 1,
        0 => 2,
        _ => return None,
    };
    let layer = match b >> 1 & 3 {
        3 => 0,
        2 => 1,
        1 => 2,
        _ => return None,
    };
    let rates = if halved == 0 { &RATES_1[layer] } else { &RATES_2[layer.min(1)] };
    let kbits = u32::from(*rates.get(usize::from(c >> 4))?);
    let sample_rate = [44_100, 48_000, 32_000].get(usize::from(c >> 2 & 3))? >> halved;
    if kbits == 0 {
        return None;
    }
    let bitrate = kbits * 1000;
    let padding = u32::from(c >> 1 & 1);
    let (samples, len) = match (layer, halved) {
        (0, _) => (384, (12 * bitrate / sample_rate + padding) * 4),
        (2, 1..) => (576, 72 * bitrate / sample_rate + padding),
        (_, _) => (1152, 144 * bitrate / sample_rate + padding),
    };
    Some(Head {
        len: usize::try_from(len).ok()?,
        samples,
        sample_rate,
        bitrate: Some(bitrate),
        channels: if d >> 6 == 3 { 1 } else { 2 },
        kind: u16::from_be_bytes([b >> 1 & 0xF, c >> 2 & 3]),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers() {
        let known = |bytes: [u8; 4]| {
            head(&bytes).map(|head| (head.len, head.samples, head.sample_rate, head.channels))
        };
        assert_eq!(known([0xFF, 0xFB, 0x90, 0x00]), Some((417, 1152, 44_100, 2)));
        assert_eq!(known([0xFF, 0xFB, 0x92, 0xC0]), Some((418, 1152, 44_100, 1)));
        assert_eq!(known([0xFF, 0xFD, 0x84, 0x00]), Some((384, 1152, 48_000, 2)), "layer II");
        assert_eq!(known([0xFF, 0xFF, 0x10, 0x00]), Some((32, 384, 44_100, 2)), "layer I");
        assert_eq!(known([0xFF, 0xF3, 0x80, 0x00]), Some((208, 576, 22_050, 2)), "MPEG-2");
        assert_eq!(known([0xFF, 0xE3, 0x18, 0x00]), Some((72, 576, 8000, 2)), "MPEG-2.5");
        for bad in [
            [0xFF, 0xEB, 0x90, 0x00],
            [0xFF, 0xF9, 0x90, 0x00],
            [0xFF, 0xFB, 0xF0, 0x00],
            [0xFF, 0xFB, 0x00, 0x00],
            [0xFF, 0xFB, 0x9C, 0x00],
            [0xFE, 0xFB, 0x90, 0x00],
        ] {
            assert_eq!(known(bad), None, "{bad:x?}");
        }
    }
}
