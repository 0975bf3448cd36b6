//! From start to end: command lines, signals, crashes, and what happens to files meanwhile.

use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener};

use httpout_tests::page::repository;
use httpout_tests::{Client, Kind, Request, Server, Site, Tree, both, get, put, until};

#[cfg(feature = "tools")]
mod root;

both! {
    the_originals_one_string_form_is_read,
    dst_names_the_port,
    underscores_and_hyphens_are_the_same,
    a_taken_port_is_named,
    an_unknown_option_is_named,
    a_bad_value_is_named,
    a_command_line_without_a_directory_is_refused,
    a_missing_directory_is_made_or_named,
    what_no_restart_mends_ends_with_78,
    help_and_version_end_well,
    sigterm_of_an_idle_server_ends_it_at_once,
    sigterm_lets_a_download_and_an_upload_finish,
    sigterm_lets_readers_of_growth_finish,
    a_second_sigterm_ends_at_once,
    grace_cuts_what_does_not_finish,
    sigterm_closes_idle_connections,
    quit_ends_after_the_last_client,
    a_killed_server_leaves_the_old_file,
    a_killed_servers_recording_is_kept,
    a_killed_servers_directories_are_served_again,
    a_file_truncated_while_served_is_cut_not_padded,
    a_file_replaced_while_served_is_the_old_one_whole,
    a_file_deleted_while_served_is_whole,
    resets_do_no_harm,
    a_download_of_1_gib_takes_no_memory,
    an_upload_of_256_mib_takes_no_memory,
}

fn the_originals_one_string_form_is_read(kind: Kind) {
    let tree = Tree::new();
    tree.write("out/a.bin", "a");
    tree.dir("in");
    let (out, dir) = (tree.arg("out"), tree.arg("in"));
    let forms = [
        format!("rdirs={out}:wdir={dir}:port=auto:ifce=127.0.0.1"),
        format!("httpout:rdirs={out}:wdir={dir}:port=auto:ifce=127.0.0.1"),
        format!("port=auto:ifce=127.0.0.1:close:maxs=10:rdirs={out},{dir}:wdir={dir}"),
    ];
    for (i, form) in forms.iter().enumerate() {
        let server = Server::launch(kind, &[form]);
        server.ask(&put(&format!("/new-{i}.bin"), "new")).status_is(201);
        if i == 2 {
            server.ask(&get("/out/a.bin")).is(200, "a").says_close();
            server.ask(&put("/big.bin", "more than ten")).status_is(413);
        } else {
            server.ask(&get("/a.bin")).is(200, "a");
        }
        server.stop();
    }
}

/// A loopback port that was free a moment ago.
fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("a bound listener has an address").port()
}

fn dst_names_the_port(kind: Kind) {
    let tree = Tree::new();
    tree.write("a.bin", "a");
    for option in ["--dst", "-o"] {
        let port = free_port();
        let server = Server::launch(
            kind,
            &["--rdirs", &tree.arg(""), option, &format!("http://127.0.0.1:{port}/")],
        );
        assert_eq!(server.address().port(), port);
        server.ask(&get("/a.bin")).is(200, "a");
        server.stop();
    }
}

fn underscores_and_hyphens_are_the_same(kind: Kind) {
    let tree = Tree::new();
    tree.write("a.bin", "a");
    for option in ["--cache_control", "--cache-control"] {
        let server = Server::start(kind, &["--rdirs", &tree.arg(""), option, "no-cache"]);
        server.ask(&get("/a.bin")).is(200, "a").field_is("cache-control", "no-cache");
    }
}

fn a_taken_port_is_named(kind: Kind) {
    let tree = Tree::new();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let port = listener.local_addr().expect("a bound listener has an address").port().to_string();
    let exit =
        Server::fails(kind, &["--rdirs", &tree.arg(""), "--ifce", "127.0.0.1", "--port", &port]);
    assert_eq!(exit.code, Some(1), "it may be free at the next start: {exit:?}");
    assert!(exit.stderr.contains(&port), "the message does not name port {port}: {exit:?}");
}

