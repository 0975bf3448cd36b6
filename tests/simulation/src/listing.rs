//! Listings: read as a client reads them, and compared with what was there.

use httpout_proto::fs::{Entries, Entry, EntryKind, Order};

use crate::{reply::Reply, request::Request, rights::Rights};

/// What the server was told of a directory.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) entries: Entries,
    pub(crate) truncated: bool,
}

/// How a client asks for a listing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asking {
    pub(crate) accept: Option<&'static str>,
    /// Is `accept` for JSON?
    pub(crate) json: bool,
    pub(crate) query: &'static str,
}

pub(crate) const ASKINGS: [Asking; 6] = [
    Asking { accept: None, json: false, query: "" },
    Asking { accept: Some("text/html,*/*;q=0.8"), json: false, query: "?sort=size&order=desc" },
    Asking { accept: Some("application/json"), json: true, query: "" },
    Asking { accept: Some("application/json"), json: true, query: "?order=desc" },
    Asking { accept: Some("application/*"), json: true, query: "?sort=date" },
    Asking { accept: Some("application/json;q=0.1, */*"), json: false, query: "?sort=size" },
];

impl Asking {
    /// As proto names it.
    pub(crate) fn order(&self) -> Order {
        Order::from_query(self.query.strip_prefix('?'))
    }
}

/// A row: name, directory or not, and the length, where the form tells it.
type Row = (String, bool, Option<u64>);

/// What is wrong with a listing. A part of one is compared as far as it goes.
pub(crate) fn wrong(
    reply: &Reply,
    request: &Request,
    asking: &Asking,
    listed: &Listed,
    rights: Option<&Rights>,
) -> Option<String> {
    let media_type = if asking.json { "application/json" } else { "text/html; charset=utf-8" };
    if reply.field("content-type") != Some(media_type) {
        return Some("a listing of the wrong form".into());
    }
    if !reply.varies_by("Accept") {
        return Some("a listing that is kept for other forms".into());
    }
    if request.is_head() {
        return None;
    }
    let text = String::from_utf8_lossy(&reply.body);
    let rows = if asking.json { json(&text) } else { html(&text) };
    let Some(rows) = rows else { return Some(format!("a listing that cannot be read: {text}")) };
    let shown = |entry: &Entry<'_>| {
        let target = entry.link.and_then(|link| link.strip_prefix("/simulated").ok());
        target
            .and_then(|target| target.to_str())
            .is_none_or(|target| rights.is_some_and(|rights| rights.shows(target, request)))
    };
    let expected: Vec<Row> = listed
        .entries
        .iter()
        .filter(shown)
        .map(|entry| {
            let len = (asking.json && entry.kind == EntryKind::File).then_some(entry.len);
            (entry.name.to_owned(), entry.kind == EntryKind::Directory, len)
        })
        .collect();
    let fits = if reply.whole { rows == expected } else { expected.starts_with(&rows) };
    if !fits {
        return Some(format!("lists {rows:?} instead of {expected:?}"));
    }
    let truncated = text.contains("\"truncated\":true") || text.contains("There is more");
    if reply.whole && truncated != listed.truncated {
        return Some(format!("says that there is more: {truncated}"));
    }
    let path = format!("/{}{}", request.path, if request.path.is_empty() { "" } else { "/" });
    let named = text.contains(&format!("\"path\":\"{path}\""))
        || text.contains(&format!("Index of {path}<"));
    (reply.whole && !named).then(|| format!("does not name {path}"))
}

/// The whole rows of a page.
fn html(text: &str) -> Option<Vec<Row>> {
    let rows = text.split("<tr").skip(1).filter(|row| row.contains("</tr>"));
    let mut found = Vec::new();
    for row in rows {
        let Some((_, rest)) = row.split_once("<td><a href=\"./") else { continue };
        let (href, _) = rest.split_once('"')?;
        let directory = href.ends_with('/');
        if directory != row.starts_with(" class=\"d\"") {
            return None;
        }
        found.push((href.trim_end_matches('/').to_owned(), directory, None));
    }
    Some(found)
}

/// The whole rows of a document.
fn json(text: &str) -> Option<Vec<Row>> {
    let rows = text.lines().filter(|line| line.starts_with("{\"name\":"));
    let rows = rows.filter_map(|line| line.trim_end_matches(',').strip_suffix('}'));
    rows.map(|row| {
        let value = |key: &str| {
            let (_, rest) = row.split_once(&format!("\"{key}\":"))?;
            Some(rest.split_once(',').map_or(rest, |(value, _)| value))
        };
        let name = value("name")?.trim_matches('"').to_owned();
        let size = value("size")?;
        match value("type")? {
            "\"directory\"" if size == "null" => Some((name, true, None)),
            "\"file\"" => Some((name, false, Some(size.parse().ok()?))),
            _ => None,
        }
    })
    .collect()
}
