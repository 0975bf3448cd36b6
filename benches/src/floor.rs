//! The least that taking an upload can cost: a server that knows nothing of HTTP but where a head
//! ends and how long the body is.

use std::{
    fs::File,
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::Path,
};

use crate::error::{Context, Result};

/// One read and one write move at most this much.
const BLOCK: usize = 256 << 10;

/// Puts every upload into `file`, one connection after the other, until the process is ended.
pub(crate) fn serve(file: &Path) -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("bind")?;
    let addr = listener.local_addr().context("bind")?;
    writeln!(std::io::stdout().lock(), "  http://{addr}/").context("standard output")?;
    let mut block = vec![0; BLOCK];
    loop {
        let (stream, _) = listener.accept().context("accept")?;
        // A client that goes away is no reason to stop.
        let _ = take(stream, file, &mut block);
    }
}

fn take(mut stream: TcpStream, file: &Path, block: &mut [u8]) -> Result<()> {
    let mut have = 0;
    let head = loop {
        let len = stream.read(&mut block[have..]).context("read")?;
        if len == 0 {
            return Ok(());
        }
        have += len;
        if let Some(end) = block[..have].windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            break end + 4;
        }
    };
    let len = content_length(&block[..head]).context("Content-Length")?;
    let mut out = File::create(file).context(file.display())?;
    out.write_all(&block[head..have]).context("write")?;
    let mut left = len.saturating_sub((have - head) as u64);
    while left > 0 {
        let len = stream.read(block).context("read")?;
        if len == 0 {
            break;
        }
        out.write_all(&block[..len]).context("write")?;
        left = left.saturating_sub(len as u64);
    }
    stream
        .write_all(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        .context("write")
}

pub(crate) fn content_length(head: &[u8]) -> Option<u64> {
    const NAME: &[u8] = b"content-length:";
    let mut lines = head.split(|&byte| byte == b'\n');
    let value = lines.find_map(|line| {
        let (name, value) = line.split_at_checked(NAME.len())?;
        name.eq_ignore_ascii_case(NAME).then_some(value)
    })?;
    std::str::from_utf8(value).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_length() {
        assert_eq!(content_length(b"PUT / HTTP/1.1\r\nContent-Length: 12\r\n\r\n"), Some(12));
        assert_eq!(content_length(b"PUT / HTTP/1.1\r\ncontent-length:7\r\n\r\n"), Some(7));
        assert_eq!(content_length(b"PUT / HTTP/1.1\r\n\r\n"), None);
    }
}
