//! One script in its engine, and the calls into it.

use std::{
    cell::{Cell, RefCell},
    fs,
    rc::Rc,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use rquickjs::{
    ArrayBuffer, CatchResultExt as _, CaughtError, Context, Ctx, Exception, Function, Object,
    Persistent, Runtime, Value,
    context::EvalOptions,
    function::{Args, IntoArgs},
};

use super::{
    JsOptions, module,
    native::{self, State},
};
use crate::hook::{Bytes, HookDecision, Pace, Piece, Reply, Request, Taken};

/// The stack of the script, in bytes.
const STACK: usize = 1 << 20;

/// Longest that a throttled answer is held back between two blocks.
const LONGEST: Duration = Duration::from_secs(3600);

/// A script that was loaded. The order counts: what holds values goes before what they live in.
pub(super) struct Engine {
    server: Server,
    state: Rc<State>,
    clock: Rc<Clock>,
    context: Context,
    runtime: Runtime,
    options: JsOptions,
    source: Rc<str>,
    exhausted: Cell<bool>,
    /// Promises that were rejected in the call under way and not caught: why.
    rejected: Rc<RefCell<Vec<String>>>,
}

type Call = Persistent<Function<'static>>;

/// What the prelude gives to be called.
struct Server {
    ask: Call,
    read: Call,
    write: Call,
    end: Call,
    pace: Call,
    close: Call,
    fire: Call,
}

/// When the call under way has to end.
#[derive(Default)]
struct Clock {
    until: Cell<Option<Instant>>,
    rang: Cell<bool>,
}

/// Why a call came to nothing.
pub(super) struct Failure {
    /// With the stack, where there is one.
    pub(super) text: String,
    /// It took too long.
    pub(super) late: bool,
}

impl Engine {
    /// Reads the script and runs it.
    ///
    /// # Errors
    /// Why it cannot be used, with the file and the line.
    pub(super) fn load(options: &JsOptions) -> Result<Self, String> {
        let file = options.file.display();
        let source =
            fs::read(&options.file).map_err(|error| format!("{file} cannot be read: {error}"))?;
        let source = String::from_utf8(source).map_err(|_| format!("{file} is not UTF-8"))?;
        Self::with(options.clone(), source.into())
    }

    /// The same script, without what it knew.
    pub(super) fn again(before: &Self) -> Result<Self, String> {
        Self::with(before.options.clone(), before.source.clone())
    }

    fn with(options: JsOptions, source: Rc<str>) -> Result<Self, String> {
        let none = |error: rquickjs::Error| format!("the engine cannot be had: {error}");
        let runtime = Runtime::new().map_err(none)?;
        runtime.set_memory_limit(options.memory);
        runtime.set_max_stack_size(STACK);
        let clock = Rc::new(Clock::default());
        let watched = clock.clone();
        runtime.set_interrupt_handler(Some(Box::new(move || watched.is_over())));
        let rejected = Rc::new(RefCell::new(Vec::new()));
        let noted = rejected.clone();
        runtime.set_host_promise_rejection_tracker(Some(Box::new(
            move |_, _, reason, is_handled| {
                note_rejection(&mut noted.borrow_mut(), &reason, is_handled);
            },
        )));
        runtime.set_loader(module::Beside, module::Files);
        let context = Context::full(&runtime).map_err(none)?;
        let state = Rc::new(State::default());
        let server = context.with(|ctx| {
            Server::new(&ctx, &state, options.block_size)
                .catch(&ctx)
                .map_err(|error| format!("the engine: {error}"))
        })?;
        let engine = Self {
            server,
            state,
            clock,
            context,
            runtime,
            options,
            source,
            exhausted: Cell::new(false),
            rejected,
        };
        engine.run_script()?;
        Ok(engine)
    }

    fn run_script(&self) -> Result<(), String> {
        let name = self.options.file.display().to_string();
        let time = self.options.time.saturating_mul(10);
        let ran = self.within(time, |ctx| {
            if module::is_module(&self.options.file, &self.source) {
                let promise =
                    rquickjs::Module::evaluate(ctx.clone(), name.as_str(), &*self.source)?;
                return promise.finish::<()>();
            }
            let mut how = EvalOptions::default();
            (how.strict, how.filename) = (false, Some(name.clone()));
            ctx.eval_with_options::<Value<'_>, _>(&*self.source, how).map(|_| ())
        });
        ran.map_err(|failure| match failure.late {
            true => format!("{name} did not come to its end within {time:?}"),
            false => with_place(&name, &failure.text),
        })?;
        let ready = self.context.with(|ctx| {
            let httpout: Object<'_> = ctx.globals().get("httpout")?;
            Ok::<_, rquickjs::Error>(httpout.get::<_, Value<'_>>("on_request")?.is_function())
        });
        match ready {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(format!("{name} sets no function httpout.on_request")),
        }
    }

    // ---- requests ----

    /// True if it is this script's request.
    pub(super) fn knows(&self, id: u64) -> bool {
        self.state.knows(id)
    }

    /// True if no request is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.state.is_idle()
    }

    /// True if it ran out of memory and did not come back from that.
    pub(super) fn is_exhausted(&self) -> bool {
        self.exhausted.get()
    }

    /// The script is to decide. `over` is set if it has no part in what follows.
    pub(super) fn ask(&self, id: u64, request: Request, over: &AtomicBool) {
        let facts = request.facts().clone();
        let question = facts.question();
        let (method, code) = (question.method.as_str(), question.rights.code());
        self.state.begin(id, request);
        match self.call::<_, bool>(&self.server.ask, (id as f64, method, facts.url(), code)) {
            Ok(true) => {
                self.state.forget(id);
                over.store(true, Ordering::Relaxed);
            }
            Ok(false) => {}
            Err(failure) => self.state.fail(id, "on_request", &failure),
        }
    }

    /// More of the answer's body.
    pub(super) fn read(&self, id: u64, reply: Reply<Piece>) {
        match self.call_with(&self.server.read, (id as f64,), |_, given| piece(&given)) {
            Ok(Ok(piece)) => reply.send(self.state.count(id, piece)),
            Ok(Err(problem)) => self.state.complain(id, &problem),
            // Dropped, the reply cuts the answer: that there is more must show.
            Err(failure) => self.state.complain(id, &format!("read: {}", failure.text)),
        }
    }

    /// A piece of the request's body.
    pub(super) fn write(&self, id: u64, data: &[Bytes], reply: Reply<Taken>) {
        if self.state.is_broken(id) {
            return drop(reply);
        }
        let bytes = data.concat();
        let wrote = self.within(self.options.time, |ctx| {
            let write = self.server.write.clone().restore(ctx)?;
            write.call::<_, ()>((id as f64, ArrayBuffer::new(ctx.clone(), bytes)?))
        });
        match wrote {
            Ok(()) if self.state.is_broken(id) => drop(reply),
            Ok(()) => reply.send(Taken),
            // Dropped, the reply ends the upload with 500.
            Err(failure) => self.state.complain(id, &format!("write: {}", failure.text)),
        }
    }

    /// The request's body is whole.
    pub(super) fn end(&self, id: u64, reply: Reply<HookDecision>) {
        if self.state.is_broken(id) {
            return drop(reply);
        }
        self.state.await_end(id, reply);
        if let Err(failure) = self.call::<_, ()>(&self.server.end, (id as f64,)) {
            self.state.fail(id, "write", &failure);
        }
    }

    /// When more may go out.
    pub(super) fn pace(&self, id: u64, sent: u64, total: Option<u64>, reply: Reply<Pace>) {
        let args = (id as f64, sent as f64, total.unwrap_or(0) as f64);
        let delay = match self.call::<_, f64>(&self.server.pace, args) {
            Ok(micros) if micros > 0.0 => {
                Duration::try_from_secs_f64(micros / 1e6).unwrap_or(LONGEST)
            }
            Ok(_) => Duration::ZERO,
            Err(failure) => {
                self.state.complain_once(id, "throttle", &failure.text);
                Duration::ZERO
            }
        };
        reply.send(Pace { delay: delay.min(LONGEST), bytes: self.options.block_size as u64 });
    }

    /// The request is over.
    pub(super) fn close(&self, id: u64, complete: bool) {
        // The original's: end of stream, or closed by the peer.
        let code = if complete { 1 } else { -43 };
        if let Err(failure) = self.call::<_, ()>(&self.server.close, (id as f64, code)) {
            self.state.complain(id, &format!("close: {}", failure.text));
        }
        self.state.end(id);
    }

    // ---- timers ----

    /// When one is due.
    pub(super) fn next_timer(&self) -> Option<Instant> {
        self.state.next_timer()
    }

    /// Calls those that are due.
    pub(super) fn fire_timers(&self) {
        for id in self.state.due_timers(Instant::now()) {
            if let Err(failure) = self.call::<_, ()>(&self.server.fire, (id,))
                && !self.state.was_told(&failure.text)
            {
                tracing::error!(target: "script", "timer: {}", failure.text);
            }
        }
    }

    // ---- calls ----

    fn call<A, R>(&self, function: &Call, args: A) -> Result<R, Failure>
    where
        A: for<'js> IntoArgs<'js>,
        R: for<'js> rquickjs::FromJs<'js>,
    {
        self.within(self.options.time, |ctx| {
            let function = function.clone().restore(ctx)?;
            let mut given = Args::new(ctx.clone(), args.num_args());
            args.into_args(&mut given)?;
            given.apply(&function)
        })
    }

    fn call_with<A, R>(
        &self,
        function: &Call,
        args: A,
        take: impl FnOnce(&Ctx<'_>, Value<'_>) -> R,
    ) -> Result<R, Failure>
    where
        A: for<'js> IntoArgs<'js>,
    {
        self.within(self.options.time, |ctx| {
            let function = function.clone().restore(ctx)?;
            let mut given = Args::new(ctx.clone(), args.num_args());
            args.into_args(&mut given)?;
            given.apply::<Value<'_>>(&function).map(|value| take(ctx, value))
        })
    }

    /// Runs something and what it leaves to be done, no longer than this.
    fn within<R>(
        &self,
        time: Duration,
        work: impl for<'js> FnOnce(&Ctx<'js>) -> rquickjs::Result<R>,
    ) -> Result<R, Failure> {
        self.clock.start(time);
        self.state.forget_told();
        let done =
            self.context.with(|ctx| work(&ctx).catch(&ctx).map_err(|error| describe(&error)));
        while self.runtime.is_job_pending() {
            if self.clock.is_over() {
                // They would take the time of every call from now on.
                tracing::error!(target: "script", "promises go on for longer than {time:?}");
                self.exhausted.set(true);
                break;
            }
            if let Err(error) = self.runtime.execute_pending_job() {
                let text = error.0.with(|ctx| {
                    describe(&CaughtError::from_error(&ctx, rquickjs::Error::Exception))
                });
                tracing::error!(target: "script", "{text}");
            }
        }
        for reason in self.rejected.borrow_mut().drain(..) {
            if self.state.was_told(&reason) {
                continue;
            }
            tracing::error!(target: "script", "nobody catches the rejection of a promise: {reason}");
        }
        let late = self.clock.stop();
        done.map_err(|text| {
            let text = if late { format!("it took longer than {time:?}") } else { text };
            self.check_memory();
            Failure { text, late }
        })
    }

    fn check_memory(&self) {
        self.runtime.run_gc();
        let used = usize::try_from(self.runtime.memory_usage().malloc_size).unwrap_or(0);
        if used > self.options.memory / 4 * 3 {
            self.exhausted.set(true);
        }
    }
}

