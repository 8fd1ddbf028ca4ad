//! Counts of fired probes, printed at exit as `fired PROVIDER:PROBE COUNT`: what a recording must add up to.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// How often one probe was fired by this process, over all threads.
#[derive(Debug)]
pub struct Fired {
    probe: &'static str,
    count: AtomicU64,
}

impl Fired {
    /// Starts at zero; `probe` is `provider:name`.
    #[must_use]
    pub const fn new(probe: &'static str) -> Fired {
        Fired { probe, count: AtomicU64::new(0) }
    }

    /// Adds `hits`.
    pub fn add(&self, hits: u64) {
        self.count.fetch_add(hits, Ordering::Relaxed);
    }

    /// The count so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }
}

impl fmt::Display for Fired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fired {} {}", self.probe, self.count())
    }
}

/// Reads a line that a [`Fired`] printed: probe and count.
#[must_use]
pub fn parse(line: &str) -> Option<(&str, u64)> {
    let (probe, count) = line.strip_prefix("fired ")?.split_once(' ')?;
    Some((probe, count.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_printed_count_reads_back_and_other_lines_do_not() {
        let fired = Fired::new("buffer_tracker:beg_awe");
        fired.add(2);
        fired.add(1);
        assert_eq!(fired.to_string(), "fired buffer_tracker:beg_awe 3");
        assert_eq!(parse(&fired.to_string()), Some(("buffer_tracker:beg_awe", 3)));
        for line in ["", "fired", "fired a:b", "fired a:b x", "not fired a:b 1"] {
            assert_eq!(parse(line), None, "{line}");
        }
    }
}
