//! Running other programs: real clients, the raw cases, and strace.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::{PATIENCE, Tree, until};

/// How long such a program may run; they work through many events.
const LONGEST: Duration = Duration::from_secs(300);

/// What a program did.
#[derive(Debug)]
pub struct Ran {
    /// Its exit status; nothing after a signal.
    pub code: Option<i32>,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: String,
}

impl Ran {
    /// Fails unless the program ended with status 0; returns its output as text.
    #[track_caller]
    pub fn ok(&self) -> String {
        let stdout = String::from_utf8_lossy(&self.stdout).into_owned();
        assert_eq!(self.code, Some(0), "--- output\n{stdout}\n--- errors\n{}", self.stderr);
        stdout
    }
}

/// Runs a program to its end with `input` on its standard input. A program that is not installed
/// fails the test.
#[track_caller]
pub fn run(program: &str, args: &[&str], input: &[u8]) -> Ran {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child =
        command.spawn().unwrap_or_else(|e| panic!("the tests need {program}; install it ({e})"));
    let mut child = Killed(child);
    let stdin = child.0.stdin.take();
    let (stdout, stderr) = (child.0.stdout.take(), child.0.stderr.take());
    thread::scope(|scope| {
        scope.spawn(move || stdin.map(|mut pipe| pipe.write_all(input)));
        let stdout = scope.spawn(move || read(stdout));
        let stderr = scope.spawn(move || read(stderr));
        let limit = Instant::now() + LONGEST;
        let status = loop {
            if let Some(status) = child.0.try_wait().expect("a child can be waited for") {
                break Some(status);
            }
            if Instant::now() > limit {
                let _ = child.0.kill();
                break None;
            }
            thread::sleep(Duration::from_millis(5));
        };
        let stdout = stdout.join().unwrap_or_default();
        let stderr = String::from_utf8_lossy(&stderr.join().unwrap_or_default()).into_owned();
        let status = status
            .unwrap_or_else(|| panic!("{program} {args:?} did not end in {LONGEST:?}:\n{stderr}"));
        Ran { code: status.code(), stdout, stderr }
    })
}

/// A program that runs beside the test, such as an encoder. It is killed on drop.
#[derive(Debug)]
pub struct Background {
    child: Killed,
    name: String,
}

impl Background {
    /// Starts a program. One that is not installed fails the test.
    #[track_caller]
    pub fn start(program: &str, args: &[&str]) -> Self {
        let mut command = Command::new(program);
        command.args(args).stdin(Stdio::null()).stdout(Stdio::null());
        let child = command
            .spawn()
            .unwrap_or_else(|e| panic!("the tests need {program}; install it ({e})"));
        Self { child: Killed(child), name: program.to_owned() }
    }

    /// Fails if the program has ended by itself.
    #[track_caller]
    pub fn still_runs(&mut self) {
        let ended = self.child.0.try_wait().expect("a child can be waited for");
        assert_eq!(ended, None, "{} has ended", self.name);
    }
}

/// A child that does not outlive its test.
#[derive(Debug)]
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn read(pipe: Option<impl Read>) -> Vec<u8> {
    let mut all = Vec::new();
    if let Some(mut pipe) = pipe {
        let _ = pipe.read_to_end(&mut all);
    }
    all
}

/// A look at a process's system calls through strace, which can make them fail too.
#[derive(Debug)]
pub struct Traced {
    strace: Killed,
    log: PathBuf,
    tree: Tree,
}

impl Traced {
    /// Attaches to a process; returns when every thread of it is watched. `args` choose the calls
    /// (`-e trace=…`, `-e inject=…`).
    #[track_caller]
    pub fn attach(pid: Pid, args: &[&str]) -> Self {
        Self::attach_thread(pid, &[&["-f"], args].concat())
    }

    /// As [`attach`](Self::attach), for one thread.
    #[track_caller]
    pub fn attach_thread(pid: Pid, args: &[&str]) -> Self {
        let tree = Tree::new();
        let log = tree.path("calls");
        let mut command = Command::new("strace");
        command.args(["-s", "64", "-p", &pid.to_string(), "-o"]).arg(&log).args(args);
        let child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn();
        let mut strace =
            Killed(child.unwrap_or_else(|e| panic!("the tests need strace; install it ({e})")));
        let stderr = strace.0.stderr.take().expect("piped");
        let (said, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let _ = said.send(line);
            }
        });
        loop {
            let line = lines
                .recv_timeout(PATIENCE)
                .unwrap_or_else(|e| panic!("strace does not attach: {e}"));
            assert!(!line.contains("not permitted"), "strace is not allowed here: {line}");
            if line.contains("attached") {
                break;
            }
        }
        Self { strace, log, tree }
    }

    /// Detaches; the calls that were seen, one a line.
    #[track_caller]
    pub fn finish(mut self) -> Vec<String> {
        kill_process(Pid::from_child(&self.strace.0), Signal::TERM).expect("strace is there");
        until("strace ends", || self.strace.0.try_wait().expect("a child can be waited for"));
        let log = fs::read_to_string(&self.log).expect("strace writes its log");
        drop(self.tree);
        log.lines().map(str::to_owned).collect()
    }
}
