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

/// Bytes of a thread's name. A program that runs has no longer one, as file names have not; but in a trace one may be longer, and every
/// thread repeats it.
pub const MAX_THREAD_NAME_BYTES: usize = 255;

/// Name of a thread of `program`.
pub(crate) fn thread_name(program: &str) -> &str {
    &program[..program.floor_char_boundary(MAX_THREAD_NAME_BYTES)]
}

/// Name of a begin or end that is part of no complete span of `stage`.
pub(crate) fn irregular_name(stage: &str, class: Class) -> String {
    format!("{stage}: {}", class.name().replace('_', " "))
}

/// Name of the track with the events that a gap lost.
pub(crate) fn gap_name(gap: &Gap) -> String {
    if gap.cpu == Gap::ANY_CPU { "lost events".to_owned() } else { format!("lost events on CPU {}", gap.cpu) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_thread_is_bounded() {
        assert_eq!(thread_name("sink"), "sink");
        let long = format!("a{}", "\u{e9}".repeat(200));
        assert_eq!(thread_name(&long), &long[..MAX_THREAD_NAME_BYTES]);
        assert_eq!(thread_name(&long[1..]).len(), MAX_THREAD_NAME_BYTES - 1);
    }
}
