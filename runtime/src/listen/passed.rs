//! Sockets that systemd, or another parent, opened for the server (`sd_listen_fds(3)`).

use std::{io, net::TcpListener};

use httpout_proto::ConfigError;
use listenfd::ListenFd;
use rustix::net::sockopt;

/// The listening sockets that the environment tells of (`LISTEN_FDS`); none if it does not. They do
/// not block. To be called once, before there are threads: the variables are taken out of the
/// environment, so that no child takes them for its own.
///
/// # Errors
/// A descriptor that is no listening TCP socket.
pub fn passed() -> Result<Vec<TcpListener>, ConfigError> {
    let mut passed = ListenFd::from_env();
    let mut listeners = Vec::new();
    for index in 0..passed.len() {
        let listener = passed.take_tcp_listener(index).map_err(|error| explain(index, &error))?;
        // `None`: taken before.
        let Some(listener) = listener else { continue };
        match check(&listener) {
            Ok(true) => listeners.push(listener),
            Ok(false) => return Err(explain(index, &"it does not listen")),
            Err(error) => return Err(explain(index, &error)),
        }
    }
    Ok(listeners)
}

/// Whether it listens; it does not block then.
fn check(listener: &TcpListener) -> io::Result<bool> {
    listener.set_nonblocking(true)?;
    Ok(sockopt::socket_acceptconn(listener)?)
}

fn explain(index: usize, problem: &dyn std::fmt::Display) -> ConfigError {
    ConfigError {
        option: "LISTEN_FDS",
        problem: format!("passed descriptor number {index} cannot be served: {problem}"),
        help: "pass TCP sockets that listen, as ListenStream= of a systemd socket does",
    }
}
