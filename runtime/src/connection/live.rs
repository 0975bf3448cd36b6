//! Effects that concern what grows: uploads in progress, and live resources.

use std::{io, sync::Arc};

use httpout_proto::{
    Done, FileId, FsError, OpId,
    effect::LiveEffect,
    live::{FeedId, Growth},
};
use rustix::{
    fd::{BorrowedFd, OwnedFd},
    net::sockopt::set_socket_send_buffer_size,
};

use super::exchanges::{Driver, Exchange, File, Listening, Publishing, Subscription};
use crate::{files::OpenFile, mailbox::Follower, publisher::LivePublication, server::Following};

impl Exchange {
    pub(super) fn run_live(
        &mut self,
        effect: LiveEffect,
        driver: &mut Driver<'_>,
        socket: BorrowedFd<'_>,
    ) {
        match effect {
            LiveEffect::Announce { file, place, len } => {
                if let Some(part) = self.part(file) {
                    let key = self.offer.roots.key(&place);
                    let feed = driver.shared().announce(key, part.file().clone(), len);
                    self.feeds.push((file, feed));
                }
            }
            LiveEffect::Grown { file, len } => {
                if let Some((_, feed)) = self.feeds.iter().find(|(other, _)| *other == file) {
                    driver.shared().grown(*feed, len);
                }
            }
            LiveEffect::Ended { file, complete } => self.end_feed(file, complete, driver),
            LiveEffect::Follow { op, file, place, wait } => {
                let roots = &self.offer.roots;
                let follower = driver.follower(op);
                match driver.shared().follow(|| roots.key(&place), follower, wait) {
                    Following::Feed(feed, fd, growth) => {
                        self.followings.push((op, Subscription::Feed(feed)));
                        self.files.push((file, File::Open(OpenFile { fd, content: None })));
                        driver.done(op, Ok(Done::Following(growth)));
                    }
                    Following::Waiting(key) => {
                        self.followings.push((op, Subscription::Waiting { key, file }));
                    }
                    Following::Nothing => driver.done(op, Ok(Done::NotGrowing)),
                }
            }
            LiveEffect::Unfollow { op } => {
                if let Some(at) = self.followings.iter().position(|(other, _)| *other == op) {
                    let (op, subscription) = self.followings.swap_remove(at);
                    subscription.leave(driver.shared(), &driver.follower(op));
                }
            }
            LiveEffect::Listen { op, path } => {
                let done = match driver.shared().channels.listen(&path) {
                    Some((channel, id, live)) => {
                        // What waits in the kernel would count neither as sent nor as behind.
                        let most = channel.max_async_buf().clamp(16 << 10, 16 << 20) as usize;
                        let _ = set_socket_send_buffer_size(socket, most);
                        self.listening = Some(Listening { live: op, channel, id, waiting: None });
                        live
                    }
                    None => Done::NotLive,
                };
                driver.done(op, Ok(done));
            }
            LiveEffect::Take { op, .. } => self.take_news(op, driver),
            LiveEffect::Leave { live } => {
                if let Some(Listening { channel, id, .. }) =
                    self.listening.take_if(|listening| listening.live == live)
                {
                    channel.leave(id);
                }
            }
            LiveEffect::Publish { op, path, description } => {
                let shared = driver.shared().clone();
                let options = shared.options.live;
                let done = match LivePublication::begin(&shared, path, description, options) {
                    Some(on_air) => {
                        on_air.channel.let_clients_retitle();
                        self.publishing = Some(Publishing { live: op, on_air, waiting: None });
                        Ok(Done::Ok)
                    }
                    None => Err(FsError::Changed),
                };
                driver.done(op, done);
            }
            LiveEffect::PublishGroup { op, live, group, audio } => {
                if let Some(publishing) = self.publishing.as_mut().filter(|it| it.live == live) {
                    if let Some(audio) = audio {
                        publishing.on_air.channel.set_audio(audio);
                    }
                    publishing.waiting = Some((op, group));
                    self.publish_waiting(driver);
                }
            }
            LiveEffect::SetTitle { op, path, title } => {
                let done = match driver.shared().channels.retitle(&path, title) {
                    true => Ok(Done::Ok),
                    false => Err(FsError::NotFound),
                };
                driver.done(op, done);
            }
            LiveEffect::Unpublish { live, complete } => {
                if let Some(Publishing { on_air, .. }) =
                    self.publishing.take_if(|publishing| publishing.live == live)
                {
                    let peer = driver.permit.peer();
                    let path = on_air.path();
                    if complete {
                        tracing::info!(%peer, path, "the source is over");
                        on_air.end();
                    } else {
                        tracing::warn!(%peer, path, "the source broke off");
                    }
                }
            }
        }
    }

    /// The upload that was waited for has begun.
    pub(super) fn handle_begun(
        &mut self,
        op: OpId,
        (feed, fd, growth): (FeedId, Arc<OwnedFd>, Growth),
        driver: &mut Driver<'_>,
    ) {
        let waiting = self.followings.iter_mut().find(|(other, _)| *other == op);
        if let Some((_, subscription)) = waiting
            && let &mut Subscription::Waiting { file, .. } = subscription
        {
            *subscription = Subscription::Feed(feed);
            self.files.push((file, File::Open(OpenFile { fd, content: None })));
            driver.done(op, Ok(Done::Following(growth)));
        }
    }

    /// There is something new of the live resource that this effect listens to, or room for what it
    /// sends.
    pub(super) fn handle_news(&mut self, live: OpId, driver: &mut Driver<'_>) {
        if self.publishing.as_ref().is_some_and(|publishing| publishing.live == live) {
            return self.publish_waiting(driver);
        }
        let Some(listening) = self.listening.as_mut().filter(|it| it.live == live) else { return };
        if let Some(op) = listening.waiting.take() {
            return self.take_news(op, driver);
        }
        let (channel, id) = (&listening.channel, listening.id);
        if driver.shared().channels.must_go(channel, id, driver.permit.peer()) {
            driver.session.reset(self.id, io::ErrorKind::TimedOut);
        }
    }

    /// What there is for the listener; or else it waits.
    fn take_news(&mut self, op: OpId, driver: &mut Driver<'_>) {
        let Some(listening) = &mut self.listening else {
            return driver.done(op, Err(FsError::NotFound));
        };
        let waiter = || Follower { mailbox: driver.mailbox.clone(), op: listening.live };
        let listener = (listening.id, driver.permit.peer());
        match driver.permit.shared().channels.take(&listening.channel, listener, waiter) {
            Some(news) => driver.done(op, Ok(Done::News(news))),
            None => listening.waiting = Some(op),
        }
    }

    /// Sends what came in, if there is room; or else it waits.
    fn publish_waiting(&mut self, driver: &mut Driver<'_>) {
        let Some(publishing) = &mut self.publishing else { return };
        let producer = || Follower { mailbox: driver.mailbox.clone(), op: publishing.live };
        if publishing.waiting.is_some()
            && publishing.on_air.channel.has_room(producer)
            && let Some((op, group)) = publishing.waiting.take()
        {
            publishing.on_air.channel.push(group);
            driver.done(op, Ok(Done::Ok));
        }
    }

    fn end_feed(&mut self, id: FileId, complete: bool, driver: &Driver<'_>) {
        if let Some(at) = self.feeds.iter().position(|(other, _)| *other == id) {
            let (_, feed) = self.feeds.swap_remove(at);
            driver.shared().ended(feed, complete);
        }
    }
}
