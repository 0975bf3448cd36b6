//! What a GET is to be answered with, worked out the simple way.

use httpout_proto::{semantics::coding::Coding, site::Multirange};

use crate::{
    model::{Feed, Version},
    packer::Packed,
    reply::Reply,
    request::{Ask, Condition, Request, What},
    world::{Rules, World},
};

const VERY_LARGE: u64 = (1 << 53) - 1;

/// An answer as it should be.
#[derive(Debug)]
pub(crate) struct Expected {
    status: u16,
    /// `None`: some text.
    body: Option<Vec<u8>>,
    etag: Option<String>,
    content_range: Option<String>,
    media_type: Option<String>,
    /// How it is compressed.
    coding: Option<Coding>,
    /// Another request might get it compressed.
    varies: bool,
    /// The length must be announced, or must not be.
    length: Option<bool>,
    /// A whole body is there only if the upload ended well.
    pub(crate) needs_end: bool,
}

impl Expected {
    fn error(status: u16) -> Self {
        Self {
            status,
            body: None,
            etag: None,
            content_range: None,
            media_type: None,
            coding: None,
            varies: false,
            length: Some(true),
            needs_end: false,
        }
    }

    /// Is the answer, as far as it came, this one?
    pub(crate) fn fits(&self, reply: &Reply, to_head: bool) -> bool {
        let length = reply.field("content-length");
        let body = self.body.as_deref().unwrap_or(&reply.body);
        let content = match (to_head, reply.whole) {
            (true, _) => {
                reply.body.is_empty()
                    && length.is_none_or(|length| {
                        self.body.is_none() || length == body.len().to_string()
                    })
            }
            (false, true) => reply.body == body,
            (false, false) => body.starts_with(&reply.body),
        };
        self.status == reply.status
            && content
            && self
                .media_type
                .as_deref()
                .is_none_or(|told| reply.field("content-type") == Some(told))
            && self.etag.as_deref() == reply.field("etag")
            && self.content_range.as_deref() == reply.field("content-range")
            && self.coding.map(Coding::token) == reply.field("content-encoding")
            && self.varies == reply.varies_by("Accept-Encoding")
            && self.length.is_none_or(|announced| announced == length.is_some())
    }
}

/// The answer out of a finished file. `packed`: what came of it where it was to be compressed for
/// this request.
pub(crate) fn of_file(
    request: &Request,
    file: &Version,
    packed: Option<&Packed>,
    rules: &Rules,
    reply: &Reply,
) -> Expected {
    let What::Get { ranges, condition, .. } = &request.what else { return Expected::error(0) };
    let varies = World::is_packable(rules.zmax, &file.media_type, file.content.len());
    let coding = request.accept.and_then(|(_, coding)| coding);
    let Some(coding) = coding.filter(|_| varies && ranges.is_empty()) else {
        return plain(request, file, varies, rules, reply);
    };
    let tag = file.etag.strip_suffix('"').unwrap_or_default();
    let tag = rules.validators.then(|| format!("{tag}-{}\"", coding.token()));
    let same = |asked: &str| asked == "*" || Some(asked) == tag.as_deref();
    let coded = Expected {
        etag: tag.clone(),
        coding: Some(coding),
        varies,
        media_type: Some(file.media_type.clone()),
        ..Expected::error(200)
    };
    match condition {
        Condition::NoneMatch(asked) if same(asked) => {
            return Expected {
                status: 304,
                body: Some(Vec::new()),
                coding: None,
                media_type: None,
                length: None,
                ..coded
            };
        }
        Condition::Match(asked) if !same(asked) => {
            return plain(request, file, varies, rules, reply);
        }
        Condition::None | Condition::Match(_) | Condition::NoneMatch(_) => {}
    }
    // Nothing else may have been compressed in its place.
    let Some(packed) = packed.filter(|packed| packed.etag == file.etag) else {
        return Expected::error(0);
    };
    match packed.bytes.as_ref().filter(|bytes| bytes.len() < file.content.len()) {
        Some(bytes) if packed.coding == coding => Expected { body: Some(bytes.to_vec()), ..coded },
        Some(_) => Expected::error(0),
        None => plain(request, file, varies, rules, reply),
    }
}

/// The answer with the file as it is.
fn plain(
    request: &Request,
    file: &Version,
    varies: bool,
    rules: &Rules,
    reply: &Reply,
) -> Expected {
    let What::Get { head, ranges, condition, if_range } = &request.what else {
        return Expected::error(0);
    };
    let tag = rules.validators.then_some(file.etag.as_str());
    let same = |asked: &str| asked == "*" || Some(asked) == tag;
    let etag = tag.map(str::to_owned);
    match condition {
        Condition::Match(asked) if !same(asked) => return Expected::error(412),
        Condition::NoneMatch(asked) if same(asked) => {
            let body = Some(Vec::new());
            return Expected {
                status: 304,
                body,
                etag,
                varies,
                length: None,
                ..Expected::error(304)
            };
        }
        Condition::None | Condition::Match(_) | Condition::NoneMatch(_) => {}
    }
    let len = file.content.len() as u64;
    let whole = Expected {
        status: 200,
        body: Some(file.content.clone()),
        etag: etag.clone(),
        content_range: None,
        media_type: Some(file.media_type.clone()),
        coding: None,
        varies,
        length: Some(true),
        needs_end: false,
    };
    let applies = if_range.as_deref().is_none_or(|asked| Some(asked) == tag);
    if *head || rules.norange || !applies || ranges.is_empty() || ranges.len() > rules.ranges {
        return whole;
    }
    let spans: Vec<(u64, u64)> = ranges
        .iter()
        .map(|ask| match *ask {
            Ask::Closed(first, last) => (first, last.saturating_add(1).min(len)),
            Ask::From(first) => (first, len),
            Ask::Suffix(suffix) => (len.saturating_sub(suffix), len),
        })
        .filter(|(start, end)| start < end)
        .collect();
    // A suffix of an empty file is all of it (RFC 9110 §14.1.2).
    if len == 0 && ranges.iter().any(|ask| matches!(ask, Ask::Suffix(1..))) {
        return whole;
    }
    if spans.is_empty() {
        return Expected { content_range: Some(format!("bytes */{len}")), ..Expected::error(416) };
    }
    if spans.len() > 1 && spans.iter().map(|(start, end)| end - start).sum::<u64>() > 2 * len {
        return whole;
    }
    let (body, content_range) = several(spans, &file.content, rules.multirange, reply);
    let media_type = whole.media_type.filter(|_| content_range.is_some());
    Expected { status: 206, body: Some(body), content_range, media_type, ..whole }
}

