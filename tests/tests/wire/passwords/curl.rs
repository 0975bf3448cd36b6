//! With curl.

use httpout_tests::run;

use super::*;

both! { curl_logs_in }

#[track_caller]
fn curl(args: &[&str]) -> String {
    let own = ["-sS", "--max-time", "60", "--expect100-timeout", "60"];
    run("curl", &[&own, args].concat(), b"").ok()
}

fn curl_logs_in(kind: Kind) {
    let site = site(kind);
    let code = |args: &[&str]| curl(&[&["-o", "/dev/null", "-w", "%{http_code}"], args].concat());
    let url = site.server.url("/private/a.txt");
    let named = url.replace("http://", "http://alice:alice-secret@");
    assert_eq!(curl(&["-f", &named]), "private\n");
    assert_eq!(curl(&["-f", "-u", "alice:alice-secret", &url]), "private\n");
    // It waits for the question before it says who it is.
    assert_eq!(curl(&["-f", "--anyauth", "-u", "alice:alice-secret", &url]), "private\n");
    assert_eq!(code(&[&url]), "401");
    assert_eq!(code(&["-u", "alice:wrong", &url]), "401");
    assert_eq!(code(&["-u", "bob:bob-secret", &url]), "403");
    assert_eq!(code(&["-I", "-u", "alice:alice-secret", &url]), "200");
    // An upload that is refused is not sent, and sent once it may.
    site.tree.write("big.bin", vec![b'x'; 3_000_000]);
    let (big, target) = (site.tree.arg("big.bin"), site.server.url("/private/big.bin"));
    let expect = ["-H", "Expect: 100-continue"];
    let format = ["-o", "/dev/null", "-w", "%{http_code} %{size_upload}"];
    let refused = [&format[..], &["-T", &big, &target], &expect].concat();
    assert_eq!(curl(&refused), "401 0");
    let user = ["--anyauth", "-u", "alice:alice-secret"];
    assert_eq!(curl(&[&refused[..], &user].concat()), "201 3000000");
    assert_eq!(curl(&[&refused[..], &["-u", "alice:alice-secret"]].concat()), "200 3000000");
    assert_eq!(code(&["-X", "DELETE", "-u", "alice:alice-secret", &target]), "200");
    // Without Expect and with no length known, it may be sent in vain, but has no effect.
    let pipe = run(
        "curl",
        &["-sS", "-o", "/dev/null", "-w", "%{http_code}", "-T", "-", "-H", "Expect:", &target],
        &[b'x'; 500_000],
    );
    assert_eq!(pipe.ok(), "401");
    assert!(!site.tree.has("www/private/big.bin"));
    site.no_parts_left();
}
