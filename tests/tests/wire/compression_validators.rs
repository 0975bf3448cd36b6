//! Compressed texts with conditions, ranges and changes: RFC 9110 §8.8.3, §13, §14.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{fs, thread};

use httpout_tests::coded::{accepting, decoded, is_coded, text};
use httpout_tests::{Kind, Request, Site, both, delete, get, head, post, put};

#[cfg(feature = "tools")]
mod root;

both! {
    rfc9110_8_8_3_each_coding_has_its_own_tag,
    rfc9110_13_1_2_a_coded_tag_is_revalidated,
    rfc9110_13_1_2_what_compression_does_not_make_smaller_is_revalidated,
    rfc9110_13_1_1_a_coded_tag_guards_an_upload,
    a_range_is_never_compressed,
    rfc9110_13_1_5_if_range_with_a_coded_tag_is_the_whole,
    a_changed_file_is_never_answered_as_it_was,
    rfc9110_8_8_3_a_tag_is_of_one_content_while_the_file_changes,
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

fn a_range_is_never_compressed(kind: Kind) {
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
        // Parts of two representations must not be joined; a part of the compressed one cannot be
        // had.
        let answer = range(tag);
        answer.status_is(200).field_is_absent("content-range");
        assert!(decoded(&answer) == body.as_bytes());
        assert_ne!(answer.get("etag") == Some(&tags[0]), answer.get("content-encoding").is_some());
    }
}

/// Changes the file again and again, and asks at once each time: compressed or not, the answer is
/// what is there, and a tag that was given for something else is never confirmed.
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

fn a_changed_file_is_never_answered_as_it_was(kind: Kind) {
    let site = Site::new(kind);
    site.write("a.txt", "");
    // In its place, by another one in its place, and by an upload.
    is_never_stale(&site, 100, |body| site.write("a.txt", body));
    is_never_stale(&site, 100, |body| {
        site.write("new", body);
        fs::rename(site.tree.path("www/new"), site.tree.path("www/a.txt")).expect("a rename");
    });
    is_never_stale(&site, 100, |body| {
        site.ask(&put("/a.txt", body)).status_is(200);
    });
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
                fs::rename(new, old).expect("a rename");
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
