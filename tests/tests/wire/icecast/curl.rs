//! With curl.

use httpout_tests::live::media_path;
use httpout_tests::run;

use super::*;

both! { curl_sends_what_has_a_length_as_an_upload }

fn curl_sends_what_has_a_length_as_an_upload(kind: Kind) {
    let site = Site::with(kind, &["--icecast"]);
    let file = media_path("cbr.mp3");
    run("curl", &["-sS", "-f", "-T", &file, &site.server.url("/a.mp3")], b"").ok();
    assert!(site.read("a.mp3") == Some(media("cbr.mp3")));
    run("curl", &["-sS", "-f", "-T", "-", &site.server.url("/b.mp3")], b"piped").ok();
    assert_eq!(site.read("b.mp3").as_deref(), Some(&b"piped"[..]));
}
