//! Listings of directories (`--dlist`), for people (HTML) and for programs (JSON).

use std::os::unix::net::UnixListener;

use httpout_tests::coded::{accepting, decoded};
use httpout_tests::listing::{
    Row, as_json, between, entries, follow, json_names, names, plain, rows,
};
use httpout_tests::{Kind, Request, Server, Site, Tree, both, get, head, put, until};
use serde_json::Value;

both! {
    dlist_lists_a_directory,
    without_dlist_a_directory_is_403,
    a_listing_has_sizes_and_dates,
    a_listing_is_html_or_json_by_accept,
    a_directory_without_its_slash_is_redirected_with_its_query,
    every_name_is_escaped_and_its_link_resolves,
    a_listing_can_run_and_load_nothing,
    hidden_files_and_unfinished_uploads_are_not_listed,
    links_that_lead_out_are_not_listed,
    a_listing_is_sorted_by_its_own_links,
    a_listing_in_json_is_sorted_too,
    several_directories_are_listed_at_the_root,
    several_directories_are_sorted_at_the_root,
    head_of_a_listing_has_the_same_fields,
    a_listing_shows_what_is_there_now,
    what_is_no_directory_is_not_listed,
    an_empty_directory_and_a_deep_one,
    a_listing_ignores_ranges_and_unknown_queries,
    a_listing_is_compressed_for_who_accepts_it,
    a_listing_is_filtered,
}

/// A listing in HTML.
#[track_caller]
fn html(site: &Site, path: &str) -> String {
    let answer = site.ask(&get(path));
    answer.status_is(200).field_is("content-type", "text/html; charset=utf-8");
    answer.text()
}

#[track_caller]
fn json(site: &Site, path: &str) -> Vec<Value> {
    entries(&site.ask(&as_json(path)))
}

fn dlist_lists_a_directory(kind: Kind) {
    let site = Site::with(kind, &["--dlist"]);
    site.write("b.txt", "bb");
    site.write("a.txt", "a");
    site.write("dir/c.txt", "c");
    let page = html(&site, "/");
    assert_eq!(names(&page), ["dir/", "a.txt", "b.txt"]);
    let page = html(&site, "/dir/");
    assert_eq!(names(&page), ["c.txt"]);
    assert!(page.contains("<a href=\"../\">../</a>"), "no way up in {page}");
    assert_eq!(json_names(&json(&site, "/")), ["dir", "a.txt", "b.txt"]);
}

fn without_dlist_a_directory_is_403(kind: Kind) {
    let site = Site::new(kind);
    site.write("dir/secret-name.txt", "c");
    for path in ["/", "/dir/"] {
        for request in [get(path), head(path), as_json(path)] {
            let answer = site.ask(&request);
            answer.status_is(403);
            assert!(!answer.text().contains("secret-name"), "{answer:?}");
        }
    }
    site.ask(&get("/dir")).status_is(301).field_is("location", "/dir/");
}

fn a_listing_has_sizes_and_dates(kind: Kind) {
    let site = Site::with(kind, &["--dlist"]);
    site.write("empty.txt", "");
    site.write("small.txt", "x".repeat(512));
    site.tree.sparse("www/film.mp4", 5 << 20);
    site.tree.sparse("www/huge.bin", (3 << 40) + 1);
    site.tree.dir("www/dir");
    for (name, seconds) in
        [("small.txt", 1_000_000_000), ("film.mp4", 0), ("huge.bin", 4_102_444_799)]
    {
        site.tree.set_modified(&format!("www/{name}"), seconds);
    }
    let rows = rows(&html(&site, "/"));
    let row = |name: &str| rows.iter().find(|row| row.name() == name).expect(name);
    assert_eq!(row("small.txt").cells[1..], ["512 B", "2001-09-09 01:46"]);
    assert_eq!(row("film.mp4").cells[1..], ["5.0 MiB", "1970-01-01 00:00"]);
    assert_eq!(row("huge.bin").cells[1..], ["3.0 TiB", "2099-12-31 23:59"]);
    assert_eq!(row("empty.txt").cells[1], "0 B");
    assert_eq!(row("dir/").cells[1], "");
    let entries = json(&site, "/");
    let entry = |name: &str| entries.iter().find(|entry| entry["name"] == name).expect(name);
    assert_eq!(entry("huge.bin")["size"], (3_u64 << 40) + 1);
    assert_eq!(entry("huge.bin")["type"], "file");
    assert_eq!(entry("small.txt")["modified"], "2001-09-09T01:46:40Z");
    assert_eq!(entry("dir")["type"], "directory");
}

