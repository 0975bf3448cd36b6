//! AAC with ADTS headers.

use super::audio::{AudioFrames, Head, Kind};

pub(super) fn frames() -> AudioFrames {
    AudioFrames::new(Kind { what: "ADTS frame", head_len: 7, head })
}

/// Hz by index.
const RATES: [u32; 13] = [
    96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8000,
    7350,
];

/// ISO 13818-7 §6.2.1.
fn head(data: &[u8]) -> Option<Head> {
    let &[0xFF, b, c, d, e, f, g] = data else { return None };
    if b & 0xF6 != 0xF0 {
        return None;
    }
    let sample_rate = *RATES.get(usize::from(c >> 2 & 0xF))?;
    let len = usize::from(d & 3) << 11 | usize::from(e) << 3 | usize::from(f >> 5);
    let checked = b & 1 == 0;
    if len <= if checked { 9 } else { 7 } {
        return None;
    }
    let channels = match (c & 1) << 2 | d >> 6 {
        7 => 8,
        channels => channels,
    };
    Some(Head {
        len,
        samples: 1024 * (u32::from(g & 3) + 1),
        sample_rate,
        bitrate: None,
        channels,
        // Everything up to the channels, but for the private bit.
        kind: u16::from_be_bytes([b & 0xF, c & 0xFD]),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers() {
        let known = head(&[0xFF, 0xF1, 0x50, 0x80, 0x20, 0x1F, 0xFC]).unwrap();
        assert_eq!((known.len, known.samples), (256, 1024));
        assert_eq!((known.sample_rate, known.channels), (44_100, 2));
        assert_eq!(head(&[0xFF, 0xF0, 0x50, 0x80, 0x01, 0x3F, 0xFC]), None, "only a header");
        assert_eq!(head(&[0xFF, 0xF1, 0x74, 0x80, 0x20, 0x1F, 0xFC]), None, "no such rate");
        assert_eq!(head(&[0xFF, 0xFB, 0x50, 0x80, 0x20, 0x1F, 0xFC]), None, "layer III");
    }
}
