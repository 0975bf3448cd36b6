//! Uploads for the program that embeds the server.

use std::{
    collections::VecDeque,
    fmt, io,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use bytes::Bytes;
use event_listener::Event;
use futures_lite::future;
use httpout_proto::{
    Done,
    effect::{Delivery, Refusal},
    http::Status,
};

use super::{Reply, SinkWriter, UploadSink};
use crate::{server::Shared, wait::wait_for};

/// The uploads that come to a server, one after the other; from
/// [`Server::uploads`](crate::Server::uploads). The server needs
/// [`Config::source`](crate::Config::source). Once this is dropped, uploads are refused (503).
#[derive(Debug)]
pub struct Uploads {
    queue: Arc<Queue>,
    shared: Arc<Shared>,
}

/// An upload. Its sender is slowed down to the pace at which it is [read](Self::next), and told
/// what came of it by [`accept`](Self::accept) or [`refuse`](Self::refuse); dropped without either,
/// it is refused (500).
#[derive(Debug)]
pub struct IncomingUpload {
    delivery: Delivery,
    slot: Arc<Slot>,
    /// What was read last, which counts as taken when more is wanted.
    last: Option<Reply>,
}

/// An upload was broken off: its sender is gone, or was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the upload was broken off")
    }
}

impl std::error::Error for Broken {}

impl From<Broken> for io::Error {
    fn from(broken: Broken) -> Self {
        Self::new(io::ErrorKind::UnexpectedEof, broken)
    }
}

/// Uploads that the program has not taken yet.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    changed: Event,
}

#[derive(Debug, Default)]
struct Waiting {
    uploads: VecDeque<IncomingUpload>,
    closed: bool,
}

/// What stands between the connection and the program.
#[derive(Debug, Default)]
struct Slot {
    state: Mutex<State>,
    changed: Event,
}

#[derive(Debug, Default)]
struct State {
    /// Not taken yet.
    offer: Option<Reply>,
    data: Option<(Vec<Bytes>, Reply)>,
    /// It is whole.
    finish: Option<Reply>,
    /// Its sender gave it up.
    gone: bool,
    /// The program wants no more of it.
    refusal: Option<Refusal>,
}

/// The connection's side.
#[derive(Debug)]
struct Sending {
    slot: Arc<Slot>,
    queue: Weak<Queue>,
    finished: bool,
}

impl Uploads {
    pub(super) fn new(queue: Arc<Queue>, shared: Arc<Shared>) -> Self {
        Self { queue, shared }
    }

    /// The next upload; `None` when the server has ended.
    pub async fn next(&mut self) -> Option<IncomingUpload> {
        let come = async {
            let is_there = || !lock(&self.queue.waiting).uploads.is_empty();
            wait_for(&self.queue.changed, is_there).await;
            lock(&self.queue.waiting).uploads.pop_front()
        };
        future::or(come, async {
            // The future that serves reports a failure.
            let _ = self.shared.over().await;
            None
        })
        .await
    }
}

impl Drop for Uploads {
    fn drop(&mut self) {
        let mut waiting = lock(&self.queue.waiting);
        waiting.closed = true;
        let uploads = std::mem::take(&mut waiting.uploads);
        drop(waiting);
        for upload in uploads {
            upload.refuse(nobody());
        }
    }
}

impl IncomingUpload {
    /// What is known of it.
    pub fn about(&self) -> &Delivery {
        &self.delivery
    }

    /// More of its body, in pieces as they came; `None` when it is whole. The first call asks the
    /// sender for it.
    ///
    /// # Errors
    /// It was broken off: what was read is not the whole.
    pub async fn next(&mut self) -> Result<Option<Vec<Bytes>>, Broken> {
        if let Some(last) = self.last.take() {
            last.done();
        }
        let offer = lock(&self.slot.state).offer.take();
        if let Some(offer) = offer {
            offer.done();
        }
        let has_news = || {
            let state = lock(&self.slot.state);
            state.data.is_some() || state.finish.is_some() || state.gone
        };
        wait_for(&self.slot.changed, has_news).await;
        let mut state = lock(&self.slot.state);
        match state.data.take() {
            _ if state.gone => Err(Broken),
            Some((data, reply)) => {
                self.last = Some(reply);
                Ok(Some(data))
            }
            None => Ok(None),
        }
    }

