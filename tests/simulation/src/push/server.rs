//! The other end of a connection: a session with its disk, or somebody who says what no session
//! would.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use httpout_proto::effect::{
    AdminEffect, AuthEffect, ConnectionEffect, DeliveryEffect, FsEffect, HookEffect, LiveEffect,
    LogEffect,
};
use httpout_proto::{Done, Effect, FileId, FsError, OpId, Session, Site, Step, Wait, http::Piece};

use super::World;
use crate::{
    choices::Dice,
    client::Time,
    disk::PartId,
    link::{End, Link, Read},
};

pub(super) struct Conn {
    pub(super) link: Link,
    who: Who,
    wait: Option<Wait>,
    mail: Vec<(Time, OpId, Result<Done, FsError>)>,
    files: BTreeMap<FileId, File>,
    over: bool,
    /// The connection is reset when so many more bytes have gone over it.
    cut: Option<usize>,
    /// Nothing moves before.
    pub(super) stalled_until: Time,
    /// All that the client sent.
    pub(super) written: Vec<u8>,
    /// The client has heard of it.
    pub(super) heard: bool,
}

enum Who {
    Server(Box<Session>),
    /// Answers so once it has so many bytes, then closes, or `stays` and reads on without another
    /// word.
    Other {
        stays: bool,
        after: usize,
        answer: &'static str,
        refuses: bool,
    },
}

enum File {
    Part(PartId),
    Open,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Act {
    Poll,
    Receive,
    Send,
    Mail(usize),
}

/// What somebody else says, and whether that ends a job rightly.
const ANSWERS: [(&str, bool); 18] = [
    // A success before there is anything to be stored, and nothing is.
    ("HTTP/1.1 201 x\r\nContent-Length: 0\r\n\r\n", true),
    ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 x\r\nContent-Length: 0\r\n\r\n", true),
    // The same place by another name. Who is sent there twice goes in circles.
    ("HTTP/1.1 307 x\r\nLocation: ?r\r\nContent-Length: 0\r\n\r\n", true),
    ("", false),
    ("HTTP/1.1 503 Busy\r\nRetry-After: 2\r\nContent-Length: 0\r\n\r\n", false),
    ("HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n", false),
    ("HTTP/1.1 429 x\r\nContent-Length: 3\r\n\r\nabc", false),
    ("HTTP/1.1 100 Continue\r\n\r\n", false),
    ("HTTP/1.1 20", false),
    ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 4", false),
    ("HTTP/1.1 417 x\r\nContent-Length: 0\r\n\r\n", true),
    ("HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n", true),
    ("HTTP/1.1 401 x\r\nWWW-Authenticate: Basic realm=x\r\nContent-Length: 0\r\n\r\n", true),
    ("HTTP/1.1 500 x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", true),
    ("HTTP/1.1 404 x\r\n\r\nuntil the end", true),
    ("\u{16}\u{3}\u{1}", true),
    ("HTTP/1.1 302 x\r\nLocation: ?s\r\nContent-Length: 0\r\n\r\n", true),
    ("HTTP/1.1 303 x\r\nLocation: /d/elsewhere\r\nContent-Length: 0\r\n\r\n", true),
];

impl Conn {
    /// A connection, with a fault to come if there is to be `trouble`.
    pub(super) fn draw(trouble: bool, site: Arc<Site>, dice: &mut Dice<'_>, now: Time) -> Self {
        let room = *dice.pick(&[64 << 10, 1000, 100, 16]);
        let mut conn = Self {
            link: Link::new(room),
            who: Who::Server(Box::new(Session::new(site))),
            wait: None,
            mail: Vec::new(),
            files: BTreeMap::new(),
            over: false,
            cut: None,
            stalled_until: Time::ZERO,
            written: Vec::new(),
            heard: false,
        };
        if trouble {
            match dice.below(4) {
                0 | 1 => {
                    let most = *dice.pick(&[300, 3000, 200_000]);
                    conn.cut = Some(dice.index(most));
                }
                // The machine is gone without a word.
                2 if dice.chance(30) => conn.over = true,
                2 => conn.stalled_until = now + Duration::from_secs(dice.below(100)),
                _ => {
                    let &(answer, refuses) = dice.pick(&ANSWERS);
                    let after = *dice.pick(&[1, 30, 200, 2000]);
                    let stays = dice.chance(30);
                    conn.who = Who::Other { stays, after, answer, refuses };
                }
            }
        }
        conn
    }

