//! A client that knows as much of HTTP as the measurements need.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use crate::error::{Context, Error, Result};

/// No measurement waits longer than this for a byte.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection.
#[derive(Debug)]
pub(crate) struct Client(pub(crate) TcpStream);

/// A response up to where its body begins.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) content_length: Option<u64>,
    pub(crate) chunked: bool,
    /// Where the body begins in what was read.
    pub(crate) len: usize,
}

impl Client {
    pub(crate) fn connect(addr: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect_timeout(&addr, PATIENCE).context(addr)?;
        stream.set_nodelay(true).context(addr)?;
        stream.set_read_timeout(Some(PATIENCE)).context(addr)?;
        stream.set_write_timeout(Some(PATIENCE)).context(addr)?;
        Ok(Self(stream))
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.0.write_all(bytes).context("write")
    }

    /// GETs `name` and drops the body, whose length must be told. Gives the length.
    pub(crate) fn get(&mut self, name: &str, buffer: &mut [u8]) -> Result<u64> {
        self.send(format!("GET /{name} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes())?;
        let (head, have) = self.read_head(buffer)?;
        if head.status != 200 {
            return Err(Error::new(format!("GET /{name}: status {}", head.status)));
        }
        let len = head.content_length.context(format_args!("Content-Length of /{name}"))?;
        let mut left = len.saturating_sub((have - head.len) as u64);
        while left > 0 {
            let got = self.0.read(buffer).context(format_args!("GET /{name}"))?;
            if got == 0 {
                return Err(Error::new(format!("GET /{name}: {left} bytes are missing")));
            }
            left = left.saturating_sub(got as u64);
        }
        Ok(len)
    }

    /// Reads a head, and how many bytes are in the buffer then.
    pub(crate) fn read_head(&mut self, buffer: &mut [u8]) -> Result<(Head, usize)> {
        let mut have = 0;
        loop {
            let got = self.0.read(&mut buffer[have..]).context("response")?;
            if got == 0 {
                return Err(Error::new("the connection was closed before a response"));
            }
            have += got;
            if let Some(head) = parse_head(&buffer[..have])? {
                return Ok((head, have));
            }
        }
    }
}

/// `None` as long as the head is not complete.
pub(crate) fn parse_head(bytes: &[u8]) -> Result<Option<Head>> {
    let Some(end) = bytes.windows(4).position(|bytes| bytes == b"\r\n\r\n") else {
        return Ok(None);
    };
    let text = std::str::from_utf8(&bytes[..end]).context("response head")?;
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok());
    let mut head = Head {
        status: status.context("status")?,
        content_length: None,
        chunked: false,
        len: end + 4,
    };
    for line in text.lines().skip(1) {
        let Some((name, value)) = line.split_once(':') else { continue };
        if name.eq_ignore_ascii_case("content-length") {
            head.content_length = Some(value.trim().parse().context("Content-Length")?);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            head.chunked = value.trim().eq_ignore_ascii_case("chunked");
        }
    }
    Ok(Some(head))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_a_head() {
        assert!(parse_head(b"HTTP/1.1 200 OK\r\n").unwrap().is_none());
        let head = parse_head(b"HTTP/1.1 200 OK\r\nContent-length: 3\r\n\r\nabc").unwrap().unwrap();
        assert_eq!((head.status, head.content_length, head.len), (200, Some(3), 38));
        assert!(!head.chunked);
    }
}
