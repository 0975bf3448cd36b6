#![expect(clippy::disallowed_methods, reason = "any time will do to begin with")]

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

type TestGate = PasswordThrottle<u32, u32, u32>;

const MINUTE: Duration = Duration::from_secs(60);

fn peer(number: u32) -> IpAddr {
    IpAddr::from((0x0a00_0000 + number).to_be_bytes())
}

/// Asks with the key as job and waiter.
fn ask(gate: &mut TestGate, now: Instant, from: u32, key: u32) -> CheckOutcome<u32, u32> {
    gate.ask(now, peer(from), key, key, key)
}

/// Checks at once.
fn check(gate: &mut TestGate, now: Instant, from: u32, key: u32, right: bool) {
    assert_eq!(ask(gate, now, from, key), CheckOutcome::Check(key));
    assert_eq!(gate.finish(now, &key, right), Finished { waiters: vec![key], next: None });
}

fn too_many(waiter: u32, retry: Duration) -> CheckOutcome<u32, u32> {
    CheckOutcome::TooMany { waiter, retry }
}

#[test]
fn a_success_is_remembered_for_a_minute_for_all_peers() {
    let (mut gate, now) = (TestGate::default(), Instant::now());
    check(&mut gate, now, 1, 7, true);
    let last = now + MINUTE - Duration::from_nanos(1);
    assert_eq!(ask(&mut gate, last, 2, 7), CheckOutcome::Right);
    check(&mut gate, now + MINUTE, 1, 7, true);
    assert_eq!(ask(&mut gate, now + MINUTE, 2, 7), CheckOutcome::Right);
}

#[test]
fn a_success_that_is_used_stays_while_a_neighbour_guesses() {
    let (mut gate, now) = (TestGate::default(), Instant::now());
    check(&mut gate, now, 1, 7, true);
    for round in 1..10 {
        let now = now + MINUTE * round - Duration::from_secs(u64::from(round));
        assert_eq!(ask(&mut gate, now, 1, 7), CheckOutcome::Right);
        for guess in 0..10 {
            let key = 1000 + 100 * round + guess;
            if let CheckOutcome::Check(key) = ask(&mut gate, now, 1, key) {
                gate.finish(now, &key, false);
            }
        }
    }
    // What is remembered besides does not push it out.
    let now = now + MINUTE * 9;
    assert_eq!(ask(&mut gate, now, 1, 7), CheckOutcome::Right);
    for key in 1..u32::try_from(MOST_REMEMBERED).unwrap() {
        check(&mut gate, now, 2, 10_000 + key, true);
    }
    assert_eq!(ask(&mut gate, now, 1, 7), CheckOutcome::Right);
    assert_eq!(gate.right.len(), MOST_REMEMBERED);
    assert_eq!(gate.right_order.len(), MOST_REMEMBERED);
}

#[test]
fn a_failure_is_not_remembered_as_such() {
    let (mut gate, now) = (TestGate::default(), Instant::now());
    check(&mut gate, now, 1, 7, false);
    check(&mut gate, now, 1, 7, true);
    assert_eq!(ask(&mut gate, now, 1, 7), CheckOutcome::Right);
}

#[test]
fn of_too_many_successes_the_oldest_is_forgotten() {
    let (mut gate, now) = (TestGate::default(), Instant::now());
    let count = u32::try_from(MOST_REMEMBERED).unwrap();
    for key in 0..=count {
        check(&mut gate, now + Duration::from_millis(key.into()), 1, key, true);
    }
    let later = now + Duration::from_millis(count.into());
    assert_eq!((gate.right.len(), gate.right_order.len()), (MOST_REMEMBERED, MOST_REMEMBERED));
    assert_eq!(ask(&mut gate, later, 1, 1), CheckOutcome::Right);
    assert_eq!(ask(&mut gate, later, 1, count), CheckOutcome::Right);
    assert_eq!(ask(&mut gate, later, 1, 0), CheckOutcome::Check(0));
}

#[test]
fn successes_that_are_over_are_forgotten_first() {
    let (mut gate, now) = (TestGate::default(), Instant::now());
    for key in 0..10 {
        check(&mut gate, now, 1, key, true);
    }
    check(&mut gate, now + MINUTE / 2, 1, 10, true);
    check(&mut gate, now + MINUTE, 1, 11, true);
    assert_eq!((gate.right.len(), gate.right_order.len()), (2, 2));
    assert_eq!(ask(&mut gate, now + MINUTE, 1, 10), CheckOutcome::Right);
}

