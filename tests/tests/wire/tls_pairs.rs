//! Certificates and keys: what is refused at the start and why, and how they are read again.

use std::fs;

use httpout_tests::authority::{Authority, Subject};
use httpout_tests::{Client, Exit, Kind, Ruled, Server, Tree, both, get};
use rcgen::PKCS_ED25519;
use rustls::version::TLS13;

#[cfg(feature = "tools")]
mod openssl;

both! {
    what_clients_would_refuse_is_refused_at_the_start,
    options_that_need_each_other,
    a_new_pair_is_read_on_sighup,
    a_broken_pair_changes_nothing,
    a_certificate_that_expires_soon_is_warned_of,
    a_byte_order_mark_is_passed_over,
}

/// Of X.509 version 1, as `openssl x509 -req` makes them without extensions; valid until 2120.
const VERSION_1: &str = "\
-----BEGIN CERTIFICATE-----
MIIBETCBtwICEAEwCgYIKoZIzj0EAwIwEjEQMA4GA1UEAwwHVGVzdCBDQTAgFw0y
MDAxMDEwMDAwMDBaGA8yMTIwMDEwMTAwMDAwMFowFDESMBAGA1UEAwwJbG9jYWxo
b3N0MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEmIqOn+Zw/Kcy2NrcIL2pxo0f
MnwyQBd+3/0GWPW6csehyOt1O3dXUFLDtxzspxSF+pK9OKIFYwqTlOgN7IpKXjAK
BggqhkjOPQQDAgNJADBGAiEAjExVBBg/q0SfWryesAleq8brTsCHSm9eUikQgE7E
eaYCIQCUHFL8AfDKAtEFO0XzF043dccH00wKgA/6bvrGfpwHWg==
-----END CERTIFICATE-----
";

/// A key in PKCS #8, encrypted with a password.
const ENCRYPTED_KEY: &str = "\
-----BEGIN ENCRYPTED PRIVATE KEY-----
MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAjrLHoe0BB6dQICCAAw
DAYIKoZIhvcNAgkFADAdBglghkgBZQMEAQIEEL1sHysJiI9J/4qcpJb+fOsEgZAn
VPh9Eg+LS+5VJ6qDVsvlilTI2ki1Gdks/GgrRGRllMRlSxENKBak2iCF6qooDT1L
6Xmd+XYPDyCWUm1IVRWVv4bRzoYCeAPS820PzRmVE3S2X/mvhwaLTOb9XXkg+VSy
OFKL12nFJ2Qk+PGYPHsSJRuO8CGsDN6dQ5RR5s/Qs7h3QsmYKwXpthgV8vBQVeg=
-----END ENCRYPTED PRIVATE KEY-----
";

/// An encrypted key as OpenSSL wrote them of old.
const OLD_ENCRYPTED_KEY: &str = "\
-----BEGIN RSA PRIVATE KEY-----
Proc-Type: 4,ENCRYPTED
DEK-Info: AES-128-CBC,0123456789ABCDEF0123456789ABCDEF

MIIB
-----END RSA PRIVATE KEY-----
";

/// A tree with good and bad files: what is `NAME` is in `NAME.pem`.
fn files() -> Tree {
    let (tree, authority) = (Tree::new(), Authority::new("the authority"));
    let issue = |name: &str, subject: &Subject<'_>| {
        let issued = authority.issue(subject);
        tree.write(&format!("{name}.pem"), &issued.cert);
        tree.write(&format!("{name}-key.pem"), &issued.key);
    };
    issue("good", &Subject::default());
    issue("other", &Subject { algorithm: &PKCS_ED25519, ..Subject::default() });
    issue("another", &Subject::default());
    issue("expired", &Subject { days: [-30, -1], ..Subject::default() });
    issue("early", &Subject { days: [2, 30], ..Subject::default() });
    issue("soon", &Subject { days: [-30, 3], ..Subject::default() });
    let good = String::from_utf8(tree.read("good.pem").expect("it was made")).expect("PEM");
    let key = String::from_utf8(tree.read("good-key.pem").expect("it was made")).expect("PEM");
    tree.write("ca.pem", authority.pem());
    tree.write("wrong-order.pem", authority.pem() + &good);
    tree.write("torn.pem", &good[..good.len() / 2]);
    tree.write("damaged.pem", good.replace("MII", "%%%"));
    tree.write("torn-key.pem", &key[..key.len() / 2]);
    tree.write("version-1.pem", VERSION_1);
    tree.write("old-encrypted-key.pem", OLD_ENCRYPTED_KEY);
    tree.write("empty.pem", "");
    tree.write("binary.pem", [0xff; 300]);
    tree.write("large.pem", vec![b'\n'; 2 << 20]);
    tree.dir("directory.pem");
    tree.write("encrypted-key.pem", ENCRYPTED_KEY);
    tree
}

