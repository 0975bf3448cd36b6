//! Writing parts of a file, by `Range`, by `Content-Range` (RFC 9110 §14.5) and by PATCH.

use std::{fs, thread};

use httpout_tests::{Kind, Request, Server, Site, both, get, patch, post, put, until};
use rustix::fs::{FlockOperation, flock};

both! {
    rfc9110_14_5_content_range_overwrites_in_place,
    rfc9110_14_5_content_range_can_append,
    rfc9110_14_5_content_range_at_0_may_create,
    rfc9110_14_5_a_malformed_content_range_is_refused,
    range_overwrites_in_place,
    several_ranges_are_filled_in_the_order_given,
    an_open_range_takes_all_that_comes,
    a_chunked_body_fills_ranges,
    a_hole_is_416,
    a_missing_resource_is_404,
    more_or_fewer_bytes_than_the_ranges_are_400,
    a_chunked_body_that_does_not_fit_its_ranges_is_400,
    an_aborted_range_upload_leaves_the_old_file,
    a_malformed_range_never_replaces_the_file,
    a_range_upload_does_not_truncate,
    range_uploads_change_the_validators,
    positions_that_no_file_has_are_400,
    maxs_bounds_how_far_ranges_reach,
    patch_message_byterange,
    patch_multipart_byteranges,
    patch_with_another_type_is_415,
    a_malformed_patch_is_refused,
    patch_of_a_missing_resource_is_404,
    two_servers_on_one_directory_lose_no_range_upload,
    a_range_upload_waits_for_who_has_locked_the_directory,
}

const OLD: &str = "0123456789";

fn site(kind: Kind) -> Site {
    let site = Site::new(kind);
    site.write("a.bin", OLD);
    site
}

/// Fails unless the file holds this, on the disk and over HTTP.
#[track_caller]
fn holds(site: &Site, content: &str) {
    let found = site.read("a.bin").unwrap_or_default();
    assert_eq!(String::from_utf8_lossy(&found), content);
    site.ask(&get("/a.bin")).is(200, content);
    site.no_parts_left();
}

fn rfc9110_14_5_content_range_overwrites_in_place(kind: Kind) {
    for (range, body, content) in [
        ("bytes 2-4/10", "abc", "01abc56789"),
        ("bytes 0-9/10", "abcdefghij", "abcdefghij"),
        ("bytes 9-9/10", "z", "012345678z"),
        ("bytes 2-4/*", "abc", "01abc56789"),
    ] {
        for method in ["PUT", "POST"] {
            let site = site(kind);
            let answer =
                site.ask(&Request::new(method, "/a.bin").field("Content-Range", range).body(body));
            assert!([200, 204].contains(&answer.status), "{method} {range}: {answer:?}");
            holds(&site, content);
        }
    }
}

fn rfc9110_14_5_content_range_can_append(kind: Kind) {
    for (range, body, content) in [
        ("bytes 10-12/13", "abc", "0123456789abc"),
        ("bytes 10-12/*", "abc", "0123456789abc"),
        ("bytes 8-12/13", "abcde", "01234567abcde"),
    ] {
        let site = site(kind);
        site.ask(&put("/a.bin", body).field("Content-Range", range)).status_is(200);
        holds(&site, content);
    }
}

fn rfc9110_14_5_content_range_at_0_may_create(kind: Kind) {
    let site = site(kind);
    site.ask(&put("/live/new.bin", "abc").field("Content-Range", "bytes 0-2/3")).status_is(201);
    site.ask(&get("/live/new.bin")).is(200, "abc");
    site.ask(&put("/other.bin", "abc").field("Content-Range", "bytes 0-2/*")).status_is(201);
    site.ask(&put("/other.bin", "def").field("Content-Range", "bytes 3-5/*")).status_is(200);
    site.ask(&get("/other.bin")).is(200, "abcdef");
}

fn rfc9110_14_5_a_malformed_content_range_is_refused(kind: Kind) {
    let ranges = [
        "bytes 0-2",
        "bytes */10",
        "bytes 4-2/10",
        "bytes 0-2/2",
        "bytes a-b/10",
        "bytes 0-/10",
        "bytes -2/10",
        "0-2/10",
        "bytes=0-2/10",
        "bytes 0-2/10x",
        "bytes 0-99999999999999999999/*",
        "items 0-2/10",
        "",
        "bytes 0-2/10, 4-6/10",
    ];
    for range in ranges {
        let site = site(kind);
        let answer = site.ask(&put("/a.bin", "abc").field("Content-Range", range));
        assert!([400, 416].contains(&answer.status), "{range:?}: {answer:?}");
        holds(&site, OLD);
    }
}

