//! A live resource: what comes in goes out to everybody who listens, and is kept only for those who
//! are a little behind.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

use bytes::Bytes;

use super::{
    Text,
    framing::{Audio, TuneIn},
};

/// A stream has so much time from its start to offer a place to begin.
const FIRST_WAIT: Duration = Duration::from_secs(5);
/// So much time may lie between two such places: encoders make a keyframe every 10 s at least.
const WAIT: Duration = Duration::from_secs(12);

/// Names a listener of a [`Broadcast`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ListenerId(u64);

/// How a [`Broadcast`] treats its listeners.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BroadcastOptions {
    /// How far a listener may be behind, in bytes (`max_async_buf`). The packet that it is to be
    /// sent next does not count, or one large packet could not be sent to anybody.
    pub max_async_buf: u64,
    /// A listener that comes is given up to so many bytes of what was sent before, so that it can
    /// start at once (`burst`).
    pub burst: u64,
    /// A listener that is too far behind slows the input down, instead of being dropped
    /// (`blockio`).
    pub blockio: bool,
    /// The input waits for the first listener (`hold`).
    pub hold: bool,
}

impl Default for BroadcastOptions {
    fn default() -> Self {
        Self { max_async_buf: 100_000, burst: 64 << 10, blockio: false, hold: false }
    }
}

/// What is sent at a time: whole packets, one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The bytes.
    pub data: Bytes,
    /// What a listener gets before this, if it begins here; `None`: it cannot begin here.
    pub tune_in: Option<TuneIn>,
    /// The stream offers this as a place to begin. Elsewhere a listener begins only where the
    /// stream has offered no such place for long.
    pub random_access: bool,
}

/// What a listener is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// It went on.
    Packets {
        /// Whole packets, tune-in data first if the listener begins here.
        data: Vec<Bytes>,
        /// What is being played, where that is known.
        title: Option<Text>,
        /// What kind of sound it is, where the stream tells.
        audio: Option<Audio>,
    },
    /// It is over; `complete` if that was its end, else it was given up.
    Over {
        /// See there.
        complete: bool,
    },
    /// The listener is too far behind and cannot go on.
    Lagging,
}

/// Most bytes given to a listener at a time, if not a single packet is larger.
const AT_A_TIME: u64 = 64 << 10;

/// A live resource and its listeners. `W` is what a runtime needs to tell one of them that there is
/// news.
#[derive(Debug)]
pub struct Broadcast<W> {
    options: BroadcastOptions,
    groups: VecDeque<Kept>,
    /// Number of the first of `groups`, counted from the first that ever came.
    first: u64,
    /// Bytes that came in all.
    end: u64,
    /// Since when the stream has offered no place to begin, and how long it may; `None` before its
    /// first bytes.
    wait: Option<(Instant, Duration)>,
    /// It was told that the stream does not.
    told_closed: bool,
    listeners: HashMap<ListenerId, Listener<W>>,
    next_id: u64,
    had_listener: bool,
    title: Option<Text>,
    audio: Option<Audio>,
    /// It is over, and well.
    over: Option<bool>,
    dropped: u64,
}

#[derive(Debug)]
struct Kept {
    data: Bytes,
    /// A listener begins here, with this before it.
    entry: Option<TuneIn>,
    /// What `end` was after it.
    end: u64,
}

#[derive(Debug)]
struct Listener<W> {
    /// The group that it gets next; `None`: the next one at which it can begin.
    next: Option<u64>,
    /// What it gets before that.
    tune_in: TuneIn,
    /// To be told of news. `None`: it was, and has not asked since.
    waiter: Option<W>,
    /// There was no news when it asked; else it is sending, and told only that it must go.
    waiting: bool,
    lagging: bool,
}

impl<W> Broadcast<W> {
    /// Nothing came yet.
    pub fn new(options: BroadcastOptions) -> Self {
        Self {
            options,
            groups: VecDeque::new(),
            first: 0,
            end: 0,
            wait: None,
            told_closed: false,
            listeners: HashMap::new(),
            next_id: 0,
            had_listener: false,
            title: None,
            audio: None,
            over: None,
            dropped: 0,
        }
    }

    /// How listeners are treated.
    pub fn options(&self) -> BroadcastOptions {
        self.options
    }

    /// Listeners are treated so from now on.
    pub fn set_options(&mut self, options: BroadcastOptions) {
        self.options = options;
    }

    // ---- the input ----

    /// May more come? If not, whoever brings it waits until [`take`](Self::take) or
    /// [`leave`](Self::leave) has changed that.
    pub fn has_room(&self) -> bool {
        !(self.is_held()
            || self.options.blockio && self.listeners.values().any(|l| self.is_late(l)))
    }

    /// More came. Calls `tell` for those who wait for it, and for those who are too far behind from
    /// now on.
    ///
    /// Once, for how long the stream has offered no place to begin, where that is too long:
    /// listeners begin anywhere from now on, until it offers one.
    pub fn push(
        &mut self,
        group: Group,
        now: Instant,
        mut tell: impl FnMut(W),
    ) -> Option<Duration> {
        if group.data.is_empty() || self.over.is_some() {
            return None;
        }
        let Group { data, tune_in, random_access } = group;
        let closed = self.closed(random_access, now);
        let entry = tune_in.filter(|_| random_access || closed.is_some());
        let number = self.first + self.groups.len() as u64;
        self.end += data.len() as u64;
        self.groups.push_back(Kept { data, entry: entry.clone(), end: self.end });
        self.trim();
        for listener in self.listeners.values_mut() {
            match (listener.next, &entry) {
                (None, None) => continue,
                (None, Some(tune_in)) => {
                    listener.next = Some(number);
                    listener.tune_in = tune_in.clone();
                }
                (Some(next), _) if next < self.first => {
                    listener.waiting |= !listener.lagging;
                    listener.lagging = true;
                }
                (Some(_), _) => {}
            }
            listener.tell(&mut tell);
        }
        closed.filter(|_| !std::mem::replace(&mut self.told_closed, true))
    }

