//! A server that does what a test says, right or wrong.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver};
use std::thread;

use crate::PATIENCE;

/// A server on a loopback port. What it was asked is told in order; it ends with the process.
#[derive(Debug)]
pub struct Scripted {
    address: SocketAddr,
    asked: Receiver<Asked>,
}

/// A request as it came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Number of its connection, from 0.
    pub connection: usize,
    /// The request line and the fields.
    pub head: String,
    /// The body, without its framing.
    pub body: Vec<u8>,
}

impl Scripted {
    /// Answers each request with what `answer` makes of it; closes where that is empty.
    pub fn answering(mut answer: impl FnMut(&Asked) -> String + Send + Clone + 'static) -> Self {
        let (tell, asked) = mpsc::channel();
        let mut server = Self::new(move |connection, stream| {
            let mut answer = answer_each(&mut answer);
            let (tell, mut stream) = (tell.clone(), BufReader::new(stream));
            while let Ok(Some(asked)) = Asked::read(connection, &mut stream) {
                let text = answer(&asked);
                let _ = tell.send(asked);
                if text.is_empty() || stream.get_mut().write_all(text.as_bytes()).is_err() {
                    break;
                }
            }
        });
        server.asked = asked;
        server
    }

    /// Does this with each connection, in a thread of its own.
    pub fn new(serve: impl FnMut(usize, TcpStream) + Send + Clone + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free loopback port");
        let address = listener.local_addr().expect("a bound listener has an address");
        thread::spawn(move || {
            for (connection, stream) in listener.incoming().enumerate() {
                let (Ok(stream), mut serve) = (stream, serve.clone()) else { break };
                thread::spawn(move || serve(connection, stream));
            }
        });
        let (_, asked) = mpsc::channel();
        Self { address, asked }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of a path on it.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The next request.
    #[track_caller]
    pub fn asked(&self) -> Asked {
        self.asked.recv_timeout(PATIENCE).expect("a request comes")
    }

    /// The requests that have come and were not asked for.
    pub fn rest(&self) -> Vec<Asked> {
        self.asked.try_iter().collect()
    }
}

fn answer_each<'a>(
    answer: &'a mut (impl FnMut(&Asked) -> String + Send),
) -> impl FnMut(&Asked) -> String + 'a {
    move |asked| answer(asked)
}

impl Asked {
    /// Reads a request; nothing if there is none any more.
    ///
    /// # Errors
    /// Those of the stream; it ends in the middle.
    pub fn read(connection: usize, stream: &mut BufReader<TcpStream>) -> io::Result<Option<Self>> {
        let mut asked = Self { connection, ..Self::default() };
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line)? == 0 {
                return Ok(None);
            }
            if line == "\r\n" {
                break;
            }
            asked.head.push_str(&line);
        }
        if asked.has("Expect: 100-continue") {
            stream.get_mut().write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        match asked.get("Content-Length") {
            Some(len) => {
                asked.body = vec![0; len.parse().expect("a length")];
                stream.read_exact(&mut asked.body)?;
            }
            None if asked.has("Transfer-Encoding: chunked") => loop {
                let mut size = String::new();
                stream.read_line(&mut size)?;
                let size = usize::from_str_radix(size.trim_end(), 16)
                    .map_err(|_| io::Error::from(io::ErrorKind::UnexpectedEof))?;
                let mut chunk = vec![0; size + 2];
                stream.read_exact(&mut chunk)?;
                if size == 0 {
                    break;
                }
                asked.body.extend_from_slice(&chunk[..size]);
            },
            None => {}
        }
        Ok(Some(asked))
    }

    /// The request line.
    pub fn line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }

    /// Whether the head has this line.
    pub fn has(&self, field: &str) -> bool {
        self.head.lines().any(|line| line.eq_ignore_ascii_case(field))
    }

    /// The value of a field.
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut fields = self.head.lines().filter_map(|line| line.split_once(": "));
        fields.find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}
