//! Uploads to another server.

use std::{future::Future, io, net::SocketAddr, time::Instant};

use httpout_runtime::{ConfigError, Dialler, UploadOptions, Uploader};
use tokio::{net::TcpStream, runtime, time::sleep_until};

use crate::net::Socket;

/// Opens connections.
#[derive(Debug)]
struct Dial;

impl Dialler for Dial {
    type Transport = Socket;

    async fn connect(address: SocketAddr) -> io::Result<Socket> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(stream.into())
    }

    fn sleep(until: Instant) -> impl Future<Output = ()> + Send {
        sleep_until(until.into())
    }
}

/// Uploads to another server, beneath this URL: `http[s]://[USER:PASSWORD@]HOST[:PORT]/PATH`, on
/// the runtime of the calling task.
///
/// # Errors
/// A URL or an option that cannot be obeyed.
pub fn uploader(url: &str, options: UploadOptions) -> Result<Uploader, ConfigError> {
    let runtime = runtime::Handle::current();
    let spawn = move |worker| drop(runtime.spawn(worker));
    Uploader::new::<Dial>(url, options, Box::new(spawn))
}

/// Uploads what the command line says. True if all of it arrived.
#[cfg(feature = "cli")]
#[doc(hidden)]
pub async fn push_on(pushes: httpout_runtime::push::Pushes, runtime: runtime::Handle) -> bool {
    pushes.run::<Dial>(move |worker| drop(runtime.spawn(worker))).await
}
