//! Who may do what: rule files over directories, links, spellings and uploads in progress.

use httpout_tests::{
    End, Kind, Piece, Request, Response, Ruled, Server, Tree, USERS, both, delete, get, head,
    patch, post, put,
};

#[cfg(feature = "tools")]
mod root;
#[cfg(feature = "tools")]
mod vfat;

both! {
    who_may_read,
    who_may_write,
    a_group_of_nobody_and_everybody,
    a_sub_directory_replaces_its_parents_rights,
    a_section_at_any_depth_decides,
    a_directory_without_a_section_is_open,
    writing_goes_to_the_named_section_then_wdir_then_the_root,
    the_write_directory_obeys_its_section,
    a_section_below_a_plain_read_directory_is_obeyed,
    a_plain_directory_below_a_section_obeys_it,
    a_section_stays_though_its_last_file_goes,
    what_is_removed_with_a_file_needs_the_right_too,
    no_password_is_written_down,
    every_method_needs_its_right,
    conditions_and_ranges_show_nothing_without_the_right,
    missing_and_existing_look_alike,
    a_growing_upload_is_not_seen,
    a_refused_upload_has_no_effect,
    a_link_out_of_a_private_directory_is_not_told,
    a_reader_is_not_a_writer,
    links_into_a_private_directory_are_read_by_its_rights,
    nothing_is_written_through_a_link_into_a_private_directory,
    a_link_is_removed_by_the_rights_of_where_it_lies,
    a_link_to_what_does_not_exist_is_no_way_in,
    no_spelling_leads_around_a_section,
    with_symlinks_all_links_are_judged_by_where_they_lead,
    a_private_directory_is_listed_for_its_readers,
    a_listing_shows_nothing_of_what_a_link_leads_to,
    a_virtual_service_is_not_found_after_the_rights,
    options_and_preflight_need_no_password,
    wait_missing_is_for_those_who_may_read,
}

const SECRET: &str = "TOP-SECRET-7f3a\n";

/// A body that would be a request, if it were read as one.
const SMUGGLED: &str = "DELETE /hello.txt HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// Public, private for alice, read by staff, written by encoders, and closed.
const RULES: &str = "\
[www]
wu=alice
[www/private]
ru=alice
wu=alice
[www/staff]
rg=staff
wg=encoders
[www/closed]
ru=$NONE
wu=$NONE
[www/drop]
ru=$NONE
wu=$ALL
";

fn tree() -> Tree {
    let tree = Tree::new();
    tree.write("www/hello.txt", "hello\n");
    for dir in ["private", "staff", "closed", "drop"] {
        tree.write(&format!("www/{dir}/secret.txt"), SECRET);
    }
    tree
}

fn site(kind: Kind) -> Ruled {
    Ruled::over(tree(), kind, RULES, &[])
}

/// A 401 that a browser asks for a password after.
#[track_caller]
fn is_prompt(answer: &Response) {
    answer.status_is(401);
    answer.field_is("www-authenticate", "Basic realm=\"httpout\", charset=\"UTF-8\"");
    assert!(answer.get("content-length").is_some(), "a 401 without a length: {answer:?}");
    assert!(!answer.text().contains("TOP-SECRET"), "{answer:?}");
}

#[track_caller]
fn is_forbidden(answer: &Response) {
    answer.status_is(403).field_is_absent("www-authenticate");
    assert!(!answer.text().contains("TOP-SECRET"), "{answer:?}");
}

fn who_may_read(kind: Kind) {
    let site = site(kind);
    let mut client = site.client();
    for user in ["alice", "bob", "carol", "dave"] {
        client.ask(&get("/hello.txt").of(user)).is(200, "hello\n");
        let private = client.ask(&get("/private/secret.txt").of(user));
        let staff = client.ask(&get("/staff/secret.txt").of(user));
        for (answer, may) in [(private, user == "alice"), (staff, user == "bob")] {
            if may {
                answer.is(200, SECRET);
            } else {
                is_forbidden(&answer);
            }
        }
        is_forbidden(&client.ask(&get("/closed/secret.txt").of(user)));
    }
    client.ask(&get("/hello.txt")).is(200, "hello\n");
    is_prompt(&client.ask(&get("/private/secret.txt")));
    is_prompt(&client.ask(&get("/staff/secret.txt")));
    // A password would not help: it is not asked for.
    is_forbidden(&client.ask(&get("/closed/secret.txt")));
    // Where everybody may, credentials are not even looked at.
    client.ask(&get("/hello.txt").by("alice", "wrong")).is(200, "hello\n");
    client.ask(&get("/hello.txt").field("Authorization", "Basic !!!")).is(200, "hello\n");
    assert_eq!(site.checks()[1], 0, "a password was checked where none was needed");
}

