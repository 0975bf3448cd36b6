//! From URL to file: no path leads out, for any method, at any time.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use httpout_tests::{Kind, Request, Server, Site, Tree, both, delete, get, head, put};
use rustix::fs::{CWD, FileType, Mode, RenameFlags, makedev, mknodat, renameat_with};

both! {
    percent_encoding_is_decoded_once,
    broken_escapes_are_400,
    traversals_are_refused_for_reading,
    traversals_are_refused_for_writing,
    a_nul_never_cuts_a_name,
    names_with_dots_are_names,
    a_way_up_that_stays_inside_is_followed,
    a_link_that_stays_inside_is_followed,
    a_link_that_leads_out_is_403,
    nothing_is_written_through_a_link_that_leads_out,
    link_loops_and_dead_links_are_no_files,
    pipes_devices_and_sockets_are_not_served,
    a_directory_redirects_to_its_slash_and_cannot_be_read,
    a_redirect_never_leads_to_another_host,
    several_read_directories_are_served_by_name,
    the_write_directory_is_not_readable_by_itself,
    a_read_directory_named_relatively_is_served,
    a_link_that_is_swapped_in_never_leaks,
    symlinks_all_follows_links_that_lead_out,
    symlinks_inside_is_the_default_and_may_be_named,
    the_write_directory_may_vanish_and_come_back,
}

const SECRET: &str = "TOP-SECRET-7f3a\n";

/// A site with files inside, and a secret beside its directory.
fn site(kind: Kind) -> Site {
    let tree = Tree::new();
    tree.write("secret.txt", SECRET);
    tree.write("outside/secret.txt", SECRET);
    tree.write("www-private/secret.txt", SECRET);
    tree.write("www/hello.txt", "hello world\n");
    tree.write("www/sub/x.txt", "sub\n");
    Site::over(tree, kind, &[])
}

/// Ways to spell a path that leads out of a directory, to `secret.txt` beside it.
const OUT: [&str; 38] = [
    "/../secret.txt",
    "/%2e%2e/secret.txt",
    "/%2E%2E/secret.txt",
    "/.%2e/secret.txt",
    "/%2e./secret.txt",
    "/..%2fsecret.txt",
    "/..%2Fsecret.txt",
    "/%2e%2e%2fsecret.txt",
    "/..\\secret.txt",
    "/..%5csecret.txt",
    "/%2e%2e%5csecret.txt",
    "/sub/../../secret.txt",
    "/sub/%2e%2e/%2e%2e/secret.txt",
    "/sub/..%2f..%2fsecret.txt",
    "/none/../../secret.txt",
    "/./../secret.txt",
    "/./.././secret.txt",
    "//../secret.txt",
    "/..//secret.txt",
    "/../../../../../../../../etc/passwd",
    "/..%2f..%2f..%2f..%2f..%2fetc%2fpasswd",
    "/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
    "//etc/passwd",
    "/%2fetc%2fpasswd",
    "/%2Fetc/passwd",
    "/%252e%252e/secret.txt",
    "/..%252fsecret.txt",
    "/%c0%ae%c0%ae/secret.txt",
    "/%c0%ae%c0%ae%c0%afsecret.txt",
    "/%uff0e%uff0e/secret.txt",
    "/..%00/secret.txt",
    "/..;/secret.txt",
    "/....//secret.txt",
    "/.../secret.txt",
    "/..",
    "/%2e%2e",
    "/../www-private/secret.txt",
    "/..%c0%afsecret.txt",
];

