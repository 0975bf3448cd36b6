//! The option `reqlog`: a short log of requests, on standard error.

use std::{fmt::Write as _, net::IpAddr};

use httpout_proto::{
    Report, RequestSummary,
    auth::nearest,
    http::{Method, Status},
};
use serde_json::Value;
use tracing::Level;

use super::escape;
use crate::record::{self, LogFormat};

/// Which requests are told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReqLog {
    methods: Vec<Method>,
    all: bool,
    records: bool,
    no_ends: bool,
}

impl ReqLog {
    /// Reads a list of methods, `*` for all of them, and `REC` for files that are written; with `-`
    /// in front, the ends of requests are not told. `DEL` and `OPT` are read as GPAC does.
    ///
    /// # Errors
    /// A word that is none of these.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut reqlog = Self::default();
        for word in text.split(',').map(str::trim) {
            let name = word.strip_prefix('-').unwrap_or(word);
            reqlog.no_ends |= name != word;
            let upper = name.to_ascii_uppercase();
            match (upper.as_str(), Method::from_token(upper.as_bytes())) {
                ("*", _) => reqlog.all = true,
                ("REC", _) => reqlog.records = true,
                ("DEL", _) => reqlog.methods.push(Method::Delete),
                ("OPT", _) => reqlog.methods.push(Method::Options),
                (_, Some(method)) => reqlog.methods.push(method),
                (_, None) => {
                    let methods = Method::ALL.iter().map(Method::as_str);
                    let near = nearest(&upper, methods.chain(["REC", "*"]));
                    let hint = near.map(|near| format!("; did you mean {near}?"));
                    return Err(format!(
                        "{name} is no method{}",
                        hint.unwrap_or_else(|| ": write methods, * or REC".into())
                    ));
                }
            }
        }
        Ok(reqlog)
    }

    pub(crate) fn wants(&self, method: Method) -> bool {
        self.all || self.methods.contains(&method)
    }

    pub(super) fn records(&self) -> bool {
        self.records
    }

    pub(crate) fn ends(&self) -> bool {
        !self.no_ends
    }
}

/// An event of a request, of which a line is made.
pub(super) enum Event<'a> {
    Begin {
        number: u64,
        peer: IpAddr,
        method: Method,
        asked: &'a RequestSummary,
    },
    End {
        number: u64,
        method: Method,
        report: &'a Report,
    },
    /// A file begins to be written: `None`; or it is written, to its end or not.
    Record {
        path: &'a str,
        complete: Option<bool>,
    },
}

impl Event<'_> {
    /// A line in the form of the log.
    pub(super) fn line(&self, format: LogFormat) -> String {
        match (self, format) {
            (Self::Begin { number, peer, method, asked }, LogFormat::Text) => {
                begin(*number, *peer, *method, asked)
            }
            (Self::End { number, method, report }, LogFormat::Text) => {
                end(*number, *method, report)
            }
            (Self::Record { path, complete }, LogFormat::Text) => record(path, *complete),
            (Self::Begin { number, peer, method, asked }, LogFormat::Json) => json(
                "the request begins",
                [
                    ("request", (*number).into()),
                    ("peer", peer.to_string().into()),
                    ("method", method.as_str().into()),
                    ("target", asked.target.as_str().into()),
                    ("range", asked.range.as_deref().into()),
                ],
            ),
            (Self::End { number, method, report }, LogFormat::Json) => json(
                if report.complete { "the request is done" } else { "the request is aborted" },
                [
                    ("request", (*number).into()),
                    ("method", method.as_str().into()),
                    ("status", report.status.map(Status::code).into()),
                    ("received", report.received.into()),
                    ("sent", report.sent.into()),
                    ("took", report.took.as_secs_f64().into()),
                    ("complete", report.complete.into()),
                ],
            ),
            (Self::Record { path, complete }, LogFormat::Json) => json(
                match complete {
                    None => "the file begins to be written",
                    Some(true) => "the file is written",
                    Some(false) => "the file was not written to its end",
                },
                [("path", (*path).into()), ("complete", (*complete).into())],
            ),
        }
    }
}

fn json<const N: usize>(message: &str, fields: [(&str, Value); N]) -> String {
    record::record(Level::INFO, message, fields.into_iter().filter(|(_, value)| !value.is_null()))
}

pub(super) fn begin(number: u64, peer: IpAddr, method: Method, asked: &RequestSummary) -> String {
    let mut line = format!("REQ#{number} {peer} {method} ");
    escape(&mut line, &asked.target);
    if let Some(range) = &asked.range {
        line.push_str(" [range: ");
        escape(&mut line, range);
        line.push(']');
    }
    line.push_str(" start\n");
    line
}

pub(super) fn end(number: u64, method: Method, report: &Report) -> String {
    let bytes = report.sent.max(report.received);
    let seconds = report.took.as_secs_f64();
    let rate = if seconds > 0.0 { bytes as f64 * 8.0 / seconds / 1e6 } else { 0.0 };
    let mut line = format!("REQ#{number} {method} ");
    line.push_str(if report.complete { "done: " } else { "aborted: " });
    // Writing to a string does not fail.
    let _ = match report.status {
        Some(status) => write!(line, "reply {}", status.code()),
        None => write!(line, "no reply"),
    };
    let _ = writeln!(line, " - {bytes} bytes in {} ms at {rate:.1} mbps", report.took.as_millis());
    line
}

pub(super) fn record(path: &str, complete: Option<bool>) -> String {
    let mut line = String::from("REC ");
    escape(&mut line, path);
    line.push_str(match complete {
        None => " start\n",
        Some(true) => " done\n",
        Some(false) => " aborted\n",
    });
    line
}
