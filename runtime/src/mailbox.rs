//! What reaches a connection from outside its task: answers from the blocking pool, growth of followed uploads, shutdown.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Waker},
};

use httpout_proto::{
    Done, FileId, FsError, OpId,
    effect::{Growth, Meta},
    exchange::listing::Entry,
    live::FeedId,
};
use rustix::fd::OwnedFd;

use crate::{
    files::{OpenFile, PartFile, list::Taken},
    server::Offer,
};

/// A message to a connection.
#[derive(Debug)]
pub(crate) enum Message {
    /// An effect is done.
    Done(OpId, Result<Done, FsError>),
    /// A directory was read.
    Listed(OpId, Vec<Entry>, bool, Taken),
    /// A file was opened.
    Opened(OpId, FileId, OpenFile, Meta),
    /// A part file was made.
    Created(OpId, FileId, PartFile),
    /// An upload that was waited for has begun.
    Begun(OpId, FeedId, Arc<OwnedFd>, Growth),
    /// A followed upload went on.
    Growth(OpId, Growth),
    /// There is news for the listener of this effect.
    News(OpId),
    /// A span that was not in the page cache now is.
    Fetched,
    /// Another site is served.
    Renewed(Arc<Offer>),
    /// The server is going down.
    ShutDown,
    /// It does not wait any longer.
    Abort,
}

/// Where a connection's messages wait. Holds no memory while it is empty.
#[derive(Debug, Default)]
pub(crate) struct Mailbox(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    messages: Vec<Message>,
    waker: Option<Waker>,
}

impl Mailbox {
    /// Leaves a message and wakes the connection. Growth that was not yet looked at is replaced.
    pub(crate) fn post(&self, message: Message) {
        let mut inner = self.lock();
        let older = match &message {
            Message::Growth(op, _) => inner
                .messages
                .iter_mut()
                .find(|older| matches!(older, Message::Growth(other, _) if other == op)),
            Message::Done(..)
            | Message::Listed(..)
            | Message::Opened(..)
            | Message::Created(..)
            | Message::Begun(..)
            | Message::News(_)
            | Message::Fetched
            | Message::Renewed(_)
            | Message::ShutDown
            | Message::Abort => None,
        };
        match older {
            Some(older) => *older = message,
            None => inner.messages.push(message),
        }
        let waker = inner.waker.take();
        drop(inner);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Takes all messages; if there are none, the task of `cx` is woken by the next one.
    pub(crate) fn take(&self, cx: &Context<'_>) -> Vec<Message> {
        let mut inner = self.lock();
        if inner.messages.is_empty()
            && !inner.waker.as_ref().is_some_and(|w| w.will_wake(cx.waker()))
        {
            inner.waker = Some(cx.waker().clone());
        }
        std::mem::take(&mut inner.messages)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
