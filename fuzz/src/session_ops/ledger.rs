//! What a runtime would hold for a session: effects under way, open files, uploads, followings.
//! Notes what the session asks for, and objects to what makes no sense.

use httpout_proto::effect::{
    AdminEffect, AuthEffect, ConnectionEffect, DeliveryEffect, FsEffect, HookEffect, LiveEffect,
    LogEffect,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, UNIX_EPOCH},
};

use httpout_proto::{
    Done, Effect, FileId, FsError, OpId,
    effect::{Refusal, Verified},
    fs::Meta,
    http::Status,
    live::{Growth, GrowthState},
};

use super::{
    lookups::{self, Lookup},
    op::Over,
};

/// The books of a runtime.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    ops: BTreeSet<OpId>,
    /// Effects under way, in the order they came.
    pending: Vec<(OpId, Asked)>,
    /// Effects that are answered, or are no longer to be.
    settled: Vec<OpId>,
    ids: BTreeSet<FileId>,
    files: BTreeMap<FileId, File>,
    /// Uploads that were announced.
    announced: BTreeSet<FileId>,
    followings: Vec<(OpId, FileId, Growth)>,
    shut_down: bool,
    /// The session was told that an upload it followed was given up.
    pub(super) gave_up: bool,
    /// It was told that one is complete.
    pub(super) completed: bool,
    /// Commits that were answered as done.
    pub(super) committed: usize,
    /// Removals that were.
    pub(super) removed: usize,
    /// The upload that is handed on: its first effect, and what was given of it.
    delivery: Option<(OpId, Vec<u8>)>,
    /// Where there are rules: the request under way may go on.
    let_in: Option<bool>,
}

/// An effect under way.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Asked {
    Open(FileId),
    Stat,
    Create(FileId),
    Write(FileId),
    Commit,
    Remove,
    MediaType,
    Deliver,
    Give,
    Given,
    Follow { file: FileId, wait: bool },
    Lookup(Lookup),
}

#[derive(Debug, PartialEq, Eq)]
enum File {
    /// This much of it may be read.
    Reading {
        len: u64,
    },
    Part {
        content: Vec<u8>,
        writing: bool,
    },
}

impl File {
    fn is_empty_part(&self) -> bool {
        matches!(self, Self::Part { content, writing: false } if content.is_empty())
    }
}

