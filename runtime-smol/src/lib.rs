//! The httpout media origin on smol.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use httpout_smol::{Config, Options, Server};
//!
//! let mut config = Config::default();
//! config.rdirs = vec!["www".into()];
//! config.wdir = Some("www".into());
//! let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
//! let server = Server::bind(config, Options::default(), vec![listener])?;
//! println!("http://{}/", server.local_addrs()[0]);
//! let handle = server.handle(); // handle.shut_down() ends it
//! server.serve(Default::default()).await?;
//! # Ok(())
//! # }
//! ```

mod net;

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
};

use httpout_runtime::{Bound, Connection, accept};
pub use httpout_runtime::{Config, ConfigError, Handle, Limits, Multirange, Options};
use smol::Executor;

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

    /// Serves on this executor until it is [shut down](Handle::shut_down) and the last connection is closed. The executor may be
    /// run by several threads.
    ///
    /// # Errors
    /// A listening socket that the reactor does not take.
    pub async fn serve(self, executor: Arc<Executor<'static>>) -> io::Result<()> {
        let (shared, listeners) = self.0.into_parts();
        for listener in listeners {
            let listener = Listener::new(listener)?;
            let worker = executor.clone();
            let connections = accept(listener, shared.clone(), move |stream, admission| {
                let connection = async {
                    if let Ok(socket) = Socket::new(stream) {
                        Connection::new(socket, admission).await;
                    }
                };
                worker.spawn(connection).detach();
            });
            executor.spawn(connections).detach();
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
