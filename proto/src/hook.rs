//! Hooks: what a request waits for where [`Config::hook`](crate::Config::hook) is set, and what may
//! be said to it.
//!
//! Each request is asked about once ([`HookEffect::Ask`](crate::effect::HookEffect::Ask)), when it
//! is known what rights it has and before anything is opened, made or received for it. The
//! [`HookDecision`] says who goes on: the server, or the hook, with an answer of its own. A hook
//! never frames a message: what it gives was checked when it was made, so that a verdict cannot be
//! wrong.
//!
//! ```
//! use std::time::{Instant, SystemTime};
//!
//! use httpout_proto::{
//!     Config, Done, Effect, Now, Session, Step,
//!     effect::HookEffect,
//!     hook::{Headers, HookDecision},
//!     http::{Piece, Status},
//! };
//!
//! let mut config = Config::default();
//! config.hook = true;
//! let mut session = Session::new(config.check()?);
//! session.handle_data("GET /hello?to=you HTTP/1.1\r\nHost: a\r\n\r\n".into());
//!
//! let now = Now { mono: Instant::now(), wall: SystemTime::now() };
//! let Step::Do(Effect::Hook(_, HookEffect::Ask { op, question })) = session.poll(now) else {
//!     panic!("it asks first")
//! };
//! assert_eq!(question.url(), "/hello?to=you");
//! // At once or later; a runtime goes on with its loop meanwhile.
//! let mut headers = Headers::default();
//! headers.add("Content-Type", "text/plain")?;
//! let verdict = HookDecision::answer(Status::OK, headers, "hello, you\n".into())?;
//! session.handle_done(op, Ok(Done::Decision(Box::new(verdict))));
//!
//! assert!(matches!(session.poll(now), Step::Wait(wait) if wait.write));
//! let answer: Vec<u8> = session.transmit().into_iter().flatten().flat_map(|piece| match piece {
//!     Piece::Bytes(bytes) => bytes.to_vec(),
//!     Piece::File { .. } => Vec::new(),
//! }).collect();
//! assert!(answer.ends_with(b"\r\n\r\nhello, you\n"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;

use crate::{
    fs::Place,
    http::{BodySize, HeaderList, Method, Status, is_field_name, is_field_value},
    semantics::target::Target,
};

/// A request that waits for a verdict.
#[derive(Clone, Debug)]
pub struct Question {
    /// Its method.
    pub method: Method,
    /// Its target, decoded.
    pub target: Target,
    /// Its fields, in the order and spelling they came in.
    pub fields: HeaderList,
    /// The body that it announces.
    pub body: BodySize,
    /// What its rights are.
    pub rights: Rights,
    /// The user, if one was needed and is proven.
    pub user: Option<Arc<str>>,
    /// It came over TLS.
    pub tls: bool,
}

impl Question {
    /// The decoded path with the query behind it, if there is one.
    pub fn url(&self) -> String {
        let Target { path, directory, query } = &self.target;
        let slash = if *directory && !path.is_root() { "/" } else { "" };
        let (mark, query) = query.as_deref().map_or(("", ""), |query| ("?", query));
        ["/", path.as_str(), slash, mark, query].concat()
    }
}

/// What the rules say of a request. Whatever it is, the hook may answer; the server itself refuses
/// what has no right to be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rights {
    /// It may, or no rule speaks of it.
    Granted,
    /// A name and a password are needed, and were not given.
    Unidentified,
    /// The password is wrong, or the user has no right.
    Denied,
    /// What was given is no name and password.
    Malformed,
}

impl Rights {
    /// As a status: 200, 401, 403 or 400.
    pub fn code(self) -> u16 {
        match self {
            Self::Granted => 200,
            Self::Unidentified => 401,
            Self::Denied => 403,
            Self::Malformed => 400,
        }
    }
}

/// What becomes of a request: the answer to [`HookEffect::Ask`](crate::effect::HookEffect::Ask).
#[derive(Clone, Debug)]
pub struct HookDecision {
    pub(crate) what: What,
    pub(crate) fields: HeaderList,
    pub(crate) close: bool,
    pub(crate) throttled: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum What {
    /// The server answers.
    Pass,
    /// The server answers, with this file if there is one.
    File(Place),
    /// The hook answers; `len` is what it says of its length, which counts where there is no body
    /// (HEAD). `chunked`: the body goes out in chunks.
    Answer { status: Status, body: Bytes, len: Option<u64>, chunked: bool },
    /// The hook answers, and is asked for the body piece by piece.
    Read { status: Status, len: Option<u64> },
    /// The hook takes the request's body, and answers then.
    Take,
}

impl HookDecision {
    /// The server answers as if there were no hook; with these fields, which replace its own of the
    /// same name.
    ///
    /// # Errors
    /// Fields that frame a body, which is the server's.
    pub fn pass(headers: Headers) -> Result<Self, Fault> {
        Self::server(What::Pass, headers)
    }

    /// The server answers a GET or HEAD with this file, if there is one; else, and to any other
    /// method, as if there were no hook.
    ///
    /// # Errors
    /// Fields that frame a body, which is the server's.
    pub fn file(place: Place, headers: Headers) -> Result<Self, Fault> {
        Self::server(What::File(place), headers)
    }

