//! A reader that runs every code block of a page, in order, in an empty directory. See
//! [`page`](httpout_tests::page).
//!
//! What differs from a reader at a terminal: the ports are free ones, the server is waited for, and
//! `./x run` is the program that is built already.

use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio, id};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;
use std::{env, iter};

use httpout_tests::page::{Block, How, Page};
use httpout_tests::{Kind, Tree, binary, run, until_within};
use rustix::process::{Pid, Signal, kill_process_group};

/// The ports that the pages use.
const PORTS: [&str; 3] = ["8080", "8443", "9090"];
/// How long a block may take; encoders work in real time.
const LONGEST: Duration = Duration::from_secs(120);

/// Runs the blocks of a page.
#[track_caller]
pub(super) fn follow(page: &str, kind: Kind) {
    Reader::new(page, kind).read();
}

/// The same where a song and a film are needed: some seconds of a test picture and a tone.
#[track_caller]
pub(super) fn films(page: &str, kind: Kind) {
    let reader = Reader::new(page, kind);
    let film = ["-f", "lavfi", "-i", "testsrc=s=320x180:r=25", "-f", "lavfi", "-i", "sine"];
    let codecs = ["-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-c:a", "aac", "-t", "3"];
    let outputs = ["film.mp4", "film.ts"].map(|name| reader.tree.arg(name));
    let args = [&["-v", "error"], &film[..], &codecs, &[&outputs[0]]].concat();
    run("ffmpeg", &args, b"").ok();
    run("ffmpeg", &["-v", "error", "-i", &outputs[0], "-c", "copy", &outputs[1]], b"").ok();
    let song = reader.tree.arg("song.mp3");
    run("ffmpeg", &["-v", "error", "-f", "lavfi", "-i", "sine", "-t", "60", &song], b"").ok();
    reader.read();
}

/// True if the block holds commands that are run.
pub(super) fn is_run(block: &Block) -> bool {
    block.language == "sh" && !matches!(block.test, How::Skip(_))
}

struct Reader {
    page: Page,
    tree: Tree,
    ports: Vec<u16>,
    server: Option<Running>,
    background: Vec<Running>,
}

impl Reader {
    #[track_caller]
    fn new(page: &str, kind: Kind) -> Self {
        let tree = Tree::new();
        tree.dir("bin");
        let program = binary(kind);
        symlink(&program, tree.path("bin/httpout")).expect("a link can be made");
        let x = "#!/bin/sh\n[ \"$1\" = run ] || exit 1\nshift\nexec httpout \"$@\"\n";
        tree.write("x", x);
        fs::set_permissions(tree.path("x"), fs::Permissions::from_mode(0o755))
            .expect("the file is ours");
        let ports = free_ports();
        Self { page: Page::read(page), tree, ports, server: None, background: Vec::new() }
    }

    #[track_caller]
    fn read(mut self) {
        for block in self.page.blocks() {
            let text = self.own_ports(&block.text);
            let place = format!("{}:{}", self.page.name, block.line);
            match (&block.test, &*block.language) {
                (How::File(name), _) => self.tree.write(name, &text),
                (How::Plain, "sh") => self.run(&text, &place),
                (How::Eventually, "sh") => {
                    until_within(LONGEST, &place, || self.ends(&text).ok());
                }
                (How::Server, "sh") => self.serve(&text, &place),
                (How::Background, "sh") => {
                    let running = self.start(&text);
                    self.background.push(running);
                }
                _ => {}
            }
        }
        for mut running in self.background.drain(..) {
            let ended = running.ended();
            assert!(ended.is_none_or(|s| s.success()), "{ended:?}: {}", running.said());
        }
    }

    /// Starts each server of the block in turn; other commands are run to their end.
    #[track_caller]
    fn serve(&mut self, text: &str, place: &str) {
        for command in commands(text) {
            if !command.contains("httpout ") && !command.contains("./x ") {
                self.run(&command, place);
                continue;
            }
            self.stop();
            let mut server = self.start(&command);
            until_within(LONGEST, &format!("{place}: {command} prints its URL"), || {
                let said = server.said();
                assert_eq!(server.ended(), None, "{place}: {command}: {said}");
                said.lines().any(|line| line.starts_with("  http")).then_some(())
            });
            self.server = Some(server);
        }
    }

