//! With mounted file systems, which takes root.

use httpout_tests::Mounted;

use super::*;

both! {
    a_full_disk_is_507_and_the_old_file_stays,
    a_full_disk_under_a_chunked_upload,
    an_announced_upload_takes_no_room_from_others,
}

/// The old file is whole, nothing else is left, and there is room again.
#[track_caller]
fn nothing_is_lost(site: &Site) {
    site.no_parts_left();
    assert_eq!(site.tree.list(), ["www/", "www/a.bin"]);
    site.ask(&get("/a.bin")).is(200, vec![b'o'; 100_000]);
    site.ask(&put("/b.bin", vec![b'b'; 500_000])).status_is(201);
    site.ask(&Request::new("DELETE", "/b.bin")).status_is(200);
}

/// A site on a file system of 1 MiB, with an old file of 100 kB in it.
fn small_disk(kind: Kind) -> (Site, Mounted) {
    let tree = Tree::new();
    tree.dir("www");
    let mounted = Mounted::tmpfs(&tree.path("www"), 1024);
    tree.write("www/a.bin", vec![b'o'; 100_000]);
    (Site::over(tree, kind, &[]), mounted)
}

fn a_full_disk_is_507_and_the_old_file_stays(kind: Kind) {
    let (site, _mounted) = small_disk(kind);
    let mut client = site.client();
    client.send(Request::new("PUT", "/a.bin").announce(3_000_000).bytes());
    let _ = client.try_send(vec![b'n'; 3_000_000]);
    client.response("PUT").status_is(507);
    drop(client);
    nothing_is_lost(&site);
    // A new file in a new directory.
    let mut client = site.client();
    client.send(Request::new("PUT", "/dir/c.bin").announce(3_000_000).bytes());
    let _ = client.try_send(vec![b'n'; 3_000_000]);
    client.response("PUT").status_is(507);
    drop(client);
    until("the directory made for it is removed", || (!site.has("dir")).then_some(()));
    nothing_is_lost(&site);
}

fn a_full_disk_under_a_chunked_upload(kind: Kind) {
    let (site, _mounted) = small_disk(kind);
    let mut upload = site.client();
    upload.begin_upload(Request::new("PUT", "/a.bin").chunked());
    upload.send_chunk(vec![b'n'; 10_000]);
    let mut reader = site.client();
    reader.begin(&get("/a.bin")).status_is(200);
    assert_eq!(reader.content(10_000), vec![b'n'; 10_000]);
    for _ in 0..30 {
        let _ = upload.try_send(Request::chunk(&[b'n'; 100_000]));
    }
    upload.response("PUT").status_is(507);
    assert!(reader.rest().is_err(), "a cut upload looks complete");
    drop(upload);
    nothing_is_lost(&site);
}

fn an_announced_upload_takes_no_room_from_others(kind: Kind) {
    let tree = Tree::new();
    tree.dir("www");
    let _mounted = Mounted::tmpfs(&tree.path("www"), 16 << 10);
    let site = Site::over(tree, kind, &[]);
    // Each of them fits, and all of them together do not.
    let mut idle: Vec<_> = (0..3)
        .map(|at| {
            let mut client = site.client();
            let head = Request::new("PUT", &format!("/idle{at}.bin")).announce(12 << 20);
            client.begin_upload(head);
            client.send([b'i'; 1000]);
            client
        })
        .collect();
    until("the uploads have begun", || (site.tree.list().len() == 4).then_some(()));
    site.ask(&put("/a.bin", vec![b'a'; 8 << 20])).status_is(201);
    // The room is gone now, which the next upload is told before it sends anything.
    let mut late = site.client();
    late.send(Request::new("PUT", "/late.bin").announce(12 << 20).bytes());
    late.response("PUT").status_is(507);
    let mut first = idle.remove(0);
    let _ = first.try_send(vec![b'i'; (12 << 20) - 1000]);
    first.response("PUT").status_is(507);
    drop((first, idle, late));
    site.no_parts_left();
    site.ask(&get("/a.bin")).is(200, vec![b'a'; 8 << 20]);
}