fn a_listing_is_html_or_json_by_accept(kind: Kind) {
    let site = Site::with(kind, &["--dlist"]);
    site.write("a.txt", "a");
    for (accept, is_json) in [
        ("application/json", true),
        ("application/JSON", true),
        ("application/json, text/plain, */*;q=0.5", true),
        ("text/html;q=0.5, application/json", true),
        ("application/*", true),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", false),
        ("*/*", false),
        ("text/*, application/json;q=0.5", false),
        ("application/json;q=0", false),
        ("image/png", false),
        ("", false),
        (",;q=,application/json;q=2,\"", false),
    ] {
        let answer = site.ask(&get("/").field("Accept", accept));
        let expected = if is_json { "application/json" } else { "text/html; charset=utf-8" };
        answer.status_is(200).field_is("content-type", expected);
        assert!(answer.lists("vary", "accept"), "no Vary for {accept:?}: {answer:?}");
        if is_json {
            assert_eq!(json_names(&entries(&answer)), ["a.txt"]);
        }
    }
}

fn a_directory_without_its_slash_is_redirected_with_its_query(kind: Kind) {
    let site = Site::with(kind, &["--dlist"]);
    let odd = "a b<\"'&>?#%é";
    site.tree.dir("www/dir/sub");
    site.tree.dir(&format!("www/{odd}"));
    for (target, location) in [
        ("/dir", "/dir/"),
        ("/dir?sort=size&order=desc", "/dir/?sort=size&order=desc"),
        ("/dir?", "/dir/?"),
        ("/dir/sub?a=b?c/d&%zz", "/dir/sub/?a=b?c/d&%zz"),
        ("/%64ir", "/dir/"),
        // Never to another host.
        ("//dir", "/dir/"),
        ("/.//dir", "/dir/"),
        ("/a%20b%3C%22'&%3E%3F%23%25%C3%A9?x", "/a%20b%3C%22%27%26%3E%3F%23%25%C3%A9/?x"),
    ] {
        for request in [get(target), head(target)] {
            site.ask(&request).status_is(301).field_is("location", location);
        }
        site.ask(&get(location)).status_is(200);
    }
}

/// Names that mean something to HTML, to URLs, to JSON or to the eye.
const NAMES: &[&str] = &[
    "a<b>&\"'.txt",
    "<script>alert(1)<script>",
    "\"><img src=x onerror=alert(1)>",
    "&amp;&lt;&#39;.txt",
    "100%.txt",
    "100%25.txt",
    "%2e%2e",
    "#hash?query=1&b.txt",
    "?sort=size",
    "two  spaces and more.txt",
    " leading and trailing ",
    "javascript:alert(1)",
    "http:evil.example",
    "c:",
    "+plus+;semi=1,comma!$*()@~.txt",
    "-dash",
    "emoji 🎬👩‍👩‍👧.mp4",
    "café.txt",
    "cafe\u{301}.txt",
    "\u{202e}gpj.exe",
    "\u{2066}isolated\u{2069}.txt",
    "日本語.m3u8",
    "עברית.txt",
    "[brackets]{braces}|`^.txt",
    "]]>",
    "a.b.c...",
    "index.html",
];

