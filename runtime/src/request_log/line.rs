//! Lines of the access log.

use std::{
    fmt::Write as _,
    net::IpAddr,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use httpout_proto::{Report, http::Method};
use serde_json::json;

use super::escape;
use crate::record;

/// Form of the access log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// The combined log format of NCSA and Apache.
    #[default]
    Combined,
    /// An object a line: time (RFC 3339), peer, user, method, target, protocol, status, received,
    /// sent (bytes), took (seconds), complete, range, referer, user_agent; null where there is
    /// nothing.
    Json,
}

/// `PEER - USER [DATE] "METHOD TARGET PROTOCOL" STATUS BYTES "REFERER" "AGENT"`
pub(super) fn combined(peer: IpAddr, now: SystemTime, report: &Report) -> String {
    let mut line = format!("{peer} - ");
    match report.user.as_deref() {
        Some(user) if !user.is_empty() => {
            for (at, word) in user.split(' ').enumerate() {
                // A blank would end it.
                line.push_str(if at == 0 { "" } else { "\\x20" });
                escape(&mut line, word);
            }
        }
        Some(_) | None => line.push('-'),
    }
    // Writing to a string does not fail.
    let _ = write!(line, " [{}] \"", date(now));
    match (report.method, &report.asked) {
        // What could be read of a head that was refused.
        (_, Some(asked)) if !asked.line.is_empty() => escape(&mut line, &asked.line),
        (Some(method), Some(asked)) => {
            let _ = write!(line, "{method} ");
            escape(&mut line, &asked.target);
            let _ = write!(line, " {}", asked.version);
        }
        (_, None) | (None, _) => line.push('-'),
    }
    match report.status {
        Some(status) => {
            let _ = write!(line, "\" {} ", status.code());
        }
        // As nginx tells of a client that left before it was answered.
        None => line.push_str("\" 499 "),
    }
    let _ = write!(line, "{}", report.sent);
    let asked = report.asked.as_deref();
    for field in [asked.and_then(|a| a.referer.as_ref()), asked.and_then(|a| a.user_agent.as_ref())]
    {
        line.push_str(" \"");
        match field {
            Some(text) => escape(&mut line, text),
            None => line.push('-'),
        }
        line.push('"');
    }
    line.push('\n');
    line
}

/// An object on one line.
pub(super) fn json(peer: IpAddr, now: SystemTime, report: &Report) -> String {
    let asked = report.asked.as_deref();
    let target = asked.map(|asked| &asked.target).filter(|target| !target.is_empty());
    // Of a head that was refused, the words of its line, whatever they are.
    let refused = asked.map(|asked| &asked.line).filter(|line| !line.is_empty());
    let word = |at: usize| refused.and_then(|line| line.split(' ').nth(at));
    let protocol = asked.map(|asked| asked.version.as_str().to_owned());
    let object = json!({
        "time": humantime::format_rfc3339_millis(within(now)).to_string(),
        "peer": peer.to_string(),
        "user": report.user.as_deref(),
        "method": word(0).or_else(|| report.method.as_ref().map(Method::as_str)),
        "target": target,
        "protocol": match refused {
            Some(_) => word(2).map(str::to_owned),
            None => target.and(protocol),
        },
        "status": report.status.map(|status| status.code()),
        "received": report.received,
        "sent": report.sent,
        "took": report.took.as_secs_f64(),
        "complete": report.complete,
        "range": asked.and_then(|asked| asked.range.as_ref()),
        "referer": asked.and_then(|asked| asked.referer.as_ref()),
        "user_agent": asked.and_then(|asked| asked.user_agent.as_ref()),
    });
    record::escape(&object.to_string()) + "\n"
}

/// `10/Oct/2000:13:55:36 +0000`
fn date(now: SystemTime) -> String {
    let full = humantime::format_rfc3339_seconds(within(now)).to_string();
    let month = full[5..7].parse::<usize>().unwrap_or(1).clamp(1, 12);
    let months =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    format!("{}/{}/{}:{} +0000", &full[8..10], months[month - 1], &full[..4], &full[11..19])
}

/// A clock may be wrong; what can be written ends with the year 9999.
fn within(now: SystemTime) -> SystemTime {
    now.clamp(UNIX_EPOCH, UNIX_EPOCH + Duration::from_secs(253_402_300_799))
}

#[cfg(test)]
mod tests;
