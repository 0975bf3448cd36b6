//! A directory that takes uploads, each under the path of its URL.

use std::{
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use httpout_proto::{
    Config, ConfigError, Done, FsError, Site,
    effect::Delivery,
    fs::{Expect, Place, RootId},
    http::Status,
};

use super::{Reply, SinkWriter, UploadSink};
use crate::{
    files::{PartFile, Roots},
    server::ConnectionPermit,
};

/// The directory.
#[derive(Debug)]
pub(super) struct Directory {
    roots: Arc<Roots>,
    root: RootId,
    durable: bool,
}

/// An upload into it.
#[derive(Debug)]
struct Storing {
    roots: Arc<Roots>,
    place: Place,
    durable: bool,
    slot: Arc<Mutex<Slot>>,
    permit: Arc<ConnectionPermit>,
}

/// The file that it is written to.
#[derive(Debug, Default)]
struct Slot {
    part: Option<Arc<PartFile>>,
    /// Bytes that are written.
    len: u64,
    /// It was broken off while the file was being made.
    gone: bool,
}

impl Directory {
    /// Opens it, or makes it.
    pub(super) fn open(dir: &Path, site: &Site) -> Result<Self, ConfigError> {
        let about = |error: ConfigError| ConfigError { option: "dst", ..error };
        let mut config = Config::default();
        config.write_dir = Some(dir.to_owned());
        config.memory_max = site.config().memory_max;
        config.kept_segments = site.config().kept_segments;
        let own = config.check().map_err(about)?;
        let roots = Roots::open(&own).map_err(about)?;
        let root = own.uploads().next().ok_or_else(|| ConfigError {
            option: "dst",
            problem: format!("{} takes no uploads", dir.display()),
            help: "name a directory that this user may write to",
        })?;
        Ok(Self { roots, root, durable: site.config().durable })
    }
}

impl UploadSink for Directory {
    fn take(&self, delivery: Delivery, reply: Reply) -> Box<dyn SinkWriter> {
        let slot = Arc::new(Mutex::<Slot>::default());
        let place = Place { root: self.root, path: delivery.path };
        let (roots, permit) = (self.roots.clone(), reply.permit());
        let taking = Storing { roots, place, durable: self.durable, slot: slot.clone(), permit };
        if delivery.directory {
            reply.refuse(Status::CONFLICT, "a file's URL does not end in a slash");
            return Box::new(taking);
        }
        let (roots, place) = (taking.roots.clone(), taking.place.clone());
        blocking::unblock(move || {
            let created = roots.create(&place, delivery.len).map(|part| {
                if let Some(media_type) = delivery.media_type {
                    part.keep_media_type(&media_type);
                }
                let mut slot = lock(&slot);
                if !slot.gone {
                    reply.permit().shared().logs.recorded(&roots.key(&place), None);
                    slot.part = Some(Arc::new(part));
                }
                Done::Ok
            });
            reply.tell(created);
        })
        .detach();
        Box::new(taking)
    }
}

impl SinkWriter for Storing {
    fn give(&mut self, data: Vec<Bytes>, reply: Reply) {
        let slot = self.slot.clone();
        blocking::unblock(move || {
            let (part, at) = {
                let slot = lock(&slot);
                (slot.part.clone(), slot.len)
            };
            let Some(part) = part else { return reply.tell(Err(FsError::NotFound)) };
            let written = part.write_all_at(at, &data);
            lock(&slot).len += data.iter().map(|piece| piece.len() as u64).sum::<u64>();
            // Its buffers and the file are free before more comes.
            drop((data, part));
            reply.tell(written.map(|()| Done::Ok));
        })
        .detach();
    }

    fn finish(self: Box<Self>, reply: Reply) {
        let part = lock(&self.slot).part.take().and_then(Arc::into_inner);
        let (place, durable) = (self.place.clone(), self.durable);
        let key = self.roots.key(&place);
        blocking::unblock(move || {
            let committed = match part {
                Some(part) => part.commit(&place, Expect::Any, durable),
                None => Err(FsError::NotFound),
            };
            reply.permit().shared().logs.recorded(&key, Some(committed.is_ok()));
            reply.tell(committed.map(|(created, _)| Done::Delivered { created }));
        })
        .detach();
    }
}

impl Drop for Storing {
    fn drop(&mut self) {
        let mut slot = lock(&self.slot);
        slot.gone = true;
        if let Some(part) = slot.part.take() {
            let shared = self.permit.shared();
            shared.logs.recorded(&self.roots.key(&self.place), Some(false));
            // The server does not end before it is removed.
            let permit = self.permit.clone();
            blocking::unblock(move || drop((part, permit))).detach();
        }
    }
}

fn lock(slot: &Mutex<Slot>) -> MutexGuard<'_, Slot> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}
