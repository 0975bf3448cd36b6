//! Live inputs cut into packets: the same however they come, all of the input, and nobody joins
//! elsewhere than at a frame.

use bytes::Bytes;
use httpout_proto::live::framing::{Format, Framer, Packet};

use crate::cuts;

const FORMATS: [Format; 6] =
    [Format::MpegAudio, Format::Adts, Format::MpegTs, Format::Fmp4, Format::Ogg, Format::WebM];

/// What came of an input.
#[derive(Debug, PartialEq)]
struct Cut {
    /// Each with its tune-in data.
    packets: Vec<(Packet, Bytes)>,
    leftover: usize,
    /// Where it failed.
    failed: Option<u64>,
}

/// One input: a byte that chooses the format, the stream, and where to cut it.
pub fn run(data: &[u8]) {
    let Some((&format, data)) = data.split_first() else { return };
    let format = FORMATS[usize::from(format) % FORMATS.len()];
    let (data, places) = cuts::take(data);
    let whole = frame(format, vec![Bytes::copy_from_slice(data)]);
    check(format, data, &whole);
    for pieces in cuts::manners(data, &places) {
        assert_eq!(whole, frame(format, pieces), "cut, it means something else");
    }
    Format::sniff(data);
}

fn frame(format: Format, pieces: Vec<Bytes>) -> Cut {
    let mut framer = Framer::new(format);
    let mut cut = Cut { packets: Vec::new(), leftover: 0, failed: None };
    for piece in pieces {
        framer.handle_data(piece);
        drain(&mut framer, &mut cut);
    }
    framer.handle_end();
    drain(&mut framer, &mut cut);
    cut.leftover = framer.leftover();
    cut
}

fn drain(framer: &mut Framer, cut: &mut Cut) {
    loop {
        match framer.poll() {
            Ok(Some(packet)) => cut.packets.push((packet, framer.tune_in().concat())),
            Ok(None) => return,
            Err(error) => {
                assert!(cut.failed.replace(error.at).is_none(), "it failed twice");
                assert!(error.to_string().contains("; "), "no advice");
            }
        }
    }
}

fn check(format: Format, data: &[u8], cut: &Cut) {
    let mut rest = data;
    let mut time = None;
    for (packet, tune_in) in &cut.packets {
        assert!(!packet.data.is_empty());
        rest = rest.strip_prefix(&packet.data[..]).expect("other bytes than those of the input");
        assert!(packet.time.is_none() || packet.time >= time, "the time goes back");
        time = packet.time.or(time);
        if packet.random_access {
            assert!(packet.content);
            check_join(format, &packet.data, tune_in);
        }
    }
    match cut.failed {
        None => assert_eq!(rest.len(), cut.leftover),
        Some(at) => assert_eq!(data.len() - rest.len(), usize::try_from(at).expect("it is small")),
    }
}

/// What is sure about a packet where a client may join.
fn check_join(format: Format, packet: &[u8], tune_in: &[u8]) {
    let is = match format {
        Format::MpegAudio | Format::Adts => packet[0] == 0xFF && tune_in.is_empty(),
        Format::MpegTs => {
            let is_ts = |data: &[u8]| data.chunks(188).all(|ts| ts.len() == 188 && ts[0] == 0x47);
            let is_pat = tune_in.starts_with(&[0x47]) && tune_in[1] & 0x1F == 0 && tune_in[2] == 0;
            is_ts(packet) && packet.len() <= 7 * 188 && is_ts(tune_in) && is_pat
        }
        Format::Fmp4 => {
            packet.windows(4).any(|name| name == b"moof")
                && packet.windows(4).any(|name| name == b"mdat")
                && tune_in.windows(4).any(|name| name == b"moov")
        }
        Format::Ogg => packet.starts_with(b"OggS") && tune_in.starts_with(b"OggS"),
        Format::WebM => {
            let cluster = [0x1F, 0x43, 0xB6, 0x75];
            tune_in.starts_with(&[0x1A, 0x45, 0xDF, 0xA3])
                && (packet.starts_with(&cluster) || tune_in.windows(4).any(|id| id == cluster))
        }
        Format::Raw => unreachable!("it is not framed"),
    };
    assert!(is, "no client can join at {packet:x?} after {tune_in:x?}");
}
