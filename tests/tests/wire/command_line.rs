//! The command line as people type it: a directory alone, GPAC's one-string form, options that
//! another mode has.

use httpout_tests::{Asked, Exit, Kind, Scripted, Server, Site, Tree, both, get};

both! {
    without_arguments_a_command_is_shown_that_works,
    the_version_names_the_runtime,
    a_directory_may_stand_alone,
    the_users_file_is_changed_with_a_word,
    options_behind_the_url_of_gpac_are_obeyed,
    words_that_are_no_options_do_not_join_a_value,
    escapes_of_gpac_are_read,
    options_of_another_mode_are_told_and_left_aside,
    compression_is_off_by_the_name_that_gpac_knows,
    a_password_comes_from_a_file_or_a_variable,
}

fn without_arguments_a_command_is_shown_that_works(kind: Kind) {
    let exit = Server::fails(kind, &[]);
    assert_eq!((exit.code, &*exit.stdout), (Some(2), ""));
    let lines: Vec<_> = exit.stderr.lines().collect();
    assert_eq!(lines.len(), 3, "{exit:?}");
    let command = lines[1].rsplit_once(": ").expect("a command").1;
    assert_eq!(command, format!("{} . --port 8080", kind.program()));
    // It does, but for the port, which may be taken here.
    let tree = Tree::new();
    tree.write("a", "content");
    let mut command = Server::command(kind, &[".", "--port", "auto"]);
    command.current_dir(tree.path(""));
    Server::run(command).ask(&get("/a")).is(200, "content");
    // A variable is as good as an argument.
    let mut command = Server::command(kind, &[]);
    command.env("HTTPOUT_RDIRS", tree.path("")).env("HTTPOUT_PORT", "auto");
    Server::run(command).ask(&get("/a")).is(200, "content");
}

fn the_version_names_the_runtime(kind: Kind) {
    let exit = Server::fails(kind, &["--version"]);
    let runtime = match kind {
        Kind::Tokio => "(tokio)",
        Kind::Smol => "(smol)",
    };
    assert!(exit.stdout.starts_with("httpout ") && exit.stdout.contains(runtime), "{exit:?}");
    assert_eq!((exit.code, exit.stdout.lines().count()), (Some(0), 1));
}

fn a_directory_may_stand_alone(kind: Kind) {
    let tree = Tree::new();
    for name in ["a/x", "b/x", "c:d/x", "e,f/x"] {
        tree.write(name, name);
    }
    let (a, b) = (tree.arg("a"), tree.arg("b"));
    let listed = format!("{a}:dlist:port=auto:ifce=127.0.0.1");
    for (args, path, content) in [
        (&[&*a, "--port", "auto"][..], "/x", "a/x"),
        (&["--port", "auto", "--dlist", &a], "/x", "a/x"),
        (&["port=auto:dlist", &a], "/x", "a/x"),
        (&["httpout:port=auto", &a], "/x", "a/x"),
        (&[&listed], "/x", "a/x"),
        (&[&a, &b, "--port", "auto"], "/b/x", "b/x"),
        (&["--rdirs", &a, &b, "--port", "auto"], "/a/x", "a/x"),
        (&[&tree.arg("c:d"), "--port", "auto"], "/x", "c:d/x"),
        (&[&tree.arg("e,f"), "--port", "auto"], "/x", "e,f/x"),
    ] {
        Server::launch(kind, args).ask(&get(path)).is(200, content);
    }
    let exit = Server::fails(kind, &["dlst", "--port", "auto"]);
    assert_eq!(exit.code, Some(2), "{exit:?}");
    assert!(exit.stderr.contains("'--dlist'"), "{exit:?}");
    let exit = Server::fails(kind, &["/nowhere/at/all", "--port", "auto"]);
    assert!(exit.code != Some(0) && exit.stderr.contains("/nowhere/at/all"), "{exit:?}");
}

