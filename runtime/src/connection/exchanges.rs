//! What the driver holds for the exchanges of a connection: files, uploads in progress, live
//! resources, deliveries.

use std::{path::PathBuf, sync::Arc};

use httpout_proto::{
    Done, ExchangeId, FileId, FsError, OpId, Session,
    live::{FeedId, Group, ListenerId},
};
use rustix::fd::OwnedFd;

use super::{PANICKED, hooked::Hooked};
use crate::{
    alarm::{self, Panicked},
    files::{OpenFile, PartFile, list::Taken},
    live::Channel,
    mailbox::{Follower, Mailbox, Message},
    output::Source,
    publisher::LivePublication,
    server::{ConnectionPermit, Shared, SiteState},
    source::ActiveDelivery,
};

/// The exchanges that something is held for. Holds no memory while there are none.
#[derive(Debug, Default)]
pub(super) struct Exchanges(Vec<Exchange>);

/// What is held for one exchange, from its first effect to its last.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) id: ExchangeId,
    /// Its effects name the roots of this offer's site.
    pub(super) offer: Arc<SiteState>,
    pub(super) files: Vec<(FileId, File)>,
    /// The uploads in progress that it brings, by their part files.
    pub(super) feeds: Vec<(FileId, FeedId)>,
    /// Its number in the log.
    pub(super) number: u64,
    /// What the listing that is being sent takes of the memory.
    pub(super) listed: Option<Taken>,
    pub(super) followings: Vec<(OpId, Subscription)>,
    /// The live resource that it listens to.
    pub(super) listening: Option<Listening>,
    /// The live resource that it sends.
    pub(super) publishing: Option<Publishing>,
    /// The upload that is handed on.
    pub(super) delivery: Option<ActiveDelivery>,
    /// The request, where a hook has its part in it.
    pub(super) hooked: Option<Hooked>,
}

#[derive(Debug)]
pub(super) enum File {
    Open(OpenFile),
    Part(Arc<PartFile>),
}

/// A place among the listeners of a live resource.
#[derive(Debug)]
pub(super) struct Listening {
    /// The effect that listens.
    pub(super) live: OpId,
    pub(super) channel: Arc<Channel>,
    pub(super) id: ListenerId,
    /// The effect that waits for news.
    pub(super) waiting: Option<OpId>,
}

/// A live resource that comes in.
#[derive(Debug)]
pub(super) struct Publishing {
    /// The effect that began it.
    pub(super) live: OpId,
    pub(super) on_air: LivePublication,
    /// What waits for room, and the effect that sends it.
    pub(super) waiting: Option<(OpId, Group)>,
}

/// What an effect follows.
#[derive(Debug)]
pub(super) enum Subscription {
    Feed(FeedId),
    Waiting { key: PathBuf, file: FileId },
}

/// What the effects of every exchange use.
#[derive(Debug)]
pub(super) struct Driver<'c> {
    pub(super) session: &'c mut Session,
    pub(super) mailbox: &'c Arc<Mailbox>,
    pub(super) permit: &'c Arc<ConnectionPermit>,
}

impl Exchanges {
    /// The exchange; what is held for it begins with this `offer`, if nothing is held yet.
    pub(super) fn entry(
        &mut self,
        id: ExchangeId,
        offer: impl FnOnce() -> Arc<SiteState>,
    ) -> &mut Exchange {
        let at = match self.0.iter().position(|exchange| exchange.id == id) {
            Some(at) => at,
            None => {
                self.0.push(Exchange::new(id, offer()));
                self.0.len() - 1
            }
        };
        &mut self.0[at]
    }

    pub(super) fn get(&self, id: ExchangeId) -> Option<&Exchange> {
        self.0.iter().find(|exchange| exchange.id == id)
    }

    pub(super) fn get_mut(&mut self, id: ExchangeId) -> Option<&mut Exchange> {
        self.0.iter_mut().find(|exchange| exchange.id == id)
    }

    /// Nothing more comes of this exchange.
    pub(super) fn remove(&mut self, id: ExchangeId) -> Option<Exchange> {
        let at = self.0.iter().position(|exchange| exchange.id == id)?;
        Some(self.0.swap_remove(at))
    }

    /// Gives back the memory, if there are none.
    pub(super) fn rest(&mut self) {
        if self.0.is_empty() {
            self.0 = Vec::new();
        }
    }

    pub(super) fn drain(&mut self) -> impl Iterator<Item = Exchange> {
        self.0.drain(..)
    }

