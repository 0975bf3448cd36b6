//! PUT and POST whose body is handed on instead of being stored: to the embedding program, or to
//! the hook that asks for it. A slow consumer slows the client down.

use std::time::Instant;

use bytes::Bytes;

use crate::exchange::{
    context::{ExchangeContext, Handler, Next},
    decoder::{self, Decoder},
    error::{refuse, refuse_last, refuse_stopping, refuse_upload, say, too_late},
    handlers::upload::weight,
    reply::{Reply, error_head, head},
};
use crate::{
    effect::{Delivery, DeliveryEffect, Done, Refusal},
    error::PeerError,
    fs::FsError,
    http::{BodySize, Method, RequestHead, Status},
    id::OpId,
    semantics::{
        byteranges,
        conditional::{self, Precondition},
        media,
        target::Target,
    },
    time::Timer,
};

/// ```text
///  Offering --> Receiving <--> Giving
///     |             |  \--------/ \--> Ending --> Over
///     +-------------+---------- failure ---------> Over
/// ```
#[derive(Debug)]
pub(crate) struct Deliver {
    /// The effect that began it; or that asked the hook, which takes it.
    id: OpId,
    /// A hook takes it, and gives the answer. It must not take for ever.
    hooked: bool,
    /// In the URL, encoded.
    location: String,
    /// Takes the content coding off.
    decoder: Option<Box<Decoder>>,
    state: State,
    /// Received and not yet being given.
    pending: Vec<Bytes>,
    pending_len: u64,
    received: u64,
    body_is_whole: bool,
}

#[derive(Debug)]
enum State {
    /// A consumer is to take it.
    Offering { until: Instant },
    /// The body comes in; `giving` holds what is being given.
    Receiving { giving: Option<Giving> },
    /// It was told to be whole.
    Ending { op: OpId, until: Option<Instant> },
    /// Answered, or given up.
    Over,
}

#[derive(Clone, Copy, Debug)]
struct Giving {
    op: OpId,
    /// What it takes of the window.
    weight: u64,
    until: Option<Instant>,
}

impl Deliver {
    /// `None` if it was refused.
    pub(in crate::exchange) fn start(
        request: &RequestHead,
        target: &Target,
        cx: &mut ExchangeContext<'_>,
    ) -> Option<Box<dyn Handler>> {
        let len = match request.body {
            BodySize::Empty => {
                // A body may follow even without a length, and must not be read as requests.
                refuse_last(cx, Status::LENGTH_REQUIRED, &PeerError::LengthRequired.to_string());
                return None;
            }
            BodySize::Known(len) => Some(len),
            BodySize::Unknown => None,
        };
        let fields = &request.fields;
        let Ok(coding) = decoder::content_coding(fields) else {
            decoder::refuse_coding(decoder::ACCEPTED, cx);
            return None;
        };
        let most = cx.site.config.limits.upload;
        let most_coming = if coding.is_some() { most.map(decoder::most_coded) } else { most };
        if let (Some(len), Some(most_coming), Some(most)) = (len, most_coming, most)
            && len > most_coming
        {
            refuse(cx, Status::CONTENT_TOO_LARGE, &too_large(most));
            return None;
        }
        if ["range", "content-range"].iter().any(|name| fields.get(name).is_some()) {
            // RFC 9110 §15.5.17 wants the length of what is there, and there is nothing.
            let head = error_head(cx.site, Status::RANGE_NOT_SATISFIABLE)
                .field("Content-Range", byteranges::unsatisfied(0));
            say(
                cx,
                head,
                "uploads are taken whole here, and no file is kept whose ranges could be replaced",
            );
            return None;
        }
        // There is nothing of that name, whatever was sent before.
        if conditional::is_conditional(fields)
            && conditional::evaluate(fields, false, None) != Precondition::Go
        {
            refuse(cx, Status::PRECONDITION_FAILED, "the precondition does not hold");
            return None;
        }
        let media_type = fields.get("content-type").filter(|given| media::is_media_type(given));
        let delivery = Delivery {
            method: request.method,
            path: target.path.clone(),
            directory: target.directory,
            query: target.query.clone(),
            media_type: media_type.map(|given| String::from_utf8_lossy(given).into_owned()),
            // What a coded body comes to shows at its end.
            len: len.filter(|_| coding.is_none()),
            client: cx.about.client.clone(),
            user: cx.about.user.clone(),
        };
        let (id, location) = (cx.op(), delivery.url_path());
        cx.effect(DeliveryEffect::Begin { op: id, delivery: Box::new(delivery) });
        let until = cx.now.mono + cx.site.config.limits.take_time;
        Some(Box::new(Self {
            id,
            hooked: false,
            location,
            decoder: coding.map(|coding| Box::new(Decoder::new(coding))),
            state: State::Offering { until },
            pending: Vec::new(),
            pending_len: 0,
            received: 0,
            body_is_whole: false,
        }))
    }