#[test]
fn equal_questions_share_a_check_whether_it_runs_or_is_queued() {
    let (mut gate, now) = (TestGate::default(), Instant::now());
    assert_eq!(gate.ask(now, peer(1), 1, 0, 10), CheckOutcome::Check(0));
    assert_eq!(gate.ask(now, peer(2), 1, 0, 11), CheckOutcome::Queued);
    assert_eq!(gate.ask(now, peer(1), 2, 5, 20), CheckOutcome::Queued);
    assert_eq!(gate.ask(now, peer(2), 2, 6, 21), CheckOutcome::Queued);
    let next = Some((2, 5));
    assert_eq!(gate.finish(now, &1, false), Finished { waiters: vec![10, 11], next });
    assert_eq!(gate.ask(now, peer(3), 2, 7, 22), CheckOutcome::Queued);
    assert_eq!(gate.finish(now, &2, true), Finished { waiters: vec![20, 21, 22], next: None });
    assert!(gate.checks.is_empty() && gate.queues.is_empty() && gate.turns.is_empty());
}

#[test]
fn what_does_not_run_cannot_finish() {
    let (mut gate, now) = (TestGate::default(), Instant::now());
    let nothing = Finished { waiters: Vec::new(), next: None };
    assert_eq!(gate.finish(now, &1, true), nothing);
    assert_eq!(ask(&mut gate, now, 1, 1), CheckOutcome::Check(1));
    assert_eq!(ask(&mut gate, now, 1, 2), CheckOutcome::Queued);
    assert_eq!(gate.finish(now, &2, true), nothing);
    assert_eq!(gate.finish(now, &1, true), Finished { waiters: vec![1], next: Some((2, 2)) });
    assert_eq!(gate.finish(now, &1, true), nothing);
    assert_eq!(gate.finish(now, &2, true), Finished { waiters: vec![2], next: None });
}

#[test]
fn peers_take_turns() {
    let (mut gate, now) = (TestGate::default(), Instant::now());
    assert_eq!(ask(&mut gate, now, 1, 10), CheckOutcome::Check(10));
    for (from, key) in [(1, 11), (1, 12), (1, 13), (2, 20), (2, 21), (3, 30)] {
        assert_eq!(ask(&mut gate, now, from, key), CheckOutcome::Queued);
    }
    let mut order = vec![10];
    while let Some((key, _)) = gate.finish(now, order.last().unwrap(), true).next {
        order.push(key);
    }
    assert_eq!(order, [10, 11, 20, 30, 12, 21, 13]);
}

#[test]
fn a_peer_queues_eight_checks() {
    let (mut gate, now) = (TestGate::default(), Instant::now());
    assert_eq!(ask(&mut gate, now, 1, 0), CheckOutcome::Check(0));
    for key in 1..=8 {
        assert_eq!(ask(&mut gate, now, 1, key), CheckOutcome::Queued);
    }
    assert_eq!(ask(&mut gate, now, 1, 9), too_many(9, QUEUE_RETRY));
    assert_eq!(ask(&mut gate, now, 1, 8), CheckOutcome::Queued, "no check more");
    assert_eq!(ask(&mut gate, now, 2, 9), CheckOutcome::Queued, "another peer");
    gate.finish(now, &0, true);
    assert_eq!(ask(&mut gate, now, 1, 10), CheckOutcome::Queued);
}

#[test]
fn all_peers_queue_256_checks() {
    let (mut gate, now) = (TestGate::default(), Instant::now());
    assert_eq!(ask(&mut gate, now, 0, 1000), CheckOutcome::Check(1000));
    for key in 0..256 {
        assert_eq!(ask(&mut gate, now, 1 + key / 8, key), CheckOutcome::Queued);
    }
    assert_eq!(ask(&mut gate, now, 100, 256), too_many(256, QUEUE_RETRY));
    assert_eq!(ask(&mut gate, now, 100, 255), CheckOutcome::Queued, "no check more");
    gate.finish(now, &1000, true);
    assert_eq!(ask(&mut gate, now, 100, 256), CheckOutcome::Queued);
    assert_eq!(ask(&mut gate, now, 100, 1000), CheckOutcome::Right);
}

