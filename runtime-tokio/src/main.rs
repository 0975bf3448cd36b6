//! `httpout`: the reference binary, on tokio.

use std::{future::pending, io, process::ExitCode};

use httpout_runtime::{entry, push::Pushes};
use httpout_tokio::{Server, push_on, serve_on};
use tokio::runtime::{Builder, Runtime};

/// What `--version` shows: it names the runtime.
const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (tokio)");

fn main() -> ExitCode {
    entry::run(VERSION, run, push)
}

/// One single-threaded runtime for each processor; the first one accepts.
fn run(server: Server) -> io::Result<()> {
    let first = runtime()?;
    let mut workers = vec![first.handle().clone()];
    for number in 1..entry::processors() {
        let runtime = runtime()?;
        workers.push(runtime.handle().clone());
        entry::worker(number, &server.handle(), move || runtime.block_on(pending::<()>()))?;
    }
    first.block_on(serve_on(server, workers))
}

/// One thread does it all.
fn push(pushes: Pushes) -> io::Result<bool> {
    let runtime = runtime()?;
    Ok(runtime.block_on(push_on(pushes, runtime.handle().clone())))
}

fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}