    /// Hands the body to the hook, which wants it. `ended`: it is whole already.
    pub(in crate::exchange) fn to_hook(
        hook: OpId,
        request: &RequestHead,
        ended: bool,
        cx: &mut ExchangeContext<'_>,
    ) -> Box<dyn Handler> {
        cx.about.unfinished = true;
        let mut deliver = Self {
            id: hook,
            hooked: true,
            location: String::new(),
            // The hook has the fields, and takes the body as it comes.
            decoder: None,
            state: State::Receiving { giving: None },
            pending: Vec::new(),
            pending_len: 0,
            received: 0,
            body_is_whole: ended || request.body == BodySize::Empty,
        };
        match (request.body, cx.site.config.limits.upload) {
            (BodySize::Known(len), Some(most)) if len > most => {
                deliver.state = State::Over;
                refuse(cx, Status::CONTENT_TOO_LARGE, &too_large(most));
            }
            // A body may follow even without a length, and must not be read as requests.
            (BodySize::Empty, _) if request.method == Method::Put || request.expect_continue => {
                deliver.state = State::Over;
                refuse_last(cx, Status::LENGTH_REQUIRED, &PeerError::LengthRequired.to_string());
            }
            (BodySize::Empty | BodySize::Known(_) | BodySize::Unknown, _) => deliver.go_on(cx),
        }
        Box::new(deliver)
    }

    /// An effect is answered; the task that takes its place, where a hook goes on to answer.
    fn advance(
        &mut self,
        done: OpId,
        result: Result<Done, FsError>,
        cx: &mut ExchangeContext<'_>,
    ) -> Option<Next> {
        match self.state {
            State::Offering { .. } if self.id == done => {
                self.state = State::Receiving { giving: None };
                self.go_on_if(result, cx);
            }
            State::Receiving { giving: Some(Giving { op, .. }) } if op == done => {
                self.state = State::Receiving { giving: None };
                self.go_on_if(result, cx);
            }
            State::Ending { op, .. } if op == done => {
                self.state = State::Over;
                if let (true, Ok(Done::Decision(verdict))) = (self.hooked, &result) {
                    let verdict = (**verdict).clone();
                    return Some(Next::Concluded { hook: self.id, verdict });
                }
                if let Some(done) = accepted(result, cx) {
                    let created = matches!(done, Done::Delivered { created: true });
                    let status = if created { Status::CREATED } else { Status::OK };
                    let location = std::mem::take(&mut self.location);
                    let head = head(cx.site, status).field("Content-Location", location);
                    cx.reply(Reply::Whole(head, Vec::new()));
                }
            }
            State::Offering { .. }
            | State::Receiving { .. }
            | State::Ending { .. }
            | State::Over => {}
        }
        None
    }

    fn go_on_if(&mut self, result: Result<Done, FsError>, cx: &mut ExchangeContext<'_>) {
        if accepted(result, cx).is_some() {
            self.go_on(cx);
        } else {
            self.give_up(cx);
        }
    }

