//! Listings of large, slow and changing directories: they hold up nobody.

use std::sync::mpsc::{self, TryRecvError};
use std::time::Duration;
use std::{fs, thread};

use httpout_tests::listing::{as_json, between, entries, json_names, names};
use httpout_tests::{Client, Kind, Site, both, get, put, until};
use serde_json::Value;

#[cfg(feature = "tools")]
mod strace;

both! {
    large_listings_read_slowly_hold_nobody_up_and_give_their_memory_back,
    a_listing_of_many_files_over_http10,
    a_directory_that_changes_while_it_is_listed,
}

/// Many small requests on several connections; returns when all are answered.
#[track_caller]
fn others_are_served(site: &Site) {
    let mut clients: Vec<_> = (0..10).map(|_| site.client()).collect();
    for i in 0..100 {
        let client = &mut clients[i % 10];
        client.ask(&get("/small/a.txt")).is(200, "small");
        if i % 10 == 0 {
            client.ask(&put("/small/new.txt", "new")).status_in(&[200, 201]);
            client.ask(&get("/small/")).status_is(200);
        }
    }
}

/// A site with a directory of so many empty files.
#[track_caller]
fn crowded(kind: Kind, files: usize) -> Site {
    let site = Site::with(kind, &["--dlist"]);
    site.write("small/a.txt", "small");
    site.tree.dir("www/large");
    for i in 0..files {
        let path = site.tree.path(&format!("www/large/file-{i:06}.m4s"));
        fs::File::create(path).expect("an empty file");
    }
    site
}

/// Generously more than it takes to look at 100 000 files.
const LONG: Duration = Duration::from_secs(300);

fn large_listings_read_slowly_hold_nobody_up_and_give_their_memory_back(kind: Kind) {
    let files = 100_000;
    let site = crowded(kind, files);
    site.ask(&get("/small/")).status_is(200);
    let before = site.server.memory_kib();
    // Neither while it is made, nor while its reader does not read.
    let asked: Vec<Client> = [get("/large/"), as_json("/large/?sort=size&order=desc")]
        .into_iter()
        .map(|request| {
            let mut client = site.client();
            client.patience(LONG);
            client.send(request.bytes());
            client
        })
        .collect();
    others_are_served(&site);
    let mut read = Vec::new();
    for mut client in asked {
        client.head("GET").status_is(200);
        others_are_served(&site);
        read.push(client.rest().expect("the listing is whole"));
    }
    let most = site.server.peak_memory_kib() - before;
    assert!(most < 60 << 10, "{most} KiB more for {} entries", 2 * files);
    until("the memory is given back", || {
        (site.server.memory_kib() < before + (20 << 10)).then_some(())
    });
    let page = String::from_utf8_lossy(&read[0]);
    let names: Vec<_> = between(&page, "<bdi>", "</bdi>").filter(|n| n.starts_with('f')).collect();
    assert_eq!(names.len(), files);
    assert!(names.is_sorted(), "by name");
    let listing: Value = serde_json::from_slice(&read[1]).expect("well-formed JSON");
    assert_eq!(listing["entries"].as_array().map(Vec::len), Some(files));
    // A reader that goes away in the middle is no matter.
    let mut client = site.client();
    client.patience(LONG);
    client.begin(&get("/large/")).status_is(200);
    client.abort();
    others_are_served(&site);
}

fn a_listing_of_many_files_over_http10(kind: Kind) {
    let site = crowded(kind, 2_000);
    let mut client = site.client();
    let answer = client.ask(&get("/large/").http10());
    answer.status_is(200).says_close();
    assert_eq!(names(&answer.text()).len(), 2_000);
    client.closed_in_order();
}

fn a_directory_that_changes_while_it_is_listed(kind: Kind) {
    let site = Site::with(kind, &["--dlist"]);
    for i in 0..300 {
        site.write(&format!("stays-{i}.txt"), "x");
    }
    let tree = &site.tree;
    let (going_on, over) = mpsc::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            while over.try_recv() == Err(TryRecvError::Empty) {
                for i in 0..20 {
                    tree.write(&format!("www/goes-{i}.txt"), "x");
                    let _ = fs::remove_file(tree.path(&format!("www/goes-{i}.txt")));
                }
            }
        });
        // Dropped at the end, however this ends.
        let _going_on = going_on;
        let mut client = site.client();
        for _ in 0..100 {
            let entries = entries(&client.ask(&as_json("/")));
            let stay = json_names(&entries).iter().filter(|n| n.starts_with("stays-")).count();
            assert_eq!(stay, 300);
        }
    });
}
