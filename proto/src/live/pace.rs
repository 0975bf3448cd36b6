//! When a packet of a stored input is due, so that it goes out as it plays.

use std::time::{Duration, Instant};

/// A jump of the media time that is larger than this, or back, is a new beginning.
const JUMP: Duration = Duration::from_secs(10);

/// Turns media time into real time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pace {
    /// A media time, and when that was.
    anchor: Option<(Duration, Instant)>,
    /// The media time before.
    last: Duration,
}

impl Pace {
    /// The next packet is the first.
    pub fn new() -> Self {
        Self::default()
    }

    /// When a packet of this media time is due; without one, now. May be past.
    pub fn due(&mut self, time: Option<Duration>, now: Instant) -> Instant {
        let Some(time) = time else { return now };
        let last = std::mem::replace(&mut self.last, time);
        match self.anchor {
            Some((media, real)) if time >= media && time >= last && time - last <= JUMP => {
                real + (time - media)
            }
            Some(_) | None => {
                self.anchor = Some((time, now));
                now
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests need some moment to begin at")]
mod tests {
    use super::*;

    #[test]
    fn packets_are_due_as_they_play() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let ms = |ms| Some(Duration::from_millis(ms));
        let mut pace = Pace::new();
        assert_eq!(pace.due(ms(5000), start), start);
        assert_eq!(pace.due(ms(5040), start), at(40));
        assert_eq!(pace.due(None, at(10)), at(10));
        assert_eq!(pace.due(ms(6000), at(3000)), at(1000), "what is late is due at once");
        assert_eq!(pace.due(ms(20), at(3000)), at(3000), "it begins again");
        assert_eq!(pace.due(ms(60), at(3000)), at(3040));
        assert_eq!(pace.due(ms(90_000), at(3050)), at(3050), "it jumps");
    }
}
