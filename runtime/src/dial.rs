//! Opening connections: names are resolved, and their addresses tried one after the other.

use std::{
    future::Future,
    io,
    net::{SocketAddr, ToSocketAddrs as _},
    time::{Duration, Instant},
};

use futures_lite::future;

use crate::Transport;

/// Longest wait for one address, where there is another one to be tried.
const NEXT: Duration = Duration::from_secs(3);

/// What opens connections, in a runtime, and rings.
pub trait Dialler: 'static {
    /// A connected socket.
    type Transport: Transport + Send + 'static;

    /// Connects to an address.
    ///
    /// # Errors
    /// Those of `connect`.
    fn connect(address: SocketAddr) -> impl Future<Output = io::Result<Self::Transport>> + Send;

    /// Resolves at this time.
    fn sleep(until: Instant) -> impl Future<Output = ()> + Send;
}

/// Why there is no connection.
#[derive(Debug)]
pub(crate) enum NoConnection {
    /// The name has no address.
    Unresolved(io::Error),
    /// The last address that was tried cannot be connected to.
    Unreachable(SocketAddr, io::Error),
}

/// Connects to a host: a name, or an address, in brackets perhaps. Its addresses are tried in the
/// order of the system, the kinds (IPv6, IPv4) by turns.
///
/// # Errors
/// None of them answers.
pub(crate) async fn dial<D: Dialler>(
    host: &str,
    port: u16,
) -> Result<(D::Transport, SocketAddr), NoConnection> {
    let name = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    let addresses = match name.parse() {
        Ok(address) => vec![SocketAddr::new(address, port)],
        Err(_) => resolve(name.to_owned(), port).await.map_err(NoConnection::Unresolved)?,
    };
    let mut why = NoConnection::Unresolved(io::Error::other("it has no address"));
    let mut left = addresses.len();
    for address in addresses {
        left -= 1;
        let too_late = async {
            if left == 0 {
                future::pending::<()>().await;
            }
            D::sleep(Instant::now() + NEXT).await;
            Err(io::ErrorKind::TimedOut.into())
        };
        match future::or(D::connect(address), too_late).await {
            Ok(transport) => return Ok((transport, address)),
            Err(error) => why = NoConnection::Unreachable(address, error),
        }
    }
    Err(why)
}

async fn resolve(name: String, port: u16) -> io::Result<Vec<SocketAddr>> {
    let found = blocking::unblock(move || (name, port).to_socket_addrs()).await?;
    let mut found: Vec<SocketAddr> = found.collect();
    found.dedup();
    Ok(by_turns(found))
}

/// The kinds of addresses by turns, that of the first one first.
fn by_turns(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (one, other): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first);
    let (mut one, mut other) = (one.into_iter(), other.into_iter());
    let mut turns = Vec::new();
    loop {
        let (a, b) = (one.next(), other.next());
        if a.is_none() && b.is_none() {
            return turns;
        }
        turns.extend(a.into_iter().chain(b));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_addresses_take_turns() {
        let parse = |text: &str| text.split(' ').map(|a| a.parse().unwrap()).collect::<Vec<_>>();
        let all = parse("[::1]:1 [::2]:1 [::3]:1 1.1.1.1:1");
        assert_eq!(by_turns(all), parse("[::1]:1 1.1.1.1:1 [::2]:1 [::3]:1"));
        let all = parse("1.1.1.1:1 [::1]:1 2.2.2.2:1");
        assert_eq!(by_turns(all), parse("1.1.1.1:1 [::1]:1 2.2.2.2:1"));
        assert_eq!(by_turns(Vec::new()), []);
    }
}
