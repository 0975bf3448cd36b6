//! What a runtime does for rights: says where a path leads, and has passwords checked, behind
//! proto's own gate.

use std::{io, net::IpAddr, path::PathBuf, time::Duration};

use httpout_proto::{
    Done, FsError, OpId,
    auth::{
        Credential, Secret,
        throttle::{CheckOutcome, Finished, PasswordThrottle},
    },
    effect::Verified,
    fs::RelPath,
};

use crate::{
    host::Work,
    model::Who,
    rights::{self, Guesses, ROOT},
    world::World,
};

/// A question: user, password, and what it is checked against.
pub(crate) type Key = (String, String, Option<String>);

/// A check to be made.
#[derive(Clone, Debug)]
pub(crate) struct Check {
    who: Who,
    op: OpId,
    key: Key,
    right: bool,
}

/// Proto's gate, and what is known of it besides.
#[derive(Debug, Default)]
pub(crate) struct Guard {
    gate: PasswordThrottle<Key, Check, (Who, OpId)>,
    guesses: Guesses,
}

/// Wrong passwords of one peer before it may be refused unheard.
const MOST_WRONG: u32 = 10;
/// Checks of one peer that wait, before the next one is refused.
const MOST_QUEUED: usize = 8;
/// How long they count.
const WINDOW: Duration = Duration::from_secs(60);

impl World<'_> {
    /// Is this the user's password?
    pub(crate) fn verify(
        &mut self,
        who: Who,
        op: OpId,
        (user, password): (&str, &Secret),
        credential: Option<&Credential>,
    ) -> Result<(), String> {
        if self.dice.chance(self.faults) {
            let error = FsError::Other(io::ErrorKind::Other);
            self.tell_verified(who, op, Err(error));
            return Ok(());
        }
        let right = rights::check(password.reveal(), credential);
        let against = match credential {
            Some(Credential::Argon2(hash)) => Some(hash.clone()),
            Some(Credential::Bcrypt(_) | Credential::Sha1(_) | Credential::Salted { .. })
            | None => None,
        };
        let key: Key = (user.to_owned(), password.reveal().to_owned(), against);
        let check = Check { who, op, key: key.clone(), right };
        let (now, peer) = (self.base + self.now, self.peer(who));
        match self.guard.gate.ask(now, peer, key, check, (who, op)) {
            CheckOutcome::Right if right => self.tell_verified(who, op, Ok(Verified::Right)),
            CheckOutcome::Right => {
                return Err(format!("{who:?} the gate lets a wrong password in"));
            }
            CheckOutcome::Check(check) => self.begin_check(check)?,
            CheckOutcome::Queued => {}
            CheckOutcome::TooMany { retry, .. } => {
                let guesses = self.guard.guesses.get(&peer).copied().unwrap_or(0);
                if retry.is_zero() || guesses < MOST_WRONG && self.conns.len() <= MOST_QUEUED {
                    return Err(format!("{who:?} is refused unheard after {guesses} guesses"));
                }
                self.tell_verified(who, op, Ok(Verified::TooMany(retry)));
            }
        }
        Ok(())
    }

    fn begin_check(&mut self, check: Check) -> Result<(), String> {
        let time = *self.dice.pick(&[1, 80, 700, 3000]);
        self.job_after(Duration::from_millis(time), check.who, check.op, Work::Check(check))
    }

    /// A check is made: those who wait for it hear of it, and the next one begins.
    pub(crate) fn checked(&mut self, check: Check) -> Result<(), String> {
        let now = self.base + self.now;
        let Finished { waiters, next } = self.guard.gate.finish(now, &check.key, check.right);
        if !check.right {
            let peer = self.peer(check.who);
            let guesses = self.guard.guesses.entry(peer).or_default();
            *guesses += 1;
            // Each connection has one question at a time.
            let most = MOST_WRONG + self.conns.len() as u32;
            if *guesses > most && self.now < WINDOW {
                return Err(format!("{peer} has guessed {guesses} times"));
            }
        }
        if !waiters.contains(&(check.who, check.op)) {
            return Err(format!("{:?} is not told what came of its check", check.who));
        }
        for (who, op) in waiters {
            let verified = if check.right { Verified::Right } else { Verified::Wrong };
            self.tell_verified(who, op, Ok(verified));
        }
        match next {
            Some((_, check)) => self.begin_check(check),
            None => Ok(()),
        }
    }

    fn tell_verified(&mut self, who: Who, op: OpId, told: Result<Verified, FsError>) {
        self.records.entry(who).or_default().verified = Some(told);
        self.answer(who.0, op, told.map(Done::Verified), None);
    }

    fn peer(&self, who: Who) -> IpAddr {
        let address = self.conns[who.0].from.address;
        address.unwrap_or(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED))
    }
}

/// Where a path leads, links followed.
pub(crate) fn locate(path: &RelPath, last: bool) -> Result<Done, FsError> {
    let path = RelPath::new(&rights::real(path.as_str(), last)).ok_or(FsError::Outside)?;
    let mut real = PathBuf::from(ROOT);
    if !path.is_root() {
        real.push(path.as_str());
    }
    Ok(Done::Located { real, root: None, path })
}
