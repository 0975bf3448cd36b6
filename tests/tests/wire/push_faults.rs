//! What can go wrong with a push: each failure is one clear line, a retry where it helps, and the
//! exit status.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};

use httpout_tests::{Asked, Kind, Pusher, Scripted, Site, Tree, both};
use rustix::process::Signal;

both! {
    a_server_that_is_not_there_yet_is_waited_for,
    a_name_without_address_is_told,
    refusals_are_told_with_what_to_do,
    garbage_is_told,
    a_connection_lost_before_the_answer_is_made_anew,
    a_stale_connection_is_made_anew,
    a_file_broken_off_is_sent_again_whole,
    a_busy_server_is_asked_again,
    a_redirect_is_followed,
    the_upload_is_repeated_at_the_place_a_302_names,
    a_stream_is_repeated_at_the_place_a_302_names,
    signatures_and_passwords_are_shown_nowhere,
    a_redirect_takes_no_password_elsewhere,
    an_early_answer_stops_the_upload,
    a_file_that_becomes_shorter_is_told,
    a_post_is_not_sent_twice,
    a_slow_server_gets_all_of_it,
}

fn answer(status: &str, fields: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{fields}Content-Length: 0\r\n\r\n")
}

/// The file `a` of a tree, which holds this.
fn file(content: &[u8]) -> (Tree, String) {
    let tree = Tree::new();
    tree.write("a", content);
    let path = tree.arg("a");
    (tree, path)
}

fn a_server_that_is_not_there_yet_is_waited_for(kind: Kind) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    drop(listener);
    let (_tree, input) = file(b"x");
    let mut pusher = Pusher::start(kind, &["-i", &input, "-o", &format!("http://{address}/a")]);
    let line = pusher.says("trying again in 0.25 s");
    assert!(line.contains("refused") && line.contains("check host and port"), "{line}");
    let listener = TcpListener::bind(address).expect("the port is still free");
    let (stream, _) = listener.accept().expect("it comes again");
    let mut stream = BufReader::new(stream);
    let asked = Asked::read(0, &mut stream).expect("a request").expect("a request");
    stream.get_mut().write_all(answer("201 Created", "").as_bytes()).expect("it waits");
    pusher.ok();
    assert_eq!(asked.body, b"x");
}

fn a_name_without_address_is_told(kind: Kind) {
    let (_tree, input) = file(b"x");
    let args = ["-i", &input, "-o", "http://nowhere.invalid/a", "--grace", "0"];
    let mut pusher = Pusher::start(kind, &args);
    pusher.says("nowhere.invalid has no address");
    pusher.signal(Signal::TERM);
    pusher.exit().failed(&["error: PUT http://nowhere.invalid/a"]);
}

fn refusals_are_told_with_what_to_do(kind: Kind) {
    let (_tree, input) = file(b"x");
    for (status, help) in [
        ("401 Unauthorized", "user:password@"),
        ("403 Forbidden", "rights"),
        ("404 Not Found", "check the path"),
        ("405 Method Not Allowed", "--post"),
        ("411 Length Required", "cte"),
        ("413 Content Too Large", "send less"),
        ("500 Internal Server Error", "look at its log"),
        ("507 Insufficient Storage", "full"),
    ] {
        let server = Scripted::answering(move |_| answer(status, ""));
        let url = server.url("/a");
        let exit = Pusher::run(kind, &["-i", &input, "-o", &url]);
        exit.failed(&[&format!("error: PUT {url}: {status}"), help]);
        assert_eq!(server.asked().body, b"x");
        assert_eq!(server.rest(), [], "{status} is no reason to try again");
    }
}

fn garbage_is_told(kind: Kind) {
    let (_tree, input) = file(b"x");
    for said in ["SSH-2.0-OpenSSH\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n"] {
        let server = Scripted::answering(move |_| said.into());
        let exit = Pusher::run(kind, &["-i", &input, "-o", &server.url("/a")]);
        exit.failed(&["the answer is not HTTP", "check scheme"]);
    }
}