fn every_name_is_escaped_and_its_link_resolves(kind: Kind) {
    let site = Site::with(kind, &["--dlist"]);
    let long = "ö".repeat(127);
    let all = || NAMES.iter().copied().chain([long.as_str()]);
    for dir in ["", "d?r <&#%>/"] {
        for name in all() {
            site.write(&format!("{dir}{name}"), format!("I am {name}"));
        }
    }
    for page in ["/", "/d%3Fr%20%3C%26%23%25%3E/", "/?sort=date&order=desc"] {
        let text = html(&site, page);
        for never in ["<script", "<img", "\u{202e}", "\u{2066}"] {
            assert!(!text.contains(never), "{never:?} stands in {text}");
        }
        let found: Vec<_> = rows(&text).into_iter().filter(|r| !r.name().ends_with('/')).collect();
        assert_eq!(found.len(), all().count(), "{found:#?}");
        let mut client = site.client();
        let mut led_to = Vec::new();
        for row in found {
            assert!(row.href.bytes().all(|b| b.is_ascii_graphic()), "{:?} is no URL", row.href);
            let answer = client.ask(&get(&follow(page, &row.href)));
            answer.status_is(200);
            let content = answer.text();
            let name = content.strip_prefix("I am ").expect("a file of ours").to_owned();
            let turned = |c: &char| !('\u{200b}'..'\u{206f}').contains(c) && *c != '\u{fffd}';
            let visible = |text: &str| text.chars().filter(turned).collect::<String>();
            assert_eq!(visible(row.name()), visible(&name), "the name that {:?} shows", row.href);
            led_to.push(name);
        }
        led_to.sort();
        let mut expected: Vec<_> = all().collect();
        expected.sort();
        assert_eq!(led_to, expected, "each link leads to a file of its own");
        let listed = json(&site, page);
        let mut listed = json_names(&listed);
        listed.retain(|name| !name.starts_with("d?r"));
        listed.sort();
        assert_eq!(listed, expected);
    }
}

fn a_listing_can_run_and_load_nothing(kind: Kind) {
    let site = Site::with(kind, &["--dlist"]);
    site.write("a.txt", "a");
    let answer = site.ask(&get("/"));
    let policy = answer.need("content-security-policy");
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    answer.field_is("x-content-type-options", "nosniff");
    let text = answer.text();
    assert!(text.starts_with("<!doctype html>") && !text.contains("http"), "{text}");
}

fn hidden_files_and_unfinished_uploads_are_not_listed(kind: Kind) {
    let site = Site::with(kind, &["--dlist"]);
    for name in [".hidden", ".dir/file.txt", ".httpout-left.part", "..strange", "seen.txt"] {
        site.write(name, "x");
    }
    let mut upload = site.client();
    upload.begin_upload(Request::new("PUT", "/new.bin").chunked());
    upload.send_chunk("begun");
    until("the upload's part is on the disk", || (site.tree.parts().len() > 1).then_some(()));
    let text = html(&site, "/");
    assert!(!text.contains("httpout-") && !text.contains("hidden"), "{text}");
    assert_eq!(names(&text), ["seen.txt"]);
    assert_eq!(json_names(&json(&site, "/")), ["seen.txt"]);
    upload.send_last_chunk();
    upload.response("PUT").status_is(201);
    assert_eq!(names(&html(&site, "/")), ["new.bin", "seen.txt"]);
}

fn links_that_lead_out_are_not_listed(kind: Kind) {
    let site = Site::with(kind, &["--dlist"]);
    site.tree.write("secret.txt", "a secret of some length");
    site.write("dir/a.txt", "12345");
    let absolute = site.tree.arg("www/dir/a.txt");
    for (name, target) in [
        ("out.txt", "../secret.txt"),
        ("out-dir", ".."),
        ("etc", "/etc"),
        ("passwd", "/etc/passwd"),
        ("dangling", "nothing"),
        ("loop", "loop"),
        ("absolute.txt", &absolute),
        ("in.txt", "dir/a.txt"),
        ("in-dir", "dir"),
        ("dir/up.txt", "../in.txt"),
        ("dir/out-of-root.txt", "../../secret.txt"),
    ] {
        site.tree.link(&format!("www/{name}"), target);
    }
    let socket = UnixListener::bind(site.tree.path("www/socket")).expect("a socket");
    // What is listed can be got, and the other way round.
    let mut client = site.client();
    for dir in ["/", "/dir/"] {
        let entries = json(&site, dir);
        for entry in &entries {
            let path = format!("{dir}{}", entry["name"].as_str().expect("a name"));
            let path = if entry["type"] == "directory" { format!("{path}/") } else { path };
            client.ask(&get(&path)).status_is(200);
        }
        let listed = json_names(&entries);
        for name in ["out.txt", "etc", "passwd", "absolute.txt", "socket", "out-of-root.txt"] {
            let found = client.ask(&get(&format!("{dir}{name}"))).status == 200;
            assert_eq!(found, listed.contains(&name), "{dir}{name}");
        }
    }
    drop(socket);
    let listed = json(&site, "/");
    assert_eq!(json_names(&listed), ["dir", "in-dir", "in.txt"]);
    assert_eq!(listed[1]["type"], "directory");
    assert_eq!(listed[2]["size"], 5, "a link has the size of what it leads to");
    assert_eq!(json_names(&json(&site, "/dir/")), ["a.txt", "up.txt"]);
}

