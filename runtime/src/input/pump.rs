//! From an input to its resource.

use std::{future::Future, io, sync::Arc, time::Instant};

use futures_lite::future;
use httpout_proto::live::{
    Feed, FeedStep,
    framing::{Format, FramingError},
};

use super::{Input, source::Reader};
use crate::{live::Channel, server::Shared};

/// Why an input stopped before its end.
enum Stopped {
    Unreadable(io::Error),
    Unframed(FramingError),
    Taken,
}

impl std::fmt::Display for Stopped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unreadable(error) => write!(f, "cannot be read: {error}"),
            Self::Unframed(error) => error.fmt(f),
            Self::Taken => f.write_str("there is another live resource of that path"),
        }
    }
}

/// Reads the input and sends it to who listens, until it is over or the server is shut down.
pub(crate) async fn feed<S: Future<Output = ()>>(
    shared: Arc<Shared>,
    input: Input,
    sleep: impl Fn(Instant) -> S,
) {
    let fed = async {
        if let Err(why) = broadcast(&shared, &input, &sleep).await {
            tracing::error!(path = %input.path, "the input from {} {why}", input.source.name());
        }
    };
    future::or(shared.stopped(), fed).await;
    shared.input_over();
}

/// To all who listen: once, or anew for who asks when it is over.
async fn broadcast<S: Future<Output = ()>>(
    shared: &Shared,
    input: &Input,
    sleep: &impl Fn(Instant) -> S,
) -> Result<(), Stopped> {
    let channels = &shared.channels;
    loop {
        let channel = channels
            .begin(&input.path, input.description.clone(), input.options)
            .ok_or(Stopped::Taken)?;
        let sent = send(&channel, input, sleep).await;
        channels.end(&input.path, &channel, sent.is_ok(), input.options);
        sent?;
        if !input.options.reopen {
            return Ok(());
        }
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
