//! The least that handing an upload on to a pipe can cost: a loop that reads from the socket and
//! writes to standard output.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
};

use crate::{
    error::{Context, Result},
    floor::content_length,
};

/// One read and one write move at most this much.
const BLOCK: usize = 256 << 10;
/// What the pipe is to hold, as our servers have it.
const ROOM: usize = 1 << 20;

/// Copies every upload to standard output, one connection after the other, until the process is
/// ended.
pub(crate) fn serve() -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("bind")?;
    let addr = listener.local_addr().context("bind")?;
    writeln!(std::io::stderr().lock(), "  http://{addr}/").context("standard error")?;
    rustix::pipe::fcntl_setpipe_size(std::io::stdout(), ROOM).context("standard output")?;
    let mut block = vec![0; BLOCK];
    loop {
        let (stream, _) = listener.accept().context("accept")?;
        pass(stream, &mut block)?;
    }
}

fn pass(mut stream: TcpStream, block: &mut [u8]) -> Result<()> {
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
    let mut left = content_length(&block[..head]).context("Content-Length")?;
    let mut at = head;
    loop {
        write(&block[at..have])?;
        left = left.saturating_sub((have - at) as u64);
        if left == 0 {
            break;
        }
        at = 0;
        have = stream.read(block).context("read")?;
        if have == 0 {
            break;
        }
    }
    stream
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        .context("write")
}

/// Past the buffer that the library puts before standard output.
fn write(mut bytes: &[u8]) -> Result<()> {
    while !bytes.is_empty() {
        let len = rustix::io::write(std::io::stdout(), bytes).context("standard output")?;
        bytes = &bytes[len..];
    }
    Ok(())
}
