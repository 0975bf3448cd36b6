//! The TLS side of a test's connection. A client speaks TLS to the addresses whose server's banner
//! says `https://`.

use std::collections::HashSet;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme};

/// Whether the tests run over TLS where they do not say themselves: `HTTPOUT_TEST_TLS=1`.
pub fn is_asked_for() -> bool {
    std::env::var_os("HTTPOUT_TEST_TLS").is_some_and(|value| value == "1")
}

static PORTS: Mutex<Option<HashSet<u16>>> = Mutex::new(None);

/// A banner names this address, with `https://` or without.
pub(crate) fn note(address: SocketAddr, is_secure: bool) {
    let mut ports = PORTS.lock().unwrap_or_else(PoisonError::into_inner);
    let ports = ports.get_or_insert_default();
    if is_secure {
        ports.insert(address.port())
    } else {
        ports.remove(&address.port())
    };
}

/// Whether TLS is spoken there.
pub fn is_secure(address: SocketAddr) -> bool {
    let ports = PORTS.lock().unwrap_or_else(PoisonError::into_inner);
    ports.as_ref().is_some_and(|ports| ports.contains(&address.port()))
}

/// A client that trusts everybody, and resumes sessions where it can.
pub fn trusting() -> Arc<ClientConfig> {
    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    let config = CONFIG.get_or_init(|| {
        let provider = Arc::new(ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .expect("versions that go with the provider")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Trusting(provider)))
            .with_no_client_auth();
        Arc::new(config)
    });
    config.clone()
}

/// Finishes the handshake over a stream.
///
/// # Errors
/// Those of the stream, and of TLS.
pub fn shake_hands(
    config: Arc<ClientConfig>,
    stream: &mut TcpStream,
) -> io::Result<ClientConnection> {
    let name = ServerName::try_from("localhost").expect("a name");
    let mut tls = ClientConnection::new(config, name).map_err(io::Error::other)?;
    tls.set_buffer_limit(None);
    while tls.is_handshaking() {
        flush(&mut tls, stream)?;
        if tls.is_handshaking() && tls.read_tls(stream)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        tls.process_new_packets().map_err(io::Error::other)?;
    }
    flush(&mut tls, stream)?;
    Ok(tls)
}

/// Sends all of it.
pub(crate) fn send(
    tls: &mut ClientConnection,
    stream: &mut TcpStream,
    bytes: &[u8],
) -> io::Result<()> {
    tls.writer().write_all(bytes)?;
    flush(tls, stream)
}

/// Sends what TLS has to send.
pub(crate) fn flush(tls: &mut ClientConnection, stream: &mut TcpStream) -> io::Result<()> {
    while tls.wants_write() {
        tls.write_tls(stream)?;
    }
    Ok(())
}

/// Waits for content; 0 bytes are the end, announced by the server. `UnexpectedEof`: it was not
/// announced.
pub(crate) fn receive(
    tls: &mut ClientConnection,
    stream: &mut TcpStream,
    room: &mut [u8],
) -> io::Result<usize> {
    loop {
        match tls.reader().read(room) {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            done => return done,
        }
        tls.read_tls(stream)?;
        tls.process_new_packets().map_err(io::Error::other)?;
    }
}

#[derive(Debug)]
struct Trusting(Arc<CryptoProvider>);

impl ServerCertVerifier for Trusting {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
