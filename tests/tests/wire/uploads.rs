//! Uploads and deletions: status codes, atomic replacement, aborted uploads.

use httpout_tests::{Client, Kind, Request, Site, both, delete, get, head, post, put, until};

both! {
    a_new_resource_is_201_and_a_replaced_one_200,
    an_upload_without_content_is_an_upload,
    post_is_as_put,
    the_query_is_no_part_of_the_name,
    missing_directories_are_made,
    an_upload_needs_a_length_or_chunks,
    maxs_bounds_an_upload_with_a_length,
    maxs_bounds_a_chunked_upload,
    maxs_reads_suffixes,
    a_refused_upload_that_is_sent_all_the_same_is_answered,
    a_directory_is_never_replaced_by_a_file,
    a_file_is_no_directory,
    delete_of_a_file_of_nothing_and_of_a_directory,
    directories_left_empty_by_a_delete_go_too,
    a_delete_may_carry_a_body,
    a_delete_is_done_for_a_client_that_does_not_wait,
    the_old_file_stands_on_the_disk_until_the_new_one_is_whole,
    an_aborted_upload_leaves_the_old_file,
    an_aborted_upload_leaves_no_directory,
    uploads_sent_whole_survive_a_reset,
    an_upload_with_bad_chunks_leaves_the_old_file,
    of_two_uploads_the_later_to_finish_stands,
    ten_uploads_at_once_leave_one_of_them_whole,
    a_delete_during_an_upload_does_no_harm,
    an_unfinished_part_cannot_be_named_by_a_url,
    durable_uploads_are_uploads,
    an_upload_is_there_as_soon_as_it_is_answered,
    descriptors_do_not_pile_up,
}

fn a_new_resource_is_201_and_a_replaced_one_200(kind: Kind) {
    let site = Site::new(kind);
    let mut client = site.client();
    client.ask(&put("/a.bin", "one")).status_is(201).field_is("content-location", "/a.bin");
    client.ask(&put("/a.bin", "three")).status_is(200).field_is("content-location", "/a.bin");
    client.ask(&get("/a.bin")).is(200, "three");
    // The old tail is gone.
    client.ask(&put("/a.bin", "x")).status_is(200);
    client.ask(&get("/a.bin")).is(200, "x");
    client
        .ask(&put("/a%20b%C3%A9%3F.bin", "space"))
        .status_is(201)
        .field_is("content-location", "/a%20b%C3%A9%3F.bin");
    assert_eq!(site.read("a bé?.bin").as_deref(), Some(&b"space"[..]));
}

fn an_upload_without_content_is_an_upload(kind: Kind) {
    let site = Site::new(kind);
    let mut client = site.client();
    client.ask(&put("/a.bin", "")).status_is(201);
    client.ask(&get("/a.bin")).is(200, "");
    client.ask(&put("/a.bin", "x")).status_is(200);
    client.ask(&Request::new("PUT", "/a.bin").chunks(&[])).status_is(200);
    client.ask(&get("/a.bin")).is(200, "");
}

fn post_is_as_put(kind: Kind) {
    let site = Site::new(kind);
    let mut client = site.client();
    client.ask(&post("/a.bin", "one")).status_is(201).field_is("content-location", "/a.bin");
    client.ask(&Request::new("POST", "/a.bin").chunks(&[b"tw", b"o"])).status_is(200);
    client.ask(&get("/a.bin")).is(200, "two");
}

fn the_query_is_no_part_of_the_name(kind: Kind) {
    let site = Site::new(kind);
    site.ask(&put("/a.bin?token=/../x", "one")).status_is(201);
    site.ask(&get("/a.bin?other")).is(200, "one");
    assert_eq!(site.tree.list(), ["www/", "www/a.bin"]);
}

fn missing_directories_are_made(kind: Kind) {
    let site = Site::new(kind);
    site.ask(&put("/live/ch1/video/seg-1.m4s", "one")).status_is(201);
    site.ask(&Request::new("PUT", "/live/ch1/audio/seg-1.m4s").chunks(&[b"two"])).status_is(201);
    site.ask(&get("/live/ch1/video/seg-1.m4s")).is(200, "one");
    site.ask(&get("/live/ch1/audio/seg-1.m4s")).is(200, "two");
}