    /// The hook answers with this body. Nothing of it is sent to HEAD, and where the status forbids
    /// it (204, 304).
    ///
    /// # Errors
    /// A status below 200, which ends no answer; a `Content-Length` that is not the body's. With an
    /// empty body it may say what a GET would give, to HEAD. Both a length and a transfer coding.
    pub fn answer(status: Status, headers: Headers, body: Bytes) -> Result<Self, Fault> {
        is_final(status)?;
        let len = headers.len.filter(|_| body.is_empty());
        if let Some(said) = headers.len
            && said != body.len() as u64
            && !body.is_empty()
        {
            return Err(Fault::Length { said, is: body.len() as u64 });
        }
        let chunked = headers.chunked;
        Self::hook(What::Answer { status, body, len, chunked }, headers)
    }

    /// The hook answers and is [asked for the body](crate::effect::HookEffect::Pull), as fast as
    /// the peer takes it: of the length that `Content-Length` says, or else chunked.
    ///
    /// # Errors
    /// A status below 200, which ends no answer; both a length and a transfer coding.
    pub fn read(status: Status, headers: Headers) -> Result<Self, Fault> {
        is_final(status)?;
        let len = headers.len;
        Self::hook(What::Read { status, len }, headers)
    }

    /// The hook takes the request's body: it is [given](crate::effect::DeliveryEffect::Data) to it
    /// piece by piece, as fast as it takes them, and when all is
    /// [given](crate::effect::DeliveryEffect::End), the answer is another verdict:
    /// [`answer`](Self::answer) or [`read`](Self::read).
    #[must_use]
    pub fn take() -> Self {
        Self { what: What::Take, fields: HeaderList::default(), close: false, throttled: false }
    }

    /// Before each piece of the answer's body, the hook is [asked when it may go
    /// out](crate::effect::HookEffect::Pace).
    #[must_use]
    pub fn throttled(mut self) -> Self {
        self.throttled = true;
        self
    }

    fn server(what: What, headers: Headers) -> Result<Self, Fault> {
        if headers.len.is_some() || headers.chunked {
            return Err(Fault::Framing);
        }
        Self::hook(what, headers)
    }

    fn hook(what: What, headers: Headers) -> Result<Self, Fault> {
        let Headers { fields, len, chunked, close } = headers;
        if len.is_some() && chunked {
            return Err(Fault::Both);
        }
        Ok(Self { what, fields, close, throttled: false })
    }
}

fn is_final(status: Status) -> Result<(), Fault> {
    if status.code() < 200 {
        return Err(Fault::Status(status.code().to_string()));
    }
    Ok(())
}

/// Header fields of an answer, each checked as it is added.
#[derive(Clone, Debug, Default)]
pub struct Headers {
    fields: HeaderList,
    len: Option<u64>,
    chunked: bool,
    close: bool,
}

impl Headers {
    /// Adds a field. `Content-Length` and `Transfer-Encoding: chunked` say how the body is framed,
    /// `Connection: close` that the connection is not kept; `Connection: keep-alive` and `Date` are
    /// the server's to say, and left out.
    ///
    /// # Errors
    /// What no head can hold; or a field that belongs to the connection.
    pub fn add(&mut self, name: &str, value: &str) -> Result<(), Fault> {
        if !is_field_name(name) {
            return Err(Fault::Name(name.into()));
        }
        let value = value.trim_matches([' ', '\t']);
        let bad = || Err(Fault::Value { name: name.into(), value: value.into() });
        if !is_field_value(value.as_bytes()) {
            return bad();
        }
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        if is("content-length") {
            let digits = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
            return match value.parse() {
                Ok(len) if digits && self.len.is_none_or(|other| other == len) => {
                    self.len = Some(len);
                    Ok(())
                }
                Ok(_) | Err(_) => bad(),
            };
        }
        if is("transfer-encoding") {
            self.chunked = true;
            return if value.eq_ignore_ascii_case("chunked") { Ok(()) } else { bad() };
        }
        if is("connection") {
            let close = value.eq_ignore_ascii_case("close");
            self.close |= close;
            return if close || value.eq_ignore_ascii_case("keep-alive") { Ok(()) } else { bad() };
        }
        if is("date") {
            return Ok(());
        }
        if ["keep-alive", "te", "trailer", "upgrade"].into_iter().any(is) {
            return Err(Fault::Own(name.into()));
        }
        self.fields.push(name, value.as_bytes());
        Ok(())
    }
}

impl Headers {
    /// What `Content-Length` says, in bytes.
    pub fn content_length(&self) -> Option<u64> {
        self.len
    }
}

/// What a hook gave and no answer can hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// That is no status of an answer (200 to 599).
    Status(String),
    /// That is no name of a header field.
    Name(String),
    /// That is no value of a header field, or not one of this field.
    Value {
        /// The field.
        name: String,
        /// The value.
        value: String,
    },
    /// This field belongs to the connection.
    Own(String),
    /// `Content-Length` and the body disagree.
    Length {
        /// What the field says, in bytes.
        said: u64,
        /// The body's length in bytes.
        is: u64,
    },
    /// `Content-Length` and `Transfer-Encoding` at once.
    Both,
    /// One of the two, where the server gives the body.
    Framing,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => {
                write!(f, "{status} is no status of an answer: that is a number from 200 to 599")
            }
            Self::Name(name) => write!(f, "{name:?} is no name of a header field"),
            Self::Value { name, value } => {
                write!(f, "{value:?} is no value of the header field {name}")
            }
            Self::Own(name) => write!(f, "the header field {name} belongs to the connection"),
            Self::Length { said, is } => {
                write!(f, "Content-Length says {said}, and the body has {is} bytes")
            }
            Self::Both => f.write_str("there are both Content-Length and Transfer-Encoding"),
            Self::Framing => f.write_str(
                "the server frames its own answers: leave out Content-Length and Transfer-Encoding",
            ),
        }
    }
}

