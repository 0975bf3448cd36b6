//! What clients ask, and how that is spelled on the wire.

use std::{fmt::Write as _, rc::Rc};

use crate::{
    listing::Asking,
    packer::Accept,
    rights::{self, Login},
};

/// One request.
#[derive(Clone, Debug)]
pub struct Request {
    pub(crate) path: String,
    pub(crate) what: What,
    /// Minor version.
    pub(crate) minor: u8,
    /// `Connection: close`.
    pub(crate) close: bool,
    /// `Expect: 100-continue`.
    pub(crate) expect: bool,
    pub(crate) coding: Coding,
    /// `Content-Type`.
    pub(crate) media_type: Option<&'static str>,
    /// `Accept-Encoding`.
    pub(crate) accept: Option<Accept>,
    /// `Authorization`.
    pub(crate) login: Login,
}

#[derive(Clone, Debug)]
pub(crate) enum What {
    Get {
        head: bool,
        ranges: Vec<Ask>,
        condition: Condition,
        if_range: Option<String>,
    },
    /// The whole resource.
    Put {
        body: Rc<Vec<u8>>,
        condition: Condition,
    },
    /// Runs of it: offset and length, `None` for what remains of the body.
    Fill {
        runs: Vec<(u64, Option<u64>)>,
        body: Rc<Vec<u8>>,
        form: Form,
        condition: Condition,
    },
    Delete {
        body: usize,
        condition: Condition,
    },
    /// A directory.
    List {
        head: bool,
        asking: Asking,
    },
    Options,
    /// What an operator asks on the admin address.
    Own,
    /// What is to be refused, with one of these; and then the connection may have to be closed.
    Wrong {
        raw: Vec<u8>,
        status: u16,
        closes: bool,
    },
}

/// A range as it is asked for.
#[derive(Clone, Copy, Debug)]
pub enum Ask {
    /// `first-last`
    Closed(u64, u64),
    /// `first-`
    From(u64),
    /// `-length`
    Suffix(u64),
}

/// How runs are spelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Range,
    ContentRange,
    Message,
    Multipart,
}

/// A precondition with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    None,
    Match(String),
    NoneMatch(String),
}

/// How a body is framed.
#[derive(Clone, Debug)]
pub(crate) enum Coding {
    Length,
    /// In chunks of these sizes, over and over.
    Chunked(Vec<usize>),
    /// As chunked, and wrong after the first round.
    Broken(Vec<usize>),
}

const BOUNDARY: &str = "simulated";

impl Request {
    fn new(path: &str, what: What) -> Self {
        let path = path.trim_start_matches('/').to_owned();
        Self {
            path,
            what,
            minor: 1,
            close: false,
            expect: false,
            coding: Coding::Length,
            media_type: None,
            accept: None,
            login: Login::None,
        }
    }

    /// GET.
    pub fn get(path: &str) -> Self {
        let condition = Condition::None;
        Self::new(path, What::Get { head: false, ranges: Vec::new(), condition, if_range: None })
    }

    /// GET of ranges.
    pub fn get_ranges(path: &str, asked: &[Ask]) -> Self {
        let mut get = Self::get(path);
        if let What::Get { ranges, .. } = &mut get.what {
            ranges.extend_from_slice(asked);
        }
        get
    }

    /// PUT with a length.
    pub fn put(path: &str, body: impl Into<Vec<u8>>) -> Self {
        let what = What::Put { body: Rc::new(body.into()), condition: Condition::None };
        Self::new(path, what)
    }

    /// PUT of runs (offset and length) with `Range`.
    pub fn fill(path: &str, runs: &[(u64, u64)], body: impl Into<Vec<u8>>) -> Self {
        let runs = runs.iter().map(|&(at, len)| (at, Some(len))).collect();
        let (body, condition) = (Rc::new(body.into()), Condition::None);
        Self::new(path, What::Fill { runs, body, form: Form::Range, condition })
    }

    /// DELETE.
    pub fn delete(path: &str) -> Self {
        Self::new(path, What::Delete { body: 0, condition: Condition::None })
    }

    /// Bytes that are to be refused.
    pub(crate) fn wrong(raw: impl Into<Vec<u8>>, status: u16, closes: bool) -> Self {
        Self::new("", What::Wrong { raw: raw.into(), status, closes })
    }

    pub(crate) fn of(path: &str, what: What) -> Self {
        Self::new(path, what)
    }

