//! Options of the client: what is uploaded to another server.

use std::{path::PathBuf, time::Duration};

use clap::{ArgAction, Args};
use httpout_proto::{
    ConfigError,
    push::{Credentials, PushConfig, Target, UploadRange},
    semantics::media::is_media_type,
    site::headers,
};

use super::{Options, auth, values::boolean};
use crate::{
    input::Source,
    push::{Plan, Sent},
    tls::TrustOptions,
};

/// What is uploaded to another server, and how.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Push")]
pub(super) struct Push {
    /// Upload with POST instead of PUT
    #[arg(long, value_name = "BOOL", value_parser = boolean, num_args = 0..=1, require_equals = true,
        default_missing_value = "true", default_value = "false", action = ArgAction::Set)]
    post: bool,

    /// Go on with an input when an upload of it has failed: with the next file, or, of a stream, by
    /// reading it to its end. false: leave it
    #[arg(long, value_name = "BOOL", value_parser = boolean, num_args = 0..=1, require_equals = true,
        default_missing_value = "true", default_value = "true", action = ArgAction::Set)]
    ka: bool,

    /// The input is the bytes FIRST to LAST of the resource, which is there already; LAST may be
    /// left out for a file
    #[arg(long, value_name = "FIRST-LAST", value_parser = range)]
    patch: Option<UploadRange>,

    /// Read the user and password for the server from this file, USER:PASSWORD on its first line.
    /// Or give them in the variable HTTPOUT_AUTH. Other users of this machine can see a password
    /// that stands in -o
    #[arg(long = "auth-file", value_name = "FILE")]
    pub(super) auth_file: Option<PathBuf>,

    /// Look at each upload afterwards (HEAD): what is there must be as long as what was sent
    #[arg(long, value_name = "BOOL", value_parser = boolean, num_args = 0..=1, require_equals = true,
        default_missing_value = "true", default_value = "false", action = ArgAction::Set)]
    verify: bool,

    /// Take only servers whose certificate one of these authorities has signed, a PEM file
    /// [default: those of the system]
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,

    /// Take any server for the right one, whatever its certificate says
    #[arg(long, value_name = "BOOL", value_parser = boolean, num_args = 0..=1, require_equals = true,
        default_missing_value = "true", default_value = "false", action = ArgAction::Set)]
    insecure: bool,
}

impl Options {
    /// What is to be uploaded; `None`: httpout is a server.
    ///
    /// # Errors
    /// An option that cannot be obeyed.
    pub fn push(&self) -> Result<Option<Plan>, ConfigError> {
        if !self.is_push() {
            return Ok(None);
        }
        let uploads = self.uploads()?;
        let trust = self.trust(&uploads)?;
        Ok(Some(Plan {
            uploads,
            config: self.push_config()?,
            trust,
            block_size: usize::try_from(self.block_size).unwrap_or(usize::MAX),
            media_type: self.media_type()?,
            quit: self.quit,
            grace: self.grace,
            reqlog: self.reqlog.clone().unwrap_or_default(),
            log_format: self.log_format,
        }))
    }

    fn uploads(&self) -> Result<Vec<Sent>, ConfigError> {
        let inputs = &self.live.input;
        let error = |option, problem: String, help| Err(ConfigError { option, problem, help });
        if inputs.is_empty() {
            let help = "name a file, DIR/ or - with -i";
            return error("input", "there is nothing to be uploaded".into(), help);
        }
        let all_there = self.dst.len() == 1 && self.dst[0].text.ends_with('/');
        if self.dst.len() != inputs.len() && !all_there {
            let problem = format!("{} inputs and {} destinations", inputs.len(), self.dst.len());
            let help =
                "give each -i its -o, in the same order; or one -o that ends with a slash for all";
            return error("dst", problem, help);
        }
        let mut uploads: Vec<Sent> = Vec::new();
        let given = self.credentials()?;
        for (text, dst) in inputs.iter().zip(self.dst.iter().cycle()) {
            let source = Source::parse(text);
            let (target, credentials) = match Target::parse(&dst.text) {
                Ok(parsed) => parsed,
                Err(why) => return error("dst", why.into(), "write http://HOST:PORT/PATH"),
            };
            let target = match &source {
                Source::Directory(_) => target,
                Source::Stdin | Source::File(_) if !dst.text.ends_with('/') => target,
                Source::Stdin => {
                    let problem = "standard input has no name that could be its path".into();
                    return error("dst", problem, "write one behind the slash of -o");
                }
                Source::File(path) => {
                    let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
                    target.beneath(&name.unwrap_or_default())
                }
            };
            if let (Source::Directory(_), Some(_)) = (&source, self.push.patch) {
                let problem = format!("{text} is a directory, and the range is that of one file");
                return error("patch", problem, "name a file with -i");
            }
            if uploads.iter().any(|other| other.target == target) {
                let problem = format!("two inputs go to {target}");
                return error("dst", problem, "give one of them another path");
            }
            let credentials = joined(credentials, given.as_ref())?;
            uploads.push(Sent { source, target, credentials, range: self.push.patch });
        }
        Ok(uploads)
    }

