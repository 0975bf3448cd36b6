//! All formats, over what ffmpeg makes (`proto/tests/media/make.sh`).

mod properties;

use super::*;

macro_rules! media {
    ($($format:ident $name:literal),* $(,)?) => {
        [$((Format::$format, $name, include_bytes!(concat!("../../../tests/media/", $name)) as &[u8])),*]
    };
}

/// Format, name, content.
const MEDIA: [(Format, &str, &[u8]); 15] = media![
    MpegAudio "cbr.mp3",
    MpegAudio "vbr.mp3",
    MpegAudio "layer2.mp2",
    Adts "tone.aac",
    MpegTs "film.ts",
    MpegTs "tone.ts",
    Fmp4 "film.mp4",
    Fmp4 "tone.mp4",
    Ogg "vorbis.ogg",
    Ogg "opus.ogg",
    Ogg "flac.ogg",
    Ogg "film.ogv",
    WebM "live.webm",
    WebM "film.webm",
    WebM "tone.webm",
];

const FRAMED: [Format; 6] =
    [Format::MpegAudio, Format::Adts, Format::MpegTs, Format::Fmp4, Format::Ogg, Format::WebM];

/// The id of a Cluster.
const CLUSTER: [u8; 4] = [0x1F, 0x43, 0xB6, 0x75];

/// What came of an input.
#[derive(Debug)]
struct Cut {
    /// Each with its tune-in data.
    packets: Vec<(Packet, Bytes)>,
    leftover: usize,
    error: Option<FramingError>,
}

impl PartialEq for Cut {
    /// The words of an error may tell of what was there besides.
    fn eq(&self, other: &Self) -> bool {
        let at = |cut: &Self| cut.error.as_ref().map(|error| error.at);
        (&self.packets, self.leftover, at(self)) == (&other.packets, other.leftover, at(other))
    }
}

fn drain(framer: &mut Framer, cut: &mut Cut) {
    loop {
        match framer.poll() {
            Ok(Some(packet)) => cut.packets.push((packet, framer.tune_in().concat())),
            Ok(None) => return,
            Err(error) => assert!(cut.error.replace(error).is_none(), "it failed twice"),
        }
    }
}

fn frame<'a>(format: Format, pieces: impl IntoIterator<Item = &'a [u8]>) -> Cut {
    let mut framer = Framer::new(format);
    let mut cut = Cut { packets: Vec::new(), leftover: 0, error: None };
    for piece in pieces {
        framer.handle_data(Bytes::copy_from_slice(piece));
        drain(&mut framer, &mut cut);
    }
    framer.handle_end();
    drain(&mut framer, &mut cut);
    cut.leftover = framer.leftover();
    cut
}

fn joined(cut: &Cut) -> Vec<u8> {
    cut.packets.iter().flat_map(|(packet, _)| packet.data.iter().copied()).collect()
}

#[test]
fn streams_are_cut_whole() {
    for (format, name, data) in MEDIA {
        let cut = frame(format, [data]);
        assert_eq!((&cut.error, cut.leftover), (&None, 0), "{name}");
        assert!(joined(&cut) == data, "{name}");
        assert!(cut.packets.len() > 5, "{name}: {}", cut.packets.len());
        let (first, _) = cut.packets.iter().find(|(packet, _)| packet.random_access).expect(name);
        let start = Duration::from_millis(50);
        assert!(first.time.is_none_or(|time| time < start), "{name}: {:?}", first.time);
        let times = cut.packets.iter().filter_map(|(packet, _)| packet.time);
        assert!(times.is_sorted(), "{name}");
    }
}

#[test]
fn clients_join_where_they_can() {
    let joins = |name| {
        let (format, _, data) = MEDIA.into_iter().find(|(_, other, _)| *other == name).unwrap();
        let cut = frame(format, [data]);
        let count = cut.packets.iter().filter(|(packet, _)| packet.random_access).count();
        let last =
            cut.packets.last().and_then(|(packet, _)| packet.time).map(|time| time.as_millis());
        (count, last)
    };
    // Three seconds with a keyframe in each.
    for name in ["film.ts", "film.mp4", "film.ogv", "live.webm"] {
        let (count, last) = joins(name);
        assert_eq!(count, 3, "{name}");
        assert!(last.is_some_and(|last| (2500..=3100).contains(&last)), "{name}: {last:?}");
    }
    for name in [
        "cbr.mp3",
        "vbr.mp3",
        "layer2.mp2",
        "tone.aac",
        "tone.ts",
        "tone.mp4",
        "opus.ogg",
        "tone.webm",
    ] {
        let (count, last) = joins(name);
        assert!(count > 3, "{name}: {count}");
        assert!(last.is_some_and(|last| (1500..=2100).contains(&last)), "{name}: {last:?}");
    }
}

