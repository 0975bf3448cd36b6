//! Which path of a URL means which directory, and which users have which rights there.

use std::path::{Component, Path, PathBuf};

use super::{Config, is_memory};
use crate::{
    auth::{Rule, Who},
    error::ConfigError,
    fs::{Place, RelPath, RootId},
};

/// What a request wants to do to a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Read,
    Write,
}

/// What a path in a URL means.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Resolved {
    /// A file or directory.
    Place(Place),
    /// The way to mounted directories; these are their next segments.
    Mounts(Vec<String>),
    /// A virtual service, by the index of its rule.
    Virtual(usize),
    /// Nothing.
    Nothing,
}

#[derive(Debug)]
pub(crate) struct Mounts {
    roots: Vec<PathBuf>,
    /// Longest names first.
    mounts: Vec<Mount>,
    /// Longest directories first.
    rules: Vec<Rule>,
    /// `write_dir`.
    write: Option<RootId>,
    /// Where inputs are written.
    record: Option<RootId>,
}

#[derive(Debug)]
struct Mount {
    /// Path below `/`.
    name: RelPath,
    /// `None`: a virtual service.
    root: Option<RootId>,
    /// Index of the rule that mounts it, if one does.
    rule: Option<usize>,
}

const EVERYBODY: &Who = &Who::Everybody;

impl Mounts {
    pub(super) fn new(config: &Config) -> Result<Self, ConfigError> {
        let mut rules = config.rules.clone();
        for (at, rule) in rules.iter().enumerate() {
            if let Some(other) = rules[..at].iter().find(|other| other.dir == rule.dir) {
                let problem = format!(
                    "{} and {} are of one directory, {}",
                    other.place(),
                    rule.place(),
                    rule.dir.display()
                );
                return error(problem, "put both sections together");
            }
        }
        rules.sort_by_key(|rule| std::cmp::Reverse(rule.dir.components().count()));
        let mut all =
            Self { roots: Vec::new(), mounts: Vec::new(), rules, write: None, record: None };
        let alone = config.read_dirs.len() == 1 && all.rules.is_empty();
        for dir in &config.read_dirs {
            let name = if alone { RelPath::root() } else { own_name(dir)? };
            let root = Some(all.add_root(dir));
            all.mount(Mount { name, root, rule: None })?;
        }
        for index in 0..all.rules.len() {
            let rule = &all.rules[index];
            let (dir, virtual_service) = (rule.dir.clone(), rule.missing);
            let name = match &rule.name {
                Some(name) => name.clone(),
                None if virtual_service => {
                    let problem =
                        format!("{}: the section has neither a directory nor a name", rule.place());
                    return error(problem, "make the directory, or give the section a name");
                }
                // It holds the rights of a part of a directory that another section mounts.
                None if all.is_part(index) => continue,
                None => RelPath::root(),
            };
            let root = (!virtual_service).then(|| all.add_root(&dir));
            all.mount(Mount { name, root, rule: Some(index) })?;
        }
        all.record = config.record.then_some(RootId(0));
        all.write = config.write_dir.as_deref().map(|dir| all.add_root(dir));
        for dir in &config.hook_dirs {
            all.add_root(dir);
        }
        all.mounts.sort_by_key(|mount| std::cmp::Reverse(segments(&mount.name)));
        Ok(all)
    }

    fn add_root(&mut self, dir: &Path) -> RootId {
        self.roots.push(dir.to_owned());
        RootId((self.roots.len() - 1) as u16)
    }

    fn mount(&mut self, mount: Mount) -> Result<(), ConfigError> {
        let Some(other) = self.mounts.iter().find(|other| other.name == mount.name) else {
            self.mounts.push(mount);
            return Ok(());
        };
        let dir = |mount: &Mount| {
            let path = mount.root.map(|root| self.roots[root.index()].display().to_string());
            path.unwrap_or_else(|| "a virtual service".into())
        };
        let rule = mount.rule.and_then(|rule| self.rules.get(rule));
        let place = rule.map_or_else(String::new, |rule| rule.place() + ": ");
        let problem =
            format!("{place}{} would be /{}, as {} is", dir(&mount), mount.name, dir(other));
        error(
            problem,
            "give one of them another name (key name in a rule file), or serve their common parent",
        )
    }

