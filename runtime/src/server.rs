//! What the connections of a server share, and how they are let in and sent home.

use std::{
    collections::{HashMap, HashSet},
    io,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use event_listener::{Event, EventListener};
use futures_lite::future;
use httpout_proto::{
    Client, Config, ConfigError, Done, Hub, OpId, Session, Site,
    auth::gate::Peer,
    effect::Verified,
    live::{FeedId, Growth, LiveOptions},
};
use rustix::fd::OwnedFd;

use crate::{
    alarm::Alarm,
    files::{Roots, encoded::Encoded, list::Budget},
    held::Held,
    hook::Hook,
    live::Channels,
    mailbox::{Mailbox, Message},
    metrics::{Gauges, Metrics, Statistics},
    request_log::{LogOptions, Logs},
    source::Deliveries,
    tls::{Secured, Tls},
    verify::{self, Verifier, Waiter},
};

/// Connections beyond the limit that are told so at a time; more are closed without a word.
const REFUSED_AT_ONCE: usize = 256;
/// Peers whose first refusal is remembered, so that it is logged once.
const REFUSALS_NOTED: usize = 1024;
/// Connections on the admin address at a time. One more takes the place of the one that has been
/// silent longest: clients that only stay connected must not keep probes out.
const ADMIN_AT_ONCE: usize = 64;
/// Larger blocks would be copied for nothing, and each thread has one.
const LARGEST_BLOCK: usize = 1 << 20;
/// How long a file that nobody asks for may be kept open, twice over.
const SWEEP: Duration = Duration::from_secs(1);

/// The runtime's own options.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// Most connections (`maxc`); 0: no limit.
    #[doc(alias = "maxc")]
    pub max_connections: usize,
    /// Most connections of one peer (`maxp`): an IPv4 address, or an IPv6 network of 64 bits; 0: no
    /// limit.
    #[doc(alias = "maxp")]
    pub max_connections_per_peer: usize,
    /// Files, and pieces of files, up to this size in bytes are read and sent together with their
    /// head in one call (`block_size`, at most 1 MiB); larger ones go by `sendfile`.
    pub block_size: usize,
    /// Stop when the last client is gone (`quit`).
    pub quit: bool,
    /// How live resources are treated that clients send (`icecast`).
    pub live: LiveOptions,
    /// Logs of requests.
    pub log: LogOptions,
    /// What decides about requests (`js`).
    pub hook: Option<AnyHook>,
}

/// A [`Hook`], shared by the connections.
pub type AnyHook = Arc<dyn Hook>;

impl Default for Options {
    fn default() -> Self {
        Self {
            max_connections: 100,
            max_connections_per_peer: 32,
            block_size: 10_000,
            quit: false,
            live: LiveOptions::default(),
            log: LogOptions::default(),
            hook: None,
        }
    }
}

/// The state of a server, shared by its connections.
#[derive(Debug)]
pub struct Shared {
    offer: RwLock<Arc<Offer>>,
    pub(crate) options: Options,
    pub(crate) tls: Secured,
    pub(crate) verifier: Verifier<Follower>,
    pub(crate) listings: Arc<Budget>,
    pub(crate) metrics: Metrics,
    pub(crate) logs: Logs,
    /// Requests that were numbered for the log.
    numbered: AtomicU64,
    pub(crate) channels: Channels,
    pub(crate) held: Held,
    pub(crate) deliveries: Deliveries,
    hub: Mutex<Feeds>,
    /// Uploads in progress, so that a request need not take the lock where there is none.
    feeds: AtomicUsize,
    clients: Mutex<Clients>,
    /// Inputs that are not over.
    inputs: AtomicUsize,
    /// What the server cannot do without reports its failure here.
    pub(crate) alarm: Alarm,
    stopping: AtomicBool,
    stop: Event,
    drained: Event,
}

/// What is served, until a reload.
#[derive(Debug)]
pub(crate) struct Offer {
    pub(crate) site: Arc<Site>,
    pub(crate) roots: Arc<Roots>,
    pub(crate) encoded: Encoded<Follower>,
}

/// What a listening socket is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// What the site offers.
    Public,
    /// The same, over TLS.
    Secure,
    /// Counters and health, for the operator.
    Admin,
}

type Feeds = Hub<PathBuf, Arc<OwnedFd>, Follower>;

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

