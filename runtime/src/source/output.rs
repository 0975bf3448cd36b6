//! Standard output that takes uploads, one after the other.

use std::{
    collections::VecDeque,
    io,
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    thread,
};

use bytes::Bytes;
use httpout_proto::{ConfigError, effect::Delivery, http::Status};
use rustix::{
    fd::OwnedFd,
    fs::{FileType, Mode, OFlags, fstat, open},
    io::dup,
};

use super::{
    Reply, SinkWriter, UploadSink,
    pipe::{Abort, Pipe},
};
use crate::{alarm, server::Shared};

/// Standard output.
#[derive(Debug)]
pub(super) struct Output {
    orders: Sender<Order>,
    next: AtomicU64,
    abort: Abort,
}

/// An upload that goes there, or waits for its turn.
#[derive(Debug)]
struct Passing {
    id: u64,
    orders: Sender<Order>,
    finished: bool,
}

#[derive(Debug)]
enum Order {
    Take(u64, Reply),
    Give(Vec<Bytes>, Reply),
    Finish(Reply),
    Gone(u64),
}

impl Output {
    /// Starts the thread that writes.
    pub(super) fn start(shared: &Arc<Shared>) -> Result<Self, ConfigError> {
        let refused = |error: io::Error| ConfigError {
            option: "dst",
            problem: format!("standard output cannot be written to: {error}"),
            help: "leave it open, or name a directory",
        };
        let abort = Abort::new().map_err(refused)?;
        let pipe = Pipe::new(standard_output().map_err(refused)?, abort.clone());
        let (orders, received) = channel();
        let shared = Arc::downgrade(shared);
        let writer = thread::Builder::new().name("stdout".into());
        let work = move || {
            if alarm::contain(|| write(&pipe, &received, &shared)).is_err()
                && let Some(shared) = shared.upgrade()
            {
                shared.alarm.raise("the thread that writes standard output panicked".into());
            }
        };
        writer.spawn(work).map_err(refused)?;
        Ok(Self { orders, next: AtomicU64::new(0), abort })
    }
}

impl UploadSink for Output {
    fn take(&self, _: Delivery, reply: Reply) -> Box<dyn SinkWriter> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        order(&self.orders, Order::Take(id, reply));
        Box::new(Passing { id, orders: self.orders.clone(), finished: false })
    }

    fn abort(&self) {
        self.abort.tell();
    }
}

impl SinkWriter for Passing {
    fn give(&mut self, data: Vec<Bytes>, reply: Reply) {
        order(&self.orders, Order::Give(data, reply));
    }

    fn finish(mut self: Box<Self>, reply: Reply) {
        self.finished = true;
        order(&self.orders, Order::Finish(reply));
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        if !self.finished {
            order(&self.orders, Order::Gone(self.id));
        }
    }
}

/// If the thread is gone, the reply is dropped, which tells of that.
fn order(orders: &Sender<Order>, order: Order) {
    let _ = orders.send(order);
}

/// What the thread does until there is no server any more.
fn write(pipe: &Pipe, orders: &Receiver<Order>, shared: &Weak<Shared>) {
    let (mut current, mut waiting) = (None, VecDeque::<(u64, Reply)>::new());
    for order in orders {
        match order {
            Order::Take(id, reply) => waiting.push_back((id, reply)),
            // Only an upload that was taken gives and finishes.
            Order::Give(data, reply) => match pipe.write_all(&data) {
                Ok(()) => {
                    drop(data);
                    reply.done();
                }
                Err(error) => {
                    let why = format!("standard output cannot be written to: {error}");
                    reply.refuse(Status::INTERNAL_SERVER_ERROR, why);
                    // Nothing that comes could get there.
                    if let Some(shared) = shared.upgrade() {
                        shared.shut_down();
                    }
                }
            },
            Order::Finish(reply) => {
                current = None;
                reply.done();
            }
            Order::Gone(id) if current == Some(id) => current = None,
            Order::Gone(id) => {
                if let Some(at) = waiting.iter().position(|(other, _)| *other == id)
                    && let Some((_, reply)) = waiting.remove(at)
                {
                    reply.forget();
                }
            }
        }
        if current.is_none()
            && let Some((id, reply)) = waiting.pop_front()
        {
            current = Some(id);
            reply.done();
        }
    }
}

/// A pipe is opened once more, to be written to without being stuck in it: the flag for that would
/// hold for all processes that have it from the same parent.
fn standard_output() -> io::Result<OwnedFd> {
    let stdout = io::stdout();
    if FileType::from_raw_mode(fstat(&stdout)?.st_mode) == FileType::Fifo {
        let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        if let Ok(pipe) = open("/proc/self/fd/1", flags, Mode::empty()) {
            return Ok(pipe);
        }
    }
    Ok(dup(&stdout)?)
}