fn an_upload_needs_a_length_or_chunks(kind: Kind) {
    let site = Site::new(kind);
    site.write("a.bin", "old");
    for method in ["PUT", "POST"] {
        site.ask(&Request::new(method, "/a.bin")).status_is(411);
    }
    assert_eq!(site.read("a.bin").as_deref(), Some(&b"old"[..]));
}

fn maxs_bounds_an_upload_with_a_length(kind: Kind) {
    let site = Site::with(kind, &["--maxs", "1000"]);
    site.ask(&put("/a.bin", [1; 1000])).status_is(201);
    site.ask(&put("/a.bin", [2; 1001])).status_is(413);
    // Early: the body is never sent.
    let mut client = site.client();
    client.send(Request::new("PUT", "/a.bin").announce(1 << 40).bytes());
    client.response("PUT").status_is(413);
    assert_eq!(site.read("a.bin"), Some(vec![1; 1000]));
    site.no_parts_left();
}

fn maxs_bounds_a_chunked_upload(kind: Kind) {
    let site = Site::with(kind, &["--maxs", "1000"]);
    site.ask(&Request::new("PUT", "/a.bin").chunks(&[&[1; 600], &[1; 400]])).status_is(201);
    let mut client = site.client();
    client.send(Request::new("PUT", "/a.bin").chunks(&[&[2; 600], &[2; 401]]).bytes());
    client.response("PUT").status_is(413).says_close();
    client.closed_in_order();
    let mut client = site.client();
    client.begin_upload(Request::new("PUT", "/new.bin").chunked());
    client.send_chunk([2; 600]);
    client.send_chunk([2; 600]);
    client.response("PUT").status_is(413);
    assert_eq!(site.read("a.bin"), Some(vec![1; 1000]));
    site.no_parts_left();
    assert!(!site.has("new.bin"));
}

fn maxs_reads_suffixes(kind: Kind) {
    let site = Site::with(kind, &["--maxs", "1M"]);
    site.ask(&put("/a.bin", vec![1; 1_000_000])).status_is(201);
    site.ask(&Request::new("PUT", "/a.bin").announce(1_048_577).expect()).status_is(413);
}

fn a_refused_upload_that_is_sent_all_the_same_is_answered(kind: Kind) {
    // The client sends its body without looking; the answer must survive that.
    let site = Site::read_only(kind, &[]);
    for request in [
        put("/a.bin", [1; 40_000]),
        Request::new("PUT", "/a.bin").chunks(&[&[1; 20_000], &[2; 20_000]]),
    ] {
        let mut client = site.client();
        client.send(request.bytes());
        client.response("PUT").status_is(405);
    }
}

fn a_directory_is_never_replaced_by_a_file(kind: Kind) {
    let site = Site::new(kind);
    site.write("dir/inside.bin", "inside");
    for path in ["/dir", "/dir/", "/", "/new/"] {
        let answer = site.ask(&put(path, "x"));
        assert!([400, 403, 404, 405, 409].contains(&answer.status), "{path}: {answer:?}");
    }
    site.no_parts_left();
    assert_eq!(site.tree.list(), ["www/", "www/dir/", "www/dir/inside.bin"]);
}

fn a_file_is_no_directory(kind: Kind) {
    let site = Site::new(kind);
    site.write("a.bin", "old");
    for request in [
        put("/a.bin/b.bin", "x"),
        put("/a.bin/c/d.bin", "x"),
        delete("/a.bin/"),
        delete("/a.bin/b.bin"),
    ] {
        let answer = site.ask(&request);
        assert!([204, 400, 403, 404, 405, 409].contains(&answer.status), "{request:?}: {answer:?}");
    }
    for path in ["/a.bin/", "/a.bin/b.bin"] {
        site.ask(&get(path)).status_in(&[400, 403, 404]);
    }
    assert_eq!(site.read("a.bin").as_deref(), Some(&b"old"[..]));
    site.no_parts_left();
}

