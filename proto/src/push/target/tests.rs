use proptest::prelude::*;

use super::*;

fn parse(url: &str) -> Target {
    Target::parse(url).unwrap().0
}

#[test]
fn urls_are_taken_apart() {
    for (url, shown, host, port) in [
        ("http://h", "http://h/", "h", 80),
        ("HTTP://Ho.St:8080/a/b?c", "http://ho.st:8080/a/b?c", "ho.st", 8080),
        ("https://h:443/a#f", "https://h/a", "h", 443),
        ("http://h:443/", "http://h:443/", "h", 443),
        ("https://[::1]:8443/a", "https://[::1]:8443/a", "::1", 8443),
        ("http://[::1]", "http://[::1]/", "::1", 80),
        ("http://h?q", "http://h/?q", "h", 80),
        ("http://h/a b/é%20", "http://h/a%20b/%C3%A9%20", "h", 80),
    ] {
        let target = parse(url);
        assert_eq!(format!("{}{}", target.origin, target.path()), shown);
        assert_eq!((target.origin.host(), target.origin.port()), (host, port), "{url}");
    }
    for url in [
        "",
        "h",
        "ftp://h/",
        "http://",
        "http:///a",
        "http://h:0/",
        "http://h:65536/",
        "http://h:x/",
        "http://[::1/",
        "http://a b/",
        "http://h\r\nx/",
        "http://u:p%ff@h/",
        "http://u%3ax:p@h/",
        "http://u:p%0a@h/",
    ] {
        assert!(Target::parse(url).is_err(), "{url}");
    }
}

#[test]
fn a_password_is_read_and_never_shown() {
    let (target, credentials) = Target::parse("http://us%40er:p%3aw:x@h/a").unwrap();
    let credentials = credentials.unwrap();
    assert_eq!((&*credentials.user, credentials.password.reveal()), ("us@er", "p:w:x"));
    assert_eq!(target.to_string(), "http://h/a");
    assert!(!format!("{credentials:?}").contains("w:x"));
}

#[test]
fn the_values_of_a_query_are_never_shown() {
    for (query, shown) in [
        ("", ""),
        ("?", "?"),
        ("?token", "?REDACTED"),
        ("?a=1&b=2", "?a=REDACTED&b=REDACTED"),
        ("?X-Amz-Signature=0f&&token&e=", "?X-Amz-Signature=REDACTED&&REDACTED&e=REDACTED"),
        ("?a=b=c?d#f", "?a=REDACTED"),
    ] {
        let url = format!("https://us:pw@h/p{query}");
        let target = parse(&url);
        assert_eq!(target.to_string(), format!("https://h/p{shown}"));
        assert_eq!(format!("{target:?}"), format!("Target(https://h/p{shown})"));
        let fragment = if query.contains('#') { "#REDACTED" } else { "" };
        assert_eq!(redact(&url), format!("https://REDACTED@h/p{shown}{fragment}"));
    }
}

#[test]
fn what_is_no_url_shows_no_password() {
    for (text, shown) in [
        ("a@b:c", "a@b:c"),
        ("u:p@h?c", "REDACTED@h?REDACTED"),
        ("http://u:p/w@h:x/", "http://REDACTED@h:x/"),
        ("http://u:p?w#v@h", "http://REDACTED@h"),
        ("ftp://u@h/?a", "ftp://REDACTED@h/?REDACTED"),
        ("dst=http://u:p@h/x:gpac:hmode=pusj", "dst=http://REDACTED@h/x:gpac:hmode=pusj"),
    ] {
        assert_eq!(redact(text), shown);
    }
}

#[test]
fn names_are_put_beneath() {
    for (base, name, whole) in [
        ("http://h", "a", "/a"),
        ("http://h/d/", "a", "/d/a"),
        ("http://h/d", "a/b c.mp4", "/d/a/b%20c.mp4"),
        ("http://h/d?t=1", "a", "/d/a?t=1"),
        ("http://h/d", "50%?#[x]", "/d/50%25%3F%23%5Bx%5D"),
    ] {
        assert_eq!(parse(base).beneath(name).path(), whole);
    }
}

#[test]
fn references_are_resolved() {
    // RFC 3986 §5.4, as far as http goes.
    let base = parse("http://a/b/c/d;p?q");
    for (reference, whole) in [
        ("g", "http://a/b/c/g"),
        ("./g", "http://a/b/c/g"),
        ("g/", "http://a/b/c/g/"),
        ("/g", "http://a/g"),
        ("//g", "http://g/"),
        ("?y", "http://a/b/c/d;p?y"),
        ("g?y", "http://a/b/c/g?y"),
        ("#s", "http://a/b/c/d;p?q"),
        ("g?y#s", "http://a/b/c/g?y"),
        ("", "http://a/b/c/d;p?q"),
        (".", "http://a/b/c/"),
        ("..", "http://a/b/"),
        ("../g", "http://a/b/g"),
        ("../../g", "http://a/g"),
        ("../../../g", "http://a/g"),
        ("/./g", "http://a/g"),
        ("g/../h", "http://a/b/c/h"),
        ("g?y/../x", "http://a/b/c/g?y/../x"),
        ("https://u:p@x:1/y", "https://x:1/y"),
    ] {
        let target = base.resolve(reference).unwrap();
        assert_eq!(format!("{}{}", target.origin, target.path()), whole, "{reference}");
    }
    for reference in ["mailto:x", "g:h", "http://", "//"] {
        assert_eq!(base.resolve(reference), None, "{reference}");
    }
}

proptest! {
    #[test]
    fn whatever_comes_can_stand_in_a_request_line(url in "https?://[a-z]{1,3}\\PC{0,12}", name in "\\PC{0,9}", to in ".{0,12}") {
        if let Ok((target, _)) = Target::parse(&url) {
            for target in [Some(target.beneath(&name)), target.resolve(&to), Some(target)].into_iter().flatten() {
                prop_assert!(target.path().starts_with('/'));
                prop_assert!(target.path().bytes().all(|b| b.is_ascii_graphic() && b != b'#'), "{}", target);
                let again = parse(&format!("{}{}", target.origin, target.path()));
                prop_assert_eq!(again, target);
            }
        }
    }
}