    /// It was dealt with; `created`: there is something under its name now that was not there
    /// before (201, else 200). To be called when it is whole; before, it is refused.
    pub fn accept(self, created: bool) {
        let finish = lock(&self.slot.state).finish.take();
        if let Some(reply) = finish {
            reply.tell(Ok(Done::Delivered { created }));
        }
    }

    /// It is not wanted, or no longer. The sender is told, and the connection closed if more of the
    /// body would come.
    pub fn refuse(mut self, refusal: Refusal) {
        self.end(refusal);
    }

    fn end(&mut self, refusal: Refusal) {
        let (reply, is_gone) = {
            let mut state = lock(&self.slot.state);
            let data = state.data.take().map(|(_, reply)| reply);
            let reply = [self.last.take(), data, state.finish.take(), state.offer.take()]
                .into_iter()
                .flatten()
                .next();
            state.refusal.get_or_insert_with(|| refusal.clone());
            (reply, state.gone)
        };
        match reply {
            Some(reply) if is_gone => reply.forget(),
            Some(reply) => reply.tell(Ok(Done::Refused(refusal))),
            None => {}
        }
    }
}

impl Drop for IncomingUpload {
    fn drop(&mut self) {
        self.end(Refusal::new(Status::INTERNAL_SERVER_ERROR, "the upload was not dealt with"));
    }
}

impl UploadSink for Arc<Queue> {
    fn take(&self, delivery: Delivery, reply: Reply) -> Box<dyn SinkWriter> {
        let slot = Arc::new(Slot::default());
        lock(&slot.state).offer = Some(reply);
        let upload = IncomingUpload { delivery, slot: slot.clone(), last: None };
        let mut waiting = lock(&self.waiting);
        if waiting.closed {
            drop(waiting);
            upload.refuse(nobody());
        } else {
            waiting.uploads.push_back(upload);
            drop(waiting);
            self.changed.notify(usize::MAX);
        }
        let queue = Self::downgrade(self);
        Box::new(Sending { slot, queue, finished: false })
    }
}

impl SinkWriter for Sending {
    fn give(&mut self, data: Vec<Bytes>, reply: Reply) {
        self.tell(reply, |state, reply| state.data = Some((data, reply)));
    }

    fn finish(mut self: Box<Self>, reply: Reply) {
        self.finished = true;
        self.tell(reply, |state, reply| state.finish = Some(reply));
    }
}

impl Sending {
    fn tell(&self, reply: Reply, leave: impl FnOnce(&mut State, Reply)) {
        let mut state = lock(&self.slot.state);
        if let Some(refusal) = state.refusal.clone() {
            drop(state);
            return reply.tell(Ok(Done::Refused(refusal)));
        }
        leave(&mut state, reply);
        drop(state);
        self.slot.changed.notify(usize::MAX);
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        let mut state = lock(&self.slot.state);
        state.gone = true;
        let replies = [state.offer.take(), state.data.take().map(|(_, reply)| reply)];
        drop(state);
        replies.into_iter().flatten().for_each(Reply::forget);
        self.slot.changed.notify(usize::MAX);
        // The program must not take it any more.
        let unseen = self.queue.upgrade().map(|queue| {
            let mut waiting = lock(&queue.waiting);
            let at = waiting.uploads.iter().position(|it| Arc::ptr_eq(&it.slot, &self.slot));
            at.and_then(|at| waiting.uploads.remove(at))
        });
        drop(unseen);
    }
}

fn nobody() -> Refusal {
    Refusal::new(Status::SERVICE_UNAVAILABLE, "nobody takes uploads here")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
