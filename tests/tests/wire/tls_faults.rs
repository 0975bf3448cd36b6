//! TLS with clients that break it, break off, or do nothing.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Instant;

use httpout_tests::{Client, End, Kind, PATIENCE, Request, Site, both, get, secure, until};
use rustls::ClientConnection;

both! {
    an_upload_that_is_cut_is_never_taken_for_whole,
    an_upload_that_was_whole_before_the_cut_stays,
    garbage_is_answered_by_an_alert,
    a_hello_byte_by_byte,
    half_a_handshake,
    a_client_gone_in_the_handshake,
    a_record_that_was_changed,
    a_silent_client_is_cut_and_holds_nobody_up,
    close_notify_in_the_handshake,
    handshakes_do_not_hold_up_the_end,
}

fn start(kind: Kind) -> Site {
    Site::with(kind, &["--self-signed", "--admin", "127.0.0.1:0"])
}

#[track_caller]
fn connect(site: &Site) -> TcpStream {
    let stream =
        TcpStream::connect_timeout(&site.server.address(), PATIENCE).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream
}

/// What a client says first.
fn hello() -> Vec<u8> {
    let name = "localhost".try_into().expect("a name");
    let mut tls = ClientConnection::new(secure::trusting(), name).expect("a client");
    let mut hello = Vec::new();
    tls.write_tls(&mut hello).expect("a hello");
    hello
}

/// Reads to the end; a reset is one.
fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    rest
}

/// Whether the server has not closed it.
fn is_open(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).expect("a socket");
    let peeked = stream.peek(&mut [0]);
    stream.set_nonblocking(false).expect("a socket");
    peeked.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

#[track_caller]
fn failed(site: &Site, count: u64) {
    let name = "httpout_tls_handshakes_total{result=\"failed\"}";
    until("failed handshakes are counted", || (site.server.counter(name) == count).then_some(()));
    until("no connection is left", || (site.server.connections() == 0).then_some(()));
    site.is_well();
}

fn an_upload_that_is_cut_is_never_taken_for_whole(kind: Kind) {
    let site = start(kind);
    site.write("a.bin", "old");
    let requests =
        [Request::new("PUT", "/a.bin").announce(10), Request::new("PUT", "/a.bin").chunked()];
    for request in requests {
        let mut upload = site.client();
        upload.begin_upload(request);
        upload.send("3\r\nnew\r\n");
        upload.truncate();
        upload.closed();
        assert_eq!(site.read("a.bin").as_deref(), Some(&b"old"[..]));
        site.no_parts_left();
    }
}

fn an_upload_that_was_whole_before_the_cut_stays(kind: Kind) {
    let site = start(kind);
    let mut upload = site.client();
    upload.send(Request::new("PUT", "/a.bin").body("whole").bytes());
    upload.truncate();
    until("the file is there", || (site.read("a.bin").as_deref() == Some(b"whole")).then_some(()));
}

fn garbage_is_answered_by_an_alert(kind: Kind) {
    let site = start(kind);
    let garbage: [&[u8]; 5] = [
        b"\0\0\0\0\0\0\0\0",
        b"\x16\x03\x01\xff\xff",
        // A record of a handshake that holds none.
        b"\x16\x03\x01\x00\x04abcd",
        // Content before the handshake.
        b"\x17\x03\x03\x00\x04abcd",
        &[0xff; 70_000],
    ];
    // What may still become a handshake is waited for.
    let is_refused = [true, true, false, true, true];
    for (at, bytes) in garbage.into_iter().enumerate() {
        let mut stream = connect(&site);
        // Not all of it may be taken.
        let _ = stream.write_all(bytes);
        let _ = stream.shutdown(Shutdown::Write);
        let answer = rest(&mut stream);
        let is_alert = matches!(answer[..], [0x15, 3, _, 0, 2, 2, _]);
        assert_eq!(
            (is_alert, answer.is_empty()),
            (is_refused[at], !is_refused[at]),
            "{at}: {answer:?}"
        );
    }
    failed(&site, garbage.len() as u64);
}