fn percent_encoding_is_decoded_once(kind: Kind) {
    let site = site(kind);
    for name in [
        "a b.txt",
        "100%.txt",
        "q?mark.txt",
        "é.txt",
        "%41.txt",
        "+plus&x=y;.txt",
        "#hash.txt",
        "\"quote\".txt",
    ] {
        site.write(name, name);
    }
    for (path, name) in [
        ("/%68ell%6F.txt", "hello world\n"),
        ("/a%20b.txt", "a b.txt"),
        ("/100%25.txt", "100%.txt"),
        ("/q%3Fmark.txt?x", "q?mark.txt"),
        ("/%C3%A9.txt", "é.txt"),
        ("/%2541.txt", "%41.txt"),
        ("/+plus&x=y;.txt", "+plus&x=y;.txt"),
        ("/%23hash.txt", "#hash.txt"),
        ("/%22quote%22.txt", "\"quote\".txt"),
    ] {
        site.ask(&get(path)).is(200, name);
    }
    // A character may come as bytes, or in part.
    for target in [&b"/\xc3\xa9.txt"[..], b"/\xc3%A9.txt", b"/%C3\xa9.txt"] {
        let mut client = site.client();
        client.send([b"GET ", target, b" HTTP/1.1\r\nHost: a\r\n\r\n"].concat());
        client.response("GET").is(200, "é.txt");
    }
    site.server.refuses(b"GET /\xc3.txt HTTP/1.1\r\nHost: a\r\n\r\n", 400);
    // A plus is a plus.
    site.ask(&get("/a+b.txt")).status_is(404);
    site.ask(&get("/%41.txt")).status_is(404);
}

fn broken_escapes_are_400(kind: Kind) {
    let site = site(kind);
    for path in [
        "/hello.txt%",
        "/hello.txt%2",
        "/hello.txt%zz",
        "/%g0hello.txt",
        "/%",
        "/%2",
        "/hello%2 .txt",
        "/%%32e",
    ] {
        let answer = {
            let mut client = site.client();
            client.send(get(path).bytes());
            client.response("GET")
        };
        assert_eq!(answer.status, 400, "{path}: {answer:?}");
        let answer = {
            let mut client = site.client();
            client.send(put(path, "x").bytes());
            client.response("PUT")
        };
        assert_eq!(answer.status, 400, "PUT {path}: {answer:?}");
    }
}

fn traversals_are_refused_for_reading(kind: Kind) {
    let site = site(kind);
    for path in OUT {
        for method in ["GET", "HEAD"] {
            let answer = site.ask(&Request::new(method, path));
            assert!([400, 403, 404].contains(&answer.status), "{method} {path}: {answer:?}");
            let text = answer.text();
            assert!(
                !text.contains("TOP-SECRET") && !text.contains("root:x:0"),
                "{path}: {answer:?}"
            );
        }
    }
    // What is plainly a way up, or a separator in disguise, is refused as such.
    for path in [
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/..%5csecret.txt",
        "/sub/../../hello.txt",
        "/%2fhello.txt",
    ] {
        let answer = site.ask(&get(path));
        assert_eq!(answer.status, 400, "{path}: {answer:?}");
    }
    // The absolute form is no way around.
    site.ask(&get("http://localhost/../secret.txt")).status_is(400);
}

fn traversals_are_refused_for_writing(kind: Kind) {
    let site = site(kind);
    let before = site.tree.list();
    let up = |path: &str| ["..", "%2e", "%2E"].iter().any(|up| path.contains(up));
    let other_name = |path: &str| ["%25", "..;", "..."].iter().any(|other| path.contains(other));
    for path in OUT.into_iter().filter(|path| up(path) && !other_name(path)) {
        for request in
            [put(path, "evil"), Request::new("POST", path).chunks(&[b"evil"]), delete(path)]
        {
            let answer = site.ask(&request);
            assert!([400, 403, 404].contains(&answer.status), "{request:?}: {answer:?}");
        }
        assert_eq!(site.tree.list(), before, "after {path}");
    }
    for name in ["secret.txt", "outside/secret.txt", "www-private/secret.txt"] {
        assert_eq!(site.tree.read(name).as_deref(), Some(SECRET.as_bytes()), "{name}");
    }
    // A spelling that does not lead out may make a file, but inside.
    for path in ["/%252e%252e/evil.txt", "/..;/evil.txt", "/.../evil.txt"] {
        site.ask(&put(path, "x")).status_is(201);
        let outside = |name: &&String| !name.starts_with("www/");
        let (now, then) = (site.tree.list(), before.clone());
        assert_eq!(
            now.iter().filter(outside).collect::<Vec<_>>(),
            then.iter().filter(outside).collect::<Vec<_>>(),
            "after {path}"
        );
    }
}

