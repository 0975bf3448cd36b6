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

/// The options of the file server, by the names of the original. Fill in what differs from
/// [`Config::default`], then [`check`](Config::check) it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Directories to expose for read. One is the root `/`; of several, each is mounted under its
    /// own name. [`MEMORY`] is no directory: its files are kept in memory.
    pub rdirs: Vec<PathBuf>,
    /// Directory to expose for write, or [`MEMORY`]. Its name is not part of the URL.
    pub wdir: Option<PathBuf>,
    /// Most that is kept in memory, in bytes, uploads in progress included.
    pub gmem_max: u64,
    /// Segments of a quality that are kept: [`retention`](crate::live::retention).
    pub max_cache_segs: i32,
    /// The sections of rule files: which directories are mounted, and who may read and write them.
    /// Each `dir` absolute and without symbolic links, since rights are looked up by real paths.
    pub rules: Vec<Rule>,
    /// Who the rules speak of.
    pub users: Users,
    /// Take passwords from other machines without TLS too.
    pub insecure_auth: bool,
    /// List directories.
    pub dlist: bool,
    /// Name of the file that is served for a directory that holds one, whether directories are
    /// listed or not. `None`: no file is.
    pub index: Option<String>,
    /// Which symbolic links below the directories are followed.
    pub symlinks: Symlinks,
    /// Value of the `Server` field; empty: none.
    pub user_agent: String,
    /// Close the connection after each request.
    pub close: bool,
    /// `Cache-Control` to send; `none` drops it and the validators.
    pub cache_control: Option<String>,
    /// Add `Server-UTC`, the time in milliseconds since 1970.
    pub sutc: bool,
    /// When answers carry the fields that let pages of other origins read them.
    pub cors: Cors,
    /// There may be live resources: each path is first looked for among them.
    pub live: bool,
    /// Clients may send live resources as Icecast's source clients do: PUT without a length, or
    /// SOURCE, until the connection ends. Where there are rules, these say who may.
    pub icecast: bool,
    /// Uploads are handed on, each to whoever takes it, instead of being stored, and nothing is
    /// served (the server source): PUT and POST alone are answered. Where there are rules, they say
    /// who may upload.
    pub source: bool,
    /// Inputs are written to the first of `rdirs`, and served while they are (the file sink).
    pub record: bool,
    /// Answers with a live resource say what it is (`ice`): `icy-…` and `ice-…` fields, and titles
    /// inside the stream for who wants them.
    pub ice: bool,
    /// More fields for every answer: names and values.
    pub hdrs: Vec<(String, String)>,
    /// Largest text, in bytes, that is sent compressed to who accepts it; 0: none; at most 16 MiB.
    pub zmax: u64,
    /// Use chunked transfer coding where a length is not known; else such a body ends with the
    /// connection.
    pub cte: bool,
    /// Answer 200 to range requests.
    pub norange: bool,
    /// Form of an answer to several ranges.
    pub multirange: Multirange,
    /// How long a request for a missing path under the write directory waits for an upload to
    /// begin.
    pub wait_missing: Duration,
    /// Answer an upload only after data and directory entry are flushed.
    pub durable: bool,
    /// Each request waits for a verdict: [`hook`](crate::hook).
    pub hook: bool,
    /// Directories that nobody is served by URL; the hook may name files in them, as in `rdirs`.
    pub hook_dirs: Vec<PathBuf>,
    /// Reports of requests tell what was asked, for a log: [`Report::asked`](crate::Report::asked).
    pub log: bool,
    /// Requests are told when they begin, too:
    /// [`LogEffect::Begun`](crate::effect::LogEffect::Begun).
    pub log_begin: bool,
    /// Bounds of a connection; among them `timeout`, `maxs`, `max_client_errors`.
    pub limits: Limits,
}

/// What names the memory in place of a directory, spelt just so: `./gmem` is a directory.
pub const MEMORY: &str = "gmem";

/// True if this names the [memory](MEMORY).
pub fn is_memory(path: &Path) -> bool {
    path.as_os_str() == MEMORY
}

/// The largest that `zmax` can be.
const MOST_ZMAX: u64 = 16 << 20;

/// Which symbolic links are followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Symlinks {
    /// Those that lead to a place below the same directory.
    #[default]
    Inside,
    /// All. Where there are rules, those that lead below one of the directories: what lies
    /// elsewhere has no rule that says who may.
    All,
}

/// How several ranges are answered.
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
            rdirs: Vec::new(),
            wdir: None,
            gmem_max: 256 << 20,
            max_cache_segs: 5,
            rules: Vec::new(),
            users: Users::default(),
            insecure_auth: false,
            dlist: false,
            index: None,
            symlinks: Symlinks::default(),
            user_agent: concat!("httpout/", env!("CARGO_PKG_VERSION")).into(),
            close: false,
            cache_control: None,
            sutc: false,
            cors: Cors::default(),
            live: false,
            icecast: false,
            source: false,
            record: false,
            ice: false,
            hdrs: Vec::new(),
            zmax: 50_000,
            cte: true,
            norange: false,
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
            ("rdirs", !self.rdirs.is_empty()),
            ("wdir", self.wdir.is_some()),
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
        let stores = !self.rdirs.is_empty() || self.wdir.is_some() || !self.rules.is_empty();
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
        if self.record && self.rdirs.is_empty() {
            let problem = "inputs cannot be written to what a rule file names".into();
            return error("rdirs", problem, "name a directory first");
        }
        if self.limits.fields > Limits::MOST_FIELDS {
            let problem =
                format!("{} fields are more than {}", self.limits.fields, Limits::MOST_FIELDS);
            return error("limits.fields", problem, "give fewer");
        }
        if self.zmax > MOST_ZMAX {
            let problem = format!("{} bytes are more than {MOST_ZMAX}", self.zmax);
            return error("zmax", problem, "give less: a text is compressed in memory, at one go");
        }
        for (option, value) in
            [("user_agent", Some(&self.user_agent)), ("cache_control", self.cache_control.as_ref())]
        {
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
        let headers = headers::check(&self.hdrs).map_err(|problem| ConfigError {
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
