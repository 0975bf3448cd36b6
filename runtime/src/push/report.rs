//! What the user is told: a line for each upload, a bar on a terminal, and the exit status.

use std::{
    collections::HashMap,
    fmt,
    io::{self, Write as _},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use httpout_proto::{
    http::Method,
    push::{Failure, JobId, Outcome, PushError, Target},
};

use tracing::Level;

use super::{bar::Bar, pool::Observer};
use crate::{LogFormat, ReqLog, record};

/// Tells what becomes of uploads.
#[derive(Debug)]
pub(super) struct Report {
    reqlog: ReqLog,
    format: LogFormat,
    /// On a terminal.
    bar: Option<Bar>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    stored: u64,
    removed: u64,
    failed: u64,
    /// Bytes of what is over.
    bytes: u64,
    under_way: HashMap<(usize, JobId), Job>,
    /// Requests that were told.
    number: u64,
}

#[derive(Debug)]
struct Job {
    number: u64,
    method: Method,
    begun: Instant,
    len: Option<u64>,
    sent: u64,
}

impl Report {
    pub(super) fn new(reqlog: ReqLog, format: LogFormat) -> Self {
        let bar = if format == LogFormat::Text { Bar::on_terminal() } else { None };
        Self { reqlog, format, bar, state: Mutex::default() }
    }

    /// What is going to be done.
    pub(super) fn banner(&self, lines: &[String]) {
        match self.format {
            LogFormat::Text => self.say(&lines.join("\n")),
            LogFormat::Json => lines.iter().for_each(|line| self.say(line)),
        }
    }

    /// A job is over. `is_gone`: one that was called off is so because its file is gone.
    pub(super) fn conclude(&self, outcome: Outcome, is_gone: bool) {
        match outcome {
            Outcome::Stored(_) => self.lock().stored += 1,
            Outcome::Deleted { .. } => self.lock().removed += 1,
            Outcome::Failed(Failure { why: PushError::Cancelled, url, .. }) if is_gone => {
                tracing::info!("{url}: the file was removed before it was whole");
            }
            Outcome::Failed(failure) => self.fail(&failure),
        }
    }

    /// An input could not be read to its end.
    pub(super) fn unreadable(&self, target: &Target, why: &dyn fmt::Display) {
        self.fail(&format!(
            "{target}: the input cannot be read: {why}; check the path and its permissions"
        ));
    }

    /// An input that still grew when the end came.
    pub(super) fn unfinished(&self, target: &Target) {
        self.fail(&format!(
            "{target}: the file was still being written; end its writer first, or wait longer (--grace)"
        ));
    }

    pub(super) fn fail(&self, what: &dyn fmt::Display) {
        self.lock().failed += 1;
        self.complain(Level::ERROR, &what.to_string());
    }

    /// The last line; true if everything arrived.
    pub(super) fn end(&self) -> bool {
        if let Some(bar) = &self.bar {
            bar.finish();
        }
        let State { stored, removed, failed, bytes, .. } = *self.lock();
        let mut line = format!("{stored} stored, {bytes} bytes");
        if removed > 0 {
            line.push_str(&format!("; {removed} removed"));
        }
        if failed > 0 {
            line.push_str(&format!("; {failed} failed"));
        }
        self.say(&line);
        failed == 0
    }

    /// Tells what is done, on standard output; in JSON, in the log.
    fn say(&self, text: &str) {
        if self.format == LogFormat::Json {
            return self.complain(Level::INFO, text);
        }
        let write = || {
            // A closed standard output is no reason not to upload.
            let _ = io::stdout().lock().write_all(format!("{text}\n").as_bytes());
        };
        match &self.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// Tells something on standard error.
    fn complain(&self, level: Level, text: &str) {
        let line = match (self.format, level) {
            (LogFormat::Json, _) => record::record(level, text, []),
            (LogFormat::Text, Level::ERROR) => format!("error: {text}\n"),
            (LogFormat::Text, Level::WARN) => format!("warning: {text}\n"),
            (LogFormat::Text, _) => format!("{text}\n"),
        };
        let write = || {
            let _ = io::stderr().lock().write_all(line.as_bytes());
        };
        match &self.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn draw(&self, state: &State) {
        let Some(bar) = &self.bar else { return };
        let Progress { sent, all } = Progress::of(state);
        let message = format!("{} stored, {} under way", state.stored, state.under_way.len());
        bar.show(sent, all, message);
    }
}

/// How far the uploads are.
#[derive(Debug, PartialEq, Eq)]
struct Progress {
    /// Bytes that were sent.
    sent: u64,
    /// Bytes that there are; `None` while a stream is under way, whose length is not known.
    all: Option<u64>,
}

impl Progress {
    fn of(state: &State) -> Self {
        let jobs = state.under_way.values();
        let sent: u64 = jobs.clone().map(|job| job.sent).sum();
        let all = jobs.map(|job| Some(job.len?.max(job.sent))).sum::<Option<u64>>();
        Self { sent: state.bytes + sent, all: all.map(|all| state.bytes + all) }
    }
}

/// Looks on at the connections of one server.
#[derive(Debug)]
pub(super) struct Onlooker {
    pub(super) report: std::sync::Arc<Report>,
    /// Tells its jobs from those of others.
    pub(super) pool: usize,
}

impl Observer for Onlooker {
    fn begun(&self, job: JobId, target: &Target, method: Method, len: Option<u64>) {
        let report = &self.report;
        let mut state = report.lock();
        state.number += 1;
        let number = state.number;
        let begun = Instant::now();
        state.under_way.insert((self.pool, job), Job { number, method, begun, len, sent: 0 });
        report.draw(&state);
        drop(state);
        if report.reqlog.wants(method) {
            let text = format!("REQ#{number} {method} {target} start");
            report.complain(Level::INFO, &text);
        }
    }

    fn sent(&self, job: JobId, bytes: u64) {
        if self.report.bar.is_none() {
            return;
        }
        let mut state = self.report.lock();
        if let Some(job) = state.under_way.get_mut(&(self.pool, job)) {
            job.sent = bytes;
        }
        self.report.draw(&state);
    }

    fn again(&self, _: JobId, target: &Target, why: &PushError, after: Duration) {
        let when = match after.as_secs_f64() {
            0.0 => "at once".to_owned(),
            seconds => format!("in {seconds} s"),
        };
        let text = format!("{target}: {why}; trying again {when}");
        self.report.complain(Level::WARN, &text);
    }

    fn over(&self, job: JobId, target: &Target, outcome: &Outcome, sent: u64) {
        let report = &self.report;
        let mut state = report.lock();
        let Some(job) = state.under_way.remove(&(self.pool, job)) else { return };
        if let Outcome::Stored(stored) = outcome {
            state.bytes += stored.bytes;
        }
        report.draw(&state);
        drop(state);
        let took = job.begun.elapsed();
        let (bytes, reply) = match outcome {
            Outcome::Stored(stored) => {
                let seconds = took.as_secs_f64();
                let verified = if stored.verified { ", verified" } else { "" };
                report.say(&format!(
                    "stored {target}, {} bytes in {seconds:.3} s{verified}",
                    stored.bytes
                ));
                (stored.bytes, Some(stored.status))
            }
            Outcome::Deleted { status } => {
                report.say(&format!("removed {target}"));
                (0, Some(*status))
            }
            Outcome::Failed(Failure {
                why: PushError::Refused(status) | PushError::Later(status, _),
                ..
            }) => (sent, Some(*status)),
            Outcome::Failed(_) => (sent, None),
        };
        if report.reqlog.wants(job.method) && report.reqlog.ends() {
            let how = match outcome {
                Outcome::Stored(_) | Outcome::Deleted { .. } => "done",
                Outcome::Failed(_) => "aborted",
            };
            let reply = reply.map_or_else(|| "no reply".into(), |s| format!("reply {}", s.code()));
            let text = format!(
                "REQ#{} {} {how}: {reply} - {bytes} bytes in {} ms",
                job.number,
                job.method,
                took.as_millis()
            );
            report.complain(Level::INFO, &text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_has_no_end_to_be_measured_by() {
        let job =
            |len, sent| Job { number: 1, method: Method::Put, begun: Instant::now(), len, sent };
        let progress = |jobs: Vec<Job>| {
            let jobs = jobs.into_iter().enumerate();
            let under_way = jobs.map(|(at, job)| ((at, JobId(1)), job)).collect();
            let Progress { sent, all } =
                Progress::of(&State { bytes: 10, under_way, ..State::default() });
            (sent, all)
        };
        assert_eq!(progress(vec![]), (10, Some(10)));
        assert_eq!(progress(vec![job(Some(9), 4)]), (14, Some(19)));
        assert_eq!(progress(vec![job(Some(9), 4), job(None, 3)]), (17, None));
    }
}
