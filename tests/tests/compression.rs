//! Compressed texts: SPEC §3 and RFC 9110 §8.4, §12.5.3, with validators, ranges and changes.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use flate2::read::{GzDecoder, ZlibDecoder};
use httpout_tests::{
    Head, Kind, Mounted, Request, Response, Site, Tree, both, delete, get, head, post, put, run,
};

both! {
    spec3_texts_are_compressed,
    spec3_what_is_no_text_is_not_compressed,
    rfc9110_12_5_3_the_coding_is_chosen_by_weight,
    rfc9110_8_4_1_other_programs_read_both_codings,
    rfc9110_8_8_3_each_coding_has_its_own_tag,
    rfc9110_13_1_2_a_coded_tag_is_revalidated,
    rfc9110_13_1_2_what_compression_does_not_make_smaller_is_revalidated,
    rfc9110_13_1_1_a_coded_tag_guards_an_upload,
    spec3_a_range_is_never_compressed,
    rfc9110_13_1_5_if_range_with_a_coded_tag_is_the_whole,
    spec3_a_growing_upload_is_never_compressed,
    spec3_zmax_is_the_largest_that_is_compressed,
    spec3_zmax_0_compresses_nothing,
    spec3_zmax_is_50000_by_default,
    rfc9110_9_3_2_head_has_the_fields_of_get,
    spec3_a_changed_file_is_never_answered_as_it_was,
    spec3_a_file_changed_within_a_clock_tick_is_never_answered_as_it_was,
    spec3_many_ask_for_the_same_at_once,
    rfc9110_8_8_3_a_tag_is_of_one_content_while_the_file_changes,
    spec3_files_of_the_same_name_are_kept_apart,
    spec3_compression_without_validators,
    spec3_a_manifest_that_is_being_replaced_is_the_old_one_compressed,
    spec3_curl_decompresses,
}

/// A text of this length that compresses well, and differs by `seed`.
fn text(length: usize, seed: usize) -> String {
    let words = (0..).map(|i| format!("{seed} line {i}: the quick brown fox jumps\n"));
    let mut text = String::new();
    for line in words {
        if text.len() >= length {
            break;
        }
        text.push_str(&line);
    }
    text.truncate(length);
    text
}

/// A GET that accepts these codings.
fn accepting(path: &str, codings: &str) -> Request {
    get(path).field("Accept-Encoding", codings)
}

/// The content without its content coding.
#[track_caller]
fn decoded(answer: &Response) -> Vec<u8> {
    let mut content = Vec::new();
    match answer.get("content-encoding") {
        Some("gzip") => {
            let mut decoder = GzDecoder::new(&answer.body[..]);
            decoder.read_to_end(&mut content).expect("well-formed gzip");
            assert!(decoder.into_inner().is_empty(), "something behind the gzip member");
        }
        Some("deflate") => {
            let mut decoder = ZlibDecoder::new(&answer.body[..]);
            decoder.read_to_end(&mut content).expect("well-formed zlib, not raw deflate");
            assert_eq!(decoder.total_in() as usize, answer.body.len());
        }
        Some(other) => panic!("an unknown coding {other}"),
        None => content.clone_from(&answer.body),
    }
    content
}

/// Fails unless the answer is this text in this coding (`None`: as it is), with what belongs to it.
#[track_caller]
fn is_coded(answer: &Response, coding: Option<&str>, text: &str) {
    answer.status_is(200);
    assert_eq!(answer.get("content-encoding"), coding, "in {:?}", answer.head);
    assert!(decoded(answer) == text.as_bytes(), "the content is another: {:?}", answer.head);
    assert!(answer.lists("vary", "accept-encoding"), "no Vary in {:?}", answer.head);
    if coding.is_some() {
        assert!(answer.body.len() < text.len(), "it is not smaller: {:?}", answer.head);
        answer.field_is("content-length", &answer.body.len().to_string());
    }
}

fn spec3_texts_are_compressed(kind: Kind) {
    let site = Site::new(kind);
    let body = text(5_000, 1);
    let mut client = site.client();
    for name in [
        "a.txt", "a.html", "a.css", "a.js", "a.mjs", "a.json", "a.xml", "a.mpd", "a.m3u8", "a.vtt",
        "a.svg", "a.csv", "a.ttml", "A.MPD", "a b.txt",
    ] {
        site.write(name, &body);
        let path = format!("/{}", name.replace(' ', "%20"));
        let plain = client.ask(&get(&path));
        is_coded(&plain, None, &body);
        for coding in ["gzip", "deflate"] {
            let coded = client.ask(&accepting(&path, coding));
            is_coded(&coded, Some(coding), &body);
            assert_eq!(coded.get("content-type"), plain.get("content-type"), "{name}");
            assert_eq!(coded.get("last-modified"), plain.get("last-modified"), "{name}");
        }
    }
}

