//! Uploads with `Content-Encoding`: the coding is taken off, and what is stored and served is the
//! content.

use std::io::Write as _;

use flate2::{
    Compression,
    write::{GzEncoder, ZlibEncoder},
};
use httpout_tests::coded::text;
use httpout_tests::{Kind, Request, Response, Server, Site, Tree, both, get, patch, post, put};

both! {
    a_coded_upload_is_stored_as_its_content,
    a_coded_upload_may_come_in_chunks_and_split_anywhere,
    several_members_are_one_content,
    readers_of_a_growing_upload_get_its_content,
    an_unknown_coding_is_415_and_says_which_are_known,
    identity_is_no_coding,
    what_is_not_coded_as_it_says_replaces_nothing,
    the_largest_size_is_that_of_the_content,
    what_expands_without_end_is_refused,
    a_large_content_needs_little_memory,
    a_coded_patch_is_decoded,
    coded_ranges_are_415,
    a_source_gets_the_content,
    an_icecast_source_is_not_coded,
    conditions_hold_for_coded_uploads,
}

fn gzip(content: impl AsRef<[u8]>) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content.as_ref()).expect("a vector takes all");
    encoder.finish().expect("a vector takes all")
}

fn zlib(content: impl AsRef<[u8]>) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content.as_ref()).expect("a vector takes all");
    encoder.finish().expect("a vector takes all")
}

fn coded(request: Request, coding: &str) -> Request {
    request.field("Content-Encoding", coding)
}

#[track_caller]
fn is_unsupported(answer: &Response, accepted: &str) {
    answer.status_is(415).field_is("accept-encoding", accepted);
}

const ACCEPTED: &str = "gzip, deflate";

fn a_coded_upload_is_stored_as_its_content(kind: Kind) {
    for args in [&[][..], &["--durable"]] {
        let site = Site::with(kind, args);
        let content = text(300_000, 1);
        for (at, (name, body)) in [
            ("gzip", gzip(&content)),
            ("GZip", gzip(&content)),
            ("x-gzip", gzip(&content)),
            ("deflate", zlib(&content)),
        ]
        .into_iter()
        .enumerate()
        {
            let path = format!("/{at}.m3u8");
            site.ask(&coded(put(&path, &body), name)).status_is(201);
            assert_eq!(
                site.read(&format!("{at}.m3u8")).as_deref(),
                Some(content.as_bytes()),
                "{name}"
            );
            site.ask(&get(&path)).is(200, &content).field_is_absent("content-encoding");
            site.ask(&coded(post(&path, &body), name)).status_is(200);
        }
        site.ask(&coded(put("/empty", gzip("")), "gzip")).status_is(201);
        site.ask(&get("/empty")).is(200, "");
        site.ask(&coded(put("/probe", ""), "gzip")).status_is(201);
        site.no_parts_left();
    }
    // In memory as well.
    let server = Server::start(kind, &["--rdirs", "gmem", "--wdir", "gmem"]);
    server.ask(&coded(put("/a.mpd", gzip("content")), "gzip")).status_is(201);
    server.ask(&get("/a.mpd")).is(200, "content");
}

fn a_coded_upload_may_come_in_chunks_and_split_anywhere(kind: Kind) {
    let site = Site::new(kind);
    let content = text(20_000, 2);
    let body = gzip(&content);
    for size in [1, 7, 100] {
        let chunks: Vec<&[u8]> = body.chunks(size).collect();
        let request = coded(Request::new("PUT", "/a.mpd").chunks(&chunks), "gzip");
        site.ask(&request).status_in(&[200, 201]);
        site.ask(&get("/a.mpd")).is(200, &content);
    }
}

fn several_members_are_one_content(kind: Kind) {
    let site = Site::new(kind);
    let body = [gzip("one "), gzip("two")].concat();
    site.ask(&coded(put("/a.txt", body), "gzip")).status_is(201);
    site.ask(&get("/a.txt")).is(200, "one two");
}

fn readers_of_a_growing_upload_get_its_content(kind: Kind) {
    let site = Site::new(kind);
    let mut upload = site.client();
    upload.begin_upload(coded(Request::new("PUT", "/seg.m4s").chunked(), "gzip"));
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let mut reader = None;
    for part in ["first, ", "second, ", "third"] {
        encoder.write_all(part.as_bytes()).expect("a vector takes all");
        encoder.flush().expect("a vector takes all");
        upload.send_chunk(std::mem::take(encoder.get_mut()));
        let reader = reader.get_or_insert_with(|| {
            let mut reader = site.client();
            let head = reader.begin(&get("/seg.m4s"));
            head.status_is(200)
                .field_is_absent("content-encoding")
                .field_is_absent("content-length");
            reader
        });
        assert_eq!(reader.content(part.len()), part.as_bytes());
    }
    upload.send_chunk(encoder.finish().expect("a vector takes all"));
    upload.send_last_chunk();
    upload.response("PUT").status_is(201);
    assert_eq!(reader.expect("there is one").rest(), Ok(Vec::new()));
    // What is known of its length is not that of the content.
    let body = gzip("x".repeat(5000));
    let mut upload = site.client();
    upload.begin_upload(coded(Request::new("PUT", "/b.m4s").announce(body.len() as u64), "gzip"));
    upload.send(&body[..body.len() - 1]);
    let mut reader = site.client();
    let head = reader.begin(&get("/b.m4s").field("Range", "bytes=10-19"));
    head.status_is(206).field_is("content-range", "bytes 10-19/*");
    upload.send(&body[body.len() - 1..]);
    upload.response("PUT").status_is(201);
    site.ask(&get("/b.m4s")).is(200, "x".repeat(5000));
}

