//! Media types by file extension.

use crate::http::{is_field_value, is_tchar};

/// Media types where the general table is wrong or silent: those of DASH-IF Live Media Ingest
/// (table 6), and what else encoders write and players read.
const MEDIA: &[(&str, &str)] = &[
    ("m3u8", "application/vnd.apple.mpegurl"),
    ("m3u", "audio/x-mpegurl"),
    ("mpd", "application/dash+xml"),
    ("mpp", "application/dash-patch+xml"),
    ("m4s", "video/iso.segment"),
    ("m4f", "video/iso.segment"),
    ("cmfv", "video/mp4"),
    ("cmfa", "audio/mp4"),
    ("cmft", "application/mp4"),
    ("cmfm", "application/mp4"),
    ("init", "video/mp4"),
    ("header", "video/mp4"),
    ("key", "application/octet-stream"),
    ("mp4", "video/mp4"),
    ("m4v", "video/mp4"),
    ("m4a", "audio/mp4"),
    ("mov", "video/quicktime"),
    ("ts", "video/mp2t"),
    ("m2ts", "video/mp2t"),
    ("mts", "video/mp2t"),
    ("mpg", "video/mpeg"),
    ("mpeg", "video/mpeg"),
    ("webm", "video/webm"),
    ("weba", "audio/webm"),
    ("mkv", "video/x-matroska"),
    ("mka", "audio/x-matroska"),
    ("ogg", "audio/ogg"),
    ("oga", "audio/ogg"),
    ("ogv", "video/ogg"),
    ("opus", "audio/ogg"),
    ("aac", "audio/aac"),
    ("mp2", "audio/mpeg"),
    ("mp3", "audio/mpeg"),
    ("ac3", "audio/ac3"),
    ("ec3", "audio/eac3"),
    ("eac3", "audio/eac3"),
    ("ac4", "audio/ac4"),
    ("flac", "audio/flac"),
    ("wav", "audio/wav"),
    ("obu", "video/av1"),
    ("h264", "video/h264"),
    ("264", "video/h264"),
    ("h265", "video/h265"),
    ("265", "video/h265"),
    ("vtt", "text/vtt"),
    ("ttml", "application/ttml+xml"),
    ("dfxp", "application/ttml+xml"),
    ("srt", "application/x-subrip"),
    ("mjs", "text/javascript; charset=utf-8"),
];

/// Text types with the character set that their files are in, almost certainly.
const TEXT: &[(&str, &str)] = &[
    ("text/css", "text/css; charset=utf-8"),
    ("text/csv", "text/csv; charset=utf-8"),
    ("text/html", "text/html; charset=utf-8"),
    ("text/javascript", "text/javascript; charset=utf-8"),
    ("text/markdown", "text/markdown; charset=utf-8"),
    ("text/plain", "text/plain; charset=utf-8"),
];

/// Extensions of manifests and of what is replaced as a whole like one.
const MANIFESTS: &[&str] = &["mpd", "m3u8", "m3u", "xml", "json", "vtt", "txt"];

/// Where nothing is known (RFC 9110 §8.3).
pub const UNKNOWN: &str = "application/octet-stream";

/// Types that are text, beside `text/*`, `*+json` and `*+xml`.
const TEXTS: &[&str] = &[
    "application/ecmascript",
    "application/javascript",
    "application/json",
    "application/vnd.apple.mpegurl",
    "application/x-javascript",
    "application/x-mpegurl",
    "application/x-subrip",
    "application/xml",
    "audio/mpegurl",
    "audio/x-mpegurl",
];

/// True for what is worth compressing: text, manifests among it.
pub fn is_text(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence.starts_with("text/")
        || essence.ends_with("+xml")
        || essence.ends_with("+json")
        || TEXTS.contains(&essence.as_str())
}

/// Types that a browser may show as a document, beside XML and `multipart/*`.
const DOCUMENTS: &[&str] = &[
    "application/x-mimearchive",
    "application/xml",
    "application/xml-external-parsed-entity",
    "message/rfc822",
    "text/html",
    "text/rdf",
    "text/xml",
    "text/xml-external-parsed-entity",
    "text/xsl",
    "text/xslt",
];

/// True for what a browser may show as a document that can run scripts: HTML, SVG and every other
/// XML, archives of web pages, and `multipart/*`, whose parts have types of their own. A value with
/// a comma counts too, because browsers read a list of types there and take the last; so does a
/// value that is no type.
pub fn is_document(media_type: &[u8]) -> bool {
    let essence = media_type.split(|&b| b == b';').next().unwrap_or_default().trim_ascii();
    let essence = essence.to_ascii_lowercase();
    !is_media_type(&essence)
        || media_type.contains(&b',')
        || essence.ends_with(b"+xml")
        || essence.starts_with(b"multipart/")
        || DOCUMENTS.iter().any(|known| known.as_bytes() == essence)
}

