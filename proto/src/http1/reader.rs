//! The reading half: where in the stream of requests the next byte stands.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{
    chunked::{Decoded, Decoder},
    head::HeadReader,
    response,
};
use crate::{error::PeerError, http::BodySize, limits::Limits};

/// ```text
///            head complete               body complete
///  Head --------------------> Body ------------------------> Held
///   ^  \_____ no body _______________________________________^ |
///   |                                                          | answer sent
///   +----------------------------------------------------------+
///  any --- framing error, or no more requests wanted ---> Stopped
/// ```
#[derive(Debug)]
pub(crate) enum Reading {
    /// Between requests, or inside a head.
    Head(HeadReader),
    /// Inside a body.
    Body(Body),
    /// The request is whole; the next one waits until this one is answered.
    Held,
    /// Nothing that comes is read as HTTP any more.
    Stopped,
}

/// A body that is being received.
#[derive(Debug)]
pub(crate) struct Body {
    framing: Framing,
    /// Bytes that may be handed out before the next grant.
    pub(crate) credit: u64,
    /// False: read and dropped.
    pub(crate) wanted: bool,
    received: u64,
    dropped: u64,
    waited: Duration,
    waiting_since: Option<Instant>,
}

#[derive(Debug)]
enum Framing {
    Length(u64),
    Chunked(Decoder),
    /// All that comes until the peer sends no more.
    Close,
}

impl Body {
    /// `None` if there is nothing to come.
    pub(crate) fn of_request(size: BodySize) -> Option<Self> {
        let framing = match size {
            BodySize::Empty => return None,
            BodySize::Known(len) => Framing::Length(len),
            BodySize::Unknown => Framing::Chunked(Decoder::default()),
        };
        Some(Self::with(framing))
    }

    /// The same for a response.
    pub(crate) fn of_response(framing: response::Framing) -> Option<Self> {
        Some(Self::with(match framing {
            response::Framing::None => return None,
            response::Framing::Length(len) => Framing::Length(len),
            response::Framing::Chunked => Framing::Chunked(Decoder::default()),
            response::Framing::Close => Framing::Close,
        }))
    }

    /// All that comes until the peer sends no more.
    pub(crate) fn until_close() -> Self {
        Self::with(Framing::Close)
    }

    fn with(framing: Framing) -> Self {
        Self {
            framing,
            credit: 0,
            wanted: true,
            received: 0,
            dropped: 0,
            waited: Duration::ZERO,
            waiting_since: None,
        }
    }

    /// Takes the next piece of content out of `data`, not more than there is credit for.
    pub(crate) fn decode(
        &mut self,
        data: &mut Bytes,
        limits: &Limits,
    ) -> Result<Decoded, PeerError> {
        let credit = usize::try_from(self.credit).unwrap_or(usize::MAX);
        let decoded = match &mut self.framing {
            Framing::Length(0) => Decoded::End,
            Framing::Length(_) if data.is_empty() => Decoded::More,
            Framing::Length(left) => {
                let most = usize::try_from(*left).unwrap_or(usize::MAX).min(credit);
                let piece = data.split_to(most.min(data.len()));
                *left -= piece.len() as u64;
                Decoded::Data(piece)
            }
            Framing::Chunked(decoder) => decoder.decode(data, credit, limits)?,
            Framing::Close if data.is_empty() => Decoded::More,
            Framing::Close => Decoded::Data(data.split_to(credit.min(data.len()))),
        };
        if let Decoded::Data(piece) = &decoded {
            self.received += piece.len() as u64;
            self.credit -= piece.len() as u64;
            if !self.wanted {
                self.dropped += piece.len() as u64;
            }
        }
        Ok(decoded)
    }

    /// Bytes still to come, where known.
    pub(crate) fn left(&self) -> Option<u64> {
        match &self.framing {
            Framing::Length(left) => Some(*left),
            Framing::Chunked(_) | Framing::Close => None,
        }
    }

    /// True if more of it is to come from the peer now.
    pub(crate) fn is_awaited(&self) -> bool {
        !self.wanted || self.credit > 0
    }

    /// Bytes of it that were read and dropped.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// True if the end of what the peer sends is its end.
    pub(crate) fn is_until_close(&self) -> bool {
        matches!(self.framing, Framing::Close)
    }

    /// The peer is waited for from `now` on: when is it too slow? (`body_time` between reads,
    /// `body_rate` on the whole.)
    pub(crate) fn deadline(&mut self, now: Instant, limits: &Limits) -> Instant {
        let since = *self.waiting_since.get_or_insert(now);
        let mut left = limits.body_time;
        if let Some(earned) = self.received.checked_div(limits.body_rate) {
            let earned = Duration::from_secs(earned);
            left = left.min((limits.body_time + earned).saturating_sub(self.waited));
        }
        since + left
    }

    /// The peer sent something, or is no longer waited for.
    pub(crate) fn stop_waiting(&mut self, now: Instant) {
        if let Some(since) = self.waiting_since.take() {
            self.waited += now.saturating_duration_since(since);
        }
    }
}
