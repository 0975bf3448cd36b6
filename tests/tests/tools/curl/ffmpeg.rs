//! Pages that encode.

use httpout_tests::Kind;

use super::reader::{films, follow};

httpout_tests::both! {
    readme,
    file_sink,
    ingest,
    low_latency,
    push,
    radio,
    source,
}

fn readme(kind: Kind) {
    follow("README.md", kind);
}

fn file_sink(kind: Kind) {
    films("docs/file-sink.md", kind);
}

fn ingest(kind: Kind) {
    follow("docs/ingest.md", kind);
}

fn low_latency(kind: Kind) {
    follow("docs/low-latency.md", kind);
}

fn push(kind: Kind) {
    films("docs/push.md", kind);
}

fn radio(kind: Kind) {
    films("docs/radio.md", kind);
}

fn source(kind: Kind) {
    films("docs/source.md", kind);
}
