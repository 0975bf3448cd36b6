//! The seam between a connection and what handles its requests.

use std::{fmt, time::Instant};

use bytes::Bytes;

use super::{Cx, Waiting};
use crate::{effect::Done, fs::FsError, id::OpId, live::Growth, time::Timer};

/// A stage of a request: it gets the events of the request until the response is sent, or until it
/// [hands over](Cx::hand_over) to the next stage. An event that a handler has no method for means
/// nothing to it.
pub(crate) trait Handler: fmt::Debug + Send {
    /// A piece of the request's body.
    fn on_data(&mut self, _data: Bytes, _cx: &mut Cx<'_>) {}

    /// The request's body is whole.
    fn on_end(&mut self, _cx: &mut Cx<'_>) {}

    /// An effect is done.
    fn on_done(&mut self, op: OpId, result: Result<Done, FsError>, cx: &mut Cx<'_>);

    /// A followed file grew, or ended.
    fn on_growth(&mut self, _op: OpId, _growth: Growth, _cx: &mut Cx<'_>) {}

    /// All parts of the body so far are sent.
    fn on_writable(&mut self, _cx: &mut Cx<'_>) {}

    /// The time that [`deadline`](Self::deadline) names has come.
    fn on_deadline(&mut self, _cx: &mut Cx<'_>) {}

    /// The rest of the request does not come, or the response cannot be sent.
    fn on_abort(&mut self, _cx: &mut Cx<'_>) {}

    /// The server shuts down: an endless response ends, and nothing that may never come is waited
    /// for.
    fn on_shut_down(&mut self, _cx: &mut Cx<'_>) {}

    /// The response is sent: gives back what is held.
    fn on_sent(&mut self, _cx: &mut Cx<'_>) {}

    /// What the response waits for, if others than the client delay it. A request that changes
    /// something waits for nothing in this sense: it is completed in any case.
    fn waiting(&self) -> Option<Waiting> {
        None
    }

    /// When [`on_deadline`](Self::on_deadline) is due.
    fn deadline(&self) -> Option<(Instant, Timer)> {
        None
    }

    /// True while the result of an effect must not be lost: the effect opens a file, or changes
    /// one.
    fn is_busy(&self) -> bool {
        false
    }

    /// True if the response goes on for as long as the client is there.
    fn is_endless(&self) -> bool {
        false
    }
}
