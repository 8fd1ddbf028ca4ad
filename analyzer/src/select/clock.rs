//! Times as the trace counts them (CLOCK_MONOTONIC), and as the calendar shows them (UTC).

use jiff::Timestamp;
use tracer_format::{ClockAnchor, Trace, clock};

/// The clock anchors of the trace's first host, ascending.
#[must_use]
pub fn anchors(trace: &Trace<'_>) -> Vec<ClockAnchor> {
    let mut anchors: Vec<ClockAnchor> =
        trace.clocks.iter().copied().filter(|anchor| anchor.host == 0).collect();
    anchors.sort_by_key(|anchor| anchor.monotonic_ns);
    anchors
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wall_time_is_shown_in_utc() {
        assert_eq!(rfc3339(1_500_000_000), "1970-01-01T00:00:01.500000Z");
        assert_eq!(rfc3339(-1), "1969-12-31T23:59:59.999999Z");
        assert!(rfc3339(i64::MAX).starts_with("2262-04-11"));
    }
}
