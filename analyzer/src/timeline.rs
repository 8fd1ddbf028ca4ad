//! What the pictures of a trace have in common: which slices fit on a thread, and the numbers of processes and threads.

pub(crate) mod layout;
pub(crate) mod tracks;

use tracer_format::Trace;

use crate::filter::Selection;

/// When the picture begins: at the first event or loss that is selected, CLOCK_MONOTONIC ns; 0 if there is neither.
pub(crate) fn start_ns(trace: &Trace<'_>, selection: &Selection) -> u64 {
    let events = trace.blocks.iter().filter(|block| selection.wants(block)).map(|block| block.first_ns);
    let gaps = trace.gaps.iter().filter(|gap| selection.wants_gap(gap)).map(|gap| gap.from_ns);
    events.chain(gaps).min().unwrap_or(0)
}