#[test]
fn tune_in_data_are_what_comes_before_the_content() {
    for (format, name, data) in MEDIA {
        let cut = frame(format, [data]);
        for (packet, tune_in) in cut.packets.iter().filter(|(packet, _)| packet.random_access) {
            match format {
                Format::MpegAudio | Format::Adts | Format::Raw => assert!(tune_in.is_empty()),
                Format::MpegTs => {
                    let pids: Vec<_> =
                        tune_in.chunks(188).map(|ts| (ts[0], ts[1] & 0x1F, ts[2])).collect();
                    assert_eq!(pids, [(0x47, 0, 0), (0x47, 0x10, 0)], "{name}");
                }
                Format::Fmp4 => {
                    assert!(data.starts_with(tune_in) && tune_in[4..8] == *b"ftyp", "{name}");
                    assert_eq!(&data[tune_in.len() + 4..][..4], b"moof", "{name}");
                }
                Format::Ogg => {
                    assert!(data.starts_with(tune_in), "{name}");
                    assert!(data[tune_in.len()..].starts_with(b"OggS"), "{name}");
                }
                Format::WebM => {
                    assert!(tune_in.starts_with(&[0x1A, 0x45, 0xDF, 0xA3]), "{name}");
                    let inside = tune_in.windows(4).any(|id| id == CLUSTER);
                    assert_ne!(packet.data.starts_with(&CLUSTER), inside, "{name}");
                }
            }
        }
    }
}

#[test]
fn a_client_that_joins_has_a_stream_of_its_own() {
    for (format, name, data) in MEDIA {
        let cut = frame(format, [data]);
        for (at, (packet, tune_in)) in cut.packets.iter().enumerate() {
            if !packet.random_access {
                continue;
            }
            let rest = cut.packets[at..].iter().map(|(packet, _)| &packet.data[..]);
            let own = frame(format, [&tune_in[..]].into_iter().chain(rest));
            assert_eq!((&own.error, own.leftover), (&None, 0), "{name}");
            let joins = own.packets.iter().position(|(packet, _)| packet.random_access);
            let Some((header, own)) = joins.and_then(|joins| own.packets.split_at_checked(joins))
            else {
                panic!("{name}: packet {at} is of no use")
            };
            let header: usize = header.iter().map(|(packet, _)| packet.data.len()).sum();
            let head = own[0].0.data.len() - packet.data.len();
            assert_eq!(header + head, tune_in.len(), "{name}");
            for (at, (own, packet)) in own.iter().zip(&cut.packets[at..]).enumerate() {
                assert_eq!(own.0.random_access, packet.0.random_access, "{name}");
                // The first one may have got another head.
                assert!(own.0.data.ends_with(&packet.0.data), "{name}");
                assert!(at == 0 || own.0.data.len() == packet.0.data.len(), "{name}");
            }
        }
    }
}

#[test]
fn a_client_can_begin_with_any_content() {
    for (format, name, data) in MEDIA {
        let cut = frame(format, [data]);
        let content: Vec<_> =
            (0..cut.packets.len()).filter(|&at| cut.packets[at].0.content).collect();
        let headers: usize = cut.packets.len() - content.len();
        assert!(headers < 12, "{name}: {headers} packets are no content");
        for &at in content.iter().step_by(content.len().div_ceil(20)) {
            let tune_in = &cut.packets[at].1;
            let rest = cut.packets[at..].iter().map(|(packet, _)| &packet.data[..]);
            let rest: Vec<_> = rest.collect();
            let own = frame(format, [&tune_in[..]].into_iter().chain(rest.iter().copied()));
            assert_eq!((&own.error, own.leftover), (&None, 0), "{name}, packet {at}");
            let last = own.packets.iter().rev().zip(rest.iter().rev());
            let same = last.take_while(|((own, _), rest)| own.data == **rest).count();
            // The first one may have got another head.
            assert!(same + 1 >= rest.len(), "{name}, packet {at}: {same} of {}", rest.len());
        }
        for (packet, _) in &cut.packets {
            assert!(packet.content || !packet.random_access, "{name}");
        }
    }
}

