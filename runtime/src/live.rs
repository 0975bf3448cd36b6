//! The live resources of a server, and their listeners.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, ThreadId},
    time::Instant,
};

use event_listener::Event;
use httpout_proto::{
    Done,
    fs::RelPath,
    live::{
        Broadcast, BroadcastOptions, Description, Group, ListenerId, LiveOptions, News, Text,
        framing::Audio,
    },
};

use crate::{mailbox::Follower, wait::wait_for};

/// Resources that are over and kept because they may begin again.
const MOST_OVER: usize = 256;

/// The live resources of a server, by their paths.
#[derive(Debug, Default)]
pub(crate) struct Channels {
    channels: Mutex<HashMap<RelPath, Slot>>,
    /// Listeners that were too far behind.
    dropped: AtomicU64,
}

#[derive(Debug)]
struct Slot {
    channel: Arc<Channel>,
    /// The resource is over; a listener waits until it begins again.
    over: bool,
}

/// A listener that waits for news, and the thread that it runs on.
#[derive(Debug)]
struct Waiting {
    follower: Follower,
    thread: ThreadId,
}

/// A live resource.
#[derive(Debug)]
pub(crate) struct Channel {
    path: RelPath,
    /// It was said why listeners are disconnected, and what to do.
    explained: AtomicBool,
    broadcast: Mutex<Broadcast<Waiting>>,
    /// A connection that brings more and is to be told when there is room for it.
    producer: Mutex<Option<Follower>>,
    description: Mutex<Arc<Description>>,
    /// A client sends it, and clients say what it plays.
    from_client: AtomicBool,
    /// Its listeners have come, gone, or gone on: there may be room.
    moved: Event,
}

impl Channels {
    /// A live resource begins; `None` if there is one of that path.
    pub(crate) fn begin(
        &self,
        path: &RelPath,
        description: Description,
        options: LiveOptions,
    ) -> Option<Arc<Channel>> {
        let mut channels = lock(&self.channels);
        match channels.get_mut(path) {
            Some(slot) if slot.over => {
                slot.over = false;
                slot.channel.describe(description);
                lock(&slot.channel.broadcast).set_options(options.broadcast);
                Some(slot.channel.clone())
            }
            Some(_) => None,
            None => {
                let channel = Arc::new(Channel::new(path, description, options));
                channels.insert(path.clone(), Slot { channel: channel.clone(), over: false });
                Some(channel)
            }
        }
    }

    /// A live resource is over. To be `reopen`ed: who asks for it from now on waits until it begins
    /// again, if not too many are waited for.
    pub(crate) fn end(
        &self,
        path: &RelPath,
        channel: &Channel,
        complete: bool,
        options: LiveOptions,
    ) {
        {
            let mut channels = lock(&self.channels);
            channels.remove(path);
            // A client that may send could make any number of them.
            let over = || channels.values().filter(|slot| slot.over).count();
            if options.reopen && over() < MOST_OVER {
                let description = channel.description().as_ref().clone();
                let channel = Arc::new(Channel::new(path, description, options));
                channels.insert(path.clone(), Slot { channel, over: true });
            }
        }
        channel.end(complete);
    }

    /// The server is going down: all of them are over for those who listen, whoever brings more.
    pub(crate) fn shut_down(&self) {
        let slots = lock(&self.channels);
        let channels: Vec<_> = slots.values().map(|slot| slot.channel.clone()).collect();
        drop(slots);
        channels.iter().for_each(|channel| channel.end(true));
    }

    /// Listens to the live resource of this path.
    pub(crate) fn listen(&self, path: &RelPath) -> Option<(Arc<Channel>, ListenerId, Done)> {
        let channel = lock(&self.channels).get(path)?.channel.clone();
        let (id, held) = {
            let mut broadcast = lock(&channel.broadcast);
            (broadcast.join(), broadcast.is_held())
        };
        let description = channel.description();
        Some((channel, id, Done::Live { description, held }))
    }

    /// Says what is played by the live resource of this path; false if no client sends one.
    pub(crate) fn retitle(&self, path: &RelPath, title: Text) -> bool {
        let channels = lock(&self.channels);
        let found = channels
            .get(path)
            .filter(|slot| !slot.over && slot.channel.from_client.load(Ordering::Relaxed));
        if let Some(slot) = found {
            slot.channel.set_title(Some(title));
        }
        found.is_some()
    }

    /// Number of live resources, of listeners, and of listeners that were dropped.
    pub(crate) fn counts(&self) -> (usize, usize, u64) {
        let channels = lock(&self.channels);
        let listeners = channels.values().map(|slot| lock(&slot.channel.broadcast).listeners());
        (channels.len(), listeners.sum(), self.dropped.load(Ordering::Relaxed))
    }

    /// What there is for a listener.
    pub(crate) fn take(
        &self,
        channel: &Channel,
        (id, peer): (ListenerId, IpAddr),
        waiter: impl FnOnce() -> Follower,
    ) -> Option<News> {
        let waiting = || Waiting { follower: waiter(), thread: thread::current().id() };
        let (news, may_wait) = {
            let mut broadcast = lock(&channel.broadcast);
            let BroadcastOptions { blockio, hold, .. } = broadcast.options();
            (broadcast.take(id, waiting), blockio || hold)
        };
        if news == Some(News::Lagging) {
            self.count_dropped(channel, peer);
        }
        if may_wait {
            channel.tell_moved();
        }
        news
    }

    /// Is a listener too far behind, though it is still sending? Then it listens no longer.
    pub(crate) fn must_go(&self, channel: &Channel, id: ListenerId, peer: IpAddr) -> bool {
        let must_go = lock(&channel.broadcast).must_go(id);
        if must_go {
            self.count_dropped(channel, peer);
        }
        must_go
    }