/// The server refuses to start, and its message names all of these.
#[track_caller]
fn refuses_to_start(kind: Kind, args: &[&str], status: i32, named: &[&str]) {
    let exit = Server::fails(kind, args);
    assert_eq!(exit.code, Some(status), "{args:?}: {exit:?}");
    for name in named {
        assert!(exit.stderr.contains(name), "{args:?}: the message does not name {name}: {exit:?}");
    }
}

fn an_unknown_option_is_named(kind: Kind) {
    let tree = Tree::new();
    let root = tree.arg("");
    refuses_to_start(
        kind,
        &["--rdirs", &root, "--port", "auto", "--no-such-option"],
        2,
        &["no-such-option"],
    );
    refuses_to_start(kind, &[&format!("rdirs={root}:port=auto:nosuch=1")], 2, &["nosuch"]);
}

fn a_bad_value_is_named(kind: Kind) {
    let tree = Tree::new();
    let root = tree.arg("");
    for (option, value, status) in [
        ("--port", "http", 2),
        ("--port", "65536", 2),
        ("--port", "-1", 2),
        ("--maxc", "many", 2),
        ("--maxs", "5X", 2),
        ("--timeout", "soon", 2),
        ("--multirange", "both", 2),
        ("--cte", "perhaps", 2),
        ("--grace", "-1", 2),
        // It may come up.
        ("--ifce", "no-such-interface", 1),
        ("--cache_control", "a\r\nX-Inj: 1", 78),
        ("--user_agent", "a\nb", 78),
    ] {
        let value = format!("{option}={value}");
        refuses_to_start(
            kind,
            &["--rdirs", &root, "--port", "auto", &value],
            status,
            &[option.trim_start_matches('-')],
        );
    }
}

fn a_command_line_without_a_directory_is_refused(kind: Kind) {
    refuses_to_start(kind, &["--port", "auto", "--ifce", "127.0.0.1"], 78, &["rdirs"]);
}

fn what_no_restart_mends_ends_with_78(kind: Kind) {
    let tree = Tree::new();
    let (root, none) = (tree.arg(""), tree.arg("none/a"));
    for option in ["--rdirs", "--cert", "--js", "--input", "--access-log"] {
        let own = ["--rdirs", &root, "--port", "auto", "--ifce", "127.0.0.1"];
        refuses_to_start(kind, &[&own[..], &[option, &none]].concat(), 78, &[&none]);
    }
    // A port that is taken, which may pass, does not hide that.
    let held = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = held.local_addr().expect("its number").port().to_string();
    let own = ["--rdirs", &root, "--port", &port, "--ifce", "127.0.0.1"];
    for option in ["--rdirs", "--cert", "--js", "--input", "--access-log", "--client-ca"] {
        let cert = if option == "--client-ca" { &["--self-signed"][..] } else { &[] };
        refuses_to_start(kind, &[&own[..], cert, &[option, &none]].concat(), 78, &[&none]);
    }
    let source = ["--hmode", "source", "--port", &port, "--ifce", "127.0.0.1", "-o"];
    let file = tree.arg("file/a/");
    tree.write("file", "no directory");
    refuses_to_start(kind, &[&source[..], &[&file]].concat(), 78, &[&file]);
    refuses_to_start(kind, &own, 1, &[&port]);
    let unit = repository().join("contrib/systemd/httpout.service");
    let unit = fs::read_to_string(unit).expect("the unit");
    assert!(unit.lines().any(|line| line == "RestartPreventExitStatus=2 78"));
}

fn a_missing_directory_is_made_or_named(kind: Kind) {
    let tree = Tree::new();
    tree.write("file", "no directory");
    for name in ["in", "with/its/parents"] {
        let server = Server::start(kind, &["--wdir", &tree.arg(name)]);
        server.ask(&put("/a.bin", "a")).status_is(201);
        assert_eq!(tree.read(&format!("{name}/a.bin")).as_deref(), Some(&b"a"[..]));
        server.stop();
    }
    for (option, name) in [
        ("--rdirs", "no/such/dir"),
        ("--rdirs", "file"),
        ("--wdir", "file"),
        ("--wdir", "file/below/it"),
    ] {
        let path = tree.arg(name);
        let args = [option, &path, "--port", "auto", "--ifce", "127.0.0.1"];
        refuses_to_start(kind, &args, 78, &[&path]);
    }
    assert!(!tree.has("no"));
}

