//! The answer with a file that is complete.

use super::{Get, State};
use crate::exchange::{
    ExchangeContext, Reply,
    error::{refuse, say},
    reply::{described, error_head},
};
use crate::{
    effect::{Done, FsEffect},
    fs::{FileId, FsError, Meta},
    http::{Part, Status},
    semantics::{
        byteranges,
        coding::{self, Coding},
        conditional::{self, Precondition, Validators},
        media,
        range::Resolution,
    },
};

impl Get {
    /// Content coding, conditions, then ranges (RFC 9110 §13.2.2, §14.2).
    pub(super) fn answer_file(&mut self, file: FileId, meta: &Meta, cx: &mut ExchangeContext<'_>) {
        if self.target.directory {
            return refuse(cx, Status::NOT_FOUND, "a file's URL does not end in a slash");
        }
        let Some(coding) = self.coding(meta, cx) else {
            return self.answer_plain(file, meta, cx);
        };
        let coded = self.validators(meta, cx).coded(coding);
        let verdict = conditional::evaluate(&self.request.fields, true, Some(&coded));
        // A client that has the compressed file need not wait for a compression. Anything else
        // depends on whether it gets smaller.
        if verdict == Precondition::NotModified {
            return self.answer_unmet(verdict, meta, &coded, cx);
        }
        let (op, place, meta) = (cx.op(), self.place.clone(), *meta);
        cx.effect(FsEffect::Encode { op, file, place, meta, coding });
        self.state = State::Encoding { op, file, meta, coding };
    }

    /// The compressed content is there, or cannot be had.
    pub(super) fn encoded(
        &mut self,
        (file, meta, coding): (FileId, &Meta, Coding),
        result: Result<Done, FsError>,
        cx: &mut ExchangeContext<'_>,
    ) {
        self.state = State::Answered { file: Some(file) };
        let bytes = match result {
            Ok(Done::Encoded(bytes)) if (bytes.len() as u64) < meta.len => bytes,
            Ok(_) | Err(_) => return self.answer_plain(file, meta, cx),
        };
        let coded = self.validators(meta, cx).coded(coding);
        match conditional::evaluate(&self.request.fields, true, Some(&coded)) {
            Precondition::Go => {}
            Precondition::NotModified => {
                return self.answer_unmet(Precondition::NotModified, meta, &coded, cx);
            }
            // A client that insists on the uncompressed file gets it.
            Precondition::Failed => return self.answer_plain(file, meta, cx),
        }
        let head = described(cx.site, Status::OK, &coded)
            .field("Content-Type", self.media_type())
            .field("Content-Encoding", coding.token())
            .field_opt("Vary", self.vary(meta, cx));
        cx.reply(Reply::Whole(head, vec![Part::Bytes(bytes)]));
    }

    /// The conditions do not hold.
    fn answer_unmet(
        &self,
        verdict: Precondition,
        meta: &Meta,
        validators: &Validators,
        cx: &mut ExchangeContext<'_>,
    ) {
        if verdict == Precondition::NotModified {
            let head = described(cx.site, Status::NOT_MODIFIED, validators)
                .field_opt("Vary", self.vary(meta, cx));
            cx.reply(Reply::Whole(head, Vec::new()));
        } else {
            refuse(cx, Status::PRECONDITION_FAILED, "the precondition does not hold");
        }
    }

    fn answer_plain(&self, file: FileId, meta: &Meta, cx: &mut ExchangeContext<'_>) {
        let validators = self.validators(meta, cx);
        let verdict = conditional::evaluate(&self.request.fields, true, Some(&validators));
        if verdict != Precondition::Go {
            return self.answer_unmet(verdict, meta, &validators, cx);
        }
        let media_type = self.media_type();
        let ranges = self
            .ranges(cx)
            .filter(|_| conditional::range_applies(&self.request.fields, &validators, cx.now.wall));
        let vary = self.vary(meta, cx);
        let described = |status| described(cx.site, status, &validators).field_opt("Vary", vary);
        match ranges.map_or(Resolution::Whole, |ranges| ranges.resolve(meta.len)) {
            Resolution::Whole => {
                let accepts = if cx.site.config.ignore_ranges { "none" } else { "bytes" };
                let head = described(Status::OK)
                    .field("Content-Type", media_type)
                    .field("Accept-Ranges", accepts);
                let body = vec![Part::File { file, at: 0, len: meta.len }];
                cx.reply(Reply::Whole(head, body));
            }
            Resolution::Unsatisfiable => {
                let head = error_head(cx.site, Status::RANGE_NOT_SATISFIABLE)
                    .field("Content-Range", byteranges::unsatisfied(meta.len));
                say(cx, head, "the range begins past the end of the file");
            }
            Resolution::Spans(spans) => {
                let boundary = byteranges::boundary(meta, &spans);
                let how = cx.site.config.multirange;
                let partial =
                    byteranges::partial(spans, meta.len, how, media_type, file, &boundary);
                let media_type = partial.content_type.as_deref().unwrap_or(media_type);
                let head = described(Status::PARTIAL_CONTENT)
                    .field("Content-Type", media_type)
                    .field("Accept-Ranges", "bytes")
                    .field_opt("Content-Range", partial.content_range);
                cx.reply(Reply::Whole(head, partial.parts));
            }
        }
    }

    /// How the file is to be compressed: never for a range, which counts bytes of the file.
    fn coding(&self, meta: &Meta, cx: &ExchangeContext<'_>) -> Option<Coding> {
        let fields = &self.request.fields;
        let may = self.vary(meta, cx).is_some() && fields.get("range").is_none();
        coding::choose(fields).filter(|_| may)
    }

    /// `Vary`, where another request could get the file compressed.
    fn vary(&self, meta: &Meta, cx: &ExchangeContext<'_>) -> Option<&'static str> {
        let small = (1..=cx.site.config.compress_max).contains(&meta.len);
        (small && media::is_text(self.media_type())).then_some("Accept-Encoding")
    }

    fn validators(&self, meta: &Meta, cx: &ExchangeContext<'_>) -> Validators {
        if cx.site.config.sends_validators() {
            Validators::of(meta, cx.now.wall)
        } else {
            Validators::default()
        }
    }
}