    /// Sends the body in chunks of `size` bytes.
    #[must_use]
    pub fn chunked(self, size: usize) -> Self {
        Self { coding: Coding::Chunked(vec![size]), ..self }
    }

    /// Speaks HTTP/1.0.
    #[must_use]
    pub fn http10(self) -> Self {
        Self { minor: 0, ..self }
    }

    pub(crate) fn is_head(&self) -> bool {
        matches!(self.what, What::Get { head: true, .. } | What::List { head: true, .. })
    }

    /// Is it for a file or a directory, if it may?
    pub(crate) fn reaches_files(&self) -> bool {
        match self.what {
            What::Get { .. }
            | What::Put { .. }
            | What::Fill { .. }
            | What::Delete { .. }
            | What::List { .. } => true,
            What::Wrong { .. } => !self.path.is_empty(),
            What::Options | What::Own => false,
        }
    }

    pub(crate) fn writes(&self) -> bool {
        match self.what {
            What::Put { .. } | What::Fill { .. } | What::Delete { .. } | What::Wrong { .. } => true,
            What::Get { .. } | What::List { .. } | What::Options | What::Own => false,
        }
    }

    /// Where on the disk its path really leads. Who removes a link removes no more than that.
    pub(crate) fn place(&self) -> String {
        rights::real(&self.path, !matches!(self.what, What::Delete { .. }))
    }

    pub(crate) fn condition(&self) -> &Condition {
        match &self.what {
            What::Get { condition, .. }
            | What::Put { condition, .. }
            | What::Fill { condition, .. }
            | What::Delete { condition, .. } => condition,
            What::List { .. } | What::Options | What::Own | What::Wrong { .. } => &Condition::None,
        }
    }

    /// Length of the body on the wire, where it is announced.
    pub(crate) fn announced(&self) -> Option<u64> {
        match self.coding {
            Coding::Length => Some(self.body().len() as u64),
            Coding::Chunked(_) | Coding::Broken(_) => None,
        }
    }

    /// The request in bytes, and where its body begins.
    pub(crate) fn encode(&self) -> (Vec<u8>, usize) {
        let method = match &self.what {
            What::Wrong { raw, .. } => return (raw.clone(), raw.len()),
            What::Get { head: false, .. } | What::List { head: false, .. } | What::Own => "GET",
            What::Get { head: true, .. } | What::List { head: true, .. } => "HEAD",
            What::Put { .. } => "PUT",
            What::Fill { form: Form::Message | Form::Multipart, .. } => "PATCH",
            What::Fill { .. } => "PUT",
            What::Delete { .. } => "DELETE",
            What::Options => "OPTIONS",
        };
        let (path, minor) = (&self.path, self.minor);
        let rest = match &self.what {
            What::List { asking, .. } if path.is_empty() => asking.query.to_owned(),
            What::List { asking, .. } => format!("/{}", asking.query),
            What::Get { .. }
            | What::Put { .. }
            | What::Fill { .. }
            | What::Delete { .. }
            | What::Options
            | What::Own
            | What::Wrong { .. } => String::new(),
        };
        let mut head = format!("{method} /{path}{rest} HTTP/1.{minor}\r\nHost: sim\r\n");
        let mut field = |name: &str, value: &str| {
            let _ = write!(head, "{name}: {value}\r\n");
        };
        match self.condition() {
            Condition::None => {}
            Condition::Match(tag) => field("If-Match", tag),
            Condition::NoneMatch(tag) => field("If-None-Match", tag),
        }
        match &self.what {
            What::Get { ranges, if_range, .. } => {
                if !ranges.is_empty() {
                    let asked: Vec<_> = ranges.iter().map(Ask::to_string).collect();
                    field("Range", &format!("bytes={}", asked.join(",")));
                }
                if let Some(tag) = if_range {
                    field("If-Range", tag);
                }
            }
            What::Fill { runs, form, .. } => match form {
                Form::Range => {
                    let runs: Vec<_> = runs.iter().map(|&(at, len)| run(at, len)).collect();
                    field("Range", &format!("bytes={}", runs.join(",")));
                }
                Form::ContentRange => {
                    field("Content-Range", &format!("bytes {}/*", run(runs[0].0, runs[0].1)));
                }
                Form::Message => field("Content-Type", "message/byterange"),
                Form::Multipart => {
                    let value = format!("multipart/byteranges; boundary={BOUNDARY}");
                    field("Content-Type", &value);
                }
            },
            What::List { asking, .. } => {
                if let Some(accept) = asking.accept {
                    field("Accept", accept);
                }
            }
            What::Put { .. }
            | What::Delete { .. }
            | What::Options
            | What::Own
            | What::Wrong { .. } => {}
        }
        if let Some((accept, _)) = self.accept {
            field("Accept-Encoding", accept);
        }
        if let Some(line) = self.login.line() {
            field("Authorization", line);
        }
        if let Some(media_type) = self.media_type {
            field("Content-Type", media_type);
        }
        if self.close {
            field("Connection", "close");
        } else if self.minor == 0 {
            field("Connection", "keep-alive");
        }
        if self.expect {
            field("Expect", "100-continue");
        }
        let body = self.body();
        let has_body =
            !body.is_empty() || matches!(self.what, What::Put { .. } | What::Fill { .. });
        match &self.coding {
            Coding::Length if has_body => field("Content-Length", &body.len().to_string()),
            Coding::Length => {}
            Coding::Chunked(_) | Coding::Broken(_) => field("Transfer-Encoding", "chunked"),
        }
        head.push_str("\r\n");
        let body_at = head.len();
        let mut wire = head.into_bytes();
        match &self.coding {
            Coding::Length => wire.extend_from_slice(&body),
            Coding::Chunked(sizes) => {
                chunks(&body, sizes, usize::MAX, &mut wire);
                wire.extend_from_slice(b"0\r\n\r\n");
            }
            Coding::Broken(sizes) => {
                chunks(&body, sizes, sizes.len(), &mut wire);
                wire.extend_from_slice(b"what is this?\r\n");
            }
        }
        (wire, body_at)
    }

