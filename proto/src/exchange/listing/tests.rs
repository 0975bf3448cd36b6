use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use proptest::prelude::*;

use super::*;
use crate::fs::Column;
use crate::semantics::target;

fn file(name: &str, len: u64) -> Entry<'_> {
    let modified = Some(UNIX_EPOCH + Duration::from_secs(1_795_399_954));
    Entry { name, kind: EntryKind::File, len, modified, link: None }
}

fn directory(name: &str) -> Entry<'_> {
    Entry::mount(name)
}

/// So many files, each with its number as its length.
fn files(count: u64, name: impl Fn(u64) -> String) -> Entries {
    let mut entries = Entries::default();
    (0..count).for_each(|n| entries.push(file(&name(n), n)));
    entries
}

fn written<'a>(format: Format, path: &str, entries: impl IntoIterator<Item = Entry<'a>>) -> String {
    let entries = entries.into_iter().collect();
    let path = RelPath::new(path).unwrap();
    let mut listing =
        Listing::new(format, &path, Order::default(), Filter::default(), entries, false);
    let pieces: Vec<_> = std::iter::from_fn(|| listing.next()).collect();
    String::from_utf8(pieces.concat()).unwrap()
}

fn names(order: Order, entries: &[Entry<'_>]) -> Vec<String> {
    let mut entries: Entries = entries.iter().copied().collect();
    entries.sort(order);
    entries.iter().map(|entry| entry.name.to_owned()).collect()
}

#[test]
fn sorted_as_people_expect() {
    let entries =
        [file("seg10", 1), file("Seg2", 3), file("seg02", 2), directory("z"), file("a", 9)];
    let by = |column, descending| names(Order { column, descending }, &entries);
    assert_eq!(by(Column::Name, false), ["z", "a", "Seg2", "seg02", "seg10"]);
    assert_eq!(by(Column::Name, true), ["z", "seg10", "seg02", "Seg2", "a"]);
    assert_eq!(by(Column::Size, false), ["z", "seg10", "seg02", "Seg2", "a"]);
    assert_eq!(by(Column::Size, true), ["z", "a", "Seg2", "seg02", "seg10"]);
}

#[test]
fn the_query_says_how_to_sort() {
    let order = |column, descending| Order { column, descending };
    for (query, expected) in [
        (None, order(Column::Name, false)),
        (Some("sort=size"), order(Column::Size, false)),
        (Some("sort=date&order=desc"), order(Column::Date, true)),
        (Some("order=desc&x=1&sort=what"), order(Column::Name, true)),
    ] {
        assert_eq!(Order::from_query(query), expected, "{query:?}");
    }
}

#[test]
fn sizes_are_readable() {
    let page = written(
        Format::Html,
        "",
        vec![
            file("a", 0),
            file("b", 999),
            file("c", 1000),
            file("d", 1 << 20),
            file("e", 123 << 30),
            file("f", 1),
            file("g", 99_999_999),
            file("h", 1_023_960),
        ],
    );
    for size in [
        ">0 B<",
        ">999 B<",
        ">1.0 KiB<",
        ">1.0 MiB<",
        ">123 GiB<",
        ">1 B<",
        ">95.4 MiB<",
        "title=\"1023960 bytes\">1.0 MiB<",
        "title=\"1 byte\"",
        "title=\"1048576 bytes\"",
    ] {
        assert!(page.contains(size), "{size} in {page}");
    }
    assert!(page.contains("<time datetime=\"2026-11-23T02:12:34Z\">2026-11-23 02:12</time>"));
}

#[test]
fn the_way_up_is_linked_and_the_root_has_none() {
    let page = written(Format::Html, "a b/<c>", Vec::new());
    assert!(page.contains("<title>Index of /a b/&lt;c&gt;/</title>"), "{page}");
    let way = "<a href=\"../../\">/</a> <a href=\"../\"><bdi>a b</bdi></a>&nbsp;/ \
               <a href=\"./\"><bdi>&lt;c&gt;</bdi></a>&nbsp;/</h1>";
    assert!(page.contains(way), "{page}");
    assert!(page.contains("<td><a href=\"../\">../</a>"), "{page}");
    assert!(page.contains("empty"));
    let root = written(Format::Html, "", vec![file("a", 1)]);
    assert!(root.contains("<h1><a href=\"./\">/</a></h1>"), "{root}");
    assert!(!root.contains("../") && !root.contains("empty"));
}

#[test]
fn a_header_sorts_by_its_column_and_then_the_other_way_round() {
    let headers = |order| {
        let mut listing = Listing::new(
            Format::Html,
            &RelPath::root(),
            order,
            Filter::default(),
            Entries::default(),
            false,
        );
        let page = String::from_utf8(listing.next().unwrap().to_vec()).unwrap();
        page.lines().find(|line| line.contains("<th ")).unwrap().to_owned()
    };
    let by_name = headers(Order::default());
    assert!(by_name.contains(
        "<th scope=\"col\" aria-sort=\"ascending\"><a href=\"?sort=name&amp;order=desc\">Name<"
    ));
    assert!(by_name.contains("<th scope=\"col\"><a href=\"?sort=size&amp;order=asc\">Size<"));
    let by_date = headers(Order { column: Column::Date, descending: true });
    assert!(by_date.contains("aria-sort=\"descending\"><a href=\"?sort=date&amp;order=asc\">"));
    assert_eq!(by_date.matches("aria-sort").count(), 1);
}

#[test]
fn the_foot_counts_what_is_listed() {
    fn foot<'a>(entries: impl IntoIterator<Item = Entry<'a>>) -> String {
        let page = written(Format::Html, "", entries);
        page.split("<footer>").nth(1).unwrap().split("</footer>").next().unwrap().to_owned()
    }
    assert_eq!(foot(vec![directory("d"), file("a", 1)]), "1 directory, 1 file, 1 B");
    assert_eq!(foot(vec![file("a", 1 << 20); 600]), "0 directories, 600 files, 600 MiB");
    assert_eq!(foot(vec![file("a", u64::MAX), file("b", 1)]), "0 directories, 2 files, 16.0 EiB");
}

