//! JavaScript: each member of a request, and what a script may do wrong.

use std::time::{Duration, Instant};

use httpout_tests::{Kind, Request, Ruled, Site, Tree, both, get, head, post, put, until};

both! {
    js_a_body_is_answered,
    js_what_is_told_of_a_request,
    js_fields_are_added_and_replace_the_servers_own,
    js_reply_0_hands_the_request_back,
    js_every_method_is_asked_about,
    js_methods_that_the_server_does_not_know_are_answered,
    js_a_text_goes_out_in_chunks_where_that_is_asked_for,
    js_close_is_below_zero_where_an_upload_breaks,
    js_another_file_is_sent,
    js_a_reader_is_asked_for_pieces,
    js_a_reader_waits_for_the_client,
    js_a_reader_of_known_length,
    js_a_reader_gives_bytes_itself,
    js_head_gets_no_body,
    js_an_upload_is_taken,
    js_an_upload_is_answered_as_its_end_says,
    js_an_upload_that_breaks_off_has_no_end,
    js_an_upload_is_bounded,
    js_an_upload_with_no_write_is_an_error,
    js_throttle_slows_files_and_readers,
    js_throttle_is_asked_with_bytes_done_and_total,
    js_close_tells_the_end,
    js_send_may_come_later,
    js_send_comes_once,
    js_timers_run,
    js_properties_survive,
    js_modules_are_known_and_import_their_neighbours,
    js_print_and_console_go_to_the_log,
    js_rights_are_told_and_kept,
    js_a_virtual_service_answers,
    js_over_tls,
}

const TEXT: &str = "0123456789";

/// A server with a script; `a.txt` is there to be served.
fn scripted(kind: Kind, script: &str) -> Site {
    let tree = Tree::new();
    tree.write("script.js", script);
    tree.write("www/a.txt", TEXT);
    let script = tree.arg("script.js");
    Site::over(tree, kind, &["--js", &script])
}

/// A script whose `on_request` does this and sends.
fn doing(kind: Kind, body: &str) -> Site {
    scripted(kind, &format!("httpout.on_request = (req) => {{ {body}; req.send(); }};"))
}

fn js_a_body_is_answered(kind: Kind) {
    let site = doing(kind, "req.reply = 200; req.body = 'hi'");
    let answer = site.ask(&get("/nothing/there"));
    answer.is(200, "hi");
    answer.field_is("Content-Length", "2");
    answer.field_is_absent("Content-Type");
    let site = doing(kind, "req.reply = 418; req.body = 'é'");
    site.ask(&get("/a.txt")).is(418, "é");
    let site = doing(kind, "req.reply = 200; req.body = new Uint8Array([0, 255, 10])");
    site.ask(&get("/a.txt")).is(200, [0, 255, 10]);
    let site = doing(kind, "req.reply = 204; req.body = 'none of it is sent'");
    let mut client = site.client();
    client.ask(&get("/a.txt")).is(204, "");
    client.ask(&get("/a.txt")).is(204, "");
}

fn js_what_is_told_of_a_request(kind: Kind) {
    let site = doing(
        kind,
        "req.reply = 200; req.body = JSON.stringify([req.method, req.url, req.path, req.query, req.auth_code, req.tls, req.IP, \
         req.ip, typeof req.port, typeof req.netid, req.user ?? null, req.headers_in])",
    );
    let mut client = site.client();
    let request = get("/d/%C3%A9%20f?q=%20").field("X-a", "1").field("x-A", "2");
    let told: serde_json::Value = serde_json::from_slice(&client.ask(&request).body).expect("JSON");
    let expected = serde_json::json!([
        "GET", "/d/é f?q=%20", "/d/é f", "q=%20", 200, httpout_tests::secure::is_asked_for(), "127.0.0.1", "127.0.0.1", "number",
        "number", null,
        [{"name": "Host", "value": "localhost"}, {"name": "X-a", "value": "1"}, {"name": "x-A", "value": "2"}],
    ]);
    assert_eq!(told, expected);
    let site = doing(kind, "req.reply = 200; req.body = req.port + ' ' + req.netid");
    let (mut first, mut second) = (site.client(), site.client());
    let (one, two) = (first.ask(&get("/")).text(), second.ask(&get("/")).text());
    assert_eq!(first.ask(&get("/")).text(), one, "one connection");
    assert_ne!(one, two, "two connections");
    assert!(one.starts_with(&format!("{} ", first.address().port())), "{one}");
}

