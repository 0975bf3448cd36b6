use std::{
    fs::{self, File, Permissions},
    io::Read,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink},
};

use bytes::Bytes;
use httpout_proto::{
    FsError,
    fs::{Expect, Meta, Patch},
};
use rustix::{
    fd::OwnedFd,
    fs::{FlockOperation, Mode, OFlags, flock},
    mount::MountFlags,
};

use super::{Mounted, create, place, put, read, rig};
use crate::files::{Roots, copy};

#[test]
fn an_upload_appears_whole_or_not_at_all() {
    let (scratch, roots, site) = rig();
    let at = place(&site, "a/b/c.bin");
    let part = create(&roots, &at, b"new");
    assert_eq!(roots.stat(&at), Err(FsError::NotFound));
    let mut early = File::from(part.file().try_clone().unwrap());
    let (created, meta) = part.commit(&at, Expect::Any, true).unwrap();
    assert!(created);
    assert_eq!(roots.stat(&at), Ok(meta));
    assert_eq!(read(&roots, &at), Ok(b"new".to_vec()));
    let mut text = String::new();
    std::io::Seek::rewind(&mut early).unwrap();
    early.read_to_string(&mut text).unwrap();
    assert_eq!(text, "new", "who followed the upload keeps it");
    let (created, meta) = put(&roots, &at, b"newer");
    assert!(!created);
    assert_eq!(meta.len, 5);
    assert_eq!(scratch.tree(), ["a", "a/b", "a/b/c.bin"]);
    drop(create(&roots, &at, b"aborted"));
    assert_eq!(read(&roots, &at), Ok(b"newer".to_vec()));
    assert_eq!(scratch.tree(), ["a", "a/b", "a/b/c.bin"]);
}

#[test]
fn directories_made_for_nothing_go_again() {
    let (scratch, roots, site) = rig();
    fs::create_dir(scratch.path().join("www/kept")).unwrap();
    let part = create(&roots, &place(&site, "kept/x/y/z/file"), b"1");
    assert_eq!(scratch.tree().len(), 5);
    drop(part);
    assert_eq!(scratch.tree(), ["kept"]);
    // Not those that another upload needs.
    let first = create(&roots, &place(&site, "x/y/1"), b"1");
    let second = create(&roots, &place(&site, "x/2"), b"2");
    drop(first);
    second.commit(&place(&site, "x/2"), Expect::Any, false).unwrap();
    assert_eq!(scratch.tree(), ["kept", "x", "x/2"]);
    // Nor any that a failure finds half way.
    assert_eq!(
        roots.create(&place(&site, &format!("new/{}/x", "n".repeat(300))), None).unwrap_err(),
        FsError::NameTooLong
    );
    assert_eq!(
        roots.create(&place(&site, &format!("new/{}", "n".repeat(300))), None).unwrap_err(),
        FsError::NameTooLong
    );
    assert_eq!(scratch.tree(), ["kept", "x", "x/2"]);
}

#[test]
fn uploads_and_removals_of_one_directory_do_not_hurt_each_other() {
    let (scratch, roots, site) = rig();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (roots, site) = (&roots, &site);
            scope.spawn(move || {
                for _ in 0..100 {
                    let at = place(site, &format!("a/b/{thread}"));
                    put(roots, &at, b"x");
                    drop(create(roots, &at, b"y"));
                    roots.remove(&at, Expect::Any).unwrap();
                }
            });
        }
    });
    assert!(scratch.tree().is_empty(), "{:?}", scratch.tree());
}