#[derive(Debug, Default)]
struct Clients {
    next: u64,
    open: HashMap<u64, Arc<Mailbox>>,
    peers: HashMap<Peer, usize>,
    admitted: usize,
    refused: usize,
    /// Connections on the admin address, the one first that has been silent longest.
    admin: Vec<u64>,
    /// A client was let in.
    had_one: bool,
    /// Whose first refusal was logged, and by which limit.
    refusals: HashSet<(IpAddr, &'static str)>,
}

impl Clients {
    /// Notes that a peer is refused; true if it is to be logged. When many are noted, all are
    /// forgotten.
    fn note_refusal(&mut self, peer: IpAddr, limit: &'static str) -> bool {
        if self.refusals.len() >= REFUSALS_NOTED {
            self.refusals.clear();
        }
        self.refusals.insert((peer, limit))
    }
}

/// A connection's place among the clients; given back when it is dropped.
#[derive(Debug)]
pub struct Admission {
    shared: Arc<Shared>,
    id: u64,
    peer: IpAddr,
    port: u16,
    entry: Entry,
    tls: Option<Box<Tls>>,
}

/// How a connection is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entry {
    Admitted,
    /// To be told that there are too many.
    Refused,
    Admin,
}

impl Shared {
    /// Opens the directories of the site.
    ///
    /// # Errors
    /// A directory that cannot be had.
    pub fn new(config: Config, mut options: Options) -> Result<Arc<Self>, ConfigError> {
        let site = check(config, &options)?;
        let alarm = Alarm::default();
        let logs = Logs::open(&options.log, &alarm).map_err(|error| ConfigError {
            option: "access-log",
            problem: match &options.log.access {
                Some(file) => format!("{} cannot be written: {error}", file.display()),
                None => format!("cannot be written: {error}"),
            },
            help: "name a file in a directory that this user may write to, or - for standard output",
        })?;
        options.block_size = options.block_size.min(LARGEST_BLOCK);
        let verifier = Verifier::new().map_err(|error| ConfigError {
            option: "users",
            problem: format!("the system gives no random bytes: {error}"),
            help: "make /dev/urandom available",
        })?;
        let offer = Offer { roots: Roots::open(&site)?, site, encoded: Encoded::default() };
        Ok(Arc::new(Self {
            offer: RwLock::new(Arc::new(offer)),
            options,
            tls: Secured::default(),
            verifier,
            listings: Arc::default(),
            metrics: Metrics::new(),
            logs,
            numbered: AtomicU64::new(0),
            channels: Channels::default(),
            held: Held::default(),
            deliveries: Deliveries::default(),
            hub: Mutex::default(),
            feeds: AtomicUsize::new(0),
            clients: Mutex::default(),
            inputs: AtomicUsize::new(0),
            alarm,
            stopping: AtomicBool::new(false),
            stop: Event::new(),
            drained: Event::new(),
        }))
    }

    /// What is served.
    pub fn site(&self) -> Arc<Site> {
        self.offer().site.clone()
    }

    pub(crate) fn offer(&self) -> Arc<Offer> {
        read(&self.offer).clone()
    }

    /// Serves another site from now on: to connections that are open, from their next request on.
    ///
    /// # Errors
    /// An option that cannot be obeyed; then nothing is changed.
    pub fn renew(
        &self,
        config: impl FnOnce() -> Result<Config, ConfigError>,
    ) -> Result<(), ConfigError> {
        let renewed = config().and_then(|config| self.try_renew(config));
        self.metrics.reload(renewed.is_ok());
        renewed
    }

    fn try_renew(&self, config: Config) -> Result<(), ConfigError> {
        let renewal = self.tls.read_anew()?;
        let site = check(config, &self.options)?;
        let roots = self.offer().roots.reopen(&site)?;
        // Last of what may fail: it cannot be taken back.
        self.options.hook.as_ref().map_or(Ok(()), |hook| hook.renew())?;
        self.tls.renew(renewal);
        self.install(Offer { site, roots, encoded: Encoded::default() });
        Ok(())
    }

    /// A served directory was replaced by another of its name: serves that one from now on.
    ///
    /// # Errors
    /// A directory that cannot be used; then nothing is changed.
    pub(crate) fn reopen_roots(&self) -> Result<(), ConfigError> {
        let site = self.site();
        let roots = self.offer().roots.reopen(&site)?;
        self.install(Offer { site, roots, encoded: Encoded::default() });
        Ok(())
    }

