//! RFC 9110 §13, conditional requests, in the full order of §13.2.2, for reading and for writing.

use httpout_tests::{Kind, Request, Site, both, delete, get, patch, put};

both! {
    rfc9110_13_1_1_if_match_compares_strongly,
    rfc9110_13_1_2_if_none_match_compares_weakly,
    rfc9110_13_1_3_if_modified_since,
    rfc9110_13_1_4_if_unmodified_since,
    rfc9110_13_2_2_the_order_of_conditions,
    rfc9110_13_2_1_conditions_do_not_change_an_error,
    rfc9110_13_2_2_conditions_come_before_ranges,
    rfc9110_15_4_5_a_304_carries_the_validators,
    rfc9110_13_1_1_a_put_can_be_guarded_against_lost_updates,
    rfc9110_13_1_2_a_put_can_be_made_to_create_only,
    rfc9110_13_1_2_of_two_creators_at_once_one_wins,
    rfc9110_13_1_1_of_two_updaters_at_once_one_wins,
    rfc9110_13_2_2_a_delete_can_be_guarded,
    rfc9110_13_2_2_a_patch_can_be_guarded,
}

const HELLO: &str = "hello world\n";
const TIME: u64 = 1_700_000_000;
const SAME: &str = "Tue, 14 Nov 2023 22:13:20 GMT";
const EARLIER: &str = "Tue, 14 Nov 2023 22:13:19 GMT";
const LATER: &str = "Wed, 15 Nov 2023 22:13:20 GMT";
const MATCH: &str = "If-Match";
const NONE_MATCH: &str = "If-None-Match";
const MODIFIED: &str = "If-Modified-Since";
const UNMODIFIED: &str = "If-Unmodified-Since";

/// A site with one file of a known time, and that file's entity tag.
fn site(kind: Kind) -> (Site, String) {
    let site = Site::new(kind);
    let tag = reset(&site);
    (site, tag)
}

/// Writes the file again; its tag.
fn reset(site: &Site) -> String {
    site.write("hello.txt", HELLO);
    site.tree.set_modified("www/hello.txt", TIME);
    site.ask(&get("/hello.txt")).need("etag").to_owned()
}

/// Adds conditions to a request; `TAG` in a value is the file's tag.
fn with(request: Request, tag: &str, conditions: &[(&str, &str)]) -> Request {
    conditions.iter().fold(request, |r, (name, value)| r.field(name, value.replace("TAG", tag)))
}

/// Each set of conditions gives that status to GET and to HEAD.
#[track_caller]
fn read_cases(kind: Kind, cases: &[(&[(&str, &str)], u16)]) {
    let (site, tag) = site(kind);
    let mut client = site.client();
    for (conditions, status) in cases {
        for method in ["GET", "HEAD"] {
            let answer = client.ask(&with(Request::new(method, "/hello.txt"), &tag, conditions));
            assert_eq!(answer.status, *status, "{method} with {conditions:?}: {answer:?}");
            if answer.status == 200 && method == "GET" {
                answer.is(200, HELLO);
            }
        }
    }
}

/// Each set of conditions gives that status to a write, which has its effect with 2xx only.
#[track_caller]
fn write_cases(
    kind: Kind,
    request: impl Fn() -> Request,
    written: Option<&str>,
    cases: &[(&[(&str, &str)], u16)],
) {
    let (site, _) = site(kind);
    for (conditions, status) in cases {
        let tag = reset(&site);
        let answer = site.ask(&with(request(), &tag, conditions));
        assert_eq!(answer.status, *status, "{conditions:?}: {answer:?}");
        let expected = if *status < 300 { written } else { Some(HELLO) };
        let found = site.read("hello.txt");
        assert_eq!(found.as_deref(), expected.map(str::as_bytes), "after {conditions:?}");
    }
}

fn rfc9110_13_1_1_if_match_compares_strongly(kind: Kind) {
    read_cases(
        kind,
        &[
            (&[(MATCH, "TAG")], 200),
            (&[(MATCH, "*")], 200),
            (&[(MATCH, "\"a\", TAG")], 200),
            (&[(MATCH, "TAG,\"a\"")], 200),
            (&[(MATCH, "\"a,b\" , , TAG")], 200),
            (&[(MATCH, "\"a\""), (MATCH, "TAG")], 200),
            (&[(MATCH, "\"a\"")], 412),
            (&[(MATCH, "\"a\", \"b\"")], 412),
            (&[(MATCH, "W/TAG")], 412),
            (&[(MATCH, "\"a\", W/TAG")], 412),
            (&[(MATCH, "\"\"")], 412),
        ],
    );
}

