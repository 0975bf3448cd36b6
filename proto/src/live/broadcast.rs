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

/// How a [`Broadcast`] treats those who listen.
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

    /// Nothing more will come. Calls `tell` for those who wait.
    pub fn end(&mut self, complete: bool, mut tell: impl FnMut(W)) {
        self.over.get_or_insert(complete);
        self.listeners.values_mut().for_each(|listener| listener.tell(&mut tell));
    }

    // ---- the listeners ----

    /// Somebody listens from now on.
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

    /// Somebody listens no longer.
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

    /// Forgets what nobody needs any more: what is further back than anybody may be.
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn group(data: &'static str, tune_in: Option<&'static str>) -> Group {
        let tune_in = tune_in.map(|header| Bytes::from(header).into());
        Group { data: data.into(), random_access: tune_in.is_some(), tune_in }
    }

    fn push<W>(live: &mut Broadcast<W>, group: Group, tell: impl FnMut(W)) {
        assert_eq!(live.push(group, Instant::now(), tell), None);
    }

    fn options(max_async_buf: u64, burst: u64) -> BroadcastOptions {
        BroadcastOptions { max_async_buf, burst, ..BroadcastOptions::default() }
    }

    fn take(broadcast: &mut Broadcast<u8>, id: ListenerId) -> Option<String> {
        match broadcast.take(id, || 0)? {
            News::Packets { data, .. } => Some(String::from_utf8(data.concat()).unwrap()),
            other @ (News::Over { .. } | News::Lagging) => Some(format!("{other:?}")),
        }
    }

    #[test]
    fn a_listener_begins_where_it_can_and_gets_what_it_needs_first() {
        let mut live = Broadcast::new(options(100, 0));
        push(&mut live, group("lost", Some("t0 ")), |_| {});
        let id = live.join();
        assert_eq!(take(&mut live, id), None);
        let mut told = Vec::new();
        push(&mut live, group("skipped", None), |w| told.push(w));
        assert!(told.is_empty(), "there is nothing for it yet");
        push(&mut live, group("a", Some("t1 ")), |w| told.push(w));
        push(&mut live, group("b", None), |w| told.push(w));
        assert_eq!(told, [0], "told once");
        assert_eq!(take(&mut live, id).unwrap(), "t1 ab");
        assert_eq!(take(&mut live, id), None);
        live.end(true, |w| told.push(w));
        assert_eq!(told, [0, 0]);
        assert_eq!(take(&mut live, id).unwrap(), "Over { complete: true }");
        assert_eq!(live.listeners(), 0);
    }

    #[test]
    fn a_burst_is_what_was_sent_before_from_a_place_to_begin() {
        let mut live = Broadcast::<u8>::new(options(100, 6));
        for (data, tune_in) in [("aa", Some("")), ("bb", None), ("cc", Some("t ")), ("dd", None)] {
            push(&mut live, group(data, tune_in), |_| {});
        }
        let id = live.join();
        assert_eq!(take(&mut live, id).unwrap(), "t ccdd");
        push(&mut live, group("eeeeeeee", None), |_| {});
        let late = live.join();
        assert_eq!(take(&mut live, late), None, "the last beginning is too far back");
        assert_eq!(take(&mut live, id).unwrap(), "eeeeeeee");
    }

    #[test]
    fn a_stream_without_a_place_to_begin_lets_listeners_in_anyway() {
        let start = Instant::now();
        let (seconds, mut live) = (Duration::from_secs, Broadcast::new(options(100, 0)));
        let push = |live: &mut Broadcast<u8>, at: u64, data, random_access| {
            let header = (data != "head ").then(|| Bytes::from("t ").into());
            let group = Group { data: Bytes::from(data), tune_in: header, random_access };
            live.push(group, start + seconds(at), |_| {})
        };
        assert_eq!(push(&mut live, 100, "head ", false), None);
        let first = live.join();
        assert_eq!(push(&mut live, 104, "a", false), None);
        assert_eq!(take(&mut live, first), None, "a place may come");
        assert_eq!(push(&mut live, 105, "head ", false), Some(seconds(5)));
        assert_eq!(take(&mut live, first), None, "nobody begins at a header");
        assert_eq!(push(&mut live, 106, "b", false), None, "it was told");
        assert_eq!(take(&mut live, first).unwrap(), "t b");

        // Once the stream offers a place, listeners wait for one, but not for ever.
        assert_eq!(push(&mut live, 107, "c", true), None);
        let second = live.join();
        assert_eq!(push(&mut live, 118, "d", false), None);
        assert_eq!(take(&mut live, second), None);
        assert_eq!(push(&mut live, 119, "e", false), None);
        assert_eq!(take(&mut live, second).unwrap(), "t e");
        assert_eq!(take(&mut live, first).unwrap(), "cde");
    }

    #[test]
    fn who_is_too_far_behind_is_dropped_and_nobody_else() {
        let mut live = Broadcast::new(options(4, 0));
        let (slow, quick) = (live.join(), live.join());
        assert_eq!((take(&mut live, slow), live.take(quick, || 1)), (None, None));
        let mut told = Vec::new();
        for data in ["123456789", "ab", "cd", "ef"] {
            push(&mut live, group(data, Some("")), |w| told.extend((w == 0).then_some(data)));
            assert!(live.take(quick, || 1).is_some());
            assert_eq!(live.take(quick, || 1), None);
            if data.len() > 4 {
                assert_eq!(take(&mut live, slow).unwrap(), data, "and now it sends that");
            }
        }
        assert!(!live.must_go(slow));
        for data in ["g", "h"] {
            push(&mut live, group(data, Some("")), |w| told.extend((w == 0).then_some(data)));
        }
        assert_eq!(told, ["123456789", "g"], "of the first news, and that it must go");
        assert!(live.must_go(slow) && !live.must_go(slow));
        assert_eq!((take(&mut live, quick).unwrap(), live.dropped()), ("gh".into(), 1));
    }

    #[test]
    fn with_blockio_the_input_waits_instead() {
        let mut live = Broadcast::new(BroadcastOptions { blockio: true, ..options(4, 0) });
        let slow = live.join();
        assert_eq!(take(&mut live, slow), None);
        for data in ["aaaa", "bb", "cc"] {
            assert!(live.has_room());
            push(&mut live, group(data, Some("")), |_| {});
        }
        push(&mut live, group("dddddddd", None), |_: u8| {});
        assert!(!live.has_room());
        assert_eq!(take(&mut live, slow).unwrap(), "aaaabbccdddddddd");
        assert!(live.has_room());
    }

    #[test]
    fn who_lagged_before_blockio_is_dropped_still() {
        let mut live = Broadcast::new(options(4, 0));
        let slow = live.join();
        for data in ["aaaa", "bbbb", "cccc"] {
            push(&mut live, group(data, Some("")), |_: u8| {});
        }
        live.set_options(BroadcastOptions { blockio: true, ..options(4, 0) });
        assert!(live.has_room());
        push(&mut live, group("dddd", None), |_| {});
        assert_eq!(take(&mut live, slow).unwrap(), "Lagging");
    }

    #[test]
    fn the_input_is_held_until_somebody_listens() {
        let mut live = Broadcast::<u8>::new(BroadcastOptions { hold: true, ..options(4, 0) });
        assert!(!live.has_room());
        let id = live.join();
        assert!(!live.has_room(), "it has only looked");
        assert_eq!(take(&mut live, id), None);
        assert!(live.has_room());
        live.leave(id);
        assert!(live.has_room());
    }

    /// What a listener got so far, and where that began.
    #[derive(Debug, Default)]
    struct Heard {
        joined_at: usize,
        bytes: Vec<u8>,
        over: Option<News>,
    }

    #[derive(Clone, Debug)]
    enum Act {
        Push { len: usize, joinable: bool, seconds: u64 },
        Join,
        Take(usize),
        Leave(usize),
        End,
    }

    fn act() -> impl Strategy<Value = Act> {
        prop_oneof![
            6 => (1usize..60, any::<bool>(), 0u64..7)
                .prop_map(|(len, joinable, seconds)| Act::Push { len, joinable, seconds }),
            2 => Just(Act::Join),
            8 => (0usize..8).prop_map(Act::Take),
            1 => (0usize..8).prop_map(Act::Leave),
            1 => Just(Act::End),
        ]
    }

    proptest! {
        /// Each listener gets its tune-in data and then a run of whole packets without a gap, from
        /// where one may begin; it is told of news exactly if it waits for some, or must go; with
        /// `blockio` nobody is dropped, and what is kept is bounded.
        #[test]
        fn everybody_hears_whole_packets_without_a_gap(
            acts in prop::collection::vec(act(), 0..200),
            max_async_buf in 0u64..200,
            burst in 0u64..200,
            blockio in any::<bool>(),
        ) {
            let options = BroadcastOptions { max_async_buf, burst, blockio, hold: false };
            let mut live = Broadcast::new(options);
            let mut pushed: Vec<Group> = Vec::new();
            let mut ids: Vec<ListenerId> = Vec::new();
            let mut heard: Vec<Heard> = Vec::new();
            let mut waits: Vec<bool> = Vec::new();
            let mut told: Vec<usize> = Vec::new();
            let mut over = false;
            let mut now = Instant::now();
            let mut wait = None;
            let mut closed = 0;
            let mut entries: Vec<bool> = Vec::new();
            for act in acts {
                match act {
                    Act::Push { len, joinable, seconds } => {
                        if over || !live.has_room() {
                            continue;
                        }
                        let number = pushed.len();
                        let data = vec![number as u8; len].into();
                        let tune_in = Some(Bytes::from(format!("<{number}>")).into());
                        pushed.push(Group { data, tune_in, random_access: joinable });
                        now += Duration::from_secs(seconds);
                        if joinable {
                            wait = Some(now + Duration::from_secs(12));
                        }
                        let is_closed = *wait.get_or_insert(now + Duration::from_secs(5)) <= now;
                        entries.push(joinable || is_closed);
                        closed += usize::from(is_closed);
                        let told_closed = live.push(pushed[number].clone(), now, |who| told.push(who));
                        prop_assert_eq!(told_closed.is_some(), is_closed && closed == 1, "told once");
                        for who in told.drain(..) {
                            if !std::mem::take(&mut waits[who]) {
                                prop_assert!(live.must_go(ids[who]), "told without waiting");
                                heard[who].over = Some(News::Lagging);
                            }
                        }
                        prop_assert!(
                            blockio || live.groups.iter().skip(1).map(|kept| kept.data.len() as u64).sum::<u64>()
                                <= max_async_buf.max(burst)
                        );
                    }
                    Act::Join if !over => {
                        ids.push(live.join());
                        heard.push(Heard { joined_at: pushed.len(), ..Heard::default() });
                        waits.push(false);
                    }
                    Act::Take(who) if who < ids.len() && !waits[who] => {
                        match live.take(ids[who], || who) {
                            Some(News::Packets { data, .. }) => heard[who].bytes.extend(data.concat()),
                            Some(news) => heard[who].over = Some(news),
                            None if live.listeners.contains_key(&ids[who]) => waits[who] = true,
                            None => {}
                        }
                    }
                    Act::Leave(who) if who < ids.len() => {
                        live.leave(ids[who]);
                        waits[who] = false;
                    }
                    Act::End => {
                        over = true;
                        live.end(true, |who| told.push(who));
                        told.drain(..).for_each(|who| waits[who] = false);
                        prop_assert!(waits.iter().all(|waits| !waits), "everybody is told of the end");
                    }
                    Act::Join | Act::Take(_) | Act::Leave(_) => {}
                }
            }
            for Heard { joined_at, bytes, over, .. } in &heard {
                prop_assert!(!(blockio && *over == Some(News::Lagging)));
                if bytes.is_empty() {
                    continue;
                }
                let runs = |first: usize| {
                    let tune_in = pushed[first].tune_in.as_ref().filter(|_| entries[first]);
                    let mut run = tune_in?.concat().to_vec();
                    let mut packets = pushed[first..].iter();
                    while run.len() < bytes.len() {
                        run.extend_from_slice(&packets.next()?.data);
                    }
                    Some(run == *bytes)
                };
                let first = (0..pushed.len()).find(|&first| runs(first) == Some(true));
                prop_assert!(first.is_some(), "no run of packets");
                let before: u64 = pushed[first.unwrap_or(0)..(*joined_at).max(first.unwrap_or(0))]
                    .iter().map(|group| group.data.len() as u64).sum();
                prop_assert!(before <= burst, "more than the burst");
            }
        }
    }
}
