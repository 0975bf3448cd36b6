//! What a runtime does for a session: the table of its files, its effects, and the answers to them.

use std::{collections::BTreeMap, io, rc::Rc, time::Duration};

use bytes::Bytes;
use httpout_proto::effect::{
    AdminEffect, AuthEffect, ConnectionEffect, DeliveryEffect, FsEffect, HookEffect, LiveEffect,
    LogEffect,
};
use httpout_proto::{
    Client as Peer, Done, Effect, FileId, FsError, OpId, PeerError, Session, Wait,
    fs::{Entries, Expect, Order, Patch, RelPath},
    live::{FeedId, Growth},
    semantics::{coding::Coding, conditional::etag},
};

use crate::{
    client::{Client, Time},
    disk::{Inode, PartId},
    guard::{self, Check},
    hook,
    invariants::Watch,
    link::{End, Link},
    listing::Listed,
    model::Who,
    packer::Packed,
    world::World,
};

/// One connection: both ends, and what stands between.
#[derive(Debug)]
pub(crate) struct Conn {
    pub(crate) session: Session,
    pub(crate) link: Link,
    pub(crate) client: Client,
    pub(crate) watch: Watch,
    pub(crate) files: BTreeMap<FileId, Handle>,
    pub(crate) feeds: BTreeMap<FileId, (FeedId, Who, RelPath)>,
    pub(crate) followings: BTreeMap<OpId, Following>,
    pub(crate) mail: Vec<Mail>,
    /// The request that the hook was asked about.
    pub(crate) hook: Option<hook::Asked>,
    /// What the session waits for; `None` if it is to be polled first.
    pub(crate) wait: Option<Wait>,
    /// There is news for the session.
    pub(crate) dirty: bool,
    /// The session is over, or its server is.
    pub(crate) over: bool,
    /// The server cut it for a reason that no client can see.
    pub(crate) excused: bool,
    pub(crate) began: Time,
    /// Where its client is.
    pub(crate) from: Peer,
}

#[derive(Debug)]
pub(crate) enum Handle {
    Open(Rc<Inode>),
    Part(PartId, Rc<Inode>),
}

impl Handle {
    pub(crate) fn inode(&self) -> &Rc<Inode> {
        match self {
            Self::Open(inode) | Self::Part(_, inode) => inode,
        }
    }
}

#[derive(Debug)]
pub(crate) enum Following {
    Feed(FeedId),
    Waiting(RelPath, FileId),
}

/// Tells whom a change of an upload concerns: connection and effect.
pub(crate) type Follower = (usize, OpId);

/// A message to a session.
#[derive(Debug)]
pub(crate) struct Mail {
    pub(crate) at: Time,
    pub(crate) op: OpId,
    what: News,
}

#[derive(Debug)]
enum News {
    Done(Result<Done, FsError>, Option<(FileId, Handle)>),
    Begun(FeedId, Rc<Inode>, Growth),
    Growth(Growth),
}

/// Work for the disk.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) at: Time,
    pub(crate) who: Who,
    op: OpId,
    pub(crate) work: Work,
}

#[derive(Debug)]
pub(crate) enum Work {
    Open(FileId, RelPath),
    Stat(RelPath),
    Create(FileId, RelPath, Option<u64>, Option<String>),
    Write(PartId, u64, Vec<Bytes>),
    Commit(PartId, RelPath, Expect, bool),
    Patch(PartId, RelPath, (Expect, bool, bool), Vec<Patch>),
    Remove(RelPath, Expect),
    Locate(RelPath, bool),
    List(RelPath, Order, usize),
    Encode(Rc<Inode>, Coding),
    Check(Check),
    /// What an operator wants to know.
    Tell(Done),
}

impl Conn {
    pub(crate) fn new(session: Session, link: Link, client: Client, began: Time) -> Self {
        Self {
            session,
            link,
            client,
            watch: Watch::default(),
            files: BTreeMap::new(),
            feeds: BTreeMap::new(),
            followings: BTreeMap::new(),
            mail: Vec::new(),
            hook: None,
            wait: None,
            dirty: true,
            over: false,
            excused: false,
            began,
            from: Peer::default(),
        }
    }

    /// The next message that may be delivered: any that is due, but those of one effect in their
    /// order.
    pub(crate) fn due_mail(&self, now: Time, skip: usize) -> Option<usize> {
        let due = |mail: &&Mail| mail.at <= now;
        let op = self.mail.iter().filter(due).nth(skip)?.op;
        let first = self.mail.iter().position(|mail| mail.op == op)?;
        (self.mail[first].at <= now).then_some(first)
    }

