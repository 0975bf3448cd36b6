//! With python3.

use httpout_tests::run;

use super::*;

both! { rfc9110_8_4_1_other_programs_read_both_codings }

fn rfc9110_8_4_1_other_programs_read_both_codings(kind: Kind) {
    let site = Site::new(kind);
    let body = text(40_000, 1);
    site.write("a.txt", &body);
    let gzip = site.ask(&accepting("/a.txt", "gzip"));
    assert!(run("gzip", &["-dc"], &gzip.body).ok() == body);
    let program = "import sys, zlib; \
        sys.stdout.buffer.write(zlib.decompress(sys.stdin.buffer.read(), wbits=15))";
    let deflate = site.ask(&accepting("/a.txt", "deflate"));
    assert!(run("python3", &["-c", program], &deflate.body).ok() == body);
}
