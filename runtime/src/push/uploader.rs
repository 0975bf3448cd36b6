//! Uploads of an embedding program.

use std::{future::poll_fn, path::PathBuf, sync::Arc};

use bytes::Bytes;
use httpout_proto::{
    ConfigError,
    push::{Class, Failure, JobId, Outcome, PushConfig, PushOptions, Stored, Target},
};

use super::{
    body::{Body, Pipe, Place},
    pool::{Pool, Spawn, Task},
    promise::Promise,
    trust::Trust,
};
#[cfg(feature = "tls")]
use crate::TrustOptions;
use crate::dial::Dialler;

/// Files up to so many bytes are sent together with their head.
const BLOCK: usize = 10_000;

/// Uploads to another server. A clone is the same one. When the last is dropped, what was begun
/// goes on, and its connections are closed behind it.
#[derive(Clone, Debug)]
pub struct Uploader(Arc<Owner>);

#[derive(Debug)]
struct Owner {
    pool: Arc<Pool>,
    base: Target,
}

/// How an [`Uploader`] does it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct UploadOptions {
    /// Requests and retries.
    pub config: PushConfig,
    /// Which servers to trust, and which certificate to show, over TLS.
    #[cfg(feature = "tls")]
    pub trust: TrustOptions,
    /// Most connections, at least 1.
    pub connections: usize,
}

impl Default for UploadOptions {
    fn default() -> Self {
        Self {
            config: PushConfig::default(),
            #[cfg(feature = "tls")]
            trust: TrustOptions::default(),
            connections: 4,
        }
    }
}

impl Uploader {
    /// Uploads beneath this URL, `http[s]://[USER:PASSWORD@]HOST[:PORT]/PATH`. `spawn` runs a task
    /// for each connection.
    ///
    /// # Errors
    /// A URL or an option that cannot be obeyed.
    pub fn new<D: Dialler>(
        url: &str,
        options: UploadOptions,
        spawn: Spawn,
    ) -> Result<Self, ConfigError> {
        let (base, credentials) = Target::parse(url).map_err(|why| ConfigError {
            option: "dst",
            problem: format!("the URL cannot be used: {why}"),
            help: "write http://HOST:PORT/PATH",
        })?;
        let trust = Trust::of(&options, &base.origin)?;
        let mut config = options.config;
        config.credentials = config.credentials.or(credentials);
        let config = Arc::new(PushOptions::new(config)?);
        let pool = Pool::new::<D>(config, (trust, BLOCK), None, options.connections, spawn);
        Ok(Self(Arc::new(Owner { pool, base })))
    }

    /// Uploads a file to the resource of this name beneath the URL, and waits until the server has
    /// it. Dropped before that, it is called off.
    ///
    /// # Errors
    /// It was not stored, and why.
    pub async fn file(&self, name: &str, file: impl Into<PathBuf>) -> Result<Stored, Failure> {
        let body = Body::File(Place::Path(file.into()));
        stored(self.begin(name, Class::Whole, body).wait().await)
    }

    /// Removes the resource of this name. One that is not there is removed already.
    ///
    /// # Errors
    /// It was not removed, and why.
    pub async fn delete(&self, name: &str) -> Result<(), Failure> {
        match self.begin(name, Class::Removal, Body::Nothing).wait().await {
            Outcome::Failed(failure) => Err(failure),
            Outcome::Stored(_) | Outcome::Deleted { .. } => Ok(()),
        }
    }

    /// Begins to upload what is going to be written, of whatever length, to the resource of this
    /// name.
    pub fn stream(&self, name: &str) -> Upload {
        let pipe = Arc::new(Pipe::default());
        let body = Body::Pipe(pipe.clone());
        let pending = self.begin(name, Class::Whole, body);
        Upload { pipe, pending }
    }

    fn begin(&self, name: &str, class: Class, body: Body) -> Pending {
        let outcome = Arc::new(Promise::default());
        let promise = outcome.clone();
        let task = Task {
            target: self.0.base.beneath(name),
            body,
            media_type: None,
            range: None,
            may_vanish: false,
            tell: Box::new(move |outcome, body| {
                if let Body::Pipe(pipe) = body {
                    pipe.close();
                }
                promise.keep(outcome);
            }),
        };
        let job = self.0.pool.add(name, class, task);
        Pending { pool: self.0.pool.clone(), job, outcome }
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.pool.finish();
    }
}

/// An upload that is written by the program. Dropped before its end, it is given up: the server
/// drops what it has.
#[derive(Debug)]
pub struct Upload {
    pipe: Arc<Pipe>,
    pending: Pending,
}

impl Upload {
    /// Adds to it; waits while the server is slower.
    ///
    /// # Errors
    /// The upload has failed, and why.
    pub async fn write(&mut self, data: Bytes) -> Result<(), Failure> {
        poll_fn(|cx| self.pipe.poll_room(cx)).await;
        if self.pipe.is_closed() {
            stored(self.pending.wait().await)?;
        }
        self.pipe.write(data);
        Ok(())
    }

    /// Ends it, and waits until the server has it.
    ///
    /// # Errors
    /// It was not stored, and why.
    pub async fn finish(self) -> Result<Stored, Failure> {
        self.pipe.end();
        stored(self.pending.wait().await)
    }
}

/// A job that the program waits for; called off when dropped.
#[derive(Debug)]
struct Pending {
    pool: Arc<Pool>,
    job: JobId,
    outcome: Arc<Promise>,
}

impl Pending {
    async fn wait(&self) -> Outcome {
        self.outcome.wait().await
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.pool.cancel(self.job);
    }
}

fn stored(outcome: Outcome) -> Result<Stored, Failure> {
    match outcome {
        Outcome::Stored(stored) => Ok(stored),
        Outcome::Failed(failure) => Err(failure),
        Outcome::Deleted { status } => {
            Ok(Stored { status, bytes: 0, etag: None, tries: 1, verified: false })
        }
    }
}
