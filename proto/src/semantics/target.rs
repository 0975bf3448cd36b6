//! Paths of URLs: decoded once, checked, and written again.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::fs::RelPath;

/// What is written as it is in a path: `pchar` of RFC 3986 §3.3 and the slash, without `&` and `'`,
/// which mean something in an HTML attribute.
const PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'!')
    .remove(b'$')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=')
    .remove(b':')
    .remove(b'@');

/// A request target, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The decoded path.
    pub path: RelPath,
    /// The path ends in a slash (or `/.`); true for the root.
    pub directory: bool,
    /// What stands behind the first `?`, not decoded.
    pub query: Option<String>,
}

impl Target {
    /// True if some segment is a name that the server keeps for itself: `.httpout`, or a part
    /// file's.
    pub fn is_reserved(&self) -> bool {
        self.path.is_reserved()
    }
}

/// Reads a path with its query (RFC 9112 §3.2.1). The path is percent-decoded once (RFC 3986 §2.1);
/// `.` segments and empty ones are dropped, and a `..` segment takes the one before it away (RFC
/// 3986 §5.2.4).
///
/// # Errors
/// What is wrong, for a 400: no slash at the start, anything but visible ASCII, a broken escape, a
/// decoded control character or slash, a backslash in any spelling, a `..` segment that leads out
/// of the root, a path that is not UTF-8.
pub fn decode(path_and_query: &str) -> Result<Target, &'static str> {
    if !path_and_query.bytes().all(|b| b.is_ascii_graphic()) {
        return Err("the target holds a character that must be percent-encoded");
    }
    let (path, query) = match path_and_query.split_once('?') {
        Some((path, query)) => (path, Some(query.to_owned())),
        None => (path_and_query, None),
    };
    if !path.starts_with('/') {
        return Err("the path does not begin with a slash");
    }
    let path =
        String::from_utf8(unescape(path.as_bytes())?).map_err(|_| "the path is not UTF-8")?;
    let mut segments = Vec::new();
    let mut directory = false;
    for segment in path.split('/') {
        directory = matches!(segment, "" | "." | "..");
        match segment {
            ".." if segments.pop().is_none() => {
                return Err("the path leads out of the root by '..'");
            }
            ".." => {}
            "" | "." => {}
            name => segments.push(name),
        }
    }
    let path = RelPath::new(&segments.join("/")).ok_or("the path is not a file's")?;
    Ok(Target { path, directory, query })
}

/// Writes the absolute path of a URL: visible ASCII, with nothing that means anything to a header
/// field or within an HTML attribute. [`decode`] gives the same path again, unless it holds a
/// control character, which no URL can name.
pub fn encode(path: &RelPath) -> String {
    format!("/{}", utf8_percent_encode(path.as_str(), PATH))
}

