//! Scripts that are wrong, broken or mad: a clear message or an error, never a hang, and the server
//! lives on.

use std::env;

use httpout_tests::{Kind, Piece, Server, Site, Tree, both, get, put, until};
use rustix::process::Signal;

both! {
    js_what_cannot_be_run_is_refused_at_the_start,
    js_a_throw_is_500_and_told_with_its_stack,
    js_a_wrong_verdict_is_500,
    js_a_wrong_read_cuts_the_answer,
    js_a_broken_callback_is_told,
    js_a_throttle_that_throws_is_told_once_for_each_request,
    js_an_exception_in_send_is_told_once,
    js_a_stack_is_a_readable_line,
    js_callbacks_that_give_promises_are_told,
    js_a_request_that_is_never_sent_is_503,
    js_a_loop_is_503_and_holds_up_no_download,
    js_memory_is_bounded,
    js_promises_without_end_are_broken_off,
    js_a_rejection_that_nobody_catches_is_told,
    js_deep_recursion_is_an_error,
    js_sighup_reads_the_script_anew,
    js_requests_survive_a_reload,
    js_a_soak_leaves_memory_flat,
}

const TEXT: &str = "0123456789";

fn scripted(kind: Kind, script: &str, args: &[&str]) -> Site {
    let tree = Tree::new();
    tree.write("script.js", script);
    tree.write("www/a.txt", TEXT);
    let script = tree.arg("script.js");
    Site::over(tree, kind, &[&["--js", &script, "--max_client_errors", "0"], args].concat())
}

fn js_what_cannot_be_run_is_refused_at_the_start(kind: Kind) {
    let tree = Tree::new();
    tree.dir("www");
    for (script, words) in [
        ("let a = 1;\nlet b = ;\n", &["script.js:2", "SyntaxError"][..]),
        ("let a = 1;\n", &["sets no function httpout.on_request"]),
        ("httpout.on_request = 5;\n", &["sets no function httpout.on_request"]),
        ("\n\nnothing.there();\n", &["script.js:3", "ReferenceError", "nothing"]),
        ("import { x } from 'gpaccore';\n", &["gpaccore", "only files can be imported"]),
        ("export const a = ;\n", &["script.js:1", "SyntaxError"]),
        ("while (true) {}\n", &["did not come to its end"]),
    ] {
        tree.write("script.js", script);
        let args =
            ["--rdirs", &tree.arg("www"), "--js", &tree.arg("script.js"), "--js-time", "0.05"];
        let exit = Server::fails(kind, &args);
        assert_eq!(exit.code, Some(78), "{script:?}: {exit:?}");
        for word in words {
            assert!(exit.stderr.contains(word), "{word} in {:?} to {script:?}", exit.stderr);
        }
    }
    let exit = Server::fails(kind, &["--rdirs", &tree.arg("www"), "--js", &tree.arg("missing.js")]);
    assert!(exit.stderr.contains("missing.js cannot be read"), "{exit:?}");
}

fn js_a_throw_is_500_and_told_with_its_stack(kind: Kind) {
    let site = scripted(
        kind,
        "function deeper(req) { if (req.path == '/value') throw 'a text'; throw new Error('on purpose'); }\n\
         httpout.on_request = (req) => { if (req.path == '/late') return Promise.resolve().then(() => deeper(req)); \
         if (req.path == '/a.txt') req.send(); else deeper(req) }",
        &[],
    );
    let mut client = site.client();
    for path in ["/now", "/late", "/value"] {
        let answer = client.ask(&get(path));
        answer.status_is(500);
        answer.need("Content-Length");
    }
    client.ask(&get("/a.txt")).is(200, TEXT);
    let log = site.server.stop().stderr;
    assert!(
        log.contains("on purpose") && log.contains("at deeper") && log.contains("script.js:1"),
        "{log}"
    );
    assert!(log.contains("GET /late") && log.contains("a text"), "{log}");
}

