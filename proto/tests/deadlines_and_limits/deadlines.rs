//! Each deadline, with what happens when it passes.

use std::time::Duration;

use bytes::Bytes;
use httpout_proto::effect::{FsEffect, LiveEffect};
use httpout_proto::{
    Done, Effect, FsError, PeerError, Timer,
    live::{Growth, GrowthState},
};

use crate::rig::*;

#[test]
fn a_slow_head_gets_408() {
    let mut rig = Rig::new(|_| {});
    let wait = rig.feed("GET / HT").unwrap();
    assert_eq!(wait.deadline.unwrap().1, Timer::Head);
    // A byte now and then does not help.
    for _ in 0..9 {
        rig.after(secs(1));
        rig.session.handle_data(Bytes::from_static(b"x"));
    }
    rig.after(secs(1));
    assert_eq!(rig.statuses(), ["408"]);
    assert!(rig.shut && rig.sent.contains("Connection: close"));
    rig.session.handle_eof();
    rig.run();
    assert!(rig.closed.is_some());
}

#[test]
fn a_resting_connection_is_closed_without_a_word() {
    let mut rig = Rig::new(|_| {});
    assert_eq!(rig.run().unwrap().deadline.unwrap().1, Timer::Idle);
    assert!(rig.after(secs(29)).is_some());
    rig.after(secs(1));
    assert_eq!((rig.closed.map(|how| how.why), rig.sent.as_str()), (Some(None), ""));

    let mut rig = Rig::new(|config| config.limits.idle_time = None);
    assert_eq!(rig.run().unwrap().deadline, None);
}

#[test]
fn a_body_that_stops_gets_408_and_leaves_nothing() {
    let mut rig = Rig::new(|_| {});
    let wait =
        rig.put_is_under_way("PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n").unwrap();
    assert_eq!(wait.deadline.unwrap().1, Timer::RequestBody);
    rig.after(secs(30));
    assert_eq!(rig.statuses(), ["408"]);
    assert!(rig.open.iter().any(|effect| matches!(
        effect,
        Effect::Live(_, LiveEffect::Ended { complete: false, .. })
    )));
    assert!(rig.open.iter().any(|effect| matches!(effect, Effect::Fs(_, FsEffect::Close { .. }))));
}

#[test]
fn a_body_that_trickles_gets_408_unless_it_keeps_the_rate() {
    let trickle = |bytes: usize| {
        let mut rig = Rig::new(|config| config.limits.body_rate = 500);
        rig.put_is_under_way("PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n");
        for second in 0.. {
            if second == 100 || !rig.statuses().is_empty() {
                return second;
            }
            rig.feed(&"x".repeat(bytes));
            rig.answer(write, Ok(Done::Ok));
            rig.after(secs(1));
        }
        unreachable!()
    };
    assert_eq!(trickle(500), 100);
    assert!((30..40).contains(&trickle(20)), "{}", trickle(20));
}

#[test]
fn a_slow_disk_is_not_the_senders_fault() {
    let mut rig = Rig::new(|config| config.limits.upload_window = 64);
    rig.put_is_under_way("PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n");
    let wait = rig.feed("12345").unwrap();
    assert_eq!((wait.read, wait.deadline), (false, None), "the window is full");
    rig.after(secs(3600));
    assert!(rig.statuses().is_empty());
    let wait = rig.answer(write, Ok(Done::Ok)).unwrap();
    assert!(wait.read);
}

#[test]
fn a_peer_that_takes_nothing_is_cut() {
    let mut rig = Rig::new(|_| {});
    rig.takes = false;
    rig.feed(GET);
    rig.answer(follow, Ok(Done::NotGrowing));
    let wait = rig.answer(open, Ok(Done::Opened(meta(1 << 20)))).unwrap();
    assert_eq!(wait.deadline.unwrap().1, Timer::Send);
    rig.after(secs(20));
    rig.session.handle_sent(1);
    rig.after(secs(20));
    assert!(rig.closed.is_none(), "one byte is progress");
    rig.after(secs(30));
    assert_eq!(rig.closed.unwrap().why, Some(PeerError::Timeout(Timer::Send)));
    assert!(rig.open.iter().any(|effect| matches!(effect, Effect::Fs(_, FsEffect::Close { .. }))));
}

