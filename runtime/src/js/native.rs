//! What the prelude calls: the server's side of the requests, timers and the log.

use std::{
    cell::RefCell,
    collections::{BTreeSet, HashMap},
    path::Path,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use httpout_proto::FsError;
use rquickjs::{Ctx, Function, Object, Value};

use super::engine::{Failure, describe_thrown};
use crate::hook::{
    Bytes, Facts, Fault, Headers, HookDecision, Method, Piece, Reply, Request, Status,
};

/// The requests and timers of one engine.
#[derive(Default)]
pub(super) struct State {
    slots: RefCell<HashMap<u64, Slot>>,
    /// What was told in the call under way: an exception that goes on from there is not told again.
    told: RefCell<Vec<String>>,
    timers: RefCell<Timers>,
}

/// A request that is under way.
struct Slot {
    facts: Arc<Facts>,
    /// `None` once it was answered.
    request: Option<Request>,
    /// Bytes of an answer that is read, where it said how many.
    left: Option<u64>,
    /// Its body was taken, and this is to be answered.
    end: Option<Reply<HookDecision>>,
    /// The script failed to take the body.
    broken: bool,
    /// Callbacks whose failure was told, which is done once.
    failed: Vec<&'static str>,
}

/// What waits for a verdict.
enum Waiting {
    Request(Request),
    End(Reply<HookDecision>),
}

#[derive(Default)]
struct Timers {
    due: BTreeSet<(Instant, u64)>,
    at: HashMap<u64, Instant>,
}

/// What `send` gathered.
struct Sent {
    kind: String,
    reply: f64,
    body: Bytes,
    headers: Vec<String>,
    throttled: bool,
}

impl State {
    pub(super) fn begin(&self, id: u64, request: Request) {
        let facts = request.facts().clone();
        self.slots.borrow_mut().insert(
            id,
            Slot {
                facts,
                request: Some(request),
                left: None,
                end: None,
                broken: false,
                failed: Vec::new(),
            },
        );
    }

    pub(super) fn knows(&self, id: u64) -> bool {
        self.slots.borrow().contains_key(&id)
    }

    pub(super) fn is_idle(&self) -> bool {
        self.slots.borrow().is_empty()
    }

    pub(super) fn end(&self, id: u64) {
        let slot = self.slots.borrow_mut().remove(&id);
        if let Some(Slot { request: Some(_), facts, .. }) = slot {
            tracing::warn!(target: "script", request = facts.describe(), "send() was not called in time");
        }
    }

    pub(super) fn clear(&self) {
        self.slots.borrow_mut().clear();
    }

    /// The script failed for this request, which is answered if it was not: 503 if that took too
    /// long, else 500.
    pub(super) fn fail(&self, id: u64, what: &str, failure: &Failure) {
        if !self.was_told(&failure.text) {
            self.complain(id, &format!("{what}: {}", failure.text));
            self.told.borrow_mut().push(failure.text.clone());
        }
        match self.take(id) {
            Some(Waiting::Request(request)) if failure.late => request.postpone(),
            Some(Waiting::End(reply)) if failure.late => reply.fail(FsError::Exhausted),
            Some(Waiting::Request(_) | Waiting::End(_)) | None => {}
        }
    }

    /// Its body is whole; what `send` gathers next is the answer.
    pub(super) fn await_end(&self, id: u64, reply: Reply<HookDecision>) {
        if let Some(slot) = self.slots.borrow_mut().get_mut(&id) {
            slot.end = Some(reply);
        }
    }

    /// Tells in the log what is wrong with a request's treatment.
    pub(super) fn complain(&self, id: u64, problem: &str) {
        let facts = self.facts(id);
        let request = facts.map(|facts| facts.describe()).unwrap_or_default();
        tracing::error!(target: "script", request, "{problem}");
    }

    /// The same for a callback that is called again and again: once for each request.
    pub(super) fn complain_once(&self, id: u64, what: &'static str, problem: &str) {
        let is_first = self.slots.borrow_mut().get_mut(&id).is_none_or(|slot| {
            let is_first = !slot.failed.contains(&what);
            if is_first {
                slot.failed.push(what);
            }
            is_first
        });
        if is_first {
            self.complain(id, &format!("{what}: {problem}"));
        }
    }

    /// True if this was told in the call under way.
    pub(super) fn was_told(&self, text: &str) -> bool {
        self.told.borrow().iter().any(|told| told == text)
    }

    /// A call begins.
    pub(super) fn forget_told(&self) {
        self.told.borrow_mut().clear();
    }

    /// True if the script failed to take the body, so that the upload fails.
    pub(super) fn is_broken(&self, id: u64) -> bool {
        self.slots.borrow().get(&id).is_some_and(|slot| slot.broken)
    }

    fn break_off(&self, id: u64) {
        if let Some(slot) = self.slots.borrow_mut().get_mut(&id) {
            slot.broken = true;
        }
    }

    /// Keeps to the length that was said: what goes beyond is left out, what is missing is told.
    pub(super) fn count(&self, id: u64, piece: Piece) -> Piece {
        let mut slots = self.slots.borrow_mut();
        let Some(Slot { left: Some(left), facts, .. }) = slots.get_mut(&id) else { return piece };
        match &piece {
            Piece::Bytes(bytes) if bytes.len() as u64 > *left => {
                tracing::error!(target: "script", request = facts.describe(), "read gives more than Content-Length says");
                *left = 0;
            }
            Piece::Bytes(bytes) => *left -= bytes.len() as u64,
            Piece::End if *left > 0 => {
                tracing::error!(target: "script", request = facts.describe(), "read gives {left} bytes less than Content-Length says");
            }
            Piece::End | Piece::NotYet => {}
        }
        piece
    }

    fn take(&self, id: u64) -> Option<Waiting> {
        let mut slots = self.slots.borrow_mut();
        let slot = slots.get_mut(&id)?;
        let request = slot.request.take().map(Waiting::Request);
        request.or_else(|| slot.end.take().map(Waiting::End))
    }

    fn facts(&self, id: u64) -> Option<Arc<Facts>> {
        self.slots.borrow().get(&id).map(|slot| slot.facts.clone())
    }

    fn send(&self, id: u64, sent: Sent) {
        let Some(facts) = self.facts(id) else { return };
        match sent.verdict(&facts) {
            Ok((verdict, left)) => {
                if let Some(slot) = self.slots.borrow_mut().get_mut(&id) {
                    slot.left = left;
                }
                match self.take(id) {
                    Some(Waiting::Request(request)) => request.answer(Ok(verdict)),
                    Some(Waiting::End(reply)) => reply.send(verdict),
                    None => {}
                }
            }
            Err(problem) => {
                self.complain(id, &problem);
                drop(self.take(id));
            }
        }
    }

    /// Nothing was said: the server goes on.
    fn pass(&self, id: u64, throttled: bool) {
        if let Some(Waiting::Request(request)) = self.take(id) {
            let verdict = HookDecision::pass(Headers::default());
            request.answer(verdict.map(|it| if throttled { it.throttled() } else { it }));
        }
    }

    /// The script has no more part in a request, which it let go.
    pub(super) fn forget(&self, id: u64) {
        self.slots.borrow_mut().remove(&id);
    }

    // ---- timers ----

    pub(super) fn next_timer(&self) -> Option<Instant> {
        self.timers.borrow().due.first().map(|(at, _)| *at)
    }

    pub(super) fn due_timers(&self, now: Instant) -> Vec<u64> {
        let mut timers = self.timers.borrow_mut();
        let mut due = Vec::new();
        while let Some(&(at, id)) = timers.due.first().filter(|(at, _)| *at <= now) {
            timers.due.remove(&(at, id));
            timers.at.remove(&id);
            due.push(id);
        }
        due
    }

    fn arm(&self, id: u64, millis: f64) {
        let delay = Duration::try_from_secs_f64(millis.max(0.0) / 1e3).unwrap_or(FAR);
        let at = Instant::now() + delay.min(FAR);
        self.disarm(id);
        let mut timers = self.timers.borrow_mut();
        timers.due.insert((at, id));
        timers.at.insert(id, at);
    }

    fn disarm(&self, id: u64) {
        let mut timers = self.timers.borrow_mut();
        if let Some(at) = timers.at.remove(&id) {
            timers.due.remove(&(at, id));
        }
    }
}

/// Later than any timer is set to.
const FAR: Duration = Duration::from_secs(365 * 24 * 3600);

impl Sent {
    /// What it means, and how many bytes it says that it will read.
    fn verdict(self, facts: &Facts) -> Result<(HookDecision, Option<u64>), String> {
        let mut headers = Headers::default();
        for pair in self.headers.chunks_exact(2) {
            headers.add(&pair[0], &pair[1]).map_err(|fault| fault.to_string())?;
        }
        let status = || {
            let code = if (0.0..1000.0).contains(&self.reply) { self.reply as u16 } else { 0 };
            Status::from_code(code)
                .ok_or_else(|| format!("reply is {}: it must be 0, or from 200 to 599", self.reply))
        };
        let left = headers.content_length();
        // An answer to HEAD, or without content, may say how long the body of a GET is.
        let says_length =
            facts.question().method == Method::Head || matches!(self.reply as u16, 204 | 304);
        let verdict = match self.kind.as_str() {
            "pass" if self.body.is_empty() => HookDecision::pass(headers),
            "pass" => match file(facts, &self.body) {
                Ok(place) => HookDecision::file(place, headers),
                Err(problem) => {
                    tracing::warn!(target: "script", request = facts.describe(), "{problem}");
                    HookDecision::pass(headers)
                }
            },
            "take" => {
                status()?;
                Ok(HookDecision::take())
            }
            "read" => HookDecision::read(status()?, headers),
            _ if self.body.is_empty() && left.is_some_and(|left| left > 0) && !says_length => {
                let fault = Fault::Length { said: left.unwrap_or(0), is: 0 };
                return Err(fault.to_string());
            }
            _ => HookDecision::answer(status()?, headers, self.body),
        };
        let verdict = verdict.map_err(|fault| fault.to_string())?;
        Ok((if self.throttled { verdict.throttled() } else { verdict }, left))
    }
}

fn file(facts: &Facts, path: &Bytes) -> Result<httpout_proto::fs::Place, String> {
    let path = std::str::from_utf8(path).map_err(|error| error.to_string())?;
    facts.file(Path::new(path)).ok_or_else(|| {
        format!("body is {path:?}, which lies in no directory of --rdirs, --wdir, a rule file or --js-dirs")
    })
}

/// The object that the prelude is called with.
pub(super) fn object<'js>(ctx: &Ctx<'js>, state: &Rc<State>) -> rquickjs::Result<Object<'js>> {
    let native = Object::new(ctx.clone())?;
    let own = || state.clone();

    let state = own();
    native.set(
        "send",
        Function::new(
            ctx.clone(),
            move |id: f64,
                  kind: String,
                  reply: f64,
                  body: String,
                  coded: bool,
                  headers: Vec<String>,
                  throttled: bool| {
                let body = match coded {
                    true => BASE64_STANDARD.decode(body).unwrap_or_default().into(),
                    false => body.into(),
                };
                state.send(id as u64, Sent { kind, reply, body, headers, throttled });
            },
        )?,
    )?;
    let state = own();
    native.set(
        "pass",
        Function::new(ctx.clone(), move |id: f64, throttled: bool| {
            state.pass(id as u64, throttled);
        })?,
    )?;
    let state = own();
    native.set(
        "fault",
        Function::new(ctx.clone(), move |id: f64, what: String, thrown: Value<'_>| {
            let failure = Failure { text: describe_thrown(&thrown), late: false };
            state.fail(id as u64, &what, &failure);
        })?,
    )?;
    let state = own();
    native.set(
        "broke",
        Function::new(ctx.clone(), move |id: f64, what: String, thrown: Value<'_>| {
            let failure = Failure { text: describe_thrown(&thrown), late: false };
            state.break_off(id as u64);
            state.fail(id as u64, &what, &failure);
        })?,
    )?;
    let state = own();
    native.set("fields", Function::new(ctx.clone(), move |id: f64| fields(&state, id as u64))?)?;
    let state = own();
    native.set(
        "facts",
        Function::new(ctx.clone(), move |ctx: Ctx<'js>, id: f64| known(&ctx, &state, id as u64))?,
    )?;
    let state = own();
    native.set(
        "arm",
        Function::new(ctx.clone(), move |id: f64, millis: f64| state.arm(id as u64, millis))?,
    )?;
    let state = own();
    native.set("disarm", Function::new(ctx.clone(), move |id: f64| state.disarm(id as u64))?)?;
    native.set("log", Function::new(ctx.clone(), |level: f64, text: String| log(level, &text))?)?;
    Ok(native)
}