#[track_caller]
fn refused(kind: Kind, args: &[&str]) -> Exit {
    let all = [&["--rdirs", ".", "--port", "auto", "--ifce", "127.0.0.1"], args].concat();
    let exit = Server::fails(kind, &all);
    assert_eq!(exit.code, Some(78), "{args:?}: {exit:?}");
    assert_eq!(exit.stdout, "", "{args:?}");
    exit
}

fn what_clients_would_refuse_is_refused_at_the_start(kind: Kind) {
    let tree = files();
    // The certificate, the key, the option that is named, and what the line says; the file that is
    // at fault comes first in it.
    for (cert, key, option, says) in [
        ("nosuch", "good-key", "cert", "cannot be read"),
        ("good", "nosuch", "pkey", "cannot be read"),
        ("directory", "good-key", "cert", "cannot be read"),
        ("empty", "good-key", "cert", "holds no certificate"),
        ("binary", "good-key", "cert", "holds no certificate"),
        ("large", "good-key", "cert", "is too large"),
        ("good-key", "good-key", "cert", "holds no certificate"),
        ("torn", "good-key", "cert", "is broken"),
        ("damaged", "good-key", "cert", "is broken"),
        ("expired", "expired-key", "cert", "expired at"),
        ("early", "early-key", "cert", "not valid before"),
        ("good", "empty", "pkey", "holds no private key"),
        ("good", "good", "pkey", "holds no private key"),
        ("good", "torn-key", "pkey", "is broken"),
        ("version-1", "good-key", "cert", "version 3"),
        ("good", "encrypted-key", "pkey", "is encrypted"),
        ("good", "old-encrypted-key", "pkey", "is encrypted"),
        ("good", "other-key", "pkey", "is not that of the certificate"),
        ("good", "another-key", "pkey", "is not that of the certificate"),
        ("wrong-order", "good-key", "pkey", "comes first"),
    ] {
        let [cert, key] = [cert, key].map(|name| tree.arg(&format!("{name}.pem")));
        let exit = refused(kind, &["--cert", &cert, "--pkey", &key]);
        let line = exit.stderr.lines().last().unwrap_or_default();
        let at_fault = if option == "cert" { &cert } else { &key };
        assert!(line.starts_with(&format!("error: {option}: ")), "{line}");
        assert!(line.contains(says) && line.contains(at_fault), "{cert} {key}: {line}");
        // What to do.
        assert!(line.contains("; "), "{line}");
    }
    let exit = refused(kind, &["--cert", &tree.arg("good.pem")]);
    assert!(exit.stderr.contains("--pkey FILE"), "{exit:?}");
    let good = ["--cert", &tree.arg("good.pem"), "--pkey", &tree.arg("good-key.pem")];
    for ca in ["nosuch.pem", "empty.pem", "torn.pem"] {
        let exit = refused(kind, &[&good[..], &["--client-ca", &tree.arg(ca)]].concat());
        assert!(exit.stderr.contains("error: client-ca: ") && exit.stderr.contains(ca), "{exit:?}");
    }
}

