//! `httpout-smol`: the reference binary, on smol.

use std::{future::pending, io, process::ExitCode, sync::Arc};

use async_executor::Executor;
use httpout_runtime::{entry, push::Pushes};
use httpout_smol::{Server, push_on, serve};

/// What `--version` shows: it names the runtime.
const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (smol)");

fn main() -> ExitCode {
    entry::run(VERSION, run, push)
}

/// One executor, run by a thread for each processor.
fn run(server: Server) -> io::Result<()> {
    let executor: Arc<Executor<'static>> = Arc::default();
    for number in 1..entry::processors() {
        let executor = executor.clone();
        let work = move || async_io::block_on(executor.run(pending::<()>()));
        entry::worker(number, &server.handle(), work)?;
    }
    async_io::block_on(executor.run(serve(server, executor.clone())))
}

/// One thread does it all.
fn push(pushes: Pushes) -> io::Result<bool> {
    let executor: Arc<Executor<'static>> = Arc::default();
    Ok(async_io::block_on(executor.run(push_on(pushes, executor.clone()))))
}