fn delete_of_a_file_of_nothing_and_of_a_directory(kind: Kind) {
    let site = Site::new(kind);
    site.write("keep.bin", "keep");
    site.write("a.bin", "a");
    site.write("dir/inside.bin", "inside");
    let mut client = site.client();
    client.ask(&delete("/a.bin")).status_is(200);
    client.ask(&delete("/a.bin")).status_is(204);
    client.ask(&get("/a.bin")).status_is(404);
    client.ask(&delete("/none/none.bin")).status_is(204);
    for path in ["/dir", "/dir/", "/"] {
        client.ask(&delete(path)).status_is(403);
    }
    assert_eq!(site.tree.list(), ["www/", "www/dir/", "www/dir/inside.bin", "www/keep.bin"]);
}

fn directories_left_empty_by_a_delete_go_too(kind: Kind) {
    let site = Site::new(kind);
    site.write("live/one/a/1.m4s", "x");
    site.write("live/two/b/1.m4s", "x");
    site.ask(&delete("/live/one/a/1.m4s")).status_is(200);
    until("the empty directories are removed", || (!site.has("live/one")).then_some(()));
    assert!(site.has("live/two/b/1.m4s"));
    site.ask(&delete("/live/two/b/1.m4s")).status_is(200);
    // The write directory itself stays.
    until("the empty directories are removed", || (site.tree.list() == ["www/"]).then_some(()));
    site.ask(&put("/live/one/a/1.m4s", "x")).status_is(201);
}

fn a_delete_may_carry_a_body(kind: Kind) {
    let site = Site::new(kind);
    let mut client = site.client();
    for request in [
        delete("/a.bin").chunks(&[]),
        delete("/a.bin").chunks(&[b"why"]),
        delete("/a.bin").body("why"),
    ] {
        client.ask(&put("/a.bin", "a")).status_is(201);
        client.ask(&request).status_is(200);
        client.ask(&get("/a.bin")).status_is(404);
    }
}

fn a_delete_is_done_for_a_client_that_does_not_wait(kind: Kind) {
    let site = Site::new(kind);
    let leave: [fn(Client); 2] = [|client| drop(client), |mut client| client.finish_sending()];
    for leave in leave {
        site.write("a.bin", "a");
        let mut client = site.client();
        client.send(delete("/a.bin").chunks(&[]).bytes());
        leave(client);
        until("the file is deleted", || (!site.has("a.bin")).then_some(()));
    }
    // The same holds for an upload that was sent whole.
    let mut client = site.client();
    client.send(Request::new("PUT", "/b.bin").chunks(&[b"whole"]).bytes());
    drop(client);
    until("the file is there", || (site.read("b.bin").as_deref() == Some(b"whole")).then_some(()));
}

fn the_old_file_stands_on_the_disk_until_the_new_one_is_whole(kind: Kind) {
    let site = Site::new(kind);
    site.write("a.bin", "old");
    let mut upload = site.client();
    upload.begin_upload(Request::new("PUT", "/a.bin").announce(10));
    upload.send("new b");
    // The first half is in: it can be read over HTTP.
    let mut reader = site.client();
    reader.begin(&get("/a.bin")).status_is(200);
    assert_eq!(reader.content(5), b"new b");
    assert_eq!(site.read("a.bin").as_deref(), Some(&b"old"[..]));
    upload.send("bytes");
    upload.response("PUT").status_is(200);
    assert_eq!(site.read("a.bin").as_deref(), Some(&b"new bbytes"[..]));
    assert_eq!(reader.rest().as_deref(), Ok(&b"bytes"[..]));
    site.no_parts_left();
}

/// The ways in which an encoder vanishes.
const VANISH: [fn(Client); 3] = [
    |client| drop(client),
    Client::abort,
    |mut client| {
        client.finish_sending();
        // Held open in this direction until the server has given up.
        if client.try_head("PUT").is_ok() {
            let _ = client.rest();
        }
        client.closed();
    },
];

