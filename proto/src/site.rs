//! What a server offers: options, mounts, directories, rights. Built once, shared, never changed.

pub mod cors;
pub mod headers;
mod mounts;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

pub use cors::Cors;
pub(crate) use mounts::{Action, Resolved};

use self::mounts::Mounts;
use crate::{
    auth::{Rule, Users},
    error::ConfigError,
    fs::{Place, RelPath, RootId},
    http::HeaderList,
    limits::Limits,
};

/// The options of the file server. Set the fields that differ from [`Config::default`], then
/// [`check`](Config::check) it. A field that has another name than the option of the command line
/// is found by that name too.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Directories to expose for read. One is the root `/`; of several, each is mounted under its
    /// own name. [`MEMORY`] is no directory: its files are kept in memory.
    #[doc(alias = "rdirs")]
    pub read_dirs: Vec<PathBuf>,
    /// Directory to expose for write, or [`MEMORY`]. Its name is not part of the URL.
    #[doc(alias = "wdir")]
    pub write_dir: Option<PathBuf>,
    /// Most that is kept in memory, in bytes, uploads in progress included.
    #[doc(alias = "gmem_max")]
    pub memory_max: u64,
    /// Segments of a quality that are kept: [`retention`](crate::live::retention).
    #[doc(alias = "max_cache_segs")]
    pub kept_segments: i32,
    /// The sections of rule files: which directories are mounted, and which users may read and
    /// write. Each `dir` absolute and without symbolic links, since rights are looked up by real
    /// paths.
    pub rules: Vec<Rule>,
    /// The users and groups that the rules name.
    pub users: Users,
    /// Take passwords from other machines without TLS too.
    pub insecure_auth: bool,
    /// List directories.
    #[doc(alias = "dlist")]
    pub list_directories: bool,
    /// Name of the file that is served for a directory that holds one, whether directories are
    /// listed or not. `None`: no file is.
    pub index: Option<String>,
    /// Which symbolic links below the directories are followed.
    pub symlinks: Symlinks,
    /// Value of the `Server` field; empty: none.
    #[doc(alias = "user_agent")]
    pub server_header: String,
    /// Close the connection after each request.
    #[doc(alias = "close")]
    pub close_connections: bool,
    /// `Cache-Control` to send; `none` drops it and the validators.
    pub cache_control: Option<String>,
    /// Add `Server-UTC`, the time in milliseconds since 1970.
    #[doc(alias = "sutc")]
    pub server_utc: bool,
    /// When responses carry the fields that let pages of other origins read them.
    pub cors: Cors,
    /// Live resources may exist: each path is looked up among them first.
    pub live: bool,
    /// Clients may send live resources as Icecast's source clients do: PUT without a length, or
    /// SOURCE, until the connection ends. With rules, the client needs the right to write.
    pub icecast: bool,
    /// Uploads go to the embedding program instead of the disk, and no file is served (the server
    /// source): only PUT and POST are allowed. With rules, the client needs the right to write.
    pub source: bool,
    /// Inputs are written to the first of `read_dirs`, and served meanwhile (the file sink).
    pub record: bool,
    /// Responses with a live resource describe it: `icy-…` and `ice-…` fields, and titles inside
    /// the stream for clients that send `Icy-MetaData: 1`.
    #[doc(alias = "ice")]
    pub icy: bool,
    /// Names and values of fields that every response carries.
    #[doc(alias = "hdrs")]
    pub extra_headers: Vec<(String, String)>,
    /// Largest text, in bytes, that is compressed for clients that accept it; 0: none; at most
    /// 16 MiB.
    #[doc(alias = "zmax")]
    pub compress_max: u64,
    /// Use chunked transfer coding where a length is not known; else such a body ends with the
    /// connection.
    #[doc(alias = "cte")]
    pub chunked: bool,
    /// Answer 200 to range requests.
    #[doc(alias = "norange")]
    pub ignore_ranges: bool,
    /// Form of the response to several ranges.
    pub multirange: Multirange,
    /// How long a request for a missing path under the write directory waits for an upload to
    /// begin.
    pub wait_missing: Duration,
    /// Confirm an upload only after its data and directory entry are flushed.
    pub durable: bool,
    /// Each request waits for the decision of a [`hook`](crate::hook).
    pub hook: bool,
    /// Directories without a URL; the hook may name files in them, as in `read_dirs`.
    pub hook_dirs: Vec<PathBuf>,
    /// Reports carry the request, for a log: [`Report::asked`](crate::Report::asked).
    pub log: bool,
    /// The begin of each request is reported, too:
    /// [`LogEffect::Begun`](crate::effect::LogEffect::Begun).
    pub log_begin: bool,
    /// Bounds of a connection; among them the options `timeout`, `maxs`, `max_client_errors`.
    pub limits: Limits,
}

