//! Temporary directories and mounts that go away by themselves.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{self, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use rustix::mount::{MountFlags, UnmountFlags, mount, mount_bind, unmount};

use crate::until;

/// What every name of an upload's unfinished part begins with.
const PART: &str = ".httpout-";

/// A temporary directory, removed on drop.
#[derive(Debug)]
pub struct Tree {
    root: PathBuf,
}

impl Tree {
    /// An empty directory of its own.
    #[expect(clippy::new_without_default, reason = "making a directory is an effect")]
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name =
            format!("httpout-test-{}-{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let root = std::env::temp_dir().join(name);
        fs::create_dir_all(&root).expect("the temporary directory can be made");
        Self { root: root.canonicalize().expect("the temporary directory has a real path") }
    }

    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A path inside it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The same as text, for a command line.
    pub fn arg(&self, name: &str) -> String {
        self.path(name).to_str().expect("temporary paths are UTF-8").to_owned()
    }

    /// Makes a directory and those above it.
    pub fn dir(&self, name: &str) {
        fs::create_dir_all(self.path(name)).unwrap_or_else(|e| panic!("mkdir {name}: {e}"));
    }

    /// Writes a file, and makes the directories above it.
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(name);
        if let Some(above) = path.parent() {
            fs::create_dir_all(above).unwrap_or_else(|e| panic!("mkdir for {name}: {e}"));
        }
        fs::write(&path, bytes).unwrap_or_else(|e| panic!("write {name}: {e}"));
    }

    /// A file of `len` zero bytes that takes no space.
    pub fn sparse(&self, name: &str, len: u64) {
        let file =
            fs::File::create(self.path(name)).unwrap_or_else(|e| panic!("create {name}: {e}"));
        file.set_len(len).unwrap_or_else(|e| panic!("set the length of {name}: {e}"));
    }

    /// Sets a file's time of modification, in seconds since 1970.
    pub fn set_modified(&self, name: &str, seconds: u64) {
        let file = fs::File::options()
            .write(true)
            .open(self.path(name))
            .unwrap_or_else(|e| panic!("open {name}: {e}"));
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        file.set_modified(time).unwrap_or_else(|e| panic!("set the time of {name}: {e}"));
    }

    /// Makes `name` a symbolic link to `target`.
    pub fn link(&self, name: &str, target: &str) {
        symlink(target, self.path(name)).unwrap_or_else(|e| panic!("link {name}: {e}"));
    }

    /// A file's content, if there is such a file.
    pub fn read(&self, name: &str) -> Option<Vec<u8>> {
        fs::read(self.path(name)).ok()
    }

    /// Whether anything has that name.
    pub fn has(&self, name: &str) -> bool {
        self.path(name).symlink_metadata().is_ok()
    }

    /// All files and directories below, as sorted relative paths; directories end in `/`.
    pub fn list(&self) -> Vec<String> {
        let mut found = Vec::new();
        walk(&self.root, "", &mut found);
        found.sort();
        found
    }

    /// The unfinished parts of uploads that lie anywhere below.
    pub fn parts(&self) -> Vec<String> {
        let is_part = |name: &String| name.split('/').any(|segment| segment.starts_with(PART));
        self.list().into_iter().filter(is_part).collect()
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.root);
    }
}

/// Collects names; what vanishes meanwhile is left out.
fn walk(dir: &Path, prefix: &str, found: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            walk(&entry.path(), &format!("{name}/"), found);
            found.push(format!("{name}/"));
        } else {
            found.push(name);
        }
    }
}

/// A small file system, unmounted on drop. Mounting needs root.
#[derive(Debug)]
pub struct Mounted {
    at: PathBuf,
    /// What is mounted, if that is a file.
    image: Option<Tree>,
}

impl Mounted {
    /// Mounts a tmpfs of `kib` KiB over the directory `at`.
    pub fn tmpfs(at: &Path, kib: u32) -> Self {
        Self::over(at, "tmpfs", &format!("size={kib}k"))
    }

    /// Mounts a ramfs over the directory `at`: its files' times are those of the last clock tick,
    /// on any kernel.
    pub fn ramfs(at: &Path) -> Self {
        Self::over(at, "ramfs", "")
    }

    /// Mounts the directory `from` over the directory `at` too.
    pub fn bind(from: &Path, at: &Path) -> Self {
        fs::create_dir_all(at).expect("the mount point can be made");
        mount_bind(from, at).unwrap_or_else(|e| {
            panic!("bind {} to {} (this test needs root): {e}", from.display(), at.display())
        });
        Self { at: at.to_owned(), image: None }
    }

    /// Mounts an empty FAT file system, which ignores case, over the directory `at`: by the kernel
    /// where it has one, else by `fusefat`, which numbers a directory again for each of its names.
    pub fn fat(at: &Path) -> Self {
        fs::create_dir_all(at).expect("the mount point can be made");
        let image = Tree::new();
        image.sparse("fat.img", 8 << 20);
        let (file, at_arg) =
            (image.arg("fat.img"), at.to_str().expect("temporary paths are UTF-8"));
        let run = |program: &str, args: &[&str]| {
            let mut command = Command::new(program);
            command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            command.status().is_ok_and(|status| status.success())
        };
        assert!(run("mkfs.vfat", &[&file]), "mkfs.vfat (package dosfstools) does not run");
        let mounted = run("mount", &["-t", "vfat", "-o", "loop", &file, at_arg])
            || run("fusefat", &["-o", "rw+,nonempty", &file, at_arg]);
        assert!(mounted, "neither mount -t vfat nor fusefat mounts (this test needs root)");
        // A file system of FUSE may be mounted behind the end of its command.
        let device = |path: &Path| fs::metadata(path).map(|found| found.dev()).ok();
        let above = at.parent().and_then(device);
        until("the file system is mounted", || (device(at) != above).then_some(()));
        Self { at: at.to_owned(), image: Some(image) }
    }

    fn over(at: &Path, kind: &str, options: &str) -> Self {
        fs::create_dir_all(at).expect("the mount point can be made");
        let options = std::ffi::CString::new(options).expect("no NUL in an option");
        mount(kind, at, kind, MountFlags::empty(), options.as_c_str()).unwrap_or_else(|e| {
            panic!("mount a {kind} at {} (this test needs root): {e}", at.display())
        });
        Self { at: at.to_owned(), image: None }
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = unmount(&self.at, UnmountFlags::DETACH);
        drop(self.image.take());
    }
}
