//! From an input to its resource.

use std::{future::Future, io, sync::Arc, time::Instant};

use bytes::{Bytes, BytesMut};
use futures_lite::future;
use httpout_proto::{
    FsError,
    fs::Place,
    live::{
        Feed, FeedStep,
        framing::{Format, FramingError},
    },
};

use super::{
    Input, Source,
    directory::{FollowError, follow},
    recording::{Kept, Recording},
    source::Reader,
};
use crate::{live::Channel, publisher::LivePublication, server::Shared};

/// Why an input stopped before its end.
enum Stopped {
    Unreadable(io::Error),
    Unframed(FramingError),
    Taken,
    Unwritable(FsError),
    Unfollowed(FollowError),
}

impl std::fmt::Display for Stopped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unreadable(error) => write!(f, "cannot be read: {error}"),
            Self::Unframed(error) => error.fmt(f),
            Self::Unfollowed(error) => error.fmt(f),
            Self::Unwritable(error) => write!(f, "cannot be written: {error}"),
            Self::Taken => f.write_str("there is another live resource of that path"),
        }
    }
}

/// Puts the input's resource on air, if it is to be broadcast and its path is free.
pub(crate) fn announce(shared: &Arc<Shared>, input: &Input) -> Option<LivePublication> {
    let Input { path, description, options, .. } = input.clone();
    let is_recorded = shared.site().recorded(&path).is_some();
    if is_recorded { None } else { LivePublication::begin(shared, path, description, options) }
}

/// Reads the input and sends it to its listeners, until it is over or the server is shut down.
pub(crate) async fn feed<S: Future<Output = ()>>(
    shared: Arc<Shared>,
    input: Input,
    announced: Option<LivePublication>,
    sleep: impl Fn(Instant) -> S,
) {
    let fed = match (&input.source, shared.site().recorded(&input.path)) {
        (Source::Directory(dir), _) => {
            let followed = follow(&shared, dir, &input.path, &sleep).await;
            followed.map_err(Stopped::Unfollowed)
        }
        (Source::File(_) | Source::Stdin, Some(place)) => {
            record(&shared, &input, place, &sleep).await
        }
        (Source::File(_) | Source::Stdin, None) => {
            broadcast(&shared, &input, announced, &sleep).await
        }
    };
    if let Err(why) = fed {
        tracing::error!(path = %input.path, "the input from {} {why}", input.source.name());
    }
    shared.input_over();
}

/// To all listeners: once, or again for a listener that comes when it is over.
async fn broadcast<S: Future<Output = ()>>(
    shared: &Arc<Shared>,
    input: &Input,
    announced: Option<LivePublication>,
    sleep: &impl Fn(Instant) -> S,
) -> Result<(), Stopped> {
    // Read again on the next request.
    let mut again = input.clone();
    again.options.broadcast.hold = true;
    let mut on_air = announced.or_else(|| announce(shared, input)).ok_or(Stopped::Taken)?;
    loop {
        let stopped = async {
            shared.stopped().await;
            Ok(())
        };
        if let Err(why) = future::or(stopped, send(&on_air.channel, input, sleep)).await {
            on_air.give_up();
            return Err(why);
        }
        on_air.end();
        if !input.options.reopen || shared.is_stopping() {
            return Ok(());
        }
        on_air = announce(shared, &again).ok_or(Stopped::Taken)?;
    }
}

async fn send<S: Future<Output = ()>>(
    channel: &Channel,
    input: &Input,
    sleep: &impl Fn(Instant) -> S,
) -> Result<(), Stopped> {
    channel.room().await;
    let mut reader = Reader::open(&input.source).await.map_err(Stopped::Unreadable)?;
    let mut feed = None;
    let mut had_listener = false;
    loop {
        let Some(feed) = &mut feed else {
            let first = reader.read().await.map_err(Stopped::Unreadable)?;
            let format = input.format.or_else(|| Format::sniff(&first)).unwrap_or(Format::Raw);
            if input.description.media_type.is_empty() {
                channel.set_media_type(format.media_type());
            }
            let feed = feed.insert(Feed::new(format, input.rt));
            if first.is_empty() {
                feed.handle_end()
            } else {
                feed.handle_data(first)
            }
            continue;
        };
        match feed.poll(Instant::now()).map_err(Stopped::Unframed)? {
            FeedStep::Group(group) => {
                if let Some(audio) = feed.framer().info() {
                    channel.set_audio(audio);
                }
                channel.room().await;
                had_listener |= channel.has_listeners();
                channel.push(group);
            }
            FeedStep::Data => {
                let data = reader.read().await.map_err(Stopped::Unreadable)?;
                if data.is_empty() { feed.handle_end() } else { feed.handle_data(data) }
            }
            FeedStep::Until(due) => sleep(due).await,
            FeedStep::Over { leftover } => {
                tell_end(input, leftover, had_listener);
                return Ok(());
            }
        }
    }
}