    /// Where the bytes of an open file come from.
    pub(super) fn source(&self, file: FileId) -> Option<Source<'_>> {
        self.get(file.exchange())?.file(file).map(File::source)
    }
}

impl Exchange {
    fn new(id: ExchangeId, offer: Arc<SiteState>) -> Self {
        Self {
            id,
            offer,
            files: Vec::new(),
            feeds: Vec::new(),
            number: 0,
            listed: None,
            followings: Vec::new(),
            listening: None,
            publishing: None,
            delivery: None,
            hooked: None,
        }
    }

    pub(super) fn file(&self, id: FileId) -> Option<&File> {
        self.files.iter().find(|(other, _)| *other == id).map(|(_, file)| file)
    }

    pub(super) fn part(&self, id: FileId) -> Option<Arc<PartFile>> {
        match self.file(id)? {
            File::Part(part) => Some(part.clone()),
            File::Open(_) => None,
        }
    }

    /// Takes a part file out to be committed: nothing is being written to it any more.
    pub(super) fn take_part(&mut self, id: FileId) -> Option<PartFile> {
        match self.take_file(id)? {
            File::Part(part) => Arc::into_inner(part),
            File::Open(_) => None,
        }
    }

    pub(super) fn take_file(&mut self, id: FileId) -> Option<File> {
        let at = self.files.iter().position(|(other, _)| *other == id)?;
        Some(self.files.swap_remove(at).1)
    }

    /// The exchange is over, or its connection is dropped before that: nothing of it is left
    /// behind.
    pub(super) fn release(mut self, mailbox: &Arc<Mailbox>, permit: &Arc<ConnectionPermit>) {
        let shared = permit.shared();
        if let Some(hooked) = self.hooked.take() {
            hooked.leave();
        }
        for (_, feed) in self.feeds.drain(..) {
            shared.ended(feed, false);
        }
        for (op, subscription) in self.followings.drain(..) {
            subscription.leave(shared, &Follower { mailbox: mailbox.clone(), op });
        }
        if let Some(Listening { channel, id, .. }) = self.listening.take() {
            channel.leave(id);
        }
        for (_, file) in self.files.drain(..) {
            file.close(permit);
        }
    }
}

impl Driver<'_> {
    pub(super) fn shared(&self) -> &Arc<Shared> {
        self.permit.shared()
    }

    pub(super) fn done(&mut self, op: OpId, result: Result<Done, FsError>) {
        self.session.handle_done(op, result);
    }

    /// The connection and effect, to be told of news.
    pub(super) fn follower(&self, op: OpId) -> Follower {
        Follower { mailbox: self.mailbox.clone(), op }
    }

    /// Does it where waiting for a device holds up nobody, and answers by the mailbox.
    pub(super) fn unblock(
        &self,
        op: OpId,
        work: impl FnOnce() -> Result<Message, FsError> + Send + 'static,
    ) {
        let (mailbox, permit) = (self.mailbox.clone(), self.permit.clone());
        blocking::unblock(move || {
            let _admission = permit;
            let done = alarm::contain(work).unwrap_or_else(|Panicked| Err(PANICKED));
            mailbox.post(done.unwrap_or_else(|error| Message::Done(op, Err(error))));
        })
        .detach();
    }
}

impl Subscription {
    pub(super) fn leave(&self, shared: &Shared, follower: &Follower) {
        match self {
            Self::Feed(feed) => shared.unfollow(*feed, follower),
            Self::Waiting { key, .. } => shared.unwait(key, follower),
        }
    }
}

impl File {
    pub(super) fn fd(&self) -> &Arc<OwnedFd> {
        match self {
            Self::Open(open) => &open.fd,
            Self::Part(part) => part.file(),
        }
    }

    fn source(&self) -> Source<'_> {
        let content = match self {
            Self::Open(open) => open.content.as_deref(),
            Self::Part(_) => None,
        };
        Source { fd: self.fd(), content }
    }

    /// To remove a part file may take a while, since the room that it held is given back; the
    /// server does not end before that is done.
    pub(super) fn close(self, permit: &Arc<ConnectionPermit>) {
        match self {
            Self::Open(_) => {}
            // Its bytes may be needed by the next request.
            Self::Part(part) if part.is_in_memory() => {
                if let Some(part) = Arc::into_inner(part) {
                    part.abandon();
                }
            }
            Self::Part(part) => {
                let permit = permit.clone();
                blocking::unblock(move || drop((part, permit))).detach();
            }
        }
    }
}
