//! A page that lives: /statistics tells each second how many requests there were, and what was
//! asked most, for as long as somebody looks.
//!
//!     cargo run -p httpout-smol --example smol_statistics -- DIR
//!     curl -N http://127.0.0.1:PORT/statistics

#![allow(clippy::print_stdout, reason = "an example talks to its user")]

use std::{
    collections::HashMap,
    env,
    error::Error,
    io,
    net::TcpListener,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use httpout_smol::{
    Config, Options, Server,
    hook::{Headers, Hook, HookDecision, Piece, Reply, Request, Service, Status},
    serve,
};
use smol::Executor;

fn main() -> Result<(), Box<dyn Error>> {
    let mut config = Config::default();
    config.read_dirs = vec![env::args_os().nth(1).ok_or("usage: statistics DIR")?.into()];
    let mut options = Options::default();
    options.hook = Some(Arc::new(Statistics::default()));

    let listener = TcpListener::bind("127.0.0.1:0")?;
    let server = Server::bind(config, options, vec![listener])?;
    println!("http://{}/statistics until you press Enter", server.local_addrs()[0]);
    let handle = server.handle();
    std::thread::spawn(move || {
        let _ = io::stdin().read_line(&mut String::new());
        handle.shut_down();
    });
    let executor = Arc::new(Executor::new());
    smol::block_on(executor.run(serve(server, executor.clone())))?;
    Ok(())
}

/// How often each path was asked for.
#[derive(Clone, Debug, Default)]
struct Statistics(Arc<Mutex<HashMap<String, u64>>>);

impl Hook for Statistics {
    fn ask(&self, request: Request) -> Option<Box<dyn Service>> {
        let path = format!("/{}", request.facts().question().target.path);
        if path != "/statistics" {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(path).or_default() += 1;
            request.answer(HookDecision::pass(Headers::default()));
            return None;
        }
        let mut headers = Headers::default();
        let fields = [("Content-Type", "text/plain; charset=utf-8"), ("Cache-Control", "no-store")];
        let added = fields.iter().try_for_each(|(name, value)| headers.add(name, value));
        request.answer(added.and_then(|()| HookDecision::read(Status::OK, headers)));
        Some(Box::new(Page { counts: self.clone(), due: Instant::now() }))
    }
}

/// What one visitor sees.
#[derive(Debug)]
struct Page {
    counts: Statistics,
    /// When the next lines are due.
    due: Instant,
}

impl Service for Page {
    fn read(&mut self, reply: Reply<Piece>) {
        if Instant::now() < self.due {
            // It is asked again in a moment. A hook that knows when there is more keeps the reply
            // and sends it then.
            return reply.send(Piece::NotYet);
        }
        self.due += Duration::from_secs(1);
        reply.send(Piece::Bytes(self.counts.text().into()));
    }
}

impl Statistics {
    fn text(&self) -> String {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sorted: Vec<_> = counts.iter().collect();
        sorted.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
        let lines = sorted.iter().take(5).map(|(path, count)| format!("{count:>8} {path}\n"));
        format!("{} requests\n{}\n", counts.values().sum::<u64>(), lines.collect::<String>())
    }
}
