//! Live inputs in each format, made by ffmpeg and sent as they play: what listeners get decodes,
//! also that of those who come late.

use std::thread;

use httpout_tests::live::{media, without_icy};
use httpout_tests::{Client, Kind, Server, Tree, both, get, run, until};

both! {
    mp3,
    aac,
    mpeg_ts,
    fragmented_mp4,
    fragmented_mp4_with_keyframes_inside_of_fragments,
    ogg_vorbis,
    ogg_opus,
    webm,
    ffprobe_shows_icy_tags,
    curl_gets_a_whole_stream,
    ffmpeg_feeds_standard_input,
}

const TONE: &[&str] = &["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000"];
const FILM: &[&str] = &[
    "-f",
    "lavfi",
    "-i",
    "testsrc=size=64x48:rate=10",
    "-f",
    "lavfi",
    "-i",
    "sine=frequency=440:sample_rate=48000",
];
const X264: &[&str] = &[
    "-c:v",
    "libx264",
    "-preset",
    "ultrafast",
    "-pix_fmt",
    "yuv420p",
    "-g",
    "5",
    "-bf",
    "0",
    "-c:a",
    "aac",
];

/// Makes a file of three seconds.
#[track_caller]
fn make(tree: &Tree, name: &str, inputs: &[&str], codecs: &[&str]) -> String {
    let path = tree.arg(name);
    let (before, after) = (["-nostdin", "-v", "error", "-y"], ["-t", "3", &path]);
    run("ffmpeg", &[&before[..], inputs, codecs, &after].concat(), b"").ok();
    path
}

/// The frames that ffmpeg decodes, of all tracks; without a complaint.
#[track_caller]
fn frames(stream: &[u8]) -> usize {
    let args = ["-v", "error", "-xerror", "-i", "-", "-f", "framecrc", "-"];
    let ran = run("ffmpeg", &args, stream);
    let lines = ran.ok();
    assert_eq!(ran.stderr, "");
    lines.lines().filter(|line| !line.starts_with('#')).count()
}

