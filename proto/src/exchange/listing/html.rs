//! The listing for people: one page without scripts. A sort is a link and the filter a form, so
//! they work everywhere and can be kept.

use std::{
    fmt::Write as _,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::{Total, escape::escape};
use crate::{
    fs::{Column, Entry, EntryKind, Order, RelPath},
    semantics::target,
};

const STYLE: &str = include_str!("listing.css");

/// Nothing is loaded and nothing runs, whatever a name holds; the style sheet is told by its
/// SHA-256.
pub(crate) const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; \
    style-src 'sha256-veAKGuOtbBk+3yjuKU3pQzMZJaKJbqcMqs1a3TIsOK8='; \
    base-uri 'none'; form-action 'self'; frame-ancestors 'self'";

/// Seconds from 1970 to the year 10000, where four digits end.
const END_OF_DATES: u64 = 253_402_300_800;

pub(super) fn head(out: &mut String, path: &RelPath, order: Order, filter: &str, empty: bool) {
    let slash = if path.is_root() { "" } else { "/" };
    let title = escape(&format!("Index of /{path}{slash}"));
    // Writing to a string does not fail.
    let _ = write!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>"
    );
    crumbs(out, path);
    let shown = escape(filter);
    let _ = write!(
        out,
        "</h1>\n<form role=\"search\"><input type=\"search\" name=\"filter\" value=\"{shown}\" \
         placeholder=\"Name\" aria-label=\"Filter by name\" autocomplete=\"off\">\
         <button>Filter</button></form>\n<table>\n<thead>\n<tr>"
    );
    for (column, label) in
        [(Column::Name, "Name"), (Column::Size, "Size"), (Column::Date, "Modified (UTC)")]
    {
        header(out, column, label, order, filter);
    }
    out.push_str("</tr>\n</thead>\n<tbody>\n");
    if !path.is_root() {
        out.push_str("<tr class=\"d\"><td><a href=\"../\">../</a></td><td></td><td></td></tr>\n");
    }
    if empty {
        let why = match filter {
            "" => "This directory is empty.",
            _ => "No name holds what the filter asks for.",
        };
        let _ = writeln!(out, "<tr><td colspan=\"3\">{why}</td></tr>");
    }
}

/// Each directory on the way, as a link that also holds where a proxy puts a prefix before the
/// path.
fn crumbs(out: &mut String, path: &RelPath) {
    let segments: Vec<_> = path.as_str().split('/').filter(|name| !name.is_empty()).collect();
    let up = |levels: usize| if levels == 0 { "./".to_owned() } else { "../".repeat(levels) };
    let _ = write!(out, "<a href=\"{}\">/</a>", up(segments.len()));
    for (at, segment) in segments.iter().enumerate() {
        let (href, name) = (up(segments.len() - 1 - at), escape(segment));
        let _ = write!(out, " <a href=\"{href}\"><bdi>{name}</bdi></a>&nbsp;/");
    }
}

/// A column's head: a link that sorts by it, or, where it is sorted so, the other way round.
fn header(out: &mut String, column: Column, label: &str, order: Order, filter: &str) {
    let current = order.column == column;
    let sort = match (current, order.descending) {
        (false, _) => "",
        (true, false) => " aria-sort=\"ascending\"",
        (true, true) => " aria-sort=\"descending\"",
    };
    let way = if current && !order.descending { "desc" } else { "asc" };
    let key = column.key();
    let _ = write!(out, "<th scope=\"col\"{sort}><a href=\"?sort={key}&amp;order={way}");
    if !filter.is_empty() {
        let _ = write!(out, "&amp;filter={}", utf8_percent_encode(filter, NON_ALPHANUMERIC));
    }
    let _ = write!(out, "\">{label}</a></th>");
}

pub(super) fn row(out: &mut String, entry: Entry<'_>) {
    let Some(name) = RelPath::new(entry.name) else { return };
    // Behind `./`, no name is taken for a scheme or a host.
    let href = format!(".{}", target::encode(&name));
    let shown = escape(entry.name);
    let (class, slash) = match entry.kind {
        EntryKind::Directory => (" class=\"d\"", "/"),
        EntryKind::File => ("", ""),
    };
    let _ =
        write!(out, "<tr{class}><td><a href=\"{href}{slash}\"><bdi>{shown}</bdi>{slash}</a></td>");
    match entry.kind {
        EntryKind::Directory => out.push_str("<td></td>"),
        EntryKind::File => {
            let exact = plural(entry.len, "byte", "bytes");
            let _ = write!(out, "<td title=\"{exact}\">{}</td>", size(entry.len));
        }
    }
    match entry.modified.and_then(readable) {
        Some(modified) => {
            let full = humantime::format_rfc3339_seconds(modified).to_string();
            let (date, time) = (&full[..10], &full[11..16]);
            let _ = writeln!(out, "<td><time datetime=\"{full}\">{date} {time}</time></td></tr>");
        }
        None => out.push_str("<td></td></tr>\n"),
    }
}

pub(super) fn foot(out: &mut String, total: Total, truncated: bool) {
    out.push_str("</tbody>\n</table>\n<footer>");
    let directories = plural(total.directories, "directory", "directories");
    let files = plural(total.files, "file", "files");
    let _ = write!(out, "{directories}, {files}, {}", size(total.bytes));
    if truncated {
        out.push_str(". There is more: this listing stops here");
    }
    out.push_str("</footer>\n</body>\n</html>\n");
}

fn plural(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// In the unit that leaves at most three digits before the point.
fn size(bytes: u64) -> String {
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let (mut value, mut unit) = (bytes as f64 / 1024.0, "KiB");
    for next in ["MiB", "GiB", "TiB", "PiB", "EiB"] {
        if value < 999.5 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    let decimals = if value < 99.95 { 1 } else { 0 };
    format!("{value:.decimals$} {unit}")
}

/// The time, if four digits of a year can tell it.
pub(super) fn readable(time: SystemTime) -> Option<SystemTime> {
    let end = UNIX_EPOCH + Duration::from_secs(END_OF_DATES);
    (UNIX_EPOCH..end).contains(&time).then_some(time)
}