impl std::error::Error for Fault {}

/// What a hook that is asked for more of its answer's body has: the answer to
/// [`HookEffect::Pull`](crate::effect::HookEffect::Pull).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// These bytes. None at all means the same as [`Piece::NotYet`].
    Bytes(Bytes),
    /// Nothing yet: it is asked again in a moment.
    NotYet,
    /// No more.
    End,
}

/// When more of an answer may go out: the answer to
/// [`HookEffect::Pace`](crate::effect::HookEffect::Pace).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// After this time.
    pub delay: Duration,
    /// So many bytes, before the hook is asked again; 0 counts as 1.
    pub bytes: u64,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> Result<Headers, Fault> {
        let mut headers = Headers::default();
        pairs.iter().try_for_each(|(name, value)| headers.add(name, value)).map(|()| headers)
    }

    #[test]
    fn what_a_head_cannot_hold_is_refused() {
        for (name, value) in [
            ("", "1"),
            ("A B", "1"),
            ("A:", "1"),
            ("A\r\nB", "1"),
            ("A", "1\r\nB: 2"),
            ("A", "1\n"),
            ("A", "\0"),
            ("A", "é\x7f"),
            ("Content-Length", ""),
            ("Content-Length", "+1"),
            ("Content-Length", "1, 1"),
            ("Content-Length", "99999999999999999999"),
            ("Transfer-Encoding", "gzip"),
            ("Connection", "upgrade"),
            ("Keep-Alive", "timeout=5"),
            ("Upgrade", "h2c"),
        ] {
            assert!(headers(&[(name, value)]).is_err(), "{name:?}: {value:?}");
        }
        assert!(headers(&[("Content-Length", "1"), ("content-length", "2")]).is_err());
    }

    #[test]
    fn framing_is_checked() {
        let body = |text: &'static str| Bytes::from_static(text.as_bytes());
        let length = |len| headers(&[("Content-Length", len)]).unwrap();
        let chunked = || headers(&[("Transfer-Encoding", "chunked")]).unwrap();
        let both =
            || headers(&[("Transfer-Encoding", "chunked"), ("Content-Length", "3")]).unwrap();
        assert!(HookDecision::answer(Status::OK, length("2"), body("hi")).is_ok());
        assert!(HookDecision::answer(Status::OK, chunked(), body("hi")).is_ok());
        assert!(HookDecision::answer(Status::OK, length("9"), body("")).is_ok(), "to HEAD");
        assert_eq!(
            HookDecision::answer(Status::OK, length("3"), body("hi")).unwrap_err(),
            Fault::Length { said: 3, is: 2 }
        );
        assert_eq!(HookDecision::read(Status::OK, both()).unwrap_err(), Fault::Both);
        let interim = Fault::Status("100".into());
        let answer = HookDecision::answer(Status::CONTINUE, Headers::default(), body("hi"));
        assert_eq!(answer.unwrap_err(), interim, "what follows would be read as the answer");
        assert_eq!(HookDecision::read(Status::CONTINUE, chunked()).unwrap_err(), interim);
        assert_eq!(HookDecision::pass(length("2")).unwrap_err(), Fault::Framing);
        assert_eq!(HookDecision::pass(chunked()).unwrap_err(), Fault::Framing);
    }

    #[test]
    fn the_connections_own_fields_are_left_out() {
        let given =
            headers(&[("Date", "x"), ("Connection", "keep-alive"), ("X-A", " b\t")]).unwrap();
        assert!(given.fields.iter().eq([("X-A", &b"b"[..])]));
        assert!(!given.close);
        assert!(headers(&[("Connection", "Close")]).unwrap().close);
        assert!(given.fields.replaces("x-a") && !given.fields.replaces("x"));
        assert!(!headers(&[("Vary", "A")]).unwrap().fields.replaces("vary"));
    }

    proptest! {
        #[test]
        fn no_line_can_be_added_to_a_head(name in "\\PC{0,6}|[!-~\r\n]{0,4}", value in "[ -~\r\n\0é]{0,8}") {
            if let Ok(headers) = headers(&[(&name, &value)]) {
                for (name, value) in headers.fields.iter() {
                    prop_assert!(is_field_name(name) && is_field_value(value));
                }
            }
        }
    }
}
