//! Push mode: one upload after another to one origin, over a connection that is kept, and made
//! again when it is lost.
#![doc = include_str!("push.md")]

mod job;
mod line;
mod options;
mod order;
mod outcome;
mod request;
mod retry;
mod target;

use std::{collections::VecDeque, io, sync::Arc, time::Duration};

use bytes::Bytes;

pub use self::{
    job::{Job, JobId, JobKind, Upload, UploadRange},
    options::{PushConfig, PushOptions, RangeField},
    order::{Class, Order},
    outcome::{Failure, Outcome, PushError, Stored},
    target::{Credentials, Origin, Target, redact},
};
use self::{
    job::{Next, Source},
    line::Line,
};
use crate::{
    http::{Method, Part, Transmit},
    http1::{Alarms, Response},
    step::{Closed, Step, Wait},
    time::{Now, Timer},
};

/// What a [`Push`] asks of its runtime.
#[derive(Debug)]
pub enum PushEffect {
    /// Make a connection, and its TLS handshake where the origin [says so](Origin::is_tls).
    /// Answered with [`Push::handle_dialled`] or [`Push::handle_dial_failed`].
    Dial {
        /// Where to.
        origin: Arc<Origin>,
    },
    /// Close the connection, or give up making it. Nothing of it is told to the machine any more.
    HangUp,
    /// The next part of a body is wanted. Answered with [`Push::handle_body`],
    /// [`Push::handle_body_end`] or [`Push::handle_body_failed`], now or once there is something.
    Pull {
        /// Whose.
        job: JobId,
        /// Offset in bytes where the part begins. Back at 0 when the body is sent again, which may
        /// come while an earlier `Pull` is unanswered.
        at: u64,
    },
    /// Try the socket itself before the next poll, whatever is known of its readiness: send what
    /// [`Push::transmit`] shows, and receive once. A deadline has passed; what the server did
    /// before this moment counts, and is not to be lost for a process that was stopped or busy.
    Recheck,
    /// A job will be tried again. For the log.
    Retry {
        /// Which.
        job: JobId,
        /// How long is waited before.
        after: Duration,
        /// What went wrong.
        why: PushError,
    },
    /// A job follows a redirect. For the log.
    Redirected {
        /// Which.
        job: JobId,
        /// Where to.
        target: Target,
    },
    /// A job is over. Nothing more is asked of it, and nothing more is sent of its file.
    Over {
        /// Which.
        job: JobId,
        /// What became of it.
        outcome: Outcome,
    },
}

/// Why no connection could be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DialError {
    /// What happened, for the user: `connection refused`; with what to do, where it is not
    /// `temporary`.
    pub what: String,
    /// It may go better next time. False for what will not: a certificate that is not valid, a name
    /// that does not exist.
    pub temporary: bool,
}

/// One upload after another to one origin. Facts go in by `handle_*`, which cannot fail and may be
/// called in any number and order; [`poll`](Self::poll) tells what to do.
#[derive(Debug)]
pub struct Push {
    options: Arc<PushOptions>,
    waiting: VecDeque<Job>,
    current: Option<Current>,
    line: Line,
    effects: VecDeque<PushEffect>,
    alarms: Alarms,
    dialled: Option<Result<(), DialError>>,
    /// No more jobs come.
    finished: bool,
    /// A job failed and `ka` is off: nothing more is tried.
    given_up: bool,
    /// The server knows `100-continue`, as far as is known.
    expects: bool,
}

/// The job that is under way.
#[derive(Debug)]
struct Current {
    job: Job,
    /// Where redirects have led.
    target: Target,
    /// Where it was before.
    seen: Vec<Target>,
    stage: Stage,
    /// Tries that were begun.
    tries: u32,
    /// Tries that count, and failed.
    failed: u32,
    source: Source,
    /// Bytes of the current request are with the socket.
    sent_some: bool,
    /// The current request said `Expect`.
    expected: bool,
    answer: Option<Box<Response>>,
    /// The upload is stored, and looked at with HEAD.
    stored: Option<Stored>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// A connection is needed, then the request goes out.
    Ready,
    /// The request goes out, or its answer is awaited.
    Asked,
    /// Until the retry deadline.
    Resting,
}

impl Push {
    /// A machine without connection and without jobs.
    pub fn new(options: Arc<PushOptions>) -> Self {
        Self {
            options,
            waiting: VecDeque::new(),
            current: None,
            line: Line::Down,
            effects: VecDeque::new(),
            alarms: Alarms::default(),
            dialled: None,
            finished: false,
            given_up: false,
            expects: true,
        }
    }

    // ---- commands ----

    /// Adds a job behind those that wait. Each ends with [`PushEffect::Over`].
    pub fn add(&mut self, job: Job) {
        self.waiting.push_back(job);
    }

    /// No more jobs come: when the last one is over, the connection is closed.
    pub fn finish(&mut self) {
        self.finished = true;
    }

