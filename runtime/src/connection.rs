//! The driver: one connection's session, its socket and its files. Written once for every runtime.

mod delivery;
mod exchanges;
mod fs;
mod hooked;
mod live;
mod report;
#[cfg(feature = "tls")]
mod secure;
#[cfg(not(feature = "tls"))]
#[path = "without/secure.rs"]
mod secure;

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant, SystemTime},
};

use httpout_proto::{
    Done, Effect, ExchangeId, FsError, Now, Session, Step, Wait,
    effect::{AuthEffect, ConnectionEffect, LogEffect},
};
use rustix::{
    fd::BorrowedFd,
    net::{Shutdown, shutdown, sockopt::set_socket_linger},
};

use self::exchanges::{Driver, Exchange, Exchanges};
use crate::{
    alarm, buffers,
    direct::{self, How},
    mailbox::{Follower, Mailbox, Message},
    output::{self, Sent, Warm},
    server::{ConnectionPermit, SiteState},
    tls::Tls,
};

/// What an effect comes to whose work panicked.
const PANICKED: FsError = FsError::Other(io::ErrorKind::Other);
/// Rounds of a busy connection before the others on its thread have their turn.
const ROUNDS: usize = 32;

/// A connected socket, and a timer, as a runtime has them.
pub trait Transport: Unpin {
    /// Receives; 0 bytes are the end. Nothing but `WouldBlock` says that there is no more: urgent
    /// data shortens a receive.
    ///
    /// # Errors
    /// Those of the socket, without `WouldBlock`.
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>>;

    /// Calls `send` when the socket is writable; if that would block, waits and calls it again.
    /// Nothing but `WouldBlock` says that the socket is full: a signal can shorten a send, and a
    /// readiness that is cleared for that never comes back.
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
    /// What the next request is served from.
    offer: Arc<SiteState>,
    /// What earlier ones are still served from.
    former: Vec<Arc<SiteState>>,
    mailbox: Arc<Mailbox>,
    exchanges: Exchanges,
    /// When the timer rings. Not set again for each deadline: one that rings early is a poll for
    /// nothing.
    timer: Option<Instant>,
    /// A cold span is on its way into the page cache.
    fetching: bool,
    warm: Warm,
    /// Last, so that the place among the clients is given back when all else is gone.
    permit: Arc<ConnectionPermit>,
}