fn js_fields_are_added_and_replace_the_servers_own(kind: Kind) {
    let site = doing(
        kind,
        "req.headers_out.push({name: 'X-A', value: 'b'}, {name: 'content-type', value: 'text/x'}, {name: 'X-N', value: 5}); \
         if (req.path == '/own') { req.reply = 200; req.body = 'x' }",
    );
    for path in ["/a.txt", "/own", "/missing"] {
        let answer = site.ask(&get(path));
        answer.field_is("X-A", "b");
        answer.field_is("X-N", "5");
        answer.field_is("Content-Type", "text/x");
    }
    let site = doing(kind, "req.headers_out = [{name: 'Connection', value: 'close'}]");
    let mut client = site.client();
    client.ask(&get("/a.txt")).is(200, TEXT).says_close();
    client.closed_in_order();
}

fn js_reply_0_hands_the_request_back(kind: Kind) {
    let site = doing(kind, "");
    site.ask(&get("/a.txt")).is(200, TEXT);
    site.ask(&get("/a.txt").field("Range", "bytes=2-3")).is(206, "23");
    site.ask(&get("/missing")).status_is(404);
    site.ask(&put("/up/b.txt", "new")).status_is(201);
    site.ask(&post("/up/b.txt", "newer")).status_is(200);
    assert_eq!(site.read("up/b.txt").as_deref(), Some(&b"newer"[..]));
    let mut client = site.client();
    client.begin_upload(Request::new("PUT", "/up/c.txt").field("Transfer-Encoding", "chunked"));
    client.send_chunk("in a chunk");
    client.send_last_chunk();
    client.response("PUT").status_is(201);
    site.ask(&httpout_tests::delete("/up/b.txt")).status_is(200);
    site.ask(&get("/.httpout/time")).status_is(200);
    site.is_well();
}

fn js_every_method_is_asked_about(kind: Kind) {
    let site = doing(
        kind,
        "req.reply = 299; req.write = () => {}; req.body = req.method == 'HEAD' ? '' : req.method; \
         req.headers_out.push({name: 'X-Method', value: req.method})",
    );
    for method in ["GET", "HEAD", "DELETE", "OPTIONS"] {
        let answer = site.ask(&Request::new(method, "/x"));
        answer.status_is(299).field_is("X-Method", method);
    }
}

fn js_methods_that_the_server_does_not_know_are_answered(kind: Kind) {
    let site = scripted(
        kind,
        "httpout.on_request = (req) => { if (req.path == '/pass') return req.send(); req.reply = 207; let bytes = 0; \
         req.headers_out.push({name: 'X-Rights', value: req.auth_code}); req.body = req.method; \
         if (req.path == '/taken') req.write = (b) => { if (b) bytes += b.byteLength; else req.body = `${req.method} ${bytes}` }; \
         req.send() }",
    );
    let mut client = site.client();
    for method in ["PROPFIND", "MKCOL", "LOCK", "get", "TRACE", "SOURCE", "VERSION-CONTROL"] {
        // After SOURCE, nothing is read as a request.
        client = if method == "VERSION-CONTROL" { site.client() } else { client };
        let answer = client.ask(&Request::new(method, "/a.txt").field("Depth", "1"));
        answer.is(207, method).field_is("X-Rights", "200");
    }
    client.ask(&Request::new("PROPFIND", "/a.txt").body("<x/>")).is(207, "PROPFIND");
    client.ask(&Request::new("PROPFIND", "/taken").body("<x/>")).is(207, "PROPFIND 4");
    client.ask(&Request::new("MKCOL", "/taken").chunks(&[b"a", b"bc"])).is(207, "MKCOL 3");
    client.ask(&Request::new("REPORT", "/taken")).is(207, "REPORT 0");
    for method in ["PROPFIND", "MKCOL", "get", "SOURCE"] {
        site.ask(&Request::new(method, "/pass")).status_is(501).says_close();
    }
    // What is no method of a path, or none at all, is refused without the script.
    site.server.refuses("CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", 501);
    let long = "X".repeat(25);
    site.server.refuses(format!("{long} / HTTP/1.1\r\nHost: a\r\n\r\n"), 501);
    site.server.refuses("PROPFIND * HTTP/1.1\r\nHost: a\r\n\r\n", 400);
    site.server.refuses("B@D / HTTP/1.1\r\nHost: a\r\n\r\n", 400);
    // The operator's address knows no script.
    let plain = Site::new(kind);
    plain.server.refuses("PROPFIND / HTTP/1.1\r\nHost: a\r\n\r\n", 501);
}

