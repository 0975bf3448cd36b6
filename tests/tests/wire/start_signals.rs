//! Signals that come while the process starts: none kills it, and each is obeyed when the start is
//! over.

use std::fs::{self, File, OpenOptions};

use httpout_tests::live::fifo;
use httpout_tests::{Exit, Kind, Pusher, Server, Site, Tree, both, get, put, until};
use rustix::process::{Pid, Signal, kill_process};

both! {
    sighup_during_the_start_is_a_reload,
    sigterm_during_the_start_ends_the_server_in_order,
    a_second_sigterm_ends_a_start_that_hangs,
    sighup_during_the_start_of_a_source_does_no_harm,
    sighup_of_a_push_does_no_harm,
    sigterm_during_the_start_of_a_push_lets_it_finish,
}

/// A configuration file that holds up the start, which reads it before it binds or dials.
struct Gate(Tree);

impl Gate {
    fn new() -> Self {
        let tree = Tree::new();
        tree.write("www/a.txt", "a");
        tree.write("empty.toml", "");
        fifo(&tree.path("config.toml"));
        Self(tree)
    }

    fn args(&self, args: &[&str]) -> Vec<String> {
        let own = ["--config".to_owned(), self.0.arg("config.toml")];
        args.iter().map(|arg| (*arg).to_owned()).chain(own).collect()
    }

    fn command(&self, kind: Kind, args: &[&str]) -> std::process::Command {
        let args = self.args(args);
        let args: Vec<_> = args.iter().map(String::as_str).collect();
        Server::command(kind, &[&["--port", "auto", "--ifce", "127.0.0.1"], &args[..]].concat())
    }

    /// Waits until the process reads the file; it is held up until what is returned is dropped.
    fn reached(&self) -> File {
        let config = self.0.path("config.toml");
        let opened = OpenOptions::new().write(true).open(&config);
        let opened = opened.expect("the process reads its configuration");
        // A reload is not held up.
        fs::rename(self.0.path("empty.toml"), config).expect("the FIFO can be replaced");
        opened
    }
}

fn send(pid: Pid, signal: Signal) {
    kill_process(pid, signal).expect("the process is there to be signalled");
}

fn sighup_during_the_start_is_a_reload(kind: Kind) {
    let gate = Gate::new();
    let www = gate.0.arg("www");
    let command = gate.command(kind, &["--rdirs", &www, "--admin", "127.0.0.1:0"]);
    let server = Server::run_while(command, |pid| {
        let _held = gate.reached();
        send(pid, Signal::HUP);
        send(pid, Signal::HUP);
    });
    let reloads = "httpout_reloads_total{result=\"done\"}";
    until("the options are read again", || (server.counter(reloads) >= 1).then_some(()));
    server.ask(&get("/a.txt")).is(200, "a");
    server.stop();
}

#[track_caller]
fn ended(kind: Kind, signals: &[Signal]) -> Exit {
    let gate = Gate::new();
    let command = gate.command(kind, &["--rdirs", &gate.0.arg("www")]);
    Server::ends_after(command, |pid| {
        let _held = gate.reached();
        signals.iter().for_each(|signal| send(pid, *signal));
    })
}

fn sigterm_during_the_start_ends_the_server_in_order(kind: Kind) {
    for signals in [&[Signal::TERM][..], &[Signal::INT], &[Signal::HUP, Signal::TERM]] {
        let exit = ended(kind, signals);
        assert_eq!(exit.code, Some(0), "{signals:?}: {exit:?}");
    }
}

fn a_second_sigterm_ends_a_start_that_hangs(kind: Kind) {
    let gate = Gate::new();
    let mut held = None;
    let command = gate.command(kind, &["--rdirs", &gate.0.arg("www")]);
    let exit = Server::ends_after(command, |pid| {
        held = Some(gate.reached());
        send(pid, Signal::TERM);
        // Two signals of one kind that wait become one.
        send(pid, Signal::INT);
    });
    assert_eq!(exit.code, Some(1), "{exit:?}");
}

fn sighup_during_the_start_of_a_source_does_no_harm(kind: Kind) {
    let gate = Gate::new();
    gate.0.dir("taken");
    let into = format!("{}/", gate.0.arg("taken"));
    let command = gate.command(kind, &["--hmode", "source", "-o", &into]);
    let server = Server::run_while(command, |pid| {
        let _held = gate.reached();
        send(pid, Signal::HUP);
    });
    server.ask(&put("/a.bin", "content")).status_is(201);
    assert_eq!(gate.0.read("taken/a.bin").as_deref(), Some(&b"content"[..]));
    server.stop();
}

/// Starts a push of `a.txt`.
fn push(kind: Kind, gate: &Gate, site: &Site) -> Pusher {
    let args = gate.args(&["-i", &gate.0.arg("www/a.txt"), "-o", &site.server.url("/a.txt")]);
    Pusher::start(kind, &args.iter().map(String::as_str).collect::<Vec<_>>())
}

fn sighup_of_a_push_does_no_harm(kind: Kind) {
    let (gate, site) = (Gate::new(), Site::new(kind));
    let pusher = push(kind, &gate, &site);
    let held = gate.reached();
    pusher.signal(Signal::HUP);
    drop(held);
    pusher.ok();
    assert_eq!(site.read("a.txt").as_deref(), Some(&b"a"[..]));
    // And later.
    let (mut pusher, input) = Pusher::fed(kind, &["-i", "-", "-o", &site.server.url("/b")]);
    pusher.says("pushes");
    pusher.signal(Signal::HUP);
    pusher.says("SIGHUP changes nothing");
    drop(input);
    pusher.ok();
}

fn sigterm_during_the_start_of_a_push_lets_it_finish(kind: Kind) {
    let (gate, site) = (Gate::new(), Site::new(kind));
    let pusher = push(kind, &gate, &site);
    let held = gate.reached();
    pusher.signal(Signal::TERM);
    drop(held);
    pusher.ok();
    assert_eq!(site.read("a.txt").as_deref(), Some(&b"a"[..]));
}