fn spec3_what_is_no_text_is_not_compressed(kind: Kind) {
    let site = Site::new(kind);
    let body = text(5_000, 1);
    for name in [
        "a.bin",
        "a.mp4",
        "a.m4s",
        "a.ts",
        "a.cmfv",
        "a.mp3",
        "a.png",
        "a.jpg",
        "a.gz",
        "a.zip",
        "a.woff2",
        "none",
        "a.unknown",
    ] {
        site.write(name, &body);
        let answer = site.ask(&accepting(&format!("/{name}"), "gzip, deflate"));
        answer.is(200, &body).field_is_absent("content-encoding");
        assert!(!answer.lists("vary", "accept-encoding"), "{name}: {answer:?}");
    }
    // An upload's own type counts where the name tells none.
    site.ask(&put("/page", &body).field("Content-Type", "text/html")).status_is(201);
    is_coded(&site.ask(&accepting("/page", "gzip")), Some("gzip"), &body);
    // Nothing can be made of nothing.
    site.write("empty.txt", "");
    site.ask(&accepting("/empty.txt", "gzip")).is(200, "").field_is_absent("content-encoding");
}

fn rfc9110_12_5_3_the_coding_is_chosen_by_weight(kind: Kind) {
    let site = Site::new(kind);
    let body = text(3_000, 1);
    site.write("a.txt", &body);
    let mut client = site.client();
    for (codings, expected) in [
        ("gzip", Some("gzip")),
        ("x-gzip", Some("gzip")),
        ("GZip", Some("gzip")),
        ("deflate", Some("deflate")),
        ("gzip, deflate, br, zstd", Some("gzip")),
        ("deflate, gzip", Some("gzip")),
        ("gzip;q=0.5, deflate;q=0.8", Some("deflate")),
        ("gzip;q=0.8, deflate;q=0.5", Some("gzip")),
        ("gzip;q=0.001", Some("gzip")),
        ("gzip ; q=1.000 ,deflate;Q=0.9", Some("gzip")),
        ("gzip;q=0, deflate", Some("deflate")),
        ("gzip;q=0", None),
        ("gzip;q=0.000, deflate;q=0", None),
        ("identity, gzip;q=0.5", None),
        ("identity;q=0.5, gzip;q=1.0", Some("gzip")),
        ("identity;q=0, gzip;q=0.1", Some("gzip")),
        ("identity;q=0, *", Some("gzip")),
        ("*", Some("gzip")),
        ("*;q=0.1", Some("gzip")),
        ("gzip;q=0, *", Some("deflate")),
        ("*;q=0", None),
        ("*;q=0, deflate", Some("deflate")),
        ("identity;q=0", None),
        ("identity", None),
        ("br, zstd, compress", None),
        ("", None),
        (", ,gzip,,", Some("gzip")),
        ("gzip;q=2", None),
        ("gzip;q=", None),
        ("gzip;q=0.1234", None),
        ("gzipped, notgzip", None),
    ] {
        let answer = client.ask(&accepting("/a.txt", codings));
        assert_eq!(answer.get("content-encoding"), expected, "for {codings:?}");
        is_coded(&answer, expected, &body);
    }
    // A list on several lines is one list.
    let lines = accepting("/a.txt", "gzip;q=0.5").field("Accept-Encoding", "deflate");
    is_coded(&client.ask(&lines), Some("deflate"), &body);
    is_coded(&client.ask(&accepting("/a.txt", "gzip").http10()), Some("gzip"), &body);
}

fn rfc9110_8_4_1_other_programs_read_both_codings(kind: Kind) {
    let site = Site::new(kind);
    let body = text(40_000, 1);
    site.write("a.txt", &body);
    let gzip = site.ask(&accepting("/a.txt", "gzip"));
    assert!(run("gzip", &["-dc"], &gzip.body).ok() == body);
    let program = "import sys, zlib; \
        sys.stdout.buffer.write(zlib.decompress(sys.stdin.buffer.read(), wbits=15))";
    let deflate = site.ask(&accepting("/a.txt", "deflate"));
    assert!(run("python3", &["-c", program], &deflate.body).ok() == body);
}

