//! Live framing before ffmpeg: what a client gets that joins late must decode, from the first frame
//! on.

use std::{fs, path::Path};

use bytes::Bytes;
use httpout_proto::live::framing::{Format, Framer};
use httpout_tests::run;

/// Most places where one stream is joined.
const JOINS: usize = 4;

/// What a client gets, for some of the packets where it may join.
fn joined(format: Format, stream: &[u8]) -> Vec<Vec<u8>> {
    let mut framer = Framer::new(format);
    framer.handle_data(Bytes::copy_from_slice(stream));
    framer.handle_end();
    let mut joins = Vec::new();
    let mut at = 0;
    while let Some(packet) = framer.poll().expect("it is this format") {
        if packet.random_access {
            joins.push([&framer.tune_in().concat(), &stream[at..]].concat());
        }
        at += packet.data.len();
    }
    let step = joins.len().div_ceil(JOINS).max(1);
    joins.into_iter().step_by(step).collect()
}

/// The frames that ffmpeg decodes of each track.
#[track_caller]
fn decoded(demuxer: &str, stream: &[u8]) -> [usize; 2] {
    let args = ["-v", "error", "-xerror", "-f", demuxer, "-i", "-", "-f", "framecrc", "-"];
    let ran = run("ffmpeg", &args, stream);
    let lines = ran.ok();
    assert_eq!(ran.stderr, "");
    ["0,", "1,"].map(|track| lines.lines().filter(|line| line.starts_with(track)).count())
}

/// A stream of `proto/tests/media`, joined in several places. Between two of them there are
/// `frames` of the first track at least.
#[track_caller]
fn check(name: &str, demuxer: &str, joins: usize, tracks: usize) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../proto/tests/media").join(name);
    let stream = fs::read(path).expect("the stream is there");
    let format = Path::new(name).extension().and_then(|extension| extension.to_str());
    let format = format.and_then(Format::from_extension).expect("it has a format");
    let whole = decoded(demuxer, &stream);
    let clients = joined(format, &stream);
    assert!(clients.len() >= joins, "only {} joins", clients.len());
    let mut before = whole;
    for (at, client) in clients.iter().enumerate() {
        let frames = decoded(demuxer, client);
        for track in 0..tracks {
            assert!(frames[track] > 0, "join {at}: no frame of track {track}");
            assert!(frames[track] <= before[track], "join {at}: {frames:?}, before {before:?}");
        }
        assert!(at == 0 || frames[0] < before[0], "join {at}: {frames:?}, before {before:?}");
        before = frames;
    }
}

#[test]
fn mpeg_audio() {
    check("cbr.mp3", "mp3", 4, 1);
    check("vbr.mp3", "mp3", 4, 1);
    check("layer2.mp2", "mp3", 4, 1);
}

#[test]
fn adts() {
    check("tone.aac", "aac", 4, 1);
}

#[test]
fn mpeg_ts() {
    check("film.ts", "mpegts", 3, 2);
    check("tone.ts", "mpegts", 3, 1);
}

#[test]
fn fragmented_mp4() {
    check("film.mp4", "mp4", 3, 2);
    check("tone.mp4", "mp4", 4, 1);
}

#[test]
fn ogg() {
    check("vorbis.ogg", "ogg", 3, 1);
    check("opus.ogg", "ogg", 4, 1);
    check("flac.ogg", "ogg", 3, 1);
    check("film.ogv", "ogg", 3, 2);
}

#[test]
fn webm() {
    check("live.webm", "matroska", 3, 2);
    check("film.webm", "matroska", 2, 2);
    check("tone.webm", "matroska", 3, 1);
}