/// Files whose names, sizes and dates are in three different orders.
fn sortable(site: &Site) {
    for (name, size, seconds) in [
        ("seg-10.m4s", 300, 3_000),
        ("seg-9.m4s", 200, 5_000),
        ("Seg-1.m4s", 100, 4_000),
        ("zebra.txt", 50, 1_000),
        ("apple.txt", 400, 2_000),
    ] {
        site.write(name, "x".repeat(size));
        site.tree.set_modified(&format!("www/{name}"), seconds);
    }
    site.tree.dir("www/b-dir");
    site.tree.dir("www/a-dir");
}

/// The names in each order, ascending. Directories come first in any.
const ORDERS: [(&str, [&str; 5]); 3] = [
    ("name", ["apple.txt", "Seg-1.m4s", "seg-9.m4s", "seg-10.m4s", "zebra.txt"]),
    ("size", ["zebra.txt", "Seg-1.m4s", "seg-9.m4s", "seg-10.m4s", "apple.txt"]),
    ("date", ["zebra.txt", "apple.txt", "seg-10.m4s", "Seg-1.m4s", "seg-9.m4s"]),
];

fn a_listing_is_sorted_by_its_own_links(kind: Kind) {
    let site = Site::with(kind, &["--dlist"]);
    sortable(&site);
    let first = html(&site, "/");
    let files = |text: &str| {
        let names = names(text);
        assert!(names[..2].iter().all(|name| name.ends_with('/')), "directories first: {names:?}");
        names[2..].to_vec()
    };
    assert_eq!(files(&first), ORDERS[0].1);
    for (column, ascending) in ORDERS {
        // A column's head leads to the listing sorted by it, and from there to the other way round,
        // and back.
        let mut page = html(&site, if column == "name" { "/?sort=size" } else { "/" });
        let mut expected = ascending.to_vec();
        for _ in 0..3 {
            let head = between(&page, "<thead>", "</thead>").next().expect("a table's head");
            let links: Vec<_> = between(head, "href=\"", "\"").map(plain).collect();
            let link = links.iter().find(|link| link.contains(column)).expect("a link that sorts");
            page = html(&site, &follow("/", link));
            assert_eq!(files(&page), expected, "after {link}");
            expected.reverse();
        }
    }
}

fn a_listing_in_json_is_sorted_too(kind: Kind) {
    let site = Site::with(kind, &["--dlist"]);
    sortable(&site);
    for (column, ascending) in ORDERS {
        for order in ["asc", "desc"] {
            let entries = json(&site, &format!("/?sort={column}&order={order}"));
            let mut expected = ascending.to_vec();
            if order == "desc" {
                expected.reverse();
            }
            assert_eq!(json_names(&entries)[2..], expected, "{column} {order}");
        }
    }
}

/// A server of several directories, with `dlist`.
#[track_caller]
fn several(kind: Kind, tree: &Tree) -> Server {
    tree.write("one/a.txt", "a of one");
    tree.write("two <&>/a.txt", "a of two");
    tree.write("three/dir/c.txt", "c of three");
    let dirs = [tree.arg("one"), tree.arg("two <&>"), tree.arg("three")].join(",");
    Server::start(kind, &["--rdirs", &dirs, "--dlist"])
}

