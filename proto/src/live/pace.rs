//! When packets are to be sent, if a stored stream is sent in real time.

use std::time::{Duration, Instant};

/// A larger step forward is a gap in the stream, and is not waited for.
const GAP: Duration = Duration::from_secs(10);

/// Keeps media time and real time together. A step back, or forward by more than 10 s, starts over.
#[derive(Debug, Default)]
pub struct Pace {
    /// Some media time, and when it was due.
    anchor: Option<(Duration, Instant)>,
    /// The media time of the packet before.
    before: Duration,
}

impl Pace {
    /// The first packet is due at once.
    pub fn new() -> Self {
        Self::default()
    }

    /// When a packet of the media time `time` is to be sent; without a time at once. It may be in
    /// the past, where sending falls behind: then it catches up.
    pub fn due(&mut self, time: Option<Duration>, now: Instant) -> Instant {
        let Some(time) = time else { return now };
        let step = time.checked_sub(self.before);
        self.before = time;
        let due = match (self.anchor, step) {
            (Some((media, real)), Some(step)) if step <= GAP => {
                real.checked_add(time.saturating_sub(media))
            }
            (Some(_) | None, Some(_) | None) => None,
        };
        due.unwrap_or_else(|| {
            self.anchor = Some((time, now));
            now
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any instant will do")]
    fn packets_are_due_in_real_time() {
        let start = Instant::now();
        let mut pace = Pace::new();
        assert_eq!(pace.due(None, start), start);
        assert_eq!(pace.due(Some(ms(90_000)), start), start, "the first one anchors");
        assert_eq!(pace.due(Some(ms(90_040)), start), start + ms(40));
        assert_eq!(pace.due(None, start + ms(50)), start + ms(50));
        assert_eq!(pace.due(Some(ms(99_000)), start + ms(9500)), start + ms(9000), "it is late");
        assert_eq!(pace.due(Some(ms(109_000)), start + ms(9500)), start + ms(19_000));

        let later = start + ms(30_000);
        assert_eq!(pace.due(Some(ms(119_001)), later), later, "a gap");
        assert_eq!(pace.due(Some(ms(119_101)), later), later + ms(100));
        assert_eq!(pace.due(Some(ms(119_100)), later), later, "a step back");
        assert_eq!(pace.due(Some(ms(119_150)), later), later + ms(50));
        assert_eq!(pace.due(Some(Duration::MAX), later), later);
    }
}
