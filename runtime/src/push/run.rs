//! Push mode from its first input to its last.

use std::{
    fmt, io,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use event_listener::{Event, listener};
use futures_lite::future;
use httpout_proto::{
    ConfigError,
    push::{Class, Credentials, Origin, Outcome, PushConfig, PushOptions},
};

use super::{
    Plan, Sent,
    body::{Body, Input, Place},
    directory::{Ending, Uploads},
    pool::{BoxFuture, Pool, Task, Tell},
    promise::Promise,
    report::{Onlooker, Report},
    trust::Trust,
};
use crate::{
    alarm::Alarm,
    dial::Dialler,
    input::{FollowError, Reader, Source, Watched, serve},
};

/// Most connections to a server for files; no more than httpout takes of one address by itself.
const CONNECTIONS: usize = 6;
/// A directory that has rested so long, twice, is taken to be at its end, if an end is wanted.
const REST: Duration = Duration::from_millis(250);

/// What is to be uploaded, checked.
pub struct Pushes {
    plan: Plan,
    uploads: Vec<(Sent, Arc<PushOptions>)>,
    trust: Trust,
    report: Arc<Report>,
    stop: Arc<Stop>,
}

/// Ends a push from outside.
#[derive(Debug, Default)]
pub struct Stop {
    /// 1: what is under way may end; 2: nothing may.
    asked: AtomicUsize,
    changed: Event,
}

impl Stop {
    /// No more is begun; what is under way may end.
    pub fn ask(&self) {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.changed.notify(usize::MAX);
    }

    /// Nothing more is uploaded.
    pub fn abort(&self) {
        self.asked.store(2, Ordering::Relaxed);
        self.changed.notify(usize::MAX);
    }

    async fn asked(&self, times: usize) {
        loop {
            listener!(self.changed => changed);
            if self.asked.load(Ordering::Relaxed) >= times {
                return;
            }
            changed.await;
        }
    }
}

impl Pushes {
    /// Checks the inputs and reads the files of TLS.
    ///
    /// # Errors
    /// An input that is not there, or an option that cannot be obeyed.
    pub fn new(plan: Plan) -> Result<Self, ConfigError> {
        let mut uploads = Vec::new();
        for sent in &plan.uploads {
            check(&sent.source, &plan)?;
            let credentials = sent.credentials.clone();
            let options = PushOptions::new(PushConfig { credentials, ..plan.config.clone() })?;
            uploads.push((sent.clone(), Arc::new(options)));
        }
        let trust = Trust::of_plan(&plan)?;
        let report = Arc::new(Report::new(plan.reqlog.clone(), plan.log_format));
        Ok(Self { plan, uploads, trust, report, stop: Arc::default() })
    }

    /// What ends it.
    pub fn stop(&self) -> Arc<Stop> {
        self.stop.clone()
    }

    /// How long what is under way may go on once the end is asked for.
    pub fn grace(&self) -> Duration {
        self.plan.grace
    }

    /// Uploads everything. `spawn` runs tasks. True if all of it arrived.
    pub async fn run<D: Dialler>(
        self,
        spawn: impl Fn(BoxFuture) + Clone + Send + Sync + 'static,
    ) -> bool {
        let alarm = Alarm::default();
        let watching = alarm.clone();
        let spawn = move |errand: BoxFuture| {
            let alarm = watching.clone();
            spawn(Box::pin(async move { alarm.watch_task("an upload", errand).await }));
        };
        let mut lines = vec![concat!("httpout ", env!("CARGO_PKG_VERSION")).to_owned()];
        lines.extend(self.plan.uploads.iter().map(|sent| {
            let to = if matches!(sent.source, Source::Directory(_)) { "beneath" } else { "to" };
            format!("pushes {} {to} {}", sent.source.name(), sent.target)
        }));
        self.report.banner(&lines);
        let mut errands: Vec<BoxFuture> = Vec::new();
        let mut crews: Vec<(Arc<Origin>, Option<Credentials>, Arc<Pool>)> = Vec::new();
        let mut all: Vec<Arc<Pool>> = Vec::new();
        for (sent, options) in &self.uploads {
            let spawn_worker = |most| {
                let onlooker = Onlooker { report: self.report.clone(), pool: all.len() };
                let files = (self.trust.clone(), self.plan.block_size);
                let (onlooker, spawn) = (Arc::new(onlooker), Box::new(spawn.clone()));
                Pool::new::<D>(options.clone(), files, Some(onlooker), most, spawn)
            };
            let pool = match &sent.source {
                Source::Directory(dir) => {
                    let pool = spawn_worker(CONNECTIONS);
                    errands.push(Box::pin(self.directory::<D>(dir, sent, pool.clone())));
                    pool
                }
                Source::File(path) if is_regular(path) => {
                    let same = crews.iter().find(|(origin, credentials, _)| {
                        *origin == sent.target.origin && *credentials == sent.credentials
                    });
                    let pool =
                        same.map_or_else(|| spawn_worker(CONNECTIONS), |(.., pool)| pool.clone());
                    if same.is_none() {
                        let origin = sent.target.origin.clone();
                        crews.push((origin, sent.credentials.clone(), pool.clone()));
                    }
                    let body = Body::File(Place::Path(path.clone()));
                    let report = self.report.clone();
                    let tell = Box::new(move |outcome, _| report.conclude(outcome, false));
                    pool.add(sent.target.path(), Class::Whole, self.task(sent, body, tell));
                    pool
                }
                Source::File(_) | Source::Stdin => {
                    let pool = spawn_worker(1);
                    errands.push(Box::pin(self.stream(sent, pool.clone())));
                    pool
                }
            };
            if !all.iter().any(|other| Arc::ptr_eq(other, &pool)) {
                all.push(pool);
            }
        }
        crews.iter().for_each(|(.., pool)| pool.finish());
        let left = Arc::new((AtomicUsize::new(errands.len()), Event::new()));
        for errand in errands {
            let left = left.clone();
            spawn(Box::pin(async move {
                errand.await;
                left.0.fetch_sub(1, Ordering::Relaxed);
                left.1.notify(usize::MAX);
            }));
        }
        let aborted = async {
            self.stop.asked(2).await;
            all.iter().for_each(|pool| pool.stop());
            future::pending().await
        };
        let done = async {
            loop {
                listener!(left.1 => one_less);
                if left.0.load(Ordering::Relaxed) == 0 {
                    break;
                }
                one_less.await;
            }
            for pool in &all {
                pool.ended().await;
            }
        };
        let failed = async {
            let why = alarm.raised().await;
            self.report.fail(&why);
        };
        future::or(failed, future::or(done, aborted)).await;
        self.report.end()
    }

    fn task(&self, sent: &Sent, body: Body, tell: Tell) -> Task {
        Task {
            target: sent.target.clone(),
            body,
            media_type: self.plan.media_type.clone(),
            range: sent.range,
            may_vanish: false,
            tell,
        }
    }

    /// Reads a stream, once.
    fn stream(&self, sent: &Sent, pool: Arc<Pool>) -> BoxFuture {
        let (source, report, stop) = (sent.source.clone(), self.report.clone(), self.stop.clone());
        let target = sent.target.clone();
        let over = Arc::new((Promise::default(), Mutex::new(None)));
        let told = over.clone();
        let tell: Tell = Box::new(move |outcome, body| {
            *told.1.lock().unwrap_or_else(PoisonError::into_inner) = Some(body);
            told.0.keep(outcome);
        });
        let task = self.task(sent, Body::Nothing, tell);
        Box::pin(async move {
            let begin = async {
                let mut reader = Reader::open(&source).await?;
                let first = reader.read().await?;
                Ok(Some((reader, first)))
            };
            let stopped = async {
                stop.asked(2).await;
                Ok(None)
            };
            let begun: io::Result<_> = future::or(begin, stopped).await;
            let (reader, first) = match begun {
                Ok(Some(begun)) => begun,
                Ok(None) => {
                    report.unfinished(&target);
                    return pool.finish();
                }
                Err(why) => {
                    report.unreadable(&target, &why);
                    return pool.finish();
                }
            };
            let body = Body::Input(Input::new(reader, first));
            pool.add(target.path(), Class::Whole, Task { body, ..task });
            pool.finish();
            let outcome = over.0.wait().await;
            let failed = matches!(outcome, Outcome::Failed(_));
            report.conclude(outcome, false);
            let body = over.1.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let (true, Some(Body::Input(input))) = (failed && pool.keeps_input(), body) {
                future::or(input.drain(), stop.asked(1)).await;
            }
        })
    }

    /// Follows a directory.
    fn directory<D: Dialler>(&self, dir: &Path, sent: &Sent, pool: Arc<Pool>) -> BoxFuture {
        let (dir, stop, quit) = (dir.to_owned(), self.stop.clone(), self.plan.quit);
        let (report, ending) = (self.report.clone(), Arc::new(Ending::default()));
        let more = (self.plan.media_type.clone(), self.plan.config.chunked);
        let mut sink = Uploads::new(
            &dir,
            sent.target.clone(),
            pool.clone(),
            report.clone(),
            ending.clone(),
            more,
        );
        Box::pin(async move {
            let over = || {
                ending.begun.store(true, Ordering::Relaxed);
                ending.over()
            };
            let end = async {
                if !quit {
                    stop.asked(1).await;
                }
                future::or(ending.rest::<D>(&pool, REST), stop.asked(2)).await;
                ending.end();
                future::pending().await
            };
            let follow = async {
                let mut watched = Watched::default();
                // Before it was looked at, nothing rests.
                while watched.is_there(&dir, &|| ending.over(), &D::sleep).await {
                    let served = serve(&dir, &mut sink, &over, &D::sleep).await;
                    if ending.is_over() || !watched.is_gone(&dir, served)? || quit {
                        break;
                    }
                }
                Ok::<_, FollowError>(())
            };
            if let Err(why) = future::or(follow, end).await {
                report.fail(&format!("{} {why}", dir.display()));
            }
            pool.finish();
        })
    }
}

fn is_regular(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|meta| meta.is_file())
}

/// Checks what can be checked before an input is read.
fn check(source: &Source, plan: &Plan) -> Result<(), ConfigError> {
    let error = |option, problem, help| Err(ConfigError { option, problem, help });
    let shown = source.name();
    let found = match source.look() {
        Ok(found) => found,
        Err(why) => {
            let problem = format!("{shown} cannot be read: {why}");
            return error("input", problem, "name a file, a FIFO, DIR/ or -");
        }
    };
    let is_file = found.as_ref().is_some_and(std::fs::Metadata::is_file);
    match (source, found) {
        (Source::Directory(_), Some(found)) if !found.is_dir() => {
            let problem = format!("{shown} is no directory");
            error("input", problem, "leave the slash at its end out")
        }
        (Source::Directory(_), _) => Ok(()),
        (Source::File(_) | Source::Stdin, _) if !is_file && !plan.config.chunked => {
            let problem = format!("the length of {shown} is not known, which --cte false needs");
            error("cte", problem, "leave --cte out, or upload a file")
        }
        (Source::File(_) | Source::Stdin, _) => Ok(()),
    }
}

impl fmt::Debug for Pushes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pushes").field("plan", &self.plan).finish_non_exhaustive()
    }
}