    fn part(&self, file: FileId) -> Result<PartId, String> {
        match self.files.get(&file) {
            Some(&Handle::Part(part, _)) => Ok(part),
            Some(Handle::Open(_)) | None => Err(format!("{file:?} is no part file")),
        }
    }
}

impl World<'_> {
    /// Does what session `c` wants done, or begins to.
    pub(crate) fn run(&mut self, c: usize, effect: Effect) -> Result<(), String> {
        self.trace(|| format!("[{c}] {effect:?}"));
        // Exchanges are numbered from 1, in the order of the requests.
        let exchange = effect.exchange().map(|id| id.number() as usize - 1);
        let who = (c, exchange.unwrap_or_else(|| self.conns[c].watch.answered()));
        let Some(effect) = self.ask_hook(who, effect)? else { return Ok(()) };
        self.check_effect(who, &effect)?;
        let conn = &mut self.conns[c];
        match effect {
            Effect::Fs(_, FsEffect::Open { op, file, place }) => {
                self.job(who, op, Work::Open(file, place.path))?
            }
            Effect::Fs(_, FsEffect::Stat { op, place }) => {
                self.job(who, op, Work::Stat(place.path))?
            }
            Effect::Fs(_, FsEffect::Create { op, file, place, len, media_type }) => {
                self.job(who, op, Work::Create(file, place.path, len, media_type))?;
            }
            Effect::Fs(_, FsEffect::MediaType { op, file }) => {
                let handle = conn.files.get(&file).ok_or("asks for a file that is not open")?;
                let kept = handle.inode().media_type();
                self.answer(c, op, Ok(Done::MediaType(kept)), None);
            }
            Effect::Fs(_, FsEffect::Write { op, file, at, data }) => {
                let part = conn.part(file)?;
                self.job(who, op, Work::Write(part, at, data))?;
            }
            Effect::Fs(_, FsEffect::Commit { op, file, place, expect, durable }) => {
                let part = conn.part(file)?;
                conn.files.remove(&file);
                self.job(who, op, Work::Commit(part, place.path, expect, durable))?;
            }
            Effect::Fs(
                _,
                FsEffect::CommitPatches { op, file, place, expect, durable, create, patches },
            ) => {
                let part = conn.part(file)?;
                conn.files.remove(&file);
                let how = (expect, durable, create);
                self.job(who, op, Work::Patch(part, place.path, how, patches))?;
            }
            Effect::Fs(_, FsEffect::Remove { op, place, expect }) => {
                self.job(who, op, Work::Remove(place.path, expect))?;
            }
            Effect::Fs(_, FsEffect::Close { file }) => {
                if let Some(Handle::Part(part, _)) = conn.files.remove(&file) {
                    self.disk.discard(part);
                }
            }
            Effect::Live(_, LiveEffect::Announce { file, place, len }) => {
                conn.part(file)?;
                let inode = conn.files[&file].inode().clone();
                let (feed, waiters) = self.hub.begin(place.path.clone(), inode.clone(), len);
                conn.feeds.insert(file, (feed, who, place.path.clone()));
                let growth = self.hub.get(feed).map(|(_, growth)| growth).ok_or("no feed")?;
                self.note_begun(who, &place.path, len);
                for (follower, op) in waiters {
                    self.post(follower, op, News::Begun(feed, inode.clone(), growth));
                }
            }
            Effect::Live(_, LiveEffect::Grown { file, len }) => {
                let &(feed, ..) = conn.feeds.get(&file).ok_or("what was not announced grows")?;
                let followers = self.hub.grow(feed, len).to_vec();
                let growth = self.hub.get(feed).map(|(_, growth)| growth).ok_or("no feed")?;
                for (follower, op) in followers {
                    self.post(follower, op, News::Growth(growth));
                }
            }
            Effect::Live(_, LiveEffect::Ended { file, complete }) => {
                self.end_feed(c, file, complete)
            }
            Effect::Live(_, LiveEffect::Follow { op, file, place, wait }) => {
                match self.hub.follow(&place.path, (c, op)) {
                    Some((feed, inode, growth)) => {
                        conn.followings.insert(op, Following::Feed(feed));
                        let news = Ok(Done::Following(growth));
                        self.answer(c, op, news, Some((file, Handle::Open(inode))));
                    }
                    None if wait => {
                        self.hub.wait(place.path.clone(), (c, op));
                        conn.followings.insert(op, Following::Waiting(place.path, file));
                    }
                    None => self.answer(c, op, Ok(Done::NotGrowing), None),
                }
            }
            Effect::Live(_, LiveEffect::Unfollow { op }) => {
                conn.watch.done(op, true);
                match conn.followings.remove(&op) {
                    Some(Following::Feed(feed)) => self.hub.unfollow(feed, &(c, op)),
                    Some(Following::Waiting(path, _)) => self.hub.unwait(&path, &(c, op)),
                    None => {}
                }
            }
            Effect::Log(_, LogEffect::Over(report)) => {
                // The client sends no more, and was not waited with: it counts as gone.
                let why = report.and_then(|report| report.why);
                if why == Some(PeerError::Broken(io::ErrorKind::UnexpectedEof)) {
                    conn.excused = true;
                }
            }
            Effect::Fs(_, FsEffect::Locate { op, place, last }) => {
                self.job(who, op, Work::Locate(place.path, last))?;
            }
            Effect::Auth(_, AuthEffect::Verify { op, user, password, credential }) => {
                self.verify(who, op, (&user, &password), credential.as_ref())?;
            }
            Effect::Fs(_, FsEffect::List { op, place, order, most, .. }) => {
                let time = self.long();
                self.job_after(time, who, op, Work::List(place.path, order, most))?;
            }
            Effect::Fs(_, FsEffect::Encode { op, file, coding, .. }) => {
                let handle = conn.files.get(&file).ok_or("asks for a file that is not open")?;
                let inode = handle.inode().clone();
                let time = self.long();
                self.job_after(time, who, op, Work::Encode(inode, coding))?;
            }
            Effect::Admin(_, AdminEffect::Metrics { op }) => {
                self.job(who, op, Work::Tell(Done::Text("requests 1\n".into())))?;
            }
            Effect::Admin(_, AdminEffect::Health { op }) => {
                let well = self.dice.chance(70);
                let done = if well { Done::Ok } else { Done::Text("the disk is full".into()) };
                self.job(who, op, Work::Tell(done))?;
            }
            Effect::Log(_, LogEffect::Begun { .. }) => {}
            effect @ (Effect::Live(_, LiveEffect::Listen { .. })
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
            | Effect::Hook(_, HookEffect::Dismiss { .. })) => {
                return Err(format!("nobody asked for {effect:?}"));
            }
            Effect::Connection(ConnectionEffect::ShutdownWrite) => {
                conn.link.down.finish(End::Fin, 0)
            }
            Effect::Connection(ConnectionEffect::Recheck { read }) => {
                let readable = read && conn.link.up.is_readable();
                if !read && conn.link.up.ended().is_some() {
                    conn.session.handle_closing();
                    conn.dirty = true;
                }
                if conn.session.transmit().is_some() && conn.link.down.space() > 0 {
                    self.send(c)?;
                }
                if readable {
                    self.receive(c);
                }
            }
        }
        Ok(())
    }

    pub(crate) fn end_feed(&mut self, c: usize, file: FileId, complete: bool) {
        let Some((feed, who, path)) = self.conns[c].feeds.remove(&file) else { return };
        self.model.over(path.as_str(), who, complete);
        if let Some((growth, followers)) = self.hub.end(feed, complete) {
            for (follower, op) in followers {
                self.post(follower, op, News::Growth(growth));
            }
        }
    }

    /// Leaves nothing of a connection whose session is gone.
    pub(crate) fn drop_tables(&mut self, c: usize) {
        let feeds: Vec<_> = self.conns[c].feeds.keys().copied().collect();
        for file in feeds {
            self.end_feed(c, file, false);
        }
        for (op, following) in std::mem::take(&mut self.conns[c].followings) {
            match following {
                Following::Feed(feed) => self.hub.unfollow(feed, &(c, op)),
                Following::Waiting(path, _) => self.hub.unwait(&path, &(c, op)),
            }
        }
        self.conns[c].files.clear();
        self.conns[c].hook = None;
    }

    // ---- the disk ----

    fn job(&mut self, who: Who, op: OpId, work: Work) -> Result<(), String> {
        let slow = *self.dice.pick(&[0, 1, 20, 300]);
        let slow = self.dice.delay(Duration::from_millis(slow).max(Duration::from_micros(1)));
        self.job_after(slow, who, op, work)
    }

    /// How long it takes to read much, or to compress.
    fn long(&mut self) -> Duration {
        Duration::from_millis(*self.dice.pick(&[0, 0, 2, 50, 900]))
    }

    pub(crate) fn job_after(
        &mut self,
        time: Duration,
        who: Who,
        op: OpId,
        work: Work,
    ) -> Result<(), String> {
        let at = self.now + self.disk_time + time;
        let job = Job { at, who, op, work };
        if at == self.now && self.dice.chance(30) {
            return self.do_job(job, true);
        }
        self.jobs.push(job);
        Ok(())
    }

    /// Does the work; `at_once`: the session is told before anything else happens.
    pub(crate) fn do_job(&mut self, job: Job, at_once: bool) -> Result<(), String> {
        let Job { who, op, work, .. } = job;
        if let Work::Check(check) = work {
            return self.checked(check);
        }
        let locates = matches!(work, Work::Locate(..));
        let packs = matches!(work, Work::Encode(..));
        let (result, handle) = match self.fault(&work) {
            Some(error) => {
                if let Work::Commit(part, ..) | Work::Patch(part, ..) = &work {
                    self.disk.discard(*part);
                }
                if let Work::Encode(inode, coding) = &work {
                    let packed = Packed { etag: etag(&inode.meta()), coding: *coding, bytes: None };
                    self.records.entry(who).or_default().packed = Some(packed);
                }
                (Err(error), None)
            }
            None => self.work(who, work)?,
        };
        self.trace(|| format!("[{}] {op:?} -> {result:?}", who.0));
        if let Err(error) = &result
            && !packs
        {
            let record = self.records.entry(who).or_default();
            if locates {
                record.lost = Some(*error);
            } else {
                record.errors.push(*error);
            }
        }
        let (c, over) = (who.0, self.conns[who.0].over);
        if at_once && !over {
            self.deliver(c, Mail { at: self.now, op, what: News::Done(result, handle) });
        } else {
            self.answer(c, op, result, handle);
        }
        Ok(())
    }

    fn fault(&mut self, work: &Work) -> Option<FsError> {
        if !self.dice.chance(self.faults) {
            return None;
        }
        let broken = FsError::Other(io::ErrorKind::Other);
        Some(match work {
            Work::Open(..) => *self.dice.pick(&[broken, FsError::Exhausted, FsError::Denied]),
            Work::Stat(..) | Work::Remove(..) => *self.dice.pick(&[broken, FsError::Denied]),
            Work::Create(..) => *self.dice.pick(&[FsError::Full, broken, FsError::Exhausted]),
            Work::Write(..) | Work::Commit(..) | Work::Patch(..) => {
                *self.dice.pick(&[FsError::Full, broken])
            }
            Work::Locate(..) => *self.dice.pick(&[broken, FsError::Outside, FsError::Denied]),
            Work::List(..) => *self.dice.pick(&[broken, FsError::Exhausted, FsError::Denied]),
            Work::Encode(..) | Work::Tell(_) | Work::Check(_) => broken,
        })
    }

    #[expect(clippy::type_complexity, reason = "an answer, and the file that comes with it")]
    fn work(
        &mut self,
        who: Who,
        work: Work,
    ) -> Result<(Result<Done, FsError>, Option<(FileId, Handle)>), String> {
        let wall = self.wall();
        let disk = &mut self.disk;
        Ok(match work {
            Work::Open(file, path) => match disk.open(&path) {
                Ok(inode) => (Ok(Done::Opened(inode.meta())), Some((file, Handle::Open(inode)))),
                Err(error) => (Err(error), None),
            },
            Work::Stat(path) => (disk.open(&path).map(|inode| Done::Stat(inode.meta())), None),
            Work::Create(file, path, len, kind) => match disk.create(&path, len, kind, wall) {
                Ok(part) => {
                    let inode = disk.part(part).clone();
                    (Ok(Done::Ok), Some((file, Handle::Part(part, inode))))
                }
                Err(error) => (Err(error), None),
            },
            Work::Write(part, at, data) => {
                (disk.write(part, at, &data, wall).map(|()| Done::Ok), None)
            }
            Work::Commit(part, path, expect, durable) => {
                let done = disk.commit(part, &path, expect, durable);
                (self.committed(who, &path, done)?, None)
            }
            Work::Patch(part, path, how, patches) => {
                let done = disk.commit_patches(part, &path, how, &patches, wall);
                (self.committed(who, &path, done)?, None)
            }
            Work::Remove(path, expect) => {
                let done = disk.remove(&path, expect);
                if done.is_ok() {
                    self.note_removed(who, &path)?;
                }
                (done.map(|()| Done::Ok), None)
            }
            Work::Locate(path, last) => (guard::locate(&path, last), None),
            Work::List(path, order, most) => {
                let listed = disk.list(&path, self.rights.is_some());
                (listed.map(|entries| self.listed(who, entries, order, most)), None)
            }
            Work::Encode(inode, coding) => {
                let content = inode.data().clone();
                let bytes = self.packer.pack(content, coding, &mut self.dice);
                let record = self.records.entry(who).or_default();
                let (etag, bytes_too) = (etag(&inode.meta()), Some(bytes.clone()));
                record.packed = Some(Packed { etag, coding, bytes: bytes_too });
                (Ok(Done::Encoded(bytes)), None)
            }
            Work::Tell(done) => {
                let text = if let Done::Text(text) = &done { Some(text.clone()) } else { None };
                self.records.entry(who).or_default().text = text;
                (Ok(done), None)
            }
            Work::Check(check) => return Err(format!("{check:?} is no work of the disk")),
        })
    }

    fn listed(&mut self, who: Who, mut entries: Entries, order: Order, most: usize) -> Done {
        entries.sort(order);
        let truncated = entries.len() > most;
        entries.truncate(most);
        let listed = Listed { entries: entries.clone(), truncated };
        self.records.entry(who).or_default().listed = Some(listed);
        Done::Listed { entries, truncated }
    }

    fn committed(
        &mut self,
        who: Who,
        path: &RelPath,
        done: Result<(bool, httpout_proto::fs::Meta), FsError>,
    ) -> Result<Result<Done, FsError>, String> {
        if let Ok((created, meta)) = &done {
            self.note_committed(who, path, *created, meta)?;
        }
        Ok(done.map(|(created, meta)| Done::Committed { created, meta }))
    }

    // ---- answers ----

    pub(crate) fn answer(
        &mut self,
        c: usize,
        op: OpId,
        result: Result<Done, FsError>,
        handle: Option<(FileId, Handle)>,
    ) {
        self.post(c, op, News::Done(result, handle));
    }

    /// The same after this time.
    pub(crate) fn answer_after(
        &mut self,
        time: Time,
        c: usize,
        op: OpId,
        result: Result<Done, FsError>,
    ) {
        let mail = Mail { at: self.now + time, op, what: News::Done(result, None) };
        self.conns[c].mail.push(mail);
    }

    fn post(&mut self, c: usize, op: OpId, what: News) {
        let at = self.now + self.dice.delay(Duration::from_millis(30));
        if self.dice.chance(50)
            && let News::Growth(_) = what
            && let Some(mail) = self.conns[c].mail.iter_mut().rev().find(|mail| mail.op == op)
            && let News::Growth(_) = mail.what
        {
            // Growth that was not yet looked at is replaced.
            mail.what = what;
            return;
        }
        self.conns[c].mail.push(Mail { at, op, what });
    }

    /// Tells the session.
    pub(crate) fn deliver(&mut self, c: usize, Mail { op, what, .. }: Mail) {
        let conn = &mut self.conns[c];
        if conn.over {
            if let News::Done(_, Some((_, Handle::Part(part, _)))) = what {
                self.disk.discard(part);
            }
            return;
        }
        conn.dirty = true;
        match what {
            // What is no longer followed is not opened either.
            News::Done(Ok(Done::Following(_)), _) if !conn.followings.contains_key(&op) => {}
            News::Done(result, handle) => {
                conn.files.extend(handle);
                conn.watch.done(op, result.is_ok());
                conn.session.handle_done(op, result.clone());
                if self.dice.chance(2) {
                    // Late answers are ignored.
                    conn.session.handle_done(op, result);
                }
            }
            News::Begun(feed, inode, growth) => {
                let Some(following) = conn.followings.get_mut(&op) else { return };
                let &mut Following::Waiting(_, file) = following else { return };
                *following = Following::Feed(feed);
                conn.watch.done(op, true);
                conn.files.insert(file, Handle::Open(inode));
                conn.session.handle_done(op, Ok(Done::Following(growth)));
            }
            News::Growth(growth) => conn.session.handle_growth(op, growth),
        }
    }
}
