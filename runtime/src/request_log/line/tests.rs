use std::{net::Ipv4Addr, sync::Arc};

use httpout_proto::{
    RequestSummary,
    http::{Method, Status, Version},
};
use proptest::{
    option,
    prelude::*,
    sample::{Index, select},
};
use serde_json::Value;

use super::*;
use crate::request_log::reqlog;

const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

/// Anything, with more of what is awkward than chance would give.
fn text() -> impl Strategy<Value = String> {
    let awkward = select(vec![
        '"', '\\', '\n', '\r', '\t', ' ', '\0', '\x1b', '\x7f', '\u{9b}', '\u{2028}', '-', '[', ']',
    ]);
    prop::collection::vec(prop_oneof![awkward, any::<char>()], 0..20)
        .prop_map(|chars| chars.into_iter().collect())
}

fn any_asked() -> impl Strategy<Value = RequestSummary> {
    (
        text(),
        select(vec![Version::Http10, Version::Http11]),
        option::of(text()),
        option::of(text()),
        option::of(text()),
    )
        .prop_map(|(target, version, range, referer, user_agent)| RequestSummary {
            target: format!("/{target}"),
            version,
            range,
            referer,
            user_agent,
            line: String::new(),
        })
}

fn any_report() -> impl Strategy<Value = Report> {
    let how = (any::<u64>(), any::<u64>(), 0..1_u64 << 40, any::<bool>());
    let status = option::of(any::<Index>().prop_map(|index| *index.get(Status::ALL)));
    (option::of(select(Method::ALL)), status, how, option::of(text()), option::of(any_asked()))
        .prop_map(|(method, status, (received, sent, nanos, complete), user, asked)| Report {
            method,
            status,
            received,
            sent,
            took: Duration::from_nanos(nanos),
            complete,
            why: None,
            user: user.map(Into::into),
            // As sessions do: nothing is known of a request whose head could not be read.
            asked: asked
                .map(|asked| Arc::new(method.map_or_else(RequestSummary::default, |_| asked))),
        })
}

/// What the fields of a combined line say; `None` where there is a `-`.
#[derive(Debug, PartialEq, Eq)]
struct Combined {
    peer: String,
    user: Option<String>,
    date: String,
    request: Option<String>,
    status: u16,
    bytes: u64,
    referer: Option<String>,
    agent: Option<String>,
}

