//! A few connections to one server that share its jobs.

use std::{
    collections::HashMap,
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Waker},
};

use event_listener::{Event, listener};
use httpout_proto::{
    http::Method,
    push::{Class, Failure, JobId, Order, Outcome, PushError, PushOptions, Target, UploadRange},
};

use super::{body::Body, trust::Trust, worker::Worker};
use crate::dial::Dialler;

/// Something that runs by itself.
pub type BoxFuture = Pin<Box<dyn Future<Output = ()> + Send>>;
/// Runs such things.
pub type Spawn = Box<dyn Fn(BoxFuture) + Send + Sync>;
/// Is told what became of a job, and gets what is left of its body.
pub(super) type Tell = Box<dyn FnOnce(Outcome, Body) + Send>;

/// Something to be done.
pub(super) struct Task {
    pub(super) target: Target,
    pub(super) body: Body,
    pub(super) media_type: Option<String>,
    pub(super) range: Option<UploadRange>,
    /// A file that is not there any more when its turn comes is passed over.
    pub(super) may_vanish: bool,
    pub(super) tell: Tell,
}

/// What happens, for an observer. Called from the connections' tasks.
pub(super) trait Observer: Send + Sync {
    /// A job is begun; how long its body is, if that is known.
    fn begun(&self, job: JobId, target: &Target, method: Method, len: Option<u64>);
    /// So many bytes of its body are with the socket.
    fn sent(&self, job: JobId, bytes: u64);
    /// It is tried again, for this reason.
    fn again(&self, job: JobId, target: &Target, why: &PushError, after: std::time::Duration);
    /// It is over.
    fn over(&self, job: JobId, target: &Target, outcome: &Outcome, bytes: u64);
}

/// What the connections to one server share.
pub(super) struct Pool {
    pub(super) options: Arc<PushOptions>,
    pub(super) trust: Trust,
    pub(super) block_size: usize,
    pub(super) observer: Option<Arc<dyn Observer>>,
    spawn_worker: Box<dyn Fn(Arc<Self>, usize) + Send + Sync>,
    state: Mutex<State>,
    /// A job is over, or a connection.
    changed: Event,
}

struct State {
    order: Order,
    tasks: HashMap<JobId, Task>,
    workers: Vec<Slot>,
    next: u32,
    /// No more jobs come.
    finished: bool,
    /// Nothing is begun any more.
    stopped: bool,
    open: usize,
}

#[derive(Default)]
struct Slot {
    busy: Option<JobId>,
    news: Vec<News>,
    waker: Option<Waker>,
}

/// What a connection is told.
pub(super) enum News {
    Begin(JobId, Task),
    Cancel(JobId),
    Finish,
    Stop,
}

impl Pool {
    /// Up to so many connections, each a task of its own.
    pub(super) fn new<D: Dialler>(
        options: Arc<PushOptions>,
        (trust, block_size): (Trust, usize),
        observer: Option<Arc<dyn Observer>>,
        most: usize,
        spawn: Spawn,
    ) -> Arc<Self> {
        let state = State {
            order: Order::new(most),
            tasks: HashMap::new(),
            workers: Vec::new(),
            next: 0,
            finished: false,
            stopped: false,
            open: 0,
        };
        Arc::new(Self {
            options,
            trust,
            block_size,
            observer,
            spawn_worker: Box::new(move |pool, number| {
                spawn(Box::pin(Worker::<D>::new(pool, number)))
            }),
            state: Mutex::new(state),
            changed: Event::new(),
        })
    }

    /// Adds a job for the resource of this path, in place of those for it that wait.
    pub(super) fn replace(self: &Arc<Self>, path: &str, class: Class, task: Task) -> JobId {
        let mut state = self.lock();
        while let Some(before) = state.order.take_waiting(path) {
            state.tasks.remove(&before);
        }
        drop(state);
        self.add(path, class, task)
    }

    /// Adds a job for the resource of this path, behind those for it.
    pub(super) fn add(self: &Arc<Self>, path: &str, class: Class, task: Task) -> JobId {
        let mut state = self.lock();
        let id = JobId(state.next);
        state.next = state.next.wrapping_add(1);
        if state.stopped {
            drop(state);
            let failure = self.failure(&task.target, PushError::Cancelled);
            (task.tell)(Outcome::Failed(failure), task.body);
            return id;
        }
        state.tasks.insert(id, task);
        state.order.add(id, path, class);
        self.hand_out(state);
        id
    }

