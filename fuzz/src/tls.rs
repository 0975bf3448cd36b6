//! The server's side of TLS: whatever comes, it does not panic, and nothing is content but what the
//! client has sent.

use std::{
    io::{Read, Write},
    sync::{Arc, OnceLock},
};

use httpout_runtime::tls::{Driver, Setup, TlsOptions};
use rustls::{ClientConfig, ClientConnection, RootCertStore, crypto::ring};

/// Larger pieces would not be received at once during the handshake.
const LARGEST: usize = 16 << 10;

/// One input: what is done, how long the pieces are in which bytes arrive, and bytes.
pub fn run(data: &[u8]) {
    let [what, cut, rest @ ..] = data else { return };
    let cut = (usize::from(*cut) + 1).min(LARGEST);
    match what % 3 {
        0 => instead_of_a_handshake(rest, cut),
        1 => instead_of_content(rest, cut),
        _ => changed_on_the_way(rest, cut),
    }
}

/// The bytes are all that the client ever says.
fn instead_of_a_handshake(bytes: &[u8], cut: usize) {
    let (setup, _) = both();
    let mut driver = setup.driver().expect("random bytes");
    assert_eq!(receive(&mut driver, bytes, cut), b"");
    assert!(driver.is_handshaking(), "nobody can finish a handshake without the server's answer");
    assert_eq!(driver.client_name(), None);
    drain(&mut driver);
}

/// The bytes come where records are expected.
fn instead_of_content(bytes: &[u8], cut: usize) {
    let (mut driver, _) = shaken();
    assert_eq!(receive(&mut driver, bytes, cut), b"");
    driver.seal(bytes);
    drain(&mut driver);
    assert!(!driver.has_sealed());
}

/// The bytes are sent, and one byte of what they became is changed, the last two bytes say which.
fn changed_on_the_way(bytes: &[u8], cut: usize) {
    let [content @ .., at, flip] = bytes else { return };
    let (mut driver, mut client) = shaken();
    client.writer().write_all(content).expect("no limit");
    let mut said = said(&mut client);
    if let Some(byte) = said.get_mut(usize::from(*at)) {
        *byte ^= flip;
    }
    let got = receive(&mut driver, &said, cut);
    assert!(content.starts_with(&got), "{got:?} was not sent");
    drain(&mut driver);
}

/// The content that comes of these bytes, up to a fault.
fn receive(driver: &mut Driver, bytes: &[u8], cut: usize) -> Vec<u8> {
    let (mut content, mut room) = (Vec::new(), vec![0; LARGEST]);
    for piece in bytes.chunks(cut) {
        match driver.receive(piece, &mut room) {
            Ok(received) => content.extend_from_slice(&room[..received.len]),
            Err(_) => break,
        }
    }
    content
}

fn drain(driver: &mut Driver) -> Vec<u8> {
    let mut bytes = Vec::new();
    while driver.wants_write() {
        driver.send(&mut bytes).expect("a vector takes all");
    }
    bytes
}

fn said(client: &mut ClientConnection) -> Vec<u8> {
    let mut said = Vec::new();
    while client.wants_write() {
        client.write_tls(&mut said).expect("a vector takes all");
    }
    said
}

/// A server and a client that know each other.
fn shaken() -> (Driver, ClientConnection) {
    let (setup, config) = both();
    let mut driver = setup.driver().expect("random bytes");
    let name = "localhost".try_into().expect("a name");
    let mut client = ClientConnection::new(config.clone(), name).expect("random bytes");
    client.set_buffer_limit(None);
    while client.is_handshaking() || driver.is_handshaking() || driver.wants_write() {
        driver.receive(&said(&mut client), &mut []).expect("a good client");
        let mut answer = &drain(&mut driver)[..];
        while !answer.is_empty() {
            client.read_tls(&mut answer).expect("a slice gives all");
            client.process_new_packets().expect("a good server");
        }
    }
    assert!(client.reader().read(&mut [0]).is_err(), "nothing was sent");
    (driver, client)
}

fn both() -> &'static (Setup, Arc<ClientConfig>) {
    static BOTH: OnceLock<(Setup, Arc<ClientConfig>)> = OnceLock::new();
    BOTH.get_or_init(|| {
        let mut options = TlsOptions::default();
        options.self_signed = true;
        let setup = Setup::new(&options, None).expect("a certificate");
        let mut roots = RootCertStore::empty();
        roots.add(setup.certificate().clone()).expect("a certificate");
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions that go with the provider")
            .with_root_certificates(roots)
            .with_no_client_auth();
        (setup, Arc::new(config))
    })
}
