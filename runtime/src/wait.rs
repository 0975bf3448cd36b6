//! Waiting for an event with a condition.

use event_listener::{Event, EventListener};

/// Resolves when it has happened, of which `event` tells.
pub(crate) async fn wait_for(event: &Event, happened: impl Fn() -> bool) {
    while !happened() {
        let listener: EventListener = event.listen();
        if happened() {
            return;
        }
        listener.await;
    }
}