fn help_and_version_end_well(kind: Kind) {
    for (option, word) in [("--help", "--rdirs"), ("--help", "--wait-missing"), ("--version", "0.")]
    {
        let exit = Server::fails(kind, &[option]);
        assert_eq!(exit.code, Some(0), "{exit:?}");
        assert!(exit.stdout.contains(word), "{option}: {exit:?}");
    }
}

fn sigterm_of_an_idle_server_ends_it_at_once(kind: Kind) {
    // If it waited for the grace, this would not end.
    let site = Site::with(kind, &["--grace", "600"]);
    site.is_well();
    site.server.stop();
}

fn sigterm_lets_a_download_and_an_upload_finish(kind: Kind) {
    let site = Site::with(kind, &["--grace", "600"]);
    let length = 64 << 20;
    site.tree.sparse("www/big.bin", length);
    let mut download = site.client();
    download.begin(&get("/big.bin")).status_is(200);
    let mut upload = site.client();
    upload.begin_upload(Request::new("PUT", "/a.bin").chunked());
    upload.send_chunk("before ");
    site.server.terminate();
    site.server.refuses_connections();
    upload.send_chunk("after");
    upload.send_last_chunk();
    upload.response("PUT").status_is(201).says_close();
    upload.closed_in_order();
    assert_eq!(download.count(), (length, None));
    download.closed_in_order();
    let Site { server, tree } = site;
    let exit = server.exit();
    assert_eq!(exit.code, Some(0), "{exit:?}");
    assert_eq!(tree.read("www/a.bin").as_deref(), Some(&b"before after"[..]));
    assert!(tree.parts().is_empty());
}

fn sigterm_lets_readers_of_growth_finish(kind: Kind) {
    let site = Site::with(kind, &["--grace", "600"]);
    let mut upload = site.client();
    upload.begin_upload(Request::new("PUT", "/a.bin").chunked());
    upload.send_chunk("one");
    let mut reader = site.client();
    reader.begin(&get("/a.bin")).status_is(200);
    assert_eq!(reader.content(3), b"one");
    site.server.terminate();
    site.server.refuses_connections();
    upload.send_chunk("two");
    assert_eq!(reader.content(3), b"two");
    upload.send_last_chunk();
    upload.response("PUT").status_is(201);
    assert_eq!(reader.rest(), Ok(Vec::new()));
    assert_eq!(site.server.exit().code, Some(0));
}

/// A server with an upload over `www/a.bin` that stalls after its first bytes.
fn stalled(kind: Kind, grace: &str) -> (Site, Client) {
    let site = Site::with(kind, &["--grace", grace]);
    site.write("a.bin", "old");
    let mut upload = site.client();
    upload.begin_upload(Request::new("PUT", "/a.bin").announce(100));
    upload.send("first");
    let mut reader = site.client();
    reader.begin(&get("/a.bin")).status_is(200);
    assert_eq!(reader.content(5), b"first");
    (site, upload)
}

fn a_second_sigterm_ends_at_once(kind: Kind) {
    let (site, _upload) = stalled(kind, "600");
    site.server.terminate();
    site.server.refuses_connections();
    site.server.terminate();
    let Site { server, tree } = site;
    server.exit();
    assert_eq!(tree.read("www/a.bin").as_deref(), Some(&b"old"[..]));
}

fn grace_cuts_what_does_not_finish(kind: Kind) {
    let (site, mut upload) = stalled(kind, "1");
    site.server.terminate();
    let Site { server, tree } = site;
    let exit = server.exit();
    assert_eq!(exit.code, Some(0), "{exit:?}");
    upload.try_head("PUT").expect_err("it is cut");
    assert_eq!(tree.list(), ["www/", "www/a.bin"]);
    assert_eq!(tree.read("www/a.bin").as_deref(), Some(&b"old"[..]));
}

fn sigterm_closes_idle_connections(kind: Kind) {
    let site = Site::with(kind, &["--grace", "600", "--timeout", "0"]);
    let mut used = site.client();
    used.ask(&Request::new("OPTIONS", "*")).status_is(200);
    site.server.terminate();
    used.closed_in_order();
    assert_eq!(site.server.exit().code, Some(0));
}