/// The tracks that ffprobe finds.
#[track_caller]
fn tracks(stream: &[u8]) -> Vec<String> {
    let args = ["-v", "error", "-show_entries", "stream=codec_name", "-of", "csv=p=0", "-i", "-"];
    let found = run("ffprobe", &args, stream).ok();
    // Those of a program are shown, and then all of them.
    found.lines().take_while(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// Sends a file as it plays, to one who is there from the beginning, to one who comes when a third
/// of it is sent, and to curl.
#[track_caller]
fn check(
    kind: Kind,
    name: &str,
    inputs: &[&str],
    codecs: &[&str],
    media_type: &str,
    expected: &[&str],
) {
    let tree = Tree::new();
    let path = make(&tree, name, inputs, codecs);
    let stored = tree.read(name).expect("ffmpeg made it");
    let server = Server::start(kind, &["-i", &path, "--rt", "--hold", "--burst", "0"]);
    let url = format!("/{name}");
    let listen = || {
        let mut client = server.client();
        client.begin(&get(&url)).status_is(200).field_is("content-type", media_type);
        client
    };
    // Nobody lifts the hold before both are there.
    let mut early: Client = listen();
    let (first, rest) = (early.count_up_to(stored.len() as u64 / 3).0, &mut early);
    let mut late = listen();
    let curled = {
        let url = server.url(&url);
        thread::spawn(move || run("curl", &["-sS", "-f", "--max-time", "60", &url], b""))
    };
    let after = rest.rest().expect("it ends well");
    let late = late.rest().expect("it ends well");
    let curled = curled.join().expect("curl ran");
    curled.ok();
    let whole = first as usize + after.len();
    assert!(whole * 10 >= stored.len() * 9, "{whole} of {} bytes", stored.len());
    let all = frames(&stored);
    for got in [&late, &curled.stdout] {
        assert_eq!(tracks(got), expected);
        let frames = frames(got);
        assert!(frames > 0 && frames < all, "{frames} of {all} frames");
    }
    assert!(late.ends_with(&after[after.len() - after.len().min(100)..]), "it ends elsewhere");
    until("it is over", || (server.ask(&get(&url)).status == 404).then_some(()));
}

fn mp3(kind: Kind) {
    let codecs = ["-c:a", "libmp3lame", "-ac", "1", "-b:a", "32k"];
    check(kind, "a.mp3", TONE, &codecs, "audio/mpeg", &["mp3"]);
}

fn aac(kind: Kind) {
    check(kind, "a.aac", TONE, &["-c:a", "aac", "-b:a", "32k"], "audio/aac", &["aac"]);
}

fn mpeg_ts(kind: Kind) {
    check(kind, "a.ts", FILM, X264, "video/mp2t", &["h264", "aac"]);
}

fn fragmented_mp4(kind: Kind) {
    let flags = ["-movflags", "+frag_keyframe+empty_moov+default_base_moof"];
    check(kind, "a.mp4", FILM, &[X264, &flags].concat(), "video/mp4", &["h264", "aac"]);
}

fn fragmented_mp4_with_keyframes_inside_of_fragments(kind: Kind) {
    // A keyframe every 500 ms: of the fragments, only the first one begins with one.
    let flags = ["-movflags", "+cmaf+delay_moov", "-frag_duration", "700000"];
    check(kind, "a.mp4", FILM, &[X264, &flags].concat(), "video/mp4", &["h264", "aac"]);
}

fn ogg_vorbis(kind: Kind) {
    let codecs = ["-c:a", "libvorbis", "-q:a", "0", "-ac", "1", "-page_duration", "200000"];
    check(kind, "a.ogg", TONE, &codecs, "audio/ogg", &["vorbis"]);
}

fn ogg_opus(kind: Kind) {
    let codecs = ["-c:a", "libopus", "-b:a", "24k", "-page_duration", "200000"];
    check(kind, "a.opus", TONE, &codecs, "audio/ogg", &["opus"]);
}

fn webm(kind: Kind) {
    let codecs =
        ["-c:v", "libvpx", "-g", "5", "-deadline", "realtime", "-c:a", "libopus", "-live", "1"];
    check(kind, "a.webm", FILM, &codecs, "video/webm", &["vp8", "opus"]);
}

fn ffprobe_shows_icy_tags(kind: Kind) {
    let tree = Tree::new();
    tree.write("a.mp3", media("cbr.mp3").repeat(20));
    let path = tree.arg("a.mp3");
    let props = [
        "--prop",
        "ServiceName=My Radio",
        "--prop",
        "icy-genre=Rock",
        "--prop",
        "StreamTitle=The Song",
    ];
    let server = Server::start(kind, &[&["-i", &path, "--hold", "--ice"], &props[..]].concat());
    let args = [
        "-v",
        "error",
        "-count_packets",
        "-show_entries",
        "format_tags",
        "-of",
        "default=nw=1",
        &server.url("/a.mp3"),
    ];
    let told = run("ffprobe", &args, b"").ok();
    for tag in ["icy-name=My Radio", "icy-genre=Rock", "icy-pub=1", "StreamTitle=The Song"] {
        assert!(told.contains(tag), "{tag} in {told}");
    }
}

fn curl_gets_a_whole_stream(kind: Kind) {
    for version in ["--http1.0", "--http1.1"] {
        let tree = Tree::new();
        let stream = media("tone.aac").repeat(100);
        tree.write("a.aac", &stream);
        let server = Server::start(kind, &["-i", &tree.arg("a.aac"), "--hold", "--ice"]);
        let url = server.url("/a.aac");
        let head = run("curl", &["-sS", "-f", "-I", version, &url], b"").ok();
        assert!(head.contains("Content-Type: audio/aac"), "{head}");
        let ran = run("curl", &["-sS", "-f", version, "-H", "Icy-MetaData: 1", &url], b"");
        ran.ok();
        assert!(without_icy(16_000, &ran.stdout).0 == stream, "{} bytes", ran.stdout.len());
    }
}

fn ffmpeg_feeds_standard_input(kind: Kind) {
    let own = ["-i", "-", "-o", "http://127.0.0.1/live.webm", "--hold", "--blockio"];
    let (server, mut input) = Server::fed(kind, &own);
    let feeds = thread::spawn(move || {
        let tree = Tree::new();
        make(
            &tree,
            "film.webm",
            FILM,
            &["-c:v", "libvpx", "-g", "5", "-deadline", "realtime", "-c:a", "libopus"],
        );
        let mut film = std::fs::File::open(tree.path("film.webm")).expect("ffmpeg made it");
        std::io::copy(&mut film, &mut input).expect("it is read");
        tree.read("film.webm").expect("it is there")
    });
    let count = |from: &str, input: &[u8]| {
        let shown = ["-count_frames", "-show_entries", "stream=nb_read_frames", "-of", "csv=p=0"];
        let ran = run("ffprobe", &[&["-v", "error"], &shown[..], &["-i", from]].concat(), input);
        let counts = ran.ok();
        assert_eq!(ran.stderr, "");
        counts.lines().filter_map(|number| number.parse().ok()).collect::<Vec<usize>>()
    };
    let played = count(&server.url("/live.webm"), b"");
    let film = count("-", &feeds.join().expect("it was fed"));
    assert_eq!((played.len(), played[0]), (2, 30), "{played:?} of {film:?}");
    // A packet of sound stands before the first picture, with which everybody begins.
    assert!(film[1] - played[1] <= 1, "{played:?} of {film:?}");
}
