//! What a source client says of its live resource beside the stream: `/admin/metadata` as Icecast
//! has it.

use std::borrow::Cow;

use bytes::Bytes;
use percent_encoding::percent_decode;

use crate::exchange::{
    context::{ExchangeContext, Handler, Next},
    error::{refuse, refuse_last},
    reply::{Reply, head},
};
use crate::{
    effect::{Done, LiveEffect},
    fs::{FsError, RelPath},
    http::{BodySize, Method, Part, RequestHead, Status},
    id::OpId,
    live::Text,
    semantics::target::Target,
};

/// Most bytes of a form.
const MOST: usize = 16 << 10;

/// ```text
///  Receiving --(the form is whole)--> [rights] --> Updating --> Over
/// ```
#[derive(Debug)]
pub(crate) struct Metadata(State);

#[derive(Debug)]
enum State {
    /// The form is the request's body, after what the query holds.
    Receiving {
        head: Box<RequestHead>,
        form: Vec<u8>,
    },
    Updating {
        op: OpId,
    },
    Over,
}

/// True for a request that is no file's: it names a live resource and what is played there.
pub(in crate::exchange) fn is_metadata(head: &RequestHead, target: &Target) -> bool {
    let has_mode =
        || target.query.as_deref().is_some_and(|query| value(query.as_bytes(), "mode").is_some());
    target.path.as_str() == "admin/metadata"
        && !target.directory
        && (head.method == Method::Post || head.method == Method::Get && has_mode())
}

impl Metadata {
    pub(in crate::exchange) fn start(
        head: Box<RequestHead>,
        target: Target,
        cx: &mut ExchangeContext<'_>,
    ) -> Option<Next> {
        let form = target.query.unwrap_or_default().into_bytes();
        if head.method == Method::Get || head.body == BodySize::Empty {
            return read(head, &form, cx);
        }
        cx.reply(Reply::Grant(MOST as u64 + 1));
        Some(Next::Handler(Box::new(Self(State::Receiving { head, form }))))
    }

    /// The request may do that.
    pub(in crate::exchange) fn update(
        path: RelPath,
        title: Text,
        cx: &mut ExchangeContext<'_>,
    ) -> Box<dyn Handler> {
        let op = cx.op();
        cx.effect(LiveEffect::SetTitle { op, path, title });
        Box::new(Self(State::Updating { op }))
    }

    /// The task that takes its place.
    fn read_form(&mut self, cx: &mut ExchangeContext<'_>) -> Option<Next> {
        match std::mem::replace(&mut self.0, State::Over) {
            State::Receiving { head, form } => read(head, &form, cx),
            other @ (State::Updating { .. } | State::Over) => {
                self.0 = other;
                None
            }
        }
    }
}

impl Handler for Metadata {
    fn on_data(&mut self, data: Bytes, cx: &mut ExchangeContext<'_>) {
        let State::Receiving { form, .. } = &mut self.0 else { return };
        if form.len() + data.len() > MOST {
            self.0 = State::Over;
            return refuse_last(cx, Status::CONTENT_TOO_LARGE, "the metadata is too long");
        }
        form.extend_from_slice(&data);
        cx.reply(Reply::Grant(MOST as u64 + 1));
    }

    fn on_done(&mut self, done: OpId, result: Result<Done, FsError>, cx: &mut ExchangeContext<'_>) {
        if !matches!(self.0, State::Updating { op } if op == done) {
            return;
        }
        self.0 = State::Over;
        match result {
            Ok(_) => {
                let head = head(cx.site, Status::OK).field("Content-Type", "text/xml");
                cx.reply(Reply::Whole(head, vec![Part::Bytes(UPDATED.into())]));
            }
            Err(_) => refuse(cx, Status::NOT_FOUND, "no client sends a live resource of that path"),
        }
    }

    fn on_end(&mut self, cx: &mut ExchangeContext<'_>) {
        let next = self.read_form(cx);
        cx.hand_over(next);
    }
}

/// As Icecast says it.
const UPDATED: &str = "<?xml version=\"1.0\"?>\n<iceresponse><message>Metadata update successful\
    </message><return>1</return></iceresponse>\n";

/// The form is whole.
fn read(head: Box<RequestHead>, form: &[u8], cx: &mut ExchangeContext<'_>) -> Option<Next> {
    if value(form, "mode").as_deref() != Some(b"updinfo") {
        refuse(cx, Status::BAD_REQUEST, "only mode=updinfo is known here");
        return None;
    }
    let path = value(form, "mount")
        .and_then(|mount| String::from_utf8(mount.into_owned()).ok())
        .and_then(|mount| RelPath::new(mount.strip_prefix('/').unwrap_or(&mount)))
        .filter(|path| !path.is_root());
    let Some(path) = path else {
        refuse(cx, Status::BAD_REQUEST, "mount is not the path of a live resource");
        return None;
    };
    let Some(title) = title(form) else {
        refuse(cx, Status::BAD_REQUEST, "song is missing, and so is title");
        return None;
    };
    let target = Target { path, directory: false, query: None };
    Some(Next::Title { head, target, title })
}

/// What is played: `song`, or `artist` and `title`.
fn title(form: &[u8]) -> Option<Text> {
    if let Some(song) = value(form, "song") {
        return Some(song.as_ref().into());
    }
    let title = value(form, "title")?;
    Some(match value(form, "artist").filter(|artist| !artist.is_empty()) {
        Some(artist) => [&artist[..], b" - ", &title].concat().into(),
        None => title.as_ref().into(),
    })
}

/// The value of this name in `name=value&…`, decoded to bytes; the form does not tell their
/// encoding.
fn value<'a>(form: &'a [u8], name: &str) -> Option<Cow<'a, [u8]>> {
    form.split(|&byte| byte == b'&').find_map(|pair| {
        let raw = pair.strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
        Some(match raw.contains(&b'+') {
            true => {
                let spaced: Vec<u8> =
                    raw.iter().map(|&byte| if byte == b'+' { b' ' } else { byte }).collect();
                Cow::Owned(percent_decode(&spaced).collect())
            }
            false => percent_decode(raw).into(),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_tells_what_is_played() {
        for (form, played) in [
            ("mode=updinfo&mount=/a&song=A+%2b%20B", Some(&b"A + B"[..])),
            ("song=Caf%E9", Some(b"Caf\xe9")),
            ("song=Caf%C3%A9&title=x", Some("Café".as_bytes())),
            ("title=T&artist=A", Some(b"A - T")),
            ("artist=&title=T", Some(b"T")),
            ("artist=A", None),
            ("xsong=A&song", None),
        ] {
            assert_eq!(title(form.as_bytes()), played.map(Into::into), "{form}");
        }
    }
}
