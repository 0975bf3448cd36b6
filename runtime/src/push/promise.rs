//! What becomes of a job, for the program that waits for it.

use std::sync::{Mutex, PoisonError};

use event_listener::{Event, listener};
use httpout_proto::push::Outcome;

/// What becomes of a job.
#[derive(Debug, Default)]
pub(super) struct Promise {
    outcome: Mutex<Option<Outcome>>,
    kept: Event,
}

impl Promise {
    pub(super) fn keep(&self, outcome: Outcome) {
        *self.outcome.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
        self.kept.notify(usize::MAX);
    }

    pub(super) async fn wait(&self) -> Outcome {
        loop {
            listener!(self.kept => kept);
            let outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if let Some(outcome) = outcome {
                return outcome;
            }
            kept.await;
        }
    }
}
