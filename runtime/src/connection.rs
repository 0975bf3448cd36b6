//! The driver: one connection's session, its socket and its files. Written once for every runtime.

mod hooked;
#[cfg(feature = "tls")]
mod secure;
#[cfg(not(feature = "tls"))]
#[path = "without/secure.rs"]
mod secure;

use std::{
    future::Future,
    io,
    path::PathBuf,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant, SystemTime},
};

use httpout_proto::{
    Done, Effect, FileId, FsError, Now, OpId, PeerError, Session, Step, Timer, Wait,
    fs::{Meta, Place},
    live::{FeedId, Group, ListenerId},
};
use rustix::{
    fd::{BorrowedFd, OwnedFd},
    net::{
        Shutdown, shutdown,
        sockopt::{set_socket_linger, set_socket_send_buffer_size},
    },
};

use crate::{
    alarm::{self, Panicked},
    buffers,
    direct::How,
    files::{
        OpenFile, Opened, PartFile, Roots,
        encoded::{self, Inode, Key, Wanted},
        list::Taken,
    },
    live::Channel,
    mailbox::{Mailbox, Message},
    output::{self, Sent, Source, Warm},
    publisher::OnAir,
    server::{Admission, Follower, Following, Offer, Shared},
    source::Under,
    tls::Tls,
};

/// What an effect comes to whose work panicked.
const PANICKED: FsError = FsError::Other(io::ErrorKind::Other);
/// Rounds of a busy connection before the others on its thread have their turn.
const ROUNDS: usize = 32;

/// A connected socket, and a timer, as a runtime has them.
pub trait Transport: Unpin {
    /// Receives; 0 bytes are the end. Nothing but `WouldBlock` says that there is no more: urgent data shortens a receive.
    ///
    /// # Errors
    /// Those of the socket, without `WouldBlock`.
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>>;

