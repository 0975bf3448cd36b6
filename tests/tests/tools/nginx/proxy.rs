//! nginx as a reverse proxy in front, as operators put it there: no buffering, connections to the
//! server kept.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use httpout_tests::{
    Client, Kind, Request, Response, Ruled, Server, Site, Tap, Tree, both, delete, get, head,
    patch, post, put, until,
};

both! {
    proxy_passes_files_and_their_ranges,
    proxy_passes_conditions,
    proxy_passes_compressed_texts,
    proxy_passes_cors_and_own_headers,
    proxy_passes_uploads,
    proxy_passes_range_uploads,
    proxy_passes_large_files_both_ways,
    proxy_passes_an_upload_while_it_grows,
    proxy_passes_growth_over_http10,
    proxy_passes_the_cut_of_an_aborted_upload,
    proxy_passes_the_demand_for_a_password,
    proxy_passes_the_refusal_of_an_upload,
    proxy_keeps_its_connections,
    proxy_is_not_harmed_by_errors,
    proxy_is_not_harmed_by_idle_connections_that_are_closed,
    proxy_passes_listings_and_redirects,
}

/// A running nginx, ended on drop.
#[derive(Debug)]
struct Proxy {
    child: Child,
    address: SocketAddr,
    tree: Tree,
}

impl Proxy {
    /// Starts nginx in front of a server. Below `/http10/` it speaks HTTP/1.0 to it, as nginx does
    /// by default.
    #[track_caller]
    fn before(server: &Server) -> Self {
        Self::before_address(server.address())
    }

    #[track_caller]
    fn before_address(server: SocketAddr) -> Self {
        let tree = Tree::new();
        tree.dir("temp");
        // Somebody may take the port before nginx does: then with another one.
        for _ in 0..10 {
            let address = free_address();
            tree.write("nginx.conf", configuration(&tree, address, server));
            let child = Command::new("nginx")
                .args(["-p", &tree.arg(""), "-c", &tree.arg("nginx.conf")])
                .args(["-e", &tree.arg("error.log")])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap_or_else(|e| panic!("the tests need nginx; install it ({e})"));
            let mut proxy = Self { child, address, tree: Tree::new() };
            let is_up = until("nginx starts or ends", || {
                let ended = proxy.child.try_wait().expect("a child can be waited for");
                let up = || TcpStream::connect(address).ok().map(|_| true);
                ended.map(|_| false).or_else(up)
            });
            if is_up {
                proxy.tree = tree;
                return proxy;
            }
        }
        let log = tree.read("error.log").unwrap_or_default();
        panic!("nginx does not start: {}", String::from_utf8_lossy(&log));
    }

    #[track_caller]
    fn client(&self) -> Client {
        Client::connect(self.address)
    }

