//! What reaches a connection from outside its task: answers from the blocking pool, growth of
//! followed uploads, shutdown.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Waker},
};

use httpout_proto::{
    Done, FileId, FsError, OpId,
    effect::Verified,
    fs::{Entries, Meta},
    live::{FeedId, Growth},
};
use rustix::fd::OwnedFd;

use crate::{
    files::{OpenFile, PartFile, list::Taken},
    verify::Waiter,
};

/// A message to a connection.
#[derive(Debug)]
pub(crate) enum Message {
    /// An effect is done.
    Done(OpId, Result<Done, FsError>),
    /// A directory was read.
    Listed(OpId, Entries, bool, Taken),
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
    /// The same, and these are to be told, too.
    Relay(OpId, Vec<Follower>),
    /// A span that was not in the page cache now is.
    Fetched,
    /// Another site is served.
    Renewed,
    /// The server is going down.
    ShutDown,
    /// It does not wait any longer.
    Abort,
}

impl Message {
    /// It does not reach its connection any more, but others wait for it.
    fn pass_on(self) {
        if let Self::Relay(_, others) = self {
            others.into_iter().for_each(Follower::news);
        }
    }
}

/// A connection that waits to be told something, and by which effect.
#[derive(Clone, Debug)]
pub(crate) struct Follower {
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) op: OpId,
}

impl Waiter for Follower {
    fn tell(self, right: bool) {
        let verified = if right { Verified::Right } else { Verified::Wrong };
        self.mailbox.post(Message::Done(self.op, Ok(Done::Verified(verified))));
    }
}

impl Follower {
    /// It listens, and there is news.
    pub(crate) fn news(self) {
        self.mailbox.post(Message::News(self.op));
    }

    /// The same, and `others` are to be told by it.
    pub(crate) fn relay(self, others: Vec<Self>) {
        self.mailbox.post(Message::Relay(self.op, others));
    }
}

impl PartialEq for Follower {
    fn eq(&self, other: &Self) -> bool {
        self.op == other.op && Arc::ptr_eq(&self.mailbox, &other.mailbox)
    }
}

/// Where a connection's messages wait. Holds no memory while it is empty.
#[derive(Debug, Default)]
pub(crate) struct Mailbox(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    messages: Vec<Message>,
    waker: Option<Waker>,
    /// The connection is over.
    closed: bool,
}

impl Mailbox {
    /// Leaves a message and wakes the connection. Growth that was not yet looked at is replaced.
    pub(crate) fn post(&self, message: Message) {
        let mut inner = self.lock();
        if inner.closed {
            drop(inner);
            return message.pass_on();
        }
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
            | Message::Relay(..)
            | Message::Fetched
            | Message::Renewed
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

    /// The connection is over: what was to be passed on from here is passed on.
    pub(crate) fn close(&self) {
        let messages = {
            let mut inner = self.lock();
            inner.closed = true;
            std::mem::take(&mut inner.messages)
        };
        messages.into_iter().for_each(Message::pass_on);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Instant, SystemTime};

    use httpout_proto::{Config, Effect, Now, Session, Step, effect::LiveEffect};

    use super::*;

    /// Some effect's.
    fn op() -> OpId {
        let mut config = Config::default();
        config.read_dirs = vec!["www".into()];
        let mut session = Session::new(config.check().unwrap());
        session.handle_data("GET /a HTTP/1.1\r\nHost: a\r\n\r\n".into());
        let now = Now { mono: Instant::now(), wall: SystemTime::now() };
        let Step::Do(Effect::Live(_, LiveEffect::Follow { op, .. })) = session.poll(now) else {
            panic!("it looks")
        };
        op
    }

    #[test]
    fn what_others_wait_for_is_told_although_the_connection_is_gone() {
        let waits = |mailbox: &Arc<Mailbox>| {
            let messages = mailbox.take(&Context::from_waker(Waker::noop()));
            messages.iter().filter(|message| matches!(message, Message::News(_))).count()
        };
        let (gone, left) = (Arc::new(Mailbox::default()), Arc::new(Mailbox::default()));
        let follower = |mailbox: &Arc<Mailbox>| Follower { mailbox: mailbox.clone(), op: op() };
        follower(&gone).relay(vec![follower(&left)]);
        assert_eq!(waits(&left), 0);
        gone.close();
        assert_eq!(waits(&left), 1, "it had come before");
        follower(&gone).relay(vec![follower(&left)]);
        assert_eq!(waits(&left), 1, "it came too late");
    }
}
