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
