//! TLS: what it offers to which client, and beside plain HTTP.

use std::io::ErrorKind;
use std::sync::Arc;

use httpout_tests::authority::{Authority, Issued, Subject};
use httpout_tests::{Client, End, Kind, Request, Server, Site, Tree, both, get, secure, until};
use rcgen::{PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, HandshakeKind, ProtocolVersion};

#[cfg(feature = "tools")]
mod curl;
#[cfg(feature = "tools")]
mod openssl;

both! {
    keys_of_every_kind_and_chains_are_served,
    a_chain_is_sent_whole,
    the_key_may_stand_in_the_certificates_file,
    the_banner_names_https,
    http_and_https_at_once,
    plain_http_on_the_tls_port_is_told_so,
    alpn_is_http_1,
    sessions_are_resumed,
    a_key_update_in_the_middle,
    an_answer_that_ends_with_the_connection_ends_in_order,
    too_many_connections_are_told_so,
    handshakes_are_counted,
}

/// A server with a certificate; the authority behind it.
struct Secure {
    site: Site,
    authority: Authority,
}

fn start(kind: Kind, args: &[&str]) -> Secure {
    let authority = Authority::new("the authority");
    let issued = authority.issue(&Subject::default());
    Secure { site: serve(kind, &issued, args), authority }
}

fn serve(kind: Kind, issued: &Issued, args: &[&str]) -> Site {
    let tree = Tree::new();
    tree.write("cert.pem", &issued.cert);
    tree.write("key.pem", &issued.key);
    let (cert, key) = (tree.arg("cert.pem"), tree.arg("key.pem"));
    Site::over(tree, kind, &[&["--cert", &cert, "--pkey", &key], args].concat())
}

fn connect(server: &Server, config: &Arc<ClientConfig>) -> Client {
    Client::connect_tls(server.address(), config.clone()).expect("a handshake")
}

fn keys_of_every_kind_and_chains_are_served(kind: Kind) {
    let authority = Authority::new("the authority");
    for algorithm in [&PKCS_ECDSA_P256_SHA256, &PKCS_ECDSA_P384_SHA384, &PKCS_ED25519] {
        let issued = authority.issue(&Subject { algorithm, ..Subject::default() });
        let site = serve(kind, &issued, &[]);
        site.write("a.txt", "hello");
        for version in [&TLS12, &TLS13] {
            let mut client = connect(&site.server, &authority.client(&[version], None));
            let answer = client.ask(&get("/a.txt"));
            assert_eq!(answer.body, b"hello");
            assert_eq!(client.tls().protocol_version(), Some(version.version));
        }
    }
}

fn a_chain_is_sent_whole(kind: Kind) {
    let root = Authority::new("the root");
    let between = root.below("between");
    let mut issued = between.issue(&Subject::default());
    let client = root.client(&[&TLS13], None);
    // Alone, it does not lead to the root.
    let site = serve(kind, &issued, &[]);
    let error = Client::connect_tls(site.server.address(), client.clone())
        .expect_err("the handshake fails");
    assert!(error.to_string().contains("UnknownIssuer"), "{error}");
    issued.cert += &between.pem();
    let site = serve(kind, &issued, &[]);
    connect(&site.server, &client).ask(&get("/none")).status_is(404);
}

fn the_key_may_stand_in_the_certificates_file(kind: Kind) {
    let authority = Authority::new("the authority");
    let issued = authority.issue(&Subject::default());
    let tree = Tree::new();
    tree.write("both.pem", issued.key + &issued.cert);
    let site = Site::over(tree, kind, &[]);
    drop(site.server);
    let server = Server::start(
        kind,
        &["--rdirs", &site.tree.arg("www"), "--cert", &site.tree.arg("both.pem")],
    );
    connect(&server, &authority.client(&[&TLS13], None)).ask(&get("/none")).status_is(404);
}

fn the_banner_names_https(kind: Kind) {
    let Secure { site, .. } = start(kind, &[]);
    let address = site.server.address();
    let exit = site.server.stop();
    assert!(exit.stdout.contains(&format!("\n  https://{address}/\n")), "{}", exit.stdout);
    assert!(!exit.stdout.contains("http://"), "{}", exit.stdout);
}

fn http_and_https_at_once(kind: Kind) {
    let Secure { site, authority } = start(kind, &["--tls-port", "auto"]);
    site.write("a.txt", "hello");
    // The banner names both; the first is plain.
    let plain = site.server.address();
    assert!(!secure::is_secure(plain));
    assert_eq!(site.ask(&get("/a.txt")).body, b"hello");
    let secured = site.server.next_address();
    assert!(secure::is_secure(secured));
    let config = authority.client(&[&TLS13], None);
    let mut client = Client::connect_tls(secured, config).expect("a handshake");
    assert_eq!(client.ask(&get("/a.txt")).body, b"hello");
    // TLS where plain HTTP is spoken.
    let error = Client::connect_tls(plain, secure::trusting()).expect_err("the handshake fails");
    assert!(error.to_string().contains("corrupt message"), "{error}");
    site.is_well();
}