fn rfc9110_13_1_2_if_none_match_compares_weakly(kind: Kind) {
    read_cases(
        kind,
        &[
            (&[(NONE_MATCH, "TAG")], 304),
            (&[(NONE_MATCH, "W/TAG")], 304),
            (&[(NONE_MATCH, "*")], 304),
            (&[(NONE_MATCH, "\"a\", TAG")], 304),
            (&[(NONE_MATCH, "\"a\",W/TAG,\"b\"")], 304),
            (&[(NONE_MATCH, "\"a\""), (NONE_MATCH, "TAG")], 304),
            (&[(NONE_MATCH, "\"a, TAG\"")], 200),
            (&[(NONE_MATCH, "\"a\"")], 200),
            (&[(NONE_MATCH, "\"a\", \"b\"")], 200),
            (&[(NONE_MATCH, "\"*\"")], 200),
        ],
    );
}

fn rfc9110_13_1_3_if_modified_since(kind: Kind) {
    read_cases(
        kind,
        &[
            (&[(MODIFIED, SAME)], 304),
            (&[(MODIFIED, LATER)], 304),
            (&[(MODIFIED, EARLIER)], 200),
            // The two obsolete forms (RFC 9110 §5.6.7).
            (&[(MODIFIED, "Tuesday, 14-Nov-23 22:13:20 GMT")], 304),
            (&[(MODIFIED, "Tue Nov 14 22:13:20 2023")], 304),
            (&[(MODIFIED, "Tuesday, 14-Nov-23 22:13:19 GMT")], 200),
            // What is no date is no condition.
            (&[(MODIFIED, "yesterday")], 200),
            (&[(MODIFIED, "Tue, 14 Nov 2023 22:13:20 CET")], 200),
            (&[(MODIFIED, "1700000000")], 200),
            (&[(MODIFIED, "")], 200),
        ],
    );
}

fn rfc9110_13_1_4_if_unmodified_since(kind: Kind) {
    read_cases(
        kind,
        &[
            (&[(UNMODIFIED, SAME)], 200),
            (&[(UNMODIFIED, LATER)], 200),
            (&[(UNMODIFIED, EARLIER)], 412),
            (&[(UNMODIFIED, "Tue Nov 14 22:13:19 2023")], 412),
            (&[(UNMODIFIED, "yesterday")], 200),
        ],
    );
}

fn rfc9110_13_2_2_the_order_of_conditions(kind: Kind) {
    read_cases(
        kind,
        &[
            // If-Match switches If-Unmodified-Since off.
            (&[(MATCH, "TAG"), (UNMODIFIED, EARLIER)], 200),
            (&[(UNMODIFIED, LATER), (MATCH, "\"a\"")], 412),
            // If-None-Match switches If-Modified-Since off.
            (&[(NONE_MATCH, "\"a\""), (MODIFIED, LATER)], 200),
            (&[(MODIFIED, EARLIER), (NONE_MATCH, "TAG")], 304),
            // The first pair comes before the second.
            (&[(MATCH, "\"a\""), (NONE_MATCH, "TAG")], 412),
            (&[(NONE_MATCH, "TAG"), (MATCH, "TAG")], 304),
            (&[(UNMODIFIED, EARLIER), (NONE_MATCH, "TAG")], 412),
            (&[(UNMODIFIED, EARLIER), (MODIFIED, SAME)], 412),
            (&[(UNMODIFIED, SAME), (MODIFIED, SAME)], 304),
            (&[(MATCH, "*"), (NONE_MATCH, "\"a\""), (MODIFIED, LATER), (UNMODIFIED, EARLIER)], 200),
        ],
    );
}

fn rfc9110_13_2_1_conditions_do_not_change_an_error(kind: Kind) {
    let (site, _) = site(kind);
    for (name, value) in
        [(MATCH, "*"), (MATCH, "\"a\""), (NONE_MATCH, "*"), (MODIFIED, SAME), (UNMODIFIED, EARLIER)]
    {
        site.ask(&get("/none").field(name, value)).status_is(404);
    }
}

fn rfc9110_13_2_2_conditions_come_before_ranges(kind: Kind) {
    let (site, tag) = site(kind);
    let ask = |range: &str, name: &str, value: &str| {
        site.ask(&with(get("/hello.txt").field("Range", range), &tag, &[(name, value)]))
    };
    ask("bytes=0-4", NONE_MATCH, "TAG").status_is(304);
    ask("bytes=99-", NONE_MATCH, "TAG").status_is(304);
    ask("bytes=99-", MATCH, "\"a\"").status_is(412);
    ask("bytes=0-4", MATCH, "TAG").is(206, "hello");
    ask("bytes=99-", MATCH, "TAG").status_is(416);
    ask("bytes=0-4", MODIFIED, EARLIER).is(206, "hello");
}

fn rfc9110_15_4_5_a_304_carries_the_validators(kind: Kind) {
    let site = Site::with(kind, &["--cache_control", "max-age=9"]);
    let tag = reset(&site);
    let mut client = site.client();
    let answer = client.ask(&get("/hello.txt").field(NONE_MATCH, &tag));
    answer.is(304, "").field_is("etag", &tag).field_is("cache-control", "max-age=9");
    // Nothing of a body follows.
    client.ask(&get("/hello.txt")).is(200, HELLO);
}

