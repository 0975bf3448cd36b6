//! With GStreamer's shout2send, which sends by libshout.

use httpout_tests::run;

use super::*;

both! { gstreamer_sends, gstreamer_sends_where_rules_ask_for_its_password }

/// Some seconds of sound as MP3 to a path, in real time; returns when all is sent.
#[track_caller]
fn gstreamer(port: u16, mount: &str, user: &str, password: &str) {
    let port = format!("port={port}");
    let (mount, user) = (format!("mount={mount}"), format!("username={user}"));
    let password = format!("password={password}");
    let source = ["-q", "audiotestsrc", "is-live=true", "num-buffers=300", "!", "lamemp3enc", "!"];
    let sink = ["shout2send", "ip=127.0.0.1", &port, &mount, &user, &password];
    run("gst-launch-1.0", &[&source[..], &sink, &["streamname=Café"]].concat(), b"").ok();
}

fn gstreamer_sends(kind: Kind) {
    let server = server(kind, &[]);
    let port = server.address().port();
    thread::scope(|scope| {
        let sends = scope.spawn(move || gstreamer(port, "/live.mp3", "source", "hackme"));
        let mut listener = server.client();
        until("GStreamer sends", || {
            assert!(!sends.is_finished(), "it ended before anybody listened");
            let answer = server.ask(&head("/live.mp3"));
            (answer.status == 200).then(|| {
                let name: String = "Café".bytes().map(char::from).collect();
                answer.field_is("icy-name", &name).field_is("content-type", "audio/mpeg");
            })
        });
        listener.begin(&get("/live.mp3")).status_is(200);
        let got = listener.rest().expect("it ends well");
        assert!(got.len() > 4000, "{} bytes", got.len());
        sends.join().expect("GStreamer ran");
    });
    is_gone(&server, "/live.mp3");
}

fn gstreamer_sends_where_rules_ask_for_its_password(kind: Kind) {
    let site = ruled(kind, &["--ice"]);
    let port = site.server.address().port();
    thread::scope(|scope| {
        let path = "/radio/live.mp3";
        let sends = scope.spawn(move || gstreamer(port, path, "alice", "alice-secret"));
        let mut listener = site.client();
        until("GStreamer sends", || {
            assert!(!sends.is_finished(), "it ended before anybody listened");
            (site.ask(&head(path).of("bob")).status == 200).then_some(())
        });
        listener.begin(&get(path).of("bob")).status_is(200);
        assert!(listener.rest().expect("it ends well").len() > 4000);
        sends.join().expect("GStreamer ran");
    });
    site.no_parts_left();
}
