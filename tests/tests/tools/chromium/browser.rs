//! A real browser: pages of another origin that fetch and upload, and the listing as it is shown.
//! Chromium runs without a window; each page tells on the console what it found.

use httpout_tests::{Browser, Kind, PAGE, RESULT, Request, Server, Site, Tree, both, until_within};
use serde_json::{Value, json};

both! {
    browser_reads_answers_of_another_origin,
    browser_reads_errors_of_another_origin,
    browser_uploads_to_another_origin,
    browser_reads_an_upload_while_it_grows,
    browser_is_refused_where_cors_is_off,
    browser_shows_a_listing,
    browser_follows_the_links_of_a_listing,
}

/// A page that runs `script`, the body of an asynchronous function, and tells what it returns, in
/// ASCII.
fn page(script: &str) -> String {
    format!(
        "<!doctype html>\n<meta charset=\"utf-8\">\n<body>\n<script>\n\
         const other = new URLSearchParams(location.search).get('other');\n\
         const escape = c => '\\\\u' + c.charCodeAt(0).toString(16).padStart(4, '0');\n\
         const tell = found => console.log('{RESULT}' + JSON.stringify(found).replace(/[^ -~]/g, escape));\n\
         const fields = (answer, ...names) => names.map(name => answer.headers.get(name));\n\
         (async () => {{\n{script}\n}})().then(tell, error => tell('' + error.stack));\n\
         </script>\n"
    )
}

/// Runs a script on a page of one origin that knows `other`, the URL of another one.
#[track_caller]
fn run_elsewhere(kind: Kind, other: &Server, script: &str) -> Value {
    let tree = Tree::new();
    tree.write("page.html", page(script));
    let server = Server::start(kind, &["--rdirs", &tree.arg(""), "--maxp", "0"]);
    Browser::open(&server.url(&format!("/page.html?other={}", other.url("")))).found().0
}

fn browser_reads_answers_of_another_origin(kind: Kind) {
    let site = Site::with(kind, &["--sutc"]);
    site.write("a.bin", "0123456789");
    site.write("a.mpd", "<MPD>some text</MPD>\n".repeat(100));
    let found = run_elsewhere(
        kind,
        &site.server,
        "const plain = await fetch(other + '/a.bin');
        const part = await fetch(other + '/a.bin', { headers: { Range: 'bytes=2-4', 'X-Custom': '1' } });
        const several = await fetch(other + '/a.bin', { headers: { Range: 'bytes=0-1,7-8' } });
        const head = await fetch(other + '/a.bin', { method: 'HEAD' });
        const tag = plain.headers.get('ETag');
        const same = await fetch(other + '/a.bin', { headers: { 'If-None-Match': tag }, cache: 'no-store' });
        const text = await fetch(other + '/a.mpd');
        const time = await fetch(other + '/.httpout/time?iso');
        const told = fields(plain, 'Date', 'ETag', 'Last-Modified', 'Server-UTC');
        return {
            plain: [plain.status, await plain.text(), ...fields(plain, 'Content-Length', 'Accept-Ranges', 'Content-Type')],
            told: told.map(value => typeof value),
            part: [part.status, await part.text(), ...fields(part, 'Content-Range', 'Content-Length')],
            several: [several.status, await several.text()],
            head: [head.status, await head.text(), ...fields(head, 'Content-Length')],
            same: [same.status, same.headers.get('ETag') === tag],
            text: [text.status, (await text.text()).length, ...fields(text, 'Content-Encoding', 'Content-Type')],
            time: Math.abs(Date.parse(await time.text()) - Date.parse(plain.headers.get('Date'))) < 600000,
            timing: performance.getEntriesByName(other + '/a.mpd')[0].decodedBodySize,
        };",
    );
    let expected = json!({
        "plain": [200, "0123456789", "10", "bytes", "application/octet-stream"],
        "told": ["string", "string", "string", "string"],
        "part": [206, "234", "bytes 2-4/10", "3"],
        "several": [206, "0178"],
        "head": [200, "", "10"],
        "same": [304, true],
        "text": [200, 2100, "gzip", "application/dash+xml"],
        "time": true,
        "timing": 2100,
    });
    assert_eq!(found, expected);
}

