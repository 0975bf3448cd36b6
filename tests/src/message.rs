//! Reading response heads strictly: what is not well-formed, or breaks a rule that holds for every
//! response, fails the test.

use std::ops::Deref;

use crate::body::Framing;

/// The head of a final response, with the interim ones that came before it.
#[derive(Clone, Debug)]
pub struct Head {
    /// The status code.
    pub status: u16,
    /// The field lines in order, as they came.
    pub fields: Vec<(String, String)>,
    /// The status codes of the interim (1xx) responses before this one.
    pub interim: Vec<u16>,
}

/// A whole response.
#[derive(Clone, Debug)]
pub struct Response {
    /// Its head; its fields and methods are the response's too.
    pub head: Head,
    /// The content, without transfer coding.
    pub body: Vec<u8>,
    /// The length of each chunk; nothing where the body was not chunked.
    pub chunks: Vec<usize>,
}

impl Deref for Response {
    type Target = Head;

    fn deref(&self) -> &Head {
        &self.head
    }
}

impl Response {
    /// The content as text, for messages and comparisons.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Fails unless status and content are these.
    #[track_caller]
    pub fn is(&self, status: u16, body: impl AsRef<[u8]>) -> &Self {
        self.status_is(status);
        let body = body.as_ref();
        let show =
            |bytes: &[u8]| String::from_utf8_lossy(bytes.get(..200).unwrap_or(bytes)).into_owned();
        assert!(
            self.body == body,
            "the content is {} bytes {:?}, expected {} bytes {:?}",
            self.body.len(),
            show(&self.body),
            body.len(),
            show(body)
        );
        self
    }
}

impl Head {
    /// The only value of a field; fails when the field comes twice.
    #[track_caller]
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut values = self
            .fields
            .iter()
            .filter(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v.as_str());
        let first = values.next();
        assert!(values.next().is_none(), "{name} comes more than once in {self:?}");
        first
    }

    /// The value of a field that must be there.
    #[track_caller]
    pub fn need(&self, name: &str) -> &str {
        self.get(name).unwrap_or_else(|| panic!("no {name} in {self:?}"))
    }

    /// Whether a comma-separated field, on however many lines, holds a token.
    pub fn lists(&self, name: &str, token: &str) -> bool {
        let lines = self.fields.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        lines.flat_map(|(_, list)| list.split(',')).any(|t| t.trim().eq_ignore_ascii_case(token))
    }

    /// Fails unless the status is this.
    #[track_caller]
    pub fn status_is(&self, status: u16) -> &Self {
        assert_eq!(self.status, status, "in {self:?}");
        self
    }

    /// Fails unless the status is one of these.
    #[track_caller]
    pub fn status_in(&self, statuses: &[u16]) -> &Self {
        assert!(statuses.contains(&self.status), "expected one of {statuses:?} in {self:?}");
        self
    }

    /// Fails unless a field has this value.
    #[track_caller]
    pub fn field_is(&self, name: &str, value: &str) -> &Self {
        assert_eq!(self.get(name), Some(value), "{name} in {self:?}");
        self
    }

    /// Fails if a field is there.
    #[track_caller]
    pub fn field_is_absent(&self, name: &str) -> &Self {
        assert_eq!(self.get(name), None, "{name} in {self:?}");
        self
    }

    /// Fails unless the answer says that the connection closes.
    #[track_caller]
    pub fn says_close(&self) -> &Self {
        assert!(self.lists("connection", "close"), "no Connection: close in {self:?}");
        self
    }

    /// Reads a head without its empty line.
    pub(crate) fn parse(head: &[u8]) -> Self {
        let text = String::from_utf8_lossy(head).into_owned();
        let mut lines = head
            .split(|&b| b == b'\n')
            .map(|line| line.strip_suffix(b"\r").unwrap_or_else(|| bad(&text)));
        let status = lines.next().and_then(status_line).unwrap_or_else(|| bad(&text));
        let fields = lines.map(|line| field_line(line).unwrap_or_else(|| bad(&text))).collect();
        Self { status, fields, interim: Vec::new() }
    }

    /// How the body ends (RFC 9112 §6.3), after checking what every response must obey.
    #[track_caller]
    pub(crate) fn framing(&self, method: &str) -> Framing {
        let length = self.get("content-length");
        let coding = self.get("transfer-encoding");
        assert!(
            length.is_none() || coding.is_none(),
            "RFC 9112 §6.2: a length beside a transfer coding in {self:?}"
        );
        assert!(
            coding.is_none_or(|c| c == "chunked"),
            "a transfer coding other than chunked in {self:?}"
        );
        let number = length.map(|l| {
            assert!(
                l.bytes().all(|b| b.is_ascii_digit()),
                "Content-Length is no number in {self:?}"
            );
            l.parse::<u64>().unwrap_or_else(|_| panic!("Content-Length is no number in {self:?}"))
        });
        if self.status < 200 || self.status == 204 {
            assert!(
                length.is_none() && coding.is_none(),
                "RFC 9110 §8.6: a body is announced in {self:?}"
            );
        }
        if self.status >= 200 {
            self.has_what_its_status_needs();
        }
        if method == "HEAD" || self.status < 200 || self.status == 204 || self.status == 304 {
            return Framing::Done;
        }
        match (number, coding) {
            (Some(number), _) => Framing::Length(number),
            (None, Some(_)) => Framing::ChunkSize,
            (None, None) => {
                assert!(self.lists("connection", "close"), "an answer without an end in {self:?}");
                Framing::Close
            }
        }
    }

    /// The fields that the RFCs ask for with a status.
    #[track_caller]
    fn has_what_its_status_needs(&self) {
        assert!(
            is_imf_fixdate(self.need("date")),
            "RFC 9110 §6.6.1: Date is no IMF-fixdate in {self:?}"
        );
        match self.status {
            206 => {
                let multipart =
                    self.get("content-type").is_some_and(|t| t.starts_with("multipart/byteranges"));
                let range = self.get("content-range").is_some();
                assert!(
                    multipart != range,
                    "RFC 9110 §15.3.7: Content-Range or multipart, not both, in {self:?}"
                );
            }
            401 => assert!(self.get("www-authenticate").is_some(), "RFC 9110 §15.5.2: in {self:?}"),
            405 => assert!(self.get("allow").is_some(), "RFC 9110 §15.5.6: no Allow in {self:?}"),
            416 => assert!(
                self.need("content-range").starts_with("bytes */"),
                "RFC 9110 §15.5.17: in {self:?}"
            ),
            503 => assert!(self.get("retry-after").is_some(), "no Retry-After in {self:?}"),
            _ => {}
        }
        if let Some(tag) = self.get("etag") {
            let opaque = tag.strip_prefix("W/").unwrap_or(tag);
            let inner = opaque.strip_prefix('"').and_then(|o| o.strip_suffix('"'));
            assert!(
                inner.is_some_and(|i| !i.contains('"')),
                "RFC 9110 §8.8.3: ETag is no entity-tag in {self:?}"
            );
        }
        if let Some(date) = self.get("last-modified") {
            assert!(
                is_imf_fixdate(date),
                "RFC 9110 §8.8.2: Last-Modified is no IMF-fixdate in {self:?}"
            );
        }
    }
}

