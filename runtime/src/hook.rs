//! Hooks: logic of a program's own, asked about every request. `--js` is one ([`js`](crate::js));
//! an embedder brings another in [`Options::hook`](crate::Options::hook).
//!
//! ```
//! use httpout_runtime::hook::{Headers, Hook, Request, Service, Status, HookDecision};
//!
//! #[derive(Debug)]
//! struct Hello;
//!
//! impl Hook for Hello {
//!     fn ask(&self, request: Request) -> Option<Box<dyn Service>> {
//!         let verdict = if request.facts().url() == "/hello" {
//!             HookDecision::answer(Status::OK, Headers::default(), "hello\n".into())
//!         } else {
//!             HookDecision::pass(Headers::default())
//!         };
//!         request.answer(verdict);
//!         None
//!     }
//! }
//! ```

use std::{env, fmt, net::SocketAddr, path::Path, sync::Arc};

pub use bytes::Bytes;
use httpout_proto::{Done, FsError, OpId, Site, fs::Place};
pub use httpout_proto::{
    hook::{Fault, Headers, HookDecision, Pace, Piece, Question, Rights},
    http::{BodySize, HeaderList, Method, Status},
};

use crate::{
    ConfigError,
    mailbox::{Mailbox, Message},
};

/// Decides what becomes of requests.
///
/// Its methods are called on the threads that serve connections, so they must not block: what takes
/// time is done elsewhere, and the request or [`Reply`] that was handed over is answered from
/// there.
pub trait Hook: fmt::Debug + Send + Sync + 'static {
    /// A request waits for a verdict; it is answered now or later, from any thread. If it is
    /// dropped without a verdict, its peer is told 500; if nothing comes for
    /// [`Limits::hook_time`](crate::Limits::hook_time), 503. What is returned is called when more
    /// of it is asked.
    fn ask(&self, request: Request) -> Option<Box<dyn Service>>;

    /// The server's options are read again.
    ///
    /// # Errors
    /// What cannot be had; then everything stays as it was.
    fn renew(&self) -> Result<(), ConfigError> {
        Ok(())
    }
}

/// What a hook does for one request. As with [`Hook`], no method may block.
pub trait Service: fmt::Debug + Send {
    /// More of the body is wanted, where the verdict was [`HookDecision::read`]. A reply that is
    /// dropped cuts the answer.
    fn read(&mut self, reply: Reply<Piece>) {
        drop(reply);
    }

    /// A piece of the request's body, where the verdict was [`HookDecision::take`]. The next one
    /// comes when this one is answered, so a slow hook slows the sender. A reply that is dropped
    /// ends the request with 500.
    fn write(&mut self, data: Vec<Bytes>, reply: Reply<Taken>) {
        let _ = data;
        drop(reply);
    }

    /// All of the body was given: with what is the request answered? [`HookDecision::answer`] or
    /// [`HookDecision::read`].
    fn end(&mut self, reply: Reply<HookDecision>) {
        drop(reply);
    }

    /// When may the next block of the answer go out, where the verdict was
    /// [`throttled`](HookDecision::throttled)? `sent` and `total` are bytes of its body. A reply
    /// that is dropped lets all of the rest go.
    fn pace(&mut self, sent: u64, total: Option<u64>, reply: Reply<Pace>) {
        let _ = (sent, total);
        drop(reply);
    }

    /// The request is over, or its connection is. `complete`: the answer went out to its last byte,
    /// and the request's body did not break off; where the hook takes the body, it has all of it.
    fn close(&mut self, complete: bool) {
        let _ = complete;
    }
}

/// A request, and the right to say what becomes of it.
#[derive(Debug)]
pub struct Request {
    facts: Arc<Facts>,
    reply: Reply<HookDecision>,
}

/// What is known of a request.
#[derive(Debug)]
pub struct Facts {
    question: Question,
    peer: SocketAddr,
    connection: u64,
    site: Arc<Site>,
}

impl Request {
    pub(crate) fn new(facts: Facts, reply: Reply<HookDecision>) -> Self {
        Self { facts: Arc::new(facts), reply }
    }

