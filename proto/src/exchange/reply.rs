//! What an exchange says, and the heads of its responses.

use crate::{
    fs::FsError,
    http::{BodySize, Part, ResponseHead, Status},
    semantics::conditional::Validators,
    site::Site,
};

/// What an exchange wants said.
#[derive(Debug)]
pub(crate) enum Reply {
    /// Let this much of the request's body come.
    Grant(u64),
    /// All that comes is the request's body.
    TakeRest,
    /// The head of an answer that is given before the request's body is whole.
    Endless(ResponseHead),
    /// The whole answer.
    Whole(ResponseHead, Vec<Part>),
    /// The whole answer, after which the connection closes.
    Last(ResponseHead, Vec<Part>),
    /// The head of an answer whose body goes on, and what is known of its size.
    Stream(ResponseHead, BodySize),
    /// More of that body.
    Part(Part),
    /// Its end.
    Finish,
    /// It cannot be ended well.
    Abort,
}

/// A head with what every answer carries.
pub(super) fn head(site: &Site, status: Status) -> ResponseHead {
    let agent = &site.config.server_header;
    ResponseHead::new(status).field_opt("Server", (!agent.is_empty()).then_some(agent))
}

/// A head with the fields that describe a representation of a file.
pub(super) fn described(site: &Site, status: Status, validators: &Validators) -> ResponseHead {
    head(site, status)
        .field_opt("ETag", validators.etag.as_deref())
        .field_opt("Last-Modified", validators.modified.map(httpdate::fmt_http_date))
}

/// The directives, made to speak of private caches alone.
pub(super) fn private(directives: &str) -> String {
    let shared = |directive: &&str| {
        let name = directive.split('=').next().unwrap_or_default().trim().to_ascii_lowercase();
        !matches!(name.as_str(), "public" | "private" | "s-maxage" | "proxy-revalidate" | "")
    };
    let kept = directives.split(',').map(str::trim).filter(shared);
    ["private"].into_iter().chain(kept).collect::<Vec<_>>().join(", ")
}

/// The head of an error, which has a line of text as its body.
pub(super) fn error_head(site: &Site, status: Status) -> ResponseHead {
    head(site, status).field("Content-Type", "text/plain; charset=utf-8")
}

/// The status that tells a peer of a failed effect.
pub(super) fn fs_status(error: FsError) -> Status {
    match error {
        FsError::NotFound | FsError::NameTooLong => Status::NOT_FOUND,
        FsError::IsDirectory | FsError::NotRegular | FsError::Outside | FsError::Denied => {
            Status::FORBIDDEN
        }
        FsError::Full | FsError::MemoryFull => Status::INSUFFICIENT_STORAGE,
        FsError::Changed => Status::PRECONDITION_FAILED,
        FsError::Hole(_) => Status::RANGE_NOT_SATISFIABLE,
        FsError::Exhausted => Status::SERVICE_UNAVAILABLE,
        FsError::Unflushed | FsError::Other(_) => Status::INTERNAL_SERVER_ERROR,
    }
}