    /// Calls a job off, whether it waits or is under way.
    pub fn cancel(&mut self, id: JobId) {
        if self.current.as_ref().is_some_and(|current| current.job.id == id) {
            self.hang_up();
            self.fail(PushError::Cancelled);
        } else if let Some(at) = self.waiting.iter().position(|job| job.id == id)
            && let Some(job) = self.waiting.remove(at)
        {
            self.over_untried(job, PushError::Cancelled);
        }
    }

    /// Calls everything off.
    pub fn stop(&mut self) {
        self.finished = true;
        if let Some(id) = self.current.as_ref().map(|current| current.job.id) {
            self.cancel(id);
        }
        for job in std::mem::take(&mut self.waiting) {
            self.over_untried(job, PushError::Cancelled);
        }
    }

    /// Jobs that are not over.
    pub fn pending(&self) -> usize {
        self.waiting.len() + usize::from(self.current.is_some())
    }

    /// The job that is under way, and how many bytes of its body are with the socket.
    pub fn progress(&self) -> Option<(JobId, u64)> {
        let current = self.current.as_ref()?;
        Some((current.job.id, current.source.at.saturating_sub(self.line.backlog())))
    }

    // ---- facts: they cannot fail; those that are not waited for are ignored ----

    /// The connection is made.
    pub fn handle_dialled(&mut self) {
        self.dialled = Some(Ok(()));
    }

    /// The connection cannot be made.
    pub fn handle_dial_failed(&mut self, why: DialError) {
        self.dialled = Some(Err(why));
    }

    /// Bytes were received.
    pub fn handle_data(&mut self, data: Bytes) {
        if let Some(wire) = self.line.wire() {
            wire.handle_data(data);
        }
    }

    /// The server will send no more.
    pub fn handle_eof(&mut self) {
        if let Some(wire) = self.line.wire() {
            wire.handle_eof();
        }
    }

    /// `sent` bytes of what [`transmit`](Self::transmit) showed are with the socket.
    pub fn handle_sent(&mut self, sent: u64) {
        if let Some(wire) = self.line.wire() {
            wire.handle_sent(sent);
            if let (Some(current), true) = (&mut self.current, sent > 0) {
                current.sent_some = true;
            }
        }
    }

    /// What is to be sent next is being fetched from a disk, or not any more. Meanwhile it is not
    /// the server that is waited for: no send deadline runs.
    pub fn handle_fetching(&mut self, fetching: bool) {
        if let Some(wire) = self.line.wire() {
            wire.handle_fetching(fetching);
        }
    }

    /// Nothing can be sent any more. What the server said before is still read.
    pub fn handle_unsendable(&mut self, why: io::ErrorKind) {
        if let Some(wire) = self.line.wire() {
            wire.handle_unsendable(why);
        }
    }

    /// The socket failed: nothing can be sent or received any more. What was received still counts.
    pub fn handle_broken(&mut self, why: io::ErrorKind) {
        if let Some(wire) = self.line.wire() {
            wire.handle_broken(why);
        }
    }

    /// The part of a body that begins at `at`, which is what `Pull` said; not empty.
    pub fn handle_body(&mut self, job: JobId, at: u64, part: Part) {
        if let Some(current) = self.uploading(job) {
            current.source.part(at, part);
        }
    }

    /// A body ends at `at`: answers a `Pull` from there, or follows the part that ends there at
    /// once.
    pub fn handle_body_end(&mut self, job: JobId, at: u64) {
        if let Some(current) = self.uploading(job) {
            current.source.end(at);
        }
    }

    /// A body cannot be had, or a span of its file cannot be sent; and why, for the user:
    /// `permission denied`. What was sent of it gets no end: the server drops it. Ignored once all
    /// of it is sent.
    pub fn handle_body_failed(&mut self, job: JobId, what: String) {
        let asked = self.uploading(job).is_some_and(|current| current.stage == Stage::Asked);
        let sent = asked && self.line.wire().is_some_and(|wire| wire.is_sent());
        if self.uploading(job).is_some() && !sent {
            self.hang_up();
            self.fail(PushError::Source(what));
        }
    }

    fn uploading(&mut self, job: JobId) -> Option<&mut Current> {
        self.current.as_mut().filter(|current| current.job.id == job && current.stored.is_none())
    }

    // ---- the one drain and the one peek ----

    /// Goes on until something is to be done or nothing is left to do.
    pub fn poll(&mut self, now: Now) -> Step<PushEffect> {
        while let Some(timer) = self.alarms.take_due(now.mono) {
            self.expire(timer, now);
        }
        loop {
            if let Some(effect) = self.effects.pop_front() {
                return Step::Do(effect);
            }
            let Some(wire) = self.poll_line(now) else { continue };
            if self.step(now) {
                continue;
            }
            if self.is_over() {
                return Step::Closed(Closed::default());
            }
            let own = self.alarms.next();
            let deadline = wire.deadline.into_iter().chain(own).min();
            return Step::Wait(Wait { deadline, ..wire });
        }
    }

