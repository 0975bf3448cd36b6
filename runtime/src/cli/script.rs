//! Options of the script.

use std::{path::PathBuf, time::Duration};

use clap::Args;

use super::values::{some_seconds, some_size};

/// What decides about requests.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "JavaScript")]
pub(super) struct Script {
    /// Script that is asked about each request: it sets httpout.on_request to a function. SIGHUP
    /// reads it again
    #[arg(long, value_name = "FILE")]
    pub(super) js: Option<PathBuf>,

    /// More directories whose files the script may send, beside those that are served
    #[arg(long = "js-dirs", value_name = "DIR", value_delimiter = ',')]
    pub(super) js_dirs: Vec<PathBuf>,

    /// Longest that the script may compute at one go; seconds. Its request is answered 503 then
    #[arg(long = "js-time", value_name = "SECONDS", value_parser = some_seconds, default_value = "1")]
    pub(super) js_time: Duration,

    /// Longest that a request waits for the script's decision; seconds. It is answered 503 then
    #[arg(long = "js-wait", value_name = "SECONDS", value_parser = some_seconds, default_value = "30")]
    pub(super) js_wait: Duration,

    /// Most memory of the script, in bytes, or with k, M, G
    #[arg(long = "js-memory", value_name = "SIZE", value_parser = some_size, default_value = "64M")]
    pub(super) js_memory: u64,
}

impl Script {
    /// Starts the script, if there is one.
    ///
    /// # Errors
    /// What is wrong with it.
    #[cfg(feature = "js")]
    pub(super) fn start(
        &self,
        block_size: usize,
    ) -> Result<Option<crate::server::AnyHook>, httpout_proto::ConfigError> {
        use crate::js::{JsHook, JsOptions};

        let Some(file) = self.js.clone() else { return Ok(None) };
        let memory = usize::try_from(self.js_memory).unwrap_or(usize::MAX);
        let hook = JsHook::start(JsOptions { file, time: self.js_time, memory, block_size })?;
        Ok(Some(std::sync::Arc::new(hook)))
    }

    /// No script can be run.
    ///
    /// # Errors
    /// If one was named.
    #[cfg(not(feature = "js"))]
    pub(super) fn start(
        &self,
        _: usize,
    ) -> Result<Option<crate::server::AnyHook>, httpout_proto::ConfigError> {
        match &self.js {
            None => Ok(None),
            Some(file) => Err(httpout_proto::ConfigError {
                option: "js",
                problem: format!(
                    "this program cannot run {}: it was built without JavaScript",
                    file.display()
                ),
                help: "build it with the cargo feature js",
            }),
        }
    }
}
