//! What times that a user names are in a trace, on each of its hosts.

use std::ops::Range;

use tracer_format::grammar::Moment;
use tracer_format::{ClockAnchor, HostId, Known};

use super::clock::anchors_of_hosts;
use crate::{Error, Result};

/// After every time that an event may have.
const AFTER_ALL: u128 = 1 << 64;

/// HostTimes on the clock of the events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HostTimes {
    /// Of each host, disjoint and ascending; of the first one where there are no others. Their ends may be after every time.
    of_hosts: Vec<Vec<Range<u128>>>,
}

impl HostTimes {
    /// Every time.
    pub(super) fn always() -> Self {
        Self { of_hosts: vec![vec![0..AFTER_ALL]] }
    }

    /// Those from one to another, which is one of them.
    pub(super) fn between(from_ns: u64, to_ns: u64) -> Self {
        Self { of_hosts: vec![vec![from_ns.into()..u128::from(to_ns) + 1]] }
    }

    /// Whether all hosts have the same.
    pub(super) fn is_of_every_host(&self) -> bool {
        self.of_hosts.len() == 1
    }

    fn of(&self, host: HostId) -> &[Range<u128>] {
        self.of_hosts.get(host.index()).or(self.of_hosts.first()).map_or(&[], Vec::as_slice)
    }

    /// Whether the time is one of those of the host.
    pub(super) fn contain(&self, host: HostId, time_ns: u64) -> bool {
        let (ranges, time_ns) = (self.of(host), u128::from(time_ns));
        let after = ranges.partition_point(|range| range.start <= time_ns);
        after.checked_sub(1).is_some_and(|at| time_ns < ranges[at].end)
    }

    /// Whether a time from `from_ns` to `to_ns` is one of those of any host.
    pub(super) fn touch(&self, from_ns: u64, to_ns: u64) -> bool {
        let (from_ns, to_ns) = (u128::from(from_ns), u128::from(to_ns));
        self.of_hosts.iter().any(|ranges| {
            let after = ranges.partition_point(|range| range.start <= to_ns);
            after.checked_sub(1).is_some_and(|at| from_ns < ranges[at].end)
        })
    }

    /// From the first of them to the end of the last, which may be after every time.
    pub(super) fn whole(&self) -> Range<u128> {
        let all = || self.of_hosts.iter().flatten();
        let start = all().map(|range| range.start).min().unwrap_or_default();
        start..all().map(|range| range.end).max().unwrap_or_default()
    }
}

/// The times on the clock of the events that are not before `from` and before `to`.
///
/// Wall time may have been set, or have gone on while the machine slept: each event has that of its host's last clock anchor before
/// it, so a span of wall time may be several of the events' clock.
///
/// # Errors
/// [`Error::Missing`] for wall time in a trace without clock anchors.
pub(super) fn times(from: Option<Moment>, to: Option<Moment>, trace: &Known) -> Result<HostTimes> {
    let start_ns = trace.time_range().map_or(0, |(first_ns, _)| first_ns);
    let after = |offset_ns: u64| u128::from(start_ns) + u128::from(offset_ns);
    let (mut offsets, mut walls) = (0..AFTER_ALL, i64::MIN..i64::MAX);
    match from {
        Some(Moment::Offset(offset_ns)) => offsets.start = after(offset_ns),
        Some(Moment::Wall(wall_ns)) => walls.start = wall_ns,
        None => {}
    }
    match to {
        Some(Moment::Offset(offset_ns)) => offsets.end = after(offset_ns),
        Some(Moment::Wall(wall_ns)) => walls.end = wall_ns,
        None => {}
    }
    if walls == (i64::MIN..i64::MAX) {
        return Ok(HostTimes { of_hosts: vec![vec![offsets]] });
    }
    let of_hosts = anchors_of_hosts(trace);
    // A host that has none of its own was put on the clock of one that has.
    let Some(known) = of_hosts.iter().find(|anchors| !anchors.is_empty()) else {
        return Err(Error::Missing(
            "the trace has no clock anchors, so its wall time is unknown; give an offset such as 1.5s",
        ));
    };
    let within = |range: Range<u128>| range.start.max(offsets.start)..range.end.min(offsets.end);
    let of_host = |anchors: &Vec<ClockAnchor>| {
        let anchors = if anchors.is_empty() { known } else { anchors };
        let ranges = of_wall(anchors, &walls).into_iter().map(within);
        ranges.filter(|range| !range.is_empty()).collect()
    };
    Ok(HostTimes { of_hosts: of_hosts.iter().map(of_host).collect() })
}

/// The times whose wall time lies in `walls`.
fn of_wall(anchors: &[ClockAnchor], walls: &Range<i64>) -> Vec<Range<u128>> {
    let mut ranges: Vec<Range<u128>> = Vec::new();
    for (at, anchor) in anchors.iter().enumerate() {
        // The first anchor serves before it too.
        let begin_ns = if at == 0 { 0 } else { anchor.monotonic_ns.into() };
        let end_ns = anchors.get(at + 1).map_or(AFTER_ALL, |next| next.monotonic_ns.into());
        let time = |wall_ns: i64| match wall_ns {
            i64::MAX => AFTER_ALL,
            wall_ns => u128::try_from(i128::from(wall_ns) - anchor.offset_ns()).unwrap_or(0),
        };
        let range = time(walls.start).max(begin_ns)..time(walls.end).min(end_ns);
        match ranges.last_mut() {
            _ if range.is_empty() => {}
            Some(last) if last.end == range.start => last.end = range.end,
            _ => ranges.push(range),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Anchors of seconds on the events' clock and of wall time.
    fn clock(anchors: &[(u64, i64)]) -> Vec<ClockAnchor> {
        let anchor = |&(monotonic, wall): &(u64, i64)| ClockAnchor {
            monotonic_ns: monotonic,
            realtime_ns: wall,
            ..ClockAnchor::default()
        };
        anchors.iter().map(anchor).collect()
    }

    #[test]
    fn a_span_of_wall_time_is_what_the_anchors_make_of_it() {
        const END: u128 = AFTER_ALL;
        let times = |anchors: &[ClockAnchor], walls: Range<i64>| -> Vec<(u128, u128)> {
            of_wall(anchors, &walls).into_iter().map(|range| (range.start, range.end)).collect()
        };
        let steady = clock(&[(10, 1010), (20, 1020)]);
        assert_eq!(times(&steady, 1015..1025), [(15, 25)]);
        assert_eq!(times(&steady, 0..1005), [(0, 5)]);
        assert_eq!(times(&steady, 1012..i64::MAX), [(12, END)]);
        // Asleep between the anchors: the wall goes from 1020 to 1080 at once.
        let slept = clock(&[(10, 1010), (20, 1080)]);
        assert_eq!(times(&slept, 1050..i64::MAX), [(20, END)]);
        assert_eq!(times(&slept, i64::MIN..1050), [(0, 20)]);
        assert_eq!(times(&slept, 1030..1060), []);
        // Set back by 50: the wall was at 1000 to 1010 twice.
        let back = clock(&[(10, 1010), (60, 1010)]);
        assert_eq!(times(&back, 1050..i64::MAX), [(50, 60), (100, END)]);
        assert_eq!(times(&back, 1015..1020), [(15, 20), (65, 70)]);
    }
}