#[test]
fn a_peer_is_refused_after_ten_wrong_passwords_until_the_minute_is_over() {
    let (mut gate, now) = (TestGate::default(), Instant::now());
    check(&mut gate, now, 1, 100, true);
    for second in 0..10 {
        check(&mut gate, now + Duration::from_secs(second), 1, 0, false);
    }
    let later = now + Duration::from_secs(20);
    assert_eq!(ask(&mut gate, later, 1, 1), too_many(1, Duration::from_secs(40)));
    assert_eq!(ask(&mut gate, later, 1, 100), CheckOutcome::Right, "remembered");
    check(&mut gate, later, 2, 1, false);
    check(&mut gate, now + MINUTE, 1, 1, false);
    assert_eq!(gate.wrong[&Peer(peer(1))].count, 1, "a new window");
}

#[test]
fn a_right_password_does_not_reset_the_count() {
    let (mut gate, now) = (TestGate::default(), Instant::now());
    for key in 0..9 {
        check(&mut gate, now, 1, key, false);
    }
    check(&mut gate, now, 1, 9, true);
    check(&mut gate, now, 1, 10, false);
    assert_eq!(ask(&mut gate, now, 1, 11), too_many(11, MINUTE));
}

#[test]
fn one_check_is_one_failure_of_who_asked_first() {
    let (mut gate, now) = (TestGate::default(), Instant::now());
    for _ in 0..9 {
        assert_eq!(ask(&mut gate, now, 1, 0), CheckOutcome::Check(0));
        for _ in 0..20 {
            assert_eq!(ask(&mut gate, now, 1, 0), CheckOutcome::Queued);
            assert_eq!(ask(&mut gate, now, 2, 0), CheckOutcome::Queued);
        }
        assert_eq!(gate.finish(now, &0, false).waiters.len(), 41);
    }
    assert_eq!(gate.wrong.len(), 1);
    assert_eq!(gate.wrong[&Peer(peer(1))].count, 9);
}

#[test]
fn who_is_refused_learns_nothing_of_what_others_have_proven() {
    let (mut gate, now) = (TestGate::default(), Instant::now());
    check(&mut gate, now, 1, 100, true);
    for key in 0..10 {
        check(&mut gate, now, 2, key, false);
    }
    assert_eq!(ask(&mut gate, now, 2, 100), too_many(100, MINUTE));
    assert_eq!(ask(&mut gate, now, 1, 101), CheckOutcome::Check(101));
    assert_eq!(ask(&mut gate, now, 2, 101), too_many(101, MINUTE), "nor of what they ask");
}

#[test]
fn who_floods_its_queue_learns_nothing_of_what_others_have_proven() {
    let (mut gate, now) = (TestGate::default(), Instant::now());
    check(&mut gate, now, 1, 100, true);
    check(&mut gate, now, 2, 101, true);
    assert_eq!(ask(&mut gate, now, 2, 0), CheckOutcome::Check(0));
    for key in 1..=8 {
        assert_eq!(ask(&mut gate, now, 2, key), CheckOutcome::Queued);
    }
    assert_eq!(ask(&mut gate, now, 2, 100), too_many(100, QUEUE_RETRY));
    assert_eq!(ask(&mut gate, now, 2, 101), CheckOutcome::Right);
    assert_eq!(ask(&mut gate, now, 3, 100), CheckOutcome::Right);
}

#[test]
fn queued_checks_of_a_refused_peer_are_run() {
    let (mut gate, now) = (TestGate::default(), Instant::now());
    for key in 0..9 {
        check(&mut gate, now, 1, key, false);
    }
    assert_eq!(ask(&mut gate, now, 1, 10), CheckOutcome::Check(10));
    assert_eq!(ask(&mut gate, now, 1, 11), CheckOutcome::Queued);
    assert_eq!(gate.finish(now, &10, false).next, Some((11, 11)));
    assert_eq!(ask(&mut gate, now, 1, 12), too_many(12, MINUTE));
    assert_eq!(gate.finish(now, &11, true).waiters, [11]);
}

