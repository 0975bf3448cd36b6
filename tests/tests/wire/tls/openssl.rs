//! With the command openssl.

use httpout_tests::run;

use super::*;

both! { rsa_keys_are_served_in_both_forms, openssl_resumes_without_tickets, the_first_records_are_small_and_later_ones_full }

fn rsa_keys_are_served_in_both_forms(kind: Kind) {
    let tree = Tree::new();
    let (cert, key) = (tree.arg("cert.pem"), tree.arg("key.pem"));
    for form in ["-traditional", "-out"] {
        let made = [
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
        ];
        run("openssl", &[&made[..], &["-keyout", &key, "-out", &cert]].concat(), b"").ok();
        // PKCS #1, then PKCS #8 as it was made.
        if form == "-traditional" {
            run("openssl", &["rsa", "-in", &key, "-traditional", "-out", &key], b"").ok();
        }
        let server =
            Server::start(kind, &["--rdirs", &tree.arg(""), "--cert", &cert, "--pkey", &key]);
        server.ask(&get("/cert.pem")).status_is(200);
    }
}

fn openssl_resumes_without_tickets(kind: Kind) {
    let Secure { site, .. } = start(kind, &[]);
    let (address, saved) = (site.server.address().to_string(), site.tree.arg("session"));
    let request = b"GET /none HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let ask = |args: &[&str]| {
        let all = [&["s_client", "-connect", &address, "-tls1_2", "-no_ticket", "-ign_eof"], args];
        run("openssl", &all.concat(), request).ok()
    };
    let first = ask(&["-sess_out", &saved]);
    assert!(first.contains("New, TLSv1.2") && first.contains("HTTP/1.1 404"), "{first}");
    let second = ask(&["-sess_in", &saved]);
    assert!(second.contains("Reused, TLSv1.2") && second.contains("HTTP/1.1 404"), "{second}");
}

fn the_first_records_are_small_and_later_ones_full(kind: Kind) {
    let Secure { site, .. } = start(kind, &[]);
    site.tree.sparse("www/a.bin", 1_000_000);
    let address = site.server.address().to_string();
    let request = b"GET /a.bin HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let args = ["s_client", "-connect", &address, "-tls1_2", "-ign_eof", "-msg"];
    let said = run("openssl", &args, request).ok();
    // Records are told as "<<< ..., RecordHeader [length 0005]" with their bytes behind: 17 03 03,
    // and the length.
    let lengths: Vec<usize> = said
        .lines()
        .filter_map(|line| line.trim().strip_prefix("17 03 03 "))
        .filter_map(|rest| usize::from_str_radix(&rest.replace(' ', ""), 16).ok())
        .collect();
    // The first one is the request's.
    let [_, first, .., _] = lengths[..] else { panic!("{lengths:?}") };
    assert!(first <= 4096 + 64, "{lengths:?}");
    let full = lengths.iter().filter(|&&length| length >= 16384).count();
    assert!(full * 16384 >= 900_000, "{lengths:?}");
}
