//! RFC 9110 §14, ranges of files that are complete, in the three forms of an answer to several
//! ranges.

use std::os::unix::fs::FileExt;

use httpout_tests::{Kind, Response, Site, both, get, head};

both! {
    rfc9110_14_1_2_single_ranges,
    rfc9110_14_2_what_is_no_byte_range_is_ignored,
    rfc9110_15_5_17_unsatisfiable_ranges_are_416,
    rfc9110_14_2_a_range_of_the_whole_file_is_206,
    rfc9110_14_2_ranges_of_an_empty_file,
    rfc9110_14_2_ranges_beyond_4_gib,
    rfc9110_14_2_head_ignores_range,
    rfc9110_15_3_7_a_206_carries_what_a_200_carries,
    rfc9110_13_1_5_if_range,
    several_ranges_are_one_part_by_default,
    the_originals_spelling_of_several_ranges_is_read,
    multipart_answers_each_range_with_a_part,
    merge_sorts_and_joins_ranges,
    rfc9110_15_3_7_2_one_range_is_never_multipart,
    rfc9110_17_15_many_ranges_are_answered_with_the_file,
    rfc9110_17_15_ranges_that_exceed_twice_the_file_are_answered_with_the_file,
    norange_answers_200,
}

const HELLO: &str = "hello world\n";

/// `hello.txt`, and `hundred.bin` with 100 bytes that tell where they stand.
fn site(kind: Kind, args: &[&str]) -> Site {
    let site = Site::with(kind, args);
    site.write("hello.txt", HELLO);
    site.tree.set_modified("www/hello.txt", 1_700_000_000);
    site.write("hundred.bin", hundred());
    site
}

fn hundred() -> Vec<u8> {
    (0..100).map(|i| b' ' + i % 90).collect()
}

#[track_caller]
fn ranged(site: &Site, path: &str, range: &str) -> Response {
    site.ask(&get(path).field("Range", range))
}

/// The parts of a multipart answer: where each stands, and its bytes.
#[track_caller]
fn parts(answer: &Response) -> Vec<(String, Vec<u8>)> {
    answer.status_is(206);
    let kind = answer.need("content-type");
    let Some(boundary) =
        kind.strip_prefix("multipart/byteranges; boundary=").map(|b| b.trim_matches('"'))
    else {
        return vec![(answer.need("content-range").to_owned(), answer.body.clone())];
    };
    assert!(!boundary.is_empty() && boundary.len() <= 70, "RFC 2046 §5.1.1: {boundary:?}");
    let delimiter = format!("--{boundary}");
    let mut rest = answer.body.as_slice();
    rest = rest.strip_prefix(b"\r\n").unwrap_or(rest);
    rest = rest.strip_prefix(delimiter.as_bytes()).expect("a body begins with a delimiter");
    let mut found = Vec::new();
    while !rest.starts_with(b"--") {
        rest = rest.strip_prefix(b"\r\n").expect("a line end after the delimiter");
        let end = rest.windows(4).position(|w| w == b"\r\n\r\n").expect("a part has a head");
        let head = String::from_utf8_lossy(&rest[..end]).to_ascii_lowercase();
        rest = &rest[end + 4..];
        assert!(head.lines().any(|l| l.starts_with("content-type:")), "no type in {head:?}");
        let range = head
            .lines()
            .find_map(|l| l.strip_prefix("content-range:"))
            .expect("each part has its range")
            .trim();
        let numbers =
            range.strip_prefix("bytes ").and_then(|r| r.split('/').next()).expect("a byte range");
        let (first, last) = numbers.split_once('-').expect("first and last");
        let number = |digits: &str| digits.parse::<usize>().expect("a position");
        let length = number(last) + 1 - number(first);
        found.push((range.to_owned(), rest[..length].to_vec()));
        rest = rest[length..]
            .strip_prefix(format!("\r\n{delimiter}").as_bytes())
            .expect("a delimiter after the part");
    }
    assert!(
        matches!(rest, b"--" | b"--\r\n"),
        "after the last part: {:?}",
        String::from_utf8_lossy(rest)
    );
    found
}

/// The parts as ranges of `hundred.bin`, with their bytes checked.
#[track_caller]
fn ranges_of_hundred(answer: &Response) -> Vec<String> {
    let whole = hundred();
    let check = |(range, bytes): (String, Vec<u8>)| {
        let numbers = range
            .strip_prefix("bytes ")
            .and_then(|r| r.strip_suffix("/100"))
            .expect("a range of 100 bytes");
        let (first, last) = numbers.split_once('-').expect("first and last");
        let number = |digits: &str| digits.parse::<usize>().expect("a position");
        assert_eq!(bytes, whole[number(first)..=number(last)], "{range}");
        numbers.to_owned()
    };
    parts(answer).into_iter().map(check).collect()
}

