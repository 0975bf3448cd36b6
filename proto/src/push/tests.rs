mod rig;

use self::rig::{BLOB, Rig, put, unrewindable};
use super::*;
use crate::error::PeerError;

const CREATED: &str = "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n";

#[test]
fn two_uploads_share_a_connection() {
    let mut rig = Rig::default();
    rig.add(put(1, "/a", b"hello", Some(5)));
    rig.add(put(2, "/b", b"world", None));
    assert_eq!(
        rig.wrote(),
        "PUT /a HTTP/1.1\r\nHost: h:8080\r\nUser-Agent: t\r\nContent-Length: 5\r\n\r\nhello"
    );
    rig.answer(CREATED);
    assert_eq!(
        rig.wrote(),
        "PUT /b HTTP/1.1\r\nHost: h:8080\r\nUser-Agent: t\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nworld\r\n0\r\n\r\n"
    );
    rig.answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nETag: \"x\"\r\n\r\nok");
    rig.finish();
    assert_eq!(
        rig.log(),
        ["dial http://h:8080", "1 stored 201 5", "2 stored 200 5", "hang up", "closed"]
    );
}

/// One upload of `hello`, each try answered with the next of `answers`, cut in every way: what is
/// told is the same.
fn conversation(change: impl Fn(&mut PushConfig), answers: &[&str]) -> Vec<String> {
    let play = |feed: &dyn Fn(&mut Rig, &str)| {
        let mut rig = Rig::new(&change);
        rig.add(put(1, "/a", b"hello", Some(5)));
        for answer in answers {
            feed(&mut rig, answer);
            if rig.wait.and_then(|wait| wait.deadline).is_some_and(|(_, t)| t == Timer::Retry) {
                rig.until(Timer::Retry);
            }
        }
        rig.eof();
        rig.push.stop();
        rig.run();
        rig.log()
    };
    let whole = play(&|rig, answer| rig.answer(answer));
    let longest = answers.iter().map(|answer| answer.len()).max().unwrap();
    for cut in 0..longest {
        let cut_there = play(&|rig, answer| {
            let (head, tail) = answer.as_bytes().split_at(cut.min(answer.len()));
            rig.push.handle_data(Bytes::copy_from_slice(head));
            rig.push.handle_data(Bytes::copy_from_slice(tail));
            rig.run();
        });
        assert_eq!(cut_there, whole, "cut at {cut}");
    }
    let each = play(&|rig, answer| {
        for byte in answer.bytes() {
            rig.push.handle_data(Bytes::copy_from_slice(&[byte]));
        }
        rig.run();
    });
    assert_eq!(each, whole, "byte by byte");
    whole
}

/// What is told of a job that is answered so, between dialling and the end.
fn told(answers: &[&str]) -> Vec<String> {
    let log = conversation(|_| {}, answers);
    let idle = |line: &String| line.starts_with("dial") || line == "hang up" || line == "closed";
    log.into_iter().filter(|line| !idle(line)).collect()
}

#[test]
fn answers_are_read_by_their_framing() {
    for answer in [
        CREATED,
        "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nX: y\r\n\r\n",
        "HTTP/1.1 201\r\nContent-Length: 3\r\n\r\nabc",
        "HTTP/1.0 201 Created\r\n\r\nuntil the end",
        "HTTP/1.1 201 Cr\u{e9}\u{e9}\tXX\r\n\r\n",
        "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n",
        // The rest of the answer is missing, but the outcome is said.
        "HTTP/1.1 201 Created\r\nContent-Length: 30\r\n\r\nabc",
    ] {
        assert_eq!(told(&[answer]), ["1 stored 201 5"], "{answer}");
    }
    assert_eq!(told(&["HTTP/1.1 204 No Content\r\n\r\n"]), ["1 stored 204 5"]);
}

