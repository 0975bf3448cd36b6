//! Each bound, with the response beyond it.

use std::io;

use bytes::Bytes;
use httpout_proto::effect::{FsEffect, LiveEffect};
use httpout_proto::{
    Done, Effect, FsError, Limits, Session, Timer,
    http::Piece,
    live::{Growth, GrowthState},
};

use crate::rig::*;

#[test]
fn an_unwanted_body_does_not_end_the_connection_unless_it_is_long() {
    let options = "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n";
    let refused = |body: &str| format!("PUT /a/ HTTP/1.1\r\nHost: a\r\n{body}");
    for (body, is_announced) in [
        ("Content-Length: 4\r\n\r\nbody", true),
        ("Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n", false),
    ] {
        let mut rig = Rig::new(|config| config.limits.unwanted_body = 4);
        rig.feed(&(refused(body) + options));
        assert_eq!(rig.statuses(), ["409", "200"]);
        assert!(!rig.sent.contains("Connection: close"));
        let mut rig = Rig::new(|config| config.limits.unwanted_body = 3);
        rig.feed(&(refused(body) + options));
        assert_eq!((rig.statuses(), rig.shut), (vec!["409"], true));
        // That chunks go on for too long is not known when they are refused.
        assert_eq!(rig.sent.contains("Connection: close"), is_announced);
        rig.after(secs(5));
        assert!(rig.closed.is_some());
    }
}

#[test]
fn errors_in_a_row_close_the_connection() {
    let bad = "PUT /a/ HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
    let good = "OPTIONS / HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut rig = Rig::new(|config| config.limits.client_errors = 3);
    for request in [bad, bad, good, bad, bad, bad, good] {
        rig.feed(request);
    }
    assert_eq!(rig.statuses(), ["409", "409", "200", "409", "409", "409"]);
    // What was sent already is answered first, but not for ever.
    let mut rig = Rig::new(|config| config.limits.client_errors = 3);
    rig.feed(&[bad, bad, bad, bad, good].concat());
    assert_eq!(rig.statuses(), ["409", "409", "409", "409", "200"]);
    assert!(rig.sent.contains("Connection: close"));
    let mut rig = Rig::new(|config| config.limits.client_errors = 3);
    rig.feed(&bad.repeat(20));
    assert_eq!(rig.statuses(), ["409"; 6]);
}

#[test]
fn the_response_that_reaches_the_limit_of_errors_says_close() {
    let head = "PUT /a/ HTTP/1.1\r\nHost: a\r\n";
    for bad in [
        GET.replace("/a.bin", "/%"),
        format!("{head}Content-Length: 3\r\n\r\nabc"),
        format!("{head}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"),
    ] {
        let mut rig = Rig::new(|config| config.limits.client_errors = 3);
        rig.feed(&bad);
        rig.feed(&bad);
        assert!(!rig.sent.contains("Connection: close"), "{}", rig.sent);
        rig.feed(&bad);
        assert_eq!(rig.statuses().len(), 3);
        assert_eq!(rig.sent.matches("Connection: close").count(), 1, "{}", rig.sent);
        assert!(rig.shut);
        // An upload that was sent behind it is taken, and its response is the one that says so.
        let mut rig = Rig::new(|config| config.limits.client_errors = 3);
        rig.feed(&(bad.repeat(3) + "PUT /b HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx"));
        assert_eq!(rig.statuses().len(), 3);
        assert!(!rig.sent.contains("Connection: close"), "{}", rig.sent);
        rig.answer(create, Ok(Done::Ok));
        assert!(
            rig.open.iter().any(|effect| matches!(effect, Effect::Fs(_, FsEffect::Write { .. })))
        );
    }
    // Of a body that is still on its way, nothing is known of what follows: it is read first.
    let mut rig = Rig::new(|config| config.limits.client_errors = 1);
    rig.feed(&format!("{head}Content-Length: 3\r\n\r\nab"));
    assert_eq!((rig.statuses(), rig.shut), (vec!["409"], false));
    rig.feed("c");
    assert!(!rig.sent.contains("Connection: close") && rig.closed.is_some());
}

#[test]
fn pipelined_requests_are_held_back() {
    let mut rig = Rig::new(|config| config.limits.pipelined = 100);
    assert!(rig.feed(GET).unwrap().read);
    assert!(rig.feed(GET).unwrap().read);
    assert!(!rig.feed(&GET.repeat(4)).unwrap().read, "more than is held");
    for _ in 0..6 {
        rig.answer(follow, Ok(Done::NotGrowing));
        rig.answer(open, Err(FsError::NotFound));
    }
    assert_eq!(rig.statuses(), ["404"; 6]);
    assert!(rig.run().unwrap().read);
}

