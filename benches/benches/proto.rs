//! What the state machine costs by itself: no socket, no file, no clock. Allocations are counted as
//! well, and printed first.

use std::{
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use bytes::Bytes;
use criterion::{BatchSize, Criterion};
use httpout_proto::effect::{ConnectionEffect, FsEffect, LiveEffect, LogEffect};
use httpout_proto::{
    Config, Done, Effect, Limits, Now, Session, Site, Step, fs::Meta, http, http1,
    semantics::range::Ranges,
};

/// What a browser's player sends.
const REQUEST: &[u8] = b"GET /live/video/segment-000123.m4s HTTP/1.1\r\n\
    Host: media.example.org:8080\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36\r\n\
    Accept: */*\r\n\
    Accept-Encoding: gzip, deflate, br\r\n\
    Accept-Language: en-GB,en;q=0.9\r\n\
    Origin: https://player.example.org\r\n\
    Referer: https://player.example.org/\r\n\
    Connection: keep-alive\r\n\r\n";

/// What wrk sends.
const SHORT_REQUEST: &[u8] = b"GET /1KiB.bin HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n";

const RANGE_REQUEST: &[u8] = b"GET /live/video/segment-000123.m4s HTTP/1.1\r\n\
    Host: media.example.org:8080\r\nRange: bytes=1000-199999\r\n\r\n";

const FILE_LEN: u64 = 1 << 20;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    print_allocations();
    head(&mut criterion);
    range(&mut criterion);
    idle(&mut criterion);
    exchange(&mut criterion);
    criterion.final_summary();
}

fn head(criterion: &mut Criterion) {
    let limits = Arc::new(Limits::default());
    let mut group = criterion.benchmark_group("head");
    for (name, request) in [("short", SHORT_REQUEST), ("typical", REQUEST)] {
        group.bench_function(name, |bencher| {
            bencher.iter_batched_ref(
                || http1::Server::new(limits.clone()),
                |server| parse_head(server, request),
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

fn range(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("range");
    for (name, value) in [("one", "bytes=1000-199999"), ("three", "bytes=0-3,10-12,-500")] {
        group.bench_function(name, |bencher| bencher.iter(|| plan_range(black_box(value))));
    }
    group.finish();
}

/// A connection that rests must cost the same however much it was used.
fn idle(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("idle poll");
    for exchanges in [0, 1, 1000] {
        let mut bench = Bench::new();
        for _ in 0..exchanges {
            bench.exchange(REQUEST);
        }
        group.bench_function(format!("after {exchanges}"), |bencher| bencher.iter(|| bench.rest()));
    }
    group.finish();
}

fn exchange(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("exchange");
    for (name, request) in REQUESTS {
        let mut bench = Bench::new();
        group.bench_function(name, |bencher| bencher.iter(|| bench.exchange(request)));
    }
    group.finish();
}

const REQUESTS: [(&str, &[u8]); 3] =
    [("GET, short", SHORT_REQUEST), ("GET, typical", REQUEST), ("GET, range", RANGE_REQUEST)];

fn print_allocations() {
    let limits = Arc::new(Limits::default());
    let mut server = http1::Server::new(limits);
    print_count("head, typical", || parse_head(&mut server, REQUEST));
    print_count("range, one", || plan_range("bytes=1000-199999"));
    let mut bench = Bench::new();
    for (name, request) in REQUESTS {
        // The first one may make what all later ones use.
        bench.exchange(request);
        print_count(name, || bench.exchange(request));
    }
    print_count("idle poll", || bench.rest());
    let site = site();
    let mut kept = None;
    let info = allocation_counter::measure(|| {
        let mut bench = Bench { session: Session::new(site), now: now() };
        bench.exchange(REQUEST);
        kept = Some(bench);
    });
    line(format_args!(
        "a connection that rests: {} bytes, and {} bytes in {} allocations",
        size_of::<Session>(),
        info.bytes_current,
        info.count_current
    ));
}

fn print_count(name: &str, run: impl FnOnce()) {
    let info = allocation_counter::measure(run);
    line(format_args!("{name}: {} allocations, {} bytes", info.count_total, info.bytes_total));
}

#[expect(clippy::print_stdout, reason = "it is all that this program is for")]
fn line(text: std::fmt::Arguments<'_>) {
    println!("{text}");
}

fn parse_head(server: &mut http1::Server, request: &'static [u8]) {
    server.handle_data(Bytes::from_static(request));
    match server.poll(now()) {
        Step::Do(event) => drop(black_box(event)),
        Step::Wait(_) | Step::Closed(_) => panic!("the request is not taken"),
    }
}

fn plan_range(value: &str) {
    let ranges = Ranges::parse(value.as_bytes(), 128);
    black_box(ranges.expect("a range").resolve(FILE_LEN));
}

/// A connection, and the runtime that it needs: every file exists, everything that is sent goes out
/// at once.
struct Bench {
    session: Session,
    now: Now,
}

impl Bench {
    fn new() -> Self {
        Self { session: Session::new(site()), now: now() }
    }

    /// One request, and its whole answer.
    fn exchange(&mut self, request: &'static [u8]) {
        self.session.handle_data(Bytes::from_static(request));
        let mut sent = 0;
        loop {
            match self.session.poll(self.now) {
                Step::Do(effect) => self.run(&effect),
                Step::Wait(_) => match self.session.transmit() {
                    Some(transmit) => {
                        let len = transmit.map(|piece| len(&piece)).sum();
                        sent += len;
                        self.session.handle_sent(len);
                    }
                    None => break,
                },
                // After so many requests a connection has to go.
                Step::Closed(_) => {
                    self.session = Session::new(site());
                    break;
                }
            }
        }
        assert!(sent > 0, "no answer");
        assert!(!self.session.is_active(), "half an answer");
    }

    fn rest(&mut self) {
        match self.session.poll(black_box(self.now)) {
            Step::Wait(wait) => _ = black_box(wait),
            Step::Do(_) | Step::Closed(_) => panic!("it does not rest"),
        }
    }

    fn run(&mut self, effect: &Effect) {
        if let Effect::Fs(_, FsEffect::Open { op, .. }) = effect {
            self.session.handle_done(*op, Ok(Done::Opened(meta())));
        } else if let Effect::Live(_, LiveEffect::Follow { op, .. }) = effect {
            self.session.handle_done(*op, Ok(Done::NotGrowing));
        } else {
            assert!(
                matches!(
                    effect,
                    Effect::Fs(_, FsEffect::Close { .. })
                        | Effect::Log(_, LogEffect::Over(_))
                        | Effect::Connection(ConnectionEffect::ShutdownWrite)
                        | Effect::Connection(ConnectionEffect::Recheck { .. })
                ),
                "{effect:?}"
            );
        }
    }
}

fn len(piece: &http::Piece<'_>) -> u64 {
    match piece {
        http::Piece::Bytes(bytes) => bytes.len() as u64,
        http::Piece::File { len, .. } => *len,
    }
}

fn site() -> Arc<Site> {
    let mut config = Config::default();
    config.read_dirs = vec!["/srv/media".into()];
    config.write_dir = Some("/srv/media".into());
    config.check().expect("good options")
}

fn now() -> Now {
    Now { mono: Instant::now(), wall: SystemTime::now() }
}

fn meta() -> Meta {
    let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    Meta { len: FILE_LEN, modified, inode: 42 }
}
