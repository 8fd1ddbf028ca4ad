//! Clock anchors: the host's clocks read together, so that times of one clock convert to another.

use super::HostId;

/// Four clocks of one host, read within a few hundred ns; ns each. 40 bytes on disk; see SPEC.md "Clock anchor".
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClockAnchor {
    /// Host.
    pub host: HostId,
    /// CLOCK_MONOTONIC: the clock of all events.
    pub monotonic_ns: u64,
    /// CLOCK_BOOTTIME: as monotonic, and goes on in suspend.
    pub boottime_ns: u64,
    /// CLOCK_REALTIME: ns since 1970-01-01 UTC.
    pub realtime_ns: i64,
    /// CLOCK_TAI.
    pub tai_ns: i64,
}

impl ClockAnchor {
    /// What to add to a CLOCK_MONOTONIC time for ns since 1970-01-01 UTC.
    #[must_use]
    pub fn offset_ns(&self) -> i128 {
        i128::from(self.realtime_ns) - i128::from(self.monotonic_ns)
    }
}

/// Converts a CLOCK_MONOTONIC time to ns since 1970-01-01 UTC by the nearest anchor before it (else the first).
///
/// `anchors` are those of one host, ascending; `None` without any.
#[must_use]
pub fn realtime_ns(anchors: &[ClockAnchor], monotonic_ns: u64) -> Option<i64> {
    let after = anchors.partition_point(|anchor| anchor.monotonic_ns <= monotonic_ns);
    let anchor = anchors.get(after.saturating_sub(1))?;
    i64::try_from(i128::from(monotonic_ns) + anchor.offset_ns()).ok()
}
