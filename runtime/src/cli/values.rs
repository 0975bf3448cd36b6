//! Values of options. The messages follow clap's `invalid value 'X' for '--NAME': `.

use std::{net::IpAddr, time::Duration};

use httpout_proto::{fs::RelPath, semantics::target};

use super::mode;
use crate::{listen::Port, source::Sink};

/// No deadline is further away, so that none overflows a clock: 31 years.
const FOREVER: f64 = 1e9;

/// What a URL says about listening.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Destination {
    /// The host, if it is an address or `localhost`.
    pub(super) ifce: Option<String>,
    pub(super) port: Option<u16>,
    pub(super) scheme: Scheme,
    /// The path of an input's resource; `None`: the root.
    pub(super) path: Option<RelPath>,
    /// No URL: where uploads go.
    pub(super) sink: Option<Sink>,
    /// It has a user.
    pub(super) has_user: bool,
    /// All of it.
    pub(super) text: String,
}

/// Of a URL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Scheme {
    #[default]
    Http,
    Https,
    Other(String),
}

/// `http://HOST:PORT/…`, or a sink.
pub(super) fn destination(text: &str) -> Result<Destination, String> {
    if let Some(sink) = mode::sink(text) {
        return Ok(Destination { sink: Some(sink?), text: text.into(), ..Destination::default() });
    }
    let (scheme, rest) =
        text.split_once("://").ok_or("write http://HOST:PORT/; DIR/ with a slash at its end")?;
    if text.contains(":gpac:") || text.ends_with(":gpac") {
        return Err(
            "options stand behind a URL on the command line only: write each by its name".into()
        );
    }
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let path = if path.starts_with('/') { path } else { "/" };
    let path = target::decode(path).map_err(str::to_owned)?.path;
    let (user, authority) =
        authority.rsplit_once('@').map_or((None, authority), |(user, rest)| (Some(user), rest));
    let (host, port) = match authority.strip_prefix('[') {
        Some(bracketed) => {
            let (host, after) = bracketed.split_once(']').ok_or("] is missing")?;
            host.parse::<IpAddr>().map_err(|_| format!("[{host}] is no address"))?;
            (host, if after.is_empty() { Some("") } else { after.strip_prefix(':') })
        }
        None => authority
            .split_once(':')
            .map_or((authority, Some("")), |(host, port)| (host, Some(port))),
    };
    let port = match port {
        Some("") => None,
        Some(digits) => Some(number(digits)?).filter(|&port| port != 0),
        None => return Err("a colon is missing before the port".into()),
    };
    let host = host.to_ascii_lowercase();
    let is_local = host == "localhost" || host.parse::<IpAddr>().is_ok();
    let scheme = match scheme.to_ascii_lowercase().as_str() {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        other => Scheme::Other(other.to_owned()),
    };
    let path = (!path.is_root()).then_some(path);
    Ok(Destination {
        ifce: is_local.then_some(host),
        port,
        scheme,
        path,
        sink: None,
        has_user: user.is_some(),
        text: text.into(),
    })
}

/// A port number, or `auto`.
pub(super) fn port(text: &str) -> Result<Port, String> {
    if text == "auto" { Ok(Port::Auto) } else { number(text).map(Port::Number) }
}

fn number(digits: &str) -> Result<u16, String> {
    // `parse` would take a sign.
    let all_digits = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    digits
        .parse()
        .ok()
        .filter(|_| all_digits)
        .ok_or_else(|| format!("{digits} is no port: write a number up to 65535"))
}

/// Bytes, with a suffix of powers of 1024.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match &text[digits.len()..] {
        "" => 0,
        "k" | "K" => 10,
        "m" | "M" => 20,
        "g" | "G" => 30,
        "t" | "T" => 40,
        other => return Err(format!("{other} is no unit: write k, M, G or T")),
    };
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err("write a number of bytes, e.g. 50M".into());
    }
    let number: Option<u64> = digits.parse().ok();
    number.and_then(|number| number.checked_mul(1 << shift)).ok_or_else(|| "too large".into())
}

/// Bytes, more than none.
pub(super) fn some_size(text: &str) -> Result<u64, String> {
    match size(text)? {
        0 => Err("more than 0 is needed".into()),
        some => Ok(some),
    }
}

/// Seconds, with decimals.
pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    let plain = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let number: Option<f64> = text.parse().ok().filter(|_| plain);
    let number = number.ok_or("write a number of seconds, e.g. 1.5")?;
    if number > FOREVER {
        return Err("too long; 0 stands for no limit, where there may be none".into());
    }
    Ok(Duration::from_secs_f64(number))
}

/// Seconds, more than none.
pub(super) fn some_seconds(text: &str) -> Result<Duration, String> {
    match seconds(text)? {
        Duration::ZERO => Err("more than 0 is needed".into()),
        some => Ok(some),
    }
}

/// `true` or `false`, in the usual spellings.
pub(super) fn boolean(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Ok(true),
        "false" | "no" | "off" | "0" => Ok(false),
        _ => Err("write true or false".into()),
    }
}
