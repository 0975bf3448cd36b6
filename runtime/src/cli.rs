//! The command line, one for both binaries, and the banner.

mod auth;
mod banner;
mod complete;
mod file;
mod live;
mod log_format;
mod man;
mod mode;
mod normalize;
mod one_string;
mod places;
mod push;
mod script;
mod sources;
mod tasks;
#[cfg(test)]
mod tests;
mod used;
mod values;

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{
    ArgAction, FromArgMatches as _, Parser, ValueEnum, builder::NonEmptyStringValueParser,
    parser::ValueSource,
};
use httpout_proto::{
    Config, ConfigError,
    auth::Secret,
    site::{Cors, Multirange, Symlinks, headers, is_memory},
};

use self::values::{
    Destination, Scheme, boolean, destination, port, seconds, size, some_seconds, some_size,
};
pub use self::{
    banner::{banner, banner_records},
    log_format::wanted as wanted_format,
    places::Place,
    tasks::{Task, completions, manual, usage},
};
use crate::{
    AccessLogFormat, AnyHook, ClientAuth, LogFormat, LogOptions, Options as RuntimeOptions, ReqLog,
    TlsOptions, creds::default_users_file, input::Input, listen::Port, rights,
};

/// Serves directories over HTTP/1.1 and HTTPS, and takes uploads, which are served while they
/// arrive.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "httpout",
    version,
    override_usage = "httpout DIR... [--wdir DIR] [OPTIONS]\n       \
                      httpout -i FILE|- -o http://localhost:8080/live.mp3 [OPTIONS]\n       \
                      httpout --hmode source -o DIR/|-|exec:COMMAND [OPTIONS]\n       \
                      httpout --hmode push -i FILE|DIR/|- -o http://HOST:PORT/PATH [OPTIONS]\n       \
                      httpout 'rdirs=DIR:wdir=DIR:port=8080'",
    after_help = "DIR is a directory of --rdirs. Names may be written with _ or with -. BOOL is true or false; without it, true.\n\
                  Options are also read in the form NAME=VALUE:NAME:!NAME:VALUE, as GPAC writes them, also behind the URL of -o: !NAME is\n\
                  NAME=false; a VALUE alone is that of the one option that has it, as push is hmode=push; ::NAME=VALUE:: takes any VALUE;\n\
                  :gpac: ends a URL. Options are read from variables, such as HTTPOUT_PORT; and from a TOML file (--config), such as port = 8080.\n\
                  A flag goes before a variable, a variable before the file. A list replaces the weaker one.\n\
                  Paths are relative to the working directory, those in the file too."
)]
pub struct Options {
    /// Directories to serve. One is the root /; of several, each is served under its own name. A
    /// file is a rule file, which says what is served, and who may read and write. gmem is what is
    /// kept in memory
    #[arg(long, value_name = "DIR", value_delimiter = ',', help_heading = "Directories")]
    rdirs: Vec<PathBuf>,

    /// Directory for uploads; its name is not part of the URL. gmem keeps them in memory; ./gmem is
    /// a directory
    #[arg(long, value_name = "DIR", help_heading = "Directories")]
    wdir: Option<PathBuf>,

    /// Users and groups that rule files name: made with httpout creds, or with htpasswd [default:
    /// users.cfg in $CONFIGURATION_DIRECTORY, else in ~/.config/httpout]
    #[arg(long, value_name = "FILE", help_heading = "Directories")]
    users: Option<PathBuf>,

