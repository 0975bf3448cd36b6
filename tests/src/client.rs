//! One raw connection: bytes out, parsed answers in, and how it ended.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use rustix::net::sockopt::{set_socket_linger, set_socket_recv_buffer_size};
use rustix::net::{AddressFamily, SocketType, bind, connect, socket};

use crate::body::Framing;
use crate::{Head, PATIENCE, Piece, Request, Response};

/// How the peer ended the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// In order: everything it sent has arrived.
    Fin,
    /// By a reset.
    Rst,
}

/// A connection to a server.
#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
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
        Self::over(stream)
    }

    /// Connects from an address of this machine.
    #[track_caller]
    pub fn connect_from(address: IpAddr, server: SocketAddr) -> Self {
        let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let socket = socket(family, SocketType::STREAM, None).expect("a socket");
        bind(&socket, &SocketAddr::from((address, 0)))
            .unwrap_or_else(|e| panic!("bind {address}: {e}"));
        connect(&socket, &server).unwrap_or_else(|e| panic!("connect {server}: {e}"));
        Self::over(socket.into())
    }

    fn over(stream: TcpStream) -> Self {
        stream.set_nodelay(true).expect("TCP_NODELAY");
        stream.set_write_timeout(Some(PATIENCE)).expect("write timeout");
        let mut client = Self {
            stream,
            patience: PATIENCE,
            buffer: Vec::new(),
            end: None,
            framing: Framing::Done,
        };
        client.patience(PATIENCE);
        client
    }

    /// Waits this long for each event from now on: for servers that are expected to be slow.
    pub fn patience(&mut self, longest: Duration) {
        self.patience = longest;
        self.stream.set_read_timeout(Some(longest)).expect("read timeout");
    }

    /// Keeps little in the kernel for a reader that does not read, so that the server meets its slowness soon.
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
        if let Err(e) = self.stream.write_all(bytes.as_ref()) {
            panic!("the server does not take what is sent: {e}");
        }
    }

    /// Sends bytes that the server is free not to take.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref())
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

    /// Sends the head of an upload with `Expect: 100-continue`, and waits for the `100`: from here on it is in progress.
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

    /// Reads the rest of the body without keeping it; returns its length, and how the connection ended if it did.
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
    pub fn finish_sending(&self) {
        self.stream.shutdown(Shutdown::Write).expect("half-close");
    }

    /// Resets the connection.
    pub fn abort(self) {
        set_socket_linger(&self.stream, Some(Duration::ZERO)).expect("SO_LINGER");
    }

    /// Another handle of the socket, to write from another thread.
    pub fn writer(&self) -> TcpStream {
        self.stream.try_clone().expect("a second handle of a socket")
    }

    /// One head, interim or final.
    #[track_caller]
    fn raw_head(&mut self) -> Result<Head, End> {
        loop {
            if let Some(at) = self.buffer.windows(4).position(|w| w == b"\r\n\r\n") {
                // With the CR of the last line's end, as the other lines have it once they are split at LF.
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
        match self.stream.read(&mut room) {
            Ok(0) => self.end = Some(End::Fin),
            Ok(n) => self.buffer.extend_from_slice(&room[..n]),
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) if e.kind() == ErrorKind::ConnectionReset => self.end = Some(End::Rst),
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                let left = String::from_utf8_lossy(&self.buffer);
                panic!("nothing came for {:?}; unread: {left:?}", self.patience)
            }
            Err(e) => panic!("read: {e}"),
        }
    }
}
