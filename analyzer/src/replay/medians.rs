//! What is usual for the steps of a buffer: the medians of the stages and hand-offs around it.

use std::collections::HashMap;

use tracer_format::{Batch, BlockRef, Trace};

use crate::Result;
use crate::analysis::{Latency, analyze};
use crate::select::Selection;
use crate::stage::choice::choose_keys;
use crate::stage::{Draft, Stage};

/// Events around the buffer that are looked at, as far as whole blocks allow: the life of one buffer comes at once, however large the
/// trace is.
const NEAR: u64 = 1 << 17;
/// A median of fewer spans says nothing.
const FEW: u64 = 5;

/// The stages that a buffer may pass, and how long their steps take as a rule.
#[derive(Debug)]
pub struct Medians {
    pub(super) stages: Vec<Stage>,
    work_ns: HashMap<String, i64>,
    wait_ns: HashMap<String, i64>,
    /// Events that were looked at, if they are not all of the trace.
    pub(super) of_events: Option<u64>,
}

impl Medians {
    /// What is usual around the first of the selected events; `drafts` are the stages by their names.
    ///
    /// # Errors
    /// None but those of a walk over a trace.
    pub fn around(trace: &Trace<'_>, selection: &Selection, drafts: &[Draft]) -> Result<Self> {
        let stages = drafts.iter().map(|draft| draft.stage.clone()).collect();
        let mut made = Self { stages, work_ns: HashMap::new(), wait_ns: HashMap::new(), of_events: None };
        let Some((from_ns, to_ns)) =
            first_time(trace, selection).and_then(|at_ns| near(&trace.blocks, at_ns))
        else {
            return Ok(made);
        };
        let near = selection.of_every_probe().between(from_ns, to_ns);
        let chosen = choose_keys(trace, &near, drafts);
        let analysis = analyze(trace, &near, &chosen.stages, &mut ())?;
        let events = analysis.outcome.events;
        made.of_events = (events < trace.events()).then_some(events);
        for report in &analysis.stages {
            keep(&mut made.work_ns, report.stage.name.clone(), &report.latency);
        }
        for report in &analysis.hand_offs {
            keep(&mut made.wait_ns, report.name(&chosen.stages), &report.latency);
        }
        Ok(made)
    }

    /// The median of the work of a stage; `None` if it is not known, or nothing.
    pub(super) fn work_ns(&self, name: &str) -> Option<i64> {
        self.work_ns.get(name).copied()
    }

    /// The same of a wait.
    pub(super) fn wait_ns(&self, name: &str) -> Option<i64> {
        self.wait_ns.get(name).copied()
    }
}

fn keep(medians: &mut HashMap<String, i64>, name: String, latency: &Latency) {
    let median = latency.at(500).filter(|&median_ns| median_ns > 0 && latency.count() >= FEW);
    medians.extend(median.map(|median_ns| (name, median_ns)));
}

/// When the first of the selected events is.
fn first_time(trace: &Trace<'_>, selection: &Selection) -> Option<u64> {
    let mut batches = trace.batches_where(|block| selection.wants(block));
    while let Some(batch) = batches.next() {
        let Batch::Events { columns, rows } = batch else { continue };
        let found = selection.rows(trace, columns, rows, |rows| Err(columns.time_ns[rows.start]));
        if let Err(first_ns) = found {
            return Some(first_ns);
        }
    }
    None
}

/// From when to when the blocks around a time are.
fn near(blocks: &[BlockRef], at_ns: u64) -> Option<(u64, u64)> {
    let mut blocks: Vec<&BlockRef> = blocks.iter().collect();
    blocks.sort_by_key(|block| block.first_ns);
    let at = blocks.partition_point(|block| block.first_ns <= at_ns).checked_sub(1)?;
    let (mut first, mut last, mut events) = (at, at, u64::from(blocks[at].events));
    while events < NEAR && (first > 0 || last + 1 < blocks.len()) {
        // As far to both sides, where there is more on both.
        let before = at - first <= last - at && first > 0 || last + 1 == blocks.len();
        let next = if before { first - 1 } else { last + 1 };
        (first, last) = (first.min(next), last.max(next));
        events += u64::from(blocks[next].events);
    }
    let last_ns = blocks[first..=last].iter().map(|block| block.last_ns).max()?;
    Some((blocks[first].first_ns, last_ns))
}
