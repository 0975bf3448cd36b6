use httpdate::fmt_http_date;
use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// Sun, 06 Nov 1994 08:49:37 GMT
fn then() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(784_111_777)
}

fn current() -> Validators {
    Validators { etag: Some("\"a,b\"".into()), modified: Some(then()) }
}

fn fields(lines: &[(&str, &str)]) -> HeaderList {
    lines.iter().copied().collect()
}

fn judge(lines: &[(&str, &str)], safe: bool) -> Precondition {
    evaluate(&fields(lines), safe, Some(&current()))
}

#[test]
fn tags_tell_files_apart() {
    let modified = UNIX_EPOCH + Duration::new(1, 5);
    let meta = Meta { len: 255, modified, inode: 16 };
    assert_eq!(etag(&meta), "\"10-ff-3b9aca05\"");
    let before = Meta { modified: UNIX_EPOCH - Duration::from_nanos(17), ..meta };
    assert_eq!(etag(&before), "\"10-ff--11\"");
    let others = [
        Meta { len: 254, ..meta },
        Meta { inode: 17, ..meta },
        Meta { modified: UNIX_EPOCH + Duration::new(1, 6), ..meta },
    ];
    assert!(others.iter().all(|other| etag(other) != etag(&meta)));
    let extreme = Meta { len: u64::MAX, modified: then(), inode: u64::MAX };
    assert!(crate::http::is_field_value(etag(&extreme).as_bytes()));
}

#[test]
fn dates_are_whole_and_past() {
    let now = then();
    let of = |modified| Validators::of(&Meta { len: 1, modified, inode: 1 }, now).modified;
    let half = Duration::from_millis(500);
    assert_eq!(of(now), Some(now));
    assert_eq!(of(now - half), Some(now - SECOND));
    assert_eq!(of(now + half), Some(now));
    assert_eq!(of(now + 1000 * SECOND), Some(now));
    assert_eq!(of(UNIX_EPOCH), Some(UNIX_EPOCH));
    assert_eq!(of(UNIX_EPOCH - half), None);
    let last = UNIX_EPOCH + Duration::from_secs(END_OF_DATES - 1);
    let meta = Meta { len: 1, modified: last + SECOND, inode: 1 };
    assert_eq!(Validators::of(&meta, last + 2 * SECOND).modified, None);
    assert_eq!(
        fmt_http_date(Validators::of(&meta, last).modified.unwrap()),
        "Fri, 31 Dec 9999 23:59:59 GMT"
    );
}

#[test]
fn if_match_compares_strongly() {
    for (value, holds) in [
        ("\"a,b\"", true),
        ("*", true),
        (" * ", true),
        ("*,", true),
        ("\"x\", \"a,b\"", true),
        ("\"x\",\"a,b\",", true),
        (",, \"a,b\" ,\"y\"", true),
        ("W/\"a,b\"", false),
        ("\"a\"", false),
        ("\"a\", b\"", false),
        ("a,b", false),
        ("\"a,b", false),
        ("\"a,b\"x", false),
        ("x\"a,b\"", false),
        ("\"a,b\" \"a,b\"", false),
        ("w/\"a,b\"", false),
        ("**", false),
        ("*, *", false),
        ("\"*\"", false),
        ("\"x\", *", false),
        ("", false),
        (",", false),
        ("junk, \"a,b\"", true),
        ("\"A,B\"", false),
    ] {
        let expected = if holds { Precondition::Go } else { Precondition::Failed };
        for safe in [true, false] {
            assert_eq!(judge(&[("If-Match", value)], safe), expected, "{value}");
        }
        assert_eq!(
            evaluate(&fields(&[("if-match", value)]), false, None),
            Precondition::Failed,
            "{value}"
        );
        if !value.contains('*') {
            let bare =
                evaluate(&fields(&[("if-match", value)]), false, Some(&Validators::default()));
            assert_eq!(bare, Precondition::Failed);
        }
    }
    assert_eq!(judge(&[("If-Match", "\"x\""), ("if-match", "\"a,b\"")], false), Precondition::Go);
    assert_eq!(judge(&[("If-Match", "*"), ("if-match", "*")], false), Precondition::Failed);
}

#[test]
fn if_none_match_compares_weakly() {
    for (value, matches) in [
        ("\"a,b\"", true),
        ("W/\"a,b\"", true),
        ("*", true),
        ("\"x\", W/\"y\", W/\"a,b\"", true),
        ("\"\", \"a,b\"", true),
        ("\"x\"", false),
        ("\"xyzzy\", \"r2d2xxxx\", \"c3piozzzz\"", false),
        ("a,b", false),
        ("*, \"x\"", false),
        ("\"a, b\"", false),
        ("", false),
    ] {
        let lines = [("If-None-Match", value)];
        assert_eq!(
            judge(&lines, true),
            if matches { Precondition::NotModified } else { Precondition::Go },
            "{value}"
        );
        assert_eq!(
            judge(&lines, false),
            if matches { Precondition::Failed } else { Precondition::Go },
            "{value}"
        );
        assert_eq!(evaluate(&fields(&lines), false, None), Precondition::Go, "{value}");
    }
    let lines = [("If-None-Match", "\"x\""), ("ETag", "\"a,b\""), ("If-None-Match", "\"a,b\"")];
    assert_eq!(judge(&lines, true), Precondition::NotModified);
    let star = fields(&[("If-None-Match", "*")]);
    assert_eq!(evaluate(&star, false, Some(&Validators::default())), Precondition::Failed);
}

