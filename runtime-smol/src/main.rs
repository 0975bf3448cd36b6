//! `httpout-smol`: the reference binary, on smol.

use std::{future::pending, io, process::ExitCode, sync::Arc, thread};

use httpout_runtime::{Bound, entry};
use httpout_smol::Server;
use smol::Executor;

fn main() -> ExitCode {
    entry::run(serve)
}

/// One executor, run by a thread for each processor.
fn serve(bound: Bound) -> io::Result<()> {
    let executor: Arc<Executor<'static>> = Arc::default();
    for number in 1..entry::processors() {
        let executor = executor.clone();
        let worker = thread::Builder::new().name(format!("worker-{number}"));
        worker.spawn(move || smol::block_on(executor.run(pending::<()>())))?;
    }
    smol::block_on(executor.run(Server::from(bound).serve(executor.clone())))
}