    /// True if the rule's directory lies below that of another one.
    fn is_part(&self, index: usize) -> bool {
        let dir = &self.rules[index].dir;
        self.rules
            .iter()
            .any(|other| !other.missing && other.dir != *dir && dir.starts_with(&other.dir))
    }

    // ---- directories ----

    pub(super) fn roots(&self) -> &[PathBuf] {
        &self.roots
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, Option<RootId>)> {
        self.mounts.iter().map(|mount| (mount.name.as_str(), mount.root))
    }

    pub(super) fn uploads(&self) -> impl Iterator<Item = RootId> {
        let ruled = self.mounts.iter().filter(|mount| mount.rule.is_some());
        let writable = ruled.filter_map(|mount| mount.root).filter(|root| {
            let dir = &self.roots[root.index()];
            self.written().any(|rule| rule.dir.starts_with(dir) || dir.starts_with(&rule.dir))
        });
        self.write.into_iter().chain(writable)
    }

    /// The rules that let a user write.
    fn written(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter().filter(|rule| !rule.write.is_nobody())
    }

    /// True if some request may be an upload.
    pub(crate) fn take_uploads(&self) -> bool {
        self.write.is_some() || self.written().next().is_some()
    }

    /// True if an upload can lead to this place. Told by the names of the directories alone.
    pub(crate) fn may_be_uploaded(&self, place: &Place) -> bool {
        let root = &self.roots[place.root.index()];
        let dir = plain(root).join(place.path.as_str());
        let mut written =
            self.write.iter().chain(&self.record).map(|root| &self.roots[root.index()]);
        written.any(|wdir| match (is_memory(root), is_memory(wdir)) {
            (true, true) => true,
            // An absolute and a relative name cannot be compared: better to wait once too often.
            (false, false) => {
                dir.is_absolute() != wdir.is_absolute() || dir.starts_with(plain(wdir))
            }
            (true, false) | (false, true) => false,
        }) || self.written().any(|rule| dir.starts_with(&rule.dir))
    }

    /// True if rules let a user upload to this place. `rule`: the one of its
    /// real path.
    pub(crate) fn takes_uploads(&self, place: &Place, rule: Option<usize>) -> bool {
        match rule.and_then(|rule| self.rules.get(rule)) {
            Some(rule) => !rule.write.is_nobody(),
            None => self.has_rules() && self.may_be_uploaded(place),
        }
    }

    /// The path of a place, as its directory's name says.
    pub(crate) fn named(&self, place: &Place) -> PathBuf {
        self.roots[place.root.index()].join(place.path.as_str())
    }

    /// Where inputs are written.
    pub(super) fn record(&self) -> Option<RootId> {
        self.record
    }

    // ---- paths ----

    /// What a path means to a request that reads.
    pub(crate) fn resolve(&self, path: &RelPath) -> Resolved {
        let found = self.mounts.iter().find_map(|mount| mount.lookup(path));
        found.unwrap_or_else(|| match self.below(path) {
            below if below.is_empty() => Resolved::Nothing,
            below => Resolved::Mounts(below),
        })
    }

    /// What a path means to a request that writes: a directory that a rule file names, else below
    /// `write_dir`, else below the rule file's root.
    pub(crate) fn resolve_write(&self, path: &RelPath) -> Resolved {
        let ruled = |root: bool| {
            let mounts = self.mounts.iter().filter(move |mount| mount.name.is_root() == root);
            mounts.filter(|mount| mount.rule.is_some()).find_map(|mount| mount.lookup(path))
        };
        let wdir = || self.write.map(|root| Resolved::Place(Place { root, path: path.clone() }));
        ruled(false).or_else(wdir).or_else(|| ruled(true)).unwrap_or(Resolved::Nothing)
    }