impl<T: Transport> Connection<T> {
    /// A connection that was let in.
    pub fn new(transport: T, mut permit: ConnectionPermit) -> Self {
        let (session, offer, mailbox) = permit.session();
        Self {
            transport,
            tls: permit.take_tls(),
            session,
            offer,
            former: Vec::new(),
            mailbox,
            exchanges: Exchanges::default(),
            timer: None,
            fetching: false,
            warm: Warm::default(),
            permit: Arc::new(permit),
        }
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
        let block = self.permit.shared().options.block_size;
        let (exchanges, warm) = (&self.exchanges, &mut self.warm);
        let source = |id| exchanges.source(id);
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
            Poll::Ready(Ok(Sent::Lost { file, why })) => self.session.handle_lost_file(file, why),
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
                self.permit.touch();
                self.session.handle_data(data);
            }
        }
        Poll::Ready(())
    }

    fn sleep(&mut self, wait: Wait, cx: &mut Context<'_>) -> Poll<()> {
        self.exchanges.rest();
        if !self.session.is_active() {
            self.former = Vec::new();
        }
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
        let Self { session, mailbox, permit, exchanges, .. } = self;
        let driver = &mut Driver { session, mailbox, permit };
        match message {
            Message::Done(op, result) => driver.done(op, result),
            Message::Listed(op, ..) | Message::Opened(op, ..) | Message::Created(op, ..) => {
                if let Some(exchange) = exchanges.get_mut(op.exchange()) {
                    exchange.handle_file(message, driver);
                }
            }
            Message::Begun(op, feed, fd, growth) => {
                if let Some(exchange) = exchanges.get_mut(op.exchange()) {
                    exchange.handle_begun(op, (feed, fd, growth), driver);
                }
            }
            Message::Growth(op, growth) => driver.session.handle_growth(op, growth),
            Message::Relay(live, others) => {
                others.into_iter().for_each(Follower::news);
                self.handle(Message::News(live));
            }
            Message::News(live) => {
                if let Some(exchange) = exchanges.get_mut(live.exchange()) {
                    exchange.handle_news(live, driver);
                }
            }
            Message::Fetched => {
                self.fetching = false;
                self.session.handle_fetching(false);
                self.warm = Warm::ALL;
            }
            Message::Renewed => {
                let offer = self.permit.shared().offer();
                self.session.renew(offer.site.clone());
                self.former.push(std::mem::replace(&mut self.offer, offer));
            }
            Message::ShutDown => self.session.shut_down(),
            Message::Abort => self.session.abort(io::ErrorKind::ConnectionAborted),
        }
    }

    fn run(&mut self, effect: Effect, cx: &mut Context<'_>) {
        match effect {
            Effect::Fs(id, effect) => {
                let (exchange, mut driver) = self.at(id);
                exchange.run_fs(effect, &mut driver);
            }
            Effect::Live(id, effect) => {
                let (exchange, mut driver, socket) = self.at_socket(id);
                exchange.run_live(effect, &mut driver, socket);
            }
            Effect::Delivery(id, effect) => {
                let (exchange, mut driver) = self.at(id);
                exchange.run_delivery(effect, &mut driver);
            }
            Effect::Hook(id, effect) => {
                let (exchange, mut driver) = self.at(id);
                exchange.run_hook(effect, &mut driver);
            }
            Effect::Auth(_, AuthEffect::Verify { op, user, password, credential }) => {
                let waiter = Follower { mailbox: self.mailbox.clone(), op };
                let peer = self.permit.peer();
                let verifier = &self.permit.shared().verifier;
                if let Some(verified) = verifier.ask(peer, &user, password, credential, waiter) {
                    self.session.handle_done(op, Ok(Done::Verified(verified)));
                }
            }
            Effect::Admin(id, effect) => {
                let (exchange, mut driver) = self.at(id);
                exchange.run_admin(effect, &mut driver);
            }
            Effect::Log(id, effect) => {
                let is_over = matches!(effect, LogEffect::Over(_));
                let (exchange, driver) = self.at(id);
                exchange.run_log(effect, driver.permit);
                if is_over && let Some(exchange) = self.exchanges.remove(id) {
                    exchange.release(&self.mailbox, &self.permit);
                }
            }
            Effect::Connection(ConnectionEffect::Recheck { read }) => {
                // What comes of it is told to the session; nothing is, if nothing does.
                let _ = self.send(How::AtOnce, cx);
                if read {
                    let _ = self.receive(How::AtOnce, cx);
                } else if direct::is_closing(self.transport.socket()) {
                    self.session.handle_closing();
                }
            }
            Effect::Connection(ConnectionEffect::ShutdownWrite) => match &mut self.tls {
                Some(tls) => tls.finish(cx, &mut self.transport),
                // Failure means that the peer is gone, which reading tells too.
                None => drop(shutdown(self.transport.socket(), Shutdown::Write)),
            },
        }
    }

    /// What is held for an exchange, and what its effects use.
    fn at(&mut self, id: ExchangeId) -> (&mut Exchange, Driver<'_>) {
        let (exchange, driver, _) = self.at_socket(id);
        (exchange, driver)
    }

    fn at_socket(&mut self, id: ExchangeId) -> (&mut Exchange, Driver<'_>, BorrowedFd<'_>) {
        let Self { session, mailbox, permit, exchanges, offer, former, transport, .. } = self;
        let exchange = exchanges.entry(id, || {
            let site = session.site(id);
            let served = former.iter().find(|former| Arc::ptr_eq(&former.site, site));
            served.unwrap_or(offer).clone()
        });
        (exchange, Driver { session, mailbox, permit }, transport.socket())
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
        for exchange in self.exchanges.drain() {
            exchange.release(&self.mailbox, &self.permit);
        }
        self.mailbox.close();
    }
}

enum Round {
    More,
    /// Time has passed: the socket was used, or the timer rang. The process may have stood still
    /// meanwhile, so the next deadlines are counted from a new look at the clocks.
    Late,
    Over,
}

fn read_clocks() -> Now {
    Now { mono: Instant::now(), wall: SystemTime::now() }
}
