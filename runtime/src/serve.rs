//! The acceptor, and the life of a server from its first connection to its last. Written once for
//! every runtime.

use std::{
    future::Future,
    io,
    net::{SocketAddr, TcpListener, TcpStream},
    pin::pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use futures_lite::future;
use httpout_proto::{Config, ConfigError, Site};

use rustix::io::Errno;

use crate::{
    input::{self, Input},
    metrics::Statistics,
    publisher::Publisher,
    server::{ConnectionPermit, ListenerKind, Options, Shared},
    source::{Deliveries, Sink, Uploads},
};

/// How long the acceptor rests when file descriptors ran out.
const REST: Duration = Duration::from_millis(100);

/// A listening socket in a runtime, with a timer.
pub trait Acceptor {
    /// The next connection.
    ///
    /// # Errors
    /// Those of `accept`, without `WouldBlock`.
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>>;

    /// Resolves at this time.
    fn sleep(until: Instant) -> impl Future<Output = ()> + Send;
}

/// A server that is bound to its addresses and does not serve yet.
#[derive(Debug)]
pub struct Server {
    shared: Arc<Shared>,
    listeners: Vec<TcpListener>,
    secure: Vec<TcpListener>,
    admin: Vec<TcpListener>,
    inputs: Vec<Input>,
}

/// What a runtime needs of a [`Server`] to serve it.
#[derive(Debug)]
pub struct Parts {
    /// What its connections share.
    pub shared: Arc<Shared>,
    /// The sockets, with what they are for; each for [`accept`].
    pub listeners: Vec<(TcpListener, ListenerKind)>,
    /// The inputs; each for [`feed`].
    pub inputs: Vec<Input>,
}

/// Ends a server from anywhere.
#[derive(Clone, Debug)]
pub struct Handle(Arc<Shared>);

impl Server {
    /// Checks the options, opens the directories and takes the listening sockets.
    ///
    /// # Errors
    /// An option that cannot be obeyed.
    pub fn bind(
        config: Config,
        options: Options,
        listeners: Vec<TcpListener>,
    ) -> Result<Self, ConfigError> {
        let shared = Shared::new(config, options)?;
        let (secure, admin, inputs) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Self { shared, listeners, secure, admin, inputs })
    }

    /// Serves on these sockets, and over TLS on `secure`.
    #[cfg(feature = "cli")]
    pub(crate) fn with_listeners(
        mut self,
        listeners: Vec<TcpListener>,
        secure: Vec<TcpListener>,
    ) -> Self {
        (self.listeners, self.secure) = (listeners, secure);
        self
    }

    /// Answers `/metrics`, `/healthz` and `/readyz` on these sockets, and nothing else there.
    #[must_use]
    pub fn with_admin(mut self, listeners: Vec<TcpListener>) -> Self {
        self.admin = listeners;
        self
    }

    /// Reads these inputs, too, and sends each to the listeners of its path.
    ///
    /// # Errors
    /// An input that is not there.
    pub fn with_inputs(mut self, inputs: Vec<Input>) -> Result<Self, ConfigError> {
        self.shared.expect_inputs(inputs.len());
        let site = self.site();
        self.inputs =
            inputs.into_iter().map(|input| input.settle(&site)).collect::<Result<_, _>>()?;
        Ok(self)
    }

    /// Serves over TLS on these sockets. [`Handle::renew`] reads the files of the options again.
    ///
    /// # Errors
    /// A file that cannot be used; or it was called before.
    #[cfg(feature = "tls")]
    pub fn with_tls(
        mut self,
        listeners: Vec<TcpListener>,
        options: &crate::TlsOptions,
    ) -> Result<Self, ConfigError> {
        self.shared.tls.set(options)?;
        self.secure = listeners;
        Ok(self)
    }

    /// Hands uploads on to there; for [`Config::source`](crate::Config::source).
    ///
    /// # Errors
    /// What cannot be written to; or they go elsewhere already.
    pub fn with_sink(self, sink: &Sink) -> Result<Self, ConfigError> {
        let taker = Deliveries::open(sink, &self.shared)?;
        self.shared.deliveries.set_sink(taker)?;
        Ok(self)
    }

    /// Hands uploads on to the program; for [`Config::source`](crate::Config::source).
    ///
    /// # Errors
    /// They go elsewhere already.
    pub fn uploads(&self) -> Result<Uploads, ConfigError> {
        let (taker, uploads) = Deliveries::queue(&self.shared);
        self.shared.deliveries.set_sink(taker)?;
        Ok(uploads)
    }

    /// The addresses it is bound to.
    pub fn local_addrs(&self) -> Vec<SocketAddr> {
        let all = self.listeners.iter().chain(&self.secure);
        all.filter_map(|listener| listener.local_addr().ok()).collect()
    }

    /// What is served.
    pub fn site(&self) -> Arc<Site> {
        self.shared.site()
    }

    /// The listening sockets.
    pub fn listeners(&self) -> &[TcpListener] {
        &self.listeners
    }

    /// The listening sockets of TLS.
    pub fn secure_listeners(&self) -> &[TcpListener] {
        &self.secure
    }

    /// What ends it.
    pub fn handle(&self) -> Handle {
        Handle(self.shared.clone())
    }

    /// Publishes live resources on it, while it serves.
    pub fn publisher(&self) -> Publisher {
        Publisher::new(self.shared.clone())
    }

    /// What it reads.
    pub fn inputs(&self) -> &[Input] {
        &self.inputs
    }

    /// The listening sockets of the operator.
    pub fn admin_listeners(&self) -> &[TcpListener] {
        &self.admin
    }

    /// Its parts.
    pub fn into_parts(self) -> Parts {
        let public = self.listeners.into_iter().map(|listener| (listener, ListenerKind::Public));
        let secure = self.secure.into_iter().map(|listener| (listener, ListenerKind::Secure));
        let admin = self.admin.into_iter().map(|listener| (listener, ListenerKind::Admin));
        let listeners = public.chain(secure).chain(admin).collect();
        Parts { shared: self.shared, listeners, inputs: self.inputs }
    }
}