fn who_may_write(kind: Kind) {
    let site = site(kind);
    let mut client = site.client();
    for user in ["alice", "bob", "carol", "dave"] {
        for (dir, may) in
            [("", user == "alice"), ("private/", user == "alice"), ("staff/", user == "carol")]
        {
            let name = format!("{dir}{user}.bin");
            let path = format!("/{name}");
            let answer = client.ask(&put(&path, user).of(user));
            if may {
                answer.status_is(201).field_is("content-location", &path);
                assert_eq!(
                    site.tree.read(&format!("www/{name}")).as_deref(),
                    Some(user.as_bytes())
                );
                client.ask(&delete(&path).of(user)).status_is(200);
            } else {
                is_forbidden(&answer);
                is_forbidden(&client.ask(&delete(&path).of(user)));
            }
            assert!(!site.tree.has(&format!("www/{name}")), "{name}");
        }
        is_forbidden(&client.ask(&put("/closed/x", "x").of(user)));
    }
    is_prompt(&client.ask(&put("/x", "x")));
    is_prompt(&client.ask(&put("/staff/x", "x")));
    is_forbidden(&client.ask(&put("/closed/x", "x")));
    // Everybody may put something in, nobody may look.
    client.ask(&put("/drop/x", "x")).status_is(201);
    is_forbidden(&client.ask(&get("/drop/x")));
    is_forbidden(&client.ask(&get("/drop/x").of("alice")));
    client.ask(&delete("/drop/x")).status_is(200);
    assert_eq!(site.tree.list(), {
        let mut before = tree().list();
        before.extend(["rules.ini".to_owned(), "users.cfg".to_owned()]);
        before.sort();
        before
    });
}

fn a_group_of_nobody_and_everybody(kind: Kind) {
    let tree = tree();
    for dir in ["both", "all", "none", "empty", "spaces"] {
        tree.write(&format!("www/{dir}/a"), "a");
    }
    let rules = "\
[www/both]
ru=alice
rg=staff
[www/all]
rg=$ALL
[www/none]
rg=$NONE
[www/empty]
rg=nosuchgroup
[www/spaces]
 ru = alice , dave \n";
    let site = Ruled::over(tree, kind, &format!("[www]\n{rules}"), &[]);
    let status = |path: &str, user: Option<&str>| {
        let request = user.map_or_else(|| get(path), |user| get(path).of(user));
        site.ask(&request).status
    };
    let users = [None, Some("alice"), Some("bob"), Some("carol"), Some("dave")];
    for (path, expected) in [
        ("/both/a", [401, 200, 200, 403, 403]),
        ("/all/a", [200, 200, 200, 200, 200]),
        ("/none/a", [403, 403, 403, 403, 403]),
        ("/empty/a", [401, 403, 403, 403, 403]),
        ("/spaces/a", [401, 200, 403, 403, 200]),
    ] {
        assert_eq!(users.map(|user| status(path, user)), expected, "{path}");
    }
}

fn a_sub_directory_replaces_its_parents_rights(kind: Kind) {
    let tree = tree();
    tree.write("www/private/open/a.txt", "open");
    tree.write("www/private/open/again/b.txt", SECRET);
    let rules = format!("{RULES}[www/private/open]\n[www/private/open/again]\nru=bob\n");
    let site = Ruled::over(tree, kind, &rules, &[]);
    // It says nothing: read by all, written by nobody. Nothing is inherited.
    site.ask(&get("/private/open/a.txt")).is(200, "open");
    for request in [put("/private/open/x", "x"), put("/private/open/x", "x").of("alice")] {
        is_forbidden(&site.ask(&request));
    }
    is_prompt(&site.ask(&get("/private/open/again/b.txt")));
    is_forbidden(&site.ask(&get("/private/open/again/b.txt").of("alice")));
    site.ask(&get("/private/open/again/b.txt").of("bob")).is(200, SECRET);
    is_prompt(&site.ask(&get("/private/secret.txt")));
}

fn a_section_at_any_depth_decides(kind: Kind) {
    let tree = Tree::new();
    tree.write("www/a/b/c/d/secret.txt", SECRET);
    tree.write("www/a/b/cc/free.txt", "free");
    tree.write("www/a/b/c.txt", "free");
    let rules = "[www]\nwu=$ALL\n[www/a/b/c]\nru=alice\nwu=alice\n";
    let site = Ruled::over(tree, kind, rules, &[]);
    is_prompt(&site.ask(&get("/a/b/c/d/secret.txt")));
    is_prompt(&site.ask(&get("/a/b/c/d/none/none.txt")));
    is_prompt(&site.ask(&put("/a/b/c/d/e/f/g.txt", "x")));
    site.ask(&get("/a/b/c/d/secret.txt").of("alice")).is(200, SECRET);
    // A directory is not a prefix of a name.
    site.ask(&get("/a/b/cc/free.txt")).is(200, "free");
    site.ask(&get("/a/b/c.txt")).is(200, "free");
    site.ask(&put("/a/b/ccc.txt", "x")).status_is(201);
    // A directory that an upload would make beside, and one below.
    site.ask(&put("/a/b/cd/e.txt", "x")).status_is(201);
    site.ask(&put("/a/b/c/new/e.txt", "x").of("alice")).status_is(201);
}

fn a_directory_without_a_section_is_open(kind: Kind) {
    let tree = Tree::new();
    tree.write("www/a.txt", SECRET);
    tree.write("plain/a.txt", "plain");
    tree.write("rules.ini", "[www]\nname=www\nru=alice\n");
    tree.write("users.cfg", USERS);
    let dirs = format!("{},{}", tree.arg("rules.ini"), tree.arg("plain"));
    let args = ["--rdirs", &dirs, "--users", &tree.arg("users.cfg")];
    let server = Server::start(kind, &args);
    server.ask(&get("/plain/a.txt")).is(200, "plain");
    is_prompt(&server.ask(&get("/www/a.txt")));
    server.ask(&get("/www/a.txt").of("alice")).is(200, SECRET);
    for request in [put("/plain/b", "x"), put("/www/b", "x"), put("/www/b", "x").of("alice")] {
        server.ask(&request).status_in(&[403, 405]);
    }
}

