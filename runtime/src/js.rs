//! JavaScript: the option `js`. A script sets `httpout.on_request`, which is called with each
//! request.
//!
//! The engine (QuickJS) runs on a thread of its own, and everything goes through its queue: a
//! script that loops holds up requests that wait for a verdict, and nothing else. Each call has a
//! time, the engine a limit of memory and of stack; one that is out of memory is replaced by a
//! fresh one.

mod engine;
mod module;
mod native;
mod thread;

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{self, Sender},
    },
    time::Duration,
};

use self::thread::Event;
use crate::{
    ConfigError,
    hook::{Bytes, Hook, HookDecision, Pace, Piece, Reply, Request, Service, Taken},
};

/// How a script is run.
#[derive(Clone, Debug)]
pub struct JsOptions {
    /// The script, or module.
    pub file: PathBuf,
    /// Longest that it may compute at one go: for a request, a callback or a timer. While it loads,
    /// ten times that.
    pub time: Duration,
    /// Most memory of the engine, in bytes.
    pub memory: usize,
    /// Bytes that `read` may give at a time, and that go out between two calls of `throttle`.
    pub block_size: usize,
}

/// A script that decides about requests.
#[derive(Debug)]
pub struct JsHook {
    queue: Sender<Event>,
    next: AtomicU64,
}

impl JsHook {
    /// Reads the script and starts its thread.
    ///
    /// # Errors
    /// The file cannot be read, its text not be run, or it sets no `httpout.on_request`.
    pub fn start(options: JsOptions) -> Result<Self, ConfigError> {
        let (queue, events) = mpsc::channel();
        let (started, outcome) = mpsc::channel();
        let spawned = std::thread::Builder::new()
            .name("js".into())
            .stack_size(thread::STACK)
            .spawn(move || thread::run(options, &events, &started));
        spawned.map_err(|error| refusal(format!("its thread cannot be started: {error}")))?;
        match outcome.recv() {
            Ok(started) => started.map_err(refusal)?,
            Err(_) => return Err(refusal("the engine cannot be started".into())),
        }
        Ok(Self { queue, next: AtomicU64::new(1) })
    }
}

fn refusal(problem: String) -> ConfigError {
    ConfigError {
        option: "js",
        problem,
        help: "correct the script; it sets httpout.on_request to a function",
    }
}

impl Hook for JsHook {
    fn ask(&self, request: Request) -> Option<Box<dyn Service>> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        // Where the thread is gone, the request is dropped, which answers it.
        let over = Arc::new(AtomicBool::new(false));
        let _ = self.queue.send(Event::Ask(id, request, over.clone()));
        Some(Box::new(JsService { id, queue: self.queue.clone(), over }))
    }

    fn renew(&self) -> Result<(), ConfigError> {
        let (renewed, outcome) = mpsc::channel();
        let _ = self.queue.send(Event::Renew(renewed));
        outcome.recv().map_or_else(
            |_| Err(refusal("the engine is gone".into())),
            |done| done.map_err(refusal),
        )
    }
}

/// One request's end of the queue.
#[derive(Debug)]
struct JsService {
    id: u64,
    queue: Sender<Event>,
    /// The script has no part in what follows, or the client is gone.
    over: Arc<AtomicBool>,
}

impl Service for JsService {
    fn read(&mut self, reply: Reply<Piece>) {
        let _ = self.queue.send(Event::Read(self.id, reply));
    }

    fn write(&mut self, data: Vec<Bytes>, reply: Reply<Taken>) {
        let _ = self.queue.send(Event::Write(self.id, data, reply));
    }

    fn end(&mut self, reply: Reply<HookDecision>) {
        let _ = self.queue.send(Event::End(self.id, reply));
    }

    fn pace(&mut self, sent: u64, total: Option<u64>, reply: Reply<Pace>) {
        let _ = self.queue.send(Event::Pace(self.id, sent, total, reply));
    }

    fn close(&mut self, complete: bool) {
        // The script was not asked yet, or has its part in it.
        if !self.over.swap(true, Ordering::Relaxed) {
            let _ = self.queue.send(Event::Close(self.id, complete));
        }
    }
}
