//! What answers and losses mean: done, over, elsewhere, or once more.

use std::{borrow::Cow, time::Duration};

use percent_encoding::{CONTROLS, percent_encode};

use super::{JobKind, Outcome, Push, PushEffect, PushError, Stage, Stored};
use crate::{
    error::PeerError,
    http::{HeaderList, parse_digits},
    http1::Response,
    time::{Now, Timer},
};

impl Push {
    /// The answer to the current request is whole; `sent`: so was the request.
    pub(super) fn conclude(&mut self, sent: bool, now: Now) {
        let Some(current) = &mut self.current else { return };
        let Some(answer) = current.answer.take() else { return };
        let status = answer.status;
        if status.is_success() {
            if sent {
                self.succeed(&answer)
            } else {
                self.request_lost(None, false, now)
            }
            return;
        }
        match status.code() {
            404 | 410 if matches!(current.job.kind, JobKind::Delete) => {
                self.done(Outcome::Deleted { status });
            }
            301 | 302 | 307 | 308 => self.redirect(&answer),
            417 if current.expected => {
                self.expects = false;
                self.at_once(PushError::Refused(status));
            }
            408 | 429 | 503 => match retry_after(&answer.fields, now) {
                Some(after) if after > self.options.config.longest_retry_after => {
                    self.fail(PushError::Later(status, after));
                }
                after => self.again(PushError::Refused(status), after, now),
            },
            code => match &current.stored {
                Some(_) => self.fail(PushError::Unlike(format!("HEAD is answered with {code}"))),
                None => self.fail(PushError::Refused(status)),
            },
        }
    }

    /// The connection was lost in the middle of the current request. `stale`: it was a kept one,
    /// and no byte of an answer came.
    pub(super) fn request_lost(&mut self, why: Option<PeerError>, stale: bool, now: Now) {
        let Some(current) = &self.current else { return };
        let why = why.unwrap_or(PeerError::Truncated);
        let stale = stale && matches!(why, PeerError::Truncated | PeerError::Broken(_));
        // RFC 9110 §9.2.2: PUT, DELETE and HEAD may be made twice; POST only if it cannot have been
        // seen.
        let idempotent = current.method(&self.options).is_idempotent();
        let harmless = idempotent || stale || !current.sent_some;
        match why {
            PeerError::Malformed(_)
            | PeerError::HeadTooLarge
            | PeerError::TooLarge
            | PeerError::Version
            | PeerError::TargetTooLong
            | PeerError::Method
            | PeerError::Expectation
            | PeerError::LengthRequired
            | PeerError::Overloaded => self.fail(PushError::Garbage(why)),
            PeerError::Timeout(_) | PeerError::Truncated | PeerError::Broken(_) => {
                match (harmless, stale) {
                    (true, true) => self.at_once(PushError::Lost(why)),
                    (true, false) => self.again(PushError::Lost(why), None, now),
                    (false, _) => {
                        self.fail(PushError::Unrepeatable(Box::new(PushError::Lost(why))))
                    }
                }
            }
        }
    }

    /// The current request is made once more, later; unless it was tried often enough.
    pub(super) fn again(&mut self, why: PushError, after: Option<Duration>, now: Now) {
        let Some(current) = &mut self.current else { return };
        current.failed += 1;
        if current.failed > self.options.config.retries {
            self.fail(why);
            return;
        }
        let after = self.options.wait(current.failed).max(after.unwrap_or_default());
        if self.rewind(why, after) {
            self.set_stage(Stage::Resting);
            self.alarms.set(Timer::Retry, Some(now.mono + after.max(TICK)));
        }
    }

    /// The current request is made once more, now. This does not count: it cannot happen twice in a
    /// row.
    fn at_once(&mut self, why: PushError) {
        if self.rewind(why, Duration::ZERO) {
            self.set_stage(Stage::Ready);
        }
    }

    /// Back to the first byte; false, and the job is over, if that cannot be.
    fn rewind(&mut self, why: PushError, after: Duration) -> bool {
        let Some(current) = &mut self.current else { return false };
        if !current.can_repeat() {
            self.fail(PushError::Unrepeatable(Box::new(why)));
            return false;
        }
        current.source.rewind();
        self.effects.push_back(PushEffect::Retry { job: current.job.id, after, why });
        true
    }