/// The tags of a text as it is, as gzip and as deflate.
#[track_caller]
fn tags(site: &Site, path: &str) -> [String; 3] {
    ["identity", "gzip", "deflate"].map(|coding| {
        let answer = site.ask(&accepting(path, coding));
        assert_eq!(answer.get("content-encoding").unwrap_or("identity"), coding);
        answer.need("etag").to_owned()
    })
}

fn rfc9110_8_8_3_each_coding_has_its_own_tag(kind: Kind) {
    let site = Site::new(kind);
    site.write("a.txt", text(3_000, 1));
    let tags = tags(&site, "/a.txt");
    assert!(tags[0] != tags[1] && tags[1] != tags[2] && tags[0] != tags[2], "{tags:?}");
    assert!(tags.iter().all(|tag| !tag.starts_with("W/")), "strong tags: {tags:?}");
    assert_eq!(self::tags(&site, "/a.txt"), tags, "they stay as they are");
    site.write("a.txt", text(3_001, 1));
    let changed = self::tags(&site, "/a.txt");
    assert!(tags.iter().all(|tag| !changed.contains(tag)), "{tags:?} {changed:?}");
}

fn rfc9110_13_1_2_a_coded_tag_is_revalidated(kind: Kind) {
    let site = Site::new(kind);
    let body = text(3_000, 1);
    site.write("a.txt", &body);
    let tags = tags(&site, "/a.txt");
    let codings = ["identity", "gzip", "deflate"];
    let mut client = site.client();
    for (i, coding) in codings.iter().enumerate() {
        for (j, tag) in tags.iter().enumerate() {
            for tag in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}")] {
                let request = accepting("/a.txt", coding).field("If-None-Match", &tag);
                for request in [request.clone(), head_of(&request)] {
                    let answer = client.ask(&request);
                    if i == j {
                        answer.is(304, "").field_is("etag", &tags[i]);
                        assert!(answer.lists("vary", "accept-encoding"), "{answer:?}");
                        answer.field_is_absent("content-encoding");
                    } else if request.method() == "GET" {
                        is_coded(&answer, codings.get(i).copied().filter(|_| i > 0), &body);
                    }
                }
            }
        }
        let since = client.ask(&get("/a.txt")).need("last-modified").to_owned();
        let request = accepting("/a.txt", coding).field("If-Modified-Since", since);
        client.ask(&request).status_is(304).field_is("etag", &tags[i]);
        // If-Match on GET is for the representation that would be sent.
        let request = accepting("/a.txt", coding);
        client.ask(&request.clone().field("If-Match", &tags[i])).status_is(200);
        client.ask(&request.field("If-Match", "\"other\"")).status_is(412);
    }
}

/// The same request as HEAD.
fn head_of(request: &Request) -> Request {
    let bytes = request.bytes();
    let text = String::from_utf8_lossy(&bytes);
    let lines = text.split("\r\n").skip(2).filter_map(|line| line.split_once(": "));
    lines.fold(head("/a.txt"), |request, (name, value)| request.field(name, value))
}

fn rfc9110_13_1_2_what_compression_does_not_make_smaller_is_revalidated(kind: Kind) {
    let site = Site::new(kind);
    // A live playlist's version file, say: too short to become shorter.
    for body in ["x", "{\"version\":1}\n", "0123456789abcdefghij"] {
        site.write("a.json", body);
        let request = accepting("/a.json", "gzip, deflate");
        let answer = site.ask(&request);
        answer.is(200, body).field_is_absent("content-encoding");
        let tag = answer.need("etag");
        let again = request.clone().field("If-None-Match", tag);
        site.ask(&again).is(304, "").field_is("etag", tag);
        site.ask(&request.clone().field("If-Match", tag)).is(200, body);
        let part = request.field("Range", "bytes=0-0").field("If-Range", tag);
        site.ask(&part).is(206, &body[..1]);
    }
}

fn rfc9110_13_1_1_a_coded_tag_guards_an_upload(kind: Kind) {
    let site = Site::new(kind);
    let mut client = site.client();
    for i in 0..3 {
        for coding in ["identity", "gzip", "deflate"] {
            let (old, new) = (text(2_000, i), text(2_500, i + 10));
            for upload in [put("/a.txt", &new), post("/a.txt", &new), delete("/a.txt")] {
                client.ask(&put("/a.txt", &old)).status_in(&[200, 201]);
                let tag = client.ask(&accepting("/a.txt", coding)).need("etag").to_owned();
                client.ask(&upload.clone().field("If-None-Match", &tag)).status_is(412);
                client.ask(&upload.clone().field("If-Match", "\"x-gzip\"")).status_is(412);
                assert_eq!(site.read("a.txt"), Some(old.clone().into_bytes()));
                client.ask(&upload.clone().field("If-Match", &tag)).status_is(200);
                // Now it is another one.
                client.ask(&upload.field("If-Match", &tag)).status_is(412);
            }
        }
    }
}

