//! The driver of one connection to a server, and of what is uploaded over it.

use std::{
    fmt,
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Instant, SystemTime},
};

use httpout_proto::{
    FileId, Now, Step, Wait,
    http::Method,
    push::{DialError, Failure, Job, JobId, JobKind, Outcome, Push, PushEffect, PushError, Upload},
    semantics::media,
};

use super::{
    body::{Body, Content, Follow, Given, Opened},
    pool::{News, Pool, Task},
    trust,
    wire::{Out, Wire, connect},
};
use crate::{dial::Dialler, direct::How, output::Source};

/// Rounds of a busy connection before the others on its thread have their turn.
const ROUNDS: usize = 32;

type Dialling<T> = Pin<Box<dyn Future<Output = Result<Wire<T>, DialError>> + Send>>;
type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;
type Opening = Pin<Box<dyn Future<Output = io::Result<Option<Opened>>> + Send>>;

/// A connection to a server as a future: resolves when it is not needed any more.
pub(super) struct Worker<D: Dialler> {
    pool: Arc<Pool>,
    number: usize,
    push: Push,
    wire: Option<Wire<D::Transport>>,
    dialling: Option<Dialling<D::Transport>>,
    current: Option<Current>,
    /// The part of a body that is wanted.
    pull: Option<(JobId, u64)>,
    /// When the connection's timer rings. Not set again for each deadline: one that rings early is
    /// a poll for nothing.
    rings: Option<Instant>,
    /// When it rings, where there is no connection.
    timer: Option<(Instant, Sleep)>,
    /// What TLS said when the connection broke.
    fault: Option<String>,
}

/// The job that is under way.
struct Current {
    id: JobId,
    task: Task,
    opening: Option<Opening>,
    content: Option<Content>,
    /// It is begun again when it is over: what was sent is not what is there any more.
    anew: bool,
    /// Its file was cut, which its directory tells too: it comes again.
    passed_over: bool,
    /// So long is its body, where that is known.
    len: Option<u64>,
    /// So many bytes of it are with the socket.
    bytes: u64,
}

impl<D: Dialler> Worker<D> {
    pub(super) fn new(pool: Arc<Pool>, number: usize) -> Self {
        Self {
            push: Push::new(pool.options.clone()),
            pool,
            number,
            wire: None,
            dialling: None,
            current: None,
            pull: None,
            rings: None,
            timer: None,
            fault: None,
        }
    }

    /// One round; `Pending` if nothing is left to do.
    fn round(&mut self, now: Now, cx: &mut Context<'_>) -> Poll<Round> {
        for news in self.pool.news(self.number, cx) {
            match news {
                News::Begin(id, task) => self.begin(id, task),
                News::Cancel(id) => self.cancel(id),
                News::Finish => self.push.finish(),
                News::Stop => {
                    self.give_up_opening("it was called off");
                    self.push.stop();
                }
            }
        }
        self.open(cx);
        self.dial(cx);
        self.give(cx);
        let wait = match self.push.poll(now) {
            Step::Do(effect) => {
                self.run(effect, cx);
                return Poll::Ready(Round::More);
            }
            Step::Wait(wait) => wait,
            Step::Closed(_) => return Poll::Ready(Round::Over),
        };
        if self.send(How::WhenReady, cx).is_ready()
            || wait.read && self.receive(How::WhenReady, cx).is_ready()
        {
            return Poll::Ready(Round::Late);
        }
        self.sleep(wait, cx).map(|()| Round::Late)
    }

    fn run(&mut self, effect: PushEffect, cx: &mut Context<'_>) {
        match effect {
            PushEffect::Dial { origin } => {
                let pool = self.pool.clone();
                self.dialling =
                    Some(Box::pin(async move { connect::<D>(&origin, &pool.trust).await }));
            }
            PushEffect::HangUp => {
                self.dialling = None;
                if let Some(wire) = self.wire.take()
                    && self.push.pending() == 0
                {
                    wire.finish(cx);
                }
            }
            PushEffect::Pull { job, at } => self.pull = Some((job, at)),
            PushEffect::Recheck => {
                // What comes of it is told to the machine; nothing is, if nothing does.
                let _ = self.send(How::AtOnce, cx);
                let _ = self.receive(How::AtOnce, cx);
            }
            PushEffect::Retry { job, after, why } => {
                if let (Some(observer), Some(current)) = (&self.pool.observer, &self.current) {
                    observer.again(job, &current.task.target, &why, after);
                }
            }
            PushEffect::Redirected { target, .. } => tracing::info!("redirected to {target}"),
            PushEffect::Over { job, outcome } => self.over(job, outcome),
        }
    }

    // ---- jobs ----

