//! The server's counters, and their text for Prometheus.

mod statistics;

use std::{
    collections::BTreeMap,
    fmt::{Display, Write as _},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use httpout_proto::{
    Report,
    http::{Method, Status},
};

pub use self::statistics::Statistics;
use crate::files::Use;

/// Upper bounds of the histogram's buckets, in seconds.
const BUCKETS: [f64; 9] = [0.001, 0.005, 0.025, 0.1, 0.25, 1.0, 5.0, 30.0, 300.0];

/// Counters of a server. To count is a few additions: no lock, no allocation.
#[derive(Debug)]
pub(crate) struct Metrics {
    started: SystemTime,
    accepted: Counter,
    refused: Counter,
    /// By method (the last row: none could be read) and status (the last column: no answer).
    requests: Vec<Counter>,
    /// The same for statuses that only hooks give: few, and counted under a lock.
    others: Mutex<BTreeMap<(usize, u16), u64>>,
    received: Counter,
    sent: Counter,
    aborted: Counter,
    /// One more than there are bounds.
    took: [Counter; BUCKETS.len() + 1],
    took_micros: Counter,
    uploads_complete: Counter,
    uploads_aborted: Counter,
    reloads: Counter,
    reloads_failed: Counter,
    handshakes: Counter,
    handshakes_failed: Counter,
}

/// What there is at the moment.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Gauges {
    pub(crate) connections: usize,
    pub(crate) uploads: usize,
    pub(crate) live_resources: usize,
    pub(crate) live_clients: usize,
    pub(crate) listeners_dropped: u64,
    pub(crate) checks_right: u64,
    pub(crate) checks_wrong: u64,
    pub(crate) checks_refused: u64,
    pub(crate) log_lines_lost: u64,
    /// When the server's certificate expires, if it has one.
    pub(crate) certificate_end: Option<SystemTime>,
    pub(crate) memory: Use,
}

#[derive(Debug, Default)]
struct Counter(AtomicU64);

