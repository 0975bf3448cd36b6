//! What is asked of the server: heads, framing, and which server gets which credentials.

use super::{Current, JobKind, Push, PushError, PushOptions, RangeField, Stage, Upload};
use crate::{
    http::{BodySize, RequestBuilder},
    semantics::media::is_media_type,
};

/// What is not told to an origin that the user did not name.
const PRIVATE: [&str; 3] = ["authorization", "cookie", "proxy-authorization"];

impl Push {
    /// What keeps the current job from being tried at all.
    pub(super) fn misuse(&self) -> Option<PushError> {
        let current = self.current.as_ref()?;
        let JobKind::Upload(upload) = &current.job.kind else { return None };
        if upload.media_type.as_ref().is_some_and(|it| !is_media_type(it.as_bytes())) {
            return Some(PushError::Misuse(
                "the media type is not one that a header field can carry",
            ));
        }
        match upload.length() {
            Err(what) => Some(PushError::Misuse(what)),
            Ok(None) if !self.options.config.chunked => Some(PushError::LengthUnknown),
            Ok(_) => None,
        }
    }

    /// Makes the current request on the connection.
    pub(super) fn ask(&mut self) {
        if let Some(why) = self.misuse() {
            self.fail(why);
            return;
        }
        let (Some(current), Some(wire)) = (&mut self.current, self.line.wire()) else { return };
        let Some((request, body, expect)) = compose(current, &self.options, self.expects) else {
            self.fail(PushError::Misuse("the URL holds what a request cannot carry"));
            return;
        };
        if wire.request(&request, body) {
            current.stage = Stage::Asked;
            current.tries += u32::from(current.stored.is_none());
            current.sent_some = false;
            current.expected = expect;
            current.answer = None;
        }
    }
}

fn compose(
    current: &Current,
    options: &PushOptions,
    expects: bool,
) -> Option<(RequestBuilder, BodySize, bool)> {
    let config = &options.config;
    let target = &current.target;
    let method = current.method(options);
    let mut request =
        RequestBuilder::new(method, target.path(), &target.origin.authority())?.last(config.close);
    if !config.user_agent.is_empty() && !has(&config.fields, "user-agent") {
        request = request.field("User-Agent", &config.user_agent);
    }
    let trusted = target.origin == current.job.target.origin;
    for (name, value) in &config.fields {
        if trusted || !PRIVATE.iter().any(|own| own.eq_ignore_ascii_case(name)) {
            request = request.field(name, value);
        }
    }
    if let (true, Some(credentials)) = (trusted, &config.credentials)
        && !has(&config.fields, "authorization")
    {
        request = request.field("Authorization", credentials.field());
    }
    let (None, JobKind::Upload(upload)) = (&current.stored, &current.job.kind) else {
        return Some((request, BodySize::Empty, false));
    };
    let len = upload.length().ok()?;
    if !has(&config.fields, "content-type") {
        request = request.field_opt("Content-Type", upload.media_type.as_ref());
    }
    if let (Some((first, last)), Some(_)) = (span(upload, len), upload.range) {
        request = match config.range_field {
            RangeField::ContentRange => {
                request.field("Content-Range", format!("bytes {first}-{last}/*"))
            }
            RangeField::Range => request.field("Range", format!("bytes={first}-{last}")),
        };
    }
    let body = len.map_or(BodySize::Unknown, BodySize::Known);
    let expect = expects
        && config.expect_from.is_some_and(|from| {
            // What cannot be sent again is not sent in vain.
            len.is_some_and(|len| len >= from) || !upload.rewindable && len != Some(0)
        });
    Some((request.expecting(expect), body, expect))
}

fn has(fields: &[(String, String)], name: &str) -> bool {
    fields.iter().any(|(own, _)| own.eq_ignore_ascii_case(name))
}

/// The first and the last position of a range.
fn span(upload: &Upload, len: Option<u64>) -> Option<(u64, u64)> {
    let range = upload.range?;
    Some((range.first, range.first + (len?.checked_sub(1)?)))
}