fn spec3_a_range_is_never_compressed(kind: Kind) {
    let site = Site::new(kind);
    let body = text(3_000, 1);
    site.write("a.txt", &body);
    let tag = tags(&site, "/a.txt")[0].clone();
    let mut client = site.client();
    let mut ask = |range: &str| {
        client.ask(&accepting("/a.txt", "gzip, identity;q=0.1").field("Range", range))
    };
    for (range, part) in [
        ("bytes=0-9", &body[..10]),
        ("bytes=0-", &body[..]),
        ("bytes=2990-", &body[2990..]),
        ("bytes=-5", &body[2995..]),
        ("bytes=0-2999", &body[..]),
    ] {
        let answer = ask(range);
        answer.is(206, part).field_is_absent("content-encoding").field_is("etag", &tag);
        assert!(answer.need("content-range").ends_with("/3000"), "{answer:?}");
        assert!(answer.lists("vary", "accept-encoding"), "{answer:?}");
    }
    ask("bytes=0-1,5-6").is(206, [&body[..2], &body[5..7]].concat());
    ask("bytes=3000-").status_is(416).field_is("content-range", "bytes */3000");
}

fn rfc9110_13_1_5_if_range_with_a_coded_tag_is_the_whole(kind: Kind) {
    let site = Site::new(kind);
    let body = text(3_000, 1);
    site.write("a.txt", &body);
    let tags = tags(&site, "/a.txt");
    let range = |tag: &str| {
        let request = accepting("/a.txt", "gzip, deflate").field("Range", "bytes=10-19");
        site.ask(&request.field("If-Range", tag))
    };
    range(&tags[0]).is(206, &body[10..20]);
    for tag in &tags[1..] {
        // Parts of two representations must not be joined; a part of the compressed one cannot be had.
        let answer = range(tag);
        answer.status_is(200).field_is_absent("content-range");
        assert!(decoded(&answer) == body.as_bytes());
        assert_ne!(answer.get("etag") == Some(&tags[0]), answer.get("content-encoding").is_some());
    }
}

fn spec3_a_growing_upload_is_never_compressed(kind: Kind) {
    let site = Site::new(kind);
    let body = text(3_000, 1);
    let mut upload = site.client();
    upload.begin_upload(Request::new("PUT", "/a.log").chunked());
    upload.send_chunk(&body);
    let mut reader = site.client();
    let head = reader.begin(&accepting("/a.log", "gzip, deflate"));
    head.status_is(200).field_is_absent("content-encoding");
    assert_eq!(reader.content(body.len()), body.as_bytes());
    upload.send_last_chunk();
    upload.response("PUT").status_is(201);
    assert_eq!(reader.rest(), Ok(Vec::new()));
    // Once it is whole, it is.
    is_coded(&reader.ask(&accepting("/a.log", "gzip")), Some("gzip"), &body);
}

/// Asks for a text of this length: whether it came compressed.
#[track_caller]
fn is_compressed(site: &Site, length: usize) -> bool {
    let body = text(length, 1);
    site.write("a.txt", &body);
    let answer = site.ask(&accepting("/a.txt", "gzip"));
    answer.status_is(200);
    assert!(decoded(&answer) == body.as_bytes());
    answer.get("content-encoding").is_some()
}

fn spec3_zmax_is_the_largest_that_is_compressed(kind: Kind) {
    for (zmax, bytes) in [("1000", 1_000), ("2k", 2_048), ("1M", 1 << 20)] {
        let site = Site::with(kind, &["--zmax", zmax]);
        assert!(is_compressed(&site, bytes), "{zmax}");
        assert!(!is_compressed(&site, bytes + 1), "one more than {zmax}");
    }
}

fn spec3_zmax_0_compresses_nothing(kind: Kind) {
    let site = Site::with(kind, &["--zmax", "0"]);
    for length in [1, 100, 10_000] {
        assert!(!is_compressed(&site, length));
    }
    let answer = site.ask(&accepting("/a.txt", "gzip"));
    assert!(!answer.lists("vary", "accept-encoding"), "{answer:?}");
}

