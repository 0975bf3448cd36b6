//! What libshout sends, on which GStreamer, ezstream and MPD are built; and what else source
//! clients of Icecast send.

use httpout_tests::post;

use super::*;

both! {
    options_list_what_a_source_may_do,
    a_probe_is_answered_and_stores_nothing,
    a_probe_needs_the_right_to_write,
    a_source_may_name_its_protocol_ice,
    names_pass_in_utf_8_and_in_latin_1,
    metadata_is_not_stored_and_changes_the_title,
    only_who_may_send_changes_the_title,
}

/// Adds a line in any encoding to a head.
fn head_with(line: &str, field: &[u8]) -> Vec<u8> {
    let start = format!("{line}\r\nHost: a\r\n");
    [start.as_bytes(), field, b"\r\n\r\n"].concat()
}

/// As the tests show a field's bytes: one character for each.
fn shown(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| char::from(byte)).collect()
}

fn options_list_what_a_source_may_do(kind: Kind) {
    let upgrade = |target| {
        let options = Request::new("OPTIONS", target).field("Connection", "Upgrade");
        options.field("Upgrade", "TLS/1.0, HTTP/1.1")
    };
    let (sink, site) = (server(kind, &[]), Site::with(kind, &["--icecast"]));
    for (server, written) in [(&sink, false), (&site.server, true)] {
        for target in ["*", "/live.mp3"] {
            let answer = server.ask(&upgrade(target));
            answer.status_is(200);
            for method in ["GET", "HEAD", "PUT", "POST", "SOURCE", "OPTIONS"] {
                assert!(answer.lists("allow", method), "{method}: {answer:?}");
            }
            assert_eq!(answer.lists("allow", "DELETE"), written, "{answer:?}");
        }
    }
    let without = Site::new(kind);
    assert!(!without.ask(&upgrade("*")).lists("allow", "SOURCE"));
}

fn a_probe_is_answered_and_stores_nothing(kind: Kind) {
    let site = Site::with(kind, &["--icecast"]);
    for method in ["SOURCE", "PUT"] {
        for http10 in [false, true] {
            let probe = Request::new(method, "/live.mp3").announce(0);
            let probe =
                if http10 { probe.http10().field("Connection", "Keep-Alive") } else { probe };
            // The stream may come over the same connection.
            let mut client = site.client();
            client.ask(&probe).is(200, "");
            client.begin(&Request::new(method, "/live.mp3")).status_is(200);
            is_on_air(&site.server, "/live.mp3");
            client.finish_sending();
            is_gone(&site.server, "/live.mp3");
            assert_eq!(site.tree.list(), ["www/"]);
        }
    }
}

#[track_caller]
fn is_on_air(server: &Server, path: &str) {
    server.ask(&head(path)).status_is(200);
}

fn a_probe_needs_the_right_to_write(kind: Kind) {
    let site = ruled(kind, &[]);
    for method in ["SOURCE", "PUT"] {
        let probe = || Request::new(method, "/radio/live.mp3").announce(0);
        site.ask(&probe()).status_is(401);
        site.ask(&probe().by("alice", "wrong")).status_is(401);
        site.ask(&probe().of("bob")).status_is(403);
        site.ask(&probe().of("alice")).is(200, "");
        site.ask(&get("/radio/live.mp3").of("bob")).status_is(404);
    }
    site.no_parts_left();
}

fn a_source_may_name_its_protocol_ice(kind: Kind) {
    let server = server(kind, &[]);
    let mut source = server.client();
    source.send("SOURCE /live.bin ICE/1.0\r\nice-name: Radio\r\n\r\n");
    source.head("SOURCE").status_is(200).says_close();
    let mut listener = server.client();
    listener.begin(&get("/live.bin")).status_is(200).field_is("icy-name", "Radio");
    source.send("some");
    assert_eq!(listener.content(4), b"some");
    source.finish_sending();
    assert_eq!(listener.rest(), Ok(Vec::new()));
    // It is no other method's protocol.
    let mut client = server.client();
    client.send("GET /live.bin ICE/1.0\r\n\r\n");
    let refused = client.response("GET");
    assert_eq!((refused.status, refused.text().contains("for SOURCE only")), (400, true));
    // And it has one version.
    for version in ["1.1", "2.0"] {
        let mut source = server.client();
        source.send(format!("SOURCE /other.bin ICE/{version}\r\nice-name: Radio\r\n\r\n"));
        let refused = source.response("SOURCE");
        assert!(refused.text().contains("ICE/1.0 in a SOURCE request"), "{refused:?}");
        refused.status_is(505).says_close();
        source.closed();
    }
}