fn writing_goes_to_the_named_section_then_wdir_then_the_root(kind: Kind) {
    let tree = Tree::new();
    for dir in ["root", "vod", "live", "in"] {
        tree.write(&format!("{dir}/here"), dir);
    }
    let rules = "\
[root]
wu=$ALL
[vod]
name=vod
wu=alice
[live]
name=vod/live
wu=$ALL
";
    let site = Ruled::over(tree, kind, rules, &[]);
    site.ask(&put("/a", "x")).status_is(201).field_is("content-location", "/a");
    site.ask(&put("/vod/live/a", "x")).status_is(201).field_is("content-location", "/vod/live/a");
    is_prompt(&site.ask(&put("/vod/a", "x")));
    site.ask(&put("/vod/a", "x").of("alice")).status_is(201);
    site.ask(&put("/vodka/a", "x")).status_is(201);
    for file in ["root/a", "live/a", "vod/a", "root/vodka/a"] {
        assert!(site.tree.has(file), "{file} of {:?}", site.tree.list());
    }
    for path in ["/a", "/vod/live/a", "/vod/a"] {
        site.ask(&get(path)).is(200, "x");
        site.ask(&delete(path).of("alice")).status_is(200);
    }
    let Ruled { server, tree } = site;
    drop(server);
    // With a write directory, what no name takes goes there.
    let wdir = tree.arg("in");
    let site = Ruled::over(tree, kind, rules, &["--wdir", &wdir]);
    site.ask(&put("/a", "x")).status_is(201);
    site.ask(&put("/vod/live/a", "x")).status_is(201);
    is_prompt(&site.ask(&put("/vod/a", "x")));
    assert!(site.tree.has("in/a") && !site.tree.has("root/a"), "{:?}", site.tree.list());
    assert!(site.tree.has("live/a") && !site.tree.has("in/vod"), "{:?}", site.tree.list());
}

fn the_write_directory_obeys_its_section(kind: Kind) {
    let tree = tree();
    let wdir = tree.arg("www/staff");
    let site = Ruled::over(tree, kind, RULES, &["--wdir", &wdir]);
    is_prompt(&site.ask(&put("/new", "x")));
    is_forbidden(&site.ask(&put("/new", "x").of("alice")));
    site.ask(&put("/new", "x").of("carol")).status_is(201);
    assert!(site.tree.has("www/staff/new"));
    is_prompt(&site.ask(&delete("/new")));
    site.ask(&delete("/new").of("carol")).status_is(200);
}

fn a_section_below_a_plain_read_directory_is_obeyed(kind: Kind) {
    let tree = tree();
    tree.write("rules.ini", "[www/private]\nname=mine\nru=alice\nwu=alice\n");
    tree.write("users.cfg", USERS);
    // By whichever way a file is reached, it is the same file: also where the plain directory is
    // named relatively.
    for www in [tree.arg("www"), "www".to_owned(), "./www/../www/.".to_owned()] {
        let dirs = format!("{www},rules.ini");
        let args =
            ["--port", "auto", "--ifce", "127.0.0.1", "--rdirs", &dirs, "--users", "users.cfg"];
        let mut command = Server::command(kind, &args);
        command.current_dir(tree.root());
        let server = Server::run(command);
        server.ask(&get("/www/hello.txt")).is(200, "hello\n");
        for path in ["/www/private/secret.txt", "/mine/secret.txt", "/www/private/none"] {
            is_prompt(&server.ask(&get(path)));
        }
        server.ask(&get("/www/private/secret.txt").of("alice")).is(200, SECRET);
        server.ask(&get("/mine/secret.txt").of("alice")).is(200, SECRET);
    }
}

fn a_plain_directory_below_a_section_obeys_it(kind: Kind) {
    let tree = Tree::new();
    tree.write("www/sub/secret.txt", SECRET);
    tree.write("rules.ini", "[www]\nname=all\nru=alice\nwu=alice\n");
    tree.write("users.cfg", USERS);
    let dirs = format!("{},{}", tree.arg("www/sub"), tree.arg("rules.ini"));
    let (sub, users) = (tree.arg("www/sub"), tree.arg("users.cfg"));
    let args = ["--rdirs", &dirs, "--users", &users, "--wdir", &sub];
    let server = Server::start(kind, &args);
    for path in ["/sub/secret.txt", "/all/sub/secret.txt", "/sub/none"] {
        is_prompt(&server.ask(&get(path)));
    }
    server.ask(&get("/sub/secret.txt").of("alice")).is(200, SECRET);
    is_prompt(&server.ask(&put("/new.txt", "x")));
    server.ask(&put("/new.txt", "x").of("alice")).status_is(201);
}

fn a_section_stays_though_its_last_file_goes(kind: Kind) {
    let site = site(kind);
    site.ask(&delete("/staff/secret.txt").of("carol")).status_is(200);
    assert!(site.tree.has("www/staff"), "a directory that a rule file names is gone");
    // Else the rules could not be read any more.
    assert!(site.reload());
    site.ask(&put("/staff/new.txt", "x").of("carol")).status_is(201);
    is_prompt(&site.ask(&get("/staff/new.txt")));
}

