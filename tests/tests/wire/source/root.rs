//! With mounted file systems, which takes root.

use httpout_tests::Mounted;

use super::*;

both! { a_full_disk_is_507 }

fn a_full_disk_is_507(kind: Kind) {
    let tree = Tree::new();
    let _small = Mounted::tmpfs(&tree.path("in"), 200);
    let server = start(kind, &format!("{}/", tree.arg("in")), &[]);
    server.ask(&put("/a.bin", body(1000))).status_is(201);
    server.ask(&Request::new("PUT", "/a.bin").chunks(&[&body(500_000)])).status_is(507);
    server.ask(&put("/b.bin", body(500_000))).status_is(507);
    assert_eq!(tree.read("in/a.bin"), Some(body(1000)));
    // What came of it is removed behind the answer.
    until("nothing is left of it", || tree.parts().is_empty().then_some(()));
    assert!(!tree.has("in/b.bin"));
    server.terminate();
    let exit = server.exit();
    assert_eq!(exit.code, Some(1), "{exit:?}");
    assert!(exit.stderr.contains("no space left"), "{}", exit.stderr);
}
