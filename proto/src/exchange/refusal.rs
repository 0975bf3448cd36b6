//! What the rights of a request say, where that is no.

use std::{borrow::Cow, time::Duration};

use crate::{hook::Rights, http::Status};

/// Why a request may not, as its peer is told.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// No user may, or not this one.
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
}