    /// It says that it stored what it did not.
    pub(super) fn lies(&self) -> bool {
        matches!(self.who, Who::Other { answer, .. } if answer.contains(" 20") && answer.ends_with("\r\n\r\n"))
    }

    pub(super) fn refuses(&self) -> bool {
        matches!(self.who, Who::Other { refuses: true, .. })
    }

    pub(super) fn describe(&self) -> String {
        match &self.who {
            Who::Server(_) => {
                format!("a server, cut {:?}, until {:?}", self.cut, self.stalled_until)
            }
            Who::Other { after, answer, .. } => format!("says after {after}: {answer:?}"),
        }
    }

    pub(super) fn takes_bytes(&self) -> bool {
        self.link.up.space() > 0 || self.link.up.ended().is_some()
    }

    /// So many bytes have moved; the network may have had enough.
    pub(super) fn count(&mut self, bytes: usize, dice: &mut Dice<'_>) {
        let Some(left) = &mut self.cut else { return };
        match left.checked_sub(bytes) {
            Some(rest) => *left = rest,
            None => {
                self.cut = None;
                let keep = dice.index(self.link.up.len() + 1);
                self.link.up.finish(End::Reset, keep);
                let keep = dice.index(self.link.down.len() + 1);
                self.link.down.finish(End::Reset, keep);
            }
        }
    }

    pub(super) fn acts(&self, now: Time, base: Instant, mut at: impl FnMut(Time, Act)) {
        if let Some(first) = self.mail.iter().enumerate().min_by_key(|(_, mail)| mail.0) {
            at(first.1.0, Act::Mail(first.0));
        }
        if self.over {
            return;
        }
        let calm = self.stalled_until.max(now);
        match (&self.who, self.wait) {
            (Who::Server(_), None) => at(now, Act::Poll),
            (Who::Server(session), Some(wait)) => {
                if let Some((deadline, _)) = wait.deadline {
                    at(deadline.saturating_duration_since(base), Act::Poll);
                }
                if wait.read && self.link.up.is_readable() {
                    at(calm, Act::Receive);
                }
                let takes = self.link.down.space() > 0 || self.link.down.ended().is_some();
                if wait.write && takes && session.transmit().is_some() {
                    at(calm, Act::Send);
                }
            }
            (Who::Other { .. }, _) if self.link.up.is_readable() => at(calm, Act::Receive),
            (Who::Other { .. }, _) => {}
        }
    }

    fn close(&mut self, reset: bool, dice: &mut Dice<'_>) {
        self.over = true;
        // What was not read destroys what was not read at the other end.
        let reset = reset || self.link.up.len() > 0 && dice.chance(50);
        let keep = dice.index(self.link.down.len() + 1);
        self.link.closed_by_server(if reset { End::Reset } else { End::Fin }, keep);
    }

    /// Somebody else has had enough, says it and goes.
    fn answer_rudely(&mut self, received: usize, dice: &mut Dice<'_>) {
        let Who::Other { after, answer, stays, .. } = &mut self.who else { return };
        let said = *after == 0;
        *after = after.saturating_sub(received);
        if *after == 0 && !said {
            let room = self.link.down.space().min(answer.len());
            self.link.down.write(&answer.as_bytes()[..room]);
            if !*stays {
                self.close(false, dice);
            }
        }
    }
}

impl World<'_> {
    pub(super) fn serve(&mut self, c: usize, act: Act) -> Result<(), String> {
        match act {
            Act::Poll => self.poll_server(c),
            Act::Receive => {
                self.server_receives(c);
                Ok(())
            }
            Act::Send => self.server_sends(c),
            Act::Mail(index) => {
                let conn = &mut self.conns[c];
                let (_, op, result) = conn.mail.swap_remove(index);
                if let Who::Server(session) = &mut conn.who {
                    session.handle_done(op, result);
                    conn.wait = None;
                }
                Ok(())
            }
        }
    }

