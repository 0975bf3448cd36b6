//! What must be true of what the client says.

use httpout_proto::push::{JobKind, Outcome, PushError};

use super::{World, server::Conn};

impl World<'_> {
    /// A job is over: is it as the client says?
    pub(super) fn judge(&self, index: usize, outcome: &Outcome) -> Result<(), String> {
        let task = &self.tasks[index];
        let wrong = |what: &str| Err(format!("job {index}, {}: {what}", task.path));
        let alone = self.tasks.iter().filter(|other| other.path == task.path).count() == 1;
        let is = self.disk.file(&task.path).map(|inode| inode.data().clone());
        match (outcome, &task.whole) {
            (Outcome::Stored(stored), Some(whole)) => {
                if stored.bytes != task.body.len() as u64 {
                    return wrong("stored, with another length");
                }
                if self.config.verify && self.conns.iter().any(Conn::lies) {
                    return Ok(());
                }
                let last = self.conns.last().filter(|conn| conn.lies());
                if let Some(conn) = last {
                    let end = if task.upload().is_some_and(|upload| upload.len.is_none()) {
                        &b"\r\n0\r\n\r\n"[..]
                    } else {
                        &task.body
                    };
                    let sent = conn.written.ends_with(end);
                    return if sent { Ok(()) } else { wrong("stored before it was sent") };
                }
                if !self.commits.contains(&(task.path.clone(), whole.clone())) {
                    return wrong("stored, says the client");
                }
                if alone && is.as_ref() != Some(whole) {
                    return wrong("stored, and not there");
                }
                if stored.verified != self.config.verify {
                    return wrong("verified or not");
                }
                if task.input_fails() {
                    return wrong("stored although its input fails");
                }
            }
            (Outcome::Deleted { .. }, None) => {
                // Somebody else may have said 404.
                if is.is_some() && !self.excused {
                    return wrong("deleted, and still there");
                }
            }
            (Outcome::Stored(_), None) | (Outcome::Deleted { .. }, Some(_)) => {
                return wrong("another outcome than what was asked for");
            }
            (Outcome::Failed(failure), _) => {
                if self.must_succeed(index) {
                    return wrong(&format!("failed for nothing: {failure}"));
                }
                let text = failure.to_string();
                if !text.contains(&task.path) || text.len() < 20 {
                    return wrong(&format!("a line that does not help: {text}"));
                }
                if let (PushError::Source(_), false) = (&failure.why, task.input_fails()) {
                    return wrong("its input did not fail");
                }
            }
        }
        Ok(())
    }

    /// What keeps a job from being done, if not bad luck alone? There are fewer faults in a world
    /// than tries.
    fn must_succeed(&self, index: usize) -> bool {
        let task = &self.tasks[index];
        let given_up = !self.config.keep_input && !self.calm;
        // Also where all is well, a kept connection may end when the next request is on its way.
        let repeatable = match &task.job.kind {
            JobKind::Delete => true,
            JobKind::Upload(upload) => upload.rewindable && (self.calm || !self.config.post),
        };
        // A later upload to the same path may have been looked at.
        let alone = self.tasks.iter().filter(|other| other.path == task.path).count() == 1;
        let unverified = !self.config.verify || alone;
        !self.excused && !task.input_fails() && !given_up && unverified && repeatable
    }

    /// Everything is over: is nothing left, and nothing done that nobody asked for?
    pub(super) fn judge_end(&mut self) -> Result<(), String> {
        if let Some(index) = self.tasks.iter().position(|task| task.outcome.is_none()) {
            return Err(format!("job {index} has no outcome"));
        }
        for (c, conn) in self.conns.iter().enumerate() {
            let requests = requests(&conn.written);
            let Some((_, before)) = requests.split_last() else { continue };
            if let Some(cut) = before.iter().find(|request| !is_whole(request)) {
                let cut = String::from_utf8_lossy(&cut[..cut.len().min(200)]);
                return Err(format!("[{c}] a request follows one that has no end: {cut}"));
            }
        }
        for (path, content) in &self.commits {
            let known =
                |task: &&super::Task| task.path == *path && task.whole.as_ref() == Some(content);
            let Some(task) = self.tasks.iter().find(known) else {
                return Err(format!("{path} was committed with {} bytes of nobody", content.len()));
            };
            let times = self.commits.iter().filter(|other| other.0 == *path && other.1 == *content);
            if self.config.post && times.count() as u32 > 1 + task.stale {
                return Err(format!("{path} was posted twice"));
            }
        }
        Ok(())
    }
}

/// The requests in what was sent, which begin where their heads do. No body holds what looks like a
/// head.
fn requests(mut sent: &[u8]) -> Vec<&[u8]> {
    const MARK: &[u8] = b" HTTP/1.1\r\nHost: sim\r\n";
    let mut requests = Vec::new();
    while !sent.is_empty() {
        // From the second head on: back from its mark to its method.
        let mut marks = sent.windows(MARK.len()).enumerate().filter(|(_, at)| *at == MARK);
        let second = marks.nth(1).map(|(at, _)| at);
        let methods = [&b"PUT /"[..], b"POST /", b"HEAD /", b"DELETE /"];
        let end = second.and_then(|mark| {
            (0..mark).rev().find(|&at| methods.iter().any(|method| sent[at..].starts_with(method)))
        });
        let (request, rest) = sent.split_at(end.unwrap_or(sent.len()));
        requests.push(request);
        sent = rest;
    }
    requests
}

fn is_whole(request: &[u8]) -> bool {
    let Some(end) = request.windows(4).position(|at| at == b"\r\n\r\n") else { return false };
    let (head, body) = request.split_at(end + 4);
    let head = String::from_utf8_lossy(head);
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
    match length {
        Some(length) => length.parse() == Ok(body.len()),
        None if head.contains("Transfer-Encoding: chunked") => {
            body == b"0\r\n\r\n" || body.ends_with(b"\r\n0\r\n\r\n")
        }
        None => body.is_empty(),
    }
}
