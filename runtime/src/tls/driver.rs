//! Either side of TLS on one connection, without I/O: what was received goes in, what is to be sent
//! comes out.

use std::{
    fmt,
    io::{self, Read as _, Write as _},
    sync::Arc,
};

use rustls::{
    ClientConfig, ClientConnection, Connection, HandshakeKind, ServerConfig, ServerConnection,
    server::danger::ClientCertVerifier,
};
use rustls_pki_types::{ServerName, UnixTime};

use super::names;

/// The first bytes of a burst go out in records of this size: a client reads the first of them
/// while the last ones are still on their way.
const QUICK_RECORD: usize = 4 << 10;
/// How many bytes of a burst count as its first: less than TCP sends at once on a new connection.
const QUICK: usize = 12 << 10;

/// TLS over one connection.
#[derive(Debug)]
pub struct Driver {
    connection: Connection,
    /// On the server's side: of the clients' certificates.
    verifier: Option<Arc<dyn ClientCertVerifier>>,
    /// Something was received.
    begun: bool,
    /// Both sides know each other.
    open: bool,
    /// The peer has said that it sends no more.
    closed: bool,
    /// Why nothing more is taken; told when the content before it was taken.
    fault: Option<rustls::Error>,
    /// Bytes that were sealed and that [`Driver::send`] has not told of.
    sealed: u64,
    /// Bytes that were sealed since everything was sent before; up to [`QUICK`].
    burst: usize,
}

/// What came of received bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// So many bytes of content.
    pub len: usize,
    /// The peer has said (close_notify) that there is no more than this.
    pub closed: bool,
}

/// Why a connection cannot go on.
#[derive(Debug)]
pub enum Fault {
    /// The peer does not speak TLS but, it seems, HTTP in the clear.
    Plain,
    /// The peer breaks TLS, or is not who it has to be, or does not let this side in. There may be
    /// an alert to be sent.
    Tls(rustls::Error),
}

impl Driver {
    /// The server's side. `verifier` is that of the clients' certificates in `config`.
    pub(super) fn server(
        config: Arc<ServerConfig>,
        verifier: Arc<dyn ClientCertVerifier>,
    ) -> Result<Self, rustls::Error> {
        let connection = ServerConnection::new(config)?;
        Ok(Self::new(connection.into(), Some(verifier)))
    }

    /// The client's side, of a connection to the server of this name.
    pub(super) fn client(
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
    ) -> Result<Self, rustls::Error> {
        ClientConnection::new(config, name).map(|connection| Self::new(connection.into(), None))
    }

    fn new(mut connection: Connection, verifier: Option<Arc<dyn ClientCertVerifier>>) -> Self {
        // The caller sends it before it seals more.
        connection.set_buffer_limit(None);
        let (begun, open, closed, fault) = (false, false, false, None);
        Self { connection, verifier, begun, open, closed, fault, sealed: 0, burst: 0 }
    }

    /// True for the client's side.
    pub(super) fn is_client(&self) -> bool {
        matches!(self.connection, Connection::Client(_))
    }

    /// True until both sides know each other.
    pub fn is_handshaking(&self) -> bool {
        !self.open
    }

    /// On the server's side: whose certificate the client has shown, if it has a name that rules
    /// can name.
    pub fn client_name(&self) -> Option<String> {
        if self.is_client() {
            return None;
        }
        names::client_name(self.connection.peer_certificates()?.first()?)
    }

    /// Bytes were received: up to 16 KiB during the handshake, else no more than there is room for
    /// content. Content that came with the end of the handshake is given by the next call, for
    /// which `received` may be empty.
    ///
    /// # Errors
    /// The connection cannot go on. What came before that is content.
    pub fn receive(&mut self, mut received: &[u8], content: &mut [u8]) -> Result<Received, Fault> {
        if !self.begun
            && let Some(first) = received.first()
        {
            if first.is_ascii_alphabetic() {
                return Err(Fault::Plain);
            }
            self.begun = true;
        }
        let mut len = self.read(content);
        while self.fault.is_none() && !received.is_empty() {
            match self.take(&mut received) {
                Ok(0) => break,
                Ok(_) => {}
                Err(why) => self.fault = Some(why),
            }
            len += self.read(&mut content[len..]);
        }
        match &self.fault {
            Some(why) if len == 0 => Err(Fault::Tls(why.clone())),
            Some(_) | None => Ok(Received { len, closed: self.closed }),
        }
    }