impl Drop for Engine {
    /// Requests that wait are answered, as far as they can be.
    fn drop(&mut self) {
        self.state.clear();
    }
}

impl Server {
    fn new(ctx: &Ctx<'_>, state: &Rc<State>, block: usize) -> rquickjs::Result<Self> {
        let mut how = EvalOptions::default();
        how.filename = Some("httpout".into());
        let prelude: Function<'_> = ctx.eval_with_options(include_str!("prelude.js"), how)?;
        let server: Object<'_> = prelude.call((native::object(ctx, state)?, block as f64))?;
        let call = |name: &str| {
            let function: Function<'_> = server.get(name)?;
            Ok::<_, rquickjs::Error>(Persistent::save(ctx, function))
        };
        Ok(Self {
            ask: call("ask")?,
            read: call("read")?,
            write: call("write")?,
            end: call("end")?,
            pace: call("pace")?,
            close: call("close")?,
            fire: call("fire")?,
        })
    }
}

impl Clock {
    fn start(&self, time: Duration) {
        self.rang.set(false);
        self.until.set(Instant::now().checked_add(time));
    }

    /// True if it was over.
    fn stop(&self) -> bool {
        self.until.set(None);
        self.rang.get()
    }

    fn is_over(&self) -> bool {
        let over = self.until.get().is_some_and(|until| until <= Instant::now());
        self.rang.set(self.rang.get() || over);
        over
    }
}