/// A head that is none.
fn bad<T>(text: &str) -> T {
    panic!("the response head is malformed: {text:?}")
}

/// `HTTP/1.1 SP 3DIGIT SP [reason]`.
fn status_line(line: &[u8]) -> Option<u16> {
    let rest = line.strip_prefix(b"HTTP/1.1 ")?;
    let (digits, reason) = rest.split_at_checked(3)?;
    let reason = reason.strip_prefix(b" ")?;
    let plain = reason.iter().all(|&b| b == b'\t' || (b' '..=b'~').contains(&b));
    let number = digits
        .iter()
        .all(u8::is_ascii_digit)
        .then(|| std::str::from_utf8(digits).ok()?.parse().ok())??;
    (plain && (100..600).contains(&number)).then_some(number)
}

/// `token ":" OWS value OWS`, with no control character.
fn field_line(line: &[u8]) -> Option<(String, String)> {
    let colon = line.iter().position(|&b| b == b':')?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    let is_tchar = |b: &u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b);
    let is_text = |b: &u8| *b == b'\t' || (*b >= b' ' && *b != 0x7f);
    let well = !name.is_empty() && name.iter().all(is_tchar) && value.iter().all(is_text);
    let text = |bytes: &[u8]| bytes.iter().map(|&b| char::from(b)).collect::<String>();
    well.then(|| (text(name), text(value).trim_matches([' ', '\t']).to_owned()))
}

/// `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 §5.6.7).
fn is_imf_fixdate(date: &str) -> bool {
    const SHAPE: &[u8] = b"Aaa, 00 Aaa 0000 00:00:00 GMT";
    date.len() == SHAPE.len()
        && date.bytes().zip(SHAPE).enumerate().all(|(i, (b, &s))| match s {
            _ if i > 25 => b == s,
            b'0' => b.is_ascii_digit(),
            b'A' => b.is_ascii_uppercase(),
            b'a' => b.is_ascii_lowercase(),
            _ => b == s,
        })
}