fn a_nul_never_cuts_a_name(kind: Kind) {
    let site = site(kind);
    for path in [
        "/hello.txt%00",
        "/hello.txt%00.mp4",
        "/%00hello.txt",
        "/hello%00/../hello.txt",
        "/sub%00/x.txt",
    ] {
        for request in [get(path), head(path), put(path, "x"), delete(path)] {
            site.ask(&request).status_is(400);
        }
    }
    assert_eq!(site.read("hello.txt").as_deref(), Some(&b"hello world\n"[..]));
}

fn a_way_up_that_stays_inside_is_followed(kind: Kind) {
    let site = Site::over(site(kind).tree, kind, &["--dlist"]);
    for path in [
        "/sub/../hello.txt",
        "/sub/%2e%2e/hello.txt",
        "/sub/.%2E/hello.txt",
        "/none/../hello.txt",
        "/a/b/../../hello.txt",
        "/sub/./..//hello.txt",
        "http://localhost/sub/../hello.txt",
    ] {
        site.ask(&get(path)).is(200, "hello world\n");
        site.ask(&head(path)).status_is(200);
    }
    site.ask(&get("/sub/..")).status_is(200).field_is("content-type", "text/html; charset=utf-8");
    site.ask(&put("/sub/../new.txt", "new")).field_is("content-location", "/new.txt");
    assert_eq!(site.read("new.txt").as_deref(), Some(&b"new"[..]));
    site.ask(&delete("/sub/%2e%2e/new.txt")).status_is(200);
    assert!(!site.has("new.txt"));
    // What is reserved stays so.
    site.ask(&get("/sub/../.httpout-1.part")).status_is(404);
}

fn names_with_dots_are_names(kind: Kind) {
    let site = site(kind);
    for name in ["dots..name.txt", "..start.txt", "end..", "...", "a.b.c"] {
        site.write(name, name);
        site.ask(&get(&format!("/{name}"))).is(200, name);
        site.ask(&put(&format!("/dir/{name}"), name)).status_is(201);
    }
    site.write(".hidden", "hidden");
    site.ask(&get("/.hidden")).status_is(200);
}

fn a_link_that_stays_inside_is_followed(kind: Kind) {
    let site = site(kind);
    site.tree.link("www/link.txt", "hello.txt");
    site.tree.link("www/dirlink", "sub");
    site.tree.link("www/sub/up.txt", "../hello.txt");
    site.ask(&get("/link.txt")).is(200, "hello world\n");
    site.ask(&get("/dirlink/x.txt")).is(200, "sub\n");
    site.ask(&get("/sub/up.txt")).is(200, "hello world\n");
    // Deleting a link deletes the link.
    site.ask(&delete("/link.txt")).status_is(200);
    site.ask(&get("/hello.txt")).is(200, "hello world\n");
}

fn a_link_that_leads_out_is_403(kind: Kind) {
    let site = site(kind);
    site.tree.link("www/link.txt", "../secret.txt");
    site.tree.link("www/abs.txt", &site.tree.arg("secret.txt"));
    site.tree.link("www/etc", "/etc");
    site.tree.link("www/dir", "../outside");
    site.tree.link("www/sib.txt", "../www-private/secret.txt");
    site.tree.link("www/chain.txt", "link.txt");
    for path in [
        "/link.txt",
        "/abs.txt",
        "/etc/passwd",
        "/dir/secret.txt",
        "/sib.txt",
        "/chain.txt",
        "/dir",
        "/dir/",
    ] {
        for method in ["GET", "HEAD"] {
            let answer = site.ask(&Request::new(method, path));
            assert_eq!(answer.status, 403, "{method} {path}: {answer:?}");
            assert!(!answer.text().contains("TOP-SECRET"), "{answer:?}");
        }
    }
}