fn a_connection_lost_before_the_answer_is_made_anew(kind: Kind) {
    let (_tree, input) = file(b"x");
    let server = Scripted::answering(|asked| match asked.connection {
        0 => String::new(),
        _ => answer("200 OK", ""),
    });
    let exit = Pusher::start(kind, &["-i", &input, "-o", &server.url("/a")]).ok();
    assert!(exit.stderr.contains("trying again in 0.25 s"), "{exit:?}");
    assert_eq!(server.rest().len(), 2);
}

fn a_stale_connection_is_made_anew(kind: Kind) {
    let tree = Tree::new();
    let mut args = vec!["-o".to_owned()];
    // Answers once a connection, and does not say that it closes.
    let server = Scripted::new(|connection, stream| {
        let mut stream = BufReader::new(stream);
        let _ = Asked::read(connection, &mut stream);
        let _ = stream.get_mut().write_all(answer("200 OK", "").as_bytes());
    });
    args.push(server.url("/"));
    for name in 0..12 {
        tree.write(&name.to_string(), "x");
        args.extend(["-i".into(), tree.arg(&name.to_string())]);
    }
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let exit = Pusher::start(kind, &args).ok();
    assert!(exit.stdout.ends_with("12 stored, 12 bytes\n"), "{exit:?}");
}

fn a_file_broken_off_is_sent_again_whole(kind: Kind) {
    let content: Vec<u8> = (0..3 << 20).map(|n: u32| (n % 251) as u8).collect();
    let (_tree, input) = file(&content);
    let (tell, told) = std::sync::mpsc::channel();
    let server = Scripted::new(move |connection, stream| {
        let mut stream = BufReader::new(stream);
        if connection == 0 {
            let mut some = vec![0; 300_000];
            let _ = stream.get_mut().write_all(b"HTTP/1.1 100 Continue\r\n\r\n");
            let _ = stream.read_exact(&mut some);
            return;
        }
        let asked = Asked::read(connection, &mut stream).expect("a request").expect("a request");
        let _ = stream.get_mut().write_all(answer("201 Created", "").as_bytes());
        let _ = tell.send(asked.body);
    });
    let exit = Pusher::start(kind, &["-i", &input, "-o", &server.url("/a")]).ok();
    assert!(exit.stderr.contains("trying again"), "{exit:?}");
    assert!(told.recv().expect("it came") == content);
}

fn a_busy_server_is_asked_again(kind: Kind) {
    let (_tree, input) = file(b"x");
    let mut first = true;
    let server = Scripted::answering(move |asked| {
        // Each connection has its own copy: the first answer closes it.
        if asked.connection == 0 && std::mem::take(&mut first) {
            return answer("503 Service Unavailable", "Retry-After: 1\r\nConnection: close\r\n");
        }
        answer("200 OK", "")
    });
    let exit = Pusher::start(kind, &["-i", &input, "-o", &server.url("/a")]).ok();
    assert!(exit.stderr.contains("trying again in 1 s"), "{exit:?}");
}

fn a_redirect_is_followed(kind: Kind) {
    let site = Site::new(kind);
    let to = site.server.url("/there");
    let fields = format!("Location: {to}\r\n");
    let server = Scripted::answering(move |_| answer("307 Temporary Redirect", &fields));
    let (_tree, input) = file(b"x");
    Pusher::start(kind, &["-i", &input, "-o", &server.url("/a")]).ok();
    assert_eq!(site.read("there").as_deref(), Some(&b"x"[..]));
}

