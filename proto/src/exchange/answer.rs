//! Answers, and which kind of exchange a request begins.

use super::{
    Cx, Handler, Role,
    admission::Admission,
    cast::{self, Cast},
    delete::Delete,
    deliver::Deliver,
    get::Get,
    hooked::Hooked,
    index::Index,
    list::List,
    listen::Listen,
    metadata::{self, Metadata},
    origin,
    own::{self, Admin},
    upload::Upload,
};
use crate::semantics::{
    conditional::Validators,
    target::{self, Target},
};
use crate::{
    error::PeerError,
    fs::{FsError, Place},
    http::{BodySize, Method, Part, RequestHead, RequestTarget, ResponseHead, Status, Use},
    live::Text,
    site::{Action, Resolved, Site, cors},
};

/// What an exchange wants said.
#[derive(Debug)]
pub(crate) enum Answer {
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

/// A request, and what its path means.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) head: Box<RequestHead>,
    pub(super) target: Target,
    pub(super) resolved: Resolved,
    /// What is played by the live resource that the target names, where the request tells that and
    /// no more.
    pub(super) title: Option<Text>,
}

impl Request {
    pub(super) fn action(&self) -> Action {
        if self.title.is_some() { Action::Write } else { action(self.head.method) }
    }
}

/// What a request of this method does to a resource.
pub(super) fn action(method: Method) -> Action {
    if method.is_safe() { Action::Read } else { Action::Write }
}

/// Begins to answer a request; `None` if nothing remains to be done.
pub(crate) fn start(
    head: Box<RequestHead>,
    role: Role,
    cx: &mut Cx<'_>,
) -> Option<Box<dyn Handler>> {
    let path = match &head.target {
        RequestTarget::Asterisk => {
            options(&head, cx);
            return None;
        }
        RequestTarget::Path(path) => path,
    };
    let target = match target::decode(path) {
        Ok(target) => target,
        Err(why) => {
            refuse(cx, Status::BAD_REQUEST, why);
            return None;
        }
    };
    let is_metadata = cx.site.config.icecast && metadata::is_metadata(&head, &target);
    // What is played is changed by GET, too.
    let done = if is_metadata { Action::Write } else { action(head.method) };
    if let Some(why) = origin::refusal(&head, done, cx) {
        refuse(cx, Status::FORBIDDEN, why);
        return None;
    }
    if role == Role::Admin {
        return Admin::start(&head, &target, cx).map(boxed);
    }
    if is_metadata {
        return Metadata::start(head, target, cx);
    }
    let casts = cx.site.config.icecast && cast::is_source(&head);
    if cx.site.config.hook && !casts && !own::is_clock(&target) {
        return ask(head, target, cx);
    }
    let method = head.method;
    if !casts && !is_served(method) {
        refuse_peer(PeerError::Method, cx);
        return None;
    }
    if method == Method::Options {
        options(&head, cx);
        return None;
    }
    if method.is_safe() && own::is_clock(&target) {
        own::tell_time(&target, cx);
        return None;
    }
    if keeps_nothing(method, cx) {
        return None;
    }
    let resolved = if casts && !cx.site.mounts.has_rules() {
        // Without rules, a source's path need not lead to a directory.
        Resolved::Nothing
    } else if method.is_safe() {
        if target.is_reserved() {
            refuse(cx, Status::NOT_FOUND, "no such file");
            return None;
        }
        cx.site.mounts.resolve(&target.path)
    } else {
        let resolved = resolve_write(&target, cx);
        if refuses_write(&target, &resolved, cx) {
            return None;
        }
        resolved
    };
    let request = Request { head, target, resolved, title: None };
    if cx.site.mounts.has_rules() { Admission::start(request, cx) } else { begin(request, cx) }
}

/// Lets the hook have its say on the request, once its rights are known.
fn ask(head: Box<RequestHead>, target: Target, cx: &mut Cx<'_>) -> Option<Box<dyn Handler>> {
    // A browser sends no password with a preflight, and what is reserved is no file.
    let names_no_file = head.method == Method::Options || target.is_reserved();
    let resolved = match head.method.is_safe() {
        true if names_no_file => Resolved::Nothing,
        true => cx.site.mounts.resolve(&target.path),
        false => resolve_write(&target, cx),
    };
    let request = Request { head, target, resolved, title: None };
    if cx.site.mounts.has_rules() {
        return Admission::start(request, cx);
    }
    Some(Hooked::start(request, None, false, cx))
}