fn what_is_removed_with_a_file_needs_the_right_too(kind: Kind) {
    let tree = Tree::new();
    tree.write("www/a/b/drop/c/d/x.txt", "x");
    tree.write("www/hello.txt", "hello\n");
    let rules = "[www]\n[www/a/b/drop]\nwu=carol\n";
    let site = Ruled::over(tree, kind, rules, &[]);
    site.ask(&delete("/a/b/drop/c/d/x.txt").of("carol")).status_is(200);
    assert!(
        site.tree.has("www/a/b/drop"),
        "what carol may not write is gone: {:?}",
        site.tree.list()
    );
}

fn no_password_is_written_down(kind: Kind) {
    let tree = tree();
    let log = tree.arg("access.log");
    let args = ["--access-log", &log, "--reqlog", "*", "--dlist"];
    let site = Ruled::over(tree, kind, RULES, &args);
    for user in ["alice", "bob"] {
        site.ask(&get("/private/secret.txt").of(user)).status_in(&[200, 403]);
        site.ask(&put("/private/x", "x").of(user)).status_in(&[201, 403]);
    }
    is_prompt(&site.ask(&get("/private/secret.txt").by("alice", "slip-secret")));
    is_prompt(&site.ask(&get("/private/secret.txt").by("mallory", "guess-secret")));
    let broken = get("/private/secret.txt").field("Authorization", "Basic !no-secret!");
    site.ask(&broken).status_in(&[400, 401]);
    let Ruled { server, tree } = site;
    let exit = server.stop();
    let log = String::from_utf8(tree.read("access.log").expect("the log")).expect("text");
    // Whose password was right is told, and nobody else.
    assert!(log.contains("alice") && !log.contains("mallory"), "{log}");
    for text in [&log, &exit.stdout, &exit.stderr] {
        assert!(!text.contains("-secret"), "{text}");
        assert!(!text.contains("Authorization"), "{text}");
    }
}