    /// Ends the server in order.
    #[track_caller]
    fn stop(&mut self) {
        let Some(mut server) = self.server.take() else { return };
        server.signal(Signal::TERM);
        until_within(LONGEST, "the server ends", || server.ended());
        let said = server.said();
        assert!(!said.contains("panicked at"), "the server panicked: {said}");
    }

    #[track_caller]
    fn run(&mut self, text: &str, place: &str) {
        if let Err(said) = self.ends(text) {
            let server = self.server.as_ref().map(Running::said);
            panic!("{place}:\n{text}--- says\n{said}\n--- and the server\n{server:?}");
        }
    }

    /// Runs a script to its end; what it says, if that is not status 0.
    fn ends(&self, text: &str) -> Result<(), String> {
        let mut running = self.start(text);
        let status = until_within(LONGEST, text, || running.ended());
        if status.success() { Ok(()) } else { Err(format!("{status}\n{}", running.said())) }
    }

    /// Starts a script in a process group of its own.
    fn start(&self, text: &str) -> Running {
        let log = Tree::new();
        let file = File::create(log.path("said")).expect("a file can be made");
        let again = file.try_clone().expect("a descriptor can be copied");
        let path = env::var_os("PATH").unwrap_or_default();
        let path = iter::once(self.tree.path("bin")).chain(env::split_paths(&path));
        let mut command = Command::new("bash");
        command.args(["-e", "-o", "pipefail", "-c", text]).current_dir(self.tree.root());
        command.stdin(Stdio::null()).stdout(file).stderr(again).process_group(0);
        for (name, _) in env::vars_os() {
            if name.as_encoded_bytes().starts_with(b"HTTPOUT_") {
                command.env_remove(name);
            }
        }
        command.env("PATH", env::join_paths(path).expect("no colon in a directory"));
        command.env("HOME", self.tree.root()).env_remove("XDG_CONFIG_HOME");
        let child = command.spawn().unwrap_or_else(|e| panic!("the tests need bash ({e})"));
        Running { child, log }
    }

    /// The text with ports that are free.
    fn own_ports(&self, text: &str) -> String {
        let ports = PORTS.iter().zip(&self.ports);
        ports.fold(text.to_owned(), |text, (port, own)| text.replace(port, &own.to_string()))
    }
}

/// Commands, each on one line; without comments.
fn commands(text: &str) -> Vec<String> {
    let mut commands: Vec<String> = Vec::new();
    let mut goes_on = false;
    for line in text.lines().filter(|line| !line.trim_start().starts_with('#')) {
        match commands.last_mut() {
            Some(last) if goes_on => {
                last.push('\n');
                last.push_str(line);
            }
            _ => commands.push(line.to_owned()),
        }
        goes_on = line.ends_with('\\') || line.ends_with('|');
    }
    commands
}

/// Ports below those that the system gives out by itself.
#[track_caller]
fn free_ports() -> Vec<u16> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = 10_000 + (id() % 100) as u16 * 200;
    let candidates = iter::repeat_with(|| start + NEXT.fetch_add(1, Ordering::Relaxed));
    let free = candidates.take(200).filter(|port| TcpListener::bind(("::", *port)).is_ok());
    let ports: Vec<_> = free.take(PORTS.len()).collect();
    assert_eq!(ports.len(), PORTS.len(), "no port is free");
    ports
}

/// A process group, killed on drop.
struct Running {
    child: Child,
    log: Tree,
}

impl Running {
    fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be waited for")
    }

    fn signal(&self, signal: Signal) {
        let _ = kill_process_group(Pid::from_child(&self.child), signal);
    }

    /// Its output and its errors.
    fn said(&self) -> String {
        read(&self.log.path("said"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        let _ = self.child.wait();
    }
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}