/// Decodes escapes and refuses what must not stand in a path, in whichever spelling.
fn unescape(raw: &[u8]) -> Result<Vec<u8>, &'static str> {
    let mut path = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let [first, tail @ ..] = rest {
        let (byte, tail) = match (first, tail) {
            (b'%', [high, low, tail @ ..]) => {
                let byte = hex(*high).zip(hex(*low)).map(|(high, low)| high << 4 | low);
                (byte.ok_or("the path holds a broken percent escape")?, tail)
            }
            (b'%', _) => return Err("the path holds a broken percent escape"),
            (b'/', _) => {
                path.push(b'/');
                rest = tail;
                continue;
            }
            (byte, _) => (*byte, tail),
        };
        match byte {
            0..=0x1f | 0x7f => return Err("the path holds a control character"),
            b'/' => return Err("the path holds an encoded slash"),
            b'\\' => return Err("the path holds a backslash"),
            _ => path.push(byte),
        }
        rest = tail;
    }
    Ok(path)
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paths_are_decoded_once() {
        for (raw, path, directory, query) in [
            ("/", "", true, None),
            ("//", "", true, None),
            ("/.", "", true, None),
            ("/a", "a", false, None),
            ("/a/", "a", true, None),
            ("/a/.", "a", true, None),
            ("/a/%2e", "a", true, None),
            ("/a//b/./c", "a/b/c", false, None),
            ("/a%20b/%C3%A9.mpd", "a b/é.mpd", false, None),
            ("/a%2525", "a%25", false, None),
            ("/%252e%252e/x", "%2e%2e/x", false, None),
            ("/%252f", "%2f", false, None),
            ("/...", "...", false, None),
            ("/..a/b..", "..a/b..", false, None),
            ("/a?", "a", false, Some("")),
            ("/a?b/../c?d%zz", "a", false, Some("b/../c?d%zz")),
            ("/a%3fb", "a?b", false, None),
            ("/?iso", "", true, Some("iso")),
            ("/Streams(v.cmfv)", "Streams(v.cmfv)", false, None),
            ("/a/../b", "b", false, None),
            ("/a/%2e%2e/b", "b", false, None),
            ("/a/b/../c/./../d", "a/d", false, None),
            ("/a//../b", "b", false, None),
            ("/a/b/..", "a", true, None),
            ("/a/../", "", true, None),
            ("/a/..", "", true, None),
        ] {
            let target = decode(raw).unwrap();
            assert_eq!(target.path.as_str(), path, "{raw}");
            assert_eq!(target.directory, directory, "{raw}");
            assert_eq!(target.query.as_deref(), query, "{raw}");
        }
    }

    #[test]
    fn bad_paths_are_refused() {
        for raw in [
            "",
            "a",
            "*",
            "?",
            "?/",
            "http://a/b",
            "/..",
            "/../x",
            "/a/../..",
            "/a/../../b",
            "/a/%2e%2e/%2e%2e/b",
            "/./../a",
            "//../a",
            "/%2e%2e/x",
            "/.%2E",
            "/%2E./x",
            "/a%00b",
            "/a%0d%0ab",
            "/%1f",
            "/%7f",
            "/a%2fb",
            "/a%2F",
            "/..%2f",
            "/a%5cb",
            "/a%5C",
            "/a\\b",
            "/%",
            "/%4",
            "/a%",
            "/%g0",
            "/%0g",
            "/%+1",
            "/%ff",
            "/%C3",
            "/%c0%ae%c0%ae/",
            "/é",
            "/a b",
            "/a\0",
            "/a\r\n",
            "/a?b\n",
        ] {
            assert!(decode(raw).is_err(), "{raw:?}");
        }
    }

    #[test]
    fn own_names_are_reserved() {
        for (raw, reserved) in [
            ("/.httpout/time", true),
            ("/a/.httpout", true),
            ("/a/.httpout-1.part", true),
            ("/%2ehttpout-1/x", true),
            ("/.HTTPOUT/time", true),
            ("/a/.HttpOut-1.PART", true),
            ("/.httpout.", true),
            ("/.http%E2%80%8Dout-1.part", true),
            ("/%C2%AD.httpout-1.part", true),
            ("/.httpouts", false),
            ("/.httpou", false),
            ("/.h%C3%A9ttpout", true),
            ("/h%C3%A9ttpout", false),
            ("/a.httpout-1", false),
            ("/", false),
        ] {
            assert_eq!(decode(raw).unwrap().is_reserved(), reserved, "{raw}");
        }
    }

    #[test]
    fn written_paths_are_safe() {
        let path = RelPath::new("a b/<\"'&>?#%é\u{1}.mpd").unwrap();
        assert_eq!(encode(&path), "/a%20b/%3C%22%27%26%3E%3F%23%25%C3%A9%01.mpd");
        assert_eq!(encode(&RelPath::new("").unwrap()), "/");
        assert_eq!(encode(&RelPath::new("v/Streams(v.cmfv)").unwrap()), "/v/Streams(v.cmfv)");
    }

    proptest! {
        #[test]
        fn no_input_leads_out(raw in prop_oneof![
            any::<String>(),
            "/[a./%2efFcC5\\\\?0]{0,12}",
            any::<Vec<u8>>().prop_map(|bytes| {
                bytes.iter().fold("/".to_owned(), |path, b| path + &format!("%{b:02x}"))
            }),
        ]) {
            if let Ok(target) = decode(&raw) {
                let path = target.path.as_str();
                prop_assert!(path.split('/').all(|segment| segment != ".." && segment != "."));
                prop_assert!(!path.bytes().any(|b| b < 0x20 || b == 0x7f || b == b'\\'));
                prop_assert!(path.is_empty() || !path.split('/').any(str::is_empty));
                prop_assert_eq!(decode(&encode(&target.path)).unwrap().path, target.path);
            }
        }

        #[test]
        fn written_paths_are_read_again(path in "[^\\x00-\\x1f\\x7f\\\\]{0,20}") {
            if let Some(path) = RelPath::new(&path) {
                let written = encode(&path);
                prop_assert!(!written.bytes().any(|b| !b.is_ascii_graphic() || b"\"'<>&\\".contains(&b)));
                prop_assert!(!written.starts_with("//"));
                let target = decode(&written).unwrap();
                prop_assert_eq!(target.directory, path.is_root());
                prop_assert_eq!(target.path, path);
                prop_assert_eq!(target.query, None);
            }
        }
    }
}
