//! Opening the sockets to listen on, and telling their URLs.

mod passed;

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, TcpListener},
};

use httpout_proto::ConfigError;
use if_addrs::{IfAddr, Interface};
use rustix::{
    io::Errno,
    net::{AddressFamily, SocketFlags, SocketType, sockopt},
};

pub use self::passed::passed;

/// Why the server does not start.
#[derive(Debug)]
pub struct StartError {
    /// What is wrong.
    pub error: ConfigError,
    /// It may be over at the next start: a port becomes free, an interface comes up.
    pub may_pass: bool,
}

impl From<ConfigError> for StartError {
    fn from(error: ConfigError) -> Self {
        Self { error, may_pass: false }
    }
}

/// Connections that may wait to be accepted. The system lowers it to its own bound.
const BACKLOG: i32 = 4096;

/// How often a free port is looked for that is free on every address.
const TRIES: usize = 32;

/// Which port to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// This one.
    Number(u16),
    /// Any that is free; the same on all addresses.
    Auto,
}

/// Listens on the addresses that `ifce` means: an address, the name of an interface, or
/// `localhost`; without it, on all addresses, IPv4 and IPv6. The sockets do not block.
///
/// # Errors
/// An unknown interface, an address of another machine, a port that is taken or not allowed.
pub fn bind(ifce: Option<&str>, port: Port) -> Result<Vec<TcpListener>, StartError> {
    let addresses = match ifce {
        None => return bind_any(port),
        Some(ifce) => resolve(ifce)?,
    };
    let mut tries = 0;
    loop {
        tries += 1;
        match bind_each(&addresses, port) {
            // Free on the first address, taken on another.
            Err((_, Errno::ADDRINUSE)) if port == Port::Auto && tries < TRIES => {}
            Err((address, error)) => return Err(explain(address, error)),
            Ok(listeners) => return Ok(listeners),
        }
    }
}

/// Listens on the operator's address.
///
/// # Errors
/// An address of another machine, a port that is taken or not allowed.
pub fn bind_admin(address: SocketAddr) -> Result<TcpListener, StartError> {
    listen(address).map_err(|error| {
        let mut refused = explain(address, error);
        refused.error.option = "admin";
        refused
    })
}

/// The URLs under which the listeners are reached; those of this machine alone come first.
pub fn urls(scheme: &str, listeners: &[TcpListener]) -> Vec<String> {
    let mut hosts: Vec<SocketAddr> = Vec::new();
    for listener in listeners {
        let Ok(address) = listener.local_addr() else { continue };
        if address.ip().is_unspecified() {
            let both = address.is_ipv6() && !sockopt::ipv6_v6only(listener).unwrap_or(true);
            let all =
                reachable().into_iter().filter(|ip| both || ip.is_ipv4() == address.is_ipv4());
            hosts.extend(all.map(|ip| SocketAddr::new(ip, address.port())));
        } else {
            hosts.push(address);
        }
    }
    hosts.sort_by_key(|host| (!host.ip().is_loopback(), *host));
    hosts.dedup();
    // Written without scope: a URL has no place for it that browsers know.
    hosts
        .iter()
        .map(|host| format!("{scheme}://{}/", SocketAddr::new(host.ip(), host.port())))
        .collect()
}

/// IPv4 and IPv6 in one socket, or IPv4 alone where there is no IPv6.
fn bind_any(port: Port) -> Result<Vec<TcpListener>, StartError> {
    let number = number(port);
    let v6 = SocketAddr::from((Ipv6Addr::UNSPECIFIED, number));
    let v4 = SocketAddr::from((Ipv4Addr::UNSPECIFIED, number));
    match listen(v6) {
        Err(Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL) => {
            listen(v4).map_err(|error| explain(v4, error))
        }
        done => done.map_err(|error| explain(v6, error)),
    }
    .map(|listener| vec![listener])
}

fn bind_each(
    addresses: &[SocketAddr],
    port: Port,
) -> Result<Vec<TcpListener>, (SocketAddr, Errno)> {
    let mut number = number(port);
    let mut listeners = Vec::new();
    let mut absent = None;
    for &(mut address) in addresses {
        address.set_port(number);
        match listen(address) {
            Ok(listener) => {
                number = listener.local_addr().map_or(number, |bound| bound.port());
                listeners.push(listener);
            }
            // Of an interface's addresses, one may be off or not ready yet.
            Err(error @ (Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL)) => {
                absent = Some((address, error))
            }
            Err(error) => return Err((address, error)),
        }
    }
    match absent {
        Some(absent) if listeners.is_empty() => Err(absent),
        _ => Ok(listeners),
    }
}

