//! Many listeners of one live resource, in one thread and at little cost, so that what is measured
//! is the server.

use std::{
    io::{ErrorKind, Read},
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use rustix::{
    buffer::spare_capacity,
    event::{Timespec, epoll},
};

use crate::{
    client::Client,
    error::{Context, Error, Result},
    peers::Server,
    tap::Tap,
};

/// So many knock at once: icecast2 lets 64 wait at the door, and who finds no room there knocks
/// again a second later.
const AT_ONCE: usize = 50;
/// Until the answers to those must have begun.
const PATIENCE: Duration = Duration::from_secs(10);
/// One read takes all that is there of a listener who keeps up.
const BLOCK: usize = 64 << 10;

/// Listeners that are connected.
#[derive(Debug)]
pub(crate) struct Crowd {
    epoll: OwnedFd,
    listeners: Vec<Listener>,
    buffer: Vec<u8>,
    arrivals: Arrivals,
}

#[derive(Debug)]
struct Listener {
    client: Client,
    tap: Tap,
    open: bool,
}

/// When packets were there whole.
#[derive(Debug)]
struct Arrivals {
    start: Instant,
    packet: u64,
    /// Of each packet: how many listeners have it, and when the last of them got it.
    last: Vec<(usize, Duration)>,
}

impl Crowd {
    /// Nobody yet. Packets are of `packet` bytes, and times are counted from `start`.
    pub(crate) fn new(packet: usize, start: Instant) -> Result<Self> {
        Ok(Self {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC).context("epoll")?,
            listeners: Vec::new(),
            buffer: vec![0; BLOCK],
            arrivals: Arrivals { start, packet: packet as u64, last: Vec::new() },
        })
    }

    /// Lets listeners join until there are `count`. Each has the beginning of an answer when this
    /// returns.
    pub(crate) fn join(&mut self, server: &Server, name: &str, count: usize) -> Result<()> {
        while self.listeners.len() < count {
            let most = (self.listeners.len() + AT_ONCE).min(count);
            while self.listeners.len() < most {
                self.knock(server, name)?;
            }
            let end = Instant::now() + PATIENCE;
            while !self.listeners.iter().all(|listener| listener.tap.is_on()) {
                if Instant::now() > end || self.dropped() > 0 {
                    let waiting = self.listeners.iter().filter(|each| !each.tap.is_on()).count();
                    let have = self.listeners.len();
                    return Err(Error::new(format!("{waiting} of {have} listeners got no answer")));
                }
                self.listen(Instant::now() + Duration::from_millis(20))?;
            }
        }
        Ok(())
    }

    /// Takes what comes until `end`.
    pub(crate) fn listen(&mut self, end: Instant) -> Result<()> {
        let mut events = Vec::with_capacity(1024);
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let timeout = Timespec::try_from(left).context("epoll")?;
            let room = spare_capacity(&mut events);
            epoll::wait(&self.epoll, room, Some(&timeout)).context("epoll")?;
            for event in events.drain(..) {
                let listener = &mut self.listeners[event.data.u64() as usize];
                listener.read(&self.epoll, &mut self.buffer, &mut self.arrivals)?;
            }
            // Not only when nothing is left to be read: with a busy crowd that never is.
            if left.is_zero() {
                return Ok(());
            }
        }
    }

    /// Bytes of the stream that each got so far.
    pub(crate) fn received(&self) -> Vec<u64> {
        self.listeners.iter().map(|listener| listener.tap.received()).collect()
    }

    /// Listeners whose connection is closed.
    pub(crate) fn dropped(&self) -> usize {
        self.listeners.iter().filter(|listener| !listener.open).count()
    }

    /// How often the stream of a listener did not go on where it was.
    pub(crate) fn gaps(&self) -> u64 {
        self.listeners.iter().map(|listener| listener.tap.gaps()).sum()
    }

    /// When the last of all listeners had all of a packet; `None` if not all have it.
    pub(crate) fn last(&self, packet: usize) -> Option<Duration> {
        let &(count, time) = self.arrivals.last.get(packet)?;
        (count == self.listeners.len()).then_some(time)
    }

    fn knock(&mut self, server: &Server, name: &str) -> Result<()> {
        let mut client = Client::connect(server.addr)?;
        client.send(format!("GET /{name} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes())?;
        client.0.set_nonblocking(true).context("listener")?;
        let data = epoll::EventData::new_u64(self.listeners.len() as u64);
        epoll::add(&self.epoll, &client.0, data, epoll::EventFlags::IN).context("epoll")?;
        self.listeners.push(Listener { client, tap: Tap::new(), open: true });
        Ok(())
    }
}

impl Listener {
    fn read(&mut self, epoll: &OwnedFd, buffer: &mut [u8], arrivals: &mut Arrivals) -> Result<()> {
        match self.client.0.read(buffer) {
            Ok(0) => {}
            Ok(len) => {
                let before = self.tap.offset();
                self.tap.take(&buffer[..len])?;
                if let Some((before, after)) = before.zip(self.tap.offset()) {
                    arrivals.note(before, after);
                }
                return Ok(());
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            Err(error) => return Err(error).context("listener"),
        }
        self.open = false;
        epoll::delete(epoll, &self.client.0).context("epoll")
    }
}

impl Arrivals {
    /// One listener went on from one place in the stream to another.
    fn note(&mut self, before: u64, after: u64) {
        let ended = (before / self.packet) as usize..(after / self.packet) as usize;
        if ended.is_empty() {
            return;
        }
        let time = self.start.elapsed();
        if self.last.len() < ended.end {
            self.last.resize(ended.end, (0, Duration::ZERO));
        }
        for (count, last) in &mut self.last[ended] {
            *count += 1;
            *last = time;
        }
    }
}
