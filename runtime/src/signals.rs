//! Signals, from the first moment of the process to its last.

use std::{
    io, process,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};

use crate::{alarm, notify, push::Stop, serve::Handle};

/// Obeys SIGHUP, SIGINT and SIGTERM. The handlers are installed before anything is read or bound: a
/// signal that comes during the start is remembered and obeyed when the start is over.
pub(crate) struct Obeyed(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// `None` during the start.
    target: Option<Target>,
    /// SIGHUP came during the start.
    reload: bool,
    /// How often SIGINT and SIGTERM came.
    ends: u32,
}

/// Reads everything again that a server can change.
type Reload = Arc<dyn Fn() + Send + Sync>;

/// What signals act on.
#[derive(Clone)]
enum Target {
    Server { handle: Handle, grace: Duration, reload: Reload },
    Pushes(Arc<Stop>, Duration),
}

impl Obeyed {
    /// Installs the handlers and starts the thread that obeys.
    pub(crate) fn install() -> io::Result<Self> {
        let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
        let state = Arc::new(Mutex::new(State::default()));
        let obeyed = state.clone();
        let work = move || {
            if alarm::contain(|| obey(&mut signals, &obeyed)).is_err() {
                // Nothing could end this process in order any more.
                process::exit(1);
            }
        };
        thread::Builder::new().name("signals".into()).spawn(work)?;
        Ok(Self(state))
    }

    /// From now on signals act on this server: it has so much time to end, and SIGHUP reloads.
    pub(crate) fn serve(
        &self,
        handle: &Handle,
        grace: Duration,
        reload: impl Fn() + Send + Sync + 'static,
    ) {
        self.begin(Target::Server { handle: handle.clone(), grace, reload: Arc::new(reload) });
    }

    /// From now on signals act on these uploads.
    pub(crate) fn push(&self, stop: Arc<Stop>, grace: Duration) {
        self.begin(Target::Pushes(stop, grace));
    }

    fn begin(&self, target: Target) {
        let (reloads, ends) = {
            let mut state = lock(&self.0);
            state.target = Some(target.clone());
            (std::mem::take(&mut state.reload), state.ends)
        };
        if reloads {
            // What was read may have changed before the signal came.
            target.reload();
        }
        if ends > 0 {
            target.end();
        }
    }
}

fn obey(signals: &mut Signals, state: &Mutex<State>) {
    for signal in signals.forever() {
        let mut state = lock(state);
        let target = state.target.clone();
        if signal == SIGHUP {
            state.reload |= target.is_none();
            drop(state);
            if let Some(target) = target {
                target.reload();
            }
            continue;
        }
        state.ends += 1;
        let ends = state.ends;
        drop(state);
        match (target, ends) {
            (Some(target), 1) => target.end(),
            (Some(target), _) => target.abort(),
            (None, 1) => tracing::info!("ending as soon as the start is over"),
            (None, _) => {
                tracing::error!("a second signal ends the start before it is over");
                process::exit(1)
            }
        }
    }
}

impl Target {
    fn reload(&self) {
        match self {
            Self::Server { reload, .. } => reload(),
            Self::Pushes(..) => {
                tracing::info!("SIGHUP changes nothing: push mode has no file to read again");
            }
        }
    }

    /// Ends in order, and in so much time.
    fn end(&self) {
        let grace = match self {
            Self::Server { handle, grace, .. } => {
                // Told first: without connections, the process ends at once.
                notify::stopping();
                tracing::info!(
                    connections = handle.connections(),
                    "ending: no more requests are taken"
                );
                handle.shut_down();
                *grace
            }
            Self::Pushes(stop, grace) => {
                tracing::info!("ending: what is under way may go on for {} s", grace.as_secs_f64());
                stop.ask();
                *grace
            }
        };
        let later = self.clone();
        // The process ends before, if nothing is under way.
        let patience = thread::Builder::new().name("grace".into()).spawn(move || {
            thread::sleep(grace);
            later.abort();
        });
        if let Err(error) = patience {
            tracing::warn!(%error, "nothing limits the time to the end; a second signal does");
        }
    }

    /// Ends at once.
    fn abort(&self) {
        match self {
            Self::Server { handle, .. } => handle.abort(),
            Self::Pushes(stop, _) => stop.abort(),
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