fn the_upload_is_repeated_at_the_place_a_302_names(kind: Kind) {
    let (_tree, input) = file(b"x");
    for (args, method) in [(&[][..], "PUT"), (&["--post"], "POST")] {
        let other = Scripted::answering(|_| answer("201 Created", ""));
        let fields = format!("Location: {}\r\n", other.url("/there?sig=1"));
        let server = Scripted::answering(move |_| answer("302 Found", &fields));
        let url = server.url("/a");
        Pusher::start(kind, &[&["-i", &input, "-o", &url], args].concat()).ok();
        assert_eq!(server.asked().line(), format!("{method} /a HTTP/1.1"));
        let asked = other.asked();
        assert_eq!(asked.line(), format!("{method} /there?sig=1 HTTP/1.1"));
        assert_eq!(asked.body, b"x");
        assert_eq!((server.rest(), other.rest()), (Vec::new(), Vec::new()));
    }
    // The redirect is not kept: the next upload begins at the URL that was given.
    let (tree, other) = (Tree::new(), Scripted::answering(|_| answer("201 Created", "")));
    for name in ["d/1", "d/2"] {
        tree.write(name, name);
    }
    let fields = format!("Location: {}\r\n", other.url("/there"));
    let server = Scripted::answering(move |_| answer("302 Found", &fields));
    let input = format!("{}/", tree.arg("d"));
    Pusher::start(kind, &["-i", &input, "-o", &server.url("/"), "--quit"]).ok();
    let mut bodies = [other.asked().body, other.asked().body];
    bodies.sort();
    assert_eq!(bodies, [b"d/1", b"d/2"]);
    assert_eq!(server.rest().len(), 2);
}

fn a_stream_is_repeated_at_the_place_a_302_names(kind: Kind) {
    let other = Scripted::answering(|_| answer("201 Created", ""));
    let to = other.url("/there");
    // Answers before the body, which cannot be read twice.
    let server = Scripted::new(move |_, stream| {
        let mut stream = BufReader::new(stream);
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            if stream.read_line(&mut line).is_err() {
                return;
            }
        }
        let fields = format!("Location: {to}\r\nConnection: close\r\n");
        let _ = stream.get_mut().write_all(answer("302 Found", &fields).as_bytes());
    });
    let (pusher, mut stdin) = Pusher::fed(kind, &["-i", "-", "-o", &server.url("/a.ts")]);
    stdin.write_all(b"some").expect("it is read");
    drop(stdin);
    pusher.ok();
    assert_eq!(other.asked().body, b"some");
}

fn signatures_and_passwords_are_shown_nowhere(kind: Kind) {
    let secrets = |exit: &httpout_tests::Exit| {
        let all = format!("{}{}", exit.stdout, exit.stderr);
        assert!(!all.contains("5ecret") && !all.contains("p4ssword"), "{exit:#?}");
        all
    };
    let (tree, input) = file(b"x");
    tree.write("d/b", "x");
    let dir = format!("{}/", tree.arg("d"));
    let query = "?X-Amz-Signature=5ecret&5ecret2";
    let shown = "?X-Amz-Signature=REDACTED&REDACTED";
    for status in ["201 Created", "403 Forbidden", "503 Service Unavailable", "302 Found"] {
        for (input, path) in [(&input, "/a"), (&dir, "/")] {
            let other = Scripted::answering(|_| answer("404 Not Found", "Connection: close\r\n"));
            let fields = format!("Location: http://u:p4ssword@{}/b?t=5ecret3\r\n", other.address());
            let server = Scripted::answering(move |asked| match (asked.connection, status) {
                (0, "503 Service Unavailable") => {
                    answer(status, "Retry-After: 0\r\nConnection: close\r\n")
                }
                (_, "503 Service Unavailable") => answer("404 Not Found", "Connection: close\r\n"),
                (_, "302 Found") => answer(status, &fields),
                _ => answer(status, "Connection: close\r\n"),
            });
            let url = format!("http://me:p4ssword@{}{path}{query}", server.address());
            let args = ["-i", input, "-o", &url, "--reqlog", "*", "--quit", "--verify"];
            let exit = Pusher::run(kind, &args);
            let all = secrets(&exit);
            assert!(all.contains(shown), "{status}: {all}");
            assert!(
                server.asked().line().contains(query),
                "the signature itself goes to the server"
            );
            if status == "302 Found" {
                let to = format!("{}/b?t=REDACTED", other.address());
                assert!(all.contains(&format!("redirected to http://{to}")), "{all}");
                assert_eq!(other.asked().line(), "PUT /b?t=5ecret3 HTTP/1.1");
            }
        }
    }
    // What cannot be understood is not shown in full either.
    for wrong in [
        &["-o", "http://me:p4ssword@h:x/?s=5ecret"][..],
        &["-o", "http://me:p4ss/p4ssword@h/?s=5ecret"],
        &["-o", "http://me:p4ssword@h/a?s=5ecret", "-o", "http://h/a?s=5ecret", "-i", &input],
        &["dst=http://me:p4ssword@h/?s=5ecret:gpac:hmode=pusj"],
        &["dst=http://me:p4ssword@h/?s=5ecret:gpac:dlst"],
        &["-o", "me:p4ssword@h/?s=5ecret"],
    ] {
        let exit = Pusher::run(kind, &[&["-i", &input], wrong].concat());
        assert_ne!(exit.code, Some(0), "{exit:#?}");
        secrets(&exit);
    }
}

