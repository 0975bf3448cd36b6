//! A tap between a real client and the server: passes all bytes on, and keeps what the client sent.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::body::Framing;
use crate::{PATIENCE, Piece};

/// A listener whose connections lead to the server.
#[derive(Debug)]
pub struct Tap {
    address: SocketAddr,
    streams: Arc<Mutex<Vec<Recorded>>>,
}

/// What one connection carried towards the server.
#[derive(Clone, Debug, Default)]
struct Recorded {
    bytes: Vec<u8>,
    over: bool,
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
    /// A tap in front of a server. Its threads end with the connections; the listener's with the test process.
    pub fn new(server: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free loopback port");
        let address = listener.local_addr().expect("a listener has an address");
        let streams = Arc::new(Mutex::new(Vec::new()));
        let tap = Self { address, streams: Arc::clone(&streams) };
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect_timeout(&server, PATIENCE) else { continue };
                let index = {
                    let mut streams = streams.lock().unwrap_or_else(PoisonError::into_inner);
                    streams.push(Recorded::default());
                    streams.len() - 1
                };
                pass(client, server, index, &streams);
            }
        });
        tap
    }

    /// The URL of a path behind the tap.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// All requests of all connections, in the order of the connections, once every client has gone.
    #[track_caller]
    pub fn pushed(&self) -> Vec<Pushed> {
        let streams = crate::until("all connections through the tap end", || {
            let streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
            streams.iter().all(|s| s.over).then(|| streams.clone())
        });
        streams.iter().flat_map(|stream| requests(&stream.bytes)).collect()
    }
}

/// Starts the two directions of a connection.
fn pass(client: TcpStream, server: TcpStream, index: usize, streams: &Arc<Mutex<Vec<Recorded>>>) {
    let (Ok(mut from_server), Ok(mut to_client)) = (server.try_clone(), client.try_clone()) else {
        return;
    };
    thread::spawn(move || {
        let _ = std::io::copy(&mut from_server, &mut to_client);
        let _ = to_client.shutdown(Shutdown::Write);
    });
    let streams = Arc::clone(streams);
    let (mut client, mut server) = (client, server);
    thread::spawn(move || {
        let mut room = vec![0; 64 * 1024];
        loop {
            let n = match client.read(&mut room) {
                Ok(0) => break,
                Ok(n) => n,
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(_) => break,
            };
            streams.lock().unwrap_or_else(PoisonError::into_inner)[index]
                .bytes
                .extend_from_slice(&room[..n]);
            if server.write_all(&room[..n]).is_err() {
                break;
            }
        }
        // A client that resets has still sent all that came before: the server gets it, then an end in order.
        let _ = server.shutdown(Shutdown::Write);
        streams.lock().unwrap_or_else(PoisonError::into_inner)[index].over = true;
    });
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