fn nothing_is_written_through_a_link_that_leads_out(kind: Kind) {
    let site = site(kind);
    site.tree.link("www/link.txt", "../secret.txt");
    site.tree.link("www/dir", "../outside");
    site.tree.link("www/new.txt", "../made.txt");
    for path in ["/dir/secret.txt", "/dir/new.txt", "/dir/deep/new.txt"] {
        for request in
            [put(path, "evil"), Request::new("PUT", path).chunks(&[b"evil"]), delete(path)]
        {
            let answer = site.ask(&request);
            assert!([403, 404].contains(&answer.status), "{request:?}: {answer:?}");
        }
    }
    // A link in the last place may be refused, or itself be replaced or removed, but it is not
    // followed.
    let ranged = put("/link.txt", "evil").field("Range", "bytes=0-3");
    site.ask(&ranged).status_is(403);
    for path in ["/link.txt", "/new.txt"] {
        site.ask(&put(path, "evil")).status_is(403);
        site.ask(&delete(path)).status_is(200);
    }
    assert_eq!(site.tree.read("secret.txt").as_deref(), Some(SECRET.as_bytes()));
    assert_eq!(site.tree.read("outside/secret.txt").as_deref(), Some(SECRET.as_bytes()));
    assert!(
        !site.tree.has("made.txt")
            && !site.tree.has("outside/new.txt")
            && !site.tree.has("outside/deep")
    );
    site.no_parts_left();
}

fn link_loops_and_dead_links_are_no_files(kind: Kind) {
    let site = site(kind);
    site.tree.link("www/loop_a", "loop_b");
    site.tree.link("www/loop_b", "loop_a");
    site.tree.link("www/self", "self");
    site.tree.link("www/dead", "nothing-there");
    for path in ["/loop_a", "/loop_b/x", "/self", "/dead"] {
        site.ask(&get(path)).status_in(&[403, 404]);
        site.ask(&head(path)).status_in(&[403, 404]);
    }
    site.is_well();
}

fn pipes_devices_and_sockets_are_not_served(kind: Kind) {
    let site = site(kind);
    let make = |name: &str, kind: FileType, device: u64| {
        mknodat(CWD, site.tree.path(name), kind, Mode::from_raw_mode(0o644), device)
            .expect("mknod");
    };
    make("www/pipe", FileType::Fifo, 0);
    make("www/zero", FileType::CharacterDevice, makedev(1, 5));
    let _socket = std::os::unix::net::UnixListener::bind(site.tree.path("www/socket"))
        .expect("a socket file");
    for path in ["/pipe", "/zero", "/socket"] {
        // An open that blocks on the pipe would block here.
        for method in ["GET", "HEAD"] {
            site.ask(&Request::new(method, path)).status_is(403);
        }
        let ranged = put(path, "x").field("Range", "bytes=0-0");
        site.ask(&ranged).status_is(409);
    }
    site.ask(&get("/hello.txt")).is(200, "hello world\n");
}

fn a_directory_redirects_to_its_slash_and_cannot_be_read(kind: Kind) {
    let site = site(kind);
    let answer = site.ask(&get("/sub"));
    answer.status_is(301);
    assert!(answer.need("location").ends_with("/sub/"), "{answer:?}");
    let answer = site.ask(&get("/sub?a=b"));
    answer.status_is(301);
    assert!(
        answer.need("location").ends_with("/sub/?a=b")
            || answer.need("location").ends_with("/sub/"),
        "{answer:?}"
    );
    site.tree.dir("www/a b?");
    let answer = site.ask(&get("/a%20b%3F"));
    answer.status_is(301);
    assert!(answer.need("location").ends_with("/a%20b%3F/"), "{answer:?}");
    for path in ["/sub/", "/"] {
        site.ask(&get(path)).status_is(403);
        site.ask(&head(path)).status_is(403);
    }
}

fn a_redirect_never_leads_to_another_host(kind: Kind) {
    let site = site(kind);
    site.tree.dir("www/evil.example/dir");
    for path in ["//evil.example", "//evil.example/dir", "/%5cevil.example", "/\\evil.example"] {
        let answer = site.ask(&get(path));
        if answer.status == 301 {
            let place = answer.need("location");
            assert!(!place.starts_with("//") && !place.starts_with("/\\"), "{path}: {answer:?}");
            assert!(!place.starts_with("http://evil"), "{path}: {answer:?}");
        }
    }
}

