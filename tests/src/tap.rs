//! A tap between a real client and the server: passes all bytes on, and keeps what the client sent.
//!
//! Encoders do not wait for answers, and use several connections, so what reaches the server first
//! is a matter of chance: a DELETE may overtake the upload that it is for. The tap takes this
//! chance away: it passes a new connection on only when the server has answered all that was sent
//! before it.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::body::Framing;
use crate::{PATIENCE, Piece};

/// A listener whose connections lead to the server.
#[derive(Debug)]
pub struct Tap {
    address: SocketAddr,
    connections: Arc<Mutex<Vec<Connection>>>,
}

/// A client's connection and its continuation to the server.
#[derive(Debug)]
struct Connection {
    client: TcpStream,
    server: TcpStream,
    /// All that the client sent.
    sent: Vec<u8>,
    client_ended: bool,
    /// All that came back.
    answered: Vec<u8>,
    server_ended: bool,
}

/// One request of a real client, as recorded.
#[derive(Clone, Debug)]
pub struct Pushed {
    /// `PUT`, `DELETE` …
    pub method: String,
    /// The path.
    pub path: String,
    /// The request's field lines, as text.
    pub fields: String,
    /// The body without its coding.
    pub body: Vec<u8>,
    /// Whether the body came to its proper end.
    pub whole: bool,
}

impl Tap {
    /// A tap in front of a server, with a thread that ends soon after the tap is dropped.
    pub fn new(server: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free loopback port");
        listener.set_nonblocking(true).expect("a listener can be non-blocking");
        let address = listener.local_addr().expect("a listener has an address");
        let connections = Arc::new(Mutex::new(Vec::<Connection>::new()));
        let shared = Arc::downgrade(&connections);
        thread::spawn(move || {
            let mut waiting = None;
            while let Some(connections) = shared.upgrade() {
                let mut connections = connections.lock().unwrap_or_else(PoisonError::into_inner);
                // First whom to let in, then what the others have sent: so all of that was sent
                // before.
                waiting = waiting.or_else(|| listener.accept().ok());
                let moved =
                    connections.iter_mut().map(Connection::pass).filter(|moved| *moved).count();
                if waiting.is_some() && connections.iter().all(Connection::is_settled) {
                    let client = waiting.take().map(|(client, _)| client);
                    connections.extend(client.and_then(|client| Connection::new(client, server)));
                }
                drop(connections);
                if moved == 0 {
                    thread::sleep(Duration::from_millis(1));
                }
            }
        });
        Self { address, connections }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections were made through it.
    pub fn connections(&self) -> usize {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// The URL of a path behind the tap.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// All requests of all connections, in the order of the connections, once everything has been
    /// answered.
    #[track_caller]
    pub fn pushed(&self) -> Vec<Pushed> {
        crate::until("all connections through the tap end", || {
            let connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
            let over = connections.iter().all(|c| c.client_ended && c.server_ended);
            over.then(|| connections.iter().flat_map(|c| requests(&c.sent)).collect())
        })
    }
}

impl Connection {
    fn new(client: TcpStream, server: SocketAddr) -> Option<Self> {
        let server = TcpStream::connect_timeout(&server, PATIENCE).ok()?;
        for stream in [&client, &server] {
            stream.set_nonblocking(true).ok()?;
            stream.set_nodelay(true).ok()?;
        }
        Some(Self {
            client,
            server,
            sent: Vec::new(),
            client_ended: false,
            answered: Vec::new(),
            server_ended: false,
        })
    }

    /// Whether the server has answered all that was asked whole, and closed if the client has.
    fn is_settled(&self) -> bool {
        if self.client_ended {
            return self.server_ended;
        }
        let is_final =
            |line: &&[u8]| line.starts_with(b"HTTP/1.1 ") && !line.starts_with(b"HTTP/1.1 1");
        let answers = self.answered.split(|&b| b == b'\n').filter(is_final).count();
        requests(&self.sent).iter().filter(|r| r.whole).count() <= answers
    }

    /// Passes on what there is in both directions; whether there was anything.
    fn pass(&mut self) -> bool {
        let mut moved = false;
        while !self.client_ended {
            let Some(bytes) = received(&mut self.client) else { break };
            moved = true;
            self.client_ended = bytes.is_empty();
            self.sent.extend_from_slice(&bytes);
            // A client that resets has still sent all that came before: the server gets it, then an
            // end in order.
            if bytes.is_empty() || write_all(&mut self.server, &bytes).is_err() {
                let _ = self.server.shutdown(Shutdown::Write);
            }
        }
        while !self.server_ended {
            let Some(bytes) = received(&mut self.server) else { break };
            moved = true;
            self.server_ended = bytes.is_empty();
            self.answered.extend_from_slice(&bytes);
            // It may have gone without reading its answers.
            if bytes.is_empty() || write_all(&mut self.client, &bytes).is_err() {
                let _ = self.client.shutdown(Shutdown::Write);
            }
        }
        moved
    }
}

/// What has come; nothing at the end, however the end came; `None` when there is nothing yet.
fn received(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut room = [0; 64 * 1024];
    match stream.read(&mut room) {
        Ok(n) => Some(room[..n].to_vec()),
        Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => None,
        Err(_) => Some(Vec::new()),
    }
}

/// Writes all, waiting where it must.
fn write_all(stream: &mut TcpStream, bytes: &[u8]) -> std::io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(bytes)?;
    stream.set_nonblocking(true)
}

/// Cuts a recorded stream into requests.
fn requests(mut bytes: &[u8]) -> Vec<Pushed> {
    let mut found = Vec::new();
    while let Some(at) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
        let head = String::from_utf8_lossy(&bytes[..at]).into_owned();
        bytes = &bytes[at + 4..];
        let (line, fields) = head.split_once("\r\n").unwrap_or((&head, ""));
        let mut words = line.split(' ');
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let lower = fields.to_ascii_lowercase();
        let length = lower
            .lines()
            .find_map(|l| l.strip_prefix("content-length:"))
            .and_then(|v| v.trim().parse().ok());
        let mut framing = match length {
            _ if lower.contains("transfer-encoding: chunked") => Framing::ChunkSize,
            Some(length) => Framing::Length(length),
            None => Framing::Done,
        };
        let mut body = Vec::new();
        let mut whole = false;
        while let Some((piece, used)) = framing.take(bytes) {
            bytes = &bytes[used..];
            match piece {
                Piece::Data(data) => body.extend_from_slice(&data),
                Piece::ChunkEnd => {}
                Piece::End => {
                    whole = true;
                    break;
                }
                Piece::Cut(_) => break,
            }
        }
        let (method, path) = (method.to_owned(), path.to_owned());
        found.push(Pushed { method, path, fields: fields.to_owned(), body, whole });
        if !found.last().is_some_and(|p| p.whole) {
            break;
        }
    }
    found
}