fn options_that_need_each_other(kind: Kind) {
    for (args, option) in [
        (&["--pkey", "k"][..], "pkey"),
        (&["--tls-port", "auto"], "tls-port"),
        (&["-o", "https://127.0.0.1/"], "dst"),
        (&["--client-ca", "ca"], "client-ca"),
        (&["--self-signed", "--cert", "c"], "self-signed"),
    ] {
        let exit = refused(kind, args);
        assert!(exit.stderr.contains(&format!("error: {option}: ")), "{args:?}: {exit:?}");
    }
}

/// A server over `cert.pem` and `key.pem`, with rules, so that reloads are counted.
fn start(kind: Kind, tree: Tree, authority: &Authority) -> Ruled {
    let issued = authority.issue(&Subject::default());
    tree.write("cert.pem", issued.cert);
    tree.write("key.pem", issued.key);
    let (cert, key) = (tree.arg("cert.pem"), tree.arg("key.pem"));
    tree.dir("www");
    Ruled::over(tree, kind, "[www]\nru=$ALL\n", &["--cert", &cert, "--pkey", &key])
}

fn a_new_pair_is_read_on_sighup(kind: Kind) {
    let [first, second] = ["the first", "the second"].map(Authority::new);
    let site = start(kind, Tree::new(), &first);
    let ask =
        |by: &Authority| Client::connect_tls(site.server.address(), by.client(&[&TLS13], None));
    let mut open = ask(&first).expect("a handshake");
    assert!(ask(&second).is_err());
    let issued = second.issue(&Subject { algorithm: &PKCS_ED25519, ..Subject::default() });
    site.tree.write("cert.pem", issued.cert);
    site.tree.write("key.pem", issued.key);
    assert!(site.reload());
    assert!(ask(&first).is_err());
    ask(&second).expect("a handshake").ask(&get("/none")).status_is(404);
    // Who is there stays.
    open.ask(&get("/none")).status_is(404);
}

fn a_broken_pair_changes_nothing(kind: Kind) {
    let authority = Authority::new("the authority");
    let site = start(kind, files(), &authority);
    let copy = |from: &str, to: &str| {
        site.tree.write(to, site.tree.read(from).expect("it was made"));
    };
    let works = || {
        let client = authority.client(&[&TLS13], None);
        let client = Client::connect_tls(site.server.address(), client);
        client.expect("a handshake").ask(&get("/none")).status_is(404);
    };
    // Half-way through the change, as a renewal leaves it for a moment; then worse.
    for (cert, key) in [("other", "key"), ("torn", "key"), ("expired", "expired-key")] {
        copy(&format!("{cert}.pem"), "cert.pem");
        copy(&format!("{key}.pem"), "key.pem");
        assert!(!site.reload());
        works();
    }
    let exit = site.server.stop();
    for says in ["is not that of the certificate", "is broken", "expired at"] {
        assert!(exit.stderr.contains(says), "{says}: {}", exit.stderr);
    }
    assert!(exit.stderr.contains("nothing is changed"), "{}", exit.stderr);
}

fn a_certificate_that_expires_soon_is_warned_of(kind: Kind) {
    let tree = files();
    for (name, warned) in [("soon", true), ("good", false)] {
        let (cert, key) = (tree.arg(&format!("{name}.pem")), tree.arg(&format!("{name}-key.pem")));
        let args = ["--rdirs", &tree.arg(""), "--cert", &cert, "--pkey", &key];
        let exit = Server::start(kind, &args).stop();
        assert_eq!(exit.stderr.contains("expires in"), warned, "{}", exit.stderr);
    }
}

fn a_byte_order_mark_is_passed_over(kind: Kind) {
    let tree = files();
    let [cert, key] = ["good.pem", "good-key.pem"].map(|name| {
        let text = tree.read(name).expect("it was made");
        tree.write("marked.pem", [b"\xef\xbb\xbf", &text[..]].concat());
        fs::rename(tree.path("marked.pem"), tree.path(name)).expect("it can be renamed");
        tree.arg(name)
    });
    Server::start(kind, &["--rdirs", &tree.arg(""), "--cert", &cert, "--pkey", &key]).stop();
}
