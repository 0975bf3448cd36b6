//! Rule files: what is refused at the start, what SIGHUP changes, and links that are swapped
//! meanwhile.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use httpout_tests::{Kind, Request, Response, Ruled, Server, Tree, USERS, both, delete, get, put};
use rustix::fs::{CWD, RenameFlags, renameat_with};

both! {
    a_faulty_rule_file_is_refused_with_its_line,
    two_directories_for_one_path_are_refused_with_their_line,
    a_rule_file_that_cannot_be_read_is_refused,
    two_sections_of_one_directory_are_refused,
    sections_are_relative_to_the_rule_file,
    a_section_through_a_link_holds_for_the_real_directory,
    sections_for_others_are_passed_over,
    names_mount_directories,
    the_banner_tells_what_is_served,
    sighup_reads_rules_and_users_anew,
    a_broken_file_keeps_the_old_and_says_why,
    an_upload_goes_on_across_a_reload,
    an_upload_is_seen_to_its_end_though_nobody_may_write_any_more,
    requests_go_on_while_files_are_read_anew,
    a_missing_rule_file_opens_nothing,
    a_link_that_is_swapped_never_shows_a_private_file,
    a_link_that_is_swapped_never_writes_a_private_file,
}

const SECRET: &str = "TOP-SECRET-7f3a\n";

fn tree() -> Tree {
    let tree = Tree::new();
    tree.write("www/hello.txt", "hello\n");
    tree.write("www/private/secret.txt", SECRET);
    tree.write("users.cfg", USERS);
    tree
}

/// What the start with these rules says.
#[track_caller]
fn refusal(kind: Kind, tree: &Tree, rules: impl AsRef<[u8]>) -> String {
    tree.write("rules.ini", rules);
    let (rules, users) = (tree.arg("rules.ini"), tree.arg("users.cfg"));
    let exit = Server::fails(kind, &["--port", "auto", "--rdirs", &rules, "--users", &users]);
    assert_eq!(exit.code, Some(78), "{exit:?}");
    assert_eq!(exit.stderr.lines().count(), 1, "{exit:?}");
    exit.stderr
}

fn a_faulty_rule_file_is_refused_with_its_line(kind: Kind) {
    let tree = tree();
    tree.write("www/file", "");
    let rules = tree.arg("rules.ini");
    for (text, line, what) in [
        ("ru=alice\n", 1, "section"),
        ("[www]\nru\n", 2, "KEY=VALUE"),
        ("[www]\nuser=alice\n", 2, "user"),
        ("[www]\nfilter=httpout\n", 2, "did you mean filters"),
        ("[www]\nru=alice\nru=bob\n", 3, "line 2"),
        ("[www]\n[www/private]\n[www]\n", 3, "line 1"),
        ("[www\n", 1, "section"),
        ("[]\n", 1, "section"),
        ("[www] # all\n", 1, "section"),
        ("[www]\nru=\n", 2, "$NONE"),
        ("[www]\nru=alice,,bob\n", 2, "nobody"),
        ("[www]\nwg=staff,$ALL\n", 2, "$ALL"),
        ("[www]\nru=$NONE,alice\n", 2, "$NONE"),
        ("[www]\nname=a/../b\n", 2, "a/../b"),
        ("[www]\nname=a\\b\n", 2, "URL"),
        ("[www]\nname=x\n[www/private]\nname=/x/\n", 3, "another name"),
        ("[www]\n[none]\nru=alice\n", 2, "none"),
        ("[www/file]\nru=alice\n", 1, "directory"),
        ("[www]\nru=al\u{1}ice\n", 2, "control"),
        ("[www]\nru=$AL\n", 2, "$ALL"),
        ("[www]\nwg=staff,$none\n", 2, "$NONE"),
        ("[www]\nwu=$ALL\n[www/private]\n", 3, "no keys"),
        ("[www]\n", 1, "no keys"),
        ("[www]\nname=.httpout\n", 2, "keeps for itself"),
        ("[www]\nname=a/.HTTPOUT-1/b\n", 2, "keeps for itself"),
    ] {
        let told = refusal(kind, &tree, text);
        let place = format!("{rules} line {line}: ");
        assert!(told.starts_with("error: ") && told.contains(&place), "{text:?}: {told}");
        assert!(told.contains(what), "{text:?}: {what} is not told: {told}");
        let help = told.trim_end().rsplit_once("; ").map(|(_, help)| help);
        assert!(help.is_some_and(|h| h.len() > 8), "{text:?}: it does not say what to do: {told}");
    }
    for text in ["", "# nothing\n", "[www]\nfilters=rtspout\n"] {
        let told = refusal(kind, &tree, text);
        assert!(told.contains(&rules) && told.contains("no section"), "{text:?}: {told}");
    }
}

