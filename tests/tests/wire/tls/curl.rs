//! With curl.

use httpout_tests::{Ran, run};

use super::*;

both! { curl_checks_whom_it_talks_to }

#[track_caller]
fn curl(site: &Site, args: &[&str]) -> Ran {
    let ca = site.tree.arg("ca.pem");
    run("curl", &[&["-sS", "--max-time", "60", "--cacert", &ca], args].concat(), b"")
}

fn curl_checks_whom_it_talks_to(kind: Kind) {
    let Secure { site, authority } = start(kind, &[]);
    site.tree.write("ca.pem", authority.pem());
    let body: Vec<u8> =
        (0..3_000_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    site.tree.write("file.bin", &body);
    let (file, url) = (site.tree.arg("file.bin"), site.server.url("/a.bin"));
    for version in [&["--tls-max", "1.2"][..], &["--tlsv1.3"]] {
        curl(&site, &[version, &["-f", "-T", &file, &url]].concat()).ok();
        assert!(site.read("a.bin").as_ref() == Some(&body));
        let ran = curl(&site, &[version, &["-f", &url]].concat());
        ran.ok();
        assert!(ran.stdout == body, "not what is served");
        let part = curl(&site, &[version, &["-f", "-r", "1000-1009", &url]].concat());
        assert_eq!(part.stdout, body[1000..1010]);
    }
    // Old versions are not spoken.
    let old = ["--tls-max", "1.1", "--ciphers", "DEFAULT@SECLEVEL=0", "--tlsv1.0"];
    assert_eq!(curl(&site, &[&old[..], &[&url]].concat()).code, Some(35));
    // Another name, another authority.
    let port = site.server.address().port();
    let connect_to = format!("origin.example:{port}:127.0.0.1:{port}");
    let wrong = format!("https://origin.example:{port}/a.bin");
    assert_eq!(curl(&site, &["--connect-to", &connect_to, &wrong]).code, Some(60));
    site.tree.write("ca.pem", Authority::new("another").pem());
    assert_eq!(curl(&site, &[&url]).code, Some(60));
}
