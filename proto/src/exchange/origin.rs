//! Writes that a page of another site makes in the name of its visitor.
//!
//! A browser adds the visitor's password to a form that a page of another site sends, and to some
//! requests of its scripts, without asking the server before (Fetch §3.2: "simple" requests). CORS
//! guards what a page reads, not what it sends. So writes of other origins are told by what
//! browsers say of them: `Sec-Fetch-Site` and `Sec-Fetch-Mode` (Fetch Metadata), and `Origin`,
//! which older browsers and plain HTTP to other machines leave alone. A client that is no browser
//! sends none of these, and is not concerned.

use super::context::ExchangeContext;
use crate::{
    http::{HeaderList, Method, RequestHead},
    site::{Action, Cors},
};

/// What a form can send, which needs no preflight.
const FORM_TYPES: [&[u8]; 3] =
    [b"application/x-www-form-urlencoded", b"multipart/form-data", b"text/plain"];

/// Why this request is refused, if a page of another origin makes it and must not.
pub(super) fn refusal(
    request: &RequestHead,
    action: Action,
    cx: &ExchangeContext<'_>,
) -> Option<&'static str> {
    let fields = &request.fields;
    if action == Action::Read || !is_foreign(fields, cx.about.client.tls) {
        return None;
    }
    if has_no_preflight(request) && !is_plain_cors(fields, cx) {
        return Some("a page of another site cannot write here without a preflight (CORS)");
    }
    if guards(cx) {
        return Some("a page of another site cannot write here: --cors on allows that");
    }
    None
}

/// True if a preflight of this origin may be told that there are methods to write.
pub(super) fn may_be_granted(fields: &HeaderList, cx: &ExchangeContext<'_>) -> bool {
    !guards(cx) || !is_foreign(fields, cx.about.client.tls)
}

/// True where rights are asked for, and the operator did not open them to pages of other sites.
fn guards(cx: &ExchangeContext<'_>) -> bool {
    cx.site.mounts.has_rules() && cx.site.config.cors != Cors::On
}

/// True if a page of another origin makes the request.
fn is_foreign(fields: &HeaderList, tls: bool) -> bool {
    let mut sites = fields.all("sec-fetch-site").peekable();
    if sites.peek().is_some() {
        return sites.any(|site| !matches!(site, b"same-origin" | b"none"));
    }
    let mut origins = fields.all("origin");
    match (origins.next(), origins.next(), fields.get("host")) {
        (None, _, _) => false,
        (Some(origin), None, Some(host)) => !is_own(origin, host, tls),
        (Some(_), _, _) => true,
    }
}

/// True if the origin is that of the server, as far as it can know: it may stand behind a proxy
/// that speaks TLS.
fn is_own(origin: &[u8], host: &[u8], tls: bool) -> bool {
    let text = |bytes| std::str::from_utf8(bytes).ok();
    let (Some(origin), Some(host)) = (text(origin), text(host)) else { return false };
    let (authority, default) = match origin.split_once("://") {
        Some(("https", authority)) => (authority, "443"),
        Some(("http", authority)) if !tls => (authority, "80"),
        Some(_) | None => return false,
    };
    let (own, other) = (host_and_port(host, default), host_and_port(authority, default));
    own.0.eq_ignore_ascii_case(other.0) && own.1 == other.1
}

fn host_and_port<'a>(authority: &'a str, default: &'a str) -> (&'a str, &'a str) {
    match authority.rsplit_once(':') {
        // What stands in brackets is an IPv6 address.
        Some((host, port)) if !port.contains(']') => {
            (host, if port.is_empty() { default } else { port })
        }
        Some(_) | None => (authority, default),
    }
}

/// True for a form, and for whatever else a browser sends without a preflight.
fn has_no_preflight(request: &RequestHead) -> bool {
    let fields = &request.fields;
    let mode = fields.get("sec-fetch-mode");
    if matches!(mode, Some(b"navigate" | b"no-cors")) {
        return true;
    }
    let is_simple = |value: &[u8]| {
        let essence = value.split(|&b| b == b';').next().unwrap_or_default().trim_ascii();
        essence.is_empty() || FORM_TYPES.iter().any(|form| essence.eq_ignore_ascii_case(form))
    };
    // A body without a type needs none either. Of the methods that write, this is the only one that
    // a form has.
    request.method == Method::Post && fields.get("content-type").is_none_or(is_simple)
}

/// True for a CORS request of a page to a server without users: the page gains nothing by its
/// visitor.
fn is_plain_cors(fields: &HeaderList, cx: &ExchangeContext<'_>) -> bool {
    let config = &cx.site.config;
    let knows_nobody =
        !cx.site.mounts.has_rules() && !config.hook && cx.about.client.user.is_none();
    fields.get("sec-fetch-mode") == Some(b"cors") && knows_nobody && config.cors != Cors::Off
}

#[cfg(test)]
mod tests {
    use super::*;

    fn foreign(lines: &[(&str, &str)], tls: bool) -> bool {
        is_foreign(&lines.iter().copied().collect(), tls)
    }

    #[test]
    fn an_origin_is_compared_with_the_host() {
        for (origin, host, tls, expected) in [
            ("http://a", "a", false, false),
            ("http://A:80", "a", false, false),
            ("http://a", "a:80", false, false),
            ("http://a:8080", "A:8080", false, false),
            ("https://a", "a", true, false),
            ("https://a:443", "a", true, false),
            ("http://[::1]:8080", "[::1]:8080", false, false),
            ("http://[::1]", "[::1]", false, false),
            // Behind a proxy that speaks TLS.
            ("https://a", "a", false, false),
            ("http://a", "a", true, true),
            ("http://b", "a", false, true),
            ("http://a.b", "a", false, true),
            ("http://a:81", "a", false, true),
            ("http://a:8080", "a:8081", false, true),
            ("http://[::1]:1", "[::2]:1", false, true),
            ("null", "a", false, true),
            ("", "a", false, true),
            ("a", "a", false, true),
            ("ftp://a", "a", false, true),
            ("http://a http://b", "a", false, true),
        ] {
            let lines = [("Host", host), ("Origin", origin)];
            assert_eq!(foreign(&lines, tls), expected, "{origin} {host} {tls}");
        }
        assert!(!foreign(&[("Host", "a")], false));
        assert!(foreign(&[("Origin", "http://a")], false), "there is no host to compare with");
        let twice = [("Host", "a"), ("Origin", "http://a"), ("Origin", "http://a")];
        assert!(foreign(&twice, false));
    }

    #[test]
    fn what_the_browser_says_goes_before() {
        for (site, expected) in [
            ("same-origin", false),
            ("none", false),
            ("same-site", true),
            ("cross-site", true),
            ("x", true),
        ] {
            for origin in ["http://a", "http://b"] {
                let lines = [("Host", "a"), ("Origin", origin), ("Sec-Fetch-Site", site)];
                assert_eq!(foreign(&lines, false), expected, "{site} {origin}");
            }
        }
    }
}
