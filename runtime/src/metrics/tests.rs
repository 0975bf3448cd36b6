use std::{
    collections::{BTreeMap, HashMap},
    thread,
};

use super::*;

fn report(method: Option<Method>, status: Option<Status>, millis: u64) -> Report {
    Report {
        method,
        status,
        received: 10,
        sent: 20,
        took: Duration::from_millis(millis),
        complete: status.is_some(),
        why: None,
        user: None,
        asked: None,
    }
}

/// A line of the text format, version 0.0.4, by its grammar.
struct Sample<'a> {
    name: &'a str,
    labels: BTreeMap<&'a str, String>,
    value: f64,
}

fn is_name(text: &str, colons: bool) -> bool {
    let first = |c: char| c.is_ascii_alphabetic() || c == '_' || c == ':' && colons;
    text.starts_with(first) && text.chars().all(|c| first(c) || c.is_ascii_digit())
}

#[track_caller]
fn read_sample(line: &str) -> Sample<'_> {
    let end = line.find(['{', ' ']).expect("a name ends");
    let (name, mut rest) = line.split_at(end);
    assert!(is_name(name, true), "{line}");
    let mut labels = BTreeMap::new();
    if let Some(mut inner) = rest.strip_prefix('{') {
        loop {
            let (label, after) = inner.split_once("=\"").expect("a label and its value");
            assert!(is_name(label, false), "{line}");
            let (value, after) = read_value(after);
            assert!(labels.insert(label, value).is_none(), "{line}");
            match after.strip_prefix(',') {
                Some(more) => inner = more,
                None => {
                    rest = after.strip_prefix('}').expect("the labels end");
                    break;
                }
            }
        }
    }
    let value = rest.strip_prefix(' ').expect("a blank before the value");
    assert!(value.chars().all(|c| matches!(c, '0'..='9' | '.' | 'e' | '-')), "{line}");
    Sample { name, labels, value: value.parse().expect("a number") }
}

/// Up to the quote that ends it.
fn read_value(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, &text[at + 1..]),
            '\\' => value.push(match chars.next().map(|(_, c)| c) {
                Some('n') => '\n',
                Some(c @ ('\\' | '"')) => c,
                other => panic!("\\{other:?} in {text}"),
            }),
            c => value.push(c),
        }
    }
    panic!("a value without end: {text}");
}

/// Every sample by its text, after a check that the families are in order and whole.
#[track_caller]
fn samples(text: &str) -> HashMap<String, f64> {
    assert!(text.ends_with('\n') && !text.contains("\n\n"));
    let mut lines = text.lines().peekable();
    let mut all = HashMap::new();
    let mut families = Vec::new();
    while let Some(help) = lines.next() {
        let (family, told) = help.strip_prefix("# HELP ").unwrap().split_once(' ').unwrap();
        assert!(told.ends_with('.') && !told.contains('\\'), "{help}");
        assert!(family.starts_with("httpout_") && !families.contains(&family), "{family}");
        families.push(family);
        let kind = lines.next().unwrap().strip_prefix(&format!("# TYPE {family} ")).unwrap();
        assert_eq!(family.ends_with("_total"), kind == "counter", "{family}");
        let mut of_family = Vec::new();
        while let Some(line) = lines.next_if(|line| !line.starts_with('#')) {
            let sample = read_sample(line);
            let (key, _) = line.rsplit_once(' ').unwrap();
            assert!(all.insert(key.to_owned(), sample.value).is_none(), "{line}");
            of_family.push(sample);
        }
        match kind {
            "counter" | "gauge" => {
                assert!(of_family.iter().all(|sample| sample.name == family), "{family}");
                assert!(of_family.iter().all(|sample| sample.value >= 0.0), "{family}");
            }
            "histogram" => check_histogram(family, &of_family),
            other => panic!("{other} is no kind"),
        }
    }
    all
}

