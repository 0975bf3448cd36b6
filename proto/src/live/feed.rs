//! An input on its way to its listeners: cut into packets, grouped, and paced.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};

use super::{
    Group,
    framing::{Format, Framer, FramingError, Packet, TuneIn},
    pace::Pace,
};

/// Most bytes of several packets that are put together.
const GROUP: usize = 64 << 10;
/// What is due within this time goes out together.
const EARLY: Duration = Duration::from_millis(20);

/// The bytes of an input in, groups of packets out.
#[derive(Debug)]
pub struct Feed {
    framer: Framer,
    /// `None`: all goes out when it comes.
    pace: Option<Pace>,
    /// A packet that is taken and not sent, and what a listener needs to begin with it; when it is
    /// due.
    next: Option<(Packet, TuneIn, Instant)>,
    ended: bool,
}

/// What an input has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FeedStep {
    /// This is to be sent.
    Group(Group),
    /// More data is needed.
    Data,
    /// The next packet is due at this time.
    Until(Instant),
    /// All is sent, but for so many bytes that are no whole packet.
    Over {
        /// Their number.
        leftover: usize,
    },
}

impl Feed {
    /// An input of this format; with `paced`, it goes out as it plays.
    pub fn new(format: Format, paced: bool) -> Self {
        Self { framer: Framer::new(format), pace: paced.then(Pace::new), next: None, ended: false }
    }

    /// More came.
    pub fn handle_data(&mut self, data: Bytes) {
        self.framer.handle_data(data);
    }

    /// There is no more.
    pub fn handle_end(&mut self) {
        self.framer.handle_end();
        self.ended = true;
    }

    /// The framer, which knows of the stream what it has seen.
    pub fn framer(&self) -> &Framer {
        &self.framer
    }

    /// Goes on.
    ///
    /// # Errors
    /// What is wrong with the stream. It cannot go on.
    pub fn poll(&mut self, now: Instant) -> Result<FeedStep, FramingError> {
        let mut taken = Vec::new();
        let (mut len, mut all_join, mut random_access, mut tune_in) = (0, true, false, None);
        while let Some((packet, _, due)) = self.peek(now)? {
            let due = *due;
            if taken.is_empty() && due > now + EARLY {
                return Ok(FeedStep::Until(due));
            }
            // A place to begin is the beginning of a group, unless everything before is one, too.
            let begins = packet.random_access && !all_join;
            let fits = !begins && len + packet.data.len() <= GROUP && due <= now + EARLY;
            if !taken.is_empty() && !fits {
                break;
            }
            if let Some((packet, first, _)) = self.next.take() {
                if taken.is_empty() {
                    random_access = packet.random_access;
                    tune_in = packet.content.then_some(first);
                }
                all_join &= packet.random_access;
                len += packet.data.len();
                taken.push(packet.data);
            }
        }
        if !taken.is_empty() {
            return Ok(FeedStep::Group(Group { data: join(taken), tune_in, random_access }));
        }
        if self.ended {
            return Ok(FeedStep::Over { leftover: self.framer.leftover() });
        }
        Ok(FeedStep::Data)
    }

    fn peek(&mut self, now: Instant) -> Result<Option<&(Packet, TuneIn, Instant)>, FramingError> {
        if self.next.is_none()
            && let Some(packet) = self.framer.poll()?
        {
            let due = self.pace.as_mut().map_or(now, |pace| pace.due(packet.time, now));
            self.next = Some((packet, self.framer.tune_in(), due));
        }
        Ok(self.next.as_ref())
    }
}

fn join(mut packets: Vec<Bytes>) -> Bytes {
    if packets.len() == 1 {
        return packets.remove(0);
    }
    let mut joined = BytesMut::with_capacity(packets.iter().map(Bytes::len).sum());
    packets.iter().for_each(|packet| joined.extend_from_slice(packet));
    joined.freeze()
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests need some moment to begin at")]
mod tests {
    use super::*;

    const TS: &[u8] = include_bytes!("../../tests/media/film.ts");
    const MP3: &[u8] = include_bytes!("../../tests/media/cbr.mp3");

    /// All that comes out when it is waited for, and how long that took.
    fn drain(feed: &mut Feed, now: &mut Instant) -> Vec<Group> {
        let mut groups = Vec::new();
        loop {
            match feed.poll(*now).unwrap() {
                FeedStep::Group(group) => groups.push(group),
                FeedStep::Until(due) => {
                    assert!(due > *now, "it would be asked for ever");
                    *now = due;
                }
                FeedStep::Data | FeedStep::Over { .. } => return groups,
            }
        }
    }

    #[test]
    fn what_goes_in_comes_out_and_begins_where_one_may_join() {
        for (format, media) in [(Format::MpegTs, TS), (Format::MpegAudio, MP3)] {
            for step in [188, 1000, 70_000] {
                let mut feed = Feed::new(format, false);
                let (mut now, mut groups) = (Instant::now(), Vec::new());
                for piece in media.chunks(step) {
                    feed.handle_data(Bytes::from_static(piece));
                    groups.extend(drain(&mut feed, &mut now));
                }
                feed.handle_end();
                groups.extend(drain(&mut feed, &mut now));
                let FeedStep::Over { leftover } = feed.poll(now).unwrap() else {
                    panic!("it ends")
                };
                let out: Vec<u8> = groups.iter().flat_map(|group| group.data.to_vec()).collect();
                assert_eq!(out, media[..media.len() - leftover], "{format} {step}");
                assert!(groups.iter().all(|group| group.data.len() <= GROUP));
                assert!(groups.iter().any(|group| group.random_access), "{format} {step}");
                assert!(leftover < 200, "{leftover}");
            }
        }
    }

    #[test]
    fn a_paced_input_takes_as_long_as_it_plays() {
        for (format, media, seconds) in
            [(Format::MpegTs, TS, 1.0..4.0), (Format::MpegAudio, MP3, 0.5..3.0)]
        {
            let mut feed = Feed::new(format, true);
            feed.handle_data(Bytes::from_static(media));
            feed.handle_end();
            let start = Instant::now();
            let mut now = start;
            let groups = drain(&mut feed, &mut now);
            let took = (now - start).as_secs_f64();
            assert!(seconds.contains(&took), "{format}: {took} s");
            assert!(groups.len() > 10, "{format}: {}", groups.len());
        }
    }
}
