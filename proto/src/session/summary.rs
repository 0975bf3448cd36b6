//! What the log learns of a request.

use crate::{
    http::{RequestHead, RequestTarget},
    report::RequestSummary,
};

/// A request as logs show it.
pub(super) fn asked(head: &RequestHead) -> RequestSummary {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let field = |name| head.fields.get(name).map(text);
    RequestSummary {
        target: match &head.target {
            RequestTarget::Path(path) => path.clone(),
            RequestTarget::Asterisk => "*".into(),
        },
        version: head.version,
        range: field("range"),
        referer: field("referer"),
        user_agent: field("user-agent"),
        line: String::new(),
    }
}

/// A request as logs show it whose head was refused.
pub(super) fn refused(line: String) -> RequestSummary {
    let target = line.split(' ').nth(1).unwrap_or_default().to_owned();
    RequestSummary { target, line, ..RequestSummary::default() }
}
