use std::sync::Arc;

use proptest::prelude::*;
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, SupportedProtocolVersion,
    crypto::ring,
    version::{TLS12, TLS13},
};

use super::*;
use crate::tls::{Setup, TlsOptions};

/// A client and a server that talk through memory.
struct Pair {
    client: ClientConnection,
    driver: Driver,
}

impl Pair {
    fn new(version: &'static SupportedProtocolVersion) -> Self {
        let options = TlsOptions { self_signed: true, ..TlsOptions::default() };
        let setup = Setup::new(&options, None).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(setup.certificate().clone()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = "localhost".try_into().unwrap();
        let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
        client.set_buffer_limit(None);
        Self { client, driver: setup.driver().unwrap() }
    }

    /// Both sides know each other.
    fn shaken(version: &'static SupportedProtocolVersion) -> Self {
        let mut pair = Self::new(version);
        while pair.client.is_handshaking() || pair.driver.is_handshaking() {
            let said = pair.said();
            assert_eq!(pair.driver.receive(&said, &mut []).unwrap(), Received::default());
            pair.answer(usize::MAX);
        }
        pair
    }

    /// What the client has to send.
    fn said(&mut self) -> Vec<u8> {
        let mut said = Vec::new();
        while self.client.wants_write() {
            self.client.write_tls(&mut said).unwrap();
        }
        said
    }

    /// The client gets what the server has to send, up to so many bytes at a time; how much counted as sent each time, and the content.
    fn answer(&mut self, most: usize) -> (Vec<u64>, Vec<u8>) {
        let (mut counts, mut content) = (Vec::new(), Vec::new());
        while self.driver.wants_write() {
            let mut link = Link { most, bytes: Vec::new() };
            counts.push(self.driver.send(&mut link).unwrap());
            let mut bytes = &link.bytes[..];
            while !bytes.is_empty() {
                self.client.read_tls(&mut bytes).unwrap();
                self.client.process_new_packets().unwrap();
                // No more is an error.
                let _ = self.client.reader().read_to_end(&mut content);
            }
        }
        (counts, content)
    }
}

/// Takes so many bytes of each call.
struct Link {
    most: usize,
    bytes: Vec<u8>,
}

impl io::Write for Link {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(self.most);
        self.bytes.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The lengths of the records in this.
fn records(mut bytes: &[u8]) -> Vec<usize> {
    let mut lengths = Vec::new();
    while let [_, _, _, high, low, rest @ ..] = bytes {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        lengths.push(length);
        bytes = &rest[length..];
    }
    lengths
}

#[test]
fn plain_http_is_told_apart() {
    for said in [&b"GET / HTTP/1.1\r\n"[..], b"get", b"P"] {
        let mut pair = Pair::new(&TLS13);
        assert!(matches!(pair.driver.receive(said, &mut []), Err(Fault::Plain)));
        assert!(!pair.driver.wants_write());
    }
    let mut pair = Pair::new(&TLS13);
    let said = pair.said();
    // Only the first byte tells: a record may hold any later on.
    pair.driver.receive(&said[..5], &mut []).unwrap();
    pair.driver.receive(&said[5..], &mut []).unwrap();
    assert!(pair.driver.wants_write());
}

#[test]
fn what_is_broken_is_answered_by_an_alert() {
    let mut pair = Pair::new(&TLS13);
    let broken = pair.driver.receive(b"\x17\x03\x03\x00\x04abcd", &mut []);
    assert!(matches!(broken, Err(Fault::Tls(_))), "{broken:?}");
    let mut link = Link { most: usize::MAX, bytes: Vec::new() };
    pair.driver.send(&mut link).unwrap();
    assert_eq!(link.bytes[0], 0x15);
}

#[test]
fn content_that_comes_with_the_end_of_the_handshake_is_kept() {
    for version in [&TLS12, &TLS13] {
        let mut pair = Pair::new(version);
        pair.client.writer().write_all(b"early").unwrap();
        while pair.client.is_handshaking() || pair.driver.is_handshaking() {
            let said = pair.said();
            pair.driver.receive(&said, &mut []).unwrap();
            pair.answer(usize::MAX);
        }
        pair.client.send_close_notify();
        let mut room = [0; 9];
        let said = pair.said();
        let received = pair.driver.receive(&said, &mut room).unwrap();
        assert_eq!((received, &room[..5]), (Received { len: 5, closed: true }, &b"early"[..]));
        let after = pair.driver.receive(&[], &mut room).unwrap();
        assert_eq!(after, Received { len: 0, closed: true });
    }
}

#[test]
fn content_before_a_fault_is_given_first() {
    for version in [&TLS12, &TLS13] {
        let mut pair = Pair::shaken(version);
        pair.client.writer().write_all(b"last").unwrap();
        let said = [pair.said(), b"\x17\x03\x03\x00\x04abcd".to_vec()].concat();
        let mut room = [0; 9];
        let received = pair.driver.receive(&said, &mut room).unwrap();
        assert_eq!((received.len, &room[..4]), (4, &b"last"[..]));
        for more in [&b""[..], b"\x17\x03\x03\x00\x04abcd"] {
            let broken = pair.driver.receive(more, &mut room);
            assert!(matches!(broken, Err(Fault::Tls(_))), "{broken:?}");
        }
    }
}

#[test]
fn the_first_records_of_a_burst_are_small() {
    let mut pair = Pair::shaken(&TLS13);
    let sizes = |pair: &mut Pair| {
        pair.driver.seal(&[7; 100_000]);
        let mut link = Link { most: usize::MAX, bytes: Vec::new() };
        while pair.driver.wants_write() {
            pair.driver.send(&mut link).unwrap();
        }
        // A record has 17 bytes more: its kind and its tag.
        records(&link.bytes).iter().map(|length| length - 17).collect::<Vec<_>>()
    };
    let quick = [4096, 4096, 4096, 16384, 16384, 16384, 16384, 16384, 5792];
    assert_eq!(sizes(&mut pair), quick);
    assert_eq!(sizes(&mut pair)[0], 16384);
    pair.driver.rest();
    assert_eq!(sizes(&mut pair), quick);
}

#[test]
fn all_counts_as_sent_when_all_is_sent() {
    let mut pair = Pair::shaken(&TLS13);
    let content: Vec<u8> = (0..50_000_u32).map(|i| i as u8).collect();
    pair.driver.seal(&content);
    assert!(pair.driver.has_sealed());
    let (counts, got) = pair.answer(1000);
    assert!(got == content);
    assert_eq!(counts.iter().sum::<u64>(), 50_000);
    // A slow peer is seen to take something; the last byte counts last.
    assert!(counts.iter().all(|count| (1..=1000).contains(count)), "{counts:?}");
    assert!(!pair.driver.has_sealed());
}

#[test]
fn the_end_is_announced() {
    let mut pair = Pair::shaken(&TLS13);
    pair.driver.seal(b"last");
    pair.driver.close();
    let (counts, content) = pair.answer(usize::MAX);
    assert_eq!((counts.iter().sum::<u64>(), &content[..]), (4, &b"last"[..]));
    assert_eq!(pair.client.reader().read(&mut [0]).unwrap(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn what_is_sent_is_received_however_it_is_cut(
        content in proptest::collection::vec(any::<u8>(), 1..60_000),
        cut in 1_usize..20_000,
        old in any::<bool>(),
    ) {
        let mut pair = Pair::shaken(if old { &TLS12 } else { &TLS13 });
        pair.client.writer().write_all(&content).unwrap();
        let said = pair.said();
        let (mut got, mut room) = (Vec::new(), vec![0; cut]);
        for piece in said.chunks(cut) {
            // There may be room for less than one record holds.
            let mut piece = piece;
            loop {
                let received = pair.driver.receive(piece, &mut room).unwrap();
                got.extend_from_slice(&room[..received.len]);
                piece = &[];
                if received.len == 0 {
                    break;
                }
            }
        }
        prop_assert!(got == content);
    }

    #[test]
    fn what_was_changed_on_the_way_is_never_content(
        content in proptest::collection::vec(any::<u8>(), 1..2000),
        at in any::<prop::sample::Index>(),
        flip in 1_u8..,
    ) {
        let mut pair = Pair::shaken(&TLS13);
        pair.client.writer().write_all(&content).unwrap();
        let mut said = pair.said();
        let at = at.index(said.len());
        said[at] ^= flip;
        let mut room = vec![0; 4000];
        // A length that grew makes it wait for more; the version in a record's head means nothing; all else breaks it.
        if let Ok(received) = pair.driver.receive(&said, &mut room) {
            prop_assert!(received.len == 0 || room[..received.len] == content[..]);
        }
    }
}
