//! Questions of a session that open nothing and change nothing, and what a runtime may say to them.

use std::{
    path::{Path, PathBuf},
    time::{Duration, UNIX_EPOCH},
};

use httpout_proto::{
    Done,
    effect::Verified,
    fs::{Entries, Entry, EntryKind, RelPath},
};

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Lookup {
    Locate(RelPath),
    Verify,
    List { most: usize },
    Encode,
    Metrics,
    Health,
}

impl Lookup {
    /// Does this answer let a request go on, unless it is refused or a password is asked for?
    pub(super) fn lets_in(&self, done: &Done) -> bool {
        match self {
            Self::Locate(_) => matches!(done, Done::Located { .. }),
            Self::Verify => matches!(done, Done::Verified(Verified::Right)),
            Self::List { .. } | Self::Encode | Self::Metrics | Self::Health => false,
        }
    }
}

/// A good answer: which one, `value` says.
pub(super) fn answer(lookup: &Lookup, value: u8) -> Done {
    match lookup {
        Lookup::Locate(path) => {
            // A link may lead anywhere.
            let path = match value % 8 {
                0 => RelPath::new("l/x"),
                1 => RelPath::new("p"),
                _ => Some(path.clone()),
            };
            let path = path.unwrap_or_else(RelPath::root);
            let real = PathBuf::from("/media").join(path.as_str());
            Done::Located { real, root: None, path }
        }
        Lookup::Verify => Done::Verified(match value % 4 {
            0 | 1 => Verified::Right,
            2 => Verified::Wrong,
            _ => Verified::TooMany(Duration::from_millis(u64::from(value) * 20)),
        }),
        Lookup::List { most } => {
            let count = usize::from(value % 8) * usize::from(1 + value / 8 * 3);
            let mut entries = Entries::default();
            (0..count.min(*most)).for_each(|at| push(&mut entries, at, value));
            Done::Listed { truncated: entries.len() < count, entries }
        }
        Lookup::Encode => Done::Encoded(vec![b'z'; usize::from(value / 8)].into()),
        Lookup::Metrics => Done::Text("requests 1\n".repeat(usize::from(value))),
        Lookup::Health if value.is_multiple_of(2) => Done::Ok,
        Lookup::Health => Done::Text("the disk is full".into()),
    }
}

fn push(entries: &mut Entries, at: usize, value: u8) {
    const NAMES: [&str; 4] = ["a", "<b>&\"'", "é\r\n%00", "javascript:x"];
    let link = ["/media/l/x", "/media/p", "/media/q", "/etc"][at / 4 % 4];
    entries.push(Entry {
        name: &format!("{}{at}", NAMES[at % 4]),
        kind: if at.is_multiple_of(3) { EntryKind::Directory } else { EntryKind::File },
        len: u64::from(value) << (at % 50),
        modified: (!at.is_multiple_of(5)).then(|| UNIX_EPOCH + Duration::from_secs(at as u64)),
        link: (at % 2 == 1).then_some(Path::new(link)),
    });
}