#[test]
fn what_the_sound_is() {
    let info = |at: usize| {
        let (format, _, data) = MEDIA[at];
        let mut framer = Framer::new(format);
        assert_eq!(framer.info(), None);
        framer.handle_data(Bytes::from_static(data));
        while framer.poll().unwrap().is_some() {}
        framer.info().map(|info| (info.bitrate, info.sample_rate, info.channels))
    };
    assert_eq!(info(0), Some((32_000, 22_050, 1)));
    assert_eq!(info(2), Some((32_000, 44_100, 1)));
    let (bitrate, rate, channels) = info(3).unwrap();
    assert_eq!((rate, channels), (44_100, 1));
    assert!((22_000..30_000).contains(&bitrate), "{bitrate}");
    assert_eq!(info(4), None);
}

#[test]
fn streams_are_known_by_their_looks() {
    for (format, name, data) in MEDIA {
        assert_eq!(Format::sniff(&data[..data.len().min(4096)]), Some(format), "{name}");
    }
    for other in [&b"RIFF....WAVE"[..], b"", b"<html>", b"\xFF\xD8\xFF\xE0\0\x10JFIF"] {
        assert_eq!(Format::sniff(other), None);
    }
}

#[test]
fn what_it_is_not_is_told() {
    let error = |format, data: &[u8]| frame(format, [data]).error.map(|error| error.to_string());
    let text = b"<!doctype html>".repeat(10_000);
    for format in FRAMED {
        let told = error(format, &text).expect("it is not this format");
        assert!(
            told.contains("\"<!doctype ht\"") && told.contains("application/octet-stream")
                || told.contains("188 bytes"),
            "{told}"
        );
    }
    let progressive = include_bytes!("../../../tests/media/progressive.mp4");
    assert_eq!(
        error(Format::Fmp4, progressive).unwrap(),
        "MP4 input, byte 0: it is not fragmented; make it with ffmpeg's -movflags +frag_keyframe+empty_moov+default_base_moof"
    );
    assert!(error(Format::WebM, MEDIA[8].2).unwrap().contains("it looks like Ogg"));
    let film = MEDIA[6].2;
    let moof = film.windows(4).position(|name| name == b"moof").unwrap() - 4;
    assert!(error(Format::Fmp4, &film[moof..]).unwrap().contains("initialization segment"));
    let endless = [b"\0\0\0\x08ftyp", &b"\0\0\0\0mdat"[..]].concat();
    assert!(error(Format::Fmp4, &endless).unwrap().contains("never end"));
}

#[test]
fn what_is_too_large_is_refused_before_it_is_there() {
    let error = |format, data: &[u8]| frame(format, [data]).error.map(|error| error.to_string());
    let header = frame(Format::Fmp4, [MEDIA[6].2]).packets[0].0.data.clone();
    let large = [&header[..], b"\0\0\0\x01moof\0\0\0\0\x7F\0\0\0"].concat();
    assert!(error(Format::Fmp4, &large).unwrap().contains("larger than 16 MiB"));
    let large = [&MEDIA[12].2[..300], b"\x1A\x45\xDF\xA3\x08\xFF\xFF\xFF\xFF"].concat();
    assert!(frame(Format::WebM, [&large[..]]).error.is_none(), "inside of an element");
    assert!(
        error(Format::WebM, b"\x1A\x45\xDF\xA3\x08\xFF\xFF\xFF\xFF").unwrap().contains("16 MiB")
    );
}

#[test]
fn a_stream_goes_on_behind_damage() {
    for (format, name, data) in MEDIA {
        if format == Format::Fmp4 {
            continue;
        }
        let whole = frame(format, [data]);
        // In the middle of some frame after the first third.
        let place = data.len() / 3;
        let damaged = [&data[..place], &[0x55; 700], &data[place + 123..]].concat();
        let cut = frame(format, [&damaged[..]]);
        assert_eq!(cut.error, None, "{name}");
        assert!(damaged.starts_with(&joined(&cut)), "{name}");
        assert_eq!(joined(&cut).len() + cut.leftover, damaged.len(), "{name}");
        let ends = whole.packets.iter().rev().zip(cut.packets.iter().rev());
        let same = ends.take_while(|(a, b)| a.0.data == b.0.data).count();
        assert!(same > whole.packets.len() / 4, "{name}: only {same} of {}", whole.packets.len());
    }
}

