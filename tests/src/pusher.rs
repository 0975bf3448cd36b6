//! A running push: a client that uploads.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::{env, thread};

use rustix::process::{Pid, Signal, kill_process};

use crate::{Exit, Kind, PATIENCE, binary, until};

/// A binary in push mode, killed on drop.
#[derive(Debug)]
pub struct Pusher {
    child: Child,
    /// What it says, on both outputs; whether it is an error.
    lines: Receiver<(bool, String)>,
    heard: Vec<(bool, String)>,
}

impl Pusher {
    /// Starts one with this command line behind `--hmode push`; its standard input is empty.
    #[track_caller]
    pub fn start(kind: Kind, args: &[&str]) -> Self {
        Self::spawn(kind, args, Stdio::null())
    }

    /// The same with a pipe into its standard input.
    #[track_caller]
    pub fn fed(kind: Kind, args: &[&str]) -> (Self, ChildStdin) {
        let mut pusher = Self::spawn(kind, args, Stdio::piped());
        let input = pusher.child.stdin.take().expect("piped");
        (pusher, input)
    }

    /// Runs one to its end.
    #[track_caller]
    pub fn run(kind: Kind, args: &[&str]) -> Exit {
        Self::start(kind, args).exit()
    }

    #[track_caller]
    fn spawn(kind: Kind, args: &[&str], stdin: Stdio) -> Self {
        let mut command = Command::new(binary(kind));
        command.args(["--hmode", "push"]).args(args);
        for (name, _) in env::vars_os() {
            if name.as_encoded_bytes().starts_with(b"HTTPOUT_") {
                command.env_remove(name);
            }
        }
        command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|e| panic!("start {command:?}: {e}"));
        let (say, lines) = mpsc::channel();
        let stdout: Box<dyn Read + Send> = Box::new(child.stdout.take().expect("piped"));
        let stderr: Box<dyn Read + Send> = Box::new(child.stderr.take().expect("piped"));
        for (is_error, output) in [(false, stdout), (true, stderr)] {
            let say = say.clone();
            thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    let _ = say.send((is_error, line));
                }
            });
        }
        Self { child, lines, heard: Vec::new() }
    }

    /// Waits for a line that holds this.
    #[track_caller]
    pub fn says(&mut self, what: &str) -> String {
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => {
                    self.heard.push(line.clone());
                    if line.1.contains(what) {
                        return line.1;
                    }
                }
                Err(error) => panic!("{what:?} was not said ({error}): {:#?}", self.heard),
            }
        }
    }

    /// Sends a signal.
    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("it is there to be signalled");
    }

    /// The process's number.
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Waits for the end of the process.
    #[track_caller]
    pub fn exit(mut self) -> Exit {
        let status =
            until("the push ends", || self.child.try_wait().expect("a child can be waited for"));
        self.heard.extend(self.lines.iter());
        let text = |errors: bool| {
            let lines = self.heard.iter().filter(|(is_error, _)| *is_error == errors);
            lines.map(|(_, line)| format!("{line}\n")).collect::<String>()
        };
        let exit = Exit { code: status.code(), stdout: text(false), stderr: text(true) };
        assert!(!exit.stderr.contains("panicked at"), "the push panicked:\n{}", exit.stderr);
        exit
    }

    /// Waits for the end of the process, which must be a good one.
    #[track_caller]
    pub fn ok(self) -> Exit {
        let exit = self.exit();
        assert_eq!(exit.code, Some(0), "{exit:#?}");
        exit
    }
}

impl Drop for Pusher {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Exit {
    /// Fails unless something did not arrive, and each of these was said on standard error.
    #[track_caller]
    pub fn failed(&self, said: &[&str]) {
        assert_eq!(self.code, Some(1), "{self:#?}");
        for said in said {
            assert!(self.stderr.contains(said), "{said:?} was not said: {self:#?}");
        }
    }
}
