use proptest::prelude::*;

use super::*;

#[test]
fn the_option_means_what_the_seed_says() {
    for (option, memory, disk) in [
        (5, 5, None),
        (1, 1, None),
        (0, 1, None),
        (-1, 1, Some(1)),
        (-3, 3, Some(3)),
        (i32::MIN, 1 << 31, Some(1 << 31)),
    ] {
        assert_eq!(most_in_memory(option), memory, "{option}");
        assert_eq!(most_on_disk(option), disk, "{option}");
    }
}

#[test]
fn a_quality_is_the_name_without_its_last_number() {
    for (name, expected) in [
        ("seg-00012.ts", "seg-/.ts"),
        ("12.m4s", "/.m4s"),
        ("12", "/"),
        ("seg12", "seg/"),
        ("chunk-stream0-00012.m4s", "chunk-stream0-/.m4s"),
        ("chunk-stream1-00012.m4s", "chunk-stream1-/.m4s"),
        ("live1.mp4", "live/.mp4"),
        ("v720p_7a.cmfv", "v720p_/a.cmfv"),
        ("Streams(video-7.cmfv)", "Streams(video-/.cmfv)"),
        ("Fragments(video=12345)", "Fragments(video=/)"),
        ("subs-3.vtt", "subs-/.vtt"),
        ("initiative-3.ts", "initiative-/.ts"),
        ("headers_3.ts", "headers_/.ts"),
        ("vidéo-3é.ts", "vidéo-/é.ts"),
        (".3", "./"),
        ("3.", "/."),
    ] {
        assert_eq!(quality(name).as_deref(), Some(expected), "{name}");
    }
}

#[test]
fn manifests_and_what_players_need_first_stay() {
    for name in [
        "live.mpd",
        "media_0.m3u8",
        "MEDIA_0.M3U8",
        "list3.m3u",
        "a1.xml",
        "a1.json",
        "a1.txt",
        "subs.vtt",
        "init-stream0.m4s",
        "init0.mp4",
        "INIT_1.mp4",
        "live_dashinit.mp4",
        "v1_init.cmfv",
        "video1.init",
        "video1.HEADER",
        "header-2.m4s",
        "2-header",
        "movie.mp4",
        "movie.ts",
        "movie",
        "",
    ] {
        assert_eq!(quality(name), None, "{name}");
    }
}

#[test]
fn the_oldest_of_a_quality_goes() {
    let mut retention = Retention::default();
    let segment = Sort::Segment;
    let mut store = |name: &str, tag| {
        retention.stored((), &format!("d/{name}"), segment.clone(), tag, 2).dropped
    };
    assert_eq!(store("a-1.ts", 1), []);
    assert_eq!(store("b-1.ts", 2), []);
    assert_eq!(store("a-9.ts", 3), []);
    assert_eq!(store("a.m3u8", 4), []);
    // Replaced, it is the newest.
    assert_eq!(store("a-1.ts", 5), []);
    assert_eq!(store("a-2.ts", 6), [("a-9.ts".to_owned(), 3)]);
    assert_eq!(store("a-3.ts", 7), [("a-1.ts".to_owned(), 5)]);
    retention.removed((), "d/a-2.ts");
    assert_eq!(retention.stored((), "d/a-4.ts", Sort::Segment, 8, 2).dropped, []);
    assert_eq!(retention.stored((), "e/a-5.ts", Sort::Segment, 9, 0).dropped, []);
    for path in ["d/a-3.ts", "d/a-4.ts", "d/b-1.ts", "e/a-5.ts"] {
        assert!(!retention.is_empty());
        retention.removed((), path);
    }
    assert!(retention.is_empty());
}

fn playlist(names: impl IntoIterator<Item = String>) -> Sort {
    let names: Vec<_> = names.into_iter().collect();
    Sort::new("d/l.m3u8", format!("#EXTM3U\n{}\n", names.join("\n")).as_bytes())
}