fn js_a_text_goes_out_in_chunks_where_that_is_asked_for(kind: Kind) {
    let site = doing(
        kind,
        "req.headers_out.push({name: 'Transfer-Encoding', value: 'chunked'}); req.reply = Number(req.query ?? 200); \
         req.body = req.path == '/bytes' ? new Uint8Array([1, 2]) : req.path == '/empty' ? '' : 'hello'",
    );
    let mut client = site.client();
    let answer = client.ask(&get("/"));
    answer.is(200, "hello").field_is("Transfer-Encoding", "chunked");
    answer.field_is_absent("Content-Length");
    assert_eq!(answer.chunks, [5]);
    client.ask(&get("/bytes")).is(200, [1, 2]).field_is("Transfer-Encoding", "chunked");
    client.ask(&get("/empty")).is(200, "").field_is("Transfer-Encoding", "chunked");
    client.ask(&get("/?404")).is(404, "hello").field_is("Transfer-Encoding", "chunked");
    client.ask(&head("/")).is(200, "");
    client.ask(&get("/?204")).is(204, "").field_is_absent("Transfer-Encoding");
    client.ask(&get("/")).is(200, "hello");
    let old = site.ask(&get("/").http10());
    old.is(200, "hello").field_is_absent("Transfer-Encoding");
}

fn js_close_is_below_zero_where_an_upload_breaks(kind: Kind) {
    let site = scripted(
        kind,
        "let log = []; httpout.on_request = (req) => { \
         if (req.path == '/log') { req.reply = 200; req.body = log.join(); return req.send() } \
         if (req.path != '/stored') { req.reply = 200; req.write = () => {} } \
         req.close = (code) => log.push(`${req.path} ${code < 0 ? 'broken' : code}`); req.send() };",
    );
    let head = |path: &str| {
        format!("PUT {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nsome\r\n")
    };
    let mut expected = Vec::new();
    for path in ["/taken", "/stored"] {
        site.ask(&Request::new("PUT", path).chunks(&[b"whole"])).status_in(&[200, 201]);
        expected.push(format!("{path} 1"));
        // The end of the connection, and what is no chunk: both are answered.
        for rest in ["", "zz\r\n"] {
            let mut client = site.client();
            client.send(head(path) + rest);
            if rest.is_empty() {
                client.finish_sending();
            }
            client.response("PUT").status_is(400);
            expected.push(format!("{path} broken"));
        }
        let mut client = site.client();
        client.begin_upload(Request::new("PUT", path).chunked());
        client.abort();
        expected.push(format!("{path} broken"));
        // The ends of different connections are told in no certain order.
        expected.sort();
        let told = until("each end is told", || {
            let text = site.ask(&get("/log")).text();
            let mut told: Vec<_> = text.split(',').map(str::to_owned).collect();
            told.sort();
            (told.len() >= expected.len()).then_some(told)
        });
        assert_eq!(told, expected);
    }
}