fn browser_reads_errors_of_another_origin(kind: Kind) {
    let site = Site::with(kind, &["--maxs", "1k"]);
    site.write("a.bin", "0123456789");
    let found = run_elsewhere(
        kind,
        &site.server,
        "const ask = async (path, options) => {
            const answer = await fetch(other + path, options);
            return [answer.status, (await answer.text()).length > 0];
        };
        const beyond = await fetch(other + '/a.bin', { headers: { Range: 'bytes=10-' } });
        return {
            missing: await ask('/none'),
            forbidden: await ask('/'),
            beyond: [beyond.status, beyond.headers.get('Content-Range')],
            failed: await ask('/a.bin', { headers: { 'If-Match': '\"x\"' } }),
            large: await ask('/b.bin', { method: 'PUT', body: 'x'.repeat(2000) }),
            unknown: await ask('/a.bin', { method: 'PATCH', body: 'x' }),
        };",
    );
    let expected = json!({
        "missing": [404, true],
        "forbidden": [403, true],
        "beyond": [416, "bytes */10"],
        "failed": [412, true],
        "large": [413, true],
        "unknown": [415, true],
    });
    assert_eq!(found, expected);
}

fn browser_uploads_to_another_origin(kind: Kind) {
    let site = Site::new(kind);
    let found = run_elsewhere(
        kind,
        &site.server,
        "const ask = async (method, body, headers) => {
            const answer = await fetch(other + '/dir/a.txt', { method, body, headers });
            return [answer.status, ...fields(answer, 'Content-Location')];
        };
        const large = new Blob([new Uint8Array(3000000).fill(7)]);
        return [
            await ask('PUT', 'first', { 'Content-Type': 'text/plain' }),
            await ask('POST', 'second', { 'X-Custom': '1' }),
            await ask('PUT', 'S', { Range: 'bytes=0-0' }),
            await (await fetch(other + '/dir/a.txt')).text(),
            await ask('DELETE'),
            (await fetch(other + '/large.bin', { method: 'PUT', body: large })).status,
        ];",
    );
    let location = "/dir/a.txt";
    let expected =
        json!([[201, location], [200, location], [200, location], "Second", [200, null], 201]);
    assert_eq!(found, expected);
    assert!(!site.has("dir"));
    assert_eq!(site.read("large.bin"), Some(vec![7; 3_000_000]));
}

fn browser_reads_an_upload_while_it_grows(kind: Kind) {
    let site = Site::new(kind);
    let mut upload = site.client();
    upload.begin_upload(Request::new("PUT", "/seg.m4s").chunked());
    upload.send_chunk("piece 0");
    let script = "const answer = await fetch(other + '/seg.m4s');
        const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
        const pieces = [];
        for (;;) {
            const { done, value } = await reader.read();
            if (done) return pieces;
            pieces.push(value);
            await fetch(other + '/got-' + value, { method: 'PUT', body: '' });
        }";
    let pages = Tree::new();
    pages.write("page.html", page(script));
    let server = Server::start(kind, &["--rdirs", &pages.arg("")]);
    let url = server.url(&format!("/page.html?other={}", site.server.url("")));
    let browser = Browser::open(&url);
    // The next piece is written only when the page has the one before.
    for i in 0..5 {
        let got = format!("got-piece {i}");
        until_within(PAGE, "the page tells that it has the piece", || site.has(&got).then_some(()));
        if i < 4 {
            upload.send_chunk(format!("piece {}", i + 1));
        }
    }
    upload.send_last_chunk();
    upload.response("PUT").status_is(201);
    let (found, _) = browser.found();
    assert_eq!(found, json!(["piece 0", "piece 1", "piece 2", "piece 3", "piece 4"]));
}

fn browser_is_refused_where_cors_is_off(kind: Kind) {
    let script = "const ask = async options => {
            try { return (await fetch(other + '/a.bin', options)).status } catch (error) { return error.name }
        };
        return [
            await ask(),
            await ask({ headers: { 'X-Custom': '1' } }),
            await ask({ method: 'PUT', body: 'x' }),
        ];";
    let off = Site::with(kind, &["--cors", "off"]);
    off.write("a.bin", "a");
    assert_eq!(
        run_elsewhere(kind, &off.server, script),
        json!(["TypeError", "TypeError", "TypeError"])
    );
    assert_eq!(off.read("a.bin").as_deref(), Some(&b"a"[..]), "the upload was not even sent");
    // Where nothing can be written, the preflight says so.
    let read_only = Site::read_only(kind, &["--cors", "on"]);
    read_only.write("a.bin", "a");
    assert_eq!(run_elsewhere(kind, &read_only.server, script), json!([200, 200, "TypeError"]));
}

/// Names that a browser could take for something else.
const NAMES: &[&str] = &[
    "<img src=x onerror=document.title='run'>",
    "\"><script>document.title='run'<",
    "a&b 'c' %25 #d ?e.txt",
    "emoji 🎬.txt",
    "http:evil",
    "javascript:document.title='run'",
    "seg-10.m4s",
    "seg-9.m4s",
];

