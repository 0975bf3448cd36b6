//! Lines of the JSON log that are written whatever `RUST_LOG` says.

use std::{fmt::Write as _, time::SystemTime};

use serde_json::{Map, Value};
use tracing::Level;

/// The form of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum LogFormat {
    /// A line for people
    #[default]
    Text,
    /// A JSON object a line
    Json,
}

/// A line, in the form that the log has for events.
pub(crate) fn record<'a>(
    level: Level,
    message: &str,
    fields: impl IntoIterator<Item = (&'a str, Value)>,
) -> String {
    let time = humantime::format_rfc3339_micros(SystemTime::now()).to_string();
    let own = [("timestamp", time), ("level", level.to_string()), ("message", message.to_owned())];
    let own = own.into_iter().map(|(name, value)| (name, Value::String(value)));
    let object: Map<String, Value> =
        own.chain(fields).map(|(name, value)| (name.to_owned(), value)).collect();
    escape(&Value::Object(object).to_string()) + "\n"
}

/// A line in which no control character is left: JSON allows some that a terminal obeys.
pub(crate) fn escape(line: &str) -> String {
    let mut escaped = String::with_capacity(line.len());
    for c in line.chars() {
        if c.is_control() {
            // Writing to a string does not fail.
            let _ = write!(escaped, "\\u{:04x}", u32::from(c));
        } else {
            escaped.push(c);
        }
    }
    escaped
}