fn an_aborted_upload_leaves_the_old_file(kind: Kind) {
    let site = Site::new(kind);
    site.write("a.bin", "old");
    for vanish in VANISH {
        for request in
            [Request::new("PUT", "/a.bin").announce(100), Request::new("POST", "/a.bin").chunked()]
        {
            let mut upload = site.client();
            upload.begin_upload(request);
            upload.send("5\r\nfirst\r\n");
            vanish(upload);
            site.no_parts_left();
            until("the old file is served again", || {
                (site.ask(&get("/a.bin")).text() == "old").then_some(())
            });
            assert_eq!(site.tree.list(), ["www/", "www/a.bin"]);
            assert_eq!(site.read("a.bin").as_deref(), Some(&b"old"[..]));
        }
    }
}

fn an_aborted_upload_leaves_no_directory(kind: Kind) {
    let site = Site::new(kind);
    for vanish in VANISH {
        let mut upload = site.client();
        upload.begin_upload(Request::new("PUT", "/live/ch1/a.bin").chunked());
        upload.send_chunk("first");
        vanish(upload);
        until("what was made for the upload is removed", || {
            (site.tree.list() == ["www/"]).then_some(())
        });
        until("the path is missing again", || {
            (site.ask(&get("/live/ch1/a.bin")).status == 404).then_some(())
        });
    }
}

fn uploads_sent_whole_survive_a_reset(kind: Kind) {
    // An encoder that ends does not wait for its answers: with some of them unread, its close is a
    // reset. What it sent before, the last manifest above all, has arrived all the same, and can
    // still be read from the socket.
    let site = Site::new(kind);
    let uploads: Vec<_> = (0..20)
        .flat_map(|i| Request::new("PUT", &format!("/{i}.m4s")).chunks(&[b"whole"]).bytes())
        .collect();
    for _ in 0..3 {
        let mut encoder = site.client();
        encoder.send(&uploads);
        encoder.response("PUT").status_in(&[200, 201]);
        encoder.abort();
        for i in 0..20 {
            let stored =
                || (site.read(&format!("{i}.m4s")).as_deref() == Some(b"whole")).then_some(());
            until(&format!("upload {i} of 20, sent whole before the reset, is stored"), stored);
            site.ask(&delete(&format!("/{i}.m4s"))).status_is(200);
        }
    }
}

fn an_upload_with_bad_chunks_leaves_the_old_file(kind: Kind) {
    let site = Site::new(kind);
    site.write("a.bin", "old");
    let head = Request::new("PUT", "/a.bin").chunked().bytes();
    site.server.refuses([&head[..], b"5\r\nfirst\r\nzz\r\n"].concat(), 400);
    site.no_parts_left();
    site.ask(&get("/a.bin")).is(200, "old");
}

fn of_two_uploads_the_later_to_finish_stands(kind: Kind) {
    let site = Site::new(kind);
    site.write("a.bin", "old");
    let mut first = site.client();
    first.begin_upload(Request::new("PUT", "/a.bin").chunked());
    first.send_chunk("first ");
    let mut second = site.client();
    second.begin_upload(Request::new("PUT", "/a.bin").chunked());
    second.send_chunk("second ");
    second.send_last_chunk();
    second.response("PUT").status_is(200);
    assert_eq!(site.read("a.bin").as_deref(), Some(&b"second "[..]));
    first.send_chunk("begun, last to finish");
    first.send_last_chunk();
    first.response("PUT").status_is(200);
    assert_eq!(site.read("a.bin").as_deref(), Some(&b"first begun, last to finish"[..]));
    site.ask(&get("/a.bin")).is(200, "first begun, last to finish");
    site.no_parts_left();
}

fn ten_uploads_at_once_leave_one_of_them_whole(kind: Kind) {
    let site = Site::new(kind);
    let mut uploads: Vec<_> = (0..10_u8).map(|i| (i, site.client())).collect();
    for (_, upload) in &mut uploads {
        upload.begin_upload(Request::new("PUT", "/a.bin").announce(100_000));
    }
    for _ in 0..10 {
        for (i, upload) in &mut uploads {
            upload.send([b'0' + *i; 10_000]);
        }
    }
    for (_, upload) in &mut uploads {
        upload.response("PUT").status_in(&[200, 201]);
    }
    let content = site.read("a.bin").expect("one of them stands");
    assert_eq!(content, vec![content[0]; 100_000], "bytes of several uploads in one file");
    site.no_parts_left();
}