/// The conditions on a write of an existing file.
fn on_existing(done: u16) -> [(&'static [(&'static str, &'static str)], u16); 13] {
    [
        (&[(MATCH, "TAG")], done),
        (&[(MATCH, "*")], done),
        (&[(MATCH, "\"a\"")], 412),
        (&[(MATCH, "W/TAG")], 412),
        (&[(NONE_MATCH, "*")], 412),
        (&[(NONE_MATCH, "TAG")], 412),
        (&[(NONE_MATCH, "\"a\"")], done),
        (&[(UNMODIFIED, SAME)], done),
        (&[(UNMODIFIED, EARLIER)], 412),
        (&[(MATCH, "TAG"), (UNMODIFIED, EARLIER)], done),
        (&[(MATCH, "\"a\""), (NONE_MATCH, "\"a\"")], 412),
        // A condition of GET and HEAD only.
        (&[(MODIFIED, LATER)], done),
        (&[(MODIFIED, SAME)], done),
    ]
}

fn rfc9110_13_1_1_a_put_can_be_guarded_against_lost_updates(kind: Kind) {
    write_cases(kind, || put("/hello.txt", "new"), Some("new"), &on_existing(200));
    let chunked = || Request::new("POST", "/hello.txt").chunks(&[b"new"]);
    write_cases(kind, chunked, Some("new"), &on_existing(200));
}

fn rfc9110_13_1_2_a_put_can_be_made_to_create_only(kind: Kind) {
    let (site, _) = site(kind);
    site.ask(&put("/new.txt", "x").field(MATCH, "*")).status_is(412);
    site.ask(&put("/new.txt", "x").field(MATCH, "\"a\"")).status_is(412);
    assert!(!site.has("new.txt"));
    site.ask(&put("/new.txt", "first").field(NONE_MATCH, "*")).status_is(201);
    site.ask(&put("/new.txt", "second").field(NONE_MATCH, "*")).status_is(412);
    assert_eq!(site.read("new.txt").as_deref(), Some(&b"first"[..]));
}

fn rfc9110_13_1_2_of_two_creators_at_once_one_wins(kind: Kind) {
    let (site, _) = site(kind);
    let mut first = site.client();
    let mut second = site.client();
    let create = || Request::new("PUT", "/new.txt").field(NONE_MATCH, "*").chunked();
    first.begin_upload(create());
    // The second may be refused at once, or at its end; it must not replace what the first made.
    second.send(create().bytes());
    first.send_chunk("first");
    first.send_last_chunk();
    first.response("PUT").status_is(201);
    let _ = second.try_send(Request::chunk(b"second"));
    let _ = second.try_send(Request::LAST_CHUNK);
    second.response("PUT").status_is(412);
    site.ask(&get("/new.txt")).is(200, "first");
    site.no_parts_left();
}

fn rfc9110_13_1_1_of_two_updaters_at_once_one_wins(kind: Kind) {
    let (site, tag) = site(kind);
    let mut first = site.client();
    let mut second = site.client();
    let update = || Request::new("PUT", "/hello.txt").field(MATCH, &tag).chunked();
    first.begin_upload(update());
    second.send(update().bytes());
    first.send_chunk("first");
    first.send_last_chunk();
    first.response("PUT").status_is(200);
    let _ = second.try_send(Request::chunk(b"second"));
    let _ = second.try_send(Request::LAST_CHUNK);
    second.response("PUT").status_is(412);
    site.ask(&get("/hello.txt")).is(200, "first");
    site.no_parts_left();
}

fn rfc9110_13_2_2_a_delete_can_be_guarded(kind: Kind) {
    write_cases(kind, || delete("/hello.txt"), None, &on_existing(200));
    let (site, _) = site(kind);
    // Without the condition this were a 204, so the condition counts.
    site.ask(&delete("/none").field(MATCH, "*")).status_is(412);
    site.ask(&delete("/none").field(NONE_MATCH, "*")).status_is(204);
}

fn rfc9110_13_2_2_a_patch_can_be_guarded(kind: Kind) {
    let request =
        || patch("/hello.txt", "message/byterange", "Content-Range: bytes 0-4/12\r\n\r\nHELLO");
    let (site, _) = site(kind);
    for (conditions, expected) in on_existing(200) {
        let tag = reset(&site);
        let answer = site.ask(&with(request(), &tag, conditions));
        let done = answer.status == expected || (expected == 200 && answer.status == 204);
        assert!(done, "{conditions:?}: {answer:?}");
        let content = if expected == 200 { "HELLO world\n" } else { HELLO };
        assert_eq!(
            site.read("hello.txt").as_deref(),
            Some(content.as_bytes()),
            "after {conditions:?}"
        );
    }
}
