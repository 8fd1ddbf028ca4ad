//! Events whose time does not fit into a column of int64.

use tracer_format::{Batch, Trace};

use crate::Selection;

/// The last time that fits.
const LAST_NS: u64 = i64::MAX.cast_unsigned();

/// A time as tables have it: one that is later than fits is the last that does.
pub(super) fn nanos(time_ns: u64) -> i64 {
    time_ns.min(LAST_NS).cast_signed()
}

/// Selected events with a later time: only traces of clocks that are not a machine's have any, so only their blocks are read.
pub(super) fn count(trace: &Trace<'_>, selection: &Selection) -> u64 {
    let mut late = 0;
    let mut batches = trace.batches_where(|block| block.last_ns > LAST_NS && selection.wants(block));
    while let Some(batch) = batches.next() {
        if let Batch::Events { columns, rows } = batch {
            let _ = selection.rows(trace, columns, rows, |rows| {
                late += columns.time_ns[rows].iter().filter(|&&time_ns| time_ns > LAST_NS).count() as u64;
                Ok::<(), ()>(())
            });
        }
    }
    late
}