fn two_directories_for_one_path_are_refused_with_their_line(kind: Kind) {
    let tree = tree();
    tree.dir("other");
    let rules = tree.arg("rules.ini");
    let told = refusal(kind, &tree, "[www]\n[other]\nru=$ALL\n");
    assert!(told.contains("another name"), "{told}");
    assert!(told.contains(&format!("{rules} line 2: ")), "{told}");
}

fn a_rule_file_that_cannot_be_read_is_refused(kind: Kind) {
    let tree = tree();
    let told = refusal(kind, &tree, b"[www]\nname=\xff\n");
    assert!(told.contains("UTF-8") && told.contains("rules.ini"), "{told}");
    // A film in its place is not read to its end.
    fs::remove_file(tree.path("rules.ini")).expect("it is there");
    tree.sparse("rules.ini", 1 << 40);
    let exit = Server::fails(kind, &["--port", "auto", "--rdirs", &tree.arg("rules.ini")]);
    assert!(exit.code != Some(0) && exit.stderr.contains("rules.ini"), "{exit:?}");
}

fn two_sections_of_one_directory_are_refused(kind: Kind) {
    let tree = tree();
    tree.link("alias", "www/private");
    for second in ["./www/private", "www//private", "www/private/", "www/private/.", "alias"] {
        // Which of them holds would depend on their order.
        let rules = format!("[www]\n[www/private]\nru=alice\n[{second}]\nru=$ALL\n");
        let told = refusal(kind, &tree, rules);
        assert!(told.contains("line 4"), "{second}: {told}");
    }
}

fn sections_are_relative_to_the_rule_file(kind: Kind) {
    let tree = tree();
    tree.dir("elsewhere");
    let absolute = tree.arg("www/private");
    tree.write("conf/rules.ini", format!("[../www]\n[{absolute}]\nru=alice\n"));
    let rules = tree.arg("conf/rules.ini");
    for (from, rules) in [("elsewhere", &*rules), ("conf", "rules.ini"), ("", "conf/rules.ini")] {
        let users = tree.arg("users.cfg");
        let args = ["--port", "auto", "--ifce", "127.0.0.1", "--rdirs", rules, "--users", &users];
        let mut command = Server::command(kind, &args);
        command.current_dir(tree.path(from));
        let server = Server::run(command);
        server.ask(&get("/hello.txt")).is(200, "hello\n");
        server.ask(&get("/private/secret.txt")).status_is(401);
        server.ask(&get("/private/secret.txt").of("alice")).is(200, SECRET);
    }
}

fn a_section_through_a_link_holds_for_the_real_directory(kind: Kind) {
    let tree = tree();
    tree.link("public", "www");
    tree.link("hidden", "www/private");
    let site = Ruled::over(tree, kind, "[public]\nwu=$ALL\n[hidden]\nru=alice\nwu=alice\n", &[]);
    site.ask(&get("/hello.txt")).is(200, "hello\n");
    site.ask(&get("/private/secret.txt")).status_is(401);
    site.ask(&get("/private/secret.txt").of("alice")).is(200, SECRET);
    site.ask(&put("/private/x", "x")).status_is(401);
    site.ask(&put("/x", "x")).status_is(201);
}

fn sections_for_others_are_passed_over(kind: Kind) {
    let rules = "\
; for all servers
[www]
mcast=carol
filters=rtspout,httpout
[www/private]
ru=$ALL
filters=rtspout
[nowhere]
filters=rtspout
";
    let tree = tree();
    tree.write("www/all/a", SECRET);
    let more = "[www/all]\nru=alice\nfilters=*\n";
    let site =
        Ruled::over(tree, kind, &format!("\u{feff}{rules}{more}").replace('\n', "\r\n"), &[]);
    site.ask(&get("/private/secret.txt")).is(200, SECRET);
    site.ask(&get("/all/a")).status_is(401);
    site.ask(&get("/all/a").of("alice")).is(200, SECRET);
}