    /// The same request, elsewhere (RFC 9110 §15.4). 301 and 302 keep the method, which that allows
    /// for all methods but POST; the ingest protocol of DASH-IF asks its sources to send the upload
    /// again at the new place, by POST too.
    fn redirect(&mut self, answer: &Response) {
        let Some(current) = &mut self.current else { return };
        let status = answer.status;
        match next_target(current, answer, self.options.config.redirects) {
            Err(why) => self.fail(PushError::Redirect(status, why)),
            Ok(_) if !current.can_repeat() => {
                let why = PushError::Redirect(status, "the upload goes elsewhere");
                self.fail(PushError::Unrepeatable(Box::new(why)));
            }
            Ok(target) => {
                let before = std::mem::replace(&mut current.target, target.clone());
                current.seen.push(before);
                current.source.rewind();
                current.stage = Stage::Ready;
                self.expects = true;
                self.effects.push_back(PushEffect::Redirected { job: current.job.id, target });
            }
        }
    }

    fn succeed(&mut self, answer: &Response) {
        let Some(current) = &mut self.current else { return };
        let status = answer.status;
        let etag =
            || answer.fields.get("etag").map(|etag| String::from_utf8_lossy(etag).into_owned());
        let upload = match &current.job.kind {
            JobKind::Delete => {
                self.done(Outcome::Deleted { status });
                return;
            }
            JobKind::Upload(upload) => upload,
        };
        if let Some(stored) = current.stored.take() {
            let whole = upload.range.is_none();
            match unlike(&stored, answer, whole, etag()) {
                None => self.done(Outcome::Stored(Stored { verified: true, ..stored })),
                Some(what) => self.fail(PushError::Unlike(what)),
            }
            return;
        }
        let stored = Stored {
            status,
            bytes: current.source.at,
            etag: etag(),
            tries: current.tries,
            verified: false,
        };
        if self.options.config.verify {
            current.stored = Some(stored);
            current.failed = 0;
            current.stage = Stage::Ready;
        } else {
            self.done(Outcome::Stored(stored));
        }
    }

    fn done(&mut self, outcome: Outcome) {
        if let Some(current) = self.current.take() {
            self.over(current.job.id, outcome);
        }
    }
}

/// What of an upload is not as it was sent.
fn unlike(stored: &Stored, head: &Response, whole: bool, etag: Option<String>) -> Option<String> {
    if let (Some(sent), Some(now)) = (&stored.etag, &etag) {
        let opaque = |etag: &str| etag.strip_prefix("W/").unwrap_or(etag).to_owned();
        if opaque(sent) != opaque(now) {
            return Some(format!("its ETag is {now} where the upload's was {sent}"));
        }
    }
    if !whole || head.fields.get("content-encoding").is_some() {
        return None;
    }
    match head.content_length {
        Some(len) if len != stored.bytes => {
            Some(format!("it has {len} bytes where {} were sent", stored.bytes))
        }
        // Apache leaves the length of what is empty out.
        None if stored.bytes > 0 && (stored.etag.is_none() || etag.is_none()) => {
            Some("the server tells neither its length nor its ETag".into())
        }
        Some(_) | None => None,
    }
}

fn next_target(
    current: &super::Current,
    answer: &Response,
    most: u32,
) -> Result<super::Target, &'static str> {
    let mut locations = answer.fields.all("location");
    let (Some(location), None) = (locations.next(), locations.next()) else {
        return Err("a redirect without one Location");
    };
    // Bytes that should have been percent-encoded count as if they had.
    let encoded = || Cow::from(percent_encode(location, CONTROLS));
    let location = std::str::from_utf8(location).map_or_else(|_| encoded(), Cow::from);
    let target = current.target.resolve(&location).ok_or("a redirect to what is no http URL")?;
    if current.target.origin.is_tls() && !target.origin.is_tls() {
        return Err("a redirect from https to http");
    }
    if target == current.target || current.seen.contains(&target) {
        return Err("redirects in circles");
    }
    if current.seen.len() as u64 >= u64::from(most) {
        return Err("too many redirects");
    }
    Ok(target)
}

/// RFC 9110 §10.2.3: seconds, or a date.
fn retry_after(fields: &HeaderList, now: Now) -> Option<Duration> {
    let value = fields.get("retry-after")?;
    if let Some(seconds) = parse_digits(value) {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(std::str::from_utf8(value).ok()?).ok()?;
    Some(date.duration_since(now.wall).unwrap_or_default())
}

/// A `Wait` never names the moment itself.
const TICK: Duration = Duration::from_nanos(1);
