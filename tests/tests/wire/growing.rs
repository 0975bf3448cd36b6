//! Resources that are read while they are written: what low-latency streaming lives from.

use httpout_tests::{Client, Kind, Piece, Request, Site, both, get, head, put, until};

both! {
    a_reader_gets_each_piece_as_it_is_written,
    an_upload_with_a_length_is_streamed_too,
    many_readers_get_the_same,
    a_late_reader_begins_at_the_beginning,
    a_http10_reader_gets_the_content_without_chunks,
    readers_of_an_aborted_upload_see_it_cut,
    a_slow_reader_does_not_hold_up_the_upload,
    a_reader_that_leaves_does_no_harm,
    a_get_of_an_upload_without_a_byte_waits,
    a_head_of_an_upload_waits_for_its_first_byte,
    an_upload_that_ends_without_a_byte_is_an_empty_file,
    waiting_readers_of_an_aborted_upload_get_an_answer,
    an_old_manifest_is_served_until_the_new_one_is_whole,
    a_manifest_that_is_aborted_stays_the_old_one,
    a_first_manifest_is_streamed,
    wait_missing_holds_a_request_until_the_first_byte,
    wait_missing_ends_with_404,
    wait_missing_is_off_by_default,
    wait_missing_ends_when_the_client_leaves,
    a_closed_range_waits_for_its_bytes,
    a_closed_range_is_never_answered_short,
    an_open_range_streams_to_the_end,
    a_range_beyond_what_is_there_waits,
    rfc8673_a_very_large_last_position_streams,
    rfc9112_9_3_2_a_reader_of_growth_can_pipeline,
}

/// Begins a chunked upload with some first bytes.
#[track_caller]
fn upload(site: &Site, path: &str, first: &str) -> Client {
    let mut upload = site.client();
    upload.begin_upload(Request::new("PUT", path).chunked());
    if !first.is_empty() {
        upload.send_chunk(first);
    }
    upload
}

/// Ends a chunked upload well.
#[track_caller]
fn finish(upload: &mut Client) {
    upload.send_last_chunk();
    upload.response("PUT").status_in(&[200, 201]);
}

/// Sends a request that the server has certainly seen when this returns: it came in one piece with
/// one that has been answered.
#[track_caller]
fn ask_and_wait(client: &mut Client, request: &Request) {
    client.send([Request::new("OPTIONS", "*").bytes(), request.bytes()].concat());
    client.response("OPTIONS").status_in(&[200, 204]);
}

fn a_reader_gets_each_piece_as_it_is_written(kind: Kind) {
    let site = Site::new(kind);
    let mut upload = upload(&site, "/seg.m4s", "piece 0");
    let mut reader = site.client();
    reader.begin(&get("/seg.m4s")).status_is(200).field_is("transfer-encoding", "chunked");
    assert_eq!(reader.content(7), b"piece 0");
    for i in 1..50 {
        // The next one is written only when this one has been read.
        let piece = format!("piece {i} {}", "x".repeat(i * i * 10));
        upload.send_chunk(&piece);
        assert_eq!(reader.content(piece.len()), piece.as_bytes());
        assert!(!site.has("seg.m4s"), "the file has its name before it is whole");
    }
    finish(&mut upload);
    assert_eq!(reader.rest(), Ok(Vec::new()));
    // The connection goes on.
    reader.ask(&get("/seg.m4s")).status_is(200).need("content-length");
}

fn an_upload_with_a_length_is_streamed_too(kind: Kind) {
    let site = Site::new(kind);
    let mut upload = site.client();
    upload.begin_upload(Request::new("PUT", "/seg.m4s").announce(9));
    upload.send("one");
    let mut reader = site.client();
    reader.begin(&get("/seg.m4s")).status_is(200);
    assert_eq!(reader.content(3), b"one");
    for piece in ["two", "six"] {
        upload.send(piece);
        assert_eq!(reader.content(3), piece.as_bytes());
    }
    upload.response("PUT").status_is(201);
    assert_eq!(reader.rest(), Ok(Vec::new()));
}

fn many_readers_get_the_same(kind: Kind) {
    let site = Site::new(kind);
    let mut upload = upload(&site, "/seg.m4s", "start");
    let mut readers: Vec<_> = (0..20).map(|_| site.client()).collect();
    for reader in &mut readers {
        reader.begin(&get("/seg.m4s")).status_is(200);
        assert_eq!(reader.content(5), b"start");
    }
    let more = vec![b'm'; 200_000];
    upload.send_chunk(&more);
    for reader in &mut readers {
        assert_eq!(reader.content(more.len()), more);
    }
    finish(&mut upload);
    for reader in &mut readers {
        assert_eq!(reader.rest(), Ok(Vec::new()));
    }
}

