//! Uploads to another server.

use std::{
    future::Future,
    io,
    net::{SocketAddr, TcpStream},
    sync::Arc,
    time::Instant,
};

use async_executor::Executor;
use async_io::Async;
use httpout_runtime::{Acceptor as _, ConfigError, Dialler, UploadOptions, Uploader};

use crate::net::{Listener, Socket};

/// Opens connections.
#[derive(Debug)]
struct Dial;

impl Dialler for Dial {
    type Transport = Socket;

    async fn connect(address: SocketAddr) -> io::Result<Socket> {
        let stream = Async::<TcpStream>::connect(address).await?;
        stream.get_ref().set_nodelay(true)?;
        Ok(stream.into())
    }

    fn sleep(until: Instant) -> impl Future<Output = ()> + Send {
        Listener::sleep(until)
    }
}

/// Uploads to another server, beneath this URL: `http[s]://[USER:PASSWORD@]HOST[:PORT]/PATH`, on
/// this executor, which has to be run meanwhile.
///
/// # Errors
/// A URL or an option that cannot be obeyed.
pub fn uploader(
    url: &str,
    options: UploadOptions,
    executor: Arc<Executor<'static>>,
) -> Result<Uploader, ConfigError> {
    Uploader::new::<Dial>(url, options, Box::new(move |worker| executor.spawn(worker).detach()))
}

/// Uploads what the command line says. True if all of it arrived.
#[cfg(feature = "cli")]
#[doc(hidden)]
pub async fn push_on(
    pushes: httpout_runtime::push::Pushes,
    executor: Arc<Executor<'static>>,
) -> bool {
    pushes.run::<Dial>(move |worker| executor.spawn(worker).detach()).await
}