/// The request's fields, as pairs.
fn fields(state: &State, id: u64) -> Vec<Vec<String>> {
    let Some(facts) = state.facts(id) else { return Vec::new() };
    let fields = &facts.question().fields;
    fields
        .iter()
        .map(|(name, value)| vec![name.to_owned(), String::from_utf8_lossy(value).into_owned()])
        .collect()
}

/// What else is known of the request.
fn known<'js>(ctx: &Ctx<'js>, state: &State, id: u64) -> rquickjs::Result<Object<'js>> {
    let known = Object::new(ctx.clone())?;
    if let Some(facts) = state.facts(id) {
        let question = facts.question();
        let target = &question.target;
        known.set("tls", question.tls)?;
        known.set("netid", facts.connection() as f64)?;
        known.set("ip", facts.peer().ip().to_string())?;
        known.set("port", facts.peer().port())?;
        known.set("user", question.user.as_deref())?;
        known.set("path", format!("/{}", target.path.as_str()))?;
        known.set("query", target.query.as_deref())?;
    }
    Ok(known)
}

fn log(level: f64, text: &str) {
    if level <= 1.0 {
        tracing::error!(target: "script", "{text}");
    } else if level <= 2.0 {
        tracing::warn!(target: "script", "{text}");
    } else if level <= 3.0 {
        tracing::info!(target: "script", "{text}");
    } else {
        tracing::debug!(target: "script", "{text}");
    }
}