/// What names the memory in place of a directory, spelt just so: `./gmem` is a directory.
pub const MEMORY: &str = "gmem";

/// True if this names the [memory](MEMORY).
pub fn is_memory(path: &Path) -> bool {
    path.as_os_str() == MEMORY
}

/// Largest value of [`Config::compress_max`].
const MOST_COMPRESSED: u64 = 16 << 20;

/// Which symbolic links are followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Symlinks {
    /// Those that lead to a place below the same directory.
    #[default]
    Inside,
    /// All. With rules, only those that lead below one of the directories: no rule covers files
    /// elsewhere.
    All,
}

/// Form of the response to several ranges (RFC 9110 §14.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Multirange {
    /// One part: the bytes one after the other, in the order asked.
    #[default]
    Concat,
    /// `multipart/byteranges` (RFC 9110 §14.6), in the order asked.
    Multipart,
    /// `multipart/byteranges`, after sorting and joining ranges that overlap or touch.
    Merge,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            read_dirs: Vec::new(),
            write_dir: None,
            memory_max: 256 << 20,
            kept_segments: 5,
            rules: Vec::new(),
            users: Users::default(),
            insecure_auth: false,
            list_directories: false,
            index: None,
            symlinks: Symlinks::default(),
            server_header: concat!("httpout/", env!("CARGO_PKG_VERSION")).into(),
            close_connections: false,
            cache_control: None,
            server_utc: false,
            cors: Cors::default(),
            live: false,
            icecast: false,
            source: false,
            record: false,
            icy: false,
            extra_headers: Vec::new(),
            compress_max: 50_000,
            chunked: true,
            ignore_ranges: false,
            multirange: Multirange::default(),
            wait_missing: Duration::ZERO,
            durable: false,
            hook: false,
            hook_dirs: Vec::new(),
            log: false,
            log_begin: false,
            limits: Limits::default(),
        }
    }
}

impl Config {
    /// False where `cache_control` is `none`: no ETag and no Last-Modified then.
    pub(crate) fn sends_validators(&self) -> bool {
        self.cache_control.as_deref() != Some("none")
    }