impl Ledger {
    /// The session asks for something. `window` is the most that one write may hold. Returns the
    /// content of a file that is to stand under its name.
    pub(super) fn run(&mut self, effect: Effect, window: u64) -> Option<Vec<u8>> {
        if touches(&effect) {
            assert_ne!(self.let_in, Some(false), "without a right: {effect:?}");
        }
        match effect {
            Effect::Fs(_, FsEffect::Open { op, file, .. }) => {
                self.begin_file(op, file, Asked::Open(file))
            }
            Effect::Fs(_, FsEffect::Create { op, file, .. }) => {
                self.begin_file(op, file, Asked::Create(file))
            }
            Effect::Live(_, LiveEffect::Follow { op, file, wait, .. }) => {
                self.begin_file(op, file, Asked::Follow { file, wait });
            }
            Effect::Fs(_, FsEffect::Stat { op, .. }) => self.begin(op, Asked::Stat),
            Effect::Fs(_, FsEffect::Remove { op, .. }) => self.begin(op, Asked::Remove),
            Effect::Fs(_, FsEffect::MediaType { op, file }) => {
                assert!(matches!(self.files.get(&file), Some(File::Reading { .. })));
                self.begin(op, Asked::MediaType);
            }
            Effect::Fs(_, FsEffect::Write { op, file, at, data }) => {
                let data = data.concat();
                assert!((1..=window).contains(&(data.len() as u64)), "{} at once", data.len());
                let part = self.files.get_mut(&file);
                let Some(File::Part { content, writing: writing @ false }) = part else {
                    panic!("a write to {part:?}");
                };
                assert_eq!(content.len() as u64, at);
                content.extend_from_slice(&data);
                *writing = true;
                self.begin(op, Asked::Write(file));
            }
            Effect::Fs(_, FsEffect::Commit { op, file, .. }) => return Some(self.commit(op, file)),
            Effect::Fs(_, FsEffect::CommitPatches { op, file, patches, .. }) => {
                let content = self.commit(op, file);
                assert_eq!(
                    content.len() as u64,
                    patches.iter().map(|patch| patch.len).sum::<u64>()
                );
                assert!(!patches.is_empty() && patches.iter().all(|patch| patch.len > 0));
            }
            Effect::Fs(_, FsEffect::Close { file }) => {
                let closed = self.files.remove(&file);
                assert!(!matches!(closed, Some(File::Part { writing: true, .. })));
            }
            Effect::Live(_, LiveEffect::Announce { file, .. }) => {
                assert!(self.files.get(&file).is_some_and(File::is_empty_part));
                assert!(self.announced.insert(file), "announced twice");
            }
            Effect::Live(_, LiveEffect::Grown { file, len }) => {
                assert!(self.announced.contains(&file));
                let part = self.files.get(&file);
                let Some(File::Part { content, writing: false }) = part else {
                    panic!("growth of {part:?}");
                };
                assert_eq!(content.len() as u64, len);
            }
            Effect::Live(_, LiveEffect::Ended { file, .. }) => {
                assert!(self.announced.remove(&file), "an upload ends that was never announced");
            }
            Effect::Live(_, LiveEffect::Unfollow { op }) => {
                self.followings.retain(|(other, ..)| *other != op);
                // Nobody waits for an upload any more; the answer to one that does not wait comes
                // in any case.
                let waits = |asked: &Asked| matches!(asked, Asked::Follow { wait: true, .. });
                self.pending.retain(|(other, asked)| *other != op || !waits(asked));
                self.settled.push(op);
            }
            Effect::Log(_, LogEffect::Over(_)) => {}
            Effect::Fs(_, FsEffect::Locate { op, place, .. }) => {
                self.let_in = Some(false);
                self.begin(op, Asked::Lookup(Lookup::Locate(place.path)));
            }
            Effect::Auth(_, AuthEffect::Verify { op, .. }) => {
                self.let_in = Some(false);
                self.begin(op, Asked::Lookup(Lookup::Verify));
            }
            Effect::Fs(_, FsEffect::List { op, most, .. }) => {
                self.begin(op, Asked::Lookup(Lookup::List { most }))
            }
            Effect::Fs(_, FsEffect::Encode { op, file, meta, .. }) => {
                assert_eq!(self.files.get(&file), Some(&File::Reading { len: meta.len }));
                self.begin(op, Asked::Lookup(Lookup::Encode));
            }
            Effect::Admin(_, AdminEffect::Metrics { op }) => {
                self.begin(op, Asked::Lookup(Lookup::Metrics))
            }
            Effect::Admin(_, AdminEffect::Health { op }) => {
                self.begin(op, Asked::Lookup(Lookup::Health))
            }
            Effect::Log(_, LogEffect::Begun { .. }) => {}
            Effect::Delivery(_, DeliveryEffect::Begin { op, .. }) => {
                assert!(self.delivery.replace((op, Vec::new())).is_none(), "two at a time");
                self.begin(op, Asked::Deliver);
            }
            Effect::Delivery(_, DeliveryEffect::Data { op, to, data }) => {
                let data = data.concat();
                assert!((1..=window).contains(&(data.len() as u64)), "{} at once", data.len());
                assert!(!self.is_delivering(), "given before the last was taken");
                let (id, given) = self.delivery.as_mut().expect("a delivery is under way");
                assert_eq!(*id, to);
                given.extend(data);
                self.begin(op, Asked::Give);
            }
            Effect::Delivery(_, DeliveryEffect::End { op, to }) => {
                assert!(!self.is_delivering(), "told to be whole before it was taken");
                let (id, given) = self.delivery.take().expect("a delivery is under way");
                assert_eq!(id, to);
                self.begin(op, Asked::Given);
                return Some(given);
            }
            Effect::Delivery(_, DeliveryEffect::Abort { to }) => {
                let (id, _) = self.delivery.take().expect("a delivery is under way");
                assert_eq!(id, to);
                // No answer is waited for.
                let over = |asked: &Asked| matches!(asked, Asked::Deliver | Asked::Give);
                let dropped = self.pending.extract_if(.., |(_, asked)| over(asked));
                self.settled.extend(dropped.map(|(op, _)| op));
            }
            effect @ (Effect::Live(_, LiveEffect::Listen { .. })
            | Effect::Live(_, LiveEffect::Take { .. })
            | Effect::Live(_, LiveEffect::Leave { .. })
            | Effect::Live(_, LiveEffect::Publish { .. })
            | Effect::Live(_, LiveEffect::PublishGroup { .. })
            | Effect::Live(_, LiveEffect::SetTitle { .. })
            | Effect::Live(_, LiveEffect::Unpublish { .. })
            | Effect::Hook(_, HookEffect::Ask { .. })
            | Effect::Hook(_, HookEffect::Pull { .. })
            | Effect::Hook(_, HookEffect::Pace { .. })
            | Effect::Hook(_, HookEffect::Dismiss { .. })) => panic!("nobody asked for {effect:?}"),
            // Nothing is told of what the socket holds, which a driver may do.
            Effect::Connection(ConnectionEffect::Recheck { .. }) => {}
            Effect::Connection(ConnectionEffect::ShutdownWrite) => {
                assert!(!std::mem::replace(&mut self.shut_down, true), "shut down twice");
            }
        }
        None
    }