    /// Takes content; false if the upload failed by it.
    fn take(&mut self, data: Bytes, cx: &mut ExchangeContext<'_>) -> bool {
        self.received += data.len() as u64;
        if let Some(most) = cx.site.config.limits.upload
            && self.received > most
        {
            self.fail(Status::CONTENT_TOO_LARGE, &too_large(most), cx);
            return false;
        }
        self.pending_len += data.len() as u64;
        self.pending.push(data);
        true
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

    fn fail(&mut self, status: Status, why: &str, cx: &mut ExchangeContext<'_>) {
        self.give_up(cx);
        refuse_last(cx, status, why);
    }

    /// Gives what has come, one piece of work at a time, lets more come, and ends when all is
    /// given.
    fn go_on(&mut self, cx: &mut ExchangeContext<'_>) {
        if !matches!(self.state, State::Receiving { .. }) || !self.decode(cx) {
            return;
        }
        let State::Receiving { giving } = &mut self.state else { return };
        let until = self.hooked.then(|| cx.now.mono + cx.site.config.limits.hook_time);
        if giving.is_none() && self.pending_len > 0 {
            let op = cx.op();
            let weight = weight(&self.pending, std::mem::take(&mut self.pending_len));
            let data = std::mem::take(&mut self.pending);
            cx.effect(DeliveryEffect::Data { op, to: self.id, data });
            *giving = Some(Giving { op, weight, until });
        }
        let is_decoded = self.decoder.as_ref().is_none_or(|decoder| decoder.is_done());
        match (self.body_is_whole, giving) {
            (false, giving) => {
                let under_way = giving.map_or(0, |giving| giving.weight);
                let coded = self.decoder.as_ref().map_or(0, |decoder| decoder.waiting());
                let waiting = weight(&self.pending, self.pending_len) + coded;
                let window = cx.site.config.limits.upload_window;
                cx.reply(Reply::Grant(window.saturating_sub(under_way + waiting)));
            }
            (true, None) if is_decoded => {
                let op = cx.op();
                cx.effect(DeliveryEffect::End { op, to: self.id });
                self.state = State::Ending { op, until };
            }
            (true, _) => {}
        }
    }

    /// Nothing will come of it. What was told to be whole is whole.
    fn give_up(&mut self, cx: &mut ExchangeContext<'_>) {
        self.pending = Vec::new();
        match std::mem::replace(&mut self.state, State::Over) {
            State::Offering { .. } | State::Receiving { .. } => {
                cx.effect(DeliveryEffect::Abort { to: self.id });
            }
            State::Ending { .. } | State::Over => {}
        }
    }
}

impl Handler for Deliver {
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

    fn on_deadline(&mut self, cx: &mut ExchangeContext<'_>) {
        if self.hooked {
            self.give_up(cx);
            too_late(cx);
        } else if let State::Offering { .. } = self.state {
            self.give_up(cx);
            let busy = "another upload is being taken; only one is at a time";
            refuse_by(Refusal::new(Status::SERVICE_UNAVAILABLE, busy), cx);
        }
    }

    fn on_shut_down(&mut self, cx: &mut ExchangeContext<'_>) {
        if let State::Offering { .. } = self.state {
            self.give_up(cx);
            refuse_stopping(cx);
        }
    }

    fn deadline(&self) -> Option<(Instant, Timer)> {
        let hook = |until: Option<Instant>| until.map(|until| (until, Timer::Hook));
        match self.state {
            State::Offering { until } => Some((until, Timer::Take)),
            State::Receiving { giving } => hook(giving.and_then(|giving| giving.until)),
            State::Ending { until, .. } => hook(until),
            State::Over => None,
        }
    }

    fn on_done(&mut self, op: OpId, result: Result<Done, FsError>, cx: &mut ExchangeContext<'_>) {
        let next = self.advance(op, result, cx);
        cx.hand_over(next);
    }

    fn on_abort(&mut self, cx: &mut ExchangeContext<'_>) {
        self.give_up(cx);
    }
}

/// What was done; `None` if it failed, of which the peer is told.
fn accepted(result: Result<Done, FsError>, cx: &mut ExchangeContext<'_>) -> Option<Done> {
    match result {
        Ok(Done::Refused(refusal)) => refuse_by(refusal, cx),
        Ok(done) => return Some(done),
        Err(error) => refuse_upload(error, cx),
    }
    None
}

fn refuse_by(Refusal { status, why }: Refusal, cx: &mut ExchangeContext<'_>) {
    let status = if status.is_error() { status } else { Status::INTERNAL_SERVER_ERROR };
    let later = status == Status::SERVICE_UNAVAILABLE;
    let head = error_head(cx.site, status).field_opt("Retry-After", later.then_some("1"));
    say(cx, head, &why);
}

fn too_large(most: u64) -> String {
    format!("an upload may have {most} bytes")
}
