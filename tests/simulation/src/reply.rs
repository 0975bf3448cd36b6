//! The client's reading of the server's answers: strict, by RFC 9112 and nothing more lenient.

use crate::link::End;

/// One answer as a client got it.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Status code.
    pub status: u16,
    /// Fields, names in lower case.
    pub fields: Vec<(String, String)>,
    /// Content, as far as it came.
    pub body: Vec<u8>,
    /// All of it came, as far as the framing tells.
    pub whole: bool,
}

impl Reply {
    /// The value of a field that is there once.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// Another value of this field of a request could get another answer.
    pub(crate) fn varies_by(&self, name: &str) -> bool {
        self.field("vary").is_some_and(|names| names.split(", ").any(|other| other == name))
    }

    /// The server says that this was its last answer.
    pub fn closes(&self) -> bool {
        self.field("connection") == Some("close")
    }
}

/// Takes the stream of answers apart.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    bytes: Vec<u8>,
    /// How far `bytes` is used up.
    at: usize,
    current: Option<(Reply, Framing)>,
    /// What follows belongs to the answer, which only the end of the connection ends.
    last: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    Length(usize),
    ChunkSize,
    Chunk(usize),
    ChunkEnd,
    Close,
}

/// Something was read.
#[derive(Debug)]
pub(crate) enum Heard {
    /// `100 Continue`.
    Continue,
    /// The head of an answer.
    Head,
    /// An answer to its end.
    Whole(Reply),
}

impl Reader {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..std::mem::take(&mut self.at));
        self.bytes.extend_from_slice(bytes);
    }

    /// The next thing that is there; `to_head`: the answer that begins next is to a HEAD request.
    pub(crate) fn next(&mut self, to_head: bool) -> Result<Option<Heard>, String> {
        let Some((reply, framing)) = &mut self.current else { return self.head(to_head) };
        loop {
            let rest = &self.bytes[self.at..];
            match *framing {
                Framing::Length(0) => break,
                Framing::Length(ref mut left) | Framing::Chunk(ref mut left) => {
                    let take = rest.len().min(*left);
                    reply.body.extend_from_slice(&rest[..take]);
                    self.at += take;
                    *left -= take;
                    match *framing {
                        Framing::Chunk(0) => *framing = Framing::ChunkEnd,
                        Framing::Length(0) => break,
                        Framing::Length(_)
                        | Framing::Chunk(_)
                        | Framing::ChunkSize
                        | Framing::ChunkEnd
                        | Framing::Close => return Ok(None),
                    }
                }
                Framing::ChunkSize => {
                    let Some(line) = line(rest)? else { return Ok(None) };
                    let text = std::str::from_utf8(line).map_err(|_| "chunk size")?;
                    let fine = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
                    let size = usize::from_str_radix(text, 16)
                        .ok()
                        .filter(|_| fine && (text == "0" || !text.starts_with('0')))
                        .ok_or_else(|| format!("chunk size {text:?}"))?;
                    if size > 0 {
                        self.at += line.len() + 2;
                        *framing = Framing::Chunk(size);
                        continue;
                    }
                    // No trailers are sent here.
                    match &rest[3..] {
                        [b'\r', b'\n', ..] => {
                            self.at += 5;
                            break;
                        }
                        [] | [b'\r'] => return Ok(None),
                        other => return Err(format!("after the last chunk: {other:?}")),
                    }
                }
                Framing::ChunkEnd => match rest {
                    [b'\r', b'\n', ..] => {
                        self.at += 2;
                        *framing = Framing::ChunkSize;
                    }
                    [] | [b'\r'] => return Ok(None),
                    other => return Err(format!("after a chunk: {:?}", &other[..2])),
                },
                Framing::Close => {
                    reply.body.extend_from_slice(rest);
                    self.at = self.bytes.len();
                    return Ok(None);
                }
            }
        }
        let whole = self.current.take().map(|(reply, _)| Reply { whole: true, ..reply });
        Ok(whole.map(Heard::Whole))
    }

    /// The connection ended: the answer that was under way, if its head was there.
    pub(crate) fn end(&mut self, end: End) -> Option<Reply> {
        let (reply, framing) = self.current.take()?;
        let whole = framing == Framing::Close && end == End::Fin;
        Some(Reply { whole, ..reply })
    }

    fn head(&mut self, to_head: bool) -> Result<Option<Heard>, String> {
        let rest = &self.bytes[self.at..];
        if rest.is_empty() {
            return Ok(None);
        }
        if self.last {
            return Err(format!(
                "bytes after the last answer: {:?}",
                String::from_utf8_lossy(rest)
            ));
        }
        let Some(end) = rest.windows(4).position(|four| four == b"\r\n\r\n") else {
            return Ok(None);
        };
        let head = std::str::from_utf8(&rest[..end]).map_err(|_| "a head that is not ASCII")?;
        self.at += end + 4;
        let (reply, framing) = parse(head, to_head)?;
        if reply.status == 100 {
            return Ok(Some(Heard::Continue));
        }
        self.last = reply.closes();
        self.current = Some((reply, framing));
        Ok(Some(Heard::Head))
    }
}