    /// Take passwords over connections that others can read, too: neither TLS nor from this machine
    #[arg(long = "insecure-auth", value_name = "BOOL", value_parser = boolean, num_args = 0..=1, require_equals = true,
        default_missing_value = "true", default_value = "false", action = ArgAction::Set, help_heading = "Directories")]
    insecure_auth: bool,

    /// List directories
    #[arg(long, value_name = "BOOL", value_parser = boolean, num_args = 0..=1, require_equals = true,
        default_missing_value = "true", default_value = "false", action = ArgAction::Set, help_heading = "Directories")]
    dlist: bool,

    /// Serve the file of this name, such as index.html, for the URL of a directory that holds one
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new(), help_heading = "Directories")]
    index: Option<String>,

    /// Symbolic links that are followed: those that stay inside of their directory, or all. Rights
    /// are those of the file that a link leads to; where there are rules, links lead to served
    /// directories only
    #[arg(
        long,
        value_name = "WHICH",
        value_enum,
        default_value = "inside",
        help_heading = "Directories"
    )]
    symlinks: Links,

    /// Where to listen: the port, and the address if the host is one or localhost; and the path of
    /// an input's resource. One for each -i; all inputs are found at each of these addresses. Or,
    /// with --hmode source, where uploads go; with --hmode push, where the input goes:
    /// http://HOST:PORT/PATH, or https; for a password, see --auth-file
    #[arg(short = 'o', long, value_name = "URL|DIR/|-|exec:COMMAND", value_parser = destination, help_heading = "Listening")]
    dst: Vec<Destination>,

    /// Port to listen on; auto: any free one; 0: as dst says, else 80, or 443 with a certificate
    #[arg(long, value_name = "PORT|auto", value_parser = port, help_heading = "Listening")]
    port: Option<Port>,

    /// Interface or address to listen on [default: as dst says, else all]
    #[arg(long, value_name = "NAME|ADDRESS", value_parser = NonEmptyStringValueParser::new(),
        help_heading = "Listening")]
    ifce: Option<String>,

    /// Certificate of the server (with --hmode push: of the client), a PEM file, behind it those
    /// that signed it: HTTPS is served instead of HTTP, or beside it with tls-port. SIGHUP reads it
    /// again
    #[arg(long, value_name = "FILE", help_heading = "TLS")]
    cert: Option<PathBuf>,

    /// Private key of the certificate, a PEM file [default: it is looked for in cert]
    #[arg(long, value_name = "FILE", help_heading = "TLS")]
    pkey: Option<PathBuf>,

    /// Make a certificate for development at the start, instead of reading one: no client trusts it
    /// by itself
    #[arg(long = "self-signed", value_name = "BOOL", value_parser = boolean, num_args = 0..=1, require_equals = true,
        default_missing_value = "true", default_value = "false", action = ArgAction::Set, help_heading = "TLS")]
    self_signed: bool,

    /// Port for HTTPS, while port is for HTTP; auto: any free one; 0: 443
    #[arg(long = "tls-port", value_name = "PORT|auto", value_parser = port, help_heading = "TLS")]
    tls_port: Option<Port>,

    /// Ask clients for a certificate that one of these authorities has signed, a PEM file; rules
    /// know a client as a user by the certificate's common name, or else its first alternative name
    #[arg(long = "client-ca", value_name = "FILE", help_heading = "TLS")]
    client_ca: Option<PathBuf>,

    /// What becomes of a client without such a certificate
    #[arg(
        long = "client-auth",
        value_name = "WHEN",
        value_enum,
        default_value = "required",
        help_heading = "TLS"
    )]
    client_auth: Certificates,

    /// Value of Server in answers, and, with --hmode push, of User-Agent in requests; empty: none
    #[arg(long = "user_agent", value_name = "TEXT", default_value_t = Config::default().server_header,
        help_heading = "Answers")]
    user_agent: String,

    /// Value of Cache-Control in answers; none: neither that nor ETag and Last-Modified
    #[arg(long = "cache_control", value_name = "TEXT|none", value_parser = NonEmptyStringValueParser::new(),
        help_heading = "Answers")]
    cache_control: Option<String>,

    /// Tell the time in answers: Server-UTC, in milliseconds since 1970
    #[arg(long, value_name = "BOOL", value_parser = boolean, num_args = 0..=1, require_equals = true,
        default_missing_value = "true", default_value = "false", action = ArgAction::Set, help_heading = "Answers")]
    sutc: bool,

    /// When pages of other origins may read answers: always, never, or where the request tells its
    /// origin
    #[arg(long, value_name = "WHEN", value_enum, default_value = "auto", help_heading = "Answers")]
    cors: When,

    /// More header fields for every answer, or, with --hmode push, request:
    /// NAME,VALUE,NAME,VALUE... or 'NAME: VALUE', any number of times
    #[arg(long, value_name = "FIELDS", help_heading = "Answers")]
    hdrs: Vec<String>,

    /// Largest text that is sent compressed to who accepts it, in bytes, or with k, M, up to 16M;
    /// 0: none
    #[arg(long, value_name = "SIZE", value_parser = size, default_value = "50000", help_heading = "Answers")]
    zmax: u64,

    /// Send no text compressed: the same as --zmax 0
    #[arg(long = "no_z", value_name = "BOOL", value_parser = boolean, num_args = 0..=1, require_equals = true,
        default_missing_value = "true", default_value = "false", action = ArgAction::Set, help_heading = "Answers")]
    no_z: bool,

    /// Use chunked transfer coding where the length is not known; false: end such answers by
    /// closing; with --hmode push, upload what has a length only
    #[arg(long, value_name = "BOOL", value_parser = boolean, num_args = 0..=1, require_equals = true,
        default_missing_value = "true", default_value = "true", action = ArgAction::Set, help_heading = "Answers")]
    cte: bool,

    /// Answer requests for byte ranges with the whole file
    #[arg(long, value_name = "BOOL", value_parser = boolean, num_args = 0..=1, require_equals = true,
        default_missing_value = "true", default_value = "false", action = ArgAction::Set, help_heading = "Answers")]
    norange: bool,

    /// Form of an answer to several byte ranges
    #[arg(
        long,
        value_name = "FORM",
        value_enum,
        default_value = "concat",
        help_heading = "Answers"
    )]
    multirange: Form,

    /// Hold a request for a file missing in wdir so long for its upload to begin; seconds, e.g. 1.5
    #[arg(long = "wait-missing", value_name = "SECONDS", value_parser = seconds, default_value = "0",
        help_heading = "Uploads")]
    wait_missing: Duration,

    /// Answer an upload only when it is safe on the disk
    #[arg(long, value_name = "BOOL", value_parser = boolean, num_args = 0..=1, require_equals = true,
        default_missing_value = "true", default_value = "false", action = ArgAction::Set, help_heading = "Uploads")]
    durable: bool,

    /// Largest upload in bytes, or with k, M, G, T (of 1024); 0: no limit
    #[arg(long, value_name = "SIZE", value_parser = size, default_value = "0", help_heading = "Uploads")]
    maxs: u64,

    /// Most that is kept in memory (gmem), in bytes, or with k, M, G, uploads in progress included.
    /// Where more comes, the oldest segments go first, then what is no segment
    #[arg(long = "gmem-max", value_name = "SIZE", value_parser = some_size, default_value = "256M", help_heading = "Uploads")]
    gmem_max: u64,

    /// Segments of a quality that are kept, whose names differ in the last number only: in memory,
    /// so many, and at least 1; on disk, -N keeps N, other numbers keep all
    #[arg(
        long = "max_cache_segs",
        value_name = "NUMBER",
        default_value = "5",
        allow_negative_numbers = true,
        help_heading = "Uploads"
    )]
    max_cache_segs: i32,

    /// Most connections; 0: no limit. One more is answered 503
    #[arg(long, value_name = "NUMBER", default_value = "100", help_heading = "Limits")]
    maxc: u32,

    /// Most connections of one peer address; 0: no limit. One more is answered 503. An encoder
    /// needs one for each stream of its ladder and one for each manifest, and all clients behind
    /// one NAT share an address
    #[arg(long, value_name = "NUMBER", default_value = "32", help_heading = "Limits")]
    maxp: u32,

    /// Close a connection that rests so long between requests; with --hmode push, the longest wait
    /// for an answer, too; seconds; 0: never. Where an encoder keeps its connections, let it be
    /// longer than a segment: many encoders lose a segment on a closed connection
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "30", help_heading = "Limits")]
    timeout: Duration,

    /// Requests on one connection, after which it is closed; 0: any number. A connection that
    /// carries uploads is never closed for this
    #[arg(
        long = "keepalive-requests",
        value_name = "NUMBER",
        default_value = "10000",
        help_heading = "Limits"
    )]
    keepalive_requests: u32,

    /// Age of a connection after which it is closed behind an answer; seconds; 0: any. A connection
    /// that carries uploads is never closed for this
    #[arg(long = "keepalive-time", value_name = "SECONDS", value_parser = seconds, default_value = "3600", help_heading = "Limits")]
    keepalive_time: Duration,

    /// Longest time from the first byte of a request's head to its last; seconds
    #[arg(long = "head-timeout", value_name = "SECONDS", value_parser = some_seconds, default_value = "10",
        help_heading = "Limits")]
    head_timeout: Duration,

    /// Longest wait for more of an upload; seconds
    #[arg(long = "body-timeout", value_name = "SECONDS", value_parser = some_seconds, default_value = "30",
        help_heading = "Limits")]
    body_timeout: Duration,

    /// Slowest upload, in bytes per second, or with k, M; 0: any, since live text tracks and
    /// metadata send next to nothing for hours. body-timeout bounds each pause, maxp and maxc the
    /// connections that slow clients can hold
    #[arg(long = "body-rate", value_name = "SIZE", value_parser = size, default_value = "0", help_heading = "Limits")]
    body_rate: u64,

    /// Longest wait for a client that takes nothing of its answer; seconds
    #[arg(long = "send-timeout", value_name = "SECONDS", value_parser = some_seconds, default_value = "30",
        help_heading = "Limits")]
    send_timeout: Duration,

    /// Close a connection after so many errors of the client in a row; 0: never
    #[arg(
        long = "max_client_errors",
        value_name = "NUMBER",
        default_value = "20",
        help_heading = "Limits"
    )]
    max_client_errors: u32,

    /// Close each connection after one request
    #[arg(long, value_name = "BOOL", value_parser = boolean, num_args = 0..=1, require_equals = true,
        default_missing_value = "true", default_value = "false", action = ArgAction::Set, help_heading = "Limits")]
    close: bool,

    /// Files, and pieces of files, up to so many bytes are sent together with their head; or with
    /// k, M
    #[arg(long = "block_size", value_name = "SIZE", value_parser = size, default_value = "10000",
        help_heading = "Running")]
    block_size: u64,

    /// Tell requests of these methods on standard error, as they begin and end: a list, or * for
    /// all; REC: files that are written; with - in front: not the ends of requests
    #[arg(long, value_name = "METHODS", value_parser = ReqLog::parse, allow_hyphen_values = true, help_heading = "Running")]
    reqlog: Option<ReqLog>,

    /// Log all requests to this file, or with - to standard output. SIGHUP opens it again
    #[arg(
        long = "access-log",
        value_name = "FILE",
        allow_hyphen_values = true,
        help_heading = "Running"
    )]
    access_log: Option<PathBuf>,

    /// Form of that log
    #[arg(
        long = "access-log-format",
        value_name = "FORM",
        value_enum,
        default_value = "combined",
        help_heading = "Running"
    )]
    access_log_format: LogForm,

    /// Answer /metrics (for Prometheus), /healthz and /readyz at this address and port, e.g.
    /// 127.0.0.1:9090; port 0: any free one
    #[arg(long, value_name = "ADDRESS:PORT", help_heading = "Running")]
    admin: Option<SocketAddr>,

    /// End when the last client is gone; with --hmode push, when all that is in a directory was
    /// uploaded
    #[arg(long, value_name = "BOOL", value_parser = boolean, num_args = 0..=1, require_equals = true,
        default_missing_value = "true", default_value = "false", action = ArgAction::Set, help_heading = "Running")]
    quit: bool,

    /// After SIGTERM or SIGINT, let requests go on so long; seconds. A second signal ends at once
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "10", help_heading = "Running")]
    grace: Duration,

    /// TOML file of options, one NAME = VALUE a line. SIGHUP reads it again: what concerns requests
    /// changes then; a warning names each other option that has changed, and needs a restart
    #[arg(long, value_name = "FILE", help_heading = "Running")]
    config: Option<PathBuf>,

    /// Form of the log on standard error; RUST_LOG filters it, e.g. RUST_LOG=debug. With json, all
    /// that is said is a JSON object a line there, and what is shown at the start is one, too
    #[arg(
        long = "log-format",
        value_name = "FORM",
        value_enum,
        default_value = "text",
        help_heading = "Running"
    )]
    log_format: LogFormat,

    #[command(flatten)]
    mode: mode::Mode,

    #[command(flatten)]
    live: live::Live,

    #[command(flatten)]
    script: script::Script,

    #[command(flatten)]
    push: push::Push,

    /// The options that are not at their defaults by themselves, and their values.
    #[arg(skip)]
    given: BTreeMap<String, Vec<OsString>>,

    /// User and password for another server, from the variable.
    #[arg(skip)]
    auth: Option<Secret>,

    #[arg(skip)]
    sources: sources::Sources,
}

