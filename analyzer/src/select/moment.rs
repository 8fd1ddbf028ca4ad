//! What moments that a user names are in a trace.

use tracer_format::Known;
use tracer_format::grammar::Moment;

use super::clock::anchors;
use crate::{Error, Result};

/// What `moment` is on the clock of the events; 0 if it is before the clock's start.
///
/// # Errors
/// [`Error::Missing`] for wall time in a trace without clock anchors.
pub(super) fn monotonic_ns(moment: Moment, trace: &Known) -> Result<u64> {
    match moment {
        Moment::Offset(offset_ns) => {
            let start_ns = trace.time_range().map_or(0, |(first_ns, _)| first_ns);
            Ok(start_ns.saturating_add(offset_ns))
        }
        Moment::Wall(wall_ns) => {
            let anchors = anchors(trace);
            let after = anchors.partition_point(|anchor| anchor.realtime_ns <= wall_ns);
            let anchor = anchors.get(after.saturating_sub(1)).ok_or(Error::Missing(
                "the trace has no clock anchors, so its wall time is unknown; give an offset such as 1.5s",
            ))?;
            let monotonic = i128::from(wall_ns) - anchor.offset_ns();
            Ok(u64::try_from(monotonic.max(0)).unwrap_or(u64::MAX))
        }
    }
}
