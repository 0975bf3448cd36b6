//! What an exchange asks of the hook.

use bytes::Bytes;
use httpout_proto::{FsError, OpId, effect::HookEffect};

use super::exchanges::{Driver, Exchange};
use crate::hook::{Answer, Facts, Reply, Request, Service};

/// A request that the hook was asked about.
#[derive(Debug)]
pub(super) struct Hooked {
    /// The effect that asked.
    hook: OpId,
    service: Box<dyn Service>,
}

impl Exchange {
    pub(super) fn run_hook(&mut self, effect: HookEffect, driver: &mut Driver<'_>) {
        match effect {
            HookEffect::Ask { op, question } => {
                let Some(hook) = &driver.shared().options.hook else {
                    return driver.done(op, Err(FsError::NotFound));
                };
                let (peer, id) = (driver.permit.peer_socket(), driver.permit.id());
                let facts = Facts::new(*question, peer, id, self.offer.site.clone());
                let service = hook.ask(Request::new(facts, driver.hook_reply(op)));
                self.hooked = service.map(|service| Hooked { hook: op, service });
            }
            HookEffect::Pull { op, hook } => {
                let reply = driver.hook_reply(op);
                if let Some(hooked) = self.hook(hook) {
                    hooked.service.read(reply);
                }
            }
            HookEffect::Pace { op, hook, done, total } => {
                let reply = driver.hook_reply(op);
                if let Some(hooked) = self.hook(hook) {
                    hooked.service.pace(done, total, reply);
                }
            }
            HookEffect::Dismiss { hook, complete } => {
                if let Some(mut hooked) = self.hooked.take_if(|hooked| hooked.hook == hook) {
                    hooked.service.close(complete);
                }
            }
        }
    }

    /// The hook that was asked by this effect.
    pub(super) fn hook(&mut self, asked: OpId) -> Option<&mut Hooked> {
        self.hooked.as_mut().filter(|hooked| hooked.hook == asked)
    }
}

impl Hooked {
    /// More of the body that the hook takes.
    pub(super) fn write(&mut self, op: OpId, data: Vec<Bytes>, driver: &Driver<'_>) {
        self.service.write(data, driver.hook_reply(op));
    }

    /// The hook was given all of the body.
    pub(super) fn end(&mut self, op: OpId, driver: &Driver<'_>) {
        self.service.end(driver.hook_reply(op));
    }

    /// The connection is dropped before its end.
    pub(super) fn leave(mut self) {
        self.service.close(false);
    }
}

impl Driver<'_> {
    fn hook_reply<T: Answer>(&self, op: OpId) -> Reply<T> {
        Reply::new(self.mailbox.clone(), op)
    }
}
