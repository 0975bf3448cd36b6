//! Real clients: curl, and ffmpeg as encoder and as player. What they push is tapped on the way,
//! and must be what is served.

use std::collections::BTreeMap;
use std::thread;

use httpout_tests::{Client, Kind, Piece, Pushed, Ran, Request, Site, Tap, both, get, run, until};

both! {
    curl_uploads_and_downloads,
    curl_reads_ranges_and_resumes,
    curl_writes_ranges_and_resumes,
    curl_revalidates,
    curl_keeps_its_connection,
    curl_sends_no_body_that_is_refused,
    curl_offers_http2_in_vain,
    curl_meets_refusals,
    ffmpeg_pushes_low_latency_dash_over_persistent_connections,
    ffmpeg_pushes_low_latency_dash_over_a_connection_each,
    ffmpeg_pushes_hls_with_fragmented_mp4,
    ffmpeg_pushes_hls_with_transport_streams,
    ffmpegs_segments_can_be_read_while_they_grow,
    ffmpeg_plays_from_the_server,
}

/// Runs curl, silent but for errors, with an answer to be waited for as long as it takes.
#[track_caller]
fn curl(args: &[&str], input: &[u8]) -> Ran {
    // Over TLS, the tests' servers have certificates of their own making.
    run(
        "curl",
        &[&["-k", "-sS", "--max-time", "60", "--expect100-timeout", "60"], args].concat(),
        input,
    )
}

/// What curl writes for `-w FORMAT`, with the body thrown away.
#[track_caller]
fn curl_says(format: &str, args: &[&str]) -> String {
    curl(&[&["-o", "/dev/null", "-w", format], args].concat(), b"").ok()
}

