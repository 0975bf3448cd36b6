//! The servers that are compared: started in a temporary directory, ended by their own process id.

use std::{
    env, fs,
    io::{BufRead, BufReader, Read},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{
    client::Client,
    error::{Context, Error, Result},
    icecast, measure,
};

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Nginx,
    Icecast,
    /// See [`crate::floor`] and [`crate::floor_live`].
    Floor,
    Tokio,
    Smol,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Icecast => "icecast2",
            Self::Floor => "floor",
            Self::Tokio => "httpout",
            Self::Smol => "httpout-smol",
        }
    }
}

/// The directory that everything happens in. It is removed at the end.
#[derive(Debug)]
pub(crate) struct Lab(PathBuf);

impl Lab {
    pub(crate) fn new(parent: &Path) -> Result<Self> {
        let dir = parent.join(format!("httpout-benches-{}", std::process::id()));
        fs::create_dir_all(&dir).context(dir.display())?;
        Ok(Self(dir))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // What cannot be removed is left to whoever cleans the temporary directory.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A server that runs.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) kind: Kind,
    pub(crate) addr: SocketAddr,
    /// What it serves, and takes uploads into.
    pub(crate) root: PathBuf,
    log: PathBuf,
    scheme: &'static str,
    child: Child,
}

/// For those that cannot choose one by themselves: one that was free a moment ago is most likely
/// free.
pub(crate) fn free_port() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("free port")?;
    listener.local_addr().context("free port")
}

/// Builds our servers with the same profile for everyone, next to this program.
pub(crate) fn build() -> Result<()> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["build", "--release", "-p", "httpout-tokio", "-p", "httpout-smol", "--target-dir"])
        .arg(target_dir()?)
        .status()
        .context("cargo")?;
    if status.success() { Ok(()) } else { Err(Error::new(format!("cargo build: {status}"))) }
}

/// `target`, of `target/release/httpout-benches`.
fn target_dir() -> Result<PathBuf> {
    let program = env::current_exe().context("own path")?;
    Ok(program.ancestors().nth(2).context("target directory")?.to_path_buf())
}

/// One of our binaries.
pub(crate) fn program(kind: Kind) -> Result<PathBuf> {
    Ok(target_dir()?.join("release").join(kind.name()))
}

impl Server {
    /// Starts one and waits until it answers. `files` are made below its root before.
    pub(crate) fn start(kind: Kind, lab: &Lab, files: &[(&str, u64)]) -> Result<Self> {
        Self::start_secured(kind, lab, files, None)
    }

    /// The same over TLS, where there is a certificate: the PEM files of it and of its key.
    pub(crate) fn start_secured(
        kind: Kind,
        lab: &Lab,
        files: &[(&str, u64)],
        pair: Option<&[PathBuf; 2]>,
    ) -> Result<Self> {
        let dir = lab.path(kind.name());
        let root = dir.join("www");
        fs::create_dir_all(&root).context(root.display())?;
        for (name, len) in files {
            make_file(&root.join(name), *len)?;
        }
        let log = dir.join("log");
        let (child, addr) = match kind {
            Kind::Nginx => start_nginx(&dir, &root, &log, pair)?,
            Kind::Icecast => icecast::start(&dir, &log)?,
            Kind::Floor => {
                let program = env::current_exe().context("own path")?;
                let mut command = Command::new(program);
                command.arg("floor").arg(root.join("upload")).stdin(Stdio::null());
                start_ours(&mut command, &log)?
            }
            Kind::Tokio | Kind::Smol => {
                let mut command = Command::new(program(kind)?);
                command.arg("--rdirs").arg(&root).arg("--wdir").arg(&root);
                command.args(["--port", "auto", "--maxc", "0", "--maxp", "0", "--timeout", "0"]);
                if let Some([cert, key]) = pair {
                    command.arg("--cert").arg(cert).arg("--pkey").arg(key);
                }
                command.stdin(Stdio::null());
                start_ours(&mut command, &log)?
            }
        };
        let scheme = if pair.is_some() { "https" } else { "http" };
        Self { kind, addr, root, log, scheme, child }.up()
    }

    /// Starts one of ours by another command line. Its standard input is the caller's to choose.
    pub(crate) fn start_with(
        kind: Kind,
        command: &mut Command,
        root: PathBuf,
        log: &Path,
    ) -> Result<Self> {
        let (child, addr) = start_ours(command, log)?;
        Self { kind, addr, root, log: log.to_owned(), scheme: "http", child }.up()
    }

