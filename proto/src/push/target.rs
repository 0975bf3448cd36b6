//! Where uploads go: URLs, what is beneath them, and where redirects lead (RFC 3986).

use std::{fmt, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

use crate::{
    auth::Secret,
    http::{is_authority, parse_digits},
};

/// What a path and a query cannot hold as it is; `%` stays, so that what is encoded already is not
/// encoded twice.
const URL: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// What a file's name cannot hold in a path.
const NAME: &AsciiSet = &URL.add(b'%').add(b'?').add(b'#').add(b'[').add(b']');

/// A scheme, a host and a port: the server to dial, and to trust with a password.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    tls: bool,
    host: String,
    port: u16,
}

impl Origin {
    /// The scheme is https.
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// The host to resolve: a name in small letters or an address, without brackets.
    pub fn host(&self) -> &str {
        self.host.trim_start_matches('[').trim_end_matches(']')
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What `Host` says: without the scheme's own port (RFC 9110 §7.2).
    pub fn authority(&self) -> String {
        let own = if self.tls { 443 } else { 80 };
        if self.port == own { self.host.clone() } else { format!("{}:{}", self.host, self.port) }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.tls { "https" } else { "http" }, self.authority())
    }
}

/// A name and a password for Basic authentication (RFC 7617).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The name; without a colon.
    pub user: String,
    /// The password.
    pub password: Secret,
}

impl Credentials {
    /// What `Authorization` says.
    pub(crate) fn field(&self) -> String {
        format!("Basic {}", STANDARD.encode(format!("{}:{}", self.user, self.password.reveal())))
    }
}

/// A resource on an origin. Its text, also in `Debug`, is for people and logs: it shows the names
/// in the query but not their values, which may be a signature that grants access.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    /// Where it is.
    pub origin: Arc<Origin>,
    /// Path and query. Begins with `/`; visible ASCII only.
    path: String,
}

impl Target {
    /// Reads `http://user:password@host:port/path?query`. What a URL cannot hold is
    /// percent-encoded; a fragment is dropped.
    ///
    /// # Errors
    /// What is wrong with it; never with the password in it.
    pub fn parse(url: &str) -> Result<(Self, Option<Credentials>), &'static str> {
        let (tls, rest) = split_scheme(url).ok_or("it does not begin with http:// or https://")?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let (credentials, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(credentials(user)?), host),
            None => (None, authority),
        };
        if !is_authority(host.as_bytes()) {
            return Err("its host and port are not valid");
        }
        let (host, port) = match host.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, parse_digits(port.as_bytes())),
            Some(_) | None => (host, None),
        };
        let port = match port.map(u16::try_from) {
            None => {
                if tls {
                    443
                } else {
                    80
                }
            }
            Some(Ok(port)) if port != 0 => port,
            Some(Ok(_) | Err(_)) => return Err("its port is not from 1 to 65535"),
        };
        let origin = Arc::new(Origin { tls, host: host.to_ascii_lowercase(), port });
        Ok((Self { origin, path: clean(path) }, credentials))
    }

    /// Path and query.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The resource of this name beneath: `/a` and `b/c d` are `/a/b/c%20d`. The query is kept.
    /// `name` is a relative path with `/` between its segments; bytes that are not UTF-8 are
    /// encoded by the caller's choice of text.
    #[must_use]
    pub fn beneath(&self, name: &str) -> Self {
        let (path, query) = split_query(&self.path);
        let name = utf8_percent_encode(name.trim_start_matches('/'), NAME);
        let path = format!("{}/{name}{query}", path.trim_end_matches('/'));
        Self { origin: self.origin.clone(), path }
    }

    /// Where a reference in an answer leads (RFC 3986 §5.2), credentials in it left out.
    pub(crate) fn resolve(&self, reference: &str) -> Option<Self> {
        let reference = reference.split('#').next().unwrap_or_default();
        if split_scheme(reference).is_some() {
            return Self::parse(reference).ok().map(|(target, _)| target);
        }
        if let Some(rest) = reference.strip_prefix("//") {
            let scheme = if self.origin.tls { "https" } else { "http" };
            return Self::parse(&format!("{scheme}://{rest}")).ok().map(|(target, _)| target);
        }
        let first = reference.split(['/', '?']).next().unwrap_or_default();
        if first.contains(':') {
            return None;
        }
        let (path, _) = split_query(&self.path);
        let whole = match reference.as_bytes().first() {
            None => self.path.clone(),
            Some(b'/') => reference.to_owned(),
            Some(b'?') => format!("{path}{reference}"),
            Some(_) => {
                let directory = path.rfind('/').map_or("/", |at| &path[..=at]);
                format!("{directory}{reference}")
            }
        };
        let (path, query) = split_query(&whole);
        let path = clean(&format!("{}{query}", remove_dots(path)));
        Some(Self { origin: self.origin.clone(), path })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, query) = split_query(&self.path);
        write!(f, "{}{path}{}", self.origin, redact_query(query))
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({self})")
    }
}

