//! A program that takes uploads as they come: it tells what they are and how fast, and keeps
//! nothing.
//!
//!     cargo run -p httpout-tokio --example receive
//!     curl -T film.mp4 http://127.0.0.1:PORT/film.mp4

#![allow(clippy::print_stdout, reason = "an example talks to its user")]

use std::{error::Error, io, net::TcpListener, time::Instant};

use httpout_tokio::{Config, IncomingUpload, Options, Refusal, Server, Status, Uploads, serve};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut config = Config::default();
    config.source = true;

    let listener = TcpListener::bind("127.0.0.1:0")?;
    let server = Server::bind(config, Options::default(), vec![listener])?;
    for address in server.local_addrs() {
        println!("uploads to http://{address}/ until you press Enter");
    }

    let handle = server.handle();
    std::thread::spawn(move || {
        let _ = io::stdin().read_line(&mut String::new());
        handle.shut_down();
    });
    tokio::spawn(receive(server.uploads()?));
    serve(server).await?;
    Ok(())
}

/// Takes one upload after the other; each is read in a task of its own.
async fn receive(mut uploads: Uploads) {
    while let Some(upload) = uploads.next().await {
        tokio::spawn(read(upload));
    }
}

async fn read(mut upload: IncomingUpload) {
    let path = upload.about().url_path();
    if upload.about().directory {
        return upload.refuse(Refusal::new(Status::CONFLICT, "a name is needed"));
    }
    let (began, mut len) = (Instant::now(), 0);
    loop {
        // The sender is slowed down to the pace of this loop.
        match upload.next().await {
            Ok(Some(pieces)) => len += pieces.iter().map(|piece| piece.len()).sum::<usize>(),
            Ok(None) => break,
            Err(broken) => return println!("{path}: {broken} after {len} bytes"),
        }
    }
    println!("{path}: {len} bytes in {:?}", began.elapsed());
    upload.accept(true);
}