impl Handle {
    /// Takes no more connections; requests under way are answered. Returns at once: the server's
    /// `serve` resolves when the last connection is closed.
    pub fn shut_down(&self) {
        self.0.shut_down();
    }

    /// Cuts the connections that are left; their uploads leave nothing behind.
    pub fn abort(&self) {
        self.0.abort();
    }

    /// Serves by other options, and by the TLS files as they are now, from now on, to connections
    /// that are open too, from their next request on. What concerns the sockets of open connections
    /// (limits, deadlines) stays as it was for these.
    ///
    /// # Errors
    /// An option that cannot be obeyed; then nothing is changed.
    pub fn renew(&self, config: Config) -> Result<(), ConfigError> {
        self.0.renew(|| Ok(config))
    }

    /// As [`renew`](Self::renew), and counts it as failed if the options cannot be had.
    #[cfg(feature = "cli")]
    pub(crate) fn renew_by(
        &self,
        config: impl FnOnce() -> Result<Config, ConfigError>,
    ) -> Result<(), ConfigError> {
        self.0.renew(config)
    }

    /// Runs a part that the server cannot do without, on this thread. If it ends, the server's
    /// `serve` resolves with an error.
    #[cfg(any(feature = "cli", test))]
    pub(crate) fn rely_on(&self, part: &str, work: impl FnOnce()) {
        let alarm = &self.0.alarm;
        alarm.watch(part, work);
        alarm.raise(format!("{part} has ended"));
    }

    /// Opens the access log's file again, which was renamed, say.
    pub fn reopen_logs(&self) {
        self.0.logs.reopen();
    }

    /// Number of uploads that were to be handed on, and of those that were: all of each.
    pub fn deliveries(&self) -> (u64, u64) {
        self.0.deliveries.counts()
    }

    /// Number of connections there are.
    pub fn connections(&self) -> usize {
        self.0.connections()
    }

    /// What the server did so far, and what it does now.
    ///
    /// ```
    /// # fn main() -> Result<(), httpout_runtime::ConfigError> {
    /// # use httpout_runtime::{Config, Options, Server};
    /// let mut config = Config::default();
    /// config.read_dirs = vec![".".into()];
    /// let server = Server::bind(config, Options::default(), Vec::new())?;
    /// let statistics = server.handle().statistics();
    /// assert_eq!((statistics.connections, statistics.requests), (0, 0));
    /// # Ok(())
    /// # }
    /// ```
    pub fn statistics(&self) -> Statistics {
        self.0.statistics()
    }

    /// The same and more as text for Prometheus: what `/metrics` of the admin address answers.
    pub fn metrics(&self) -> String {
        self.0.metrics_text()
    }
}

