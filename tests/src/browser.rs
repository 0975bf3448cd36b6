//! Chromium without a window. A page tells what it found on the console, behind [`RESULT`].

use std::io::{BufRead, BufReader, ErrorKind};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;

use crate::{PATIENCE, Tree, until_within};

/// Chromium with a page open, ended on drop.
#[derive(Debug)]
pub struct Browser {
    child: Child,
    errors: Receiver<String>,
    /// All that it writes.
    files: Tree,
}

impl Browser {
    /// Opens a page.
    #[track_caller]
    pub fn open(url: &str) -> Self {
        Self::start(&["--remote-debugging-port=0", url])
    }

    /// Starts the browser with more words on its command line.
    #[track_caller]
    pub fn start(args: &[&str]) -> Self {
        let is_there = |name: &&str| {
            let paths = env::var_os("PATH").unwrap_or_default();
            env::split_paths(&paths).any(|dir| dir.join(name).is_file())
        };
        let program = ["chromium", "chromium-headless-shell"].into_iter().find(is_there);
        let program = program.expect("the tests need Chromium; install the package chromium");
        let files = Tree::new();
        let mut child = Command::new(program)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
            // Over TLS, the tests' servers have certificates of their own making.
            .arg("--ignore-certificate-errors")
            .args(["--no-first-run", "--disable-background-networking", "--no-proxy-server"])
            .args(["--disable-component-update", "--disable-extensions"])
            // What pages and the browser say on the console goes to standard error.
            .arg("--enable-logging=stderr")
            .arg(format!("--user-data-dir={}", files.arg("profile")))
            .args(args)
            .env("TMPDIR", files.root())
            // It is many processes, which end together.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("start {program}: {e}"));
        let stderr = child.stderr.take().expect("piped");
        let (said, errors) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let _ = said.send(line);
            }
        });
        Self { child, errors, files }
    }

    /// Waits for what the page found; also what else was said on the console before.
    #[track_caller]
    pub fn found(&self) -> (Value, Vec<String>) {
        let mut lines = Vec::new();
        loop {
            let line = self.errors.recv_timeout(PAGE).unwrap_or_else(|e| {
                panic!("the page tells no result ({e}):\n{}", lines.join("\n"))
            });
            if let Some((_, rest)) = line.split_once(RESULT) {
                let json = rest.rsplit_once("\", source:").map_or(rest, |(json, _)| json);
                let found = serde_json::from_str(json).unwrap_or_else(|e| panic!("{e}: {json}"));
                return (found, console(&lines));
            }
            lines.push(line);
        }
    }

    /// Waits for the browser's end; all that was said on the console.
    #[track_caller]
    pub fn end(mut self) -> Vec<String> {
        let ended = || self.child.try_wait().expect("a child can be waited for");
        until_within(PAGE, "the browser ends", ended);
        console(&self.errors.iter().collect::<Vec<_>>())
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        let _ = self.child.wait();
        // The last of its processes may still write.
        let limit = Instant::now() + PATIENCE;
        while fs::remove_dir_all(self.files.root()).is_err_and(|e| e.kind() != ErrorKind::NotFound)
            && Instant::now() < limit
        {
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// The longest that a browser may take from one sign of life to the next.
pub const PAGE: Duration = Duration::from_secs(120);

/// How a page marks its result on the console.
pub const RESULT: &str = "page-result: ";

/// The lines that came from the console.
fn console(lines: &[String]) -> Vec<String> {
    lines.iter().filter(|line| line.contains(":CONSOLE")).cloned().collect()
}