    fn begin(&mut self, id: JobId, mut task: Task) {
        let mut opening: Option<Opening> = None;
        let content = match std::mem::replace(&mut task.body, Body::Nothing) {
            Body::Nothing => None,
            Body::File(place) => {
                let opened = place.open_at_once().map(Content::File);
                if opened.is_none() {
                    opening = Some(Box::pin(place.open()));
                }
                opened
            }
            Body::Growing(growing) if growing.is_settled() => {
                opening = Some(Box::pin(async move { growing.open().map(Some) }));
                None
            }
            Body::Growing(growing) => Some(Content::Follow(Follow::new(growing))),
            Body::Input(input) => Some(Content::Input(input)),
            Body::Pipe(pipe) => Some(Content::Pipe(pipe)),
        };
        let ready = opening.is_none();
        self.current = Some(Current {
            id,
            task,
            opening,
            content,
            anew: false,
            passed_over: false,
            len: None,
            bytes: 0,
        });
        if ready {
            self.add();
        }
    }

    /// Goes on with opening a file.
    fn open(&mut self, cx: &mut Context<'_>) {
        let Some(current) = &mut self.current else { return };
        let Some(opening) = &mut current.opening else { return };
        let Poll::Ready(opened) = opening.as_mut().poll(cx) else { return };
        current.opening = None;
        match opened {
            Ok(Some(opened)) => {
                current.content = Some(Content::File(opened));
                self.add();
            }
            Ok(None) if current.task.may_vanish => {
                let id = current.id;
                self.current = None;
                self.pool.over(self.number, id);
            }
            Ok(None) => self.fail("it is not there any more"),
            Err(why) => self.fail(&why.to_string()),
        }
    }

    fn give_up_opening(&mut self, why: &str) {
        if self.current.as_ref().is_some_and(|current| current.opening.is_some()) {
            self.fail(why);
        }
    }

    fn fail(&mut self, why: &str) {
        let Some(current) = &self.current else { return };
        let failure = self.pool.failure(&current.task.target, PushError::Source(why.into()));
        self.over(current.id, Outcome::Failed(failure));
    }

    /// The job is ready for the machine.
    fn add(&mut self) {
        let Some(current) = &self.current else { return };
        let target = current.task.target.clone();
        let mut len = None;
        let kind = match &current.content {
            None => JobKind::Delete,
            Some(content) => {
                let mut rewindable = true;
                match content {
                    Content::File(opened) => len = Some(opened.len),
                    Content::Follow(_) => {}
                    Content::Input(_) | Content::Pipe(_) => rewindable = false,
                }
                let media_type = current.task.media_type.clone().or_else(|| {
                    let path = target.path().split('?').next().unwrap_or_default();
                    media::media_type(path).map(Into::into)
                });
                JobKind::Upload(Upload { len, rewindable, media_type, range: current.task.range })
            }
        };
        let range = current
            .task
            .range
            .and_then(|range| Some(range.last?.saturating_sub(range.first).saturating_add(1)));
        let (id, method) = (current.id, self.method());
        if let Some(current) = &mut self.current {
            current.len = len.or(range);
        }
        if let Some(observer) = &self.pool.observer {
            observer.begun(id, &target, method, len);
        }
        self.push.add(Job { id, target, kind });
    }

    fn method(&self) -> Method {
        let has_content = self.current.as_ref().is_some_and(|current| current.content.is_some());
        if has_content { self.pool.options.method() } else { Method::Delete }
    }

    fn cancel(&mut self, id: JobId) {
        if self.current.as_ref().is_some_and(|current| current.id == id) {
            self.give_up_opening("it was called off");
            self.push.cancel(id);
        }
    }

    fn over(&mut self, id: JobId, outcome: Outcome) {
        let Some(current) = self.current.take_if(|current| current.id == id) else { return };
        self.pull = None;
        if current.anew {
            tracing::info!("{} is sent anew: its writer went back in it", current.task.target);
            let body = current.content.map_or(Body::Nothing, Content::into_body);
            return self.begin(id, Task { body, ..current.task });
        }
        if current.passed_over {
            return self.pool.over(self.number, id);
        }
        let outcome = self.explain(outcome);
        let Task { target, tell, .. } = current.task;
        if let Some(observer) = &self.pool.observer {
            observer.over(id, &target, &outcome, current.bytes);
        }
        tell(outcome, current.content.map_or(Body::Nothing, Content::into_body));
        self.pool.over(self.number, id);
    }

    /// What TLS said tells more than that the upload was called off for it.
    fn explain(&mut self, outcome: Outcome) -> Outcome {
        match (outcome, self.fault.take()) {
            (Outcome::Failed(failure), Some(fault)) if failure.why == PushError::Cancelled => {
                Outcome::Failed(Failure { why: PushError::Barred(fault), ..failure })
            }
            (outcome, _) => outcome,
        }
    }

    /// Gives the machine the part of the body that it wants, when there is one.
    fn give(&mut self, cx: &mut Context<'_>) {
        let (Some((job, at)), Some(current)) = (self.pull, &mut self.current) else { return };
        let Some(content) = current.content.as_mut().filter(|_| current.id == job) else { return };
        let Poll::Ready(given) = content.poll(cx, job, at) else { return };
        self.pull = None;
        match given {
            Ok(Given::Part(part))
                if current.len.is_some_and(|len| part.len() > len.saturating_sub(at)) =>
            {
                self.push.handle_body_failed(job, "it is longer than the range (--patch)".into());
            }
            Ok(Given::Part(part)) => self.push.handle_body(job, at, part),
            Ok(Given::End) => self.push.handle_body_end(job, at),
            Ok(Given::Changed) => {
                current.anew = true;
                self.push.cancel(job);
            }
            Err(why) => self.push.handle_body_failed(job, why.to_string()),
        }
    }