    /// Calls `send` when the socket is writable; if that would block, waits and calls it again. Nothing but `WouldBlock` says
    /// that the socket is full: a signal can shorten a send, and a readiness that is cleared for that never comes back.
    ///
    /// # Errors
    /// Those of `send`, without `WouldBlock`.
    fn poll_write<T>(
        &mut self,
        cx: &mut Context<'_>,
        send: impl FnMut(BorrowedFd<'_>) -> io::Result<T>,
    ) -> Poll<io::Result<T>>;

    /// Ready at this time, and not before.
    fn poll_deadline(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()>;

    /// The socket.
    fn socket(&self) -> BorrowedFd<'_>;
}

/// A connection as a future: resolves when it is over.
#[derive(Debug)]
pub struct Connection<T> {
    transport: T,
    tls: Option<Box<Tls>>,
    session: Session,
    /// What the session serves, and what it may serve from the next request on.
    offer: Arc<Offer>,
    renewed: Vec<Arc<Offer>>,
    mailbox: Arc<Mailbox>,
    files: Vec<(FileId, File)>,
    /// The uploads in progress that this connection brings, by their part files.
    feeds: Vec<(FileId, FeedId)>,
    /// Of the request under way, in the log.
    number: u64,
    /// What the listing that is being sent takes of the memory.
    listed: Option<Taken>,
    followings: Vec<(OpId, Subscription)>,
    /// The live resource that is listened to.
    listening: Option<Listening>,
    /// The live resource that comes in.
    airing: Option<Airing>,
    /// The upload that is handed on.
    taking: Option<Under>,
    /// The request under way, where a hook has its part in it.
    hooked: Option<hooked::Hooked>,
    /// When the timer rings. Not set anew for each deadline: one that rings early is a poll for nothing.
    timer: Option<Instant>,
    /// A cold span is on its way into the page cache.
    fetching: bool,
    warm: Warm,
    /// Last, so that the place among the clients is given back when all else is gone.
    admission: Arc<Admission>,
}

#[derive(Debug)]
enum File {
    Open(OpenFile),
    Part(Arc<PartFile>),
}

/// A place among the listeners of a live resource.
#[derive(Debug)]
struct Listening {
    /// The effect that listens.
    live: OpId,
    channel: Arc<Channel>,
    id: ListenerId,
    /// The effect that waits for news.
    waiting: Option<OpId>,
}

/// A live resource that comes in.
#[derive(Debug)]
struct Airing {
    /// The effect that began it.
    live: OpId,
    on_air: OnAir,
    /// What waits for room, and the effect that sends it.
    waiting: Option<(OpId, Group)>,
}

/// What an effect follows.
#[derive(Debug)]
enum Subscription {
    Feed(FeedId),
    Waiting { key: PathBuf, file: FileId },
}

impl<T: Transport> Connection<T> {
    /// A connection that was let in.
    pub fn new(transport: T, mut admission: Admission) -> Self {
        let (session, offer, mailbox) = admission.session();
        Self {
            transport,
            tls: admission.take_tls(),
            session,
            offer,
            renewed: Vec::new(),
            mailbox,
            files: Vec::new(),
            feeds: Vec::new(),
            number: 0,
            listed: None,
            followings: Vec::new(),
            listening: None,
            airing: None,
            taking: None,
            hooked: None,
            timer: None,
            fetching: false,
            warm: Warm::default(),
            admission: Arc::new(admission),
        }
    }

    fn shared(&self) -> &Arc<Shared> {
        self.admission.shared()
    }

    fn rounds(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut now = read_clocks();
        for _ in 0..ROUNDS {
            match self.round(now, cx) {
                Poll::Ready(Round::More) => {}
                Poll::Ready(Round::Late) => now = read_clocks(),
                Poll::Ready(Round::Over) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// One round; `Pending` if nothing is left to do.
    fn round(&mut self, now: Now, cx: &mut Context<'_>) -> Poll<Round> {
        if let Some(round) = self.shake_hands(now, cx) {
            return round;
        }
        let wait = match self.session.poll(now) {
            Step::Do(effect) => {
                self.keep_up();
                self.run(effect, cx);
                return Poll::Ready(Round::More);
            }
            Step::Wait(wait) => wait,
            Step::Closed(how) => {
                if how.reset {
                    // Failure means that there is no connection left to be reset.
                    let _ = set_socket_linger(self.transport.socket(), Some(Duration::ZERO));
                } else if let Some(tls) = &mut self.tls {
                    tls.finish(cx, &mut self.transport);
                }
                return Poll::Ready(Round::Over);
            }
        };
        if self.send(How::WhenReady, cx).is_ready()
            || wait.read && self.receive(How::WhenReady, cx).is_ready()
        {
            return Poll::Ready(Round::Late);
        }
        let messages = self.mailbox.take(cx);
        if messages.is_empty() {
            return self.sleep(wait, cx).map(|()| Round::Late);
        }
        for message in messages {
            self.handle(message);
        }
        Poll::Ready(Round::More)
    }

    /// Effects speak of the roots of the site that the session serves now.
    fn keep_up(&mut self) {
        let site = self.session.site();
        if let Some(at) = self.renewed.iter().position(|offer| Arc::ptr_eq(&offer.site, site)) {
            self.offer = self.renewed.swap_remove(at);
            self.renewed.drain(..at);
        }
    }

    fn send(&mut self, how: How, cx: &mut Context<'_>) -> Poll<()> {
        let Some(what) = self.session.transmit() else {
            if let Some(tls) = &mut self.tls {
                tls.poll_rest(cx, &mut how.over(&mut self.transport));
            }
            return Poll::Pending;
        };
        if self.fetching {
            return Poll::Pending;
        }
        let block = self.admission.shared().options.block_size;
        let (files, warm) = (&self.files, &mut self.warm);
        let source =
            |id| files.iter().find(|(other, _)| *other == id).map(|(_, file)| file.source());
        let mut transport = how.over(&mut self.transport);
        let sent = match &mut self.tls {
            Some(tls) => tls.poll_send(cx, &mut transport, what, *warm, source),
            None => transport
                .poll_write(cx, |socket| output::send(socket, what.clone(), block, warm, source)),
        };
        match sent {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Ok(Sent::Bytes(count))) => {
                // What was fetched is used up, or nearly; what follows is looked for again.
                if self.warm.is_all() {
                    self.warm = Warm::default();
                }
                self.session.handle_sent(count as u64);
            }
            Poll::Ready(Ok(Sent::Cold { file, at, len })) => {
                self.fetching = true;
                self.session.handle_fetching(true);
                let mailbox = self.mailbox.clone();
                blocking::unblock(move || {
                    // What cannot be fetched is read when it is sent.
                    let _ = alarm::contain(|| output::fetch(&file, at, len));
                    mailbox.post(Message::Fetched);
                })
                .detach();
            }
            Poll::Ready(Ok(Sent::Lost(why))) => self.session.abort(why),
            Poll::Ready(Err(error)) => self.session.handle_unsendable(error.kind()),
        }
        Poll::Ready(())
    }

    fn receive(&mut self, how: How, cx: &mut Context<'_>) -> Poll<()> {
        let transport = &mut how.over(&mut self.transport);
        let received = buffers::receive(|buffer| {
            let received = match &mut self.tls {
                Some(tls) => tls.poll_read(cx, transport, buffer),
                None => transport.poll_read(cx, buffer),
            };
            match received {
                Poll::Pending => Err(None),
                Poll::Ready(Err(error)) => Err(Some(error)),
                Poll::Ready(Ok(len)) => Ok(len),
            }
        });
        match received {
            Err(None) => return Poll::Pending,
            Err(Some(error)) => self.session.handle_broken(error.kind()),
            Ok(None) => self.session.handle_eof(),
            Ok(Some(data)) => {
                self.admission.touch();
                self.session.handle_data(data);
            }
        }
        Poll::Ready(())
    }

    fn sleep(&mut self, wait: Wait, cx: &mut Context<'_>) -> Poll<()> {
        let Some((deadline, _)) = wait.deadline else { return Poll::Pending };
        let timer = self.timer.map_or(deadline, |timer| timer.min(deadline));
        self.timer = Some(timer);
        let rings = self.transport.poll_deadline(cx, timer);
        if rings.is_ready() {
            self.timer = None;
        }
        rings
    }

    fn handle(&mut self, message: Message) {
        match message {
            Message::Done(op, result) => self.session.handle_done(op, result),
            Message::Listed(op, entries, truncated, taken) => {
                self.listed = Some(taken);
                self.session.handle_done(op, Ok(Done::Listed { entries, truncated }));
            }
            Message::Opened(op, file, open, meta) => {
                self.files.push((file, File::Open(open)));
                self.session.handle_done(op, Ok(Done::Opened(meta)));
            }
            Message::Created(op, file, part) => {
                self.files.push((file, File::Part(Arc::new(part))));
                self.session.handle_done(op, Ok(Done::Ok));
            }
            Message::Begun(op, feed, fd, growth) => {
                let waiting = self.followings.iter_mut().find(|(other, _)| *other == op);
                if let Some((_, place)) = waiting
                    && let &mut Subscription::Waiting { file, .. } = place
                {
                    *place = Subscription::Feed(feed);
                    self.files.push((file, File::Open(OpenFile { fd, content: None })));
                    self.session.handle_done(op, Ok(Done::Following(growth)));
                }
            }
            Message::Growth(op, growth) => self.session.handle_growth(op, growth),
            Message::Relay(live, others) => {
                others.into_iter().for_each(Follower::news);
                self.handle(Message::News(live));
            }
            Message::News(live) => {
                if self.airing.as_ref().is_some_and(|airing| airing.live == live) {
                    return self.send_waiting();
                }
                let Some(listening) = self.listening.as_mut().filter(|it| it.live == live) else {
                    return;
                };
                if let Some(op) = listening.waiting.take() {
                    return self.take_news(op);
                }
                let (channel, id) = (&listening.channel, listening.id);
                if self.admission.shared().channels.must_go(channel, id, self.admission.peer()) {
                    self.session.abort(io::ErrorKind::TimedOut);
                }
            }
            Message::Fetched => {
                self.fetching = false;
                self.session.handle_fetching(false);
                self.warm = Warm::ALL;
            }
            Message::Renewed(offer) => {
                self.session.renew(offer.site.clone());
                self.renewed.push(offer);
            }
            Message::ShutDown => self.session.shut_down(),
            Message::Abort => self.session.abort(io::ErrorKind::ConnectionAborted),
        }
    }

    fn run(&mut self, effect: Effect, cx: &mut Context<'_>) {
        match effect {
            Effect::Open { op, file, place } => {
                let follows = !self.followings.is_empty();
                match open(&self.offer.roots, self.shared(), &place, (true, follows)) {
                    Some(Ok((open, meta))) => self.handle(Message::Opened(op, file, open, meta)),
                    Some(Err(error)) => self.session.handle_done(op, Err(error)),
                    None => {
                        let (roots, shared) = (self.offer.roots.clone(), self.shared().clone());
                        self.unblock(op, move || {
                            match open(&roots, &shared, &place, (false, follows)) {
                                Some(opened) => {
                                    opened.map(|(open, meta)| Message::Opened(op, file, open, meta))
                                }
                                None => Err(FsError::Other(io::ErrorKind::WouldBlock)),
                            }
                        });
                    }
                }
            }
            Effect::Stat { op, place } => {
                let roots = self.offer.roots.clone();
                self.perform(op, roots.is_in_memory(&place), move || {
                    roots.stat(&place).map(|meta| Message::Done(op, Ok(Done::Stat(meta))))
                });
            }
            Effect::Create { op, file, place, len, media_type } => {
                let roots = self.offer.roots.clone();
                self.perform(op, roots.is_in_memory(&place), move || {
                    let part = roots.create(&place, len)?;
                    if let Some(media_type) = media_type {
                        part.keep_media_type(&media_type);
                    }
                    Ok(Message::Created(op, file, part))
                });
            }
            Effect::MediaType { op, file } => {
                let open = self.files.iter().find(|(other, _)| *other == file);
                let kept = open.and_then(|(_, file)| self.offer.roots.media_type(file.fd()));
                self.session.handle_done(op, Ok(Done::MediaType(kept)));
            }
            Effect::Write { op, file, at, data } => match self.part(file) {
                Some(part) => self.perform(op, part.is_in_memory(), move || {
                    let written = part.write_all_at(at, &data);
                    // Its buffers and the file are free before the session goes on.
                    drop((data, part));
                    written.map(|()| Message::Done(op, Ok(Done::Ok)))
                }),
                None => self.session.handle_done(op, Err(FsError::NotFound)),
            },
            Effect::Commit { op, file, place, expect, durable } => match self.take_part(file) {
                Some(part) => self.perform(op, part.is_in_memory(), move || {
                    part.commit(&place, expect, durable).map(|done| committed(op, done))
                }),
                None => self.session.handle_done(op, Err(FsError::NotFound)),
            },
            Effect::CommitPatches { op, file, place, expect, durable, create, patches } => {
                match self.take_part(file) {
                    Some(part) => self.unblock(op, move || {
                        let done = part.commit_patches(&place, expect, durable, create, &patches);
                        done.map(|done| committed(op, done))
                    }),
                    None => self.session.handle_done(op, Err(FsError::NotFound)),
                }
            }
            Effect::Remove { op, place, expect } => {
                let roots = self.offer.roots.clone();
                self.perform(op, roots.is_in_memory(&place), move || {
                    roots.remove(&place, expect).map(|()| Message::Done(op, Ok(Done::Ok)))
                });
            }
            Effect::Close { file } => {
                if let Some(file) = self.take_file(file) {
                    file.close(&self.admission);
                }
            }
            Effect::Announce { file, place, len } => {
                let shared = self.admission.shared().clone();
                if let Some(part) = self.part(file) {
                    let key = self.offer.roots.key(&place);
                    self.feeds.push((file, shared.announce(key, part.file().clone(), len)));
                }
            }
            Effect::Grown { file, len } => {
                if let Some((_, feed)) = self.feeds.iter().find(|(other, _)| *other == file) {
                    self.shared().grown(*feed, len);
                }
            }
            Effect::Ended { file, complete } => self.end_feed(file, complete),
            Effect::Follow { op, file, place, wait } => {
                let follower = Follower { mailbox: self.mailbox.clone(), op };
                let roots = &self.offer.roots;
                match self.shared().follow(|| roots.key(&place), follower, wait) {
                    Following::Feed(feed, fd, growth) => {
                        self.followings.push((op, Subscription::Feed(feed)));
                        self.files.push((file, File::Open(OpenFile { fd, content: None })));
                        self.session.handle_done(op, Ok(Done::Following(growth)));
                    }
                    Following::Waiting(key) => {
                        self.followings.push((op, Subscription::Waiting { key, file }));
                    }
                    Following::Nothing => self.session.handle_done(op, Ok(Done::NotGrowing)),
                }
            }
            Effect::Unfollow { op } => {
                if let Some(at) = self.followings.iter().position(|(other, _)| *other == op) {
                    let (op, place) = self.followings.swap_remove(at);
                    let follower = Follower { mailbox: self.mailbox.clone(), op };
                    place.leave(self.shared(), &follower);
                }
            }
            Effect::Locate { op, place, last } => {
                match self.offer.roots.locate_cached(&place, last) {
                    Some((real, path)) => {
                        let located = Done::Located { real, root: None, path };
                        self.session.handle_done(op, Ok(located));
                    }
                    None => {
                        let roots = self.offer.roots.clone();
                        self.unblock(op, move || {
                            let (real, root, path) = roots.locate(&place, last)?;
                            Ok(Message::Done(op, Ok(Done::Located { real, root, path })))
                        });
                    }
                }
            }
            Effect::List { op, place, mounts, order, most } => {
                let roots = self.offer.roots.clone();
                let budget = self.shared().listings.clone();
                self.unblock(op, move || {
                    let (entries, truncated, taken) =
                        roots.list(&place, mounts, order, most, &budget)?;
                    Ok(Message::Listed(op, entries, truncated, taken))
                });
            }
            Effect::Encode { op, file, place, meta, coding } => {
                self.encode(op, file, (place, coding), meta);
            }
            Effect::Verify { op, user, password, credential } => {
                let waiter = Follower { mailbox: self.mailbox.clone(), op };
                let peer = self.admission.peer();
                let verifier = &self.shared().verifier;
                if let Some(verified) = verifier.ask(peer, &user, password, credential, waiter) {
                    self.session.handle_done(op, Ok(Done::Verified(verified)));
                }
            }
            Effect::Listen { op, path } => {
                let done = match self.shared().channels.listen(&path) {
                    Some((channel, id, live)) => {
                        // What waits in the kernel would count neither as sent nor as behind.
                        let most = channel.max_async_buf().clamp(16 << 10, 16 << 20) as usize;
                        let _ = set_socket_send_buffer_size(self.transport.socket(), most);
                        self.listening = Some(Listening { live: op, channel, id, waiting: None });
                        live
                    }
                    None => Done::NotLive,
                };
                self.session.handle_done(op, Ok(done));
            }
            Effect::Take { op, .. } => self.take_news(op),
            Effect::Leave { live } => {
                if let Some(Listening { channel, id, .. }) =
                    self.listening.take_if(|listening| listening.live == live)
                {
                    channel.leave(id);
                }
            }
            Effect::Air { op, path, description } => {
                let shared = self.shared().clone();
                let options = shared.options.live;
                let done = match OnAir::begin(&shared, path, description, options) {
                    Some(on_air) => {
                        on_air.channel.let_clients_retitle();
                        self.airing = Some(Airing { live: op, on_air, waiting: None });
                        Ok(Done::Ok)
                    }
                    None => Err(FsError::Changed),
                };
                self.session.handle_done(op, done);
            }
            Effect::Send { op, live, group, audio } => {
                if let Some(airing) = self.airing.as_mut().filter(|airing| airing.live == live) {
                    if let Some(audio) = audio {
                        airing.on_air.channel.set_audio(audio);
                    }
                    airing.waiting = Some((op, group));
                    self.send_waiting();
                }
            }
            Effect::Retitle { op, path, title } => {
                let done = match self.shared().channels.retitle(&path, title) {
                    true => Ok(Done::Ok),
                    false => Err(FsError::NotFound),
                };
                self.session.handle_done(op, done);
            }
            Effect::OffAir { live, complete } => {
                if let Some(Airing { on_air, .. }) =
                    self.airing.take_if(|airing| airing.live == live)
                {
                    let peer = self.admission.peer();
                    let path = on_air.path();
                    if complete {
                        tracing::info!(%peer, path, "the source is over");
                        on_air.end();
                    } else {
                        tracing::warn!(%peer, path, "the source broke off");
                    }
                }
            }
            Effect::Give { op, to, data } if self.is_hooked(to) => self.give_hook(op, to, data),
            Effect::Given { op, to } if self.is_hooked(to) => self.end_hook(op, to),
            Effect::Deliver { op, delivery } => {
                self.taking = Some(Under::begin(op, *delivery, &self.mailbox, &self.admission));
            }
            Effect::Give { op, to, data } => {
                match self.taking.as_mut().filter(|taking| taking.id == to) {
                    Some(taking) => taking.give(op, data, &self.mailbox),
                    None => self.session.handle_done(op, Err(FsError::NotFound)),
                }
            }
            Effect::Given { op, to } => match self.taking.take_if(|taking| taking.id == to) {
                Some(taking) => taking.finish(op, &self.mailbox),
                None => self.session.handle_done(op, Err(FsError::NotFound)),
            },
            Effect::Withdraw { to } => drop(self.taking.take_if(|taking| taking.id == to)),
            Effect::Ask { op, question } => self.ask_hook(op, *question),
            Effect::Pull { op, hook } => self.pull_hook(op, hook),
            Effect::Pace { op, hook, done, total } => self.pace_hook(op, hook, (done, total)),
            Effect::Dismiss { hook, complete } => self.dismiss_hook(hook, complete),
            Effect::Metrics { op } => {
                let text = self.shared().metrics_text();
                self.session.handle_done(op, Ok(Done::Text(text)));
            }
            Effect::Health { op } => {
                let (roots, site) = (self.offer.roots.clone(), self.offer.site.clone());
                self.unblock(op, move || {
                    let done = match roots.problem(&site) {
                        Some(problem) => Done::Text(problem),
                        None => Done::Ok,
                    };
                    Ok(Message::Done(op, Ok(done)))
                });
            }
            Effect::Begun { method, asked } => {
                self.number = self.shared().next_number();
                self.shared().logs.begun(self.number, self.admission.peer(), method, &asked);
            }
            Effect::Over(report) => {
                self.listed = None;
                if let (Some(PeerError::Timeout(Timer::RequestBody)), Some(method)) =
                    (report.why, report.method)
                {
                    let (peer, received) = (self.admission.peer(), report.received);
                    tracing::warn!(
                        %peer, %method, received,
                        "the client stopped sending, or sent too slowly: its connection is closed; --body-timeout and \
                         --body-rate say how long it may pause and how slow it may be"
                    );
                }
                let shared = self.shared();
                shared.metrics.request(&report);
                shared.logs.over(self.number, self.admission.peer(), &report);
            }
            Effect::Recheck { read } => {
                // What comes of it is told to the session; nothing is, if nothing does.
                let _ = self.send(How::AtOnce, cx);
                if read {
                    let _ = self.receive(How::AtOnce, cx);
                }
            }
            Effect::ShutdownWrite => match &mut self.tls {
                Some(tls) => tls.finish(cx, &mut self.transport),
                // Failure means that the peer is gone, which reading tells too.
                None => drop(shutdown(self.transport.socket(), Shutdown::Write)),
            },
        }
    }

    /// What there is for the listener; or else it waits.
    fn take_news(&mut self, op: OpId) {
        let shared = self.admission.shared();
        let Some(listening) = &mut self.listening else {
            return self.session.handle_done(op, Err(FsError::NotFound));
        };
        let waiter = || Follower { mailbox: self.mailbox.clone(), op: listening.live };
        let listener = (listening.id, self.admission.peer());
        match shared.channels.take(&listening.channel, listener, waiter) {
            Some(news) => self.session.handle_done(op, Ok(Done::News(news))),
            None => listening.waiting = Some(op),
        }
    }

    /// Sends what came in, if there is room; or else it waits.
    fn send_waiting(&mut self) {
        let Some(airing) = &mut self.airing else { return };
        let producer = || Follower { mailbox: self.mailbox.clone(), op: airing.live };
        if airing.waiting.is_some()
            && airing.on_air.channel.has_room(producer)
            && let Some((op, group)) = airing.waiting.take()
        {
            airing.on_air.channel.push(group);
            self.session.handle_done(op, Ok(Done::Ok));
        }
    }

    fn encode(&mut self, op: OpId, file: FileId, key: Key, meta: Meta) {
        let open = self.files.iter().find(|(other, _)| *other == file);
        let Some(fd) = open.map(|(_, file)| file.fd().clone()) else {
            return self.session.handle_done(op, Err(FsError::NotFound));
        };
        let inode = match Inode::of(&fd) {
            Ok(inode) => inode,
            Err(error) => return self.session.handle_done(op, Err(error)),
        };
        let waiter = Follower { mailbox: self.mailbox.clone(), op };
        let alone = match self.offer.encoded.want(&key, inode, waiter) {
            Wanted::Made(bytes) => return self.session.handle_done(op, Ok(Done::Encoded(bytes))),
            Wanted::Waits => return,
            Wanted::Make(alone) => alone,
        };
        let (offer, admission) = (self.offer.clone(), self.admission.clone());
        blocking::unblock(move || {
            let _admission = admission;
            let result = alarm::contain(|| encoded::encode(&fd, meta.len, key.1));
            let result = result.unwrap_or_else(|Panicked| Err(PANICKED));
            let waiters = match alone {
                Some(waiter) => vec![waiter],
                None => offer.encoded.made(&key, &result),
            };
            for waiter in waiters {
                let result = result.clone().map(Done::Encoded);
                waiter.mailbox.post(Message::Done(waiter.op, result));
            }
        })
        .detach();
    }

    /// Does it now, where there is no device to be waited for, or else where waiting holds up nobody.
    fn perform(
        &mut self,
        op: OpId,
        is_in_memory: bool,
        work: impl FnOnce() -> Result<Message, FsError> + Send + 'static,
    ) {
        if is_in_memory {
            self.handle(work().unwrap_or_else(|error| Message::Done(op, Err(error))));
        } else {
            self.unblock(op, work);
        }
    }

    /// Does it where waiting for a device holds up nobody, and answers by the mailbox.
    fn unblock(&self, op: OpId, work: impl FnOnce() -> Result<Message, FsError> + Send + 'static) {
        let (mailbox, admission) = (self.mailbox.clone(), self.admission.clone());
        blocking::unblock(move || {
            let _admission = admission;
            let done = alarm::contain(work).unwrap_or_else(|Panicked| Err(PANICKED));
            mailbox.post(done.unwrap_or_else(|error| Message::Done(op, Err(error))));
        })
        .detach();
    }

    fn part(&self, id: FileId) -> Option<Arc<PartFile>> {
        self.files.iter().find(|(other, _)| *other == id).and_then(|(_, file)| match file {
            File::Part(part) => Some(part.clone()),
            File::Open(_) => None,
        })
    }

    /// Takes a part file out to be committed: nothing is being written to it any more.
    fn take_part(&mut self, id: FileId) -> Option<PartFile> {
        match self.take_file(id)? {
            File::Part(part) => Arc::into_inner(part),
            File::Open(_) => None,
        }
    }

    fn take_file(&mut self, id: FileId) -> Option<File> {
        let at = self.files.iter().position(|(other, _)| *other == id)?;
        let (_, file) = self.files.swap_remove(at);
        if self.files.is_empty() {
            self.files = Vec::new();
        }
        Some(file)
    }

    fn end_feed(&mut self, id: FileId, complete: bool) {
        if let Some(at) = self.feeds.iter().position(|(other, _)| *other == id) {
            let (_, feed) = self.feeds.swap_remove(at);
            self.shared().ended(feed, complete);
        }
    }
}

impl<T: Transport> Future for Connection<T> {
    type Output = ();

    /// A panic ends this connection only, and not the thread that serves others.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        alarm::contain(|| self.rounds(cx)).unwrap_or(Poll::Ready(()))
    }
}

impl<T> Drop for Connection<T> {
    /// A connection that is dropped before its end leaves nothing behind either.
    fn drop(&mut self) {
        if let Some(hooked) = self.hooked.take() {
            hooked.leave();
        }
        let shared = self.admission.shared();
        for (_, feed) in self.feeds.drain(..) {
            shared.ended(feed, false);
        }
        for (op, place) in self.followings.drain(..) {
            place.leave(shared, &Follower { mailbox: self.mailbox.clone(), op });
        }
        if let Some(Listening { channel, id, .. }) = self.listening.take() {
            channel.leave(id);
        }
        self.mailbox.close();
        for (_, file) in self.files.drain(..) {
            file.close(&self.admission);
        }
    }
}

enum Round {
    More,
    /// Time has passed: the socket was used, or the timer rang. The process may have stood still
    /// meanwhile, so the next deadlines are counted from a new look at the clocks.
    Late,
    Over,
}

impl Subscription {
    fn leave(&self, shared: &Shared, follower: &Follower) {
        match self {
            Self::Feed(feed) => shared.unfollow(*feed, follower),
            Self::Waiting { key, .. } => shared.unwait(key, follower),
        }
    }
}

impl File {
    fn fd(&self) -> &Arc<OwnedFd> {
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

    /// To remove a part file may take a while, since the room that it held is given back; the server does not end before
    /// that is done.
    fn close(self, admission: &Arc<Admission>) {
        match self {
            Self::Open(_) => {}
            // Its bytes may be needed by the next request.
            Self::Part(part) if part.is_in_memory() => {
                if let Some(part) = Arc::into_inner(part) {
                    part.abandon();
                }
            }
            Self::Part(part) => {
                let admission = admission.clone();
                blocking::unblock(move || drop((part, admission))).detach();
            }
        }
    }
}

/// Opens a file, or what stands for it; `None` if that cannot be done without waiting for the disk.
fn open(
    roots: &Roots,
    shared: &Shared,
    place: &Place,
    (cached, follows): (bool, bool),
) -> Option<Result<(OpenFile, Meta), FsError>> {
    match roots.open_file(place, cached) {
        Opened::Ready(opened) => Some(
            opened.and_then(|opened| shared.held.standing(|| roots.key(place), opened, follows)),
        ),
        Opened::WouldBlock => None,
    }
}

fn committed(op: OpId, (created, meta): (bool, Meta)) -> Message {
    Message::Done(op, Ok(Done::Committed { created, meta }))
}

fn read_clocks() -> Now {
    Now { mono: Instant::now(), wall: SystemTime::now() }
}
