//! The server as a source: uploads that are handed on instead of being stored, and their consumer.

mod command;
mod directory;
mod output;
mod pipe;
mod uploads;

use std::{
    fmt,
    path::PathBuf,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use httpout_proto::{
    ConfigError, Done, FsError, OpId,
    effect::{Delivery, Refusal},
    http::Status,
};

pub use self::uploads::{Broken, IncomingUpload, Uploads};
use self::{command::Commands, directory::Directory, output::Output, uploads::Queue};
use crate::{
    mailbox::{Mailbox, Message},
    server::{ConnectionPermit, Shared},
};

/// Where uploads go that are handed on ([`Config::source`](crate::Config::source)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sink {
    /// Into this directory, each under the path of its URL. One that is broken off leaves nothing.
    Directory(PathBuf),
    /// To standard output, one after the other, each whole. One that comes while another is under
    /// way waits for its turn.
    Stdout,
    /// Each to the standard input of this command, which the shell starts for it. Its exit status
    /// decides the answer.
    Command(String),
}

impl fmt::Display for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(dir) => dir.display().fmt(f),
            Self::Stdout => f.write_str("-"),
            Self::Command(command) => write!(f, "exec:{command}"),
        }
    }
}

/// Takes uploads.
pub(crate) trait UploadSink: fmt::Debug + Send + Sync {
    /// An upload begins; to be answered once it is taken.
    fn take(&self, delivery: Delivery, reply: Reply) -> Box<dyn SinkWriter>;

    /// The server waits no longer for what is under way.
    fn abort(&self) {}
}

/// An upload that is being taken. Dropped before it is [finished](Self::finish), it is broken off
/// and must not pass for whole.
pub(crate) trait SinkWriter: fmt::Debug + Send {
    /// More of its body; to be answered when there is room for what comes next.
    fn give(&mut self, data: Vec<Bytes>, reply: Reply);

    /// All of it was given; to be answered when it is dealt with.
    fn finish(self: Box<Self>, reply: Reply);
}

/// The uploads of a server that are handed on.
#[derive(Debug, Default)]
pub(crate) struct Deliveries {
    taker: OnceLock<Box<dyn UploadSink>>,
    /// Uploads that were taken.
    begun: AtomicU64,
    delivered: AtomicU64,
}

impl Deliveries {
    /// Sets the consumer; only the first one counts.
    pub(crate) fn set_sink(&self, taker: Box<dyn UploadSink>) -> Result<(), ConfigError> {
        self.taker.set(taker).map_err(|_| ConfigError {
            option: "dst",
            problem: "somebody takes the uploads already".into(),
            help: "name one place that they go to",
        })
    }

    /// The taker for a sink.
    ///
    /// # Errors
    /// A directory or a standard output that cannot be written to.
    pub(crate) fn open(
        sink: &Sink,
        shared: &Arc<Shared>,
    ) -> Result<Box<dyn UploadSink>, ConfigError> {
        Ok(match sink {
            Sink::Directory(dir) => Box::new(Directory::open(dir, &shared.site())?),
            Sink::Stdout => Box::new(Output::start(shared)?),
            Sink::Command(command) => Box::new(Commands::new(command)),
        })
    }

    /// The queue for a program that takes them itself.
    pub(crate) fn queue(shared: &Arc<Shared>) -> (Box<dyn UploadSink>, Uploads) {
        let queue = Arc::new(Queue::default());
        (Box::new(queue.clone()), Uploads::new(queue, shared.clone()))
    }

    /// What was begun, and what of that was delivered.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.begun.load(Ordering::SeqCst), self.delivered.load(Ordering::SeqCst))
    }

    pub(crate) fn abort(&self) {
        if let Some(taker) = self.taker.get() {
            taker.abort();
        }
    }
}

/// A connection's upload that is handed on.
#[derive(Debug)]
pub(crate) struct ActiveDelivery {
    pub(crate) id: OpId,
    item: Arc<Item>,
    /// `None` once it is finished.
    work: Option<Box<dyn SinkWriter>>,
}

/// What is remembered of it.
#[derive(Debug)]
struct Item {
    path: String,
    /// The server does not end before it is over.
    permit: Arc<ConnectionPermit>,
    taken: AtomicBool,
    failed: AtomicBool,
}

