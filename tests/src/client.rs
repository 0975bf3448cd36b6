//! One raw connection: bytes out, parsed answers in, and how it ended.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustix::net::sockopt::{set_socket_linger, set_socket_recv_buffer_size};
use rustix::net::{AddressFamily, SocketType, bind, connect, socket};

use rustls::{ClientConfig, ClientConnection};

use crate::body::Framing;
use crate::{Head, PATIENCE, Piece, Request, Response, secure};

/// How the peer ended the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// In order: everything it sent has arrived.
    Fin,
    /// By a reset; or, over TLS, without a word.
    Rst,
}

/// A connection to a server.
#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
    tls: Option<Box<ClientConnection>>,
    patience: Duration,
    buffer: Vec<u8>,
    end: Option<End>,
    framing: Framing,
}

impl Client {
    /// Connects.
    #[track_caller]
    pub fn connect(server: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&server, PATIENCE)
            .unwrap_or_else(|e| panic!("connect {server}: {e}"));
        Self::over(stream).with_tls(server)
    }

    /// Connects over TLS, in a way of its own.
    ///
    /// # Errors
    /// The handshake fails.
    pub fn connect_tls(server: SocketAddr, config: Arc<ClientConfig>) -> io::Result<Self> {
        let mut client = Self::over(TcpStream::connect_timeout(&server, PATIENCE)?);
        let tls = secure::shake_hands(config, &mut client.stream)?;
        Ok(Self { tls: Some(Box::new(tls)), ..client })
    }

    /// Connects without TLS, whatever is spoken there.
    #[track_caller]
    pub fn connect_plain(server: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&server, PATIENCE);
        Self::over(stream.unwrap_or_else(|e| panic!("connect {server}: {e}")))
    }

    /// The TLS of the connection.
    #[track_caller]
    pub fn tls(&mut self) -> &mut ClientConnection {
        self.tls.as_mut().expect("a connection over TLS")
    }

    /// Connects from an address of this machine.
    #[track_caller]
    pub fn connect_from(address: IpAddr, server: SocketAddr) -> Self {
        let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let socket = socket(family, SocketType::STREAM, None).expect("a socket");
        bind(&socket, &SocketAddr::from((address, 0)))
            .unwrap_or_else(|e| panic!("bind {address}: {e}"));
        connect(&socket, &server).unwrap_or_else(|e| panic!("connect {server}: {e}"));
        Self::over(socket.into()).with_tls(server)
    }

    fn over(stream: TcpStream) -> Self {
        stream.set_nodelay(true).expect("TCP_NODELAY");
        stream.set_write_timeout(Some(PATIENCE)).expect("write timeout");
        let mut client = Self {
            stream,
            tls: None,
            patience: PATIENCE,
            buffer: Vec::new(),
            end: None,
            framing: Framing::Done,
        };
        client.patience(PATIENCE);
        client
    }

    #[track_caller]
    fn with_tls(mut self, server: SocketAddr) -> Self {
        if secure::is_secure(server) {
            let tls = secure::shake_hands(secure::trusting(), &mut self.stream);
            self.tls = Some(Box::new(tls.unwrap_or_else(|e| panic!("handshake: {e}"))));
        }
        self
    }

    /// Waits this long for each event from now on: for servers that are expected to be slow.
    pub fn patience(&mut self, longest: Duration) {
        self.patience = longest;
        self.stream.set_read_timeout(Some(longest)).expect("read timeout");
    }

    /// Keeps little in the kernel for a reader that does not read, so that the server meets its
    /// slowness soon.
    pub fn small_window(&self) {
        set_socket_recv_buffer_size(&self.stream, 16 * 1024).expect("SO_RCVBUF");
    }

    /// The client's own address.
    pub fn address(&self) -> SocketAddr {
        self.stream.local_addr().expect("a connected socket has an address")
    }

    /// Sends bytes as they are; fails when the server does not take them.
    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        if let Err(e) = self.try_send(bytes) {
            panic!("the server does not take what is sent: {e}");
        }
    }

    /// Sends bytes that the server is free not to take.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        match &mut self.tls {
            Some(tls) => secure::send(tls, &mut self.stream, bytes.as_ref()),
            None => self.stream.write_all(bytes.as_ref()),
        }
    }

    /// Sends bytes past TLS, as somebody on the way could.
    #[track_caller]
    pub fn send_beneath(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the server takes it");
    }

    /// Waits for the end; the error of TLS, if that is how it comes.
    ///
    /// # Errors
    /// What TLS says.
    pub fn try_end(&mut self) -> Result<(), String> {
        let mut room = [0; 1024];
        while let Some(tls) = &mut self.tls {
            match secure::receive(tls, &mut self.stream, &mut room) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) => return Err(error.to_string()),
            }
        }
        Ok(())
    }

    /// Sends one chunk of a chunked body.
    #[track_caller]
    pub fn send_chunk(&mut self, data: impl AsRef<[u8]>) {
        self.send(Request::chunk(data.as_ref()));
    }

    /// Ends a chunked body.
    #[track_caller]
    pub fn send_last_chunk(&mut self) {
        self.send(Request::LAST_CHUNK);
    }

    /// Sends a request and reads its whole answer.
    #[track_caller]
    pub fn ask(&mut self, request: &Request) -> Response {
        self.send(request.bytes());
        self.response(request.method())
    }

    /// Sends a request and reads the head of its answer.
    #[track_caller]
    pub fn begin(&mut self, request: &Request) -> Head {
        self.send(request.bytes());
        self.head(request.method())
    }

    /// Sends the head of an upload with `Expect: 100-continue`, and waits for the `100`: from here
    /// on it is in progress.
    #[track_caller]
    pub fn begin_upload(&mut self, request: Request) {
        self.send(request.expect().bytes());
        self.interim_is(100);
    }

    /// Reads one interim response, which must have this status.
    #[track_caller]
    pub fn interim_is(&mut self, status: u16) {
        let interim =
            self.raw_head().unwrap_or_else(|end| panic!("no {status}, but the end ({end:?})"));
        assert_eq!(interim.status, status, "another answer: {interim:?}");
        assert_eq!(interim.framing("PUT"), Framing::Done);
    }

    /// Reads the head of the answer to a request with this method.
    #[track_caller]
    pub fn head(&mut self, method: &str) -> Head {
        self.try_head(method).unwrap_or_else(|end| panic!("no answer, but the end ({end:?})"))
    }

    /// The same, where the connection may as well end without an answer.
    #[track_caller]
    pub fn try_head(&mut self, method: &str) -> Result<Head, End> {
        assert_eq!(self.framing, Framing::Done, "the body before was not read to its end");
        let mut interim = Vec::new();
        loop {
            let mut head = self.raw_head()?;
            self.framing = head.framing(method);
            if head.status >= 200 {
                head.interim = interim;
                return Ok(head);
            }
            interim.push(head.status);
        }
    }

    /// Reads a whole response to a request with this method; fails if it is cut.
    #[track_caller]
    pub fn response(&mut self, method: &str) -> Response {
        let head = self.head(method);
        let mut chunks = Vec::new();
        let mut chunk = 0;
        let mut body = Vec::new();
        loop {
            match self.piece() {
                Piece::Data(data) => {
                    chunk += data.len();
                    body.extend_from_slice(&data);
                }
                Piece::ChunkEnd => chunks.push(std::mem::take(&mut chunk)),
                Piece::End => return Response { head, body, chunks },
                Piece::Cut(end) => {
                    panic!("cut ({end:?}) after {} bytes of the body of {head:?}", body.len())
                }
            }
        }
    }

    /// The next piece of the body.
    #[track_caller]
    pub fn piece(&mut self) -> Piece {
        loop {
            if let Some((piece, used)) = self.framing.take(&self.buffer) {
                self.buffer.drain(..used);
                return piece;
            }
            if let Some(end) = self.end {
                let whole = self.framing == Framing::Close && end == End::Fin;
                self.framing = Framing::Done;
                return if whole { Piece::End } else { Piece::Cut(end) };
            }
            self.fill();
        }
    }

    /// Exactly `length` bytes of content; fails if the body ends before.
    #[track_caller]
    pub fn content(&mut self, length: usize) -> Vec<u8> {
        let mut content = Vec::new();
        while content.len() < length {
            match self.piece() {
                Piece::Data(data) => content.extend_from_slice(&data),
                Piece::ChunkEnd => {}
                other @ (Piece::End | Piece::Cut(_)) => panic!(
                    "{other:?} after {:?}, expected {length} bytes",
                    String::from_utf8_lossy(&content)
                ),
            }
        }
        assert_eq!(
            content.len(),
            length,
            "more than was written: {:?}",
            String::from_utf8_lossy(&content)
        );
        content
    }

    /// The rest of the body: all of it, or what came before the connection ended, and how.
    #[track_caller]
    pub fn rest(&mut self) -> Result<Vec<u8>, (Vec<u8>, End)> {
        let mut content = Vec::new();
        let end = self.each(|data| content.extend_from_slice(data));
        end.map_or(Ok(()), Err).map(|()| content.clone()).map_err(|end| (content, end))
    }

    /// Reads the rest of the body without keeping it; returns its length, and how the connection
    /// ended if it did.
    #[track_caller]
    pub fn count(&mut self) -> (u64, Option<End>) {
        self.count_up_to(u64::MAX)
    }

    /// The same, but stops soon after `most` bytes.
    #[track_caller]
    pub fn count_up_to(&mut self, most: u64) -> (u64, Option<End>) {
        let mut length = 0;
        while length < most {
            match self.piece() {
                Piece::Data(data) => length += data.len() as u64,
                Piece::ChunkEnd => {}
                Piece::End => return (length, None),
                Piece::Cut(end) => return (length, Some(end)),
            }
        }
        (length, None)
    }

    #[track_caller]
    fn each(&mut self, mut take: impl FnMut(&[u8])) -> Option<End> {
        loop {
            match self.piece() {
                Piece::Data(data) => take(&data),
                Piece::ChunkEnd => {}
                Piece::End => return None,
                Piece::Cut(end) => return Some(end),
            }
        }
    }

    /// Waits until the server has closed, and fails if anything comes before that.
    #[track_caller]
    pub fn closed(&mut self) -> End {
        loop {
            let left = String::from_utf8_lossy(&self.buffer);
            assert!(left.is_empty(), "expected the end of the connection, got {left:?}");
            if let Some(end) = self.end {
                return end;
            }
            self.fill();
        }
    }

    /// Waits until the server has closed in order: a reset may have destroyed an answer.
    #[track_caller]
    pub fn closed_in_order(&mut self) {
        assert_eq!(self.closed(), End::Fin, "the connection was reset");
    }

    /// Says that nothing more will be sent.
    pub fn finish_sending(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
            secure::flush(tls, &mut self.stream).expect("close_notify");
        }
        self.stream.shutdown(Shutdown::Write).expect("half-close");
    }

    /// Ends the connection without a word of TLS, as somebody on the way could.
    pub fn truncate(&mut self) {
        self.stream.shutdown(Shutdown::Write).expect("half-close");
    }

    /// Resets the connection.
    pub fn abort(self) {
        set_socket_linger(&self.stream, Some(Duration::ZERO)).expect("SO_LINGER");
    }

    /// Another handle of the socket, to write from another thread.
    #[track_caller]
    pub fn writer(&self) -> TcpStream {
        assert!(self.tls.is_none(), "TLS has one handle");
        self.stream.try_clone().expect("a second handle of a socket")
    }

    /// One head, interim or final.
    #[track_caller]
    fn raw_head(&mut self) -> Result<Head, End> {
        loop {
            if let Some(at) = self.buffer.windows(4).position(|w| w == b"\r\n\r\n") {
                // With the CR of the last line's end, as the other lines have it once they are
                // split at LF.
                let head = Head::parse(&self.buffer[..=at]);
                self.buffer.drain(..at + 4);
                return Ok(head);
            }
            if let Some(end) = self.end {
                let left = String::from_utf8_lossy(&self.buffer);
                assert!(left.is_empty(), "half a head, then the end ({end:?}): {left:?}");
                return Err(end);
            }
            self.fill();
        }
    }

    /// Waits for more bytes, or the end.
    #[track_caller]
    fn fill(&mut self) {
        let mut room = [0; 64 * 1024];
        let received = match &mut self.tls {
            Some(tls) => secure::receive(tls, &mut self.stream, &mut room),
            None => self.stream.read(&mut room),
        };
        match received {
            Ok(0) => self.end = Some(End::Fin),
            Ok(n) => self.buffer.extend_from_slice(&room[..n]),
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) if matches!(e.kind(), ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof) => {
                self.end = Some(End::Rst)
            }
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                let left = String::from_utf8_lossy(&self.buffer);
                panic!("nothing came for {:?}; unread: {left:?}", self.patience)
            }
            Err(e) => panic!("read: {e}"),
        }
    }
}
