//! The httpout media origin on tokio.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use httpout_tokio::{Config, Options, Server};
//!
//! let mut config = Config::default();
//! config.rdirs = vec!["www".into()];
//! config.wdir = Some("www".into());
//! let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
//! let server = Server::bind(config, Options::default(), vec![listener])?;
//! println!("http://{}/", server.local_addrs()[0]);
//! let handle = server.handle(); // handle.shut_down() ends it
//! server.serve().await?;
//! # Ok(())
//! # }
//! ```

mod net;

use std::{
    io,
    net::{SocketAddr, TcpListener},
};

use httpout_runtime::{Bound, Connection, accept};
pub use httpout_runtime::{Config, ConfigError, Handle, Limits, Multirange, Options};
use tokio::runtime;

use crate::net::{Listener, Socket};

/// A server that is bound to its addresses.
#[derive(Debug)]
pub struct Server(Bound);

impl Server {
    /// Checks the options, opens the directories, and takes the listening sockets.
    ///
    /// # Errors
    /// An option that cannot be obeyed.
    pub fn bind(
        config: Config,
        options: Options,
        listeners: Vec<TcpListener>,
    ) -> Result<Self, ConfigError> {
        Bound::new(config, options, listeners).map(Self)
    }

    /// The addresses it is bound to.
    pub fn local_addrs(&self) -> Vec<SocketAddr> {
        self.0.local_addrs()
    }

    /// What ends it, from anywhere.
    pub fn handle(&self) -> Handle {
        self.0.handle()
    }

    /// Serves on the runtime of the calling task until it is [shut down](Handle::shut_down) and the last connection is
    /// closed.
    ///
    /// # Errors
    /// A listening socket that the runtime does not take.
    pub async fn serve(self) -> io::Result<()> {
        self.serve_on(vec![runtime::Handle::current()]).await
    }

    /// As [`serve`](Self::serve), with the connections spread over several runtimes: one with a single thread for each processor is
    /// what costs least.
    ///
    /// # Errors
    /// A listening socket that the runtime does not take.
    pub async fn serve_on(self, workers: Vec<runtime::Handle>) -> io::Result<()> {
        let (shared, listeners) = self.0.into_parts();
        for listener in listeners {
            let listener = Listener::new(listener)?;
            let mut next = workers.clone().into_iter().cycle();
            tokio::spawn(accept(listener, shared.clone(), move |stream, admission| {
                if let Some(worker) = next.next() {
                    worker.spawn(async {
                        if let Ok(socket) = Socket::new(stream) {
                            Connection::new(socket, admission).await;
                        }
                    });
                }
            }));
        }
        shared.stopped().await;
        shared.drained().await;
        Ok(())
    }
}

impl From<Bound> for Server {
    fn from(bound: Bound) -> Self {
        Self(bound)
    }
}
