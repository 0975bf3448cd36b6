//! Logs of requests: the access log, and the short one of the option `reqlog`.

mod line;
mod reqlog;
mod writer;

use std::{
    io,
    net::IpAddr,
    path::{Path, PathBuf},
    time::SystemTime,
};

use httpout_proto::{Report, RequestSummary, http::Method};

pub use self::{line::Format, reqlog::ReqLog};
use self::{
    reqlog::Event,
    writer::{PATIENCE, Sink, Writer},
};
use crate::{alarm::Alarm, record::LogFormat};

/// Where requests are logged, and how.
#[derive(Clone, Debug, Default)]
pub struct LogOptions {
    /// File of the access log; `-`: standard output. `None`: none is kept.
    pub access: Option<PathBuf>,
    /// Form of its lines.
    pub format: Format,
    /// Requests that are told on standard error, when they begin and when they end.
    pub reqlog: Option<ReqLog>,
    /// In which form.
    pub reqlog_format: LogFormat,
}

/// The logs of a server. To log does not wait for a disk or a terminal.
#[derive(Debug)]
pub(crate) struct Logs {
    access: Option<Writer>,
    format: Format,
    reqlog: Option<(ReqLog, Writer)>,
    reqlog_format: LogFormat,
}

impl Logs {
    /// Opens them.
    ///
    /// # Errors
    /// Those of opening the file, or of starting a thread.
    pub(crate) fn open(options: &LogOptions, alarm: &Alarm) -> io::Result<Self> {
        let access = options.access.as_ref().map(|path| Writer::start(Sink::open(path)?, alarm));
        let reqlog = options
            .reqlog
            .clone()
            .map(|reqlog| Writer::start(Sink::stderr(), alarm).map(|writer| (reqlog, writer)));
        let (access, reqlog) = (access.transpose()?, reqlog.transpose()?);
        Ok(Self { access, format: options.format, reqlog, reqlog_format: options.reqlog_format })
    }

    /// Opens the access log's file again, which was renamed, say.
    pub(crate) fn reopen(&self) {
        if let Some(access) = &self.access {
            access.reopen();
        }
    }

    /// Writes what is not yet written. A log that takes nothing holds this up for some seconds
    /// only; its lines are lost.
    pub(crate) fn flush(&self) {
        if let Some(access) = &self.access
            && !access.flush(PATIENCE)
        {
            let lost = access.lost();
            tracing::warn!(lost, "the access log takes no more: its last lines are lost too");
        }
        if let Some((_, writer)) = &self.reqlog {
            // To tell of it where it takes nothing would take for ever.
            writer.flush(PATIENCE);
        }
    }

    /// Lines that were lost.
    pub(crate) fn lost(&self) -> u64 {
        let writers = self.access.iter().chain(self.reqlog.iter().map(|(_, writer)| writer));
        writers.map(Writer::lost).sum()
    }

    /// A request begins.
    pub(crate) fn begun(&self, number: u64, peer: IpAddr, method: Method, asked: &RequestSummary) {
        if let Some((reqlog, writer)) = &self.reqlog
            && reqlog.wants(method)
        {
            let event = Event::Begin { number, peer, method, asked };
            writer.write(&event.line(self.reqlog_format));
        }
    }

    /// A request is over.
    pub(crate) fn over(&self, number: u64, peer: IpAddr, report: &Report) {
        if let Some(access) = &self.access {
            let now = SystemTime::now();
            access.write(&match self.format {
                Format::Combined => line::combined(peer, now, report),
                Format::Json => line::json(peer, now, report),
            });
        }
        if let (Some((reqlog, writer)), Some(method)) = (&self.reqlog, report.method)
            && reqlog.ends()
            && reqlog.wants(method)
        {
            writer.write(&Event::End { number, method, report }.line(self.reqlog_format));
        }
    }

    /// A file begins to be written: `None`; or it is written, to its end or not.
    pub(crate) fn recorded(&self, path: &Path, complete: Option<bool>) {
        if let Some((reqlog, writer)) = &self.reqlog
            && reqlog.records()
        {
            let event = Event::Record { path: &path.to_string_lossy(), complete };
            writer.write(&event.line(self.reqlog_format));
        }
    }
}

/// Text that goes into one line: control characters, what is not ASCII, quotes and backslashes as
/// `\xHH`.
fn escape(out: &mut String, text: &str) {
    use std::fmt::Write as _;
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' | 0..=0x1f | 0x7f.. => {
                // Writing to a string does not fail.
                let _ = write!(out, "\\x{byte:02X}");
            }
            byte => out.push(char::from(byte)),
        }
    }
}

#[cfg(test)]
mod tests;