fn several_directories_are_listed_at_the_root(kind: Kind) {
    let tree = Tree::new();
    let server = several(kind, &tree);
    let page = server.ask(&get("/"));
    page.status_is(200).field_is("content-type", "text/html; charset=utf-8");
    let rows = rows(&page.text());
    let shown: Vec<_> = rows.iter().map(Row::name).collect();
    assert_eq!(shown, ["one/", "three/", "two <&>/"]);
    for (row, content) in rows.iter().zip(["a.txt", "dir/", "a.txt"]) {
        let path = follow("/", &row.href);
        let listing = server.ask(&get(&path));
        listing.status_is(200);
        assert_eq!(names(&listing.text()), [content], "{path}");
    }
    assert_eq!(json_names(&entries(&server.ask(&as_json("/")))), ["one", "three", "two <&>"]);
    server.ask(&get("/one?sort=size")).status_is(301).field_is("location", "/one/?sort=size");
    server.ask(&get("/two%20%3C%26%3E/a.txt")).is(200, "a of two");
    server.ask(&get("/a.txt")).status_is(404);
    server.ask(&get("/four/")).status_is(404);
    let dirs = [tree.arg("one"), tree.arg("three")].join(",");
    let silent = Server::start(kind, &["--rdirs", &dirs]);
    silent.ask(&get("/")).status_is(403);
    silent.ask(&get("/one/a.txt")).is(200, "a of one");
}

fn several_directories_are_sorted_at_the_root(kind: Kind) {
    let tree = Tree::new();
    let server = several(kind, &tree);
    let listed = entries(&server.ask(&as_json("/?sort=name&order=desc")));
    assert_eq!(json_names(&listed), ["two <&>", "three", "one"]);
}

/// The fields of an answer that must not differ between GET and HEAD.
fn fields(answer: &httpout_tests::Head) -> Vec<(String, String)> {
    let mut fields: Vec<_> = answer
        .fields
        .iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), value.clone()))
        .filter(|(name, _)| name != "date" && name != "transfer-encoding")
        .collect();
    fields.sort();
    fields
}

fn head_of_a_listing_has_the_same_fields(kind: Kind) {
    let site = Site::with(kind, &["--dlist"]);
    site.write("small/a.txt", "a");
    for i in 0..1_000 {
        site.write(&format!("large/{i}.txt"), "");
    }
    let mut client = site.client();
    for path in ["/small/", "/large/", "/"] {
        for accept in ["text/html", "application/json"] {
            let with = client.ask(&get(path).field("Accept", accept));
            let without = client.ask(&head(path).field("Accept", accept));
            with.status_is(200);
            without.is(200, "");
            assert_eq!(fields(&with), fields(&without), "{path} as {accept}");
        }
    }
}

fn a_listing_shows_what_is_there_now(kind: Kind) {
    let site = Site::with(kind, &["--dlist"]);
    let mut client = site.client();
    for i in 0..50 {
        let name = format!("{i}.txt");
        client.ask(&put(&format!("/{name}"), "x".repeat(i))).status_is(201);
        let entries = entries(&client.ask(&as_json("/")));
        let entry = entries.iter().find(|entry| entry["name"] == *name).expect("the new file");
        assert_eq!((entries.len(), entry["size"].as_u64()), (i + 1, Some(i as u64)));
    }
}

fn what_is_no_directory_is_not_listed(kind: Kind) {
    let site = Site::with(kind, &["--dlist"]);
    site.write("a.txt", "a");
    for path in ["/a.txt/", "/none/", "/none", "/a.txt/b/"] {
        site.ask(&get(path)).status_is(404);
        site.ask(&head(path)).status_is(404);
    }
    for path in ["/../", "/%2e%2e/", "/a%2f/", "/%00/"] {
        site.ask(&get(path)).status_is(400);
    }
}

fn an_empty_directory_and_a_deep_one(kind: Kind) {
    let site = Site::with(kind, &["--dlist"]);
    site.tree.dir("www/empty");
    assert_eq!(names(&html(&site, "/empty/")), Vec::<String>::new());
    assert_eq!(json(&site, "/empty/"), Vec::<Value>::new());
    let deep = "d/".repeat(40);
    site.tree.dir(&format!("www/{deep}"));
    let mut page = "/".to_owned();
    for _ in 0..40 {
        let row = rows(&html(&site, &page)).into_iter().find(|row| row.name() == "d/");
        page = follow(&page, &row.expect("a directory").href);
    }
    assert_eq!(page, format!("/{deep}"));
    // And up again.
    for _ in 0..40 {
        let text = html(&site, &page);
        let up = between(&text, "<tr", "</tr>").find(|row| plain(row).contains("../"));
        let href = up.and_then(|row| between(row, "href=\"", "\"").next()).expect("a way up");
        page = follow(&page, &plain(href));
    }
    assert_eq!(page, "/");
}