/// Options that SIGHUP reads again, where they are in the file; each stands in [`Config`].
const RENEWED: [&str; 33] = [
    "rdirs",
    "wdir",
    "users",
    "insecure-auth",
    "dlist",
    "index",
    "symlinks",
    "user_agent",
    "cache_control",
    "sutc",
    "cors",
    "hdrs",
    "zmax",
    "no_z",
    "cte",
    "norange",
    "multirange",
    "wait-missing",
    "durable",
    "maxs",
    "gmem-max",
    "max_cache_segs",
    "timeout",
    "head-timeout",
    "body-timeout",
    "body-rate",
    "send-timeout",
    "keepalive-requests",
    "keepalive-time",
    "max_client_errors",
    "close",
    "js-dirs",
    "js-wait",
];

/// The largest block that a script is given to fill, in bytes.
const MOST_BLOCK: usize = 1 << 20;

/// See [`Cors`].
#[derive(Clone, Copy, Debug, ValueEnum)]
enum When {
    /// Never
    Off,
    /// Always
    On,
    /// Where the request has an Origin
    Auto,
}

/// See [`ClientAuth`].
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Certificates {
    /// It is refused
    Required,
    /// It is let in without a name
    Optional,
}

/// See [`AccessLogFormat`].
#[derive(Clone, Copy, Debug, ValueEnum)]
enum LogForm {
    /// As Apache and nginx write it
    Combined,
    /// An object a line
    Json,
}