#[test]
fn of_too_many_peers_with_failures_the_oldest_is_forgotten() {
    let (mut gate, now) = (TestGate::default(), Instant::now());
    for key in 0..10 {
        check(&mut gate, now, 0, key, false);
    }
    let count = u32::try_from(MOST_COUNTED).unwrap();
    for from in 1..count {
        check(&mut gate, now, from, 0, false);
    }
    assert_eq!(ask(&mut gate, now, 0, 10), too_many(10, MINUTE));
    check(&mut gate, now, count, 0, false);
    assert_eq!((gate.wrong.len(), gate.wrong_order.len()), (MOST_COUNTED, MOST_COUNTED));
    check(&mut gate, now, 0, 10, false);
}

#[test]
fn failures_that_are_over_are_forgotten() {
    let (mut gate, now) = (TestGate::default(), Instant::now());
    for from in 0..10 {
        check(&mut gate, now, from, 0, false);
    }
    check(&mut gate, now + MINUTE, 20, 0, false);
    assert_eq!((gate.wrong.len(), gate.wrong_order.len()), (1, 1));
}

#[test]
fn a_peer_is_an_ipv4_address_or_an_ipv6_network() {
    let same = [("10.0.0.1", "::ffff:10.0.0.1"), ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2")];
    for (one, other) in same {
        assert_eq!(Peer::of(one.parse().unwrap()), Peer::of(other.parse().unwrap()));
    }
    let different = [
        ("10.0.0.1", "10.0.0.2"),
        ("::ffff:10.0.0.1", "::ffff:10.0.0.2"),
        ("2001:db8:0:1::1", "2001:db8:0:2::1"),
        ("0.0.0.0", "::"),
    ];
    for (one, other) in different {
        assert_ne!(Peer::of(one.parse().unwrap()), Peer::of(other.parse().unwrap()));
    }
}

/// What the gate shall do, written down without regard to speed.
#[derive(Default)]
struct Model {
    right: Vec<(u32, u32, Instant)>,
    wrong: Vec<(u32, Instant, u32)>,
    running: Option<u32>,
    checks: Vec<ModelCheck>,
}

struct ModelCheck {
    key: u32,
    peer: u32,
    waiters: Vec<u32>,
    /// Checks of other peers that were begun since this one is the first of its peer's queue.
    overtaken: BTreeMap<u32, u32>,
}

impl Model {
    fn ask(&mut self, now: Instant, peer: u32, key: u32, waiter: u32) -> CheckOutcome<u32, u32> {
        let by =
            self.right.iter().find(|right| right.0 == key && now < right.2).map(|right| right.1);
        if by == Some(peer) {
            for right in self.right.iter_mut().filter(|right| right.0 == key) {
                right.2 = now + MINUTE;
            }
            return CheckOutcome::Right;
        }
        let refused =
            |wrong: &&(u32, Instant, u32)| wrong.0 == peer && wrong.2 >= 10 && now < wrong.1;
        if let Some((_, until, _)) = self.wrong.iter().find(refused) {
            return too_many(waiter, *until - now);
        }
        if let Some(check) = self.checks.iter_mut().find(|check| check.key == key) {
            check.waiters.push(waiter);
            return CheckOutcome::Queued;
        }
        let full = self.queued(peer).count() >= 8;
        if by.is_some() && !full {
            return CheckOutcome::Right;
        }
        let all = self.checks.len() - usize::from(self.running.is_some());
        if full || all >= 256 {
            return too_many(waiter, Duration::from_secs(1));
        }
        self.checks.push(ModelCheck {
            key,
            peer,
            waiters: vec![waiter],
            overtaken: BTreeMap::new(),
        });
        if self.running.is_none() {
            self.running = Some(key);
            return CheckOutcome::Check(key);
        }
        CheckOutcome::Queued
    }

    /// Ends the running check, and begins the one that the gate chose. Returns those to be told.
    fn finish(&mut self, now: Instant, right: bool, next: Option<u32>) -> Vec<u32> {
        let key = self.running.take().unwrap();
        let at = self.checks.iter().position(|check| check.key == key).unwrap();
        let check = self.checks.remove(at);
        self.right.retain(|(_, _, until)| now < *until);
        self.wrong.retain(|(_, until, _)| now < *until);
        if right {
            self.right.push((key, check.peer, now + MINUTE));
        } else if let Some(wrong) = self.wrong.iter_mut().find(|wrong| wrong.0 == check.peer) {
            wrong.2 += 1;
        } else {
            self.wrong.push((check.peer, now + MINUTE, 1));
        }
        assert_eq!(next.is_some(), !self.checks.is_empty(), "no check is left lying");
        if let Some(next) = next {
            self.begin(next);
        }
        check.waiters
    }

    fn begin(&mut self, key: u32) {
        let peer = self.checks.iter().find(|check| check.key == key).unwrap().peer;
        assert_eq!(self.queued(peer).next(), Some(key), "a peer's checks are run in order");
        let mut heads: BTreeMap<u32, u32> = BTreeMap::new();
        for check in &self.checks {
            heads.entry(check.peer).or_insert(check.key);
        }
        for check in self.checks.iter_mut().filter(|check| check.peer != peer) {
            if heads[&check.peer] == check.key {
                let times = check.overtaken.entry(peer).or_default();
                *times += 1;
                assert!(*times <= 1, "peer {peer} has had two turns before {}", check.peer);
            }
        }
        self.running = Some(key);
    }

    fn queued(&self, peer: u32) -> impl Iterator<Item = u32> {
        let queued =
            move |check: &&ModelCheck| check.peer == peer && Some(check.key) != self.running;
        self.checks.iter().filter(queued).map(|check| check.key)
    }
}

#[derive(Clone, Debug)]
enum Op {
    Ask { peer: u32, key: u32 },
    Finish { right: bool },
    Wait { seconds: u64 },
}

fn ops(peers: u32, keys: u32) -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        8 => (0..peers, 0..keys).prop_map(|(peer, key)| Op::Ask { peer, key }),
        3 => prop::bool::weighted(0.4).prop_map(|right| Op::Finish { right }),
        1 => (0..12_u64).prop_map(|seconds| Op::Wait { seconds }),
    ];
    prop::collection::vec(op, 0..800)
}