fn several(
    mut spans: Vec<(u64, u64)>,
    content: &[u8],
    form: Multirange,
    reply: &Reply,
) -> (Vec<u8>, Option<String>) {
    let len = content.len();
    let cut = |(start, end): (u64, u64)| &content[start as usize..end as usize];
    let name = |(start, end): (u64, u64)| format!("{start}-{}/{len}", end - 1);
    match form {
        Multirange::Concat => {}
        Multirange::Multipart => join(&mut spans, |before, next| before.1 == next.0),
        Multirange::Merge => {
            spans.sort_unstable();
            join(&mut spans, |before, next| next.0 <= before.1);
        }
    }
    if form == Multirange::Concat || spans.len() == 1 {
        let names: Vec<_> = spans.iter().map(|&span| name(span)).collect();
        let body = spans.into_iter().flat_map(cut).copied().collect();
        return (body, Some(format!("bytes {}", names.join(", "))));
    }
    let value = reply.field("content-type").unwrap_or_default();
    let boundary = value.split_once("boundary=").map_or("", |(_, boundary)| boundary);
    let mut body = Vec::new();
    for (index, span) in spans.into_iter().enumerate() {
        let before = if index > 0 { "\r\n" } else { "" };
        let media_type = reply.body.split(|&b| b == b'\n').find_map(|line| {
            line.strip_prefix(b"Content-Type: ")
                .map(|value| String::from_utf8_lossy(value.trim_ascii()))
        });
        let media_type =
            media_type.map_or_else(String::new, |value| format!("Content-Type: {value}\r\n"));
        body.extend(
            format!(
                "{before}--{boundary}\r\n{media_type}Content-Range: bytes {}\r\n\r\n",
                name(span)
            )
            .bytes(),
        );
        body.extend_from_slice(cut(span));
    }
    body.extend(format!("\r\n--{boundary}--\r\n").bytes());
    (body, None)
}

fn join(spans: &mut Vec<(u64, u64)>, touch: impl Fn((u64, u64), (u64, u64)) -> bool) {
    let mut joined: Vec<(u64, u64)> = Vec::new();
    for &span in spans.iter() {
        match joined.last_mut() {
            Some(before) if touch(*before, span) => before.1 = before.1.max(span.1),
            _ => joined.push(span),
        }
    }
    *spans = joined;
}

/// The answer out of an upload in progress; `None` if it is to wait for the end.
pub(crate) fn of_feed(request: &Request, feed: &Feed, rules: &Rules) -> Option<Expected> {
    let What::Get { head, ranges, condition, if_range } = &request.what else { return None };
    if matches!(condition, Condition::Match(asked) if asked != "*") {
        return Some(Expected::error(412));
    }
    let content = &feed.content;
    let live = |status, start: usize, content_range| Expected {
        status,
        body: Some(content[start.min(content.len())..].to_vec()),
        etag: None,
        content_range,
        media_type: Some(feed.media_type.clone()),
        coding: None,
        varies: false,
        length: Some(false),
        needs_end: true,
    };
    let whole = live(200, 0, None);
    if *head
        || rules.norange
        || if_range.is_some()
        || ranges.is_empty()
        || ranges.len() > rules.ranges
    {
        return Some(whole);
    }
    let to_end = |first: u64, last: u64, of: &str| {
        Some(live(206, first as usize, Some(format!("bytes {first}-{last}/{of}"))))
    };
    match (ranges.as_slice(), feed.total) {
        ([Ask::From(0)], None) => Some(whole),
        (&[Ask::From(first)], Some(total)) if first < total => {
            to_end(first, total - 1, &total.to_string())
        }
        (&[Ask::From(first)], None) => to_end(first, VERY_LARGE, "*"),
        (&[Ask::Closed(first, last)], None) if last >= VERY_LARGE => to_end(first, last, "*"),
        (&[Ask::Closed(first, last)], Some(total)) if last >= VERY_LARGE && first < total => {
            to_end(first, total - 1, &total.to_string())
        }
        // Where it is known to end with the last byte, it waits for the word that the upload was
        // stored.
        (&[Ask::Closed(first, last)], total) if total.is_none_or(|total| last + 1 < total) => {
            let of = total.map_or_else(|| "*".into(), |total| total.to_string());
            let part = content.get(first as usize..=last as usize)?.to_vec();
            let content_range = Some(format!("bytes {first}-{last}/{of}"));
            let live = live(206, 0, content_range);
            Some(Expected { body: Some(part), length: Some(true), needs_end: false, ..live })
        }
        (&[Ask::Suffix(len)], Some(total)) if len > 0 && total > 0 => {
            to_end(total.saturating_sub(len), total - 1, &total.to_string())
        }
        _ => None,
    }
}
