//! The httpout media origin on smol.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use httpout_smol::{Config, Options, Server, serve};
//!
//! let mut config = Config::default();
//! config.read_dirs = vec!["www".into()];
//! config.write_dir = Some("www".into());
//! let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
//! let server = Server::bind(config, Options::default(), vec![listener])?;
//! println!("http://{}/", server.local_addrs()[0]);
//! let handle = server.handle(); // handle.shut_down() ends it
//! let executor = std::sync::Arc::new(smol::Executor::new());
//! executor.run(serve(server, executor.clone())).await?;
//! # Ok(())
//! # }
//! ```

mod net;
#[cfg(feature = "push")]
mod push;

use std::{io, sync::Arc};

use async_executor::Executor;
#[doc(inline)]
pub use httpout_runtime::embed::*;
use httpout_runtime::{Connection, Parts, accept, feed};

use crate::net::{Listener, Socket};
#[cfg(feature = "cli")]
#[doc(hidden)]
pub use crate::push::push_on;
#[cfg(feature = "push")]
pub use crate::push::uploader;

/// Serves on this executor, which has to be run meanwhile, by one thread or several, until the
/// server is [shut down](Handle::shut_down) and the last connection is closed.
///
/// # Errors
/// A listening socket that the reactor does not take; or a part fails that the server cannot do
/// without.
pub async fn serve(server: Server, executor: Arc<Executor<'static>>) -> io::Result<()> {
    let Parts { shared, listeners, inputs } = server.into_parts();
    for input in inputs {
        executor.spawn(feed::<Listener>(shared.clone(), input)).detach();
    }
    for (listener, door) in listeners {
        let worker = executor.clone();
        let listener = Listener::new(listener)?;
        let connections = accept(listener, shared.clone(), door, move |stream, permit| {
            let connection = async {
                if let Ok(socket) = Socket::new(stream) {
                    Connection::new(socket, permit).await;
                }
            };
            worker.spawn(connection).detach();
        });
        executor.spawn(connections).detach();
    }
    shared.over().await
}