#[test]
fn what_a_manifest_names_stays() {
    let mut retention = Retention::default();
    let mut store = |path: &str, sort| retention.stored((), path, sort, (), 2);
    // One file for each rendition.
    let renditions = || (0..7).map(|number| format!("m-stream{number}.ts"));
    store("d/l.m3u8", playlist(renditions()));
    for name in renditions() {
        assert_eq!(store(&format!("d/{name}"), Sort::Segment).dropped, []);
    }
    // A playlist of the last four.
    for number in 1..20 {
        let segments = |from: i32| (from.max(1)..=number).map(|number| format!("s-{number}.ts"));
        let change = store(&format!("d/s-{number}.ts"), Sort::Segment);
        let left = (number > 5).then(|| (format!("s-{}.ts", number - 5), ()));
        assert_eq!(change.dropped, Vec::from_iter(left), "segment {number}");
        store("d/live.m3u8", playlist(segments(number - 3)));
    }
    // No manifest names them any more.
    assert_eq!(retention.removed((), "d/live.m3u8").len(), 4);
    let dropped = retention.stored((), "d/s-20.ts", Sort::Segment, (), 2).dropped;
    assert_eq!(dropped.len(), 4);
    assert!(retention.is_named((), "d/m-stream0.ts") && !retention.is_named((), "m-stream0.ts"));
    assert_eq!(retention.stored((), "d/l.m3u8", playlist([]), (), 2).renamed.len(), 7);
    assert!(!retention.is_named((), "d/m-stream0.ts"));
}

#[test]
fn what_is_no_manifest_leaves_the_names_of_the_version_before() {
    let mut retention = Retention::default();
    retention.stored((), "d/l.m3u8", playlist(["a-1.ts".into()]), (), 2);
    let broken = Sort::new("d/l.m3u8", b"<html>");
    assert_eq!(broken, Sort::Other);
    assert_eq!(retention.stored((), "d/l.m3u8", broken, (), 2), Change::default());
    assert!(retention.is_named((), "d/a-1.ts"));
}

#[test]
fn a_template_names_so_many_segments() {
    let mpd = |depth| {
        let template = "<SegmentTemplate duration=\"2\" media=\"s-$Number$.m4s\"/>";
        let text = format!(
            "<MPD type=\"dynamic\" timeShiftBufferDepth=\"PT{depth}S\"><Period><AdaptationSet>\
             <Representation>{template}</Representation></AdaptationSet></Period></MPD>"
        );
        Sort::new("d/l.mpd", text.as_bytes())
    };
    let mut retention = Retention::default();
    retention.stored((), "d/l.mpd", mpd(8), (), 2);
    let mut store = |path: &str, sort| retention.stored((), path, sort, (), 2).dropped.len();
    let dropped: usize = (1..10).map(|at| store(&format!("d/s-{at}.m4s"), Sort::Segment)).sum();
    assert_eq!(dropped, 4, "five of nine stay");
    store("d/l.mpd", mpd(4));
    assert_eq!(store("d/s-10.m4s", Sort::Segment), 3, "three of six stay");
    for path in ["d/l.mpd", "d/s-8.m4s", "d/s-9.m4s", "d/s-10.m4s"] {
        assert!(!retention.is_empty());
        retention.removed((), path);
    }
    assert!(retention.is_empty());
}

#[test]
fn what_has_a_header_of_its_own_is_no_segment() {
    for (name, content, expected) in [
        ("m-stream0.mp4", &b"\0\0\0\x1cftypiso5"[..], Sort::Other),
        ("m-stream0.m4s", b"\0\0\0\x18stypmsdh", Sort::Segment),
        ("m-stream0.webm", b"\x1A\x45\xDF\xA3\x9f", Sort::Other),
        ("m-stream0.webm", b"\x1F\x43\xB6\x75", Sort::Segment),
        ("m-stream0.ts", b"\x47\x40\x11\x10", Sort::Segment),
        ("m-stream0.ts", b"", Sort::Segment),
        ("film.mp4", b"", Sort::Other),
        ("init-0.mp4", b"\0\0\0\x18styp", Sort::Other),
        ("a-1.json", b"#EXTM3U\n", Sort::Manifest(Manifest::default())),
    ] {
        assert_eq!(
            Sort::new(name, &content[..content.len().min(Sort::look(name))]),
            expected,
            "{name}"
        );
    }
    // Whoever was one is not counted any more.
    let mut retention = Retention::default();
    retention.stored((), "a-1.mp4", Sort::Segment, (), 1);
    retention.stored((), "a-1.mp4", Sort::Other, (), 1);
    assert!(retention.is_empty());
}

