//! Opening the directories when the server starts.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use httpout_proto::{
    ConfigError, Site,
    live::retention,
    site::{MEMORY, is_memory},
};
use rustix::{
    fs::{Access, AtFlags, Mode, OFlags, accessat, open},
    io::Errno,
};

use super::{
    Base, Lasting, Roots,
    aliases::RuledDirs,
    beneath::{Guard, Links, Root},
    cache::Cache,
    lock::{LockedDir, Locks},
    memory::{Bounds, Memory},
    segments::Segments,
    sweep::{Swept, sweep},
    sys::{LOOK, memory_file},
};

impl Roots {
    /// Opens the directories of `site`. A write directory that is missing is made, with its
    /// parents. Part files that a server left behind that died are removed, but recordings are put
    /// in place.
    ///
    /// # Errors
    /// The first directory that cannot be used.
    pub fn open(site: &Site) -> Result<Arc<Self>, ConfigError> {
        let locks = Locks::new();
        let (memory, segments) = (Arc::new(Memory::new()), Segments::default());
        let roots = Self::with(site, Arc::new(Lasting { locks, memory, segments }))?;
        if roots.directories().any(|root| root.guard() == Guard::Comparison) {
            tracing::warn!(
                "this kernel lacks openat2 (or a sandbox forbids it): paths are compared instead, so do not let \
                 others make symbolic links below the served directories"
            );
        }
        let opened = |id| {
            let root = roots.directory(id).ok()?;
            Some((root.directory("").ok()?, root.path.as_path()))
        };
        for (dir, path) in site.writable_roots().filter_map(opened) {
            let mut swept = Swept::default();
            sweep(&dir, path, &mut swept);
            if swept.removed > 0 {
                let count = swept.removed;
                tracing::info!(count, "removed part files of uploads that a crash interrupted");
            }
            for file in swept.recovered {
                tracing::warn!(
                    "a crash interrupted a recording: what there is of it is {}",
                    file.display()
                );
            }
        }
        Ok(Arc::new(roots))
    }

    /// Opens the directories of a site that takes the place of another, whose uploads may go on.
    ///
    /// # Errors
    /// The first directory that cannot be used.
    pub fn reopen(&self, site: &Site) -> Result<Arc<Self>, ConfigError> {
        Self::with(site, self.lasting.clone()).map(Arc::new)
    }

    fn with(site: &Site, lasting: Arc<Lasting>) -> Result<Self, ConfigError> {
        let config = site.config();
        let is_on_disk = |dir: &&PathBuf| !is_memory(dir);
        if let Some(wdir) = config.write_dir.as_ref().filter(is_on_disk) {
            make("wdir", wdir)?;
        }
        if let Some(dir) = config.read_dirs.first().filter(|_| config.record).filter(is_on_disk) {
            make("rdirs", dir)?;
        }
        let ruled = RuledDirs::new(&config.rules)?;
        let writable: Vec<_> = site.writable_roots().map(|root| root.index()).collect();
        let links = Links { judged: !config.rules.is_empty(), which: config.symlinks };
        let roots: Vec<Base> = site
            .roots()
            .iter()
            .enumerate()
            .map(|(index, path)| {
                let is_writable = writable.contains(&index);
                if is_memory(path) {
                    return try_memory(is_writable);
                }
                open_root(path, is_writable, &ruled, links).map(Base::Directory)
            })
            .collect::<Result<_, _>>()?;
        let rules = config.rules.iter().map(|rule| rule.dir.clone());
        let mut all = Self {
            roots,
            ids: site.root_ids().collect(),
            kept: rules.collect(),
            ruled,
            lasting,
            bounds: Bounds {
                bytes: config.memory_max,
                segments: retention::most_in_memory(config.kept_segments),
            },
            segments_on_disk: retention::most_on_disk(config.kept_segments),
            cache: Cache::default(),
            provisional: Mutex::default(),
        };
        for root in site.writable_roots().filter_map(|id| all.directory(id).ok()) {
            if let Err(error) = LockedDir::try_lock(root.handle()) {
                let dir = root.path.display();
                tracing::warn!(
                    "{dir} cannot be locked: {error}. Let no other server write there: one could undo \
                     the changes of the other"
                );
            }
        }
        let dirs: Vec<_> = all.directories().map(|root| root.path.clone()).collect();
        all.kept.extend(dirs);
        Ok(all)
    }
}

/// Some systems have no files without a disk.
fn try_memory(is_writable: bool) -> Result<Base, ConfigError> {
    memory_file().map(|_| Base::Memory).map_err(|why| ConfigError {
        option: if is_writable { "wdir" } else { "rdirs" },
        problem: format!("{MEMORY}: this system keeps no files in memory: {why}"),
        help: "name a directory; ./gmem is one",
    })
}

/// Makes a directory that is to be written to, and its parents, where they are missing.
fn make(option: &'static str, path: &Path) -> Result<(), ConfigError> {
    match fs::create_dir_all(path) {
        Ok(()) => Ok(()),
        // What is there is judged when it is opened.
        Err(_) if path.exists() => Ok(()),
        Err(why) => Err(ConfigError {
            option,
            problem: format!("{} does not exist and cannot be made: {why}", path.display()),
            help: "check the spelling, make it with its parents, or name another",
        }),
    }
}

fn open_root(
    path: &Path,
    write: bool,
    ruled: &RuledDirs,
    links: Links,
) -> Result<Root, ConfigError> {
    let option = if write { "wdir" } else { "rdirs" };
    let shown = path.display();
    let error = |problem, help| ConfigError { option, problem, help };
    let fd = open(path, LOOK | OFlags::DIRECTORY, Mode::empty());
    let fd = fd.map_err(|why| match why {
        // It could be a rule file that is missing: to serve an empty directory in its place would
        // be to serve without rules.
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
    let spelled = ruled.spell_top(&canonical);
    Ok(Root::new(fd, canonical, spelled, links))
}
