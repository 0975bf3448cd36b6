//! Faults below the server: system calls that fail, and descriptors that run out.

use std::net::TcpStream;

use httpout_tests::{Kind, PATIENCE, Request, Site, Traced, both, get, put, until};
use rustix::process::Pid;

both! {
    durable_answers_after_data_and_directory_are_flushed,
    a_flush_that_fails_is_an_error_and_the_old_file_stays,
    a_rename_that_fails_is_an_error_and_the_old_file_stays,
    a_directory_that_cannot_be_flushed_is_told_and_the_new_file_stands,
    errors_of_accept_do_not_stop_the_server,
    a_listening_socket_that_is_broken_ends_the_server,
    a_server_without_descriptors_recovers,
}

fn durable_answers_after_data_and_directory_are_flushed(kind: Kind) {
    let site = Site::with(kind, &["--durable"]);
    site.is_well();
    let flushes = ["fsync", "fdatasync", "syncfs", "sync_file_range"];
    let names = ["rename", "renameat", "renameat2", "linkat"];
    let sends = ["write", "writev", "sendto", "sendmsg"];
    let calls = [&flushes[..], &names, &sends].concat().join(",");
    let traced = Traced::attach(site.server.pid(), &["-e", &format!("trace={calls}")]);
    site.ask(&put("/a.bin", "content")).status_is(201);
    let log = traced.finish();
    let is_call =
        |line: &str, names: &[&str]| names.iter().any(|name| line.contains(&format!(" {name}(")));
    let steps: Vec<_> = log
        .iter()
        .filter_map(|line| match line.as_str() {
            line if is_call(line, &flushes) => Some("flush"),
            line if is_call(line, &names) => Some("name"),
            line if is_call(line, &sends) && line.contains("HTTP/1.1 201") => Some("answer"),
            _ => None,
        })
        .collect();
    assert_eq!(steps, ["flush", "name", "flush", "answer"], "{log:#?}");
}

/// An upload over an old file, new in a new directory, and chunked, while some system calls fail.
#[track_caller]
fn uploads_fail_cleanly(site: &Site, inject: &str) {
    site.write("a.bin", "old");
    let traced = Traced::attach(site.server.pid(), &["-e", inject]);
    for request in [
        put("/a.bin", "new"),
        put("/dir/deep/b.bin", "new"),
        Request::new("PUT", "/a.bin").chunks(&[b"ne", b"w"]),
        put("/a.bin", "new").field("Range", "bytes=0-2"),
    ] {
        let answer = site.ask(&request);
        assert!([500, 507].contains(&answer.status), "{request:?}: {answer:?}");
        assert_eq!(site.read("a.bin").as_deref(), Some(&b"old"[..]), "after {request:?}");
    }
    traced.finish();
    site.no_parts_left();
    until("what was made for the uploads is removed", || {
        (site.tree.list() == ["www/", "www/a.bin"]).then_some(())
    });
    site.ask(&put("/a.bin", "new")).status_is(200);
    site.ask(&get("/a.bin")).is(200, "new");
}

fn a_flush_that_fails_is_an_error_and_the_old_file_stays(kind: Kind) {
    let site = Site::with(kind, &["--durable"]);
    uploads_fail_cleanly(&site, "inject=fdatasync,syncfs:error=EIO");
}

fn a_rename_that_fails_is_an_error_and_the_old_file_stays(kind: Kind) {
    let site = Site::new(kind);
    uploads_fail_cleanly(&site, "inject=rename,renameat,renameat2,linkat:error=EIO");
}

/// What is flushed after the rename cannot undo it: whether it outlives a crash is not known.
fn a_directory_that_cannot_be_flushed_is_told_and_the_new_file_stands(kind: Kind) {
    let site = Site::with(kind, &["--durable"]);
    site.write("a.bin", "old");
    let traced = Traced::attach(site.server.pid(), &["-e", "inject=fsync:error=EIO"]);
    let mut reader = site.client();
    for (request, path, content) in [
        (put("/a.bin", "new"), "/a.bin", "new"),
        (put("/a.bin", "N").field("Range", "bytes=0-0"), "/a.bin", "New"),
        (put("/dir/deep/b.bin", "other"), "/dir/deep/b.bin", "other"),
    ] {
        let answer = site.ask(&request);
        answer.status_is(500);
        assert!(
            answer.text().contains("in place") && answer.text().contains("crash"),
            "{answer:?}"
        );
        reader.ask(&get(path)).is(200, content);
    }
    traced.finish();
    site.no_parts_left();
    site.ask(&put("/a.bin", "newer")).status_is(200);
}

