use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use httpout_proto::{
    FsError,
    fs::{Expect, Meta, Patch, RelPath},
};
use proptest::prelude::*;

use super::{Bounds, Memory, MemoryPart};

const BOUNDS: Bounds = Bounds { bytes: 100, segments: 3 };

fn path(path: &str) -> RelPath {
    RelPath::new(path).unwrap()
}

fn part(memory: &Arc<Memory>, to: &str, content: &[u8]) -> Result<MemoryPart, FsError> {
    let part = memory.create(&path(to), None, BOUNDS)?;
    part.write_all_at(0, &[Bytes::copy_from_slice(content)])?;
    Ok(part)
}

fn put(memory: &Arc<Memory>, to: &str, content: &[u8]) -> Result<(bool, Meta), FsError> {
    part(memory, to, content)?.commit(Expect::Any)
}

fn get(memory: &Memory, from: &str) -> Result<Vec<u8>, FsError> {
    let (file, meta) = memory.open(&path(from))?;
    let mut content = vec![0; meta.len as usize + 1];
    let len = rustix::io::pread(&file, &mut content, 0).unwrap();
    assert_eq!(len as u64, meta.len);
    content.truncate(len);
    Ok(content)
}

fn names(memory: &Memory, dir: &str) -> Vec<String> {
    memory.list(&path(dir)).unwrap().iter().map(|entry| entry.name.to_owned()).collect()
}

/// Nothing is counted twice or forgotten.
fn is_sound(memory: &Memory) {
    let state = memory.lock();
    assert_eq!(state.stored, state.files.values().map(|stored| stored.meta.len).sum::<u64>());
    assert_eq!(state.order.len(), state.files.len());
    for (path, stored) in &state.files {
        assert_eq!(&state.order[&stored.turn], path);
    }
    assert!(state.bytes() <= BOUNDS.bytes);
}

#[test]
fn a_file_is_seen_when_it_is_whole_and_then_replaced_as_a_whole() {
    let memory = Arc::new(Memory::new());
    let first = part(&memory, "a/b.bin", b"one").unwrap();
    assert_eq!(get(&memory, "a/b.bin"), Err(FsError::NotFound));
    let (is_new, meta) = first.commit(Expect::Absent).unwrap();
    assert!(is_new);
    assert_eq!(memory.stat(&path("a/b.bin")), Ok(meta));
    let (reader, _) = memory.open(&path("a/b.bin")).unwrap();
    let (is_new, other) = put(&memory, "a/b.bin", b"three").unwrap();
    assert!(!is_new && other != meta);
    assert_eq!(get(&memory, "a/b.bin").unwrap(), b"three");
    let mut old = [0; 4];
    assert_eq!(rustix::io::pread(&*reader, &mut old, 0), Ok(3));
    assert_eq!(&old[..3], b"one");
    drop(part(&memory, "a/b.bin", b"lost").unwrap());
    assert_eq!(memory.usage().bytes, 5);
    is_sound(&memory);
}

#[test]
fn what_was_expected_is_checked() {
    let memory = Arc::new(Memory::new());
    let (_, meta) = put(&memory, "a", b"one").unwrap();
    let commit = |expect| part(&memory, "a", b"two").unwrap().commit(expect).map(|(_, meta)| meta);
    assert_eq!(commit(Expect::Absent), Err(FsError::Changed));
    let two = commit(Expect::Same(meta)).unwrap();
    assert_eq!(commit(Expect::Same(meta)), Err(FsError::Changed));
    assert_eq!(memory.remove(&path("a"), Expect::Same(meta)), Err(FsError::Changed));
    assert_eq!(memory.remove(&path("a"), Expect::Same(two)), Ok(()));
    assert_eq!(memory.remove(&path("a"), Expect::Any), Err(FsError::NotFound));
    assert_eq!(commit(Expect::Same(two)), Err(FsError::Changed));
    assert_eq!(memory.usage().bytes, 0);
}