fn a_late_reader_begins_at_the_beginning(kind: Kind) {
    let site = Site::new(kind);
    let mut upload = upload(&site, "/seg.m4s", "early ");
    let mut early = site.client();
    early.begin(&get("/seg.m4s")).status_is(200);
    assert_eq!(early.content(6), b"early ");
    upload.send_chunk("late ");
    assert_eq!(early.content(5), b"late ");
    let mut late = site.client();
    late.begin(&get("/seg.m4s")).status_is(200);
    assert_eq!(late.content(11), b"early late ");
    upload.send_chunk("end");
    finish(&mut upload);
    assert_eq!(early.rest().as_deref(), Ok(&b"end"[..]));
    assert_eq!(late.rest().as_deref(), Ok(&b"end"[..]));
}

fn a_http10_reader_gets_the_content_without_chunks(kind: Kind) {
    let site = Site::new(kind);
    let mut upload = upload(&site, "/seg.m4s", "one ");
    let mut reader = site.client();
    reader
        .begin(&get("/seg.m4s").http10())
        .status_is(200)
        .field_is_absent("transfer-encoding")
        .says_close();
    assert_eq!(reader.content(4), b"one ");
    upload.send_chunk("two");
    assert_eq!(reader.content(3), b"two");
    finish(&mut upload);
    assert_eq!(reader.rest(), Ok(Vec::new()));
}

fn readers_of_an_aborted_upload_see_it_cut(kind: Kind) {
    let site = Site::new(kind);
    let leave: [fn(Client); 2] = [|client| drop(client), Client::abort];
    for leave in leave {
        let upload = upload(&site, "/seg.m4s", "half");
        let mut reader = site.client();
        reader.begin(&get("/seg.m4s")).status_is(200);
        assert_eq!(reader.content(4), b"half");
        leave(upload);
        assert!(matches!(reader.piece(), Piece::ChunkEnd | Piece::Cut(_)));
        assert!(reader.rest().is_err(), "a cut upload looks complete");
        until("the path is missing again", || {
            (site.ask(&get("/seg.m4s")).status == 404).then_some(())
        });
    }
    site.no_parts_left();
}

fn a_slow_reader_does_not_hold_up_the_upload(kind: Kind) {
    let site = Site::new(kind);
    let mut upload = upload(&site, "/seg.m4s", "start");
    let mut slow = site.client();
    slow.small_window();
    slow.begin(&get("/seg.m4s")).status_is(200);
    assert_eq!(slow.content(5), b"start");
    let block = vec![b'x'; 1 << 20];
    for _ in 0..32 {
        upload.send_chunk(&block);
    }
    finish(&mut upload);
    // The slow one still gets all of it, though the upload has long been over.
    assert_eq!(slow.count(), (32 << 20, None));
}

fn a_reader_that_leaves_does_no_harm(kind: Kind) {
    let site = Site::new(kind);
    let mut upload = upload(&site, "/seg.m4s", "one");
    for abort in [true, false] {
        let mut reader = site.client();
        reader.begin(&get("/seg.m4s")).status_is(200);
        assert_eq!(reader.content(3), b"one");
        if abort {
            reader.abort();
        }
    }
    upload.send_chunk("two");
    finish(&mut upload);
    site.ask(&get("/seg.m4s")).is(200, "onetwo");
}

fn a_get_of_an_upload_without_a_byte_waits(kind: Kind) {
    let site = Site::new(kind);
    let mut upload = upload(&site, "/init.mp4", "");
    let mut reader = site.client();
    ask_and_wait(&mut reader, &get("/init.mp4"));
    upload.send_chunk("first");
    reader.head("GET").status_is(200);
    assert_eq!(reader.content(5), b"first");
    finish(&mut upload);
    assert_eq!(reader.rest(), Ok(Vec::new()));
}

fn a_head_of_an_upload_waits_for_its_first_byte(kind: Kind) {
    let site = Site::new(kind);
    let mut upload = upload(&site, "/init.mp4", "");
    let mut reader = site.client();
    ask_and_wait(&mut reader, &head("/init.mp4"));
    upload.send_chunk("first");
    let answer = reader.response("HEAD");
    answer.status_is(200);
    assert_ne!(answer.get("content-length"), Some("0"), "an answer before the first byte");
    reader.ask(&head("/init.mp4")).status_is(200);
    finish(&mut upload);
    reader.ask(&head("/init.mp4")).status_is(200).field_is("content-length", "5");
}