/// To a file, which is served while it grows.
async fn record<S: Future<Output = ()>>(
    shared: &Arc<Shared>,
    input: &Input,
    place: Place,
    sleep: &impl Fn(Instant) -> S,
) -> Result<(), Stopped> {
    // What came until the server is shut down is kept.
    let over = async {
        shared.stopped().await;
        Ok(None)
    };
    let opened = async { Reader::open(&input.source).await.map(Some) };
    let Some(mut reader) = future::or(over, opened).await.map_err(Stopped::Unreadable)? else {
        return Ok(());
    };
    let media_type = input.description.media_type.clone();
    let media_type = (!media_type.is_empty()).then_some(media_type);
    let begun = Recording::begin(shared, place, media_type, Kept::WhateverThereIs).await;
    let mut recording = begun.map_err(Stopped::Unwritable)?;
    if let Err(why) = copy(shared, input, &mut reader, &mut recording, sleep).await {
        recording.salvage().await;
        return Err(why);
    }
    recording.end().await.map_err(Stopped::Unwritable)?;
    tracing::info!(path = %input.path, "{} is over", input.source.name());
    Ok(())
}

/// Writes an input to its recording, to its end or until the server is shut down.
async fn copy<S: Future<Output = ()>>(
    shared: &Shared,
    input: &Input,
    reader: &mut Reader,
    recording: &mut Recording,
    sleep: &impl Fn(Instant) -> S,
) -> Result<(), Stopped> {
    let mut feed = input.rt.then(|| Feed::new(input.format.unwrap_or(Format::Raw), true));
    // What is not written yet: of what is cut, every byte is.
    let mut rest = BytesMut::new();
    loop {
        let over = async {
            shared.stopped().await;
            Ok(Bytes::new())
        };
        let data = future::or(over, reader.read()).await.map_err(Stopped::Unreadable)?;
        let is_end = data.is_empty();
        match &mut feed {
            None => recording.write(vec![data]).await.map_err(Stopped::Unwritable)?,
            Some(feed) => {
                rest.extend_from_slice(&data);
                if is_end {
                    feed.handle_end()
                } else {
                    feed.handle_data(data)
                }
                while let Some(len) = due(shared, feed, sleep).await? {
                    let data = rest.split_to(len.min(rest.len())).freeze();
                    recording.write(vec![data]).await.map_err(Stopped::Unwritable)?;
                }
            }
        }
        if is_end {
            break;
        }
    }
    recording.write(vec![rest.freeze()]).await.map_err(Stopped::Unwritable)
}

/// Waits for the next packets; their length, or `None` if more has to be read or none is to be
/// waited for.
async fn due<S: Future<Output = ()>>(
    shared: &Shared,
    feed: &mut Feed,
    sleep: &impl Fn(Instant) -> S,
) -> Result<Option<usize>, Stopped> {
    loop {
        match feed.poll(Instant::now()).map_err(Stopped::Unframed)? {
            FeedStep::Group(group) => return Ok(Some(group.data.len())),
            FeedStep::Until(_) if shared.is_stopping() => return Ok(None),
            FeedStep::Until(due) => future::or(shared.stopped(), sleep(due)).await,
            FeedStep::Data | FeedStep::Over { .. } => return Ok(None),
        }
    }
}

fn tell_end(input: &Input, leftover: usize, had_listener: bool) {
    let name = input.source.name();
    if leftover > 0 {
        tracing::warn!(path = %input.path, "{name} ends in the middle of a packet: its last {leftover} bytes were not sent");
    }
    if had_listener {
        tracing::info!(path = %input.path, "{name} is over");
    } else {
        tracing::warn!(path = %input.path, "{name} is over, and nobody listened: --hold waits for the first client, --rt reads as fast as it plays");
    }
}