#[track_caller]
fn check_histogram(family: &str, samples: &[Sample<'_>]) {
    let [buckets @ .., sum, count] = samples else { panic!("{family} is not whole") };
    assert_eq!(sum.name, format!("{family}_sum"));
    assert_eq!(count.name, format!("{family}_count"));
    let bounds: Vec<_> = buckets
        .iter()
        .map(|bucket| {
            assert_eq!(bucket.name, format!("{family}_bucket"));
            assert_eq!(bucket.labels.len(), 1);
            (bucket.labels["le"].replace('+', "").parse::<f64>().unwrap(), bucket.value)
        })
        .collect();
    for pair in bounds.windows(2) {
        assert!(pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1, "{pair:?}");
    }
    assert_eq!(bounds.last(), Some(&(f64::INFINITY, count.value)));
}

fn requests(method: &str, status: u16) -> String {
    format!("httpout_requests_total{{method=\"{method}\",status=\"{status}\"}}")
}

#[test]
fn what_is_counted_is_shown() {
    let metrics = Metrics::new();
    metrics.connection(false);
    metrics.connection(true);
    metrics.request(&report(Some(Method::Get), Some(Status::OK), 0));
    metrics.request(&report(Some(Method::Get), Some(Status::OK), 2));
    metrics.request(&report(Some(Method::Put), None, 1_000_000));
    metrics.request(&report(None, Some(Status::BAD_REQUEST), 50));
    metrics.upload(true);
    metrics.upload(true);
    metrics.upload(false);
    metrics.reload(true);
    metrics.reload(false);
    metrics.reload(false);
    metrics.handshake(true);
    metrics.handshake(false);
    metrics.handshake(false);
    let gauges = Gauges {
        connections: 3,
        uploads: 4,
        live_resources: 9,
        live_clients: 2,
        listeners_dropped: 10,
        checks_right: 5,
        checks_wrong: 6,
        checks_refused: 7,
        log_lines_lost: 8,
        certificate_end: Some(UNIX_EPOCH + Duration::from_secs(9)),
        memory: Use { bytes: 9, resources: 10, evicted: 11 },
    };
    let samples = samples(&metrics.text(&gauges));
    for (key, value) in [
        ("httpout_connections", 3.0),
        ("httpout_connections_accepted_total", 1.0),
        ("httpout_connections_refused_total", 1.0),
        ("httpout_requests_total{method=\"GET\",status=\"200\"}", 2.0),
        ("httpout_requests_total{method=\"PUT\",status=\"0\"}", 1.0),
        ("httpout_requests_total{method=\"\",status=\"400\"}", 1.0),
        ("httpout_received_bytes_total", 40.0),
        ("httpout_sent_bytes_total", 80.0),
        ("httpout_aborted_total", 1.0),
        ("httpout_uploads_in_progress", 4.0),
        ("httpout_uploads_total{result=\"complete\"}", 2.0),
        ("httpout_uploads_total{result=\"aborted\"}", 1.0),
        ("httpout_live_resources", 9.0),
        ("httpout_live_clients", 2.0),
        ("httpout_dropped_clients_total", 10.0),
        ("httpout_password_checks_total{result=\"right\"}", 5.0),
        ("httpout_password_checks_total{result=\"wrong\"}", 6.0),
        ("httpout_password_checks_total{result=\"refused\"}", 7.0),
        ("httpout_reloads_total{result=\"done\"}", 1.0),
        ("httpout_reloads_total{result=\"failed\"}", 2.0),
        ("httpout_log_lines_lost_total", 8.0),
        ("httpout_tls_handshakes_total{result=\"done\"}", 1.0),
        ("httpout_tls_handshakes_total{result=\"failed\"}", 2.0),
        ("httpout_tls_certificate_expiry_seconds", 9.0),
        ("httpout_memory_bytes", 9.0),
        ("httpout_memory_resources", 10.0),
        ("httpout_evicted_total", 11.0),
        ("httpout_request_duration_seconds_bucket{le=\"0.001\"}", 1.0),
        ("httpout_request_duration_seconds_bucket{le=\"0.005\"}", 2.0),
        ("httpout_request_duration_seconds_bucket{le=\"300\"}", 3.0),
        ("httpout_request_duration_seconds_bucket{le=\"+Inf\"}", 4.0),
        ("httpout_request_duration_seconds_count", 4.0),
        ("httpout_request_duration_seconds_sum", 1000.052),
    ] {
        assert_eq!(samples.get(key), Some(&value), "{key}");
    }
    assert!(!samples.contains_key(&requests("HEAD", 200)));
    let version = format!("httpout_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"));
    assert_eq!(samples.get(&version), Some(&1.0));
    // It was started after 2025, and not in the future.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
    assert!((1_735_689_600.0..=now).contains(&samples["httpout_start_time_seconds"]));
}