fn an_upload_that_ends_without_a_byte_is_an_empty_file(kind: Kind) {
    let site = Site::new(kind);
    let mut upload = upload(&site, "/probe.mp4", "");
    let mut reader = site.client();
    ask_and_wait(&mut reader, &get("/probe.mp4"));
    finish(&mut upload);
    reader.response("GET").is(200, "");
}

fn waiting_readers_of_an_aborted_upload_get_an_answer(kind: Kind) {
    let site = Site::new(kind);
    let upload = upload(&site, "/init.mp4", "");
    let mut reader = site.client();
    ask_and_wait(&mut reader, &get("/init.mp4"));
    upload.abort();
    // There is nothing of that name any more.
    reader.response("GET").status_is(404);
}

fn an_old_manifest_is_served_until_the_new_one_is_whole(kind: Kind) {
    let site = Site::new(kind);
    for name in ["m.mpd", "m.m3u8", "m.xml", "m.json", "m.vtt", "m.txt"] {
        let path = format!("/{name}");
        site.write(name, "old manifest");
        let mut upload = upload(&site, &path, "new ");
        let mut reader = site.client();
        reader.ask(&get(&path)).is(200, "old manifest").field_is("content-length", "12");
        reader.ask(&head(&path)).status_is(200).field_is("content-length", "12");
        reader.ask(&get(&path).field("Range", "bytes=0-2")).is(206, "old");
        upload.send_chunk("manifest, whole");
        reader.ask(&get(&path)).is(200, "old manifest");
        finish(&mut upload);
        reader.ask(&get(&path)).is(200, "new manifest, whole");
    }
}

fn a_manifest_that_is_aborted_stays_the_old_one(kind: Kind) {
    let site = Site::new(kind);
    site.write("m.mpd", "old");
    let upload = upload(&site, "/m.mpd", "new");
    site.ask(&get("/m.mpd")).is(200, "old");
    upload.abort();
    site.no_parts_left();
    site.ask(&get("/m.mpd")).is(200, "old");
}

fn a_first_manifest_is_streamed(kind: Kind) {
    let site = Site::new(kind);
    let mut upload = upload(&site, "/m.mpd", "<MPD");
    let mut reader = site.client();
    reader.begin(&get("/m.mpd")).status_is(200);
    assert_eq!(reader.content(4), b"<MPD");
    upload.send_chunk("/>");
    assert_eq!(reader.content(2), b"/>");
    finish(&mut upload);
    assert_eq!(reader.rest(), Ok(Vec::new()));
}

fn wait_missing_holds_a_request_until_the_first_byte(kind: Kind) {
    let site = Site::with(kind, &["--wait-missing", "600"]);
    for (i, method) in ["GET", "HEAD", "GET"].into_iter().enumerate() {
        let path = format!("/live/seg-{i}.m4s");
        let mut reader = site.client();
        ask_and_wait(&mut reader, &Request::new(method, &path));
        let mut upload = site.client();
        upload.begin_upload(Request::new("PUT", &path).chunked());
        upload.send_chunk("first");
        // Answered now, not at the upload's end.
        reader.head(method).status_is(200);
        if method == "GET" {
            assert_eq!(reader.content(5), b"first");
        }
        upload.send_chunk(" last");
        finish(&mut upload);
        if method == "GET" {
            assert_eq!(reader.rest().as_deref(), Ok(&b" last"[..]));
        }
    }
    // A whole upload at once is as good.
    let mut reader = site.client();
    ask_and_wait(&mut reader, &get("/live/whole.m4s"));
    site.ask(&put("/live/whole.m4s", "whole")).status_is(201);
    reader.response("GET").is(200, "whole");
}

fn wait_missing_ends_with_404(kind: Kind) {
    let site = Site::with(kind, &["--wait-missing", "1"]);
    let mut client = site.client();
    client.ask(&get("/none.m4s")).status_is(404);
    client.ask(&head("/none.m4s")).status_is(404);
    client.ask(&put("/none.m4s", "x")).status_is(201);
    client.ask(&get("/none.m4s")).is(200, "x");
}

fn wait_missing_is_off_by_default(kind: Kind) {
    let site = Site::new(kind);
    site.ask(&get("/none.m4s")).status_is(404);
    // What lies in no write directory is never waited for.
    let read_only = Site::read_only(kind, &["--wait-missing", "600"]);
    read_only.ask(&get("/none.m4s")).status_is(404);
}