#[test]
fn the_client_says_which_form_it_likes() {
    for (accept, json) in [
        (&[][..], false),
        (&[""], false),
        (&["*/*"], false),
        (&["application/json"], true),
        (&["Application/JSON; q=0.1"], true),
        (&["application/*"], true),
        (&["text/html", "application/json"], false),
        (&["text/html;q=0.5, application/json;q=0.6"], true),
        (&["text/html;q=0.5, */*;q=0.8"], true),
        (&["text/*;q=0.4, text/html, application/json;q=0.9"], false),
        (&["application/json;q=0"], false),
        (&["application/json;q=2, text/html;q=0.1"], false),
        (&["application/json;charset=utf-8;q=0.9", "text/html;q=0.8"], true),
        // Chromium.
        (&["text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"], false),
    ] {
        let fields: HeaderList = accept.iter().map(|value| ("Accept", *value)).collect();
        let expected = if json { Format::Json } else { Format::Html };
        assert_eq!(Format::negotiate(&fields), expected, "{accept:?}");
    }
}

#[test]
fn the_policy_names_the_style_sheet() {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use sha2::{Digest as _, Sha256};
    let hash = STANDARD.encode(Sha256::digest(include_str!("listing.css")));
    assert!(
        CONTENT_SECURITY_POLICY.contains(&format!("style-src 'sha256-{hash}'")),
        "it is {hash} now"
    );
}

#[test]
fn a_long_listing_comes_in_pieces() {
    let entries = files(1000, |n| format!("f{n}"));
    let path = RelPath::root();
    let mut listing =
        Listing::new(Format::Html, &path, Order::default(), Filter::default(), entries, true);
    assert!(!listing.is_short());
    let pieces: Vec<_> = std::iter::from_fn(|| listing.next()).collect();
    assert_eq!(pieces.len(), 4);
    assert!(pieces.iter().all(|piece| piece.len() < 64 << 10));
    assert!(String::from_utf8_lossy(&pieces[3]).contains("There is more"));
    let mut short = Listing::new(
        Format::Json,
        &path,
        Order::default(),
        Filter::default(),
        files(10, |n| format!("f{n}")),
        false,
    );
    assert!(short.is_short());
    assert!(short.next().is_some() && short.next().is_none());
}

