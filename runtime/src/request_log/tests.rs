use std::{
    net::Ipv4Addr,
    sync::{Arc, Mutex},
    time::{Duration, UNIX_EPOCH},
};

use httpout_proto::http::{Status, Version};

use super::*;

const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

fn report(asked: RequestSummary) -> Report {
    Report {
        method: Some(Method::Get),
        status: Some(Status::PARTIAL_CONTENT),
        received: 0,
        sent: 1234,
        took: Duration::from_millis(5),
        complete: true,
        why: None,
        user: Some("alice".into()),
        asked: Some(Arc::new(asked)),
    }
}

fn asked(target: &str) -> RequestSummary {
    RequestSummary { target: target.into(), version: Version::Http11, ..RequestSummary::default() }
}

#[test]
fn the_combined_format() {
    let at = UNIX_EPOCH + Duration::from_secs(971_186_136);
    let mut asked = asked("/a?b=\"c\"");
    asked.referer = Some("http://x/\u{1}".into());
    asked.user_agent = Some("curl/8\\".into());
    assert_eq!(
        line::combined(PEER, at, &report(asked)),
        "192.0.2.1 - alice [10/Oct/2000:13:55:36 +0000] \"GET /a?b=\\x22c\\x22 HTTP/1.1\" 206 1234 \
         \"http://x/\\x01\" \"curl/8\\x5C\"\n"
    );
    let bare = Report {
        method: None,
        status: None,
        user: None,
        asked: None,
        ..report(RequestSummary::default())
    };
    assert_eq!(
        line::combined(PEER, at, &bare),
        "192.0.2.1 - - [10/Oct/2000:13:55:36 +0000] \"-\" 499 1234 \"-\" \"-\"\n"
    );
}

#[test]
fn a_name_is_one_word_of_its_line() {
    for (name, shown) in [
        ("", "-"),
        ("a b", "a\\x20b"),
        (" ", "\\x20"),
        ("a\u{7f}b", "a\\x7Fb"),
        ("J\u{fc}rgen", "J\\xC3\\xBCrgen"),
    ] {
        let report = Report { user: Some(name.into()), ..report(asked("/")) };
        let line = line::combined(PEER, UNIX_EPOCH, &report);
        assert_eq!(line.split(' ').nth(2), Some(shown), "{line}");
    }
}

#[test]
fn a_dash_keeps_the_ends_of_files() {
    for option in ["REC", "-*,REC"] {
        let out = Arc::new(Mutex::new(Vec::new()));
        let writer =
            Writer::start(Sink::Test(Box::new(Memory(out.clone()))), &Alarm::default()).unwrap();
        let reqlog = Some((ReqLog::parse(option).unwrap(), writer));
        let logs =
            Logs { access: None, format: Format::Combined, reqlog, reqlog_format: LogFormat::Text };
        logs.recorded(Path::new("/srv/a"), None);
        logs.recorded(Path::new("/srv/a"), Some(true));
        logs.flush();
        assert_eq!(*out.lock().unwrap(), b"REC /srv/a start\nREC /srv/a done\n");
    }
}

/// Takes all.
pub(super) struct Memory(pub(super) Arc<Mutex<Vec<u8>>>);

impl io::Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn json_lines_hold_the_same_values() {
    let mut asked = asked("/a\n\"b\"");
    asked.range = Some("bytes=0-1".into());
    let line = line::json(PEER, UNIX_EPOCH, &report(asked));
    assert_eq!(line.matches('\n').count(), 1);
    let value: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(value["time"], "1970-01-01T00:00:00.000Z");
    assert_eq!(value["target"], "/a\n\"b\"");
    assert_eq!(value["range"], "bytes=0-1");
    assert_eq!(value["status"], 206);
    assert_eq!(value["took"], 0.005);
    assert_eq!(value["referer"], serde_json::Value::Null);
}