/// Reads an input until it is over or the server is shut down. Its resource is there from now on:
/// it is announced here, and not only by the future, so that a connection that is accepted after
/// that finds it.
pub fn feed<A: Acceptor>(shared: Arc<Shared>, input: Input) -> impl Future<Output = ()> {
    let announced = input::announce(&shared, &input);
    let alarm = shared.alarm.clone();
    let part = format!("the input from {}", input.source.name());
    async move { alarm.watch_task(&part, input::feed(shared, input, announced, A::sleep)).await }
}

/// Accepts until the server is shut down; `spawn` gets each connection.
pub async fn accept<A: Acceptor>(
    acceptor: A,
    shared: Arc<Shared>,
    door: ListenerKind,
    spawn: impl FnMut(TcpStream, ConnectionPermit),
) {
    let alarm = shared.alarm.clone();
    alarm.watch_task("the acceptor", accept_all(acceptor, shared, door, spawn)).await;
}

async fn accept_all<A: Acceptor>(
    mut acceptor: A,
    shared: Arc<Shared>,
    door: ListenerKind,
    mut spawn: impl FnMut(TcpStream, ConnectionPermit),
) {
    let mut upkeep = pin!(shared.upkeep(A::sleep));
    let mut rest = None;
    loop {
        let accepted = async {
            if let Some(until) = rest.take() {
                A::sleep(until).await;
            }
            Some(future::poll_fn(|cx| acceptor.poll_accept(cx)).await)
        };
        let ended = async {
            (&mut upkeep).await;
            None
        };
        // The end goes first, or a flood of connections would keep it off.
        match future::or(ended, accepted).await {
            None => return,
            Some(Ok((stream, peer))) => {
                let ready = stream.set_nonblocking(true).and_then(|()| stream.set_nodelay(true));
                if let (Ok(()), Some(permit)) = (ready, shared.admit(peer, door)) {
                    spawn(stream, permit);
                }
            }
            Some(Err(error)) if ran_out(&error) => {
                tracing::warn!(
                    %error,
                    "cannot accept connections; raise the limit of open files (ulimit -n)"
                );
                shared.offer().roots.clear_cache();
                rest = Some(Instant::now() + REST);
            }
            Some(Err(error)) if is_broken(&error) => {
                return shared.alarm.raise(format!(
                    "a listening socket accepts no more connections: {error}; start the server again"
                ));
            }
            // That connection was lost before it was taken.
            Some(Err(error)) => tracing::debug!(%error, "accept"),
        }
    }
}

/// The socket does not listen any more: a process that has it too can have shut it down.
fn is_broken(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    [Errno::BADF, Errno::INVAL, Errno::NOTSOCK, Errno::OPNOTSUPP].iter().any(|e| errno == Some(*e))
}

/// File descriptors or memory ran out: to try again at once would be to spin.
fn ran_out(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM].iter().any(|e| errno == Some(*e))
}

#[cfg(test)]
mod tests {
    use futures_lite::future::block_on;

    use super::*;

    /// Gives one error, or panics.
    struct Broken(Option<Errno>);

    impl Acceptor for Broken {
        fn poll_accept(
            &mut self,
            _: &mut Context<'_>,
        ) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
            Poll::Ready(Err(self.0.expect("on purpose").into()))
        }

        fn sleep(_: Instant) -> impl Future<Output = ()> + Send {
            future::pending()
        }
    }

    fn shared() -> Arc<Shared> {
        let mut config = Config::default();
        config.read_dirs = vec![std::env::temp_dir()];
        Shared::new(config, Options::default()).unwrap()
    }

    /// Why the server of this acceptor ended.
    fn failure(acceptor: Broken) -> String {
        let shared = shared();
        block_on(accept(acceptor, shared.clone(), ListenerKind::Public, |_, _| {}));
        let failure = block_on(shared.over()).unwrap_err();
        assert!(shared.is_stopping());
        failure.to_string()
    }

    #[test]
    fn without_its_acceptor_a_server_ends_with_an_error() {
        let failures = [failure(Broken(None)), failure(Broken(Some(Errno::INVAL)))];
        assert!(failures[0].contains("the acceptor panicked"), "{failures:?}");
        assert!(failures[1].contains("accepts no more connections"), "{failures:?}");
    }

    #[test]
    fn without_a_worker_a_server_ends_with_an_error() {
        for (work, says) in [
            (Box::new(|| {}) as Box<dyn FnOnce()>, "worker-1 has ended"),
            (Box::new(|| panic!("on purpose")), "worker-1 panicked"),
        ] {
            let handle = Handle(shared());
            handle.rely_on("worker-1", work);
            let failure = block_on(handle.0.over()).unwrap_err().to_string();
            assert!(failure.contains(says), "{failure}");
        }
    }
}
