//! The httpout media origin on tokio.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use httpout_tokio::{Config, Options, Server, serve};
//!
//! let mut config = Config::default();
//! config.read_dirs = vec!["www".into()];
//! config.write_dir = Some("www".into());
//! let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
//! let server = Server::bind(config, Options::default(), vec![listener])?;
//! println!("http://{}/", server.local_addrs()[0]);
//! let handle = server.handle(); // handle.shut_down() ends it
//! serve(server).await?;
//! # Ok(())
//! # }
//! ```

mod net;
#[cfg(feature = "push")]
mod push;

use std::io;

#[doc(inline)]
pub use httpout_runtime::embed::*;
use httpout_runtime::{Connection, Parts, accept, feed};
use tokio::runtime;

use crate::net::{Listener, Socket};
#[cfg(feature = "cli")]
#[doc(hidden)]
pub use crate::push::push_on;
#[cfg(feature = "push")]
pub use crate::push::uploader;

/// Serves on the runtime of the calling task until the server is [shut down](Handle::shut_down) and
/// the last connection is closed.
///
/// # Errors
/// A listening socket that the runtime does not take; or a part fails that the server cannot do
/// without.
pub async fn serve(server: Server) -> io::Result<()> {
    serve_on(server, vec![runtime::Handle::current()]).await
}

/// As [`serve`], with the connections spread over several runtimes: one with a single thread for
/// each processor is what costs least.
///
/// # Errors
/// A listening socket that the runtime does not take; or a part fails that the server cannot do
/// without.
pub async fn serve_on(server: Server, workers: Vec<runtime::Handle>) -> io::Result<()> {
    let Parts { shared, listeners, inputs } = server.into_parts();
    for input in inputs {
        tokio::spawn(feed::<Listener>(shared.clone(), input));
    }
    for (listener, door) in listeners {
        let mut next = workers.clone().into_iter().cycle();
        let listener = Listener::new(listener)?;
        tokio::spawn(accept(listener, shared.clone(), door, move |stream, permit| {
            if let Some(worker) = next.next() {
                worker.spawn(async {
                    if let Ok(socket) = Socket::new(stream) {
                        Connection::new(socket, permit).await;
                    }
                });
            }
        }));
    }
    shared.over().await
}