fn several_read_directories_are_served_by_name(kind: Kind) {
    let tree = Tree::new();
    tree.write("vod/film.mp4", "film");
    tree.write("live/film.mp4", "live");
    tree.write("live_private/film.mp4", "private");
    let dirs = format!("{},{}", tree.arg("vod"), tree.arg("live"));
    let server = Server::start(kind, &["--rdirs", &dirs]);
    let mut client = server.client();
    client.ask(&get("/vod/film.mp4")).is(200, "film");
    client.ask(&get("/live/film.mp4")).is(200, "live");
    for path in [
        "/film.mp4",
        "/live_private/film.mp4",
        "/vo/film.mp4",
        "/vodfilm.mp4",
        "/vod/live/film.mp4",
        "/none/film.mp4",
    ] {
        client.ask(&get(path)).status_is(404);
    }
    client.ask(&get("/vod/../live/film.mp4")).is(200, "live");
    client.ask(&get("/vod/../live_private/film.mp4")).status_is(404);
    client.ask(&get("/vod/../../live_private/film.mp4")).status_is(400);
    let mut client = server.client();
    client.ask(&get("/vod")).status_is(301);
    client.ask(&get("/vod/")).status_is(403);
}

fn the_write_directory_is_not_readable_by_itself(kind: Kind) {
    let tree = Tree::new();
    tree.write("out/a.bin", "read me");
    tree.dir("in");
    let server = Server::start(kind, &["--rdirs", &tree.arg("out"), "--wdir", &tree.arg("in")]);
    let mut client = server.client();
    client.ask(&put("/new.bin", "written")).status_is(201);
    client.ask(&get("/new.bin")).status_is(404);
    client.ask(&head("/new.bin")).status_is(404);
    client.ask(&get("/a.bin")).is(200, "read me");
    // The name is free in the write directory.
    client.ask(&put("/a.bin", "other")).status_is(201);
    client.ask(&get("/a.bin")).is(200, "read me");
    client.ask(&delete("/a.bin")).status_is(200);
    client.ask(&delete("/a.bin")).status_is(204);
    assert_eq!(tree.list(), ["in/", "in/new.bin", "out/", "out/a.bin"]);
    drop(server);
    // With no read directory at all nothing can be read.
    let server = Server::start(kind, &["--wdir", &tree.arg("in")]);
    let mut client = server.client();
    client.ask(&put("/b.bin", "b")).status_is(201);
    client.ask(&get("/b.bin")).status_is(404);
    client.ask(&get("/new.bin")).status_is(404);
}

fn a_read_directory_named_relatively_is_served(kind: Kind) {
    let tree = Tree::new();
    tree.write("www/hello.txt", "hello");
    tree.write("secret.txt", SECRET);
    for dir in [tree.arg("www/"), tree.arg("www/."), tree.arg("www/../www")] {
        let server = Server::start(kind, &["--rdirs", &dir]);
        server.ask(&get("/hello.txt")).is(200, "hello");
        server.ask(&get("/%2e%2e/secret.txt")).status_is(400);
    }
    // A link as the root itself is the operator's will.
    tree.link("root", "www");
    let server = Server::start(kind, &["--rdirs", &tree.arg("root")]);
    server.ask(&get("/hello.txt")).is(200, "hello");
}

