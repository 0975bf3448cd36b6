//! One running server, and a server with a directory to serve.

use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::{env, fs};

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};

use crate::{Client, Kind, PATIENCE, Request, Response, Tree, binary, get, secure, until};

/// A server process, killed on drop. A server that panicked or died during a test fails it.
#[derive(Debug)]
pub struct Server {
    child: Child,
    address: SocketAddr,
    admin: Option<SocketAddr>,
    outputs: Option<Outputs>,
    ended: bool,
}

/// How a process ended.
#[derive(Debug)]
pub struct Exit {
    /// Its exit status; nothing after a signal.
    pub code: Option<i32>,
    /// All of its standard output.
    pub stdout: String,
    /// All of its standard error.
    pub stderr: String,
}

impl Server {
    /// Starts a server on a free loopback port, and waits for its banner.
    #[track_caller]
    pub fn start(kind: Kind, args: &[&str]) -> Self {
        Self::launch(kind, &[&["--port", "auto", "--ifce", "127.0.0.1"], args].concat())
    }

    /// Starts a server with exactly this command line, and waits for its banner.
    #[track_caller]
    pub fn launch(kind: Kind, args: &[&str]) -> Self {
        Self::run(Self::command(kind, args))
    }

    /// A command line, to be changed before it is run. What the tests' own environment says of
    /// options is left out.
    pub fn command(kind: Kind, args: &[&str]) -> Command {
        let mut command = Command::new(binary(kind));
        command.args(args);
        if secure::is_asked_for() && !args.contains(&"--cert") && !args.contains(&"--self-signed") {
            command.arg("--self-signed");
        }
        for (name, _) in env::vars_os() {
            if name.as_encoded_bytes().starts_with(b"HTTPOUT_") {
                command.env_remove(name);
            }
        }
        command
    }

    /// Runs a command that becomes a server, and waits for the server's banner. Its standard input
    /// is empty.
    #[track_caller]
    pub fn run(command: Command) -> Self {
        Self::run_reading(command, Stdio::null())
    }

    /// As [`run`](Self::run); does something to the process before its banner is waited for.
    #[track_caller]
    pub fn run_while(mut command: Command, meanwhile: impl FnOnce(Pid)) -> Self {
        let (child, outputs) = spawn(&mut command, Stdio::null());
        meanwhile(Pid::from_child(&child));
        Self::greeted(&command, child, outputs)
    }

    /// As [`start`](Self::start), with a pipe into the server's standard input.
    #[track_caller]
    pub fn fed(kind: Kind, args: &[&str]) -> (Self, ChildStdin) {
        let own = ["--port", "auto", "--ifce", "127.0.0.1"];
        let command = Self::command(kind, &[&own[..], args].concat());
        let mut server = Self::run_reading(command, Stdio::piped());
        let input = server.child.stdin.take().expect("piped");
        (server, input)
    }