    /// This one does not grow any more.
    pub(super) fn settle(self: &Arc<Self>, id: JobId) {
        let mut state = self.lock();
        state.order.settle(id);
        self.hand_out(state);
    }

    /// This one is not wanted any more. It is not reported, if it was not begun.
    pub(super) fn cancel(self: &Arc<Self>, id: JobId) {
        let mut state = self.lock();
        if state.tasks.remove(&id).is_some() {
            state.order.end(id);
            return self.hand_out(state);
        }
        let slot = state.workers.iter_mut().find(|slot| slot.busy == Some(id));
        if let Some(slot) = slot {
            slot.news.push(News::Cancel(id));
            let waker = slot.waker.take();
            drop(state);
            waker.into_iter().for_each(Waker::wake);
        }
    }

    /// A connection is done with a job.
    pub(super) fn over(self: &Arc<Self>, number: usize, id: JobId) {
        let mut state = self.lock();
        state.order.end(id);
        state.workers[number].busy = None;
        self.hand_out(state);
        self.changed.notify(usize::MAX);
    }

    /// What a connection is told; if there is nothing, the task of `cx` is woken when there is.
    pub(super) fn news(&self, number: usize, cx: &Context<'_>) -> Vec<News> {
        let slot = &mut self.lock().workers[number];
        if slot.news.is_empty() && !slot.waker.as_ref().is_some_and(|w| w.will_wake(cx.waker())) {
            slot.waker = Some(cx.waker().clone());
        }
        std::mem::take(&mut slot.news)
    }

    /// A connection has ended.
    pub(super) fn leave(&self) {
        self.lock().open -= 1;
        self.changed.notify(usize::MAX);
    }

    /// No more jobs come: the connections end with the last of them.
    pub(super) fn finish(self: &Arc<Self>) {
        let mut state = self.lock();
        state.finished = true;
        self.hand_out(state);
    }

    /// Everything is called off.
    pub(super) fn stop(&self) {
        let mut state = self.lock();
        (state.finished, state.stopped) = (true, true);
        let waiting: Vec<_> = state.tasks.drain().collect();
        waiting.iter().for_each(|(id, _)| state.order.end(*id));
        let mut wakers = Vec::new();
        for slot in &mut state.workers {
            slot.news.push(News::Stop);
            wakers.extend(slot.waker.take());
        }
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
        for (_, task) in waiting {
            let failure = self.failure(&task.target, PushError::Cancelled);
            (task.tell)(Outcome::Failed(failure), task.body);
        }
        self.changed.notify(usize::MAX);
    }

    /// Its input goes on when an upload has failed.
    pub(super) fn keeps_input(&self) -> bool {
        self.options.keeps_input()
    }

    /// True if every job is over.
    pub(super) fn is_idle(&self) -> bool {
        self.lock().order.is_empty()
    }

    /// Resolves when it is [finished](Self::finish) and the last connection has ended.
    pub(super) async fn ended(&self) {
        self.until(|state| state.finished && state.order.is_empty() && state.open == 0).await;
    }

    async fn until(&self, is_so: impl Fn(&State) -> bool) {
        loop {
            listener!(self.changed => changed);
            if is_so(&self.lock()) {
                return;
            }
            changed.await;
        }
    }

    /// A job that was never begun.
    pub(super) fn failure(&self, target: &Target, why: PushError) -> Failure {
        Failure { method: self.options.method(), url: target.to_string(), why, tries: 0 }
    }

    /// Gives jobs to connections that have none, and makes connections where there are not enough.
    fn hand_out(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        let (mut wakers, mut hired) = (Vec::new(), Vec::new());
        while let Some(id) = state.order.begin_next() {
            let Some(task) = state.tasks.remove(&id) else {
                state.order.end(id);
                continue;
            };
            let free = state.workers.iter().position(|slot| slot.busy.is_none());
            let number = free.unwrap_or(state.workers.len());
            if free.is_none() {
                state.workers.push(Slot::default());
                state.open += 1;
                hired.push(number);
            }
            let slot = &mut state.workers[number];
            slot.busy = Some(id);
            slot.news.push(News::Begin(id, task));
            wakers.extend(slot.waker.take());
        }
        if state.finished && state.order.is_empty() {
            for slot in &mut state.workers {
                slot.news.push(News::Finish);
                wakers.extend(slot.waker.take());
            }
            self.changed.notify(usize::MAX);
        }
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
        for number in hired {
            (self.spawn_worker)(self.clone(), number);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("options", &self.options).finish_non_exhaustive()
    }
}