    // ---- the connection ----

    fn dial(&mut self, cx: &mut Context<'_>) {
        let Some(dialling) = &mut self.dialling else { return };
        let Poll::Ready(dialled) = dialling.as_mut().poll(cx) else { return };
        self.dialling = None;
        self.fault = None;
        match dialled {
            Ok(wire) => {
                (self.wire, self.rings) = (Some(wire), None);
                self.push.handle_dialled();
            }
            Err(why) => self.push.handle_dial_failed(why),
        }
    }

    fn send(&mut self, how: How, cx: &mut Context<'_>) -> Poll<()> {
        let Some(wire) = &mut self.wire else { return Poll::Pending };
        let Some(what) = self.push.transmit() else {
            wire.poll_rest(how, cx);
            return Poll::Pending;
        };
        let current = &self.current;
        let source = |id: FileId| {
            let current = current.as_ref().filter(|current| current.id.file() == id)?;
            match current.content.as_ref()? {
                Content::File(Opened { file, .. }) => Some(Source { fd: file, content: None }),
                Content::Follow(_) | Content::Input(_) | Content::Pipe(_) => None,
            }
        };
        let sent = wire.poll_send(how, cx, what, self.pool.block_size, source);
        self.push.handle_fetching(wire.is_fetching());
        match sent {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Out::Sent(count)) => {
                self.push.handle_sent(count);
                if let (Some((job, bytes)), Some(current)) =
                    (self.push.progress(), &mut self.current)
                {
                    current.bytes = bytes;
                    if let Some(observer) = &self.pool.observer {
                        observer.sent(job, bytes);
                    }
                }
            }
            Poll::Ready(Out::Lost(why)) => {
                if let Some(current) =
                    self.current.as_mut().filter(|_| why == io::ErrorKind::UnexpectedEof)
                    && current.task.may_vanish
                {
                    current.passed_over = true;
                    self.push.cancel(current.id);
                } else if let Some(current) = &self.current {
                    let what = if why == io::ErrorKind::UnexpectedEof {
                        "it has become shorter".to_owned()
                    } else {
                        why.to_string()
                    };
                    self.push.handle_body_failed(current.id, what);
                }
            }
            Poll::Ready(Out::Broken(error)) => self.push.handle_unsendable(error.kind()),
        }
        Poll::Ready(())
    }

    fn receive(&mut self, how: How, cx: &mut Context<'_>) -> Poll<()> {
        let Some(wire) = &mut self.wire else { return Poll::Pending };
        match wire.poll_receive(how, cx) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Ok(Some(data))) => self.push.handle_data(data),
            Poll::Ready(Ok(None)) => self.push.handle_eof(),
            Poll::Ready(Err(error)) => {
                self.fault = trust::fault(&error);
                match (&self.fault, &self.current) {
                    // It would be no better next time.
                    (Some(_), Some(current)) => self.push.cancel(current.id),
                    (Some(_) | None, _) => self.push.handle_broken(error.kind()),
                }
            }
        }
        Poll::Ready(())
    }

    fn sleep(&mut self, wait: Wait, cx: &mut Context<'_>) -> Poll<()> {
        let Some((deadline, _)) = wait.deadline else { return Poll::Pending };
        if let Some(wire) = &mut self.wire {
            let at = self.rings.map_or(deadline, |at| at.min(deadline));
            self.rings = Some(at);
            let rings = wire.poll_deadline(cx, at);
            if rings.is_ready() {
                self.rings = None;
            }
            return rings;
        }
        if self.timer.as_ref().is_none_or(|(at, _)| *at != deadline) {
            self.timer = Some((deadline, Box::pin(D::sleep(deadline))));
        }
        let rings = self.timer.as_mut().map_or(Poll::Pending, |(_, timer)| timer.as_mut().poll(cx));
        if rings.is_ready() {
            self.timer = None;
        }
        rings
    }
}

impl<D: Dialler> Future for Worker<D> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut now = read_clocks();
        for _ in 0..ROUNDS {
            match self.round(now, cx) {
                Poll::Ready(Round::More) => {}
                Poll::Ready(Round::Late) => now = read_clocks(),
                Poll::Ready(Round::Over) => {
                    self.pool.leave();
                    return Poll::Ready(());
                }
                Poll::Pending => return Poll::Pending,
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<D: Dialler> Unpin for Worker<D> {}

impl<D: Dialler> fmt::Debug for Worker<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("push", &self.push).finish_non_exhaustive()
    }
}

enum Round {
    More,
    /// Time has passed: the socket was used, or the timer rang. The process may have stood still
    /// meanwhile, so the next deadlines are counted from a new look at the clocks.
    Late,
    Over,
}

fn read_clocks() -> Now {
    Now { mono: Instant::now(), wall: SystemTime::now() }
}