fn a_hello_byte_by_byte(kind: Kind) {
    let site = start(kind);
    let mut stream = connect(&site);
    stream.set_nodelay(true).expect("TCP_NODELAY");
    for byte in hello() {
        stream.write_all(&[byte]).expect("a byte is taken");
    }
    let mut first = [0; 3];
    stream.read_exact(&mut first).expect("an answer");
    assert_eq!(first, [0x16, 3, 3]);
    drop(stream);
    failed(&site, 1);
}

fn half_a_handshake(kind: Kind) {
    let site = start(kind);
    let hello = hello();
    for len in [1, 5, 6, hello.len() / 2, hello.len() - 1, hello.len()] {
        let mut stream = connect(&site);
        stream.write_all(&hello[..len]).expect("a part is taken");
        stream.shutdown(Shutdown::Write).expect("half-close");
        let answer = rest(&mut stream);
        assert_eq!(answer.is_empty(), len < hello.len(), "{len}: {answer:?}");
    }
    failed(&site, 6);
}

fn a_client_gone_in_the_handshake(kind: Kind) {
    let site = start(kind);
    for _ in 0..20 {
        let mut client = Client::connect_plain(site.server.address());
        client.send(hello());
        client.abort();
        drop(connect(&site));
    }
    failed(&site, 40);
}

fn a_record_that_was_changed(kind: Kind) {
    let site = start(kind);
    let mut upload = site.client();
    upload.begin_upload(Request::new("PUT", "/a.bin").announce(10));
    upload.send("good ");
    upload.send_beneath(b"\x17\x03\x03\x00\x20changed changed changed changed ");
    // An alert, then the end.
    assert!(matches!(upload.try_end(), Err(why) if why.contains("BadRecordMac")));
    site.no_parts_left();
    assert!(!site.has("a.bin"));
    site.is_well();
}

fn a_silent_client_is_cut_and_holds_nobody_up(kind: Kind) {
    let site = start(kind);
    // Somebody is served while all of them are there. On a machine that takes longer for that than
    // the deadline, it is tried again.
    let mut count = 0;
    let served_meanwhile = (0..3).any(|_| {
        let began = Instant::now();
        let mut silent: Vec<_> = (0..20).map(|_| connect(&site)).collect();
        silent[0].write_all(&hello()[..100]).expect("a part is taken");
        site.is_well();
        let meanwhile = silent.iter().all(is_open);
        for stream in &mut silent {
            assert_eq!(rest(stream), b"");
        }
        assert!(began.elapsed().as_secs() >= 9, "the deadline is ten seconds");
        count += 20;
        meanwhile
    });
    assert!(served_meanwhile, "somebody was held up");
    failed(&site, count);
}

fn close_notify_in_the_handshake(kind: Kind) {
    let site = start(kind);
    for before in [vec![], hello()] {
        let mut stream = connect(&site);
        stream.write_all(&before).expect("a hello is taken");
        stream.write_all(b"\x15\x03\x03\x00\x02\x01\x00").expect("an alert is taken");
        let _ = stream.shutdown(Shutdown::Write);
        rest(&mut stream);
    }
    failed(&site, 2);
}

fn handshakes_do_not_hold_up_the_end(kind: Kind) {
    // The deadline of the handshake is ten seconds. A machine that takes longer than that for the
    // end tells nothing; it is tried again.
    let not_waited_for = (0..3).any(|_| {
        let site = start(kind);
        let began = Instant::now();
        let mut silent = connect(&site);
        silent.write_all(&hello()[..10]).expect("a part is taken");
        let mut idle = site.client();
        idle.ask(&get("/none")).status_is(404);
        until("both are there", || (site.server.connections() == 2).then_some(()));
        site.server.stop();
        let not_waited_for = began.elapsed().as_secs() < 10;
        assert_eq!(rest(&mut silent), b"");
        // It rested, and was told of the end.
        assert_eq!(idle.closed(), End::Fin);
        not_waited_for
    });
    assert!(not_waited_for, "the handshake was waited for");
}
