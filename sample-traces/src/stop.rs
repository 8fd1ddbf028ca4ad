//! The orderly end: SIGINT and SIGTERM ask for it. The source then makes no more buffers, the others finish what is on its
//! way, and everyone prints its counts.

use crate::Error;
use signal_hook::consts::{SIGINT, SIGTERM};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Longest sleep between two looks at the request to stop.
pub const LOOK: Duration = Duration::from_millis(50);

/// Environment variable that `pipeline` sets for the programs it starts.
pub const LAUNCHED: &str = "SAMPLE_TRACES_LAUNCHED";

/// Whether a signal has asked this process to end.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    asked: Arc<AtomicBool>,
}

impl Stop {
    /// Turns SIGINT and SIGTERM into a request.
    ///
    /// # Errors
    /// When the kernel refuses the signal handler.
    pub fn on_signals() -> Result<Stop, Error> {
        let stop = Stop::default();
        for signal in [SIGINT, SIGTERM] {
            signal_hook::flag::register(signal, Arc::clone(&stop.asked)).map_err(Error::Signals)?;
        }
        Ok(stop)
    }

    /// Lets the kernel send SIGTERM when the launcher dies, if there is one: without it, a source
    /// that has no count would go on for ever.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn on_launcher_death() -> Result<(), Error> {
        if std::env::var_os(LAUNCHED).is_none() {
            return Ok(());
        }
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::TERM))
            .map_err(|e| Error::Signals(e.into()))
    }

    /// Asks as a signal would.
    pub fn ask(&self) {
        self.asked.store(true, Ordering::Relaxed);
    }

    /// True once asked to end.
    #[must_use]
    pub fn asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    /// Sleeps until `deadline`; false if asked to end before it.
    #[must_use]
    pub fn sleep_until(&self, deadline: Instant) -> bool {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if self.asked() {
                return false;
            }
            if left.is_zero() {
                return true;
            }
            std::thread::sleep(left.min(LOOK));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sleep_ends_at_its_deadline_or_soon_after_the_request() {
        let stop = Stop::default();
        assert!(stop.sleep_until(Instant::now() + Duration::from_millis(5)));
        stop.ask();
        let start = Instant::now();
        assert!(!stop.sleep_until(start + Duration::from_secs(60)));
        assert!(start.elapsed() < Duration::from_secs(30));
    }
}
