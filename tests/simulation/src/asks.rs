//! What a session may ask of its runtime for rights, listings and compressed content; and that
//! nothing is touched without a right.

use httpout_proto::effect::{
    AdminEffect, AuthEffect, ConnectionEffect, DeliveryEffect, FsEffect, HookEffect, LiveEffect,
    LogEffect,
};
use httpout_proto::{Effect, fs::RelPath, semantics::media};

use crate::{
    client::Asked,
    model::Who,
    request::What,
    rights::{self, Login, Right},
    world::World,
};

impl World<'_> {
    /// Checks an effect that looks after rights, lists or compresses, or that an operator asked
    /// for; false if it is of another kind.
    pub(crate) fn check_asks(&mut self, who: Who, effect: &Effect) -> Result<bool, String> {
        let wrong = |what: &str| Err(format!("[{}] {what}: {effect:?}", who.0));
        let right = self.right(who);
        let config = self.site.config();
        let conn = &mut self.conns[who.0];
        let asked = conn.client.asked.get(who.1);
        let op = match effect {
            Effect::Fs(_, FsEffect::Locate { op, .. })
            | Effect::Auth(_, AuthEffect::Verify { op, .. })
            | Effect::Fs(_, FsEffect::List { op, .. })
            | Effect::Fs(_, FsEffect::Encode { op, .. })
            | Effect::Admin(_, AdminEffect::Metrics { op })
            | Effect::Admin(_, AdminEffect::Health { op }) => *op,
            Effect::Log(_, LogEffect::Begun { .. }) if config.log_begin => return Ok(true),
            Effect::Log(_, LogEffect::Begun { .. }) => return wrong("nobody wants to know"),
            Effect::Fs(_, FsEffect::Open { .. })
            | Effect::Fs(_, FsEffect::Stat { .. })
            | Effect::Fs(_, FsEffect::Create { .. })
            | Effect::Fs(_, FsEffect::MediaType { .. })
            | Effect::Fs(_, FsEffect::Write { .. })
            | Effect::Fs(_, FsEffect::Commit { .. })
            | Effect::Fs(_, FsEffect::CommitPatches { .. })
            | Effect::Fs(_, FsEffect::Remove { .. })
            | Effect::Fs(_, FsEffect::Close { .. })
            | Effect::Live(_, LiveEffect::Announce { .. })
            | Effect::Live(_, LiveEffect::Grown { .. })
            | Effect::Live(_, LiveEffect::Ended { .. })
            | Effect::Live(_, LiveEffect::Follow { .. })
            | Effect::Live(_, LiveEffect::Unfollow { .. })
            | Effect::Live(_, LiveEffect::Listen { .. })
            | Effect::Live(_, LiveEffect::Take { .. })
            | Effect::Live(_, LiveEffect::Leave { .. })
            | Effect::Live(_, LiveEffect::Publish { .. })
            | Effect::Live(_, LiveEffect::PublishGroup { .. })
            | Effect::Live(_, LiveEffect::SetTitle { .. })
            | Effect::Live(_, LiveEffect::Unpublish { .. })
            | Effect::Delivery(_, DeliveryEffect::Begin { .. })
            | Effect::Delivery(_, DeliveryEffect::Data { .. })
            | Effect::Delivery(_, DeliveryEffect::End { .. })
            | Effect::Delivery(_, DeliveryEffect::Abort { .. })
            | Effect::Hook(_, HookEffect::Ask { .. })
            | Effect::Hook(_, HookEffect::Pull { .. })
            | Effect::Hook(_, HookEffect::Pace { .. })
            | Effect::Hook(_, HookEffect::Dismiss { .. })
            | Effect::Log(_, LogEffect::Over(_))
            | Effect::Connection(ConnectionEffect::Recheck { .. })
            | Effect::Connection(ConnectionEffect::ShutdownWrite) => return Ok(false),
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
            Effect::Fs(_, FsEffect::Locate { place, last, .. }) => {
                let first = record.located.replace(self.now).is_none();
                let follows = !matches!(request.what, What::Delete { .. });
                first && request.path == place.path.as_str() && *last == follows
            }
            Effect::Auth(_, AuthEffect::Verify { user, password, credential, .. }) => {
                let named = matches!(request.login, Login::Named { user: name, password: word, .. }
                    if name == &**user && word == password.reveal());
                let needed = matches!(right, Some(Right::Asked { .. }));
                let known = credential.is_some() == rights::has_password(user);
                named && needed && known && record.located.is_some() && record.verified.is_none()
            }
            Effect::Fs(_, FsEffect::List { place, mounts, order, most, .. }) => {
                let What::List { asking, .. } = &request.what else {
                    return wrong("nobody asked for a listing");
                };
                config.list_directories
                    && mounts.is_empty()
                    && *order == asking.order()
                    && *most == config.limits.listed
                    && request.place() == place.path.as_str()
            }
            Effect::Fs(_, FsEffect::Encode { file, place, meta, coding, .. }) => {
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
            Effect::Admin(_, AdminEffect::Metrics { .. }) => operated("metrics"),
            Effect::Admin(_, AdminEffect::Health { .. }) => operated("readyz"),
            Effect::Fs(_, FsEffect::Open { .. })
            | Effect::Fs(_, FsEffect::Stat { .. })
            | Effect::Fs(_, FsEffect::Create { .. })
            | Effect::Fs(_, FsEffect::MediaType { .. })
            | Effect::Fs(_, FsEffect::Write { .. })
            | Effect::Fs(_, FsEffect::Commit { .. })
            | Effect::Fs(_, FsEffect::CommitPatches { .. })
            | Effect::Fs(_, FsEffect::Remove { .. })
            | Effect::Fs(_, FsEffect::Close { .. })
            | Effect::Live(_, LiveEffect::Announce { .. })
            | Effect::Live(_, LiveEffect::Grown { .. })
            | Effect::Live(_, LiveEffect::Ended { .. })
            | Effect::Live(_, LiveEffect::Follow { .. })
            | Effect::Live(_, LiveEffect::Unfollow { .. })
            | Effect::Live(_, LiveEffect::Listen { .. })
            | Effect::Live(_, LiveEffect::Take { .. })
            | Effect::Live(_, LiveEffect::Leave { .. })
            | Effect::Live(_, LiveEffect::Publish { .. })
            | Effect::Live(_, LiveEffect::PublishGroup { .. })
            | Effect::Live(_, LiveEffect::SetTitle { .. })
            | Effect::Live(_, LiveEffect::Unpublish { .. })
            | Effect::Delivery(_, DeliveryEffect::Begin { .. })
            | Effect::Delivery(_, DeliveryEffect::Data { .. })
            | Effect::Delivery(_, DeliveryEffect::End { .. })
            | Effect::Delivery(_, DeliveryEffect::Abort { .. })
            | Effect::Hook(_, HookEffect::Ask { .. })
            | Effect::Hook(_, HookEffect::Pull { .. })
            | Effect::Hook(_, HookEffect::Pace { .. })
            | Effect::Hook(_, HookEffect::Dismiss { .. })
            | Effect::Log(_, LogEffect::Over(_))
            | Effect::Connection(ConnectionEffect::Recheck { .. })
            | Effect::Connection(ConnectionEffect::ShutdownWrite)
            | Effect::Log(_, LogEffect::Begun { .. }) => false,
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

    /// Whether the file of this name and length is to be sent compressed, as far as that depends on
    /// the file.
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
        Effect::Fs(_, FsEffect::Open { place, .. })
        | Effect::Fs(_, FsEffect::Stat { place, .. })
        | Effect::Fs(_, FsEffect::Create { place, .. })
        | Effect::Fs(_, FsEffect::Commit { place, .. })
        | Effect::Fs(_, FsEffect::CommitPatches { place, .. })
        | Effect::Fs(_, FsEffect::Remove { place, .. })
        | Effect::Live(_, LiveEffect::Announce { place, .. })
        | Effect::Live(_, LiveEffect::Follow { place, .. })
        | Effect::Fs(_, FsEffect::List { place, .. })
        | Effect::Fs(_, FsEffect::Encode { place, .. }) => Some(&place.path),
        Effect::Fs(_, FsEffect::MediaType { .. })
        | Effect::Fs(_, FsEffect::Write { .. })
        | Effect::Fs(_, FsEffect::Close { .. })
        | Effect::Live(_, LiveEffect::Grown { .. })
        | Effect::Live(_, LiveEffect::Ended { .. })
        | Effect::Live(_, LiveEffect::Unfollow { .. })
        | Effect::Fs(_, FsEffect::Locate { .. })
        | Effect::Auth(_, AuthEffect::Verify { .. })
        | Effect::Live(_, LiveEffect::Listen { .. })
        | Effect::Live(_, LiveEffect::Take { .. })
        | Effect::Live(_, LiveEffect::Leave { .. })
        | Effect::Live(_, LiveEffect::Publish { .. })
        | Effect::Live(_, LiveEffect::PublishGroup { .. })
        | Effect::Live(_, LiveEffect::SetTitle { .. })
        | Effect::Live(_, LiveEffect::Unpublish { .. })
        | Effect::Delivery(_, DeliveryEffect::Begin { .. })
        | Effect::Delivery(_, DeliveryEffect::Data { .. })
        | Effect::Delivery(_, DeliveryEffect::End { .. })
        | Effect::Delivery(_, DeliveryEffect::Abort { .. })
        | Effect::Hook(_, HookEffect::Ask { .. })
        | Effect::Hook(_, HookEffect::Pull { .. })
        | Effect::Hook(_, HookEffect::Pace { .. })
        | Effect::Hook(_, HookEffect::Dismiss { .. })
        | Effect::Admin(_, AdminEffect::Metrics { .. })
        | Effect::Admin(_, AdminEffect::Health { .. })
        | Effect::Log(_, LogEffect::Begun { .. })
        | Effect::Log(_, LogEffect::Over(_))
        | Effect::Connection(ConnectionEffect::Recheck { .. })
        | Effect::Connection(ConnectionEffect::ShutdownWrite) => None,
    }
}
