//! With strace, which shows system calls and makes them fail.

use httpout_tests::Traced;

use super::*;

both! { a_file_system_without_sendfile_is_served }

fn a_file_system_without_sendfile_is_served(kind: Kind) {
    let site = Site::new(kind);
    let content: Vec<u8> = (0..3_000_000_u32).map(|i| (i * 7 % 251) as u8).collect();
    site.write("a.bin", &content);
    let traced = Traced::attach(site.server.pid(), &["-e", "inject=sendfile:error=EINVAL"]);
    site.ask(&get("/a.bin")).is(200, &content);
    assert!(traced.finish().iter().any(|line| line.contains("sendfile")));
}