    /// As [`start`](Self::start), with the server's standard output, which the banner is not
    /// written to.
    #[track_caller]
    pub fn pouring(kind: Kind, args: &[&str]) -> (Self, ChildStdout) {
        let own = ["--port", "auto", "--ifce", "127.0.0.1"];
        let mut command = Self::command(kind, &[&own[..], args].concat());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|e| panic!("start {command:?}: {e}"));
        let stdout = child.stdout.take().expect("piped");
        let stderr = child.stderr.take().expect("piped");
        let (found, urls) = mpsc::channel();
        let stderr = thread::spawn(move || read_lines(stderr, &found));
        let outputs = Outputs { urls, stdout: thread::spawn(String::new), stderr };
        (Self::greeted(&command, child, outputs), stdout)
    }

    #[track_caller]
    fn run_reading(mut command: Command, stdin: Stdio) -> Self {
        let (child, outputs) = spawn(&mut command, stdin);
        Self::greeted(&command, child, outputs)
    }

    #[track_caller]
    fn greeted(command: &Command, mut child: Child, outputs: Outputs) -> Self {
        let Some(address) = outputs.address() else {
            let _ = child.kill();
            let _ = child.wait();
            panic!("{command:?} printed no URL: {:?}", outputs.collect());
        };
        // Its line stands right behind the URLs.
        let admin = command.get_args().any(|arg| arg == "--admin");
        let admin = admin.then(|| outputs.address().expect("a server with --admin says where"));
        Self { child, address, admin, outputs: Some(outputs), ended: false }
    }

    /// Where the operator's pages are; the server was started with `--admin`.
    #[track_caller]
    pub fn admin(&self) -> SocketAddr {
        self.admin.expect("the server was started without --admin")
    }

    /// A counter, by its name and labels as they are written in `/metrics`.
    #[track_caller]
    pub fn counter(&self, name: &str) -> u64 {
        let text = Client::connect(self.admin()).ask(&get("/metrics"));
        let text = text.text();
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.and_then(|v| v.parse().ok()).unwrap_or_else(|| panic!("no {name} in\n{text}"))
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next address that its banner names, behind those that were asked for before.
    #[track_caller]
    pub fn next_address(&self) -> SocketAddr {
        let next = self.outputs.as_ref().and_then(Outputs::address);
        next.expect("the banner names another address")
    }

    /// The URL of a path on it.
    pub fn url(&self, path: &str) -> String {
        let scheme = if secure::is_secure(self.address) { "https" } else { "http" };
        format!("{scheme}://{}{path}", self.address)
    }

    /// A new connection.
    #[track_caller]
    pub fn client(&self) -> Client {
        Client::connect(self.address)
    }

    /// A connection on which this was answered. Where the server closes idle connections soon and
    /// the machine is slow, more than one may be needed.
    #[track_caller]
    pub fn resting_after(&self, request: &Request) -> Client {
        until("a request comes before its connection was idle for too long", || {
            let mut client = self.client();
            client.try_send(request.bytes()).ok()?;
            client.try_head(request.method()).ok()?;
            client.rest().ok()?;
            Some(client)
        })
    }

    /// One request on a connection of its own, and the whole answer.
    #[track_caller]
    pub fn ask(&self, request: &Request) -> Response {
        self.client().ask(request)
    }

    /// Sends raw bytes that must be refused with this status: exactly one answer, which announces
    /// the close, then the close in order; what is sent behind the refused request is never read as
    /// one.
    #[track_caller]
    pub fn refuses(&self, raw: impl AsRef<[u8]>, status: u16) -> Response {
        let mut client = self.client();
        let canary = b"GET /canary HTTP/1.1\r\nHost: localhost\r\n\r\n";
        client.send([raw.as_ref(), canary].concat());
        let answer = client.response("");
        let shown = String::from_utf8_lossy(raw.as_ref()).chars().take(300).collect::<String>();
        assert_eq!(answer.status, status, "to {shown:?}: {answer:?}");
        assert!(
            answer.lists("connection", "close"),
            "no Connection: close to {shown:?}: {answer:?}"
        );
        client.closed_in_order();
        answer
    }

    /// Waits until new connections are refused.
    #[track_caller]
    pub fn refuses_connections(&self) {
        until("new connections are refused", || {
            TcpStream::connect_timeout(&self.address, PATIENCE).is_err().then_some(())
        });
    }

    /// Sends SIGTERM.
    #[track_caller]
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Sends a signal.
    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("the server is there to be signalled");
    }

    /// Waits for the end of the process.
    #[track_caller]
    pub fn exit(self) -> Exit {
        let exit = self.crash();
        assert!(!exit.stderr.contains("panicked at"), "the server panicked:\n{}", exit.stderr);
        exit
    }

    /// Waits for the end of a process that a test has made panic.
    #[track_caller]
    pub fn crash(mut self) -> Exit {
        let status =
            until("the server ends", || self.child.try_wait().expect("a child can be waited for"));
        self.ended = true;
        let (stdout, stderr) = self.outputs.take().map(Outputs::collect).unwrap_or_default();
        Exit { code: status.code(), stdout, stderr }
    }

    /// Sends SIGTERM, and fails unless the process ends with status 0.
    #[track_caller]
    pub fn stop(self) -> Exit {
        self.terminate();
        let exit = self.exit();
        assert_eq!(exit.code, Some(0), "{exit:?}");
        exit
    }

    /// Ends the process as a crash would.
    #[track_caller]
    pub fn kill(self) {
        self.signal(Signal::KILL);
        let exit = self.exit();
        assert_eq!(exit.code, None, "{exit:?}");
    }

    /// Starts a server that is expected to end by itself, such as one with a wrong option.
    #[track_caller]
    pub fn fails(kind: Kind, args: &[&str]) -> Exit {
        Self::ends(Self::command(kind, args))
    }

    /// Runs a command that is expected to end by itself.
    #[track_caller]
    pub fn ends(command: Command) -> Exit {
        Self::ends_after(command, |_| {})
    }

    /// As [`ends`](Self::ends); does something to the process before its end is waited for.
    #[track_caller]
    pub fn ends_after(mut command: Command, meanwhile: impl FnOnce(Pid)) -> Exit {
        let (child, outputs) = spawn(&mut command, Stdio::null());
        meanwhile(Pid::from_child(&child));
        let address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        Self { child, address, admin: None, outputs: Some(outputs), ended: false }.exit()
    }

    /// The memory the process holds, in KiB.
    #[track_caller]
    pub fn memory_kib(&self) -> u64 {
        self.status("VmRSS:")
    }

    /// The most memory the process ever held, in KiB.
    #[track_caller]
    pub fn peak_memory_kib(&self) -> u64 {
        self.status("VmHWM:")
    }

    /// A line of the kernel's status of the process, in KiB.
    #[track_caller]
    fn status(&self, label: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))
            .expect("the server is alive");
        let line = status.lines().find_map(|l| l.strip_prefix(label)).expect("a process has it");
        line.trim().trim_end_matches(" kB").parse().expect("it is a number")
    }

    /// How many descriptors the process has open.
    #[track_caller]
    pub fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.child.id())).expect("the server is alive").count()
    }

    /// How many connections the server has open, by the kernel's table.
    #[track_caller]
    pub fn connections(&self) -> usize {
        let SocketAddr::V4(address) = self.address else { panic!("{} is not IPv4", self.address) };
        let local =
            format!("{:08X}:{:04X}", u32::from_ne_bytes(address.ip().octets()), address.port());
        let table = fs::read_to_string("/proc/net/tcp").expect("the kernel's table of connections");
        let is_open = |line: &&str| {
            let columns: Vec<_> = line.split_whitespace().collect();
            // The local address, the state (0A listens), and the socket file, which is 0 once the
            // process has closed it.
            matches!(columns[..], [_, at, _, state, _, _, _, _, _, file, ..] if at == local && state != "0A" && file != "0")
        };
        table.lines().filter(is_open).count()
    }

    /// Lets the process open at most so many descriptors from now on.
    #[track_caller]
    pub fn limit_descriptors(&self, most: usize) {
        let limit = Some(most as u64);
        let limits = Rlimit { current: limit, maximum: limit };
        prlimit(Some(self.pid()), Resource::Nofile, limits).expect("a parent may limit its child");
    }

    /// The process's number.
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Another server of this process may get the port, and speak without TLS.
        secure::note(self.address, false);
        if self.ended {
            return;
        }
        let died = self.child.try_wait().ok().flatten();
        let _ = self.child.kill();
        let _ = self.child.wait();
        let (stdout, stderr) = self.outputs.take().map(Outputs::collect).unwrap_or_default();
        if thread::panicking() {
            show(&stdout, &stderr);
            return;
        }
        assert!(died.is_none(), "the server died during the test, {died:?}:\n{stderr}");
        assert!(!stderr.contains("panicked at"), "the server panicked:\n{stderr}");
    }
}

