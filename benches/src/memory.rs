//! How much memory one large transfer takes at its peak.

use crate::{
    Plan,
    client::Client,
    error::{Error, Result},
    peers::{Kind, Server},
    report::{Report, Target},
};

const SIZE: u64 = 1 << 30;
const BLOCK: usize = 1 << 20;
const MOST_MIB: f64 = 16.0;
const FILE: &str = "large";

/// A transfer, and what it is called.
type Transfer = (&'static str, fn(&Server) -> Result<()>);

const TRANSFERS: [Transfer; 2] = [("download", download), ("upload", upload)];

pub(crate) fn run(plan: &Plan) -> Result<Report> {
    let mut report = Report::new(
        format!("memory: one transfer of {} MiB, growth of VmHWM", SIZE >> 20),
        &["transfer", "server", "before, MiB", "growth, MiB"],
    );
    for (name, transfer) in TRANSFERS {
        for kind in [Kind::Nginx].into_iter().chain(plan.ours.iter().copied()) {
            // A process of its own for each: the peak of one would hide that of the next.
            let server = Server::start(kind, &plan.lab, &[(FILE, SIZE)])?;
            let before = server.memory_kib("VmHWM")? as f64 / 1024.0;
            transfer(&server)?;
            let growth = server.memory_kib("VmHWM")? as f64 / 1024.0 - before;
            report.row([
                name.into(),
                kind.name().into(),
                format!("{before:.1}"),
                format!("{growth:.1}"),
            ]);
            if kind != Kind::Nginx {
                let what = format!("memory, {name}, {}", kind.name());
                report.check(what, growth, "MiB", Target::AtMost(MOST_MIB));
            }
        }
    }
    Ok(report)
}

fn download(server: &Server) -> Result<()> {
    let len = Client::connect(server.addr)?.get(FILE, &mut vec![0; BLOCK])?;
    if len != SIZE {
        return Err(Error::new(format!("GET /{FILE}: {len} bytes")));
    }
    Ok(())
}

fn upload(server: &Server) -> Result<()> {
    let mut client = Client::connect(server.addr)?;
    let head = format!("PUT /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: {SIZE}\r\n\r\n");
    client.send(head.as_bytes())?;
    let mut block = vec![1; BLOCK];
    for _ in 0..SIZE / BLOCK as u64 {
        client.send(&block)?;
    }
    let (head, _) = client.read_head(&mut block)?;
    if head.status != 201 {
        return Err(Error::new(format!("PUT /upload: status {}", head.status)));
    }
    Ok(())
}