    /// Takes bytes off the front; none once the peer has said that it sends no more.
    fn take(&mut self, received: &mut &[u8]) -> Result<usize, rustls::Error> {
        let broken = |error: io::Error| rustls::Error::General(error.to_string());
        let taken = self.connection.read_tls(received).map_err(broken)?;
        if taken > 0 {
            let state = self.connection.process_new_packets()?;
            self.closed = state.peer_has_closed();
            if !self.open && !self.connection.is_handshaking() {
                self.verify_resumed()?;
                self.open = true;
            }
        }
        Ok(taken)
    }

    /// A resumed session brings the certificate that was verified when it began, which may have
    /// expired since.
    fn verify_resumed(&self) -> Result<(), rustls::Error> {
        let resumed = self.connection.handshake_kind() == Some(HandshakeKind::Resumed);
        match (self.connection.peer_certificates(), &self.verifier) {
            (Some([own, others @ ..]), Some(verifier)) if resumed => {
                verifier.verify_client_cert(own, others, UnixTime::now()).map(|_| ())
            }
            (Some(_) | None, _) => Ok(()),
        }
    }

    /// Content, as far as it has come and there is room.
    fn read(&mut self, content: &mut [u8]) -> usize {
        if !self.open {
            return 0;
        }
        let mut len = 0;
        // An error says that there is no more, at least for now.
        while let Ok(more @ 1..) = self.connection.reader().read(&mut content[len..]) {
            len += more;
        }
        len
    }

    /// Makes records of content. What was to be sent must have been [sent](Self::send) before.
    pub fn seal(&mut self, mut content: &[u8]) {
        self.sealed += content.len() as u64;
        while !content.is_empty() {
            let most = if self.burst < QUICK { QUICK_RECORD } else { content.len() };
            let (record, rest) = content.split_at(most.min(content.len()));
            // The buffer has no limit, so that this takes all and does not fail.
            let _ = self.connection.writer().write_all(record);
            self.burst = QUICK.min(self.burst + record.len());
            content = rest;
        }
    }

    /// True if something is to be sent.
    pub fn wants_write(&self) -> bool {
        self.connection.wants_write()
    }

    /// True if sealed content is still to be sent.
    pub fn has_sealed(&self) -> bool {
        self.sealed > 0
    }

    /// Hands what is to be sent to `write`, which may take a part of it. Returns how many bytes of
    /// sealed content count as sent by this: the last of them when all is.
    ///
    /// # Errors
    /// Those of `write`.
    pub fn send(&mut self, write: &mut dyn io::Write) -> io::Result<u64> {
        let written = self.connection.write_tls(write)? as u64;
        let sent = if self.wants_write() {
            written.min(self.sealed.saturating_sub(1))
        } else {
            self.sealed
        };
        self.sealed -= sent;
        Ok(sent)
    }

    /// All was sent, and there is no more for now.
    pub fn rest(&mut self) {
        self.burst = 0;
    }

    /// Nothing more is there to be received for now: gives memory back that a peer's large records
    /// took.
    pub fn idle(&mut self) {
        // rustls does that where it begins to read, which may be much later.
        let _ = self.connection.read_tls(&mut Nothing);
    }

    /// Says that no more is sent (close_notify). Without this, the end of the connection tells the
    /// peer that something is missing.
    pub fn close(&mut self) {
        self.connection.send_close_notify();
    }
}

/// Has nothing, at least for now.
struct Nothing;

impl io::Read for Nothing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain => f.write_str("the peer speaks no TLS"),
            Self::Tls(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Fault {}

#[cfg(test)]
mod tests;