#[test]
fn chained_streams_bring_their_own_tune_in_data() {
    for (a, b) in [(8, 9), (9, 8), (12, 14), (14, 12), (6, 7), (7, 6)] {
        let ((format, name, first), (_, _, second)) = (MEDIA[a], MEDIA[b]);
        // What is before the head of a Cluster.
        let header = |tune_in: &Bytes| {
            let end = tune_in.windows(4).position(|id| id == CLUSTER);
            tune_in.slice(..end.unwrap_or(tune_in.len()))
        };
        let own = |data| header(&frame(format, [data]).packets.last().unwrap().1);
        let (old, new) = (own(first), own(second));
        assert_ne!(old, new);
        let cut = frame(format, [first, second]);
        assert_eq!((&cut.error, cut.leftover), (&None, 0), "{name}");
        let joins = cut.packets.iter().filter(|(packet, _)| packet.random_access);
        let mut tune_ins: Vec<_> = joins.map(|(_, tune_in)| header(tune_in)).collect();
        tune_ins.dedup();
        assert_eq!(tune_ins, [old, new], "{name}");
        assert!(cut.packets.iter().filter_map(|(packet, _)| packet.time).is_sorted(), "{name}");
    }
}

#[test]
fn time_goes_on_through_a_chain() {
    let links = [MEDIA[8].2, MEDIA[9].2, MEDIA[8].2];
    let cut = frame(Format::Ogg, links);
    let times: Vec<_> = cut.packets.iter().filter_map(|(packet, _)| packet.time).collect();
    assert!(times.is_sorted());
    let last = times.last().unwrap().as_secs_f32();
    assert!((5.0..6.1).contains(&last), "{last}");
}

#[test]
fn pictures_and_time_are_found_without_the_usual_signs() {
    let mut film = MEDIA[4].2.to_vec();
    for ts in film.chunks_mut(188) {
        if ts[3] & 0x20 != 0 && ts[4] > 0 {
            ts[5] &= !0x40;
        }
        if (ts[1] & 0x1F, ts[2]) == (0x10, 0) {
            // The PMT: there is no PCR.
            (ts[13], ts[14]) = (ts[13] | 0x1F, 0xFF);
        }
    }
    assert_ne!(film, MEDIA[4].2);
    let cut = frame(Format::MpegTs, [&film[..]]);
    assert_eq!(cut.packets.iter().filter(|(packet, _)| packet.random_access).count(), 3);
    let last = cut.packets.last().unwrap().0.time.unwrap().as_secs_f32();
    assert!((2.5..3.1).contains(&last), "{last}");
}

/// A box.
fn mp4(name: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let len = u32::try_from(8 + content.len()).unwrap();
    [&len.to_be_bytes()[..], name, content].concat()
}

#[test]
fn keyframes_inside_of_a_cluster_can_be_joined() {
    let (_, _, data) = MEDIA[12];
    let start = data.windows(4).position(|id| id == CLUSTER).unwrap();
    let header = &data[..start];
    let cluster = [&CLUSTER[..], &[0xFF, 0xE7, 0x81, 70]].concat();
    let block = |track: u8, time, flags| [0xA3, 0x85, 0x80 | track, 0, time, flags, 7];
    let stream = [
        header,
        &[&cluster[..], &block(1, 0, 0)].concat(),
        &block(2, 1, 0x80),
        &block(1, 2, 0x80),
        &block(1, 3, 0),
    ];
    let cut = frame(Format::WebM, stream);
    let packets: Vec<_> =
        cut.packets.iter().skip_while(|(packet, _)| !packet.data.starts_with(&CLUSTER)).collect();
    let joins: Vec<_> = packets.iter().map(|(packet, _)| packet.random_access).collect();
    assert_eq!(joins, [false, false, true, false]);
    assert!(packets[2].1.ends_with(&ebml::cluster(70)));

    // Blocks before the first Cluster.
    let stray = [&[0xE7, 0x81, 70][..], &block(1, 2, 0x80)].concat();
    let cut = frame(Format::WebM, [header, &stray]);
    assert!(cut.packets.iter().all(|(packet, _)| !packet.random_access));
}

