//! A process that stands still for longer than its deadlines and then goes on: what the other side
//! did meanwhile counts.

use std::io::{BufReader, Write as _};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use httpout_tests::{
    Asked, Kind, Pusher, Request, Scripted, Site, both, get, until, while_stopped,
};

both! {
    what_came_before_a_deadline_counts,
    an_upload_that_came_before_a_deadline_is_waited_for,
    what_came_before_lingering_ended_destroys_no_response,
    a_download_outlasts_a_stop,
    a_push_outlasts_a_stop,
    a_response_that_came_during_a_stop_counts,
}

/// What is added to the options so that TLS is spoken, or not.
const BOTH_WAYS: [&[&str]; 2] = [&[], &["--self-signed"]];

/// The deadlines, in seconds: more than a slow machine takes from a request to the stop.
const DEADLINE: &str = "5";

/// The deadlines pass meanwhile. This is a time of the process's own, not one that it is given.
fn let_deadlines_pass() {
    thread::sleep(Duration::from_millis(5500));
}

/// A small chunked PUT.
fn small(name: usize) -> Request {
    Request::new("PUT", &format!("/{name}.bin")).chunks(&[name.to_string().as_bytes()])
}

fn what_came_before_a_deadline_counts(kind: Kind) {
    for tls in BOTH_WAYS {
        let times = ["--timeout", DEADLINE, "--head-timeout", DEADLINE, "--body-timeout", DEADLINE];
        let site = Site::with(kind, &[tls, &times].concat());
        let client = || {
            let mut client = site.client();
            client.ask(&get("/none")).status_is(404);
            client
        };
        let last = small(2).bytes().len() - 7;
        // In each of the states in which a deadline runs: at rest, in a head, in a body.
        let mut cut = [0, 10, last].map(|at| (client(), at));
        for (name, (client, at)) in cut.iter_mut().enumerate() {
            client.send(&small(name).bytes()[..*at]);
        }
        let mut pipeline = client();
        // The server has read it once it has answered somebody else.
        site.is_well();
        while_stopped(site.server.pid(), || {
            for (name, (client, at)) in cut.iter_mut().enumerate() {
                client.send(&small(name).bytes()[*at..]);
            }
            pipeline.send((10..30).flat_map(|name| small(name).bytes()).collect::<Vec<_>>());
            let_deadlines_pass();
        });
        for (name, (mut client, _)) in cut.into_iter().enumerate() {
            client.response("PUT").status_is(201);
            assert_eq!(site.read(&format!("{name}.bin")), Some(name.to_string().into_bytes()));
        }
        for name in 10..30 {
            pipeline.response("PUT").status_is(201);
            assert!(site.has(&format!("{name}.bin")));
        }
    }
}

fn an_upload_that_came_before_a_deadline_is_waited_for(kind: Kind) {
    for tls in BOTH_WAYS {
        let site = Site::with(kind, &[tls, &["--wait-missing", DEADLINE]].concat());
        let mut upload = site.client();
        let mut waits: Vec<_> = (0..8).map(|_| site.client()).collect();
        for client in &mut waits {
            client.send(get("/1.bin").bytes());
        }
        site.is_well();
        while_stopped(site.server.pid(), || {
            upload.send(small(1).bytes());
            let_deadlines_pass();
        });
        for client in &mut waits {
            client.response("GET").is(200, "1");
        }
        upload.response("PUT").status_is(201);
    }
}

fn what_came_before_lingering_ended_destroys_no_response(kind: Kind) {
    for tls in BOTH_WAYS {
        let site = Site::with(kind, &[tls, &["--close"]].concat());
        // All of it is with the server's socket, and little with the client's.
        let content = vec![b'c'; 64 << 10];
        site.write("a.bin", &content);
        let mut client = site.client();
        client.small_window();
        client.send(get("/a.bin").bytes());
        site.is_well();
        // Five seconds without a byte end it.
        while_stopped(site.server.pid(), || {
            client.send([b'x'; 1000]);
            let_deadlines_pass();
        });
        // The server has gone on when it answers again.
        site.is_well();
        client.response("GET").is(200, &content).says_close();
        client.closed_in_order();
    }
}

