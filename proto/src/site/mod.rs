//! What a server offers: options, mounts, directories. Built once, shared, never changed.

use std::{
    path::{Component, PathBuf},
    sync::Arc,
    time::Duration,
};

use crate::{
    effect::{Place, RelPath, RootId},
    error::ConfigError,
    limits::Limits,
};

/// The options of the file server, by the seed's names. Fill in what differs from [`Config::default`], then
/// [`check`](Config::check) it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Directories to expose for read. One is the root `/`; of several, each is mounted under its own name.
    pub rdirs: Vec<PathBuf>,
    /// Directory to expose for write. Its name is not part of the URL.
    pub wdir: Option<PathBuf>,
    /// Value of the `Server` field; empty: none.
    pub user_agent: String,
    /// Close the connection after each request.
    pub close: bool,
    /// `Cache-Control` to send; `none` drops it and the validators.
    pub cache_control: Option<String>,
    /// Use chunked transfer coding where a length is not known; else such a body ends with the connection.
    pub cte: bool,
    /// Answer 200 to range requests.
    pub norange: bool,
    /// Form of an answer to several ranges.
    pub multirange: Multirange,
    /// How long a request for a missing path under the write directory waits for an upload to begin.
    pub wait_missing: Duration,
    /// Answer an upload only after data and directory entry are flushed.
    pub durable: bool,
    /// Bounds of a connection; among them `timeout`, `maxs`, `max_client_errors`.
    pub limits: Limits,
}

/// How several ranges are answered (SPEC §4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Multirange {
    /// One part: the bytes one after the other, in the order asked (the seed).
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
            user_agent: concat!("httpout/", env!("CARGO_PKG_VERSION")).into(),
            close: false,
            cache_control: None,
            cte: true,
            norange: false,
            multirange: Multirange::default(),
            wait_missing: Duration::ZERO,
            durable: false,
            limits: Limits::default(),
        }
    }
}

impl Config {
    /// False where `cache_control` is `none`: no ETag and no Last-Modified then.
    pub(crate) fn sends_validators(&self) -> bool {
        self.cache_control.as_deref() != Some("none")
    }

    /// Checks the options and makes of them what sessions share.
    ///
    /// # Errors
    /// The first option that cannot be obeyed.
    pub fn check(self) -> Result<Arc<Site>, ConfigError> {
        let error = |option, problem, help| Err(ConfigError { option, problem, help });
        if self.rdirs.is_empty() && self.wdir.is_none() {
            let problem = "neither a read nor a write directory is given".into();
            return error("rdirs", problem, "name one with --rdirs DIR or --wdir DIR");
        }
        if self.limits.fields > Limits::MOST_FIELDS {
            let problem =
                format!("{} fields are more than {}", self.limits.fields, Limits::MOST_FIELDS);
            return error("limits.fields", problem, "give fewer");
        }
        for (option, value) in
            [("user_agent", Some(&self.user_agent)), ("cache_control", self.cache_control.as_ref())]
        {
            if value.is_some_and(|value| !crate::http1::is_field_value(value.as_bytes())) {
                let problem = "holds a character that a header field cannot carry".into();
                return error(
                    option,
                    problem,
                    "use printable ASCII, without white space at the ends",
                );
            }
        }
        let mut mounts: Vec<Mount> = Vec::new();
        for (index, dir) in self.rdirs.iter().enumerate() {
            let name = match (self.rdirs.len(), dir.file_name()) {
                (1, _) => String::new(),
                (_, Some(name)) => name.to_string_lossy().into_owned(),
                (_, None) => {
                    let problem = format!("{} has no name to be mounted under", dir.display());
                    return error("rdirs", problem, "give its full path");
                }
            };
            if mounts.iter().any(|mount| mount.name == name) {
                let problem = format!("two read directories are named {name}");
                return error("rdirs", problem, "rename one, or serve their common parent");
            }
            mounts.push(Mount { name, root: RootId(index as u16) });
        }
        let mut roots = self.rdirs.clone();
        roots.extend(self.wdir.clone());
        let write = self.wdir.as_ref().map(|_| RootId((roots.len() - 1) as u16));
        let limits = Arc::new(self.limits.clone());
        Ok(Arc::new(Site { config: self, limits, roots, mounts, write }))
    }
}

/// What a server offers; see [`Config::check`].
#[derive(Debug)]
pub struct Site {
    pub(crate) config: Config,
    pub(crate) limits: Arc<Limits>,
    roots: Vec<PathBuf>,
    mounts: Vec<Mount>,
    write: Option<RootId>,
}

#[derive(Debug)]
struct Mount {
    /// First segment of the URL; empty for the root.
    name: String,
    root: RootId,
}

/// What a path in a URL means for reading.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Resolved {
    /// A file or directory.
    Place(Place),
    /// `/` where several directories are mounted.
    Mounts,
    /// Nothing.
    Nothing,
}

impl Site {
    /// The options.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The directories that the runtime is to open, in the order that [`RootId::index`] counts.
    pub fn roots(&self) -> &[PathBuf] {
        &self.roots
    }

    /// Where uploads go.
    pub fn write_root(&self) -> Option<RootId> {
        self.write
    }

    /// The directories mounted for read, with the name that each has in the URL.
    pub fn mounts(&self) -> impl Iterator<Item = (&str, RootId)> {
        self.mounts.iter().map(|mount| (mount.name.as_str(), mount.root))
    }

    /// True if an upload can lead to this place: it lies below the write directory. Told by the names of the directories alone.
    pub(crate) fn may_be_uploaded(&self, place: &Place) -> bool {
        let plain = |root: RootId| -> PathBuf {
            let parts = self.roots[root.index()].components();
            parts.filter(|part| !matches!(part, Component::CurDir)).collect()
        };
        let place_dir = plain(place.root).join(place.path.as_str());
        self.write.is_some_and(|write| {
            let write = plain(write);
            // An absolute and a relative name cannot be compared: better to wait once too often.
            place_dir.is_absolute() != write.is_absolute() || place_dir.starts_with(write)
        })
    }

    pub(crate) fn resolve(&self, path: &RelPath) -> Resolved {
        match self.mounts.as_slice() {
            [] => Resolved::Nothing,
            [only] if only.name.is_empty() => {
                Resolved::Place(Place { root: only.root, path: path.clone() })
            }
            _ if path.is_root() => Resolved::Mounts,
            mounts => {
                let (first, rest) = path.as_str().split_once('/').unwrap_or((path.as_str(), ""));
                let mount = mounts.iter().find(|mount| mount.name == first);
                match (mount, RelPath::new(rest)) {
                    (Some(mount), Some(path)) => Resolved::Place(Place { root: mount.root, path }),
                    (Some(_), None) | (None, _) => Resolved::Nothing,
                }
            }
        }
    }
}