#[test]
fn dates_are_compared_by_the_second() {
    for (date, older, same) in [
        ("Sun, 06 Nov 1994 08:49:37 GMT", false, true),
        ("Sunday, 06-Nov-94 08:49:37 GMT", false, true),
        ("Sun Nov  6 08:49:37 1994", false, true),
        ("Sun, 06 Nov 1994 08:49:36 GMT", true, false),
        ("Sun, 06 Nov 1994 08:49:38 GMT", false, true),
        ("Fri, 31 Dec 9999 23:59:59 GMT", false, true),
    ] {
        let verdict = if older { Precondition::Failed } else { Precondition::Go };
        assert_eq!(judge(&[("If-Unmodified-Since", date)], true), verdict, "{date}");
        assert_eq!(judge(&[("If-Unmodified-Since", date)], false), verdict, "{date}");
        let verdict = if same { Precondition::NotModified } else { Precondition::Go };
        assert_eq!(judge(&[("If-Modified-Since", date)], true), verdict, "{date}");
        assert_eq!(judge(&[("If-Modified-Since", date)], false), Precondition::Go, "{date}");
    }
}

#[test]
fn bad_dates_are_ignored() {
    let (old, new) = ("Sat, 29 Oct 1994 19:43:31 GMT", "Mon, 07 Nov 1994 08:49:37 GMT");
    for bad in [
        "",
        "0",
        "-1",
        "yesterday",
        "Sat, 29 Oct 1994 19:43:31",
        "Sat, 32 Oct 1994 19:43:31 GMT",
        "é",
    ] {
        assert_eq!(judge(&[("If-Unmodified-Since", bad)], false), Precondition::Go, "{bad}");
        assert_eq!(judge(&[("If-Modified-Since", bad)], true), Precondition::Go, "{bad}");
    }
    let twice = |name| [(name, old), (name, old)];
    assert_eq!(judge(&twice("If-Unmodified-Since"), false), Precondition::Go);
    assert_eq!(
        judge(&[("If-Modified-Since", new), ("If-Modified-Since", new)], true),
        Precondition::Go
    );
    for nothing in [None, Some(&Validators::default())] {
        assert_eq!(
            evaluate(&fields(&[("If-Unmodified-Since", old)]), false, nothing),
            Precondition::Go
        );
        assert_eq!(
            evaluate(&fields(&[("If-Modified-Since", new)]), true, nothing),
            Precondition::Go
        );
    }
}

#[test]
fn one_field_stands_before_the_other() {
    let (old, new) = ("Sat, 29 Oct 1994 19:43:31 GMT", "Mon, 07 Nov 1994 08:49:37 GMT");
    for (lines, safe, verdict) in [
        (&[("If-Match", "\"a,b\""), ("If-Unmodified-Since", old)][..], false, Precondition::Go),
        (&[("If-Match", "\"x\""), ("If-Unmodified-Since", new)], false, Precondition::Failed),
        (&[("If-None-Match", "\"x\""), ("If-Modified-Since", new)], true, Precondition::Go),
        (
            &[("If-None-Match", "\"a,b\""), ("If-Modified-Since", old)],
            true,
            Precondition::NotModified,
        ),
        (&[("If-Match", "\"a,b\""), ("If-None-Match", "\"a,b\"")], true, Precondition::NotModified),
        (&[("If-None-Match", "\"a,b\""), ("If-Match", "\"x\"")], true, Precondition::Failed),
        (
            &[("If-Unmodified-Since", new), ("If-Modified-Since", new)],
            true,
            Precondition::NotModified,
        ),
        (&[("If-Unmodified-Since", old), ("If-Modified-Since", new)], true, Precondition::Failed),
    ] {
        assert_eq!(judge(lines, safe), verdict, "{lines:?}");
        assert!(is_conditional(&fields(lines)));
    }
    assert_eq!(judge(&[("If-Range", "\"x\""), ("Range", "bytes=0-1")], true), Precondition::Go);
    assert!(!is_conditional(&fields(&[("If-Range", "\"x\""), ("ETag", "\"x\"")])));
}