fn js_a_wrong_verdict_is_500(kind: Kind) {
    let wrong = [
        ("req.reply = 'x'", "which is no status"),
        ("req.reply = 200.5", "which is no status"),
        ("req.reply = NaN", "which is no status"),
        ("req.reply = 99", "reply is 99"),
        ("req.reply = 101", "reply is 101"),
        ("req.reply = 1000", "reply is 1000"),
        ("req.reply = -1", "reply is -1"),
        (
            "req.headers_out = [{name: 'X-A', value: 'b\\r\\nX-B: c'}]",
            "is no value of the header field X-A",
        ),
        ("req.headers_out = [{name: 'X A', value: 'b'}]", "is no name of a header field"),
        ("req.headers_out = [{name: 'Content-Length', value: 7}]", "leave out Content-Length"),
        (
            "req.headers_out = [{name: 'Transfer-Encoding', value: 'chunked'}]",
            "leave out Content-Length",
        ),
        ("req.headers_out = [{name: 'Upgrade', value: 'h2c'}]", "belongs to the connection"),
        (
            "req.reply = 200; req.body = 'four'; req.headers_out = [{name: 'Content-Length', value: 7}]",
            "Content-Length says 7",
        ),
        (
            "req.reply = 200; req.headers_out = [{name: 'Transfer-Encoding', value: 'gzip'}]",
            "is no value of the header field",
        ),
        (
            "req.reply = 200; req.headers_out = [{name: 'Content-Length', value: 8}]",
            "Content-Length says 8, and the body has 0 bytes",
        ),
        ("req.headers_out = 5", "not iterable"),
        ("req.headers_out = [null]", "TypeError"),
        ("req.reply = 200; req.body = { toString() { throw new Error('odd') } }", "odd"),
    ];
    let cases: Vec<String> =
        wrong.iter().map(|(case, _)| format!("(req) => {{ {case} }}")).collect();
    let script = format!(
        "const cases = [{}]; httpout.on_request = (req) => {{ if (req.query) cases[req.query](req); req.send() }}",
        cases.join(",\n")
    );
    let site = scripted(kind, &script, &[]);
    let mut client = site.client();
    for (number, (case, _)) in wrong.iter().enumerate() {
        let answer = client.ask(&get(&format!("/a.txt?{number}")));
        assert_eq!(answer.status, 500, "{case}: {answer:?}");
        client.ask(&get("/a.txt")).is(200, TEXT);
    }
    client.ask(&put("/up.txt?0", "body")).status_is(500);
    assert!(!site.has("up.txt"));
    let log = site.server.stop().stderr;
    for (case, words) in wrong {
        assert!(log.contains(words), "{words:?} for {case}: {log}");
    }
}

fn js_a_wrong_read_cuts_the_answer(kind: Kind) {
    let site = scripted(
        kind,
        "const reads = [() => 10001, () => 0.5, () => 'text', () => { throw new Error('in read') }, () => ({}), \
         (b) => { b.transfer?.(); return 5 }]; \
         httpout.on_request = (req) => { let n = 0; req.reply = 200; \
         req.read = (b) => n++ == 0 ? 3 : reads[req.query](b); req.send() }",
        &[],
    );
    for number in 0..6 {
        let mut client = site.client();
        client.begin(&get(&format!("/?{number}")));
        client.rest().expect_err("an answer that is not whole must show it");
    }
    let log = site.server.stop().stderr;
    for words in ["10001 bytes into a buffer of 10000", "0.5", "in read"] {
        assert!(log.contains(words), "{words} in {log}");
    }
}

fn js_a_broken_callback_is_told(kind: Kind) {
    let site = scripted(
        kind,
        "httpout.on_request = (req) => { req.throttle = () => { throw new Error('in throttle') }; \
         req.close = () => { throw new Error('in close') }; setTimeout(() => { throw new Error('in timer') }); req.send() }",
        &[],
    );
    let mut client = site.client();
    client.ask(&get("/a.txt")).is(200, TEXT);
    client.ask(&get("/a.txt")).is(200, TEXT);
    let log = site.server.stop().stderr;
    for words in ["in throttle", "in close", "in timer"] {
        assert!(log.contains(words), "{words} in {log}");
    }
}

