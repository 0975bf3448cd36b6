//! With python3.

use std::net::{Ipv4Addr, TcpListener};

use super::*;

both! { sockets_passed_by_the_parent_are_served, a_passed_descriptor_that_does_not_listen_is_refused }

/// Gives the program a socket as systemd does. `how` makes `socket`.
fn passing(kind: Kind, how: &str, args: &[&str]) -> Command {
    let launcher = format!(
        "import os, socket, sys\n\
         {how}\n\
         os.dup2(socket.fileno(), 3, inheritable=True) if socket.fileno() != 3 else os.set_inheritable(3, True)\n\
         os.environ['LISTEN_FDS'] = '1'\n\
         os.environ['LISTEN_PID'] = str(os.getpid())\n\
         os.execv(sys.argv[1], sys.argv[1:])\n"
    );
    let server = Server::command(kind, args);
    let mut command = Command::new("python3");
    command.args(["-c", &launcher]).arg(server.get_program()).args(server.get_args());
    // Those that the server is not to see.
    let unset = server.get_envs().filter(|(_, value)| value.is_none());
    unset.for_each(|(name, _)| {
        command.env_remove(name);
    });
    command
}

fn sockets_passed_by_the_parent_are_served(kind: Kind) {
    let tree = Tree::new();
    tree.write("a.bin", "content");
    let www = tree.arg("");
    let how = "socket = socket.create_server(('127.0.0.1', 0))";
    // Only the kernel knows the port, so the banner must tell it.
    let server = Server::run(passing(kind, how, &["--rdirs", &www]));
    server.ask(&get("/a.bin")).is(200, "content");
    let exit = server.stop();
    assert!(!exit.stderr.contains("WARN"), "{exit:?}");
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|socket| socket.local_addr());
    let port = free.expect("a free port").port().to_string();
    let server = Server::run(passing(kind, how, &["--rdirs", &www, "--port", &port]));
    assert_ne!(server.address().port().to_string(), port);
    server.ask(&get("/a.bin")).is(200, "content");
    let exit = server.stop();
    assert!(exit.stderr.contains("WARN port is not used"), "{exit:?}");
    assert!(!exit.stderr.contains("ifce is not used"), "{exit:?}");
    // For HTTPS, unless it is another port's.
    for (args, scheme) in
        [(&["--self-signed"][..], "https"), (&["--self-signed", "--tls-port", &port], "http")]
    {
        let server = Server::run(passing(kind, how, &[&["--rdirs", &www], args].concat()));
        assert_eq!(server.url("/"), format!("{scheme}://{}/", server.address()));
        server.ask(&get("/a.bin")).is(200, "content");
    }
}

fn a_passed_descriptor_that_does_not_listen_is_refused(kind: Kind) {
    let tree = Tree::new();
    for how in [
        "socket = socket.socket()",
        "socket = socket.socket(socket.AF_UNIX)",
        "socket = open('/dev/null')",
    ] {
        let exit = Server::ends(passing(kind, how, &["--rdirs", &tree.arg("")]));
        assert_eq!(exit.code, Some(78), "{how}: {exit:?}");
        assert!(exit.stderr.contains("error: LISTEN_FDS: passed descriptor"), "{how}: {exit:?}");
    }
}