#[test]
fn directories_are_where_paths_lead_through() {
    let memory = Arc::new(Memory::new());
    let late = part(&memory, "a", b"x").unwrap();
    let lower = part(&memory, "a/b/c.ts/d", b"x").unwrap();
    for name in ["a/b/c.ts", "a/b0", "a/b/c-1.ts", "a0"] {
        put(&memory, name, b"x").unwrap();
    }
    for (dir, expected) in
        [("", vec!["a", "a0"]), ("a", vec!["b", "b0"]), ("a/b", vec!["c-1.ts", "c.ts"])]
    {
        assert_eq!(names(&memory, dir), expected);
    }
    for (dir, error) in [("a/b/c.ts", FsError::NotFound), ("b", FsError::NotFound)] {
        assert_eq!(memory.list(&path(dir)).unwrap_err(), error);
    }
    for dir in ["a", "a/b"] {
        assert_eq!(get(&memory, dir), Err(FsError::IsDirectory));
        assert_eq!(memory.remove(&path(dir), Expect::Any), Err(FsError::IsDirectory));
        assert_eq!(put(&memory, dir, b"x").unwrap_err(), FsError::IsDirectory);
    }
    assert_eq!(put(&memory, "a0/x", b"x").unwrap_err(), FsError::NotRegular);
    // What was neither when they began is so at their end.
    assert_eq!(late.commit(Expect::Any).unwrap_err(), FsError::IsDirectory);
    assert_eq!(lower.commit(Expect::Any).unwrap_err(), FsError::NotRegular);
    assert_eq!(get(&memory, "a0/x"), Err(FsError::NotFound));
    assert!(memory.list(&path("")).unwrap().len() == 2);
    is_sound(&memory);
}

#[test]
fn the_oldest_segments_make_room_and_manifests_last() {
    let memory = Arc::new(Memory::new());
    put(&memory, "live.mpd", &[0; 10]).unwrap();
    put(&memory, "init.mp4", &[0; 10]).unwrap();
    put(&memory, "v-1.m4s", &[1; 20]).unwrap();
    put(&memory, "a-1.m4s", &[2; 20]).unwrap();
    put(&memory, "v-2.m4s", &[3; 20]).unwrap();
    let growing = part(&memory, "v-3.m4s", &[4; 30]).unwrap();
    assert_eq!(names(&memory, ""), ["a-1.m4s", "init.mp4", "live.mpd", "v-2.m4s"]);
    growing.write_all_at(30, &[Bytes::from_static(&[5; 40])]).unwrap();
    assert_eq!(names(&memory, ""), ["init.mp4", "live.mpd"]);
    assert_eq!(memory.usage().evicted, 3);
    growing.write_all_at(70, &[Bytes::from_static(&[5; 20])]).unwrap();
    assert_eq!(names(&memory, ""), ["init.mp4"]);
    growing.commit(Expect::Any).unwrap();
    assert_eq!(names(&memory, ""), ["init.mp4", "v-3.m4s"]);
    is_sound(&memory);
}

#[test]
fn what_cannot_fit_removes_nothing() {
    let memory = Arc::new(Memory::new());
    put(&memory, "a.bin", &[0; 60]).unwrap();
    put(&memory, "b.bin", &[0; 30]).unwrap();
    assert_eq!(put(&memory, "c.bin", &[0; 101]).unwrap_err(), FsError::MemoryFull);
    assert_eq!(memory.create(&path("c.bin"), Some(101), BOUNDS).unwrap_err(), FsError::MemoryFull);
    assert_eq!(
        memory.create(&path("c.bin"), Some(u64::MAX), BOUNDS).unwrap_err(),
        FsError::MemoryFull
    );
    // The old one stays until the new one is whole.
    assert_eq!(put(&memory, "a.bin", &[0; 41]).unwrap_err(), FsError::MemoryFull);
    assert_eq!(memory.create(&path("a.bin"), Some(41), BOUNDS).unwrap_err(), FsError::MemoryFull);
    assert_eq!(names(&memory, ""), ["a.bin", "b.bin"]);
    put(&memory, "a.bin", &[0; 40]).unwrap();
    assert_eq!(names(&memory, ""), ["a.bin"]);
    let growing = part(&memory, "c.bin", &[0; 70]).unwrap();
    assert_eq!(put(&memory, "d.bin", &[0; 31]).unwrap_err(), FsError::MemoryFull);
    drop(growing);
    put(&memory, "d.bin", &[0; 31]).unwrap();
    is_sound(&memory);
}

#[test]
fn of_a_quality_so_many_segments_are_kept() {
    let memory = Arc::new(Memory::new());
    for number in 1..=5 {
        for name in ["live.m3u8", &format!("v-{number}.ts"), &format!("d/v-{number}.ts")] {
            put(&memory, name, b"x").unwrap();
        }
    }
    assert_eq!(names(&memory, ""), ["d", "live.m3u8", "v-3.ts", "v-4.ts", "v-5.ts"]);
    assert_eq!(names(&memory, "d"), ["v-3.ts", "v-4.ts", "v-5.ts"]);
    assert_eq!(memory.usage().evicted, 4);
    memory.remove(&path("v-4.ts"), Expect::Any).unwrap();
    put(&memory, "v-6.ts", b"x").unwrap();
    assert_eq!(names(&memory, ""), ["d", "live.m3u8", "v-3.ts", "v-5.ts", "v-6.ts"]);
    is_sound(&memory);
}

