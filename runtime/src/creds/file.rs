//! The users file: where it is, and how it is replaced.

use std::{
    env,
    ffi::OsString,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, fchown},
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, flock};

const NAME: &str = "users.cfg";

/// Where the users are if no option says: `$HTTPOUT_USERS`, or `users.cfg` in the directory of
/// configuration that systemd gives (`$CONFIGURATION_DIRECTORY`), in `$XDG_CONFIG_HOME/httpout` or
/// in `$HOME/.config/httpout`. `None`: none of these is set.
pub(crate) fn default_users_file() -> Option<PathBuf> {
    users_file(|name| env::var_os(name))
}

/// Keeps others from changing the users file while this lives.
#[derive(Debug)]
pub(super) struct Lock {
    _directory: File,
}

impl Lock {
    /// Waits until no other process changes the file. Makes its directory, for the owner alone, if
    /// it is not there.
    pub(super) fn new(file: &Path) -> io::Result<Self> {
        let directory = directory(file);
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        let directory = File::open(directory)?;
        // Where a file system knows no locks, there is one administrator at a time or none of this
        // helps.
        let _ = flock(&directory, FlockOperation::LockExclusive);
        Ok(Self { _directory: directory })
    }
}

/// What the file holds; nothing if it is not there.
pub(super) fn load(file: &Path) -> io::Result<String> {
    match fs::read_to_string(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        read => read,
    }
}

/// Replaces the file as a whole: a reader sees the old one or the new one. Its owner, group
/// and permissions stay; a new one is for the owner alone.
pub(super) fn save(file: &Path, text: &str) -> io::Result<()> {
    let file = follow(file)?;
    let directory = directory(&file);
    let part = directory.join(format!(".{NAME}.{:016x}", fastrand::u64(..)));
    let saved = write_like(&part, &file, text).and_then(|()| fs::rename(&part, &file));
    if saved.is_err() {
        // It may not have been made.
        let _ = fs::remove_file(&part);
    }
    saved?;
    File::open(directory)?.sync_all()
}

