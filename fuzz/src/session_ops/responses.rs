//! Reads what a session says: it has to be HTTP/1.1, with right framing, one answer to each
//! request.

use super::requests::Requests;

/// What was sent, as far as it has been read.
#[derive(Debug, Default)]
pub(super) struct Responses {
    state: State,
    /// Final answers that have begun.
    finals: usize,
    /// 100 was sent and no final answer yet.
    continued: bool,
    /// Uploads that were said to be stored.
    pub(super) stored: usize,
    /// Files that were said to be deleted.
    pub(super) deleted: usize,
}

#[derive(Debug)]
enum State {
    Head(Vec<u8>),
    Body {
        left: u64,
        last: bool,
    },
    /// To a HEAD request; if that was refused without being understood, there is a body of this
    /// length.
    MaybeBody {
        left: u64,
        all: u64,
    },
    Chunk {
        line: Vec<u8>,
        last: bool,
    },
    Chunked {
        left: u64,
        last: bool,
    },
    ChunkEnd {
        seen: usize,
        last: bool,
    },
    /// Behind the last chunk.
    End {
        seen: usize,
        last: bool,
    },
    UntilClose,
    /// The last answer is complete.
    Over,
}

impl Default for State {
    fn default() -> Self {
        Self::Head(Vec::new())
    }
}

impl Responses {
    /// Takes bytes that were sent.
    pub(super) fn bytes(&mut self, bytes: &[u8], requests: &Requests) {
        for &byte in bytes {
            match &mut self.state {
                State::Head(head) => {
                    head.push(byte);
                    if head.ends_with(b"\r\n\r\n") {
                        let head = std::mem::take(head);
                        self.head(&head, requests);
                    }
                }
                State::Chunk { line, last } => {
                    line.push(byte);
                    if line.ends_with(b"\r\n") {
                        let (line, last) = (std::mem::take(line), *last);
                        let text = std::str::from_utf8(&line[..line.len() - 2]);
                        let size = text.ok().and_then(|text| u64::from_str_radix(text, 16).ok());
                        self.state = match size.expect("a chunk without a size") {
                            0 => State::End { seen: 0, last },
                            left => State::Chunked { left, last },
                        };
                    }
                }
                &mut State::ChunkEnd { seen, last } => {
                    assert_eq!(byte, b"\r\n"[seen], "a chunk is longer than it says");
                    self.state = match seen {
                        0 => State::ChunkEnd { seen: 1, last },
                        _ => State::Chunk { line: Vec::new(), last },
                    };
                }
                &mut State::End { seen, last } => {
                    assert_eq!(byte, b"\r\n"[seen], "a chunked body has no good end");
                    self.state = if seen == 0 { State::End { seen: 1, last } } else { after(last) };
                }
                State::Body { .. }
                | State::MaybeBody { .. }
                | State::Chunked { .. }
                | State::UntilClose
                | State::Over => self.content(1),
            }
        }
    }

    /// Takes so many bytes of content.
    pub(super) fn content(&mut self, len: u64) {
        const TOO_LONG: &str = "more content than announced";
        match &mut self.state {
            State::Body { left, last } => {
                *left = left.checked_sub(len).expect(TOO_LONG);
                if *left == 0 {
                    self.state = after(*last);
                }
            }
            State::MaybeBody { left, .. } => *left = left.checked_sub(len).expect(TOO_LONG),
            State::Chunked { left, last } => {
                *left = left.checked_sub(len).expect(TOO_LONG);
                if *left == 0 {
                    self.state = State::ChunkEnd { seen: 0, last: *last };
                }
            }
            State::UntilClose => {}
            State::Over => panic!("something is sent after the last answer"),
            State::Head(_) | State::Chunk { .. } | State::ChunkEnd { .. } | State::End { .. } => {
                panic!("content within the framing")
            }
        }
    }

    /// Is every answer that has begun complete, as far as framing tells?
    pub(super) fn are_whole(&self) -> bool {
        match &self.state {
            State::Head(head) => head.is_empty() && !self.continued,
            State::MaybeBody { left, all } => left == all || *left == 0,
            State::UntilClose | State::Over => true,
            State::Body { .. }
            | State::Chunk { .. }
            | State::Chunked { .. }
            | State::ChunkEnd { .. }
            | State::End { .. } => false,
        }
    }

    /// Is the end of the connection the end of the body that is being sent?
    pub(super) fn end_with_the_connection(&self) -> bool {
        matches!(self.state, State::UntilClose)
    }

    /// Does the peer know from the framing how much of a body is missing?
    pub(super) fn framing_tells(&self) -> bool {
        match &self.state {
            State::Body { .. }
            | State::Chunk { .. }
            | State::Chunked { .. }
            | State::ChunkEnd { .. }
            | State::End { .. } => true,
            State::Head(_) | State::MaybeBody { .. } | State::UntilClose | State::Over => false,
        }
    }

    /// Final answers that have begun.
    pub(super) fn count(&self) -> usize {
        self.finals
    }

    fn head(&mut self, head: &[u8], requests: &Requests) {
        let mut fields = [httparse::EMPTY_HEADER; 32];
        let mut response = httparse::Response::new(&mut fields);
        let parsed = response.parse(head);
        assert_eq!(parsed, Ok(httparse::Status::Complete(head.len())), "{}", head.escape_ascii());
        assert_eq!(response.version, Some(1));
        let status = response.code.expect("a status");
        if status == 100 {
            assert!(response.headers.is_empty() && !self.continued);
            assert!(requests.count() > self.finals, "100 for a request that has not come");
            self.continued = true;
            return;
        }
        assert!((200..600).contains(&status));
        self.continued = false;
        let index = self.finals;
        self.finals += 1;
        match (requests.method(index), status) {
            ("PUT" | "POST" | "PATCH", 200 | 201) => self.stored += 1,
            ("DELETE", 200) => self.deleted += 1,
            _ => {}
        }
        let is_head = requests.method(index) == "HEAD";
        let field = |name: &str| {
            let mut all = response.headers.iter().filter(|f| f.name.eq_ignore_ascii_case(name));
            let value = all.next().map(|f| std::str::from_utf8(f.value).expect("it is ASCII"));
            assert!(all.next().is_none(), "{name} twice: {}", head.escape_ascii());
            value
        };
        assert!(field("date").is_some());
        let last = field("connection") == Some("close");
        // A request that is not understood, or never came to its end, has an answer too: it is the
        // last one.
        assert!(requests.count() > index || last && status >= 400, "an answer to nothing");
        let length = field("content-length").map(|length| length.parse().expect("a length"));
        let coding = field("transfer-encoding");
        assert!(length.is_none() || coding.is_none(), "two framings: {}", head.escape_ascii());
        assert!(coding.is_none_or(|coding| coding == "chunked"));
        if status == 206 {
            let multipart = field("content-type")
                .is_some_and(|media_type| media_type.starts_with("multipart/byteranges"));
            assert!(field("content-range").is_some() != multipart);
        }
        let no_content = matches!(status, 204 | 304);
        assert!(!(no_content && (length.is_some() || coding.is_some())));
        self.state = match (length, coding) {
            _ if no_content => after(last),
            (Some(all), _) if is_head && last => State::MaybeBody { left: all, all },
            _ if is_head => after(last),
            (Some(0), _) => after(last),
            (Some(left), _) => State::Body { left, last },
            (None, Some(_)) => State::Chunk { line: Vec::new(), last },
            (None, None) => {
                assert!(last, "no framing, and no end of the connection");
                State::UntilClose
            }
        };
    }
}

fn after(last: bool) -> State {
    if last { State::Over } else { State::default() }
}
