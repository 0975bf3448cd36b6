//! A program that uploads a file and a stream to another server, and removes them again.
//!
//!     cargo run -p httpout-smol --example smol_upload -- http://127.0.0.1:8080/dir/ FILE

#![allow(clippy::print_stdout, reason = "an example talks to its user")]

use std::{env, error::Error, sync::Arc};

use httpout_smol::{UploadOptions, uploader};
use smol::Executor;

fn main() -> Result<(), Box<dyn Error>> {
    let executor = Arc::new(Executor::new());
    smol::block_on(executor.run(run(executor.clone())))
}

async fn run(executor: Arc<Executor<'static>>) -> Result<(), Box<dyn Error>> {
    let mut args = env::args().skip(1);
    let (Some(url), Some(file)) = (args.next(), args.next()) else {
        return Err("write: upload URL FILE".into());
    };
    let uploader = uploader(&url, UploadOptions::default(), executor)?;

    let stored = uploader.file("a file", file).await?;
    println!("a file: {}, {} bytes", stored.status, stored.bytes);

    let mut stream = uploader.stream("a stream.txt");
    for number in 0..3 {
        stream.write(format!("line {number}\n").into()).await?;
    }
    let stored = stream.finish().await?;
    println!("a stream: {}, {} bytes", stored.status, stored.bytes);

    uploader.delete("a file").await?;
    uploader.delete("a stream.txt").await?;
    Ok(())
}
