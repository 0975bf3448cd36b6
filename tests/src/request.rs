//! Writing requests: well-formed ones by a builder; a malformed one is plain text in its test.

use crate::basic;

/// A request to be sent whole.
#[derive(Clone, Debug)]
pub struct Request {
    method: String,
    target: String,
    version: &'static str,
    fields: Vec<(String, String)>,
    body: Vec<u8>,
}

/// `GET target`.
pub fn get(target: &str) -> Request {
    Request::new("GET", target)
}

/// `HEAD target`.
pub fn head(target: &str) -> Request {
    Request::new("HEAD", target)
}

/// `DELETE target`.
pub fn delete(target: &str) -> Request {
    Request::new("DELETE", target)
}

/// `PUT target` with a body of known length.
pub fn put(target: &str, body: impl AsRef<[u8]>) -> Request {
    Request::new("PUT", target).body(body)
}

/// `POST target` with a body of known length.
pub fn post(target: &str, body: impl AsRef<[u8]>) -> Request {
    Request::new("POST", target).body(body)
}

/// `PATCH target` with a typed body of known length.
pub fn patch(target: &str, kind: &str, body: impl AsRef<[u8]>) -> Request {
    Request::new("PATCH", target).field("Content-Type", kind).body(body)
}

impl Request {
    /// A request without body, to host `localhost`.
    pub fn new(method: &str, target: &str) -> Self {
        Self {
            method: method.to_owned(),
            target: target.to_owned(),
            version: "HTTP/1.1",
            fields: vec![("Host".to_owned(), "localhost".to_owned())],
            body: Vec::new(),
        }
    }

    /// One more field line.
    pub fn field(mut self, name: &str, value: impl AsRef<str>) -> Self {
        self.fields.push((name.to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Says `HTTP/1.0`.
    pub fn http10(mut self) -> Self {
        self.version = "HTTP/1.0";
        self
    }

    /// `Connection: close`.
    pub fn close(self) -> Self {
        self.field("Connection", "close")
    }

    /// With a name and a password (RFC 7617).
    pub fn by(self, user: &str, password: &str) -> Self {
        self.field("Authorization", basic(format!("{user}:{password}")))
    }

    /// With the right password of one of [`USERS`](crate::USERS).
    pub fn of(self, user: &str) -> Self {
        self.by(user, &format!("{user}-secret"))
    }

    /// A body with `Content-Length`.
    pub fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = body.as_ref().to_vec();
        let length = self.body.len().to_string();
        self.field("Content-Length", length)
    }

    /// A body in these chunks, and the last chunk.
    pub fn chunks(mut self, chunks: &[&[u8]]) -> Self {
        self.body = chunks.iter().flat_map(|data| Self::chunk(data)).collect();
        self.body.extend_from_slice(Self::LAST_CHUNK);
        self.chunked()
    }

    /// Only announces a chunked body: the chunks are sent by hand.
    pub fn chunked(self) -> Self {
        self.field("Transfer-Encoding", "chunked")
    }

    /// Only announces a body of this length: it is sent by hand.
    pub fn announce(self, length: u64) -> Self {
        self.field("Content-Length", length.to_string())
    }

    /// `Expect: 100-continue`.
    pub fn expect(self) -> Self {
        self.field("Expect", "100-continue")
    }

    /// One chunk as it goes over the wire.
    pub fn chunk(data: &[u8]) -> Vec<u8> {
        let mut out = format!("{:x}\r\n", data.len()).into_bytes();
        out.extend_from_slice(data);
        out.extend_from_slice(b"\r\n");
        out
    }

    /// What ends a chunked body.
    pub const LAST_CHUNK: &'static [u8] = b"0\r\n\r\n";

    /// The request's method.
    pub fn method(&self) -> &str {
        &self.method
    }

    /// All bytes of the request.
    pub fn bytes(&self) -> Vec<u8> {
        let mut out = format!("{} {} {}\r\n", self.method, self.target, self.version).into_bytes();
        for (name, value) in &self.fields {
            out.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(&self.body);
        out
    }
}