/// Begins what the request asks for, to which a hook had nothing to say.
pub(super) fn begin_asked(request: Request, cx: &mut Cx<'_>) -> Option<Box<dyn Handler>> {
    if request.head.method == Method::Options {
        options(&request.head, cx);
        return None;
    }
    // Source clients that may cast were not asked about.
    if !is_served(request.head.method) {
        refuse_peer(PeerError::Method, cx);
        return None;
    }
    if keeps_nothing(request.head.method, cx) {
        return None;
    }
    if request.action() == Action::Write && refuses_write(&request.target, &request.resolved, cx) {
        return None;
    }
    begin(request, cx)
}

/// Begins what the request asks for, which it may: a live resource goes first.
pub(super) fn begin(request: Request, cx: &mut Cx<'_>) -> Option<Box<dyn Handler>> {
    if let Some(title) = request.title {
        return Some(Metadata::update(request.target.path, title, cx));
    }
    if cx.site.config.icecast && cast::is_source(&request.head) {
        return Cast::start(&request, cx);
    }
    if cx.site.config.source && request.action() == Action::Write {
        return Deliver::start(&request.head, &request.target, cx);
    }
    let reads = matches!(request.head.method, Method::Get | Method::Head);
    if cx.site.config.live && reads && !request.target.directory {
        return Some(Box::new(Listen::start(request, cx)));
    }
    begin_stored(request, cx)
}

/// Begins what the request asks for, which it may and which is not live.
pub(super) fn begin_stored(request: Request, cx: &mut Cx<'_>) -> Option<Box<dyn Handler>> {
    let Request { head, target, resolved, .. } = request;
    let place = match resolved {
        Resolved::Place(place) => place,
        Resolved::Mounts(names) if cx.site.config.list_directories => {
            if !target.directory {
                redirect(&target, cx);
                return None;
            }
            return Some(Box::new(List::of_mounts(&head, target, names, cx)));
        }
        Resolved::Mounts(_) => {
            refuse(cx, Status::FORBIDDEN, NOT_LISTED);
            return None;
        }
        Resolved::Virtual(_) | Resolved::Nothing => {
            refuse(cx, Status::NOT_FOUND, "no such file");
            return None;
        }
    };
    match head.method {
        Method::Options | Method::Source | Method::Other(_) => None,
        Method::Get | Method::Head if target.directory => match cx.site.config.index.clone() {
            Some(name) => Index::start(head, target, place, &name, cx),
            None => directory(head, target, place, cx),
        },
        Method::Get | Method::Head => Some(Box::new(Get::start(head, target, place, cx))),
        Method::Put | Method::Post | Method::Patch => {
            if target.directory {
                refuse(cx, Status::CONFLICT, "a file's URL does not end in a slash");
                return None;
            }
            Upload::start(&head, &target, place, cx).map(boxed)
        }
        Method::Delete => Some(Box::new(Delete::start(head, place, target.directory, cx))),
    }
}

fn boxed(handler: impl Handler + 'static) -> Box<dyn Handler> {
    Box::new(handler)
}

/// Begins to answer with a directory, by its listing if there is to be one.
pub(super) fn directory(
    head: Box<RequestHead>,
    target: Target,
    place: Place,
    cx: &mut Cx<'_>,
) -> Option<Box<dyn Handler>> {
    if cx.site.config.list_directories {
        return Some(Box::new(List::of_directory(&head, target, place, cx)));
    }
    Some(Box::new(Get::start(head, target, place, cx)))
}

pub(super) const NOT_LISTED: &str = "directories are not listed";

/// Segments of a path that may be written to: each may cost a directory.
const DEEPEST: usize = 64;

/// Where a request that changes something leads.
pub(super) fn resolve_write(target: &Target, cx: &Cx<'_>) -> Resolved {
    if cx.site.config.source {
        cx.site.mounts.resolve_delivery(&target.path)
    } else {
        cx.site.mounts.resolve_write(&target.path)
    }
}

/// True if the server itself answers requests of this method, those of Icecast's source clients
/// aside.
fn is_served(method: Method) -> bool {
    method.uses().iter().any(|one| *one != Use::Icecast)
}

/// True if what is asked for is never done where uploads are handed on, which is said then.
fn keeps_nothing(method: Method, cx: &mut Cx<'_>) -> bool {
    let is_taken = method.uses().iter().any(|one| UPLOADS.contains(one));
    if !cx.site.config.source || is_taken {
        return false;
    }
    let allow = Method::allow(UPLOADS);
    let head = error_head(cx.site, Status::METHOD_NOT_ALLOWED).field("Allow", allow);
    say(cx, head, "uploads are taken here and handed on: nothing is kept");
    true
}