    /// For how long the stream has offered no place to begin, where that is too long.
    fn closed(&mut self, random_access: bool, now: Instant) -> Option<Duration> {
        if random_access {
            self.wait = Some((now, WAIT));
        }
        let (since, most) = *self.wait.get_or_insert((now, FIRST_WAIT));
        let waited = now.saturating_duration_since(since);
        (waited >= most).then_some(waited)
    }

    /// What is being played.
    pub fn set_title(&mut self, title: Option<Text>) {
        self.title = title;
    }

    /// What kind of sound it is.
    pub fn set_audio(&mut self, audio: Option<Audio>) {
        self.audio = audio;
    }

    /// True while the input waits for the first listener (`hold`).
    pub fn is_held(&self) -> bool {
        self.options.hold && !self.had_listener
    }

    /// The stream ends. Calls `tell` for the listeners that wait.
    pub fn end(&mut self, complete: bool, mut tell: impl FnMut(W)) {
        self.over.get_or_insert(complete);
        self.listeners.values_mut().for_each(|listener| listener.tell(&mut tell));
    }

    // ---- the listeners ----

    /// A listener joins.
    pub fn join(&mut self) -> ListenerId {
        self.next_id += 1;
        let id = ListenerId(self.next_id);
        let (mut next, mut tune_in) = (None, TuneIn::default());
        for (at, kept) in self.groups.iter().enumerate() {
            let behind = self.end - kept.end + kept.data.len() as u64;
            if let (Some(entry), true) = (&kept.entry, behind <= self.options.burst) {
                next = Some(self.first + at as u64);
                tune_in = entry.clone();
                break;
            }
        }
        let listener = Listener { next, tune_in, waiter: None, waiting: false, lagging: false };
        self.listeners.insert(id, listener);
        id
    }

    /// What there is for a listener that has sent all it took before. Where there is nothing, it
    /// waits, and `waiter` is told when it is worth asking again; else `waiter` is told, while it
    /// sends, if it [must go](Self::must_go).
    pub fn take(&mut self, id: ListenerId, waiter: impl FnOnce() -> W) -> Option<News> {
        self.had_listener = true;
        if self.must_go(id) {
            return Some(News::Lagging);
        }
        let listener = self.listeners.get_mut(&id)?;
        listener.waiter = Some(waiter());
        listener.waiting = false;
        let TuneIn { header, head } = std::mem::take(&mut listener.tune_in);
        let mut data: Vec<Bytes> = [header, head].into();
        data.retain(|part| !part.is_empty());
        if let Some(next) = &mut listener.next {
            let mut taken = 0;
            for kept in self.groups.iter().skip((*next - self.first) as usize) {
                let len = kept.data.len() as u64;
                if taken > 0 && taken + len > AT_A_TIME {
                    break;
                }
                taken += len;
                data.push(kept.data.clone());
                *next += 1;
            }
        }
        if !data.is_empty() {
            return Some(News::Packets { data, title: self.title.clone(), audio: self.audio });
        }
        if let Some(complete) = self.over {
            self.listeners.remove(&id);
            return Some(News::Over { complete });
        }
        listener.waiting = true;
        None
    }

    /// True, once, for a listener that is too far behind, though it has not yet sent what it took:
    /// it listens no longer.
    pub fn must_go(&mut self, id: ListenerId) -> bool {
        let lags = self.listeners.get(&id).is_some_and(|listener| listener.lagging);
        if lags {
            self.listeners.remove(&id);
            self.dropped += 1;
        }
        lags
    }

    /// A listener leaves.
    pub fn leave(&mut self, id: ListenerId) {
        self.listeners.remove(&id);
    }

    /// Number of listeners.
    pub fn listeners(&self) -> usize {
        self.listeners.len()
    }

    /// Listeners that were too far behind, in all.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Drops the packets that lie further back than any listener may be.
    fn trim(&mut self) {
        let Self { options: BroadcastOptions { max_async_buf, burst, .. }, .. } = *self;
        let most = if self.listeners.is_empty() { burst } else { burst.max(max_async_buf) };
        let is_too_old = |kept: &Kept| self.end - kept.end > most;
        let mut useless = self.groups.iter().take_while(|kept| is_too_old(kept)).count();
        if self.options.blockio {
            let needed = self.listeners.values().filter_map(|listener| listener.next).min();
            useless = needed
                .map_or(useless, |next| useless.min(next.saturating_sub(self.first) as usize));
        }
        self.groups.drain(..useless);
        self.first += useless as u64;
    }

    fn is_late(&self, listener: &Listener<W>) -> bool {
        let at = listener.next.and_then(|next| next.checked_sub(self.first));
        let next = at.and_then(|at| self.groups.get(at as usize));
        next.is_some_and(|kept| self.end - kept.end > self.options.max_async_buf)
    }
}

impl<W> Listener<W> {
    fn tell(&mut self, tell: &mut impl FnMut(W)) {
        if std::mem::take(&mut self.waiting) {
            self.waiter.take().into_iter().for_each(tell);
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests need some moment to begin at")]
mod tests;