#[test]
fn the_names_that_are_remembered_are_bounded() {
    let mut retention = Retention::default();
    let name = |number: usize| format!("{number}-{}.ts", "x".repeat(3000));
    for number in 0..8000 {
        retention.stored((), &format!("d/{number}.m3u8"), playlist([name(number)]), (), 1);
        assert!(retention.bytes <= MOST_BYTES);
    }
    assert!(!retention.is_named((), &format!("d/{}", name(0))));
    assert!(retention.is_named((), &format!("d/{}", name(7999))));
    for number in 0..8000 {
        retention.removed((), &format!("d/{number}.m3u8"));
    }
    assert!(retention.is_empty());
}

#[test]
fn what_is_remembered_is_bounded() {
    let mut retention = Retention::default();
    for dir in 0..3 * MOST {
        retention.stored(dir, "s-1.ts", Sort::Segment, (), 1);
        assert!(retention.qualities.len() <= MOST);
    }
    // The latest are known still.
    let mut dropped = |root| retention.stored(root, "s-2.ts", Sort::Segment, (), 1).dropped;
    assert_eq!(dropped(3 * MOST - 1).len(), 1);
    assert_eq!(dropped(0), []);
}

/// The same by one list of all files, the oldest first.
#[derive(Default)]
struct Plain(Vec<(u8, String)>);

impl Plain {
    fn stored(&mut self, dir: u8, name: &str, most: usize) -> Vec<String> {
        self.removed(dir, name);
        self.0.push((dir, name.to_owned()));
        let alike: Vec<_> = self
            .0
            .iter()
            .filter(|(other, stored)| {
                *other == dir && quality(stored).is_some() && quality(stored) == quality(name)
            })
            .map(|(_, name)| name.clone())
            .collect();
        let over = alike.len().saturating_sub(most.max(1));
        for name in &alike[..over] {
            self.removed(dir, name);
        }
        alike[..over].to_vec()
    }

    fn removed(&mut self, dir: u8, name: &str) {
        self.0.retain(|(other, stored)| (*other, &**stored) != (dir, name));
    }
}

proptest! {
    #[test]
    fn as_a_plain_list_says(
        steps in prop::collection::vec((any::<bool>(), 0..2u8, "[ab]-?[0-3]?\\.(ts|mpd|vtt)", 0..4usize), 0..200)
    ) {
        let (mut retention, mut plain) = (Retention::default(), Plain::default());
        for (number, (store, dir, name, most)) in steps.into_iter().enumerate() {
            if store {
                let dropped = retention.stored(dir, &name, Sort::Segment, number, most).dropped;
                let names: Vec<_> = dropped.iter().map(|(name, _)| name.clone()).collect();
                prop_assert_eq!(names, plain.stored(dir, &name, most));
                prop_assert!(dropped.iter().all(|(_, tag)| *tag < number));
            } else {
                retention.removed(dir, &name);
                plain.removed(dir, &name);
            }
        }
        let known: usize = retention.qualities.values().map(|segments| segments.names.len()).sum();
        prop_assert_eq!(known, plain.0.iter().filter(|(_, name)| quality(name).is_some()).count());
    }

    #[test]
    fn any_name_has_a_quality_or_none(name in "[^/]{0,20}") {
        if let Some(quality) = quality(&name) {
            prop_assert!(quality.contains('/'));
            prop_assert!(quality.len() <= name.len());
        }
    }
}