/// A text that holds or should hold a URL, as it may be shown: without the user and password before
/// its host, without the values of its query, and without its fragment. The text need not be a
/// valid URL.
pub fn redact(text: &str) -> String {
    let (scheme, url) = match text.split_once("://") {
        Some((before, url)) => (format!("{before}://"), url),
        None => (String::new(), text),
    };
    // The last @, wherever it is: a password may hold any character where the URL is not valid.
    let (user, url) = match url.rsplit_once('@') {
        Some((user, url)) if !scheme.is_empty() || user.contains(':') => (HIDDEN_USER, url),
        Some(_) | None => ("", url),
    };
    let (url, fragment) = url.split_once('#').map_or((url, ""), |(url, _)| (url, HIDDEN_FRAGMENT));
    let (url, query) = split_query(url);
    format!("{scheme}{user}{url}{}{fragment}", redact_query(query))
}

/// Stands for what is not shown.
const HIDDEN: &str = "REDACTED";
const HIDDEN_USER: &str = "REDACTED@";
const HIDDEN_FRAGMENT: &str = "#REDACTED";

/// The query, which begins with `?` or is empty, with its names and without their values. A part
/// without a name is a value.
fn redact_query(query: &str) -> String {
    let Some(parts) = query.strip_prefix('?') else { return String::new() };
    let parts: Vec<_> = parts
        .split('&')
        .map(|part| match part.split_once('=') {
            Some((name, _)) => format!("{name}={HIDDEN}"),
            None if part.is_empty() => String::new(),
            None => HIDDEN.to_owned(),
        })
        .collect();
    format!("?{}", parts.join("&"))
}

fn split_scheme(url: &str) -> Option<(bool, &str)> {
    [(false, "http://"), (true, "https://")].into_iter().find_map(|(tls, scheme)| {
        let (own, rest) = url.split_at_checked(scheme.len())?;
        own.eq_ignore_ascii_case(scheme).then_some((tls, rest))
    })
}

/// The query with its `?`.
fn split_query(path: &str) -> (&str, &str) {
    path.split_at(path.find('?').unwrap_or(path.len()))
}

/// What a request line can carry.
fn clean(path: &str) -> String {
    let path = path.split('#').next().unwrap_or_default();
    let slash = if path.starts_with('/') { "" } else { "/" };
    format!("{slash}{}", utf8_percent_encode(path, URL))
}

/// RFC 3986 §5.2.4; `path` begins with `/`.
fn remove_dots(path: &str) -> String {
    let mut out: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    out.pop();
                }
                if last {
                    out.push("");
                }
            }
            _ => out.push(segment),
        }
    }
    format!("/{}", out.join("/"))
}

fn credentials(user_info: &str) -> Result<Credentials, &'static str> {
    let (user, password) = user_info.split_once(':').unwrap_or((user_info, ""));
    let decode = |text| percent_decode_str(text).decode_utf8().ok();
    let (Some(user), Some(password)) = (decode(user), decode(password)) else {
        return Err("its user and password are not UTF-8");
    };
    if user.contains(':') || user.contains(char::is_control) || password.contains(char::is_control)
    {
        return Err(
            "its user or password holds a character that Basic authentication cannot carry",
        );
    }
    Ok(Credentials { user: user.into(), password: Secret::new(password.into()) })
}

#[cfg(test)]
mod tests;