impl ActiveDelivery {
    /// Offers it to the consumer.
    pub(crate) fn begin(
        id: OpId,
        delivery: Delivery,
        mailbox: &Arc<Mailbox>,
        permit: &Arc<ConnectionPermit>,
    ) -> Self {
        let item = Arc::new(Item {
            path: delivery.url_path(),
            permit: permit.clone(),
            taken: AtomicBool::new(false),
            failed: AtomicBool::new(false),
        });
        let reply = Reply::new(mailbox, id, &item, Stage::Take);
        let work = match permit.shared().deliveries.taker.get() {
            Some(taker) => Some(taker.take(delivery, reply)),
            None => {
                reply.refuse(Status::SERVICE_UNAVAILABLE, "nobody takes uploads here");
                None
            }
        };
        Self { id, item, work }
    }

    pub(crate) fn give(&mut self, op: OpId, data: Vec<Bytes>, mailbox: &Arc<Mailbox>) {
        let reply = Reply::new(mailbox, op, &self.item, Stage::Give);
        if let Some(work) = &mut self.work {
            work.give(data, reply);
        }
    }

    pub(crate) fn finish(mut self, op: OpId, mailbox: &Arc<Mailbox>) {
        let reply = Reply::new(mailbox, op, &self.item, Stage::Finish);
        if let Some(work) = self.work.take() {
            work.finish(reply);
        }
    }
}

impl Drop for ActiveDelivery {
    fn drop(&mut self) {
        if let Some(work) = self.work.take() {
            drop(work);
            self.item.broken_off();
        }
    }
}

impl Item {
    fn shared(&self) -> &Shared {
        self.permit.shared()
    }

    fn broken_off(&self) {
        if self.taken.load(Ordering::SeqCst) && !self.failed.load(Ordering::SeqCst) {
            self.shared().metrics.upload(false);
            tracing::warn!(path = self.path, "the upload was broken off by its sender");
        }
    }

    fn failed(&self, why: &dyn fmt::Display) {
        if !self.failed.swap(true, Ordering::SeqCst) {
            self.shared().metrics.upload(false);
            tracing::error!(path = self.path, "the upload is not delivered: {why}");
        }
    }
}

/// Which answer it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Take,
    Give,
    Finish,
}

/// Answers an effect of a delivery. Dropped without an answer, it tells of a failure.
#[derive(Debug)]
pub(crate) struct Reply {
    to: Option<(Arc<Mailbox>, OpId)>,
    item: Arc<Item>,
    stage: Stage,
}

impl Reply {
    fn new(mailbox: &Arc<Mailbox>, op: OpId, item: &Arc<Item>, stage: Stage) -> Self {
        Self { to: Some((mailbox.clone(), op)), item: item.clone(), stage }
    }

    /// It went well.
    pub(crate) fn done(self) {
        self.tell(Ok(Done::Ok));
    }

    /// What the consumer says.
    pub(crate) fn tell(mut self, result: Result<Done, FsError>) {
        self.send(result);
    }

    /// It is not taken.
    pub(crate) fn refuse(self, status: Status, why: impl Into<String>) {
        self.tell(Ok(Done::Refused(Refusal::new(status, why))));
    }

    /// The client waits for it no longer.
    pub(crate) fn forget(mut self) {
        self.to = None;
    }

    /// Keeps the server from its end as long as it is held.
    pub(crate) fn permit(&self) -> Arc<ConnectionPermit> {
        self.item.permit.clone()
    }

    fn send(&mut self, result: Result<Done, FsError>) {
        let Some((mailbox, op)) = self.to.take() else { return };
        let deliveries = &self.item.shared().deliveries;
        if self.stage == Stage::Take {
            deliveries.begun.fetch_add(1, Ordering::SeqCst);
        }
        match (&result, self.stage) {
            (Ok(Done::Refused(refusal)), _) => self.item.failed(&refusal.why),
            (Err(error), _) => self.item.failed(error),
            (Ok(_), Stage::Take) => self.item.taken.store(true, Ordering::SeqCst),
            (Ok(_), Stage::Give) => {}
            (Ok(_), Stage::Finish) => {
                self.item.shared().metrics.upload(true);
                deliveries.delivered.fetch_add(1, Ordering::SeqCst);
            }
        }
        mailbox.post(Message::Done(op, result));
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        self.send(Err(FsError::Other(std::io::ErrorKind::BrokenPipe)));
    }
}
