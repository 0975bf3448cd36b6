//! With nginx, as a proxy in front and as a server to push to; Apache for the latter.

mod proxy;
mod push_servers;