fn a_listing_ignores_ranges_and_unknown_queries(kind: Kind) {
    let site = Site::with(kind, &["--dlist"]);
    sortable(&site);
    let whole = json(&site, "/");
    assert_eq!(entries(&site.ask(&as_json("/").field("Range", "bytes=0-9"))), whole);
    for query in ["?", "?sort=", "?sort=owner&order=up", "?&&=&sort", "?C=M;O=D", "?%zz=\"'<>"] {
        // The last one holds characters that must be escaped, but a query is not the server's
        // business.
        assert_eq!(json(&site, &format!("/{query}")), whole, "{query}");
    }
}

fn a_listing_is_compressed_for_who_accepts_it(kind: Kind) {
    let site = Site::with(kind, &["--dlist"]);
    let files = |count: usize| {
        for number in 0..count {
            site.write(&format!("segment-{number}.m4s"), "x");
        }
    };
    // In one piece, and in several.
    for count in [20, 700] {
        files(count);
        for accept in ["text/html", "application/json"] {
            let plain = site.ask(&get("/").field("Accept", accept));
            plain.status_is(200).field_is_absent("content-encoding");
            for (codings, coding) in
                [("gzip", "gzip"), ("deflate", "deflate"), ("br, gzip;q=0.1", "gzip")]
            {
                let request = accepting("/", codings).field("Accept", accept);
                let answer = site.ask(&request);
                answer.status_is(200).field_is("content-encoding", coding);
                assert!(answer.lists("vary", "accept-encoding") && answer.lists("vary", "accept"));
                assert!(answer.body.len() < plain.body.len() / 3, "{} bytes", answer.body.len());
                assert_eq!(String::from_utf8_lossy(&decoded(&answer)), plain.text());
                let of_head = site.ask(
                    &Request::new("HEAD", "/")
                        .field("Accept", accept)
                        .field("Accept-Encoding", codings),
                );
                of_head.status_is(200).field_is("content-encoding", coding);
            }
            for codings in ["identity", "gzip;q=0", "br"] {
                let answer = site.ask(&accepting("/", codings).field("Accept", accept));
                answer.status_is(200).field_is_absent("content-encoding");
            }
        }
    }
    let off = Site::over(site.tree, kind, &["--dlist", "--zmax", "0"]);
    off.ask(&accepting("/", "gzip")).status_is(200).field_is_absent("content-encoding");
}

fn a_listing_is_filtered(kind: Kind) {
    let site = Site::with(kind, &["--dlist"]);
    for name in ["Video-1.m4s", "video-2.m4s", "audio-1.m4s", "dir/x", "\u{e9}t\u{e9} & co.txt"] {
        site.write(name, "x");
    }
    let page = html(&site, "/?filter=VIDEO");
    assert_eq!(names(&page), ["Video-1.m4s", "video-2.m4s"]);
    assert!(page.contains("name=\"filter\" value=\"VIDEO\""), "{page}");
    assert_eq!(
        names(&html(&site, "/?sort=name&order=desc&filter=-1")),
        ["Video-1.m4s", "audio-1.m4s"]
    );
    assert_eq!(names(&html(&site, "/?filter=%C3%A9t%C3%A9+%26")), ["\u{e9}t\u{e9} & co.txt"]);
    assert_eq!(names(&html(&site, "/?filter=")).len(), 5);
    assert_eq!(names(&html(&site, "/?filter=nothing")), [""; 0]);
    assert_eq!(json_names(&json(&site, "/?filter=dir")), ["dir"]);
    // A form asks for it, which the policy lets it do.
    assert!(page.contains("<form") && page.contains("type=\"search\""), "{page}");
    let policy = site.ask(&get("/")).need("content-security-policy").to_owned();
    assert!(policy.contains("form-action 'self'"), "{policy}");
    // The links that sort keep it.
    assert!(page.contains("sort=size&amp;order=asc&amp;filter=VIDEO"), "{page}");
    // Its own text is never markup.
    let page = html(&site, "/?filter=%22%3E%3Cscript%3Ealert(1)%3C/script%3E");
    assert!(!page.contains("<script>alert"), "{page}");
}