/// Reads a line as strictly as its grammar is; panics where it is broken.
fn read(line: &str) -> Combined {
    let line = line.strip_suffix('\n').expect("an end");
    assert!(line.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{line:?}");
    let (peer, rest) = line.split_once(" - ").expect("a peer");
    let (user, rest) = rest.split_once(" [").expect("a user");
    assert!(!user.contains([' ', '"']), "{line:?}");
    let (date, rest) = rest.split_once("] \"").expect("a date");
    let (request, rest) = rest.split_once("\" ").expect("a request");
    let (status, rest) = rest.split_once(' ').expect("a status");
    let (bytes, rest) = rest.split_once(" \"").expect("a number of bytes");
    let (referer, agent) = rest.split_once("\" \"").expect("a referer");
    let agent = agent.strip_suffix('"').expect("an agent");
    Combined {
        peer: peer.into(),
        user: unescape(user),
        date: date.into(),
        request: unescape(request),
        status: status.parse().expect("a status"),
        bytes: bytes.parse().expect("bytes"),
        referer: unescape(referer),
        agent: unescape(agent),
    }
}

/// `None`: `-`.
fn unescape(shown: &str) -> Option<String> {
    assert!(!shown.contains('"'), "{shown:?}");
    if shown == "-" {
        return None;
    }
    let mut bytes = Vec::new();
    let mut pieces = shown.split('\\');
    bytes.extend(pieces.next().unwrap().bytes());
    for piece in pieces {
        let hex =
            piece.strip_prefix('x').and_then(|hex| hex.split_at_checked(2)).expect("an escape");
        assert!(!hex.0.contains(|c: char| c.is_ascii_lowercase()), "{shown:?}");
        bytes.push(u8::from_str_radix(hex.0, 16).expect("two digits"));
        bytes.extend(hex.1.bytes());
    }
    Some(String::from_utf8(bytes).expect("UTF-8"))
}

/// A field that says `-` itself cannot be told from one that is not there; nor can an empty name.
fn unless_dash(text: Option<&str>) -> Option<String> {
    text.filter(|text| *text != "-").map(str::to_owned)
}

#[test]
fn bytes_are_escaped_as_nginx_does() {
    for (text, shown) in [
        ("plain ~!#$%&'()", "plain ~!#$%&'()"),
        ("\"", "\\x22"),
        ("\\", "\\x5C"),
        ("\\x22", "\\x5Cx22"),
        ("\0\t\r\n\x1f", "\\x00\\x09\\x0D\\x0A\\x1F"),
        ("\x1b[31m", "\\x1B[31m"),
        ("\x7f", "\\x7F"),
        ("\u{e9}", "\\xC3\\xA9"),
        ("\u{9b}", "\\xC2\\x9B"),
        ("\u{1f3a5}", "\\xF0\\x9F\\x8E\\xA5"),
        ("%22%0a", "%22%0a"),
    ] {
        let mut escaped = String::new();
        escape(&mut escaped, text);
        assert_eq!(escaped, shown);
        assert_eq!(unescape(shown).unwrap(), text);
    }
}

#[test]
fn dates() {
    for (seconds, shown, rfc3339) in [
        (0, "01/Jan/1970:00:00:00 +0000", "1970-01-01T00:00:00.000Z"),
        (971_186_136, "10/Oct/2000:13:55:36 +0000", "2000-10-10T13:55:36.000Z"),
        (1_709_251_199, "29/Feb/2024:23:59:59 +0000", "2024-02-29T23:59:59.000Z"),
        (1_735_689_599, "31/Dec/2024:23:59:59 +0000", "2024-12-31T23:59:59.000Z"),
        (253_402_300_799, "31/Dec/9999:23:59:59 +0000", "9999-12-31T23:59:59.000Z"),
        (253_402_300_800, "31/Dec/9999:23:59:59 +0000", "9999-12-31T23:59:59.000Z"),
        (i64::MAX as u64, "31/Dec/9999:23:59:59 +0000", "9999-12-31T23:59:59.000Z"),
    ] {
        let now = UNIX_EPOCH + Duration::from_secs(seconds);
        assert_eq!(date(now), shown);
        assert_eq!(humantime::format_rfc3339_millis(within(now)).to_string(), rfc3339);
    }
    assert_eq!(date(UNIX_EPOCH - Duration::from_secs(1)), "01/Jan/1970:00:00:00 +0000");
}

#[test]
fn an_address_of_either_kind_begins_the_line() {
    let report = Report {
        method: None,
        status: Some(Status::BAD_REQUEST),
        received: 0,
        sent: 56,
        took: Duration::ZERO,
        complete: true,
        why: None,
        user: None,
        asked: Some(Arc::default()),
    };
    let line = combined("2001:db8::1".parse().unwrap(), UNIX_EPOCH, &report);
    assert_eq!(line, "2001:db8::1 - - [01/Jan/1970:00:00:00 +0000] \"-\" 400 56 \"-\" \"-\"\n");
}

proptest! {
    #[test]
    fn a_combined_line_reads_back(report in any_report(), secs in 0..253_402_300_800_u64) {
        let now = UNIX_EPOCH + Duration::from_secs(secs);
        let line = combined(PEER, now, &report);
        let asked = report.asked.as_deref();
        let request = report.method.zip(asked).map(|(method, asked)| {
            format!("{method} {} {}", asked.target, asked.version)
        });
        prop_assert_eq!(read(&line), Combined {
            peer: PEER.to_string(),
            user: unless_dash(report.user.as_deref().filter(|user| !user.is_empty())),
            date: date(now),
            request,
            status: report.status.map_or(499, Status::code),
            bytes: report.sent,
            referer: unless_dash(asked.and_then(|asked| asked.referer.as_deref())),
            agent: unless_dash(asked.and_then(|asked| asked.user_agent.as_deref())),
        });
    }

    #[test]
    fn a_json_line_reads_back(report in any_report(), millis in 0..253_402_300_800_000_u64) {
        let now = UNIX_EPOCH + Duration::from_millis(millis);
        let line = json(PEER, now, &report);
        let inner = line.strip_suffix('\n').unwrap();
        prop_assert!(!inner.contains(char::is_control), "{:?}", inner);
        let value: Value = serde_json::from_str(inner).unwrap();
        let asked = report.asked.as_deref();
        let known = asked.filter(|asked| !asked.target.is_empty());
        let text = |name: &str| value[name].as_str();
        prop_assert_eq!(value.as_object().unwrap().len(), 14);
        prop_assert_eq!(humantime::parse_rfc3339(text("time").unwrap()).unwrap(), now);
        prop_assert_eq!(text("peer"), Some("192.0.2.1"));
        prop_assert_eq!(text("user"), report.user.as_deref());
        prop_assert_eq!(text("method"), report.method.as_ref().map(Method::as_str));
        prop_assert_eq!(text("target"), known.map(|asked| asked.target.as_str()));
        let protocol = known.map(|asked| asked.version.to_string());
        prop_assert_eq!(text("protocol"), protocol.as_deref());
        prop_assert_eq!(value["status"].as_u64(), report.status.map(|status| status.code().into()));
        prop_assert_eq!(value["received"].as_u64(), Some(report.received));
        prop_assert_eq!(value["sent"].as_u64(), Some(report.sent));
        // The reader of numbers may be off by the last bit of a double.
        let took = value["took"].as_f64().unwrap() - report.took.as_secs_f64();
        prop_assert!(took.abs() < 1e-9, "{}", took);
        prop_assert_eq!(value["complete"].as_bool(), Some(report.complete));
        prop_assert_eq!(text("range"), asked.and_then(|asked| asked.range.as_deref()));
        prop_assert_eq!(text("referer"), asked.and_then(|asked| asked.referer.as_deref()));
        prop_assert_eq!(text("user_agent"), asked.and_then(|asked| asked.user_agent.as_deref()));
    }

    #[test]
    fn the_short_log_keeps_to_its_lines(
        number: u64,
        method in select(Method::ALL),
        asked in any_asked(),
        report in any_report(),
        path in text(),
        complete: Option<bool>,
    ) {
        for line in [
            reqlog::begin(number, PEER, method, &asked),
            reqlog::end(number, method, &report),
            reqlog::record(&path, complete),
        ] {
            let inner = line.strip_suffix('\n').unwrap();
            prop_assert!(inner.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{:?}", line);
        }
        let begin = reqlog::begin(number, PEER, method, &asked);
        let begun = format!("REQ#{number} 192.0.2.1 {method} ");
        let rest = begin.strip_prefix(&begun).and_then(|rest| rest.strip_suffix(" start\n"));
        let told = match &asked.range {
            Some(range) => format!("{} [range: {range}]", asked.target),
            None => asked.target.clone(),
        };
        prop_assert_eq!(rest.and_then(unescape), Some(told));
    }
}