#[test]
fn long_names_make_shorter_pieces() {
    let long_names = |count| files(count, |n| format!("{n}{}", "\"".repeat(240)));
    let listing = |entries| {
        Listing::new(
            Format::Html,
            &RelPath::root(),
            Order::default(),
            Filter::default(),
            entries,
            false,
        )
    };
    let mut long = listing(long_names(200));
    assert!(!long.is_short());
    let pieces: Vec<_> = std::iter::from_fn(|| long.next()).collect();
    assert!(pieces.len() > 5);
    assert!(pieces.iter().all(|piece| piece.len() < 128 << 10));
    let page = String::from_utf8(pieces.concat()).unwrap();
    assert_eq!(page.matches("<td><a href=\"./").count(), 200);
    assert!(listing(long_names(30)).is_short());
    assert!(listing(files(1, |_| "x".repeat(PIECE_NAMES + 1))).is_short());
}

/// Names that a directory can hold and a URL can name.
fn any_name() -> impl Strategy<Value = String> {
    "[^/\\\\\\x00-\\x1f\\x7f]{1,12}|[<>&\"'%#?:.]{1,6}|(javascript:|//)?x|[a-c0-2]{1,5}"
        .prop_filter("a name", |name| RelPath::new(name).is_some())
}

/// An entry that owns its name.
#[derive(Clone, Debug)]
struct Owned {
    name: String,
    kind: EntryKind,
    len: u64,
    modified: Option<SystemTime>,
}

impl Owned {
    fn entry(&self) -> Entry<'_> {
        let Self { ref name, kind, len, modified } = *self;
        Entry { name, kind, len, modified, link: None }
    }
}

fn any_entry() -> impl Strategy<Value = Owned> {
    (any_name(), any::<bool>(), any::<u64>(), prop::option::of(0..300_000_000_000_u64)).prop_map(
        |(name, is_file, len, modified)| Owned {
            name,
            kind: if is_file { EntryKind::File } else { EntryKind::Directory },
            len: if is_file { len } else { 0 },
            modified: modified.map(|seconds| UNIX_EPOCH + Duration::from_secs(seconds)),
        },
    )
}

