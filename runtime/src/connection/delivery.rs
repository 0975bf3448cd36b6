//! Effects that concern an upload that is handed on: to a consumer, or to the hook that takes it.

use httpout_proto::{FsError, effect::DeliveryEffect};

use super::exchanges::{Driver, Exchange};
use crate::source::ActiveDelivery;

impl Exchange {
    pub(super) fn run_delivery(&mut self, effect: DeliveryEffect, driver: &mut Driver<'_>) {
        match effect {
            DeliveryEffect::Begin { op, delivery } => {
                let begun = ActiveDelivery::begin(op, *delivery, driver.mailbox, driver.permit);
                self.delivery = Some(begun);
            }
            DeliveryEffect::Data { op, to, data } => {
                if let Some(hook) = self.hook(to) {
                    hook.write(op, data, driver);
                } else if let Some(under) = self.delivery.as_mut().filter(|it| it.id == to) {
                    under.give(op, data, driver.mailbox);
                } else {
                    driver.done(op, Err(FsError::NotFound));
                }
            }
            DeliveryEffect::End { op, to } => {
                if let Some(hook) = self.hook(to) {
                    hook.end(op, driver);
                } else if let Some(under) = self.delivery.take_if(|it| it.id == to) {
                    under.finish(op, driver.mailbox);
                } else {
                    driver.done(op, Err(FsError::NotFound));
                }
            }
            DeliveryEffect::Abort { to } => drop(self.delivery.take_if(|it| it.id == to)),
        }
    }
}
