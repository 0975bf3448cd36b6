//! File systems that ignore case: FAT, by the kernel or by `fusefat`.

use httpout_tests::{Mounted, until};

use super::*;

both! {
    a_section_holds_for_every_spelling_of_its_directory,
    a_section_holds_in_what_is_mounted_later,
    two_sections_of_one_directory_in_two_spellings_are_refused,
    part_files_are_out_of_reach_in_every_spelling,
}

fn fat() -> (Tree, Mounted) {
    let tree = Tree::new();
    let mounted = Mounted::fat(&tree.path("www"));
    tree.write("www/hello.txt", "hello\n");
    for dir in ["private", "staff", "closed", "drop"] {
        tree.write(&format!("www/{dir}/secret.txt"), SECRET);
    }
    tree.write("www/private/sub/secret.txt", SECRET);
    assert!(tree.has("www/PRIVATE/Secret.TXT"), "the file system does not ignore case");
    (tree, mounted)
}

/// A request to a private file by each method.
fn requests(path: &str) -> Vec<Request> {
    vec![
        get(path),
        head(path),
        get(path).field("Range", "bytes=0-3"),
        put(path, "x"),
        patch(path, "message/byterange", "Content-Range: bytes 0-0/6\r\n\r\nx"),
        put(path, "x").field("Range", "bytes=0-0"),
        post(path, "x"),
        delete(path),
    ]
}

fn a_section_holds_for_every_spelling_of_its_directory(kind: Kind) {
    let (tree, _mounted) = fat();
    let rules = RULES.replace("wu=alice\n[www/private]", "wu=$ALL\n[www/private]");
    let site = Ruled::over(tree, kind, &rules, &["--dlist"]);
    for path in [
        "/private/secret.txt",
        "/Private/secret.txt",
        "/PRIVATE/SECRET.TXT",
        "/pRIVATE/sub/secret.txt",
        "/PRIVATE/SUB/SECRET.TXT",
        "/PRIVATE/new.txt",
        "/PRIVATE/new/new.txt",
    ] {
        for request in requests(path) {
            let answer = site.ask(&request);
            assert_eq!(answer.status, 401, "{request:?}: {answer:?}");
            let answer = site.ask(&request.clone().of("bob"));
            assert_eq!(answer.status, 403, "{request:?}: {answer:?}");
        }
    }
    is_prompt(&site.ask(&get("/PRIVATE/")));
    is_forbidden(&site.ask(&get("/Closed/secret.txt").of("alice")));
    site.ask(&get("/PRIVATE/Secret.TXT").of("alice")).is(200, SECRET);
    // What has no section of its own is as open as before.
    site.ask(&get("/HELLO.txt")).is(200, "hello\n");
    site.ask(&put("/Privates/new.txt", "x")).status_is(201);
    // The last file of a section is removed by another name: the directory stays, and its section.
    site.ask(&delete("/DROP/secret.txt")).status_is(200);
    assert!(site.tree.has("www/drop"));
    assert_eq!(site.tree.read("www/private/secret.txt").as_deref(), Some(SECRET.as_bytes()));
}

fn a_section_holds_in_what_is_mounted_later(kind: Kind) {
    let tree = tree();
    tree.dir("www/disk/private");
    let rules = "[www]\nwu=$ALL\n[www/disk/private]\nru=alice\n";
    let site = Ruled::over(tree, kind, rules, &[]);
    let _mounted = Mounted::fat(&site.tree.path("www/disk"));
    // No directory of the section is there yet: none can be made beside it.
    site.ask(&put("/disk/Private/new.txt", "x")).status_is(403);
    site.tree.write("www/disk/private/secret.txt", SECRET);
    for path in ["/disk/private/secret.txt", "/disk/PRIVATE/secret.txt", "/disk/Private/Secret.txt"]
    {
        is_prompt(&site.ask(&get(path)));
        site.ask(&put(path, "x")).status_is(403);
        site.ask(&get(path).of("alice")).is(200, SECRET);
    }
}

fn two_sections_of_one_directory_in_two_spellings_are_refused(kind: Kind) {
    let (tree, _mounted) = fat();
    tree.write("rules.ini", "[www/private]\nname=a\n[www/PRIVATE]\nname=b\nru=$ALL\n");
    let exit = Server::fails(kind, &["--port", "auto", "--rdirs", &tree.arg("rules.ini")]);
    assert!(exit.code.is_some_and(|code| code != 0), "{exit:?}");
    assert!(exit.stderr.contains("one directory"), "{exit:?}");
}

fn part_files_are_out_of_reach_in_every_spelling(kind: Kind) {
    let (tree, _mounted) = fat();
    let www = tree.arg("www");
    let server = Server::start(kind, &["--rdirs", &www, "--wdir", &www, "--dlist"]);
    let mut upload = server.client();
    upload.send(Request::new("PUT", "/new.bin").announce(10).bytes());
    upload.send("first");
    let part = until("the upload has begun", || tree.parts().pop());
    let name = part.trim_start_matches("www/");
    for name in [name.to_owned(), name.to_uppercase(), name.replace("httpout", "HttpOut")] {
        assert!(tree.has(&format!("www/{name}")));
        server.ask(&get(&format!("/{name}"))).status_is(404);
        server.ask(&delete(&format!("/{name}"))).status_is(403);
        server.ask(&put(&format!("/{name}"), "x")).status_is(403);
        server.ask(&put(&format!("/{name}"), "x").field("Range", "bytes=0-0")).status_is(403);
    }
    upload.send("-last");
    upload.response("PUT").status_is(201);
    server.ask(&get("/new.bin")).is(200, "first-last");
}
