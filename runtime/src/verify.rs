//! Checks of passwords, off the event loop and behind a [`PasswordThrottle`].

#[cfg(test)]
mod tests;

use std::{
    fmt, io,
    net::IpAddr,
    panic,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use argon2::password_hash::try_generate_salt;
use httpout_proto::{
    ConfigError,
    auth::{Credential, PasswordThrottle, Secret, Users, throttle::CheckOutcome},
    effect::Verified,
};
use sha2::{Digest as _, Sha256};

use crate::passwords;

/// Checks passwords for all connections of a server.
pub(crate) struct Verifier<W> {
    gate: Arc<Mutex<PasswordThrottle<Key, Job, W>>>,
    /// Random, so that what is in memory tells nothing of a password.
    secret: [u8; 16],
    check: Check,
    counts: Arc<Counts>,
}

/// Checks that were made, by their result; and questions that were refused.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) right: AtomicU64,
    pub(crate) wrong: AtomicU64,
    pub(crate) refused: AtomicU64,
}

/// A connection that waits for a check.
pub(crate) trait Waiter: Send + 'static {
    /// The password was right or wrong. Called on a thread that may block, with no lock held.
    fn tell(self, right: bool);
}

/// Every kind of credential can be checked.
///
/// # Errors
/// None here; a build without passwords refuses them.
pub(crate) fn check(_: &Users) -> Result<(), ConfigError> {
    Ok(())
}

/// What is asked, as a keyed digest.
type Key = [u8; 32];

type Check = fn(Option<&Credential>, &Secret) -> bool;

#[derive(Debug)]
struct Job {
    password: Secret,
    credential: Option<Credential>,
}

impl<W: Waiter> Verifier<W> {
    /// Remembers nothing yet.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub(crate) fn new() -> io::Result<Self> {
        Self::with_check(passwords::verify)
    }

    fn with_check(check: Check) -> io::Result<Self> {
        let secret = try_generate_salt().map_err(io::Error::other)?;
        Ok(Self { gate: Arc::default(), secret, check, counts: Arc::default() })
    }

    /// Asks whether this is the user's password. Without a credential (there is no such user) it is
    /// found wrong, as late as otherwise. Never blocks. `None`: the waiter will be told; otherwise
    /// it is not.
    pub(crate) fn ask(
        &self,
        peer: IpAddr,
        user: &str,
        password: Secret,
        credential: Option<Credential>,
        waiter: W,
    ) -> Option<Verified> {
        let key = self.key(user, &password, credential.as_ref());
        let job = Job { password, credential };
        let mut gate = lock(&self.gate);
        // Read under the lock: the gate's time never goes back.
        let asked = gate.ask(Instant::now(), peer, key, job, waiter);
        drop(gate);
        match asked {
            CheckOutcome::Right => Some(Verified::Right),
            CheckOutcome::Queued => None,
            CheckOutcome::TooMany { retry, .. } => {
                self.counts.refused.fetch_add(1, Ordering::Relaxed);
                Some(Verified::TooMany(retry))
            }
            CheckOutcome::Check(job) => {
                let (gate, check, counts) = (self.gate.clone(), self.check, self.counts.clone());
                blocking::unblock(move || run(&gate, check, &counts, key, job)).detach();
                None
            }
        }
    }

    /// What was done so far.
    pub(crate) fn counts(&self) -> &Counts {
        &self.counts
    }

    fn key(&self, user: &str, password: &Secret, credential: Option<&Credential>) -> Key {
        let (kind, stored, salt): (u8, &[u8], &[u8]) = match credential {
            None => (0, &[], &[]),
            Some(Credential::Argon2(hash)) => (1, hash.as_bytes(), &[]),
            Some(Credential::Bcrypt(hash)) => (2, hash.as_bytes(), &[]),
            Some(Credential::Sha1(digest)) => (3, digest, &[]),
            Some(Credential::Salted { digest, salt }) => (4, digest, salt),
        };
        let mut digest = Sha256::new().chain_update(self.secret).chain_update([kind]);
        for part in [user.as_bytes(), password.reveal().as_bytes(), stored, salt] {
            // With its length, so that no two questions look alike.
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        digest.finalize().into()
    }
}

impl<W> fmt::Debug for Verifier<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").finish_non_exhaustive()
    }
}

/// Runs a check, and those that are queued behind it.
fn run<W: Waiter>(
    gate: &Mutex<PasswordThrottle<Key, Job, W>>,
    check: Check,
    counts: &Counts,
    key: Key,
    job: Job,
) {
    let mut next = Some((key, job));
    while let Some((key, job)) = next {
        // A panic must not keep those behind it from being checked.
        let checked = panic::catch_unwind(|| check(job.credential.as_ref(), &job.password));
        let right = checked.unwrap_or(false);
        if right { &counts.right } else { &counts.wrong }.fetch_add(1, Ordering::Relaxed);
        let mut locked = lock(gate);
        let finished = locked.finish(Instant::now(), &key, right);
        drop(locked);
        for waiter in finished.waiters {
            waiter.tell(right);
        }
        next = finished.next;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