#[test]
fn nothing_from_outside_ends_a_line() {
    let wild: String = (0..=255_u8).map(char::from).collect();
    let asked = RequestSummary {
        target: wild.clone(),
        version: Version::Http10,
        range: Some(wild.clone()),
        referer: Some(wild.clone()),
        user_agent: Some(wild.clone()),
        line: String::new(),
    };
    let refused = RequestSummary { line: wild.clone(), ..asked.clone() };
    let report = Report { user: Some(wild.clone().into()), ..report(asked.clone()) };
    for line in [
        line::combined(PEER, UNIX_EPOCH, &report),
        line::json(PEER, UNIX_EPOCH, &report),
        line::combined(PEER, UNIX_EPOCH, &self::report(refused.clone())),
        line::json(PEER, UNIX_EPOCH, &self::report(refused)),
        reqlog::begin(1, PEER, Method::Put, &asked),
        reqlog::record(&wild, None),
    ] {
        let inner = line.strip_suffix('\n').unwrap();
        assert!(!inner.chars().any(char::is_control), "{line:?}");
    }
}

#[test]
fn of_a_refused_head_the_log_shows_what_could_be_read() {
    for (text, method, combined, json) in [
        ("GET /a?b HTTP/1.1", Some(Method::Get), "GET /a?b HTTP/1.1", ["GET", "/a?b", "HTTP/1.1"]),
        ("BREW /pot HTTP/1.1", None, "BREW /pot HTTP/1.1", ["BREW", "/pot", "HTTP/1.1"]),
        ("GET /a\"", Some(Method::Get), "GET /a\\x22", ["GET", "/a\"", ""]),
        ("PU", None, "PU", ["PU", "", ""]),
        ("", None, "-", ["", "", ""]),
    ] {
        let target = text.split(' ').nth(1).unwrap_or_default().to_owned();
        let asked = RequestSummary { target, line: text.into(), ..RequestSummary::default() };
        let report = Report { method, user: None, ..report(asked) };
        let line = line::combined(PEER, UNIX_EPOCH, &report);
        assert!(line.contains(&format!("] \"{combined}\" 206 ")), "{line}");
        let line = line::json(PEER, UNIX_EPOCH, &report);
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        let word = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
        assert_eq!([word("method"), word("target"), word("protocol")], json, "{text}");
    }
}

#[test]
fn the_short_log_in_json() {
    let mut asked = asked("/a\u{1b}");
    asked.range = Some("bytes=0-1".into());
    let report = report(asked.clone());
    for (event, message, fields) in [
        (
            Event::Begin { number: 7, peer: PEER, method: Method::Get, asked: &asked },
            "the request begins",
            &[("request", "7"), ("peer", "\"192.0.2.1\""), ("range", "\"bytes=0-1\"")][..],
        ),
        (
            Event::End { number: 7, method: Method::Get, report: &report },
            "the request is done",
            &[("status", "206"), ("sent", "1234"), ("complete", "true")],
        ),
        (Event::Record { path: "a", complete: None }, "the file begins to be written", &[]),
    ] {
        let line = event.line(LogFormat::Json);
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert!(line.ends_with('\n') && !line.trim_end().contains(char::is_control), "{line:?}");
        assert_eq!((&value["message"], &value["level"]), (&message.into(), &"INFO".into()));
        for (name, shown) in fields {
            assert_eq!(value[name].to_string(), *shown, "{line}");
        }
    }
}

#[test]
fn the_short_log() {
    let mut asked = asked("/a");
    asked.range = Some("bytes=0-1".into());
    assert_eq!(
        reqlog::begin(7, PEER, Method::Get, &asked),
        "REQ#7 192.0.2.1 GET /a [range: bytes=0-1] start\n"
    );
    assert_eq!(
        reqlog::end(7, Method::Get, &report(asked)),
        "REQ#7 GET done: reply 206 - 1234 bytes in 5 ms at 2.0 mbps\n"
    );
}

#[test]
fn the_option_reqlog() {
    let reqlog = ReqLog::parse("get,PUT").unwrap();
    assert!(reqlog.wants(Method::Get) && reqlog.wants(Method::Put) && !reqlog.wants(Method::Head));
    assert!(reqlog.ends() && !reqlog.records());
    let reqlog = ReqLog::parse("-*,REC").unwrap();
    assert!(reqlog.wants(Method::Delete) && reqlog.records() && !reqlog.ends());
    let reqlog = ReqLog::parse("DEL,opt").unwrap();
    assert!(reqlog.wants(Method::Delete) && reqlog.wants(Method::Options));
    assert!(!reqlog.wants(Method::Get));
    assert_eq!(ReqLog::parse("GTE"), Err("GTE is no method; did you mean GET?".into()));
    assert!(ReqLog::parse("").is_err());
}
