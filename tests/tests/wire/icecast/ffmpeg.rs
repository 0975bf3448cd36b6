//! With ffmpeg.

use std::thread::JoinHandle;

use httpout_tests::live::media_path;
use httpout_tests::{Head, Ran, run};

use super::*;

both! { ffmpeg_sends_as_icecast_2_4, ffmpeg_sends_as_old_icecast, ffmpeg_sends_with_its_password, ffmpeg_is_told_that_it_may_not_send }

/// Begins to run ffmpeg, which sends this file.
fn ffmpeg(before: &[&str], file: &str, after: &[&str], url: &str) -> JoinHandle<Ran> {
    let file = media_path(file);
    let own = ["-nostdin", "-v", "error"];
    let args = [&own[..], before, &["-i", &file, "-c", "copy"], after, &[url]].concat();
    let args: Vec<_> = args.into_iter().map(str::to_owned).collect();
    thread::spawn(move || run("ffmpeg", &args.iter().map(String::as_str).collect::<Vec<_>>(), b""))
}

/// A listener, as soon as there is something of that path.
#[track_caller]
fn first_listener(server: &Server, path: &str) -> (Client, Head) {
    until("ffmpeg sends", || {
        let mut client = server.client();
        let found = client.ask(&head(path)).status == 200;
        found.then(|| {
            let answer = client.begin(&get(path));
            (client, answer)
        })
    })
}

const TOLD: [&str; 8] = [
    "-ice_name",
    "My Radio",
    "-ice_genre",
    "Rock",
    "-ice_description",
    "All of it",
    "-ice_public",
    "1",
];

/// Files, their formats in ffmpeg, and their media types.
const STREAMS: [(&str, &str, &str); 4] = [
    ("cbr.mp3", "mp3", "audio/mpeg"),
    ("tone.aac", "adts", "audio/aac"),
    ("vorbis.ogg", "ogg", "application/ogg"),
    ("live.webm", "webm", "video/webm"),
];

#[track_caller]
fn is_told(answer: &Head, media_type: &str) {
    answer.status_is(200).field_is("icy-name", "My Radio").field_is("icy-genre", "Rock");
    answer.field_is("icy-pub", "1").field_is("icy-description", "All of it");
    answer.field_is("content-type", media_type);
}

/// The number of packets that ffmpeg decodes without complaint.
#[track_caller]
fn frames(stream: &[u8]) -> usize {
    let ran = run("ffmpeg", &["-v", "error", "-xerror", "-i", "-", "-f", "framecrc", "-"], stream);
    let lines = ran.ok();
    assert_eq!(ran.stderr, "");
    lines.lines().filter(|line| !line.starts_with('#')).count()
}

fn ffmpeg_sends_as_icecast_2_4(kind: Kind) {
    let server = server(kind, &["--hold", "--blockio"]);
    for (file, format, media_type) in STREAMS {
        let path = format!("/live.{format}");
        let url = format!("icecast://source:pw@{}{path}", server.address());
        let after = [&["-f", format, "-content_type", media_type], &TOLD[..]].concat();
        let sends = ffmpeg(&[], file, &after, &url);
        let (mut listener, answer) = first_listener(&server, &path);
        is_told(&answer, media_type);
        let got = listener.rest().expect("it ends well");
        sends.join().expect("ffmpeg ran").ok();
        is_gone(&server, &path);
        // MP3 begins with a frame of ffmpeg's own.
        assert!(frames(&got).abs_diff(frames(&media(file))) <= 1, "{file}");
    }
}

fn ffmpeg_sends_as_old_icecast(kind: Kind) {
    let server = server(kind, &[]);
    for (file, format, media_type) in STREAMS {
        let path = format!("/live.{format}");
        let url = format!("icecast://source:pw@{}{path}", server.address());
        let own = ["-f", format, "-content_type", media_type, "-legacy_icecast", "1"];
        // In real time: it does not wait for answers, and so its end is a reset, which takes with
        // it what is not yet read.
        let sends = ffmpeg(&["-re"], file, &[&own[..], &TOLD].concat(), &url);
        let (mut listener, answer) = first_listener(&server, &path);
        is_told(&answer, media_type);
        let got = listener.rest().unwrap_or_else(|(got, _)| got);
        sends.join().expect("ffmpeg ran").ok();
        is_gone(&server, &path);
        assert!(frames(&got) > 5, "{file}");
    }
}

fn ffmpeg_sends_with_its_password(kind: Kind) {
    let site = ruled(kind, &["--hold", "--blockio", "--ice"]);
    for legacy in ["0", "1"] {
        let address = site.server.address();
        let url = format!("icecast://alice:alice-secret@{address}/radio/a.mp3");
        let after = ["-f", "mp3", "-legacy_icecast", legacy];
        let before = if legacy == "1" { &["-re"][..] } else { &[] };
        let sends = ffmpeg(before, "cbr.mp3", &after, &url);
        let ask = get("/radio/a.mp3");
        let got = until("ffmpeg sends", || {
            let mut client = site.client();
            let found = client.ask(&head("/radio/a.mp3").of("bob")).status == 200;
            found.then(|| {
                client.begin(&ask.clone().of("bob")).status_is(200);
                site.ask(&ask).status_is(401);
                client.rest().unwrap_or_else(|(got, _)| got)
            })
        });
        assert!(frames(&got) > 5);
        sends.join().expect("ffmpeg ran").ok();
    }
}

fn ffmpeg_is_told_that_it_may_not_send(kind: Kind) {
    let site = ruled(kind, &[]);
    let file = media_path("cbr.mp3");
    for (user, status) in [("alice:wrong", "401"), ("bob:bob-secret", "403")] {
        for legacy in ["0", "1"] {
            let url = format!("icecast://{user}@{}/radio/a.mp3", site.server.address());
            let own = ["-nostdin", "-v", "error", "-i", &file, "-c", "copy", "-f", "mp3"];
            let ran = run("ffmpeg", &[&own[..], &["-legacy_icecast", legacy, &url]].concat(), b"");
            // The old protocol's client may have sent all before it reads the answer.
            if legacy == "0" {
                assert_ne!(ran.code, Some(0), "{user}");
                assert!(ran.stderr.contains(status), "{user}: {}", ran.stderr);
            }
            site.ask(&get("/radio/a.mp3").of("bob")).status_is(404);
        }
    }
}