#[test]
fn a_peer_is_not_cut_for_a_disk_that_is_waited_for() {
    // The span is found to be cold when it is to be sent, or when the deadline has passed already.
    for late in [false, true] {
        let mut rig = Rig::new(|_| {});
        rig.takes = false;
        rig.feed(GET);
        rig.answer(follow, Ok(Done::NotGrowing));
        rig.answer(open, Ok(Done::Opened(meta(1 << 20))));
        if late {
            rig.fetches = true;
        } else {
            rig.session.handle_fetching(true);
        }
        for _ in 0..3 {
            rig.after(secs(30));
            assert!(rig.closed.is_none());
        }
        rig.session.handle_fetching(false);
        // The peer has all of its time again.
        let wait = rig.run().unwrap();
        assert_eq!(wait.deadline, Some((rig.now.mono + secs(30), Timer::Send)));
        rig.after(secs(30));
        assert_eq!(rig.closed.unwrap().why, Some(PeerError::Timeout(Timer::Send)));
    }
}

#[test]
fn lingering_is_bounded_in_time_and_bytes() {
    let refused = || {
        let mut rig = Rig::new(|_| {});
        rig.feed("GET / HTTP/9.9\r\n\r\n");
        assert_eq!((rig.statuses(), rig.shut), (vec!["505"], true));
        rig
    };
    let mut rig = refused();
    rig.after(secs(5));
    assert!(rig.closed.is_some(), "nothing came");
    let mut rig = refused();
    for _ in 0..7 {
        rig.after(secs(4));
        assert!(rig.closed.is_none(), "it still sends");
        rig.feed("x");
    }
    rig.after(secs(2));
    assert!(rig.closed.is_some(), "it sends for too long");
    let mut rig = Rig::new(|config| config.limits.linger_bytes = 64 << 10);
    rig.feed("GET / HTTP/9.9\r\n\r\n");
    for _ in 0..64 {
        rig.feed(&"GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(40)[..1024]);
    }
    assert!(rig.closed.is_none());
    rig.feed("x");
    assert!(rig.closed.is_some());
    assert_eq!(rig.statuses().len(), 1, "nothing after an error is read as a request");
}

#[test]
fn a_connection_serves_so_many_requests_for_so_long() {
    let options = "OPTIONS / HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut rig = Rig::new(|config| config.limits.requests = 3);
    for _ in 0..4 {
        rig.feed(options);
    }
    assert_eq!(rig.statuses(), ["200"; 3]);
    assert_eq!(rig.sent.matches("Connection: close").count(), 1);

    // What was sent already is answered first.
    let mut rig = Rig::new(|config| config.limits.requests = 3);
    rig.feed(&options.repeat(9));
    assert_eq!(rig.statuses(), ["200"; 9]);
    assert!(rig.sent.ends_with("Connection: close\r\n\r\n"), "{}", rig.sent);
    assert_eq!(rig.sent.matches("Connection: close").count(), 1);

    let mut rig = Rig::new(|config| config.limits.requests = 3);
    rig.feed(&options.repeat(2));
    rig.late = Some("OPTIONS * HTTP/1.1\r\nHost: late\r\n\r\n");
    rig.feed(options);
    assert_eq!(rig.statuses(), ["200"; 4], "the socket held one more");

    let mut rig = Rig::new(|config| config.limits.requests = 0);
    for _ in 0..20_000 {
        rig.feed(options);
    }
    assert_eq!(rig.sent.matches("Connection: close").count(), 0);

    let mut rig = Rig::new(|config| config.limits.idle_time = None);
    rig.feed(options);
    rig.after(secs(3600));
    rig.feed(options);
    assert_eq!(rig.sent.matches("Connection: close").count(), 1);
}

#[test]
fn a_connection_that_carries_uploads_is_ended_by_neither_count_nor_age() {
    let refused =
        "PUT /a/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n";
    let mut rig = Rig::new(|config| {
        (config.limits.requests, config.limits.client_errors) = (3, 0);
    });
    rig.feed(&refused.repeat(9));
    rig.after(secs(7));
    for _ in 0..9 {
        rig.feed(refused);
    }
    assert_eq!(rig.statuses(), ["409"; 18]);
    assert_eq!(rig.sent.matches("Connection: close").count(), 0);
    let mut rig = Rig::new(|config| config.limits.idle_time = None);
    rig.feed(refused);
    rig.after(secs(4000));
    rig.feed(refused);
    assert_eq!((rig.statuses().len(), rig.sent.contains("Connection: close")), (2, false));
}

#[test]
fn what_the_socket_has_when_a_deadline_passes_counts() {
    let options = "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n";
    // Between requests.
    let mut rig = Rig::new(|_| {});
    rig.feed(options);
    rig.late = Some("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
    rig.after(secs(30));
    assert_eq!((rig.statuses().len(), rig.closed), (2, None));
    rig.after(secs(30));
    assert!(rig.closed.is_some());
    // In a head: the rest of it; a part of the rest comes too late.
    for (late, status) in [("Host: a\r\n\r\n", "200"), ("Host: a\r\n", "408")] {
        let mut rig = Rig::new(|_| {});
        rig.feed("OPTIONS * HTTP/1.1\r\n");
        rig.late = Some(late);
        rig.after(secs(10));
        assert_eq!(rig.statuses(), [status]);
    }
    // In a body.
    let mut rig = Rig::new(|_| {});
    rig.put_is_under_way("PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n");
    rig.late = Some("x");
    rig.after(secs(30));
    assert_eq!((rig.statuses().len(), rig.late), (0, None));
    rig.answer(write, Ok(Done::Ok));
    rig.after(secs(30));
    assert_eq!(rig.statuses(), ["408"]);
}

#[test]
fn what_the_socket_has_when_lingering_ends_is_read_first() {
    for late in [secs(5), secs(100)] {
        let mut rig = Rig::new(|_| {});
        rig.feed("GET / HTTP/9.9\r\n\r\n");
        rig.late = Some("x");
        let is_over = rig.after(late).is_none();
        assert_eq!((rig.late, is_over), (None, late > secs(30)), "{late:?}");
        assert!(is_over || rig.after(secs(5)).is_none());
    }
    // It does not hold a server that goes down.
    let mut rig = Rig::new(|_| {});
    rig.feed("GET / HTTP/9.9\r\n\r\n");
    rig.session.shut_down();
    let wait = rig.run().unwrap();
    assert_eq!(wait.deadline, Some((rig.now.mono + secs(5), Timer::Linger)));
    assert!(rig.after(secs(5)).is_none());
}

/// Noticed so late, a deadline for what others do gives them their turn.

#[test]
fn what_others_did_while_the_process_stood_still_counts() {
    let turn = Duration::from_millis(100);
    // An upload began meanwhile.
    let growth = Growth { len: 3, total: None, state: GrowthState::Growing };
    let mut rig = missing();
    let wait = rig.after(LATE).unwrap();
    assert_eq!(wait.deadline, Some((rig.now.mono + turn, Timer::Missing)));
    rig.answer(follow, Ok(Done::Following(growth)));
    assert_eq!(rig.statuses(), ["200"]);
    // None did.
    let mut rig = missing();
    rig.after(LATE);
    assert!(!rig.open.iter().any(|effect| open(effect).is_some()));
    rig.after(turn);
    rig.answer(open, Err(FsError::NotFound));
    assert_eq!(rig.statuses(), ["404"]);
    // One in progress went on, for a client that sends no more; or it did not.
    for goes_on in [true, false] {
        let (mut rig, op) = growing(5);
        rig.session.handle_eof();
        rig.run();
        let wait = rig.after(LATE).unwrap();
        assert_eq!(wait.deadline, Some((rig.now.mono + turn, Timer::HalfClosed)));
        if goes_on {
            rig.session.handle_growth(op, Growth { len: 7, ..growth });
            let wait = rig.run().unwrap();
            assert_eq!(wait.deadline, Some((rig.now.mono + secs(2), Timer::HalfClosed)));
        }
        assert_eq!(rig.after(turn).is_some(), goes_on);
    }
}

#[test]
fn a_process_that_is_always_late_obeys_its_deadlines() {
    let mut rig = missing();
    rig.after(LATE);
    rig.after(LATE);
    rig.answer(open, Err(FsError::NotFound));
    assert_eq!(rig.statuses(), ["404"]);
    let (mut rig, _) = growing(5);
    rig.session.handle_eof();
    rig.run();
    rig.after(LATE);
    assert!(rig.after(LATE).is_none());
}
