//! PUT, POST and PATCH: a body that becomes a file, or fills ranges of one. Nothing is seen of it
//! under its name before all of it is there.

mod content;

use bytes::Bytes;

use self::content::{COUNT, Content, check_holes, end_of, fill, room};
use crate::exchange::{
    context::{ExchangeContext, Handler},
    decoder::{self, Decoder},
    error::{refuse, refuse_last, refuse_upload},
    reply::{Reply, described},
};
use crate::{
    effect::{Done, FsEffect, LiveEffect},
    error::PeerError,
    fs::{Expect, FileId, FsError, Meta, Place, RelPath},
    http::{BodySize, Method, RequestHead, Status},
    id::OpId,
    semantics::{
        conditional::{self, Precondition, Validators},
        media,
        target::{self, Target},
    },
};

/// ```text
///  [Looking -->] Creating --> Receiving --> Committing --> Over
///      |             |            |             |           ^
///      +-------------+------------+-------------+- failure -+
/// ```
#[derive(Debug)]
pub(crate) struct Upload {
    /// In the URL.
    path: RelPath,
    place: Place,
    content: Content,
    /// Takes the content coding off.
    decoder: Option<Box<Decoder>>,
    expect: Expect,
    /// Announced length of the content.
    announced: Option<u64>,
    /// Its media type, where the name does not tell.
    media_type: Option<String>,
    state: State,
    /// Received and not yet being written.
    pending: Vec<Bytes>,
    pending_len: u64,
    /// Bytes of content received; of a PATCH, without the heads of its parts.
    received: u64,
    /// Offset in the part file up to which all is written.
    written: u64,
    body_is_whole: bool,
}

#[derive(Debug)]
enum State {
    /// What is there? For conditions and ranges.
    Looking { op: OpId, conditional: bool, request: Box<RequestHead> },
    /// The part file is being made.
    Creating { op: OpId, file: FileId },
    /// The body comes in; `writing` holds the write under way and its number of bytes.
    Receiving { file: FileId, writing: Option<Writing> },
    /// The part file takes its place.
    Committing { op: OpId, file: FileId },
    /// The peer is gone, or was refused; this effect is under way, and the file is then to be
    /// closed.
    Gone { op: OpId, file: FileId, announced: bool },
    /// Answered.
    Over,
}

/// A write under way.
#[derive(Clone, Copy, Debug)]
struct Writing {
    op: OpId,
    len: u64,
    /// What it takes of the window.
    weight: u64,
}

impl Upload {
    /// `None` if it was refused.
    pub(in crate::exchange) fn start(
        request: &RequestHead,
        target: &Target,
        place: Place,
        cx: &mut ExchangeContext<'_>,
    ) -> Option<Self> {
        let announced = match request.body {
            BodySize::Empty => {
                // A body may follow even without a length, and must not be read as requests.
                refuse_last(cx, Status::LENGTH_REQUIRED, &PeerError::LengthRequired.to_string());
                return None;
            }
            BodySize::Known(len) => Some(len),
            BodySize::Unknown => None,
        };
        let Ok(coding) = decoder::content_coding(&request.fields) else {
            decoder::refuse_coding(decoder::ACCEPTED, cx);
            return None;
        };
        let most = cx.site.config.limits.upload;
        let most_coming = if coding.is_some() { most.map(decoder::most_coded) } else { most };
        if let (Some(len), Some(most_coming), Some(most)) = (announced, most_coming, most)
            && len > most_coming
        {
            refuse(cx, Status::CONTENT_TOO_LARGE, &too_large(most));
            return None;
        }
        let content = content::read(request, cx)?;
        if coding.is_some() && matches!(content, Content::Ranges(_)) {
            // Ranges would count bytes of the coded representation (RFC 9110 §14.1.2), which is not
            // what is stored.
            decoder::refuse_coding(decoder::NONE_ACCEPTED, cx);
            return None;
        }
        let conditional = conditional::is_conditional(&request.fields);
        let mut upload = Self {
            media_type: media_type(request, target),
            path: target.path.clone(),
            place,
            content,
            decoder: coding.map(|coding| Box::new(Decoder::new(coding))),
            expect: Expect::Any,
            // What a coded body comes to shows at its end.
            announced: announced.filter(|_| coding.is_none()),
            state: State::Over,
            pending: Vec::new(),
            pending_len: 0,
            received: 0,
            written: 0,
            body_is_whole: false,
        };
        if conditional || matches!(upload.content, Content::Ranges(_)) {
            let op = cx.op();
            cx.effect(FsEffect::Stat { op, place: upload.place.clone() });
            upload.state = State::Looking { op, conditional, request: Box::new(request.clone()) };
        } else {
            upload.create(cx);
        }
        Some(upload)
    }