fn rfc9110_14_1_2_single_ranges(kind: Kind) {
    let site = site(kind, &[]);
    let cases = [
        ("bytes=0-4", "0-4"),
        ("bytes=0-0", "0-0"),
        ("bytes=6-", "6-11"),
        ("bytes=11-", "11-11"),
        ("bytes=11-11", "11-11"),
        ("bytes=-5", "7-11"),
        ("bytes=-1", "11-11"),
        ("bytes=6-12", "6-11"),
        ("bytes=6-1000", "6-11"),
        ("bytes=3-99999999999999999999", "3-11"),
        ("bytes=3-18446744073709551615", "3-11"),
        ("bytes=-100", "0-11"),
        ("bytes=-9223372036854775808", "0-11"),
        ("bytes=-99999999999999999999", "0-11"),
        ("bytes=000-0004", "0-4"),
        ("Bytes=0-4", "0-4"),
        ("BYTES=0-4", "0-4"),
    ];
    let mut client = site.client();
    for (range, expected) in cases {
        let answer = client.ask(&get("/hello.txt").field("Range", range));
        let (first, last) = expected.split_once('-').expect("two numbers");
        let (first, last): (usize, usize) =
            (first.parse().expect("digits"), last.parse().expect("digits"));
        assert_eq!(answer.status, 206, "{range}: {answer:?}");
        assert_eq!(
            answer.get("content-range"),
            Some(format!("bytes {expected}/12").as_str()),
            "{range}"
        );
        assert_eq!(answer.text(), HELLO[first..=last], "{range}");
    }
}

fn rfc9110_14_2_what_is_no_byte_range_is_ignored(kind: Kind) {
    let site = site(kind, &[]);
    let invalid = [
        "bytes",
        "bytes=",
        "bytes=5",
        "bytes=a-b",
        "bytes=0-4x",
        "bytes=--5",
        "=0-4",
        "bytes=4-0",
        "bytes=+0-4",
        "bytes=0-+4",
        "bytes=0-4;a",
        "bytes=-",
        "items=0-4",
        "bytes 0-4",
        "bytes==0-4",
        "bytes=0x0-4",
        "bytes=0 - 4",
        "bytes=0-4,x",
        "bytes=0-4,4-3",
        "bytes=1.0-2",
        "bytes=99999999999999999999-3",
        "seconds=1-2",
        "",
    ];
    let mut client = site.client();
    for range in invalid {
        let answer = client.ask(&get("/hello.txt").field("Range", range));
        assert_eq!(answer.status, 200, "{range:?}: {answer:?}");
        answer.is(200, HELLO).field_is_absent("content-range");
    }
}

fn rfc9110_15_5_17_unsatisfiable_ranges_are_416(kind: Kind) {
    let site = site(kind, &[]);
    let ranges = [
        "bytes=12-20",
        "bytes=12-",
        "bytes=99999999999999999999-",
        "bytes=-0",
        "bytes=12-,20-30",
        "bytes=18446744073709551615-",
    ];
    let mut client = site.client();
    for range in ranges {
        let answer = client.ask(&get("/hello.txt").field("Range", range));
        assert_eq!(answer.status, 416, "{range}: {answer:?}");
        answer.field_is("content-range", "bytes */12");
    }
    client.ask(&get("/hello.txt")).is(200, HELLO);
}

fn rfc9110_14_2_a_range_of_the_whole_file_is_206(kind: Kind) {
    let site = site(kind, &[]);
    for range in ["bytes=0-", "bytes=0-11", "bytes=0-99", "bytes=-12"] {
        ranged(&site, "/hello.txt", range)
            .is(206, HELLO)
            .field_is("content-range", "bytes 0-11/12");
    }
}

fn rfc9110_14_2_ranges_of_an_empty_file(kind: Kind) {
    let site = site(kind, &[]);
    site.write("empty.bin", "");
    for range in ["bytes=0-", "bytes=0-0", "bytes=1-"] {
        ranged(&site, "/empty.bin", range).status_is(416).field_is("content-range", "bytes */0");
    }
    // Nothing is the last five bytes of nothing; an answer cannot say so with 206.
    for range in ["bytes=-5", "bytes=-1,-5"] {
        ranged(&site, "/empty.bin", range).is(200, "").field_is_absent("content-range");
    }
    ranged(&site, "/empty.bin", "bytes=-0").status_is(416);
}