fn range_overwrites_in_place(kind: Kind) {
    for request in [put("/a.bin", "abc"), post("/a.bin", "abc")] {
        let site = site(kind);
        site.ask(&request.field("Range", "bytes=2-4")).status_is(200);
        holds(&site, "01abc56789");
    }
}

fn several_ranges_are_filled_in_the_order_given(kind: Kind) {
    for (range, body, content) in [
        ("bytes=0-1,4-5", "ABCD", "AB23CD6789"),
        ("bytes=4-5, 0-1", "ABCD", "CD23AB6789"),
        ("bytes=0-1,bytes=4-5", "ABCD", "AB23CD6789"),
        ("bytes=8-11,0-0", "ABCDE", "E1234567ABCD"),
        ("bytes=10-11,12-13", "ABCD", "0123456789ABCD"),
    ] {
        let site = site(kind);
        let answer = site.ask(&put("/a.bin", body).field("Range", range));
        assert!([200, 204].contains(&answer.status), "{range}: {answer:?}");
        holds(&site, content);
    }
}

fn an_open_range_takes_all_that_comes(kind: Kind) {
    for (range, body, content) in [
        ("bytes=5-", "abc", "01234abc89"),
        ("bytes=10-", "abc", "0123456789abc"),
        ("bytes=8-", "abcdef", "01234567abcdef"),
        ("bytes=0-1,9-", "ABCDE", "AB2345678CDE"),
    ] {
        let site = site(kind);
        let answer = site.ask(&put("/a.bin", body).field("Range", range));
        assert!([200, 204].contains(&answer.status), "{range}: {answer:?}");
        holds(&site, content);
    }
}

fn a_chunked_body_fills_ranges(kind: Kind) {
    let site = site(kind);
    let chunks: [&[u8]; 3] = [b"A", b"BC", b"D"];
    site.ask(&Request::new("PUT", "/a.bin").field("Range", "bytes=0-1,4-5").chunks(&chunks))
        .status_is(200);
    holds(&site, "AB23CD6789");
    let request =
        Request::new("PUT", "/a.bin").field("Content-Range", "bytes 10-13/14").chunks(&chunks);
    site.ask(&request).status_is(200);
    holds(&site, "AB23CD6789ABCD");
}

fn a_hole_is_416(kind: Kind) {
    for (name, value) in [
        ("Range", "bytes=11-13"),
        ("Range", "bytes=1000000000000-"),
        ("Range", "bytes=0-0,12-13"),
        ("Content-Range", "bytes 11-13/14"),
        ("Content-Range", "bytes 9223372036854775807-9223372036854775809/*"),
    ] {
        let site = site(kind);
        let answer = site.ask(&put("/a.bin", "abc").field(name, value));
        assert_eq!(answer.status, 416, "{value}: {answer:?}");
        answer.field_is("content-range", "bytes */10");
        holds(&site, OLD);
    }
}

fn a_missing_resource_is_404(kind: Kind) {
    let site = site(kind);
    for (name, value) in
        [("Range", "bytes=0-2"), ("Range", "bytes=0-"), ("Content-Range", "bytes 3-5/6")]
    {
        site.ask(&put("/live/none.bin", "abc").field(name, value)).status_is(404);
    }
    assert_eq!(site.tree.list(), ["www/", "www/a.bin"]);
}

fn more_or_fewer_bytes_than_the_ranges_are_400(kind: Kind) {
    for (name, value, body) in [
        ("Range", "bytes=2-4", "ab"),
        ("Range", "bytes=2-4", "abcd"),
        ("Range", "bytes=2-4", ""),
        ("Range", "bytes=0-1,4-5", "abc"),
        ("Range", "bytes=0-1,4-5", "abcde"),
        ("Content-Range", "bytes 2-4/10", "ab"),
        ("Content-Range", "bytes 2-4/10", "abcd"),
        ("Content-Range", "bytes 10-12/13", "abcd"),
    ] {
        let site = site(kind);
        site.server.refuses(put("/a.bin", body).field(name, value).bytes(), 400);
        holds(&site, OLD);
    }
}