/// What `read` gave.
fn piece(given: &Value<'_>) -> Result<Piece, String> {
    if let Some(text) = given.as_string() {
        let text = text.to_string().map_err(|error| error.to_string())?;
        let bytes = BASE64_STANDARD.decode(text).map_err(|error| error.to_string())?;
        return Ok(Piece::Bytes(bytes.into()));
    }
    match given.as_number() {
        Some(number) if number < 0.0 => Ok(Piece::NotYet),
        Some(_) => Ok(Piece::End),
        None => Err("read gave neither a number nor bytes".into()),
    }
}

/// An exception, as the log shows it.
fn describe(error: &CaughtError<'_>) -> String {
    match error {
        CaughtError::Error(error) => error.to_string(),
        CaughtError::Exception(exception) => {
            let name = exception.get::<_, Option<String>>("name").ok().flatten();
            let (name, message) =
                (name.unwrap_or_default(), exception.message().unwrap_or_default());
            let stack = exception.stack().unwrap_or_default();
            // A line, as each event of the log is. The prelude's functions say nothing to the
            // script's author.
            let places = stack.lines().map(str::trim);
            let places = places.filter(|place| !place.is_empty() && !place.contains("(httpout:"));
            places.fold(format!("{name}: {message}"), |text, place| text + "; " + place)
        }
        CaughtError::Value(value) => {
            let text = value.get::<rquickjs::Coerced<String>>();
            text.map_or_else(
                |_| "something was thrown".into(),
                |text| format!("thrown: {}", text.0),
            )
        }
    }
}