/// True if nothing can be changed there, which is said then.
pub(super) fn refuses_write(target: &Target, resolved: &Resolved, cx: &mut Cx<'_>) -> bool {
    let source = cx.site.config.source;
    if source && cx.site.mounts.has_rules() && *resolved == Resolved::Nothing {
        refuse(cx, Status::FORBIDDEN, "no rule gives a right to that");
        return true;
    }
    if !source && *resolved == Resolved::Nothing {
        let allow = Method::allow(READ_ONLY);
        let head = error_head(cx.site, Status::METHOD_NOT_ALLOWED).field("Allow", allow);
        say(cx, head, "nothing can be written here: the server has no write directory");
        return true;
    }
    if target.is_reserved() {
        refuse(cx, Status::FORBIDDEN, "this name is reserved");
        return true;
    }
    if target.path.as_str().matches('/').count() >= DEEPEST {
        refuse(cx, Status::BAD_REQUEST, "the path has too many segments");
        return true;
    }
    false
}

/// What is possible where uploads are handed on.
const UPLOADS: &[Use] = &[Use::Ask, Use::Deliver];
/// What is possible where nothing can be written.
const READ_ONLY: &[Use] = &[Use::Ask, Use::Read];
/// What is possible where files can be written.
const ALL: &[Use] = &[Use::Ask, Use::Read, Use::Write];

/// OPTIONS, and the preflight of a page of another origin. Never needs a password: a browser sends
/// none with it.
fn options(request: &RequestHead, cx: &mut Cx<'_>) {
    let path = match &request.target {
        RequestTarget::Asterisk => None,
        RequestTarget::Path(path) => target::decode(path).ok(),
    };
    let writable = path.map_or_else(
        || cx.site.mounts.take_uploads(),
        |target| cx.site.mounts.resolve_write(&target.path) != Resolved::Nothing,
    );
    let allow = match cx.site.config.source {
        true => UPLOADS,
        false if writable => ALL,
        false => READ_ONLY,
    };
    // libshout sends only what it finds here; pages of other origins are not told of it.
    let icecast: &[Use] = if cx.site.config.icecast { &[Use::Icecast] } else { &[] };
    let mut head =
        head(cx.site, Status::OK).field("Allow", Method::allow(&[allow, icecast].concat()));
    let cors = cx.site.config.cors.applies(cx.about.cross_origin);
    if let Some(names) = cors::preflight(&request.fields).filter(|_| cors) {
        let granted = match (origin::may_be_granted(&request.fields, cx), cx.site.config.source) {
            (true, _) => allow,
            (false, true) => &[Use::Ask],
            (false, false) => READ_ONLY,
        };
        head = head
            .field("Access-Control-Allow-Methods", Method::allow(granted))
            .field("Access-Control-Allow-Headers", names)
            .field("Access-Control-Max-Age", cors::MAX_AGE);
    }
    cx.answer(Answer::Whole(head, Vec::new()));
}

/// To the URL with a slash at its end.
pub(super) fn redirect(target: &Target, cx: &mut Cx<'_>) {
    let query = target.query.as_ref().map(|query| format!("?{query}"));
    let location = format!("{}/{}", target::encode(&target.path), query.unwrap_or_default());
    let head = error_head(cx.site, Status::MOVED_PERMANENTLY).field("Location", location);
    say(cx, head, "a directory's URL ends in a slash");
}

/// A head with what every answer carries.
pub(super) fn head(site: &Site, status: Status) -> ResponseHead {
    let agent = &site.config.server_header;
    ResponseHead::new(status).field_opt("Server", (!agent.is_empty()).then_some(agent))
}

/// A head with the fields that describe a representation of a file.
pub(super) fn described(cx: &Cx<'_>, status: Status, validators: &Validators) -> ResponseHead {
    head(cx.site, status)
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

/// Answers a request that waited for something which may not come any more, since the server is
/// going down.
pub(super) fn refuse_stopping(cx: &mut Cx<'_>) {
    let head = error_head(cx.site, Status::SERVICE_UNAVAILABLE).field("Retry-After", "1");
    say(cx, head, "the server is shutting down; try again");
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
        FsError::Full | FsError::MemoryFull => Status::INSUFFICIENT_STORAGE,
        FsError::Changed => Status::PRECONDITION_FAILED,
        FsError::Hole(_) => Status::RANGE_NOT_SATISFIABLE,
        FsError::Exhausted => Status::SERVICE_UNAVAILABLE,
        FsError::Unflushed | FsError::Other(_) => Status::INTERNAL_SERVER_ERROR,
    }
}