fn a_chunked_body_that_does_not_fit_its_ranges_is_400(kind: Kind) {
    for (name, value, chunks) in [
        ("Range", "bytes=2-4", &[&b"a"[..], b"b"][..]),
        ("Range", "bytes=2-4", &[b"abc", b"d"]),
        ("Content-Range", "bytes 2-4/10", &[b"ab"]),
        ("Content-Range", "bytes 2-4/10", &[b"abcdef"]),
    ] {
        let site = site(kind);
        let request = Request::new("PUT", "/a.bin").field(name, value).chunks(chunks);
        site.server.refuses(request.bytes(), 400);
        holds(&site, OLD);
    }
}

fn an_aborted_range_upload_leaves_the_old_file(kind: Kind) {
    for (name, value) in
        [("Range", "bytes=0-5"), ("Range", "bytes=8-"), ("Content-Range", "bytes 0-5/10")]
    {
        for reset in [true, false] {
            let site = site(kind);
            let mut upload = site.client();
            upload.begin_upload(Request::new("PUT", "/a.bin").field(name, value).chunked());
            upload.send_chunk("ab");
            if reset {
                upload.abort();
            } else {
                upload.finish_sending();
                if upload.try_head("PUT").is_ok() {
                    let _ = upload.rest();
                }
                upload.closed();
            }
            holds(&site, OLD);
        }
    }
}

fn a_malformed_range_never_replaces_the_file(kind: Kind) {
    // On GET an invalid Range is ignored; here ignoring it would replace the whole file by a part.
    for range in
        ["bytes=4-2", "bytes=a-b", "items=0-2", "bytes", "bytes=", "bytes=0-2;x", "bytes=2-,5-6"]
    {
        let site = site(kind);
        site.ask(&put("/a.bin", "abc").field("Range", range)).status_is(400);
        holds(&site, OLD);
    }
    // The last bytes are a range.
    let site = site(kind);
    site.ask(&put("/a.bin", "abc").field("Range", "bytes=-3")).status_is(200);
    holds(&site, "0123456abc");
}

fn a_range_upload_does_not_truncate(kind: Kind) {
    let site = Site::new(kind);
    let big: Vec<u8> = (0..300_000_u32).map(|i| (i % 251) as u8).collect();
    site.write("big.bin", &big);
    let patch = vec![255; 100_000];
    site.ask(&put("/big.bin", &patch).field("Range", "bytes=50000-149999")).status_is(200);
    let expected = [&big[..50_000], &patch, &big[150_000..]].concat();
    assert!(site.read("big.bin") == Some(expected), "only the range has changed");
}

fn range_uploads_change_the_validators(kind: Kind) {
    let site = site(kind);
    let before = site.ask(&get("/a.bin")).need("etag").to_owned();
    site.ask(&put("/a.bin", "abc").field("Range", "bytes=2-4").field("If-Match", &before))
        .status_is(200);
    assert_ne!(site.ask(&get("/a.bin")).need("etag"), before);
    site.ask(&put("/a.bin", "xyz").field("Range", "bytes=2-4").field("If-Match", &before))
        .status_is(412);
    holds(&site, "01abc56789");
}

fn positions_that_no_file_has_are_400(kind: Kind) {
    let site = site(kind);
    for range in [
        "bytes=0-18446744073709551615",
        "bytes=0-18446744073709551614",
        "bytes=0-99999999999999999999",
        "bytes=0-9223372036854775807",
        "bytes=-18446744073709551615",
    ] {
        for method in ["PUT", "POST"] {
            site.ask(&Request::new(method, "/a.bin").field("Range", range).body("abc"))
                .status_is(400);
        }
        let chunked = Request::new("PUT", "/a.bin").field("Range", range).chunks(&[b"abc"]);
        site.ask(&chunked).status_is(400);
    }
    for range in ["bytes 0-18446744073709551614/*", "bytes 0-9223372036854775807/*"] {
        site.ask(&put("/a.bin", "abc").field("Content-Range", range)).status_is(400);
    }
    holds(&site, OLD);
}

