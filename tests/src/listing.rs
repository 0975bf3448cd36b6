//! Reading a listing as it is shown: its rows, and where its links lead.

use serde_json::Value;

use crate::{Request, Response, get};

/// One entry of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The link as it stands.
    pub href: String,
    /// The texts of the columns.
    pub cells: Vec<String>,
}

impl Row {
    /// The name as it is shown.
    pub fn name(&self) -> &str {
        &self.cells[0]
    }
}

/// What stands between two marks, for each pair of them.
pub fn between<'a>(text: &'a str, open: &'a str, close: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(open).skip(1).map(move |rest| rest.split(close).next().unwrap_or_default())
}

/// HTML text without its tags, its references resolved.
pub fn plain(html: &str) -> String {
    let mut text = String::new();
    for (i, piece) in html.split('<').enumerate() {
        text.push_str(if i == 0 { piece } else { piece.split_once('>').map_or("", |(_, t)| t) });
    }
    let references = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'")];
    for (reference, character) in references.into_iter().chain([("&amp;", "&")]) {
        text = text.replace(reference, character);
    }
    text
}

/// The entries of a listing in HTML, without the way up.
#[track_caller]
pub fn rows(html: &str) -> Vec<Row> {
    let body = between(html, "<tbody>", "</tbody>").next().expect("a table");
    let row = |row: &str| {
        let href = plain(between(row, "href=\"", "\"").next()?);
        let cells = between(row, "<td", "</td>").map(|cell| plain(&format!("<td{cell}"))).collect();
        Some(Row { href, cells })
    };
    between(body, "<tr", "</tr>").filter_map(row).filter(|row| row.name() != "../").collect()
}

/// Their names.
#[track_caller]
pub fn names(html: &str) -> Vec<String> {
    rows(html).iter().map(|row| row.name().to_owned()).collect()
}

/// The path that a link on a page leads to, as a browser resolves it.
pub fn follow(page: &str, href: &str) -> String {
    let base = page.split('?').next().unwrap_or_default();
    let (mut base, mut rest) = (&base[..=base.rfind('/').expect("a path")], href);
    if rest.starts_with('/') {
        return rest.to_owned();
    }
    loop {
        if let Some(behind) = rest.strip_prefix("./") {
            rest = behind;
        } else if let Some(behind) = rest.strip_prefix("../") {
            base = base[..base.len() - 1].rfind('/').map_or("/", |slash| &base[..=slash]);
            rest = behind;
        } else {
            return format!("{base}{rest}");
        }
    }
}

/// A listing in JSON: its entries.
#[track_caller]
pub fn entries(answer: &Response) -> Vec<Value> {
    answer.status_is(200).field_is("content-type", "application/json");
    let listing: Value = serde_json::from_slice(&answer.body).expect("well-formed JSON");
    listing["entries"].as_array().expect("a list of entries").clone()
}

/// Asks for a listing in JSON.
pub fn as_json(path: &str) -> Request {
    get(path).field("Accept", "application/json")
}

/// The names of entries in JSON.
pub fn json_names(entries: &[Value]) -> Vec<&str> {
    entries.iter().map(|entry| entry["name"].as_str().expect("a name")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_as_they_are_shown() {
        let page = "<table><tbody>\n<tr><td><a href=\"/\">../</a></td></tr>\n\
            <tr class=\"d\"><td><a href=\"./a%20b/\"><bdi>a b</bdi>/</a></td><td></td></tr>\n\
            <tr><td><a href=\"./%3C\"><bdi>&lt;&amp;lt;</bdi></a></td><td title=\"1\">1 B</td></tr></tbody>";
        assert_eq!(names(page), ["a b/", "<&lt;"]);
        assert_eq!(
            rows(page)[1],
            Row { href: "./%3C".into(), cells: vec!["<&lt;".into(), "1 B".into()] }
        );
    }

    #[test]
    fn links_are_followed_as_browsers_do() {
        assert_eq!(follow("/a/?x=/", "./b"), "/a/b");
        assert_eq!(follow("/a/", "?sort=size"), "/a/?sort=size");
        assert_eq!(follow("/a/", "/"), "/");
    }
}
