use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use proptest::prelude::*;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, DistinguishedName, RootCertStore,
    SignatureScheme, SupportedProtocolVersion,
    client::danger::HandshakeSignatureValid,
    crypto::ring,
    server::{WebPkiClientVerifier, danger::ClientCertVerified},
    version::{TLS12, TLS13},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

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

    /// The client gets what the server has to send, up to so many bytes at a time; how much counted
    /// as sent each time, and the content.
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

/// Verifies as if it was so many seconds later.
#[derive(Debug)]
struct Later(Arc<dyn ClientCertVerifier>, AtomicU64);

impl ClientCertVerifier for Later {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let later = now.as_secs() + self.1.load(Ordering::SeqCst);
        let later = UnixTime::since_unix_epoch(Duration::from_secs(later));
        self.0.verify_client_cert(own, others, later)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        own: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, own, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        own: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, own, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// The settings of a server that asks for certificates, which expire in an hour, and of a client
/// that has one.
fn mutual(
    version: &'static SupportedProtocolVersion,
) -> (Arc<ServerConfig>, Arc<Later>, ClientConfig) {
    let provider = Arc::new(ring::default_provider());
    let key = || KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, key()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(authority.der().clone()).unwrap();
    let roots = Arc::new(roots);
    let issue = |name: &str| {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.not_after = (SystemTime::now() + Duration::from_secs(3600)).into();
        let key = key();
        let certificate = params.signed_by(&key, &authority).unwrap();
        (vec![certificate.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
    };
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone());
    let verifier = Arc::new(Later(verifier.build().unwrap(), AtomicU64::new(0)));
    let (chain, key) = issue("localhost");
    let mut server = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[version])
        .unwrap()
        .with_client_cert_verifier(verifier.clone())
        .with_single_cert(chain, key)
        .unwrap();
    server.ticketer = ring::Ticketer::new().unwrap();
    let (chain, key) = issue("client.example");
    let client = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .unwrap();
    (Arc::new(server), verifier, client)
}

#[test]
fn a_resumed_session_needs_a_certificate_that_is_still_valid() {
    for version in [&TLS12, &TLS13] {
        let (server, verifier, client) = mutual(version);
        let client = Arc::new(client);
        let mut room = [0; 9];
        let mut shake = || {
            let name = "localhost".try_into().unwrap();
            let mut pair = Pair {
                client: ClientConnection::new(client.clone(), name).unwrap(),
                driver: Driver::server(server.clone(), verifier.clone()).unwrap(),
            };
            pair.client.writer().write_all(b"early").unwrap();
            while pair.client.is_handshaking() || pair.driver.is_handshaking() {
                let said = pair.said();
                pair.driver.receive(&said, &mut room)?;
                pair.answer(usize::MAX);
            }
            let kind = pair.driver.connection.handshake_kind();
            Ok::<_, Fault>((kind.unwrap(), pair.driver.client_name()))
        };
        let name = Some("client.example".to_owned());
        assert_eq!(shake().unwrap().0, HandshakeKind::Full);
        assert_eq!(shake().unwrap(), (HandshakeKind::Resumed, name));
        verifier.1.store(7200, Ordering::SeqCst);
        let expired = shake();
        assert!(
            matches!(expired, Err(Fault::Tls(rustls::Error::InvalidCertificate(_)))),
            "{expired:?}"
        );
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
        // A length that grew makes it wait for more; the version in a record's head means nothing;
        // all else breaks it.
        if let Ok(received) = pair.driver.receive(&said, &mut room) {
            prop_assert!(received.len == 0 || room[..received.len] == content[..]);
        }
    }
}
