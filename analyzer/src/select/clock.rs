//! Times as the trace counts them (CLOCK_MONOTONIC), and as the calendar shows them (UTC).

use std::ops::Range;

use jiff::Timestamp;
use tracer_format::{ClockAnchor, Known, clock};

/// The clock anchors of the trace's first host, ascending.
#[must_use]
pub fn anchors(trace: &Known) -> Vec<ClockAnchor> {
    anchors_of_hosts(trace).swap_remove(0)
}

/// The clock anchors of each host of the trace, one if it names none, ascending.
pub(super) fn anchors_of_hosts(trace: &Known) -> Vec<Vec<ClockAnchor>> {
    let mut of_hosts = vec![Vec::new(); trace.definitions.hosts.len().max(1)];
    for anchor in &trace.clocks {
        if let Some(anchors) = of_hosts.get_mut(anchor.host.index()) {
            anchors.push(*anchor);
        }
    }
    of_hosts.iter_mut().for_each(|anchors| anchors.sort_by_key(|anchor| anchor.monotonic_ns));
    of_hosts
}

/// Differences of wall time up to here say nothing of two clocks, ns.
const ALIKE_NS: u128 = 1_000_000;

/// Whether the trace is made of parts whose times are of the clocks of different boots, one behind the other in a file: they do not
/// compare. Those of a merge are on one clock.
#[must_use]
pub fn has_several_clocks(trace: &Known) -> bool {
    if trace.trace_ids.len() < 2 {
        return false;
    }
    let of_hosts = trace.definitions.hosts.iter().zip(anchors_of_hosts(trace));
    let of_boots = of_hosts.filter(|(host, _)| !host.boot_id.is_empty());
    let mut boots =
        of_boots.filter_map(|(host, anchors)| Some((&host.boot_id, anchors.first()?.offset_ns())));
    let Some((boot, offset_ns)) = boots.next() else { return false };
    boots.any(|(other, other_ns)| other != boot && other_ns.abs_diff(offset_ns) > ALIKE_NS)
}

/// Wall time of a moment on the clock of the events, ns since 1970-01-01 UTC; `None` without clock anchors.
#[must_use]
pub fn realtime_ns(anchors: &[ClockAnchor], monotonic_ns: u64) -> Option<i64> {
    clock::realtime_ns(anchors, monotonic_ns)
}

/// Wall time as RFC 3339 in UTC, to the microsecond: `2026-05-01T12:00:00.500000Z`.
#[must_use]
pub fn rfc3339(realtime_ns: i64) -> String {
    match Timestamp::from_nanosecond(realtime_ns.into()) {
        Ok(time) => format!("{time:.6}"),
        // Every i64 is a year that the crate knows; a number says what is meant all the same.
        Err(_) => format!("{realtime_ns} ns"),
    }
}

/// Wall time of many events of one host: the anchor that served the last one serves most.
#[derive(Debug, Clone, Default)]
pub(crate) struct WallClock {
    /// Ascending.
    anchors: Vec<ClockAnchor>,
    /// Times for which `offset_ns` holds.
    valid_ns: Range<u64>,
    offset_ns: i64,
}

impl WallClock {
    /// The clocks of all hosts of the trace, one if it names none.
    pub(crate) fn of_hosts(trace: &Known) -> Vec<Self> {
        anchors_of_hosts(trace).into_iter().map(|anchors| Self { anchors, ..Self::default() }).collect()
    }

    /// Microseconds since 1970-01-01 UTC, rounded down; `None` if they are unknown or beyond the type.
    pub(crate) fn micros(&mut self, time_ns: u64) -> Option<i64> {
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
        self.offset_ns = i64::try_from(anchor.offset_ns()).ok()?;
        let from_ns = if after == 0 { 0 } else { anchor.monotonic_ns };
        let next = self.anchors.get(after).map_or(u64::MAX, |anchor| anchor.monotonic_ns);
        self.valid_ns = from_ns..next;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use tracer_format::{Host, HostId};

    use super::*;

    #[test]
    fn wall_time_is_shown_in_utc() {
        assert_eq!(rfc3339(1_500_000_000), "1970-01-01T00:00:01.500000Z");
        assert_eq!(rfc3339(-1), "1969-12-31T23:59:59.999999Z");
        assert!(rfc3339(i64::MAX).starts_with("2262-04-11"));
    }

    #[test]
    fn parts_of_several_boots_are_told_from_a_merge() {
        let trace = |parts: usize, hosts: &[(&str, i64)]| {
            let mut trace = Known::default();
            trace.trace_ids = vec![7; parts];
            for (number, &(boot_id, realtime_ns)) in (0..).zip(hosts) {
                trace.definitions.hosts.push(Host { boot_id: boot_id.into(), ..Host::default() }.into());
                let host = HostId(number);
                trace.clocks.push(ClockAnchor {
                    host,
                    realtime_ns,
                    monotonic_ns: 5,
                    ..ClockAnchor::default()
                });
            }
            has_several_clocks(&trace)
        };
        const DAY: i64 = 86_400_000_000_000;
        assert!(trace(2, &[("a", 0), ("b", DAY)]));
        assert!(!trace(1, &[("a", 0), ("b", DAY)]) && !trace(2, &[("a", 0), ("a", DAY)]));
        assert!(!trace(2, &[("a", DAY), ("b", DAY)]) && !trace(2, &[("", 0), ("b", DAY)]));
        assert!(!trace(2, &[]));
    }

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