fn a_link_that_is_swapped_in_never_leaks(kind: Kind) {
    let site = site(kind);
    site.write("dir/secret.txt", "harmless");
    site.tree.link("www/other", "../outside");
    let (dir, other) = (site.tree.path("www/dir"), site.tree.path("www/other"));
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                renameat_with(CWD, &dir, CWD, &other, RenameFlags::EXCHANGE)
                    .expect("both names are there");
            }
        });
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let mut client = site.client();
            for i in 0..3000 {
                let answer = client.ask(&get("/dir/secret.txt"));
                assert!(!answer.text().contains("TOP-SECRET"), "leaked at try {i}");
                answer.status_in(&[200, 403, 404]);
                if answer.lists("connection", "close") {
                    client = site.client();
                }
            }
            for i in 0..500 {
                let answer = site.ask(&put(&format!("/dir/new-{i}.txt"), "evil"));
                answer.status_in(&[200, 201, 403, 404, 409, 500, 503]);
                site.ask(&delete("/dir/none.txt")).status_in(&[204, 403, 404]);
            }
        }));
        over.store(true, Ordering::Relaxed);
        if let Err(panic) = result {
            std::panic::resume_unwind(panic);
        }
    });
    let outside: Vec<_> = fs::read_dir(site.tree.path("outside"))
        .expect("there")
        .flatten()
        .map(|e| e.file_name())
        .collect();
    assert_eq!(outside, ["secret.txt"], "something was written outside");
    assert_eq!(site.tree.read("outside/secret.txt").as_deref(), Some(SECRET.as_bytes()));
}

fn the_write_directory_may_vanish_and_come_back(kind: Kind) {
    let site = site(kind);
    fs::remove_dir_all(site.tree.path("www")).expect("remove the served directory");
    site.ask(&put("/a.bin", "x")).status_is(404);
    site.ask(&get("/hello.txt")).status_is(404);
    // Replaced by a link, it must not be followed out by an upload's name.
    site.is_well();
}

fn symlinks_all_follows_links_that_lead_out(kind: Kind) {
    let tree = Tree::new();
    tree.write("outside/film.mp4", "film");
    tree.write("outside/dir/a.txt", "a");
    tree.dir("www");
    tree.link("www/film.mp4", "../outside/film.mp4");
    tree.link("www/dir", "../outside/dir");
    let absolute = tree.arg("outside/film.mp4");
    tree.link("www/absolute.mp4", &absolute);
    tree.link("www/loop", "loop");
    tree.link("www/dead", "../outside/none");
    let site = Site::over(tree, kind, &["--symlinks", "all", "--dlist"]);
    // Twice: what is kept open for the next request is found in the same way.
    for _ in 0..2 {
        site.ask(&get("/film.mp4")).is(200, "film");
        site.ask(&get("/absolute.mp4")).is(200, "film");
        site.ask(&get("/dir/a.txt")).is(200, "a");
    }
    site.ask(&get("/dir")).status_is(301);
    let listing = site.ask(&get("/").field("Accept", "application/json")).text();
    for name in ["film.mp4", "absolute.mp4", "\"dir\""] {
        assert!(listing.contains(name), "{listing}");
    }
    assert!(site.ask(&get("/dir/")).text().contains("a.txt"));
    for path in ["/loop", "/dead"] {
        site.ask(&get(path)).status_in(&[403, 404]);
    }
    // It is written to as well; and only by links, not by names, one gets out.
    site.ask(&put("/dir/b.txt", "b")).status_is(201);
    assert_eq!(site.tree.read("outside/dir/b.txt").as_deref(), Some(&b"b"[..]));
    site.ask(&delete("/dir/b.txt")).status_is(200);
    for path in ["/../outside/film.mp4", "/dir/../../outside/film.mp4"] {
        site.ask(&get(path)).status_is(400);
    }
    site.ask(&get("/dir/../film.mp4")).is(200, "film");
}

fn symlinks_inside_is_the_default_and_may_be_named(kind: Kind) {
    let tree = Tree::new();
    tree.write("outside/film.mp4", "film");
    tree.write("www/sub/x.txt", "x");
    tree.link("www/film.mp4", "../outside/film.mp4");
    tree.link("www/in", "sub");
    let site = Site::over(tree, kind, &["--symlinks", "inside"]);
    site.ask(&get("/film.mp4")).status_is(403);
    site.ask(&get("/in/x.txt")).is(200, "x");
    let site = Site::over(site.tree, kind, &[]);
    site.ask(&get("/film.mp4")).status_is(403);
    let www = site.tree.arg("www");
    let exit = Server::fails(kind, &["--rdirs", &www, "--port", "auto", "--symlinks", "some"]);
    assert!(exit.stderr.contains("symlinks"), "{exit:?}");
}