fn js_a_throttle_that_throws_is_told_once_for_each_request(kind: Kind) {
    let site = scripted(
        kind,
        "httpout.on_request = (req) => { req.throttle = () => { throw new Error('in throttle of ' + req.path) }; \
         setInterval(() => { throw new Error('in interval') }, 1); req.send() }",
        &["--block_size", "1000"],
    );
    site.tree.write("www/big.bin", vec![7; 50_000]);
    for _ in 0..3 {
        site.ask(&get("/big.bin")).is(200, vec![7; 50_000]);
    }
    let log = site.server.stop().stderr;
    assert_eq!(log.matches("in throttle of /big.bin").count(), 3, "{log}");
    assert!(log.matches("in interval").count() <= 3, "{log}");
}

fn js_an_exception_in_send_is_told_once(kind: Kind) {
    let site = scripted(
        kind,
        "const bad = (req) => { req.reply = 200; req.body = { toString() { throw req.query ? req.path : new Error(req.path) } }; \
         req.send() };\n\
         httpout.on_request = (req) => { switch (req.path) { \
         case '/now': return bad(req); \
         case '/reply': req.reply = '/reply'; return req.send(); \
         case '/later': return void setTimeout(() => bad(req)); \
         case '/async': return (async () => { await null; bad(req) })(); \
         case '/both': return void setTimeout(async () => bad(req)); \
         case '/caught': try { bad(req) } catch { } return; \
         default: req.send() } }",
        &[],
    );
    let mut client = site.client();
    let paths = ["/now", "/reply", "/later", "/async", "/both", "/caught"];
    for path in paths {
        client.ask(&get(path)).status_is(500);
    }
    for path in ["/now", "/later", "/async", "/both"] {
        client.ask(&get(&format!("{path}?thrown"))).status_is(500);
    }
    client.ask(&get("/a.txt")).is(200, TEXT);
    let log = site.server.stop().stderr;
    for path in paths {
        let request = format!("GET {path}\"");
        let told = log.lines().filter(|line| line.contains(&request)).count();
        assert_eq!(told, 1, "{path}: {log}");
    }
    for path in ["/now", "/later", "/async", "/both"] {
        let request = format!("GET {path}?thrown\"");
        let told = log.lines().filter(|line| line.contains(&request)).count();
        assert_eq!(told, 1, "{path}?thrown: {log}");
    }
    assert_eq!(log.matches("ERROR").count(), paths.len() + 4, "{log}");
}

fn js_a_stack_is_a_readable_line(kind: Kind) {
    let site = scripted(
        kind,
        "function inner() { throw new Error('on purpose') }\n\
         function outer() {\n  inner();\n}\n\
         httpout.on_request = (req) => {\n\
           if (req.path === '/shown') { try { outer() } catch (error) { console.error('shown', error) } req.send() }\n\
           else if (req.path === '/late') return (async () => { await null; outer() })();\n\
           else outer();\n\
         };",
        &[],
    );
    for path in ["/now", "/late", "/shown"] {
        site.ask(&get(path)).status_in(&[404, 500]);
    }
    let script = site.tree.arg("script.js");
    let log = site.server.stop().stderr;
    let lines: Vec<_> = log.lines().filter(|line| line.contains("on purpose")).collect();
    assert_eq!(lines.len(), 3, "{log}");
    for line in lines {
        for place in [format!("at inner ({script}:1:"), format!("at outer ({script}:3:")] {
            assert!(line.contains(&place), "{place} in {line}");
        }
        assert!(!line.contains("u000a") && !line.contains("httpout:"), "{line}");
    }
}