fn js_another_file_is_sent(kind: Kind) {
    let tree = Tree::new();
    tree.write("script.js", "httpout.on_request = (req) => { req.body = req.query; req.send(); }");
    tree.write("www/a.txt", TEXT);
    tree.write("www/b.mp4", "a film");
    tree.write("more/c.txt", "beside");
    tree.write("secret.txt", "secret");
    tree.link("www/out.txt", "../secret.txt");
    let (script, more) = (tree.arg("script.js"), tree.arg("more"));
    let site = Site::over(tree, kind, &["--js", &script, "--js-dirs", &more]);
    let ask = |path: &str| site.ask(&get(&format!("/a.txt?{}", site.tree.arg(path))));
    let film = ask("www/b.mp4");
    film.is(200, "a film").field_is("Content-Type", "video/mp4");
    ask("more/c.txt").is(200, "beside");
    let range =
        get(&format!("/missing?{}", site.tree.arg("more/c.txt"))).field("Range", "bytes=0-1");
    site.ask(&range).is(206, "be");
    for nothing in ["www/missing", "secret.txt", "www/../secret.txt", "www/out.txt", "www", ""] {
        ask(nothing).is(200, TEXT);
    }
}

/// Gives 25 000 bytes, and has nothing each second time.
const READER: &str = "let left = 25000, odd = false; req.reply = 200; \
     req.read = (buffer) => { if (odd = !odd) return -1; const n = Math.min(left, buffer.byteLength); left -= n; \
     new Uint8Array(buffer).fill(65, 0, n); return n }";

fn js_a_reader_is_asked_for_pieces(kind: Kind) {
    let site = doing(kind, READER);
    let mut client = site.client();
    for _ in 0..2 {
        let answer = client.ask(&get("/"));
        answer.is(200, vec![b'A'; 25_000]);
        assert_eq!(answer.chunks, [10_000, 10_000, 5_000]);
    }
    let answer = site.ask(&get("/").http10());
    answer.is(200, vec![b'A'; 25_000]);
}

fn js_a_reader_waits_for_the_client(kind: Kind) {
    let site = scripted(
        kind,
        "let given = 0; httpout.on_request = (req) => { req.reply = 200; \
         if (req.path == '/given') req.body = String(given); \
         else req.read = (buffer) => { given += buffer.byteLength; return buffer.byteLength }; req.send() }",
    );
    let mut client = site.client();
    client.small_window();
    client.begin(&get("/"));
    let given = || site.ask(&get("/given")).text().parse::<u64>().expect("a number");
    let mut before = 0;
    let stalled = until("the reader waits", || {
        let now = given();
        (std::mem::replace(&mut before, now) == now && now > 0).then_some(now)
    });
    assert!(stalled < 100 << 20, "{stalled} bytes for a client that takes none");
    client.abort();
    site.is_well();
}

fn js_a_reader_of_known_length(kind: Kind) {
    let given = |said: &str| {
        doing(
            kind,
            &format!("req.headers_out = [{{name: 'Content-Length', value: {said}}}]; {READER}"),
        )
    };
    let answer = given("25000").ask(&get("/"));
    answer.is(200, vec![b'A'; 25_000]).field_is("Content-Length", "25000");
    // More than was said is left out.
    let site = given("12000");
    let mut client = site.client();
    client.ask(&get("/")).is(200, vec![b'A'; 12_000]);
    client.ask(&get("/")).is(200, vec![b'A'; 12_000]);
    // Less is no whole answer.
    let site = given("30000");
    let mut client = site.client();
    client.begin(&get("/")).field_is("Content-Length", "30000");
    let (count, end) = client.count();
    assert_eq!(count, 25_000);
    assert!(end.is_some(), "it must show that there should be more");
}

fn js_a_reader_gives_bytes_itself(kind: Kind) {
    let site = doing(
        kind,
        "let left = 2; req.reply = 200; req.read = () => left-- > 0 ? new Uint8Array([left, 7, 8]).subarray(0, 2) : 0",
    );
    site.ask(&get("/")).is(200, [1, 7, 0, 7]);
}

fn js_head_gets_no_body(kind: Kind) {
    let site = doing(kind, "req.reply = 200; req.body = 'hi'");
    let mut client = site.client();
    client.ask(&head("/")).is(200, "").field_is("Content-Length", "2");
    client.ask(&get("/")).is(200, "hi");
    let site = doing(kind, READER);
    let mut client = site.client();
    client.ask(&head("/")).is(200, "");
    client.ask(&get("/")).is(200, vec![b'A'; 25_000]);
    let site =
        doing(kind, "req.reply = 200; req.headers_out = [{name: 'Content-Length', value: 77}]");
    site.ask(&head("/")).is(200, "").field_is("Content-Length", "77");
}