/// See [`Symlinks`].
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Links {
    /// Those that stay inside of the directory they lie in
    Inside,
    /// All
    All,
}

/// See [`Multirange`].
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Form {
    /// One part: the bytes one after the other, in the order asked
    Concat,
    /// multipart/byteranges, in the order asked
    Multipart,
    /// multipart/byteranges, after joining ranges that overlap or touch
    Merge,
}

impl Options {
    /// Reads a command line, the program's name first, the variables, and the file that one of them
    /// names. Of these, the earlier goes before the later. `version` is what `--version` shows.
    ///
    /// # Errors
    /// What is wrong with them; or what `--help` and `--version` show, which is no error to
    /// [`use_stderr`](clap::Error::use_stderr).
    pub fn parse_args(
        args: impl IntoIterator<Item = OsString>,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
        version: &'static str,
    ) -> Result<Self, clap::Error> {
        let mut command = tasks::command().version(version);
        let variables: Vec<_> = variables.into_iter().collect();
        let auth = variables.iter().find(|(name, _)| name == auth::VARIABLE);
        let auth = auth.map(|(_, value)| Secret::new(value.to_string_lossy().into_owned()));
        let args = normalize::expand(args, &mut command)?;
        let (matches, sources) = sources::parse(args, variables, command.clone())?;
        let options =
            Self::from_arg_matches(&matches).map_err(|error| error.format(&mut command))?;
        let given = command.get_arguments().filter_map(|arg| {
            let id = arg.get_id().as_str();
            let source = matches.value_source(id)?;
            let values = matches.get_raw(id).into_iter().flatten().map(OsStr::to_owned).collect();
            (source != ValueSource::DefaultValue).then(|| (normalize::long(arg).to_owned(), values))
        });
        let given = given.collect();
        Ok(Self { sources, given, auth, ..options })
    }