#[test]
fn what_is_no_answer_fails_at_once() {
    for (answer, what) in [
        ("\u{15}\u{3}\u{1}", "no HTTP answer"),
        ("SSH-2.0-x\r\n", "no HTTP answer"),
        ("HTTQ/1.1 200 OK\r\n\r\n", "status line"),
        ("HTTP/1.1 20 OK\r\n\r\n", "status"),
        ("HTTP/1.1 099 OK\r\n\r\n", "status"),
        ("HTTP/1.1 600 OK\r\n\r\n", "status"),
        ("HTTP/1.1 +20 OK\r\n\r\n", "status"),
        ("HTTP/1.1  200 OK\r\n\r\n", "status"),
        ("HTTP/2.0 200 OK\r\n\r\n", "HTTP/1.x"),
        ("HTTP/1.1 200 O\u{7}K\r\n\r\n", "reason"),
        ("HTTP/1.1 200x\r\n\r\n", "reason"),
        ("HTTP/1.1 200 OK\nContent-Length: 0\n\n", "LF without CR"),
        ("HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n", "CR without LF"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n", "exclude"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n", "twice"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0, 0\r\n\r\n", "not a number"),
        ("HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\n", "not a number"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "chunked"),
        ("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.0"),
        ("HTTP/1.1 200 OK\r\n A: b\r\n\r\n", "white space"),
        ("HTTP/1.1 200 OK\r\nA : b\r\n\r\n", "name, colon, value"),
        ("HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n", "unasked"),
        ("\r\nHTTP/1.1 200 OK\r\n\r\n", "empty lines"),
    ] {
        let told = told(&[answer]);
        assert_eq!(told.len(), 1, "{answer:?}: {told:?}");
        assert!(
            told[0].starts_with("1 failed: PUT http://h:8080/a: the answer is not HTTP"),
            "{told:?}"
        );
        assert!(told[0].contains(what), "{answer:?}: {told:?}");
    }
}

#[test]
fn a_head_without_end_is_refused() {
    let endless = format!("HTTP/1.1 200 {}", "a".repeat(20_000));
    let many = format!("HTTP/1.1 200 OK\r\n{}", "A: b\r\n".repeat(200));
    let interim = "HTTP/1.1 102 x\r\n\r\n".repeat(200);
    for answer in [endless, many, interim] {
        let mut rig = Rig::default();
        rig.add(put(1, "/a", b"hello", Some(5)));
        rig.answer(&answer);
        assert!(rig.log().join("\n").contains("1 failed"));
    }
}

#[test]
fn refusals_say_what_to_do() {
    for (status, advice) in [
        ("401 Unauthorized", "user:password@"),
        ("403 Forbidden", "rights"),
        ("404 Not Found", "path"),
        ("405 Method Not Allowed", "--post"),
        ("411 Length Required", "--cte"),
        ("413 Content Too Large", "limit"),
        ("415 Unsupported Media Type", "media type"),
        ("500 Internal Server Error", "log"),
        ("507 Insufficient Storage", "disk"),
        ("303 See Other", "URL"),
        ("304 Not Modified", "URL"),
    ] {
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
        let told = told(&[&answer]);
        assert_eq!(told.len(), 1, "{told:?}");
        let line = format!("1 failed: PUT http://h:8080/a: {status}: ");
        assert!(told[0].starts_with(&line) && told[0].contains(advice), "{told:?}");
    }
}

#[test]
fn a_busy_server_is_asked_again_when_it_says() {
    let busy = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n";
    let told =
        told(&[busy, "HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n", CREATED]);
    assert!(told[0].starts_with("1 again in 7000 ms: 503"), "{told:?}");
    assert!(told[1].starts_with("1 again in 500 ms: 429"), "{told:?}");
    assert_eq!(told[2..], ["1 stored 201 5"]);
}

#[test]
fn a_server_that_asks_to_come_back_tomorrow_is_obeyed() {
    let mut rig = Rig::default();
    rig.add(put(1, "/a", b"hello", Some(5)));
    rig.answer(
        "HTTP/1.1 503 x\r\nRetry-After: Fri, 02 Jan 1970 00:00:00 GMT\r\nContent-Length: 0\r\n\r\n",
    );
    assert!(rig.log().join("\n").contains("come back in 86400 s"));
}

#[test]
fn tries_are_bounded_and_waits_grow() {
    let mut rig = Rig::new(|config| config.retries = 3);
    rig.dials = Err(DialError { what: "connection refused".into(), temporary: true });
    rig.add(put(1, "/a", b"hello", Some(5)));
    for _ in 0..3 {
        rig.until(Timer::Retry);
    }
    let log: Vec<_> = rig.log().into_iter().filter(|line| !line.starts_with("dial")).collect();
    let waits: Vec<_> = log[..3].iter().map(|line| line.split(' ').nth(3).unwrap()).collect();
    assert_eq!(waits, ["250", "500", "1000"]);
    assert!(log[3].starts_with("1 failed: PUT http://h:8080/a: no connection: connection refused"));
    assert_eq!(log.len(), 4);
}

#[test]
fn what_will_not_get_better_is_not_tried_again() {
    let mut rig = Rig::default();
    rig.dials = Err(DialError { what: "the certificate has expired".into(), temporary: false });
    rig.add(put(1, "/a", b"hello", Some(5)));
    assert_eq!(rig.log().len(), 2);
}

#[test]
fn a_dial_has_a_deadline() {
    let mut rig = Rig::default();
    rig.prompt = false;
    rig.add(put(1, "/a", b"hello", Some(5)));
    rig.until(Timer::Dial);
    let log = rig.log();
    assert_eq!(log[..2], ["dial http://h:8080", "hang up"]);
    assert!(log[2].contains("not made within 10 s"), "{log:?}");
}

#[test]
fn a_kept_connection_that_died_is_made_anew_at_once() {
    let mut rig = Rig::new(|config| config.post = true);
    rig.add(put(1, "/a", b"hello", Some(5)));
    rig.answer(CREATED);
    rig.add(put(2, "/b", b"world", Some(5)));
    rig.log();
    rig.broken();
    let log = rig.log();
    assert!(log[1].starts_with("2 again in 0 ms"), "{log:?}");
    assert_eq!(log[2..], ["dial http://h:8080"]);
    // A POST over a fresh connection may have been seen.
    rig.broken();
    let log = rig.log();
    assert!(
        log[1].starts_with("2 failed: POST") && log[1].contains("cannot be sent again"),
        "{log:?}"
    );
}

#[test]
fn a_put_is_sent_again_from_its_first_byte() {
    let mut rig = Rig::default();
    rig.step = 4;
    rig.add(put(1, "/a", BLOB, None));
    rig.broken();
    rig.until(Timer::Retry);
    rig.answer(CREATED);
    let wrote = rig.wrote();
    let body = "4\r\n0123\r\n4\r\n4567\r\n4\r\n89ab\r\n4\r\ncdef\r\n4\r\nghij\r\n0\r\n\r\n";
    assert_eq!(wrote.matches(body).count(), 2, "{wrote}");
    assert!(rig.log().contains(&"1 stored 201 20".into()));
}

#[test]
fn what_cannot_be_had_again_is_not_sent_again() {
    let mut rig = Rig::new(|config| config.expect_from = None);
    rig.add(unrewindable(1, BLOB, None));
    rig.broken();
    let log = rig.log();
    assert!(log[2].contains("the input cannot be sent again"), "{log:?}");
}

#[test]
fn what_was_not_taken_of_a_pipe_can_be_sent_later() {
    let mut rig = Rig::default();
    rig.prompt = false;
    rig.add(unrewindable(1, BLOB, None));
    rig.push.handle_dialled();
    rig.run();
    rig.answer("HTTP/1.1 100 Continue\r\n\r\n");
    assert_eq!(rig.log(), ["dial http://h:8080", "1 pull 0"]);
    rig.broken();
    rig.until(Timer::Retry);
    rig.log();
    // The part that was asked for comes while there is no connection; it is not asked for twice.
    rig.prompt = true;
    rig.supply(JobId(1), 0);
    rig.push.handle_dialled();
    rig.run();
    rig.answer("HTTP/1.1 100 Continue\r\n\r\n");
    rig.answer(CREATED);
    assert_eq!(rig.log(), ["1 stored 201 20"]);
    assert!(rig.wrote().ends_with("14\r\n0123456789abcdefghij\r\n0\r\n\r\n"));
}

#[test]
fn a_body_waits_for_100_continue() {
    let mut rig = Rig::new(|config| config.expect_from = Some(10));
    rig.add(put(1, "/a", BLOB, Some(20)));
    assert!(rig.wrote().ends_with("Content-Length: 20\r\nExpect: 100-continue\r\n\r\n"));
    rig.answer("HTTP/1.1 100 Continue\r\n\r\n");
    assert_eq!(rig.wrote().as_bytes(), BLOB);
    rig.answer(CREATED);
    // A small one does not ask.
    rig.add(put(2, "/b", b"hello", Some(5)));
    assert!(!rig.wrote().contains("Expect"));
    rig.answer(CREATED);
    // A server that does not know it is not asked twice.
    rig.add(put(3, "/c", BLOB, Some(20)));
    rig.wrote();
    rig.until(Timer::Continue);
    assert_eq!(rig.wrote().as_bytes(), BLOB);
    rig.answer(CREATED);
    rig.add(put(4, "/d", BLOB, Some(20)));
    assert!(!rig.wrote().contains("Expect"));
}

#[test]
fn a_refused_expectation_sends_no_body_and_closes() {
    let mut rig = Rig::new(|config| config.expect_from = Some(10));
    rig.add(put(1, "/a", BLOB, Some(20)));
    rig.wrote();
    rig.answer("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(rig.wrote(), "");
    assert_eq!(rig.log()[2..], ["hang up"]);
    // 417: the same without Expect.
    rig.add(put(2, "/b", BLOB, Some(20)));
    rig.answer("HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n");
    let wrote = rig.wrote();
    assert_eq!(wrote.matches("Expect").count(), 1, "{wrote}");
    assert!(wrote.ends_with("0123456789abcdefghij"));
}

#[test]
fn an_early_refusal_stops_the_body() {
    for framing in [Some(20), None] {
        let mut rig = Rig::default();
        rig.prompt = false;
        rig.add(put(1, "/a", BLOB, framing));
        rig.push.handle_dialled();
        rig.run();
        rig.push.handle_body(JobId(1), 0, Part::Bytes(Bytes::from_static(b"0123")));
        rig.run();
        rig.wrote();
        rig.answer("HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n");
        rig.push.handle_body(JobId(1), 4, Part::Bytes(Bytes::from_static(b"4567")));
        rig.run();
        assert_eq!(rig.wrote(), "");
        let log = rig.log();
        assert!(log[3].starts_with("1 failed") && log[4] == "hang up", "{log:?}");
    }
}

#[test]
fn an_early_success_is_none_before_the_body_is_sent() {
    let mut rig = Rig::default();
    rig.prompt = false;
    rig.add(put(1, "/a", BLOB, Some(20)));
    rig.push.handle_dialled();
    rig.run();
    rig.answer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(rig.log(), ["dial http://h:8080", "1 pull 0"]);
    rig.broken();
    assert!(rig.log()[0].starts_with("1 again"));
    rig.until(Timer::Retry);
    rig.push.handle_dialled();
    rig.run();
    rig.answer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    rig.push.handle_body(JobId(1), 0, Part::Bytes(Bytes::from_static(BLOB)));
    rig.run();
    assert!(rig.log().contains(&"1 stored 200 20".into()));
}

#[test]
fn a_redirect_may_lead_to_bytes_that_are_not_encoded() {
    for (location, path) in
        [(&b"/\xc3\xa9"[..], "/%C3%A9"), (b"/\xc3%A9", "/%C3%A9"), (b"/\xe9?\xff", "/%E9?%FF")]
    {
        let mut rig = Rig::new(|_| {});
        rig.add(put(1, "/a", b"hello", Some(5)));
        rig.wrote();
        let head = b"HTTP/1.1 307 x\r\nContent-Length: 0\r\nLocation: ";
        rig.answer_bytes(&[head, location, b"\r\n\r\n"].concat());
        let wrote = rig.wrote();
        assert!(wrote.starts_with(&format!("PUT {path} HTTP/1.1\r\n")), "{wrote}");
    }
}

#[test]
fn redirects_keep_method_and_body_and_not_the_password() {
    let mut rig = Rig::new(|config| {
        config.credentials =
            Some(Credentials { user: "u".into(), password: crate::auth::Secret::new("p".into()) });
        config.fields = vec![("Cookie".into(), "c".into()), ("X-A".into(), "1".into())];
    });
    rig.add(put(1, "/a/b", b"hello", Some(5)));
    let first = rig.wrote();
    assert!(first.contains("Authorization: Basic dTpw\r\n") && first.contains("Cookie"), "{first}");
    rig.answer("HTTP/1.1 307 x\r\nLocation: ../c?d\r\nContent-Length: 0\r\n\r\n");
    let second = rig.wrote();
    assert!(second.starts_with("PUT /c?d HTTP/1.1\r\nHost: h:8080\r\n"), "{second}");
    assert!(second.contains("Basic dTpw") && second.ends_with("hello"));
    rig.answer("HTTP/1.1 308 x\r\nLocation: http://other/e\r\nContent-Length: 0\r\n\r\n");
    let third = rig.wrote();
    assert!(third.starts_with("PUT /e HTTP/1.1\r\nHost: other\r\n") && third.ends_with("hello"));
    assert!(!third.contains("Basic") && !third.contains("Cookie") && third.contains("X-A: 1"));
    rig.answer(CREATED);
    rig.add(put(2, "/f", b"hello", Some(5)));
    assert!(rig.wrote().contains("Host: h:8080\r\n"));
    assert_eq!(
        rig.log(),
        [
            "dial http://h:8080",
            "1 to http://h:8080/c?REDACTED",
            "1 to http://other/e",
            "hang up",
            "dial http://other",
            "1 stored 201 5",
            "hang up",
            "dial http://h:8080"
        ]
    );
}

#[test]
fn redirects_that_lead_nowhere_end() {
    let to = |location: &str| format!("HTTP/1.1 301 x\r\n{location}Content-Length: 0\r\n\r\n");
    for (answers, what) in [
        (vec![to("Location: /a\r\n")], "circles"),
        (vec![to("Location: /b\r\n"), to("Location: /a\r\n")], "circles"),
        (vec![to("")], "without one Location"),
        (vec![to("Location: /b\r\nLocation: /c\r\n")], "without one Location"),
        (vec![to("Location: ftp://h/a\r\n")], "no http URL"),
        ((0..6).map(|at| to(&format!("Location: /{at}\r\n"))).collect(), "too many"),
        ((0..6).map(|at| to(&format!("Location: /?{at}\r\n"))).collect(), "too many"),
    ] {
        let mut rig = Rig::default();
        rig.add(put(1, "/a", b"hello", Some(5)));
        for answer in &answers {
            rig.answer(answer);
        }
        let log = rig.log();
        let last = log.last().unwrap();
        assert!(last.contains("1 failed") && last.contains(what), "{what}: {log:?}");
    }
    let mut rig = Rig::default();
    let (target, _) = Target::parse("https://h/a").unwrap();
    let upload = Upload { len: Some(0), rewindable: true, ..Upload::default() };
    rig.add((Job { id: JobId(1), target, kind: JobKind::Upload(upload) }, Vec::new()));
    rig.answer(&to("Location: http://h/a\r\n"));
    assert!(rig.log().last().unwrap().contains("from https to http"));
}

#[test]
fn the_answer_has_a_deadline() {
    let mut rig = Rig::default();
    rig.add(put(1, "/a", b"hello", Some(5)));
    rig.until(Timer::Answer);
    assert!(rig.log()[2].contains("the answer deadline passed"));
}

#[test]
fn what_the_server_did_before_a_deadline_counts() {
    // It answered.
    let mut rig = Rig::default();
    rig.add(unrewindable(1, b"hello", None));
    rig.answer("HTTP/1.1 100 Continue\r\n\r\n");
    rig.late = Some(CREATED);
    rig.until(Timer::Answer);
    assert_eq!(rig.log(), ["dial http://h:8080", "1 stored 201 5"]);
    // It asked for the body, so that it is asked again next time.
    let mut rig = Rig::new(|config| config.expect_from = Some(10));
    rig.add(put(1, "/a", BLOB, Some(20)));
    rig.late = Some("HTTP/1.1 100 Continue\r\n\r\n");
    rig.until(Timer::Continue);
    rig.answer(CREATED);
    rig.wrote();
    rig.add(put(2, "/b", BLOB, Some(20)));
    assert!(rig.wrote().contains("Expect"));
    // It took something, or it did not.
    for (takes, end) in [(1, "1 stored 201 20"), (0, "the send deadline passed")] {
        let mut rig = Rig::default();
        rig.takes = 0;
        rig.add(put(1, "/a", BLOB, Some(20)));
        rig.takes = takes;
        rig.until(Timer::Send);
        rig.answer(CREATED);
        let log = rig.log();
        assert!(log.iter().any(|line| line.contains(end)), "{log:?}");
    }
}

#[test]
fn a_server_is_not_left_for_a_disk_that_is_waited_for() {
    let mut rig = Rig::default();
    rig.takes = 0;
    rig.add(put(1, "/a", BLOB, Some(20)));
    rig.fetches = true;
    rig.until(Timer::Send);
    assert_eq!(rig.wait.unwrap().deadline, None);
    rig.after(Duration::from_secs(600));
    assert_eq!(rig.log(), ["dial http://h:8080"]);
    rig.fetches = false;
    rig.push.handle_fetching(false);
    rig.run();
    rig.until(Timer::Send);
    assert!(rig.log()[1].contains("the send deadline passed"));
}

#[test]
fn a_kept_connection_rests_so_long() {
    let mut rig = Rig::default();
    rig.add(put(1, "/a", b"hello", Some(5)));
    rig.answer(CREATED);
    rig.until(Timer::Idle);
    assert_eq!(rig.log()[2..], ["hang up"]);
    rig.add(put(2, "/b", b"hello", Some(5)));
    rig.answer(CREATED);
    // The 408 of a server that waits no longer is no answer to the next request.
    rig.answer("HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n");
    rig.add(put(3, "/c", b"hello", Some(5)));
    rig.answer(CREATED);
    let log = rig.log();
    assert_eq!(log[2..], ["hang up", "dial http://h:8080", "3 stored 201 5"], "{log:?}");
}

#[test]
fn close_and_cte_and_ranges_show_in_the_head() {
    let mut rig = Rig::new(|config| {
        config.close = true;
        config.chunked = false;
    });
    let (mut job, body) = put(1, "/a", b"hello", Some(5));
    if let JobKind::Upload(upload) = &mut job.kind {
        upload.range = Some(UploadRange { first: 10, last: Some(14) });
    }
    rig.add((job.clone(), body));
    let wrote = rig.wrote();
    assert!(wrote.contains("Content-Range: bytes 10-14/*\r\n"), "{wrote}");
    assert!(wrote.contains("Connection: close\r\n"), "{wrote}");
    rig.answer(CREATED);
    rig.add(put(2, "/a", b"hello", None));
    if let JobKind::Upload(upload) = &mut job.kind {
        upload.range = Some(UploadRange { first: 10, last: Some(15) });
    }
    rig.add((job, b"hello".to_vec()));
    let log = rig.log();
    assert_eq!(log[1..3], ["1 stored 201 5", "hang up"]);
    assert!(log[3].contains("the length of the input is not known"), "{log:?}");
    assert!(log[4].contains("the range is not as long as the body"), "{log:?}");
}

#[test]
fn an_input_that_ends_early_leaves_nothing() {
    let mut rig = Rig::default();
    rig.add(put(1, "/a", b"hello", Some(9)));
    let log = rig.log();
    assert!(log[1] == "hang up" && log[2].contains("ended after 5 of 9 bytes"), "{log:?}");
    rig.prompt = false;
    rig.add(put(2, "/b", b"hello", None));
    rig.push.handle_dialled();
    rig.run();
    rig.wrote();
    rig.push.handle_body(JobId(2), 0, Part::Bytes(Bytes::from_static(b"hel")));
    rig.push.handle_body_failed(JobId(2), "permission denied".into());
    rig.run();
    assert!(!rig.wrote().contains("0\r\n\r\n"));
    assert!(rig.log().last().unwrap().contains("the input cannot be read: permission denied"));
}

#[test]
fn an_upload_is_looked_at_afterwards() {
    for (head, told) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "1 stored 201 5 verified"),
        ("HTTP/1.1 200 OK\r\nETag: \"x\"\r\nContent-Length: 5\r\n\r\n", "1 stored 201 5 verified"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", "it has 4 bytes where 5 were sent"),
        ("HTTP/1.1 200 OK\r\nETag: \"y\"\r\nContent-Length: 5\r\n\r\n", "its ETag is \"y\""),
        ("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", "neither its length"),
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\n", "HEAD is answered with 404"),
    ] {
        let mut rig = Rig::new(|config| config.verify = true);
        rig.add(put(1, "/a", b"hello", Some(5)));
        rig.answer("HTTP/1.1 201 Created\r\nETag: \"x\"\r\nContent-Length: 0\r\n\r\n");
        assert!(rig.wrote().ends_with("HEAD /a HTTP/1.1\r\nHost: h:8080\r\nUser-Agent: t\r\n\r\n"));
        rig.answer(head);
        let log = rig.log();
        assert!(log.iter().any(|line| line.contains(told)), "{head}: {log:?}");
    }
}

#[test]
fn deleting_what_is_not_there_is_done() {
    for (status, told) in [
        (200, "1 deleted 200"),
        (404, "1 deleted 404"),
        (403, "1 failed: DELETE"),
        (503, "1 again"),
    ] {
        let mut rig = Rig::default();
        let (mut job, body) = put(1, "/a", b"", None);
        job.kind = JobKind::Delete;
        rig.add((job, body));
        assert_eq!(rig.wrote(), "DELETE /a HTTP/1.1\r\nHost: h:8080\r\nUser-Agent: t\r\n\r\n");
        rig.answer(&format!("HTTP/1.1 {status} x\r\nContent-Length: 0\r\n\r\n"));
        assert!(rig.log()[1].starts_with(told));
    }
}

#[test]
fn with_ka_off_nothing_is_tried_after_a_failure() {
    let mut rig = Rig::new(|config| config.keep_input = false);
    rig.add(put(1, "/a", b"hello", Some(5)));
    rig.add(put(2, "/b", b"hello", Some(5)));
    rig.answer("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
    rig.finish();
    let log = rig.log();
    assert!(log[2].starts_with("2 failed") && log[2].contains("ka is off"), "{log:?}");
}

#[test]
fn what_is_called_off_ends_at_once() {
    let mut rig = Rig::default();
    for id in 1..=3 {
        rig.add(put(id, "/a", b"hello", Some(5)));
    }
    rig.push.cancel(JobId(2));
    rig.push.cancel(JobId(1));
    rig.run();
    assert_eq!(rig.push.progress(), Some((JobId(3), 5)));
    rig.push.stop();
    rig.run();
    let log = rig.log();
    let over: Vec<_> =
        log.iter().filter(|line| line.contains("called off")).map(|l| &l[..1]).collect();
    assert_eq!(over, ["2", "1", "3"]);
    assert_eq!(log.last().unwrap(), "closed");
}

#[test]
fn an_answer_to_a_reset_upload_is_still_read() {
    let mut rig = Rig::default();
    rig.prompt = false;
    rig.add(put(1, "/a", BLOB, Some(20)));
    rig.push.handle_dialled();
    rig.run();
    rig.push.handle_unsendable(io::ErrorKind::BrokenPipe);
    rig.run();
    rig.answer("HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\r\n");
    rig.eof();
    assert!(rig.log().iter().any(|line| line.contains("403")));
}

#[test]
fn options_that_no_head_can_carry_are_refused() {
    for field in [
        ("X A", "1"),
        ("Content-Length", "1"),
        ("expect", "x"),
        ("Host", "h"),
        ("Range", "x"),
        ("X", "a\r\nb"),
    ] {
        let fields = vec![(field.0.to_owned(), field.1.to_owned())];
        let config = PushConfig { fields, ..PushConfig::default() };
        assert_eq!(PushOptions::new(config).unwrap_err().option, "hdrs", "{field:?}");
    }
}

#[test]
fn losses_are_lines_to_read() {
    let mut rig = Rig::new(|config| config.retries = 0);
    rig.add(put(1, "/a", b"hello", Some(5)));
    rig.answer("HTTP/1.1 2");
    rig.eof();
    assert_eq!(
        rig.log()[2],
        format!(
            "1 failed: PUT http://h:8080/a: {}; look at the server's log, or try again",
            PeerError::Truncated
        )
    );
}

#[test]
fn what_can_be_had_once_is_not_risked_on_a_kept_connection() {
    for (expect_from, dials) in [(None, 2), (Some(10), 1)] {
        let mut rig = Rig::new(|config| config.expect_from = expect_from);
        rig.add(put(1, "/a", b"hello", Some(5)));
        rig.answer(CREATED);
        rig.add(unrewindable(2, BLOB, None));
        assert_eq!(rig.log().iter().filter(|line| line.starts_with("dial")).count(), dials);
    }
}