    /// An option that a source has no use for.
    fn not_for_a_source(&self) -> Option<&'static str> {
        let given = [
            ("rdirs", !self.read_dirs.is_empty()),
            ("wdir", self.write_dir.is_some()),
            ("icecast", self.icecast),
            ("input", self.live || self.record),
        ];
        given.into_iter().find(|(_, given)| *given).map(|(option, _)| option)
    }

    /// Checks the options and makes of them what sessions share.
    ///
    /// # Errors
    /// The first option that cannot be obeyed.
    pub fn check(mut self) -> Result<Arc<Site>, ConfigError> {
        let error = |option, problem, help| Err(ConfigError { option, problem, help });
        let stores =
            !self.read_dirs.is_empty() || self.write_dir.is_some() || !self.rules.is_empty();
        if !stores && !self.live && !self.icecast && !self.source && !self.hook {
            let problem = "neither a read nor a write directory is given".into();
            return error("rdirs", problem, "name one with --rdirs DIR or --wdir DIR");
        }
        if self.source
            && let Some(option) = self.not_for_a_source()
        {
            let problem = "does not go with hmode source, which neither stores nor serves".into();
            return error(option, problem, "leave one of them out");
        }
        if self.record && self.read_dirs.is_empty() {
            let problem = "inputs cannot be written to what a rule file names".into();
            return error("rdirs", problem, "name a directory first");
        }
        if self.limits.fields > Limits::MOST_FIELDS {
            let problem =
                format!("{} fields are more than {}", self.limits.fields, Limits::MOST_FIELDS);
            return error("limits.fields", problem, "give fewer");
        }
        if self.compress_max > MOST_COMPRESSED {
            let problem = format!("{} bytes are more than {MOST_COMPRESSED}", self.compress_max);
            return error("zmax", problem, "give less: a text is compressed in memory, at one go");
        }
        for (option, value) in [
            ("user_agent", Some(&self.server_header)),
            ("cache_control", self.cache_control.as_ref()),
        ] {
            if value.is_some_and(|value| !crate::http::is_field_value(value.as_bytes())) {
                let problem = "holds a character that a header field cannot carry".into();
                return error(
                    option,
                    problem,
                    "use printable ASCII, without white space at the ends",
                );
            }
        }
        let is_segment = |name: &&String| {
            let path = RelPath::new(name)
                .filter(|path| !path.is_root() && path.parent().is_some_and(|it| it.is_root()));
            path.is_some_and(|path| !path.is_reserved())
        };
        if let Some(name) = self.index.as_ref().filter(|name| !is_segment(name)) {
            let problem = format!("{name:?} is not the name of a file in a directory");
            return error("index", problem, "write, say, --index index.html");
        }
        let headers = headers::check(&self.extra_headers).map_err(|problem| ConfigError {
            option: "hdrs",
            problem,
            help: "leave it out, or name another field",
        })?;
        self.live |= self.icecast;
        let mounts = Mounts::new(&self)?;
        let other_methods = self.hook || self.limits.other_methods;
        let limits = Arc::new(Limits { other_methods, ..self.limits.clone() });
        Ok(Arc::new(Site { config: self, limits, headers, mounts }))
    }
}

/// What a server offers; see [`Config::check`].
#[derive(Debug)]
pub struct Site {
    pub(crate) config: Config,
    pub(crate) limits: Arc<Limits>,
    pub(crate) headers: HeaderList,
    pub(crate) mounts: Mounts,
}

impl Site {
    /// The options.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The directories that the runtime is to open, in the order that [`RootId::index`] counts; one
    /// may be the [memory](MEMORY).
    pub fn roots(&self) -> &[PathBuf] {
        self.mounts.roots()
    }

    /// What effects call these directories, in the same order.
    pub fn root_ids(&self) -> impl Iterator<Item = RootId> {
        (0..self.roots().len()).map(|index| RootId(index as u16))
    }

    /// The directories that are written to: by uploads, or by the server itself.
    pub fn writable_roots(&self) -> impl Iterator<Item = RootId> {
        self.uploads().chain(self.mounts.record())
    }

    /// The directories that uploads may lead to.
    pub fn uploads(&self) -> impl Iterator<Item = RootId> {
        self.mounts.uploads()
    }

    /// A file below one of the directories, by its path; a relative one counts from `cwd`, as do
    /// the directories. Of several that hold it, the one whose path is longest. Nothing is looked
    /// at: links are followed later, as far as they do not lead out.
    pub fn place(&self, path: &Path, cwd: &Path) -> Option<Place> {
        let path = cwd.join(path);
        let below = self.roots().iter().enumerate().filter_map(|(index, root)| {
            let root = cwd.join(root);
            let rest = path.strip_prefix(&root).ok()?.to_str()?.to_owned();
            Some((root.components().count(), index, rest))
        });
        let (_, index, rest) = below.max()?;
        let plain: Vec<&str> = rest.split('/').filter(|it| !matches!(*it, "" | ".")).collect();
        Some(Place { root: RootId(index as u16), path: RelPath::new(&plain.join("/"))? })
    }

    /// Where the file sink writes a resource of this path, if there is one.
    pub fn recorded(&self, path: &RelPath) -> Option<Place> {
        self.mounts.record().map(|root| Place { root, path: path.clone() })
    }

    /// Where each directory stands in the URL, without slashes at the ends; `None`: a virtual
    /// service.
    pub fn mounts(&self) -> impl Iterator<Item = (&str, Option<RootId>)> {
        self.mounts.iter()
    }
}