/// Counts what comes, and how it ends.
const COUNTER: &str = "let log = []; httpout.on_request = (req) => { req.reply = 200; \
     if (req.path == '/log') { req.body = log.join() } else { let bytes = 0; \
     req.write = (b) => { if (b) { if (!(b instanceof ArrayBuffer)) throw new Error('no buffer'); bytes += b.byteLength } \
     else { log.push('end'); req.body = `${bytes} bytes`; req.headers_out = [{name: 'X-A', value: 'b'}] } }; \
     req.close = (code) => log.push(code) } req.send() };";

fn js_an_upload_is_taken(kind: Kind) {
    let site = scripted(kind, COUNTER);
    let mut client = site.client();
    for request in [put("/x", vec![7; 3 << 20]), post("/x", vec![7; 3 << 20])] {
        client.ask(&request).is(200, "3145728 bytes").field_is("X-A", "b");
    }
    client.ask(&put("/x", "")).is(200, "0 bytes");
    client.begin_upload(Request::new("PUT", "/x").field("Transfer-Encoding", "chunked"));
    for _ in 0..3 {
        client.send_chunk("ten bytes!");
    }
    client.send_last_chunk();
    client.response("PUT").is(200, "30 bytes");
    client.ask(&Request::new("POST", "/x")).is(200, "0 bytes");
    client.ask(&get("/log")).is(200, "end,1,end,1,end,1,end,1,end,1");
    assert!(!site.has("x"), "it is stored");
}

fn js_an_upload_is_answered_as_its_end_says(kind: Kind) {
    let site = doing(
        kind,
        "const all = []; req.reply = 200; req.write = (b) => { if (b) all.push(new Uint8Array(b)); \
         else if (req.path == '/echo') { req.reply = 299; req.read = () => all.shift() ?? 0 } else req.reply = 422 }",
    );
    let mut client = site.client();
    client.ask(&post("/echo", "what was sent")).is(299, "what was sent");
    client.ask(&post("/no", "what was sent")).is(422, "");
}

fn js_an_upload_that_breaks_off_has_no_end(kind: Kind) {
    let site = scripted(kind, COUNTER);
    let mut client = site.client();
    client.begin_upload(Request::new("PUT", "/x").field("Transfer-Encoding", "chunked"));
    client.send_chunk("only some");
    client.abort();
    until("the end is told", || (site.ask(&get("/log")).text() == "-43").then_some(()));
}

fn js_an_upload_is_bounded(kind: Kind) {
    let tree = Tree::new();
    tree.write("script.js", COUNTER);
    let script = tree.arg("script.js");
    let site = Site::over(tree, kind, &["--js", &script, "--maxs", "20"]);
    site.ask(&put("/x", vec![0; 20])).is(200, "20 bytes");
    site.ask(&put("/x", vec![0; 21])).status_is(413);
    let mut client = site.client();
    client.begin_upload(Request::new("PUT", "/x").field("Transfer-Encoding", "chunked"));
    client.send_chunk(vec![0; 21]);
    client.response("PUT").status_is(413);
}

fn js_an_upload_with_no_write_is_an_error(kind: Kind) {
    let site = doing(
        kind,
        "req.reply = req.path == '/no' ? 403 : 200; if (req.path == '/throws') req.write = () => { throw new Error('odd') }",
    );
    let mut client = site.client();
    client.ask(&put("/x", "")).status_is(500);
    let mut client = site.client();
    client.ask(&put("/no", "refused")).status_is(403);
    let mut client = site.client();
    client.ask(&put("/throws", "refused")).status_is(500);
    site.is_well();
    let log = site.server.stop().stderr;
    assert!(log.contains("there is no write()") && log.contains("odd"), "{log}");
}