fn names_mount_directories(kind: Kind) {
    let tree = tree();
    tree.write("vod/a.txt", "vod");
    tree.write("tv/a.txt", "tv");
    let rules = "\
[www]
name=
[vod]
name=/films/
[tv]
name=live/tv
[www/private]
name=mine
ru=alice
";
    let site = Ruled::over(tree, kind, rules, &["--dlist"]);
    site.ask(&get("/hello.txt")).is(200, "hello\n");
    site.ask(&get("/films/a.txt")).is(200, "vod");
    site.ask(&get("/live/tv/a.txt")).is(200, "tv");
    // By either way it is alice's.
    for path in ["/mine/secret.txt", "/private/secret.txt"] {
        site.ask(&get(path)).status_is(401);
        site.ask(&get(path).of("alice")).is(200, SECRET);
    }
    for path in ["/vod/a.txt", "/tv/a.txt", "/films/tv/a.txt", "/live/a.txt", "/filmsa.txt"] {
        site.ask(&get(path)).status_is(404);
    }
}

fn the_banner_tells_what_is_served(kind: Kind) {
    let tree = tree();
    let rules = "[www]\n[www/private]\nname=mine\nru=alice\nwu=alice\n[nowhere]\nname=service\n";
    let site = Ruled::over(tree, kind, rules, &[]);
    let Ruled { server, tree } = site;
    let exit = server.stop();
    for line in [
        format!("reads {} as /\n", tree.arg("www")),
        format!("reads {} as /mine/\n", tree.arg("www/private")),
        format!("writes {}, ", tree.arg("www/private")),
        "answers for /service/, where there is no directory\n".to_owned(),
    ] {
        assert!(exit.stdout.contains(&line), "{line} is not told:\n{}", exit.stdout);
    }
}

fn sighup_reads_rules_and_users_anew(kind: Kind) {
    let site = Ruled::over(tree(), kind, "[www]\n[www/private]\nru=alice\n", &[]);
    let mut open = site.client();
    open.ask(&get("/private/secret.txt").of("alice")).is(200, SECRET);
    open.ask(&get("/private/secret.txt").of("bob")).status_is(403);
    open.ask(&put("/new.txt", "x")).status_in(&[403, 405]);
    // Other readers, a writer, another directory, a new user.
    site.tree.write("vod/a.txt", "vod");
    let rules = "[www]\nwu=eve\n[www/private]\nrg=staff\n[vod]\nname=vod\nru=alice\n";
    site.tree.write("rules.ini", rules);
    let eve = USERS[..USERS.find("[bob]").expect("bob is there")].replace("alice", "eve");
    let users = format!("{eve}{}", USERS.replace("staff=bob", "staff=alice,bob"));
    site.tree.write("users.cfg", users);
    assert!(site.reload());
    // The connection is the same.
    open.ask(&get("/private/secret.txt").of("alice")).is(200, SECRET);
    open.ask(&get("/private/secret.txt").of("bob")).is(200, SECRET);
    open.ask(&get("/private/secret.txt").of("carol")).status_is(403);
    open.ask(&get("/vod/a.txt").of("alice")).is(200, "vod");
    open.ask(&put("/new.txt", "x")).status_is(401);
    open.ask(&put("/new.txt", "x").by("eve", "alice-secret")).status_is(201);
    // A right, and a user, that are taken away are gone at once.
    site.tree.write("rules.ini", "[www]\n[www/private]\nru=alice\n");
    site.tree.write("users.cfg", &USERS[USERS.find("[bob]").expect("bob is there")..]);
    assert!(site.reload());
    open.ask(&get("/private/secret.txt").of("alice")).status_is(401);
    open.ask(&get("/private/secret.txt").of("bob")).status_is(403);
    open.ask(&get("/vod/a.txt")).status_is(404);
    open.ask(&get("/hello.txt")).is(200, "hello\n");
    // What was remembered of a password that was taken away and comes back is no matter: it is
    // right again.
    site.tree.write("users.cfg", USERS);
    assert!(site.reload());
    open.ask(&get("/private/secret.txt").of("alice")).is(200, SECRET);
}

