//! The options of uploads, checked once.

use std::{sync::Arc, time::Duration};

use super::target::Credentials;
use crate::{
    error::ConfigError,
    http::{Method, is_field_value, may_be_added},
    limits::Limits,
};

/// How uploads are made, as the user says it.
#[derive(Clone, Debug)]
pub struct PushConfig {
    /// POST instead of PUT (`post`).
    pub post: bool,
    /// Bodies of unknown length are sent chunked (`cte`); false: they fail, with a line that says
    /// so.
    pub chunked: bool,
    /// More header fields for every request (`hdrs`).
    pub fields: Vec<(String, String)>,
    /// For the origins of the jobs; never sent to another.
    pub credentials: Option<Credentials>,
    /// What `User-Agent` says; empty: there is none.
    pub user_agent: String,
    /// Uploads of this many bytes and more ask before they send their body (`Expect:
    /// 100-continue`), and so do those that cannot be sent twice. `None`: none asks.
    pub expect_from: Option<u64>,
    /// How often one job is tried again. At its start only: a body is sent from its first byte each
    /// time.
    pub retries: u32,
    /// The wait before the second try; doubled from try to try.
    pub first_wait: Duration,
    /// The longest of these waits.
    pub longest_wait: Duration,
    /// The longest `Retry-After` that is obeyed; beyond, the job fails.
    pub longest_retry_after: Duration,
    /// How many redirects are followed for one job.
    pub redirects: u32,
    /// The connection is closed behind each answer (`close`).
    pub close: bool,
    /// A job that fails leaves the next ones alone (`ka`); false: nothing is tried after it.
    pub keep_input: bool,
    /// Each upload is looked at with HEAD afterwards.
    pub verify: bool,
    /// How range uploads say where their bytes belong.
    pub range_field: RangeField,
    /// Sizes and deadlines: `head`, `field_line`, `fields`, `idle_time` (`timeout`), `send_time`,
    /// `answer_time`, `continue_time`, `dial_time`, `linger_pause`, `unwanted_body`.
    pub limits: Limits,
}

/// How range uploads say where their bytes belong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RangeField {
    /// `Content-Range: bytes 0-9/*` (RFC 9110 §14.5). A server that does not know it refuses.
    #[default]
    ContentRange,
    /// `Range: bytes=0-9`, as GPAC's server wants it (RFC 2616). A server that does not know it
    /// replaces the resource.
    Range,
}

impl Default for PushConfig {
    fn default() -> Self {
        Self {
            post: false,
            chunked: true,
            fields: Vec::new(),
            credentials: None,
            user_agent: concat!("httpout/", env!("CARGO_PKG_VERSION")).into(),
            expect_from: Some(1 << 20),
            retries: 10,
            first_wait: Duration::from_millis(250),
            longest_wait: Duration::from_secs(8),
            longest_retry_after: Duration::from_secs(300),
            redirects: 5,
            close: false,
            keep_input: true,
            verify: false,
            range_field: RangeField::default(),
            limits: Limits::default(),
        }
    }
}

/// Options that passed every check; shared by all connections.
#[derive(Debug)]
pub struct PushOptions {
    pub(crate) config: PushConfig,
    pub(crate) limits: Arc<Limits>,
}

impl PushOptions {
    /// Checks them.
    ///
    /// # Errors
    /// `hdrs` with a name or value that a head cannot carry, or with a field that belongs to the
    /// connection; `user-agent` that a field cannot carry.
    pub fn new(config: PushConfig) -> Result<Self, ConfigError> {
        for (name, value) in &config.fields {
            if !may_be_added(name) || OWN.iter().any(|own| own.eq_ignore_ascii_case(name)) {
                return Err(ConfigError {
                    option: "hdrs",
                    problem: format!(
                        "{name:?} is no header field, or one that httpout sets itself"
                    ),
                    help: "leave it out",
                });
            }
            if !is_field_value(value.as_bytes()) {
                return Err(ConfigError {
                    option: "hdrs",
                    problem: format!("the value of {name} holds what a header field cannot carry"),
                    help: "use visible ASCII characters, spaces and tabs",
                });
            }
        }
        if !is_field_value(config.user_agent.as_bytes()) {
            return Err(ConfigError {
                option: "user_agent",
                problem: "it holds what a header field cannot carry".into(),
                help: "use visible ASCII characters and spaces",
            });
        }
        Ok(Self { limits: Arc::new(config.limits.clone()), config })
    }

    /// A job that fails leaves the next ones alone (`ka`).
    pub fn keeps_input(&self) -> bool {
        self.config.keep_input
    }

    /// The method of uploads.
    pub fn method(&self) -> Method {
        if self.config.post { Method::Post } else { Method::Put }
    }

    /// The wait before try `tries + 1`.
    pub(crate) fn wait(&self, tries: u32) -> Duration {
        let factor = 1u32.checked_shl(tries.saturating_sub(1)).unwrap_or(u32::MAX);
        self.config.first_wait.saturating_mul(factor).min(self.config.longest_wait)
    }
}

/// Fields that say where the body belongs.
const OWN: [&str; 2] = ["content-range", "range"];
