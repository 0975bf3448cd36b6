//! With curl.

use httpout_tests::run;

use super::*;

both! { curl_decompresses }

fn curl_decompresses(kind: Kind) {
    let site = Site::new(kind);
    let body = text(20_000, 1);
    site.write("a.txt", &body);
    let url = site.server.url("/a.txt");
    let args = ["-sSf", "--max-time", "60", "--compressed"];
    assert!(run("curl", &[&args[..], &[&url]].concat(), b"").ok() == body);
    let said = ["-o", "/dev/null", "-w", "%{size_download}"];
    let size = run("curl", &[&args[..], &said, &[&url]].concat(), b"").ok();
    assert!(size.parse::<usize>().is_ok_and(|size| size < 5_000), "{size} bytes were sent");
}
