//! What a [`Session`](crate::Session) asks of its runtime, and what the runtime answers.

mod delivery;

use std::{path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;

pub use delivery::{Delivery, Refusal};

use crate::{
    auth::{Credential, Secret},
    fs::{Entries, Expect, FileId, Meta, Order, Patch, Place, RelPath, RootId},
    hook::{HookDecision, Pace, Piece, Question},
    http::Method,
    id::{ExchangeId, OpId},
    live::{Description, Group, Growth, News, Text, framing::Audio},
    report::{Report, RequestSummary},
    semantics::coding::Coding,
};

/// A wish of the session, and the exchange that it is for. Those with an `op` are answered by
/// [`handle_done`](crate::Session::handle_done), in any order; the others have no answer. What an
/// exchange asks for comes after the effects that it asked for before; its last effect is
/// [`LogEffect::Over`].
#[derive(Debug)]
pub enum Effect {
    /// An operation on files or directories.
    Fs(ExchangeId, FsEffect),
    /// An operation on uploads in progress or live resources.
    Live(ExchangeId, LiveEffect),
    /// A step of an upload that is handed on.
    Delivery(ExchangeId, DeliveryEffect),
    /// A question or a message to the hook.
    Hook(ExchangeId, HookEffect),
    /// A question on the admin address.
    Admin(ExchangeId, AdminEffect),
    /// A fact for counters and logs.
    Log(ExchangeId, LogEffect),
    /// An operation on the connection itself.
    Connection(ConnectionEffect),
    /// A password to be checked.
    Auth(ExchangeId, AuthEffect),
}

/// Something to be done with files and directories.
#[derive(Debug)]
pub enum FsEffect {
    /// Open a regular file for reading, never waiting (not even for a FIFO's writer), and only
    /// where the path does not lead out of the root. Answer: [`Done::Opened`].
    Open {
        /// To be answered.
        op: OpId,
        /// The id it is to have.
        file: FileId,
        /// What to open.
        place: Place,
    },
    /// Look at a regular file. Answer: [`Done::Stat`].
    Stat {
        /// To be answered.
        op: OpId,
        /// What to look at.
        place: Place,
    },
    /// Make a part file beside `place` (and the directories that lead there), under a name that no
    /// URL reaches and that is swept at the next start. `len` is the announced length: one for
    /// which there certainly is no room is [`FsError::Full`](crate::FsError::Full). Room is not
    /// held for bytes that have not come. Answer: [`Done::Ok`].
    Create {
        /// To be answered.
        op: OpId,
        /// The id that the part file is to have.
        file: FileId,
        /// The target.
        place: Place,
        /// Announced length in bytes.
        len: Option<u64>,
        /// Media type to be kept with the file, where the platform can (as the extended attribute
        /// `user.mime_type`, say), for [`FsEffect::MediaType`].
        media_type: Option<String>,
    },
    /// The media type that was kept with an open file. Answer: [`Done::MediaType`].
    MediaType {
        /// To be answered.
        op: OpId,
        /// Which.
        file: FileId,
    },
    /// Write all of `data`, one after the other, at `at` of the part file. Answer: [`Done::Ok`].
    Write {
        /// To be answered.
        op: OpId,
        /// The part file.
        file: FileId,
        /// Offset in bytes.
        at: u64,
        /// The bytes.
        data: Vec<Bytes>,
    },
    /// Rename the part file over `place` if `expect` holds; with `durable`, flush data before and
    /// the directory entry after. The file is closed then, whatever the answer; on failure the part
    /// file is gone too. Whatever can fail is done before the rename; if the directory cannot be
    /// flushed after it, the error is [`FsError::Unflushed`](crate::FsError::Unflushed). Answer:
    /// [`Done::Committed`].
    Commit {
        /// To be answered.
        op: OpId,
        /// The part file.
        file: FileId,
        /// The target.
        place: Place,
        /// What must hold of the target.
        expect: Expect,
        /// Flush before answering.
        durable: bool,
    },
    /// The part file holds `patches`, one after the other. Put into place of the target a copy of
    /// it with those runs replaced; atomically, and one after the other with every other change of
    /// that target that this server makes. A patch must not begin past the end that the ones before
    /// it leave: [`FsError::Hole`](crate::FsError::Hole). A missing target counts as empty if
    /// `create`, else it is [`FsError::NotFound`](crate::FsError::NotFound). The file is closed
    /// then, whatever the answer. Answer: [`Done::Committed`].
    CommitPatches {
        /// To be answered.
        op: OpId,
        /// The part file.
        file: FileId,
        /// The target.
        place: Place,
        /// What must hold of the target.
        expect: Expect,
        /// Flush before answering.
        durable: bool,
        /// May the target be missing?
        create: bool,
        /// Where the bytes go, in the order they lie in the part file.
        patches: Vec<Patch>,
    },
    /// Remove a regular file if `expect` holds, and the directories below the root that this leaves
    /// empty. Answer: [`Done::Ok`].
    Remove {
        /// To be answered.
        op: OpId,
        /// What to remove.
        place: Place,
        /// What must hold of it.
        expect: Expect,
    },
    /// Close a file, if it is open. A part file that was not committed is removed, with the
    /// directories made for it.
    Close {
        /// Which.
        file: FileId,
    },
    /// Where does this place lie, all symbolic links followed (with `last`, the last segment too)?
    /// What does not exist is taken as it is written. Asked where [rules](crate::Config::rules) say
    /// who may do what; there, every other effect speaks of a path that was located so, and must
    /// refuse ([`FsError::Outside`](crate::FsError::Outside)) to follow a link that was put on the
    /// way since. Answer: [`Done::Located`].
    Locate {
        /// To be answered.
        op: OpId,
        /// What is asked for.
        place: Place,
        /// Follow a link in the last segment.
        last: bool,
    },
    /// Read a directory: regular files and directories, each symbolic link as what it leads to, and
    /// where that is (left out if that is outside the root or nowhere), no name that begins with a
    /// dot, none that no URL can name. With `mounts`: directories of these names, which hide what
    /// has the same. In this order; of more than `most`, that many. Answer: [`Done::Listed`].
    List {
        /// To be answered.
        op: OpId,
        /// Which directory.
        place: Place,
        /// What is mounted there.
        mounts: Vec<String>,
        /// How to sort.
        order: Order,
        /// The most that are wanted.
        most: usize,
    },
    /// The whole content of an open file, compressed; worth keeping for the next request for the
    /// same place and state. Answer: [`Done::Encoded`].
    Encode {
        /// To be answered.
        op: OpId,
        /// Which.
        file: FileId,
        /// Where it was opened.
        place: Place,
        /// What it was when it was opened.
        meta: Meta,
        /// How to compress.
        coding: Coding,
    },
}

/// Something to be done with what grows: uploads in progress and live resources.
#[derive(Debug)]
pub enum LiveEffect {
    /// From now on this part file is an upload in progress of `place`:
    /// [`Hub::begin`](crate::live::Hub::begin).
    Announce {
        /// The part file.
        file: FileId,
        /// The target.
        place: Place,
        /// Announced length in bytes.
        len: Option<u64>,
    },
    /// `len` bytes of the announced file are written and may be read:
    /// [`Hub::grow`](crate::live::Hub::grow).
    Grown {
        /// The part file.
        file: FileId,
        /// Bytes there are.
        len: u64,
    },
    /// The announced upload is over: [`Hub::end`](crate::live::Hub::end).
    Ended {
        /// The part file.
        file: FileId,
        /// True if the target now is what was uploaded.
        complete: bool,
    },
    /// Find the upload in progress at `place` and follow it:
    /// [`Hub::follow`](crate::live::Hub::follow). Answer: [`Done::Following`], with the file open
    /// as `file`; after it, [`handle_growth`](crate::Session::handle_growth) with the same `op`
    /// whenever it went on, until [`LiveEffect::Unfollow`]. Where there is none, the answer is
    /// [`Done::NotGrowing`] at once; or, with `wait`, no answer until one begins.
    Follow {
        /// To be answered, and the name of the following.
        op: OpId,
        /// The id that the growing file is to have.
        file: FileId,
        /// Which upload.
        place: Place,
        /// Wait for an upload to begin.
        wait: bool,
    },
    /// No longer follow, or wait for, what was asked with this `op`. The file stays open.
    Unfollow {
        /// The following.
        op: OpId,
    },
    /// Listen to the live resource of this path, if there is one. Answer: [`Done::Live`] or
    /// [`Done::NotLive`].
    Listen {
        /// To be answered. Names the listener from then on.
        op: OpId,
        /// The path in the URL.
        path: RelPath,
    },
    /// What there is for a listener that has sent all it took before; once there is something:
    /// [`Broadcast::take`](crate::live::Broadcast::take). Answer: [`Done::News`].
    Take {
        /// To be answered.
        op: OpId,
        /// The effect that listens.
        live: OpId,
    },
    /// Listen no longer.
    Leave {
        /// The effect that listens.
        live: OpId,
    },
    /// A live resource of this path begins; it takes what is [sent](LiveEffect::PublishGroup).
    /// Answer: [`Done::Ok`], or an error if there is one.
    Publish {
        /// To be answered. Names the resource from then on.
        op: OpId,
        /// The path in the URL.
        path: RelPath,
        /// What it says of itself.
        description: Description,
    },
    /// Send this to all listeners of the resource, once there is room. Answer: [`Done::Ok`].
    PublishGroup {
        /// To be answered.
        op: OpId,
        /// The effect that began the resource.
        live: OpId,
        /// What.
        group: Group,
        /// What kind of sound it is, where that is known.
        audio: Option<Audio>,
    },
    /// Say what is played by a live resource that a client sends. Answer: [`Done::Ok`], or an error
    /// if there is none.
    SetTitle {
        /// To be answered.
        op: OpId,
        /// The path in the URL.
        path: RelPath,
        /// What is played from now on.
        title: Text,
    },
    /// The resource is over.
    Unpublish {
        /// The effect that began it.
        live: OpId,
        /// It came to its end.
        complete: bool,
    },
}

/// Something to be done with an upload that is handed on instead of being stored.
#[derive(Debug)]
pub enum DeliveryEffect {
    /// An upload comes that is handed on instead of being stored. Answer: [`Done::Ok`] when it
    /// is taken, which may wait until others are over; or [`Done::Refused`], or an error. No byte
    /// of it is asked for before.
    Begin {
        /// To be answered. Names the delivery from then on.
        op: OpId,
        /// What is known of it.
        delivery: Box<Delivery>,
    },
    /// More of a delivery's body: never empty, and not before the last was answered. Answer:
    /// [`Done::Ok`] when there is room for more; or [`Done::Refused`], or an error, with which the
    /// delivery is over: [`DeliveryEffect::Abort`] comes.
    Data {
        /// To be answered.
        op: OpId,
        /// The effect that began it; or that asked the hook, which takes it.
        to: OpId,
        /// The bytes, one after the other.
        data: Vec<Bytes>,
    },
    /// A delivery is whole: all of it was given, and taken. Answer: [`Done::Delivered`] or
    /// [`Done::Ok`] when it is dealt with; or [`Done::Refused`], or an error. It is over then,
    /// whatever the answer; the answer may come to nobody. A hook answers [`Done::Decision`]: what
    /// is to be said.
    End {
        /// To be answered.
        op: OpId,
        /// The effect that began it.
        to: OpId,
    },
    /// A delivery is broken off: it must not pass for whole. What is under way of it needs no
    /// answer any more.
    Abort {
        /// The effect that began it.
        to: OpId,
    },
}

/// Something to be asked of the hook, or told to it.
#[derive(Debug)]
pub enum HookEffect {
    /// What is to become of this request? Asked once of each, where
    /// [`Config::hook`](crate::Config::hook) is set; a verdict that comes too late is ignored.
    /// Answer: [`Done::Decision`], or an error: 503 for
    /// [`FsError::Exhausted`](crate::FsError::Exhausted), else 500.
    Ask {
        /// To be answered. Names the request to the hook until it is
        /// [dismissed](HookEffect::Dismiss).
        op: OpId,
        /// The request.
        question: Box<Question>,
    },
    /// More of the answer that the hook [gives piece by piece](crate::hook::HookDecision::read).
    /// Answer: [`Done::Pulled`], or an error, which cuts the answer.
    Pull {
        /// To be answered.
        op: OpId,
        /// The effect that asked for the verdict.
        hook: OpId,
    },
    /// When may more of a [throttled](crate::hook::HookDecision::throttled) answer go out? Answer:
    /// [`Done::Paced`]; after an error, all of it.
    Pace {
        /// To be answered.
        op: OpId,
        /// The effect that asked for the verdict.
        hook: OpId,
        /// Bytes of the answer's body that are with the socket.
        done: u64,
        /// Bytes that the body has in all, where that is known.
        total: Option<u64>,
    },
    /// A request that was asked about is over: the last that its hook hears of it, whether it gave
    /// a verdict or not.
    Dismiss {
        /// The effect that asked for the verdict.
        hook: OpId,
        /// The answer went out to its last byte.
        complete: bool,
    },
}

/// Something to be checked.
#[derive(Debug)]
pub enum AuthEffect {
    /// Is this the user's password? Costly, and to be paced:
    /// [`PasswordThrottle`](crate::auth::PasswordThrottle). Answer: [`Done::Verified`].
    Verify {
        /// To be answered.
        op: OpId,
        /// The user name.
        user: Arc<str>,
        /// The password that was given.
        password: Secret,
        /// What it is checked against. `None`: no such user; it must take as long to say so.
        credential: Option<Credential>,
    },
}

/// Something that is asked on the admin address.
#[derive(Debug)]
pub enum AdminEffect {
    /// The server's counters, in the text format of Prometheus. Answer: [`Done::Text`].
    Metrics {
        /// To be answered.
        op: OpId,
    },
    /// Can the server do its work? Answer: [`Done::Ok`], or [`Done::Text`] with what is wrong.
    Health {
        /// To be answered.
        op: OpId,
    },
}

/// Something to be counted and logged.
#[derive(Debug)]
pub enum LogEffect {
    /// A request has begun, where [`Config::log_begin`](crate::Config::log_begin) wants that told.
    Begun {
        /// Its method.
        method: Method,
        /// What it asks for.
        asked: Arc<RequestSummary>,
    },
    /// The exchange is over, and nothing more comes of it. `None`: it was on the admin address, and
    /// is not counted.
    Over(Option<Box<Report>>),
}

/// Something to be done with the connection itself.
#[derive(Debug)]
pub enum ConnectionEffect {
    /// All is sent and the peer is to be told so: shut down the writing half of the socket, go on
    /// reading.
    ShutdownWrite,
    /// Try the socket itself before the next poll, whatever is known of its readiness: send what
    /// [`Session::transmit`](crate::Session::transmit) shows, and receive once if `read`. A
    /// deadline has passed, or the connection is to end; what the peer did before this moment
    /// counts, and is not to be lost for a process that was stopped or busy.
    ///
    /// Without `read`, call [`Session::handle_closing`](crate::Session::handle_closing) if the peer
    /// has closed its side behind bytes that are not received yet (`POLLRDHUP`).
    Recheck {
        /// Something may be received.
        read: bool,
    },
}

impl Effect {
    /// The exchange that the effect is for; `None`: it concerns the connection.
    pub fn exchange(&self) -> Option<ExchangeId> {
        match self {
            Self::Fs(id, _)
            | Self::Live(id, _)
            | Self::Delivery(id, _)
            | Self::Hook(id, _)
            | Self::Auth(id, _)
            | Self::Admin(id, _)
            | Self::Log(id, _) => Some(*id),
            Self::Connection(_) => None,
        }
    }
}

/// An effect that is for one exchange.
pub(crate) trait ForExchange {
    /// The effect, for this exchange.
    fn of(self, exchange: ExchangeId) -> Effect;
}

macro_rules! for_exchange {
    ($($group:ident: $effect:ident),*) => {
        $(impl ForExchange for $effect {
            fn of(self, exchange: ExchangeId) -> Effect {
                Effect::$group(exchange, self)
            }
        })*
    };
}

for_exchange!(Fs: FsEffect, Live: LiveEffect, Delivery: DeliveryEffect, Hook: HookEffect, Auth: AuthEffect, Admin: AdminEffect, Log: LogEffect);

/// A good answer to an effect.
#[derive(Debug, Clone)]
pub enum Done {
    /// It was done.
    Ok,
    /// The file is open.
    Opened(Meta),
    /// What there is at the place.
    Stat(Meta),
    /// The target is replaced.
    Committed {
        /// The target did not exist before.
        created: bool,
        /// The target as it is now.
        meta: Meta,
    },
    /// The media type kept with the file, if there is one.
    MediaType(Option<String>),
    /// An upload is in progress, and followed.
    Following(Growth),
    /// No upload is in progress.
    NotGrowing,
    /// There is a live resource, and it is listened to.
    Live {
        /// What it says of itself.
        description: Arc<Description>,
        /// Its input waits for the first listener to [take](LiveEffect::Take): what the stream
        /// tells of itself is not known yet.
        held: bool,
    },
    /// There is no live resource of that path.
    NotLive,
    /// What a listener is told.
    News(News),
    /// Where the place lies, without symbolic links. From then on only this path is used, and a
    /// link that stands in its way now is an error: see [`FsEffect::Locate`].
    Located {
        /// The absolute path.
        real: PathBuf,
        /// The directory it lies beneath, if a link leads from the place's own to another, and
        /// [may](crate::site::Symlinks::All).
        root: Option<RootId>,
        /// The path below that directory.
        path: RelPath,
    },
    /// What the password is.
    Verified(Verified),
    /// What is in the directory.
    Listed {
        /// The entries, in the order that was asked for.
        entries: Entries,
        /// There were more.
        truncated: bool,
    },
    /// The compressed content.
    Encoded(Bytes),
    /// A text.
    Text(String),
    /// What was handed on has arrived.
    Delivered {
        /// There is something of that name now, and was not before.
        created: bool,
    },
    /// What was to be handed on is not taken.
    Refused(Refusal),
    /// What is to become of the request.
    Decision(Box<HookDecision>),
    /// What the hook has.
    Pulled(Piece),
    /// When more may go out.
    Paced(Pace),
}

/// What came of checking a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verified {
    /// It is the user's.
    Right,
    /// It is not, or there is no such user.
    Wrong,
    /// Not checked: too many were wrong lately, or wait to be checked. To be tried again after this
    /// time.
    TooMany(Duration),
}