#[test]
fn boxes_go_with_the_fragment_behind_them() {
    let header = [mp4(b"ftyp", b"iso6"), mp4(b"moov", &mp4(b"mvex", b""))].concat();
    let moof = mp4(b"moof", &mp4(b"mfhd", &[0; 8]));
    let first =
        [mp4(b"styp", b""), mp4(b"prft", b"time"), moof.clone(), mp4(b"mdat", b"abc")].concat();
    // A size of 64 bits.
    let second = [&moof[..], b"\0\0\0\x01mdat\0\0\0\0\0\0\0\x13abc"].concat();
    let end = mp4(b"mfra", b"");
    let whole = [&header[..], &first, &second, &end];
    let cut = frame(Format::Fmp4, whole);
    let packets: Vec<_> = cut.packets.iter().map(|(packet, _)| &packet.data[..]).collect();
    assert_eq!(packets, whole);
    let joins: Vec<_> = cut.packets.iter().map(|(packet, _)| packet.random_access).collect();
    assert_eq!(joins, [false, true, true, false]);

    let tfhd = mp4(b"tfhd", &[0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
    let absolute = mp4(b"moof", &mp4(b"traf", &tfhd));
    let error = frame(Format::Fmp4, [&header[..], &absolute]).error.unwrap().to_string();
    assert!(error.contains("nobody could join") && error.contains("default_base_moof"), "{error}");

    // A moof whose mdat is missing.
    let cut = frame(Format::Fmp4, [&header[..], &moof, &header, &first, &moof]);
    let joins: Vec<_> = cut.packets.iter().map(|(packet, _)| packet.random_access).collect();
    assert_eq!((joins, cut.leftover), (vec![false, false, false, true], moof.len()));
}

#[test]
fn a_fragment_with_a_keyframe_in_it_can_be_joined() {
    const SYNC: u32 = 0x200_0000;
    const OTHER: u32 = 0x101_0000;
    let full = |name, fields: &[u32]| {
        let fields: Vec<_> = fields.iter().flat_map(|field| field.to_be_bytes()).collect();
        mp4(name, &fields)
    };
    let track = |id, handler: &[u8; 4]| {
        let handler = u32::from_be_bytes(*handler);
        let mdia = [full(b"mdhd", &[0, 0, 0, 1000, 0]), full(b"hdlr", &[0, 0, handler])].concat();
        mp4(b"trak", &[full(b"tkhd", &[0, 0, 0, id]), mp4(b"mdia", &mdia)].concat())
    };
    let trex = |id| full(b"trex", &[0, id, 1, 0, 0, OTHER]);
    let moov = |tracks: &[(u32, &[u8; 4])]| {
        let traks = tracks.iter().flat_map(|(id, handler)| track(*id, handler));
        let mvex: Vec<_> = tracks.iter().flat_map(|(id, _)| trex(*id)).collect();
        let moov = traks.chain(mp4(b"mvex", &mvex)).collect::<Vec<_>>();
        [mp4(b"ftyp", b"iso6"), mp4(b"moov", &moov)].concat()
    };
    // A run of two samples for each pair of flags.
    let traf = |id, runs: &[[u32; 2]]| {
        let truns = runs.iter().flat_map(|[a, b]| full(b"trun", &[0x400, 2, *a, *b]));
        let traf = full(b"tfhd", &[0x2_0000, id]).into_iter().chain(truns).collect::<Vec<_>>();
        mp4(b"traf", &traf)
    };
    let fragment =
        |trafs: &[Vec<u8>]| [mp4(b"moof", &trafs.concat()), mp4(b"mdat", b"some content")].concat();
    let film = moov(&[(1, b"soun"), (2, b"vide"), (3, b"vide")]);
    for (trafs, joins, why) in [
        (vec![traf(2, &[[SYNC, OTHER]])], true, "the first sample"),
        (vec![traf(2, &[[OTHER, SYNC]])], true, "another one"),
        (vec![traf(2, &[[OTHER, OTHER], [OTHER, SYNC]])], true, "of another run"),
        (vec![traf(1, &[[SYNC, SYNC]]), traf(2, &[[OTHER, SYNC]])], true, "behind the sound"),
        (vec![traf(2, &[[OTHER; 2]]), traf(3, &[[OTHER, SYNC]])], true, "of the other picture"),
        (vec![traf(1, &[[SYNC, SYNC]]), traf(2, &[[OTHER; 2]])], false, "only the sound"),
        (vec![traf(1, &[[SYNC, SYNC]])], false, "without a picture"),
    ] {
        let cut = frame(Format::Fmp4, [&film[..], &fragment(&trafs)]);
        let ways: Vec<_> =
            cut.packets.iter().map(|(packet, _)| (packet.random_access, packet.content)).collect();
        assert_eq!(ways, [(false, false), (joins, true)], "{why}");
    }
    let sound = moov(&[(1, b"soun")]);
    let cut = frame(Format::Fmp4, [&sound[..], &fragment(&[traf(1, &[[OTHER; 2]])])]);
    assert!(cut.packets[1].0.random_access, "sound can be joined anywhere");
}

#[test]
fn damage_that_looks_like_a_beginning_is_left_behind() {
    let bad = [0x1A, 0x45, 0xDF, 0xA3, 0, 0x1F, 0x43, 0xB6, 0x75, 0];
    let (_, name, data) = MEDIA[14];
    let cut = frame(Format::WebM, [data, &bad, data]);
    assert_eq!((&cut.error, cut.leftover), (&None, 0), "{name}");
    let last = frame(Format::WebM, [data]).packets.pop();
    assert_eq!(
        cut.packets.last().map(|(packet, _)| &packet.data),
        last.as_ref().map(|(packet, _)| &packet.data)
    );
}

#[test]
fn a_frame_before_a_tag_is_known_as_soon_as_the_tag_begins() {
    let (_, _, data) = MEDIA[2];
    let len = frame(Format::MpegAudio, [data]).packets[0].0.data.len();
    // After junk, one frame, then a tag that is not whole.
    let stream = [b"junk", &data[..len], b"ID3\x04\0\0\0\0\x10\0"].concat();
    for end in [stream.len() - 6, stream.len()] {
        let cut = frame(Format::MpegAudio, [&stream[..end]]);
        let joins: Vec<_> = cut.packets.iter().map(|(packet, _)| packet.random_access).collect();
        assert_eq!((joins, cut.leftover), (vec![false, true], end - 4 - len));
    }
}

#[test]
fn tags_are_passed_on() {
    let (_, _, data) = MEDIA[0];
    let cut = frame(Format::MpegAudio, [data]);
    assert!(cut.packets[0].0.data.starts_with(b"ID3") && !cut.packets[0].0.random_access);
    assert!(cut.packets[1].0.random_access);
    let last = &cut.packets[cut.packets.len() - 1].0;
    assert!(last.data.starts_with(b"TAG") && last.data.len() == 128 && !last.random_access);
    // A picture of 200 000 bytes in the tag.
    let tag = [&b"ID3\x03\0\0\0\x0C\x1A\x40"[..], &[0xFF; 200_000]].concat();
    let cut = frame(Format::MpegAudio, [&tag[..], &data[cut.packets[0].0.data.len()..]]);
    assert_eq!((&cut.error, cut.leftover), (&None, 0));
    let (tags, frames) = cut.packets.split_at(4);
    assert!(tags.iter().all(|(packet, _)| !packet.random_access) && frames[0].0.random_access);
}

#[test]
fn raw_is_sent_as_it_comes() {
    let large = vec![7; 100_000];
    let cut = frame(Format::Raw, [&b"abc"[..], b"", b"d", &large]);
    let lens: Vec<_> = cut.packets.iter().map(|(packet, _)| packet.data.len()).collect();
    assert_eq!(lens, [3, 1, 65_536, 34_464]);
    assert!(cut.packets.iter().all(|(packet, _)| packet.random_access && packet.time.is_none()));
    assert_eq!(cut.leftover, 0);
}

#[test]
fn frames_in_one_piece_are_not_copied() {
    for (format, name, data) in MEDIA {
        let data = Bytes::from_static(data);
        let mut framer = Framer::new(format);
        framer.handle_data(data.slice(..data.len() / 2));
        framer.handle_data(data.slice(data.len() / 2..));
        let mut copied = 0;
        while let Some(packet) = framer.poll().unwrap() {
            copied += usize::from(!data.as_ptr_range().contains(&packet.data.as_ptr()));
        }
        assert!(copied <= 1, "{name}: {copied} copied");
    }
}
