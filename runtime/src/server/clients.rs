//! The clients of a server: which connections are let in.

use std::{
    collections::{HashMap, HashSet},
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use httpout_proto::{Client, Session, auth::throttle::Peer};

use super::{ListenerKind, Options, Shared, SiteState, lock};
use crate::{
    mailbox::{Mailbox, Message},
    tls::Tls,
};

/// Connections beyond the limit that are told so at a time; more are closed without a word.
const REFUSED_AT_ONCE: usize = 256;
/// Peers whose first refusal is remembered, so that it is logged once.
const REFUSALS_NOTED: usize = 1024;
/// Connections on the admin address at a time. One more takes the place of the one that has been
/// silent longest: clients that only stay connected must not keep probes out.
const ADMIN_AT_ONCE: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Clients {
    next: u64,
    pub(super) open: HashMap<u64, Arc<Mailbox>>,
    peers: HashMap<Peer, usize>,
    pub(super) admitted: usize,
    refused: usize,
    /// Connections on the admin address, the one first that has been silent longest.
    admin: Vec<u64>,
    /// A client was let in.
    pub(super) had_one: bool,
    /// Whose first refusal was logged, and by which limit.
    refusals: HashSet<(IpAddr, &'static str)>,
}

impl Clients {
    /// Notes that a peer is refused; true if it is to be logged. When many are noted, all are
    /// forgotten.
    fn note_refusal(&mut self, peer: IpAddr, limit: &'static str) -> bool {
        if self.refusals.len() >= REFUSALS_NOTED {
            self.refusals.clear();
        }
        self.refusals.insert((peer, limit))
    }
}

/// A connection's place among the clients; given back when it is dropped.
#[derive(Debug)]
pub struct ConnectionPermit {
    shared: Arc<Shared>,
    id: u64,
    peer: IpAddr,
    port: u16,
    entry: Entry,
    tls: Option<Box<Tls>>,
}

/// How a connection is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entry {
    Admitted,
    /// To be told that there are too many.
    Refused,
    Admin,
}

impl Shared {
    /// Lets a connection in, or in to be refused; `None` if there are too many even of those.
    pub fn admit(
        self: &Arc<Self>,
        peer: SocketAddr,
        door: ListenerKind,
    ) -> Option<ConnectionPermit> {
        let (peer, port) = (peer.ip().to_canonical(), peer.port());
        let tls = match door {
            // Never in the clear what was to be secured.
            ListenerKind::Secure => Some(Box::new(self.tls.begin()?)),
            ListenerKind::Public | ListenerKind::Admin => None,
        };
        let Options { max_connections: maxc, max_connections_per_peer: maxp, .. } = self.options;
        let mut clients = lock(&self.clients);
        let of_peer = clients.peers.get(&Peer::of(peer)).copied().unwrap_or(0);
        let over = if maxp > 0 && of_peer >= maxp {
            Some(("maxp", maxp))
        } else if maxc > 0 && clients.admitted >= maxc {
            Some(("maxc", maxc))
        } else {
            None
        };
        let full = over.is_some();
        if let Some((option, most)) = over.filter(|_| door != ListenerKind::Admin)
            && clients.note_refusal(peer, option)
        {
            let whose = if option == "maxp" { "the address" } else { "all clients" };
            tracing::warn!(
                %peer,
                "a connection is refused: {whose} may have {most} at a time; raise --{option} to allow more \
                 (further refusals of this address are not logged)"
            );
        }
        let entry = match door {
            ListenerKind::Admin => Entry::Admin,
            ListenerKind::Public | ListenerKind::Secure if !full => Entry::Admitted,
            ListenerKind::Public | ListenerKind::Secure if clients.refused >= REFUSED_AT_ONCE => {
                return None;
            }
            ListenerKind::Public | ListenerKind::Secure => Entry::Refused,
        };
        if door != ListenerKind::Admin {
            self.metrics.connection(entry == Entry::Refused);
        }
        match entry {
            Entry::Admin => clients.make_room_for_admin(),
            Entry::Refused => clients.refused += 1,
            Entry::Admitted => {
                clients.admitted += 1;
                clients.had_one = true;
                *clients.peers.entry(Peer::of(peer)).or_default() += 1;
            }
        }
        clients.next += 1;
        let id = clients.next;
        if entry == Entry::Admin {
            clients.admin.push(id);
        }
        Some(ConnectionPermit { shared: self.clone(), id, peer, port, entry, tls })
    }
}

impl ConnectionPermit {
    /// The TLS of the connection, if it is to have one; can be taken once.
    pub(crate) fn take_tls(&mut self) -> Option<Box<Tls>> {
        self.tls.take()
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// The peer's address.
    pub(crate) fn peer(&self) -> IpAddr {
        self.peer
    }

    /// The peer's address and port.
    pub(crate) fn peer_socket(&self) -> SocketAddr {
        (self.peer, self.port).into()
    }

    /// The client has sent something.
    pub(crate) fn touch(&self) {
        if self.entry == Entry::Admin {
            let admin = &mut lock(&self.shared.clients).admin;
            if let Some(at) = admin.iter().position(|id| *id == self.id) {
                admin[at..].rotate_left(1);
            }
        }
    }

    /// The connection's number: no other has it.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// A session for the connection, what is served to it, and the box where it is told of a
    /// change.
    pub(crate) fn session(&self) -> (Session, Arc<SiteState>, Arc<Mailbox>) {
        let mailbox = Arc::new(Mailbox::default());
        let mut clients = lock(&self.shared.clients);
        clients.open.insert(self.id, mailbox.clone());
        if self.entry == Entry::Admin && !clients.admin.contains(&self.id) {
            // Another connection took its place before it began.
            mailbox.post(Message::Abort);
        }
        drop(clients);
        // Seen here, or told by the mailbox.
        if self.shared.is_stopping() {
            mailbox.post(Message::ShutDown);
        }
        let offer = self.shared.offer();
        let site = offer.site.clone();
        let session = match self.entry {
            Entry::Admitted => Session::new(site),
            Entry::Refused => Session::overloaded(site),
            Entry::Admin => Session::admin(site),
        };
        let client = Client { address: Some(self.peer), tls: self.tls.is_some(), user: None };
        (session.with_client(client), offer, mailbox)
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let mut clients = lock(&self.shared.clients);
        clients.open.remove(&self.id);
        match self.entry {
            Entry::Admitted => {
                clients.admitted -= 1;
                let peer = Peer::of(self.peer);
                if let Some(count) = clients.peers.get_mut(&peer) {
                    *count -= 1;
                    if *count == 0 {
                        clients.peers.remove(&peer);
                    }
                }
            }
            Entry::Refused => clients.refused -= 1,
            Entry::Admin => {
                clients.admin.retain(|other| *other != self.id);
                return;
            }
        }
        if clients.is_empty() {
            let had_one = clients.had_one;
            drop(clients);
            self.shared.drained.notify(usize::MAX);
            if had_one {
                self.shared.quit();
            }
        }
    }
}

impl Clients {
    fn make_room_for_admin(&mut self) {
        while self.admin.len() >= ADMIN_AT_ONCE {
            let silent = self.admin.remove(0);
            if let Some(mailbox) = self.open.get(&silent) {
                mailbox.post(Message::Abort);
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.admitted == 0 && self.refused == 0
    }
}