fn maxs_bounds_how_far_ranges_reach(kind: Kind) {
    let site = Site::with(kind, &["--maxs", "12"]);
    site.write("a.bin", OLD);
    for request in [
        put("/a.bin", "abc").field("Range", "bytes=10-12"),
        put("/a.bin", "abc").field("Range", "bytes=10-"),
        put("/a.bin", "abc").field("Content-Range", "bytes 10-12/13"),
        put("/a.bin", "abcd").field("Range", "bytes=0-0,10-12"),
        Request::new("PUT", "/a.bin").field("Range", "bytes=10-").chunks(&[b"ab", b"c"]),
        Request::new("PUT", "/a.bin").field("Range", "bytes=10-12").chunks(&[b"abc"]),
        patch("/a.bin", "message/byterange", "Content-Range: bytes 10-12/13\r\n\r\nabc"),
    ] {
        site.ask(&request).status_is(413);
    }
    holds(&site, OLD);
    // It is told before the body is sent.
    let early = Request::new("PUT", "/a.bin").field("Range", "bytes=10-12").announce(3).expect();
    let head = site.client().begin(&early);
    assert!(head.status == 413 && head.interim.is_empty(), "{head:?}");
    site.ask(&put("/a.bin", "ab").field("Range", "bytes=10-11")).status_is(200);
    site.ask(&put("/a.bin", "X").field("Range", "bytes=11-")).status_is(200);
    holds(&site, "0123456789aX");
    site.ask(&put("/new.bin", "abc").field("Content-Range", "bytes 0-2/3")).status_is(201);
}

fn patch_message_byterange(kind: Kind) {
    for (range, body, content) in [
        ("bytes 2-4/10", "abc", "01abc56789"),
        ("bytes 2-4/*", "abc", "01abc56789"),
        ("bytes 10-12/13", "abc", "0123456789abc"),
    ] {
        for extra in ["", "Content-Type: text/plain\r\n", "Content-Length: 3\r\n"] {
            let site = site(kind);
            let message = format!("Content-Range: {range}\r\n{extra}\r\n{body}");
            site.ask(&patch("/a.bin", "message/byterange", message)).status_is(200);
            holds(&site, content);
        }
    }
    let site = site(kind);
    let message: [&[u8]; 3] = [b"content-range: by", b"tes 2-4/10\r\n\r", b"\nabc"];
    let request =
        Request::new("PATCH", "/a.bin").field("Content-Type", "Message/ByteRange").chunks(&message);
    site.ask(&request).status_is(200);
    holds(&site, "01abc56789");
}

fn patch_multipart_byteranges(kind: Kind) {
    let part = |range: &str, body: &str| {
        format!("--sep\r\nContent-Type: text/plain\r\nContent-Range: {range}\r\n\r\n{body}\r\n")
    };
    let two =
        [part("bytes 0-1/10", "AB"), part("bytes 4-5/10", "CD"), "--sep--\r\n".to_owned()].concat();
    let site = site(kind);
    site.ask(&patch("/a.bin", "multipart/byteranges; boundary=sep", &two)).status_is(200);
    holds(&site, "AB23CD6789");
    // A quoted boundary, a preamble, an epilogue, and content that looks almost like a delimiter.
    let odd = format!("preamble\r\n{}--sep-- \r\nepilogue", part("bytes 0-8/10", "\r\n--se\r\n-"));
    site.ask(&patch("/a.bin", "multipart/byteranges; boundary=\"sep\"", odd)).status_is(200);
    holds(&site, "\r\n--se\r\n-9");
    let bytewise: Vec<_> = two.as_bytes().chunks(1).collect();
    let request =
        Request::new("PATCH", "/a.bin").field("Content-Type", "multipart/byteranges; boundary=sep");
    site.ask(&request.chunks(&bytewise)).status_is(200);
    holds(&site, "AB--CD\r\n-9");
}

fn patch_with_another_type_is_415(kind: Kind) {
    let site = site(kind);
    for media in [
        "text/plain",
        "application/json-patch+json",
        "multipart/form-data; boundary=x",
        "message/byteranges",
    ] {
        let answer = site.ask(&patch("/a.bin", media, "abc"));
        assert_eq!(answer.status, 415, "{media}: {answer:?}");
        assert!(answer.lists("accept-patch", "message/byterange"), "{answer:?}");
        assert!(answer.lists("accept-patch", "multipart/byteranges"), "{answer:?}");
    }
    site.ask(&Request::new("PATCH", "/a.bin").body("abc")).status_is(415);
    holds(&site, OLD);
}

