mod uploads;

use std::{
    env,
    fs::{self, File, Permissions},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use httpout_proto::{
    Config, ConfigError, FsError, Site,
    fs::{Expect, Meta, Place, RelPath},
};
use rustix::{
    fs::{CWD, FileType, Mode, mknodat},
    mount::{MountFlags, UnmountFlags, mount, unmount},
};

use super::{
    Base, Opened, PartFile, Roots,
    beneath::{Guard, Root},
};

/// A directory of a test's own.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new() -> Self {
        let path = env::temp_dir().join(format!("httpout-test-{:016x}", fastrand::u64(..)));
        fs::create_dir(&path).unwrap();
        Self(fs::canonicalize(path).unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Names of all that lies below `www`, sorted.
    fn tree(&self) -> Vec<String> {
        fn walk(dir: &Path, top: &Path, into: &mut Vec<String>) {
            for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
                into.push(entry.path().strip_prefix(top).unwrap().to_str().unwrap().to_owned());
                if entry.file_type().unwrap().is_dir() {
                    walk(&entry.path(), top, into);
                }
            }
        }
        let mut all = Vec::new();
        walk(&self.0.join("www"), &self.0.join("www"), &mut all);
        all.sort();
        all
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn site(rdirs: &[PathBuf], wdir: Option<PathBuf>) -> Arc<Site> {
    let mut config = Config::default();
    config.read_dirs = rdirs.to_vec();
    config.write_dir = wdir;
    config.check().unwrap()
}

/// `www` below a scratch directory, opened for writing.
fn rig() -> (Scratch, Arc<Roots>, Arc<Site>) {
    let scratch = Scratch::new();
    let site = site(&[], Some(scratch.path().join("www")));
    let roots = Roots::open(&site).unwrap();
    (scratch, roots, site)
}

/// The same once for each guard that this kernel has.
fn each_guard(test: impl Fn(&Scratch, &Roots, &dyn Fn(&str) -> Place)) {
    for guard in [Guard::KernelCached, Guard::Kernel, Guard::Comparison] {
        let (scratch, roots, site) = rig();
        let mut roots = Arc::into_inner(roots).unwrap();
        assert_eq!(
            directory(&mut roots).guard(),
            Guard::KernelCached,
            "run these tests on Linux 5.12 or later"
        );
        directory(&mut roots).set_guard(guard);
        test(&scratch, &roots, &|path| place(&site, path));
    }
}

fn directory(roots: &mut Roots) -> &mut Root {
    match &mut roots.roots[0] {
        Base::Directory(root) => root,
        Base::Memory => panic!("no directory"),
    }
}

fn place(site: &Site, path: &str) -> Place {
    Place { root: site.writable_roots().next().unwrap(), path: RelPath::new(path).unwrap() }
}

fn read(roots: &Roots, place: &Place) -> Result<Vec<u8>, FsError> {
    let (file, meta) = match roots.open_file(place, false) {
        Opened::Ready(done) => done?,
        Opened::WouldBlock => panic!("not asked for"),
    };
    let mut content = vec![0; meta.len as usize + 1];
    let len = rustix::io::pread(&file.fd, &mut content, 0).unwrap();
    assert!(file.content.is_none_or(|kept| kept[..] == content[..len]));
    assert_eq!(len as u64, meta.len);
    content.truncate(len);
    Ok(content)
}

fn create(roots: &Arc<Roots>, place: &Place, content: &[u8]) -> PartFile {
    let part = roots.create(place, Some(content.len() as u64)).unwrap();
    part.write_all_at(0, &[Bytes::copy_from_slice(content)]).unwrap();
    part
}

fn put(roots: &Arc<Roots>, place: &Place, content: &[u8]) -> (bool, Meta) {
    create(roots, place, content).commit(place, Expect::Any, false).unwrap()
}

struct Mounted(PathBuf);

impl Mounted {
    fn new(at: PathBuf, flags: MountFlags) -> Self {
        mount("httpout-test", &at, "tmpfs", flags, Some(c"size=3m")).unwrap();
        Self(at)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = unmount(&self.0, UnmountFlags::DETACH);
    }
}

#[test]
fn opens_what_is_a_file() {
    each_guard(|scratch, roots, at| {
        scratch.write("www/a/b.txt", "hello");
        assert_eq!(read(roots, &at("a/b.txt")), Ok(b"hello".to_vec()));
        let meta = roots.stat(&at("a/b.txt")).unwrap();
        let real = fs::metadata(scratch.path().join("www/a/b.txt")).unwrap();
        assert_eq!(meta, Meta { len: 5, modified: real.modified().unwrap(), inode: real.ino() });
        for (path, error) in [
            ("", FsError::IsDirectory),
            ("a", FsError::IsDirectory),
            ("b", FsError::NotFound),
            ("a/b.txt/c", FsError::NotFound),
            (&"n".repeat(300), FsError::NameTooLong),
        ] {
            assert_eq!(read(roots, &at(path)), Err(error), "{path}");
            assert_eq!(roots.stat(&at(path)), Err(error), "{path}");
        }
    });
}

#[test]
fn what_is_in_memory_opens_without_waiting() {
    let (scratch, roots, site) = rig();
    scratch.write("www/a", "hello");
    assert!(read(&roots, &place(&site, "a")).is_ok());
    let Opened::Ready(Ok((_, meta))) = roots.open_file(&place(&site, "a"), true) else {
        panic!("was opened just now");
    };
    assert_eq!(meta.len, 5);
    // A name never looked up is in no cache.
    let unknown = place(&site, "never/looked-up");
    assert!(matches!(roots.open_file(&unknown, true), Opened::WouldBlock));
}

#[test]
fn links_are_followed_within_and_refused_outside() {
    each_guard(|scratch, roots, at| {
        scratch.write("www/d/f", "inside");
        scratch.write("secret/f", "outside");
        let www = scratch.path().join("www");
        symlink("d/f", www.join("link")).unwrap();
        symlink("../d/f", www.join("d/up")).unwrap();
        symlink("d", www.join("dir")).unwrap();
        symlink("../secret/f", www.join("out")).unwrap();
        symlink("../secret", www.join("outdir")).unwrap();
        symlink("loop", www.join("loop")).unwrap();
        symlink("nothing", www.join("dangling")).unwrap();
        for inside in ["link", "d/up", "dir/f"] {
            assert_eq!(read(roots, &at(inside)), Ok(b"inside".to_vec()), "{inside}");
        }
        for outside in ["out", "outdir/f", "loop", "loop/x"] {
            assert_eq!(read(roots, &at(outside)), Err(FsError::Outside), "{outside}");
            assert_eq!(roots.stat(&at(outside)), Err(FsError::Outside), "{outside}");
        }
        assert_eq!(read(roots, &at("dangling")), Err(FsError::NotFound));
        assert_eq!(read(roots, &at("dir")), Err(FsError::IsDirectory));
        assert!(
            roots.directories().next().unwrap().open("../secret/f", super::READ).is_err(),
            "traversal"
        );
    });
    // A path longer than the kernel takes in one go.
    let (_scratch, roots, site) = rig();
    let long = place(&site, &["n"; 3000].join("/"));
    assert_eq!(read(&roots, &long), Err(FsError::NameTooLong));
    assert_eq!(roots.create(&long, None).unwrap_err(), FsError::NameTooLong);
    // An absolute link leads out for the kernel, even where it would come back in.
    let (scratch, roots, site) = rig();
    symlink("/etc/passwd", scratch.path().join("www/abs")).unwrap();
    assert_eq!(read(&roots, &place(&site, "abs")), Err(FsError::Outside));
}

#[test]
fn special_files_do_not_block() {
    each_guard(|scratch, roots, at| {
        let fifo = scratch.path().join("www/fifo");
        // Not by a command: a child process would hold other tests' files open for a moment.
        mknodat(CWD, &fifo, FileType::Fifo, Mode::from_raw_mode(0o666), 0).unwrap();
        let _socket =
            std::os::unix::net::UnixListener::bind(scratch.path().join("www/socket")).unwrap();
        for path in ["fifo", "socket"] {
            assert_eq!(read(roots, &at(path)), Err(FsError::NotRegular), "{path}");
            assert_eq!(roots.stat(&at(path)), Err(FsError::NotRegular), "{path}");
            assert_eq!(roots.remove(&at(path), Expect::Any), Err(FsError::NotRegular), "{path}");
        }
    });
}

#[test]
fn a_path_has_one_key_over_all_mounts() {
    let scratch = Scratch::new();
    fs::create_dir_all(scratch.path().join("all/in")).unwrap();
    symlink("all", scratch.path().join("alias")).unwrap();
    let site = site(&[scratch.path().join("alias")], Some(scratch.path().join("all/in")));
    let roots = Roots::open(&site).unwrap();
    let (_, all) = site.mounts().next().unwrap();
    let read = Place { root: all.unwrap(), path: RelPath::new("in/x").unwrap() };
    assert_eq!(roots.key(&read), roots.key(&place(&site, "x")));
    assert_eq!(roots.key(&read), scratch.path().join("all/in/x"));
}

#[test]
fn a_directory_that_cannot_be_used_is_told_by_its_option() {
    let scratch = Scratch::new();
    scratch.write("file", "x");
    let path = |name: &str| scratch.path().join(name);
    let fails = |rdirs: &[PathBuf], wdir: Option<PathBuf>| -> ConfigError {
        Roots::open(&site(rdirs, wdir)).unwrap_err()
    };
    let error = fails(&[path("file")], None);
    assert_eq!(
        (error.option, error.problem.contains("not a directory")),
        ("rdirs", true),
        "{error}"
    );
    let below_file = path("file/none");
    let error = fails(&[], Some(below_file.clone()));
    let told = format!("{} does not exist and cannot be made", below_file.display());
    assert_eq!((error.option, error.problem.contains(&told)), ("wdir", true), "{error}");
    Roots::open(&site(&[], Some(path("none/of/these")))).unwrap();
    assert!(path("none/of/these").is_dir());
    symlink("nowhere", path("dangling")).unwrap();
    let error = fails(&[], Some(path("dangling")));
    assert!(error.problem.contains("does not exist"), "{error}");
    // It could be a rule file that is missing.
    let error = fails(&[path("missing")], Some(path("also")));
    assert_eq!(
        (error.option, error.problem.contains("does not exist")),
        ("rdirs", true),
        "{error}"
    );
    assert!(!path("missing").exists());
    Roots::open(&site(&[path("also")], Some(path("also")))).unwrap();
    assert!(path("also").is_dir());
    // Root may write wherever the file system lets it.
    fs::create_dir(path("closed")).unwrap();
    fs::set_permissions(path("closed"), Permissions::from_mode(0o555)).unwrap();
    let is_root = rustix::process::geteuid().is_root();
    let _mounted = is_root.then(|| Mounted::new(path("closed"), MountFlags::RDONLY));
    let error = fails(&[], Some(path("closed")));
    assert_eq!(
        (error.option, error.problem.contains("cannot be written")),
        ("wdir", true),
        "{error}"
    );
}

#[test]
fn times_before_the_epoch_are_read() {
    let (scratch, roots, site) = rig();
    scratch.write("www/old", "x");
    let time = std::time::SystemTime::UNIX_EPOCH - Duration::from_millis(1500);
    File::open(scratch.path().join("www/old")).unwrap().set_modified(time).unwrap();
    assert_eq!(roots.stat(&place(&site, "old")).unwrap().modified, time);
}

#[test]
fn a_file_that_is_kept_open_is_never_served_stale() {
    each_guard(|scratch, roots, place| {
        let at = |path: &str| scratch.path().join("www").join(path);
        let dir = place("d/f");
        fs::create_dir(at("d")).unwrap();
        fs::write(at("d/f"), "one").unwrap();
        assert_eq!(read(roots, &dir).unwrap(), b"one");
        assert_eq!(read(roots, &dir).unwrap(), b"one");
        // Changed in place, replaced, removed.
        fs::write(at("d/f"), "longer").unwrap();
        assert_eq!(read(roots, &dir).unwrap(), b"longer");
        fs::write(at("d/g"), "other").unwrap();
        fs::rename(at("d/g"), at("d/f")).unwrap();
        assert_eq!(read(roots, &dir).unwrap(), b"other");
        fs::remove_file(at("d/f")).unwrap();
        assert_eq!(read(roots, &dir), Err(FsError::NotFound));
        // Moved out with its directory, and linked back.
        fs::write(at("d/f"), "again").unwrap();
        assert_eq!(read(roots, &dir).unwrap(), b"again");
        fs::rename(at("d"), scratch.path().join("moved")).unwrap();
        symlink(scratch.path().join("moved"), at("d")).unwrap();
        assert_eq!(read(roots, &dir), Err(FsError::Outside));
        fs::remove_file(at("d")).unwrap();
        fs::remove_dir_all(scratch.path().join("moved")).unwrap();
    });
}
