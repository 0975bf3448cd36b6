//! Media time: that of the stream, counted from its first packet.

use std::time::Duration;

/// Packets of several tracks are out of order by less than this.
const SLACK: Duration = Duration::from_secs(1);

/// Turns a stream's own time into time since its beginning, which never goes back.
#[derive(Debug, Default)]
pub(super) struct Clock {
    /// The latest time of the stream.
    own: Option<Duration>,
    now: Option<Duration>,
}

impl Clock {
    /// There is a packet that the stream says is of the time `own`.
    pub(super) fn at(&mut self, own: Duration) {
        let now = self.now.unwrap_or_default();
        self.now = match self.own {
            Some(latest) if own < latest && latest - own <= SLACK => return,
            Some(latest) => Some(now.saturating_add(own.saturating_sub(latest))),
            None => Some(now),
        };
        self.own = Some(own);
    }

    /// Another stream follows, with a time of its own.
    pub(super) fn restart(&mut self) {
        self.own = None;
    }

    /// The latest time.
    pub(super) fn now(&self) -> Option<Duration> {
        self.now
    }
}

/// `ticks` of which a second has `rate`.
pub(super) fn ticks(ticks: u64, rate: u64) -> Duration {
    let rate = rate.max(1);
    let nanos = u128::from(ticks % rate) * 1_000_000_000 / u128::from(rate);
    Duration::from_secs(ticks / rate) + Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_starts_at_nought_and_survives_a_jump_back() {
        let mut clock = Clock::default();
        assert_eq!(clock.now(), None);
        for (own, expected, why) in [
            (5000, 0, "the first packet"),
            (5100, 100, ""),
            (5060, 100, "the other track"),
            (5200, 200, ""),
            (0, 200, "from the beginning again"),
            (50, 250, ""),
        ] {
            clock.at(Duration::from_millis(own));
            assert_eq!(clock.now(), Some(Duration::from_millis(expected)), "{why}");
        }
        clock.restart();
        clock.at(Duration::from_secs(70));
        clock.at(Duration::from_secs(71));
        assert_eq!(clock.now(), Some(Duration::from_millis(1250)));
    }

    #[test]
    fn ticks_are_exact_and_never_too_many() {
        assert_eq!(ticks(3, 2), Duration::from_millis(1500));
        assert_eq!(ticks(u64::MAX, 0), Duration::from_secs(u64::MAX));
    }
}
