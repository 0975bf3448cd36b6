//! What is kept in memory (`gmem`, `gmem-max`, `max_cache_segs`), and which segments are dropped.

use std::ops::Deref;

use httpout_tests::listing::{as_json, entries, json_names};
use httpout_tests::live::media;
use httpout_tests::{
    Client, Kind, Request, Server, Site, Tree, USERS, both, delete, get, head, patch, put, until,
};
use rustix::process::Signal;

#[cfg(feature = "tools")]
mod ffmpeg;
#[cfg(feature = "tools")]
mod strace;

both! {
    gmem_keeps_uploads_and_nothing_on_disk,
    gmem_answers_ranges_and_conditions,
    gmem_takes_range_uploads_and_patches,
    gmem_streams_an_upload_while_it_grows,
    gmem_waits_for_what_is_missing,
    gmem_is_listed,
    gmem_files_are_no_directories,
    gmem_keeps_media_types,
    gmem_compresses_texts,
    gmem_is_one_store_wherever_it_is_mounted,
    gmem_alone_as_write_directory_is_not_read,
    gmem_as_read_directory_alone_takes_nothing,
    gmem_as_a_path_is_a_directory,
    gmem_stands_beside_rules_that_do_not_cover_it,
    gmem_outlives_a_reload,
    gmem_max_lets_the_oldest_segments_go_first,
    gmem_max_bounds_an_upload,
    gmem_max_leaves_the_old_one_until_the_new_one_is_whole,
    gmem_max_counts_uploads_in_progress,
    a_reader_of_what_was_evicted_gets_all_of_it,
    a_lack_of_descriptors_is_told,
    an_input_can_be_written_to_memory,
    an_input_that_does_not_fit_into_memory_names_the_option,
    max_cache_segs_bounds_a_quality_in_memory,
    max_cache_segs_bounds_a_quality_on_disk_if_negative,
    max_cache_segs_leaves_the_disk_alone_otherwise,
    max_cache_segs_keeps_what_a_manifest_names_in_memory,
    max_cache_segs_keeps_what_a_manifest_names_on_disk,
    max_cache_segs_keeps_one_file_for_each_rendition,
    max_cache_segs_keeps_what_a_manifest_names_by_absolute_urls,
    gmem_max_lets_segments_go_first_that_left_the_manifest,
}

/// A server that reads from and writes to memory, in a directory of its own.
struct Memory {
    server: Server,
    tree: Tree,
}

impl Deref for Memory {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

impl Memory {
    #[track_caller]
    fn new(kind: Kind) -> Self {
        Self::with(kind, &[])
    }

    #[track_caller]
    fn with(kind: Kind, args: &[&str]) -> Self {
        Self::start(Tree::new(), kind, &[&["--rdirs", "gmem", "--wdir", "gmem"], args].concat())
    }

    #[track_caller]
    fn start(tree: Tree, kind: Kind, args: &[&str]) -> Self {
        let own = ["--port", "auto", "--ifce", "127.0.0.1", "--maxc", "0", "--maxp", "0"];
        let admin = ["--admin", "127.0.0.1:0"];
        let mut command = Server::command(kind, &[&own[..], &admin, args].concat());
        command.current_dir(tree.root());
        Self { server: Server::run(command), tree }
    }

    /// The names in a directory; the server was started with `--dlist`.
    #[track_caller]
    fn names(&self, path: &str) -> Vec<String> {
        let entries = entries(&self.ask(&as_json(path)));
        json_names(&entries).into_iter().map(str::to_owned).collect()
    }