fn a_malformed_patch_is_refused(kind: Kind) {
    let multipart = "multipart/byteranges; boundary=sep";
    let part = "--sep\r\nContent-Range: bytes 0-1/10\r\n\r\nAB\r\n";
    for (media, body) in [
        ("message/byterange", String::new()),
        ("message/byterange", "abc".to_owned()),
        ("message/byterange", "\r\nabc".to_owned()),
        ("message/byterange", "Content-Range: bytes 2-4/10\r\n\r\nab".to_owned()),
        ("message/byterange", "Content-Range: bytes 2-4/10\r\n\r\nabcd".to_owned()),
        ("message/byterange", "Content-Range: bytes 4-2/10\r\n\r\nabc".to_owned()),
        ("message/byterange", "Content-Range: bytes 2-4\r\n\r\nabc".to_owned()),
        ("message/byterange", format!("X: {}\r\n", "y".repeat(100_000))),
        (multipart, String::new()),
        (multipart, "--sep--\r\n".to_owned()),
        (multipart, part.to_owned()),
        (multipart, format!("{part}--other--\r\n")),
        (multipart, "--sep\r\nContent-Range: bytes 0-1/10\r\n\r\nABC\r\n--sep--\r\n".to_owned()),
        (multipart, "--sep\r\nX: y\r\n\r\nAB\r\n--sep--\r\n".to_owned()),
        ("multipart/byteranges", format!("{part}--sep--\r\n")),
        ("multipart/byteranges; boundary=", format!("{part}--sep--\r\n")),
    ] {
        let site = site(kind);
        let answer = site.ask(&patch("/a.bin", media, &body));
        let shown: String = body.chars().take(60).collect();
        assert!([400, 413, 415].contains(&answer.status), "{media} {shown:?}: {answer:?}");
        holds(&site, OLD);
    }
    let site = site(kind);
    let hole = "Content-Range: bytes 11-13/14\r\n\r\nabc";
    site.ask(&patch("/a.bin", "message/byterange", hole))
        .status_is(416)
        .field_is("content-range", "bytes */10");
    holds(&site, OLD);
}

fn patch_of_a_missing_resource_is_404(kind: Kind) {
    let site = site(kind);
    let message = "Content-Range: bytes 2-4/10\r\n\r\nabc";
    site.ask(&patch("/none.bin", "message/byterange", message)).status_is(404);
    assert_eq!(site.tree.list(), ["www/", "www/a.bin"]);
}

fn two_servers_on_one_directory_lose_no_range_upload(kind: Kind) {
    const UPLOADS: usize = 50;
    const LENGTH: usize = 4096;
    let site = Site::new(kind);
    let www = site.tree.arg("www");
    let other =
        Server::start(kind, &["--rdirs", &www, "--wdir", &www, "--maxc", "0", "--maxp", "0"]);
    site.write("a.bin", vec![b'.'; UPLOADS * LENGTH]);
    let part = |number: usize| vec![b'A' + (number % 26) as u8; LENGTH];
    thread::scope(|scope| {
        for number in 0..UPLOADS {
            let server = if number % 2 == 0 { &site.server } else { &other };
            let first = number * LENGTH;
            let range = format!("bytes {first}-{}/*", first + LENGTH - 1);
            let request = put("/a.bin", part(number)).field("Content-Range", range);
            let mut client = server.client();
            scope.spawn(move || {
                client.ask(&request).status_in(&[200, 204]);
            });
        }
    });
    let found = site.read("a.bin").expect("a file");
    assert_eq!(found.len(), UPLOADS * LENGTH);
    let lost: Vec<_> =
        (0..UPLOADS).filter(|&n| found[n * LENGTH..(n + 1) * LENGTH] != part(n)).collect();
    assert!(lost.is_empty(), "confirmed, but not there: {lost:?}");
    site.no_parts_left();
}

fn a_range_upload_waits_for_who_has_locked_the_directory(kind: Kind) {
    let site = site(kind);
    let directory = fs::File::open(site.tree.path("www")).expect("the directory");
    flock(&directory, FlockOperation::LockExclusive).expect("it can be locked");
    let mut client = site.client();
    client.send(put("/a.bin", "abc").field("Content-Range", "bytes 2-4/*").bytes());
    // Its copy of what it has read lies there.
    until("a copy is made", || (site.tree.parts().len() == 2).then_some(()));
    site.write("new.bin", "ABCDEFGHIJ");
    fs::rename(site.tree.path("www/new.bin"), site.tree.path("www/a.bin")).expect("replaced");
    drop(directory);
    client.response("PUT").status_in(&[200, 204]);
    holds(&site, "ABabcFGHIJ");
}
