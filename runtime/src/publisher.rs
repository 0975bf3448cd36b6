//! What a program that embeds the server publishes: live resources, packet by packet.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use httpout_proto::{
    FsError,
    fs::RelPath,
    live::{Description, Group, LiveOptions, PropertyError},
};

use crate::{
    input::{Kept, Recording},
    live::Channel,
    server::Shared,
};

/// Publishes resources on a server; from [`Server::publisher`](crate::Server::publisher). Where the
/// server has read directories, they are written to the first one and served while they grow (the
/// file sink); else each packet goes to all listeners.
///
/// The server needs [`Config::live`](crate::Config::live) for the one,
/// [`Config::record`](crate::Config::record) for the other.
#[derive(Clone, Debug)]
pub struct Publisher(Arc<Shared>);

/// Why something cannot be published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublishError {
    /// The path is not one that a URL can have: a segment is empty, `.` or `..`, or it holds a NUL
    /// or a backslash.
    Path,
    /// There is a live resource of that path.
    Taken,
    /// The server has neither [`Config::live`](crate::Config::live) nor
    /// [`Config::record`](crate::Config::record).
    NotLive,
    /// The description holds what no response can say.
    Description(PropertyError),
    /// It cannot be written.
    File(FsError),
}

impl fmt::Display for PublishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path => f.write_str("the path is not a file's"),
            Self::Taken => f.write_str("there is another live resource of that path"),
            Self::NotLive => f.write_str("the server's configuration has neither live nor record"),
            Self::Description(error) => write!(f, "the description cannot be used: {error}"),
            Self::File(error) => write!(f, "it cannot be written: {error}"),
        }
    }
}

impl std::error::Error for PublishError {}

/// A resource that is being published. [`end`](Self::end) it; dropped before, it is aborted: those
/// that listen see their responses cut.
#[derive(Debug)]
pub struct Publication {
    to: To,
    /// What a listener needs before the first packet that it gets.
    tune_in: Bytes,
}

#[derive(Debug)]
enum To {
    Listeners(LivePublication),
    File(Recording),
}

/// A place among the live resources, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct LivePublication {
    shared: Arc<Shared>,
    path: RelPath,
    options: LiveOptions,
    pub(crate) channel: Arc<Channel>,
    complete: bool,
}

impl Publisher {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self(shared)
    }

    /// Begins a resource of this path, e.g. `live/radio.mp3`.
    ///
    /// # Errors
    /// A path that is wrong or taken; a description that no response can carry; a file that cannot
    /// be made.
    pub async fn begin(
        &self,
        path: &str,
        description: Description,
        options: LiveOptions,
    ) -> Result<Publication, PublishError> {
        let path = RelPath::new(path).filter(|path| !path.is_root()).ok_or(PublishError::Path)?;
        description.check().map_err(PublishError::Description)?;
        let site = self.0.site();
        let to = match site.recorded(&path) {
            Some(place) => {
                let media_type = Some(description.media_type).filter(|it| !it.is_empty());
                let recording =
                    Recording::begin(&self.0, place, media_type, Kept::WhateverThereIs).await;
                To::File(recording.map_err(PublishError::File)?)
            }
            None if site.config().live => {
                let on_air = LivePublication::begin(&self.0, path, description, options);
                To::Listeners(on_air.ok_or(PublishError::Taken)?)
            }
            None => return Err(PublishError::NotLive),
        };
        Ok(Publication { to, tune_in: Bytes::new() })
    }
}

impl Publication {
    /// What everybody needs who begins to listen from now on, such as the header of a container.
    /// Not sent to those who listen already: where it is a part of the stream, [write](Self::write)
    /// it too.
    pub fn set_tune_in(&mut self, data: impl Into<Bytes>) {
        self.tune_in = data.into();
    }

    /// What is played from now on, for `--ice`: UTF-8 or Latin-1.
    pub fn set_title(&self, title: impl AsRef<[u8]>) {
        match &self.to {
            To::Listeners(on_air) => on_air.channel.set_title(Some(title.as_ref().into())),
            To::File(_) => {}
        }
    }

    /// Sends a packet, which everybody gets whole or not at all; with `random_access`, one may
    /// begin to listen with it. Where no such packet comes for long (5 s from the first one, 12 s
    /// after another), one begins with any. Resolves when there is room for the next one: at once,
    /// unless [`blockio`](httpout_proto::live::BroadcastOptions::blockio) or
    /// [`hold`](httpout_proto::live::BroadcastOptions::hold) is wanted.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub async fn write(
        &mut self,
        data: impl Into<Bytes>,
        random_access: bool,
    ) -> Result<(), PublishError> {
        let data = data.into();
        match &mut self.to {
            To::Listeners(LivePublication { channel, .. }) => {
                channel.room().await;
                let tune_in = Some(self.tune_in.clone().into());
                channel.push(Group { data, tune_in, random_access });
                Ok(())
            }
            To::File(recording) => recording.write(vec![data]).await.map_err(PublishError::File),
        }
    }

    /// It is whole.
    ///
    /// # Errors
    /// A file that cannot be put under its name.
    pub async fn end(self) -> Result<(), PublishError> {
        match self.to {
            To::Listeners(on_air) => {
                on_air.end();
                Ok(())
            }
            To::File(recording) => recording.end().await.map_err(PublishError::File),
        }
    }

    /// It is given up.
    pub fn abort(self) {}
}

impl LivePublication {
    /// Where it is found.
    pub(crate) fn path(&self) -> &str {
        self.path.as_str()
    }

    /// `None` if the path is taken.
    pub(crate) fn begin(
        shared: &Arc<Shared>,
        path: RelPath,
        description: Description,
        options: LiveOptions,
    ) -> Option<Self> {
        let channel = shared.channels.begin(&path, description, options)?;
        Some(Self { shared: shared.clone(), path, options, channel, complete: false })
    }

    /// It is over, and whole.
    pub(crate) fn end(mut self) {
        self.complete = true;
    }

    /// It failed, and does not come again.
    pub(crate) fn give_up(mut self) {
        self.options.reopen = false;
    }
}

impl Drop for LivePublication {
    fn drop(&mut self) {
        self.shared.channels.end(&self.path, &self.channel, self.complete, self.options);
    }
}
