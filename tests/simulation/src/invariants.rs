//! What must hold after every step of a session.

use std::collections::{BTreeMap, BTreeSet};

use httpout_proto::effect::{
    AdminEffect, AuthEffect, ConnectionEffect, DeliveryEffect, FsEffect, HookEffect, LiveEffect,
    LogEffect,
};
use httpout_proto::{Effect, ExchangeId, FileId, OpId, Wait, http::Piece};

use crate::{
    client::Time,
    model::Who,
    reply::{Heard, Reader},
    request::{Request, What},
    world::World,
};

/// Most bytes that one read of a socket gives.
pub(crate) const ONE_READ: usize = 8192;

/// What is remembered of a session to check it by.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// Reads what the socket took.
    tap: Reader,
    answered: usize,
    /// The exchanges whose last effect has come.
    over: BTreeSet<ExchangeId>,
    last_op: Option<OpId>,
    last_file: Option<FileId>,
    /// Effects under way that open a file or change one; of a write, where and how much.
    under_way: BTreeMap<OpId, Option<(FileId, u64)>>,
    parts: BTreeMap<FileId, Part>,
    pub(crate) eof: bool,
    pub(crate) received: usize,
    /// As it was when the disk was given the work that it has now.
    received_before: Option<usize>,
}

#[derive(Debug, Default)]
struct Part {
    written: u64,
    announced: bool,
}

impl Watch {
    /// Requests whose answer the socket has to its last byte.
    pub(crate) fn answered(&self) -> usize {
        self.answered
    }

    /// An effect is answered.
    pub(crate) fn done(&mut self, op: OpId, well: bool) {
        if let Some(Some((file, len))) = self.under_way.remove(&op)
            && let Some(part) = self.parts.get_mut(&file)
            && well
        {
            part.written += len;
        }
        if self.under_way.is_empty() {
            self.received_before = None;
        }
    }

    /// An effect with this id; false if it is not a new one.
    pub(crate) fn next_op(&mut self, op: OpId) -> bool {
        self.last_op.replace(op) < Some(op)
    }

    fn begin(&mut self, op: OpId, write: Option<(FileId, u64)>) {
        self.under_way.insert(op, write);
        self.received_before.get_or_insert(self.received);
    }

    fn is_writing(&self, file: FileId) -> bool {
        self.under_way.values().flatten().any(|(other, _)| *other == file)
    }

    /// The socket took these bytes. The statuses of the answers that are sent to their end by that.
    pub(crate) fn sent(&mut self, bytes: &[u8], heads: &[bool]) -> Result<Vec<u16>, String> {
        self.tap.push(bytes);
        let mut statuses = Vec::new();
        while let Some(heard) = self.tap.next(heads.get(self.answered).copied().unwrap_or(false))? {
            if let Heard::Whole(reply) = heard {
                self.answered += 1;
                statuses.push(reply.status);
            }
        }
        Ok(statuses)
    }
}

