//! The counters for an embedding program.

use std::time::SystemTime;

use httpout_proto::http::{Method, Status};

use super::{Gauges, Metrics};

/// What a server did since its start, and what it does now; from
/// [`Handle::statistics`](crate::Handle::statistics).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Statistics {
    /// When the server was started.
    pub started: SystemTime,
    /// Open connections.
    pub connections: usize,
    /// Connections that were admitted.
    pub connections_accepted: u64,
    /// Connections that were answered 503, because there were too many.
    pub connections_refused: u64,
    /// Requests that are over.
    pub requests: u64,
    /// Requests that are over, by the status of their response, in ascending order.
    pub statuses: Vec<(Status, u64)>,
    /// Requests whose response was not sent to its end.
    pub aborted: u64,
    /// Bytes of request bodies.
    pub received: u64,
    /// Bytes of response bodies.
    pub sent: u64,
    /// Uploads in progress.
    pub uploads: usize,
    /// Uploads that were stored.
    pub uploads_complete: u64,
    /// Uploads that were broken off.
    pub uploads_aborted: u64,
    /// Live resources.
    pub live_resources: usize,
    /// Requests that are being answered with an upload in progress or a live resource.
    pub live_clients: usize,
    /// Listeners of live resources that were disconnected because they were too slow.
    pub listeners_dropped: u64,
    /// Bytes kept in memory (`gmem`), uploads in progress included.
    pub memory: u64,
}

impl Metrics {
    /// The counters as numbers.
    pub(crate) fn statistics(&self, gauges: &Gauges) -> Statistics {
        let columns = Status::ALL.len() + 1;
        let cell = |row: usize, column: usize| self.requests[row * columns + column].get();
        let count =
            |column: usize| (0..=Method::ALL.len()).map(|row| cell(row, column)).sum::<u64>();
        let statuses = Status::ALL.iter().enumerate().map(|(at, status)| (*status, count(at)));
        Statistics {
            started: self.started,
            connections: gauges.connections,
            connections_accepted: self.accepted.get(),
            connections_refused: self.refused.get(),
            requests: (0..columns).map(count).sum(),
            statuses: statuses.filter(|(_, count)| *count > 0).collect(),
            aborted: self.aborted.get(),
            received: self.received.get(),
            sent: self.sent.get(),
            uploads: gauges.uploads,
            uploads_complete: self.uploads_complete.get(),
            uploads_aborted: self.uploads_aborted.get(),
            live_resources: gauges.live_resources,
            live_clients: gauges.live_clients,
            listeners_dropped: gauges.listeners_dropped,
            memory: gauges.memory.bytes,
        }
    }
}
