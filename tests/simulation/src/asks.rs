//! What a session may ask of its runtime for rights, listings and compressed content; and that nothing is touched without a right.

use httpout_proto::{Effect, fs::RelPath, semantics::media};

use crate::{
    client::Asked,
    model::Who,
    request::What,
    rights::{self, Login, Right},
    world::World,
};

impl World<'_> {
    /// Checks an effect that looks after rights, lists or compresses, or that an operator asked for; false if it is of another kind.
    pub(crate) fn check_asks(&mut self, who: Who, effect: &Effect) -> Result<bool, String> {
        let wrong = |what: &str| Err(format!("[{}] {what}: {effect:?}", who.0));
        let right = self.right(who);
        let config = self.site.config();
        let conn = &mut self.conns[who.0];
        let asked = conn.client.asked.get(who.1);
        let op = match effect {
            Effect::Locate { op, .. }
            | Effect::Verify { op, .. }
            | Effect::List { op, .. }
            | Effect::Encode { op, .. }
            | Effect::Metrics { op }
            | Effect::Health { op } => *op,
            Effect::Begun { .. } if config.log_begin => return Ok(true),
            Effect::Begun { .. } => return wrong("nobody wants to know"),
            Effect::Open { .. }
            | Effect::Stat { .. }
            | Effect::Create { .. }
            | Effect::MediaType { .. }
            | Effect::Write { .. }
            | Effect::Commit { .. }
            | Effect::CommitPatches { .. }
            | Effect::Remove { .. }
            | Effect::Close { .. }
            | Effect::Announce { .. }
            | Effect::Grown { .. }
            | Effect::Ended { .. }
            | Effect::Follow { .. }
            | Effect::Unfollow { .. }
            | Effect::Listen { .. }
            | Effect::Take { .. }
            | Effect::Leave { .. }
            | Effect::Air { .. }
            | Effect::Send { .. }
            | Effect::Retitle { .. }
            | Effect::OffAir { .. }
            | Effect::Deliver { .. }
            | Effect::Give { .. }
            | Effect::Given { .. }
            | Effect::Withdraw { .. }
            | Effect::Ask { .. }
            | Effect::Pull { .. }
            | Effect::Pace { .. }
            | Effect::Dismiss { .. }
            | Effect::Over(_)
            | Effect::Recheck { .. }
            | Effect::ShutdownWrite => return Ok(false),
        };
        if !conn.watch.next_op(op) {
            return wrong("an id twice");
        }
        let Some(Asked { request, .. }) = asked else { return wrong("nobody asked for this") };
        // Who hears no answer may have been answered: it can be any of the later ones.
        let mut later = conn.client.asked.iter().skip(who.1);
        let mut operated =
            |path| conn.client.operates && later.any(|asked| asked.request.path == path);
        let record = self.records.entry(who).or_default();
        let fits = match effect {
            Effect::Locate { place, last, .. } => {
                let first = record.located.replace(self.now).is_none();
                let follows = !matches!(request.what, What::Delete { .. });
                first && request.path == place.path.as_str() && *last == follows
            }
            Effect::Verify { user, password, credential, .. } => {
                let named = matches!(request.login, Login::Named { user: name, password: word, .. }
                    if name == &**user && word == password.reveal());
                let needed = matches!(right, Some(Right::Asked { .. }));
                let known = credential.is_some() == rights::has_password(user);
                named && needed && known && record.located.is_some() && record.verified.is_none()
            }
            Effect::List { place, mounts, order, most, .. } => {
                let What::List { asking, .. } = &request.what else {
                    return wrong("nobody asked for a listing");
                };
                config.dlist
                    && mounts.is_empty()
                    && *order == asking.order()
                    && *most == config.limits.listed
                    && request.place() == place.path.as_str()
            }
            Effect::Encode { file, place, meta, coding, .. } => {
                let What::Get { ranges, .. } = &request.what else {
                    return wrong("nobody asked for this");
                };
                let open = conn.files.get(file).map(|handle| handle.inode().meta());
                ranges.is_empty()
                    && open == Some(*meta)
                    && (1..=self.rules.zmax).contains(&meta.len)
                    && request.accept.is_some_and(|(_, wanted)| wanted == Some(*coding))
                    && request.place() == place.path.as_str()
            }
            Effect::Metrics { .. } => operated("metrics"),
            Effect::Health { .. } => operated("readyz"),
            Effect::Open { .. }
            | Effect::Stat { .. }
            | Effect::Create { .. }
            | Effect::MediaType { .. }
            | Effect::Write { .. }
            | Effect::Commit { .. }
            | Effect::CommitPatches { .. }
            | Effect::Remove { .. }
            | Effect::Close { .. }
            | Effect::Announce { .. }
            | Effect::Grown { .. }
            | Effect::Ended { .. }
            | Effect::Follow { .. }
            | Effect::Unfollow { .. }
            | Effect::Listen { .. }
            | Effect::Take { .. }
            | Effect::Leave { .. }
            | Effect::Air { .. }
            | Effect::Send { .. }
            | Effect::Retitle { .. }
            | Effect::OffAir { .. }
            | Effect::Deliver { .. }
            | Effect::Give { .. }
            | Effect::Given { .. }
            | Effect::Withdraw { .. }
            | Effect::Ask { .. }
            | Effect::Pull { .. }
            | Effect::Pace { .. }
            | Effect::Dismiss { .. }
            | Effect::Over(_)
            | Effect::Recheck { .. }
            | Effect::ShutdownWrite
            | Effect::Begun { .. } => false,
        };
        if fits { Ok(true) } else { wrong("nobody asked for this") }
    }

    /// A place is looked at or changed only for who may, and only where it really lies.
    pub(crate) fn check_right(&self, who: Who, effect: &Effect) -> Result<(), String> {
        let Some(path) = touched(effect) else { return Ok(()) };
        let Some(right) = self.right(who) else { return Ok(()) };
        let record = self.records.get(&who);
        let Some(record) = record.filter(|record| record.located.is_some()) else {
            return Err(format!("{who:?} goes on without a look at the rules: {effect:?}"));
        };
        if path.as_str() != rights::real(path.as_str(), false) {
            return Err(format!("{who:?} goes through a link: {effect:?}"));
        }
        if !record.is_granted(right) {
            return Err(format!("{who:?} has no right ({right:?}) to {effect:?}"));
        }
        Ok(())
    }

    /// What the rules say to a request; `None` where there are none.
    pub(crate) fn right(&self, who: Who) -> Option<Right> {
        let conn = &self.conns[who.0];
        let asked = conn.client.asked.get(who.1)?;
        let rights = self.rights.as_ref().filter(|_| !conn.client.operates)?;
        Some(rights.of(&asked.request, &conn.from))
    }

    /// Whether the file of this name and length is to be sent compressed, as far as that depends on the file.
    pub(crate) fn is_packable(zmax: u64, media_type: &str, len: usize) -> bool {
        (1..=zmax).contains(&(len as u64)) && media::is_text(media_type)
    }

    /// The answer to a wrong password has gone out: not too soon?
    pub(crate) fn check_penalty(&self, who: Who, status: u16) -> Result<(), String> {
        let guesses = |right| matches!(right, Right::Asked { right: false, .. });
        if status != 401 || !self.right(who).is_some_and(guesses) {
            return Ok(());
        }
        let record = self.records.get(&who);
        let time = self.site.config().limits.wrong_password_time;
        match record.and_then(|record| record.located) {
            Some(began) if self.now >= began + time => Ok(()),
            began => Err(format!("{who:?} a guess of {began:?} is answered at {:?}", self.now)),
        }
    }
}