/// What was thrown, as the log shows it.
pub(super) fn describe_thrown(thrown: &Value<'_>) -> String {
    match Exception::from_value(thrown.clone()) {
        Ok(exception) => describe(&CaughtError::Exception(exception)),
        Err(_) => describe(&CaughtError::Value(thrown.clone())),
    }
}

/// A promise was rejected, or caught later on.
fn note_rejection(rejected: &mut Vec<String>, reason: &Value<'_>, is_handled: bool) {
    let reason = describe_thrown(reason);
    if !is_handled {
        rejected.push(reason);
    } else if let Some(at) = rejected.iter().position(|other| *other == reason) {
        rejected.swap_remove(at);
    }
}

/// `FILE:LINE:COLUMN: what is wrong`, where the stack tells the place.
fn with_place(name: &str, text: &str) -> String {
    let (what, places) = text.split_once("; at ").unwrap_or((text, ""));
    let place = places.split("; at ").find_map(|line| {
        let at = line.find(name)?;
        let rest = line[at + name.len()..].strip_prefix(':')?;
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != ':').unwrap_or(rest.len());
        Some(rest[..end].trim_end_matches(':'))
    });
    match place {
        Some(place) => format!("{name}:{place}: {what}"),
        None => format!("{name}: {what}"),
    }
}