fn an_unknown_coding_is_415_and_says_which_are_known(kind: Kind) {
    let site = Site::new(kind);
    site.write("a.txt", "old");
    for name in ["br", "zstd", "compress", "aws-chunked", "gzip, br", "gzip, gzip", "gzip;q=1", "x"]
    {
        is_unsupported(&site.ask(&coded(put("/a.txt", "new"), name)), ACCEPTED);
        is_unsupported(&site.ask(&coded(post("/new.txt", "new"), name)), ACCEPTED);
        // It is said before the body is sent.
        let expecting = coded(Request::new("PUT", "/a.txt").announce(9).expect(), name);
        let head = site.client().begin(&expecting);
        assert!(head.status == 415 && head.interim.is_empty(), "{head:?}");
    }
    let lines = coded(coded(put("/a.txt", "new"), "gzip"), "deflate");
    is_unsupported(&site.ask(&lines), ACCEPTED);
    assert_eq!(site.read("a.txt").as_deref(), Some(&b"old"[..]));
    assert!(!site.has("new.txt"));
}

fn identity_is_no_coding(kind: Kind) {
    let site = Site::new(kind);
    for (at, name) in ["identity", "Identity", "", "identity, identity"].iter().enumerate() {
        let path = format!("/{at}.txt");
        site.ask(&coded(put(&path, "as it is"), name)).status_is(201);
        site.ask(&get(&path)).is(200, "as it is");
    }
    let twice = coded(put("/twice.txt", gzip("content")), "identity, gzip");
    site.ask(&twice).status_is(201);
    site.ask(&get("/twice.txt")).is(200, "content");
}

fn what_is_not_coded_as_it_says_replaces_nothing(kind: Kind) {
    let site = Site::new(kind);
    site.write("a.txt", "old");
    let body = gzip("some content that is new");
    let changed = {
        let mut changed = body.clone();
        let at = changed.len() - 6;
        changed[at] ^= 1;
        changed
    };
    for (name, body) in [
        ("gzip", b"no gzip at all".to_vec()),
        ("gzip", body[..body.len() - 1].to_vec()),
        ("gzip", body[..5].to_vec()),
        ("gzip", [&body[..], b"behind"].concat()),
        ("gzip", changed),
        ("deflate", b"no zlib at all".to_vec()),
        ("deflate", zlib("content")[..6].to_vec()),
        ("gzip", zlib("content")),
        ("deflate", body.clone()),
    ] {
        site.ask(&coded(put("/a.txt", &body), name)).status_is(400);
        let chunked = Request::new("PUT", "/a.txt").chunks(&[&body]);
        site.ask(&coded(chunked, name)).status_is(400);
    }
    site.ask(&get("/a.txt")).is(200, "old");
    site.no_parts_left();
}

