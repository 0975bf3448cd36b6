//! Clients that close, and servers that go down.

use std::time::Duration;

use httpout_proto::effect::{FsEffect, LiveEffect, LogEffect};
use httpout_proto::{
    Done, Effect, FsError, PeerError, Timer, Wait,
    live::{Growth, GrowthState},
};

use crate::rig::*;

#[test]
fn a_peer_that_closes_is_not_kept_waiting_for_what_may_not_come() {
    let mut rig = missing();
    rig.session.handle_eof();
    rig.run();
    assert_eq!((rig.closed.is_some(), rig.sent.as_str()), (true, ""));
    // What it sent behind that is obeyed.
    let mut rig = missing();
    rig.feed("PUT /b HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx");
    rig.session.handle_eof();
    rig.run();
    rig.answer(create, Ok(Done::Ok));
    assert!(rig.open.iter().any(|effect| matches!(effect, Effect::Fs(_, FsEffect::Write { .. }))));
    // An upload in progress is waited for a little, before its first byte and between two.
    for len in [0, 5] {
        let (mut rig, _) = growing(len);
        rig.session.handle_eof();
        let wait = rig.run().unwrap();
        assert_eq!(wait.deadline, Some((rig.now.mono + secs(2), Timer::HalfClosed)));
        rig.after(secs(2));
        assert!(rig.closed.is_some(), "{len}");
    }
}

#[test]
fn a_peer_that_closes_behind_bytes_that_are_not_read_is_not_kept_waiting() {
    let more = OPTIONS.repeat(3000);
    for (mut rig, looks) in [(missing(), 1), (growing(0).0, 2), (growing(5).0, 2)] {
        let wait = rig.feed(&more).unwrap();
        assert_eq!(wait, Wait { read: false, write: false, ..wait });
        assert_eq!(wait.deadline, Some((rig.now.mono + secs(2), Timer::HalfClosed)));
        // It has not closed yet.
        assert!(rig.after(secs(2)).is_some());
        rig.closing = true;
        let answered = rig.statuses().len();
        for _ in 0..looks {
            assert_eq!(rig.statuses().len(), answered);
            rig.after(secs(2));
        }
        // What it sent is taken, and none of it is answered.
        assert!(rig.open.iter().any(is_over) && rig.run().unwrap().read);
        assert_eq!(rig.statuses().len(), answered);
        rig.session.handle_eof();
        assert!(rig.run().is_none());
    }
}

#[test]
fn a_peer_that_closes_behind_bytes_that_are_not_read_gets_what_makes_progress() {
    let (mut rig, op) = growing(5);
    rig.feed(&OPTIONS.repeat(3000));
    rig.closing = true;
    for len in 6..20 {
        rig.after(Duration::from_millis(1900));
        let growth = Growth { len, total: None, state: GrowthState::Growing };
        rig.session.handle_growth(op, growth);
        assert!(rig.run().is_some(), "{len}");
    }
    let growth = Growth { len: 19, total: None, state: GrowthState::Complete };
    rig.session.handle_growth(op, growth);
    rig.run();
    assert_eq!(rig.statuses().len(), 3001, "what it sent behind that is answered, too");
}

#[test]
fn a_half_closed_peer_gets_what_makes_progress() {
    let (mut rig, op) = growing(5);
    rig.session.handle_eof();
    rig.run();
    for len in 6..20 {
        rig.after(Duration::from_millis(1900));
        let growth = Growth { len, total: None, state: GrowthState::Growing };
        rig.session.handle_growth(op, growth);
        assert!(rig.run().is_some(), "{len}");
    }
    let growth = Growth { len: 19, total: None, state: GrowthState::Complete };
    rig.session.handle_growth(op, growth);
    rig.run();
    assert!(rig.sent.ends_with("\r\n0\r\n\r\n") && rig.closed.is_some(), "{}", rig.sent);
}

#[test]
fn a_shutdown_answers_a_request_that_is_blocked() {
    let mut before = missing();
    before.session.shut_down();
    before.run();
    // One that was sent before, and would be blocked.
    let mut behind = Rig::new(|config| config.wait_missing = secs(25));
    behind.feed(&GET.repeat(2));
    behind.session.shut_down();
    for _ in 0..2 {
        behind.answer(follow, Ok(Done::NotGrowing));
        behind.answer(open, Err(FsError::NotFound));
    }
    let (mut no_byte, _) = growing(0);
    no_byte.session.shut_down();
    no_byte.run();
    for (rig, count) in [(before, 1), (behind, 2), (no_byte, 1)] {
        assert_eq!(rig.statuses(), vec!["503"; count], "{}", rig.sent);
        assert_eq!(rig.sent.matches("Retry-After: 1\r\n").count(), count);
        assert_eq!(rig.sent.matches("Connection: close").count(), 1);
    }
}

#[test]
fn a_source_that_stalls_is_closed() {
    let mut rig = Rig::new(|config| (config.icecast, config.live) = (true, true));
    rig.feed("SOURCE /a.mp3 HTTP/1.0\r\n\r\n");
    let air = |effect: &Effect| {
        if let Effect::Live(_, LiveEffect::Publish { op, .. }) = effect { Some(*op) } else { None }
    };
    let wait = rig.answer(air, Ok(Done::Ok)).unwrap();
    assert_eq!((rig.statuses(), wait.deadline.unwrap().1), (vec!["200"], Timer::RequestBody));
    rig.after(secs(30));
    let off = |effect: &Effect| {
        matches!(effect, Effect::Live(_, LiveEffect::Unpublish { complete: false, .. }))
    };
    assert!(rig.open.iter().any(off));
    assert_eq!(rig.closed.map(|how| how.reset), Some(false), "it has no body that could be cut");
    let why = rig.open.iter().find_map(|effect| {
        if let Effect::Log(_, LogEffect::Over(Some(report))) = effect { report.why } else { None }
    });
    assert_eq!(why, Some(PeerError::Timeout(Timer::RequestBody)));
}

#[test]
fn a_shutdown_takes_and_answers_first_what_was_sent() {
    let options = "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n";
    // Nothing is under way.
    let mut rig = Rig::new(|_| {});
    rig.feed(options);
    rig.late = Some("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
    rig.session.shut_down();
    rig.run();
    assert_eq!(rig.statuses().len(), 2);
    assert!(rig.sent.ends_with("Connection: close\r\n\r\n"), "{}", rig.sent);
    // A request is under way, others are held, and one more is in the socket.
    let mut rig = Rig::new(|_| {});
    rig.feed(&[GET, options, options].concat());
    rig.session.shut_down();
    rig.answer(follow, Ok(Done::NotGrowing));
    rig.late = Some("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
    rig.answer(open, Err(FsError::NotFound));
    assert_eq!(rig.statuses(), ["404", "200", "200", "200"]);
    assert_eq!(rig.sent.matches("Connection: close").count(), 1);
    assert!(rig.shut);
}
