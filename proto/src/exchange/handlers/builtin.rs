//! The server's own resources: the clock for players, and what an operator asks on the admin
//! address.

use crate::exchange::{
    clock,
    context::{ExchangeContext, Handler},
    error::{refuse, say},
    reply::{Reply, error_head, head},
};
use crate::{
    effect::{AdminEffect, Done},
    fs::FsError,
    http::{Method, Part, RequestHead, Status},
    id::OpId,
    semantics::target::Target,
};

/// The clock's path.
const TIME: &str = ".httpout/time";

/// True for the path of the clock.
pub(in crate::exchange) fn is_clock(target: &Target) -> bool {
    target.path.as_str() == TIME && !target.directory
}

/// Tells the time.
pub(in crate::exchange) fn tell_time(target: &Target, cx: &mut ExchangeContext<'_>) {
    let time = clock::answer(target.query.as_deref(), cx.now.wall);
    let head = head(cx.site, Status::OK)
        .field("Content-Type", "text/plain; charset=utf-8")
        .field("Cache-Control", "no-store");
    cx.reply(Reply::Whole(head, vec![Part::Bytes(time.into())]));
}

/// A request on the admin address, whose answer the runtime knows.
#[derive(Debug)]
pub(crate) struct Admin {
    op: OpId,
    metrics: bool,
}

impl Admin {
    /// `None` if it is answered.
    pub(in crate::exchange) fn start(
        request: &RequestHead,
        target: &Target,
        cx: &mut ExchangeContext<'_>,
    ) -> Option<Self> {
        if !matches!(request.method, Method::Get | Method::Head) {
            let head = error_head(cx.site, Status::METHOD_NOT_ALLOWED).field("Allow", "GET, HEAD");
            say(cx, head, "there is only something to read here");
            return None;
        }
        let op = cx.op();
        match target.path.as_str() {
            "metrics" => {
                cx.effect(AdminEffect::Metrics { op });
                Some(Self { op, metrics: true })
            }
            "readyz" => {
                cx.effect(AdminEffect::Health { op });
                Some(Self { op, metrics: false })
            }
            "healthz" => {
                plain(cx, Status::OK, "ok\n".into(), TEXT);
                None
            }
            _ => {
                refuse(cx, Status::NOT_FOUND, "there are /metrics, /healthz and /readyz");
                None
            }
        }
    }
}

impl Handler for Admin {
    fn on_done(&mut self, done: OpId, result: Result<Done, FsError>, cx: &mut ExchangeContext<'_>) {
        if done != self.op {
            return;
        }
        match result {
            Ok(Done::Text(text)) if self.metrics => plain(cx, Status::OK, text, METRICS),
            Ok(Done::Text(problem)) => {
                plain(cx, Status::SERVICE_UNAVAILABLE, format!("{problem}\n"), TEXT);
            }
            Ok(_) => plain(cx, Status::OK, "ready\n".into(), TEXT),
            Err(error) => refuse(cx, Status::INTERNAL_SERVER_ERROR, &error.to_string()),
        }
    }
}

const TEXT: &str = "text/plain; charset=utf-8";
/// Prometheus' text format.
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

fn plain(cx: &mut ExchangeContext<'_>, status: Status, text: String, media_type: &'static str) {
    let unavailable = status == Status::SERVICE_UNAVAILABLE;
    let head = head(cx.site, status)
        .field("Content-Type", media_type)
        .field("Cache-Control", "no-store")
        .field_opt("Retry-After", unavailable.then_some("1"));
    cx.reply(Reply::Whole(head, vec![Part::Bytes(text.into())]));
}