    #[track_caller]
    fn ask(&self, request: &Request) -> Response {
        self.client().ask(request)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A loopback address that was free a moment ago.
fn free_address() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free loopback port");
    listener.local_addr().expect("a bound listener has an address")
}

fn configuration(tree: &Tree, listen: SocketAddr, server: SocketAddr) -> String {
    let temp = tree.arg("temp");
    format!(
        "daemon off; master_process off; pid {temp}/pid;
        events {{ worker_connections 512; }}
        http {{
            access_log off;
            client_body_temp_path {temp}; proxy_temp_path {temp}; fastcgi_temp_path {temp};
            uwsgi_temp_path {temp}; scgi_temp_path {temp};
            client_max_body_size 0;
            upstream origin {{ server {server}; keepalive 4; }}
            server {{
                listen {listen};
                location / {{
                    proxy_pass http://origin;
                    proxy_http_version 1.1;
                    proxy_set_header Connection \"\";
                    proxy_set_header Host $http_host;
                    proxy_buffering off;
                    proxy_request_buffering off;
                }}
                location /http10/ {{
                    proxy_pass http://{server};
                    proxy_buffering off;
                }}
            }}
        }}\n"
    )
}

/// Bytes that tell where they stand.
fn content(length: usize) -> Vec<u8> {
    (0..length as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

fn proxy_passes_files_and_their_ranges(kind: Kind) {
    let site = Site::new(kind);
    let proxy = Proxy::before(&site.server);
    let bytes = content(100_000);
    site.write("a.bin", &bytes);
    site.write("http10/a.bin", &bytes);
    let mut client = proxy.client();
    for path in ["/a.bin", "/http10/a.bin"] {
        client.ask(&get(path)).is(200, &bytes).field_is("content-length", "100000");
        client.ask(&head(path)).is(200, "").field_is("content-length", "100000");
        for (range, part, told) in [
            ("bytes=0-9", &bytes[..10], "bytes 0-9/100000"),
            ("bytes=99990-200000", &bytes[99_990..], "bytes 99990-99999/100000"),
            ("bytes=-5", &bytes[99_995..], "bytes 99995-99999/100000"),
            ("bytes=0-", &bytes[..], "bytes 0-99999/100000"),
        ] {
            let answer = client.ask(&get(path).field("Range", range));
            answer.is(206, part).field_is("content-range", told);
        }
        let several = client.ask(&get(path).field("Range", "bytes=0-3,10-12"));
        several.is(206, [&bytes[..4], &bytes[10..13]].concat());
        client.ask(&get(path).field("Range", "bytes=100000-")).status_is(416);
    }
    client.ask(&get("/none")).status_is(404);
    client.ask(&get("/a%20b%3F.bin")).status_is(404);
}

fn proxy_passes_conditions(kind: Kind) {
    let site = Site::new(kind);
    let proxy = Proxy::before(&site.server);
    site.write("a.bin", "0123456789");
    let mut client = proxy.client();
    let direct = site.ask(&get("/a.bin"));
    let answer = client.ask(&get("/a.bin"));
    for name in ["etag", "last-modified", "content-type", "accept-ranges"] {
        assert_eq!(answer.need(name), direct.need(name));
    }
    let (tag, date) = (answer.need("etag"), answer.need("last-modified"));
    client.ask(&get("/a.bin").field("If-None-Match", tag)).is(304, "").field_is("etag", tag);
    client.ask(&get("/a.bin").field("If-Modified-Since", date)).is(304, "");
    client.ask(&head("/a.bin").field("If-None-Match", tag)).is(304, "");
    client.ask(&get("/a.bin").field("If-Match", "\"x\"")).status_is(412);
    let range = get("/a.bin").field("Range", "bytes=2-3");
    client.ask(&range.clone().field("If-Range", tag)).is(206, "23");
    client.ask(&range.field("If-Range", "\"x\"")).is(200, "0123456789");
    client.ask(&put("/a.bin", "new").field("If-None-Match", "*")).status_is(412);
    client.ask(&put("/a.bin", "new").field("If-Match", tag)).status_is(200);
}

fn proxy_passes_compressed_texts(kind: Kind) {
    let site = Site::new(kind);
    let proxy = Proxy::before(&site.server);
    site.write("a.mpd", "<MPD>some text</MPD>\n".repeat(100));
    let mut client = proxy.client();
    let request = get("/a.mpd").field("Accept-Encoding", "gzip");
    let direct = site.ask(&request);
    let answer = client.ask(&request);
    answer.is(200, &direct.body).field_is("content-encoding", "gzip");
    answer.field_is("etag", direct.need("etag"));
    assert!(answer.lists("vary", "accept-encoding"), "{answer:?}");
    let tag = answer.need("etag");
    client.ask(&request.clone().field("If-None-Match", tag)).is(304, "").field_is("etag", tag);
    client.ask(&get("/a.mpd")).status_is(200).field_is_absent("content-encoding");
}

fn proxy_passes_cors_and_own_headers(kind: Kind) {
    let site = Site::with(kind, &["--hdrs", "X-Own,one", "--sutc"]);
    let proxy = Proxy::before(&site.server);
    site.write("a.bin", "a");
    let origin = |request: Request| request.field("Origin", "https://a.example");
    for (request, status) in [
        (get("/a.bin"), 200),
        (get("/none"), 404),
        (get("/a.bin").field("Range", "bytes=5-"), 416),
        (Request::new("OPTIONS", "/a.bin").field("Access-Control-Request-Method", "PUT"), 200),
    ] {
        let answer = proxy.ask(&origin(request));
        answer.status_is(status).field_is("access-control-allow-origin", "*");
        answer.field_is("x-own", "one").need("server-utc");
    }
}

fn proxy_passes_uploads(kind: Kind) {
    let site = Site::new(kind);
    let proxy = Proxy::before(&site.server);
    let bytes = content(300_000);
    let mut client = proxy.client();
    client.ask(&put("/dir/a.bin", &bytes)).status_is(201);
    client.ask(&put("/dir/a.bin", &bytes)).status_is(200);
    client.ask(&post("/b.bin", &bytes)).status_is(201);
    client.ask(&put("/empty.bin", "")).status_is(201);
    let chunks: Vec<_> = bytes.chunks(7_777).collect();
    client.ask(&Request::new("PUT", "/c.bin").chunks(&chunks)).status_is(201);
    client.ask(&Request::new("PUT", "/http10/d.bin").chunks(&chunks)).status_is(201);
    for name in ["dir/a.bin", "b.bin", "c.bin", "http10/d.bin"] {
        assert!(site.read(name).as_ref() == Some(&bytes), "{name}");
        client.ask(&get(&format!("/{name}"))).is(200, &bytes);
    }
    client.ask(&delete("/dir/a.bin")).status_is(200);
    client.ask(&delete("/dir/a.bin")).status_is(204);
    assert!(!site.has("dir"));
    client.begin_upload(put("/e.bin", "content"));
    client.response("PUT").status_is(201);
    client.ask(&get("/e.bin")).is(200, "content");
}

fn proxy_passes_range_uploads(kind: Kind) {
    let site = Site::new(kind);
    let proxy = Proxy::before(&site.server);
    site.write("a.bin", "0123456789");
    let mut client = proxy.client();
    client.ask(&put("/a.bin", "AB").field("Range", "bytes=2-3")).status_in(&[200, 204]);
    client
        .ask(&put("/a.bin", "CD").field("Content-Range", "bytes 10-11/12"))
        .status_in(&[200, 204]);
    let message = "Content-Range: bytes 0-0/12\r\n\r\nX";
    client.ask(&patch("/a.bin", "message/byterange", message)).status_in(&[200, 204]);
    client.ask(&get("/a.bin")).is(200, "X1AB456789CD");
}

fn proxy_passes_large_files_both_ways(kind: Kind) {
    let site = Site::new(kind);
    let proxy = Proxy::before(&site.server);
    let bytes = content(20_000_000);
    let mut client = proxy.client();
    client.ask(&put("/a.bin", &bytes)).status_is(201);
    assert!(site.read("a.bin").as_ref() == Some(&bytes));
    client.ask(&get("/a.bin")).is(200, &bytes);
}

/// Begins a chunked upload through the proxy.
#[track_caller]
fn upload(proxy: &Proxy, path: &str, first: &str) -> Client {
    let mut upload = proxy.client();
    upload.send(Request::new("PUT", path).chunked().bytes());
    upload.send_chunk(first);
    upload
}

fn proxy_passes_an_upload_while_it_grows(kind: Kind) {
    let site = Site::with(kind, &["--wait-missing", "60"]);
    let proxy = Proxy::before(&site.server);
    let mut upload = upload(&proxy, "/seg.m4s", "piece 0");
    let mut reader = proxy.client();
    reader.begin(&get("/seg.m4s")).status_is(200).field_is("transfer-encoding", "chunked");
    assert_eq!(reader.content(7), b"piece 0");
    for i in 1..30 {
        // The next one is written only when this one has been read.
        let piece = format!("piece {i} {}", "x".repeat(i * i * 10));
        upload.send_chunk(&piece);
        assert_eq!(reader.content(piece.len()), piece.as_bytes());
        assert!(!site.has("seg.m4s"), "the file has its name before it is whole");
    }
    // A range of it, too.
    let mut ranged = proxy.client();
    ranged.ask(&get("/seg.m4s").field("Range", "bytes=0-6")).is(206, "piece 0");
    upload.send_last_chunk();
    upload.response("PUT").status_is(201);
    assert_eq!(reader.rest(), Ok(Vec::new()));
    // All connections go on.
    upload.ask(&get("/seg.m4s")).status_is(200).need("content-length");
    reader.ask(&head("/seg.m4s")).status_is(200);
}

fn proxy_passes_growth_over_http10(kind: Kind) {
    let site = Site::with(kind, &["--wait-missing", "60"]);
    let proxy = Proxy::before(&site.server);
    // The proxy itself collects such an upload first, so it goes past it.
    let mut upload = site.client();
    upload.begin_upload(Request::new("PUT", "/http10/seg.m4s").chunked());
    upload.send_chunk("one ");
    let mut reader = proxy.client();
    reader.begin(&get("/http10/seg.m4s")).status_is(200);
    assert_eq!(reader.content(4), b"one ");
    upload.send_chunk("two");
    assert_eq!(reader.content(3), b"two");
    upload.send_last_chunk();
    upload.response("PUT").status_is(201);
    assert_eq!(reader.rest(), Ok(Vec::new()));
}

fn proxy_passes_the_cut_of_an_aborted_upload(kind: Kind) {
    let site = Site::with(kind, &["--wait-missing", "60"]);
    let proxy = Proxy::before(&site.server);
    for leave in [|client: Client| drop(client), Client::abort] {
        let upload = upload(&proxy, "/seg.m4s", "half");
        let mut reader = proxy.client();
        reader.begin(&get("/seg.m4s")).status_is(200);
        assert_eq!(reader.content(4), b"half");
        leave(upload);
        let cut = reader.rest();
        assert!(cut.is_err(), "the half looks whole: {cut:?}");
        site.no_parts_left();
        assert!(!site.has("seg.m4s"));
    }
}

fn proxy_passes_the_demand_for_a_password(kind: Kind) {
    let tree = Tree::new();
    tree.write("private/a.bin", "secret");
    let site = Ruled::over(tree, kind, "[private]\nru=alice\nwu=alice\n", &[]);
    let proxy = Proxy::before(&site.server);
    let mut client = proxy.client();
    for request in [get("/a.bin"), head("/a.bin"), put("/a.bin", "x")] {
        let answer = client.ask(&request);
        answer.status_is(401);
        let demand = answer.need("www-authenticate");
        assert!(demand.starts_with("Basic realm="), "{demand}");
        client.ask(&request.of("bob")).status_is(403);
    }
    client.ask(&get("/a.bin").of("alice")).is(200, "secret");
    client.ask(&put("/a.bin", "new").of("alice")).status_is(200);
    assert_eq!(site.tree.read("private/a.bin").as_deref(), Some(&b"new"[..]));
    // The connection to the server is shared; the password is not.
    client.ask(&get("/a.bin")).status_is(401);
}

fn proxy_passes_the_refusal_of_an_upload(kind: Kind) {
    let site = Site::with(kind, &["--maxs", "1k"]);
    let proxy = Proxy::before(&site.server);
    site.write("a.bin", "old");
    for _ in 0..10 {
        proxy.ask(&put("/a.bin", "x".repeat(2_000))).status_is(413);
        proxy.ask(&put("/a.bin", "x").field("If-None-Match", "*")).status_is(412);
        proxy.ask(&put("/%2e%2e%2fa", "x")).status_is(400);
        proxy.ask(&get("/a.bin")).is(200, "old");
    }
}

fn proxy_keeps_its_connections(kind: Kind) {
    let site = Site::new(kind);
    // Between the proxy and the server, to see how many connections are made.
    let tap = Tap::new(site.server.address());
    let proxy = Proxy::before_address(tap.address());
    site.write("a.bin", "a");
    let mut clients: Vec<_> = (0..4).map(|_| proxy.client()).collect();
    for i in 0..200 {
        let client = &mut clients[i % 4];
        let name = format!("/{}.bin", i % 7);
        match i % 5 {
            0 => client.ask(&put(&name, "content")).status_in(&[200, 201]),
            1 => client.ask(&get("/a.bin").field("Range", "bytes=0-0")).status_is(206),
            2 => client.ask(&head("/a.bin")).status_is(200),
            3 => client.ask(&get("/none")).status_is(404),
            _ => client.ask(&get("/a.bin")).is(200, "a"),
        };
    }
    // What a client sends ahead goes over the same one.
    let mut client = proxy.client();
    client.send(get("/a.bin").bytes().repeat(50));
    for _ in 0..50 {
        client.response("GET").is(200, "a");
    }
    assert_eq!(tap.connections(), 1, "one after the other, all requests go over one connection");
}

fn proxy_is_not_harmed_by_errors(kind: Kind) {
    // The server closes a connection after some errors in a row; through a proxy they may be those
    // of many clients.
    let site = Site::new(kind);
    let proxy = Proxy::before(&site.server);
    site.write("a.bin", "a");
    let mut client = proxy.client();
    for _ in 0..100 {
        client.ask(&get("/none")).status_is(404);
        client.ask(&put("/x/", "x")).status_in(&[400, 403, 409]);
    }
    client.ask(&get("/a.bin")).is(200, "a");
}

fn proxy_is_not_harmed_by_idle_connections_that_are_closed(kind: Kind) {
    let site = Site::with(kind, &["--timeout", "1"]);
    let proxy = Proxy::before(&site.server);
    site.write("a.bin", "a");
    let mut client = proxy.client();
    for _ in 0..3 {
        client.ask(&get("/a.bin")).is(200, "a");
        client.ask(&put("/b.bin", "b")).status_in(&[200, 201]);
        until("the idle connection is closed", || (site.server.connections() == 0).then_some(()));
    }
}

fn proxy_passes_listings_and_redirects(kind: Kind) {
    let site = Site::with(kind, &["--dlist"]);
    let proxy = Proxy::before(&site.server);
    for i in 0..1_000 {
        site.write(&format!("dir/{i}.txt"), "x");
    }
    proxy.ask(&get("/dir?sort=size")).status_is(301).field_is("location", "/dir/?sort=size");
    let (mut direct, through) = (site.ask(&get("/dir/")), proxy.ask(&get("/dir/")));
    assert!(through.body == direct.body && direct.body.len() > 10_000);
    direct.head.fields.retain(|(name, _)| name.eq_ignore_ascii_case("content-security-policy"));
    through.field_is("content-security-policy", direct.need("content-security-policy"));
}
