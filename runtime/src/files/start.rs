//! Opening the directories when the server starts.

use std::{
    fs, io,
    path::Path,
    sync::{Arc, Mutex},
};

use httpout_proto::{ConfigError, Site};
use rustix::{
    fs::{Access, AtFlags, Mode, OFlags, accessat, open},
    io::Errno,
};

use super::{
    LOCKS, Locks, Roots,
    beneath::{Guard, Root},
    cache::Cache,
    sweep::sweep,
    sys::LOOK,
};

impl Roots {
    /// Opens the directories of `site`. A write directory that is missing is made, if its parent exists. Part files that a
    /// server left behind that died are removed.
    ///
    /// # Errors
    /// The first directory that cannot be used.
    pub fn open(site: &Site) -> Result<Arc<Self>, ConfigError> {
        let locks = Locks {
            locks: std::array::from_fn::<_, LOCKS, _>(|_| Mutex::default()),
            hasher: std::hash::RandomState::new(),
        };
        let roots = Self::with(site, Arc::new(locks))?;
        if roots.roots.iter().any(|root| root.guard() == Guard::Comparison) {
            tracing::warn!(
                "this kernel lacks openat2 (or a sandbox forbids it): paths are compared instead, so do not let \
                 others make symbolic links below the served directories"
            );
        }
        for dir in site.writable_roots().filter_map(|id| roots.roots[id.index()].directory("").ok())
        {
            let count = sweep(&dir);
            if count > 0 {
                tracing::info!(count, "removed part files of uploads that a crash interrupted");
            }
        }
        Ok(Arc::new(roots))
    }

    /// Opens the directories of a site that takes the place of another, whose uploads may go on.
    ///
    /// # Errors
    /// The first directory that cannot be used.
    pub fn reopen(&self, site: &Site) -> Result<Arc<Self>, ConfigError> {
        Self::with(site, self.locks.clone()).map(Arc::new)
    }

    fn with(site: &Site, locks: Arc<Locks>) -> Result<Self, ConfigError> {
        let config = site.config();
        if let Some(wdir) = &config.wdir {
            make("wdir", wdir)?;
        }
        if let Some(dir) = config.rdirs.first().filter(|_| config.record) {
            make("rdirs", dir)?;
        }
        let writable: Vec<_> = site.writable_roots().map(|root| root.index()).collect();
        let roots: Vec<Root> = site
            .roots()
            .iter()
            .enumerate()
            .map(|(index, path)| {
                open_root(path, writable.contains(&index), config.rules.is_empty())
            })
            .collect::<Result<_, _>>()?;
        let rules = config.rules.iter().map(|rule| rule.dir.clone());
        let kept = roots.iter().map(|root| root.path.clone()).chain(rules).collect();
        Ok(Self { roots, kept, locks, cache: Cache::default(), provisional: Mutex::default() })
    }
}

/// Makes a directory that is to be written to, if it is missing.
fn make(option: &'static str, path: &Path) -> Result<(), ConfigError> {
    let shown = path.display();
    let error = |problem, help| Err(ConfigError { option, problem, help });
    match fs::create_dir(path) {
        Ok(()) => Ok(()),
        Err(why) if why.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(why) if why.kind() == io::ErrorKind::NotFound => {
            let help = "check the spelling, or make the parent";
            error(format!("neither {shown} nor its parent exists"), help)
        }
        Err(_) if path.exists() => Ok(()),
        Err(why) => error(
            format!("{shown} does not exist and cannot be made: {why}"),
            "make it, or name another",
        ),
    }
}

fn open_root(path: &Path, write: bool, links: bool) -> Result<Root, ConfigError> {
    let option = if write { "wdir" } else { "rdirs" };
    let shown = path.display();
    let error = |problem, help| ConfigError { option, problem, help };
    let fd = open(path, LOOK | OFlags::DIRECTORY, Mode::empty());
    let fd = fd.map_err(|why| match why {
        // It could be a rule file that is missing: to serve an empty directory in its place would be to serve without rules.
        Errno::NOENT => {
            error(format!("{shown} does not exist"), "check the spelling, or make the directory")
        }
        Errno::NOTDIR => {
            error(format!("{shown} is not a directory"), "name the directory that holds it")
        }
        other => error(
            format!("{shown} cannot be opened: {other}"),
            "check its permissions, or name another",
        ),
    })?;
    let may = |access| accessat(&fd, ".", access, AtFlags::empty());
    may(Access::EXEC_OK).map_err(|why| {
        error(format!("{shown} cannot be entered: {why}"), "give this user permission x on it")
    })?;
    if write {
        may(Access::WRITE_OK).map_err(|why| {
            let help = "give this user permission to write there, or name another";
            error(format!("{shown} cannot be written to: {why}"), help)
        })?;
    }
    let canonical = fs::canonicalize(path).map_err(|why| {
        error(format!("the full path of {shown} cannot be told: {why}"), "give its full path")
    })?;
    Ok(Root::new(fd, canonical, links))
}
