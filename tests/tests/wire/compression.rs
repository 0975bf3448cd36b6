//! Compressed texts (RFC 9110 §8.4, §12.5.3): which responses are compressed, and with which
//! coding.

use std::thread;

use httpout_tests::coded::{accepting, decoded, is_coded, text};
use httpout_tests::{Head, Kind, Request, Server, Site, Tree, both, get, head, put};

#[cfg(feature = "tools")]
mod curl;
#[cfg(feature = "tools")]
mod python3;

both! {
    texts_are_compressed,
    what_is_no_text_is_not_compressed,
    rfc9110_12_5_3_the_coding_is_chosen_by_weight,
    a_growing_upload_is_never_compressed,
    zmax_is_the_largest_that_is_compressed,
    zmax_0_compresses_nothing,
    zmax_is_50000_by_default,
    rfc9110_9_3_2_head_has_the_fields_of_get,
    many_ask_for_the_same_at_once,
    files_of_the_same_name_are_kept_apart,
    compression_without_validators,
    a_manifest_that_is_being_replaced_is_the_old_one_compressed,
}

fn texts_are_compressed(kind: Kind) {
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

fn what_is_no_text_is_not_compressed(kind: Kind) {
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

fn a_growing_upload_is_never_compressed(kind: Kind) {
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

fn zmax_is_the_largest_that_is_compressed(kind: Kind) {
    for (zmax, bytes) in [("1000", 1_000), ("2k", 2_048), ("1M", 1 << 20)] {
        let site = Site::with(kind, &["--zmax", zmax]);
        assert!(is_compressed(&site, bytes), "{zmax}");
        assert!(!is_compressed(&site, bytes + 1), "one more than {zmax}");
    }
}

fn zmax_0_compresses_nothing(kind: Kind) {
    let site = Site::with(kind, &["--zmax", "0"]);
    for length in [1, 100, 10_000] {
        assert!(!is_compressed(&site, length));
    }
    let answer = site.ask(&accepting("/a.txt", "gzip"));
    assert!(!answer.lists("vary", "accept-encoding"), "{answer:?}");
}

fn zmax_is_50000_by_default(kind: Kind) {
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

fn many_ask_for_the_same_at_once(kind: Kind) {
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

fn files_of_the_same_name_are_kept_apart(kind: Kind) {
    let tree = Tree::new();
    for (i, name) in ["one/a.txt", "two/a.txt", "one/dir/a.txt", "two/dir/a.txt"].iter().enumerate()
    {
        tree.write(name, text(2_000, i));
    }
    let dirs = [tree.arg("one"), tree.arg("two")].join(",");
    let server = Server::start(kind, &["--rdirs", &dirs]);
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

fn compression_without_validators(kind: Kind) {
    let site = Site::with(kind, &["--cache_control", "none"]);
    let body = text(2_000, 1);
    site.write("a.txt", &body);
    let answer = site.ask(&accepting("/a.txt", "gzip").field("If-None-Match", "\"x\""));
    is_coded(&answer, Some("gzip"), &body);
    answer.field_is_absent("etag").field_is_absent("last-modified");
}

fn a_manifest_that_is_being_replaced_is_the_old_one_compressed(kind: Kind) {
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