fn js_throttle_slows_files_and_readers(kind: Kind) {
    // Five blocks, 40 ms before each.
    for what in [
        "",
        "req.headers_out = [{name: 'Content-Length', value: 50000}]; req.reply = 200; req.read = (b) => b.byteLength",
    ] {
        let site = doing(kind, &format!("req.throttle = () => 40000; {what}"));
        site.write("big.bin", vec![7; 50_000]);
        let began = Instant::now();
        let answer = site.ask(&get("/big.bin"));
        assert_eq!(answer.body.len(), 50_000);
        assert!(began.elapsed() >= Duration::from_millis(200), "{:?}", began.elapsed());
    }
}

fn js_throttle_is_asked_with_bytes_done_and_total(kind: Kind) {
    let site = scripted(
        kind,
        "let asked = []; httpout.on_request = (req) => { \
         if (req.path == '/asked') { req.reply = 200; req.body = JSON.stringify(asked) } \
         else req.throttle = (done, total) => { asked.push([done, total]); return 0 }; req.send() }",
    );
    site.write("big.bin", vec![7; 25_000]);
    site.ask(&get("/big.bin")).status_is(200);
    site.ask(&get("/asked")).is(200, "[[0,25000],[10000,25000],[20000,25000]]");
}

fn js_close_tells_the_end(kind: Kind) {
    let site = scripted(
        kind,
        "let codes = []; httpout.on_request = (req) => { req.reply = 200; req.close = (code) => codes.push(req.path + code); \
         if (req.path == '/codes') req.body = codes.join(); else if (req.path == '/endless') req.read = (b) => b.byteLength; \
         else if (req.path == '/back') req.reply = 0; req.send() }",
    );
    let mut client = site.client();
    client.ask(&get("/one"));
    client.ask(&get("/codes")).is(200, "/one1");
    client.ask(&get("/back")).status_is(404);
    let mut endless = site.client();
    endless.begin(&get("/endless"));
    endless.abort();
    until("the end is told", || {
        client.ask(&get("/codes")).text().contains("/endless-43").then_some(())
    });
    assert!(client.ask(&get("/codes")).text().contains("/back1"));
}

fn js_send_may_come_later(kind: Kind) {
    let site = scripted(
        kind,
        "let waiting = null; httpout.on_request = async (req) => { req.reply = 200; \
         if (req.path == '/wait') { waiting = req; return } \
         if (req.path == '/soon') { await new Promise((done) => setTimeout(done, 20)); req.body = 'soon' } \
         else if (waiting) { waiting.body = 'woken'; waiting.send() } \
         req.send() }",
    );
    site.ask(&get("/soon")).is(200, "soon");
    let mut client = site.client();
    client.send(get("/wait").bytes());
    // The one that comes after it lets it go.
    let woken = std::thread::scope(|scope| {
        let woken = scope.spawn(|| client.response("GET"));
        until("it is woken", || {
            site.ask(&get("/wake"));
            woken.is_finished().then_some(())
        });
        woken.join().expect("an answer")
    });
    woken.is(200, "woken");
}

fn js_send_comes_once(kind: Kind) {
    let site = doing(
        kind,
        "req.reply = 200; req.body = 'once'; req.send(); let what; try { req.send() } catch (error) { what = error.message }; \
         print(what); return",
    );
    site.ask(&get("/")).is(200, "once");
    // The script goes on behind its answer.
    site.ask(&get("/")).is(200, "once");
    assert!(site.server.stop().stderr.contains("send() was called before"));
}

fn js_timers_run(kind: Kind) {
    let site = scripted(
        kind,
        "let seen = []; const every = setInterval((a) => { seen.push(a); if (seen.length == 3) clearInterval(every) }, 5, 'i'); \
         const never = setTimeout(() => seen.push('never'), 1); clearTimeout(never); \
         httpout.on_request = (req) => setTimeout((req) => { req.reply = 200; req.body = seen.join(''); req.send() }, 1, req)",
    );
    until("the timer rang", || (site.ask(&get("/")).text() == "iii").then_some(()));
}

