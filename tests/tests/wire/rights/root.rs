//! A directory that is mounted twice, which takes root.

use httpout_tests::Mounted;

use super::*;

both! { a_directory_is_guarded_at_each_place_where_it_is_mounted }

fn a_directory_is_guarded_at_each_place_where_it_is_mounted(kind: Kind) {
    let tree = tree();
    tree.dir("www/open/again");
    let _before = Mounted::bind(&tree.path("www/private"), &tree.path("www/open/again"));
    let site = Ruled::over(tree, kind, RULES, &["--dlist"]);
    // Mounted while the server runs.
    let _later = Mounted::bind(&site.tree.path("www/closed"), &site.tree.path("www/later"));
    let mut client = site.client();
    client.ask(&get("/hello.txt")).is(200, "hello\n");
    is_prompt(&client.ask(&get("/open/again/secret.txt")));
    is_prompt(&client.ask(&get("/open/again/")));
    is_forbidden(&client.ask(&get("/open/again/secret.txt").of("bob")));
    client.ask(&get("/open/again/secret.txt").of("alice")).is(200, SECRET);
    is_forbidden(&client.ask(&get("/later/secret.txt").of("alice")));
    is_forbidden(&client.ask(&put("/later/new.bin", "x").of("alice")));
}
