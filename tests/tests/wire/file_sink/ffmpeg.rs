//! With ffmpeg.

use std::thread;

use httpout_tests::run;

use super::*;

both! { ffmpeg_writes_hls_under_temporary_names, ffmpeg_writes_hls_in_place, ffmpeg_writes_hls_in_place_where_it_is_served, ffmpeg_writes_low_latency_dash }

/// A picture that moves, encoded in no time, with a key frame each second.
const VIDEO: &str = "-nostdin -v error -f lavfi -i testsrc=s=160x120:r=25 -t 12 -c:v libx264 -preset ultrafast \
    -tune zerolatency -g 25 -b:v 200k";

/// Lets ffmpeg write into the directory, while the manifest is asked for again and again; `check`
/// judges each.
#[track_caller]
fn ffmpeg(sink: &Sink, words: &str, name: &str, check: impl Fn(&str) -> bool) {
    let in_place = words.contains("-temp_file");
    let mut seen = false;
    let file = sink.tree.arg(&format!("in/{name}"));
    let args: Vec<_> = VIDEO.split_whitespace().chain(words.split_whitespace()).collect();
    thread::scope(|scope| {
        let encoder = scope.spawn(|| run("ffmpeg", &[&args[..], &[&file]].concat(), b"").ok());
        while !encoder.is_finished() {
            let mut client = sink.client();
            let head = client.begin(&get(&format!("/{name}")));
            if head.status != 200 {
                assert_eq!(head.status, 404, "{head:?}");
                continue;
            }
            match client.rest() {
                Ok(text) => {
                    let text = String::from_utf8_lossy(&text);
                    assert!(check(&text), "half of a manifest: {text:?}");
                    seen = true;
                }
                // The first version was written over while it was read, and none is kept of before.
                Err(cut) => assert!(in_place && !seen, "cut: {cut:?}"),
            }
        }
        encoder.join().expect("ffmpeg ends well");
    });
    sink.is_all_there();
    assert!(sink.files("in").len() > 3, "{:?}", sink.files("in").keys());
    assert!(check(&sink.ask(&get(&format!("/{name}"))).text()));
}

fn is_whole_playlist(text: &str) -> bool {
    let durations = text.lines().filter(|line| line.starts_with("#EXTINF:")).count();
    let segments = text.lines().filter(|line| !line.starts_with('#')).count();
    text.starts_with("#EXTM3U\n") && text.ends_with('\n') && durations == segments
}

const HLS: &str = "-f hls -hls_time 1 -hls_list_size 4 -hls_delete_threshold 1 -hls_flags";

fn ffmpeg_writes_hls_under_temporary_names(kind: Kind) {
    let sink = Sink::new(kind);
    ffmpeg(&sink, &format!("{HLS} delete_segments+temp_file"), "p.m3u8", is_whole_playlist);
}

fn ffmpeg_writes_hls_in_place(kind: Kind) {
    let sink = Sink::new(kind);
    ffmpeg(&sink, &format!("{HLS} delete_segments-temp_file"), "p.m3u8", is_whole_playlist);
}

fn ffmpeg_writes_hls_in_place_where_it_is_served(kind: Kind) {
    let sink = Sink::over(Tree::new(), kind, "in", &[]);
    sink.write("p.m3u8", "#EXTM3U\n");
    sink.serves("/p.m3u8", b"#EXTM3U\n");
    ffmpeg(&sink, &format!("{HLS} delete_segments-temp_file"), "p.m3u8", is_whole_playlist);
}

fn ffmpeg_writes_low_latency_dash(kind: Kind) {
    let sink = Sink::new(kind);
    let dash = "-f dash -seg_duration 1 -frag_type duration -frag_duration 0.2 -streaming 1 -ldash 1 -use_template 1 \
        -use_timeline 0 -window_size 3 -extra_window_size 1 -target_latency 1";
    ffmpeg(&sink, dash, "m.mpd", |text| text.trim_end().ends_with("</MPD>"));
}