/// The media type of a path by its extension, without regard to case: the value of `Content-Type`.
/// `None` for an unknown extension.
pub fn media_type(path: &str) -> Option<&'static str> {
    let extension = extension(path)?;
    let find = |table: &[(&str, &'static str)], key: &str| {
        table.iter().find(|(known, _)| known.eq_ignore_ascii_case(key)).map(|(_, found)| *found)
    };
    find(MEDIA, extension).or_else(|| {
        let general = mime_guess::from_ext(extension).first_raw()?;
        find(TEXT, general).or(Some(general))
    })
}

/// True for a path whose readers must never see half of it: the old content is served until the new
/// one is whole.
pub fn is_manifest(path: &str) -> bool {
    extension(path).is_some_and(|extension| {
        MANIFESTS.iter().any(|known| known.eq_ignore_ascii_case(extension))
    })
}

/// True for `type "/" subtype`, perhaps with parameters (RFC 9110 §8.3.1): something that a field
/// can carry.
pub fn is_media_type(value: &[u8]) -> bool {
    let essence = value.split(|&b| b == b';').next().unwrap_or_default().trim_ascii_end();
    let mut names = essence.split(|&b| b == b'/');
    let mut name =
        || names.next().is_some_and(|name| !name.is_empty() && name.iter().all(|&b| is_tchar(b)));
    name() && name() && names.next().is_none() && value.is_ascii() && is_field_value(value)
}

/// True for the `Content-Type` of an upload that tells nothing: empty, `*`, `*/*`,
/// `application/octet-stream`.
pub fn is_generic(content_type: &[u8]) -> bool {
    let essence = content_type.split(|&b| b == b';').next().unwrap_or_default().trim_ascii();
    matches!(essence, b"" | b"*" | b"*/*") || essence.eq_ignore_ascii_case(UNKNOWN.as_bytes())
}