proptest! {
    #[test]
    fn every_link_leads_to_its_entry_and_nothing_else_is_markup(
        entries in prop::collection::vec(any_entry(), 0..8),
    ) {
        let page = written(Format::Html, "d", entries.iter().map(Owned::entry));
        let body = page.split("<tbody>").nth(1).unwrap();
        let rows: Vec<_> = body.lines().filter(|line| line.contains("href=\"./")).collect();
        prop_assert_eq!(rows.len(), entries.len());
        for (row, entry) in rows.iter().zip(&entries) {
            let href = row.split("href=\".").nth(1).unwrap().split('"').next().unwrap();
            let target = target::decode(href).unwrap();
            prop_assert_eq!(target.path.as_str(), &entry.name);
            prop_assert_eq!(target.directory, entry.kind == EntryKind::Directory);
            let shown = row.split("<bdi>").nth(1).unwrap().split("</bdi>").next().unwrap();
            prop_assert_eq!(shown, escape::escape(&entry.name));
            prop_assert_eq!(row.matches('<').count(), row.matches('>').count());
        }
    }

    #[test]
    fn json_holds_the_same_entries(some in prop::collection::vec(any_entry(), 0..20), times in 1..30_usize) {
        let entries = vec![some; times].concat();
        let text = written(Format::Json, "d e", entries.iter().map(Owned::entry));
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(&value["path"], "/d e/");
        let listed = value["entries"].as_array().unwrap();
        prop_assert_eq!(listed.len(), entries.len());
        for (listed, entry) in listed.iter().zip(&entries) {
            prop_assert_eq!(&listed["name"], entry.name.as_str());
            match entry.kind {
                EntryKind::File => prop_assert_eq!(listed["size"].as_u64(), Some(entry.len)),
                EntryKind::Directory => prop_assert_eq!(&listed["type"], "directory"),
            }
        }
    }

    #[test]
    fn sorting_is_one_order_with_directories_first(
        entries in prop::collection::btree_map(any_name(), any_entry(), 0..12),
        turn in 0..12_usize,
        column in prop::sample::select(Column::ALL.to_vec()),
        descending: bool,
    ) {
        let order = Order { column, descending };
        let mut entries: Vec<_> =
            entries.into_iter().map(|(name, entry)| Owned { name, ..entry }).collect();
        let mut sorted: Entries = entries.iter().map(Owned::entry).collect();
        let turn = turn.min(entries.len());
        entries.rotate_left(turn);
        let mut turned: Entries = entries.iter().map(Owned::entry).collect();
        sorted.sort(order);
        turned.sort(order);
        prop_assert!(turned.iter().eq(sorted.iter()));
        let sorted: Vec<_> = sorted.iter().collect();
        prop_assert_eq!(sorted.len(), entries.len());
        prop_assert!(sorted.is_sorted_by_key(|entry| entry.kind == EntryKind::File));
        for pair in sorted.windows(2).filter(|pair| pair[0].kind == pair[1].kind) {
            let (first, second) = if descending { (pair[1], pair[0]) } else { (pair[0], pair[1]) };
            match column {
                Column::Name => prop_assert!(order.compare(pair[0], pair[1]).is_lt()),
                Column::Size => prop_assert!(first.len <= second.len),
                Column::Date => prop_assert!(first.modified <= second.modified),
            }
        }
    }

    #[test]
    fn packed_entries_are_what_was_pushed(
        some in prop::collection::vec(any_entry(), 1..20),
        times in 1..40_usize,
        most in 0..600_usize,
    ) {
        let pushed = vec![some; times].concat();
        let mut packed = Entries::default();
        for (number, entry) in pushed.iter().enumerate() {
            let link = Path::new("/a").join(number.to_string());
            let link = (number % 3 == 0).then_some(&*link);
            packed.push(Entry { link, ..entry.entry() });
        }
        prop_assert_eq!(packed.len(), pushed.len());
        for (number, (packed, pushed)) in packed.iter().zip(&pushed).enumerate() {
            let link = packed.link.map(|link| link.ends_with(number.to_string()));
            prop_assert_eq!(link, (number % 3 == 0).then_some(true));
            prop_assert_eq!(Entry { link: None, ..packed }, pushed.entry());
        }
        packed.retain(|entry| entry.kind == EntryKind::File);
        packed.truncate(most);
        let kept = pushed.iter().filter(|entry| entry.kind == EntryKind::File).take(most);
        prop_assert!(packed.iter().map(|entry| entry.name).eq(kept.map(|entry| &*entry.name)));
        prop_assert_eq!(packed.get(packed.len()), None);
    }
}

#[test]
fn the_filter_is_read_as_a_form_writes_it() {
    let kept = |query: &str| {
        let all = [file("Seg 1.m4s", 1), file("seg+2.m4s", 1), directory("\u{dc}ber")];
        let mut entries = Entries::from_iter(all);
        Filter::from_query(Some(query)).keep(&mut entries);
        entries.iter().map(|entry| entry.name.to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(kept("filter=").len(), 3);
    assert_eq!(kept("sort=name&filter=SEG"), ["Seg 1.m4s", "seg+2.m4s"]);
    assert_eq!(kept("filter=seg+1&order=asc"), ["Seg 1.m4s"]);
    assert_eq!(kept("filter=seg%2B"), ["seg+2.m4s"]);
    assert_eq!(kept("filter=%C3%BC"), ["\u{dc}ber"]);
    assert_eq!(kept("filter=%ff"), [""; 0]);
}

#[test]
fn the_filter_is_shown_as_text_and_kept_by_the_links_that_sort() {
    let filter = Filter::from_query(Some("filter=%22%3E%3Cb%3E%26"));
    let mut listing = Listing::new(
        Format::Html,
        &RelPath::root(),
        Order::default(),
        filter,
        Entries::default(),
        false,
    );
    let page = String::from_utf8(listing.next().unwrap().to_vec()).unwrap();
    assert!(!page.contains("\"><b>"), "{page}");
    assert!(page.contains("&amp;filter=%22%3E%3Cb%3E%26\">Size"), "{page}");
}
