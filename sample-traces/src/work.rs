//! Work that takes a given time: sleeps most of it and spins the rest, so that short times are met too.

use std::time::{Duration, Instant};

/// What a sleep may overshoot (timer slack and wake-up); the last part of the time is spun instead.
const SPIN: Duration = Duration::from_micros(150);

/// Returns after `time`.
pub fn spend(time: Duration) {
    if time.is_zero() {
        return;
    }
    let end = Instant::now() + time;
    if time > SPIN {
        std::thread::sleep(time - SPIN);
    }
    while Instant::now() < end {
        std::hint::spin_loop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_takes_at_least_its_time() {
        for time in [Duration::ZERO, Duration::from_micros(20), Duration::from_millis(2)] {
            let start = Instant::now();
            spend(time);
            assert!(start.elapsed() >= time, "{time:?}");
        }
    }
}