    /// What is ready to be sent, if anything is.
    pub fn transmit(&self) -> Option<Transmit<'_>> {
        match &self.line {
            Line::Up { wire, .. } => wire.transmit(),
            Line::Down | Line::Dialling => None,
        }
    }

    fn is_over(&self) -> bool {
        self.finished && self.pending() == 0 && matches!(self.line, Line::Down)
    }

    fn expire(&mut self, timer: Timer, now: Now) {
        match timer {
            Timer::Dial if self.dialled.is_none() => {
                self.hang_up();
                let what = format!("not made within {} s", self.options.limits.dial_time.as_secs());
                self.dial_failed(DialError { what, temporary: true }, now);
            }
            Timer::Retry => self.set_stage(Stage::Ready),
            Timer::Dial
            | Timer::Head
            | Timer::Idle
            | Timer::RequestBody
            | Timer::Send
            | Timer::Linger
            | Timer::HalfClosed
            | Timer::Missing
            | Timer::Penalty
            | Timer::Take
            | Timer::Hook
            | Timer::Pace
            | Timer::Answer
            | Timer::Continue => {}
        }
    }

    /// One step of the work; the connection has nothing to tell. True if something changed.
    fn step(&mut self, now: Now) -> bool {
        if let Some(result) = self.dialled.take() {
            self.settle_dial(result, now);
            return true;
        }
        let Some(current) = &mut self.current else { return self.step_without_job() };
        match current.stage {
            Stage::Resting => false,
            Stage::Ready => self.step_towards_request(now),
            Stage::Asked => self.feed(),
        }
    }

    fn step_without_job(&mut self) -> bool {
        if let Some(job) = self.waiting.pop_front() {
            self.begin(job);
            return true;
        }
        let done = self.finished && !matches!(self.line, Line::Down);
        if done {
            self.hang_up();
        }
        done
    }

    fn begin(&mut self, job: Job) {
        if self.given_up {
            self.over_untried(job, PushError::GivenUp);
            return;
        }
        self.current = Some(Current {
            target: job.target.clone(),
            job,
            seen: Vec::new(),
            stage: Stage::Ready,
            tries: 0,
            failed: 0,
            source: Source::default(),
            sent_some: false,
            expected: false,
            answer: None,
            stored: None,
        });
    }

    /// Gives the wire as much of the body as it wants. True if something changed.
    fn feed(&mut self) -> bool {
        let (Some(current), Some(wire)) = (&mut self.current, self.line.wire()) else {
            return false;
        };
        if !wire.wants_body() {
            return false;
        }
        match current.source.next() {
            Next::Wait => return false,
            Next::Push(part) => wire.push(part),
            Next::Ask(at) => {
                self.effects.push_back(PushEffect::Pull { job: current.job.id, at });
            }
            Next::Finish => match current.announced() {
                Some(announced) => {
                    let had = current.source.at;
                    self.hang_up();
                    self.fail(PushError::Short { announced, had });
                }
                None => wire.finish(),
            },
        }
        true
    }

    fn set_stage(&mut self, stage: Stage) {
        if let Some(current) = &mut self.current {
            current.stage = stage;
        }
    }

    /// The current job failed for good.
    fn fail(&mut self, why: PushError) {
        let Some(current) = self.current.take() else { return };
        self.alarms.stop(Timer::Retry);
        let failure = Failure {
            method: current.method(&self.options),
            url: current.target.to_string(),
            why,
            tries: current.tries,
        };
        self.given_up |= !self.options.config.keep_input;
        self.over(current.job.id, Outcome::Failed(failure));
    }

    fn over_untried(&mut self, job: Job, why: PushError) {
        let method = match job.kind {
            JobKind::Upload(_) => self.options.method(),
            JobKind::Delete => Method::Delete,
        };
        let failure = Failure { method, url: job.target.to_string(), why, tries: 0 };
        self.over(job.id, Outcome::Failed(failure));
    }

    fn over(&mut self, job: JobId, outcome: Outcome) {
        self.effects.push_back(PushEffect::Over { job, outcome });
    }
}

impl Current {
    /// The method of the request to make next.
    fn method(&self, options: &PushOptions) -> Method {
        match (&self.stored, &self.job.kind) {
            (Some(_), _) => Method::Head,
            (None, JobKind::Upload(_)) => options.method(),
            (None, JobKind::Delete) => Method::Delete,
        }
    }

    /// The length that the request told.
    fn announced(&self) -> Option<u64> {
        match &self.job.kind {
            JobKind::Upload(upload) => upload.length().ok().flatten(),
            JobKind::Delete => None,
        }
    }

    /// The request can be made once more.
    fn can_repeat(&self) -> bool {
        let rewindable = match &self.job.kind {
            JobKind::Upload(upload) => upload.rewindable,
            JobKind::Delete => true,
        };
        rewindable || self.stored.is_some() || self.source.is_untouched()
    }
}

#[cfg(test)]
mod tests;
