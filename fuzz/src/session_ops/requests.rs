//! Reads the stream of requests in its own simple way, to know how many answers there may be, and
//! what the uploads hold.

/// What was received, as far as it is understood.
#[derive(Debug, Default)]
pub(super) struct Requests {
    unread: Vec<u8>,
    read: Vec<Request>,
    body: Body,
}

#[derive(Debug)]
struct Request {
    method: String,
    content: Vec<u8>,
    whole: bool,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Body {
    #[default]
    None,
    Length(u64),
    Chunked,
    Trailers,
    /// Nothing more is understood.
    Lost,
}

impl Requests {
    /// Takes what was received.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.unread.extend_from_slice(bytes);
        while self.read().is_some() {}
    }

    /// Complete heads.
    pub(super) fn count(&self) -> usize {
        self.read.len()
    }

    /// The method of a request; empty if there is none.
    pub(super) fn method(&self, index: usize) -> &str {
        self.read.get(index).map_or("", |request| &request.method)
    }

    /// The body of a request; `None` if it is not whole.
    pub(super) fn body(&self, index: usize) -> Option<&[u8]> {
        self.read.get(index).filter(|request| request.whole).map(|request| &request.content[..])
    }

    /// Reads one thing; `None` if it is not all there.
    fn read(&mut self) -> Option<()> {
        let taken = match self.body {
            Body::None => self.head()?,
            Body::Length(left) => {
                let taken = self.unread.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                self.keep(0, taken);
                self.body = Body::Length(left - taken as u64);
                if left == taken as u64 {
                    self.body = Body::None;
                } else if taken == 0 {
                    return None;
                }
                taken
            }
            Body::Chunked => self.chunk()?,
            Body::Trailers => {
                let line = line(&self.unread)?;
                self.body = if line == 0 { Body::None } else { Body::Trailers };
                line + 2
            }
            Body::Lost => return None,
        };
        self.unread.drain(..taken);
        if let (Body::None, Some(request)) = (&self.body, self.read.last_mut()) {
            request.whole = true;
        }
        Some(())
    }

    fn head(&mut self) -> Option<usize> {
        let mut fields = [httparse::EMPTY_HEADER; 100];
        let mut request = httparse::Request::new(&mut fields);
        // It knows no other minor versions, which make no difference here.
        let mut unread = self.unread.clone();
        if let Some(at) = unread.windows(7).position(|word| word == b"HTTP/1.")
            && let Some(minor @ b'2'..=b'9') = unread.get_mut(at + 7)
        {
            *minor = b'1';
        }
        match request.parse(&unread) {
            Ok(httparse::Status::Complete(end)) => {
                let method = request.method.unwrap_or_default().to_owned();
                self.read.push(Request { method, content: Vec::new(), whole: false });
                let field = |name: &str| {
                    let field = request.headers.iter().find(|f| f.name.eq_ignore_ascii_case(name));
                    field.and_then(|field| std::str::from_utf8(field.value).ok())
                };
                self.body = match (field("transfer-encoding"), field("content-length")) {
                    (Some(_), _) => Body::Chunked,
                    (None, Some(length)) => length.parse().map_or(Body::Lost, Body::Length),
                    (None, None) => Body::None,
                };
                Some(end)
            }
            Ok(httparse::Status::Partial) => None,
            Err(_) => {
                self.body = Body::Lost;
                None
            }
        }
    }

    /// This is content.
    fn keep(&mut self, start: usize, end: usize) {
        if let Some(request) = self.read.last_mut() {
            request.content.extend_from_slice(&self.unread[start..end]);
        }
    }

    fn chunk(&mut self) -> Option<usize> {
        let line = line(&self.unread)?;
        let digits = self.unread.iter().take_while(|b| b.is_ascii_hexdigit()).count();
        let size = std::str::from_utf8(&self.unread[..digits]).unwrap_or_default();
        match usize::from_str_radix(size, 16) {
            Ok(0) => {
                self.body = Body::Trailers;
                Some(line + 2)
            }
            Ok(size) => {
                let end = (line + 4).checked_add(size)?;
                (self.unread.len() >= end).then(|| {
                    self.keep(line + 2, end - 2);
                    end
                })
            }
            Err(_) => {
                self.body = Body::Lost;
                None
            }
        }
    }
}

/// Length of the first line.
fn line(bytes: &[u8]) -> Option<usize> {
    bytes.windows(2).position(|pair| pair == b"\r\n")
}