    fn poll_server(&mut self, c: usize) -> Result<(), String> {
        let now = self.time();
        loop {
            let Who::Server(session) = &mut self.conns[c].who else { return Ok(()) };
            match session.poll(now) {
                Step::Do(effect) => self.server_effect(c, effect)?,
                Step::Wait(wait) => {
                    self.conns[c].wait = Some(wait);
                    return Ok(());
                }
                Step::Closed(how) => {
                    self.conns[c].close(how.reset, &mut self.dice);
                    return Ok(());
                }
            }
        }
    }

    fn server_receives(&mut self, c: usize) {
        let conn = &mut self.conns[c];
        conn.wait = None;
        let most = self.dice.share(conn.link.up.len().max(1));
        let read = conn.link.up.read(most);
        if let Read::Bytes(bytes) = &read {
            conn.count(bytes.len(), &mut self.dice);
        }
        match (&mut conn.who, read) {
            (Who::Server(session), Read::Bytes(bytes)) => session.handle_data(bytes.into()),
            (Who::Server(session), Read::End(End::Fin)) => session.handle_eof(),
            (Who::Server(session), Read::End(End::Reset)) => {
                session.handle_broken(std::io::ErrorKind::ConnectionReset);
            }
            (Who::Other { .. }, Read::Bytes(bytes)) => {
                conn.answer_rudely(bytes.len(), &mut self.dice);
            }
            (Who::Other { .. }, Read::End(_)) => conn.close(false, &mut self.dice),
        }
    }

    fn server_sends(&mut self, c: usize) -> Result<(), String> {
        let conn = &mut self.conns[c];
        conn.wait = None;
        let Who::Server(session) = &mut conn.who else { return Ok(()) };
        if conn.link.down.ended().is_some() {
            session.handle_unsendable(std::io::ErrorKind::BrokenPipe);
            return Ok(());
        }
        let mut shown = Vec::new();
        for piece in session.transmit().into_iter().flatten() {
            match piece {
                Piece::Bytes(bytes) => shown.extend_from_slice(bytes),
                Piece::File { .. } => return Err("nobody asked for a file".into()),
            }
        }
        let sent = self.dice.share(shown.len()).min(conn.link.down.space());
        session.handle_sent(sent as u64);
        conn.link.down.write(&shown[..sent]);
        conn.count(sent, &mut self.dice);
        Ok(())
    }

