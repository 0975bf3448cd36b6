//! Options that change how a response is sent, but not its content.

use httpout_tests::{Kind, Request, Server, Site, Tree, both, get, head, put};

both! {
    block_size_changes_no_content,
    cte_false_ends_what_grows_by_closing,
    ifce_takes_an_interface_or_an_address,
    booleans_have_three_spellings,
    dst_with_localhost_is_loopback,
}

/// Bytes that tell where they stand.
fn content(length: u32) -> Vec<u8> {
    (0..length).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

fn block_size_changes_no_content(kind: Kind) {
    for size in ["1", "100", "10000", "4M"] {
        let site = Site::with(kind, &["--block_size", size, "--multirange", "multipart"]);
        let bytes = content(if size == "1" { 2_000 } else { 300_000 });
        let mut client = site.client();
        client.ask(&put("/a.bin", &bytes)).status_is(201);
        client.ask(&get("/a.bin")).is(200, &bytes);
        client.ask(&get("/a.bin").field("Range", "bytes=5-1500")).is(206, &bytes[5..=1500]);
        let several = client.ask(&get("/a.bin").field("Range", "bytes=0-999,1500-1999"));
        several.status_is(206);
        assert!(
            several.body.windows(1000).any(|w| w == &bytes[..1000]),
            "the first part with blocks of {size}"
        );
        client
            .ask(&Request::new("PUT", "/b.bin").chunks(&bytes.chunks(777).collect::<Vec<_>>()))
            .status_is(201);
        client.ask(&get("/b.bin")).is(200, &bytes);
        let mut upload = site.client();
        upload.begin_upload(Request::new("PUT", "/c.bin").chunked());
        upload.send_chunk(&bytes);
        client.begin(&get("/c.bin")).status_is(200);
        assert!(client.content(bytes.len()) == bytes, "what grows with blocks of {size}");
        upload.send_last_chunk();
        upload.response("PUT").status_is(201);
        assert_eq!(client.rest(), Ok(Vec::new()));
    }
}

fn cte_false_ends_what_grows_by_closing(kind: Kind) {
    let site = Site::with(kind, &["--cte", "false"]);
    let mut upload = site.client();
    upload.begin_upload(Request::new("PUT", "/a.bin").chunked());
    upload.send_chunk("one");
    let mut reader = site.client();
    reader.begin(&get("/a.bin")).status_is(200).field_is_absent("transfer-encoding").says_close();
    assert_eq!(reader.content(3), b"one");
    upload.send_chunk("two");
    assert_eq!(reader.content(3), b"two");
    upload.send_last_chunk();
    upload.response("PUT").status_is(201);
    assert_eq!(reader.rest(), Ok(Vec::new()));
    // What is whole has a length, and the connection goes on.
    let mut client = site.client();
    client.ask(&get("/a.bin")).is(200, "onetwo").field_is("content-length", "6");
    client.ask(&head("/a.bin")).status_is(200).field_is("content-length", "6");
}

fn ifce_takes_an_interface_or_an_address(kind: Kind) {
    let tree = Tree::new();
    tree.write("a.bin", "a");
    for interface in ["lo", "127.0.0.1"] {
        let server = Server::launch(
            kind,
            &["--rdirs", &tree.arg(""), "--port", "auto", "--ifce", interface],
        );
        assert!(server.address().ip().is_loopback(), "{interface}: {}", server.address());
        server.ask(&get("/a.bin")).is(200, "a");
    }
}

fn booleans_have_three_spellings(kind: Kind) {
    let tree = Tree::new();
    tree.write("a.bin", "content");
    for (norange, status) in [("--norange", 200), ("--norange=true", 200), ("--norange=false", 206)]
    {
        let server = Server::start(kind, &["--rdirs", &tree.arg(""), norange]);
        server.ask(&get("/a.bin").field("Range", "bytes=0-2")).status_is(status);
    }
}

fn dst_with_localhost_is_loopback(kind: Kind) {
    let tree = Tree::new();
    tree.write("a.bin", "a");
    let server = Server::launch(
        kind,
        &["--rdirs", &tree.arg(""), "--port", "auto", "-o", "http://localhost/live.mpd"],
    );
    assert!(server.address().ip().is_loopback(), "{}", server.address());
    server.ask(&get("/a.bin")).is(200, "a");
}