fn a_broken_file_keeps_the_old_and_says_why(kind: Kind) {
    let rules = "[www]\n[www/private]\nru=alice\n";
    let site = Ruled::over(tree(), kind, rules, &[]);
    let mut open = site.client();
    let mut holds = |what: &str| {
        let status = [
            open.ask(&get("/hello.txt")),
            open.ask(&get("/private/secret.txt")),
            open.ask(&get("/private/secret.txt").of("alice")),
            open.ask(&get("/private/secret.txt").of("bob")),
        ]
        .map(|answer: Response| answer.status);
        assert_eq!(status, [200, 401, 200, 403], "after {what}");
    };
    holds("the start");
    for broken in
        ["[www]\nrx=alice\n", "", "[none]\n", "\u{1}", "[www]\n[www/private]\n", "[www]\nru=$AL\n"]
    {
        site.tree.write("rules.ini", broken);
        assert!(!site.reload(), "{broken:?}");
        holds(broken);
    }
    site.tree.write("rules.ini", rules);
    for broken in ["[alice]\npassword=hunter2\nsalt=00\n", "alice:plain\n"] {
        site.tree.write("users.cfg", broken);
        assert!(!site.reload(), "{broken:?}");
        holds(broken);
    }
    fs::remove_file(site.tree.path("users.cfg")).expect("it is there");
    assert!(!site.reload());
    holds("the users file is gone");
    site.tree.write("users.cfg", USERS);
    let Ruled { server, tree } = site;
    let exit = server.stop();
    let (rules, users) = (tree.arg("rules.ini"), tree.arg("users.cfg"));
    for told in
        [format!("{rules} line 2: "), format!("{users} line 2: "), format!("{users} line 1: ")]
    {
        assert!(exit.stderr.contains(&told), "{told} is not told:\n{}", exit.stderr);
    }
    assert!(!exit.stderr.contains("hunter2"), "{}", exit.stderr);
}

fn a_missing_rule_file_opens_nothing(kind: Kind) {
    let tree = tree();
    let wdir = tree.arg("www/private");
    let rules = "[www]\n[www/private]\nru=alice\nwu=alice\n";
    let site = Ruled::over(tree, kind, rules, &["--wdir", &wdir]);
    site.ask(&put("/evil.txt", "x")).status_is(401);
    // An editor moves it away before it writes the new one.
    fs::rename(site.tree.path("rules.ini"), site.tree.path("rules.ini~")).expect("it is there");
    let reloaded = site.reload();
    let answer = site.ask(&put("/evil.txt", "x"));
    assert_eq!(answer.status, 401, "without its rule file it takes uploads of all: {answer:?}");
    assert!(!site.tree.has("rules.ini"), "a directory stands where the rule file is to be written");
    assert!(!reloaded);
    fs::rename(site.tree.path("rules.ini~"), site.tree.path("rules.ini")).expect("it is there");
    assert!(site.reload());
    site.ask(&put("/evil.txt", "x")).status_is(401);
}

fn an_upload_goes_on_across_a_reload(kind: Kind) {
    let tree = tree();
    tree.dir("www/up");
    let site = Ruled::over(tree, kind, "[www]\n[www/up]\nwu=alice\n", &[]);
    let mut encoder = site.client();
    encoder.begin_upload(Request::new("PUT", "/up/live.bin").chunked().of("alice"));
    encoder.send_chunk("abc");
    let mut reader = site.client();
    reader.begin(&get("/up/live.bin")).status_is(200);
    assert_eq!(reader.content(3), b"abc");
    // From now on others may write, and readers need a password.
    site.tree.write("rules.ini", "[www]\n[www/up]\nru=alice\nwu=carol\n");
    assert!(site.reload());
    encoder.send_chunk("def");
    assert_eq!(reader.content(3), b"def");
    // Who comes now is judged by the new rules, and finds the upload that began under the old ones.
    site.ask(&get("/up/live.bin")).status_is(401);
    let mut second = site.client();
    second.begin(&get("/up/live.bin").of("alice")).status_is(200);
    assert_eq!(second.content(6), b"abcdef");
    encoder.send_last_chunk();
    encoder.response("PUT").status_is(201);
    assert_eq!(reader.rest(), Ok(Vec::new()));
    assert_eq!(second.rest(), Ok(Vec::new()));
    // The next request of the same connections obeys the new rules.
    encoder.ask(&put("/up/live.bin", "x").of("alice")).status_is(403);
    reader.ask(&get("/up/live.bin")).status_is(401);
    assert_eq!(site.tree.read("www/up/live.bin").as_deref(), Some(&b"abcdef"[..]));
    site.no_parts_left();
}