#[test]
fn what_cannot_be_a_target_is_told_before_the_body() {
    let (scratch, roots, site) = rig();
    scratch.write("www/dir/file", "old");
    scratch.write("secret/f", "safe");
    let www = scratch.path().join("www");
    symlink("../secret/f", www.join("out")).unwrap();
    symlink("../secret", www.join("outdir")).unwrap();
    symlink("dir/file", www.join("in")).unwrap();
    symlink("dir", www.join("indir")).unwrap();
    symlink("nowhere", www.join("dangling")).unwrap();
    for (path, error) in [
        ("", FsError::IsDirectory),
        ("dir", FsError::IsDirectory),
        ("indir", FsError::IsDirectory),
        ("dir/file/x", FsError::NotRegular),
        ("dir/file/x/y", FsError::NotRegular),
        ("out", FsError::Outside),
        ("outdir/f", FsError::Outside),
        ("outdir/new/f", FsError::Outside),
        ("dangling/f", FsError::NotFound),
    ] {
        assert_eq!(roots.create(&place(&site, path), None).unwrap_err(), error, "{path}");
    }
    assert_eq!(fs::read_dir(scratch.path().join("secret")).unwrap().count(), 1);
    // Links that lead within are replaced themselves.
    assert!(!put(&roots, &place(&site, "in"), b"new").0);
    assert!(put(&roots, &place(&site, "dangling"), b"new").0);
    assert!(put(&roots, &place(&site, "indir/other"), b"new").0);
    assert_eq!(fs::read(www.join("dir/file")).unwrap(), b"old");
    assert!(fs::symlink_metadata(www.join("in")).unwrap().is_file());
    assert_eq!(
        scratch.tree(),
        ["dangling", "dir", "dir/file", "dir/other", "in", "indir", "out", "outdir"]
    );
}

#[test]
fn a_target_that_changed_is_left_alone() {
    let (scratch, roots, site) = rig();
    let at = place(&site, "f");
    let (_, first) = put(&roots, &at, b"1");
    let refused = |expect| create(&roots, &at, b"bad").commit(&at, expect, false).unwrap_err();
    assert_eq!(refused(Expect::Absent), FsError::Changed);
    let (_, second) = create(&roots, &at, b"2").commit(&at, Expect::Same(first), false).unwrap();
    assert_ne!(first, second);
    assert_eq!(refused(Expect::Same(first)), FsError::Changed);
    assert_eq!(roots.remove(&at, Expect::Same(first)), Err(FsError::Changed));
    assert_eq!(roots.remove(&at, Expect::Absent), Err(FsError::Changed));
    assert_eq!(roots.remove(&at, Expect::Same(second)), Ok(()));
    assert_eq!(refused(Expect::Same(second)), FsError::Changed);
    assert!(create(&roots, &at, b"3").commit(&at, Expect::Absent, false).unwrap().0);
    assert_eq!(scratch.tree(), ["f"]);
    // A directory took the name while the upload ran.
    let part = create(&roots, &place(&site, "g"), b"x");
    fs::create_dir(scratch.path().join("www/g")).unwrap();
    assert_eq!(
        part.commit(&place(&site, "g"), Expect::Any, false).unwrap_err(),
        FsError::IsDirectory
    );
    assert_eq!(scratch.tree(), ["f", "g"]);
    // A dangling link is nothing, to a reader.
    symlink("nothing", scratch.path().join("www/h")).unwrap();
    let at = place(&site, "h");
    assert!(create(&roots, &at, b"x").commit(&at, Expect::Absent, false).unwrap().0);
}

