//! Which password checks are made, when, and what is remembered of them.
//!
//! A check costs tens of milliseconds and megabytes, on purpose: guessing shall be dear. Without a
//! gate the server would pay that price for each request of a player or encoder, and for each guess
//! of an attacker. So a success is remembered while it is used, equal questions share one check,
//! one check runs at a time, peers take turns, and a peer that keeps guessing is refused unheard.

#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
    net::{IpAddr, Ipv6Addr},
    time::{Duration, Instant},
};

/// How long a success is remembered, from the end of its check, or from its last use by the peer
/// that it was checked for. It never becomes wrong: another credential would be another question.
const REMEMBERED: Duration = Duration::from_secs(60);
/// Most successes remembered.
const MOST_REMEMBERED: usize = 4096;
/// Most checks at a time.
const RUNNING: usize = 1;
/// Most checks of one peer in the queue.
const MOST_QUEUED_OF_PEER: usize = 8;
/// Most checks in the queue.
const MOST_QUEUED: usize = 256;
/// Wrong passwords of a peer within [`WINDOW`] after which it is refused until the window is over.
const MOST_WRONG: u32 = 10;
/// Begins with a peer's first wrong password.
const WINDOW: Duration = Duration::from_secs(60);
/// Most peers whose wrong passwords are counted.
const MOST_COUNTED: usize = 4096;
/// When to come back if the queue is full.
const QUEUE_RETRY: Duration = Duration::from_secs(1);

/// Stands between requests with passwords and the checks of them. A runtime keeps one behind a
/// lock.
///
/// `K` tells questions apart: a keyed digest of user, password and credential, so that a changed
/// credential is a new question. `J` is what the runtime needs to run a check, `W` what it needs to
/// tell a connection the result.
///
/// At most one check runs at a time; more wait in the queues of their peers, which take turns: a
/// flood of one peer delays others by one check. The queues are bounded: 8 checks of a peer, 256 in
/// all. Those who wait for the same check are not: each is a connection, and the server bounds
/// those.
///
/// After 10 wrong passwords a peer is refused until a minute after the first of them. Checks that
/// it has in the queue by then are still run, so it has at most 18 guesses. Meanwhile it is
/// answered from memory only what was checked for itself: an encoder goes on although a neighbour
/// guesses, but what others have proven cannot be found out by fast guesses that cost no check. The
/// same holds while the peer's queue is full.
#[derive(Debug)]
pub struct PasswordThrottle<K, J, W> {
    /// Successes, and their keys in the order in which they are to be forgotten.
    right: HashMap<K, Right>,
    right_order: VecDeque<(Instant, K)>,
    /// Running or queued.
    checks: HashMap<K, Check<J, W>>,
    running: usize,
    queues: HashMap<Peer, VecDeque<K>>,
    /// The peers that have a queue, whose turn is next first.
    turns: VecDeque<Peer>,
    /// Wrong passwords by peer, and the peers in the order in which their windows began.
    wrong: HashMap<Peer, Wrong>,
    wrong_order: VecDeque<(Instant, Peer)>,
}

/// What becomes of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckOutcome<J, W> {
    /// The password is right: it was checked, or used by the peer it was checked for, less than a
    /// minute ago.
    Right,
    /// Run this check now, then call [`PasswordThrottle::finish`]. The waiter is kept until then.
    Check(J),
    /// The waiter is kept until the result is known.
    Queued,
    /// Not checked: too many checks are waiting, or too many passwords of this peer were wrong.
    TooMany {
        /// The peer that asked.
        waiter: W,
        /// When asking again makes sense; never zero.
        retry: Duration,
    },
}

/// What to do after a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished<K, J, W> {
    /// Tell each of them the result.
    pub waiters: Vec<W>,
    /// Run this check now, then call [`PasswordThrottle::finish`] with its key.
    pub next: Option<(K, J)>,
}

/// A peer as limits count it: an IPv4 address, or an IPv6 network of 64 bits, since a host may take
/// any address of its network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Peer(IpAddr);

#[derive(Debug)]
struct Check<J, W> {
    /// The peer that asked first: a wrong password counts against it alone.
    peer: Peer,
    /// `None`: it runs.
    job: Option<J>,
    waiters: Vec<W>,
}

#[derive(Debug)]
struct Right {
    until: Instant,
    /// The peer that asked first.
    peer: Peer,
}

#[derive(Debug)]
struct Wrong {
    until: Instant,
    count: u32,
}

impl<K, J, W> Default for PasswordThrottle<K, J, W> {
    fn default() -> Self {
        Self {
            right: HashMap::new(),
            right_order: VecDeque::new(),
            checks: HashMap::new(),
            running: 0,
            queues: HashMap::new(),
            turns: VecDeque::new(),
            wrong: HashMap::new(),
            wrong_order: VecDeque::new(),
        }
    }
}