    /// The options of the server's core.
    ///
    /// # Errors
    /// A scheme that is not spoken.
    pub fn config(&self) -> Result<Config, ConfigError> {
        let other = |dst: &Destination| match &dst.scheme {
            Scheme::Other(scheme) => Some(scheme.clone()),
            Scheme::Http | Scheme::Https => None,
        };
        if let Some(scheme) = self.dst.iter().find_map(other) {
            let problem = format!("{scheme}:// is not spoken");
            let help = "write http://HOST:PORT/ or https://HOST:PORT/";
            return Err(ConfigError { option: "dst", problem, help });
        }
        let mut config = Config::default();
        (config.read_dirs, config.rules) = rights::take_rules(&self.rdirs)?;
        config.users = rights::read_users(
            self.users_file().as_deref(),
            &config.rules,
            self.client_ca.is_some(),
        )?;
        config.write_dir = self.wdir.clone();
        config.memory_max = self.gmem_max;
        config.kept_segments = self.max_cache_segs;
        if let Some(file) = self.wdir.as_ref().filter(|wdir| !is_memory(wdir) && wdir.is_file()) {
            let problem = format!("{} is a file; a rule file cannot stand here", file.display());
            let help = "name it in --rdirs, and give rights to write in it with wu and wg";
            return Err(ConfigError { option: "wdir", problem, help });
        }
        config.insecure_auth = self.insecure_auth;
        config.list_directories = self.dlist;
        config.index = self.index.clone();
        config.symlinks = match self.symlinks {
            Links::Inside => Symlinks::Inside,
            Links::All => Symlinks::All,
        };
        config.server_utc = self.sutc;
        config.cors = match self.cors {
            When::Off => Cors::Off,
            When::On => Cors::On,
            When::Auto => Cors::Auto,
        };
        config.extra_headers = headers::parse(&self.hdrs).map_err(|problem| ConfigError {
            option: "hdrs",
            problem,
            help: "write --hdrs NAME,VALUE or --hdrs 'NAME: VALUE'",
        })?;
        config.compress_max = if self.no_z { 0 } else { self.zmax };
        config.server_header = self.user_agent.clone();
        config.close_connections = self.close;
        config.cache_control = self.cache_control.clone();
        config.chunked = self.cte;
        config.ignore_ranges = self.norange;
        config.multirange = match self.multirange {
            Form::Concat => Multirange::Concat,
            Form::Multipart => Multirange::Multipart,
            Form::Merge => Multirange::Merge,
        };
        config.wait_missing = self.wait_missing;
        config.hook = self.script.js.is_some();
        config.limits.hook_time = self.script.js_wait;
        config.hook_dirs = self.script.js_dirs.clone();
        let has_inputs = !self.live.input.is_empty();
        config.live = has_inputs && self.rdirs.is_empty() || self.live.icecast;
        config.record = has_inputs && !self.rdirs.is_empty();
        config.source = self.is_source();
        if config.source {
            config.read_dirs.clear();
        }
        config.icecast = self.live.icecast;
        config.icy = self.live.ice;
        config.durable = self.durable;
        config.limits.upload = (self.maxs > 0).then_some(self.maxs);
        config.limits.idle_time = (!self.timeout.is_zero()).then_some(self.timeout);
        config.limits.requests = self.keepalive_requests;
        config.limits.age = (!self.keepalive_time.is_zero()).then_some(self.keepalive_time);
        config.limits.head_time = self.head_timeout;
        config.limits.body_time = self.body_timeout;
        config.limits.body_rate = self.body_rate;
        config.limits.send_time = self.send_timeout;
        config.limits.client_errors = self.max_client_errors;
        Ok(config)
    }