/// To the system, port 0 means any.
fn number(port: Port) -> u16 {
    match port {
        Port::Number(number) => number,
        Port::Auto => 0,
    }
}

fn listen(address: SocketAddr) -> Result<TcpListener, Errno> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    // Else a restart has to wait until the old server's connections are forgotten.
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, !address.ip().is_unspecified())?;
    }
    rustix::net::bind(&socket, &address)?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(socket.into())
}

/// The addresses that `ifce` means.
fn resolve(ifce: &str) -> Result<Vec<SocketAddr>, StartError> {
    if ifce == "localhost" {
        return Ok(vec![(Ipv4Addr::LOCALHOST, 0).into(), (Ipv6Addr::LOCALHOST, 0).into()]);
    }
    let interfaces = if_addrs::get_if_addrs().map_err(|error| no_interfaces(&error))?;
    if let Ok(ip) = ifce.parse::<IpAddr>() {
        // A link-local address means nothing without the interface that has it.
        let with_scope = interfaces.iter().find(|interface| interface.ip() == ip).map(address);
        return Ok(vec![with_scope.unwrap_or_else(|| (ip, 0).into())]);
    }
    let found: Vec<SocketAddr> =
        interfaces.iter().filter(|interface| interface.name == ifce).map(address).collect();
    if found.is_empty() {
        let mut names: Vec<String> =
            interfaces.into_iter().map(|interface| interface.name).collect();
        names.sort();
        names.dedup();
        let problem = format!(
            "no interface with an address is named {ifce}; there are: {}",
            names.join(", ")
        );
        let help = "name one of them, or one of their addresses";
        let error = ConfigError { option: "ifce", problem, help };
        return Err(StartError { error, may_pass: true });
    }
    Ok(found)
}

fn address(interface: &Interface) -> SocketAddr {
    match &interface.addr {
        IfAddr::V4(v4) => (v4.ip, 0).into(),
        IfAddr::V6(v6) => {
            let scope =
                if v6.ip.is_unicast_link_local() { interface.index.unwrap_or(0) } else { 0 };
            SocketAddrV6::new(v6.ip, 0, 0, scope).into()
        }
    }
}

/// Addresses that a client can name: all but link-local ones of IPv6.
fn reachable() -> Vec<IpAddr> {
    let mut all: Vec<IpAddr> = if_addrs::get_if_addrs()
        .unwrap_or_default()
        .iter()
        .filter(
            |interface| !matches!(&interface.addr, IfAddr::V6(v6) if v6.ip.is_unicast_link_local()),
        )
        .map(Interface::ip)
        .collect();
    if !all.contains(&Ipv4Addr::LOCALHOST.into()) {
        all.push(Ipv4Addr::LOCALHOST.into());
    }
    all
}

fn no_interfaces(error: &io::Error) -> ConfigError {
    let problem = format!("the system does not tell its interfaces: {error}");
    ConfigError { option: "ifce", problem, help: "leave it out to listen on all of them" }
}

