//! What a session asks of the hook.

use bytes::Bytes;
use httpout_proto::{FsError, OpId};

use super::{Connection, Transport};
use crate::hook::{Facts, Question, Reply, Request, Service};

/// A request that the hook was asked about.
#[derive(Debug)]
pub(super) struct Hooked {
    /// The effect that asked.
    hook: OpId,
    service: Box<dyn Service>,
}

impl<T: Transport> Connection<T> {
    pub(super) fn ask_hook(&mut self, op: OpId, question: Question) {
        let shared = self.admission.shared();
        let Some(hook) = &shared.options.hook else {
            return self.session.handle_done(op, Err(FsError::NotFound));
        };
        let (peer, id) = (self.admission.peer_socket(), self.admission.id());
        let facts = Facts::new(question, peer, id, self.session.site().clone());
        let service = hook.ask(Request::new(facts, Reply::new(self.mailbox.clone(), op)));
        self.hooked = service.map(|service| Hooked { hook: op, service });
    }

    pub(super) fn pull_hook(&mut self, op: OpId, hook: OpId) {
        let reply = Reply::new(self.mailbox.clone(), op);
        if let Some(service) = self.service(hook) {
            service.read(reply);
        }
    }

    pub(super) fn pace_hook(&mut self, op: OpId, hook: OpId, (sent, total): (u64, Option<u64>)) {
        let reply = Reply::new(self.mailbox.clone(), op);
        if let Some(service) = self.service(hook) {
            service.pace(sent, total, reply);
        }
    }

    /// True if it is the hook that takes the body which this effect began.
    pub(super) fn is_hooked(&self, to: OpId) -> bool {
        self.hooked.as_ref().is_some_and(|hooked| hooked.hook == to)
    }

    pub(super) fn give_hook(&mut self, op: OpId, to: OpId, data: Vec<Bytes>) {
        let reply = Reply::new(self.mailbox.clone(), op);
        if let Some(service) = self.service(to) {
            service.write(data, reply);
        }
    }

    /// All of the body was given.
    pub(super) fn end_hook(&mut self, op: OpId, to: OpId) {
        let reply = Reply::new(self.mailbox.clone(), op);
        if let Some(service) = self.service(to) {
            service.end(reply);
        }
    }

    pub(super) fn dismiss_hook(&mut self, hook: OpId, complete: bool) {
        if let Some(mut hooked) = self.hooked.take_if(|hooked| hooked.hook == hook) {
            hooked.service.close(complete);
        }
    }

    fn service(&mut self, hook: OpId) -> Option<&mut Box<dyn Service>> {
        self.hooked.as_mut().filter(|hooked| hooked.hook == hook).map(|hooked| &mut hooked.service)
    }
}

impl Hooked {
    /// The connection is dropped before its end.
    pub(super) fn leave(mut self) {
        self.service.close(false);
    }
}