/// Each method with the right that it needs, on a path.
fn every_method(path: &str) -> [(Request, &'static str); 8] {
    let ranges = "message/byterange";
    let part = "Content-Range: bytes 0-0/16\r\n\r\nx";
    [
        (get(path), "read"),
        (head(path), "read"),
        (put(path, "x"), "write"),
        (Request::new("PUT", path).chunks(&[b"x"]), "write"),
        (put(path, "x").field("Content-Range", "bytes 0-0/16"), "write"),
        (post(path, "x"), "write"),
        (patch(path, ranges, part), "write"),
        (delete(path), "write"),
    ]
}

fn every_method_needs_its_right(kind: Kind) {
    let tree = tree();
    tree.write("www/read/secret.txt", SECRET);
    tree.write("www/write/secret.txt", SECRET);
    let rules = "\
[www]
[www/read]
ru=alice
wu=bob
[www/write]
ru=bob
wu=alice
";
    let site = Ruled::over(tree, kind, rules, &[]);
    for dir in ["read", "write"] {
        let path = format!("/{dir}/secret.txt");
        for (request, right) in every_method(&path) {
            is_prompt(&site.ask(&request));
            is_forbidden(&site.ask(&request.clone().of("dave")));
            if right != dir {
                is_forbidden(&site.ask(&request.clone().of("alice")));
            }
            assert_eq!(
                site.tree.read(&format!("www{path}")).as_deref(),
                Some(SECRET.as_bytes()),
                "{request:?}"
            );
        }
        for (request, right) in every_method(&path) {
            if right == dir {
                site.ask(&request.of("alice")).status_in(&[200, 201, 204]);
            }
        }
    }
    // What is no method of ours is none with a password either.
    site.ask(&Request::new("BREW", "/read/secret.txt")).status_is(501);
    // Without wu and wg nobody may, whatever the method.
    for (request, right) in every_method("/hello.txt") {
        if right == "write" {
            is_forbidden(&site.ask(&request));
            is_forbidden(&site.ask(&request.of("alice")));
        }
    }
}

fn conditions_and_ranges_show_nothing_without_the_right(kind: Kind) {
    let site = site(kind);
    let path = "/private/secret.txt";
    let tag = site.ask(&get(path).of("alice")).need("etag").to_owned();
    let mut client = site.client();
    for (name, value) in [
        ("If-None-Match", tag.as_str()),
        ("If-None-Match", "*"),
        ("If-Match", "\"other\""),
        ("If-Modified-Since", "Fri, 01 Jan 2100 00:00:00 GMT"),
        ("If-Unmodified-Since", "Thu, 01 Jan 1970 00:00:00 GMT"),
        ("Range", "bytes=0-0"),
        ("Range", "bytes=99999-"),
        ("Range", "bytes=0-0,2-2"),
        ("Accept-Encoding", "gzip"),
    ] {
        for method in ["GET", "HEAD", "PUT", "DELETE"] {
            let request = Request::new(method, path).field(name, value).body("");
            let answer = client.ask(&request);
            is_prompt(&answer);
            for shown in
                ["etag", "last-modified", "content-range", "accept-ranges", "content-encoding"]
            {
                answer.field_is_absent(shown);
            }
            is_forbidden(&client.ask(&request.of("dave")));
        }
    }
    client.ask(&get(path).of("alice").field("If-None-Match", &tag)).status_is(304);
    client.ask(&get(path).of("alice").field("Range", "bytes=0-2")).is(206, "TOP");
    client.ask(&put(path, "x").of("alice").field("If-None-Match", "*")).status_is(412);
    assert_eq!(site.tree.read("www/private/secret.txt").as_deref(), Some(SECRET.as_bytes()));
}

/// What two answers may differ in.
fn told(answer: &Response) -> (u16, Vec<(String, String)>, Vec<u8>) {
    // A body that is not whole yet costs the connection.
    let other = |name: &str| ["date", "connection"].iter().any(|n| n.eq_ignore_ascii_case(name));
    let fields = answer.fields.iter().filter(|(name, _)| !other(name));
    (answer.status, fields.cloned().collect(), answer.body.clone())
}

fn missing_and_existing_look_alike(kind: Kind) {
    let tree = tree();
    tree.dir("www/private/dir");
    tree.write("www/private/index.mpd", SECRET);
    let site = Ruled::over(tree, kind, RULES, &["--dlist"]);
    let paths = [
        "/private/secret.txt",
        "/private/dir",
        "/private/dir/",
        "/private/dir/none",
        "/private/index.mpd",
        "/private/secret.txt/",
        "/private/secret.txt/below",
        "/private",
        "/private/",
        &format!("/private/{}", "x".repeat(300)),
        &format!("/private/{}x", "x/".repeat(40)),
    ];
    for path in paths {
        for ((request, _), (missing, _)) in
            every_method(path).into_iter().zip(every_method("/private/none"))
        {
            for user in [None, Some("dave")] {
                let as_user = |request: &Request| {
                    user.map_or_else(|| request.clone(), |u| request.clone().of(u))
                };
                let (answer, other) = (site.ask(&as_user(&request)), site.ask(&as_user(&missing)));
                assert!([401, 403].contains(&answer.status), "{request:?}: {answer:?}");
                assert_eq!(told(&answer), told(&other), "{request:?}");
            }
        }
        let (options, other) =
            (Request::new("OPTIONS", path), Request::new("OPTIONS", "/private/none"));
        assert_eq!(told(&site.ask(&options)), told(&site.ask(&other)), "OPTIONS {path}");
    }
}

fn a_growing_upload_is_not_seen(kind: Kind) {
    let site = site(kind);
    let mut encoder = site.client();
    encoder.begin_upload(Request::new("PUT", "/staff/live.m4s").chunked().of("carol"));
    encoder.send_chunk(SECRET);
    // It is there for those who may read.
    let mut reader = site.client();
    reader.begin(&get("/staff/live.m4s").of("bob")).status_is(200);
    assert_eq!(reader.content(SECRET.len()), SECRET.as_bytes());
    let mut client = site.client();
    for request in [get("/staff/live.m4s"), head("/staff/live.m4s")] {
        let ranged = request.clone().field("Range", "bytes=0-3");
        for request in [request, ranged] {
            is_prompt(&client.ask(&request));
            // Its own uploader may write, and not read.
            for user in ["dave", "carol", "alice"] {
                let answer = client.ask(&request.clone().of(user));
                is_forbidden(&answer);
                let missing = get("/staff/none.m4s").of(user);
                if request.method() == "GET" {
                    assert_eq!(told(&answer), told(&client.ask(&missing)));
                }
            }
        }
    }
    encoder.send_last_chunk();
    encoder.response("PUT").status_is(201);
    assert_eq!(reader.rest(), Ok(Vec::new()));
    is_forbidden(&client.ask(&get("/staff/live.m4s").of("carol")));
    is_prompt(&client.ask(&get("/staff/live.m4s")));
}

fn a_refused_upload_has_no_effect(kind: Kind) {
    let site = site(kind);
    let before = site.tree.list();
    for path in ["/new.bin", "/a/b/c/new.bin", "/private/d/new.bin", "/closed/d/new.bin"] {
        // No 100: the body is never asked for.
        let mut client = site.client();
        client.send(Request::new("PUT", path).announce(1 << 30).expect().bytes());
        let answer = client.response("PUT");
        assert!(answer.interim.is_empty(), "{answer:?}");
        answer.status_in(&[401, 403]);
        assert_eq!(site.tree.list(), before, "{path}");
        // Nor is it asked for with a wrong password.
        let mut client = site.client();
        let wrong = Request::new("PUT", path).announce(1 << 30).expect().by("alice", "wrong");
        client.send(wrong.bytes());
        let answer = client.response("PUT");
        assert!(answer.interim.is_empty(), "{answer:?}");
        answer.status_in(&[401, 403]);
        // A client that sends all the same is not read as if it had sent a request.
        let mut client = site.client();
        client.send(Request::new("PUT", path).announce(SMUGGLED.len() as u64).bytes());
        client.send(SMUGGLED);
        let answer = client.response("PUT");
        answer.status_in(&[401, 403]);
        if !answer.lists("connection", "close") {
            client.ask(&get("/hello.txt")).is(200, "hello\n");
        }
        assert_eq!(site.tree.list(), before, "{path}");
    }
    // With the right: 100, and the upload.
    let mut client = site.client();
    client.begin_upload(Request::new("PUT", "/private/d/new.bin").announce(3).of("alice"));
    client.send("abc");
    client.response("PUT").status_is(201);
    assert_eq!(site.tree.read("www/private/d/new.bin").as_deref(), Some(&b"abc"[..]));
}

fn a_link_out_of_a_private_directory_is_not_told(kind: Kind) {
    let tree = tree();
    tree.write("outside.txt", SECRET);
    tree.link("www/private/out", "../../outside.txt");
    tree.link("www/private/dead", "nothing");
    tree.link("www/private/loop", "loop");
    let site = Ruled::over(tree, kind, RULES, &[]);
    let missing = site.ask(&get("/private/none"));
    is_prompt(&missing);
    for path in ["/private/out", "/private/dead", "/private/loop", "/private/dead/x"] {
        let answer = site.ask(&get(path));
        assert_eq!(told(&answer), told(&missing), "{path} shows that it is there");
    }
    for path in ["/private/out", "/private/dead", "/private/loop"] {
        site.ask(&get(path).of("alice")).status_in(&[403, 404]);
    }
}

fn a_reader_is_not_a_writer(kind: Kind) {
    let site = site(kind);
    // bob reads, carol writes: neither does the other's.
    site.ask(&put("/staff/secret.txt", "x").of("carol")).status_is(200);
    is_forbidden(&site.ask(&get("/staff/secret.txt").of("carol")));
    is_forbidden(&site.ask(&put("/staff/secret.txt", "y").of("bob")));
    site.ask(&get("/staff/secret.txt").of("bob")).is(200, "x");
    is_forbidden(&site.ask(&delete("/staff/secret.txt").of("bob")));
    site.ask(&delete("/staff/secret.txt").of("carol")).status_is(200);
}

/// Links in the public directory, which everybody may write, that lead into the private one.
fn linked(kind: Kind) -> Ruled {
    let tree = tree();
    tree.write("www/private/dir/deep.txt", SECRET);
    tree.dir("www/open");
    tree.link("www/open/file", "../private/secret.txt");
    tree.link("www/open/dir", "../private");
    tree.link("www/open/chain", "dir/dir");
    tree.link("www/open/absolute", &tree.arg("www/private/secret.txt"));
    tree.link("www/private/back", "../hello.txt");
    let rules = format!("{RULES}[www/open]\nwu=$ALL\n");
    Ruled::over(tree, kind, &rules, &[])
}

fn links_into_a_private_directory_are_read_by_its_rights(kind: Kind) {
    let site = linked(kind);
    let paths = ["/open/file", "/open/dir/secret.txt", "/open/chain/deep.txt"];
    for path in paths {
        for method in ["GET", "HEAD"] {
            is_prompt(&site.ask(&Request::new(method, path)));
            is_forbidden(&site.ask(&Request::new(method, path).of("dave")));
        }
        site.ask(&get(path).of("alice")).is(200, SECRET);
    }
    for path in ["/open/dir", "/open/dir/", "/open/dir/none", "/open/chain/none"] {
        is_prompt(&site.ask(&get(path)));
    }
    // Whether an absolute link is followed is another question; it opens nothing.
    site.ask(&get("/open/absolute")).status_in(&[401, 403]);
    // What lies in the open is open, though the way there is written as if it were private.
    site.ask(&get("/private/back")).is(200, "hello\n");
}

fn nothing_is_written_through_a_link_into_a_private_directory(kind: Kind) {
    let site = linked(kind);
    let before = site.tree.list();
    for path in [
        "/open/dir/secret.txt",
        "/open/dir/new.txt",
        "/open/dir/a/b/new.txt",
        "/open/chain/deep.txt",
    ] {
        for (request, right) in every_method(path) {
            if right == "write" {
                is_prompt(&site.ask(&request));
                is_forbidden(&site.ask(&request.of("dave")));
            }
        }
    }
    for path in ["/open/dir", "/open/dir/", "/open/chain/"] {
        for (request, _) in every_method(path) {
            // The link itself may go, as the next test says.
            if request.method() != "DELETE" || path.ends_with('/') {
                site.ask(&request).status_in(&[401, 403, 409]);
            }
        }
    }
    // The link itself stands in the open; what it leads to does not.
    for path in ["/open/file", "/open/absolute"] {
        for (request, right) in every_method(path) {
            if right == "write" && request.method() != "DELETE" {
                site.ask(&request).status_in(&[401, 403]);
            }
        }
    }
    assert_eq!(site.tree.list(), before);
    for file in ["www/private/secret.txt", "www/private/dir/deep.txt"] {
        assert_eq!(site.tree.read(file).as_deref(), Some(SECRET.as_bytes()), "{file}");
    }
    site.ask(&put("/open/dir/new.txt", "x").of("alice")).status_is(201);
    assert_eq!(site.tree.read("www/private/new.txt").as_deref(), Some(&b"x"[..]));
}

fn a_link_is_removed_by_the_rights_of_where_it_lies(kind: Kind) {
    let site = linked(kind);
    // In the private directory: alice's, although it leads to the open.
    is_prompt(&site.ask(&delete("/private/back")));
    is_forbidden(&site.ask(&delete("/private/back").of("dave")));
    assert!(site.tree.has("www/private/back"));
    // In the open: anybody's, although it leads to what is private.
    site.ask(&delete("/open/file")).status_is(200);
    site.ask(&delete("/private/back").of("alice")).status_is(200);
    assert_eq!(site.tree.read("www/private/secret.txt").as_deref(), Some(SECRET.as_bytes()));
    assert_eq!(site.tree.read("www/hello.txt").as_deref(), Some(&b"hello\n"[..]));
    // A link as a directory on the way is followed.
    is_prompt(&site.ask(&delete("/open/dir/secret.txt")));
    is_prompt(&site.ask(&delete("/open/chain/deep.txt")));
}

fn a_link_to_what_does_not_exist_is_no_way_in(kind: Kind) {
    let tree = tree();
    tree.dir("www/open");
    tree.link("www/open/dead", "../private/new.txt");
    tree.link("www/open/deaddir", "../private/newdir");
    let site = Ruled::over(tree, kind, &format!("{RULES}[www/open]\nwu=$ALL\n"), &[]);
    for path in ["/open/dead", "/open/deaddir/x", "/open/deaddir"] {
        for (request, _) in every_method(path) {
            // An upload takes the place of the link itself, in the open.
            site.ask(&request);
        }
    }
    let made = |name: &&String| name.starts_with("www/private/new");
    assert_eq!(site.tree.list().iter().find(made), None);
}

fn no_spelling_leads_around_a_section(kind: Kind) {
    let tree = tree();
    tree.write("www/a/private/secret.txt", SECRET);
    let rules = format!("{RULES}[www/a/private]\nname=mine\nru=alice\n");
    let site = Ruled::over(tree, kind, &rules, &["--dlist"]);
    let mut open = Vec::new();
    for path in [
        "/private/secret.txt",
        "//private/secret.txt",
        "/private//secret.txt",
        "///private///secret.txt",
        "/./private/secret.txt",
        "/private/./secret.txt",
        "/%2e/private/secret.txt",
        "/private/%2E/secret.txt",
        "/%70rivate/secret.txt",
        "/privat%65/secret.txt",
        "/private/%73ecret.txt",
        "/private%2fsecret.txt",
        "/private%2Fsecret.txt",
        "/private%5csecret.txt",
        "/private\\secret.txt",
        "/hello.txt/../private/secret.txt",
        "/a/../private/secret.txt",
        "/staff/../private/secret.txt",
        "/a/private/secret.txt",
        "/a//private/secret.txt",
        "/mine/secret.txt",
        "/mine//secret.txt",
        "//mine/secret.txt",
        "/mine/%2e/secret.txt",
        "/private/secret.txt?a=b",
        "/private/secret.txt/",
        "/private/",
        "/private",
        "/private/?sort=name",
        "/private/.",
        "/PRIVATE/secret.txt",
        "/private /secret.txt",
        "/private%20/secret.txt",
        "/private;x/secret.txt",
        "/private%00/secret.txt",
        "http://localhost/private/secret.txt",
        "http://other.example//private/secret.txt",
    ] {
        for (request, _) in every_method(path) {
            let answer = site.ask(&request);
            if ![400, 401, 403, 404].contains(&answer.status)
                || answer.text().contains("TOP-SECRET")
                || answer.text().contains("secret.txt")
            {
                open.push(format!("{} {path}: {}", request.method(), answer.status));
            }
        }
    }
    assert_eq!(open, [""; 0]);
    for dir in ["private", "a/private", "staff", "closed"] {
        let file = format!("www/{dir}/secret.txt");
        assert_eq!(site.tree.read(&file).as_deref(), Some(SECRET.as_bytes()), "{file}");
    }
    // The spellings that lead there do so for who may.
    for path in ["//private/secret.txt", "/private/%2E/secret.txt", "/mine//secret.txt"] {
        site.ask(&get(path).of("alice")).status_in(&[200, 400]);
    }
}

fn with_symlinks_all_links_are_judged_by_where_they_lead(kind: Kind) {
    let tree = Tree::new();
    tree.write("www/open/hello.txt", "hello\n");
    tree.write("www/private/secret.txt", SECRET);
    tree.write("vault/secret.txt", SECRET);
    tree.write("outside/secret.txt", SECRET);
    tree.link("www/open/private", "../private");
    tree.link("www/open/vault", "../../vault");
    tree.link("www/open/vault.txt", "../../vault/secret.txt");
    tree.link("www/open/outside", "../../outside");
    tree.link("www/open/outside.txt", "../../outside/secret.txt");
    let rules =
        "[www]\nru=$ALL\n[www/private]\nru=alice\n[vault]\nname=vault\nru=alice\nwu=alice\n";
    let site = Ruled::over(tree, kind, rules, &["--symlinks", "all", "--dlist"]);
    for path in [
        "/open/private/secret.txt",
        "/open/vault/secret.txt",
        "/open/vault.txt",
        "/vault/secret.txt",
    ] {
        is_prompt(&site.ask(&get(path)));
        is_forbidden(&site.ask(&get(path).of("bob")));
        site.ask(&get(path).of("alice")).is(200, SECRET);
    }
    is_forbidden(&site.ask(&put("/open/x.txt", "x").of("alice")));
    // What lies elsewhere has no rule that lets anybody in.
    for path in ["/open/outside/secret.txt", "/open/outside.txt"] {
        for request in [get(path), get(path).of("alice"), put(path, "x").of("alice"), delete(path)]
        {
            let answer = site.ask(&request);
            answer.status_in(&[401, 403]);
            assert!(!answer.text().contains("TOP-SECRET"), "{answer:?}");
        }
    }
    let listing = site.ask(&get("/open/").field("Accept", "application/json")).text();
    assert!(listing.contains("hello.txt") && !listing.contains("vault"), "{listing}");
    let listing = site.ask(&get("/open/").of("alice").field("Accept", "application/json")).text();
    assert!(!listing.contains("outside"), "{listing}");
    assert_eq!(site.tree.read("outside/secret.txt").as_deref(), Some(SECRET.as_bytes()));
}

fn a_private_directory_is_listed_for_its_readers(kind: Kind) {
    let site = Ruled::over(tree(), kind, RULES, &["--dlist"]);
    for path in ["/private/", "/private", "/staff/"] {
        is_prompt(&site.ask(&get(path)));
        is_prompt(&site.ask(&head(path)));
        is_prompt(&site.ask(&get(path).field("Accept", "application/json")));
        is_forbidden(&site.ask(&get(path).of("dave")));
    }
    let listing = site.ask(&get("/private/").of("alice"));
    assert!(listing.status_is(200).status == 200 && listing.text().contains("secret.txt"));
    site.ask(&get("/private").of("alice")).status_is(301);
    let listing = site.ask(&get("/"));
    listing.status_is(200);
    assert!(listing.text().contains("hello.txt"), "{listing:?}");
    assert!(!listing.text().contains("secret.txt"), "{listing:?}");
    drop(site);
    // Without --dlist the rights still come first.
    let site = Ruled::over(tree(), kind, RULES, &[]);
    is_prompt(&site.ask(&get("/private/")));
    is_forbidden(&site.ask(&get("/private/").of("alice")));
}

fn a_listing_shows_nothing_of_what_a_link_leads_to(kind: Kind) {
    let tree = tree();
    tree.sparse("www/private/sized.bin", 123_456);
    tree.dir("www/open");
    tree.link("www/open/there", "../private/sized.bin");
    tree.link("www/open/gone", "../private/none.bin");
    let site = Ruled::over(tree, kind, &format!("{RULES}[www/open]\nru=$ALL\n"), &["--dlist"]);
    let listing = site.ask(&get("/open/").field("Accept", "application/json"));
    listing.status_is(200);
    assert!(!listing.text().contains("123456"), "the size of a private file: {}", listing.text());
    assert_eq!(
        listing.text().contains("there"),
        listing.text().contains("gone"),
        "whether a private file exists: {}",
        listing.text()
    );
}

fn a_virtual_service_is_not_found_after_the_rights(kind: Kind) {
    let rules = "\
[www]
wu=$ALL
[nowhere]
name=service
ru=alice
wu=bob
[nowhere-else]
name=open/service
";
    let site = Ruled::over(tree(), kind, rules, &[]);
    for path in ["/service", "/service/", "/service/a/b"] {
        is_prompt(&site.ask(&get(path)));
        is_prompt(&site.ask(&put(path, "x")));
        is_forbidden(&site.ask(&get(path).of("bob")));
        is_forbidden(&site.ask(&put(path, "x").of("alice")));
        site.ask(&get(path).of("alice")).status_is(404);
        site.ask(&put(path, "x").of("bob")).status_is(404);
    }
    site.ask(&get("/open/service/x")).status_is(404);
    is_forbidden(&site.ask(&put("/open/service/x", "x")));
    site.ask(&get("/servicex")).status_is(404);
    site.ask(&put("/servicex", "x")).status_is(201);
    assert!(!site.tree.has("nowhere") && !site.tree.has("www/service"), "{:?}", site.tree.list());
}

fn options_and_preflight_need_no_password(kind: Kind) {
    let site = Ruled::over(tree(), kind, RULES, &["--cors", "on"]);
    for path in ["*", "/", "/hello.txt", "/private/secret.txt", "/closed/secret.txt", "/staff/none"]
    {
        let plain = site.ask(&Request::new("OPTIONS", path));
        plain.status_in(&[200, 204]);
        assert!(plain.get("allow").is_some(), "{plain:?}");
        for method in ["GET", "PUT", "DELETE"] {
            let preflight = Request::new("OPTIONS", path)
                .field("Origin", "https://player.example")
                .field("Access-Control-Request-Method", method)
                .field("Access-Control-Request-Headers", "authorization, range");
            let answer = site.ask(&preflight);
            answer.status_in(&[200, 204]).field_is_absent("www-authenticate");
            assert!(answer.get("access-control-allow-origin").is_some(), "{answer:?}");
            assert!(answer.lists("access-control-allow-headers", "authorization"), "{answer:?}");
        }
    }
    // A page may read that a password is needed.
    let answer = site.ask(&get("/private/secret.txt").field("Origin", "https://player.example"));
    is_prompt(&answer);
    assert!(answer.get("access-control-allow-origin").is_some(), "{answer:?}");
    assert_eq!(site.checks(), [0, 0, 0]);
}

fn wait_missing_is_for_those_who_may_read(kind: Kind) {
    let site = Ruled::over(tree(), kind, RULES, &["--wait-missing", "600"]);
    is_prompt(&site.ask(&get("/staff/next.m4s")));
    is_forbidden(&site.ask(&get("/staff/next.m4s").of("carol")));
    let mut reader = site.client();
    reader.send(get("/staff/next.m4s").of("bob").bytes());
    let mut encoder = site.client();
    encoder.begin_upload(Request::new("PUT", "/staff/next.m4s").chunked().of("carol"));
    encoder.send_chunk("abc");
    reader.head("GET").status_is(200);
    assert_eq!(reader.content(3), b"abc");
    encoder.abort();
    let end = loop {
        match reader.piece() {
            Piece::Cut(end) => break end,
            Piece::ChunkEnd => {}
            other @ (Piece::Data(_) | Piece::End) => {
                panic!("{other:?} of an upload that was given up")
            }
        }
    };
    assert!(matches!(end, End::Fin | End::Rst));
    site.no_parts_left();
}
