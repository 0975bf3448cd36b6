//! The page that makes certificates.

use httpout_tests::Kind;

use super::reader::follow;

httpout_tests::both! { tls }

fn tls(kind: Kind) {
    follow("docs/tls.md", kind);
}
