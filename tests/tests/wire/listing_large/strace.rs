//! With strace, which shows system calls and makes them fail.

use std::io::ErrorKind;
use std::net::TcpStream;

use httpout_tests::{Server, Traced, until};

use super::*;

both! { a_directory_that_is_slow_to_read_holds_nobody_up }

/// The number of the system call that reads a directory.
const GETDENTS64: &str = if cfg!(target_arch = "x86_64") { "217" } else { "61" };

/// Whether some thread of the server is in that call.
fn reads_a_directory(server: &Server) -> bool {
    let Ok(threads) = fs::read_dir(format!("/proc/{}/task", server.pid())) else { return false };
    threads.flatten().any(|thread| {
        let call = fs::read_to_string(thread.path().join("syscall")).unwrap_or_default();
        call.split(' ').next() == Some(GETDENTS64)
    })
}

/// Whether nothing has come on a connection yet.
fn is_silent(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).expect("non-blocking");
    let came = stream.peek(&mut [0]);
    stream.set_nonblocking(false).expect("blocking");
    came.is_err_and(|e| e.kind() == ErrorKind::WouldBlock)
}

fn a_directory_that_is_slow_to_read_holds_nobody_up(kind: Kind) {
    let site = crowded(kind, 10);
    // The disk takes ten minutes; nobody waits so long, for the tracer is gone before.
    let delay = "inject=getdents64:delay_enter=600000000:when=1";
    let traced = Traced::attach(site.server.pid(), &["-e", "trace=getdents64", "-e", delay]);
    let mut client = site.client();
    client.send(get("/large/").bytes());
    until("the directory is being read", || reads_a_directory(&site.server).then_some(()));
    let mut others: Vec<_> = (0..10).map(|_| site.client()).collect();
    for i in 0..100 {
        others[i % 10].ask(&get("/small/a.txt")).is(200, "small");
        others[i % 10].ask(&put("/small/new.txt", "new")).status_in(&[200, 201]);
    }
    assert!(is_silent(&client.writer()), "the listing was answered before its directory was read");
    traced.finish();
    let answer = client.response("GET");
    assert_eq!(names(&answer.text()).len(), 10);
}
