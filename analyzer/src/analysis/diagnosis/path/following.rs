//! How far the buffers follow one path, and so which findings of its order are supported.
//!
//! The keys of a pipeline pass the same probes, each once, in one order. The monitors of a virtual machine, the connections of a
//! server do not: each takes its own way, and that a probe is missing or fires again is no fault. Two things tell them apart: nearly
//! all keys of a pipeline go along the path from its first probe on, even if some never arrive; and often their numbers are
//! counted, each used once, so that each stands for one buffer.

/// Share of the buffers that must go along a path, for what the others do to be a fault.
const NEARLY_ALL: f64 = 0.9;

/// Buffers without which it is not said that there is no path.
const LEAST: u64 = 30;

/// How many buffers follow the path. Those whose rest the recording may have hidden do not count.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Following {
    /// Buffers; if a number is used again, each use is one.
    pub laps: u64,
    /// Those that passed the probes of the path from the first on, whole or up to one of them, and no other probe.
    pub along: u64,
    /// Those that passed all.
    pub whole: u64,
    /// Those that passed all in the order of the path.
    pub in_order: u64,
    /// Whether their numbers are counted: each stands for one buffer.
    pub counted: bool,
}

impl Following {
    /// Share of the buffers that go along the path; 1 without buffers.
    #[must_use]
    pub fn share(&self) -> f64 {
        if self.laps == 0 { 1.0 } else { self.along as f64 / self.laps as f64 }
    }

    /// Whether nearly all buffers go along the path.
    #[must_use]
    pub fn is_path(&self) -> bool {
        self.laps > 0 && self.share() >= NEARLY_ALL
    }

    /// Whether there are enough buffers to say that there is no path.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.laps >= LEAST && !self.is_path()
    }

    /// Whether nearly all pass the probes in one order.
    #[must_use]
    pub fn is_ordered(&self) -> bool {
        self.is_path() && self.in_order as f64 >= NEARLY_ALL * self.whole as f64
    }

    /// Whether it is a fault that `count` buffers lack an event, or have it twice: a buffer that is counted must pass; other keys may
    /// have reasons, if many do so.
    #[must_use]
    pub fn supports(&self, count: u64) -> bool {
        let most = self.laps.saturating_sub(count) as f64 >= NEARLY_ALL * self.laps as f64;
        self.is_path() && (self.counted || most)
    }

    /// Why there is no path.
    pub(crate) fn refusal(&self) -> String {
        let percent = (100.0 * self.share()).floor();
        format!("only {percent:.0} % of the keys go along one path from probe to probe")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_many_keys_do_is_no_fault_unless_they_are_counted() {
        let pointers = Following { laps: 100, along: 95, whole: 80, in_order: 80, counted: false };
        assert!(pointers.is_path() && pointers.supports(10) && !pointers.supports(11));
        assert!(Following { counted: true, ..pointers }.supports(30));
        let monitors = Following { along: 89, counted: true, ..pointers };
        assert!(!monitors.is_path() && !monitors.supports(1) && !monitors.is_ordered());
        assert!(!Following { in_order: 71, ..pointers }.is_ordered());
    }
}
