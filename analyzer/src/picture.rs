//! A trace for timeline viewers, and what the viewers have in common: which slices fit on a thread, and the numbers of
//! processes and threads.

pub mod chrome;
pub mod ctf;
pub mod perfetto;

mod buffers;
mod canvas;
mod count;
mod lanes;
mod layout;
mod on_threads;
mod order;
mod overview;
mod tracks;

use tracer_format::{Gap, Trace};

use crate::pair::Class;
use crate::select::Selection;

/// Whether the events are drawn, an instant each: they are most of a picture's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probes {
    /// They are.
    Drawn,
    /// Stages, hand-offs, irregular ends and loss are, events are not.
    LeftOut,
}

/// Where complete spans are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpanPlace {
    /// On their threads; beside them where they overlap.
    Threads,
    /// On a track for each buffer, those of stages whose key is that of a buffer.
    Buffers,
}

/// What is drawn, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drawn {
    /// The events.
    pub probes: Probes,
    /// The spans.
    pub spans: SpanPlace,
}

impl From<Probes> for Drawn {
    fn from(probes: Probes) -> Self {
        Self { probes, spans: SpanPlace::Threads }
    }
}

/// When the picture begins: at the first event or loss that is selected, CLOCK_MONOTONIC ns; 0 if there is neither.
pub(crate) fn start_ns(trace: &Trace<'_>, selection: &Selection) -> u64 {
    let events = trace.blocks.iter().filter(|block| selection.wants(block)).map(|block| block.first_ns);
    let gaps = trace.gaps.iter().filter(|gap| selection.wants_gap(gap)).map(|gap| gap.from_ns);
    events.chain(gaps).min().unwrap_or(0)
}

/// Name of a begin or end that is part of no complete span of `stage`.
pub(crate) fn irregular_name(stage: &str, class: Class) -> String {
    format!("{stage}: {}", class.name().replace('_', " "))
}

/// Name of the track with the events that a gap lost.
pub(crate) fn gap_name(gap: &Gap) -> String {
    if gap.cpu == Gap::ANY_CPU { "lost events".to_owned() } else { format!("lost events on CPU {}", gap.cpu) }
}
