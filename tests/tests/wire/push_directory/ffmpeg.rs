//! With ffmpeg.

use httpout_tests::run;

use super::*;

both! { ffmpeg_writes_dash_and_the_server_has_it, ffmpeg_writes_hls_and_the_server_has_it }

fn ffmpeg_writes_dash_and_the_server_has_it(kind: Kind) {
    let followed = Followed::new(kind);
    let manifest = followed.site.tree.arg("in/manifest.mpd");
    let args = "-loglevel error -f lavfi -i testsrc=s=160x90:r=25 -f lavfi -i sine -t 6 -c:v libx264 -preset ultrafast \
        -g 25 -c:a aac -f dash -seg_duration 1 -frag_type duration -frag_duration 0.2 -streaming 1 -ldash 1 \
        -use_template 1 -use_timeline 0 -window_size 3 -extra_window_size 1";
    let args: Vec<&str> = args.split_whitespace().chain([manifest.as_str()]).collect();
    run("ffmpeg", &args, b"").ok();
    followed.is_mirrored();
    assert!(followed.site.has("live/manifest.mpd"));
    followed.ends();
}

fn ffmpeg_writes_hls_and_the_server_has_it(kind: Kind) {
    let followed = Followed::new(kind);
    let list = followed.site.tree.arg("in/a.m3u8");
    let args = "-loglevel error -re -f lavfi -i testsrc=s=160x90:r=25 -t 4 -c:v libx264 -preset ultrafast -g 25 \
        -f hls -hls_time 1 -hls_list_size 2 -hls_delete_threshold 1 -hls_flags delete_segments";
    let args: Vec<&str> = args.split_whitespace().chain([list.as_str()]).collect();
    run("ffmpeg", &args, b"").ok();
    followed.is_mirrored();
    assert!(followed.site.has("live/a.m3u8") && !followed.site.has("live/a0.ts"));
    followed.ends();
}