    #[track_caller]
    fn evicted(&self) -> u64 {
        self.counter("httpout_evicted_total")
    }
}

/// Some bytes that do not repeat soon.
fn content(length: usize) -> Vec<u8> {
    (0..length as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

fn gmem_keeps_uploads_and_nothing_on_disk(kind: Kind) {
    let site = Memory::new(kind);
    let mut client = site.client();
    let big = content(3_000_000);
    client.ask(&put("/a.bin", "one")).status_is(201).field_is("content-location", "/a.bin");
    client.ask(&put("/a.bin", "three")).status_is(200);
    client.ask(&get("/a.bin")).is(200, "three");
    client.ask(&Request::new("POST", "/live/ch/big.bin").chunks(&[&big])).status_is(201);
    assert!(client.ask(&get("/live/ch/big.bin")).body == big);
    client.ask(&head("/live/ch/big.bin")).status_is(200).field_is("content-length", "3000000");
    client.ask(&put("/empty.bin", "")).status_is(201);
    client.ask(&get("/empty.bin")).is(200, "");
    assert_eq!(site.counter("httpout_memory_bytes"), 3_000_005);
    assert_eq!(site.counter("httpout_memory_resources"), 3);
    client.ask(&delete("/a.bin")).status_is(200);
    client.ask(&delete("/a.bin")).status_is(204);
    client.ask(&get("/a.bin")).status_is(404);
    client.ask(&delete("/live/ch/big.bin")).status_is(200);
    client.ask(&get("/live/")).status_is(404);
    assert_eq!(site.counter("httpout_memory_bytes"), 0);
    assert_eq!(site.counter("httpout_memory_resources"), 1);
    assert_eq!(site.evicted(), 0);
    assert_eq!(site.tree.list(), Vec::<String>::new());
}

fn gmem_answers_ranges_and_conditions(kind: Kind) {
    let site = Memory::new(kind);
    let mut client = site.client();
    client.ask(&put("/a.bin", "0123456789")).status_is(201);
    let range = |range: &str| get("/a.bin").field("Range", range);
    client.ask(&range("bytes=2-4")).is(206, "234").field_is("content-range", "bytes 2-4/10");
    client.ask(&range("bytes=0-1,8-")).is(206, "0189");
    client.ask(&range("bytes=10-")).status_is(416);
    let tag = client.ask(&get("/a.bin")).need("etag").to_owned();
    assert!(tag.starts_with('"'), "{tag} is not strong");
    client.ask(&get("/a.bin").field("If-None-Match", &tag)).status_is(304);
    client.ask(&range("bytes=2-4").field("If-Range", &tag)).is(206, "234");
    client.ask(&put("/a.bin", "x").field("If-None-Match", "*")).status_is(412);
    client.ask(&put("/b.bin", "x").field("If-None-Match", "*")).status_is(201);
    // The same bytes again are another resource.
    client.ask(&put("/a.bin", "0123456789").field("If-Match", &tag)).status_is(200);
    client.ask(&put("/a.bin", "x").field("If-Match", &tag)).status_is(412);
    client.ask(&delete("/a.bin").field("If-Match", &tag)).status_is(412);
    client.ask(&get("/a.bin").field("If-None-Match", &tag)).is(200, "0123456789");
}

fn gmem_takes_range_uploads_and_patches(kind: Kind) {
    let site = Memory::new(kind);
    let mut client = site.client();
    client.ask(&put("/none.bin", "x").field("Range", "bytes=0-0")).status_is(404);
    client.ask(&put("/a.bin", "0123456789")).status_is(201);
    client.ask(&put("/a.bin", "abXYZ").field("Range", "bytes=1-2,9-")).status_is(200);
    client.ask(&get("/a.bin")).is(200, "0ab345678XYZ");
    client.ask(&put("/a.bin", "!").field("Content-Range", "bytes 12-12/*")).status_is(200);
    client.ask(&put("/a.bin", "!").field("Range", "bytes=20-20")).status_is(416);
    let body = "Content-Range: bytes 3-5/*\r\n\r\nCDE";
    client.ask(&patch("/a.bin", "message/byterange", body)).status_is(200);
    client.ask(&get("/a.bin")).is(200, "0abCDE678XYZ!");
    assert_eq!(site.counter("httpout_memory_bytes"), 13);
}

fn gmem_streams_an_upload_while_it_grows(kind: Kind) {
    let site = Memory::new(kind);
    site.ask(&put("/seg.m4s", "old")).status_is(201);
    let mut upload = site.client();
    upload.begin_upload(Request::new("PUT", "/seg.m4s").chunked());
    let mut readers: Vec<Client> = (0..3)
        .map(|_| {
            upload.send_chunk("first");
            let mut reader = site.client();
            reader.begin(&get("/seg.m4s")).status_is(200).field_is("transfer-encoding", "chunked");
            reader
        })
        .collect();
    for reader in &mut readers {
        assert_eq!(reader.content(15), b"firstfirstfirst");
    }
    for i in 0..50 {
        let piece = format!("piece {i} {}", "x".repeat(i * i * 10));
        upload.send_chunk(&piece);
        for reader in &mut readers {
            assert_eq!(reader.content(piece.len()), piece.as_bytes());
        }
    }
    upload.send_last_chunk();
    upload.response("PUT").status_is(200);
    for reader in &mut readers {
        assert_eq!(reader.rest(), Ok(Vec::new()));
    }
    // One that is given up leaves the old one, and takes nothing of the memory.
    let before = site.counter("httpout_memory_bytes");
    let mut upload = site.client();
    upload.begin_upload(Request::new("PUT", "/seg.m4s").chunked());
    upload.send_chunk("lost");
    let mut reader = site.client();
    reader.begin(&get("/seg.m4s")).status_is(200);
    assert_eq!(reader.content(4), b"lost");
    upload.abort();
    assert!(reader.rest().is_err());
    site.ask(&get("/seg.m4s").field("Range", "bytes=0-14")).is(206, "firstfirstfirst");
    until("what was lost is given back", || {
        (site.counter("httpout_memory_bytes") == before).then_some(())
    });
}

fn gmem_waits_for_what_is_missing(kind: Kind) {
    let site = Memory::with(kind, &["--wait-missing", "600"]);
    let mut reader = site.client();
    reader.send(get("/live/next.m4s").bytes());
    // It is answered after this one, on another connection: both bring the same upload, whichever
    // comes first.
    let mut upload = site.client();
    upload.begin_upload(Request::new("PUT", "/live/next.m4s").chunked());
    upload.send_chunk("begun");
    reader.head("GET").status_is(200);
    assert_eq!(reader.content(5), b"begun");
    upload.send_last_chunk();
    upload.response("PUT").status_is(201);
    assert_eq!(reader.rest(), Ok(Vec::new()));
    // What is below no write directory is not waited for.
    let args = ["--rdirs", "www", "--wdir", "gmem", "--wait-missing", "600"];
    let tree = Tree::new();
    tree.dir("www");
    Memory::start(tree, kind, &args).ask(&get("/none.m4s")).status_is(404);
}

fn gmem_is_listed(kind: Kind) {
    let site = Memory::with(kind, &["--dlist"]);
    assert_eq!(site.names("/"), Vec::<String>::new());
    for name in ["b.txt", "dir/c.txt", "dir/sub/d.txt", "dir.txt", ".hidden", "dir/sub/e.txt"] {
        site.ask(&put(&format!("/{name}"), "text"));
    }
    assert_eq!(site.names("/"), ["dir", "b.txt", "dir.txt"]);
    assert_eq!(site.names("/dir/"), ["sub", "c.txt"]);
    assert_eq!(site.names("/dir/sub/"), ["d.txt", "e.txt"]);
    site.ask(&get("/dir")).status_is(301).field_is("location", "/dir/");
    site.ask(&get("/none/")).status_is(404);
    let page = site.ask(&get("/dir/"));
    page.status_is(200).field_is("content-type", "text/html; charset=utf-8");
    assert!(page.text().contains("c.txt"), "{page:?}");
    site.ask(&delete("/dir/sub/d.txt")).status_is(200);
    site.ask(&delete("/dir/sub/e.txt")).status_is(200);
    assert_eq!(site.names("/dir/"), ["c.txt"]);
}

fn gmem_files_are_no_directories(kind: Kind) {
    // As on disk.
    let (site, disk) = (Memory::new(kind), Site::new(kind));
    for (request, status) in [
        (put("/a/b", "x"), 201),
        (put("/a", "x"), 409),
        (put("/a/b/c", "x"), 409),
        (get("/a/b/c"), 404),
        (get("/a"), 301),
        (get("/a/"), 403),
        (get("/a/b/"), 404),
        (put("/a/", "x"), 409),
        (put("/", "x"), 409),
        (delete("/a"), 403),
        (delete("/a/b/c"), 204),
        (get("/a/b"), 200),
        (delete("/a/b"), 200),
        (put("/a", "x"), 201),
    ] {
        let (here, there) = (site.ask(&request), disk.ask(&request));
        assert_eq!((here.status, &here.body), (there.status, &there.body), "{request:?}");
        assert_eq!(here.status, status, "{request:?}");
    }
}

fn gmem_keeps_media_types(kind: Kind) {
    let site = Memory::new(kind);
    let typed = |path: &str| Request::new("PUT", path).field("Content-Type", "x-own/type");
    let is = |path: &str, expected| {
        site.ask(&get(path)).status_is(200).field_is("content-type", expected);
    };
    site.ask(&typed("/a.own").body("x")).status_is(201);
    site.ask(&typed("/a.m4s").body("x")).status_is(201);
    is("/a.own", "x-own/type");
    is("/a.m4s", "video/iso.segment");
    site.ask(&put("/a.own", "y").field("Range", "bytes=0-0")).status_is(200);
    is("/a.own", "x-own/type");
    site.ask(&put("/a.own", "x")).status_is(200);
    is("/a.own", "application/octet-stream");
    let mut upload = site.client();
    upload.begin_upload(typed("/a.own").chunked());
    upload.send_chunk("x");
    let mut reader = site.client();
    reader.begin(&get("/a.own")).status_is(200).field_is("content-type", "x-own/type");
    upload.abort();
}

fn gmem_compresses_texts(kind: Kind) {
    let site = Memory::new(kind);
    let packed = || site.ask(&get("/a.mpd").field("Accept-Encoding", "gzip"));
    site.ask(&put("/a.mpd", "old ".repeat(1000))).status_is(201);
    let old = packed();
    old.status_is(200).field_is("content-encoding", "gzip");
    site.ask(&put("/a.mpd", "new ".repeat(1000))).status_is(200);
    let new = packed();
    new.status_is(200).field_is("content-encoding", "gzip");
    assert!(new.body != old.body && new.need("etag") != old.need("etag"));
}

fn gmem_is_one_store_wherever_it_is_mounted(kind: Kind) {
    let tree = Tree::new();
    tree.write("www/b.bin", "disk");
    let args = ["--rdirs", "gmem,www", "--wdir", "gmem", "--dlist"];
    let site = Memory::start(tree, kind, &args);
    site.ask(&put("/a.bin", "memory")).status_is(201);
    site.ask(&get("/gmem/a.bin")).is(200, "memory");
    site.ask(&get("/www/b.bin")).is(200, "disk");
    assert_eq!(site.names("/"), ["gmem", "www"]);
    assert_eq!(site.names("/gmem/"), ["a.bin"]);
    assert_eq!(site.tree.list(), ["www/", "www/b.bin"]);
    // Growing, too.
    let mut upload = site.client();
    upload.begin_upload(Request::new("PUT", "/c.bin").chunked());
    upload.send_chunk("part");
    let mut reader = site.client();
    reader.begin(&get("/gmem/c.bin")).status_is(200);
    assert_eq!(reader.content(4), b"part");
}

fn gmem_alone_as_write_directory_is_not_read(kind: Kind) {
    let site = Memory::start(Tree::new(), kind, &["--wdir", "gmem"]);
    let disk = Memory::start(Tree::new(), kind, &["--wdir", "in"]);
    for request in [put("/a.bin", "x"), get("/a.bin"), get("/"), put("/a.bin", "y")] {
        let (here, there) = (site.ask(&request), disk.ask(&request));
        assert_eq!(here.status, there.status, "{request:?}");
    }
    assert_eq!(site.counter("httpout_memory_resources"), 1);
    assert_eq!(site.tree.list(), Vec::<String>::new());
}

fn gmem_as_read_directory_alone_takes_nothing(kind: Kind) {
    let site = Memory::start(Tree::new(), kind, &["--rdirs", "gmem"]);
    site.ask(&put("/a.bin", "x")).status_is(405);
    site.ask(&get("/a.bin")).status_is(404);
}

fn gmem_as_a_path_is_a_directory(kind: Kind) {
    let tree = Tree::new();
    tree.write("gmem/a.bin", "disk");
    let site = Memory::start(tree, kind, &["--rdirs", "./gmem", "--wdir", "./gmem"]);
    site.ask(&get("/a.bin")).is(200, "disk");
    site.ask(&put("/b.bin", "x")).status_is(201);
    assert_eq!(site.tree.list(), ["gmem/", "gmem/a.bin", "gmem/b.bin"]);
    // Where there is such a directory, or a file, the bare word is the memory all the same.
    for name in ["gmem/a.bin", "gmem"] {
        let tree = Tree::new();
        tree.write(name, "disk");
        let site = Memory::start(tree, kind, &["--rdirs", "gmem", "--wdir", "gmem"]);
        site.ask(&get("/a.bin")).status_is(404);
        site.ask(&put("/a.bin", "memory")).status_is(201);
        site.ask(&get("/a.bin")).is(200, "memory");
        assert_eq!(site.tree.read(name).as_deref(), Some(&b"disk"[..]));
    }
}

fn gmem_stands_beside_rules_that_do_not_cover_it(kind: Kind) {
    let tree = Tree::new();
    tree.write("www/secret.bin", "secret");
    tree.write("rules.ini", "[www]\nname=www\nru=alice\n");
    tree.write("users.cfg", USERS);
    let args = ["--rdirs", "rules.ini,gmem", "--users", "users.cfg", "--wdir", "gmem", "--dlist"];
    let site = Memory::start(tree, kind, &args);
    site.ask(&put("/dir/a.bin", "memory")).status_is(201);
    site.ask(&get("/gmem/dir/a.bin")).is(200, "memory");
    assert_eq!(site.names("/gmem/dir/"), ["a.bin"]);
    site.ask(&put("/dir/a.bin", "M").field("Range", "bytes=0-0")).status_is(200);
    site.ask(&get("/gmem/dir/a.bin")).is(200, "Memory");
    site.ask(&delete("/dir/a.bin")).status_is(200);
    // The rules hold where they did.
    site.ask(&get("/www/secret.bin")).status_is(401);
    site.ask(&get("/www/secret.bin").of("alice")).is(200, "secret");
    site.ask(&put("/www/new.bin", "x").of("alice")).status_is(403);
}

fn gmem_outlives_a_reload(kind: Kind) {
    let site = Memory::with(kind, &["--max_cache_segs", "2"]);
    let mut upload = site.client();
    for name in ["/s-1.ts", "/s-2.ts"] {
        site.ask(&put(name, "x")).status_is(201);
    }
    upload.begin_upload(Request::new("PUT", "/s-3.ts").chunked());
    upload.send_chunk("grown");
    site.signal(Signal::HUP);
    until("the reload is done", || {
        (site.counter("httpout_reloads_total{result=\"done\"}") == 1).then_some(())
    });
    site.ask(&get("/s-1.ts")).is(200, "x");
    upload.send_last_chunk();
    upload.response("PUT").status_is(201);
    site.ask(&get("/s-3.ts")).is(200, "grown");
    site.ask(&get("/s-1.ts")).status_is(404);
    assert_eq!(site.counter("httpout_memory_bytes"), 6);
}

fn gmem_max_lets_the_oldest_segments_go_first(kind: Kind) {
    let site = Memory::with(kind, &["--gmem-max", "10k", "--max_cache_segs", "100", "--dlist"]);
    let kib = content(1024);
    for name in ["live.mpd", "init.mp4", "v-1.m4s", "a-1.m4s", "v-2.m4s", "a-2.m4s"] {
        site.ask(&put(&format!("/{name}"), &kib)).status_is(201);
    }
    // Replaced, it is the newest.
    site.ask(&put("/v-1.m4s", &kib)).status_is(200);
    assert_eq!(site.evicted(), 0);
    site.ask(&put("/v-3.m4s", content(6 * 1024))).status_is(201);
    assert_eq!(site.names("/"), ["a-2.m4s", "init.mp4", "live.mpd", "v-1.m4s", "v-3.m4s"]);
    assert_eq!(site.evicted(), 2);
    site.ask(&Request::new("PUT", "/v-4.m4s").chunks(&[&content(8 * 1024)])).status_is(201);
    assert_eq!(site.names("/"), ["init.mp4", "live.mpd", "v-4.m4s"]);
    site.ask(&put("/v-5.m4s", content(9 * 1024))).status_is(201);
    assert_eq!(site.names("/"), ["init.mp4", "v-5.m4s"]);
    assert_eq!(site.counter("httpout_memory_bytes"), 10 * 1024);
    assert_eq!(site.counter("httpout_memory_resources"), 2);
}

fn gmem_max_bounds_an_upload(kind: Kind) {
    let site = Memory::with(kind, &["--gmem-max", "1000"]);
    site.ask(&put("/a.bin", [1; 400])).status_is(201);
    site.ask(&put("/b.bin", [2; 400])).status_is(201);
    // Early: the body is never sent.
    let mut client = site.client();
    client.send(Request::new("PUT", "/c.bin").announce(1001).expect().bytes());
    client.response("PUT").status_is(507);
    for huge in [1 << 40, (1 << 63) - 1] {
        let mut client = site.client();
        client.send(Request::new("PUT", "/c.bin").announce(huge).bytes());
        client.response("PUT").status_is(507);
    }
    // It shows on the way; nothing is removed for what cannot fit.
    let mut client = site.client();
    client.begin_upload(Request::new("PUT", "/c.bin").chunked());
    client.send_chunk([3; 100]);
    let mut reader = site.client();
    reader.begin(&get("/c.bin")).status_is(200);
    assert_eq!(reader.content(100), [3; 100]);
    client.send_chunk([3; 950]);
    client.response("PUT").status_is(507);
    assert!(reader.rest().is_err());
    site.ask(&get("/a.bin")).is(200, [1; 400]);
    site.ask(&get("/b.bin")).is(200, [2; 400]);
    site.ask(&get("/c.bin")).status_is(404);
    assert_eq!(site.counter("httpout_memory_bytes"), 800);
    site.ask(&put("/c.bin", [3; 1000])).status_is(201);
    assert_eq!(site.counter("httpout_memory_bytes"), 1000);
    let exit = Server::fails(kind, &["--wdir", "gmem", "--gmem-max", "0"]);
    assert!(exit.code == Some(2) && exit.stderr.contains("--gmem-max"), "{exit:?}");
}

fn gmem_max_leaves_the_old_one_until_the_new_one_is_whole(kind: Kind) {
    let site = Memory::with(kind, &["--gmem-max", "1000"]);
    site.ask(&put("/a.bin", [1; 600])).status_is(201);
    site.ask(&put("/b.bin", [2; 100])).status_is(201);
    site.ask(&put("/a.bin", [3; 401])).status_is(507);
    site.ask(&Request::new("PUT", "/a.bin").chunks(&[&[3; 401]])).status_is(507);
    site.ask(&get("/a.bin")).is(200, [1; 600]);
    site.ask(&get("/b.bin")).is(200, [2; 100]);
    site.ask(&put("/a.bin", [3; 400])).status_is(200);
    site.ask(&get("/a.bin")).is(200, [3; 400]);
    site.ask(&get("/b.bin")).status_is(404);
}

fn gmem_max_counts_uploads_in_progress(kind: Kind) {
    let site = Memory::with(kind, &["--gmem-max", "1000"]);
    let mut first = site.client();
    first.begin_upload(Request::new("PUT", "/a.bin").chunked());
    first.send_chunk([1; 700]);
    until("it is counted", || (site.counter("httpout_memory_bytes") == 700).then_some(()));
    site.ask(&put("/b.bin", [2; 301])).status_is(507);
    site.ask(&put("/b.bin", [2; 300])).status_is(201);
    first.send_chunk([1; 300]);
    first.send_last_chunk();
    first.response("PUT").status_is(201);
    site.ask(&get("/b.bin")).status_is(404);
    site.ask(&get("/a.bin")).is(200, [1; 1000]);
}

fn a_reader_of_what_was_evicted_gets_all_of_it(kind: Kind) {
    let site = Memory::with(kind, &["--gmem-max", "20M", "--max_cache_segs", "1"]);
    let big = content(16 << 20);
    site.ask(&put("/s-1.ts", &big)).status_is(201);
    site.ask(&put("/other.bin", &big[..2 << 20])).status_is(201);
    let mut readers: Vec<_> = ["/s-1.ts", "/other.bin"]
        .map(|path| {
            let mut reader = site.client();
            reader.small_window();
            reader.begin(&get(path)).status_is(200);
            reader
        })
        .into();
    // One goes for the room, the other as the older of its quality.
    site.ask(&put("/s-2.ts", content(18 << 20))).status_is(201);
    site.ask(&put("/more.bin", content(19 << 20))).status_is(201);
    for path in ["/s-1.ts", "/s-2.ts", "/other.bin"] {
        site.ask(&get(path)).status_is(404);
    }
    assert!(readers[0].rest().ok().as_ref() == Some(&big));
    assert!(readers[1].rest().ok().as_deref() == Some(&big[..2 << 20]));
}

fn a_lack_of_descriptors_is_told(kind: Kind) {
    let site = Memory::new(kind);
    site.ask(&put("/first.bin", "x")).status_is(201);
    let mut client = site.client();
    client.ask(&get("/first.bin")).is(200, "x");
    site.limit_descriptors(site.descriptors() + 3);
    let refused = (0..10).map(|i| client.ask(&put(&format!("/{i}.bin"), "x")).status);
    let statuses: Vec<_> = refused.collect();
    assert!(statuses.contains(&503) && statuses[0] == 201, "{statuses:?}");
    client.ask(&get("/first.bin")).is(200, "x");
    client.ask(&delete("/first.bin")).status_is(200);
    client.ask(&put("/again.bin", "x")).status_is(201);
}

fn an_input_can_be_written_to_memory(kind: Kind) {
    let (tree, input) = (Tree::new(), content(3_000_000));
    tree.write("film.bin", &input);
    let args = ["-i", "film.bin", "-o", "http://127.0.0.1/live/film.bin", "--rdirs", "gmem"];
    let site = Memory::start(tree, kind, &args);
    until("all of it is there", || (site.counter("httpout_memory_resources") == 1).then_some(()));
    assert!(site.ask(&get("/live/film.bin")).body == input);
    assert_eq!(site.counter("httpout_memory_bytes"), 3_000_000);
    assert_eq!(site.tree.list(), ["film.bin"]);
}

fn an_input_that_does_not_fit_into_memory_names_the_option(kind: Kind) {
    let tree = Tree::new();
    tree.write("film.bin", content(200_000));
    let args = ["-i", &tree.arg("film.bin"), "-o", "http://127.0.0.1/film.bin"];
    let own = ["--rdirs", "gmem", "--gmem-max", "100k", "--quit"];
    let exit = Server::start(kind, &[&args[..], &own].concat()).exit();
    let error = exit.stderr.lines().find(|line| line.contains("ERROR")).unwrap_or_default();
    for word in ["film.bin", "no room in memory", "--gmem-max"] {
        assert!(error.contains(word), "{word}: {exit:?}");
    }
    let site = Memory::with(kind, &["--gmem-max", "1000"]);
    let refused = site.ask(&put("/a.bin", [1; 1001]));
    refused.status_is(507);
    assert!(refused.text().contains("--gmem-max"), "{refused:?}");
}

fn max_cache_segs_bounds_a_quality_in_memory(kind: Kind) {
    for (option, expected) in [("3", 3), ("-3", 3), ("0", 1), ("1", 1)] {
        let site = Memory::with(kind, &["--max_cache_segs", option, "--dlist"]);
        let mut client = site.client();
        for number in 1..=6 {
            for name in
                ["v/live.mpd".into(), format!("v/c0-{number}.m4s"), format!("v/c1-{number}.m4s")]
            {
                client.ask(&put(&format!("/{name}"), "x")).status_in(&[200, 201]);
            }
        }
        let mut left: Vec<_> = ["c0", "c1"]
            .iter()
            .flat_map(|name| (7 - expected..=6).map(move |number| format!("{name}-{number}.m4s")))
            .collect();
        left.push("live.mpd".into());
        assert_eq!(site.names("/v/"), left, "{option}");
        assert_eq!(site.evicted(), 2 * (6 - expected), "{option}");
    }
    let site = Memory::with(kind, &["--dlist"]);
    for number in 1..=9 {
        site.ask(&put(&format!("/s{number}.ts"), "x")).status_is(201);
    }
    assert_eq!(site.names("/"), ["s5.ts", "s6.ts", "s7.ts", "s8.ts", "s9.ts"]);
}

fn max_cache_segs_bounds_a_quality_on_disk_if_negative(kind: Kind) {
    let site = Site::with(kind, &["--max_cache_segs", "-3", "--admin", "127.0.0.1:0"]);
    site.write("d/s-0.ts", "there before");
    let mut client = site.client();
    for number in 1..=5 {
        for name in ["live.m3u8".into(), "init-0.mp4".into(), format!("s-{number}.ts")] {
            client.ask(&put(&format!("/d/{name}"), "x")).status_in(&[200, 201]);
        }
    }
    let left = |names: &[&str]| {
        let mut all = vec!["www/".to_owned(), "www/d/".into(), "www/d/init-0.mp4".into()];
        all.extend(["live.m3u8", "s-0.ts"].iter().chain(names).map(|name| format!("www/d/{name}")));
        assert_eq!(site.tree.list(), all);
    };
    left(&["s-3.ts", "s-4.ts", "s-5.ts"]);
    assert_eq!(site.server.counter("httpout_evicted_total"), 2);
    // Replaced, by whatever kind of upload, it is the newest.
    client.ask(&put("/d/s-3.ts", "y")).status_is(200);
    client.ask(&put("/d/s-4.ts", "y").field("Range", "bytes=0-0")).status_is(200);
    client.ask(&put("/d/s-6.ts", "x")).status_is(201);
    left(&["s-3.ts", "s-4.ts", "s-6.ts"]);
    // What the client or somebody else removes is no trouble; what somebody else replaces is not
    // removed.
    client.ask(&delete("/d/s-3.ts")).status_is(200);
    client.ask(&put("/d/s-7.ts", "x")).status_is(201);
    left(&["s-4.ts", "s-6.ts", "s-7.ts"]);
    std::fs::remove_file(site.tree.path("www/d/s-4.ts")).expect("the segment is there");
    client.ask(&put("/d/s-8.ts", "x")).status_is(201);
    left(&["s-6.ts", "s-7.ts", "s-8.ts"]);
    site.write("d/s-6.ts", "somebody else's");
    client.ask(&put("/d/s-9.ts", "x")).status_is(201);
    left(&["s-6.ts", "s-7.ts", "s-8.ts", "s-9.ts"]);
}

fn max_cache_segs_leaves_the_disk_alone_otherwise(kind: Kind) {
    for option in [&[][..], &["--max_cache_segs", "2"], &["--max_cache_segs", "0"]] {
        let site = Site::with(kind, option);
        for number in 1..=9 {
            site.ask(&put(&format!("/s{number}.ts"), "x")).status_is(201);
        }
        assert_eq!(site.tree.list().len(), 10, "{option:?}");
    }
}

/// Uploads a stream with a window of six segments, two qualities by two manifests, and removes a
/// manifest in the end. `names` tells what is left.
#[track_caller]
fn stream(server: &Server, names: impl Fn() -> Vec<String>) {
    let mut client = server.client();
    let segments = |from: u32, to| (from..=to).map(|number| format!("s-{number}.ts"));
    for number in 1..=9u32 {
        client.ask(&put(&format!("/d/v/s-{number}.ts"), "x")).status_is(201);
        client.ask(&put(&format!("/d/c-{number}.m4s"), "x")).status_is(201);
        let lines: Vec<_> = segments(number.saturating_sub(5).max(1), number)
            .map(|name| format!("#EXTINF:2,\nv/{name}\n"))
            .collect();
        let playlist = format!("#EXTM3U\n{}", lines.concat());
        client.ask(&put("/d/live.m3u8", &playlist)).status_in(&[200, 201]);
        let template =
            "<SegmentTemplate duration=\"2\" media=\"$RepresentationID$-$Number$.m4s\"/>";
        let mpd = format!(
            "<MPD type=\"dynamic\" timeShiftBufferDepth=\"PT6S\"><Period><AdaptationSet>{template}\
             <Representation id=\"c\"/></AdaptationSet></Period></MPD>"
        );
        client.ask(&put("/d/live.mpd", &mpd)).status_in(&[200, 201]);
    }
    // The playlist names the last six, the MPD so many that six seconds are covered. The oldest of
    // the playlist has just left it.
    let segments = |numbers: std::ops::RangeInclusive<u32>| {
        let chunks = (6..=9).map(|number| format!("c-{number}.m4s"));
        let own = numbers.map(|number| format!("v/s-{number}.ts"));
        chunks.chain(["live.m3u8".into(), "live.mpd".into()]).chain(own).collect::<Vec<_>>()
    };
    let is_left = |mut expected: Vec<String>| {
        let mut names = names();
        names.sort();
        expected.sort();
        assert_eq!(names, expected);
    };
    is_left(segments(3..=9));
    client.ask(&delete("/d/live.m3u8")).status_is(200);
    client.ask(&put("/d/v/s-10.ts", "x")).status_is(201);
    let mut left = segments(9..=10);
    left.retain(|name| name != "live.m3u8");
    is_left(left);
}

fn max_cache_segs_keeps_what_a_manifest_names_in_memory(kind: Kind) {
    let site = Memory::with(kind, &["--dlist", "--max_cache_segs", "2"]);
    stream(&site, || {
        let mut names = site.names("/d/");
        names.retain(|name| name != "v");
        names.extend(site.names("/d/v/").iter().map(|name| format!("v/{name}")));
        names
    });
}

fn max_cache_segs_keeps_what_a_manifest_names_on_disk(kind: Kind) {
    let site = Site::with(kind, &["--max_cache_segs", "-2"]);
    stream(&site.server, || {
        let names = site.tree.list().into_iter();
        let files = names.filter(|name| !name.ends_with('/'));
        files.filter_map(|name| name.strip_prefix("www/d/").map(str::to_owned)).collect()
    });
}

fn max_cache_segs_keeps_one_file_for_each_rendition(kind: Kind) {
    let site = Memory::with(kind, &["--dlist", "--max_cache_segs", "2"]);
    let mut client = site.client();
    let mut upload = |path: &str, content: &[u8]| {
        client.ask(&put(path, content)).status_is(201);
    };
    // These have a header of their own, and need no manifest.
    let film = media("film.mp4");
    (0..7).for_each(|number| upload(&format!("/mp4/m-stream{number}.mp4"), &film));
    assert_eq!(site.names("/mp4/").len(), 7);
    // Nothing but the manifest tells what these are.
    let lines: String = (0..7)
        .map(|number| format!("#EXTINF:2,\n#EXT-X-BYTERANGE:188@0\nm-stream{number}.ts\n"))
        .collect();
    upload("/ts/live.m3u8", format!("#EXTM3U\n{lines}").as_bytes());
    (0..7).for_each(|number| upload(&format!("/ts/m-stream{number}.ts"), b"G"));
    assert_eq!(site.names("/ts/").len(), 8);
    assert_eq!(site.evicted(), 0);
}

fn max_cache_segs_keeps_what_a_manifest_names_by_absolute_urls(kind: Kind) {
    let site = Memory::with(kind, &["--dlist", "--max_cache_segs", "2"]);
    let mut client = site.client();
    for (dir, base) in [
        ("own", format!("http://{}/own/", site.server.address())),
        ("named", "https://localhost/named/".into()),
        ("proxied", "//cdn.example:8443/media/live/proxied/".into()),
        ("rooted", "/media/rooted/".into()),
        ("elsewhere", "https://cdn.example/other/".into()),
    ] {
        let lines: String = (1..=5).map(|at| format!("#EXTINF:2,\n{base}s-{at}.ts\n")).collect();
        let playlist = format!("/{dir}/l.m3u8");
        client.ask(&put(&playlist, format!("#EXTM3U\n{lines}"))).status_is(201);
        for at in 1..=7 {
            client.ask(&put(&format!("/{dir}/s-{at}.ts"), "G")).status_is(201);
        }
        let kept = if dir == "elsewhere" { 3 } else { 8 };
        assert_eq!(site.names(&format!("/{dir}/")).len(), kept, "{base}");
    }
}

fn gmem_max_lets_segments_go_first_that_left_the_manifest(kind: Kind) {
    let site = Memory::with(kind, &["--gmem-max", "100k", "--dlist"]);
    let mut client = site.client();
    client.ask(&put("/old-1.ts", content(20 << 10))).status_is(201);
    client.ask(&put("/new-1.ts", content(40 << 10))).status_is(201);
    client.ask(&put("/l.m3u8", "#EXTM3U\nold-1.ts\nnew-1.ts\n")).status_is(201);
    client.ask(&put("/l.m3u8", "#EXTM3U\nold-1.ts\n")).status_is(200);
    client.ask(&put("/next-1.ts", content(50 << 10))).status_is(201);
    assert_eq!(site.names("/"), ["l.m3u8", "next-1.ts", "old-1.ts"]);
}