#[expect(clippy::print_stderr, reason = "shown by the test runner with a failed test")]
fn show(stdout: &str, stderr: &str) {
    eprintln!("--- the server's output\n{stdout}--- and its errors\n{stderr}---");
}

/// The process's two outputs, read by threads so that it never blocks on them.
#[derive(Debug)]
struct Outputs {
    urls: Receiver<SocketAddr>,
    stdout: JoinHandle<String>,
    stderr: JoinHandle<String>,
}

impl Outputs {
    /// The address of the first URL that is printed.
    fn address(&self) -> Option<SocketAddr> {
        self.urls.recv_timeout(PATIENCE).ok()
    }

    fn collect(self) -> (String, String) {
        (self.stdout.join().unwrap_or_default(), self.stderr.join().unwrap_or_default())
    }
}

fn spawn(command: &mut Command, stdin: Stdio) -> (Child, Outputs) {
    command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|e| panic!("start {command:?}: {e}"));
    let stdout = child.stdout.take().expect("piped");
    let mut stderr = BufReader::new(child.stderr.take().expect("piped"));
    let (found, urls) = mpsc::channel();
    let by_record = found.clone();
    let stdout = thread::spawn(move || read_lines(stdout, &found));
    let stderr = thread::spawn(move || {
        let mut all = String::new();
        let mut line = Vec::new();
        while stderr.read_until(b'\n', &mut line).is_ok_and(|len| len > 0) {
            for address in record_addresses(&line) {
                let _ = by_record.send(address);
            }
            all.push_str(&String::from_utf8_lossy(&line));
            line.clear();
        }
        all
    });
    (child, Outputs { urls, stdout, stderr })
}

