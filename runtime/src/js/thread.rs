//! The thread of the engine: one event after the other.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError, Sender},
    },
    time::{Duration, Instant},
};

use super::{JsOptions, engine::Engine};
use crate::{
    alarm,
    hook::{Bytes, HookDecision, Pace, Piece, Reply, Request, Taken},
};

/// Of the thread, in bytes; more than the engine may use.
pub(super) const STACK: usize = 4 << 20;

/// Scripts of before that may have requests under way; more are cut off.
const MOST_OLD: usize = 4;

/// What reaches the engine.
#[derive(Debug)]
pub(super) enum Event {
    /// A request, by the number that it has from now on; and where it is noted that its end need
    /// not be told.
    Ask(u64, Request, Arc<AtomicBool>),
    /// More of its answer's body is wanted.
    Read(u64, Reply<Piece>),
    /// When may more go out?
    Pace(u64, u64, Option<u64>, Reply<Pace>),
    /// A piece of its body.
    Write(u64, Vec<Bytes>, Reply<Taken>),
    /// That was its body: with what is it answered?
    End(u64, Reply<HookDecision>),
    /// It is over.
    Close(u64, bool),
    /// The script is to be read again.
    Renew(Sender<Result<(), String>>),
}

/// Runs the script until no connection can ask any more. `started` is told whether it could be
/// loaded.
pub(super) fn run(
    options: JsOptions,
    events: &Receiver<Event>,
    started: &Sender<Result<(), String>>,
) {
    let engine = match Engine::load(&options) {
        Ok(engine) => engine,
        Err(problem) => {
            let _ = started.send(Err(problem));
            return;
        }
    };
    let mut engines = Engines { options, current: engine, old: Vec::new() };
    let _ = started.send(Ok(()));
    // A panic is a fault of the server's own, but it must not end every request from now on.
    while alarm::contain(|| engines.serve(events)).is_err() {
        // If this panics too, the engine stays as it is.
        let _ = alarm::contain(|| engines.replace("a fault of the server"));
    }
}

/// The script as it is now, and those before it that have requests under way.
struct Engines {
    options: JsOptions,
    current: Engine,
    old: Vec<Engine>,
}

impl Engines {
    fn serve(&mut self, events: &Receiver<Event>) {
        loop {
            let due = self.all().filter_map(|engine| engine.next_timer()).min();
            let event = match due {
                None => match events.recv() {
                    Ok(event) => Some(event),
                    Err(_) => return,
                },
                Some(due) => {
                    let patience = due.saturating_duration_since(Instant::now());
                    match events.recv_timeout(patience) {
                        Ok(event) => Some(event),
                        Err(RecvTimeoutError::Timeout) => None,
                        Err(RecvTimeoutError::Disconnected) => return,
                    }
                }
            };
            if let Some(event) = event {
                self.handle(event);
            }
            if due.is_some_and(|due| due <= Instant::now()) {
                self.all().for_each(Engine::fire_timers);
            }
            self.old.retain(|engine| !engine.is_idle());
            if self.current.is_exhausted() {
                self.replace("it is out of memory, or comes to no end");
            }
        }
    }

    fn all(&self) -> impl Iterator<Item = &Engine> {
        self.old.iter().chain([&self.current])
    }

    fn of(&self, id: u64) -> Option<&Engine> {
        self.all().find(|engine| engine.knows(id))
    }

    fn handle(&mut self, event: Event) {
        match event {
            // A request that gave up waiting costs no more of the script's time.
            Event::Ask(.., over) if over.load(Ordering::Relaxed) => {}
            Event::Ask(id, request, over) => self.current.ask(id, request, &over),
            Event::Read(id, reply) => {
                if let Some(engine) = self.of(id) {
                    engine.read(id, reply);
                }
            }
            Event::Pace(id, sent, total, reply) => {
                if let Some(engine) = self.of(id) {
                    engine.pace(id, sent, total, reply);
                }
            }
            Event::Write(id, data, reply) => {
                if let Some(engine) = self.of(id) {
                    engine.write(id, &data, reply);
                }
            }
            Event::End(id, reply) => {
                if let Some(engine) = self.of(id) {
                    engine.end(id, reply);
                }
            }
            Event::Close(id, complete) => {
                if let Some(engine) = self.of(id) {
                    engine.close(id, complete);
                }
            }
            Event::Renew(renewed) => {
                let loaded = Engine::load(&self.options).map(|engine| self.put(engine));
                let _ = renewed.send(loaded);
            }
        }
    }

    /// Another script is asked from now on; this one ends with its requests.
    fn put(&mut self, engine: Engine) {
        let old = std::mem::replace(&mut self.current, engine);
        if !old.is_idle() {
            self.old.push(old);
        }
        if self.old.len() > MOST_OLD {
            self.old.remove(0);
        }
    }

    /// A fresh engine; what the script knew is lost, and so are its requests.
    fn replace(&mut self, why: &str) {
        tracing::error!("the script is started anew, since {why}");
        match Engine::again(&self.current) {
            Ok(engine) => self.current = engine,
            // It could be loaded before. To try that at once would be to spin.
            Err(problem) => {
                tracing::error!("the script cannot be started anew: {problem}");
                std::thread::sleep(Duration::from_secs(1));
            }
        }
    }
}