    fn create(&mut self, cx: &mut ExchangeContext<'_>) {
        let (op, file) = (cx.op(), cx.file());
        let (place, len) = (self.place.clone(), self.announced);
        let media_type = self.media_type.take();
        cx.effect(FsEffect::Create { op, file, place, len, media_type });
        self.state = State::Creating { op, file };
    }

    /// What is there is known: conditions (RFC 9110 §13.2), then ranges.
    fn looked(
        &mut self,
        request: &RequestHead,
        conditional: bool,
        current: Option<Meta>,
        cx: &mut ExchangeContext<'_>,
    ) {
        if conditional {
            let validators = current.map(|meta| Validators::of(&meta, cx.now.wall));
            if conditional::evaluate(&request.fields, false, validators.as_ref())
                != Precondition::Go
            {
                return refuse(cx, Status::PRECONDITION_FAILED, "the precondition does not hold");
            }
            self.expect = current.map_or(Expect::Absent, Expect::Same);
        }
        if let Content::Ranges(asked) = &self.content {
            let (patches, create) = asked.patches(current.map_or(0, |meta| meta.len));
            if current.is_none() && !create {
                return refuse(
                    cx,
                    Status::NOT_FOUND,
                    "there is no file whose ranges could be replaced",
                );
            }
            if let Err(len) = check_holes(&patches, current.map_or(0, |meta| meta.len)) {
                return refuse_upload(FsError::Hole(len), cx);
            }
            if let Some(most) = cx.site.config.limits.upload
                && end_of(&patches, self.announced.unwrap_or(1)) > most
            {
                return refuse(cx, Status::CONTENT_TOO_LARGE, &too_large(most));
            }
            let (fixed, open) = room(&patches);
            let fits = |len| if open { len > fixed } else { len == fixed };
            self.content = Content::Patches { patches, create };
            if !self.announced.is_none_or(fits) {
                return refuse_last(cx, Status::BAD_REQUEST, COUNT);
            }
        }
        self.create(cx);
    }

    /// Takes content; false if the upload failed by it.
    fn take(&mut self, data: Bytes, cx: &mut ExchangeContext<'_>) -> bool {
        let most = cx.site.config.limits.upload;
        let result = match &mut self.content {
            Content::Patch(parser) => {
                let before = self.pending.len();
                let result = parser.push(data, &mut self.pending);
                let new =
                    self.pending[before..].iter().map(|piece| piece.len() as u64).sum::<u64>();
                self.pending_len += new;
                self.received += new;
                result
            }
            Content::Whole | Content::Ranges(_) | Content::Patches { .. } => {
                self.pending_len += data.len() as u64;
                self.received += data.len() as u64;
                self.pending.push(data);
                Ok(())
            }
        };
        if let Err(why) = result {
            self.fail(Status::BAD_REQUEST, why, cx);
        } else if self.most().is_some_and(|most| self.received > most) {
            self.fail(Status::BAD_REQUEST, COUNT, cx);
        } else if let Some(most) = most
            && self.reaches() > most
        {
            self.fail(Status::CONTENT_TOO_LARGE, &too_large(most), cx);
        } else {
            return true;
        }
        false
    }

    /// How far the content that came reaches, in the resource or alone, whichever is more.
    fn reaches(&self) -> u64 {
        let end = match &self.content {
            Content::Whole | Content::Ranges(_) => 0,
            Content::Patches { patches, .. } => end_of(patches, self.received),
            Content::Patch(parser) => end_of(parser.patches(), self.received),
        };
        end.max(self.received)
    }

    fn fail(&mut self, status: Status, why: &str, cx: &mut ExchangeContext<'_>) {
        self.give_up(cx);
        refuse_last(cx, status, why);
    }

    /// Takes the coding off some of what came; false if the upload failed by it.
    fn decode(&mut self, cx: &mut ExchangeContext<'_>) -> bool {
        let Some(decoder) = &mut self.decoder else { return true };
        match decoder.step(self.pending_len) {
            Ok(pieces) => pieces.into_iter().all(|piece| self.take(piece, cx)),
            Err(fault) => {
                let (status, why) = fault.tell();
                self.fail(status, why, cx);
                false
            }
        }
    }

    /// Bytes that the ranges can take.
    fn most(&self) -> Option<u64> {
        match &self.content {
            Content::Patches { patches, .. } => {
                let (fixed, open) = room(patches);
                (!open).then_some(fixed)
            }
            Content::Whole | Content::Ranges(_) | Content::Patch(_) => None,
        }
    }

