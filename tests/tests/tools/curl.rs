//! What the pages of the documentation tell a reader to run.

use httpout_tests::Kind;

mod ffmpeg;
mod openssl;
mod reader;

httpout_tests::both! {
    file_server,
    operation,
    rights,
    scripts,
}

fn file_server(kind: Kind) {
    reader::follow("docs/file-server.md", kind);
}

fn operation(kind: Kind) {
    reader::follow("docs/operation.md", kind);
}

fn rights(kind: Kind) {
    reader::follow("docs/rights.md", kind);
}

fn scripts(kind: Kind) {
    reader::follow("docs/scripts.md", kind);
}

/// Pages that are followed by the tests here and below.
const FOLLOWED: [&str; 12] = [
    "README.md",
    "docs/file-server.md",
    "docs/file-sink.md",
    "docs/ingest.md",
    "docs/low-latency.md",
    "docs/operation.md",
    "docs/push.md",
    "docs/radio.md",
    "docs/rights.md",
    "docs/scripts.md",
    "docs/source.md",
    "docs/tls.md",
];

#[test]
fn each_page_with_commands_is_followed() {
    for page in httpout_tests::page::pages() {
        let runs = page.blocks().iter().any(reader::is_run);
        assert_eq!(runs, FOLLOWED.contains(&&*page.name), "{}", page.name);
    }
}