    fn is_delivering(&self) -> bool {
        self.pending.iter().any(|(_, asked)| matches!(asked, Asked::Deliver | Asked::Give))
    }

    fn begin(&mut self, op: OpId, asked: Asked) {
        assert!(self.ops.insert(op), "{op:?} is used twice");
        self.pending.push((op, asked));
    }

    fn begin_file(&mut self, op: OpId, file: FileId, asked: Asked) {
        assert!(self.ids.insert(file), "{file:?} is used twice");
        self.begin(op, asked);
    }

    fn commit(&mut self, op: OpId, file: FileId) -> Vec<u8> {
        self.begin(op, Asked::Commit);
        match self.files.remove(&file) {
            Some(File::Part { content, writing: false }) => content,
            other => panic!("a commit of {other:?}"),
        }
    }

    /// Answers an effect that is under way.
    pub(super) fn answer(
        &mut self,
        which: usize,
        how: u8,
        value: u8,
    ) -> Option<(OpId, Result<Done, FsError>)> {
        let which = which.checked_rem(self.pending.len())?;
        let (op, asked) = self.pending.remove(which);
        self.settled.push(op);
        if let Asked::Write(file) = asked
            && let Some(File::Part { writing, .. }) = self.files.get_mut(&file)
        {
            *writing = false;
        }
        let result = match how % 8 {
            0..=4 => self.succeed(op, &asked, value),
            5 => Err(FsError::NotFound),
            6 => Err(error(value)),
            // A runtime that answers something else is not to be trusted, but nothing breaks.
            _ => Ok([Done::NotGrowing, Done::Stat(meta(value))][usize::from(value % 2)].clone()),
        };
        // Answers that make no sense count as failures, but these are the right ones.
        let result = match (&asked, result) {
            (Asked::Stat, Ok(Done::NotGrowing)) => Err(FsError::Denied),
            (
                Asked::Create(_)
                | Asked::Write(_)
                | Asked::Remove
                | Asked::Deliver
                | Asked::Give
                | Asked::Given,
                Ok(_),
            ) => self.succeed(op, &asked, value),
            (_, result) => result,
        };
        match (&asked, &result) {
            (Asked::Commit, Ok(Done::Committed { .. })) => self.committed += 1,
            (Asked::Given, Ok(Done::Ok | Done::Delivered { .. })) => self.committed += 1,
            (Asked::Remove, Ok(_)) => self.removed += 1,
            (Asked::Lookup(lookup), Ok(done)) if lookup.lets_in(done) => self.let_in = Some(true),
            _ => {}
        }
        Some((op, result))
    }

