//! Waiting for something that has no descriptor to wait on.

use std::thread;
use std::time::{Duration, Instant};

/// The longest that any single wait lasts before the test fails.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Asks again and again until the answer is there; fails with `what` when it never is.
///
/// The pause between two questions only spares the processor: no outcome depends on its length.
#[track_caller]
pub fn until<T>(what: &str, ask: impl FnMut() -> Option<T>) -> T {
    until_within(PATIENCE, what, ask)
}

/// The same for what the server does only after a deadline of its own.
#[track_caller]
pub fn until_within<T>(longest: Duration, what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let limit = Instant::now() + longest;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < limit, "waited {longest:?} in vain: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}
