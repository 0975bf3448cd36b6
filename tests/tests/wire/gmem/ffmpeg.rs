//! With ffmpeg.

use httpout_tests::run;

use super::*;

both! {
    ffmpeg_pushes_hls_into_memory,
    ffmpeg_pushes_dash_into_memory,
    ffmpeg_pushes_one_file_for_each_of_seven_renditions,
    ffmpeg_writes_one_file_for_each_of_seven_renditions,
}

/// A picture that moves, encoded in no time, with a key frame each second, for twelve seconds.
const VIDEO: &str = "-nostdin -v error -f lavfi -i testsrc=s=160x120:r=25 -t 12 -c:v libx264 -preset ultrafast -tune zerolatency \
    -g 25 -b:v 200k";

#[track_caller]
fn ffmpeg(words: &str, last: &str) {
    let args = VIDEO.split_whitespace().chain(words.split_whitespace()).chain([last]);
    run("ffmpeg", &args.collect::<Vec<_>>(), b"").ok();
}

/// What is left of a stream in a directory: all but the segments, and how many of those, once
/// nothing is being uploaded. The encoder ends without waiting for its answers, so its very last
/// uploads may be cut.
#[track_caller]
fn left(site: &Memory, dir: &str, extension: &str) -> (Vec<String>, usize) {
    until("no upload is in progress", || {
        (site.counter("httpout_uploads_in_progress") == 0).then_some(())
    });
    let (mut kept, mut segments) = (Vec::new(), 0);
    for name in site.names(dir) {
        if name.ends_with(extension) && !name.starts_with("init") {
            segments += 1;
        } else {
            kept.push(name);
        }
    }
    (kept, segments)
}

fn ffmpeg_pushes_hls_into_memory(kind: Kind) {
    let site = Memory::with(kind, &["--dlist"]);
    let names = site.url("/h/s%d.m4s");
    let hls = "-f hls -hls_time 1 -hls_list_size 3 -method PUT -http_persistent 0 -hls_segment_type fmp4 \
        -hls_fmp4_init_filename init.mp4 -hls_segment_filename";
    ffmpeg(&format!("{hls} {names}"), &site.url("/h/p.m3u8"));
    assert_eq!(left(&site, "/h/", ".m4s"), (vec!["init.mp4".into(), "p.m3u8".into()], 5));
    assert!(site.evicted() > 0);
    let url = site.url("/h/p.m3u8");
    run("ffmpeg", &["-v", "error", "-i", &url, "-f", "null", "-"], b"").ok();
    assert_eq!(site.tree.list(), Vec::<String>::new());
}

fn ffmpeg_pushes_dash_into_memory(kind: Kind) {
    let site = Memory::with(kind, &["--dlist", "--max_cache_segs", "4"]);
    let dash = "-f dash -seg_duration 1 -streaming 1 -ldash 1 -frag_type duration -frag_duration 0.2 -window_size 3 \
        -extra_window_size 20 -use_template 1 -use_timeline 0 -method PUT -http_persistent 1 -timeout 20";
    ffmpeg(dash, &site.url("/d/live.mpd"));
    // The MPD names three segments and their edges.
    let (others, segments) = left(&site, "/d/", ".m4s");
    assert_eq!(others, ["init-stream0.m4s", "live.mpd"]);
    assert!((4..=6).contains(&segments), "{segments}");
    assert!(site.evicted() > 0);
    assert!(site.ask(&get("/d/live.mpd")).text().contains("<MPD"));
}

/// Encodes seven renditions of four seconds.
#[track_caller]
fn seven<'a>(muxer: impl IntoIterator<Item = &'a str>, last: &'a str) {
    let video = "-nostdin -v error -f lavfi -i testsrc=s=64x48:r=10 -t 4 -map 0 -map 0 -map 0 -map 0 -map 0 -map 0 -map 0 \
        -c:v libx264 -preset ultrafast -g 10";
    let args = video.split_whitespace().chain(muxer).chain([last]);
    run("ffmpeg", &args.collect::<Vec<_>>(), b"").ok();
}

/// The names of the renditions, by number.
fn renditions(extension: &str) -> Vec<String> {
    (0..7).map(|number| format!("m-stream{number}.{extension}")).collect()
}

fn ffmpeg_pushes_one_file_for_each_of_seven_renditions(kind: Kind) {
    let site = Memory::with(kind, &["--dlist"]);
    let dash = "-f dash -seg_duration 1 -single_file 1 -single_file_name m-stream$RepresentationID$.mp4 -method PUT";
    seven(dash.split_whitespace(), &site.url("/d/live.mpd"));
    let expected = [vec!["live.mpd".to_owned()], renditions("mp4")].concat();
    until("all are there", || (site.names("/d/") == expected).then_some(()));
    assert_eq!(site.evicted(), 0);
}

fn ffmpeg_writes_one_file_for_each_of_seven_renditions(kind: Kind) {
    for (segments, extension) in [("mpegts", "ts"), ("fmp4", "m4s")] {
        let tree = Tree::new();
        tree.dir("in");
        let input = tree.path("in");
        let args = ["-i", "in/", "-o", "http://127.0.0.1/", "--rdirs", "gmem", "--dlist"];
        let site = Memory::start(tree, kind, &args);
        let hls = "-f hls -hls_time 1 -hls_list_size 0 -hls_flags single_file -hls_segment_type";
        let variants = ["-var_stream_map", "v:0 v:1 v:2 v:3 v:4 v:5 v:6"];
        let muxer = hls.split_whitespace().chain([segments]).chain(variants);
        seven(muxer, &input.join("m-stream%v.m3u8").to_string_lossy());
        let mut expected = [renditions(extension), renditions("m3u8")].concat();
        expected.sort();
        until("all are there", || {
            let mut names = site.names("/");
            names.sort();
            (names == expected).then_some(())
        });
        assert_eq!(site.evicted(), 0);
    }
}