    fn succeed(&mut self, op: OpId, asked: &Asked, value: u8) -> Result<Done, FsError> {
        Ok(match *asked {
            Asked::Open(file) => {
                let meta = meta(value);
                self.files.insert(file, File::Reading { len: meta.len });
                Done::Opened(meta)
            }
            Asked::Stat => Done::Stat(meta(value)),
            Asked::Create(file) => {
                self.files.insert(file, File::Part { content: Vec::new(), writing: false });
                Done::Ok
            }
            Asked::Write(_) | Asked::Remove => Done::Ok,
            Asked::Deliver | Asked::Give | Asked::Given if value % 8 == 7 => {
                let status = if value & 8 == 0 { Status::SERVICE_UNAVAILABLE } else { Status::OK };
                Done::Refused(Refusal::new(status, "no"))
            }
            Asked::Given if value & 1 == 0 => Done::Delivered { created: value & 2 == 0 },
            Asked::Deliver | Asked::Give | Asked::Given => Done::Ok,
            Asked::MediaType => Done::MediaType(match value % 4 {
                0 | 1 => None,
                2 => Some("text/x".into()),
                // Whoever can write the file can write this.
                _ => Some("a/b\r\nContent-Length: 9".into()),
            }),
            Asked::Commit => Done::Committed { created: value & 1 == 0, meta: meta(value) },
            Asked::Follow { wait: false, .. } if value & 1 == 0 => Done::NotGrowing,
            Asked::Follow { file, .. } => {
                let len = u64::from(value / 4 % 8);
                let total = (value & 2 == 0).then(|| len + u64::from(value / 32));
                let growth = Growth { len, total, state: GrowthState::Growing };
                self.files.insert(file, File::Reading { len });
                self.followings.push((op, file, growth));
                Done::Following(growth)
            }
            Asked::Lookup(ref lookup) => lookups::answer(lookup, value),
        })
    }

    /// Answers an effect that nobody waits for any more.
    pub(super) fn answer_again(
        &self,
        which: usize,
        value: u8,
    ) -> Option<(OpId, Result<Done, FsError>)> {
        let op = self.settled[which.checked_rem(self.settled.len())?];
        let done = match value % 5 {
            0 => Ok(Done::Ok),
            1 => Ok(Done::Opened(meta(value))),
            2 => Ok(Done::NotGrowing),
            3 => Ok(Done::Verified(Verified::Right)),
            _ => Err(error(value)),
        };
        Some((op, done))
    }

    /// An upload that is followed goes on.
    pub(super) fn grow(&mut self, which: usize, bytes: u8, over: Over) -> Option<(OpId, Growth)> {
        let which = which.checked_rem(self.followings.len())?;
        let (op, file, growth) = &mut self.followings[which];
        if growth.state != GrowthState::Growing {
            return None;
        }
        let most = growth.total.unwrap_or(u64::MAX);
        growth.len = growth.len.saturating_add(1 << (bytes % 40)).min(most);
        match over {
            Over::No => {}
            Over::Complete => {
                growth.len = growth.total.unwrap_or(growth.len);
                growth.state = GrowthState::Complete;
                self.completed = true;
            }
            Over::Aborted => {
                growth.state = GrowthState::Aborted;
                self.gave_up = true;
            }
        }
        // It may be closed already, and the following not yet ended.
        if let Some(File::Reading { len }) = self.files.get_mut(file) {
            *len = growth.len;
        }
        Some((*op, *growth))
    }