impl<K: Clone + Eq + Hash, J, W> PasswordThrottle<K, J, W> {
    /// Asks whether a password is right. The job is dropped where no new check is needed, the
    /// waiter where the answer is known.
    ///
    /// `now` is never earlier than in a call before.
    pub fn ask(
        &mut self,
        now: Instant,
        peer: IpAddr,
        key: K,
        job: J,
        waiter: W,
    ) -> CheckOutcome<J, W> {
        let peer = Peer::of(peer);
        let right = self.right.get_mut(&key).filter(|right| now < right.until);
        let checked_by = right.as_ref().map(|right| right.peer);
        if let Some(right) = right
            && right.peer == peer
        {
            right.until = now + REMEMBERED;
            return CheckOutcome::Right;
        }
        if let Some(retry) = self.refused_for(now, peer) {
            return CheckOutcome::TooMany { waiter, retry };
        }
        if let Some(check) = self.checks.get_mut(&key) {
            check.waiters.push(waiter);
            return CheckOutcome::Queued;
        }
        let own = self.queues.get(&peer).map_or(0, VecDeque::len);
        if own >= MOST_QUEUED_OF_PEER {
            return CheckOutcome::TooMany { waiter, retry: QUEUE_RETRY };
        }
        if checked_by.is_some() {
            return CheckOutcome::Right;
        }
        if self.running < RUNNING {
            self.running += 1;
            self.checks.insert(key, Check { peer, job: None, waiters: vec![waiter] });
            return CheckOutcome::Check(job);
        }
        if self.queued() >= MOST_QUEUED {
            return CheckOutcome::TooMany { waiter, retry: QUEUE_RETRY };
        }
        if own == 0 {
            self.turns.push_back(peer);
        }
        self.queues.entry(peer).or_default().push_back(key.clone());
        self.checks.insert(key, Check { peer, job: Some(job), waiters: vec![waiter] });
        CheckOutcome::Queued
    }

    /// A check is done. Nothing comes of a key whose check does not run.
    ///
    /// A right password does not reset the count of the peer's wrong ones: else who has one account
    /// could guess those of others.
    pub fn finish(&mut self, now: Instant, key: &K, right: bool) -> Finished<K, J, W> {
        let runs = self.checks.get(key).is_some_and(|check| check.job.is_none());
        let Some(check) = runs.then(|| self.checks.remove(key)).flatten() else {
            return Finished { waiters: Vec::new(), next: None };
        };
        self.running -= 1;
        if right {
            self.remember(now, key.clone(), check.peer);
        } else {
            self.count_wrong(now, check.peer);
        }
        Finished { waiters: check.waiters, next: self.next() }
    }

    /// Takes the next check out of the queue of the peer whose turn it is.
    fn next(&mut self) -> Option<(K, J)> {
        let peer = self.turns.pop_front()?;
        let queue = self.queues.get_mut(&peer)?;
        let key = queue.pop_front()?;
        if queue.is_empty() {
            self.queues.remove(&peer);
        } else {
            self.turns.push_back(peer);
        }
        let job = self.checks.get_mut(&key)?.job.take()?;
        self.running += 1;
        Some((key, job))
    }

    fn queued(&self) -> usize {
        self.checks.len() - self.running
    }

    fn remember(&mut self, now: Instant, key: K, peer: Peer) {
        while let Some((until, _)) = self.right_order.front()
            && (*until <= now || self.right_order.len() >= MOST_REMEMBERED)
        {
            self.forget_oldest_right(now);
        }
        let until = now + REMEMBERED;
        // One that was over may still have its place in the order.
        if self.right.insert(key.clone(), Right { until, peer }).is_none() {
            self.right_order.push_back((until, key));
        }
    }

    /// Unless it was used since, when it is put behind the others.
    fn forget_oldest_right(&mut self, now: Instant) {
        let Some((until, key)) = self.right_order.pop_front() else { return };
        match self.right.get(&key) {
            Some(right) if right.until > until && right.until > now => {
                self.right_order.push_back((right.until, key));
            }
            Some(_) | None => _ = self.right.remove(&key),
        }
    }

    /// How long the peer is still refused for its wrong passwords.
    fn refused_for(&self, now: Instant, peer: Peer) -> Option<Duration> {
        let wrong = self.wrong.get(&peer)?;
        (wrong.count >= MOST_WRONG && now < wrong.until).then(|| wrong.until - now)
    }

    fn count_wrong(&mut self, now: Instant, peer: Peer) {
        while self.wrong_order.front().is_some_and(|(until, _)| *until <= now) {
            self.forget_oldest_wrong();
        }
        if let Some(wrong) = self.wrong.get_mut(&peer) {
            wrong.count += 1;
            return;
        }
        if self.wrong_order.len() >= MOST_COUNTED {
            self.forget_oldest_wrong();
        }
        let until = now + WINDOW;
        self.wrong.insert(peer, Wrong { until, count: 1 });
        self.wrong_order.push_back((until, peer));
    }

    fn forget_oldest_wrong(&mut self) {
        if let Some((_, peer)) = self.wrong_order.pop_front() {
            self.wrong.remove(&peer);
        }
    }
}

impl Peer {
    /// The peer that has this address.
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self(IpAddr::V4(address)),
            IpAddr::V6(address) => {
                let network = address.to_bits() & !u128::from(u64::MAX);
                Self(IpAddr::V6(Ipv6Addr::from_bits(network)))
            }
        }
    }
}
