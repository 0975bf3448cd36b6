//! With ffmpeg.

use httpout_tests::{run, until};

use super::*;

both! { ffmpeg_logs_in }

/// A picture that moves, as HLS, two seconds of it.
const HLS: &str = "-nostdin -v error -f lavfi -i testsrc=s=160x120:r=25 -t 2 -c:v libx264 -preset ultrafast -g 25 \
    -f hls -hls_time 1 -hls_list_size 0 -method PUT -http_persistent";

fn ffmpeg_logs_in(kind: Kind) {
    let site = site(kind);
    let url = |user: &str, path: &str| {
        site.server.url(path).replace("http://", &format!("http://{user}:{user}-secret@"))
    };
    for persistent in ["0", "1"] {
        let dir = format!("/staff/{persistent}");
        let playlist = url("carol", &format!("{dir}/p.m3u8"));
        let segments = url("carol", &format!("{dir}/s%d.ts"));
        let words = HLS.split_whitespace().chain([persistent, "-hls_segment_filename", &segments]);
        run("ffmpeg", &words.chain([&*playlist]).collect::<Vec<_>>(), b"").ok();
        for name in ["p.m3u8", "s0.ts", "s1.ts"] {
            let file = format!("www{dir}/{name}");
            // ffmpeg ends before its last upload is answered.
            until(&file, || site.tree.read(&file).filter(|content| !content.is_empty()));
        }
        // A player reads it who may, and nobody else.
        let play = |url: &str| {
            run(
                "ffprobe",
                &[
                    "-v",
                    "error",
                    "-count_frames",
                    "-select_streams",
                    "v:0",
                    "-show_entries",
                    "stream=nb_read_frames",
                    "-of",
                    "csv=p=0",
                    url,
                ],
                b"",
            )
        };
        let played = play(&url("bob", &format!("{dir}/s0.ts"))).ok();
        assert_eq!(played.lines().next().map(|n| n.trim_end_matches(',')), Some("25"));
        assert_ne!(play(&site.server.url(&format!("{dir}/s0.ts"))).code, Some(0));
    }
    // An encoder that may not write leaves nothing.
    let segments = url("bob", "/staff/b/s%d.ts");
    let words = HLS.split_whitespace().chain(["0", "-hls_segment_filename", &segments]);
    run("ffmpeg", &words.chain([&*url("bob", "/staff/b/p.m3u8")]).collect::<Vec<_>>(), b"");
    assert!(!site.tree.has("www/staff/b"), "{:?}", site.tree.list());
    site.no_parts_left();
}