/// What an effect looks at or changes.
fn touched(effect: &Effect) -> Option<&RelPath> {
    match effect {
        Effect::Open { place, .. }
        | Effect::Stat { place, .. }
        | Effect::Create { place, .. }
        | Effect::Commit { place, .. }
        | Effect::CommitPatches { place, .. }
        | Effect::Remove { place, .. }
        | Effect::Announce { place, .. }
        | Effect::Follow { place, .. }
        | Effect::List { place, .. }
        | Effect::Encode { place, .. } => Some(&place.path),
        Effect::MediaType { .. }
        | Effect::Write { .. }
        | Effect::Close { .. }
        | Effect::Grown { .. }
        | Effect::Ended { .. }
        | Effect::Unfollow { .. }
        | Effect::Locate { .. }
        | Effect::Verify { .. }
        | Effect::Listen { .. }
        | Effect::Take { .. }
        | Effect::Leave { .. }
        | Effect::Air { .. }
        | Effect::Send { .. }
        | Effect::Retitle { .. }
        | Effect::OffAir { .. }
        | Effect::Deliver { .. }
        | Effect::Give { .. }
        | Effect::Given { .. }
        | Effect::Withdraw { .. }
        | Effect::Ask { .. }
        | Effect::Pull { .. }
        | Effect::Pace { .. }
        | Effect::Dismiss { .. }
        | Effect::Metrics { .. }
        | Effect::Health { .. }
        | Effect::Begun { .. }
        | Effect::Over(_)
        | Effect::Recheck { .. }
        | Effect::ShutdownWrite => None,
    }
}