fn quit_ends_after_the_last_client(kind: Kind) {
    let site = Site::with(kind, &["--quit"]);
    site.write("a.bin", "a");
    let mut first = site.client();
    first.ask(&get("/a.bin")).is(200, "a");
    let mut second = site.client();
    second.ask(&get("/a.bin")).is(200, "a");
    drop(first);
    // One is still there.
    second.ask(&get("/a.bin")).is(200, "a");
    drop(second);
    let exit = site.server.exit();
    assert_eq!(exit.code, Some(0), "{exit:?}");
}

fn a_killed_server_leaves_the_old_file(kind: Kind) {
    let (site, mut upload) = stalled(kind, "10");
    let mut new = site.client();
    new.begin_upload(Request::new("PUT", "/deep/er/new.bin").chunked());
    new.send_chunk("half");
    let Site { server, tree } = site;
    server.kill();
    upload.closed();
    assert_eq!(tree.read("www/a.bin").as_deref(), Some(&b"old"[..]));
    assert!(!tree.has("www/deep/er/new.bin"));
    // What it left behind goes at the next start, and nothing else.
    tree.write("www/dir/.hidden", "mine");
    let site = Site::over(tree, kind, &[]);
    site.no_parts_left();
    site.ask(&get("/a.bin")).is(200, "old");
    site.ask(&get("/deep/er/new.bin")).status_is(404);
    assert_eq!(site.read("dir/.hidden").as_deref(), Some(&b"mine"[..]));
    site.ask(&put("/a.bin", "new")).status_is(200);
}

fn a_killed_servers_recording_is_kept(kind: Kind) {
    let tree = Tree::new();
    let out = tree.arg("out");
    let args = ["-i", "-", "-o", "http://127.0.0.1/d/film.ts", "--rdirs", &out, "--wdir", &out];
    for (content, name) in [("one", "film.ts"), ("another", "film.recovered-1.ts")] {
        let (server, mut input) = Server::fed(kind, &args);
        input.write_all(content.as_bytes()).expect("it is read");
        until("all of it is on the disk", || {
            tree.parts()
                .iter()
                .any(|part| tree.read(part).as_deref() == Some(content.as_bytes()))
                .then_some(())
        });
        // An upload that the crash interrupts is gone.
        let mut upload = server.client();
        upload.begin_upload(Request::new("PUT", "/d/upload.ts").chunked());
        upload.send_chunk("half");
        until("it is under way", || (tree.parts().len() == 2).then_some(()));
        server.kill();
        let again = Server::start(kind, &["--rdirs", &out, "--wdir", &out]);
        assert_eq!(tree.parts(), [""; 0]);
        again.ask(&get(&format!("/d/{name}"))).is(200, content);
        again.ask(&get("/d/upload.ts")).status_is(404);
        assert!(again.stop().stderr.contains(name), "the log does not tell of it");
    }
    assert_eq!(tree.list(), ["out/", "out/d/", "out/d/film.recovered-1.ts", "out/d/film.ts"]);
}

fn a_killed_servers_directories_are_served_again(kind: Kind) {
    let mut tree = Tree::new();
    // A name shows the old or the new content, whenever the crash comes.
    let versions: Vec<Vec<u8>> = (0..8_u8).map(|i| vec![b'0' + i; 50_000]).collect();
    for (i, version) in versions.iter().enumerate() {
        let site = Site::over(tree, kind, &[]);
        site.no_parts_left();
        let mut upload = site.client();
        upload.send(put("/a.bin", version).bytes());
        if i % 2 == 0 {
            upload.response("PUT").status_in(&[200, 201]);
        }
        tree = {
            let Site { server, tree } = site;
            server.kill();
            tree
        };
        if i % 2 == 0 {
            assert_eq!(tree.read("www/a.bin").as_ref(), Some(version), "answered, yet not there");
        }
        let found = tree.read("www/a.bin").expect("the first was answered");
        assert!(versions.contains(&found), "neither the old nor the new content");
    }
}