    /// Word of an upload that is no longer followed.
    pub(super) fn grow_late(&self, which: usize) -> Option<(OpId, Growth)> {
        let op = self.settled[which.checked_rem(self.settled.len())?];
        let followed = self.followings.iter().any(|(other, ..)| *other == op);
        let growth = Growth { len: 1 << 30, total: None, state: GrowthState::Growing };
        (!followed).then_some((op, growth))
    }

    /// Effects that will be answered whatever happens.
    pub(super) fn under_way(&self) -> usize {
        let waits = |asked: &Asked| matches!(asked, Asked::Follow { wait: true, .. });
        self.pending.iter().filter(|(_, asked)| !waits(asked)).count()
    }

    /// Answers one of those.
    pub(super) fn answer_sure(&mut self, value: u8) -> Option<(OpId, Result<Done, FsError>)> {
        let waits = |asked: &Asked| matches!(asked, Asked::Follow { wait: true, .. });
        let which = self.pending.iter().position(|(_, asked)| !waits(asked))?;
        self.answer(which, value % 7, value)
    }

    /// Does the session follow an upload that goes on?
    pub(super) fn follows(&self) -> bool {
        self.followings.iter().any(|(.., growth)| growth.state == GrowthState::Growing)
    }

    /// May this file be sent, up to `end`?
    pub(super) fn is_open(&self, file: FileId, end: u64) -> bool {
        matches!(self.files.get(&file), Some(File::Reading { len }) if end <= *len)
    }

    /// The connection is over: everything was given back.
    pub(super) fn assert_settled(&self) {
        assert!(self.files.is_empty(), "files stay open: {self:?}");
        assert!(self.announced.is_empty(), "uploads stay announced: {self:?}");
        assert!(self.delivery.is_none(), "an upload is neither whole nor withdrawn: {self:?}");
        assert!(self.followings.is_empty(), "uploads stay followed: {self:?}");
        let harmless = |asked: &Asked| {
            matches!(
                asked,
                Asked::Stat | Asked::Remove | Asked::MediaType | Asked::Lookup(_) | Asked::Given
            )
        };
        assert!(self.pending.iter().all(|(_, asked)| harmless(asked)), "under way: {self:?}");
    }
}

/// Does it look at a file or a directory, or change one?
fn touches(effect: &Effect) -> bool {
    matches!(
        effect,
        Effect::Fs(_, FsEffect::Open { .. })
            | Effect::Fs(_, FsEffect::Stat { .. })
            | Effect::Fs(_, FsEffect::Create { .. })
            | Effect::Fs(_, FsEffect::Commit { .. })
            | Effect::Fs(_, FsEffect::CommitPatches { .. })
            | Effect::Fs(_, FsEffect::Remove { .. })
            | Effect::Live(_, LiveEffect::Follow { .. })
            | Effect::Fs(_, FsEffect::List { .. })
    )
}

fn meta(value: u8) -> Meta {
    let len = [0, 1, 5, 6, 100, 70_000, 1 << 40, i64::MAX as u64][usize::from(value % 8)];
    let day = Duration::from_secs(86_400);
    let modified = match value / 8 % 8 {
        0..=4 => UNIX_EPOCH + day * 11_000 + Duration::from_nanos(value.into()),
        5 => UNIX_EPOCH - day,
        6 => UNIX_EPOCH + day * 30_000,
        _ => UNIX_EPOCH + day * 4_000_000,
    };
    Meta { len, modified, inode: value.into() }
}

fn error(value: u8) -> FsError {
    match value % 11 {
        0 => FsError::NotFound,
        1 => FsError::IsDirectory,
        2 => FsError::NotRegular,
        3 => FsError::Outside,
        4 => FsError::Denied,
        5 => FsError::NameTooLong,
        6 => FsError::Full,
        7 => FsError::Changed,
        8 => FsError::Hole(value.into()),
        9 => FsError::Exhausted,
        _ => FsError::Other(std::io::ErrorKind::Other),
    }
}