fn errors_of_accept_do_not_stop_the_server(kind: Kind) {
    let site = Site::new(kind);
    site.write("a.bin", "a");
    for error in ["EMFILE", "ENFILE", "ECONNABORTED", "EPROTO", "ENOBUFS"] {
        let inject = format!("inject=accept4,accept:error={error}:when=1..3");
        let traced = Traced::attach(site.server.pid(), &["-e", &inject]);
        // Two connections may be lost to the errors; the server goes on.
        until("the server accepts again", || {
            let mut client = site.client();
            client.send(get("/a.bin").bytes());
            client.try_head("GET").ok().filter(|head| head.status == 200)
        });
        traced.finish();
    }
}

fn a_listening_socket_that_is_broken_ends_the_server(kind: Kind) {
    let site = Site::new(kind);
    site.is_well();
    let traced = Traced::attach(site.server.pid(), &["-e", "inject=accept4,accept:error=EINVAL"]);
    // Wakes the acceptor.
    let stream = TcpStream::connect_timeout(&site.server.address(), PATIENCE);
    let exit = site.server.exit();
    assert_eq!(exit.code, Some(1), "{exit:?}");
    assert!(exit.stderr.contains("accepts no more connections"), "{exit:?}");
    drop((stream, traced));
}

/// Only tokio's threads panic when the kernel fails them.
#[test]
fn tokio_a_worker_that_panics_ends_the_server() {
    let site = Site::new(Kind::Tokio);
    site.is_well();
    let threads = format!("/proc/{}/task", site.server.pid().as_raw_nonzero());
    let worker = std::fs::read_dir(&threads).expect("its threads").find_map(|thread| {
        let thread = thread.expect("a thread").path();
        let name = std::fs::read_to_string(thread.join("comm")).ok()?;
        (name.trim() == "worker-1").then(|| thread.file_name()?.to_str()?.parse::<i32>().ok())?
    });
    // With one processor, the main thread does it all.
    let thread = worker.and_then(Pid::from_raw).unwrap_or_else(|| site.server.pid());
    let traced = Traced::attach_thread(thread, &["-e", "inject=epoll_wait:error=EINVAL"]);
    // Connections go to each thread in turn.
    let streams: Vec<_> = (0..64)
        .map_while(|_| TcpStream::connect_timeout(&site.server.address(), PATIENCE).ok())
        .collect();
    let exit = site.server.crash();
    assert_eq!(exit.code, Some(1), "{exit:?}");
    assert!(exit.stderr.contains("error: cannot serve: the"), "{exit:?}");
    drop((streams, traced));
}

fn a_server_without_descriptors_recovers(kind: Kind) {
    let site = Site::new(kind);
    site.write("a.bin", "a");
    site.is_well();
    let used = site.server.descriptors();
    site.server.limit_descriptors(used + 6);
    let streams: Vec<_> = (0..40)
        .map(|_| {
            TcpStream::connect_timeout(&site.server.address(), PATIENCE)
                .expect("the kernel accepts for it")
        })
        .collect();
    // Some of them have eaten all descriptors; when they go, the server serves again.
    until("all descriptors are used", || (site.server.descriptors() >= used + 5).then_some(()));
    drop(streams);
    until("the server serves again", || {
        let mut client = site.client();
        client.try_send(get("/a.bin").bytes()).ok()?;
        let head = client.try_head("GET").ok()?;
        (head.status == 200 && client.rest().as_deref() == Ok(b"a")).then_some(())
    });
    site.ask(&put("/b.bin", "b")).status_is(201);
}