fn an_upload_is_seen_to_its_end_though_nobody_may_write_any_more(kind: Kind) {
    let site = Ruled::over(tree(), kind, "[www]\nwu=alice\n", &[]);
    let mut encoder = site.client();
    encoder.begin_upload(Request::new("PUT", "/live.bin").chunked().of("alice"));
    encoder.send_chunk("abc");
    let mut reader = site.client();
    reader.begin(&get("/live.bin")).status_is(200);
    assert_eq!(reader.content(3), b"abc");
    site.tree.write("rules.ini", "[www]\nru=$ALL\n");
    assert!(site.reload());
    let mut second = site.client();
    second.begin(&get("/live.bin")).status_is(200);
    assert_eq!(second.content(3), b"abc");
    encoder.send_last_chunk();
    encoder.response("PUT").status_is(201);
    assert_eq!([reader.rest(), second.rest()], [Ok(Vec::new()), Ok(Vec::new())]);
    site.ask(&get("/live.bin")).is(200, "abc");
}

fn requests_go_on_while_files_are_read_anew(kind: Kind) {
    let site = Ruled::over(tree(), kind, "[www]\n[www/private]\nru=alice\n", &[]);
    let address = site.server.address();
    let over = AtomicBool::new(false);
    let over = &over;
    let result = thread::scope(|scope| {
        let readers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(move || {
                    let mut client = httpout_tests::Client::connect(address);
                    let mut asked = 0;
                    while !over.load(Ordering::Relaxed) {
                        client.ask(&get("/hello.txt")).is(200, "hello\n");
                        client.ask(&get("/private/secret.txt")).status_is(401);
                        client.ask(&get("/private/secret.txt").of("alice")).is(200, SECRET);
                        asked += 1;
                    }
                    asked
                })
            })
            .collect();
        let reloads = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for _ in 0..30 {
                assert!(site.reload());
            }
        }));
        over.store(true, Ordering::Relaxed);
        let asked: Vec<u32> =
            readers.into_iter().map(|reader| reader.join().expect("no reader fails")).collect();
        (reloads, asked)
    });
    assert!(result.0.is_ok() && result.1.iter().all(|&asked| asked > 0), "{result:?}");
}

/// Runs `ask` while two names are exchanged again and again.
fn while_swapped(one: &Path, other: &Path, ask: impl FnOnce()) {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)
                    .expect("both names are there");
            }
        });
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(ask));
        over.store(true, Ordering::Relaxed);
        if let Err(panic) = result {
            std::panic::resume_unwind(panic);
        }
    });
}

/// A directory that everybody may use, with a directory in it that takes turns with a link into the
/// private one.
fn swapped(kind: Kind) -> Ruled {
    let tree = tree();
    tree.write("www/open/dir/secret.txt", "harmless\n");
    tree.write("www/open/dir/kept.txt", "so that the directory is never empty\n");
    tree.link("www/open/other", "../private");
    let rules = "[www]\n[www/open]\nwu=$ALL\n[www/private]\nru=alice\nwu=alice\n";
    Ruled::over(tree, kind, rules, &[])
}

fn a_link_that_is_swapped_never_shows_a_private_file(kind: Kind) {
    let site = swapped(kind);
    let (dir, other) = (site.tree.path("www/open/dir"), site.tree.path("www/open/other"));
    while_swapped(&dir, &other, || {
        let mut client = site.client();
        for i in 0..5000 {
            let answer = client.ask(&get("/open/dir/secret.txt"));
            assert!(!answer.text().contains("TOP-SECRET"), "leaked at try {i}");
            answer.status_in(&[200, 401, 403, 404]);
        }
    });
}

fn a_link_that_is_swapped_never_writes_a_private_file(kind: Kind) {
    let site = swapped(kind);
    let (dir, other) = (site.tree.path("www/open/dir"), site.tree.path("www/open/other"));
    while_swapped(&dir, &other, || {
        for i in 0..1000 {
            let name = format!("/open/dir/new-{i}.txt");
            site.ask(&put(&name, "evil")).status_in(&[200, 201, 401, 403, 404, 409, 500, 503]);
            site.ask(&delete("/open/dir/secret.txt")).status_in(&[200, 204, 401, 403, 404]);
        }
    });
    let names: Vec<_> = fs::read_dir(site.tree.path("www/private"))
        .expect("it is there")
        .flatten()
        .map(|entry| entry.file_name())
        .collect();
    assert_eq!(names, ["secret.txt"], "a private file was made or removed");
}