fn parse(head: &str, to_head: bool) -> Result<(Reply, Framing), String> {
    let wrong = |what: &str| Err(format!("{what} in the head {head:?}"));
    let mut lines = head.split("\r\n");
    let status_line = lines.next().unwrap_or_default();
    let status = status_line.strip_prefix("HTTP/1.1 ").and_then(|rest| {
        let (code, reason) = rest.split_once(' ')?;
        let fine = code.len() == 3 && !reason.is_empty();
        code.parse::<u16>().ok().filter(|_| fine)
    });
    let Some(status) = status else { return wrong("a malformed status line") };
    let mut fields = Vec::new();
    for line in lines {
        let Some((name, value)) = line.split_once(": ") else { return wrong("a malformed field") };
        let fine = value.trim() == value && !value.bytes().any(|b| b.is_ascii_control());
        if !fine || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            return wrong("a malformed field");
        }
        fields.push((name.to_ascii_lowercase(), value.to_owned()));
    }
    let mut names: Vec<_> = fields.iter().map(|(name, _)| name).collect();
    names.sort();
    if names.windows(2).any(|two| two[0] == two[1]) {
        return wrong("a field twice");
    }
    let reply = Reply { status, fields, body: Vec::new(), whole: false };
    let length = match reply.field("content-length").map(str::parse) {
        Some(Ok(length)) => Some(length),
        Some(Err(_)) => return wrong("a malformed length"),
        None => None,
    };
    let coding = reply.field("transfer-encoding");
    if !matches!(coding, None | Some("chunked")) || coding.is_some() && length.is_some() {
        return wrong("a wrong framing");
    }
    if status == 100 {
        return if reply.fields.is_empty() {
            Ok((reply, Framing::Length(0)))
        } else {
            wrong("a field")
        };
    }
    if reply.field("date").is_none() {
        return wrong("no date");
    }
    let framing = match (coding, length) {
        _ if matches!(status, 204 | 304) => {
            if length.is_some() || coding.is_some() {
                return wrong("a body where there can be none");
            }
            Framing::Length(0)
        }
        // What was not read to its end is not known to be a HEAD.
        _ if to_head && !matches!(status, 400 | 408) => Framing::Length(0),
        (Some(_), _) => Framing::ChunkSize,
        (None, Some(length)) => Framing::Length(length),
        (None, None) if reply.closes() => Framing::Close,
        (None, None) => return wrong("a body without end"),
    };
    Ok((reply, framing))
}

/// The line that stands first, without its CRLF; `None` if it is not there yet.
fn line(bytes: &[u8]) -> Result<Option<&[u8]>, String> {
    match bytes.iter().position(|&b| b == b'\n') {
        Some(at) if at > 0 && bytes[at - 1] == b'\r' => Ok(Some(&bytes[..at - 1])),
        Some(_) => Err("a line that ends in LF alone".into()),
        None if bytes.len() > 20 => Err("a chunk size without end".into()),
        None => Ok(None),
    }
}