fn names_pass_in_utf_8_and_in_latin_1(kind: Kind) {
    let server = server(kind, &[]);
    for name in ["Café Zürich".as_bytes(), b"Caf\xe9 Z\xfcrich"] {
        let mut source = server.client();
        source.send(head_with("SOURCE /live.mp3 HTTP/1.1", &[b"ice-name: ", name].concat()));
        source.head("SOURCE").status_is(200);
        server.ask(&head("/live.mp3")).field_is("icy-name", &shown(name));
        source.finish_sending();
        is_gone(&server, "/live.mp3");
    }
}

/// The titles that a listener is told, while this is sent.
#[track_caller]
fn titles(listener: &mut Client, interval: usize) -> Vec<String> {
    let (_, titles) = without_icy(interval, &listener.rest().expect("it ends well"));
    titles
}

fn form(text: &str) -> Request {
    post("/admin/metadata", text).field("Content-Type", "application/x-www-form-urlencoded")
}

fn metadata_is_not_stored_and_changes_the_title(kind: Kind) {
    let site = Site::with(kind, &["--icecast", "--ice"]);
    let told = "mode=updinfo&charset=UTF-8&mount=%2Flive%2Emp3&song=Caf%C3%A9%20-%20One+Two";
    site.ask(&form(told)).status_is(404);
    let mut source = source(&site.server, &Request::new("SOURCE", "/live.mp3"));
    let mut listener = site.client();
    let answer = listener.begin(&get("/live.mp3").field("Icy-MetaData", "1"));
    let interval = answer.status_is(200).need("icy-metaint").parse().expect("a number");
    // In the body, in the query, and in chunks.
    site.ask(&form(&told.replace("Two", "0"))).status_is(200);
    site.ask(&get(&format!("/admin/metadata?{}", told.replace("Two", "1")))).status_is(200);
    let chunks: [&[u8]; 2] = [&told.as_bytes()[..40], &told.as_bytes()[40..]];
    site.ask(&Request::new("POST", "/admin/metadata").chunks(&chunks)).status_is(200);
    for bad in ["", "mode=stats", "mode=updinfo&song=x", "mode=updinfo&mount=/live.mp3"] {
        site.ask(&form(bad)).status_is(400);
    }
    site.ask(&form(&"x".repeat(20_000))).status_is(413);
    let stream = media("cbr.mp3");
    for _ in 0..1 + 2 * interval / stream.len() {
        source.send(&stream);
    }
    source.finish_sending();
    assert_eq!(titles(&mut listener, interval), ["StreamTitle='Café - One Two';"]);
    assert_eq!(site.tree.list(), ["www/"]);
}

fn only_who_may_send_changes_the_title(kind: Kind) {
    let site = ruled(kind, &["--ice"]);
    let told = "mode=updinfo&mount=/radio/live.mp3&song=x";
    let ask = || form(told);
    let _source = source(&site.server, &Request::new("SOURCE", "/radio/live.mp3").of("alice"));
    site.ask(&ask()).status_is(401);
    site.ask(&ask().of("bob")).status_is(403);
    site.ask(&ask().of("alice")).status_is(200);
    let by_get = get(&format!("/admin/metadata?{told}"));
    site.ask(&by_get).status_is(401);
    site.ask(&by_get.clone().of("bob")).status_is(403);
    // Not by a page of another site either.
    let foreign = by_get.of("alice").field("Sec-Fetch-Site", "cross-site");
    site.ask(&foreign.field("Sec-Fetch-Mode", "no-cors")).status_is(403);
}