/// Some bytes that do not repeat soon.
fn content(length: usize) -> Vec<u8> {
    (0..length as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

fn curl_uploads_and_downloads(kind: Kind) {
    let site = Site::new(kind);
    let big = content(3_000_000);
    site.tree.write("file.bin", &big);
    let file = site.tree.arg("file.bin");
    let url = |path: &str| site.server.url(path);
    // With a length and Expect, in chunks and Expect, as a form would, and over HTTP/1.0.
    curl(&["-f", "-T", &file, &url("/a.bin")], b"").ok();
    curl(&["-f", "-T", "-", &url("/b.bin")], &big).ok();
    curl(&["-f", "--data-binary", &format!("@{file}"), &url("/c.bin")], b"").ok();
    curl(&["-f", "--http1.0", "-T", &file, &url("/d.bin")], b"").ok();
    curl(&["-f", "-T", &file, "-H", "Expect:", &url("/e.bin")], b"").ok();
    for name in ["a.bin", "b.bin", "c.bin", "d.bin", "e.bin"] {
        assert!(site.read(name).as_ref() == Some(&big), "{name} is not what was sent");
        let ran = curl(&["-f", &url(&format!("/{name}"))], b"");
        ran.ok();
        assert!(ran.stdout == big, "{name} is not what is served");
    }
    assert!(curl(&["-f", "--http1.0", &url("/a.bin")], b"").stdout == big);
    assert_eq!(curl_says("%{http_code}", &["-X", "PUT", "-d", "", &url("/empty.bin")]), "201");
    assert_eq!(site.read("empty.bin"), Some(Vec::new()));
    assert_eq!(curl_says("%{http_code}", &["-X", "DELETE", &url("/empty.bin")]), "200");
    assert_eq!(curl_says("%{http_code}", &["-X", "DELETE", &url("/empty.bin")]), "204");
    let head = curl(&["-f", "-I", &url("/a.bin")], b"").ok();
    assert!(head.contains("Content-Length: 3000000"), "{head}");
    // Two at once, thirty times.
    let urls: Vec<_> = (0..30).map(|_| url("/a.bin")).collect();
    let parallel: Vec<_> = ["-f", "-Z", "--parallel-max", "8"]
        .into_iter()
        .chain(urls.iter().map(String::as_str))
        .collect();
    assert_eq!(curl(&parallel, b"").stdout.len(), 30 * big.len());
}

fn curl_reads_ranges_and_resumes(kind: Kind) {
    let site = Site::new(kind);
    let bytes = content(100_000);
    site.write("a.bin", &bytes);
    let url = site.server.url("/a.bin");
    for (range, expected) in [
        ("0-9", bytes[..10].to_vec()),
        ("0-9,20-29", [&bytes[..10], &bytes[20..30]].concat()),
        ("-5", bytes[99_995..].to_vec()),
        ("99990-200000", bytes[99_990..].to_vec()),
        ("50000-", bytes[50_000..].to_vec()),
    ] {
        let ran = curl(&["-f", "-r", range, &url], b"");
        ran.ok();
        assert!(ran.stdout == expected, "range {range}");
    }
    let original = curl(&["-f", "-H", "Range: bytes=0-9,bytes=20-29", &url], b"");
    assert!(original.stdout == [&bytes[..10], &bytes[20..30]].concat());
    site.tree.write("part.bin", &bytes[..40_000]);
    curl(&["-f", "-C", "-", "-o", &site.tree.arg("part.bin"), &url], b"").ok();
    assert!(site.tree.read("part.bin") == Some(bytes), "the resumed download");
}

fn curl_writes_ranges_and_resumes(kind: Kind) {
    let site = Site::new(kind);
    let bytes = content(100_000);
    site.tree.write("file.bin", &bytes);
    site.write("a.bin", &bytes[..40_000]);
    let url = site.server.url("/a.bin");
    // A resumed upload is a PUT with Content-Range.
    curl(&["-f", "-C", "40000", "-T", &site.tree.arg("file.bin"), &url], b"").ok();
    assert!(site.read("a.bin").as_ref() == Some(&bytes), "the resumed upload");
    curl(&["-f", "-X", "PUT", "-H", "Range: bytes=10-14", "--data-binary", "ABCDE", &url], b"")
        .ok();
    assert!(site.read("a.bin") == Some([&bytes[..10], b"ABCDE", &bytes[15..]].concat()));
}

fn curl_revalidates(kind: Kind) {
    let site = Site::new(kind);
    site.write("a.bin", "content");
    let url = site.server.url("/a.bin");
    let tag = site.tree.arg("tag.txt");
    assert_eq!(curl_says("%{http_code}", &["--etag-save", &tag, &url]), "200");
    assert_eq!(curl_says("%{http_code}", &["--etag-compare", &tag, &url]), "304");
    assert_eq!(curl_says("%{http_code}", &["-z", "1 Jan 2035", &url]), "304");
    assert_eq!(curl_says("%{http_code}", &["-z", "1 Jan 2001", &url]), "200");
    assert_eq!(
        curl_says("%{http_code}", &["-X", "PUT", "-d", "new", "-H", "If-None-Match: *", &url]),
        "412"
    );
}

fn curl_keeps_its_connection(kind: Kind) {
    let site = Site::new(kind);
    site.write("a.bin", "content");
    let (file, none) = (site.server.url("/a.bin"), site.server.url("/none"));
    let count = |args: &[&str]| {
        let said = curl(&[&["-w", "%{num_connects}\\n"], args].concat(), b"").ok();
        said.lines().map(|n| n.parse::<u32>().expect("a number")).sum::<u32>()
    };
    let to_nowhere = ["-o", "/dev/null"];
    let urls =
        [&file, &none, &file, &file, &none].map(|url| [&to_nowhere[..], &[url]].concat()).concat();
    assert_eq!(count(&urls), 1);
    // An upload, then a download.
    let upload = [
        "-T",
        &site.tree.arg("www/a.bin"),
        &file,
        "--next",
        "-k",
        "-sS",
        "-w",
        "%{num_connects}\\n",
    ];
    assert_eq!(count(&[&upload[..], &to_nowhere, &[&file]].concat()), 1);
}

fn curl_sends_no_body_that_is_refused(kind: Kind) {
    let site = Site::with(kind, &["--maxs", "1M"]);
    site.write("a.bin", "content");
    site.tree.write("big.bin", content(2_000_000));
    site.tree.write("small.bin", content(500_000));
    let (big, small) = (site.tree.arg("big.bin"), site.tree.arg("small.bin"));
    let url = site.server.url("/a.bin");
    let expect = ["-H", "Expect: 100-continue"];
    let format = "%{http_code} %{size_upload}";
    assert_eq!(curl_says(format, &[&["-T", &big, &url], &expect[..]].concat()), "413 0");
    assert_eq!(
        curl_says(format, &[&["-T", &small, &url, "-H", "If-None-Match: *"], &expect[..]].concat()),
        "412 0"
    );
    let read_only = Site::read_only(kind, &[]);
    let url = read_only.server.url("/a.bin");
    assert_eq!(curl_says(format, &[&["-T", &small, &url], &expect[..]].concat()), "405 0");
    assert_eq!(site.read("a.bin").as_deref(), Some(&b"content"[..]));
}

fn curl_offers_http2_in_vain(kind: Kind) {
    let site = Site::new(kind);
    site.tree.write("file.bin", content(100_000));
    let url = site.server.url("/a.bin");
    let format = "%{http_code} %{http_version}";
    assert_eq!(curl_says(format, &["--http2", "-T", &site.tree.arg("file.bin"), &url]), "201 1.1");
    assert_eq!(curl_says(format, &["--http2", &url]), "200 1.1");
    assert_eq!(site.read("a.bin"), Some(content(100_000)));
    // One that begins with HTTP/2 is told off, not left waiting. Over TLS, curl offers HTTP/1.1 all
    // the same.
    let ran = curl(&["--http2-prior-knowledge", &url.replace("https:", "http:")], b"");
    assert!(ran.code.is_some_and(|code| code != 0 && code != 28), "{ran:?}");
}

fn curl_meets_refusals(kind: Kind) {
    let site = Site::new(kind);
    site.tree.dir("www/dir");
    let url = |path: &str| site.server.url(path);
    let code = |args: &[&str]| curl_says("%{http_code}", args);
    assert_eq!(code(&["--path-as-is", &url("/../etc/passwd")]), "400");
    assert_eq!(code(&["--path-as-is", &url("/%2e%2e/etc/passwd")]), "400");
    assert_eq!(code(&[&url("/none")]), "404");
    assert_eq!(code(&["-L", &url("/dir")]), "403");
    assert_eq!(code(&["-X", "BREW", &url("/none")]), "501");
    assert_eq!(code(&["-X", "PATCH", "-d", "x", &url("/none")]), "415");
}

/// What an encoder sent and what the server has of it: each file's last whole content, unless
/// deleted after it.
struct Sent {
    uploads: BTreeMap<String, Vec<Vec<u8>>>,
    cut: Vec<String>,
    deleted: Vec<String>,
}

fn sent(pushed: Vec<Pushed>) -> Sent {
    let mut sent = Sent { uploads: BTreeMap::new(), cut: Vec::new(), deleted: Vec::new() };
    for request in pushed {
        match (request.method.as_str(), request.whole) {
            ("PUT" | "POST", true) => {
                sent.uploads.entry(request.path).or_default().push(request.body)
            }
            ("PUT" | "POST", false) => sent.cut.push(request.path),
            ("DELETE", _) => sent.deleted.push(request.path),
            other => panic!("ffmpeg sent {other:?}"),
        }
    }
    sent
}

/// Everything that was pushed whole is there as it was pushed, what was deleted is gone, and
/// nothing else is there.
#[track_caller]
fn all_is_there(site: &Site, sent: &Sent) {
    site.no_parts_left();
    for (path, versions) in &sent.uploads {
        let name = &path[1..];
        if sent.deleted.contains(path) {
            until(&format!("{path} is deleted"), || (!site.has(name)).then_some(()));
            site.ask(&get(path)).status_is(404);
            continue;
        }
        let last = versions.last().expect("each path has a version");
        until(&format!("{path} is what was pushed last"), || {
            (site.read(name).as_ref() == Some(last)).then_some(())
        });
        site.ask(&get(path)).is(200, last);
    }
    let files = site.tree.list().into_iter().filter(|name| !name.ends_with('/'));
    for name in files.map(|name| name.replacen("www", "", 1)) {
        assert!(sent.uploads.contains_key(&name), "{name} was never pushed whole");
    }
}

/// A picture that moves, encoded in no time, with a key frame each second.
const VIDEO: &str = "-f lavfi -i testsrc=s=160x120:r=25 -c:v libx264 -preset ultrafast -tune zerolatency -g 25 -b:v 200k";

/// Low-latency DASH with segments of a second in fragments of a fifth.
const DASH: &str = "-f dash -seg_duration 1 -frag_type duration -frag_duration 0.2 -streaming 1 -ldash 1 -use_template 1 \
    -use_timeline 0 -target_latency 1 -utc_timing_url http://127.0.0.1/time -method PUT -timeout 20";

/// Runs ffmpeg with these words and a last argument.
#[track_caller]
fn ffmpeg(words: &[&str], last: &str) {
    let args = ["-nostdin -v error"].iter().chain(words).flat_map(|words| words.split_whitespace());
    run("ffmpeg", &args.chain([last]).collect::<Vec<_>>(), b"").ok();
}

/// Pushes some seconds of low-latency DASH through a tap.
#[track_caller]
fn push_dash(kind: Kind, persistent: &str) {
    let site = Site::new(kind);
    let tap = Tap::new(site.server.address());
    let sound = "-f lavfi -i sine";
    let options = "-t 8 -map 0:v -map 1:a -c:a aac -b:a 32k";
    let window = "-window_size 3 -extra_window_size 1 -http_persistent";
    let (input, codec) = VIDEO.split_at(VIDEO.find("-c:v").expect("a codec"));
    ffmpeg(
        &[input, sound, codec, options, DASH, window, persistent],
        &tap.url("/live/ch1/manifest.mpd"),
    );
    let sent = sent(tap.pushed());
    assert!(
        sent.uploads.len() > 12 && sent.deleted.len() > 4,
        "{:?} {:?}",
        sent.uploads.keys(),
        sent.deleted
    );
    all_is_there(&site, &sent);
}

fn ffmpeg_pushes_low_latency_dash_over_persistent_connections(kind: Kind) {
    push_dash(kind, "1");
}

fn ffmpeg_pushes_low_latency_dash_over_a_connection_each(kind: Kind) {
    push_dash(kind, "0");
}

/// Pushes some seconds of HLS through a tap, and plays what is left.
#[track_caller]
fn push_hls(kind: Kind, persistent: &str, segments: &str, extension: &str) {
    let site = Site::new(kind);
    let tap = Tap::new(site.server.address());
    let hls = "-t 8 -f hls -hls_time 1 -hls_list_size 3 -hls_flags delete_segments+independent_segments \
        -hls_delete_threshold 1 -method PUT -http_persistent";
    let names = format!("-hls_segment_filename {}", tap.url(&format!("/h/s%d.{extension}")));
    ffmpeg(&[VIDEO, hls, persistent, &names, segments], &tap.url("/h/p.m3u8"));
    let sent = sent(tap.pushed());
    assert!(
        sent.uploads.len() >= 9 && sent.deleted.len() >= 3,
        "{:?} {:?}",
        sent.uploads.keys(),
        sent.deleted
    );
    all_is_there(&site, &sent);
    let frames = frames(&site.server.url("/h/p.m3u8"));
    assert_eq!(frames, 75, "the last three seconds are left in the playlist");
}

fn ffmpeg_pushes_hls_with_fragmented_mp4(kind: Kind) {
    push_hls(kind, "1", "-hls_segment_type fmp4 -hls_fmp4_init_filename init.mp4", "m4s");
}

fn ffmpeg_pushes_hls_with_transport_streams(kind: Kind) {
    push_hls(kind, "0", "", "ts");
}

/// How many frames a player finds in the first stream.
#[track_caller]
fn frames(url: &str) -> usize {
    let args = [
        "-v",
        "error",
        "-count_frames",
        "-select_streams",
        "v:0",
        "-show_entries",
        "stream=nb_read_frames",
        "-of",
        "csv=p=0",
    ];
    let said = run("ffprobe", &[&args[..], &[url]].concat(), b"").ok();
    said.lines()
        .next()
        .and_then(|n| n.trim().trim_end_matches(',').parse().ok())
        .unwrap_or_default()
}

/// Reads a growing resource to its end; whether its first bytes came before it had its name on the
/// disk, and all of it.
#[track_caller]
fn read_growing(site: &Site, reader: &mut Client, path: &str) -> (bool, Vec<u8>) {
    reader.send(get(path).bytes());
    reader.head("GET").status_is(200);
    let Piece::Data(mut all) = reader.piece() else { panic!("{path} has no content") };
    let growing = !site.has(&path[1..]);
    all.extend(reader.rest().unwrap_or_else(|(_, end)| panic!("{path} is cut: {end:?}")));
    (growing, all)
}

fn ffmpegs_segments_can_be_read_while_they_grow(kind: Kind) {
    let site = Site::with(kind, &["--wait-missing", "60"]);
    let url = site.server.url("/live/manifest.mpd");
    thread::scope(|scope| {
        let encoder =
            scope.spawn(|| ffmpeg(&["-re", VIDEO, "-t 5", DASH, "-http_persistent 1"], &url));
        // Asked for before it is there, as a low-latency player does.
        let mut reader = site.client();
        for number in 2..=4 {
            let path = format!("/live/chunk-stream0-0000{number}.m4s");
            let (growing, content) = read_growing(&site, &mut reader, &path);
            assert!(growing, "{path} was answered only when it was whole");
            until(&format!("{path} is there"), || {
                (site.read(&path[1..]).as_ref() == Some(&content)).then_some(())
            });
        }
        encoder.join().expect("the encoder ends well");
    });
    site.no_parts_left();
}

fn ffmpeg_plays_from_the_server(kind: Kind) {
    let site = Site::new(kind);
    let film = site.tree.arg("www/film.mp4");
    site.tree.dir("www/vod");
    ffmpeg(&[VIDEO, "-t 4"], &film);
    ffmpeg(&["-i", &film, "-c copy -f dash -seg_duration 1"], &site.tree.arg("www/vod/m.mpd"));
    // Its index is at the end, so the player asks for ranges.
    assert_eq!(frames(&site.server.url("/film.mp4")), 100);
    assert_eq!(frames(&site.server.url("/vod/m.mpd")), 100);
    // A film that is uploaded while it is played.
    let bytes = site.read("film.mp4").expect("the film is there");
    let mut upload = site.client();
    upload.begin_upload(Request::new("PUT", "/new.mp4").announce(bytes.len() as u64));
    let url = site.server.url("/new.mp4");
    let played = thread::scope(|scope| {
        let player = scope.spawn(|| frames(&url));
        for piece in bytes.chunks(10_000) {
            upload.send(piece);
        }
        upload.response("PUT").status_is(201);
        player.join().expect("the player's thread")
    });
    assert_eq!(played, 100);
}
