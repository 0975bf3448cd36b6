//! What httpout is: `hmode`, and where a source hands its uploads on to.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use httpout_proto::ConfigError;

use super::{Options, values::Destination};
use crate::source::Sink;

/// Which way data goes.
#[derive(Clone, Debug, Args)]
pub(super) struct Mode {
    /// What to do with what comes; not used with wdir
    #[arg(
        long,
        value_name = "MODE",
        value_enum,
        default_value = "default",
        help_heading = "Source"
    )]
    pub(super) hmode: HMode,
}

/// The option `hmode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum HMode {
    /// Serve, store and broadcast
    Default,
    /// Upload each input (-i) to the URL of its -o; those of a directory as they grow, and what is
    /// removed from it is removed there
    Push,
    /// Hand each upload on, to where -o says: DIR/ stores it under its path; - is standard output,
    /// one upload after the other; exec:COMMAND is started for each, with the body on its standard
    /// input. Nothing is served
    Source,
}

impl Options {
    /// True if uploads are handed on.
    pub(super) fn is_source(&self) -> bool {
        self.mode.hmode == HMode::Source && self.wdir.is_none()
    }

    /// Where uploads are handed on to.
    pub fn sink(&self) -> Option<&Sink> {
        self.dst.iter().find_map(|dst| dst.sink.as_ref()).filter(|_| self.is_source())
    }

    /// The destinations that say where to listen.
    pub(super) fn urls(&self) -> impl Iterator<Item = &Destination> {
        self.dst.iter().filter(|dst| dst.sink.is_none())
    }

    /// Checks that a source has one place where uploads go, and that nothing else has.
    pub(super) fn check_mode(&self) -> Result<(), ConfigError> {
        let error = |option, problem: String, help| Err(ConfigError { option, problem, help });
        let mut sinks = self.dst.iter().filter_map(|dst| dst.sink.as_ref());
        if self.is_source() && !self.live.input.is_empty() {
            let problem = "a source has no inputs: clients send what it hands on".into();
            return error("input", problem, "leave -i or --hmode source out");
        }
        match (self.is_source(), sinks.next(), sinks.next()) {
            (false, Some(sink), _) => {
                let problem = format!("{sink} is no URL");
                error("dst", problem, "write http://HOST:PORT/, or add --hmode source without wdir")
            }
            (true, None, _) => {
                let help = "say where uploads go: -o DIR/, -o - or -o 'exec:COMMAND'";
                error("hmode", "a source needs somebody who takes what comes".into(), help)
            }
            (true, Some(_), Some(_)) => {
                error("dst", "uploads cannot go to two places".into(), "name one of them")
            }
            (true, Some(Sink::Stdout), None)
                if self.access_log.as_deref().is_some_and(|log| log.as_os_str() == "-") =>
            {
                let problem = "standard output is for the uploads".into();
                error("access-log", problem, "name a file")
            }
            (true, Some(_), None) | (false, None, _) => Ok(()),
        }
    }
}

/// What is no URL, but a place for uploads.
pub(super) fn sink(text: &str) -> Option<Result<Sink, String>> {
    if text == "-" {
        return Some(Ok(Sink::Stdout));
    }
    if let Some(command) = text.strip_prefix("exec:") {
        let fine = !command.trim().is_empty();
        return Some(
            fine.then(|| Sink::Command(command.into())).ok_or_else(|| "write exec:COMMAND".into()),
        );
    }
    let is_directory = text.ends_with('/') && !text.contains("://");
    is_directory.then(|| Ok(Sink::Directory(PathBuf::from(text))))
}