fn plain_http_on_the_tls_port_is_told_so(kind: Kind) {
    let Secure { site, .. } = start(kind, &[]);
    let requests =
        ["GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "g", "PUT /a HTTP/1.1\r\nContent-"];
    for request in requests {
        let mut client = Client::connect_plain(site.server.address());
        client.send(request);
        let answer = client.response("GET");
        answer.status_is(400);
        assert!(answer.text().contains("https://"), "{answer:?}");
        client.closed_in_order();
    }
    site.is_well();
}

fn alpn_is_http_1(kind: Kind) {
    let Secure { site, authority } = start(kind, &[]);
    let offer = |protocols: &[&str]| {
        let mut config = ClientConfig::clone(&authority.client(&[&TLS13], None));
        config.alpn_protocols = protocols.iter().map(|&name| name.into()).collect();
        Client::connect_tls(site.server.address(), Arc::new(config))
    };
    for protocols in [&["h2", "http/1.1"][..], &["http/1.1"]] {
        let mut client = offer(protocols).expect("a handshake");
        assert_eq!(client.tls().alpn_protocol(), Some(&b"http/1.1"[..]));
    }
    // As curl does for --http1.0.
    let mut client = offer(&["http/1.0"]).expect("a handshake");
    assert_eq!(client.tls().alpn_protocol(), Some(&b"http/1.0"[..]));
    assert_eq!(offer(&[]).expect("a handshake").tls().alpn_protocol(), None);
    let error = offer(&["h2"]).expect_err("the handshake fails");
    assert!(error.to_string().contains("NoApplicationProtocol"), "{error}");
}

fn sessions_are_resumed(kind: Kind) {
    let Secure { site, authority } = start(kind, &[]);
    for version in [&TLS12, &TLS13] {
        let config = authority.client(&[version], None);
        let mut kinds = Vec::new();
        for _ in 0..3 {
            let mut client = connect(&site.server, &config);
            client.ask(&get("/none")).status_is(404);
            kinds.push(client.tls().handshake_kind());
        }
        let [full, resumed] = [HandshakeKind::Full, HandshakeKind::Resumed].map(Some);
        assert_eq!(kinds, [full, resumed, resumed], "{:?}", version.version);
    }
}

fn a_key_update_in_the_middle(kind: Kind) {
    let Secure { site, authority } = start(kind, &[]);
    let mut client = connect(&site.server, &authority.client(&[&TLS13], None));
    client.begin_upload(Request::new("PUT", "/a.bin").announce(20));
    client.send("before....");
    client.tls().refresh_traffic_keys().expect("keys of TLS 1.3");
    client.send(".....after");
    client.response("PUT").status_is(201);
    client.tls().refresh_traffic_keys().expect("keys of TLS 1.3");
    assert_eq!(client.ask(&get("/a.bin")).body, b"before.........after");
}

fn an_answer_that_ends_with_the_connection_ends_in_order(kind: Kind) {
    let Secure { site, authority } = start(kind, &["--cte", "false"]);
    let config = authority.client(&[&TLS13], None);
    let begin = || {
        let mut upload = connect(&site.server, &config);
        upload.begin_upload(Request::new("PUT", "/a.bin").chunked());
        upload.send_chunk("abc");
        let mut reader = connect(&site.server, &config);
        reader.begin(&get("/a.bin")).field_is_absent("transfer-encoding");
        assert_eq!(reader.content(3), b"abc");
        (upload, reader)
    };
    let (mut upload, mut reader) = begin();
    upload.send_chunk("def");
    upload.send_last_chunk();
    assert_eq!(reader.rest(), Ok(b"def".to_vec()));
    // The upload breaks: the reader must not take what there is for all.
    let (upload, mut reader) = begin();
    upload.abort();
    assert_eq!(reader.rest(), Err((Vec::new(), End::Rst)));
}

fn too_many_connections_are_told_so(kind: Kind) {
    let tree = Tree::new();
    let server = Server::start(kind, &["--rdirs", &tree.arg(""), "--self-signed", "--maxc", "1"]);
    let mut first = server.client();
    first.ask(&get("/none")).status_is(404);
    let mut second = server.client();
    second.head("GET").status_is(503);
}

fn handshakes_are_counted(kind: Kind) {
    let Secure { site, authority } = start(kind, &["--admin", "127.0.0.1:0"]);
    let count = |result: &str| {
        site.server.counter(&format!("httpout_tls_handshakes_total{{result=\"{result}\"}}"))
    };
    assert_eq!((count("done"), count("failed")), (0, 0));
    let mut client = connect(&site.server, &authority.client(&[&TLS12], None));
    assert_eq!(client.tls().protocol_version(), Some(ProtocolVersion::TLSv1_2));
    client.ask(&get("/none")).status_is(404);
    let stranger = Authority::new("another").client(&[&TLS13], None);
    let error =
        Client::connect_tls(site.server.address(), stranger).expect_err("the handshake fails");
    assert_eq!(error.kind(), ErrorKind::Other);
    until("it is counted", || (count("failed") == 1).then_some(()));
    assert_eq!(count("done"), 1);
    assert!(site.server.counter("httpout_tls_certificate_expiry_seconds") > 1_700_000_000);
}
