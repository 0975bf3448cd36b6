//! With strace, which shows system calls and makes them fail.

use httpout_tests::Traced;

use super::*;

both! { gmem_works_without_the_disk }

fn gmem_works_without_the_disk(kind: Kind) {
    let site = Memory::new(kind);
    // A page of each thread's memory is touched before.
    site.ask(&put("/a.m4s", content(100_000))).status_is(201);
    let calls = "openat,openat2,open,creat,rename,renameat,renameat2,mkdir,mkdirat,unlink,unlinkat";
    let traced = Traced::attach(site.pid(), &["-e", &format!("trace={calls},memfd_create")]);
    for i in 0..10 {
        let name = format!("/b-{i}.m4s");
        site.ask(&put(&name, content(100_000))).status_is(201);
        assert!(site.ask(&get(&name)).body == content(100_000));
    }
    site.ask(&delete("/b-9.m4s")).status_is(200);
    let seen = traced.finish();
    let made = |line: &&String| line.contains("memfd_create(");
    assert_eq!(seen.iter().filter(made).count(), 10, "{seen:#?}");
    let disk: Vec<_> = seen
        .iter()
        .filter(|line| line.contains('(') && !made(line))
        // How much memory and how many processors there are is asked for again by the pool's
        // threads.
        .filter(|line| !line.contains("\"/sys/") && !line.contains("\"/proc/"))
        .collect();
    assert!(disk.is_empty(), "{disk:#?}");
}