    /// What a path means to an upload that is handed on: of what rule files name, only the rights
    /// count. As a virtual service, with the rule that holds for the path.
    pub(crate) fn resolve_delivery(&self, path: &RelPath) -> Resolved {
        let ruled = self.mounts.iter().filter(|mount| mount.rule.is_some());
        match ruled.filter_map(|mount| mount.lookup(path)).next() {
            Some(Resolved::Place(place)) => {
                let real = self.roots[place.root.index()].join(place.path.as_str());
                self.rule(&real).map_or(Resolved::Nothing, Resolved::Virtual)
            }
            found => found.unwrap_or(Resolved::Nothing),
        }
    }

    /// The next segments of the mounts below a path.
    pub(crate) fn below(&self, path: &RelPath) -> Vec<String> {
        let mut names: Vec<String> = self
            .mounts
            .iter()
            .filter_map(|mount| {
                let name = mount.name.as_str();
                let rest = if path.is_root() {
                    Some(name)
                } else {
                    name.strip_prefix(path.as_str())?.strip_prefix('/')
                };
                rest?.split('/').next().filter(|next| !next.is_empty()).map(str::to_owned)
            })
            .collect();
        names.sort();
        names.dedup();
        names
    }

    // ---- rights ----

    /// True if rights are to be looked up.
    pub(crate) fn has_rules(&self) -> bool {
        !self.rules.is_empty()
    }

    /// The rule for a path, which is absolute and without symbolic links: that of the longest
    /// directory that holds it.
    pub(crate) fn rule(&self, real: &Path) -> Option<usize> {
        self.rules.iter().position(|rule| real.starts_with(&rule.dir))
    }

    /// The users that this rule admits. Without a rule, all.
    pub(crate) fn who(&self, action: Action, rule: Option<usize>) -> &Who {
        rule.and_then(|rule| self.rules.get(rule)).map_or(EVERYBODY, |rule| rule.who(action))
    }
}

impl Rule {
    fn who(&self, action: Action) -> &Who {
        match action {
            Action::Read => &self.read,
            Action::Write => &self.write,
        }
    }
}

impl Mount {
    fn lookup(&self, path: &RelPath) -> Option<Resolved> {
        let rest = if self.name.is_root() {
            path.as_str()
        } else {
            let rest = path.as_str().strip_prefix(self.name.as_str())?;
            if rest.is_empty() { rest } else { rest.strip_prefix('/')? }
        };
        let (Some(root), path) = (self.root, RelPath::new(rest)?) else {
            return self.rule.map(Resolved::Virtual);
        };
        Some(Resolved::Place(Place { root, path }))
    }
}

/// The name under which one of several directories is mounted.
fn own_name(dir: &Path) -> Result<RelPath, ConfigError> {
    let name = dir.file_name().map(|name| name.to_string_lossy().into_owned());
    match name.as_deref().and_then(RelPath::new) {
        Some(name) => Ok(name),
        None => error(
            format!("{} has no name to be mounted under", dir.display()),
            "give its full path",
        ),
    }
}

fn segments(name: &RelPath) -> usize {
    name.as_str().split('/').filter(|segment| !segment.is_empty()).count()
}

/// Without `.` segments.
fn plain(path: &Path) -> PathBuf {
    path.components().filter(|part| !matches!(part, Component::CurDir)).collect()
}

fn error<T>(problem: String, help: &'static str) -> Result<T, ConfigError> {
    Err(ConfigError { option: "rdirs", problem, help })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_and_directories_are_told_apart() {
        for (rdirs, wdir, expected) in [
            ("gmem", "gmem", true),
            ("gmem", "./gmem", false),
            ("./gmem", "gmem", false),
            ("gmem", "/srv", false),
            ("/srv", "gmem", false),
            ("gmem/", "./gmem", true),
            ("/srv/a", "/srv", true),
            ("a", "/srv", true),
        ] {
            let config = Config {
                read_dirs: vec![rdirs.into()],
                write_dir: Some(wdir.into()),
                ..Config::default()
            };
            let mounts = Mounts::new(&config).unwrap();
            let root = mounts.iter().find_map(|(_, root)| root).unwrap();
            let place = Place { root, path: RelPath::new("a").unwrap() };
            assert_eq!(mounts.may_be_uploaded(&place), expected, "{rdirs} {wdir}");
        }
    }
}