fn a_delete_during_an_upload_does_no_harm(kind: Kind) {
    let site = Site::new(kind);
    site.write("a.bin", "old");
    let mut upload = site.client();
    upload.begin_upload(Request::new("PUT", "/a.bin").chunked());
    upload.send_chunk("new");
    site.ask(&delete("/a.bin")).status_in(&[200, 204, 409]);
    upload.send_last_chunk();
    upload.response("PUT").status_in(&[200, 201]);
    // What finishes last stands.
    site.ask(&get("/a.bin")).is(200, "new");
    site.no_parts_left();
}

fn an_unfinished_part_cannot_be_named_by_a_url(kind: Kind) {
    let site = Site::new(kind);
    site.tree.dir("www/dir");
    let mut upload = site.client();
    upload.begin_upload(Request::new("PUT", "/dir/a.bin").announce(10));
    upload.send("12345");
    let mut reader = site.client();
    reader.begin(&get("/dir/a.bin")).status_is(200);
    assert_eq!(reader.content(5), b"12345");
    let mut names: Vec<_> = site.tree.parts().iter().map(|name| name.replace("www", "")).collect();
    names.extend(
        ["/.httpout-x.part", "/dir/.httpout-x", "/.httpout-new/a.bin", "/%2ehttpout-x.part"]
            .map(str::to_owned),
    );
    for name in names {
        for request in [get(&name), head(&name), put(&name, "x"), delete(&name), post(&name, "x")] {
            let answer = site.ask(&request);
            assert!([400, 403, 404].contains(&answer.status), "{request:?}: {answer:?}");
        }
    }
    upload.send("67890");
    upload.response("PUT").status_is(201);
    assert_eq!(site.tree.list(), ["www/", "www/dir/", "www/dir/a.bin"]);
    assert_eq!(site.read("dir/a.bin").as_deref(), Some(&b"1234567890"[..]));
}

fn durable_uploads_are_uploads(kind: Kind) {
    let site = Site::with(kind, &["--durable"]);
    let mut client = site.client();
    client.ask(&put("/live/a.bin", "one")).status_is(201);
    assert_eq!(site.read("live/a.bin").as_deref(), Some(&b"one"[..]));
    client.ask(&Request::new("PUT", "/live/a.bin").chunks(&[b"two"])).status_is(200);
    client.ask(&get("/live/a.bin")).is(200, "two");
    client.ask(&delete("/live/a.bin")).status_is(200);
    client.ask(&get("/live/a.bin")).status_is(404);
    site.no_parts_left();
}

fn an_upload_is_there_as_soon_as_it_is_answered(kind: Kind) {
    let site = Site::new(kind);
    let mut upload = site.client();
    let mut reader = site.client();
    for i in 0..200_u32 {
        let content = i.to_be_bytes().repeat(64);
        upload.ask(&put("/a.bin", &content)).status_in(&[200, 201]);
        assert_eq!(
            site.read("a.bin").as_deref(),
            Some(content.as_slice()),
            "upload {i} on the disk"
        );
        reader.ask(&get("/a.bin")).is(200, &content);
    }
}

fn descriptors_do_not_pile_up(kind: Kind) {
    let site = Site::new(kind);
    site.ask(&put("/warm.bin", "x")).status_is(201);
    let before = site.server.descriptors();
    for i in 0..30 {
        let mut upload = site.client();
        upload.begin_upload(Request::new("PUT", "/a.bin").chunked());
        upload.send_chunk("first");
        let mut reader = site.client();
        reader.begin(&get("/a.bin")).status_is(200);
        assert_eq!(reader.content(5), b"first", "round {i}");
        upload.abort();
        assert!(reader.rest().is_err(), "round {i}: a cut upload looks complete");
    }
    // A few more may stay open for a while in a pool of threads, but not one for each round.
    until("the descriptors are closed", || (site.server.descriptors() <= before + 8).then_some(()));
    site.no_parts_left();
    assert_eq!(site.tree.list(), ["www/", "www/warm.bin"]);
}
