//! What times that a user names are in a trace.

use std::ops::Range;

use tracer_format::grammar::Moment;
use tracer_format::{ClockAnchor, Known};

use super::clock::anchors;
use crate::{Error, Result};

/// The times on the clock of the events that are not before `from` and before `to`, disjoint and ascending.
///
/// Wall time may have been set, or have gone on while the machine slept: each event has that of the last clock anchor before it,
/// so a span of wall time may be several of the events' clock.
///
/// # Errors
/// [`Error::Missing`] for wall time in a trace without clock anchors.
pub(super) fn times(from: Option<Moment>, to: Option<Moment>, trace: &Known) -> Result<Vec<Range<u64>>> {
    let start_ns = trace.time_range().map_or(0, |(first_ns, _)| first_ns);
    let (mut offsets, mut walls) = (0..u64::MAX, i64::MIN..i64::MAX);
    match from {
        Some(Moment::Offset(offset_ns)) => offsets.start = start_ns.saturating_add(offset_ns),
        Some(Moment::Wall(wall_ns)) => walls.start = wall_ns,
        None => {}
    }
    match to {
        Some(Moment::Offset(offset_ns)) => offsets.end = start_ns.saturating_add(offset_ns),
        Some(Moment::Wall(wall_ns)) => walls.end = wall_ns,
        None => {}
    }
    if walls == (i64::MIN..i64::MAX) {
        return Ok(vec![offsets]);
    }
    let anchors = anchors(trace);
    if anchors.is_empty() {
        return Err(Error::Missing(
            "the trace has no clock anchors, so its wall time is unknown; give an offset such as 1.5s",
        ));
    }
    let within = |range: Range<u64>| range.start.max(offsets.start)..range.end.min(offsets.end);
    let ranges = of_wall(&anchors, &walls).into_iter().map(within);
    Ok(ranges.filter(|range| !range.is_empty()).collect())
}

/// The times whose wall time lies in `walls`.
fn of_wall(anchors: &[ClockAnchor], walls: &Range<i64>) -> Vec<Range<u64>> {
    let mut ranges: Vec<Range<u64>> = Vec::new();
    for (at, anchor) in anchors.iter().enumerate() {
        // The first anchor serves before it too.
        let begin_ns = if at == 0 { 0 } else { anchor.monotonic_ns };
        let end_ns = anchors.get(at + 1).map_or(u64::MAX, |next| next.monotonic_ns);
        let time = |wall_ns: i64| match wall_ns {
            i64::MAX => u64::MAX,
            wall_ns => u64::try_from((i128::from(wall_ns) - anchor.offset_ns()).max(0)).unwrap_or(u64::MAX),
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
        const END: u64 = u64::MAX;
        let times = |anchors: &[ClockAnchor], walls: Range<i64>| -> Vec<(u64, u64)> {
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