/// Ends the running check, if there is one, and counts whom that answers.
fn finish(gate: &mut TestGate, model: &mut Model, answered: &mut [u32], now: Instant, right: bool) {
    let Some(key) = model.running else { return };
    let finished = gate.finish(now, &key, right);
    let next = finished.next.map(|(key, job)| {
        assert_eq!(key, job);
        key
    });
    for waiter in &finished.waiters {
        answered[*waiter as usize] += 1;
    }
    assert_eq!(finished.waiters, model.finish(now, right, next));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Few peers run into their own limits, many into the common one.
    #[test]
    fn the_gate_does_what_the_model_does(ops in prop_oneof![ops(3, 40), ops(60, 100_000)]) {
        let (mut gate, mut model, mut now) = (TestGate::default(), Model::default(), Instant::now());
        // How often each waiter was answered.
        let mut answered: Vec<u32> = Vec::new();
        for op in ops {
            match op {
                Op::Ask { peer: from, key } => {
                    let waiter = u32::try_from(answered.len()).unwrap();
                    let asked = gate.ask(now, peer(from), key, key, waiter);
                    let at_once = matches!(asked, CheckOutcome::Right | CheckOutcome::TooMany { .. });
                    answered.push(u32::from(at_once));
                    prop_assert_eq!(asked, model.ask(now, from, key, waiter));
                }
                Op::Finish { right } => finish(&mut gate, &mut model, &mut answered, now, right),
                Op::Wait { seconds } => now += Duration::from_secs(seconds),
            }
            prop_assert!(gate.running <= RUNNING);
            prop_assert!(gate.queued() <= MOST_QUEUED);
            prop_assert_eq!(gate.queues.values().map(VecDeque::len).sum::<usize>(), gate.queued());
            prop_assert!(gate.queues.values().all(|queue| (1..=MOST_QUEUED_OF_PEER).contains(&queue.len())));
            prop_assert_eq!(gate.turns.len(), gate.queues.len());
            prop_assert_eq!(gate.right.len(), gate.right_order.len());
            prop_assert_eq!(gate.wrong.len(), gate.wrong_order.len());
        }
        while model.running.is_some() {
            finish(&mut gate, &mut model, &mut answered, now, true);
        }
        prop_assert!(gate.checks.is_empty() && gate.queues.is_empty() && gate.turns.is_empty());
        prop_assert!(answered.iter().all(|&times| times == 1), "each waiter is answered once");
    }
}
