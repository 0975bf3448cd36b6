//! Index files (`--index`): a file that is served for the directory that holds it.

use httpout_tests::{Kind, Ruled, Server, Site, Tree, both, get, head, put};

both! {
    without_the_option_no_file_is_served_for_a_directory,
    the_index_file_is_served_for_its_directory,
    a_directory_without_one_is_listed_or_not,
    the_index_is_a_file_like_any_other,
    the_index_is_found_in_memory_and_beneath_mounts,
    what_is_no_file_is_no_index,
    the_rights_are_those_of_the_file,
    a_name_that_is_no_file_name_is_refused,
}

const PAGE: &str = "<!doctype html><title>index</title>";

fn without_the_option_no_file_is_served_for_a_directory(kind: Kind) {
    let site = Site::new(kind);
    site.write("index.html", PAGE);
    site.ask(&get("/")).status_is(403);
    let site = Site::over(site.tree, kind, &["--dlist"]);
    assert!(site.ask(&get("/")).text().contains("Index of /"));
}

fn the_index_file_is_served_for_its_directory(kind: Kind) {
    for args in [&["--index", "index.html"][..], &["--index", "index.html", "--dlist"]] {
        let site = Site::with(kind, args);
        site.write("index.html", PAGE);
        site.write("sub dir/index.html", "sub");
        let answer = site.ask(&get("/"));
        answer.is(200, PAGE).field_is("content-type", "text/html; charset=utf-8").need("etag");
        site.ask(&get("/?a=b")).is(200, PAGE);
        site.ask(&get("/sub%20dir/")).is(200, "sub");
        site.ask(&get("/sub%20dir/../")).is(200, PAGE);
        site.ask(&head("/")).status_is(200).field_is("content-length", &PAGE.len().to_string());
        // The links of the page count from the directory.
        site.ask(&get("/sub%20dir")).status_is(301).field_is("location", "/sub%20dir/");
        site.ask(&get("/none/")).status_is(404);
        site.ask(&put("/", "x")).status_is(409);
    }
}

fn a_directory_without_one_is_listed_or_not(kind: Kind) {
    let site = Site::with(kind, &["--index", "index.html"]);
    site.write("a.txt", "a");
    site.ask(&get("/")).status_is(403);
    let site = Site::over(site.tree, kind, &["--index", "index.html", "--dlist"]);
    assert!(site.ask(&get("/")).text().contains("a.txt"));
    // It counts from the next request on.
    site.ask(&put("/index.html", PAGE)).status_is(201);
    site.ask(&get("/")).is(200, PAGE);
}

fn the_index_is_a_file_like_any_other(kind: Kind) {
    let site = Site::with(kind, &["--index", "main.m3u8"]);
    let content = "#EXTM3U\n".repeat(100);
    site.write("live/main.m3u8", &content);
    let answer = site.ask(&get("/live/"));
    answer.is(200, &content).field_is("content-type", "application/vnd.apple.mpegurl");
    let tag = answer.need("etag");
    site.ask(&get("/live/").field("If-None-Match", tag)).status_is(304);
    site.ask(&get("/live/").field("Range", "bytes=0-6")).is(206, "#EXTM3U");
    let coded = site.ask(&get("/live/").field("Accept-Encoding", "gzip"));
    coded.status_is(200).field_is("content-encoding", "gzip");
}

fn the_index_is_found_in_memory_and_beneath_mounts(kind: Kind) {
    let server =
        Server::start(kind, &["--rdirs", "gmem", "--wdir", "gmem", "--index", "index.html"]);
    server.ask(&put("/dir/index.html", PAGE)).status_is(201);
    server.ask(&get("/dir/")).is(200, PAGE);
    let tree = Tree::new();
    tree.write("one/index.html", "one");
    tree.write("two/index.html", "two");
    let dirs = format!("{},{}", tree.arg("one"), tree.arg("two"));
    let server = Server::start(kind, &["--rdirs", &dirs, "--index", "index.html"]);
    for name in ["one", "two"] {
        server.ask(&get(&format!("/{name}/"))).is(200, name);
    }
    server.ask(&get("/")).status_is(403);
}

fn what_is_no_file_is_no_index(kind: Kind) {
    let site = Site::with(kind, &["--index", "index.html", "--dlist"]);
    site.write("a/index.html/x.txt", "x");
    assert!(site.ask(&get("/a/")).text().contains("Index of /a/"));
    // A link that leads out is none that may be followed.
    site.tree.write("secret.txt", "TOP-SECRET");
    site.tree.dir("www/b");
    site.tree.link("www/b/index.html", "../../secret.txt");
    site.ask(&get("/b/")).status_is(403);
    site.write("c/real.html", PAGE);
    site.tree.link("www/c/index.html", "real.html");
    site.ask(&get("/c/")).is(200, PAGE);
}

fn the_rights_are_those_of_the_file(kind: Kind) {
    let tree = Tree::new();
    tree.write("www/index.html", PAGE);
    tree.write("www/private/index.html", "secret");
    tree.dir("www/open");
    tree.link("www/open/index.html", "../private/index.html");
    tree.dir("www/fine");
    tree.link("www/fine/index.html", "../index.html");
    let rules = "[www]\nwu=alice\n[www/private]\nru=alice\n";
    let site = Ruled::over(tree, kind, rules, &["--index", "index.html", "--dlist"]);
    // Somebody may have uploaded it.
    site.ask(&get("/")).is(200, PAGE).field_is("content-security-policy", "sandbox");
    site.ask(&get("/fine/")).is(200, PAGE);
    site.ask(&get("/private/")).status_is(401);
    site.ask(&get("/private/").of("alice")).is(200, "secret");
    for answer in [site.ask(&get("/open/")), site.ask(&get("/open/").of("bob"))] {
        answer.status_in(&[401, 403]);
        assert!(!answer.text().contains("secret"), "{answer:?}");
    }
}

fn a_name_that_is_no_file_name_is_refused(kind: Kind) {
    let tree = Tree::new();
    for name in ["", "a/b", "..", ".", "/index.html", ".httpout", "a\\b"] {
        let args = ["--rdirs", &tree.arg(""), "--port", "auto", "--index", name];
        let exit = Server::fails(kind, &args);
        assert!(exit.code.is_some_and(|code| code != 0), "{name:?}: {exit:?}");
        assert!(exit.stderr.contains("index"), "{name:?}: {exit:?}");
    }
}
