//! Real players in a real browser: dash.js and hls.js play, on a page of another origin, what
//! ffmpeg pushes at that moment.
//!
//! Each plays for `HTTPOUT_PLAY_SECONDS` (12). What latency it had is shown with `--nocapture`.

use std::env;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use httpout_tests::{Background, Browser, Kind, Server, Tree, both, get};
use serde_json::json;

both! {
    dash_js_plays_low_latency_dash,
    dash_js_plays_low_latency_dash_from_memory,
    hls_js_plays_short_segments,
}

/// A picture that moves and a tone, in real time, with a key frame every half second.
const INPUT: &str = "-nostdin -v fatal -re -f lavfi -i testsrc=s=320x180:r=24 -f lavfi -i sine -map 0:v -map 1:a \
    -c:v libx264 -preset ultrafast -tune zerolatency -pix_fmt yuv420p -g 12 -b:v 300k -c:a aac -b:a 64k \
    -method PUT -http_persistent 1";

/// Low-latency DASH: segments of a second in fragments of a sixth.
const DASH: &str = "-f dash -seg_duration 1 -frag_type duration -frag_duration 0.16667 -streaming 1 -ldash 1 \
    -use_template 1 -use_timeline 0 -write_prft 1 -target_latency 1.5 -window_size 5 -extra_window_size 5 -timeout 20 \
    -utc_timing_url";

/// HLS with segments of half a second. ffmpeg cannot write parts of segments.
const HLS: &str = "-f hls -hls_time 0.5 -hls_list_size 10 -hls_segment_type fmp4 -hls_fmp4_init_filename init.mp4 \
    -hls_flags delete_segments+independent_segments+program_date_time -hls_segment_filename";

/// The latency that both players are to have, and what they may be above it in the end, in seconds.
const LATENCY: f64 = 1.5 + 1.5;

fn dash_js_plays_low_latency_dash(kind: Kind) {
    let tree = Tree::new();
    plays_dash(&Stage::new(kind, &tree.arg("")));
}

fn dash_js_plays_low_latency_dash_from_memory(kind: Kind) {
    plays_dash(&Stage::new(kind, "gmem"));
}

#[track_caller]
fn plays_dash(stage: &Stage) {
    let clock = stage.server.url("/.httpout/time?iso");
    stage.plays(
        "dash.html",
        &[INPUT, DASH, &clock],
        "/live/manifest.mpd",
        "/live/chunk-stream0-00002.m4s",
    );
}

fn hls_js_plays_short_segments(kind: Kind) {
    let tree = Tree::new();
    let stage = Stage::new(kind, &tree.arg(""));
    let names = stage.server.url("/live/s%d.m4s");
    stage.plays("hls.html", &[INPUT, HLS, &names], "/live/p.m3u8", "/live/s3.m4s");
}

/// A server for the stream, and one for the page.
struct Stage {
    kind: Kind,
    server: Server,
    pages: Server,
    /// Holds the log of the first one.
    tree: Tree,
}

impl Stage {
    /// The stream is kept in `dir`.
    #[track_caller]
    fn new(kind: Kind, dir: &str) -> Self {
        let players = Path::new(env!("CARGO_MANIFEST_DIR")).join("players");
        for file in ["dashjs/dist/modern/umd/dash.all.min.js", "hls.js/dist/hls.min.js"] {
            let there = players.join("node_modules").join(file).is_file();
            assert!(
                there,
                "the tests need the players; install them: (cd tests/players && npm ci)"
            );
        }
        let tree = Tree::new();
        let log = tree.arg("log");
        // Players ask ahead of the encoder.
        let options = ["--rdirs", dir, "--wdir", dir, "--wait-missing", "15", "--access-log", &log];
        // Encoder and browser come from one address, with up to nine connections.
        let server = Server::start(kind, &[&options[..], &["--maxp", "0"]].concat());
        let pages = Server::start(
            kind,
            &["--rdirs", players.to_str().expect("a path in UTF-8"), "--maxp", "0"],
        );
        Self { kind, server, pages, tree }
    }

    /// Pushes a stream, and opens a page that plays it once the segment `begun` is whole.
    #[track_caller]
    fn plays(&self, page: &str, encoder: &[&str], stream: &str, begun: &str) {
        // One at a time: each takes a browser and an encoder.
        static TURN: Mutex<()> = Mutex::new(());
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let seconds = env::var("HTTPOUT_PLAY_SECONDS").unwrap_or_else(|_| "12".to_owned());
        let url = self.server.url(stream);
        let args = encoder.iter().flat_map(|words| words.split_whitespace()).chain([&*url]);
        let mut encoder = Background::start("ffmpeg", &args.collect::<Vec<_>>());
        self.server.ask(&get(begun)).status_is(200);
        let page_url = self.pages.url(&format!("/{page}?seconds={seconds}&stream={url}"));
        let browser = Browser::open(&page_url);
        let (found, said) = browser.found();
        encoder.still_runs();
        show(&format!("{page} from {}: {found}", self.kind.program()));
        assert_eq!(said, Vec::<String>::new(), "{found}");
        assert_eq!(found["stalls"], json!([]), "{found}");
        let each = found["each"].as_array().map(Vec::as_slice).unwrap_or_default();
        assert_eq!(each.len().to_string(), seconds, "{found}");
        let latency = each.last().and_then(|second| second["latency"].as_f64());
        assert!(latency.is_some_and(|latency| latency > 0.0 && latency < LATENCY), "{found}");
        self.refused_nothing();
    }

    /// Fails if any request of the encoder or of the player was not answered as it wished.
    #[track_caller]
    fn refused_nothing(&self) {
        let log = self.tree.read("log").unwrap_or_default();
        let log = String::from_utf8(log).expect("a log is UTF-8");
        let is = |line: &str, statuses: &[u16]| {
            statuses.iter().any(|status| line.contains(&format!("\" {status} ")))
        };
        // 204: memory has dropped an old segment before the encoder deletes it.
        let refused: Vec<_> = log.lines().filter(|line| !is(line, &[200, 201, 204, 304])).collect();
        assert_eq!(refused, Vec::<&str>::new(), "{log}");
        let from_elsewhere = format!("\"{}\"", self.pages.url("/"));
        let played = log.lines().filter(|line| line.contains(&from_elsewhere) && is(line, &[200]));
        assert!(played.count() > 10, "{log}");
    }
}

#[expect(clippy::print_stderr, reason = "the latency is to be read")]
fn show(text: &str) {
    eprintln!("{text}");
}