    /// Nothing is asked for, by flags, variables or a file.
    pub fn is_empty(&self) -> bool {
        self.given.is_empty()
    }

    /// These options as they are after others were read in their place while the server runs: what
    /// it cannot change is as it was. And the names of what it cannot change and what was changed.
    #[must_use]
    pub fn renewed(&self, new: Self) -> (Self, Vec<String>) {
        let names = self.given.keys().chain(new.given.keys());
        let changed = names.filter(|name| self.given.get(*name) != new.given.get(*name));
        let mut fixed: Vec<String> =
            changed.filter(|name| !RENEWED.contains(&name.as_str())).cloned().collect();
        fixed.sort();
        fixed.dedup();
        let script = script::Script { js: self.script.js.clone(), ..new.script };
        let (mode, live, client_ca) =
            (self.mode.clone(), self.live.clone(), self.client_ca.clone());
        (Self { mode, live, client_ca, script, ..new }, fixed)
    }

    /// The options of the runtime.
    pub fn runtime(&self) -> RuntimeOptions {
        RuntimeOptions {
            max_connections: self.maxc as usize,
            max_connections_per_peer: self.maxp as usize,
            block_size: usize::try_from(self.block_size).unwrap_or(usize::MAX),
            quit: self.quit,
            live: self.live.options(),
            log: LogOptions {
                access: self.access_log.clone(),
                format: match self.access_log_format {
                    LogForm::Combined => AccessLogFormat::Combined,
                    LogForm::Json => AccessLogFormat::Json,
                },
                reqlog: self.reqlog.clone(),
                reqlog_format: self.log_format,
            },
            hook: None,
        }
    }

