//! The log on standard error.

use std::{
    fmt::Write as _,
    io::{self, Write},
};

use clap::ValueEnum;
use tracing::dispatcher::{self, Dispatch};
use tracing_subscriber::{EnvFilter, fmt};

/// The form of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// A line for people
    #[default]
    Text,
    /// A JSON object a line
    Json,
}

/// Begins to log, for the whole process and for good. `RUST_LOG` says what; without it, all but details.
pub fn start(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let log = logger(format, filter, io::stderr);
    // Only an embedding program could have set one before, and then it is that program's to say where events go.
    let _ = dispatcher::set_global_default(log);
}

fn logger<W: Write + 'static>(
    format: LogFormat,
    filter: EnvFilter,
    writer: impl Fn() -> W + Send + Sync + 'static,
) -> Dispatch {
    let log = fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_target(false)
        .with_writer(move || Escaped(writer()))
        // A standard error that nobody reads any more is no reason to panic.
        .log_internal_errors(false);
    match format {
        LogFormat::Text => log.finish().into(),
        LogFormat::Json => log.json().flatten_event(true).finish().into(),
    }
}

/// Takes an event a call, and writes it so that what a peer sent cannot begin a line or steer a terminal: a control
/// character becomes `\u000d`, which JSON reads too. It is done here because the formatter does it for messages only,
/// and only for some characters. There are no colours, for they could not be told from a peer's.
struct Escaped<W>(W);

impl<W: Write> Write for Escaped<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let (line, end) = match text.strip_suffix('\n') {
            Some(line) => (line, "\n"),
            None => (&*text, ""),
        };
        let mut escaped = String::with_capacity(event.len());
        for c in line.chars() {
            if c.is_control() {
                // Writing to a string does not fail.
                let _ = write!(escaped, "\\u{:04x}", u32::from(c));
            } else {
                escaped.push(c);
            }
        }
        escaped.push_str(end);
        self.0.write_all(escaped.as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is written of an event that holds this, in a field, quoted, and in the message.
    fn logged(format: LogFormat, text: &str) -> String {
        let memory = Memory::default();
        let writer = memory.clone();
        let log = logger(format, EnvFilter::new("info"), move || writer.clone());
        dispatcher::with_default(&log, || {
            tracing::info!(shown = %text, quoted = text, "said {text}");
            tracing::debug!("too much");
        });
        let bytes = memory.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    const EVIL: &str = "a\r\nERROR forged\t\0\x1b[2J\u{9b}2J\x7fb";

    #[test]
    fn no_value_begins_a_line_or_steers_a_terminal() {
        for format in [LogFormat::Text, LogFormat::Json] {
            let line = logged(format, EVIL);
            let line = line.strip_suffix('\n').unwrap();
            assert!(!line.contains(char::is_control), "{line:?}");
            assert_eq!(line.matches("ERROR forged").count(), 3, "{line:?}");
        }
    }

    #[test]
    fn json_says_the_same() {
        let line = logged(LogFormat::Json, EVIL);
        let event: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(event["shown"], EVIL);
        assert_eq!(event["quoted"], EVIL);
        assert_eq!(event["message"], format!("said {EVIL}"));
        assert_eq!(event["level"], "INFO");
    }
}