#[test]
fn files_are_bounded_in_number() {
    let memory = Arc::new(Memory { most_files: 3, ..Memory::new() });
    for name in ["a", "b", "c", "d"] {
        put(&memory, name, b"").unwrap();
    }
    assert_eq!(names(&memory, ""), ["b", "c", "d"]);
    let parts: Vec<_> = ["e", "f", "g"].map(|name| part(&memory, name, b"").unwrap()).into();
    assert_eq!(part(&memory, "h", b"").unwrap_err(), FsError::Exhausted);
    drop(parts);
    put(&memory, "h", b"").unwrap();
}

#[test]
fn patches_fill_ranges_of_a_copy() {
    let memory = Arc::new(Memory::new());
    let patch = |to: &str, spool: &[u8], expect, create, patches: &[(u64, u64)]| {
        let patches: Vec<_> = patches.iter().map(|&(at, len)| Patch { at, len }).collect();
        part(&memory, to, spool)?.commit_patches(expect, create, &patches)
    };
    assert_eq!(patch("a", b"xy", Expect::Any, false, &[(0, 2)]).unwrap_err(), FsError::NotFound);
    let (is_new, meta) = patch("a", b"0123", Expect::Any, true, &[(0, 4)]).unwrap();
    assert!(is_new);
    let (reader, _) = memory.open(&path("a")).unwrap();
    assert!(!patch("a", b"xyz", Expect::Same(meta), false, &[(3, 2), (0, 1)]).unwrap().0);
    assert_eq!(get(&memory, "a").unwrap(), b"z12xy");
    let mut old = [0; 9];
    assert_eq!(rustix::io::pread(&*reader, &mut old, 0), Ok(4));
    assert_eq!(patch("a", b"x", Expect::Same(meta), false, &[(0, 1)]), Err(FsError::Changed));
    assert_eq!(patch("a", b"x", Expect::Any, false, &[(6, 1)]), Err(FsError::Hole(5)));
    assert_eq!(patch("a", b"x", Expect::Any, false, &[(5, u64::MAX - 9)]), Err(FsError::Full));
    // The old one, what was sent, and the copy are there at a time.
    assert_eq!(patch("a", &[0; 48], Expect::Any, false, &[(0, 48)]), Err(FsError::MemoryFull));
    assert_eq!(get(&memory, "a").unwrap(), b"z12xy");
    assert_eq!(memory.usage().bytes, 5);
    is_sound(&memory);
}

#[test]
fn media_types_are_kept_as_long_as_the_file() {
    let memory = Arc::new(Memory::new());
    let upload = part(&memory, "a", b"one").unwrap();
    upload.keep_media_type("a/b");
    assert_eq!(memory.media_type(upload.file()).as_deref(), Some("a/b"));
    upload.commit(Expect::Any).unwrap();
    let kept = || memory.media_type(&memory.open(&path("a")).unwrap().0);
    assert_eq!(kept().as_deref(), Some("a/b"));
    let patch = [Patch { at: 0, len: 1 }];
    part(&memory, "a", b"x").unwrap().commit_patches(Expect::Any, false, &patch).unwrap();
    assert_eq!(kept().as_deref(), Some("a/b"));
    put(&memory, "a", b"x").unwrap();
    assert_eq!(kept(), None);
    let dropped = part(&memory, "a", b"x").unwrap();
    dropped.keep_media_type("a/b");
    drop(dropped);
    assert!(memory.lock().types.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn what_is_there_is_what_was_put_last(
        steps in prop::collection::vec((0..4u8, "[ab](-[0-4])?\\.(ts|mpd)(/x)?", 0..60usize), 1..80)
    ) {
        let memory = Arc::new(Memory::new());
        let mut last = BTreeMap::new();
        for (step, (what, name, len)) in steps.into_iter().enumerate() {
            let content = vec![step as u8; len];
            if what == 0 {
                let there = last.contains_key(&name) && memory.stat(&path(&name)).is_ok();
                prop_assert_eq!(memory.remove(&path(&name), Expect::Any).is_ok(), there);
                last.remove(&name);
            } else if put(&memory, &name, &content).is_ok() {
                // The newest is never what makes room.
                prop_assert_eq!(get(&memory, &name), Ok(content.clone()));
                last.insert(name, content);
            }
            is_sound(&memory);
            prop_assert_eq!(memory.lock().uploading, 0);
            for (name, content) in &last {
                if let Ok(found) = get(&memory, name) {
                    prop_assert_eq!(&found, content);
                }
            }
        }
    }
}