    /// The way into the server's standard input, once, if it is a pipe.
    pub(crate) fn take_stdin(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    fn up(mut self) -> Result<Self> {
        match self.wait_until_up() {
            Ok(()) => Ok(self),
            Err(error) => Err(error.and(&self.log_tail())),
        }
    }

    /// One after the other.
    pub(crate) fn start_all(
        kinds: impl IntoIterator<Item = Kind>,
        lab: &Lab,
        files: &[(&str, u64)],
    ) -> Result<Vec<Self>> {
        kinds.into_iter().map(|kind| Self::start(kind, lab, files)).collect()
    }

    pub(crate) fn url(&self, name: &str) -> String {
        format!("{}://{}/{name}", self.scheme, self.addr)
    }

    /// The server, and for nginx its worker.
    pub(crate) fn pids(&self) -> Result<Vec<u32>> {
        let mut pids = vec![self.child.id()];
        if self.kind == Kind::Nginx {
            pids.extend(measure::children(self.child.id())?);
        }
        Ok(pids)
    }

    pub(crate) fn cpu_seconds(&self) -> Result<f64> {
        measure::cpu_seconds(&self.pids()?)
    }

    pub(crate) fn memory_kib(&self, key: &str) -> Result<u64> {
        measure::memory_kib(&self.pids()?, key)
    }

    fn wait_until_up(&mut self) -> Result<()> {
        let end = Instant::now() + Duration::from_secs(10);
        loop {
            if let Some(status) = self.child.try_wait().context(self.kind.name())? {
                return Err(Error::new(format!("{} ended: {status}", self.kind.name())));
            }
            match self.answers() {
                Ok(()) => return Ok(()),
                Err(error) if Instant::now() > end => return Err(error),
                Err(_) => thread::sleep(Duration::from_millis(5)),
            }
        }
    }

    /// Whatever the answer is: a connection alone says little, the kernel takes it before a worker
    /// of nginx is there.
    fn answers(&self) -> Result<()> {
        let mut client = Client::connect(self.addr)?;
        // icecast2 dies now and then of a request for a file while it starts; its source asks next
        // anyway.
        if !matches!(self.kind, Kind::Floor | Kind::Icecast) {
            client.send(b"GET /none HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
            client.read_head(&mut vec![0; 16 << 10])?;
        }
        Ok(())
    }

    fn log_tail(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().rev().take(10).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // One that is gone needs no signal.
            let _ = kill_process(pid, signal);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let workers = self.pids().unwrap_or_default();
        self.signal(Signal::TERM);
        let end = Instant::now() + Duration::from_secs(3);
        while Instant::now() < end {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(5));
        }
        // It is our child and not yet waited for, so the id is still its own; so are those of its
        // workers.
        for pid in workers.into_iter().rev() {
            if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        let _ = self.child.wait();
    }
}

/// A file of `len` bytes. A large one is sparse: its bytes take no disk.
fn make_file(path: &Path, len: u64) -> Result<()> {
    let file = fs::File::create(path).context(path.display())?;
    file.set_len(len).context(path.display())
}

/// Starts a program that prints `http://ADDR/` on a line of its own.
fn start_ours(command: &mut Command, log: &Path) -> Result<(Child, SocketAddr)> {
    let name = command.get_program().to_string_lossy().into_owned();
    let stderr = fs::File::create(log).context(log.display())?;
    let command = command.stdout(Stdio::piped()).stderr(stderr);
    let mut child = command.spawn().context(&name)?;
    let stdout = child.stdout.take().context("standard output")?;
    let (found, address) = mpsc::channel();
    // Reads to the end, so that a server that goes on printing is not held up.
    thread::spawn(move || {
        let mut stdout = BufReader::new(stdout);
        let mut line = String::new();
        while stdout.read_line(&mut line).is_ok_and(|len| len > 0) {
            if let Some(addr) = banner_address(&line) {
                // It may name several; the first is taken.
                let _ = found.send(addr);
            }
            line.clear();
        }
        let _ = stdout.read_to_end(&mut Vec::new());
    });
    match address.recv_timeout(Duration::from_secs(10)) {
        Ok(addr) => Ok((child, addr)),
        Err(_) => {
            child.kill().and_then(|()| child.wait()).context(&name)?;
            let said = fs::read_to_string(log).unwrap_or_default();
            Err(Error::new(format!("{name} printed no address\n{said}")))
        }
    }
}

pub(crate) fn banner_address(line: &str) -> Option<SocketAddr> {
    let (_, address) = line.split_once("://").filter(|(_, rest)| rest.starts_with("127.0.0.1:"))?;
    address.split(['/', '\n']).next()?.parse().ok()
}

fn start_nginx(
    dir: &Path,
    root: &Path,
    log: &Path,
    pair: Option<&[PathBuf; 2]>,
) -> Result<(Child, SocketAddr)> {
    let addr = free_port()?;
    let conf = dir.join("nginx.conf");
    fs::write(&conf, nginx_conf(root, addr, pair)).context(conf.display())?;
    let spawn = |program: &str| {
        Command::new(program)
            .arg("-p")
            .arg(dir)
            .arg("-c")
            .arg(&conf)
            .arg("-e")
            .arg(log)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
    };
    // Debian keeps it where only root's PATH leads.
    let child = spawn("nginx").or_else(|_| spawn("/usr/sbin/nginx"));
    Ok((child.map_err(|error| measure::missing("nginx", "nginx", &error))?, addr))
}

/// One worker, as we run one, and nothing that costs it time: no access log, connections that last.
fn nginx_conf(root: &Path, addr: SocketAddr, pair: Option<&[PathBuf; 2]>) -> String {
    // Started by root it would let its worker be someone who cannot enter the directory.
    let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
    let root = root.display();
    let (ssl, pair) = match pair {
        Some([cert, key]) => {
            let (cert, key) = (cert.display(), key.display());
            (
                " ssl",
                format!(
                    "ssl_certificate {cert}; ssl_certificate_key {key};\n        ssl_protocols TLSv1.2 TLSv1.3;"
                ),
            )
        }
        None => ("", String::new()),
    };
    format!(
        "{user}
daemon off;
worker_processes 1;
pid nginx.pid;
events {{ worker_connections 20000; }}
http {{
    access_log off;
    sendfile on;
    default_type application/octet-stream;
    keepalive_requests 1000000000;
    keepalive_timeout 3600s;
    client_max_body_size 0;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    server {{
        listen {addr}{ssl} backlog=4096;
        {pair}
        location / {{ root {root}; dav_methods PUT DELETE; }}
    }}
}}
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_address_in_a_banner() {
        let addr = "127.0.0.1:8080".parse().ok();
        assert_eq!(banner_address("  http://127.0.0.1:8080/\n"), addr);
        assert_eq!(banner_address("  http://127.0.0.1:8080/live.bin\n"), addr);
        assert_eq!(banner_address("httpout 0.1.0\n"), None);
    }
}