    fn install(&self, offer: Offer) {
        let offer = Arc::new(offer);
        *self.offer.write().unwrap_or_else(PoisonError::into_inner) = offer.clone();
        for mailbox in lock(&self.clients).open.values() {
            mailbox.post(Message::Renewed(offer.clone()));
        }
    }

    // ---- clients ----

    /// Lets a connection in, or in to be refused; `None` if there are too many even of those.
    pub fn admit(self: &Arc<Self>, peer: SocketAddr, door: Door) -> Option<Admission> {
        let (peer, port) = (peer.ip().to_canonical(), peer.port());
        let tls = match door {
            // Never in the clear what was to be secured.
            Door::Secure => Some(Box::new(self.tls.begin()?)),
            Door::Public | Door::Admin => None,
        };
        let Options { max_connections: maxc, max_connections_per_peer: maxp, .. } = self.options;
        let mut clients = lock(&self.clients);
        let of_peer = clients.peers.get(&Peer::of(peer)).copied().unwrap_or(0);
        let over = if maxp > 0 && of_peer >= maxp {
            Some(("maxp", maxp))
        } else if maxc > 0 && clients.admitted >= maxc {
            Some(("maxc", maxc))
        } else {
            None
        };
        let full = over.is_some();
        if let Some((option, most)) = over.filter(|_| door != Door::Admin)
            && clients.note_refusal(peer, option)
        {
            let whose = if option == "maxp" { "the address" } else { "all clients" };
            tracing::warn!(
                %peer,
                "a connection is refused: {whose} may have {most} at a time; raise --{option} to allow more \
                 (further refusals of this address are not logged)"
            );
        }
        let entry = match door {
            Door::Admin => Entry::Admin,
            Door::Public | Door::Secure if !full => Entry::Admitted,
            Door::Public | Door::Secure if clients.refused >= REFUSED_AT_ONCE => return None,
            Door::Public | Door::Secure => Entry::Refused,
        };
        if door != Door::Admin {
            self.metrics.connection(entry == Entry::Refused);
        }
        match entry {
            Entry::Admin => clients.make_room_for_admin(),
            Entry::Refused => clients.refused += 1,
            Entry::Admitted => {
                clients.admitted += 1;
                clients.had_one = true;
                *clients.peers.entry(Peer::of(peer)).or_default() += 1;
            }
        }
        clients.next += 1;
        let id = clients.next;
        if entry == Entry::Admin {
            clients.admin.push(id);
        }
        Some(Admission { shared: self.clone(), id, peer, port, entry, tls })
    }

    /// No more connections and no more requests: those under way are answered.
    pub fn shut_down(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        self.stop.notify(usize::MAX);
        self.channels.shut_down();
        for mailbox in lock(&self.clients).open.values() {
            mailbox.post(Message::ShutDown);
        }
    }

    /// Cuts the connections that are left.
    pub fn abort(&self) {
        self.deliveries.abort();
        for mailbox in lock(&self.clients).open.values() {
            mailbox.post(Message::Abort);
        }
    }

    /// True once [`shut_down`](Self::shut_down) was called.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// Resolves when it was [shut down](Self::shut_down) and neither a connection nor an input is
    /// left.
    ///
    /// # Errors
    /// A part has failed that the server cannot do without: an acceptor, a worker, an input or a
    /// log. Connections are cut.
    pub async fn over(&self) -> io::Result<()> {
        let drained = async {
            self.stopped().await;
            let inputs = || self.inputs.load(Ordering::SeqCst);
            wait_for(&self.drained, || inputs() == 0 && lock(&self.clients).is_empty()).await;
            Ok(())
        };
        let failed = async { Err(self.alarm.raised().await) };
        let over = future::or(failed, drained).await;
        if over.is_err() {
            self.shut_down();
            self.abort();
        }
        self.logs.flush();
        over
    }

    /// Resolves once [`shut_down`](Self::shut_down) was called.
    pub(crate) async fn stopped(&self) {
        wait_for(&self.stop, || self.is_stopping()).await;
    }

    /// Closes files that nobody asks for any more; until [`shut_down`](Self::shut_down).
    pub(crate) async fn upkeep<S: Future<Output = ()>>(&self, sleep: impl Fn(Instant) -> S) {
        let sweeping = async {
            loop {
                let offer = self.offer();
                offer.roots.cache_filled().await;
                sleep(Instant::now() + SWEEP).await;
                offer.roots.sweep_cache();
            }
        };
        future::or(self.stopped(), sweeping).await;
    }