fn rfc9110_14_2_ranges_beyond_4_gib(kind: Kind) {
    let site = site(kind, &[]);
    let length: u64 = 5 << 30;
    site.tree.sparse("www/huge.bin", length);
    let file =
        std::fs::File::options().write(true).open(site.tree.path("www/huge.bin")).expect("open");
    file.write_all_at(b"here", 1 << 32).expect("write");
    file.write_all_at(b"end", length - 3).expect("write");
    let answer = ranged(&site, "/huge.bin", "bytes=4294967296-4294967299");
    answer.is(206, "here").field_is("content-range", "bytes 4294967296-4294967299/5368709120");
    let answer = ranged(&site, "/huge.bin", "bytes=-3");
    answer.is(206, "end").field_is("content-range", "bytes 5368709117-5368709119/5368709120");
    ranged(&site, "/huge.bin", "bytes=5368709120-")
        .status_is(416)
        .field_is("content-range", "bytes */5368709120");
    site.ask(&head("/huge.bin")).field_is("content-length", "5368709120");
}

fn rfc9110_14_2_head_ignores_range(kind: Kind) {
    let site = site(kind, &[]);
    for range in ["bytes=0-4", "bytes=0-1,4-5", "bytes=99-"] {
        let answer = site.ask(&head("/hello.txt").field("Range", range));
        answer.is(200, "").field_is("content-length", "12").field_is_absent("content-range");
    }
}

fn rfc9110_15_3_7_a_206_carries_what_a_200_carries(kind: Kind) {
    let site = site(kind, &["--cache_control", "max-age=9"]);
    let whole = site.ask(&get("/hello.txt"));
    whole.field_is("accept-ranges", "bytes");
    let part = ranged(&site, "/hello.txt", "bytes=0-4");
    for name in ["etag", "last-modified", "cache-control", "content-type"] {
        assert_eq!(part.get(name), Some(whole.need(name)), "{name}");
    }
}

fn rfc9110_13_1_5_if_range(kind: Kind) {
    let site = site(kind, &[]);
    let tag = site.ask(&get("/hello.txt")).need("etag").to_owned();
    let ask = |range: &str, condition: &str| {
        site.ask(
            &get("/hello.txt")
                .field("Range", range)
                .field("If-Range", condition.replace("TAG", &tag)),
        )
    };
    ask("bytes=0-4", "TAG").is(206, "hello");
    ask("bytes=0-4", "Tue, 14 Nov 2023 22:13:20 GMT").is(206, "hello");
    // A strong comparison, and a date that is exactly the same.
    let changed = [
        "W/TAG",
        "\"other\"",
        "Tue, 14 Nov 2023 22:13:19 GMT",
        "Wed, 15 Nov 2023 22:13:20 GMT",
        "nonsense",
        "*",
    ];
    for condition in changed {
        let answer = ask("bytes=0-4", condition);
        assert_eq!(answer.status, 200, "{condition}: {answer:?}");
        answer.is(200, HELLO);
        ask("bytes=99-", condition).is(200, HELLO);
    }
    ask("bytes=99-", "TAG").status_is(416);
    site.ask(&get("/hello.txt").field("If-Range", "\"other\"")).is(200, HELLO);
    ask("bytes=0-1,3-4", "\"other\"").is(200, HELLO);
}

fn several_ranges_are_one_part_by_default(kind: Kind) {
    for args in [&[][..], &["--multirange", "concat"]] {
        let site = site(kind, args);
        let whole = hundred();
        let cases: [(&str, &str, Vec<u8>); 6] = [
            (
                "bytes=0-3,10-12",
                "bytes 0-3/100, 10-12/100",
                [&whole[0..4], &whole[10..13]].concat(),
            ),
            (
                "bytes=10-12, 0-3",
                "bytes 10-12/100, 0-3/100",
                [&whole[10..13], &whole[0..4]].concat(),
            ),
            ("bytes=0-4,2-6", "bytes 0-4/100, 2-6/100", [&whole[0..5], &whole[2..7]].concat()),
            ("bytes=0-1,-2", "bytes 0-1/100, 98-99/100", [&whole[0..2], &whole[98..]].concat()),
            ("bytes=90-200,5-5", "bytes 90-99/100, 5-5/100", [&whole[90..], &whole[5..6]].concat()),
            ("bytes=0-3,200-210", "bytes 0-3/100", whole[0..4].to_vec()),
        ];
        for (range, field, body) in cases {
            let answer = ranged(&site, "/hundred.bin", range);
            answer.is(206, &body).field_is("content-range", field);
            answer.field_is("content-length", &body.len().to_string());
        }
        // Ranges that follow one another become one read; how they are named is left open.
        ranged(&site, "/hundred.bin", "bytes=0-3,4-7,8-9").is(206, &whole[0..10]);
        ranged(&site, "/hundred.bin", "bytes=200-,300-").status_is(416);
    }
}