fn the_largest_size_is_that_of_the_content(kind: Kind) {
    let site = Site::with(kind, &["--maxs", "100k"]);
    let upload = |content: &str| coded(put("/a.txt", gzip(content)), "gzip");
    site.ask(&upload(&"x".repeat(102_400))).status_is(201);
    site.ask(&upload(&"x".repeat(102_401))).status_is(413);
    site.ask(&upload(&"x".repeat(10_000_000))).status_is(413);
    assert_eq!(site.read("a.txt").map(|content| content.len()), Some(102_400));
    // What does not compress is a little longer coded.
    let random: Vec<u8> =
        (0..102_400u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let mut stored = GzEncoder::new(Vec::new(), Compression::none());
    stored.write_all(&random).expect("a vector takes all");
    let body = stored.finish().expect("a vector takes all");
    assert!(body.len() > random.len());
    site.ask(&coded(put("/b.bin", &body), "gzip")).status_is(201);
    assert_eq!(site.read("b.bin"), Some(random));
    let announced = coded(Request::new("PUT", "/c.bin").announce(1 << 30).expect(), "gzip");
    site.client().begin(&announced).status_is(413);
    site.no_parts_left();
}

fn what_expands_without_end_is_refused(kind: Kind) {
    let site = Site::new(kind);
    let bomb = gzip(vec![0; 200 << 20]);
    let mut client = site.client();
    let _ = client.try_send(coded(put("/bomb", &bomb), "gzip").bytes());
    client.response("PUT").status_is(413);
    assert!(!site.has("bomb"));
    site.no_parts_left();
    site.is_well();
}

fn a_large_content_needs_little_memory(kind: Kind) {
    let site = Site::new(kind);
    // As compressible as it may be.
    let mut content = Vec::new();
    while content.len() < 40 << 20 {
        content.extend_from_slice(text(1000, content.len()).as_bytes());
        content.extend_from_slice(&[b'x'; 3000]);
    }
    let body = gzip(&content);
    site.is_well();
    let before = site.server.memory_kib();
    site.ask(&coded(put("/large.txt", &body), "gzip")).status_is(201);
    let grown = site.server.memory_kib().saturating_sub(before);
    assert!(grown < 24 << 10, "{grown} KiB for {} bytes", body.len());
    assert!(site.read("large.txt") == Some(content), "the content is another");
}

fn a_coded_patch_is_decoded(kind: Kind) {
    let site = Site::new(kind);
    site.write("a.bin", "0123456789");
    let document = "Content-Range: bytes 2-4/10\r\n\r\nabc";
    let request = coded(patch("/a.bin", "message/byterange", gzip(document)), "gzip");
    site.ask(&request).status_is(200);
    site.ask(&get("/a.bin")).is(200, "01abc56789");
    is_unsupported(
        &site.ask(&coded(patch("/a.bin", "message/byterange", document), "br")),
        ACCEPTED,
    );
    site.ask(&coded(patch("/a.bin", "message/byterange", document), "gzip")).status_is(400);
    site.ask(&get("/a.bin")).is(200, "01abc56789");
}

fn coded_ranges_are_415(kind: Kind) {
    let site = Site::new(kind);
    site.write("a.bin", "0123456789");
    for (name, value) in [("Range", "bytes=2-4"), ("Content-Range", "bytes 2-4/10")] {
        let request = coded(put("/a.bin", gzip("abc")), "gzip").field(name, value);
        is_unsupported(&site.ask(&request), "identity");
        let plain = coded(put("/a.bin", "234"), "identity").field(name, value);
        site.ask(&plain).status_is(200);
    }
    site.ask(&get("/a.bin")).is(200, "0123456789");
}

fn a_source_gets_the_content(kind: Kind) {
    let tree = Tree::new();
    tree.dir("out");
    let out = tree.arg("out") + "/";
    let server = Server::start(kind, &["--hmode", "source", "-o", &out, "--maxs", "1M"]);
    let content = text(500_000, 3);
    server.ask(&coded(put("/a.txt", gzip(&content)), "gzip")).status_is(201);
    let chunked = Request::new("PUT", "/b.txt").chunks(&[&zlib(&content)]);
    server.ask(&coded(chunked, "deflate")).status_is(201);
    for name in ["out/a.txt", "out/b.txt"] {
        assert_eq!(tree.read(name).as_deref(), Some(content.as_bytes()), "{name}");
    }
    is_unsupported(&server.ask(&coded(put("/c.txt", "x"), "br")), ACCEPTED);
    server.ask(&coded(put("/c.txt", "no gzip"), "gzip")).status_is(400);
    server.ask(&coded(put("/c.txt", gzip("x".repeat(2 << 20))), "gzip")).status_is(413);
    assert!(!tree.has("out/c.txt"), "{:?}", tree.list());
}

fn an_icecast_source_is_not_coded(kind: Kind) {
    let server = Server::start(kind, &["--icecast"]);
    for method in ["PUT", "SOURCE"] {
        // The mount of a source that broke off stays on air until the server notices.
        let mount = format!("/{method}.mp3");
        let request = Request::new(method, &mount).field("Content-Type", "audio/mpeg");
        let answer = server.ask(&coded(request.clone(), "gzip"));
        is_unsupported(&answer, "identity");
        server.ask(&get(&mount)).status_is(404);
        let mut source = server.client();
        source.begin(&coded(request, "identity")).status_is(200);
        source.abort();
    }
}

fn conditions_hold_for_coded_uploads(kind: Kind) {
    let site = Site::new(kind);
    let create = || coded(put("/a.txt", gzip("content")), "gzip").field("If-None-Match", "*");
    site.ask(&create()).status_is(201);
    site.ask(&create()).status_is(412);
    let tag = site.ask(&get("/a.txt")).need("etag").to_owned();
    let replace = coded(put("/a.txt", gzip("newer")), "gzip").field("If-Match", &tag);
    let answer = site.ask(&replace);
    answer.status_is(200);
    let now = site.ask(&get("/a.txt"));
    now.is(200, "newer").field_is("etag", answer.need("etag"));
}
