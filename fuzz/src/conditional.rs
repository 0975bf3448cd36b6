//! Conditional requests against a model of RFC 9110 §13.2.2 that knows well-formed lists only.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use httpout_proto::{
    fs::Meta,
    http::HeaderList,
    semantics::conditional::{Validators, Precondition, etag, evaluate, is_conditional, range_applies},
};

/// One input: a byte of circumstances, then lines of `name: value`. In the values `@` stands for
/// the current tag, so that there are inputs that match.
pub fn run(data: &[u8]) {
    let Some((&how, lines)) = data.split_first() else { return };
    let Ok(lines) = std::str::from_utf8(lines) else { return };
    let now = UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    let modified = match how & 3 {
        0 => now - Duration::from_millis(1_500),
        1 => now,
        2 => now + Duration::from_secs(400_000_000_000),
        _ => UNIX_EPOCH - Duration::from_millis(1),
    };
    let meta = Meta { len: u64::from(how), modified, inode: u64::MAX };
    let validators = Validators::of(&meta, now);
    assert!(validators.modified.is_none_or(|modified| UNIX_EPOCH <= modified && modified <= now));
    let lines = lines.replace('@', &etag(&meta));
    let lines: Vec<_> = lines.lines().filter_map(|line| line.split_once(": ")).collect();
    let fields: HeaderList = lines.iter().copied().collect();
    for (current, safe) in [
        (Some(&validators), true),
        (Some(&validators), false),
        (Some(&Validators::default()), how & 4 != 0),
        (None, how & 4 != 0),
    ] {
        let verdict = evaluate(&fields, safe, current);
        assert!(verdict == Precondition::Go || is_conditional(&fields));
        assert!(safe || verdict != Precondition::NotModified, "304 is for GET and HEAD");
        if let Some(expected) = model(&lines, safe, current) {
            assert_eq!(verdict, expected);
        }
    }
    let applies = range_applies(&fields, &validators, now);
    assert_eq!(applies, model_range(&lines, &validators, now));
}

/// A list of entity tags.
enum List {
    Any,
    /// Weak or not, and what stands between the quotes.
    Tags(Vec<(bool, String)>),
}

/// `None` where a list is not well-formed: there a server has some choice.
fn model(lines: &[(&str, &str)], safe: bool, current: Option<&Validators>) -> Option<Precondition> {
    let modified = current.and_then(|current| current.modified);
    let matches = |list: List, weakly: bool| match list {
        List::Any => current.is_some(),
        List::Tags(tags) => tags.iter().any(|(weak, opaque)| {
            let tag = current.and_then(|current| current.etag.as_deref());
            (weakly || !weak) && tag == Some(&format!("\"{opaque}\""))
        }),
    };
    if let Some(list) = list(lines, "if-match") {
        if !matches(list?, false) {
            return Some(Precondition::Failed);
        }
    } else if let (Some(since), Some(modified)) = (date(lines, "if-unmodified-since"), modified)
        && modified > since
    {
        return Some(Precondition::Failed);
    }
    if let Some(list) = list(lines, "if-none-match") {
        if matches(list?, true) {
            return Some(if safe { Precondition::NotModified } else { Precondition::Failed });
        }
    } else if let (Some(since), Some(modified)) = (date(lines, "if-modified-since"), modified)
        && safe
        && modified <= since
    {
        return Some(Precondition::NotModified);
    }
    Some(Precondition::Go)
}

fn model_range(lines: &[(&str, &str)], current: &Validators, now: SystemTime) -> bool {
    let values: Vec<_> = all(lines, "if-range").collect();
    match values[..] {
        [] => true,
        [value] if Some(value) == current.etag.as_deref() => true,
        // A tag, and so no date.
        [value] if value.starts_with(['"', 'W']) && value.ends_with('"') => false,
        [_] => current.modified.is_some_and(|modified| {
            date(lines, "if-range") == Some(modified) && modified + Duration::from_secs(1) <= now
        }),
        _ => false,
    }
}

fn all<'a>(lines: &'a [(&str, &str)], name: &'a str) -> impl Iterator<Item = &'a str> {
    lines.iter().filter(move |(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
}

/// `None` if there is no line of this name, `Some(None)` if the lines are not well-formed.
fn list(lines: &[(&str, &str)], name: &str) -> Option<Option<List>> {
    let values: Vec<_> = all(lines, name).collect();
    (!values.is_empty()).then(|| parse_list(&values.join(",")))
}

fn parse_list(mut text: &str) -> Option<List> {
    let white = [' ', '\t'];
    if text.trim_matches([' ', '\t', ',']) == "*" {
        return Some(List::Any);
    }
    let mut tags = Vec::new();
    loop {
        text = text.trim_start_matches([' ', '\t', ',']);
        if text.is_empty() {
            return Some(List::Tags(tags));
        }
        let weak = text.starts_with("W/");
        text = text.strip_prefix("W/").unwrap_or(text).strip_prefix('"')?;
        let (opaque, rest) = text.split_once('"')?;
        if opaque.chars().any(|c| c <= ' ' || c == '\x7f') {
            return None;
        }
        tags.push((weak, opaque.to_owned()));
        text = rest.trim_start_matches(white);
        if !text.is_empty() && !text.starts_with(',') {
            return None;
        }
    }
}

fn date(lines: &[(&str, &str)], name: &str) -> Option<SystemTime> {
    let values: Vec<_> = all(lines, name).collect();
    let [value] = values[..] else { return None };
    httpdate::parse_http_date(value).ok()
}
