//! Push mode to servers of others: the WebDAV of nginx and of Apache.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use httpout_tests::{Kind, Pusher, Tree, both, until};
use rustix::process::Signal;

both! {
    nginx_stores_files_and_streams,
    nginx_mirrors_a_directory,
    apache_stores_files_and_streams,
    apache_mirrors_a_directory,
}

/// A running server, ended on drop.
#[derive(Debug)]
struct Dav {
    child: Child,
    address: SocketAddr,
    tree: Tree,
}

impl Dav {
    #[track_caller]
    fn nginx() -> Self {
        Self::start(
            |tree, listen| {
                let temp = tree.arg("temp");
                let www = tree.arg("www");
                format!(
                    "user root; daemon off; master_process off; pid {temp}/pid;
                    events {{ worker_connections 64; }}
                    http {{
                        access_log off;
                        client_body_temp_path {temp}; proxy_temp_path {temp}; fastcgi_temp_path {temp};
                        uwsgi_temp_path {temp}; scgi_temp_path {temp};
                        client_max_body_size 0;
                        server {{
                            listen {listen};
                            location / {{ root {www}; dav_methods PUT DELETE; create_full_put_path on; }}
                        }}
                    }}"
                )
            },
            |tree| {
                let mut command = Command::new("nginx");
                command.args([
                    "-p",
                    &tree.arg(""),
                    "-c",
                    &tree.arg("conf"),
                    "-e",
                    &tree.arg("log"),
                ]);
                command
            },
        )
    }

    #[track_caller]
    fn apache() -> Self {
        Self::start(
            |tree, listen| {
                let modules = ["mpm_event", "authz_core", "dav", "dav_fs"];
                let load = modules.map(|name| {
                    format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n")
                });
                let (temp, www) = (tree.arg("temp"), tree.arg("www"));
                format!(
                    "{}User www-data\nGroup www-data\n
                    ServerName localhost\nServerRoot {temp}\nListen {listen}\nPidFile {temp}/pid\nErrorLog {}\n
                    DocumentRoot {www}\nDavLockDB {temp}/lock\n<Directory {www}>\nDav On\nRequire all granted\n</Directory>\n",
                    load.concat(),
                    tree.arg("log"),
                )
            },
            |tree| {
                let mut command = Command::new("apache2");
                command.args(["-X", "-f", &tree.arg("conf")]);
                command
            },
        )
    }

    #[track_caller]
    fn start(
        configuration: impl Fn(&Tree, SocketAddr) -> String,
        command: impl Fn(&Tree) -> Command,
    ) -> Self {
        let mut tree = Tree::new();
        tree.dir("temp");
        tree.dir("www");
        // Apache's worker is not root.
        for name in ["", "temp", "www"] {
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o777);
            std::fs::set_permissions(tree.path(name), mode).expect("the mode can be set");
        }
        // Somebody may take the port before it does: then with another one.
        for _ in 0..10 {
            let listener =
                TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free loopback port");
            let address = listener.local_addr().expect("a bound listener has an address");
            drop(listener);
            tree.write("conf", configuration(&tree, address));
            let mut command = command(&tree);
            let child =
                command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
            let child =
                child.unwrap_or_else(|e| panic!("the tests need {command:?}; install it ({e})"));
            let mut dav = Self { child, address, tree };
            let is_up = until("the server starts or ends", || {
                let ended = dav.child.try_wait().expect("a child can be waited for");
                ended.map(|_| false).or_else(|| TcpStream::connect(address).ok().map(|_| true))
            });
            if is_up {
                return dav;
            }
            tree = std::mem::replace(&mut dav.tree, Tree::new());
        }
        let log = tree.read("log").unwrap_or_default();
        panic!("the server does not start: {}", String::from_utf8_lossy(&log));
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Files large and small, with a length and without, over connections that are kept.
    #[track_caller]
    fn stores(&self, kind: Kind) {
        let content: Vec<u8> = (0..3 << 20).map(|n: u32| (n % 251) as u8).collect();
        let mut args = vec!["-o".to_owned(), self.url("/"), "--verify".into()];
        for number in 0..20 {
            self.tree.write(&format!("in/{number}.bin"), &content[..number * number * 1000]);
            args.extend(["-i".into(), self.tree.arg(&format!("in/{number}.bin"))]);
        }
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        Pusher::start(kind, &args).ok();
        for number in 0..20 {
            let stored = self.tree.read(&format!("www/{number}.bin"));
            assert!(
                stored.is_some_and(|stored| stored == content[..number * number * 1000]),
                "{number}"
            );
        }
        let (pusher, mut input) = Pusher::fed(kind, &["-i", "-", "-o", &self.url("/stream.bin")]);
        std::io::Write::write_all(&mut input, &content).expect("it is read");
        drop(input);
        pusher.ok();
        assert!(self.tree.read("www/stream.bin").is_some_and(|stored| stored == content));
    }

    /// Files that come, change and go.
    #[track_caller]
    fn mirrors(&self, kind: Kind) {
        self.tree.dir("in");
        let args = ["-i", &format!("{}/", self.tree.arg("in")), "-o", &self.url("/")];
        let mut pusher = Pusher::start(kind, &args);
        pusher.says("pushes");
        for round in 0..3 {
            for name in ["a.m4s", "b.m4s", "c.mpd"] {
                self.tree.write(&format!("in/{name}"), format!("{name} {round}"));
            }
        }
        std::fs::remove_file(self.tree.path("in/a.m4s")).expect("it can be removed");
        until("the server has what the directory has", || {
            let is = |name: &str| {
                self.tree.read(&format!("www/{name}")) == self.tree.read(&format!("in/{name}"))
            };
            ["a.m4s", "b.m4s", "c.mpd"].into_iter().all(is).then_some(())
        });
        pusher.signal(Signal::TERM);
        pusher.ok();
    }
}

impl Drop for Dav {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn nginx_stores_files_and_streams(kind: Kind) {
    Dav::nginx().stores(kind);
}

fn nginx_mirrors_a_directory(kind: Kind) {
    Dav::nginx().mirrors(kind);
}

fn apache_stores_files_and_streams(kind: Kind) {
    Dav::apache().stores(kind);
}

fn apache_mirrors_a_directory(kind: Kind) {
    Dav::apache().mirrors(kind);
}
