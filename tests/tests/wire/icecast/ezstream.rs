//! With ezstream, which sends by libshout.

use httpout_tests::{live::media_path, run};

use super::*;

both! { ezstream_sends, ezstream_sends_where_rules_ask_for_its_password }

/// Sends a file in real time.
#[track_caller]
fn ezstream(port: u16, mount: &str, user: &str, password: &str) {
    let tree = Tree::new();
    let file = media_path("cbr.mp3");
    let config = format!(
        "<ezstream><servers><server><protocol>HTTP</protocol><hostname>127.0.0.1</hostname>\
         <port>{port}</port><user>{user}</user><password>{password}</password></server></servers>\
         <streams><stream><mountpoint>{mount}</mountpoint><format>MP3</format>\
         <stream_name>Café</stream_name></stream></streams>\
         <intakes><intake><type>file</type><filename>{file}</filename>\
         <stream_once>Yes</stream_once></intake></intakes></ezstream>"
    );
    tree.write("ezstream.xml", config);
    run("ezstream", &["-c", &tree.arg("ezstream.xml")], b"").ok();
}

/// libshout sends the frames alone, without the tags at both ends.
#[track_caller]
fn is_all_of_it(got: &[u8]) {
    let file = media("cbr.mp3");
    let found = got.len() > 8000 && file.windows(got.len()).any(|part| part == got);
    assert!(found, "{} of {} bytes", got.len(), file.len());
}

fn ezstream_sends(kind: Kind) {
    let server = server(kind, &["--hold", "--blockio"]);
    let port = server.address().port();
    thread::scope(|scope| {
        let sends = scope.spawn(move || ezstream(port, "/live.mp3", "source", "hackme"));
        let mut listener = server.client();
        until("ezstream sends", || {
            assert!(!sends.is_finished(), "it ended before anybody listened");
            (server.ask(&head("/live.mp3")).status == 200).then_some(())
        });
        let answer = listener.begin(&get("/live.mp3"));
        let name: String = "Café".bytes().map(char::from).collect();
        answer.status_is(200).field_is("icy-name", &name);
        answer.field_is("ice-audio-info", "ice-samplerate=22050;ice-bitrate=32;ice-channels=1");
        let got = listener.rest().expect("it ends well");
        is_all_of_it(&got);
        sends.join().expect("ezstream ran");
    });
    is_gone(&server, "/live.mp3");
}

fn ezstream_sends_where_rules_ask_for_its_password(kind: Kind) {
    let site = ruled(kind, &["--ice", "--hold", "--blockio"]);
    let port = site.server.address().port();
    thread::scope(|scope| {
        let path = "/radio/live.mp3";
        let sends = scope.spawn(move || ezstream(port, path, "alice", "alice-secret"));
        let mut listener = site.client();
        until("ezstream sends", || {
            assert!(!sends.is_finished(), "it ended before anybody listened");
            (site.ask(&head(path).of("bob")).status == 200).then_some(())
        });
        listener.begin(&get(path).of("bob")).status_is(200);
        is_all_of_it(&listener.rest().expect("it ends well"));
        sends.join().expect("ezstream ran");
    });
}
