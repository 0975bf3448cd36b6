//! What the rights of a request say, where that is no.

use std::{borrow::Cow, time::Duration};

use super::{
    Cx,
    answer::{error_head, refuse, say},
};
use crate::{hook::Rights, http::Status};

/// Why a request may not, as its peer is told.
#[derive(Debug)]
pub(super) enum Refusal {
    /// It may not, whoever asks; or not this user.
    Denied(Status, Cow<'static, str>),
    /// No name was given.
    Unidentified,
    /// The name or the password is wrong.
    Wrong,
    /// What was given is no name and password.
    Malformed(&'static str),
    /// The password was not checked; to be tried again after this time.
    TooMany(Duration),
}

impl Refusal {
    pub(super) fn forbidden(why: &'static str) -> Self {
        Self::Denied(Status::FORBIDDEN, why.into())
    }

    pub(super) fn rights(&self) -> Rights {
        match self {
            Self::Denied(..) | Self::Wrong | Self::TooMany(_) => Rights::Denied,
            Self::Unidentified => Rights::Unidentified,
            Self::Malformed(_) => Rights::Malformed,
        }
    }

    pub(super) fn say(self, cx: &mut Cx<'_>) {
        match self {
            Self::Denied(status, why) => refuse(cx, status, &why),
            Self::Unidentified => unauthorized(cx, "a name and a password are needed"),
            Self::Wrong => unauthorized(cx, "the name or the password is wrong"),
            Self::Malformed(why) => refuse(cx, Status::BAD_REQUEST, why),
            Self::TooMany(retry) => {
                let seconds = retry.as_secs().max(1).to_string();
                let head =
                    error_head(cx.site, Status::TOO_MANY_REQUESTS).field("Retry-After", seconds);
                say(cx, head, "too many passwords were wrong, or wait to be checked");
            }
        }
    }
}

/// RFC 9110 §15.5.2, RFC 7617 §2.
fn unauthorized(cx: &mut Cx<'_>, why: &str) {
    let head = error_head(cx.site, Status::UNAUTHORIZED)
        .field("WWW-Authenticate", "Basic realm=\"httpout\", charset=\"UTF-8\"");
    say(cx, head, why);
}
