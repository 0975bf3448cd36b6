//! With ffmpeg.

use httpout_tests::{run, until};

use super::*;

both! { ffmpeg_pushes_with_a_certificate }

fn ffmpeg_pushes_with_a_certificate(kind: Kind) {
    let mutual = start(kind, &[]);
    let tree = &mutual.site.tree;
    let encoder = mutual.named("encoder.example", &[]);
    tree.write("client.pem", &encoder.cert);
    tree.write("client-key.pem", &encoder.key);
    tree.write("server-ca.pem", mutual.server.pem());
    let (cert, key, ca) =
        (tree.arg("client.pem"), tree.arg("client-key.pem"), tree.arg("server-ca.pem"));
    let port = mutual.site.server.address().port();
    let url = format!("https://localhost:{port}/live/manifest.mpd");
    let push = |opts: &str| {
        let source = ["-f", "lavfi", "-i", "testsrc=s=160x120:r=25", "-t", "3"];
        let codec = ["-c:v", "libx264", "-preset", "ultrafast", "-g", "25"];
        let dash = ["-f", "dash", "-seg_duration", "1", "-streaming", "1", "-method", "PUT"];
        // Over TLS, ffmpeg 5.1 breaks off uploads on connections that persist, whatever the server.
        let rest = ["-http_persistent", "0", "-http_opts", opts, &url];
        let words: Vec<&str> = ["-v", "error"]
            .into_iter()
            .chain(source)
            .chain(codec)
            .chain(dash)
            .chain(rest)
            .collect();
        run("ffmpeg", &words, b"")
    };
    push(&format!("key_file={key}:cert_file={cert}:ca_file={ca}:tls_verify=1")).ok();
    // ffmpeg ends before its last upload is answered.
    until("no upload is in progress", || tree.parts().is_empty().then_some(()));
    let pushed = tree.list();
    assert!(pushed.iter().any(|name| name == "www/live/manifest.mpd"), "{pushed:?}");
    let segments = pushed.iter().filter(|name| name.contains("chunk-stream0")).count();
    assert!(segments >= 3, "{pushed:?}");
    // Each of them is the file that was encoded: it can be decoded.
    let manifest = tree.arg("www/live/manifest.mpd");
    run("ffmpeg", &["-v", "error", "-xerror", "-i", &manifest, "-f", "null", "-"], b"").ok();
}