fn spec3_zmax_is_50000_by_default(kind: Kind) {
    let site = Site::new(kind);
    assert!(is_compressed(&site, 50_000));
    assert!(!is_compressed(&site, 50_001));
}

fn rfc9110_9_3_2_head_has_the_fields_of_get(kind: Kind) {
    let site = Site::new(kind);
    site.write("a.txt", text(3_000, 1));
    site.write("big.txt", text(60_000, 1));
    site.write("tiny.txt", "x");
    let mut client = site.client();
    let fields = |head: &Head| {
        let fields = head.fields.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("date"));
        fields.cloned().collect::<Vec<_>>()
    };
    for path in ["/a.txt", "/big.txt", "/tiny.txt"] {
        for coding in ["gzip", "deflate", "identity", "gzip;q=0, *"] {
            // HEAD first: nothing is cached yet.
            let without = client.ask(&head(path).field("Accept-Encoding", coding));
            let with = client.ask(&accepting(path, coding));
            without.is(200, "");
            assert_eq!(fields(&without), fields(&with), "{path} {coding}");
        }
    }
}

/// Changes the file again and again, and asks at once each time: compressed or not, the answer is what is there, and a tag that was
/// given for something else is never confirmed.
#[track_caller]
fn is_never_stale(site: &Site, times: usize, change: impl Fn(&str)) {
    let mut client = site.client();
    let mut before = None;
    for i in 0..times {
        // Always of the same length.
        let body = text(2_000, 100_000 + i);
        change(&body);
        for coding in ["gzip", "identity", "deflate"] {
            let mut request = accepting("/a.txt", coding);
            if let (Some(tag), "gzip") = (&before, coding) {
                request = request.field("If-None-Match", tag);
            }
            let answer = client.ask(&request);
            let expected = Some(coding).filter(|coding| *coding != "identity");
            assert_eq!(answer.status, 200, "change {i} was not seen: {:?}", answer.head);
            is_coded(&answer, expected, &body);
            if coding == "gzip" {
                before = Some(answer.need("etag").to_owned());
            }
        }
    }
}

fn spec3_a_changed_file_is_never_answered_as_it_was(kind: Kind) {
    let site = Site::new(kind);
    site.write("a.txt", "");
    // In its place, by another one in its place, and by an upload.
    is_never_stale(&site, 100, |body| site.write("a.txt", body));
    is_never_stale(&site, 100, |body| {
        site.write("new", body);
        std::fs::rename(site.tree.path("www/new"), site.tree.path("www/a.txt")).expect("a rename");
    });
    is_never_stale(&site, 100, |body| {
        site.ask(&put("/a.txt", body)).status_is(200);
    });
}

fn spec3_a_file_changed_within_a_clock_tick_is_never_answered_as_it_was(kind: Kind) {
    let tree = Tree::new();
    // Where a time of modification stands still for some milliseconds, neither it nor the length tells of the change.
    let _mounted = Mounted::ramfs(&tree.path("www"));
    let site = Site::over(tree, kind, &[]);
    let mut client = site.client();
    site.write("a.txt", "");
    for i in 0..300 {
        let body = text(2_000, 100_000 + i);
        site.write("a.txt", &body);
        is_coded(&client.ask(&accepting("/a.txt", "gzip")), Some("gzip"), &body);
        is_coded(&client.ask(&accepting("/a.txt", "identity")), None, &body);
    }
}

fn spec3_many_ask_for_the_same_at_once(kind: Kind) {
    let site = Site::with(kind, &["--zmax", "1M"]);
    for round in 0..3 {
        let body = text(1_000_000, round);
        site.write("a.txt", &body);
        thread::scope(|scope| {
            for i in 0..16 {
                let coding = ["gzip", "deflate"][i % 2];
                let (mut client, body) = (site.client(), &body);
                scope.spawn(move || {
                    if i % 5 == 4 {
                        // Some do not wait for it.
                        client.send(accepting("/a.txt", coding).bytes());
                        return client.abort();
                    }
                    for _ in 0..2 {
                        is_coded(&client.ask(&accepting("/a.txt", coding)), Some(coding), body);
                    }
                });
            }
        });
    }
}