    fn server_effect(&mut self, c: usize, effect: Effect) -> Result<(), String> {
        let wall = self.time().wall;
        let fault = self.faults > 0 && self.dice.chance(self.faults);
        let (disk, conn) = (&mut self.disk, &mut self.conns[c]);
        let part = |conn: &Conn, file| match conn.files.get(&file) {
            Some(&File::Part(part)) => Ok(part),
            Some(File::Open) | None => Err(format!("{file:?} is no part file")),
        };
        let answer = match effect {
            Effect::Live(_, LiveEffect::Follow { op, .. }) => (op, Ok(Done::NotGrowing)),
            Effect::Fs(_, FsEffect::Create { op, .. })
            | Effect::Fs(_, FsEffect::Write { op, .. })
                if fault =>
            {
                self.excused = true;
                (op, Err(*self.dice.pick(&[FsError::Full, FsError::Exhausted])))
            }
            Effect::Fs(_, FsEffect::Create { op, file, place, len, media_type }) => {
                match disk.create(&place.path, len, media_type, wall) {
                    Ok(part) => {
                        conn.files.insert(file, File::Part(part));
                        (op, Ok(Done::Ok))
                    }
                    Err(error) => (op, Err(error)),
                }
            }
            Effect::Fs(_, FsEffect::Write { op, file, at, data }) => {
                let part = part(conn, file)?;
                (op, disk.write(part, at, &data, wall).map(|()| Done::Ok))
            }
            Effect::Fs(_, FsEffect::Commit { op, file, place, expect, durable }) => {
                let part = part(conn, file)?;
                conn.files.remove(&file);
                let done = disk.commit(part, &place.path, expect, durable);
                self.committed(place.path.as_str(), done.is_ok());
                (op, done.map(|(created, meta)| Done::Committed { created, meta }))
            }
            Effect::Fs(
                _,
                FsEffect::CommitPatches { op, file, place, expect, durable, create, patches },
            ) => {
                let part = part(conn, file)?;
                conn.files.remove(&file);
                let how = (expect, durable, create);
                let done = disk.commit_patches(part, &place.path, how, &patches, wall);
                self.committed(place.path.as_str(), done.is_ok());
                (op, done.map(|(created, meta)| Done::Committed { created, meta }))
            }
            Effect::Fs(_, FsEffect::Remove { op, place, expect }) => {
                (op, disk.remove(&place.path, expect).map(|()| Done::Ok))
            }
            Effect::Fs(_, FsEffect::Stat { op, place }) => {
                (op, disk.open(&place.path).map(|inode| Done::Stat(inode.meta())))
            }
            Effect::Fs(_, FsEffect::Open { op, file, place }) => match disk.open(&place.path) {
                Ok(inode) => {
                    let meta = inode.meta();
                    conn.files.insert(file, File::Open);
                    (op, Ok(Done::Opened(meta)))
                }
                Err(error) => (op, Err(error)),
            },
            Effect::Fs(_, FsEffect::MediaType { op, .. }) => (op, Ok(Done::MediaType(None))),
            Effect::Fs(_, FsEffect::Close { file }) => {
                if let Some(File::Part(part)) = conn.files.remove(&file) {
                    disk.discard(part);
                }
                return Ok(());
            }
            Effect::Connection(ConnectionEffect::ShutdownWrite) => {
                conn.link.down.finish(End::Fin, 0);
                return Ok(());
            }
            Effect::Live(_, LiveEffect::Announce { .. })
            | Effect::Live(_, LiveEffect::Grown { .. })
            | Effect::Live(_, LiveEffect::Ended { .. })
            | Effect::Live(_, LiveEffect::Unfollow { .. })
            | Effect::Log(_, LogEffect::Over(_))
            | Effect::Connection(ConnectionEffect::Recheck { .. })
            | Effect::Log(_, LogEffect::Begun { .. }) => return Ok(()),
            other @ (Effect::Live(_, LiveEffect::Listen { .. })
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
            | Effect::Fs(_, FsEffect::Locate { .. })
            | Effect::Auth(_, AuthEffect::Verify { .. })
            | Effect::Fs(_, FsEffect::List { .. })
            | Effect::Fs(_, FsEffect::Encode { .. })
            | Effect::Admin(_, AdminEffect::Metrics { .. })
            | Effect::Admin(_, AdminEffect::Health { .. })) => {
                return Err(format!("nobody asked for {other:?}"));
            }
        };
        let slow = *self.dice.pick(&[1, 1, 20, 300]);
        let time = self.now + self.dice.delay(Duration::from_millis(slow));
        let (op, result) = answer;
        self.conns[c].mail.push((time, op, result));
        Ok(())
    }

    fn committed(&mut self, path: &str, done: bool) {
        if let Some(inode) = self.disk.file(path).filter(|_| done) {
            let content = inode.data().clone();
            self.tell(format!("{path} is committed with {} bytes", content.len()));
            self.commits.push((path.to_owned(), content));
        }
    }
}
