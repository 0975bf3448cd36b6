//! Panics and other faults of the server itself: some cost one connection, and the others end the
//! server with an error.
//!
//! A server whose acceptor, worker or log is gone must not stay: nothing restarts a process that
//! still runs.

use std::{
    future::Future,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, OnceLock},
};

use event_listener::Event;
use futures_lite::FutureExt as _;

use crate::wait::wait_for;

/// Reports that a part has failed that the server cannot do without. Clones share their state.
#[derive(Clone, Debug, Default)]
pub(crate) struct Alarm(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// The first failure.
    failure: OnceLock<String>,
    raised: Event,
}

/// Some code panicked. The panic hook has logged it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Panicked;

impl Alarm {
    /// Reports what has failed. The first report counts.
    pub(crate) fn raise(&self, failure: String) {
        // A second failure is most often a consequence of the first.
        let _ = self.0.failure.set(failure);
        self.0.raised.notify(usize::MAX);
    }

    /// Resolves once a failure is reported.
    pub(crate) async fn raised(&self) -> io::Error {
        wait_for(&self.0.raised, || self.0.failure.get().is_some()).await;
        io::Error::other(self.0.failure.get().cloned().unwrap_or_default())
    }

    /// Runs a part on this thread. A panic raises the alarm.
    pub(crate) fn watch(&self, part: &str, work: impl FnOnce()) {
        if contain(work).is_err() {
            self.raise_panicked(part);
        }
    }

    /// Runs a part as a task. A panic raises the alarm.
    pub(crate) async fn watch_task(&self, part: &str, task: impl Future<Output = ()>) {
        if AssertUnwindSafe(task).catch_unwind().await.is_err() {
            self.raise_panicked(part);
        }
    }

    fn raise_panicked(&self, part: &str) {
        self.raise(format!("{part} panicked, which is a bug: please report it"));
    }
}

/// Runs work whose panic costs no more than its result. What the work shares must stay usable:
/// locks here ignore poison.
pub(crate) fn contain<R>(work: impl FnOnce() -> R) -> Result<R, Panicked> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| Panicked)
}

#[cfg(test)]
mod tests {
    use futures_lite::future::block_on;

    use super::*;

    #[test]
    fn a_panic_of_a_part_is_reported_and_the_first_one_counts() {
        let alarm = Alarm::default();
        alarm.watch("the first part", || {});
        block_on(alarm.watch_task("the second part", async {}));
        assert!(alarm.0.failure.get().is_none());
        block_on(alarm.watch_task("the third part", async { panic!("on purpose") }));
        alarm.watch("the fourth part", || panic!("on purpose"));
        let failure = block_on(alarm.raised()).to_string();
        assert!(failure.starts_with("the third part panicked"), "{failure}");
    }
}