#[test]
fn if_range_needs_a_strong_validator() {
    let applies = |lines: &[(&str, &str)], current: &Validators, age: Duration| {
        range_applies(&fields(lines), current, then() + age)
    };
    let weak = Validators { etag: Some("W/\"a,b\"".into()), modified: None };
    let (date, later) = ("Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:38 GMT");
    assert!(applies(&[], &Validators::default(), SECOND));
    for (value, expected) in [
        ("\"a,b\"", true),
        ("W/\"a,b\"", false),
        ("\"x\"", false),
        ("\"x\", \"a,b\"", false),
        ("\"a,b\",", false),
        ("*", false),
        ("a,b", false),
        ("", false),
        (date, true),
        ("Sunday, 06-Nov-94 08:49:37 GMT", true),
        ("Sun Nov  6 08:49:37 1994", true),
        (later, false),
        ("Sun, 06 Nov 1994 08:49:36 GMT", false),
    ] {
        let lines = [("If-Range", value)];
        assert_eq!(applies(&lines, &current(), SECOND), expected, "{value}");
        assert!(!applies(&lines, &Validators::default(), SECOND), "{value}");
        assert!(!applies(&lines, &weak, SECOND), "{value}");
    }
    assert!(!applies(&[("If-Range", date)], &current(), SECOND - Duration::from_nanos(1)));
    assert!(!applies(&[("If-Range", "\"a,b\""), ("If-Range", "\"a,b\"")], &current(), SECOND));
    assert!(applies(&[("If-Range", "\"a,b\"")], &current(), Duration::ZERO));
}

/// §13.2.2 step by step, over facts instead of fields.
fn steps(
    if_match: Option<bool>,
    unmodified: Option<bool>,
    if_none_match: Option<bool>,
    modified: Option<bool>,
    safe: bool,
) -> Precondition {
    // 1 and 2
    match (if_match, unmodified) {
        (Some(false), _) | (None, Some(false)) => return Precondition::Failed,
        (Some(true), _) | (None, Some(true) | None) => {}
    }
    // 3 and 4
    match (if_none_match, modified, safe) {
        (Some(false), _, true) => Precondition::NotModified,
        (Some(false), _, false) => Precondition::Failed,
        (None, Some(false), true) => Precondition::NotModified,
        (Some(true), _, _) | (None, _, _) => Precondition::Go,
    }
}

proptest! {
    #[test]
    fn the_order_is_that_of_the_rfc(
        if_match in prop::option::of(prop::collection::vec(0..4usize, 1..3)),
        if_none_match in prop::option::of(prop::collection::vec(0..4usize, 1..3)),
        unmodified in prop::option::of(-2..3i64),
        modified in prop::option::of(-2..3i64),
        safe: bool,
        exists: bool,
        dated: bool,
    ) {
        // The first is the current one, the second the same but weak.
        const TAGS: [&str; 4] = ["\"t\"", "W/\"t\"", "\"u\"", "W/\"u\""];
        let line = |tags: &[usize]| tags.iter().map(|tag| TAGS[*tag]).collect::<Vec<_>>().join(", ");
        let day = |offset: i64| {
            let away = Duration::from_secs(86_400 * offset.unsigned_abs());
            fmt_http_date(if offset < 0 { then() - away } else { then() + away })
        };
        let mut lines = Vec::new();
        lines.extend(if_match.as_ref().map(|tags| ("If-Match", line(tags))));
        lines.extend(modified.map(|offset| ("If-Modified-Since", day(offset))));
        lines.extend(if_none_match.as_ref().map(|tags| ("If-None-Match", line(tags))));
        lines.extend(unmodified.map(|offset| ("If-Unmodified-Since", day(offset))));
        let fields: HeaderList = lines.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let current = Validators { etag: Some("\"t\"".into()), modified: dated.then(then) };
        let current = exists.then_some(&current);
        let date_counts = exists && dated;
        let expected = steps(
            if_match.as_ref().map(|tags| exists && tags.contains(&0)),
            unmodified.filter(|_| date_counts).map(|offset| offset >= 0),
            if_none_match.as_ref().map(|tags| !exists || !(tags.contains(&0) || tags.contains(&1))),
            modified.filter(|_| date_counts).map(|offset| offset < 0),
            safe,
        );
        prop_assert_eq!(evaluate(&fields, safe, current), expected);
        prop_assert_eq!(is_conditional(&fields), !fields.is_empty());
    }

    #[test]
    fn no_input_panics(value in prop_oneof![any::<String>(), "[\"W/*, a\t]{0,20}"], safe: bool) {
        for name in ["If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "If-Range"] {
            let fields = fields(&[(name, &value), (name, &value)]);
            evaluate(&fields, safe, Some(&current()));
            range_applies(&fields, &current(), then());
            prop_assert!(parse_date(value.as_bytes()).is_none());
        }
    }

    /// Tags with any content, written as a list, are found again.
    #[test]
    fn lists_are_read(tags in prop::collection::vec(("[!#-~]{0,6}", any::<bool>()), 1..6), pick: usize) {
        let list: Vec<_> =
            tags.iter().map(|(tag, weak)| format!("{}\"{tag}\"", if *weak { "W/" } else { "" })).collect();
        let (opaque, _) = &tags[pick % tags.len()];
        let current = Validators { etag: Some(format!("\"{opaque}\"")), modified: None };
        let value = list.join(" ,, ");
        let found = evaluate(&fields(&[("If-None-Match", &value)]), true, Some(&current));
        prop_assert_eq!(found, Precondition::NotModified);
        let strong = tags.iter().any(|(tag, weak)| tag == opaque && !weak);
        let matched = evaluate(&fields(&[("If-Match", &value)]), true, Some(&current));
        prop_assert_eq!(matched == Precondition::Go, strong);
    }
}
