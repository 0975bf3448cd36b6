//! What is to be uploaded, and the inputs that it comes from.

use std::time::Duration;

use bytes::Bytes;
use httpout_proto::{
    http::Part,
    push::{Job, JobId, JobKind, Outcome, Target, Upload, UploadRange},
};

use super::World;
use crate::{choices::bytes, client::Time};

/// A job, and what is known of it.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) job: Job,
    pub(super) path: String,
    /// The body as it is read.
    pub(super) body: Vec<u8>,
    /// What the resource is, once the job is done; `None`: not there.
    pub(super) whole: Option<Vec<u8>>,
    pub(super) at: Time,
    pub(super) added: bool,
    /// Bytes read from an input that cannot be read twice.
    gone: u64,
    /// The input fails at this offset.
    fails_at: Option<u64>,
    pub(super) outcome: Option<Outcome>,
    /// Repeated over a connection that ended without a word.
    pub(super) stale: u32,
    /// Begun more than once.
    pub(super) repeated: bool,
}

impl Task {
    pub(super) fn upload(&self) -> Option<&Upload> {
        match &self.job.kind {
            JobKind::Upload(upload) => Some(upload),
            JobKind::Delete => None,
        }
    }

    pub(super) fn input_fails(&self) -> bool {
        self.fails_at.is_some()
    }
}

impl World<'_> {
    /// Makes a job up.
    pub(super) fn plan(&mut self, number: u32) {
        let len = match self.dice.below(6) {
            0 => 0,
            1 => 1 + self.dice.index(20),
            2 if self.dice.chance(30) => 66_000 + self.dice.index(9000),
            _ => self.dice.index(4000),
        };
        let mut body = bytes(u64::from(number) + 1, len);
        // Some paths are written more than once.
        let path = match self.dice.below(4) {
            // Empty bodies cannot be told apart.
            0 if len > 0 => "shared".to_owned(),
            _ => format!("d/{number}"),
        };
        let whole_body = Some(body.clone());
        let known = self.dice.chance(50);
        let rewindable = self.dice.chance(80);
        let mut upload =
            Upload { len: known.then_some(len as u64), rewindable, media_type: None, range: None };
        let (kind, path, whole) = match self.dice.below(10) {
            0 | 9 => {
                let path = format!("x/{number}");
                if self.dice.chance(70) {
                    self.disk.stock(&path, bytes(9, 9), std::time::SystemTime::UNIX_EPOCH);
                }
                body.clear();
                (JobKind::Delete, path, None)
            }
            1 if len > 0 => {
                let path = format!("r/{number}");
                let mut whole = bytes(99, 500);
                self.disk.stock(&path, whole.clone(), std::time::SystemTime::UNIX_EPOCH);
                let first = self.dice.index(500);
                upload.len = Some(len as u64);
                let last = self.dice.chance(50).then_some((first + len - 1) as u64);
                upload.range = Some(UploadRange { first: first as u64, last });
                whole.resize(whole.len().max(first + len), 0);
                whole[first..first + len].copy_from_slice(&body);
                (JobKind::Upload(upload), path, Some(whole))
            }
            _ => (JobKind::Upload(upload), path, whole_body),
        };
        let uploads = matches!(kind, JobKind::Upload(_)) && !body.is_empty();
        let fails = !self.calm && uploads && self.dice.chance(5);
        let fails_at = fails.then(|| self.dice.below(body.len() as u64));
        let (target, _) = Target::parse(&format!("http://sim:80/{path}")).expect("a URL");
        let at = Duration::from_millis(*self.dice.pick(&[0, 0, 300, 700, 2000]));
        self.tasks.push(Task {
            job: Job { id: JobId(number), target, kind },
            path,
            body,
            whole,
            at,
            added: false,
            gone: 0,
            fails_at,
            outcome: None,
            stale: 0,
            repeated: false,
        });
    }

    /// The input answers a pull.
    pub(super) fn supply(&mut self, id: JobId, at: u64) -> Result<(), String> {
        let task = &mut self.tasks[id.0 as usize];
        let upload = task.upload().ok_or("a pull for what has no body")?;
        let rewindable = upload.rewindable;
        if at < task.gone && !rewindable {
            return Err(format!("{id:?} is asked for byte {at}, which is gone"));
        }
        self.wait = None;
        if task.fails_at == Some(at) {
            self.push.handle_body_failed(id, "the input is broken".into());
            return Ok(());
        }
        let rest = task.body.get(at as usize..).ok_or("a pull from behind the end")?;
        if rest.is_empty() {
            self.push.handle_body_end(id, at);
            return Ok(());
        }
        let most = task.fails_at.map_or(rest.len(), |fails_at| (fails_at - at) as usize);
        let len = self.dice.share(rest.len().min(most));
        let part = if rewindable && self.dice.chance(50) {
            Part::File { file: id.file(), at, len: len as u64 }
        } else {
            Part::Bytes(Bytes::copy_from_slice(&rest[..len]))
        };
        let (end, last) = (at + len as u64, len == rest.len() && task.fails_at.is_none());
        task.gone = end;
        self.push.handle_body(id, at, part);
        if last && self.dice.chance(50) {
            self.push.handle_body_end(id, end);
        }
        Ok(())
    }
}