impl Counter {
    fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let cells = (Method::ALL.len() + 1) * (Status::ALL.len() + 1);
        Self {
            started: SystemTime::now(),
            accepted: Counter::default(),
            refused: Counter::default(),
            requests: std::iter::repeat_with(Counter::default).take(cells).collect(),
            others: Mutex::default(),
            received: Counter::default(),
            sent: Counter::default(),
            aborted: Counter::default(),
            took: Default::default(),
            took_micros: Counter::default(),
            uploads_complete: Counter::default(),
            uploads_aborted: Counter::default(),
            reloads: Counter::default(),
            reloads_failed: Counter::default(),
            handshakes: Counter::default(),
            handshakes_failed: Counter::default(),
        }
    }

    pub(crate) fn connection(&self, refused: bool) {
        if refused { &self.refused } else { &self.accepted }.add(1);
    }

    pub(crate) fn request(&self, report: &Report) {
        let method = report.method.and_then(|method| Method::ALL.iter().position(|m| *m == method));
        let row = method.unwrap_or(Method::ALL.len());
        let column = match report.status {
            None => Some(Status::ALL.len()),
            Some(status) => Status::ALL.binary_search(&status).ok(),
        };
        match (column, report.status) {
            (Some(column), _) => {
                if let Some(cell) = self.requests.get(row * (Status::ALL.len() + 1) + column) {
                    cell.add(1);
                }
            }
            (None, status) => {
                let code = status.map_or(0, Status::code);
                *lock(&self.others).entry((row, code)).or_default() += 1;
            }
        }
        self.received.add(report.received);
        self.sent.add(report.sent);
        if !report.complete {
            self.aborted.add(1);
        }
        let seconds = report.took.as_secs_f64();
        let bucket = BUCKETS.iter().position(|bound| seconds <= *bound).unwrap_or(BUCKETS.len());
        self.took[bucket].add(1);
        self.took_micros.add(u64::try_from(report.took.as_micros()).unwrap_or(u64::MAX));
    }

    pub(crate) fn upload(&self, complete: bool) {
        if complete { &self.uploads_complete } else { &self.uploads_aborted }.add(1);
    }

    pub(crate) fn reload(&self, done: bool) {
        if done { &self.reloads } else { &self.reloads_failed }.add(1);
    }

    #[cfg(feature = "tls")]
    pub(crate) fn handshake(&self, done: bool) {
        if done { &self.handshakes } else { &self.handshakes_failed }.add(1);
    }

    /// The text exposition format, version 0.0.4.
    pub(crate) fn text(&self, gauges: &Gauges) -> String {
        let mut text = Text::default();
        text.family("httpout_build_info", "gauge", "The version of the server.");
        let version = concat!("version=\"", env!("CARGO_PKG_VERSION"), "\"");
        text.sample("httpout_build_info", version, 1);
        let started = self.started.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        text.family("httpout_start_time_seconds", "gauge", "When it was started, since 1970.");
        text.sample("httpout_start_time_seconds", "", started.as_secs_f64());

        text.one("httpout_connections", "gauge", "Open connections.", gauges.connections);
        let help = "Connections that were let in.";
        text.one("httpout_connections_accepted_total", "counter", help, self.accepted.get());
        let help = "Connections that were answered 503, being too many.";
        text.one("httpout_connections_refused_total", "counter", help, self.refused.get());

        self.requests(&mut text);
        self.histogram(&mut text);
        let help = "Bytes of the bodies of requests.";
        text.one("httpout_received_bytes_total", "counter", help, self.received.get());
        let help = "Bytes of the bodies of answers.";
        text.one("httpout_sent_bytes_total", "counter", help, self.sent.get());
        let help = "Requests whose answer did not go out to its end.";
        text.one("httpout_aborted_total", "counter", help, self.aborted.get());

        let help = "Uploads in progress.";
        text.one("httpout_uploads_in_progress", "gauge", help, gauges.uploads);
        let name = "httpout_uploads_total";
        text.family(name, "counter", "Uploads that are over.");
        text.sample(name, "result=\"complete\"", self.uploads_complete.get());
        text.sample(name, "result=\"aborted\"", self.uploads_aborted.get());
        let help = "Live resources.";
        text.one("httpout_live_resources", "gauge", help, gauges.live_resources);
        let help =
            "Requests that are being answered with an upload in progress or a live resource.";
        text.one("httpout_live_clients", "gauge", help, gauges.live_clients);
        let help = "Listeners of live resources that were too far behind.";
        text.one("httpout_dropped_clients_total", "counter", help, gauges.listeners_dropped);

        let name = "httpout_password_checks_total";
        text.family(name, "counter", "Passwords that were checked, or were too many to be.");
        text.sample(name, "result=\"right\"", gauges.checks_right);
        text.sample(name, "result=\"wrong\"", gauges.checks_wrong);
        text.sample(name, "result=\"refused\"", gauges.checks_refused);
        let name = "httpout_reloads_total";
        text.family(
            name,
            "counter",
            "Times that rules, users, certificates and the script were read anew.",
        );
        text.sample(name, "result=\"done\"", self.reloads.get());
        text.sample(name, "result=\"failed\"", self.reloads_failed.get());
        let name = "httpout_tls_handshakes_total";
        text.family(name, "counter", "TLS handshakes that are over.");
        text.sample(name, "result=\"done\"", self.handshakes.get());
        text.sample(name, "result=\"failed\"", self.handshakes_failed.get());
        if let Some(end) = gauges.certificate_end {
            let help = "When the server's certificate expires, since 1970.";
            let end = end.duration_since(UNIX_EPOCH).unwrap_or_default();
            text.one("httpout_tls_certificate_expiry_seconds", "gauge", help, end.as_secs());
        }
        let help = "Lines of logs that could not be written.";
        text.one("httpout_log_lines_lost_total", "counter", help, gauges.log_lines_lost);

        let help = "Bytes kept in memory (gmem), uploads in progress included.";
        text.one("httpout_memory_bytes", "gauge", help, gauges.memory.bytes);
        let help = "Files kept in memory (gmem).";
        text.one("httpout_memory_resources", "gauge", help, gauges.memory.resources);
        let help =
            "Files removed: from memory for others, or as segments older than max_cache_segs.";
        text.one("httpout_evicted_total", "counter", help, gauges.memory.evicted);
        text.0
    }

    fn requests(&self, text: &mut Text) {
        let name = "httpout_requests_total";
        text.family(
            name,
            "counter",
            "Requests that are over, by method and status (0: no answer).",
        );
        let columns = Status::ALL.len() + 1;
        let mut sample = |row: usize, status: u16, count: u64| {
            let method = Method::ALL.get(row).map_or("", |method| method.as_str());
            text.sample(name, &format!("method=\"{method}\",status=\"{status}\""), count);
        };
        for (at, counter) in self.requests.iter().enumerate() {
            let count = counter.get();
            if count == 0 {
                continue;
            }
            let status = Status::ALL.get(at % columns).map_or(0, |status| status.code());
            sample(at / columns, status, count);
        }
        for ((row, status), count) in &*lock(&self.others) {
            sample(*row, *status, *count);
        }
    }

    fn histogram(&self, text: &mut Text) {
        let name = "httpout_request_duration_seconds";
        text.family(name, "histogram", "From a request's head to the last byte of its answer.");
        let mut so_far = 0;
        for (counter, bound) in self.took.iter().zip(BUCKETS) {
            so_far += counter.get();
            text.sample(&format!("{name}_bucket"), &format!("le=\"{bound}\""), so_far);
        }
        so_far += self.took[BUCKETS.len()].get();
        text.sample(&format!("{name}_bucket"), "le=\"+Inf\"", so_far);
        text.sample(&format!("{name}_sum"), "", self.took_micros.get() as f64 / 1e6);
        text.sample(&format!("{name}_count"), "", so_far);
    }
}

fn lock<T>(counts: &Mutex<T>) -> MutexGuard<'_, T> {
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Default)]
struct Text(String);

impl Text {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string does not fail.
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    fn sample(&mut self, name: &str, labels: &str, value: impl Display) {
        let _ = match labels {
            "" => writeln!(self.0, "{name} {value}"),
            labels => writeln!(self.0, "{name}{{{labels}}} {value}"),
        };
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.family(name, kind, help);
        self.sample(name, "", value);
    }
}

#[cfg(test)]
mod tests;