fn js_properties_survive(kind: Kind) {
    let site = doing(
        kind,
        "req.mine = { n: 1 }; req.reply = 200; req.read = function (b) { return this.mine.n-- > 0 ? b.byteLength : 0 }",
    );
    site.ask(&get("/")).is(200, vec![0; 10_000]);
}

fn js_modules_are_known_and_import_their_neighbours(kind: Kind) {
    let tree = Tree::new();
    tree.write("lib/words.js", "export const word = 'imported';\n");
    tree.write("script.js", "import { word } from './lib/words.js';\nhttpout.on_request = (req) => { req.reply = 200; req.body = word; req.send() }\n");
    let script = tree.arg("script.js");
    let site = Site::over(tree, kind, &["--js", &script]);
    site.ask(&get("/")).is(200, "imported");
}

fn js_print_and_console_go_to_the_log(kind: Kind) {
    let site = doing(
        kind,
        "print('plain'); print(1, 'bad'); print(GF_LOG_WARNING, 'odd'); console.error('e', {a: 1}); console.log(null)",
    );
    site.ask(&get("/a.txt")).is(200, TEXT);
    let log = site.server.stop().stderr;
    for (level, text) in [
        ("INFO", "plain"),
        ("ERROR", "bad"),
        ("WARN", "odd"),
        ("ERROR", "e {\"a\":1}"),
        ("INFO", "null"),
    ] {
        assert!(
            log.lines().any(|line| line.contains(level) && line.ends_with(text)),
            "{level} {text} in {log}"
        );
    }
}

const RULES: &str = "[www]\nru=alice\n[www/open]\nru=$ALL\n[service]\nname=service\nru=bob\n";

fn ruled(kind: Kind, script: &str) -> Ruled {
    let tree = Tree::new();
    tree.write("www/a.txt", TEXT);
    tree.write("www/open/b.txt", TEXT);
    tree.write("script.js", script);
    let script = tree.arg("script.js");
    Ruled::over(tree, kind, RULES, &["--js", &script])
}

fn js_rights_are_told_and_kept(kind: Kind) {
    let site = ruled(
        kind,
        "httpout.on_request = (req) => { req.headers_out = [{name: 'X-Code', value: req.auth_code + ' ' + req.user}]; \
         if (req.query == 'own') { req.reply = 200; req.body = 'own' } req.send() }",
    );
    let check = |request: Request, status: u16, code: &str| {
        site.ask(&request).status_is(status).field_is("X-Code", code);
    };
    check(get("/a.txt").by("alice", "alice-secret"), 200, "200 alice");
    check(get("/a.txt"), 401, "401 null");
    check(get("/a.txt").by("bob", "bob-secret"), 403, "403 bob");
    check(get("/a.txt").by("alice", "wrong"), 401, "403 null");
    check(get("/a.txt").field("Authorization", "Basic ?"), 400, "400 null");
    check(get("/open/b.txt"), 200, "200 null");
    check(put("/a.txt", "x").by("alice", "alice-secret"), 403, "403 null");
    // Whatever the rules say, the script may answer.
    site.ask(&get("/a.txt?own")).is(200, "own");
    let refused = site.ask(&get("/a.txt"));
    refused.need("WWW-Authenticate");
}

fn js_a_virtual_service_answers(kind: Kind) {
    let site = ruled(
        kind,
        "httpout.on_request = (req) => { if (req.path == '/service/x' && req.auth_code == 200) { req.reply = 200; req.body = 'served' } \
         req.send() }",
    );
    site.ask(&get("/service/x").by("bob", "bob-secret")).is(200, "served");
    site.ask(&get("/service/x")).status_is(401);
    site.ask(&get("/service/x").by("alice", "alice-secret")).status_is(403);
    site.ask(&get("/service/y").by("bob", "bob-secret")).status_is(404);
}

fn js_over_tls(kind: Kind) {
    let tree = Tree::new();
    tree.write(
        "script.js",
        "httpout.on_request = (req) => { req.reply = 200; req.body = String(req.tls); req.send() }",
    );
    let script = tree.arg("script.js");
    let site = Site::over(tree, kind, &["--js", &script, "--self-signed"]);
    site.ask(&get("/")).is(200, "true");
}
