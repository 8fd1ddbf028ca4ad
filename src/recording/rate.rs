//! How many events a second a recording takes at present.

use std::time::{Duration, Instant};

/// How long events are counted for one figure.
const SPAN: Duration = Duration::from_secs(1);

/// The rate of the last whole second, or before that, since the start.
#[derive(Debug)]
pub(super) struct Rate {
    since: Instant,
    events: u64,
    last: Option<f64>,
}

impl Rate {
    pub(super) fn new(now: Instant) -> Self {
        Self { since: now, events: 0, last: None }
    }

    /// Events a second, now that there were `events` in all.
    pub(super) fn per_second(&mut self, now: Instant, events: u64) -> u64 {
        let passed = now.duration_since(self.since);
        let rate = events.saturating_sub(self.events) as f64 / passed.as_secs_f64().max(0.001);
        if passed >= SPAN {
            *self = Self { since: now, events, last: Some(rate) };
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate to look at")]
        let shown = self.last.unwrap_or(rate).round() as u64;
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_last_second() {
        let begin = Instant::now();
        let at = |ms| begin + Duration::from_millis(ms);
        let mut rate = Rate::new(begin);
        assert_eq!(rate.per_second(at(500), 1000), 2000, "since the start");
        assert_eq!(rate.per_second(at(1000), 3000), 3000);
        assert_eq!(rate.per_second(at(1500), 3000), 3000, "the second is not over");
        assert_eq!(rate.per_second(at(2000), 3000), 0, "nothing fires any more");
        assert_eq!(rate.per_second(at(4000), 3500), 250);
    }
}