    fn count_dropped(&self, channel: &Channel, peer: IpAddr) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
        let (path, most) = (&channel.path, channel.max_async_buf());
        if channel.explained.swap(true, Ordering::Relaxed) {
            tracing::info!(%path, "the listener {peer} is disconnected: it is more than {most} bytes behind");
        } else {
            tracing::warn!(
                %path,
                "the listener {peer} is disconnected: it is more than {most} bytes behind. If the input comes faster than \
                 it plays, as from a file through a pipe, --rt paces it; --max_async_buf SIZE lets listeners be further \
                 behind; --blockio slows the input down instead"
            );
        }
    }
}

impl Channel {
    fn new(path: &RelPath, description: Description, options: LiveOptions) -> Self {
        let mut broadcast = Broadcast::new(options.broadcast);
        broadcast.set_title(description.title.clone());
        Self {
            path: path.clone(),
            explained: AtomicBool::new(false),
            broadcast: Mutex::new(broadcast),
            producer: Mutex::default(),
            description: Mutex::new(Arc::new(description)),
            from_client: AtomicBool::new(false),
            moved: Event::new(),
        }
    }

    /// Resolves when there is room for more.
    pub(crate) async fn room(&self) {
        wait_for(&self.moved, || lock(&self.broadcast).has_room()).await;
    }

    /// Is there room for more? If not, `producer` is told when it is worth asking again.
    pub(crate) fn has_room(&self, producer: impl FnOnce() -> Follower) -> bool {
        let has_room = || lock(&self.broadcast).has_room();
        if has_room() {
            return true;
        }
        *lock(&self.producer) = Some(producer());
        // It may have come meanwhile.
        has_room()
    }

    fn tell_moved(&self) {
        self.moved.notify(usize::MAX);
        if let Some(producer) = lock(&self.producer).take() {
            producer.news();
        }
    }

    /// How far a listener may be behind, in bytes.
    pub(crate) fn max_async_buf(&self) -> u64 {
        lock(&self.broadcast).options().max_async_buf
    }

    /// Sends this to all listeners.
    pub(crate) fn push(&self, group: Group) {
        let mut waiters = Vec::new();
        let closed =
            lock(&self.broadcast).push(group, Instant::now(), |waiter| waiters.push(waiter));
        // Told without the lock, which they are going to take.
        tell(waiters);
        if let Some(time) = closed {
            tracing::warn!(
                path = %self.path,
                "the stream has had no keyframe to begin at for {} s: from now on, who waits for one begins without. \
                 Let the encoder make keyframes more often (ffmpeg: -g) and mark them",
                time.as_secs()
            );
        }
    }

    pub(crate) fn let_clients_retitle(&self) {
        self.from_client.store(true, Ordering::Relaxed);
    }

    pub(crate) fn has_listeners(&self) -> bool {
        lock(&self.broadcast).listeners() > 0
    }

    fn end(&self, complete: bool) {
        let mut waiters = Vec::new();
        lock(&self.broadcast).end(complete, |waiter| waiters.push(waiter));
        tell(waiters);
    }

    pub(crate) fn leave(&self, id: ListenerId) {
        lock(&self.broadcast).leave(id);
        self.tell_moved();
    }

    pub(crate) fn description(&self) -> Arc<Description> {
        lock(&self.description).clone()
    }

    fn describe(&self, description: Description) {
        self.set_title(description.title.clone());
        *lock(&self.description) = Arc::new(description);
    }

    pub(crate) fn set_audio(&self, audio: Audio) {
        lock(&self.broadcast).set_audio(Some(audio));
        let mut description = lock(&self.description);
        if description.audio != Some(audio) {
            Arc::make_mut(&mut description).audio = Some(audio);
        }
    }

    /// The stream has shown what it is.
    pub(crate) fn set_media_type(&self, media_type: &str) {
        Arc::make_mut(&mut lock(&self.description)).media_type = media_type.to_owned();
    }

    pub(crate) fn set_title(&self, title: Option<Text>) {
        lock(&self.broadcast).set_title(title);
    }
}

/// Tells all that there is news. To wake a task of another thread costs a system call: of each
/// thread, one is told, and tells the others.
fn tell(mut waiters: Vec<Waiting>) {
    let here = thread::current().id();
    while let Some(first) = waiters.pop() {
        if first.thread == here {
            first.follower.news();
            continue;
        }
        let others = waiters.extract_if(.., |waiter| waiter.thread == first.thread);
        first.follower.relay(others.map(|waiter| waiter.follower).collect());
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_begins_again_is_held_only_if_that_is_wanted() {
        let channels = Channels::default();
        let path = RelPath::new("live.mp3").unwrap();
        let options = LiveOptions { reopen: true, ..LiveOptions::default() };
        let held = BroadcastOptions { hold: true, ..options.broadcast };
        for (broadcast, has_room) in [(options.broadcast, true), (held, false)] {
            let again = LiveOptions { broadcast, ..options };
            let channel = channels.begin(&path, Description::default(), again).unwrap();
            assert_eq!(lock(&channel.broadcast).has_room(), has_room);
            assert!(channels.begin(&path, Description::default(), again).is_none(), "it is taken");
            channels.end(&path, &channel, true, options);
            assert!(channels.listen(&path).is_some(), "who asks waits");
        }
        for number in 0..MOST_OVER {
            let path = RelPath::new(&number.to_string()).unwrap();
            let channel = channels.begin(&path, Description::default(), options).unwrap();
            channels.end(&path, &channel, true, options);
        }
        assert_eq!(channels.counts().0, MOST_OVER);
        let last = channels.begin(&path, Description::default(), options).unwrap();
        channels.end(&path, &last, true, LiveOptions::default());
        assert!(channels.listen(&path).is_none());
    }
}
