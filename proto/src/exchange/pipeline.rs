//! The stages of a request, in their order:
//!
//! 1. route: the target is decoded; OPTIONS, the clock and the admin address are answered;
//! 2. authorize: the rules decide, where there are some;
//! 3. hook: the embedding program or a script decides, where there is one;
//! 4. live: a live resource, a title, an Icecast source, or an upload that is handed on;
//! 5. stored: a file or directory, by the method.

use super::{
    about::Role,
    authorize::Authorization,
    context::{ExchangeContext, Handler, Next},
    error::{NOT_LISTED, redirect, refuse, refuse_peer, say, say_refusal},
    handlers::{
        builtin::{self, Admin},
        delete::Delete,
        deliver::Deliver,
        get::Get,
        hooked::Hooked,
        icecast_source::{self, IcecastSource},
        index::Index,
        list::List,
        listen::Listen,
        metadata::{self, Metadata},
        upload::Upload,
    },
    origin,
    refusal::Refusal,
    reply::{Reply, error_head, head},
    request::{Request, action},
};
use crate::{
    error::PeerError,
    fs::Place,
    http::{Method, RequestHead, RequestTarget, Status, Use},
    live::Text,
    semantics::target::{self, Target},
    site::{Action, Resolved, cors},
};

/// Begins a request; `None` if its response is complete.
pub(crate) fn start(
    head: Box<RequestHead>,
    role: Role,
    cx: &mut ExchangeContext<'_>,
) -> Option<Box<dyn Handler>> {
    let next = route(head, role, cx)?;
    go_on(next, cx)
}

/// Takes a request to its next stage; `None` if its response is complete.
pub(crate) fn go_on(next: Next, cx: &mut ExchangeContext<'_>) -> Option<Box<dyn Handler>> {
    let mut handler = stage(next, cx);
    while let Some(next) = cx.next.take() {
        handler = stage(next, cx).or(handler);
    }
    handler
}

fn stage(next: Next, cx: &mut ExchangeContext<'_>) -> Option<Box<dyn Handler>> {
    match next {
        Next::Handler(handler) => Some(handler),
        Next::Authorized { request, refusal, ended } if cx.site.config.hook => {
            Some(Hooked::start(request, refusal, ended, cx))
        }
        Next::Authorized { request, refusal, ended } | Next::Passed { request, refusal, ended } => {
            obey(request, refusal, ended, cx)
        }
        Next::Taken { hook, head, ended } => Some(Deliver::to_hook(hook, &head, ended, cx)),
        Next::Concluded { hook, verdict } => Some(Hooked::conclude(hook, verdict, cx)),
        Next::Title { head, target, title } => retitle(head, target, title, cx),
        Next::NotLive(request) => stored(request, cx),
        Next::File { head, target, place } => Some(Box::new(Get::start(head, target, place, cx))),
        Next::Directory { head, target, place } => directory(head, target, place, cx),
    }
}

/// Route: decodes the target, and answers what needs no rights.
fn route(head: Box<RequestHead>, role: Role, cx: &mut ExchangeContext<'_>) -> Option<Next> {
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
        return Admin::start(&head, &target, cx).map(|admin| Next::Handler(Box::new(admin)));
    }
    if is_metadata {
        return Metadata::start(head, target, cx);
    }
    let is_source = cx.site.config.icecast && icecast_source::is_source(&head);
    if cx.site.config.hook && !is_source && !builtin::is_clock(&target) {
        return ask(head, target, cx);
    }
    let method = head.method;
    if !is_source && !is_served(method) {
        refuse_peer(PeerError::Method, cx);
        return None;
    }
    if method == Method::Options {
        options(&head, cx);
        return None;
    }
    if method.is_safe() && builtin::is_clock(&target) {
        builtin::tell_time(&target, cx);
        return None;
    }
    if keeps_nothing(method, cx) {
        return None;
    }
    let resolved = if is_source && !cx.site.mounts.has_rules() {
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
    if cx.site.mounts.has_rules() {
        return Authorization::start(request, cx);
    }
    live(request, cx).map(Next::Handler)
}

/// Asks the hook about a request, once its rights are known.
fn ask(head: Box<RequestHead>, target: Target, cx: &mut ExchangeContext<'_>) -> Option<Next> {
    // A browser sends no password with a preflight, and what is reserved is no file.
    let names_no_file = head.method == Method::Options || target.is_reserved();
    let resolved = match head.method.is_safe() {
        true if names_no_file => Resolved::Nothing,
        true => cx.site.mounts.resolve(&target.path),
        false => resolve_write(&target, cx),
    };
    let request = Request { head, target, resolved, title: None };
    if cx.site.mounts.has_rules() {
        return Authorization::start(request, cx);
    }
    Some(Next::Authorized { request, refusal: None, ended: false })
}