fn js_callbacks_that_give_promises_are_told(kind: Kind) {
    let site = scripted(
        kind,
        "httpout.on_request = (req) => { req.reply = req.path == '/a.txt' ? 0 : 200; \
         if (req.query == 'throttle') req.throttle = async () => { throw new Error('unseen') }; \
         if (req.query == 'read') req.read = async () => { throw new Error('unseen') }; \
         if (req.query == 'write') req.write = async () => { throw new Error('in write') }; \
         if (req.query == 'end') req.write = async (b) => { if (!b) throw new Error('in the end') }; \
         req.send() }",
        &[],
    );
    let mut client = site.client();
    client.ask(&get("/a.txt?throttle")).is(200, TEXT);
    client.ask(&get("/own?read")).status_is(500);
    client.ask(&put("/own?write", "body")).status_is(500);
    site.ask(&put("/own?end", "body"));
    let log = site.server.stop().stderr;
    for words in ["throttle() gave a promise", "read() gave a promise", "in write", "in the end"] {
        assert_eq!(log.matches(words).count(), 1, "{words} in {log}");
    }
    assert!(!log.contains("unseen"), "{log}");
}

fn js_a_request_that_is_never_sent_is_503(kind: Kind) {
    let site = scripted(
        kind,
        "httpout.on_request = (req) => { if (req.path != '/never') req.send() }",
        &["--js-wait", "0.2"],
    );
    let mut client = site.client();
    let answer = client.ask(&get("/never"));
    answer.status_is(503);
    answer.need("Retry-After");
    client.ask(&get("/a.txt")).is(200, TEXT);
    // Who leaves meanwhile takes the request along.
    let mut gone = site.client();
    gone.send(get("/never").bytes());
    gone.abort();
    client.ask(&get("/a.txt")).is(200, TEXT);
    assert!(site.server.stop().stderr.contains("send() was not called"));
}

fn js_a_loop_is_503_and_holds_up_no_download(kind: Kind) {
    let site = scripted(
        kind,
        "httpout.on_request = (req) => { if (req.path == '/loop') while (true) {} req.send() }",
        &["--js-time", "0.5"],
    );
    let size = 64 << 20;
    site.tree.sparse("www/big.bin", size);
    let mut download = site.client();
    download.begin(&get("/big.bin"));
    let mut looping = site.client();
    looping.send(get("/loop").bytes());
    let (count, _) = download.count_up_to(size);
    assert_eq!(count, size);
    looping.response("GET").status_is(503);
    looping.ask(&get("/a.txt")).is(200, TEXT);
    assert!(site.server.stop().stderr.contains("it took longer than 500ms"));
}

fn js_memory_is_bounded(kind: Kind) {
    let site = scripted(
        kind,
        "let kept = []; httpout.on_request = (req) => { \
         if (req.path == '/burst') { const a = []; while (true) a.push('x'.repeat(1000) + a.length) } \
         if (req.path == '/hoard') while (true) kept.push('x'.repeat(1000) + kept.length); \
         req.send() }",
        &["--js-memory", "8M", "--js-time", "10"],
    );
    let mut client = site.client();
    for path in ["/burst", "/burst", "/hoard", "/hoard"] {
        client.ask(&get(path)).status_is(500);
        until("the script answers again", || {
            (client.ask(&get("/a.txt")).status == 200).then_some(())
        });
    }
    assert!(site.server.memory_kib() < 100 << 10, "{} KiB", site.server.memory_kib());
    assert!(site.server.stop().stderr.contains("started anew"));
}

fn js_promises_without_end_are_broken_off(kind: Kind) {
    let site = scripted(
        kind,
        "const spin = async () => { while (true) await null }; \
         httpout.on_request = (req) => { if (req.path == '/spin') spin(); req.send() }",
        &["--js-time", "0.2"],
    );
    let mut client = site.client();
    client.ask(&get("/spin")).status_in(&[404, 500, 503]);
    for _ in 0..3 {
        until("the script answers again", || {
            (client.ask(&get("/a.txt")).status == 200).then_some(())
        });
    }
}

fn js_a_rejection_that_nobody_catches_is_told(kind: Kind) {
    let site = scripted(
        kind,
        "httpout.on_request = (req) => { setTimeout(async () => { req.send(); throw new Error('in vain') }); \
         (async () => { throw new Error('caught') })().catch(() => {}) }",
        &[],
    );
    let mut client = site.client();
    client.ask(&get("/a.txt")).is(200, TEXT);
    client.ask(&get("/a.txt")).is(200, TEXT);
    let log = site.server.stop().stderr;
    assert!(log.contains("nobody catches") && log.contains("in vain"), "{log}");
    assert!(!log.contains("caught"), "{log}");
}