#[test]
fn only_one_of_many_creators_wins() {
    let (_scratch, roots, site) = rig();
    let at = place(&site, "f");
    let wins: usize = std::thread::scope(|scope| {
        let race = || {
            let part = create(&roots, &at, b"x");
            usize::from(part.commit(&at, Expect::Absent, false).is_ok())
        };
        let all: Vec<_> = (0..8).map(|_| scope.spawn(race)).collect();
        all.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(wins, 1);
}

#[test]
fn permissions_are_kept() {
    let (scratch, roots, site) = rig();
    let at = place(&site, "f");
    put(&roots, &at, b"1");
    let path = scratch.path().join("www/f");
    fs::set_permissions(&path, Permissions::from_mode(0o4640)).unwrap();
    let mode = || fs::metadata(&path).unwrap().mode() & 0o7777;
    put(&roots, &at, b"2");
    assert_eq!(mode(), 0o640, "without set-user-ID");
    let part = create(&roots, &at, b"3");
    part.commit_patches(&at, Expect::Any, false, false, &[Patch { at: 0, len: 1 }]).unwrap();
    assert_eq!(mode(), 0o640);
    assert_eq!(fs::read(&path).unwrap(), b"3");
}

#[test]
fn patches_replace_extend_and_leave_no_hole() {
    let (scratch, roots, site) = rig();
    let at = place(&site, "d/f");
    let patch = |content: &[u8], expect, create_it, patches: &[(u64, u64)]| {
        let patches: Vec<Patch> = patches.iter().map(|&(at, len)| Patch { at, len }).collect();
        create(&roots, &at, content).commit_patches(&at, expect, true, create_it, &patches)
    };
    assert_eq!(patch(b"abc", Expect::Any, false, &[(0, 3)]), Err(FsError::NotFound));
    assert!(scratch.tree().is_empty());
    assert_eq!(patch(b"abc", Expect::Any, true, &[(1, 3)]), Err(FsError::Hole(0)));
    assert!(scratch.tree().is_empty());
    assert!(patch(b"0123456789", Expect::Any, true, &[(0, 10)]).unwrap().0);
    assert_eq!(scratch.tree(), ["d", "d/f"]);
    let (created, meta) = patch(b"ABxyzQ", Expect::Any, false, &[(8, 2), (10, 3), (0, 1)]).unwrap();
    assert_eq!((created, meta.len), (false, 13));
    assert_eq!(read(&roots, &at), Ok(b"Q1234567ABxyz".to_vec()));
    assert_eq!(patch(b"ab", Expect::Any, false, &[(13, 1), (15, 1)]), Err(FsError::Hole(14)));
    assert_eq!(patch(b"a", Expect::Absent, false, &[(0, 1)]), Err(FsError::Changed));
    assert_eq!(
        patch(b"a", Expect::Same(Meta { len: 12, ..meta }), false, &[(0, 1)]),
        Err(FsError::Changed)
    );
    assert!(patch(b"a", Expect::Any, false, &[(0, 2)]).is_err(), "fewer bytes than announced");
    assert_eq!(patch(b"a", Expect::Any, false, &[(2, u64::MAX)]), Err(FsError::Full));
    let huge = i64::MAX as u64;
    assert_eq!(patch(b"a", Expect::Any, false, &[(0, huge), (0, huge)]), Err(FsError::Full));
    assert_eq!(read(&roots, &at), Ok(b"Q1234567ABxyz".to_vec()));
    assert_eq!(scratch.tree(), ["d", "d/f"]);
}

#[test]
fn patches_of_one_file_come_one_after_the_other() {
    let (_scratch, roots, site) = rig();
    let at = place(&site, "f");
    put(&roots, &at, &[0; 64]);
    std::thread::scope(|scope| {
        for n in 0..64u8 {
            let (roots, at) = (&roots, &at);
            scope.spawn(move || {
                let runs = [Patch { at: n.into(), len: 1 }];
                create(roots, at, &[n])
                    .commit_patches(at, Expect::Any, false, false, &runs)
                    .unwrap();
            });
        }
    });
    assert_eq!(read(&roots, &at), Ok((0..64).collect()));
}

#[test]
fn removal_takes_empty_directories_along() {
    let (scratch, roots, site) = rig();
    scratch.write("www/a/b/c/file", "x");
    scratch.write("www/a/other", "x");
    scratch.write("secret/f", "safe");
    let www = scratch.path().join("www");
    symlink("../secret/f", www.join("out")).unwrap();
    symlink("../secret", www.join("outdir")).unwrap();
    let remove = |path| roots.remove(&place(&site, path), Expect::Any);
    assert_eq!(remove("a"), Err(FsError::IsDirectory));
    assert_eq!(remove(""), Err(FsError::IsDirectory));
    assert_eq!(remove("a/nothing"), Err(FsError::NotFound));
    assert_eq!(remove("a/other/x"), Err(FsError::NotFound));
    assert_eq!(remove("outdir/f"), Err(FsError::Outside));
    assert_eq!(remove("out"), Ok(()), "the link, not what it leads to");
    assert_eq!(remove("a/b/c/file"), Ok(()));
    assert_eq!(scratch.tree(), ["a", "a/other", "outdir"]);
    assert_eq!(remove("a/other"), Ok(()));
    assert_eq!(fs::read(scratch.path().join("secret/f")).unwrap(), b"safe");
    fs::remove_file(www.join("outdir")).unwrap();
    assert!(www.is_dir(), "the root stays");
}

#[test]
fn a_full_disk_is_told_and_leaves_nothing() {
    let (scratch, roots, site) = rig();
    for len in [1 << 62, u64::MAX] {
        assert_eq!(roots.create(&place(&site, "d/f"), Some(len)).unwrap_err(), FsError::Full);
    }
    assert!(scratch.tree().is_empty());
    // Whoever runs the tests: a device that is always full.
    let full = rustix::fs::open("/dev/full", OFlags::WRONLY, Mode::empty()).unwrap();
    let written = copy::write_all_at(&full, 0, &[b"x"]);
    assert_eq!(written, Err(FsError::Full));
    if !rustix::process::geteuid().is_root() {
        eprintln!("not root: no small file system was mounted");
        return;
    }
    let disk = Mounted::new(scratch.path().join("www"), MountFlags::empty());
    let roots = Roots::open(&site).unwrap();
    let at = place(&site, "d/f");
    put(&roots, &at, b"old");
    let err = roots.create(&at, Some(8 << 20)).unwrap_err();
    assert_eq!(err, FsError::Full, "known before the first byte");
    let part = roots.create(&at, None).unwrap();
    let block = Bytes::from(vec![7; 1 << 20]);
    assert_eq!(part.write_all_at(0, &vec![block.clone(); 8]), Err(FsError::Full));
    drop(part);
    assert_eq!(read(&roots, &at), Ok(b"old".to_vec()));
    // A patch needs room for spool and copy.
    let part = roots.create(&at, Some(2 << 20)).unwrap();
    part.write_all_at(0, &vec![block.clone(); 2]).unwrap();
    let runs = [Patch { at: 0, len: 2 << 20 }];
    assert_eq!(
        part.commit_patches(&at, Expect::Any, false, false, &runs).unwrap_err(),
        FsError::Full
    );
    assert_eq!(read(&roots, &at), Ok(b"old".to_vec()));
    assert_eq!(scratch.tree(), ["d", "d/f"]);
    // An announcement alone holds no room, however many there are.
    let announced = [1, 2, 3].map(|_| roots.create(&at, Some(2 << 20)).unwrap());
    put(&roots, &place(&site, "h"), &block);
    fs::remove_file(disk.0.join("h")).unwrap();
    drop(announced);
    // What was reserved and not used is free again.
    let part = roots.create(&at, Some(2 << 20)).unwrap();
    part.write_all_at(0, &[block.slice(..4096)]).unwrap();
    part.commit(&at, Expect::Any, false).unwrap();
    assert_eq!(fs::metadata(disk.0.join("d/f")).unwrap().blocks(), 8);
    put(&roots, &place(&site, "g"), &block);
}

#[test]
fn stale_part_files_are_swept_and_living_ones_kept() {
    let (scratch, roots, site) = rig();
    let living = create(&roots, &place(&site, "d/live"), b"x");
    scratch.write("www/d/.httpout-0123456789abcdef.part", "stale");
    scratch.write("www/e/f/.httpout-fedcba9876543210.part", "stale");
    scratch.write("www/.httpout-kept.txt", "other");
    scratch.write("www/x.part", "other");
    scratch.write("secret/.httpout-0000000000000000.part", "outside");
    symlink("../secret", scratch.path().join("www/out")).unwrap();
    // Another process' lock: another open of the file.
    scratch.write("www/.httpout-1111111111111111.part", "held");
    let held = OwnedFd::from(
        File::open(scratch.path().join("www/.httpout-1111111111111111.part")).unwrap(),
    );
    flock(&held, FlockOperation::LockExclusive).unwrap();
    Roots::open(&site).unwrap();
    let left = scratch.tree();
    let parts: Vec<_> = left.iter().filter(|name| name.contains(".httpout-")).collect();
    assert_eq!(parts.len(), 3, "{left:?}");
    assert!(left.contains(&"e/f".to_owned()) && left.contains(&"x.part".to_owned()));
    assert!(scratch.path().join("secret/.httpout-0000000000000000.part").exists());
    living.commit(&place(&site, "d/live"), Expect::Any, false).unwrap();
    drop(held);
    Roots::open(&site).unwrap();
    assert!(!scratch.path().join("www/.httpout-1111111111111111.part").exists());
    assert_eq!(read(&roots, &place(&site, "d/live")), Ok(b"x".to_vec()));
}

#[test]
fn what_a_crash_leaves_of_a_recording_is_put_in_place() {
    let (scratch, roots, site) = rig();
    let living = roots.create_recording(&place(&site, "d/live.ts")).unwrap();
    living.write_all_at(0, &[Bytes::from_static(b"lives")]).unwrap();
    let own = |digit: char, name: &str| {
        format!("www/d/.httpout-{}-{name}.rec", digit.to_string().repeat(16))
    };
    scratch.write(&own('0', "film.ts"), "first");
    scratch.write(&own('1', "film.ts"), "second");
    scratch.write(&own('2', "empty.ts"), "");
    scratch.write("www/d/.httpout-film.ts.rec", "another's");
    Roots::open(&site).unwrap();
    let left = |name: &str| fs::read_to_string(scratch.path().join("www/d").join(name)).ok();
    let mut films = [left("film.ts"), left("film.recovered-1.ts")];
    films.sort();
    assert_eq!(films, [Some("first".into()), Some("second".into())]);
    assert_eq!(left(".httpout-film.ts.rec").as_deref(), Some("another's"));
    assert_eq!((left("empty.ts"), left("live.ts")), (None, None));
    assert_eq!(scratch.tree().len(), 5, "{:?}", scratch.tree());
    living.commit(&place(&site, "d/live.ts"), Expect::Any, false).unwrap();
    assert_eq!(left("live.ts").as_deref(), Some("lives"));
    // One that cannot go on.
    for (name, expected) in [("e/film.ts", "film.ts"), ("d/film.ts", "film.recovered-2.ts")] {
        let broken = roots.create_recording(&place(&site, name)).unwrap();
        broken.write_all_at(0, &[Bytes::from_static(b"half")]).unwrap();
        assert_eq!(broken.salvage(), Ok(Some(expected.to_owned())));
    }
    let nothing = roots.create_recording(&place(&site, "f/film.ts")).unwrap();
    assert_eq!(nothing.salvage(), Ok(None));
    assert!(!scratch.path().join("www/f").exists());
    Roots::open(&site).unwrap();
    assert_eq!(scratch.tree().len(), 8, "{:?}", scratch.tree());
}

#[test]
fn the_last_of_several_uploads_given_up_removes_the_directory() {
    let (scratch, roots, site) = rig();
    let (x, y) = (place(&site, "d/e/x"), place(&site, "d/e/y"));
    let first = create(&roots, &x, b"x");
    let second = create(&roots, &y, b"y");
    drop(first);
    assert!(scratch.tree().iter().any(|name| name == "d/e"));
    drop(second);
    assert!(scratch.tree().is_empty(), "{:?}", scratch.tree());
    // One that is complete keeps it, for the other as well; a removal leaves it to the upload under
    // way.
    let (first, second) = (create(&roots, &x, b"x"), create(&roots, &y, b"y"));
    first.commit(&x, Expect::Any, false).unwrap();
    drop(second);
    assert_eq!(scratch.tree(), ["d", "d/e", "d/e/x"]);
    let second = create(&roots, &y, b"y");
    roots.remove(&x, Expect::Any).unwrap();
    drop(second);
    assert!(scratch.tree().is_empty(), "{:?}", scratch.tree());
}
