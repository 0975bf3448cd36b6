//! What must be true of what the client says.

use httpout_proto::push::{JobKind, Outcome, Why};

use super::World;

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
                if let (Why::Source(_), false) = (&failure.why, task.input_fails()) {
                    return wrong("its input did not fail");
                }
            }
        }
        Ok(())
    }

    /// What keeps a job from being done, if not bad luck alone? There are fewer faults in a world than tries.
    fn must_succeed(&self, index: usize) -> bool {
        let task = &self.tasks[index];
        let given_up = !self.config.keep_input && !self.calm;
        let repeatable = match &task.job.kind {
            JobKind::Delete => true,
            JobKind::Upload(upload) => upload.rewindable && !self.config.post,
        };
        // A later upload to the same path may have been looked at.
        let alone = self.tasks.iter().filter(|other| other.path == task.path).count() == 1;
        let unverified = !self.config.verify || alone;
        !self.excused && !task.input_fails() && !given_up && unverified && (repeatable || self.calm)
    }

    /// Everything is over: is nothing left, and nothing done that nobody asked for?
    pub(super) fn judge_end(&mut self) -> Result<(), String> {
        if let Some(index) = self.tasks.iter().position(|task| task.outcome.is_none()) {
            return Err(format!("job {index} has no outcome"));
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