fn the_originals_spelling_of_several_ranges_is_read(kind: Kind) {
    let site = site(kind, &[]);
    let whole = hundred();
    let body = [&whole[0..4], &whole[10..13]].concat();
    let answer = ranged(&site, "/hundred.bin", "bytes=0-3,bytes=10-12");
    answer.is(206, body).field_is("content-range", "bytes 0-3/100, 10-12/100");
}

fn multipart_answers_each_range_with_a_part(kind: Kind) {
    let site = site(kind, &["--multirange", "multipart"]);
    let cases: [(&str, &[&str]); 5] = [
        ("bytes=0-3,10-12", &["0-3", "10-12"]),
        ("bytes=10-12, 0-3", &["10-12", "0-3"]),
        ("bytes=0-4,2-6", &["0-4", "2-6"]),
        ("bytes=0-1,-2,200-", &["0-1", "98-99"]),
        ("bytes=0-3,bytes=10-12", &["0-3", "10-12"]),
    ];
    let mut client = site.client();
    for (range, expected) in cases {
        let answer = client.ask(&get("/hundred.bin").field("Range", range));
        assert_eq!(ranges_of_hundred(&answer), expected, "{range}");
        assert!(
            answer.need("content-type").starts_with("multipart/byteranges"),
            "{range}: {answer:?}"
        );
    }
    // One that is left may be a part or the only one.
    assert_eq!(ranges_of_hundred(&ranged(&site, "/hundred.bin", "bytes=0-4,200-")), ["0-4"]);
}

fn merge_sorts_and_joins_ranges(kind: Kind) {
    let site = site(kind, &["--multirange", "merge"]);
    let cases: [(&str, &[&str]); 5] = [
        ("bytes=10-12,0-3", &["0-3", "10-12"]),
        ("bytes=0-4,2-6", &["0-6"]),
        ("bytes=4-7,0-3", &["0-7"]),
        ("bytes=50-,60-70,0-1,-3", &["0-1", "50-99"]),
        ("bytes=5-6,1-9,3-3,20-20,8-12", &["1-12", "20-20"]),
    ];
    for (range, expected) in cases {
        assert_eq!(ranges_of_hundred(&ranged(&site, "/hundred.bin", range)), expected, "{range}");
    }
}

fn rfc9110_15_3_7_2_one_range_is_never_multipart(kind: Kind) {
    for mode in ["concat", "multipart", "merge"] {
        let site = site(kind, &["--multirange", mode]);
        ranged(&site, "/hello.txt", "bytes=0-4")
            .is(206, "hello")
            .field_is("content-range", "bytes 0-4/12");
    }
}

fn rfc9110_17_15_many_ranges_are_answered_with_the_file(kind: Kind) {
    for mode in ["concat", "multipart", "merge"] {
        let site = site(kind, &["--multirange", mode]);
        site.write("big.bin", vec![7; 100_000]);
        let ranges = |n: usize| {
            (0..n).map(|i| format!("{}-{}", i * 10, i * 10 + 1)).collect::<Vec<_>>().join(",")
        };
        let answer = ranged(&site, "/big.bin", &format!("bytes={}", ranges(128)));
        answer.status_is(206);
        for n in [129, 1000] {
            ranged(&site, "/big.bin", &format!("bytes={}", ranges(n))).is(200, vec![7; 100_000]);
        }
        let same = format!("bytes={}", ["0-0"; 1501].join(","));
        ranged(&site, "/hello.txt", &same).is(200, HELLO);
    }
}

fn rfc9110_17_15_ranges_that_exceed_twice_the_file_are_answered_with_the_file(kind: Kind) {
    let site = site(kind, &[]);
    let twice = [hundred(), hundred()].concat();
    ranged(&site, "/hundred.bin", "bytes=0-,0-99").is(206, twice);
    for range in ["bytes=0-,0-,0-", "bytes=0-,0-,0-0"] {
        ranged(&site, "/hundred.bin", range).is(200, hundred());
    }
}

fn norange_answers_200(kind: Kind) {
    let site = site(kind, &["--norange"]);
    for range in ["bytes=0-4", "bytes=0-1,4-5", "bytes=99-"] {
        let answer = ranged(&site, "/hello.txt", range);
        answer.is(200, HELLO).field_is_absent("content-range");
        assert_ne!(answer.get("accept-ranges"), Some("bytes"), "{answer:?}");
    }
}