fn the_users_file_is_changed_with_a_word(kind: Kind) {
    let tree = Tree::new();
    let users = tree.arg("users.cfg");
    let creds =
        |words: &[&str]| Server::fails(kind, &[&["creds", "--users", &users], words].concat());
    for none in [&["show"][..], &[]] {
        let exit = creds(none);
        assert_eq!((exit.code, &*exit.stdout), (Some(0), ""));
        assert!(exit.stderr.contains("users.cfg does not exist: to add a user,"), "{exit:?}");
    }
    let exit = creds(&["+alice:password=12345678", "@+staff:alice"]);
    assert_eq!(
        (exit.code, &*exit.stdout),
        (Some(0), "added user alice\nset the members of group staff\n")
    );
    let exit = creds(&["-alice"]);
    assert_eq!((exit.code, &*exit.stdout), (Some(0), "removed user alice\n"));
    for (length, code) in [(7, 1), (8, 0), (768, 0), (769, 1)] {
        let exit = creds(&[&format!("+bob:password={}", "x".repeat(length))]);
        assert_eq!(exit.code, Some(code), "{length}: {exit:?}");
    }
    assert!(creds(&["--help"]).stdout.contains("8 to 768 bytes"));
}

/// Says yes to everything.
fn yes(_: &Asked) -> String {
    "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n".into()
}

/// Uploads by this command line, and what was said; it must succeed.
fn pushed(kind: Kind, args: &[&str], variables: &[(&str, &str)]) -> Exit {
    let mut command = Server::command(kind, args);
    command.envs(variables.iter().copied());
    let exit = Server::ends(command);
    assert_eq!(exit.code, Some(0), "{args:?}: {exit:?}");
    exit
}

fn options_behind_the_url_of_gpac_are_obeyed(kind: Kind) {
    let (tree, server) = (Tree::new(), Scripted::answering(yes));
    tree.write("a", "x");
    let input = tree.arg("a");
    for (suffix, line) in [
        (":gpac:hmode=push", "PUT /a HTTP/1.1"),
        (":gpac:push:post", "POST /a HTTP/1.1"),
        (":hmode=push", "PUT /a HTTP/1.1"),
        ("::hmode=push:!cte", "PUT /a HTTP/1.1"),
        ("?b=c:d:gpac:hmode=push", "PUT /a?b=c:d HTTP/1.1"),
    ] {
        let url = format!("{}{suffix}", server.url("/a"));
        for args in
            [&["-i", &input, "-o", &url][..], &["-i", &input, &format!("httpout:dst={url}")]]
        {
            pushed(kind, args, &[]);
            assert_eq!(server.asked().line(), line, "{args:?}");
        }
    }
}

fn words_that_are_no_options_do_not_join_a_value(kind: Kind) {
    let tree = Tree::new();
    let www = tree.arg("");
    for (word, said) in [
        ("cache_control=max-age=5:dlst", "'--dlist'"),
        (
            "cache_control=max-age=5:nothing-like-it",
            "'::cache_control=max-age=5:nothing-like-it::'",
        ),
        ("port=auto:hmode=pusj", "push"),
        ("dst=http://localhost:0/x:SID=1", "'--SID'"),
    ] {
        let exit = Server::fails(kind, &["--rdirs", &www, word]);
        assert_eq!(exit.code, Some(2), "{word}: {exit:?}");
        assert!(exit.stderr.contains(said), "{word}: {exit:?}");
    }
}

fn escapes_of_gpac_are_read(kind: Kind) {
    let tree = Tree::new();
    tree.write("a", "x");
    let rdirs = format!("rdirs={}:port=auto:ifce=127.0.0.1", tree.arg(""));
    for (word, control) in [
        ("cache_control=max-age=5:dlist", "max-age=5"),
        ("::cache_control=max-age=5:dlist::sutc", "max-age=5:dlist"),
        ("::cache_control=no-store::dlist", "no-store"),
        ("cache_control=no-store:!cte:on", "no-store"),
    ] {
        let server = Server::launch(kind, &[&rdirs, word]);
        let answer = server.ask(&get("/a"));
        answer.is(200, "x").field_is("cache-control", control);
        assert_eq!(answer.get("server-utc").is_some(), word.ends_with(":sutc"), "{word}");
        let is_allowed = answer.get("access-control-allow-origin").is_some();
        assert_eq!(is_allowed, word.ends_with(":on"), "{word}");
    }
}