    /// Writes what has come, one write at a time, lets more come, and commits when all is written.
    fn go_on(&mut self, cx: &mut ExchangeContext<'_>) {
        if !matches!(self.state, State::Receiving { .. }) || !self.decode(cx) {
            return;
        }
        let State::Receiving { file, writing } = &mut self.state else { return };
        let file = *file;
        if writing.is_none() && self.pending_len > 0 {
            let op = cx.op();
            let weight = weight(&self.pending, self.pending_len);
            let data = std::mem::take(&mut self.pending);
            cx.effect(FsEffect::Write { op, file, at: self.written, data });
            *writing = Some(Writing { op, len: std::mem::take(&mut self.pending_len), weight });
        }
        let under_way = writing.map_or(0, |writing| writing.weight);
        let coded = self.decoder.as_ref().map_or(0, |decoder| decoder.waiting());
        let waiting = weight(&self.pending, self.pending_len) + coded;
        let is_decoded = self.decoder.as_ref().is_none_or(|decoder| decoder.is_done());
        match (self.body_is_whole, writing) {
            (false, _) => {
                let window = cx.site.config.limits.upload_window;
                cx.reply(Reply::Grant(window.saturating_sub(under_way + waiting)));
            }
            (true, None) if is_decoded => self.commit(file, cx),
            (true, _) => {}
        }
    }

    fn commit(&mut self, file: FileId, cx: &mut ExchangeContext<'_>) {
        let (op, place, expect) = (cx.op(), self.place.clone(), self.expect);
        let durable = cx.site.config.durable;
        let content = std::mem::replace(&mut self.content, Content::Whole);
        let (patches, create) = match content {
            Content::Whole => {
                cx.effect(FsEffect::Commit { op, file, place, expect, durable });
                self.state = State::Committing { op, file };
                return;
            }
            Content::Patches { patches, create } => (fill(patches, self.received), create),
            Content::Patch(parser) => {
                let patches = parser.finish();
                let create = patches.as_ref().is_ok_and(|p| p.first().is_some_and(|p| p.at == 0));
                (patches, create)
            }
            Content::Ranges(_) => (Err(COUNT), false),
        };
        match patches {
            Ok(patches) => {
                self.content = Content::Patches { patches: Vec::new(), create };
                cx.effect(FsEffect::CommitPatches {
                    op,
                    file,
                    place,
                    expect,
                    durable,
                    create,
                    patches,
                });
                self.state = State::Committing { op, file };
            }
            Err(why) => {
                cx.effect(FsEffect::Close { file });
                self.state = State::Over;
                refuse_last(cx, Status::BAD_REQUEST, why);
            }
        }
    }

    fn committed(
        &mut self,
        file: FileId,
        result: Result<Done, FsError>,
        cx: &mut ExchangeContext<'_>,
    ) {
        match result {
            Ok(Done::Committed { created, meta }) => {
                self.end(file, true, cx);
                let status = if created { Status::CREATED } else { Status::OK };
                let validators = if cx.site.config.sends_validators() {
                    Validators::of(&meta, cx.now.wall)
                } else {
                    Validators::default()
                };
                let head = described(cx.site, status, &validators)
                    .field("Content-Location", target::encode(&self.path));
                cx.reply(Reply::Whole(head, Vec::new()));
            }
            Ok(_) => {
                self.end(file, false, cx);
                refuse_upload(FsError::Other(std::io::ErrorKind::Other), cx);
            }
            Err(error) => {
                self.end(file, is_in_place(&Err(error)), cx);
                refuse_upload(error, cx);
            }
        }
    }

    /// Nothing will come of it: the part file goes.
    fn give_up(&mut self, cx: &mut ExchangeContext<'_>) {
        self.pending = Vec::new();
        self.state = match std::mem::replace(&mut self.state, State::Over) {
            State::Looking { .. } | State::Over => State::Over,
            State::Creating { op, file } => State::Gone { op, file, announced: false },
            State::Committing { op, file }
            | State::Receiving { file, writing: Some(Writing { op, .. }) } => {
                State::Gone { op, file, announced: true }
            }
            gone @ State::Gone { .. } => gone,
            State::Receiving { file, writing: None } => {
                self.end(file, false, cx);
                cx.effect(FsEffect::Close { file });
                State::Over
            }
        };
    }