fn wait_missing_ends_when_the_client_leaves(kind: Kind) {
    let site = Site::with(kind, &["--wait-missing", "600"]);
    for i in 0..20 {
        let mut reader = site.client();
        ask_and_wait(&mut reader, &get(&format!("/seg-{i}.m4s")));
        assert_eq!(site.server.connections(), 1);
        reader.abort();
        until("the connection is closed", || (site.server.connections() == 0).then_some(()));
    }
}

fn a_closed_range_waits_for_its_bytes(kind: Kind) {
    let site = Site::new(kind);
    let mut upload = upload(&site, "/seg.m4s", "0123");
    let mut reader = site.client();
    ask_and_wait(&mut reader, &get("/seg.m4s").field("Range", "bytes=2-7"));
    upload.send_chunk("45");
    upload.send_chunk("6789");
    // Before the upload ends.
    let answer = reader.response("GET");
    answer.is(206, "234567");
    assert!(answer.need("content-range").starts_with("bytes 2-7/"), "{answer:?}");
    // What is there already needs no waiting.
    reader.ask(&get("/seg.m4s").field("Range", "bytes=0-1")).is(206, "01");
    finish(&mut upload);
    reader
        .ask(&get("/seg.m4s").field("Range", "bytes=8-20"))
        .is(206, "89")
        .field_is("content-range", "bytes 8-9/10");
}

fn a_closed_range_is_never_answered_short(kind: Kind) {
    let site = Site::new(kind);
    let mut upload = upload(&site, "/seg.m4s", "0123");
    let mut reader = site.client();
    ask_and_wait(&mut reader, &get("/seg.m4s").field("Range", "bytes=2-99"));
    upload.send_chunk("4567");
    finish(&mut upload);
    // The upload ended before the range did, so it is answered as of a file.
    reader.response("GET").is(206, "234567").field_is("content-range", "bytes 2-7/8");
}

fn an_open_range_streams_to_the_end(kind: Kind) {
    let site = Site::new(kind);
    let mut upload = upload(&site, "/seg.m4s", "0123");
    let mut reader = site.client();
    reader.begin(&get("/seg.m4s").field("Range", "bytes=2-")).status_is(206);
    assert_eq!(reader.content(2), b"23");
    upload.send_chunk("45");
    assert_eq!(reader.content(2), b"45");
    finish(&mut upload);
    assert_eq!(reader.rest(), Ok(Vec::new()));
}

fn a_range_beyond_what_is_there_waits(kind: Kind) {
    let site = Site::new(kind);
    let mut upload = upload(&site, "/seg.m4s", "0123");
    let mut open = site.client();
    let mut beyond = site.client();
    ask_and_wait(&mut open, &get("/seg.m4s").field("Range", "bytes=6-"));
    ask_and_wait(&mut beyond, &get("/seg.m4s").field("Range", "bytes=100-"));
    upload.send_chunk("4567");
    open.head("GET").status_is(206);
    assert_eq!(open.content(2), b"67");
    finish(&mut upload);
    assert_eq!(open.rest(), Ok(Vec::new()));
    // Its bytes never came.
    beyond.response("GET").status_is(416).field_is("content-range", "bytes */8");
}

fn rfc8673_a_very_large_last_position_streams(kind: Kind) {
    let site = Site::new(kind);
    let mut upload = upload(&site, "/seg.m4s", "0123");
    let mut reader = site.client();
    let answer = reader.begin(&get("/seg.m4s").field("Range", "bytes=2-9007199254740991"));
    answer
        .status_is(206)
        .field_is("content-range", "bytes 2-9007199254740991/*")
        .field_is("transfer-encoding", "chunked");
    assert_eq!(reader.content(2), b"23");
    upload.send_chunk("45");
    assert_eq!(reader.content(2), b"45");
    finish(&mut upload);
    assert_eq!(reader.rest(), Ok(Vec::new()));
    // When it is complete, its end is known.
    let answer = reader.ask(&get("/seg.m4s").field("Range", "bytes=2-9007199254740991"));
    answer.is(206, "2345").field_is("content-range", "bytes 2-5/6");
}

fn rfc9112_9_3_2_a_reader_of_growth_can_pipeline(kind: Kind) {
    let site = Site::new(kind);
    site.write("hello.txt", "hello world\n");
    let mut upload = upload(&site, "/seg.m4s", "one");
    let mut reader = site.client();
    reader.send([get("/seg.m4s").bytes(), get("/hello.txt").bytes()].concat());
    reader.head("GET").status_is(200);
    assert_eq!(reader.content(3), b"one");
    upload.send_chunk("two");
    finish(&mut upload);
    assert_eq!(reader.rest().as_deref(), Ok(&b"two"[..]));
    reader.response("GET").is(200, "hello world\n");
}