#[test]
fn a_server_that_did_nothing_shows_no_requests() {
    let samples = samples(&Metrics::new().text(&Gauges::default()));
    assert!(samples.keys().all(|key| !key.starts_with("httpout_requests_total")));
    assert_eq!(samples["httpout_request_duration_seconds_count"], 0.0);
    assert!(!samples.contains_key("httpout_tls_certificate_expiry_seconds"));
}

/// Each has a place of its own.
#[test]
fn every_method_and_status_is_counted_as_what_it_is() {
    let metrics = Metrics::new();
    let mut expected = HashMap::new();
    let methods = Method::ALL.iter().copied().map(Some).chain([None]);
    for method in methods {
        for status in Status::ALL.iter().copied().map(Some).chain([None]) {
            let times = expected.len() % 5 + 1;
            (0..times).for_each(|_| metrics.request(&report(method, status, 0)));
            let key = requests(
                method.as_ref().map_or("", Method::as_str),
                status.map_or(0, Status::code),
            );
            assert!(expected.insert(key, times as f64).is_none());
        }
    }
    let mut samples = samples(&metrics.text(&Gauges::default()));
    samples.retain(|key, _| key.starts_with("httpout_requests_total"));
    assert_eq!(samples, expected);
}

#[test]
fn a_bound_belongs_to_its_bucket() {
    let below = Metrics::new();
    let above = Metrics::new();
    for bound in BUCKETS {
        let took = Duration::from_secs_f64(bound);
        below.request(&Report { took, ..report(None, None, 0) });
        above.request(&Report { took: took + Duration::from_nanos(1), ..report(None, None, 0) });
    }
    let (below, above) =
        (samples(&below.text(&Gauges::default())), samples(&above.text(&Gauges::default())));
    for (at, bound) in BUCKETS.iter().enumerate() {
        let key = format!("httpout_request_duration_seconds_bucket{{le=\"{bound}\"}}");
        assert_eq!(below[&key], (at + 1) as f64, "{key}");
        assert_eq!(above[&key], at as f64, "{key}");
    }
}

#[test]
fn no_count_is_lost_between_threads() {
    let metrics = Metrics::new();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for turn in 0..1000 {
                    metrics.request(&report(Some(Method::Get), Some(Status::OK), 1));
                    // What is shown meanwhile is whole too.
                    if turn % 250 == 0 {
                        samples(&metrics.text(&Gauges::default()));
                    }
                }
            });
        }
    });
    let samples = samples(&metrics.text(&Gauges::default()));
    assert_eq!(samples[&requests("GET", 200)], 4000.0);
    assert_eq!(samples["httpout_received_bytes_total"], 40_000.0);
    assert_eq!(samples["httpout_request_duration_seconds_count"], 4000.0);
    assert_eq!(samples["httpout_request_duration_seconds_sum"], 4.0);
}

#[test]
fn statistics_are_the_counters_as_numbers() {
    let metrics = Metrics::new();
    metrics.connection(false);
    metrics.connection(true);
    metrics.request(&report(Some(Method::Get), Some(Status::OK), 1));
    metrics.request(&report(Some(Method::Put), Some(Status::OK), 1));
    metrics.request(&report(None, Some(Status::BAD_REQUEST), 1));
    metrics.request(&report(Some(Method::Get), None, 1));
    metrics.upload(true);
    metrics.upload(false);
    let gauges = Gauges { connections: 3, live_clients: 2, ..Gauges::default() };
    let statistics = metrics.statistics(&gauges);
    assert_eq!((statistics.connections, statistics.live_clients), (3, 2));
    assert_eq!((statistics.connections_accepted, statistics.connections_refused), (1, 1));
    assert_eq!(statistics.requests, 4);
    assert_eq!(statistics.statuses, [(Status::OK, 2), (Status::BAD_REQUEST, 1)]);
    assert_eq!((statistics.received, statistics.sent, statistics.aborted), (40, 80, 1));
    assert_eq!((statistics.uploads_complete, statistics.uploads_aborted), (1, 1));
}
