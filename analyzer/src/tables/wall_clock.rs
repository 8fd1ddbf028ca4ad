//! Wall time of many events of one host: the anchor that served the last one serves most.

use std::ops::Range;

use tracer_format::{ClockAnchor, Trace};

/// Converts CLOCK_MONOTONIC times of one host.
#[derive(Debug, Clone, Default)]
pub(super) struct WallClock {
    /// Ascending.
    anchors: Vec<ClockAnchor>,
    /// Times for which `offset_ns` holds.
    valid_ns: Range<u64>,
    offset_ns: i64,
}

impl WallClock {
    /// The clocks of all hosts of the trace, one if it names none.
    pub(super) fn of_hosts(trace: &Trace<'_>) -> Vec<Self> {
        let mut clocks = vec![Self::default(); trace.definitions.hosts.len().max(1)];
        for anchor in &trace.clocks {
            if let Some(clock) = clocks.get_mut(anchor.host as usize) {
                clock.anchors.push(*anchor);
            }
        }
        for clock in &mut clocks {
            clock.anchors.sort_by_key(|anchor| anchor.monotonic_ns);
        }
        clocks
    }

    /// Microseconds since 1970-01-01 UTC, rounded down; `None` if they are unknown or beyond the type.
    pub(super) fn micros(&mut self, time_ns: u64) -> Option<i64> {
        if !self.valid_ns.contains(&time_ns) {
            self.seek(time_ns)?;
        }
        let realtime_ns = i64::try_from(time_ns).ok()?.checked_add(self.offset_ns)?;
        Some(realtime_ns.div_euclid(1000))
    }

    /// Finds the last anchor that is not later, or else the first (SPEC.md "Clock anchor").
    fn seek(&mut self, time_ns: u64) -> Option<()> {
        let after = self.anchors.partition_point(|anchor| anchor.monotonic_ns <= time_ns);
        let anchor = self.anchors.get(after.saturating_sub(1))?;
        let offset_ns = i128::from(anchor.realtime_ns) - i128::from(anchor.monotonic_ns);
        self.offset_ns = i64::try_from(offset_ns).ok()?;
        let from_ns = if after == 0 { 0 } else { anchor.monotonic_ns };
        let next = self.anchors.get(after).map_or(u64::MAX, |anchor| anchor.monotonic_ns);
        self.valid_ns = from_ns..next;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_time_has_its_own_anchor() {
        let anchor =
            |monotonic_ns, realtime_ns| ClockAnchor { monotonic_ns, realtime_ns, ..ClockAnchor::default() };
        let anchors = vec![anchor(10_000, 1_000_000_000), anchor(20_000, 2_000_000_999)];
        let mut clock = WallClock { anchors, ..WallClock::default() };
        // Before the first anchor it serves too; at its time an anchor takes over; the way back is found.
        let cases = [
            (9_999, 999_999),
            (10_000, 1_000_000),
            (19_999, 1_000_009),
            (20_000, 2_000_000),
            (20_001, 2_000_001),
        ];
        for (time_ns, micros) in cases.into_iter().chain(cases.into_iter().rev()) {
            assert_eq!(clock.micros(time_ns), Some(micros), "{time_ns}");
        }
        assert_eq!(clock.micros(u64::MAX), None);
        assert_eq!(WallClock::default().micros(5), None);
    }
}
