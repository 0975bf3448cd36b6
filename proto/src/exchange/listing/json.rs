//! The listing for programs.

use std::fmt::Write as _;

use serde_json::Value;

use crate::fs::{Entry, EntryKind, RelPath};

pub(super) fn head(out: &mut String, path: &RelPath) {
    let slash = if path.is_root() { "" } else { "/" };
    let path = Value::from(format!("/{path}{slash}"));
    // Writing to a string does not fail.
    let _ = write!(out, "{{\"path\":{path},\"entries\":[");
}

pub(super) fn row(out: &mut String, entry: Entry<'_>, first: bool) {
    let (kind, size) = match entry.kind {
        EntryKind::Directory => ("directory", Value::Null),
        EntryKind::File => ("file", entry.len.into()),
    };
    let modified = entry
        .modified
        .and_then(super::html::readable)
        .map(|modified| Value::from(humantime::format_rfc3339_seconds(modified).to_string()));
    let comma = if first { "" } else { "," };
    let _ = write!(
        out,
        "{comma}\n{{\"name\":{},\"type\":\"{kind}\",\"size\":{size},\"modified\":{}}}",
        Value::from(entry.name),
        modified.unwrap_or(Value::Null),
    );
}

pub(super) fn foot(out: &mut String, truncated: bool) {
    let _ = write!(out, "\n],\"truncated\":{truncated}}}\n");
}