    /// The content of the body, as it is before any transfer coding.
    fn body(&self) -> Vec<u8> {
        let (runs, data, form) = match &self.what {
            What::Put { body, .. } => return body.to_vec(),
            What::Delete { body, .. } => return vec![b'x'; *body],
            What::Fill { runs, body, form, .. } => (runs, body, form),
            What::Get { .. }
            | What::List { .. }
            | What::Options
            | What::Own
            | What::Wrong { .. } => return Vec::new(),
        };
        let mut rest = &data[..];
        let mut wire = Vec::new();
        match form {
            Form::Range | Form::ContentRange => wire.extend_from_slice(rest),
            Form::Message => {
                let (at, len) = runs[0];
                wire.extend(format!("Content-Range: bytes {}/*\r\n\r\n", run(at, len)).bytes());
                wire.extend_from_slice(rest);
            }
            Form::Multipart => {
                for &(at, len) in runs {
                    let (part, left) = rest.split_at(rest.len().min(len.unwrap_or(0) as usize));
                    rest = left;
                    let range = run(at, len);
                    wire.extend(
                        format!("\r\n--{BOUNDARY}\r\nContent-Range: bytes {range}/*\r\n\r\n")
                            .bytes(),
                    );
                    wire.extend_from_slice(part);
                }
                wire.extend_from_slice(rest);
                wire.extend(format!("\r\n--{BOUNDARY}--\r\n").bytes());
            }
        }
        wire
    }
}

impl std::fmt::Display for Ask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Closed(first, last) => write!(f, "{first}-{last}"),
            Self::From(first) => write!(f, "{first}-"),
            Self::Suffix(len) => write!(f, "-{len}"),
        }
    }
}

fn run(at: u64, len: Option<u64>) -> String {
    match len {
        Some(len) => format!("{at}-{}", at + len - 1),
        None => format!("{at}-"),
    }
}

fn chunks(mut body: &[u8], sizes: &[usize], most: usize, wire: &mut Vec<u8>) {
    for (round, &size) in sizes.iter().cycle().enumerate() {
        if body.is_empty() || round >= most {
            return;
        }
        let (chunk, rest) = body.split_at(size.clamp(1, body.len()));
        // Both cases of digits, zeros in front and extensions are in the grammar.
        let size = match round % 40 {
            0 => format!("{:X};a=\"b\"\r\n", chunk.len()),
            1..4 => format!("{:03x}\r\n", chunk.len()),
            _ => format!("{:x}\r\n", chunk.len()),
        };
        wire.extend(size.bytes());
        wire.extend_from_slice(chunk);
        wire.extend_from_slice(b"\r\n");
        body = rest;
    }
}
