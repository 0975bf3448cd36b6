//! With mounted file systems, which takes root.

use httpout_tests::Mounted;

use super::*;

both! { a_full_disk_is_told_and_survived }

fn a_full_disk_is_told_and_survived(kind: Kind) {
    let tree = Tree::new();
    let _small = Mounted::tmpfs(&tree.path("out"), 200);
    let sink = Sink::over(tree, kind, "out", &[]);
    let mut file = sink.create("large.ts");
    append(&mut file, [1; 50_000]);
    let mut reader = sink.client();
    until("it is in progress", || {
        reader = sink.client();
        (reader.begin(&get("/large.ts")).status == 200).then_some(())
    });
    append(&mut file, vec![1; 1_000_000]);
    reader.rest().expect_err("it cannot be whole");
    drop(file);
    sink.write("small.ts", [2; 50_000]);
    sink.serves("/small.ts", &[2; 50_000]);
    sink.ask(&get("/large.ts")).status_is(404);
    // There is room again.
    sink.write("large.ts", [3; 60_000]);
    sink.serves("/large.ts", &[3; 60_000]);
    let Sink { server, tree: _tree, .. } = sink;
    let exit = server.stop();
    assert!(
        exit.stderr.contains("large.ts") && exit.stderr.contains("no space"),
        "{}",
        exit.stderr
    );
}