/// Serves a request, unless its rights refuse it.
fn obey(
    request: Request,
    refusal: Option<Refusal>,
    ended: bool,
    cx: &mut ExchangeContext<'_>,
) -> Option<Box<dyn Handler>> {
    if let Some(refusal) = refusal {
        say_refusal(refusal, cx);
        return None;
    }
    let mut handler = match cx.site.config.hook {
        true => passed(request, cx),
        false => live(request, cx),
    }?;
    if ended {
        handler.on_end(cx);
    }
    Some(handler)
}

/// Serves a request that the hook leaves to the server.
fn passed(request: Request, cx: &mut ExchangeContext<'_>) -> Option<Box<dyn Handler>> {
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
    live(request, cx)
}

/// Live: what clients and the embedding program publish goes before files.
fn live(request: Request, cx: &mut ExchangeContext<'_>) -> Option<Box<dyn Handler>> {
    if let Some(title) = request.title {
        return Some(Metadata::update(request.target.path, title, cx));
    }
    if cx.site.config.icecast && icecast_source::is_source(&request.head) {
        return IcecastSource::start(&request, cx);
    }
    if cx.site.config.source && request.action() == Action::Write {
        return Deliver::start(&request.head, &request.target, cx);
    }
    let reads = matches!(request.head.method, Method::Get | Method::Head);
    if cx.site.config.live && reads && !request.target.directory {
        return Some(Box::new(Listen::start(request, cx)));
    }
    stored(request, cx)
}

/// Stored: files and directories.
fn stored(request: Request, cx: &mut ExchangeContext<'_>) -> Option<Box<dyn Handler>> {
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
            Some(name) => {
                let next = Index::start(head, target, place, &name, cx);
                go_on(next, cx)
            }
            None => directory(head, target, place, cx),
        },
        Method::Get | Method::Head => Some(Box::new(Get::start(head, target, place, cx))),
        Method::Put | Method::Post | Method::Patch => {
            if target.directory {
                refuse(cx, Status::CONFLICT, "a file's URL does not end in a slash");
                return None;
            }
            let upload = Upload::start(&head, &target, place, cx)?;
            Some(Box::new(upload))
        }
        Method::Delete => Some(Box::new(Delete::start(head, place, target.directory, cx))),
    }
}

/// Begins to answer with a directory, by its listing if there is to be one.
fn directory(
    head: Box<RequestHead>,
    target: Target,
    place: Place,
    cx: &mut ExchangeContext<'_>,
) -> Option<Box<dyn Handler>> {
    if cx.site.config.list_directories {
        return Some(Box::new(List::of_directory(&head, target, place, cx)));
    }
    Some(Box::new(Get::start(head, target, place, cx)))
}

/// Segments of a path that may be written to: each may cost a directory.
const DEEPEST: usize = 64;

/// Where a request that changes something leads.
fn resolve_write(target: &Target, cx: &ExchangeContext<'_>) -> Resolved {
    if cx.site.config.source {
        cx.site.mounts.resolve_delivery(&target.path)
    } else {
        cx.site.mounts.resolve_write(&target.path)
    }
}

/// The title of a live resource: the right to send the resource is the right to set it.
fn retitle(
    head: Box<RequestHead>,
    target: Target,
    title: Text,
    cx: &mut ExchangeContext<'_>,
) -> Option<Box<dyn Handler>> {
    if !cx.site.mounts.has_rules() {
        let request = Request { head, target, resolved: Resolved::Nothing, title: Some(title) };
        return live(request, cx);
    }
    let resolved = resolve_write(&target, cx);
    if refuses_write(&target, &resolved, cx) {
        return None;
    }
    let next = Authorization::start(Request { head, target, resolved, title: Some(title) }, cx)?;
    stage(next, cx)
}

/// True if the server itself answers requests of this method, those of Icecast's source clients
/// aside.
fn is_served(method: Method) -> bool {
    method.uses().iter().any(|one| *one != Use::Icecast)
}

/// True if what is asked for is never done where uploads are handed on, which is said then.
fn keeps_nothing(method: Method, cx: &mut ExchangeContext<'_>) -> bool {
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
fn refuses_write(target: &Target, resolved: &Resolved, cx: &mut ExchangeContext<'_>) -> bool {
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
fn options(request: &RequestHead, cx: &mut ExchangeContext<'_>) {
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
    cx.reply(Reply::Whole(head, Vec::new()));
}
