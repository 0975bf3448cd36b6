//! Responses that say why a request is not answered otherwise.

use super::{
    context::ExchangeContext,
    refusal::Refusal,
    reply::{Reply, error_head, fs_status, head},
};
use crate::{
    error::PeerError,
    fs::FsError,
    http::{Part, ResponseHead, Status},
    semantics::{
        byteranges,
        target::{self, Target},
    },
};

/// Why a directory is not listed.
pub(super) const NOT_LISTED: &str = "directories are not listed";

/// To the URL with a slash at its end.
pub(super) fn redirect(target: &Target, cx: &mut ExchangeContext<'_>) {
    let query = target.query.as_ref().map(|query| format!("?{query}"));
    let location = format!("{}/{}", target::encode(&target.path), query.unwrap_or_default());
    let head = error_head(cx.site, Status::MOVED_PERMANENTLY).field("Location", location);
    say(cx, head, "a directory's URL ends in a slash");
}

/// Answers with a status and a line of text that says why.
pub(super) fn refuse(cx: &mut ExchangeContext<'_>, status: Status, why: &str) {
    let head = error_head(cx.site, status);
    say(cx, head, why);
}

/// Answers what the peer did wrong; the connection closes.
pub(crate) fn refuse_peer(why: PeerError, cx: &mut ExchangeContext<'_>) {
    let status = why.status().unwrap_or(Status::BAD_REQUEST);
    let overloaded = why == PeerError::Overloaded;
    let head = error_head(cx.site, status).field_opt("Retry-After", overloaded.then_some("1"));
    let body = text(status, &why.to_string());
    cx.reply(Reply::Last(head, body));
}

/// Answers a request that waited for something which may not come any more, since the server is
/// going down.
pub(super) fn refuse_stopping(cx: &mut ExchangeContext<'_>) {
    let head = error_head(cx.site, Status::SERVICE_UNAVAILABLE).field("Retry-After", "1");
    say(cx, head, "the server is shutting down; try again");
}

/// As [`refuse`], and closes the connection: the framing of what follows cannot be trusted.
pub(super) fn refuse_last(cx: &mut ExchangeContext<'_>, status: Status, why: &str) {
    let body = text(status, why);
    cx.reply(Reply::Last(error_head(cx.site, status), body));
}

pub(super) fn say(cx: &mut ExchangeContext<'_>, head: ResponseHead, why: &str) {
    let body = text(head.status(), why);
    cx.reply(Reply::Whole(head, body));
}

fn text(status: Status, why: &str) -> Vec<Part> {
    vec![Part::Bytes(format!("{status}: {why}\n").into())]
}

/// Says why the rights refuse the request.
pub(super) fn say_refusal(refusal: Refusal, cx: &mut ExchangeContext<'_>) {
    match refusal {
        Refusal::Denied(status, why) => refuse(cx, status, &why),
        Refusal::Unidentified => unauthorized(cx, "a name and a password are needed"),
        Refusal::Wrong => unauthorized(cx, "the name or the password is wrong"),
        Refusal::Malformed(why) => refuse(cx, Status::BAD_REQUEST, why),
        Refusal::TooMany(retry) => {
            let seconds = retry.as_secs().max(1).to_string();
            let head = error_head(cx.site, Status::TOO_MANY_REQUESTS).field("Retry-After", seconds);
            say(cx, head, "too many passwords were wrong, or wait to be checked");
        }
    }
}

/// RFC 9110 §15.5.2, RFC 7617 §2.
fn unauthorized(cx: &mut ExchangeContext<'_>, why: &str) {
    let head = error_head(cx.site, Status::UNAUTHORIZED)
        .field("WWW-Authenticate", "Basic realm=\"httpout\", charset=\"UTF-8\"");
    say(cx, head, why);
}

/// The hook did not decide in time.
pub(super) fn too_late(cx: &mut ExchangeContext<'_>) {
    let head = error_head(cx.site, Status::SERVICE_UNAVAILABLE).field("Retry-After", "1");
    say(cx, head, "the hook did not answer in time");
}

/// Says why an upload failed.
pub(super) fn refuse_upload(error: FsError, cx: &mut ExchangeContext<'_>) {
    match error {
        FsError::Hole(len) => {
            let head = error_head(cx.site, Status::RANGE_NOT_SATISFIABLE)
                .field("Content-Range", byteranges::unsatisfied(len));
            say(cx, head, &error.to_string());
        }
        FsError::IsDirectory => refuse(cx, Status::CONFLICT, "there is a directory of this name"),
        FsError::NotRegular => {
            refuse(
                cx,
                Status::CONFLICT,
                "a directory on the way is a file, or the target is no file",
            );
        }
        FsError::NameTooLong => refuse(cx, Status::BAD_REQUEST, &error.to_string()),
        FsError::Exhausted => {
            let head = head(cx.site, Status::SERVICE_UNAVAILABLE).field("Retry-After", "1");
            say(cx, head, &error.to_string());
        }
        FsError::NotFound
        | FsError::Outside
        | FsError::Denied
        | FsError::Full
        | FsError::MemoryFull
        | FsError::Changed
        | FsError::Unflushed
        | FsError::Other(_) => refuse(cx, fs_status(error), &error.to_string()),
    }
}
