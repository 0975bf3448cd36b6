//! Which segments of a live stream are dropped as new ones come (`max_cache_segs`).
//!
//! A *quality* is what is alike in directory and name but for the name's last number: `seg-11.ts` and `seg-12.ts` are of one quality,
//! `chunk-stream0-00012.m4s` and `chunk-stream1-00012.m4s` are not. Of each quality so many segments are kept as are wanted; the
//! others go in the order in which they came. What is no segment stays: see [`quality`].

use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
};

use crate::exchange::media::{extension, is_manifest};

/// Qualities that are remembered. Where there are more, the half without news for longest is forgotten, and what is left of
/// their segments stays.
const MOST: usize = 100_000;

/// Words that mark what a player needs before the first segment.
const LEADS: [&str; 2] = ["init", "header"];

/// How many segments of a quality are kept in memory, by the option `max_cache_segs`: at least one, and never all.
pub fn most_in_memory(max_cache_segs: i32) -> usize {
    usize::try_from(max_cache_segs.unsigned_abs()).unwrap_or(usize::MAX).max(1)
}

/// How many segments of a quality are kept on disk, by the option `max_cache_segs`; `None`: all. Only a negative number is a limit:
/// nothing tells how far back the players of an upload may go, and a positive one leaves them so much.
pub fn most_on_disk(max_cache_segs: i32) -> Option<usize> {
    (max_cache_segs < 0).then(|| most_in_memory(max_cache_segs))
}

/// The quality of a segment within its directory, by its file name: the name with `/` in place of its last number. `None` for what is no
/// segment:
///
/// * manifests, by their extension; one exception, `vtt` with a number, is a segment of subtitles
/// * what bears no number (that of the extension does not count)
/// * what a player needs first: the extensions `init` and `header`, and names with one of these words (no letter behind it)
pub fn quality(name: &str) -> Option<String> {
    let extension = extension(name).unwrap_or_default();
    let is_subtitles = extension.eq_ignore_ascii_case("vtt");
    let is_lead = LEADS.iter().any(|lead| extension.eq_ignore_ascii_case(lead));
    if is_manifest(name) && !is_subtitles || is_lead {
        return None;
    }
    let stem = match extension {
        "" => name,
        _ => name.rsplit_once('.').map_or(name, |(stem, _)| stem),
    };
    if LEADS.iter().any(|lead| has_word(stem, lead)) {
        return None;
    }
    let end = stem.rfind(|c: char| c.is_ascii_digit())? + 1;
    let start = stem[..end].trim_end_matches(|c: char| c.is_ascii_digit()).len();
    Some([&name[..start], "/", &name[end..]].concat())
}

/// True if `word` is in `text`, in whatever case, and no letter follows it.
fn has_word(text: &str, word: &str) -> bool {
    let text = text.to_ascii_lowercase();
    text.match_indices(word)
        .any(|(at, _)| !text[at + word.len()..].starts_with(|next: char| next.is_alphabetic()))
}

/// The segments there are, by quality, in the order in which they came. `D` is a directory, `T` what is to be told with a segment
/// when it is dropped.
#[derive(Debug)]
pub struct Retention<D, T> {
    qualities: HashMap<(D, String), Segments<T>>,
    /// How many were stored.
    stored: u64,
}

#[derive(Debug)]
struct Segments<T> {
    /// Names, the oldest first.
    names: VecDeque<(String, T)>,
    /// The last one's number.
    last: u64,
}

impl<D, T> Default for Retention<D, T> {
    fn default() -> Self {
        Self { qualities: HashMap::new(), stored: 0 }
    }
}

impl<D: Eq + Hash, T> Retention<D, T> {
    /// The file `name` of `dir` is complete, be it new or replaced: it is the newest of its quality now. Returns those to be dropped so that
    /// `most` are left, which are forgotten here. At least the newest stays.
    pub fn stored(&mut self, dir: D, name: &str, tag: T, most: usize) -> Vec<(String, T)> {
        let Some(quality) = quality(name) else { return Vec::new() };
        self.stored += 1;
        let segments = self
            .qualities
            .entry((dir, quality))
            .or_insert_with(|| Segments { names: VecDeque::new(), last: 0 });
        segments.last = self.stored;
        segments.names.retain(|(other, _)| other != name);
        segments.names.push_back((name.to_owned(), tag));
        let over = segments.names.len().saturating_sub(most.max(1));
        let dropped = segments.names.drain(..over).collect();
        self.forget_oldest();
        dropped
    }

    /// The file is gone.
    pub fn removed(&mut self, dir: D, name: &str) {
        let Some(quality) = quality(name) else { return };
        let key = (dir, quality);
        if let Some(segments) = self.qualities.get_mut(&key) {
            segments.names.retain(|(other, _)| other != name);
            if segments.names.is_empty() {
                self.qualities.remove(&key);
            }
        }
    }

    /// True if nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.qualities.is_empty()
    }

    fn forget_oldest(&mut self) {
        if self.qualities.len() <= MOST {
            return;
        }
        let mut times: Vec<_> = self.qualities.values().map(|segments| segments.last).collect();
        let (_, &mut middle, _) = times.select_nth_unstable(MOST / 2);
        self.qualities.retain(|_, segments| segments.last >= middle);
    }
}

#[cfg(test)]
mod tests {
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
        let mut store = |name, tag| retention.stored("d", name, tag, 2);
        assert_eq!(store("a-1.ts", 1), []);
        assert_eq!(store("b-1.ts", 2), []);
        assert_eq!(store("a-9.ts", 3), []);
        assert_eq!(store("a.m3u8", 4), []);
        // Replaced, it is the newest.
        assert_eq!(store("a-1.ts", 5), []);
        assert_eq!(store("a-2.ts", 6), [("a-9.ts".to_owned(), 3)]);
        assert_eq!(store("a-3.ts", 7), [("a-1.ts".to_owned(), 5)]);
        retention.removed("d", "a-2.ts");
        assert_eq!(retention.stored("d", "a-4.ts", 8, 2), []);
        assert_eq!(retention.stored("e", "a-5.ts", 9, 0), []);
        for (dir, name) in [("d", "a-3.ts"), ("d", "a-4.ts"), ("d", "b-1.ts"), ("e", "a-5.ts")] {
            assert!(!retention.is_empty());
            retention.removed(dir, name);
        }
        assert!(retention.is_empty());
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut retention = Retention::default();
        for dir in 0..3 * MOST {
            retention.stored(dir, "s-1.ts", (), 1);
            assert!(retention.qualities.len() <= MOST);
        }
        // The latest are known still.
        assert_eq!(retention.stored(3 * MOST - 1, "s-2.ts", (), 1).len(), 1);
        assert_eq!(retention.stored(0, "s-2.ts", (), 1), []);
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
                    let dropped = retention.stored(dir, &name, number, most);
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
}
