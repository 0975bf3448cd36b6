//! In place of the checks of passwords, in a build without them: no user has one.

use std::{
    io,
    marker::PhantomData,
    net::IpAddr,
    sync::atomic::{AtomicU64, Ordering},
};

use httpout_proto::{
    ConfigError,
    auth::{Credential, Secret, Users},
    effect::Verified,
};

/// Finds every password wrong.
#[derive(Debug)]
pub(crate) struct Verifier<W> {
    counts: Counts,
    waiter: PhantomData<fn(W)>,
}

/// Checks that were made: only wrong ones.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) right: AtomicU64,
    pub(crate) wrong: AtomicU64,
    pub(crate) refused: AtomicU64,
}

/// A connection that waits for a check.
pub(crate) trait Waiter: Send + 'static {
    /// The password was right or wrong.
    fn tell(self, right: bool);
}

/// Refuses users with passwords: this build could let none of them in.
///
/// # Errors
/// A user that has a password.
pub(crate) fn check(users: &Users) -> Result<(), ConfigError> {
    match users.names().find(|name| users.credential(name).is_some()) {
        None => Ok(()),
        Some(name) => Err(ConfigError {
            option: "users",
            problem: format!("{name} has a password, and this program was built without passwords"),
            help: "build it with the cargo feature auth",
        }),
    }
}

impl<W: Waiter> Verifier<W> {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { counts: Counts::default(), waiter: PhantomData })
    }

    pub(crate) fn ask(
        &self,
        _: IpAddr,
        _: &str,
        _: Secret,
        _: Option<Credential>,
        waiter: W,
    ) -> Option<Verified> {
        self.counts.wrong.fetch_add(1, Ordering::Relaxed);
        waiter.tell(false);
        None
    }

    pub(crate) fn counts(&self) -> &Counts {
        &self.counts
    }
}