fn options_of_another_mode_are_told_and_left_aside(kind: Kind) {
    let tree = Tree::new();
    tree.write("a", "x");
    let (www, input) = (tree.arg(""), tree.arg("a"));
    // A server.
    let server = Server::start(kind, &["--rdirs", &www, "--post", "--ka=false", "--hold"]);
    server.ask(&get("/a")).is(200, "x");
    let exit = server.stop();
    for name in ["post", "ka", "hold"] {
        assert!(exit.stderr.contains(&format!("{name} is not used: ")), "{name}: {exit:?}");
    }
    // A server, too, since there is a write directory.
    let server = Server::start(kind, &["--hmode", "push", "--wdir", &www]);
    server.ask(&httpout_tests::put("/b", "y")).status_is(201);
    let exit = server.stop();
    assert!(exit.stderr.contains("hmode is not used: "), "{exit:?}");
    // An upload to another one.
    let other = Scripted::answering(yes);
    let url = other.url("/a");
    let args =
        ["--hmode", "push", "-i", &input, "-o", &url, "--rdirs", &www, "--maxc", "7", "--hold"];
    let exit = pushed(kind, &[&args[..], &["--ca", "/nowhere", "--insecure"]].concat(), &[]);
    assert_eq!(other.asked().body, b"x");
    for name in ["rdirs", "maxc", "hold", "ca", "insecure"] {
        assert!(exit.stderr.contains(&format!("{name} is not used: ")), "{name}: {exit:?}");
    }
    // A source.
    let source = ["--hmode", "source", "-o", &tree.arg("in/"), "--dlist", "--post"];
    let server = Server::start(kind, &source);
    server.ask(&httpout_tests::put("/c", "z")).status_is(201);
    let exit = server.stop();
    for name in ["dlist", "post"] {
        assert!(exit.stderr.contains(&format!("{name} is not used: ")), "{name}: {exit:?}");
    }
}

fn compression_is_off_by_the_name_that_gpac_knows(kind: Kind) {
    for (args, coded) in
        [(&[][..], true), (&["--no_z"], false), (&["no_z"], false), (&["!no_z"], true)]
    {
        let site = Site::with(kind, args);
        site.write("a.txt", "text ".repeat(500));
        let answer = site.ask(&get("/a.txt").field("Accept-Encoding", "gzip"));
        assert_eq!(answer.get("content-encoding").is_some(), coded, "{args:?}");
    }
}

fn a_password_comes_from_a_file_or_a_variable(kind: Kind) {
    let (tree, server) = (Tree::new(), Scripted::answering(yes));
    tree.write("a", "x");
    tree.write("pw", "me:p@ss\n");
    let (input, file, url) = (tree.arg("a"), tree.arg("pw"), server.url("/a"));
    let args = ["--hmode", "push", "-i", &input, "-o", &url];
    let own = format!("http://me:p%40ss@{}/a", server.address());
    let open = "can be read by other users";
    for (args, variables, seen, warned) in [
        (&[&args[..], &["--auth-file", &file]].concat(), &[][..], false, true),
        (&args.to_vec(), &[("HTTPOUT_AUTH", "me:p@ss")], false, false),
        (&args.to_vec(), &[("HTTPOUT_AUTH_FILE", &*file)], false, true),
        (&["--hmode", "push", "-i", &input, "-o", &own].to_vec(), &[], true, false),
    ] {
        let exit = pushed(kind, args, variables);
        assert!(server.asked().has("Authorization: Basic bWU6cEBzcw=="), "{args:?}");
        assert_eq!(exit.stderr.contains("other users of this machine can see"), seen, "{exit:?}");
        assert_eq!(exit.stderr.contains(open), warned, "{exit:?}");
        assert!(!exit.stderr.contains("p@ss") && !exit.stderr.contains("p%40ss"), "{exit:?}");
    }
    let exit = Server::fails(kind, &[&args[..], &["--auth-file", "/nowhere"]].concat());
    assert_eq!(exit.code, Some(1), "{exit:?}");
    assert!(exit.stderr.contains("/nowhere") && exit.stderr.contains("USER:PASSWORD"), "{exit:?}");
}
