//! What a connection that rests costs in memory.

use std::{thread, time::Duration};

use crate::{
    Plan,
    client::Client,
    error::{Context, Result},
    measure,
    peers::{Kind, Server},
    report::{Report, Target, grouped},
};

const CONNECTIONS: usize = 8000;
/// What every server needs once, however many connections there are, is there after these.
const WARM_UP: usize = 64;
const MOST_BYTES: f64 = 2048.0;
const FILE: &str = "small";

pub(crate) fn run(plan: &Plan) -> Result<Report> {
    let mut report = Report::new(
        format!("idle: {CONNECTIONS} connections that rest, each after one request"),
        &["server", "VmRSS before, KiB", "VmRSS with all, KiB", "bytes/connection"],
    );
    measure::need_files(CONNECTIONS as u64 + 100)?;
    for kind in [Kind::Nginx].into_iter().chain(plan.ours.iter().copied()) {
        let server = Server::start(kind, &plan.lab, &[(FILE, 1 << 10)])?;
        drop(connect(&server, WARM_UP)?);
        let before = settled(&server)?;
        let mut clients = connect(&server, CONNECTIONS)?;
        let after = settled(&server)?;
        // They count only if they are still connections.
        let mut buffer = vec![0; 16 << 10];
        for client in &mut clients {
            client.get(FILE, &mut buffer).context(format_args!("{}, after a rest", kind.name()))?;
        }
        let each = (after as f64 - before as f64) * 1024.0 / CONNECTIONS as f64;
        report.row([
            kind.name().into(),
            grouped(before as f64),
            grouped(after as f64),
            grouped(each),
        ]);
        if kind != Kind::Nginx {
            let what = format!("idle, {}", kind.name());
            report.check(what, each, "bytes", Target::AtMost(MOST_BYTES));
        }
    }
    Ok(report)
}

/// One after the other, so that the figure is what they hold at rest and not what a crowd at the
/// door needs.
fn connect(server: &Server, count: usize) -> Result<Vec<Client>> {
    let mut buffer = vec![0; 16 << 10];
    let mut clients = Vec::with_capacity(count);
    for at in 0..count {
        let mut client = Client::connect(server.addr)?;
        client
            .get(FILE, &mut buffer)
            .context(format_args!("{}, connection {at}", server.kind.name()))?;
        clients.push(client);
    }
    Ok(clients)
}

/// Resident memory, once everything that was asked is done with.
fn settled(server: &Server) -> Result<u64> {
    thread::sleep(Duration::from_millis(500));
    server.memory_kib("VmRSS")
}