fn js_deep_recursion_is_an_error(kind: Kind) {
    let site = scripted(
        kind,
        "const deep = (n) => deep(n + 1) + 1; httpout.on_request = (req) => { if (req.path == '/deep') deep(0); req.send() }",
        &[],
    );
    let mut client = site.client();
    client.ask(&get("/deep")).status_is(500);
    client.ask(&get("/a.txt")).is(200, TEXT);
}

/// A script that answers with a word.
fn saying(word: &str) -> String {
    format!("httpout.on_request = (req) => {{ req.reply = 200; req.body = '{word}'; req.send() }}")
}

fn js_sighup_reads_the_script_anew(kind: Kind) {
    let site = scripted(kind, &saying("one"), &["--admin", "127.0.0.1:0"]);
    let reloads = |result: &str| {
        site.server.counter(&format!("httpout_reloads_total{{result=\"{result}\"}}"))
    };
    let mut client = site.client();
    client.ask(&get("/")).is(200, "one");
    site.tree.write("script.js", saying("two"));
    site.server.signal(Signal::HUP);
    until("it is read anew", || (reloads("done") == 1).then_some(()));
    client.ask(&get("/")).is(200, "two");
    site.tree.write("script.js", "let a = ;");
    site.server.signal(Signal::HUP);
    until("it is refused", || (reloads("failed") == 1).then_some(()));
    client.ask(&get("/")).is(200, "two");
    let log = site.server.stop().stderr;
    assert!(log.contains("script.js:1") && log.contains("nothing is changed"), "{log}");
}

fn js_requests_survive_a_reload(kind: Kind) {
    let slow = "let go = false; httpout.on_request = (req) => { req.reply = 200; let left = 3; \
        if (req.path == '/go') { go = true; req.body = 'went' } \
        else req.read = (b) => go || left == 3 ? (left-- > 0 ? 1 : 0) : -1; \
        setTimeout(() => go = true, 300); req.send() }";
    let site = scripted(kind, slow, &["--admin", "127.0.0.1:0"]);
    let mut client = site.client();
    client.begin(&get("/slow"));
    let Piece::Data(first) = client.piece() else { panic!("a piece") };
    assert_eq!(first.len(), 1);
    site.tree.write("script.js", saying("new"));
    site.server.signal(Signal::HUP);
    until("it is read anew", || (site.ask(&get("/")).text() == "new").then_some(()));
    assert_eq!(client.rest().expect("the old script ends its answer").len(), 2);
}

/// `HTTPOUT_TEST_SOAK`: how many requests.
fn js_a_soak_leaves_memory_flat(kind: Kind) {
    let requests: u64 =
        env::var("HTTPOUT_TEST_SOAK").ok().and_then(|n| n.parse().ok()).unwrap_or(3_000);
    let site = scripted(
        kind,
        "httpout.on_request = (req) => { req.headers_in.length; req.mine = {}; \
         const kind = Math.floor(Math.random() * 4); req.close = () => {}; \
         if (kind == 1) { req.reply = 200; req.body = 'text' } \
         if (kind == 2) { let n = 2; req.reply = 200; req.read = (b) => n-- > 0 ? b.byteLength : 0 } \
         if (kind == 3) { req.throttle = () => 0; setTimeout(() => req.send(), 0) } else req.send() }",
        &[],
    );
    let mut half = 0;
    let mut client = site.client();
    for number in 0..requests {
        if number % 5_000 == 0 {
            client = site.client();
        }
        client.ask(&get("/a.txt")).status_is(200);
        if number == requests / 2 {
            half = site.server.memory_kib();
        }
    }
    let end = site.server.memory_kib();
    assert!(
        end < half + 4_000,
        "{half} KiB after half of {requests} requests, {end} KiB after all"
    );
}
