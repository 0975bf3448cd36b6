//! With mounted file systems, which takes root.

use httpout_tests::{Mounted, Tree};

use super::*;

both! { a_file_changed_within_a_clock_tick_is_never_answered_as_it_was }

fn a_file_changed_within_a_clock_tick_is_never_answered_as_it_was(kind: Kind) {
    let tree = Tree::new();
    // Where a time of modification stands still for some milliseconds, neither it nor the length
    // tells of the change.
    let _mounted = Mounted::ramfs(&tree.path("www"));
    let site = Site::over(tree, kind, &[]);
    let mut client = site.client();
    site.write("a.txt", "");
    for i in 0..300 {
        let body = text(2_000, 100_000 + i);
        site.write("a.txt", &body);
        is_coded(&client.ask(&accepting("/a.txt", "gzip")), Some("gzip"), &body);
        is_coded(&client.ask(&accepting("/a.txt", "identity")), None, &body);
    }
}