fn rfc9110_8_8_3_a_tag_is_of_one_content_while_the_file_changes(kind: Kind) {
    const VERSIONS: usize = 300;
    let site = Site::new(kind);
    site.write("a.txt", text(2_000, 100_000));
    // The newest version that is certainly there.
    let newest = AtomicUsize::new(0);
    let tags = thread::scope(|scope| {
        let readers: Vec<_> = ["gzip", "deflate", "identity", "gzip, deflate"]
            .into_iter()
            .map(|codings| {
                let (mut client, newest) = (site.client(), &newest);
                scope.spawn(move || {
                    let mut tags = Vec::new();
                    let mut least = 0;
                    while least + 1 < VERSIONS {
                        least = newest.load(Ordering::SeqCst);
                        let answer = client.ask(&accepting("/a.txt", codings));
                        let content = String::from_utf8_lossy(&decoded(&answer)).into_owned();
                        let version = content.split(' ').next().and_then(|v| v.parse().ok());
                        let version: usize = version.expect("a version of ours");
                        assert!(version >= 100_000 + least, "{version} is older than {least}");
                        assert_eq!(content, text(2_000, version), "a mixture of versions");
                        tags.push((answer.need("etag").to_owned(), version));
                    }
                    tags
                })
            })
            .collect();
        let mut client = site.client();
        for version in 1..VERSIONS {
            let body = text(2_000, 100_000 + version);
            if version % 2 == 0 {
                client.ask(&put("/a.txt", body)).status_is(200);
            } else {
                site.write("new", body);
                let (new, old) = (site.tree.path("www/new"), site.tree.path("www/a.txt"));
                std::fs::rename(new, old).expect("a rename");
            }
            newest.store(version, Ordering::SeqCst);
        }
        readers.into_iter().flat_map(|r| r.join().expect("a reader")).collect::<Vec<_>>()
    });
    let mut contents = BTreeMap::new();
    for (tag, version) in tags {
        let known = *contents.entry(tag.clone()).or_insert(version);
        assert_eq!(known, version, "{tag} was given to two versions");
    }
}

fn spec3_files_of_the_same_name_are_kept_apart(kind: Kind) {
    let tree = Tree::new();
    for (i, name) in ["one/a.txt", "two/a.txt", "one/dir/a.txt", "two/dir/a.txt"].iter().enumerate()
    {
        tree.write(name, text(2_000, i));
    }
    let dirs = [tree.arg("one"), tree.arg("two")].join(",");
    let server = httpout_tests::Server::start(kind, &["--rdirs", &dirs]);
    for _ in 0..2 {
        for (i, path) in
            ["/one/a.txt", "/two/a.txt", "/one/dir/a.txt", "/two/dir/a.txt"].iter().enumerate()
        {
            for coding in ["gzip", "deflate"] {
                is_coded(&server.ask(&accepting(path, coding)), Some(coding), &text(2_000, i));
            }
        }
    }
}

fn spec3_compression_without_validators(kind: Kind) {
    let site = Site::with(kind, &["--cache_control", "none"]);
    let body = text(2_000, 1);
    site.write("a.txt", &body);
    let answer = site.ask(&accepting("/a.txt", "gzip").field("If-None-Match", "\"x\""));
    is_coded(&answer, Some("gzip"), &body);
    answer.field_is_absent("etag").field_is_absent("last-modified");
}

fn spec3_a_manifest_that_is_being_replaced_is_the_old_one_compressed(kind: Kind) {
    let site = Site::new(kind);
    let (old, new) = (text(2_000, 1), text(2_000, 2));
    let ask = || site.ask(&accepting("/live.mpd", "gzip"));
    site.write("live.mpd", &old);
    let mut upload = site.client();
    upload.begin_upload(Request::new("PUT", "/live.mpd").announce(2_000));
    upload.send(&new[..1_000]);
    is_coded(&ask(), Some("gzip"), &old);
    upload.send(&new[1_000..]);
    upload.response("PUT").status_is(200);
    is_coded(&ask(), Some("gzip"), &new);
}

fn spec3_curl_decompresses(kind: Kind) {
    let site = Site::new(kind);
    let body = text(20_000, 1);
    site.write("a.txt", &body);
    let url = site.server.url("/a.txt");
    let args = ["-sSf", "--max-time", "60", "--compressed"];
    assert!(run("curl", &[&args[..], &[&url]].concat(), b"").ok() == body);
    let said = ["-o", "/dev/null", "-w", "%{size_download}"];
    let size = run("curl", &[&args[..], &said, &[&url]].concat(), b"").ok();
    assert!(size.parse::<usize>().is_ok_and(|size| size < 5_000), "{size} bytes were sent");
}