    /// What is known of it.
    pub fn facts(&self) -> &Arc<Facts> {
        &self.facts
    }

    /// Says what becomes of it. A verdict that cannot be is told in the log and answered 500.
    pub fn answer(self, verdict: Result<HookDecision, Fault>) {
        match verdict {
            Ok(verdict) => self.reply.send(verdict),
            Err(fault) => {
                tracing::error!(
                    request = self.facts.describe(),
                    "the hook's verdict cannot be: {fault}"
                );
                drop(self.reply);
            }
        }
    }

    /// It cannot be decided now: 503.
    pub fn postpone(self) {
        self.reply.fail(FsError::Exhausted);
    }
}

impl Facts {
    pub(crate) fn new(
        question: Question,
        peer: SocketAddr,
        connection: u64,
        site: Arc<Site>,
    ) -> Self {
        Self { question, peer, connection, site }
    }

    /// What the request says.
    pub fn question(&self) -> &Question {
        &self.question
    }

    /// Its decoded path and query.
    pub fn url(&self) -> String {
        self.question.url()
    }

    /// The user of the request.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// The connection that it came by, as a number that no other connection has.
    pub fn connection(&self) -> u64 {
        self.connection
    }

    /// A file for [`HookDecision::file`]: it must lie below one of the directories that the server
    /// reads, or one of [`Config::hook_dirs`](crate::Config::hook_dirs). A relative path counts
    /// from the working directory.
    pub fn file(&self, path: &Path) -> Option<Place> {
        self.site.place(path, &env::current_dir().ok()?)
    }

    /// For the log.
    pub(crate) fn describe(&self) -> String {
        format!("{} {}", self.question.method, self.url())
    }
}

/// There is room for more of a body.
#[derive(Clone, Copy, Debug)]
pub struct Taken;

/// The right to answer once. Where it is dropped, that is told as an error.
pub struct Reply<T: Answer> {
    to: Option<(Arc<Mailbox>, OpId)>,
    make: fn(T) -> Done,
}

impl<T: Answer> Reply<T> {
    pub(crate) fn new(mailbox: Arc<Mailbox>, op: OpId) -> Self {
        Self { to: Some((mailbox, op)), make: T::done }
    }

    /// Answers. For a connection that is gone by now, nothing happens.
    pub fn send(mut self, answer: T) {
        if let Some((mailbox, op)) = self.to.take() {
            mailbox.post(Message::Done(op, Ok((self.make)(answer))));
        }
    }

    pub(crate) fn fail(mut self, error: FsError) {
        if let Some((mailbox, op)) = self.to.take() {
            mailbox.post(Message::Done(op, Err(error)));
        }
    }
}

impl<T: Answer> Drop for Reply<T> {
    fn drop(&mut self) {
        if let Some((mailbox, op)) = self.to.take() {
            mailbox.post(Message::Done(op, Err(FsError::Other(std::io::ErrorKind::Other))));
        }
    }
}

impl<T: Answer> fmt::Debug for Reply<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply").finish_non_exhaustive()
    }
}

/// What a [`Reply`] can be given.
pub trait Answer: sealed::Sealed {
    #[doc(hidden)]
    fn done(self) -> Done;
}

impl Answer for HookDecision {
    fn done(self) -> Done {
        Done::Decision(Box::new(self))
    }
}

impl Answer for Piece {
    fn done(self) -> Done {
        Done::Pulled(self)
    }
}

impl Answer for Pace {
    fn done(self) -> Done {
        Done::Paced(self)
    }
}

impl Answer for Taken {
    fn done(self) -> Done {
        Done::Ok
    }
}

mod sealed {
    use super::{HookDecision, Pace, Piece, Taken};

    #[expect(unnameable_types, reason = "nobody else is to implement it")]
    pub trait Sealed {}

    impl Sealed for HookDecision {}
    impl Sealed for Piece {}
    impl Sealed for Pace {}
    impl Sealed for Taken {}
}
