//! `httpout`: the reference binary, on tokio.

use std::{future::pending, io, process::ExitCode, thread};

use httpout_runtime::{Bound, entry};
use httpout_tokio::Server;
use tokio::runtime::{Builder, Runtime};

fn main() -> ExitCode {
    entry::run(serve)
}

/// One single-threaded runtime for each processor; the first one accepts.
fn serve(bound: Bound) -> io::Result<()> {
    let first = runtime()?;
    let mut workers = vec![first.handle().clone()];
    for number in 1..entry::processors() {
        let runtime = runtime()?;
        workers.push(runtime.handle().clone());
        let worker = thread::Builder::new().name(format!("worker-{number}"));
        worker.spawn(move || runtime.block_on(pending::<()>()))?;
    }
    first.block_on(Server::from(bound).serve_on(workers))
}

fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}