/// Reads to the end, and tells of the URLs in it.
fn read_lines(output: impl Read, found: &Sender<SocketAddr>) -> String {
    let mut all = String::new();
    for line in BufReader::new(output).lines().map_while(Result::ok) {
        if let Some(address) = url_address(&line) {
            let _ = found.send(address);
        }
        all.push_str(&line);
        all.push('\n');
    }
    all
}

/// The addresses in the record of the JSON log that stands for the banner.
fn record_addresses(line: &[u8]) -> Vec<SocketAddr> {
    let record: serde_json::Value = serde_json::from_slice(line).unwrap_or_default();
    let urls = ["urls", "admin"].into_iter().filter_map(|name| record[name].as_array()).flatten();
    urls.filter_map(|url| url_address(url.as_str()?)).collect()
}

/// The address in a line such as `  http://127.0.0.1:8080/`.
fn url_address(line: &str) -> Option<SocketAddr> {
    let line = line.trim().trim_start_matches("for the operator: ");
    let (scheme, rest) =
        line.split_once("://").filter(|(scheme, _)| matches!(*scheme, "http" | "https"))?;
    let mut address: SocketAddr = rest.split('/').next()?.parse().ok()?;
    if address.ip().is_unspecified() {
        address.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    secure::note(address, scheme == "https");
    Some(address)
}

/// A server whose read and write directory is one directory, `www`, of a temporary tree.
#[derive(Debug)]
pub struct Site {
    /// The server.
    pub server: Server,
    /// The tree; what is served lies in its `www`.
    pub tree: Tree,
}

impl Site {
    /// Reading and writing, with the default options but for the numbers of connections.
    #[track_caller]
    pub fn new(kind: Kind) -> Self {
        Self::with(kind, &[])
    }

    /// The same with more options.
    #[track_caller]
    pub fn with(kind: Kind, args: &[&str]) -> Self {
        Self::over(Tree::new(), kind, args)
    }

    /// The same over a tree that has been filled before.
    #[track_caller]
    pub fn over(tree: Tree, kind: Kind, args: &[&str]) -> Self {
        tree.dir("www");
        let www = tree.arg("www");
        let server = Server::start(
            kind,
            &[&["--rdirs", &www, "--wdir", &www, "--maxc", "0", "--maxp", "0"], args].concat(),
        );
        Self { server, tree }
    }

    /// Without a write directory.
    #[track_caller]
    pub fn read_only(kind: Kind, args: &[&str]) -> Self {
        let tree = Tree::new();
        tree.dir("www");
        let server = Server::start(
            kind,
            &[&["--rdirs", &tree.arg("www"), "--maxc", "0", "--maxp", "0"], args].concat(),
        );
        Self { server, tree }
    }

    /// A new connection.
    #[track_caller]
    pub fn client(&self) -> Client {
        self.server.client()
    }

    /// One request on a connection of its own, and the whole answer.
    #[track_caller]
    pub fn ask(&self, request: &Request) -> Response {
        self.server.ask(request)
    }

    /// Puts a file where it is served.
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        self.tree.write(&format!("www/{name}"), bytes);
    }

    /// Reads a served file from the disk.
    pub fn read(&self, name: &str) -> Option<Vec<u8>> {
        self.tree.read(&format!("www/{name}"))
    }

    /// Whether anything has that name on the disk.
    pub fn has(&self, name: &str) -> bool {
        self.tree.has(&format!("www/{name}"))
    }

    /// Waits until no unfinished part of an upload is left on the disk.
    #[track_caller]
    pub fn no_parts_left(&self) {
        until("the unfinished parts of uploads are removed", || {
            self.tree.parts().is_empty().then_some(())
        });
    }

    /// Fails unless the server still answers a plain request.
    #[track_caller]
    pub fn is_well(&self) {
        self.ask(&Request::new("OPTIONS", "*")).status_in(&[200, 204]);
    }
}