    fn end(&self, file: FileId, complete: bool, cx: &mut ExchangeContext<'_>) {
        if let Content::Whole = self.content {
            cx.effect(LiveEffect::Ended { file, complete });
        }
    }
}

impl Handler for Upload {
    fn on_data(&mut self, data: Bytes, cx: &mut ExchangeContext<'_>) {
        let State::Receiving { .. } = self.state else { return };
        match &mut self.decoder {
            Some(decoder) => {
                decoder.push(data);
                if let Some(most) = cx.site.config.limits.upload
                    && decoder.came() > decoder::most_coded(most)
                {
                    return self.fail(Status::CONTENT_TOO_LARGE, &too_large(most), cx);
                }
            }
            None => {
                if !self.take(data, cx) {
                    return;
                }
            }
        }
        self.go_on(cx);
    }

    fn on_end(&mut self, cx: &mut ExchangeContext<'_>) {
        self.body_is_whole = true;
        if let Some(decoder) = &mut self.decoder {
            decoder.end();
        }
        self.go_on(cx);
    }

    fn on_done(&mut self, done: OpId, result: Result<Done, FsError>, cx: &mut ExchangeContext<'_>) {
        let state = std::mem::replace(&mut self.state, State::Over);
        match state {
            State::Looking { op, conditional, request } if op == done => {
                let current = match result {
                    Ok(Done::Stat(meta)) => Ok(Some(meta)),
                    Err(FsError::NotFound) => Ok(None),
                    Err(error) => Err(error),
                    Ok(_) => Err(FsError::Other(std::io::ErrorKind::Other)),
                };
                match current {
                    Ok(current) => self.looked(&request, conditional, current, cx),
                    Err(error) => refuse_upload(error, cx),
                }
            }
            State::Creating { op, file } if op == done => match result {
                Ok(_) => {
                    if let Content::Whole = self.content {
                        let (place, len) = (self.place.clone(), self.announced);
                        cx.effect(LiveEffect::Announce { file, place, len });
                    }
                    self.state = State::Receiving { file, writing: None };
                    self.go_on(cx);
                }
                Err(error) => refuse_upload(error, cx),
            },
            State::Receiving { file, writing: Some(Writing { op, len, .. }) } if op == done => {
                self.state = State::Receiving { file, writing: None };
                match result {
                    Ok(_) => {
                        self.written += len;
                        if let Content::Whole = self.content {
                            cx.effect(LiveEffect::Grown { file, len: self.written });
                        }
                        self.go_on(cx);
                    }
                    Err(error) => {
                        self.give_up(cx);
                        refuse_upload(error, cx);
                    }
                }
            }
            State::Committing { op, file } if op == done => self.committed(file, result, cx),
            State::Gone { op, file, announced } if op == done => {
                if announced {
                    self.end(file, is_in_place(&result), cx);
                }
                cx.effect(FsEffect::Close { file });
            }
            state @ (State::Looking { .. }
            | State::Creating { .. }
            | State::Receiving { .. }
            | State::Committing { .. }
            | State::Gone { .. }
            | State::Over) => self.state = state,
        }
    }

    fn is_busy(&self) -> bool {
        matches!(self.state, State::Gone { .. })
    }

    fn on_abort(&mut self, cx: &mut ExchangeContext<'_>) {
        self.give_up(cx);
    }
}

/// In bytes (RFC 6838 §4.2 allows 127 for each of type and subtype).
const LONGEST_MEDIA_TYPE: usize = 255;
/// Bytes of memory that a piece takes, with what its allocation costs.
const PIECE: u64 = 64;

/// The media type that the request gives (RFC 9110 §8.3), if the target's name tells none and it
/// says something.
fn media_type(request: &RequestHead, target: &Target) -> Option<String> {
    if request.method == Method::Patch || media::media_type(target.path.as_str()).is_some() {
        return None;
    }
    let given = request.fields.get("content-type")?;
    let fine = given.len() <= LONGEST_MEDIA_TYPE
        && media::is_media_type(given)
        && !media::is_generic(given);
    fine.then(|| String::from_utf8_lossy(given).into_owned())
}

/// What pieces take of the window: many small ones take more memory than their bytes.
pub(in crate::exchange) fn weight(pieces: &[Bytes], len: u64) -> u64 {
    len + pieces.len() as u64 * PIECE
}

/// True if the upload stands under its name now.
fn is_in_place(result: &Result<Done, FsError>) -> bool {
    matches!(result, Ok(Done::Committed { .. }) | Err(FsError::Unflushed))
}

fn too_large(most: u64) -> String {
    format!("an upload may have {most} bytes, and reach as far into a file")
}