/// Removes the file, if it is there.
pub(super) fn remove(file: &Path) -> io::Result<()> {
    match fs::remove_file(follow(file)?) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

fn write_like(part: &Path, file: &Path, text: &str) -> io::Result<()> {
    let mut new = OpenOptions::new().write(true).create_new(true).mode(0o600).open(part)?;
    match fs::metadata(file) {
        Ok(old) => {
            let made = new.metadata()?;
            if (made.uid(), made.gid()) != (old.uid(), old.gid()) {
                fchown(&new, Some(old.uid()), Some(old.gid()))?;
            }
            new.set_permissions(old.permissions())?;
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    new.write_all(text.as_bytes())?;
    new.sync_all()
}

/// What a link leads to is replaced or removed, not the link.
fn follow(file: &Path) -> io::Result<PathBuf> {
    match fs::canonicalize(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(file.to_owned()),
        found => found,
    }
}

fn directory(file: &Path) -> &Path {
    match file.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory,
        _ => Path::new("."),
    }
}

fn users_file(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let set = |name| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(file) = set("HTTPOUT_USERS") {
        return Some(file);
    }
    // systemd may give several, with colons between them.
    let configuration = variable("CONFIGURATION_DIRECTORY")
        .and_then(|directories| env::split_paths(&directories).next())
        .filter(|directory| !directory.as_os_str().is_empty());
    if let Some(directory) = configuration {
        return Some(directory.join(NAME));
    }
    // The XDG base directory specification has relative paths ignored.
    let home = set("XDG_CONFIG_HOME").filter(|directory| directory.is_absolute());
    let home = home.or_else(|| set("HOME").map(|home| home.join(".config")));
    home.map(|directory| directory.join("httpout").join(NAME))
}

#[cfg(test)]
mod tests {
    use std::{
        fs::Permissions,
        os::unix::fs::{PermissionsExt as _, symlink},
    };

    use super::*;
    use crate::files::tests::Scratch;

    fn find(variables: &[(&str, &str)]) -> Option<PathBuf> {
        users_file(|name| {
            variables.iter().find(|(other, _)| *other == name).map(|(_, value)| value.into())
        })
    }

    #[test]
    fn the_first_place_that_is_set() {
        let all = [
            ("HTTPOUT_USERS", "u"),
            ("CONFIGURATION_DIRECTORY", "/etc/a:/etc/b"),
            ("XDG_CONFIG_HOME", "/xdg"),
            ("HOME", "/home/x"),
        ];
        let places = [
            "u",
            "/etc/a/users.cfg",
            "/xdg/httpout/users.cfg",
            "/home/x/.config/httpout/users.cfg",
        ];
        for (at, place) in places.into_iter().enumerate() {
            assert_eq!(find(&all[at..]), Some(place.into()));
            let mut empty = all;
            empty[..at].iter_mut().for_each(|variable| variable.1 = "");
            assert_eq!(find(&empty), Some(place.into()));
        }
        assert_eq!(find(&[]), None);
        assert_eq!(find(&[("HOME", "")]), None);
        let relative = [("XDG_CONFIG_HOME", "xdg"), ("HOME", "/home/x")];
        assert_eq!(find(&relative), Some(places[3].into()));
    }

    #[test]
    fn a_new_file_and_its_directory_are_for_the_owner_alone() {
        let scratch = Scratch::new();
        let file = scratch.path().join("a/b/users.cfg");
        assert_eq!(load(&file).unwrap(), "");
        let _lock = Lock::new(&file).unwrap();
        save(&file, "[alice]\n").unwrap();
        assert_eq!(load(&file).unwrap(), "[alice]\n");
        assert_eq!(mode(&file), 0o600);
        assert_eq!((mode(file.parent().unwrap()), mode(&scratch.path().join("a"))), (0o700, 0o700));
    }

    #[test]
    fn a_file_is_replaced_behind_links_with_its_permissions() {
        let scratch = Scratch::new();
        let (file, link) = (scratch.path().join("users"), scratch.path().join("link"));
        fs::write(&file, "old").unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
        symlink("users", &link).unwrap();
        let old = fs::metadata(&file).unwrap();
        save(&link, "new").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!((load(&file).unwrap().as_str(), mode(&file)), ("new", 0o640));
        assert_ne!(fs::metadata(&file).unwrap().ino(), old.ino(), "the old one stays as it was");
        remove(&link).unwrap();
        assert!(!file.exists());
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 1, "nothing is left behind");
    }

    #[test]
    fn owner_and_group_stay() {
        let scratch = Scratch::new();
        let file = scratch.path().join("users.cfg");
        fs::write(&file, "old").unwrap();
        if std::os::unix::fs::chown(&file, Some(1), Some(2)).is_err() {
            eprintln!("skipped: this needs the right to give files away");
            return;
        }
        save(&file, "new").unwrap();
        let made = fs::metadata(&file).unwrap();
        assert_eq!((made.uid(), made.gid()), (1, 2));
    }

    #[test]
    fn what_cannot_be_replaced_stays_and_leaves_nothing_behind() {
        let scratch = Scratch::new();
        let file = scratch.path().join("users.cfg");
        fs::create_dir(&file).unwrap();
        assert!(save(&file, "new").is_err());
        assert!(load(&file).is_err());
        assert!(remove(&file).is_err());
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 1);
    }

    #[test]
    fn to_remove_nothing_is_no_error() {
        let scratch = Scratch::new();
        remove(&scratch.path().join("users.cfg")).unwrap();
    }

    #[test]
    fn one_changes_it_at_a_time() {
        let scratch = Scratch::new();
        let file = scratch.path().join("users.cfg");
        let lock = Lock::new(&file).unwrap();
        let other = File::open(scratch.path()).unwrap();
        let attempt = || flock(&other, FlockOperation::NonBlockingLockExclusive);
        assert!(attempt().is_err());
        drop(lock);
        attempt().unwrap();
    }

    #[test]
    fn a_file_without_a_directory_is_in_the_current_one() {
        assert_eq!(directory(Path::new("users.cfg")), Path::new("."));
        assert_eq!(directory(Path::new("/users.cfg")), Path::new("/"));
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }
}
