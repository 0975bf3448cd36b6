//! What is shown when the server starts.

use std::fmt::Write as _;

use httpout_proto::{
    Site,
    auth::{Rule, Who},
    fs::RootId,
    site::is_memory,
};

use serde_json::json;
use tracing::Level;

use crate::{input::Input, record};

/// What a line begins with that tells of a danger.
const WARNING: &str = "warning: ";

/// What is served and read, where, and within which limits.
pub fn banner(urls: &[String], admin: &[String], site: &Site, inputs: &[Input]) -> String {
    let mut lines = vec![concat!("httpout ", env!("CARGO_PKG_VERSION")).to_owned()];
    lines.extend(urls.iter().map(|url| format!("  {url}")));
    lines
        .extend(admin.iter().map(|url| format!("for the operator: {url}metrics, healthz, readyz")));
    let dir = |root: RootId| site.roots()[root.index()].display();
    let note = |root: RootId| if in_memory(site, root) { " (memory)" } else { "" };
    for (name, root) in site.mounts() {
        let slash = if name.is_empty() { "" } else { "/" };
        lines.push(match root {
            Some(root) => format!("reads {}{} as /{name}{slash}", dir(root), note(root)),
            None => format!("answers for /{name}{slash}, where there is no directory"),
        });
    }
    for root in site.uploads() {
        lines.push(format!("writes {}{}, {}", dir(root), note(root), uploads(site, root)));
    }
    for input in inputs {
        let name = input.source.name();
        lines.push(match site.recorded(&input.path) {
            Some(place) => format!("writes {name} to {}/{}", dir(place.root), place.path),
            None => format!("sends {name} as /{}", input.path),
        });
    }
    if let Some(wdir) = &site.config().write_dir
        && urls.iter().any(|url| !is_loopback(url))
    {
        lines.push(format!(
            "warning: whoever reaches these addresses may upload to {} and remove files there; \
             --ifce localhost keeps them to this machine, a rule file says who may",
            wdir.display()
        ));
    }
    let needs_password = |rule: &Rule| {
        [&rule.read, &rule.write]
            .iter()
            .any(|who| matches!(who, Who::Members { .. }) && !who.is_nobody())
    };
    if site.config().rules.iter().any(needs_password) && urls.iter().any(|url| !is_loopback(url)) {
        lines.push(
            if site.config().insecure_auth {
                "warning: passwords are taken from other machines over connections that others can read (--insecure-auth)"
            } else {
                "passwords are taken from this machine only, where the connection is not encrypted (--insecure-auth takes all)"
            }
            .into(),
        );
    }
    lines.join("\n") + "\n"
}

/// The same as lines of the JSON log: one that holds it all, and one for each warning.
pub fn banner_records(urls: &[String], admin: &[String], banner: &str) -> String {
    let (warnings, lines): (Vec<_>, Vec<_>) =
        banner.lines().partition(|line| line.starts_with(WARNING));
    let place = urls.first().map_or_else(String::new, |url| format!(" listens at {url}"));
    let first = lines.first().copied().unwrap_or_default();
    let fields =
        [("urls", json!(urls)), ("admin", json!(admin)), ("banner", json!(lines[1..].to_vec()))];
    let mut records = record::record(Level::INFO, &format!("{first}{place}"), fields);
    for warning in warnings {
        records += &record::record(Level::WARN, &warning[WARNING.len()..], []);
    }
    records
}

fn in_memory(site: &Site, root: RootId) -> bool {
    is_memory(&site.roots()[root.index()])
}

fn uploads(site: &Site, root: RootId) -> String {
    let config = site.config();
    let mut text = match config.limits.upload {
        Some(bytes) => format!("uploads up to {}", size(bytes)),
        None => "uploads of any size".into(),
    };
    if in_memory(site, root) {
        // Writing to a string does not fail.
        let _ = write!(text, ", {} in all", size(config.memory_max));
    } else if config.durable {
        text.push_str(", flushed to the disk");
    }
    if !config.wait_missing.is_zero() {
        let _ = write!(text, ", awaited for {} s", config.wait_missing.as_secs_f64());
    }
    text
}

fn is_loopback(url: &str) -> bool {
    let host = url.split_once("://").map_or(url, |(_, host)| host);
    host.starts_with("127.") || host.starts_with("[::1]")
}

/// As the option is written.
fn size(bytes: u64) -> String {
    let units = [(40, "T"), (30, "G"), (20, "M"), (10, "k")];
    let unit = units.iter().find(|(shift, _)| bytes > 0 && bytes.trailing_zeros() >= *shift);
    unit.map_or_else(
        || format!("{bytes} bytes"),
        |(shift, name)| format!("{}{name}", bytes >> shift),
    )
}
