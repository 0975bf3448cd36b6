//! A request to be sent.

use super::{HeaderList, Method, syntax};

/// A request head without what frames it: the connection itself adds `Content-Length`,
/// `Transfer-Encoding`, `Connection` and `Expect`.
#[derive(Clone, Debug)]
pub struct RequestBuilder {
    pub(crate) method: Method,
    pub(crate) target: String,
    pub(crate) authority: String,
    pub(crate) fields: HeaderList,
    pub(crate) expect: bool,
    pub(crate) last: bool,
}

impl RequestBuilder {
    /// A request for `target`, which begins with `/`, on `authority`, which is what `Host` is to
    /// say. `None` if either holds what a head cannot carry.
    pub fn new(method: Method, target: &str, authority: &str) -> Option<Self> {
        let graphic = |text: &str| text.bytes().all(|b| b.is_ascii_graphic() && b != b'#');
        if !target.starts_with('/')
            || !graphic(target)
            || !graphic(authority)
            || authority.is_empty()
        {
            return None;
        }
        Some(Self {
            method,
            target: target.to_owned(),
            authority: authority.to_owned(),
            fields: HeaderList::default(),
            expect: false,
            last: false,
        })
    }

    /// Adds a field. One whose name or value a head cannot carry is left out, and so are the fields
    /// that belong to the connection: nothing that comes from outside can add a line to the head or
    /// frame a message.
    #[must_use]
    pub fn field(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        let value = value.as_ref();
        if may_be_added(name) && syntax::is_field_value(value) {
            self.fields.push(name, value);
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

    /// The body, if there is one, is held back until the server asks for it (`Expect:
    /// 100-continue`, RFC 9110 §10.1.1).
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
    syntax::is_field_name(name) && !own.iter().any(|own| own.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_outside_adds_a_line() {
        let request = RequestBuilder::new(Method::Put, "/a?b", "h:1").unwrap();
        let request = request.field("X-A", "1").field("X-B", "1\r\nX-C: 2").field("X\r\nY", "1");
        let request = request.field("content-length", "7").field("Host", "other").field("", "1");
        let request = request.field_opt("X-D", None::<&str>).field_opt("X-E", Some("2"));
        let fields: Vec<_> = request.fields.iter().collect();
        assert_eq!(fields, [("X-A", &b"1"[..]), ("X-E", b"2")]);
        for (target, host) in [
            ("a", "h"),
            ("/ ", "h"),
            ("/#", "h"),
            ("/é", "h"),
            ("/\r\nX: 1", "h"),
            ("/", "h\r\n"),
            ("/", ""),
        ] {
            assert!(
                RequestBuilder::new(Method::Put, target, host).is_none(),
                "{target:?} {host:?}"
            );
        }
    }
}