    /// The script, running.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn hook(&self) -> Result<Option<AnyHook>, ConfigError> {
        let block = usize::try_from(self.block_size).unwrap_or(usize::MAX);
        self.script.start(block.clamp(1, MOST_BLOCK))
    }

    /// The options of TLS.
    pub fn tls(&self) -> TlsOptions {
        TlsOptions {
            cert: self.cert.clone(),
            pkey: self.pkey.clone(),
            self_signed: self.self_signed,
            client_ca: self.client_ca.clone(),
            client_auth: match self.client_auth {
                Certificates::Required => ClientAuth::Required,
                Certificates::Optional => ClientAuth::Optional,
            },
        }
    }

    /// The users file: the one that was named, or else the usual one, if there is one.
    pub fn users_file(&self) -> Option<PathBuf> {
        self.users.clone().or_else(|| default_users_file().filter(|usual| usual.exists()))
    }

    /// Where the operator is answered.
    pub fn admin(&self) -> Option<SocketAddr> {
        self.admin
    }

    /// The inputs.
    ///
    /// # Errors
    /// One that has no destination, or a property that means nothing.
    pub fn inputs(&self) -> Result<Vec<Input>, ConfigError> {
        self.live.inputs(&self.dst)
    }

    /// Which of the options that say where to listen are given.
    pub fn where_to_listen(&self) -> Vec<&'static str> {
        let all = [
            ("dst", self.urls().next().is_some()),
            ("port", self.port.is_some()),
            ("ifce", self.ifce.is_some()),
        ];
        all.into_iter().filter(|(_, is_given)| *is_given).map(|(name, _)| name).collect()
    }

    /// How long requests may go on after the first signal to end.
    pub fn grace(&self) -> Duration {
        self.grace
    }

    /// The form of the log.
    pub fn log_format(&self) -> LogFormat {
        self.log_format
    }

    /// The file that options were read from.
    pub fn config_file(&self) -> Option<&Path> {
        self.config.as_deref()
    }

    /// What is odd about the options and their sources, but does not keep the server from starting.
    pub fn warnings(&self) -> Vec<String> {
        let shows_password = |dst: &Destination| {
            let authority = dst.text.split_once("://").map_or("", |(_, url)| url);
            let authority = authority.split(['/', '?', '#']).next().unwrap_or_default();
            authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'))
        };
        let mut warnings = self.sources.warnings.clone();
        warnings.extend(self.unused());
        if self.is_push()
            && self.sources.origin("dst").is_none()
            && self.dst.iter().any(shows_password)
        {
            warnings.push(format!(
                "other users of this machine can see the password in dst: give it with --auth-file or in the variable {}",
                auth::VARIABLE
            ));
        }
        warnings
    }

    /// The error as text, with the source of its option first if that is not the command line.
    pub fn explain(&self, error: &ConfigError) -> String {
        match self.sources.origin(error.option) {
            Some(origin) => format!("{origin}: {error}"),
            None => error.to_string(),
        }
    }
}
