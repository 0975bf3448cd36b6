//! One directory under several names: where a file system ignores case or knows short names, and
//! where a directory is mounted twice. Rules speak of directories, so a request must find the rule
//! of a directory by each of its names.
//!
//! A directory is recognised by its device and inode. Some file systems (many of FUSE, some network
//! mounts) number the same directory again for each name; there the names themselves are compared
//! without case, and the listing of the directory above says whether both names exist.

use std::{
    cell::OnceCell,
    ffi::OsStr,
    fs, io,
    path::{Component, Path, PathBuf},
};

use httpout_proto::{ConfigError, auth::Rule};
use rustix::fs::{AtFlags, CWD, Stat, statat};

/// Device and inode.
type Identity = (u64, u64);

/// The directories that rules speak of.
#[derive(Debug, Default)]
pub(super) struct RuledDirs {
    dirs: Vec<Ruled>,
}

#[derive(Debug)]
struct Ruled {
    path: PathBuf,
    /// The path without case, to be compared with those of requests.
    folded: Vec<String>,
}

/// What is known about the rule of a path without waiting for the disk.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Spelling {
    /// The path as rules spell it.
    Known(PathBuf),
    /// Only the names in a directory can tell: [`RuledDirs::spell`].
    Unclear,
}

impl RuledDirs {
    /// # Errors
    /// Two rules are about one directory under different names.
    pub(super) fn new(rules: &[Rule]) -> Result<Self, ConfigError> {
        let dirs =
            rules.iter().map(|rule| Ruled { path: rule.dir.clone(), folded: folded(&rule.dir) });
        let all = Self { dirs: dirs.collect() };
        for (at, rule) in rules.iter().enumerate() {
            let is_same = |other: &&Rule| {
                let same = identity(&rule.dir).is_some_and(|id| identity(&other.dir) == Some(id));
                same || is_alias(&rule.dir, &other.dir)
            };
            if let Some(other) = rules[..at].iter().find(is_same) {
                let problem = format!(
                    "{} and {} are about one directory: {} is {}",
                    other.place(),
                    rule.place(),
                    rule.dir.display(),
                    other.dir.display()
                );
                let help = "put both sections together";
                return Err(ConfigError { option: "rdirs", problem, help });
            }
        }
        Ok(all)
    }

    /// The absolute path `top`, and all above it, as rules spell it.
    pub(super) fn spell_top(&self, top: &Path) -> PathBuf {
        self.spell(Path::new("/"), top, |path| statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW).ok())
    }

    /// The real path `real`, which lies below `top`, as the rules spell it: where a part of it is a
    /// directory that a rule speaks of by another name, that name takes its place. `look` looks at
    /// what lies below `top`. The names in directories are read where they alone can tell.
    ///
    /// The deepest such directory counts, as does the deepest rule for a path that is spelled as
    /// the rules spell it.
    pub(super) fn spell(
        &self,
        top: &Path,
        real: &Path,
        look: impl Fn(&Path) -> Option<Stat>,
    ) -> PathBuf {
        let known = self.search(top, real, look, is_alias);
        known.unwrap_or_else(|| real.to_owned())
    }

    /// As [`spell`](Self::spell), without reading directories.
    pub(super) fn spell_cached(
        &self,
        top: &Path,
        real: &Path,
        look: impl Fn(&Path) -> Option<Stat>,
    ) -> Spelling {
        let unclear = OnceCell::new();
        let known = self.search(top, real, look, |_, _| {
            let _ = unclear.set(());
            true
        });
        match (unclear.get(), known) {
            (Some(()), _) => Spelling::Unclear,
            (None, known) => Spelling::Known(known.unwrap_or_else(|| real.to_owned())),
        }
    }

    /// `None`: no part of it below `top` is a directory of a rule.
    fn search(
        &self,
        top: &Path,
        real: &Path,
        look: impl Fn(&Path) -> Option<Stat>,
        is_alias: impl Fn(&Path, &Path) -> bool,
    ) -> Option<PathBuf> {
        // Read afresh for each request: something may be mounted over a directory of a rule at any
        // time.
        let identities = OnceCell::new();
        let of_rules =
            || identities.get_or_init(|| self.dirs.iter().map(|dir| identity(&dir.path)).collect());
        for part in real.ancestors().take_while(|part| *part != top) {
            if self.dirs.iter().any(|dir| dir.path == part) {
                return Some(real.to_owned());
            }
            let found = look(part).as_ref().map(identity_of);
            let of_rules: &Vec<Option<Identity>> = of_rules();
            let by_identity =
                self.dirs.iter().zip(of_rules).find(|(_, id)| id.is_some() && **id == found);
            let by_name = || {
                let folded = folded(part);
                let alike = self.dirs.iter().filter(|dir| dir.folded == folded);
                alike.into_iter().find(|dir| is_alias(&dir.path, part))
            };
            if let Some(dir) = by_identity.map(|(dir, _)| dir).or_else(by_name) {
                let rest = real.strip_prefix(part).unwrap_or_else(|_| Path::new(""));
                let is_whole = rest.as_os_str().is_empty();
                return Some(if is_whole { dir.path.clone() } else { dir.path.join(rest) });
            }
        }
        None
    }
}

/// `None`: it does not exist.
fn identity(path: &Path) -> Option<Identity> {
    statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW).ok().as_ref().map(identity_of)
}

fn identity_of(stat: &Stat) -> Identity {
    (stat.st_dev, stat.st_ino)
}

/// The names on the way, as they compare where case does not count.
fn folded(path: &Path) -> Vec<String> {
    path.components().map(|part| fold(part.as_os_str())).collect()
}

fn fold(name: &OsStr) -> String {
    // FAT ignores dots and spaces at the end.
    name.to_string_lossy().trim_end_matches(['.', ' ']).to_lowercase()
}

/// True if two paths that differ in case alone are of one directory, as far as names can tell:
/// where they differ, one of both names leads there without being in the directory. Where neither
/// exists, they count as one: the file system may ignore case.
fn is_alias(a: &Path, b: &Path) -> bool {
    let (mut way_a, mut way_b) = (PathBuf::new(), PathBuf::new());
    let mut parts = a.components().zip(b.components());
    a.components().count() == b.components().count()
        && parts.all(|(a, b)| {
            let same = is_same_name((&way_a, a), (&way_b, b));
            way_a.push(a);
            way_b.push(b);
            same
        })
}

fn is_same_name((dir_a, a): (&Path, Component<'_>), (dir_b, b): (&Path, Component<'_>)) -> bool {
    if a == b {
        return true;
    }
    if fold(a.as_os_str()) != fold(b.as_os_str()) {
        return false;
    }
    match (exists(&dir_a.join(a)), exists(&dir_b.join(b))) {
        (true, true) => !(is_listed(dir_a, a.as_os_str()) && is_listed(dir_b, b.as_os_str())),
        (false, false) => true,
        (true, false) | (false, true) => false,
    }
}

fn exists(path: &Path) -> bool {
    !matches!(path.symlink_metadata(), Err(error) if error.kind() == io::ErrorKind::NotFound)
}

/// True if the directory has an entry of exactly this name.
fn is_listed(dir: &Path, name: &OsStr) -> bool {
    fs::read_dir(dir)
        .is_ok_and(|entries| entries.filter_map(Result::ok).any(|entry| entry.file_name() == name))
}
