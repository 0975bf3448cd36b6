//! Manifests: what they name lies in the store, and no manifest names without end.

use httpout_proto::live::retention::{Change, Retention, Sort};

/// Most names of a manifest, those of absolute URLs twice.
const MOST: usize = 40_001;

/// One input: the text of a manifest.
pub fn run(data: &[u8]) {
    for path in ["a/b/live.mpd", "live.m3u8"] {
        let sort = Sort::new(path, data);
        let Sort::Manifest(_) = sort else {
            assert_eq!(sort, Sort::Other);
            continue;
        };
        let mut retention = Retention::default();
        let Change { dropped, renamed } = retention.stored((), path, sort, (), 1);
        assert!(dropped.is_empty() && renamed.len() <= MOST);
        for file in &renamed {
            assert!(file.split('/').all(|name| !matches!(name, "" | "." | "..")), "{file}");
            assert!(retention.is_named((), file) && file != path);
            // A segment that is named stays, whatever comes after it.
            let names = [file.as_str(), "a/b/1.ts", "a/b/2.ts", "1.ts", "2.ts"];
            for name in names {
                let Change { dropped, .. } =
                    retention.stored((), name, Sort::new(name, b""), (), 1);
                let dir = name.rfind('/').map_or("", |at| &name[..=at]);
                let is_named = |name| retention.is_named((), &format!("{dir}{name}"));
                assert!(dropped.iter().all(|(name, ())| !is_named(name)), "{dropped:?}");
            }
            if renamed.len() > 20 {
                break;
            }
        }
        assert_eq!(retention.removed((), path), renamed);
        for name in
            renamed.iter().map(String::as_str).chain(["a/b/1.ts", "a/b/2.ts", "1.ts", "2.ts"])
        {
            retention.removed((), name);
        }
        assert!(retention.is_empty());
    }
}
