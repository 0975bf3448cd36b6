//! The log on standard error.

use std::{
    env,
    io::{self, Write},
    panic::{self, PanicHookInfo},
    thread,
};

use tracing::{
    Level,
    dispatcher::{self, Dispatch},
};
use tracing_subscriber::{EnvFilter, fmt};

use crate::record::{LogFormat, escape, record};

/// Begins to log, for the whole process and for good. `RUST_LOG` says what; without it, all but
/// details.
pub fn start(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let log = logger(format, filter, io::stderr);
    // Only an embedding program could have set one before, and then it is that program's to say
    // where events go.
    let _ = dispatcher::set_global_default(log);
    let with_backtrace = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        log_panic(info);
        if env::var_os("RUST_BACKTRACE").is_some() {
            with_backtrace(info);
        }
    }));
}

fn log_panic(info: &PanicHookInfo<'_>) {
    let payload = info.payload();
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let place = info.location().map(ToString::to_string);
    let thread = thread::current();
    tracing::error!(
        thread = thread.name().unwrap_or_default(),
        "panicked at {}: {}; this is a bug: please report it",
        place.as_deref().unwrap_or("an unknown place"),
        text.unwrap_or("no message"),
    );
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
        // A standard error without a reader is no reason to panic.
        .log_internal_errors(false);
    match format {
        LogFormat::Text => log.finish().into(),
        LogFormat::Json => log.json().flatten_event(true).finish().into(),
    }
}

/// Writes a line to standard error, as an error of the program.
pub(crate) fn complain(format: LogFormat, problem: &str) {
    let line = match format {
        LogFormat::Text => format!("error: {problem}\n"),
        LogFormat::Json => record(Level::ERROR, problem, []),
    };
    // If this fails, there is no way to report it.
    let _ = io::stderr().lock().write_all(line.as_bytes());
}

/// Takes an event a call, and writes it so that what a peer sent cannot begin a line or steer a
/// terminal: a control character becomes `\u000d`, which JSON reads too. It is done here because
/// the formatter does it for messages only, and only for some characters. There are no colours, for
/// they could not be told from a peer's.
struct Escaped<W>(W);

impl<W: Write> Write for Escaped<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let (line, end) = match text.strip_suffix('\n') {
            Some(line) => (line, "\n"),
            None => (&*text, ""),
        };
        let escaped = escape(line) + end;
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

    use serde_json::Value;

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
    fn a_record_is_like_an_event() {
        let line = record(Level::WARN, EVIL, [("path", EVIL.into()), ("bytes", 7.into())]);
        assert!(!line.trim_end_matches('\n').contains(char::is_control), "{line:?}");
        let record: Value = serde_json::from_str(&line).unwrap();
        let event = logged(LogFormat::Json, "x");
        let event: Value = serde_json::from_str(&event).unwrap();
        let form = |object: &Value| {
            let time = object["timestamp"].as_str().unwrap();
            time.replace(|c: char| c.is_ascii_digit(), "0")
        };
        assert_eq!(form(&record), form(&event));
        assert_eq!((&record["message"], &record["level"]), (&EVIL.into(), &"WARN".into()));
        assert_eq!((&record["path"], &record["bytes"]), (&EVIL.into(), &7.into()));
    }

    #[test]
    fn json_says_the_same() {
        let line = logged(LogFormat::Json, EVIL);
        let event: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(event["shown"], EVIL);
        assert_eq!(event["quoted"], EVIL);
        assert_eq!(event["message"], format!("said {EVIL}"));
        assert_eq!(event["level"], "INFO");
    }
}
