//! Answers, and which kind of exchange a request begins.

use super::{
    Cx, Task,
    conditional::Validators,
    delete::Delete,
    get::Get,
    target::{self, Target},
    upload::Upload,
};
use crate::{
    effect::Place,
    error::{FsError, PeerError},
    http1::{self, Method, Part, RequestHead, ResponseHead, Status},
    site::{Resolved, Site},
};

/// What an exchange wants said.
#[derive(Debug)]
pub(crate) enum Answer {
    /// Let this much of the request's body come.
    Grant(u64),
    /// The whole answer.
    Whole(ResponseHead, Vec<Part>),
    /// The whole answer, after which the connection closes.
    Last(ResponseHead, Vec<Part>),
    /// The head of an answer whose body goes on.
    Live(ResponseHead),
    /// More of that body.
    Part(Part),
    /// Its end.
    Finish,
    /// It cannot be ended well.
    Abort,
}

/// Begins to answer a request; `None` if nothing remains to be done.
pub(crate) fn start(request: Box<RequestHead>, cx: &mut Cx<'_>) -> Option<Task> {
    let path = match &request.target {
        http1::Target::Asterisk => {
            options(cx, true);
            return None;
        }
        http1::Target::Path(path) => path,
    };
    let target = match target::decode(path) {
        Ok(target) => target,
        Err(why) => {
            refuse(cx, Status::BAD_REQUEST, why);
            return None;
        }
    };
    match request.method {
        Method::Options => {
            let writable = cx.site.write_root().is_some();
            options(cx, writable);
            None
        }
        Method::Get | Method::Head => {
            if target.is_reserved() {
                refuse(cx, Status::NOT_FOUND, "no such file");
                return None;
            }
            match cx.site.resolve(&target.path) {
                Resolved::Place(place) => {
                    Some(Task::Get(Box::new(Get::start(request, target, place, cx))))
                }
                Resolved::Mounts => {
                    refuse(cx, Status::FORBIDDEN, "directories are not listed");
                    None
                }
                Resolved::Nothing => {
                    refuse(cx, Status::NOT_FOUND, "no such file");
                    None
                }
            }
        }
        Method::Put | Method::Post | Method::Patch => {
            let place = writable(&target, cx)?;
            if target.directory {
                refuse(cx, Status::CONFLICT, "a file's URL does not end in a slash");
                return None;
            }
            Upload::start(&request, place, cx).map(|upload| Task::Upload(Box::new(upload)))
        }
        Method::Delete => {
            let place = writable(&target, cx)?;
            Some(Task::Delete(Box::new(Delete::start(request, place, target.directory, cx))))
        }
    }
}

/// Segments of a path that may be written to: each may cost a directory.
const DEEPEST: usize = 64;

/// Where a request that changes something leads; `None` if it was refused.
fn writable(target: &Target, cx: &mut Cx<'_>) -> Option<Place> {
    let Some(root) = cx.site.write_root() else {
        let head = error_head(cx.site, Status::METHOD_NOT_ALLOWED).field("Allow", allow(false));
        say(cx, head, "nothing can be written here: the server has no write directory");
        return None;
    };
    if target.is_reserved() {
        refuse(cx, Status::FORBIDDEN, "this name is reserved");
        return None;
    }
    if target.path.as_str().matches('/').count() >= DEEPEST {
        refuse(cx, Status::BAD_REQUEST, "the path has too many segments");
        return None;
    }
    Some(Place { root, path: target.path.clone() })
}

fn options(cx: &mut Cx<'_>, writable: bool) {
    let head = head(cx.site, Status::OK).field("Allow", allow(writable));
    cx.answer(Answer::Whole(head, Vec::new()));
}

fn allow(writable: bool) -> &'static str {
    if writable { "GET, HEAD, PUT, POST, PATCH, DELETE, OPTIONS" } else { "GET, HEAD, OPTIONS" }
}

/// A head with what every answer carries.
pub(super) fn head(site: &Site, status: Status) -> ResponseHead {
    let agent = &site.config.user_agent;
    ResponseHead::new(status).field_opt("Server", (!agent.is_empty()).then_some(agent))
}

/// A head with the fields that describe a representation of a file.
pub(super) fn described(site: &Site, status: Status, validators: &Validators) -> ResponseHead {
    let cache = site.config.cache_control.as_deref().filter(|&cache| cache != "none");
    head(site, status)
        .field_opt("Cache-Control", cache)
        .field_opt("ETag", validators.etag.as_deref())
        .field_opt("Last-Modified", validators.modified.map(httpdate::fmt_http_date))
}

/// The head of an error, which has a line of text as its body.
pub(super) fn error_head(site: &Site, status: Status) -> ResponseHead {
    head(site, status)
        .field("Content-Type", "text/plain; charset=utf-8")
        .field("X-Content-Type-Options", "nosniff")
}

/// Answers with a status and a line of text that says why.
pub(super) fn refuse(cx: &mut Cx<'_>, status: Status, why: &str) {
    let head = error_head(cx.site, status);
    say(cx, head, why);
}

/// Answers what the peer did wrong; the connection closes.
pub(crate) fn refuse_peer(why: PeerError, cx: &mut Cx<'_>) {
    let status = why.status().unwrap_or(Status::BAD_REQUEST);
    let overloaded = why == PeerError::Overloaded;
    let head = error_head(cx.site, status).field_opt("Retry-After", overloaded.then_some("1"));
    let body = text(status, &why.to_string());
    cx.answer(Answer::Last(head, body));
}

/// As [`refuse`], and closes the connection: the framing of what follows cannot be trusted.
pub(super) fn refuse_last(cx: &mut Cx<'_>, status: Status, why: &str) {
    let body = text(status, why);
    cx.answer(Answer::Last(error_head(cx.site, status), body));
}

pub(super) fn say(cx: &mut Cx<'_>, head: ResponseHead, why: &str) {
    let body = text(head.status(), why);
    cx.answer(Answer::Whole(head, body));
}

fn text(status: Status, why: &str) -> Vec<Part> {
    vec![Part::Bytes(format!("{status}: {why}\n").into())]
}

/// The status that tells a peer of a failed effect.
pub(super) fn fs_status(error: FsError) -> Status {
    match error {
        FsError::NotFound | FsError::NameTooLong => Status::NOT_FOUND,
        FsError::IsDirectory | FsError::NotRegular | FsError::Outside | FsError::Denied => {
            Status::FORBIDDEN
        }
        FsError::Full => Status::INSUFFICIENT_STORAGE,
        FsError::Changed => Status::PRECONDITION_FAILED,
        FsError::Hole(_) => Status::RANGE_NOT_SATISFIABLE,
        FsError::Exhausted => Status::SERVICE_UNAVAILABLE,
        FsError::Other(_) => Status::INTERNAL_SERVER_ERROR,
    }
}
