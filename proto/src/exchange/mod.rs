//! One request, one answer: targets, conditions, ranges, media types, uploads. Knows no bytes on a wire: what an
//! exchange wants said goes out as an answer, what it wants done as an [`Effect`].

pub mod byteranges;
pub mod conditional;
pub mod content_range;
pub mod media;
pub mod patch;
pub mod range;
pub mod target;

mod answer;
mod delete;
mod get;
mod upload;

use std::{collections::VecDeque, time::Instant};

use bytes::Bytes;

pub(crate) use answer::{Answer, refuse_peer, start};

use crate::{
    effect::{Done, Effect, FileId, Growth, OpId},
    error::FsError,
    site::Site,
    time::Now,
};

/// What an exchange may use while it is asked to go on.
pub(crate) struct Cx<'a> {
    pub(crate) site: &'a Site,
    pub(crate) now: Now,
    pub(crate) ids: &'a mut Ids,
    pub(crate) effects: &'a mut VecDeque<Effect>,
    pub(crate) answers: &'a mut VecDeque<Answer>,
}

/// The source of ids that are used once.
#[derive(Debug, Default)]
pub(crate) struct Ids {
    op: u32,
    file: u32,
}

impl Cx<'_> {
    fn op(&mut self) -> OpId {
        self.ids.op += 1;
        OpId(self.ids.op)
    }

    fn file(&mut self) -> FileId {
        self.ids.file += 1;
        FileId(self.ids.file)
    }

    fn effect(&mut self, effect: Effect) {
        self.effects.push_back(effect);
    }

    fn answer(&mut self, answer: Answer) {
        self.answers.push_back(answer);
    }
}

/// A request that is being answered and needs the outside for it.
#[derive(Debug)]
pub(crate) enum Task {
    /// GET and HEAD.
    Get(Box<get::Get>),
    /// PUT, POST and PATCH.
    Upload(Box<upload::Upload>),
    /// DELETE.
    Delete(Box<delete::Delete>),
}

impl Task {
    /// A piece of the request's body.
    pub(crate) fn on_data(&mut self, data: Bytes, cx: &mut Cx<'_>) {
        match self {
            Self::Get(_) => {}
            Self::Upload(upload) => upload.on_data(data, cx),
            Self::Delete(delete) => delete.on_data(&data, cx),
        }
    }

    /// The request's body is whole.
    pub(crate) fn on_end(&mut self, cx: &mut Cx<'_>) {
        match self {
            Self::Get(_) => {}
            Self::Upload(upload) => upload.on_end(cx),
            Self::Delete(delete) => delete.on_end(cx),
        }
    }

    /// An effect is answered.
    pub(crate) fn on_done(&mut self, op: OpId, result: Result<Done, FsError>, cx: &mut Cx<'_>) {
        match self {
            Self::Get(get) => get.on_done(op, result, cx),
            Self::Upload(upload) => upload.on_done(op, result, cx),
            Self::Delete(delete) => delete.on_done(op, result, cx),
        }
    }

    /// A followed file went on.
    pub(crate) fn on_growth(&mut self, op: OpId, growth: Growth, cx: &mut Cx<'_>) {
        match self {
            Self::Get(get) => get.on_growth(op, growth, cx),
            Self::Upload(_) | Self::Delete(_) => {}
        }
    }

    /// All that was pushed is sent.
    pub(crate) fn on_writable(&mut self, cx: &mut Cx<'_>) {
        match self {
            Self::Get(get) => get.on_writable(cx),
            Self::Upload(_) | Self::Delete(_) => {}
        }
    }

    /// The time that [`deadline`](Self::deadline) named has come.
    pub(crate) fn on_deadline(&mut self, cx: &mut Cx<'_>) {
        match self {
            Self::Get(get) => get.on_deadline(cx),
            Self::Upload(_) | Self::Delete(_) => {}
        }
    }

    /// The body cannot be had, or the answer cannot be delivered.
    pub(crate) fn on_abort(&mut self, cx: &mut Cx<'_>) {
        match self {
            Self::Get(get) => get.release(cx),
            Self::Upload(upload) => upload.give_up(cx),
            Self::Delete(_) => {}
        }
    }

    /// The answer is sent: gives back what is held.
    pub(crate) fn on_sent(&mut self, cx: &mut Cx<'_>) {
        match self {
            Self::Get(get) => get.release(cx),
            Self::Upload(_) | Self::Delete(_) => {}
        }
    }

    /// When it wants to be asked by [`on_deadline`](Self::on_deadline).
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Get(get) => get.deadline(),
            Self::Upload(_) | Self::Delete(_) => None,
        }
    }

    /// True while an effect is under way whose answer must not be lost: it opens a file, or changes one.
    pub(crate) fn is_busy(&self) -> bool {
        match self {
            Self::Get(get) => get.is_busy(),
            Self::Upload(upload) => upload.is_busy(),
            Self::Delete(_) => false,
        }
    }
}
