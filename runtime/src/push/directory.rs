//! A directory that an encoder writes into, uploaded as it grows; what is removed from it is
//! removed there.

use std::{
    collections::HashMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use event_listener::{Event, listener};

use httpout_proto::{
    fs::RelPath,
    live::Copied,
    push::{Class, JobId, Outcome, Target},
    semantics::media::is_manifest,
};

use super::{
    body::{Body, Growing, Place},
    pool::{Pool, Task},
    report::Report,
};
use crate::{
    dial::Dialler,
    input::{Begun, Dir, Sink},
};

/// What a directory's push and its end know of each other.
#[derive(Debug, Default)]
pub(super) struct Ending {
    /// The directory was looked at.
    pub(super) begun: AtomicBool,
    /// Files that grow.
    growing: AtomicUsize,
    /// What was done so far.
    steps: AtomicUsize,
    over: AtomicBool,
    changed: Event,
}

impl Ending {
    /// What still grows is not waited for.
    pub(super) fn end(&self) -> bool {
        let was_over = self.over.swap(true, Ordering::Relaxed);
        self.changed.notify(usize::MAX);
        was_over
    }

    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    pub(super) async fn over(&self) {
        while !self.is_over() {
            listener!(self.changed => changed);
            if self.is_over() {
                return;
            }
            changed.await;
        }
    }

    /// Resolves when nothing has happened for so long, twice, after the directory was looked at.
    pub(super) async fn rest<D: Dialler>(&self, pool: &Pool, time: Duration) {
        let mut before = None;
        let mut quiet = 0;
        while quiet < 2 {
            D::sleep(Instant::now() + time).await;
            let steps = self.steps.load(Ordering::Relaxed);
            let idle = self.begun.load(Ordering::Relaxed)
                && self.growing.load(Ordering::Relaxed) == 0
                && pool.is_idle();
            quiet = if idle && before == Some(steps) { quiet + 1 } else { 0 };
            before = Some(steps);
        }
    }
}

/// Uploads the files of a directory.
#[derive(Debug)]
pub(super) struct Uploads {
    dir: Dir,
    base: Target,
    pool: Arc<Pool>,
    report: Arc<Report>,
    ending: Arc<Ending>,
    media_type: Option<String>,
    /// What grows is uploaded while it does.
    chunked: bool,
    growing: HashMap<RelPath, Begin>,
}

/// A file that grows.
#[derive(Debug)]
struct Begin {
    growing: Arc<Growing>,
    /// What uploads it, from its first byte on.
    job: Option<JobId>,
    /// It was removed before it was whole: no reason to complain.
    gone: Arc<AtomicBool>,
}

impl Uploads {
    pub(super) fn new(
        dir: &Path,
        base: Target,
        pool: Arc<Pool>,
        report: Arc<Report>,
        ending: Arc<Ending>,
        (media_type, chunked): (Option<String>, bool),
    ) -> Self {
        let (dir, growing) = (Dir::new(dir), HashMap::new());
        Self { dir, base, pool, report, ending, media_type, chunked, growing }
    }

    fn upload(&self, path: &RelPath, class: Class, body: Body) -> JobId {
        self.upload_unless(path, class, body, Arc::default())
    }

    fn upload_unless(
        &self,
        path: &RelPath,
        class: Class,
        body: Body,
        gone: Arc<AtomicBool>,
    ) -> JobId {
        self.ending.steps.fetch_add(1, Ordering::Relaxed);
        self.pool.replace(path.as_str(), class, self.task(path, body, gone))
    }

    fn task(&self, path: &RelPath, body: Body, gone: Arc<AtomicBool>) -> Task {
        let (report, ending) = (self.report.clone(), self.ending.clone());
        let keep = self.pool.keeps_input();
        let pool = Arc::downgrade(&self.pool);
        Task {
            target: self.base.beneath(path.as_str()),
            body,
            media_type: self.media_type.clone(),
            range: None,
            may_vanish: true,
            tell: Box::new(move |outcome, _| {
                let failed = matches!(outcome, Outcome::Failed(_));
                report.conclude(outcome, gone.load(Ordering::Relaxed));
                if failed && !keep && !ending.end() {
                    pool.upgrade().iter().for_each(|pool| pool.stop());
                }
            }),
        }
    }

    fn count(&self) {
        self.ending.growing.store(self.growing.len(), Ordering::Relaxed);
    }

    fn class(path: &RelPath) -> Class {
        if is_manifest(path.as_str()) { Class::Manifest } else { Class::Whole }
    }
}

impl Sink for Uploads {
    async fn begin(&mut self, path: &RelPath, whole: bool, _found: bool) -> Begun {
        if whole {
            let body = Body::File(Place::In(self.dir.clone(), path.clone()));
            self.upload(path, Self::class(path), body);
            return Begun::Whole;
        }
        match self.dir.file(path).await {
            Ok(Some((file, _))) => {
                let growing = Arc::new(Growing::new(file));
                self.growing
                    .insert(path.clone(), Begin { growing, job: None, gone: Arc::default() });
                self.count();
                Begun::Growing
            }
            Ok(None) => Begun::Not,
            Err(why) => {
                self.report.unreadable(&self.base.beneath(path.as_str()), &why);
                Begun::Not
            }
        }
    }

    async fn copy(&mut self, path: &RelPath, _last: bool, _writes: u64) -> Option<Copied> {
        let Begin { growing, job, gone } = self.growing.get(path)?;
        let len = match growing.look() {
            Ok(Some(len)) => len,
            Ok(None) => return Some(Copied::Changed),
            Err(why) => {
                self.report.unreadable(&self.base.beneath(path.as_str()), &why);
                self.abandon(path).await;
                return None;
            }
        };
        // A manifest is sent when it is whole, and names what is there by then.
        if job.is_none() && len > 0 && self.chunked && !is_manifest(path.as_str()) {
            let body = Body::Growing(growing.clone());
            let job = self.upload_unless(path, Class::Growing, body, gone.clone());
            if let Some(begun) = self.growing.get_mut(path) {
                begun.job = Some(job);
            }
        }
        Some(Copied::All(len))
    }

    async fn end(&mut self, path: &RelPath) -> bool {
        let Some(Begin { growing, job, .. }) = self.growing.remove(path) else { return false };
        self.count();
        growing.settle();
        match job {
            Some(job) => self.pool.settle(job),
            None => {
                self.upload(path, Self::class(path), Body::Growing(growing));
            }
        }
        true
    }

    async fn abandon(&mut self, path: &RelPath) {
        let Some(Begin { job, gone, .. }) = self.growing.remove(path) else { return };
        self.count();
        gone.store(!self.ending.is_over(), Ordering::Relaxed);
        match job {
            Some(job) => self.pool.cancel(job),
            None if self.ending.is_over() => {
                self.report.unfinished(&self.base.beneath(path.as_str()));
            }
            None => {}
        }
    }

    async fn remove(&mut self, path: &RelPath) {
        self.upload(path, Class::Removal, Body::Nothing);
    }
}