fn a_download_outlasts_a_stop(kind: Kind) {
    const CLIENTS: u64 = 8;
    for tls in BOTH_WAYS {
        let site = Site::with(kind, &[tls, &["--send-timeout", DEADLINE]].concat());
        let length = if tls.is_empty() { 128 << 20 } else { 32 << 20 };
        let read = AtomicU64::new(0);
        thread::scope(|scope| {
            let downloads: Vec<_> = (0..CLIENTS)
                .map(|i| {
                    // What was never read is not in the page cache. So some of the stopped
                    // connections wait for the disk, and some for the client.
                    site.tree.sparse(&format!("www/{i}.bin"), length);
                    let mut client = site.client();
                    client.begin(&get(&format!("/{i}.bin"))).status_is(200);
                    let read = &read;
                    scope.spawn(move || {
                        let mut own = 0;
                        loop {
                            let (more, end) = client.count_up_to(1 << 16);
                            own += more;
                            read.fetch_add(more, Ordering::Relaxed);
                            if more < 1 << 16 || own == length {
                                return (own, end);
                            }
                        }
                    })
                })
                .collect();
            until("the downloads are under way", || {
                (read.load(Ordering::Relaxed) > CLIENTS << 20).then_some(())
            });
            while_stopped(site.server.pid(), let_deadlines_pass);
            for download in downloads {
                assert_eq!(download.join().expect("a download goes on"), (length, None));
            }
        });
    }
}

fn a_push_outlasts_a_stop(kind: Kind) {
    const LENGTH: usize = 64 << 20;
    for tls in BOTH_WAYS {
        let site = Site::with(kind, tls);
        let url = site.server.url("/stream.bin");
        let trust: &[&str] = if tls.is_empty() { &[] } else { &["--insecure"] };
        let args = ["-i", "-", "-o", &url, "--send-timeout", DEADLINE];
        let (pusher, mut input) = Pusher::fed(kind, &[&args[..], trust].concat());
        let given = Arc::new(AtomicUsize::new(0));
        let feeder = thread::spawn({
            let given = given.clone();
            move || {
                for _ in 0..LENGTH >> 16 {
                    input.write_all(&[7; 1 << 16]).expect("the push takes it");
                    given.fetch_add(1 << 16, Ordering::Relaxed);
                }
            }
        });
        until("the upload is under way", || (given.load(Ordering::Relaxed) > 0).then_some(()));
        let deadlines_pass = while_stopped(site.server.pid(), || {
            // The push is blocked when it takes no more of its input; until then, nothing is late.
            let mut before = usize::MAX;
            until("the push is blocked", || {
                thread::sleep(Duration::from_millis(100));
                let now = given.load(Ordering::Relaxed);
                (std::mem::replace(&mut before, now) == now).then_some(())
            });
            let pid = pusher.pid();
            let (stopped, is_stopped) = mpsc::channel();
            let passing = thread::spawn(move || {
                while_stopped(pid, || {
                    let _ = stopped.send(());
                    let_deadlines_pass();
                });
            });
            is_stopped.recv().expect("the push is stopped");
            passing
        });
        deadlines_pass.join().expect("the push goes on");
        feeder.join().expect("all was taken");
        // A stream cannot be sent again: it was sent once.
        pusher.ok();
        let stored = std::fs::metadata(site.tree.arg("www/stream.bin")).expect("it is there");
        assert_eq!(stored.len(), LENGTH as u64);
    }
}

fn a_response_that_came_during_a_stop_counts(kind: Kind) {
    let (tell, asked) = mpsc::channel();
    let (go_on, may_answer) = mpsc::channel::<()>();
    let may_answer = Arc::new(Mutex::new(may_answer));
    let server = Scripted::new(move |connection, stream| {
        let mut stream = BufReader::new(stream);
        while let Ok(Some(request)) = Asked::read(connection, &mut stream) {
            let _ = tell.send(request);
            let _ = may_answer.lock().expect("nobody panicked").recv();
            let answer = b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n";
            let _ = stream.get_mut().write_all(answer);
        }
    });
    let args = ["-i", "-", "-o", &server.url("/a"), "--timeout", DEADLINE];
    let (pusher, mut input) = Pusher::fed(kind, &args);
    input.write_all(b"hello").expect("the push takes it");
    drop(input);
    let request = asked.recv().expect("the push sends all of it");
    assert_eq!(request.body, b"hello");
    while_stopped(pusher.pid(), || {
        go_on.send(()).expect("the server waits");
        let_deadlines_pass();
    });
    pusher.ok();
    assert!(asked.try_recv().is_err(), "it was sent once");
}
