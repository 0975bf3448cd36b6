//! The least that a live stream to many can cost: a server that writes each packet to each listener
//! with one call, knows nothing of HTTP but where a head ends, and has no patience with a listener
//! who is behind.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use crate::error::{Context, Result};

const BLOCK: usize = 64 << 10;
const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

type Listeners = Mutex<Vec<TcpStream>>;

/// Each read of standard input goes to everyone as one chunk, until its end.
pub(crate) fn serve() -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("bind")?;
    let addr = listener.local_addr().context("bind")?;
    writeln!(std::io::stdout().lock(), "  http://{addr}/").context("standard output")?;
    let listeners = Arc::new(Listeners::default());
    let joined = Arc::clone(&listeners);
    thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            // One that goes away before it has asked is no listener.
            let _ = join(stream, &joined);
        }
    });
    let mut input = std::io::stdin().lock();
    let mut block = vec![0; BLOCK];
    loop {
        let len = input.read(&mut block).context("standard input")?;
        if len == 0 {
            return Ok(());
        }
        let mut chunk = format!("{len:x}\r\n").into_bytes();
        chunk.extend_from_slice(&block[..len]);
        chunk.extend_from_slice(b"\r\n");
        let mut listeners = listeners.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.retain_mut(|stream| stream.write(&chunk).is_ok_and(|len| len == chunk.len()));
    }
}

fn join(mut stream: TcpStream, listeners: &Listeners) -> Result<()> {
    let mut head = Vec::new();
    let mut block = [0; 1 << 10];
    while !head.ends_with(b"\r\n\r\n") {
        let len = stream.read(&mut block).context("read")?;
        if len == 0 {
            return Ok(());
        }
        head.extend_from_slice(&block[..len]);
    }
    stream.write_all(HEAD).context("write")?;
    stream.set_nonblocking(true).context("listener")?;
    listeners.lock().unwrap_or_else(PoisonError::into_inner).push(stream);
    Ok(())
}