fn a_redirect_takes_no_password_elsewhere(kind: Kind) {
    let other = Scripted::answering(|_| answer("200 OK", ""));
    let fields = format!("Location: {}\r\n", other.url("/there"));
    let server = Scripted::answering(move |_| answer("308 Permanent Redirect", &fields));
    let (_tree, input) = file(b"x");
    let url = format!("http://me:secret@{}/a", server.address());
    Pusher::start(kind, &["-i", &input, "-o", &url]).ok();
    assert!(server.asked().get("Authorization").is_some());
    let asked = other.asked();
    assert_eq!((asked.get("Authorization"), &asked.body[..]), (None, &b"x"[..]));
}

fn an_early_answer_stops_the_upload(kind: Kind) {
    let site = Site::with(kind, &["--maxs", "1M"]);
    site.tree.sparse("a", 1 << 30);
    let url = site.server.url("/a");
    let exit = Pusher::run(kind, &["-i", &site.tree.arg("a"), "-o", &url]);
    exit.failed(&["413 Content Too Large"]);
    assert!(exit.stdout.contains("0 stored, 0 bytes; 1 failed"), "{exit:?}");
}

fn a_file_that_becomes_shorter_is_told(kind: Kind) {
    let tree = Tree::new();
    tree.sparse("a", 64 << 20);
    let path = tree.path("a");
    let server = Scripted::new(move |_, mut stream: TcpStream| {
        let _ = stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n");
        let mut some = vec![0; 100_000];
        let _ = stream.read_exact(&mut some);
        let cut = File::options().write(true).open(&path).and_then(|file| file.set_len(1000));
        cut.expect("it can be cut");
        let _ = std::io::copy(&mut stream, &mut std::io::sink());
    });
    let exit = Pusher::run(kind, &["-i", &tree.arg("a"), "-o", &server.url("/a")]);
    exit.failed(&["the input cannot be read", "shorter"]);
}

fn a_post_is_not_sent_twice(kind: Kind) {
    let (_tree, input) = file(b"x");
    let server = Scripted::answering(|_| String::new());
    let exit = Pusher::run(kind, &["-i", &input, "-o", &server.url("/a"), "--post"]);
    exit.failed(&["error: POST", "closed in the middle"]);
    assert_eq!(server.rest().len(), 1);
}

fn a_slow_server_gets_all_of_it(kind: Kind) {
    let content: Vec<u8> = (0..6 << 20).map(|n: u32| (n % 241) as u8).collect();
    let (_tree, input) = file(&content);
    let (tell, told) = std::sync::mpsc::channel();
    let server = Scripted::new(move |connection, stream| {
        // A byte at a time for a while, so that the client's socket fills up.
        let mut stream = BufReader::with_capacity(1, stream);
        let asked = Asked::read(connection, &mut stream).expect("a request").expect("a request");
        let _ = stream.get_mut().write_all(answer("201 Created", "").as_bytes());
        let _ = tell.send(asked.body);
    });
    Pusher::start(kind, &["-i", &input, "-o", &server.url("/a")]).ok();
    assert!(told.recv().expect("it came") == content);
}