/// What follows the last dot of the last segment, if something stands before that dot. A closing
/// parenthesis does not count: DASH-IF ingest names a track `Streams(video.cmfv)`.
pub(crate) fn extension(path: &str) -> Option<&str> {
    let name = path.rsplit('/').next().unwrap_or_default();
    let name = name.strip_suffix(')').unwrap_or(name);
    let (stem, extension) = name.rsplit_once('.')?;
    (!stem.is_empty()).then_some(extension)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_a_media_type_is_one() {
        for fine in ["a/b", "application/x-own+xml; q=\"1\"", "video/mp4 ;a=b"] {
            assert!(is_media_type(fine.as_bytes()), "{fine}");
        }
        for bad in ["", "nonsense", "/", "a/", "a/b/c", "a b/c", "a/b\r\nX: y", "a/b\u{7f}", "ä/b"]
        {
            assert!(!is_media_type(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn types_by_extension() {
        for (path, expected) in [
            ("live/a.m3u8", "application/vnd.apple.mpegurl"),
            ("live/a.mpd", "application/dash+xml"),
            ("LIVE/A.MPD", "application/dash+xml"),
            ("a.cmfv", "video/mp4"),
            ("a.cmfa", "audio/mp4"),
            ("a.cmft", "application/mp4"),
            ("a.cmfm", "application/mp4"),
            ("a.mp4", "video/mp4"),
            ("a.m4v", "video/mp4"),
            ("a.m4a", "audio/mp4"),
            ("a.m4s", "video/iso.segment"),
            ("a.init", "video/mp4"),
            ("a.header", "video/mp4"),
            ("a.key", "application/octet-stream"),
            ("a.1.ts", "video/mp2t"),
            ("a.aac", "audio/aac"),
            ("a.mp3", "audio/mpeg"),
            ("a.opus", "audio/ogg"),
            ("a.webm", "video/webm"),
            ("a.vtt", "text/vtt"),
            ("a.ttml", "application/ttml+xml"),
            ("live/Streams(v.cmfv)", "video/mp4"),
            ("a.txt", "text/plain; charset=utf-8"),
            ("index.HTML", "text/html; charset=utf-8"),
            ("a.css", "text/css; charset=utf-8"),
            ("a.js", "text/javascript; charset=utf-8"),
            ("a.mjs", "text/javascript; charset=utf-8"),
            ("a.csv", "text/csv; charset=utf-8"),
            ("a.md", "text/markdown; charset=utf-8"),
            ("a.log", "text/plain; charset=utf-8"),
            ("a.xml", "text/xml"),
            ("a.json", "application/json"),
            ("a.png", "image/png"),
            ("a.jpg", "image/jpeg"),
            ("a.svg", "image/svg+xml"),
            ("a.wasm", "application/wasm"),
            ("a.pdf", "application/pdf"),
        ] {
            assert_eq!(media_type(path), Some(expected), "{path}");
            assert_eq!(media_type(path), Some(expected), "{path}");
        }
        for path in ["", "a", "a.", "a.mp4/b", ".mp4", "d/.mpd", "a.unheard-of", "mp4", ")", "a)"] {
            assert_eq!(media_type(path), None, "{path}");
            assert_eq!(media_type(path), None, "{path}");
        }
    }

    #[test]
    fn text_is_worth_compressing() {
        for text in [
            "text/html",
            "Text/Plain; charset=utf-8",
            "text/vtt",
            "application/json",
            "application/ld+json",
            "application/xml",
            "application/dash+xml ; profiles=x",
            "application/dash-patch+xml",
            "application/ttml+xml",
            "image/svg+xml",
            "application/javascript",
            "application/vnd.apple.mpegurl",
            "application/x-mpegURL",
            "audio/mpegurl",
            "audio/x-mpegurl",
            "application/x-subrip",
        ] {
            assert!(is_text(text), "{text}");
        }
        for other in [
            "",
            "text",
            "video/mp4",
            "audio/mpeg",
            "image/png",
            "application/wasm",
            "application/octet-stream",
            "application/octet-stream; x=text/html",
            "application/xml-dtd",
            "x-text/html",
            "application/zip; a=+json",
        ] {
            assert!(!is_text(other), "{other}");
        }
    }

    #[test]
    fn what_a_browser_may_show_as_a_document_is_one() {
        for document in [
            "text/html",
            "Text/HTML ; charset=utf-8",
            "text/xml",
            "text/xsl",
            "text/xslt",
            "application/xml",
            "application/xhtml+xml",
            "application/dash+XML;a=b",
            "image/svg+xml",
            "x/y+xml",
            "multipart/mixed; boundary=a",
            "Multipart/X-Mixed-Replace;boundary=a",
            "multipart/related",
            "message/rfc822",
            "application/x-mimearchive",
            "video/mp4, text/html",
            "video/mp4; a=b,text/html",
            "video/mp4; a=\",\"",
            "text /html",
            "html",
            "",
        ] {
            assert!(is_document(document.as_bytes()), "{document:?}");
        }
        for other in [
            "text/plain",
            "text/plain; a=text/html",
            "text/css",
            "text/javascript; charset=utf-8",
            "application/json",
            "application/octet-stream",
            "application/pdf",
            "application/xml-dtd",
            "application/vnd.apple.mpegurl",
            "application/x+xml2",
            "image/png",
            "message/http",
            "video/mp4",
            "x-multipart/mixed",
        ] {
            assert!(!is_document(other.as_bytes()), "{other:?}");
        }
    }

    #[test]
    fn tables_are_sound() {
        for (index, (extension, media)) in MEDIA.iter().enumerate() {
            assert!(
                MEDIA[..index].iter().all(|(other, _)| other != extension),
                "{extension} twice"
            );
            assert!(media.split_once('/').is_some_and(|(a, b)| !a.is_empty() && !b.is_empty()));
            assert!(is_field_value(media.as_bytes()), "{media}");
        }
    }

    #[test]
    fn manifests_are_known() {
        for path in
            ["a.mpd", "b/a.M3U8", "a.m3u", "a.xml", "a.json", "a.vtt", "a.txt", "Streams(a.mpd)"]
        {
            assert!(is_manifest(path), "{path}");
        }
        for path in ["a.m4s", "a", "mpd", "a.mpd/b", "a.mpd.tmp", ".mpd", ""] {
            assert!(!is_manifest(path), "{path}");
        }
    }

    #[test]
    fn some_types_tell_nothing() {
        for generic in [
            "",
            "*",
            "*/*",
            " * ",
            "application/octet-stream",
            "Application/Octet-Stream; x=y",
            ";",
        ] {
            assert!(is_generic(generic.as_bytes()), "{generic:?}");
        }
        for telling in ["video/mp4", "application/dash+xml", "*/mp4", "text/*", "octet-stream"] {
            assert!(!is_generic(telling.as_bytes()), "{telling:?}");
        }
    }
}