    fn push_config(&self) -> Result<PushConfig, ConfigError> {
        let mut config = PushConfig {
            post: self.push.post,
            chunked: self.cte,
            fields: headers::parse(&self.hdrs).map_err(|problem| ConfigError {
                option: "hdrs",
                problem,
                help: "write --hdrs NAME,VALUE or --hdrs 'NAME: VALUE'",
            })?,
            user_agent: self.user_agent.clone(),
            close: self.close,
            keep_input: self.push.ka,
            verify: self.push.verify,
            ..PushConfig::default()
        };
        let patient = |time: Duration| (!time.is_zero()).then_some(time);
        config.limits.idle_time = patient(self.timeout);
        if let Some(time) = patient(self.timeout) {
            config.limits.answer_time = time;
        }
        config.limits.send_time = self.send_timeout;
        Ok(config)
    }

    fn trust(&self, uploads: &[Sent]) -> Result<TrustOptions, ConfigError> {
        let trust = TrustOptions {
            ca: self.push.ca.clone(),
            insecure: self.push.insecure,
            cert: self.cert.clone(),
            pkey: self.pkey.clone(),
        };
        let is_plain = uploads.iter().all(|upload| !upload.target.origin.is_tls());
        let (option, problem, help) = match &trust {
            _ if is_plain => {
                for name in ["ca", "insecure", "cert", "pkey"] {
                    if self.given.contains_key(name) {
                        tracing::warn!(
                            "{name} is not used: no upload goes over TLS (https:// in dst)"
                        );
                    }
                }
                return Ok(TrustOptions::default());
            }
            TrustOptions { pkey: Some(_), cert: None, .. } => {
                ("pkey", "there is no certificate for this key", "name one with --cert FILE")
            }
            TrustOptions { ca: Some(_), insecure: true, .. } => (
                "insecure",
                "there is an authority to be asked",
                "leave out either --insecure or --ca",
            ),
            TrustOptions { .. } => return Ok(trust),
        };
        Err(ConfigError { option, problem: problem.into(), help })
    }

    /// The user and password that are not in a URL: of the file that is named by a flag, else of
    /// the variable, else of the file that is named elsewhere.
    fn credentials(&self) -> Result<Option<Credentials>, ConfigError> {
        let by_flag = self.sources.origin("auth-file").is_none();
        match (&self.push.auth_file, &self.auth) {
            (Some(path), None) => auth::read(path).map(Some),
            (Some(path), Some(_)) if by_flag => auth::read(path).map(Some),
            (_, Some(text)) => {
                auth::parse(text.reveal(), &format!("the variable {}", auth::VARIABLE)).map(Some)
            }
            (None, None) => Ok(None),
        }
    }

    fn media_type(&self) -> Result<Option<String>, ConfigError> {
        match &self.live.mime {
            Some(mime) if !is_media_type(mime.as_bytes()) => Err(ConfigError {
                option: "mime",
                problem: format!("{mime:?} is no media type"),
                help: "write, say, --mime video/mp2t",
            }),
            mime => Ok(mime.clone()),
        }
    }
}

/// Those of the URL, and those that were given beside it.
fn joined(
    own: Option<Credentials>,
    given: Option<&Credentials>,
) -> Result<Option<Credentials>, ConfigError> {
    match (own, given) {
        (Some(own), Some(given)) if own.password.reveal().is_empty() => {
            if own.user == given.user {
                return Ok(Some(given.clone()));
            }
            let problem = format!("it has no password for {}, whom dst names", own.user);
            let help = "name the same user in both, or leave it out of dst";
            Err(ConfigError { option: "auth-file", problem, help })
        }
        (Some(own), _) => Ok(Some(own)),
        (None, given) => Ok(given.cloned()),
    }
}

/// `FIRST-LAST` or `FIRST-`.
fn range(text: &str) -> Result<UploadRange, String> {
    let number = |digits: &str| {
        let plain = digits.bytes().all(|b| b.is_ascii_digit());
        digits.parse::<u64>().ok().filter(|_| plain).ok_or("write FIRST-LAST, e.g. 0-99")
    };
    let (first, last) = text.split_once('-').ok_or("write FIRST-LAST, e.g. 0-99")?;
    let first = number(first)?;
    let last = if last.is_empty() { None } else { Some(number(last)?) };
    if last.is_some_and(|last| last < first) {
        return Err("it ends before it begins".into());
    }
    Ok(UploadRange { first, last })
}