fn a_file_truncated_while_served_is_cut_not_padded(kind: Kind) {
    let site = Site::new(kind);
    site.tree.sparse("www/big.bin", 256 << 20);
    let mut reader = site.client();
    reader.begin(&get("/big.bin")).status_is(200).field_is("content-length", "268435456");
    site.tree.sparse("www/big.bin", 1000);
    let (length, end) = reader.count();
    assert!(length < 256 << 20 && end.is_some(), "{length} bytes, then {end:?}");
    site.ask(&get("/big.bin")).is(200, vec![0; 1000]);
}

fn a_file_replaced_while_served_is_the_old_one_whole(kind: Kind) {
    let site = Site::new(kind);
    let old: Vec<u8> = (0..64 << 20).map(|i: u32| (i >> 12) as u8).collect();
    site.write("big.bin", &old);
    let mut reader = site.client();
    reader.begin(&get("/big.bin")).status_is(200);
    site.ask(&put("/big.bin", "new")).status_is(200);
    site.ask(&get("/big.bin")).is(200, "new");
    assert!(reader.rest() == Ok(old), "the old content is not whole");
    reader.ask(&get("/big.bin")).is(200, "new");
}

fn a_file_deleted_while_served_is_whole(kind: Kind) {
    let site = Site::new(kind);
    site.tree.sparse("www/big.bin", 64 << 20);
    let mut reader = site.client();
    reader.begin(&get("/big.bin")).status_is(200);
    site.ask(&Request::new("DELETE", "/big.bin")).status_is(200);
    site.ask(&get("/big.bin")).status_is(404);
    assert_eq!(reader.count(), (64 << 20, None));
}

fn resets_do_no_harm(kind: Kind) {
    let site = Site::new(kind);
    site.write("a.bin", "old");
    site.tree.sparse("www/big.bin", 64 << 20);
    site.is_well();
    let before = site.server.descriptors();
    for _ in 0..20 {
        site.client().abort();
        let mut client = site.client();
        client.send("GET /a.b");
        client.abort();
        let mut client = site.client();
        client.begin(&get("/big.bin")).status_is(200);
        client.abort();
        let mut client = site.client();
        client.send(Request::new("PUT", "/a.bin").announce(100).bytes());
        client.send("half");
        client.abort();
        let mut client = site.client();
        client.send(get("/a.bin").bytes().repeat(50));
        client.abort();
    }
    until("all connections are closed", || (site.server.connections() == 0).then_some(()));
    until("all files are closed", || (site.server.descriptors() <= before + 8).then_some(()));
    site.no_parts_left();
    site.ask(&get("/a.bin")).is(200, "old");
}

/// How much a transfer may add to the process.
const FLAT_KIB: u64 = 32 * 1024;

fn a_download_of_1_gib_takes_no_memory(kind: Kind) {
    let site = Site::new(kind);
    site.tree.sparse("www/big.bin", 1 << 30);
    site.is_well();
    let before = site.server.memory_kib();
    let mut reader = site.client();
    reader.begin(&get("/big.bin")).status_is(200).field_is("content-length", "1073741824");
    let mut length = 0;
    while length < 1 << 30 {
        let (part, end) = reader.count_up_to(64 << 20);
        assert!(part > 0, "{length} bytes, then {end:?}");
        length += part;
        let grown = site.server.memory_kib().saturating_sub(before);
        assert!(grown < FLAT_KIB, "{grown} KiB more after {length} bytes");
    }
    assert_eq!(reader.rest(), Ok(Vec::new()));
}

fn an_upload_of_256_mib_takes_no_memory(kind: Kind) {
    let site = Site::new(kind);
    site.is_well();
    let before = site.server.memory_kib();
    let mut upload = site.client();
    upload.begin_upload(Request::new("PUT", "/big.bin").announce(256 << 20));
    let block = vec![b'x'; 1 << 20];
    for i in 0..256 {
        upload.send(&block);
        let grown = site.server.memory_kib().saturating_sub(before);
        assert!(grown < FLAT_KIB, "{grown} KiB more after {i} MiB");
    }
    upload.response("PUT").status_is(201);
    site.ask(&Request::new("HEAD", "/big.bin")).field_is("content-length", "268435456");
}
