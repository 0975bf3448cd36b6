//! `httpout-smol`: the reference binary, on smol.

use std::{future::pending, io, process::ExitCode, sync::Arc, thread};

use httpout_runtime::entry;
use httpout_smol::{Server, serve};
use smol::Executor;

fn main() -> ExitCode {
    entry::run(run)
}

/// One executor, run by a thread for each processor.
fn run(server: Server) -> io::Result<()> {
    let executor: Arc<Executor<'static>> = Arc::default();
    for number in 1..entry::processors() {
        let executor = executor.clone();
        let worker = thread::Builder::new().name(format!("worker-{number}"));
        worker.spawn(move || smol::block_on(executor.run(pending::<()>())))?;
    }
    smol::block_on(executor.run(serve(server, executor.clone())))
}
