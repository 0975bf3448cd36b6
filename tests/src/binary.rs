//! Finding the two programs: built once, by the cargo and in the target directory and profile of
//! the tests themselves.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Which of the two binaries a test runs against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `httpout`, on tokio.
    Tokio,
    /// `httpout-smol`, on smol.
    Smol,
}

impl Kind {
    /// The program's file name.
    pub fn program(self) -> &'static str {
        match self {
            Self::Tokio => "httpout",
            Self::Smol => "httpout-smol",
        }
    }
}

/// The path of a binary. `HTTPOUT_BIN_DIR` names a directory of ready ones; else they are built,
/// once in a process.
pub fn binary(kind: Kind) -> PathBuf {
    static DIR: OnceLock<PathBuf> = OnceLock::new();
    let dir = DIR.get_or_init(|| env::var_os("HTTPOUT_BIN_DIR").map_or_else(build, PathBuf::from));
    let path = dir.join(kind.program());
    assert!(path.is_file(), "there is no {}", path.display());
    path
}

/// Runs cargo, and returns the directory that holds the binaries.
fn build() -> PathBuf {
    // A test lies at TARGET[/TRIPLE]/PROFILE/deps/NAME-HASH.
    let test = env::current_exe().expect("the test knows its own path");
    let dir = test.parent().and_then(Path::parent).expect("the test lies in PROFILE/deps");
    let above = dir.parent().expect("the profile lies in the target directory");
    let (target, triple) = match above.parent() {
        Some(root) if !is_target_dir(above) && is_target_dir(root) => (root, above.file_name()),
        Some(_) | None => (above, None),
    };
    let profile = match dir.file_name().and_then(|name| name.to_str()) {
        Some("debug") => "dev",
        Some(name) => name,
        None => panic!("the profile's name is not UTF-8: {}", dir.display()),
    };
    let root =
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package lies in the workspace");
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root).args([
        "build",
        "-p",
        "httpout-tokio",
        "-p",
        "httpout-smol",
        "--bins",
        "--profile",
        profile,
    ]);
    cargo.arg("--target-dir").arg(target);
    if let Some(triple) = triple {
        cargo.arg("--target").arg(triple);
    }
    let ran = cargo.output().unwrap_or_else(|e| panic!("cannot run cargo: {e}"));
    assert!(
        ran.status.success(),
        "the binaries do not build:\n{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    dir.to_owned()
}

/// Cargo marks the root of a target directory.
fn is_target_dir(dir: &Path) -> bool {
    dir.join("CACHEDIR.TAG").is_file() || dir.join(".rustc_info.json").is_file()
}