/// A server that lists files of these names, a directory, and a page that looks at the listing in a
/// frame: only one of the same origin may.
#[track_caller]
fn listed(kind: Kind, script: &str) -> (Site, String) {
    let site = Site::with(kind, &["--dlist"]);
    for (i, name) in NAMES.iter().enumerate() {
        site.write(&format!("dir/{name}"), format!("I am {name}{}", ".".repeat(100 * i)));
    }
    site.write("dir/sub <&>/inner.txt", "I am inner.txt");
    let frame = "const frame = document.body.appendChild(document.createElement('iframe'));
        const load = go => new Promise(ready => {
            frame.onload = () => ready(frame.contentDocument);
            go();
        });
        const rows = list => [...list.querySelectorAll('tbody tr')].map(row => row.cells[0].innerText.trim());
        const link = (list, text) => [...list.links].find(a => a.innerText.trim() === text);
        let list = await load(() => frame.src = '/dir/');\n";
    site.write("page.html", page(&format!("{frame}{script}")));
    let url = site.server.url("/page.html");
    (site, url)
}

fn browser_shows_a_listing(kind: Kind) {
    let (site, url) = listed(
        kind,
        "const style = frame.contentWindow.getComputedStyle(list.querySelector('table'));
        const found = [rows(list), list.title, style.borderCollapse, list.images.length, list.scripts.length];
        for (const column of ['Size', 'Size', 'Modified (UTC)', 'Name']) {
            list = await load(() => link(list, column).click());
            found.push([frame.contentWindow.location.search, rows(list)]);
        }
        return found;",
    );
    let (found, said) = Browser::open(&url).found();
    assert_eq!(said, Vec::<String>::new());
    let mut names: Vec<String> =
        serde_json::from_value(found[0].clone()).unwrap_or_else(|e| panic!("{e}: {found}"));
    assert_eq!(names[..2], ["../", "sub <&>/"]);
    let numbers: Vec<_> = names.iter().filter(|name| name.starts_with("seg-")).collect();
    assert_eq!(numbers, ["seg-9.m4s", "seg-10.m4s"]);
    let by_name = json!(names);
    let mut expected: Vec<_> = NAMES.iter().chain(&["../", "sub <&>/"]).collect();
    names.sort();
    expected.sort();
    assert_eq!(names.iter().collect::<Vec<_>>(), expected);
    assert!(found[1].as_str().is_some_and(|title| title.contains("/dir/")), "{found}");
    assert_eq!(found[2], "collapse", "the style sheet is applied: {found}");
    assert_eq!((&found[3], &found[4]), (&json!(0), &json!(0)), "a name was taken for markup");
    // Each file is larger than the one before it.
    let sizes: Vec<_> = ["../", "sub <&>/"].iter().chain(NAMES).collect();
    let reversed: Vec<_> = sizes[..2].iter().chain(sizes[2..].iter().rev()).collect();
    assert_eq!(found[5][1], json!(sizes), "by size: {found}");
    assert_eq!(found[6][1], json!(reversed), "the other way round: {found}");
    assert!(found[7][0].as_str().is_some_and(|query| query.contains("date")), "{found}");
    assert_eq!(found[8][1], by_name, "{found}");
    // By itself, too, it makes the browser say nothing.
    let alone = Browser::start(&["--dump-dom", &site.server.url("/dir/")]);
    assert_eq!(alone.end(), Vec::<String>::new());
}

fn browser_follows_the_links_of_a_listing(kind: Kind) {
    let (_site, url) = listed(
        kind,
        "const contents = [];
        for (const a of list.querySelectorAll('tbody a')) {
            const name = a.innerText.trim();
            if (!name.endsWith('/')) contents.push([name, await (await fetch(a.href)).text()]);
        }
        list = await load(() => link(list, 'sub <&>/').click());
        const inner = [frame.contentWindow.location.pathname, rows(list)];
        list = await load(() => link(list, '../').click());
        list = await load(() => link(list, '../').click());
        return [contents, inner, rows(list), frame.contentWindow.location.pathname, document.title];",
    );
    let (found, said) = Browser::open(&url).found();
    assert_eq!(said, Vec::<String>::new());
    let contents = found[0].as_array().unwrap_or_else(|| panic!("no list: {found}"));
    assert_eq!(contents.len(), NAMES.len());
    for pair in contents {
        let (name, content) = (pair[0].as_str(), pair[1].as_str().map(|c| c.trim_end_matches('.')));
        assert_eq!(content, name.map(|name| format!("I am {name}")).as_deref());
    }
    assert_eq!(found[1], json!(["/dir/sub%20%3C%26%3E/", ["../", "inner.txt"]]));
    assert_eq!((&found[2], &found[3]), (&json!(["dir/", "page.html"]), &json!("/")));
    assert_eq!(found[4], "", "a script in a name has run");
}
