//! Effects that concern operators: logs, counters, health.

use httpout_proto::{
    Done, PeerError, Report, Timer,
    effect::{AdminEffect, LogEffect},
};

use super::exchanges::{Driver, Exchange};
use crate::{mailbox::Message, server::ConnectionPermit};

impl Exchange {
    pub(super) fn run_admin(&self, effect: AdminEffect, driver: &mut Driver<'_>) {
        match effect {
            AdminEffect::Metrics { op } => {
                let text = driver.shared().metrics_text();
                driver.done(op, Ok(Done::Text(text)));
            }
            AdminEffect::Health { op } => {
                let (roots, site) = (self.offer.roots.clone(), self.offer.site.clone());
                driver.unblock(op, move || {
                    let done = match roots.problem(&site) {
                        Some(problem) => Done::Text(problem),
                        None => Done::Ok,
                    };
                    Ok(Message::Done(op, Ok(done)))
                });
            }
        }
    }

    pub(super) fn run_log(&mut self, effect: LogEffect, permit: &ConnectionPermit) {
        let shared = permit.shared();
        match effect {
            LogEffect::Begun { method, asked } => {
                self.number = shared.next_number();
                shared.logs.begun(self.number, permit.peer(), method, &asked);
            }
            LogEffect::Over(None) => {}
            LogEffect::Over(Some(report)) => {
                warn_of_slowness(&report, permit);
                shared.metrics.request(&report);
                shared.logs.over(self.number, permit.peer(), &report);
            }
        }
    }
}

fn warn_of_slowness(report: &Report, permit: &ConnectionPermit) {
    if let (Some(PeerError::Timeout(Timer::RequestBody)), Some(method)) =
        (report.why, report.method)
    {
        let (peer, received) = (permit.peer(), report.received);
        tracing::warn!(
            %peer, %method, received,
            "the client stopped sending, or sent too slowly: its connection is closed; --body-timeout and \
             --body-rate say how long it may pause and how slow it may be"
        );
    }
}
