//! The library's uploads to another server, on both runtimes.

use std::future::Future;
use std::sync::Arc;

use httpout_tests::{Asked, Kind, Scripted, Site, both, get, until};
use httpout_tokio::{PushError, UploadOptions, Uploader};

both! {
    files_and_streams_are_stored_and_removed,
    a_failure_says_why,
    a_stream_that_is_dropped_is_given_up,
    a_stream_waits_for_the_server,
    a_wrong_url_is_refused,
}

/// Runs what a program does with an uploader to this URL.
fn with<F: Future<Output = ()>>(kind: Kind, url: &str, program: impl FnOnce(Uploader) -> F) {
    let options = UploadOptions::default();
    match kind {
        Kind::Tokio => {
            let runtime = ::tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async {
                program(httpout_tokio::uploader(url, options).expect("a good URL")).await;
            });
        }
        Kind::Smol => {
            let executor = Arc::new(::smol::Executor::new());
            ::smol::block_on(executor.run(async {
                let uploader = httpout_smol::uploader(url, options, executor.clone());
                program(uploader.expect("a good URL")).await;
            }));
        }
    }
}

fn files_and_streams_are_stored_and_removed(kind: Kind) {
    let site = Site::new(kind);
    site.tree.write("in", "a file");
    with(kind, &site.server.url("/dir"), async |uploader| {
        let stored = uploader.file("a b", site.tree.path("in")).await.expect("it is stored");
        assert_eq!((stored.status.code(), stored.bytes), (201, 6));
        assert_eq!(site.read("dir/a b").as_deref(), Some(&b"a file"[..]));
        let mut stream = uploader.stream("sub/stream");
        for piece in ["one", "two", ""] {
            stream.write(piece.into()).await.expect("it is taken");
        }
        assert_eq!(stream.finish().await.expect("it is stored").bytes, 6);
        assert_eq!(site.read("dir/sub/stream").as_deref(), Some(&b"onetwo"[..]));
        uploader.delete("a b").await.expect("it is removed");
        uploader.delete("a b").await.expect("it is removed already");
        assert!(!site.has("dir/a b"));
    });
}

fn a_failure_says_why(kind: Kind) {
    let site = Site::with(kind, &["--maxs", "10"]);
    site.tree.write("in", "more than ten bytes");
    with(kind, &site.server.url("/"), async |uploader| {
        let failure = uploader.file("a", site.tree.path("in")).await.expect_err("it is too large");
        assert!(
            matches!(failure.why, PushError::Refused(status) if status.code() == 413),
            "{failure}"
        );
        assert!(failure.to_string().contains("too large for the server"), "{failure}");
        let failure =
            uploader.file("a", site.tree.path("none")).await.expect_err("it is not there");
        assert!(failure.to_string().contains("cannot be read"), "{failure}");
        let mut stream = uploader.stream("b");
        let failure = loop {
            match stream.write(vec![0; 1000].into()).await {
                Ok(()) => {}
                Err(failure) => break failure,
            }
        };
        assert!(
            matches!(failure.why, PushError::Refused(status) if status.code() == 413),
            "{failure}"
        );
    });
}

fn a_stream_that_is_dropped_is_given_up(kind: Kind) {
    let site = Site::new(kind);
    with(kind, &site.server.url("/"), async |uploader| {
        let mut stream = uploader.stream("a");
        stream.write("begun".into()).await.expect("it is taken");
        let address = site.server.address();
        let begun = move || {
            until("the upload is under way", || {
                let mut reader = httpout_tests::Client::connect(address);
                (reader.begin(&get("/a")).status == 200).then_some(())
            });
        };
        ::smol::unblock(begun).await;
        drop(stream);
        // Nothing of it is in the way of the next.
        uploader.stream("a").finish().await.expect("an empty one is stored");
    });
    site.no_parts_left();
    assert_eq!(site.read("a").as_deref(), Some(&b""[..]));
}

fn a_stream_waits_for_the_server(kind: Kind) {
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let wait = Arc::new(std::sync::Mutex::new(wait));
    let server = Scripted::new(move |connection, stream| {
        let _ = wait.lock().map(|wait| wait.recv());
        let mut stream = std::io::BufReader::new(stream);
        let _ = Asked::read(connection, &mut stream);
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        let _ = std::io::Write::write_all(stream.get_mut(), answer);
    });
    with(kind, &server.url("/"), async |uploader| {
        let mut stream = uploader.stream("a");
        let mut written = 0;
        loop {
            let write = stream.write(vec![0; 64 << 10].into());
            let mut write = std::pin::pin!(write);
            // Waits where a task has its turn and it still does not go on.
            let mut turns = 0;
            let done = std::future::poll_fn(|cx| {
                turns += 1;
                match write.as_mut().poll(cx) {
                    std::task::Poll::Ready(done) => std::task::Poll::Ready(Some(done)),
                    std::task::Poll::Pending if turns > 1000 => std::task::Poll::Ready(None),
                    std::task::Poll::Pending => {
                        cx.waker().wake_by_ref();
                        std::task::Poll::Pending
                    }
                }
            });
            match done.await {
                Some(done) => done.expect("it is taken"),
                None => break,
            }
            written += 64 << 10;
            assert!(written < 64 << 20, "nothing stops the stream");
        }
        go.send(()).expect("the server waits");
        assert_eq!(stream.finish().await.expect("it is stored").bytes, written);
    });
}

fn a_wrong_url_is_refused(kind: Kind) {
    let refused = match kind {
        Kind::Tokio => {
            let runtime = ::tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.expect("a runtime");
            let _entered = runtime.enter();
            httpout_tokio::uploader("ftp://h/", UploadOptions::default()).map(|_| ())
        }
        Kind::Smol => {
            let executor = Arc::new(::smol::Executor::new());
            httpout_smol::uploader("ftp://h/", UploadOptions::default(), executor).map(|_| ())
        }
    };
    assert_eq!(refused.expect_err("it is no http URL").option, "dst");
}
