//! What the connections of a server share, and how they are let in and sent home.

mod clients;
mod options;
mod uploads;

use std::{
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use event_listener::Event;
use futures_lite::future;
use httpout_proto::{Config, ConfigError, Site};

pub(crate) use self::uploads::Following;
use self::{clients::Clients, uploads::Feeds};
pub use self::{
    clients::ConnectionPermit,
    options::{AnyHook, Options},
};

use crate::{
    alarm::Alarm,
    files::{Roots, encoded::Encoded, list::Budget},
    live::Channels,
    mailbox::{Follower, Message},
    manifest_snapshots::ManifestSnapshots,
    metrics::{Gauges, Metrics, Statistics},
    request_log::Logs,
    source::Deliveries,
    tls::Secured,
    verify::{self, Verifier},
    wait::wait_for,
};

/// Larger blocks would be copied for nothing, and each thread has one.
const LARGEST_BLOCK: usize = 1 << 20;
/// Half of the time that an unused file may be kept open.
const SWEEP: Duration = Duration::from_secs(1);

/// The state of a server, shared by its connections.
#[derive(Debug)]
pub struct Shared {
    offer: RwLock<Arc<SiteState>>,
    pub(crate) options: Options,
    pub(crate) tls: Secured,
    pub(crate) verifier: Verifier<Follower>,
    pub(crate) listings: Arc<Budget>,
    pub(crate) metrics: Metrics,
    pub(crate) logs: Logs,
    /// Requests that were numbered for the log.
    numbered: AtomicU64,
    pub(crate) channels: Channels,
    pub(crate) held: ManifestSnapshots,
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
pub(crate) struct SiteState {
    pub(crate) site: Arc<Site>,
    pub(crate) roots: Arc<Roots>,
    pub(crate) encoded: Encoded<Follower>,
}

/// What a listening socket is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListenerKind {
    /// What the site offers.
    Public,
    /// The same, over TLS.
    Secure,
    /// Counters and health, for the operator.
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
        let offer = SiteState { roots: Roots::open(&site)?, site, encoded: Encoded::default() };
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
            held: ManifestSnapshots::default(),
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

    pub(crate) fn offer(&self) -> Arc<SiteState> {
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
        self.install(SiteState { site, roots, encoded: Encoded::default() });
        Ok(())
    }

    /// A served directory was replaced by another of its name: serves that one from now on.
    ///
    /// # Errors
    /// A directory that cannot be used; then nothing is changed.
    pub(crate) fn reopen_roots(&self) -> Result<(), ConfigError> {
        let site = self.site();
        let roots = self.offer().roots.reopen(&site)?;
        self.install(SiteState { site, roots, encoded: Encoded::default() });
        Ok(())
    }

    fn install(&self, offer: SiteState) {
        *self.offer.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(offer);
        for mailbox in lock(&self.clients).open.values() {
            mailbox.post(Message::Renewed);
        }
    }

    // ---- clients ----

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

    /// Closes files that are not used any more; until [`shut_down`](Self::shut_down).
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

    /// No client is connected: ends the server if that is wanted and nothing more is to come.
    fn quit(&self) {
        if self.options.quit && self.inputs.load(Ordering::SeqCst) == 0 {
            self.shut_down();
        }
    }

    /// Number of connections.
    pub fn connections(&self) -> usize {
        lock(&self.clients).admitted
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