impl World<'_> {
    /// Is this effect what the request under way asks for?
    pub(crate) fn check_effect(&mut self, who: Who, effect: &Effect) -> Result<(), String> {
        if let Some(exchange) = effect.exchange() {
            let over = &mut self.conns[who.0].watch.over;
            let is_last = matches!(effect, Effect::Log(_, LogEffect::Over(_)));
            if over.contains(&exchange) || is_last && !over.insert(exchange) {
                return Err(format!("[{}] the exchange was over: {effect:?}", who.0));
            }
        }
        self.check_right(who, effect)?;
        if self.check_asks(who, effect)? {
            return Ok(());
        }
        let window = self.site.config().limits.upload_window;
        let durable_wanted = self.site.config().durable;
        let conn = &mut self.conns[who.0];
        let feeds = &conn.feeds;
        let announced = |file| feeds.contains_key(&file);
        let watch = &mut conn.watch;
        let asked = conn.client.asked.get(who.1);
        let wrong = |what: &str| Err(format!("[{}] {what}: {effect:?}", who.0));
        let reads =
            |request: &Request| matches!(request.what, What::Get { .. } | What::List { .. });
        let uploads =
            |request: &Request| matches!(request.what, What::Put { .. } | What::Fill { .. });
        let removes = |request: &Request| matches!(request.what, What::Delete { .. });
        let (op, place, fits): (_, _, fn(&Request) -> bool) = match effect {
            Effect::Fs(_, FsEffect::Open { op, place, .. })
            | Effect::Live(_, LiveEffect::Follow { op, place, .. }) => (op, place, reads),
            Effect::Fs(_, FsEffect::Stat { op, place }) => (op, place, |request| request.writes()),
            Effect::Fs(_, FsEffect::Create { op, place, .. }) => (op, place, uploads),
            Effect::Fs(_, FsEffect::Commit { op, place, .. }) => {
                (op, place, |request| matches!(request.what, What::Put { .. }))
            }
            Effect::Fs(_, FsEffect::CommitPatches { op, place, .. }) => {
                (op, place, |request| matches!(request.what, What::Fill { .. }))
            }
            Effect::Fs(_, FsEffect::Remove { op, place, .. }) => (op, place, removes),
            Effect::Fs(_, FsEffect::Write { op, file, at, data }) => {
                let len = data.iter().map(|piece| piece.len() as u64).sum::<u64>();
                if watch.is_writing(*file) {
                    return wrong("two writes at a time");
                }
                let part = watch.parts.entry(*file).or_default();
                if *at != part.written || data.iter().any(bytes::Bytes::is_empty) {
                    return wrong("a write that leaves a hole, or writes nothing");
                }
                if len > window {
                    return wrong("a write of more than the upload window");
                }
                if watch.last_op >= Some(*op) {
                    return wrong("an id twice");
                }
                watch.last_op = Some(*op);
                watch.begin(*op, Some((*file, len)));
                return Ok(());
            }
            Effect::Live(_, LiveEffect::Announce { file, place, .. }) => {
                let put = |asked: &crate::client::Asked| {
                    matches!(asked.request.what, What::Put { .. })
                        && asked.request.place() == place.path.as_str()
                };
                let part = watch.parts.entry(*file).or_default();
                if std::mem::replace(&mut part.announced, true) || !asked.is_some_and(put) {
                    return wrong("what is announced is no upload, or is one already");
                }
                return Ok(());
            }
            Effect::Live(_, LiveEffect::Grown { file, len }) => {
                let part = watch.parts.entry(*file).or_default();
                if !part.announced || *len != part.written {
                    return wrong("what is not written may not be read");
                }
                return Ok(());
            }
            Effect::Fs(_, FsEffect::Close { file }) => {
                if watch.is_writing(*file) {
                    return wrong("closed while it is written");
                }
                watch.parts.remove(file);
                return Ok(());
            }
            Effect::Fs(_, FsEffect::MediaType { op, .. }) => {
                if watch.last_op >= Some(*op) || !asked.is_some_and(|asked| reads(&asked.request)) {
                    return wrong("nobody asked for this");
                }
                watch.last_op = Some(*op);
                return Ok(());
            }
            Effect::Live(_, LiveEffect::Ended { file, .. }) => {
                return if announced(*file) { Ok(()) } else { wrong("ends what did not begin") };
            }
            Effect::Live(_, LiveEffect::Unfollow { .. })
            | Effect::Connection(ConnectionEffect::Recheck { .. })
            | Effect::Connection(ConnectionEffect::ShutdownWrite)
            | Effect::Log(_, LogEffect::Over(_)) => return Ok(()),
            Effect::Fs(_, FsEffect::Locate { .. })
            | Effect::Auth(_, AuthEffect::Verify { .. })
            | Effect::Fs(_, FsEffect::List { .. })
            | Effect::Fs(_, FsEffect::Encode { .. })
            | Effect::Admin(_, AdminEffect::Metrics { .. })
            | Effect::Admin(_, AdminEffect::Health { .. })
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
            | Effect::Log(_, LogEffect::Begun { .. }) => return wrong("nobody asked for this"),
        };
        if !asked.is_some_and(|asked| {
            fits(&asked.request) && asked.request.place() == place.path.as_str()
        }) {
            return wrong("nobody asked for this");
        }
        if watch.last_op >= Some(*op) {
            return wrong("an id twice");
        }
        watch.last_op = Some(*op);
        match effect {
            Effect::Fs(_, FsEffect::Open { file, .. })
            | Effect::Fs(_, FsEffect::Create { file, .. })
            | Effect::Live(_, LiveEffect::Follow { file, .. }) => {
                if watch.last_file >= Some(*file) {
                    return wrong("a file id twice");
                }
                watch.last_file = Some(*file);
                watch.begin(*op, None);
            }
            Effect::Fs(_, FsEffect::Commit { file, durable, .. })
            | Effect::Fs(_, FsEffect::CommitPatches { file, durable, .. }) => {
                if watch.is_writing(*file) {
                    return wrong("put in place while it is written");
                }
                if *durable != durable_wanted {
                    return wrong("not as durable as configured");
                }
                if asked.is_some_and(|asked| !asked.is_whole()) {
                    return wrong("put in place before it was all sent");
                }
                watch.parts.remove(file);
                watch.begin(*op, None);
            }
            Effect::Fs(_, FsEffect::Stat { .. })
            | Effect::Fs(_, FsEffect::Remove { .. })
            | Effect::Fs(_, FsEffect::MediaType { .. })
            | Effect::Fs(_, FsEffect::Write { .. })
            | Effect::Fs(_, FsEffect::Close { .. })
            | Effect::Live(_, LiveEffect::Announce { .. })
            | Effect::Live(_, LiveEffect::Grown { .. })
            | Effect::Live(_, LiveEffect::Ended { .. })
            | Effect::Live(_, LiveEffect::Unfollow { .. })
            | Effect::Fs(_, FsEffect::Locate { .. })
            | Effect::Auth(_, AuthEffect::Verify { .. })
            | Effect::Fs(_, FsEffect::List { .. })
            | Effect::Fs(_, FsEffect::Encode { .. })
            | Effect::Admin(_, AdminEffect::Metrics { .. })
            | Effect::Admin(_, AdminEffect::Health { .. })
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
            | Effect::Log(_, LogEffect::Begun { .. })
            | Effect::Log(_, LogEffect::Over(_))
            | Effect::Connection(ConnectionEffect::Recheck { .. })
            | Effect::Connection(ConnectionEffect::ShutdownWrite) => {}
        }
        Ok(())
    }

    /// The session says that nothing is left to do.
    pub(crate) fn check_wait(&mut self, c: usize, wait: Wait, now: Time) -> Result<(), String> {
        let limits = &self.site.config().limits;
        let moment = self.base + now;
        let conn = &self.conns[c];
        let (watch, session) = (&conn.watch, &conn.session);
        let wrong = |what: &str| Err(format!("[{c}] {what}: {wait:?}"));
        if wait.deadline.is_some_and(|(at, _)| at <= moment) {
            return wrong("a deadline that has passed");
        }
        if wait.write != session.transmit().is_some() {
            return wrong("`write` is not what `transmit` shows");
        }
        if wait.read && watch.eof {
            return wrong("reads after the end");
        }
        if !session.is_active()
            && (!conn.files.is_empty()
                || !conn.followings.is_empty()
                || !watch.under_way.is_empty()
                || !conn.feeds.is_empty())
        {
            return Err(format!(
                "[{c}] at rest, and yet it holds {:?}, {:?}, {:?}",
                conn.files.keys(),
                conn.followings.keys(),
                watch.under_way
            ));
        }
        if let Some(before) = watch.received_before
            && wait.read
            && conn.client.asked.get(watch.answered).is_some_and(|asked| {
                matches!(asked.request.what, What::Put { .. } | What::Fill { .. })
            })
            && watch.received - before > 13 * limits.upload_window as usize + 2 * ONE_READ
            // What is beyond the upload is bounded below.
            && watch.received <= self.wire_up_to(c)
        {
            return wrong("reads more of an upload than is to be held");
        }
        let beyond = watch.received.saturating_sub(self.wire_up_to(c));
        if beyond > limits.pipelined + limits.linger_bytes as usize + 2 * ONE_READ {
            return wrong("holds more requests than allowed");
        }
        self.check_output(c)
    }

    /// Length of the requests up to the one under way.
    fn wire_up_to(&self, c: usize) -> usize {
        let conn = &self.conns[c];
        conn.client.asked.iter().take(conn.watch.answered + 1).map(|asked| asked.wire.len()).sum()
    }

    fn check_output(&self, c: usize) -> Result<(), String> {
        let conn = &self.conns[c];
        let mut held = 0;
        for piece in conn.session.transmit().into_iter().flatten() {
            match piece {
                Piece::Bytes([]) => return Err("an empty piece".into()),
                Piece::Bytes(bytes) => held += bytes.len(),
                Piece::File { file, at, len } => {
                    let Some(handle) = conn.files.get(&file) else {
                        return Err(format!("[{c}] sends {file:?}, which is not open"));
                    };
                    let there = handle.inode().meta().len;
                    if len == 0 || at.checked_add(len).is_none_or(|end| end > there) {
                        return Err(format!("[{c}] sends {at}+{len} of {there} bytes"));
                    }
                }
            }
        }
        if held > 64 << 10 {
            return Err(format!("[{c}] holds {held} bytes of output"));
        }
        Ok(())
    }

    /// The session is over: nothing may be left, and nothing may happen any more.
    pub(crate) fn check_closed(&mut self, c: usize) -> Result<(), String> {
        let conn = &self.conns[c];
        if !conn.files.is_empty() || !conn.followings.is_empty() || !conn.feeds.is_empty() {
            return Err(format!("[{c}] closed, and yet it holds {:?}", conn.files.keys()));
        }
        if conn.hook.is_some() {
            return Err(format!("[{c}] closed, and the hook is not told: {:?}", conn.hook));
        }
        if !conn.watch.under_way.is_empty() {
            return Err(format!("[{c}] closed while {:?} are under way", conn.watch.under_way));
        }
        if conn.session.transmit().is_some() {
            return Err(format!("[{c}] closed, and yet it has something to say"));
        }
        Ok(())
    }

    /// Nothing is left to happen in the world.
    pub(crate) fn check_end(&self) -> Result<(), String> {
        if let Some(c) = self.conns.iter().position(|conn| !conn.over) {
            return Err(format!("[{c}] waits for ever: {:?}", self.conns[c].wait));
        }
        if let Some(c) = self.conns.iter().position(|conn| !conn.client.is_over()) {
            return Err(format!("[{c}] its client waits for ever"));
        }
        if !self.hub.is_empty() {
            return Err("an upload is in progress that nobody brings".into());
        }
        if self.disk.has_parts() {
            return Err("a part file is left".into());
        }
        if let Some(dir) = self.disk.empty_dir() {
            return Err(format!("an empty directory is left: {dir}"));
        }
        for path in self.disk.paths().chain(self.model.paths()) {
            let is = self.disk.file(path).map(|inode| inode.data().clone());
            let should = self.model.current(path).map(|version| version.content.clone());
            if is != should {
                return Err(format!("{path} does not show what was put there last"));
            }
        }
        Ok(())
    }
}