#[test]
fn a_server_that_goes_down_answers_what_runs() {
    let mut rig = Rig::new(|_| {});
    rig.session.shut_down();
    rig.run();
    assert!(rig.closed.is_some(), "it rested");

    let mut rig = Rig::new(|_| {});
    rig.feed(GET);
    rig.session.shut_down();
    assert!(rig.run().is_some());
    rig.answer(follow, Ok(Done::NotGrowing));
    rig.answer(open, Ok(Done::Opened(meta(3))));
    assert_eq!(rig.statuses(), ["200"]);
    assert!(rig.sent.contains("Connection: close"));
    // The peer may be sending its next request: its answer must not be lost to a reset.
    assert!(rig.shut && rig.closed.is_none());
    rig.session.handle_eof();
    rig.run();
    assert!(rig.closed.is_some());
}

#[test]
fn one_connection_too_many_is_told_so() {
    let mut rig = Rig::with(Session::overloaded(site(|_| {})));
    rig.run();
    assert_eq!(rig.statuses(), ["503"]);
    assert!(rig.sent.contains("Retry-After: 1\r\n") && rig.shut);
}

#[test]
fn plain_http_where_tls_is_spoken_is_told_so() {
    let mut rig = Rig::with(Session::unencrypted(site(|_| {})));
    rig.feed(GET);
    assert_eq!(rig.statuses(), ["400"]);
    assert!(rig.sent.contains("https://") && rig.shut, "{}", rig.sent);
}

#[test]
fn a_missing_path_is_waited_for_so_long() {
    let mut rig = Rig::new(|config| config.wait_missing = secs(3));
    rig.feed(GET);
    rig.answer(follow, Ok(Done::NotGrowing));
    rig.answer(open, Err(FsError::NotFound));
    // Looked for once more, now that an upload would be noticed.
    let wait = rig.answer(open, Err(FsError::NotFound)).unwrap();
    assert_eq!(wait.deadline.unwrap().1, Timer::Missing);
    rig.after(secs(3));
    // And once more at the end.
    rig.answer(open, Err(FsError::NotFound));
    assert_eq!(rig.statuses(), ["404"]);
    assert!(
        rig.open
            .iter()
            .any(|effect| matches!(effect, Effect::Live(_, LiveEffect::Unfollow { .. })))
    );
}

#[test]
fn where_the_end_of_a_body_is_the_connections_giving_up_resets_it() {
    let grow = |version: &str| {
        let mut rig = Rig::new(|_| {});
        rig.feed(&format!("GET /a.bin {version}\r\nHost: a\r\n\r\n"));
        let Some(&Effect::Live(_, LiveEffect::Follow { op, .. })) = rig.open.first() else {
            panic!("no follow")
        };
        let growth = Growth { len: 5, total: None, state: GrowthState::Growing };
        rig.answer(follow, Ok(Done::Following(growth)));
        assert!(rig.sent.contains("#####"));
        rig.session.handle_growth(op, Growth { state: GrowthState::Aborted, ..growth });
        rig.run();
        assert!(!rig.sent.contains("0\r\n\r\n"));
        rig.closed.unwrap().reset
    };
    assert!(grow("HTTP/1.0"));
    assert!(!grow("HTTP/1.1"));
}

#[test]
fn a_body_that_ends_with_the_connection_and_is_cut_resets_it() {
    let mut rig = Rig::new(|_| {});
    rig.feed("GET /a.bin HTTP/1.0\r\nHost: a\r\n\r\n");
    let Some(&Effect::Live(_, LiveEffect::Follow { op, .. })) = rig.open.first() else {
        panic!("no follow")
    };
    let growth = Growth { len: 5, total: None, state: GrowthState::Growing };
    rig.answer(follow, Ok(Done::Following(growth)));
    rig.takes = false;
    rig.session.handle_growth(op, Growth { len: 9, state: GrowthState::Complete, ..growth });
    rig.run();
    rig.session.abort(io::ErrorKind::UnexpectedEof);
    rig.run();
    assert!(rig.closed.unwrap().reset, "a file that became shorter must not look whole");
}

#[test]
fn a_commit_is_told_although_its_uploader_has_left() {
    let mut rig = Rig::new(|_| {});
    rig.put_is_under_way("PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nok");
    rig.answer(write, Ok(Done::Ok));
    rig.session.handle_broken(io::ErrorKind::ConnectionReset);
    let wait = rig.run().expect("the commit is under way");
    assert!(!wait.read && !wait.write);
    rig.answer(commit, Ok(Done::Committed { created: true, meta: meta(2) }));
    assert!(rig.closed.is_some());
    assert!(
        rig.open.iter().any(|effect| matches!(
            effect,
            Effect::Live(_, LiveEffect::Ended { complete: true, .. })
        ))
    );
}

#[test]
fn a_clock_that_is_set_ends_nothing() {
    let mut rig = Rig::new(|_| {});
    rig.feed(GET);
    rig.now.wall -= secs(3600);
    rig.answer(follow, Ok(Done::NotGrowing));
    rig.now.wall += secs(7200);
    rig.answer(open, Ok(Done::Opened(meta(3))));
    assert_eq!(rig.statuses(), ["200"]);
    assert!(rig.closed.is_none());
}

