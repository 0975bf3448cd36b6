//! With ffmpeg.

use httpout_tests::run;

use super::*;

both! { curl_and_ffmpeg_send_and_every_byte_arrives }

// ---- real senders ----

fn curl_and_ffmpeg_send_and_every_byte_arrives(kind: Kind) {
    let tree = Tree::new();
    let video = ["-nostdin", "-v", "error", "-f", "lavfi", "-i", "testsrc=duration=2:size=320x240"];
    let ffmpeg = |rest: &[&str]| run("ffmpeg", &[&video[..], rest].concat(), b"").ok();
    let to = tree.arg("a.ts");
    ffmpeg(&["-f", "mpegts", "-bitexact", &to]);
    let content = tree.read("a.ts").unwrap();
    assert!(content.len() > 10_000, "{} bytes", content.len());
    for args in [&["-T", &to][..], &["-T", &to, "-H", "Transfer-Encoding: chunked"]] {
        let (server, output) = pour(kind, &[]);
        let output = drain(output);
        run("curl", &[&["-skf"], args, &[&server.url("/a.ts")]].concat(), b"").ok();
        server.stop();
        assert!(output.join().unwrap() == content, "{args:?}");
    }
    for method in ["PUT", "POST"] {
        let (server, output) = pour(kind, &[]);
        let output = drain(output);
        ffmpeg(&["-f", "mpegts", "-bitexact", "-method", method, &server.url("/a.ts")]);
        server.stop();
        assert!(output.join().unwrap() == content, "{method}");
    }
}
