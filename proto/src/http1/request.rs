//! A request to be sent.

use super::{fields::is_field_value, head::is_tchar, message::Method};

/// How the end of a request's body is told (RFC 9112 §6). There is no third way: a body without length is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outgoing {
    /// No body.
    None,
    /// `Content-Length`.
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
}

/// A request head without its framing: the connection itself adds `Content-Length`, `Transfer-Encoding`, `Connection`
/// and `Expect`.
#[derive(Clone, Debug)]
pub struct Request {
    pub(crate) method: Method,
    pub(crate) lines: Vec<u8>,
    pub(crate) expect: bool,
    pub(crate) last: bool,
}

impl Request {
    /// A request for `target`, which begins with `/`, on `host`, which is what `Host` is to say. `None` if either holds
    /// what a head cannot carry.
    pub fn new(method: Method, target: &str, host: &str) -> Option<Self> {
        let graphic = |text: &str| text.bytes().all(|b| b.is_ascii_graphic() && b != b'#');
        if !target.starts_with('/') || !graphic(target) || !graphic(host) || host.is_empty() {
            return None;
        }
        let mut lines = Vec::with_capacity(256);
        for piece in [method.as_str(), " ", target, " HTTP/1.1\r\nHost: ", host, "\r\n"] {
            lines.extend_from_slice(piece.as_bytes());
        }
        Some(Self { method, lines, expect: false, last: false })
    }

    /// Adds a field. One whose name or value a head cannot carry is left out, and so are the fields that belong to the
    /// connection: nothing that comes from outside can add a line to the head or frame a message.
    #[must_use]
    pub fn field(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        let value = value.as_ref();
        if may_be_added(name) && is_field_value(value) {
            for piece in [name.as_bytes(), b": ", value, b"\r\n"] {
                self.lines.extend_from_slice(piece);
            }
        }
        self
    }

    /// As [`field`](Self::field), if there is a value.
    #[must_use]
    pub fn field_opt(self, name: &str, value: Option<impl AsRef<[u8]>>) -> Self {
        match value {
            Some(value) => self.field(name, value),
            None => self,
        }
    }

    /// The body, if there is one, is held back until the server asks for it (`Expect: 100-continue`, RFC 9110 §10.1.1).
    #[must_use]
    pub fn expecting(mut self, expect: bool) -> Self {
        self.expect = expect;
        self
    }

    /// The connection is not kept behind the answer (`Connection: close`).
    #[must_use]
    pub fn last(mut self, last: bool) -> Self {
        self.last = last;
        self
    }
}

/// False for what is no name, and for the fields that belong to the connection.
pub(crate) fn may_be_added(name: &str) -> bool {
    let own = [
        "connection",
        "content-length",
        "expect",
        "host",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ];
    !name.is_empty()
        && name.bytes().all(is_tchar)
        && !own.iter().any(|own| own.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_outside_adds_a_line() {
        let request = Request::new(Method::Put, "/a?b", "h:1").unwrap();
        let request = request.field("X-A", "1").field("X-B", "1\r\nX-C: 2").field("X\r\nY", "1");
        let request = request.field("content-length", "7").field("Host", "other").field("", "1");
        let request = request.field_opt("X-D", None::<&str>).field_opt("X-E", Some("2"));
        let lines = "PUT /a?b HTTP/1.1\r\nHost: h:1\r\nX-A: 1\r\nX-E: 2\r\n";
        assert_eq!(String::from_utf8(request.lines).unwrap(), lines);
        for (target, host) in [
            ("a", "h"),
            ("/ ", "h"),
            ("/#", "h"),
            ("/é", "h"),
            ("/\r\nX: 1", "h"),
            ("/", "h\r\n"),
            ("/", ""),
        ] {
            assert!(Request::new(Method::Put, target, host).is_none(), "{target:?} {host:?}");
        }
    }
}