    /// The number of the next request in the log.
    pub(crate) fn next_number(&self) -> u64 {
        self.numbered.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The counters, for Prometheus.
    pub(crate) fn metrics_text(&self) -> String {
        self.metrics.text(&self.gauges())
    }

    /// The same, for a program.
    pub(crate) fn statistics(&self) -> Statistics {
        self.metrics.statistics(&self.gauges())
    }

    fn gauges(&self) -> Gauges {
        let (uploads, followers) = lock(&self.hub).counts();
        let (live_resources, listeners, listeners_dropped) = self.channels.counts();
        let checks = self.verifier.counts();
        Gauges {
            connections: self.connections(),
            uploads,
            live_resources,
            live_clients: followers + listeners,
            listeners_dropped,
            checks_right: checks.right.load(Ordering::Relaxed),
            checks_wrong: checks.wrong.load(Ordering::Relaxed),
            checks_refused: checks.refused.load(Ordering::Relaxed),
            log_lines_lost: self.logs.lost(),
            certificate_end: self.tls.not_after(),
            memory: self.offer().roots.usage(),
        }
    }

    // ---- inputs ----

    /// There will be so many more inputs.
    pub(crate) fn expect_inputs(&self, more: usize) {
        self.inputs.fetch_add(more, Ordering::SeqCst);
    }

    /// An input is over.
    pub(crate) fn input_over(&self) {
        self.inputs.fetch_sub(1, Ordering::SeqCst);
        self.drained.notify(usize::MAX);
        let clients = lock(&self.clients);
        let idle = clients.is_empty();
        drop(clients);
        if idle {
            self.quit();
        }
    }

    /// An input that is gone does not come back.
    pub(crate) fn is_to_quit(&self) -> bool {
        self.options.quit
    }

    /// Nobody is connected: ends the server if that is wanted and nothing more is to come.
    fn quit(&self) {
        if self.options.quit && self.inputs.load(Ordering::SeqCst) == 0 {
            self.shut_down();
        }
    }

    /// Number of connections.
    pub fn connections(&self) -> usize {
        lock(&self.clients).admitted
    }

    // ---- uploads in progress ----

    pub(crate) fn announce(&self, key: PathBuf, file: Arc<OwnedFd>, total: Option<u64>) -> FeedId {
        self.logs.recorded(&key, None);
        let mut hub = lock(&self.hub);
        let (feed, waiters) = hub.begin(key, file.clone(), total);
        self.feeds.fetch_add(1, Ordering::SeqCst);
        if let Some((_, growth)) = hub.get(feed) {
            for waiter in waiters {
                waiter.mailbox.post(Message::Begun(waiter.op, feed, file.clone(), growth));
            }
        }
        feed
    }

    pub(crate) fn grown(&self, feed: FeedId, len: u64) {
        let mut hub = lock(&self.hub);
        let Some((_, before)) = hub.get(feed) else { return };
        for follower in hub.grow(feed, len) {
            follower.mailbox.post(Message::Growth(follower.op, Growth { len, ..before }));
        }
    }

    pub(crate) fn ended(&self, feed: FeedId, complete: bool) {
        let (path, ended) = {
            let mut hub = lock(&self.hub);
            (hub.key(feed).cloned(), hub.end(feed, complete))
        };
        if let Some(path) = path {
            self.metrics.upload(complete);
            self.logs.recorded(&path, Some(complete));
        }
        if let Some((growth, followers)) = ended {
            self.feeds.fetch_sub(1, Ordering::SeqCst);
            for follower in followers {
                follower.mailbox.post(Message::Growth(follower.op, growth));
            }
        }
    }

    pub(crate) fn follow(
        &self,
        key: impl FnOnce() -> PathBuf,
        follower: Follower,
        wait: bool,
    ) -> Following {
        if !wait && self.feeds.load(Ordering::SeqCst) == 0 {
            return Following::Nothing;
        }
        let key = key();
        let mut hub = lock(&self.hub);
        if let Some((feed, file, growth)) = hub.follow(&key, follower.clone()) {
            return Following::Feed(feed, file, growth);
        }
        if wait {
            hub.wait(key.clone(), follower);
            return Following::Waiting(key);
        }
        Following::Nothing
    }

    /// The latest upload to `key`, and how far it is.
    #[cfg(test)]
    pub(crate) fn in_progress(&self, key: &PathBuf) -> Option<(Arc<OwnedFd>, Growth)> {
        let hub = lock(&self.hub);
        hub.get(hub.latest(key)?)
    }

    pub(crate) fn unfollow(&self, feed: FeedId, follower: &Follower) {
        lock(&self.hub).unfollow(feed, follower);
    }

    pub(crate) fn unwait(&self, key: &PathBuf, follower: &Follower) {
        lock(&self.hub).unwait(key, follower);
    }
}

/// What came of following.
pub(crate) enum Following {
    Feed(FeedId, Arc<OwnedFd>, Growth),
    Waiting(PathBuf),
    Nothing,
}

impl Admission {
    /// The TLS of the connection, if it is to have one; can be taken once.
    pub(crate) fn take_tls(&mut self) -> Option<Box<Tls>> {
        self.tls.take()
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// The peer's address.
    pub(crate) fn peer(&self) -> IpAddr {
        self.peer
    }

    /// The peer's address and port.
    pub(crate) fn peer_socket(&self) -> SocketAddr {
        (self.peer, self.port).into()
    }

    /// The client has sent something.
    pub(crate) fn touch(&self) {
        if self.entry == Entry::Admin {
            let admin = &mut lock(&self.shared.clients).admin;
            if let Some(at) = admin.iter().position(|id| *id == self.id) {
                admin[at..].rotate_left(1);
            }
        }
    }

    /// The connection's number: no other has it.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// A session for the connection, what is served to it, and the box where it is told of a
    /// change.
    pub(crate) fn session(&self) -> (Session, Arc<Offer>, Arc<Mailbox>) {
        let mailbox = Arc::new(Mailbox::default());
        let mut clients = lock(&self.shared.clients);
        clients.open.insert(self.id, mailbox.clone());
        if self.entry == Entry::Admin && !clients.admin.contains(&self.id) {
            // Another connection took its place before it began.
            mailbox.post(Message::Abort);
        }
        drop(clients);
        // Seen here, or told by the mailbox.
        if self.shared.is_stopping() {
            mailbox.post(Message::ShutDown);
        }
        let offer = self.shared.offer();
        let site = offer.site.clone();
        let session = match self.entry {
            Entry::Admitted => Session::new(site),
            Entry::Refused => Session::overloaded(site),
            Entry::Admin => Session::admin(site),
        };
        let client = Client { address: Some(self.peer), tls: self.tls.is_some(), user: None };
        (session.with_client(client), offer, mailbox)
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let mut clients = lock(&self.shared.clients);
        clients.open.remove(&self.id);
        match self.entry {
            Entry::Admitted => {
                clients.admitted -= 1;
                let peer = Peer::of(self.peer);
                if let Some(count) = clients.peers.get_mut(&peer) {
                    *count -= 1;
                    if *count == 0 {
                        clients.peers.remove(&peer);
                    }
                }
            }
            Entry::Refused => clients.refused -= 1,
            Entry::Admin => {
                clients.admin.retain(|other| *other != self.id);
                return;
            }
        }
        if clients.is_empty() {
            let had_one = clients.had_one;
            drop(clients);
            self.shared.drained.notify(usize::MAX);
            if had_one {
                self.shared.quit();
            }
        }
    }
}

impl Clients {
    fn make_room_for_admin(&mut self) {
        while self.admin.len() >= ADMIN_AT_ONCE {
            let silent = self.admin.remove(0);
            if let Some(mailbox) = self.open.get(&silent) {
                mailbox.post(Message::Abort);
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.admitted == 0 && self.refused == 0
    }
}

/// Resolves when it has happened, of which `event` tells.
pub(crate) async fn wait_for(event: &Event, happened: impl Fn() -> bool) {
    while !happened() {
        let listener: EventListener = event.listen();
        if happened() {
            return;
        }
        listener.await;
    }
}

/// Has told what the logs want to know, and asked what the hook wants to decide.
fn check(mut config: Config, options: &Options) -> Result<Arc<Site>, ConfigError> {
    let log = &options.log;
    verify::check(&config.users)?;
    config.hook |= options.hook.is_some();
    config.log |= log.access.is_some() || log.reqlog.is_some();
    config.log_begin |= log.reqlog.is_some();
    config.check()
}

fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