/// A sparse file may be of any length.
#[test]
fn a_connection_may_send_more_bytes_than_are_counted() {
    let mut rig = Rig::new(|_| {});
    rig.takes = false;
    for _ in 0..3 {
        rig.feed(GET);
        rig.answer(follow, Ok(Done::NotGrowing));
        let wait = rig.answer(open, Ok(Done::Opened(meta(i64::MAX as u64))));
        assert!(wait.is_some_and(|wait| wait.write));
        let pieces: Vec<_> = rig.session.transmit().into_iter().flatten().collect();
        let Some(&Piece::File { len, .. }) = pieces.last() else { panic!("no file: {pieces:?}") };
        assert_eq!(len, i64::MAX as u64);
        // All of it, and no less than the head.
        rig.session.handle_sent(len + 1000);
        assert!(rig.run().is_some_and(|wait| !wait.write));
    }
    assert!(!rig.session.is_active());
}

#[test]
fn after_the_end_everything_is_a_no_op() {
    let mut rig = Rig::new(|_| {});
    rig.feed(GET);
    let Some(&Effect::Live(_, LiveEffect::Follow { op, .. })) = rig.open.first() else {
        panic!("no follow")
    };
    rig.session.handle_broken(io::ErrorKind::BrokenPipe);
    assert!(rig.run().is_some(), "an answer is awaited: it may bring an open file");
    rig.answer(follow, Ok(Done::NotGrowing));
    let closed = rig.closed.unwrap();
    rig.open.clear();
    rig.session.handle_data(Bytes::from_static(GET.as_bytes()));
    rig.session.handle_eof();
    rig.session.handle_sent(9);
    rig.session.handle_done(op, Ok(Done::Ok));
    rig.session.shut_down();
    rig.after(secs(9999));
    assert_eq!((rig.closed, rig.open.len(), rig.sent.as_str()), (Some(closed), 0, ""));
}

#[test]
fn the_defaults_are_those_of_the_table() {
    let limits = Limits::default();
    assert_eq!((limits.request_line, limits.field_line, limits.head), (16384, 16384, 32768));
    assert_eq!((limits.fields, limits.chunk_extensions, limits.trailers), (100, 16384, 8192));
    assert_eq!((limits.trailer_fields, limits.requests, limits.client_errors), (32, 10_000, 20));
    assert_eq!((limits.head_time, limits.idle_time), (secs(10), Some(secs(30))));
    assert_eq!((limits.body_time, limits.body_rate, limits.send_time), (secs(30), 0, secs(30)));
    assert_eq!((limits.linger_time, limits.linger_pause), (secs(30), secs(5)));
    assert_eq!((limits.linger_bytes, limits.unwanted_body), (1 << 30, 16 << 20));
    assert_eq!((limits.age, limits.half_closed_time), (Some(secs(3600)), secs(2)));
}

#[test]
fn what_was_sent_whole_before_a_reset_is_obeyed() {
    let put =
        "PUT /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nwhole\r\n0\r\n\r\n";
    let half = "PUT /b HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf";
    for sending in [true, false] {
        let mut rig = Rig::new(|_| {});
        rig.feed(&[put, GET, put, half].concat());
        if sending {
            rig.session.handle_unsendable(io::ErrorKind::BrokenPipe);
            rig.run();
            rig.session.handle_eof();
        } else {
            rig.session.handle_broken(io::ErrorKind::ConnectionReset);
        }
        rig.run();
        for _ in 0..2 {
            rig.answer(create, Ok(Done::Ok));
            rig.answer(write, Ok(Done::Ok));
            rig.answer(commit, Ok(Done::Committed { created: true, meta: meta(5) }));
            // The GET between them is given up, at once or when its first effect is answered.
            if rig.open.iter().any(|effect| follow(effect).is_some()) {
                rig.answer(follow, Ok(Done::NotGrowing));
            }
        }
        rig.answer(create, Ok(Done::Ok));
        if rig.open.iter().any(|effect| write(effect).is_some()) {
            rig.answer(write, Ok(Done::Ok));
        }
        let ended = |complete| {
            let is = |effect: &&Effect| matches!(effect, Effect::Live(_, LiveEffect::Ended { complete: c, .. }) if *c == complete);
            rig.open.iter().filter(is).count()
        };
        assert_eq!((ended(true), rig.sent.as_str()), (2, ""));
        assert!(rig.closed.is_some());
    }
}

#[test]
fn a_request_given_up_with_an_unread_body_does_not_hang() {
    for reset in [true, false] {
        let mut rig = Rig::new(|_| {});
        rig.feed("GET /a.bin HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc");
        if reset {
            rig.session.handle_broken(io::ErrorKind::ConnectionReset);
        } else {
            rig.session.handle_unsendable(io::ErrorKind::BrokenPipe);
        }
        rig.run();
        if let Some(wait) = rig.answer(follow, Ok(Done::NotGrowing)) {
            assert_eq!(wait.deadline.unwrap().1, Timer::Idle);
            rig.after(secs(10));
        }
        assert!(rig.closed.is_some());
    }
}