fn explain(address: SocketAddr, error: Errno) -> StartError {
    let (option, problem, help) = match error {
        Errno::ADDRINUSE => (
            "port",
            format!("{address} is taken by another program"),
            "`ss -ltnp` tells which; stop it, or choose another port with --port N or --port auto",
        ),
        Errno::ACCESS | Errno::PERM => (
            "port",
            format!("this user may not listen on {address}: {error}"),
            "ports below 1024 are privileged: choose another with --port, e.g. 8080, or grant CAP_NET_BIND_SERVICE",
        ),
        Errno::ADDRNOTAVAIL | Errno::AFNOSUPPORT => (
            "ifce",
            format!("{} is no address of this machine", address.ip()),
            "`ip address` lists them; or name an interface, or leave it out to listen on all",
        ),
        other => (
            "port",
            format!("cannot listen on {address}: {other}"),
            "choose another address with --ifce or another port with --port",
        ),
    };
    let may_pass = !matches!(error, Errno::ACCESS | Errno::PERM);
    StartError { error: ConfigError { option, problem, help }, may_pass }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::HashSet,
        io::{Read, Write},
        net::TcpStream,
    };

    use super::*;

    fn ports(listeners: &[TcpListener]) -> HashSet<u16> {
        listeners.iter().map(|listener| listener.local_addr().unwrap().port()).collect()
    }

    fn talks(listener: &TcpListener, to: SocketAddr) {
        let mut client = TcpStream::connect(to).unwrap();
        client.write_all(b"x").unwrap();
        let (mut server, _) = listener.accept().unwrap();
        server.set_nonblocking(false).unwrap();
        let mut byte = [0];
        server.read_exact(&mut byte).unwrap();
        assert_eq!(byte, *b"x");
    }

    #[test]
    fn without_interface_all_addresses_are_heard() {
        let listeners = bind(None, Port::Auto).unwrap();
        let [listener] = listeners.as_slice() else { panic!("{listeners:?}") };
        let would_block = listener.accept().unwrap_err();
        assert_eq!(would_block.kind(), io::ErrorKind::WouldBlock);
        let port = listener.local_addr().unwrap().port();
        talks(listener, (Ipv4Addr::LOCALHOST, port).into());
        let urls = urls("http", &listeners);
        assert_eq!(urls[0], format!("http://127.0.0.1:{port}/"));
        let distinct: HashSet<&String> = urls.iter().collect();
        assert_eq!(distinct.len(), urls.len(), "{urls:?}");
    }

    #[test]
    fn an_address_is_heard_alone() {
        let listeners = bind(Some("127.0.0.1"), Port::Auto).unwrap();
        let port = *ports(&listeners).iter().next().unwrap();
        assert_eq!(listeners.len(), 1);
        talks(&listeners[0], (Ipv4Addr::LOCALHOST, port).into());
        assert_eq!(urls("http", &listeners), [format!("http://127.0.0.1:{port}/")]);
    }

    #[test]
    fn an_interface_is_heard_on_each_address_with_one_port() {
        for name in ["lo", "localhost"] {
            let listeners = bind(Some(name), Port::Auto).unwrap();
            assert_eq!(ports(&listeners).len(), 1, "{listeners:?}");
            assert!(urls("http", &listeners)[0].starts_with("http://127.0.0.1:"));
        }
    }

    #[test]
    fn a_wildcard_of_one_family_can_be_asked_for() {
        let listeners = bind(Some("0.0.0.0"), Port::Auto).unwrap();
        assert!(listeners[0].local_addr().unwrap().is_ipv4());
        assert!(urls("http", &listeners).iter().all(|url| !url.contains('[')));
    }

    #[test]
    fn errors_say_what_to_do() {
        let held = bind(Some("127.0.0.1"), Port::Auto).unwrap();
        let port = *ports(&held).iter().next().unwrap();
        for ifce in [Some("127.0.0.1"), Some("localhost"), None] {
            let StartError { error, may_pass } = bind(ifce, Port::Number(port)).unwrap_err();
            assert!(may_pass, "{error}");
            assert_eq!(error.option, "port");
            assert!(error.problem.contains(&format!(":{port} is taken")), "{error}");
            assert!(error.help.contains("--port auto") && error.help.contains("ss -ltnp"));
        }
        let StartError { error, may_pass } = bind(Some("nosuch0"), Port::Auto).unwrap_err();
        assert!(may_pass, "it may come up");
        assert_eq!(error.option, "ifce");
        assert!(error.problem.contains("nosuch0") && error.problem.contains("lo"), "{error}");
        let StartError { error, may_pass } = bind(Some("198.51.100.1"), Port::Auto).unwrap_err();
        assert!(may_pass, "an interface may get it");
        assert_eq!(error.option, "ifce");
        assert!(error.problem.contains("198.51.100.1"), "{error}");
        let StartError { error, may_pass } = explain(([127, 0, 0, 1], 80).into(), Errno::ACCESS);
        assert!(!may_pass, "{error}");
        assert!(
            error.problem.contains("127.0.0.1:80") && error.help.contains("privileged"),
            "{error}"
        );
    }
}
