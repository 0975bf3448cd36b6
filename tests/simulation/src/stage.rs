//! Scenes that are set by hand: for what chance finds too rarely.

use std::time::Duration;

use httpout_proto::Session;

use crate::{
    client::{How, Manner, Time},
    disk::Disk,
    invariants::ONE_READ,
    link::Link,
    reply::Reply,
    request::Request,
    world::{Event, World},
};

impl World<'_> {
    /// A client that asks this, one request after the other, and closes when it has its answers.
    pub fn client(&mut self, requests: impl IntoIterator<Item = Request>) -> usize {
        let session = Session::new(self.site.clone());
        let c = self.open(session, Link::new(ONE_READ), Manner::default());
        self.conns[c].client.queue.extend(requests);
        c
    }

    /// Holds what the client sends of the request under way, and of later ones, at so many bytes;
    /// `None`: no longer.
    pub fn leash(&mut self, c: usize, bytes: Option<usize>) {
        self.conns[c].client.manner.leash = bytes;
    }

    /// How much the client reads before it stops to, and for how long.
    pub fn stall_reading(&mut self, c: usize, after: usize, time: Duration) {
        self.conns[c].client.manner.read_stall = Some((after, time));
    }

    /// The client stays when it is done, until `false`.
    pub fn stay(&mut self, c: usize, stays: bool) {
        self.conns[c].client.manner.lingers = stays;
    }

    /// The client reads nothing, and closes its socket when all is sent.
    pub fn only_sends(&mut self, c: usize) {
        let client = &mut self.conns[c].client;
        let all: usize = client.queue.iter().map(|request| request.encode().0.len()).sum();
        client.manner.leaves = Some((all - 1, How::Close));
        client.manner.depth = client.queue.len();
        client.read_at = Time::MAX;
    }

    /// The client resets its connection.
    pub fn reset(&mut self, c: usize) {
        let conn = &mut self.conns[c];
        conn.client.go(How::Reset, &mut conn.link, &mut self.dice);
    }

    /// Answers that the client has, whole or cut.
    pub fn replies(&self, c: usize) -> Vec<&Reply> {
        self.conns[c].client.answered.iter().map(|answered| &answered.reply).collect()
    }

    /// The server has not closed the connection.
    pub fn is_open(&self, c: usize) -> bool {
        !self.conns[c].over
    }

    /// Each work of the disk takes so long from now on.
    pub fn slow_disk(&mut self, time: Duration) {
        self.disk_time = time;
    }

    /// The disk holds no more than so many bytes; to be called first.
    pub fn small_disk(&mut self, bytes: u64) {
        self.disk = Disk::new(bytes);
    }

    /// What stands under a name on the disk.
    pub fn file(&self, path: &str) -> Option<Vec<u8>> {
        self.disk.file(path).map(|inode| inode.data().clone())
    }

    /// Part files on the disk.
    pub fn has_parts(&self) -> bool {
        self.disk.has_parts()
    }

    /// The wall clock is set back.
    ///
    /// # Errors
    /// What should not have happened.
    pub fn set_back(&mut self, time: Duration) -> Result<(), String> {
        self.happen(Event::SetClock { seconds: time.as_secs(), back: true })
    }

    /// The server is killed and started again; its machine keeps its power or not.
    ///
    /// # Errors
    /// What should not have happened.
    pub fn crash(&mut self, power: bool) -> Result<(), String> {
        self.happen(Event::Crash { power })
    }

    /// The server is told to stop.
    ///
    /// # Errors
    /// What should not have happened.
    pub fn shut_down(&mut self) -> Result<(), String> {
        self.happen(Event::ShutDown)
    }
}
