//! Events of one or several traces go to a new one: what `repair`, `cut` and `merge` do.
//!
//! Streams: at most one batch of each source is in memory. Traces of other boots or hosts are put on the clock of the first one by
//! their clock anchors; what several traces of one recorder have in common is copied once.

use std::io::Write;
use std::ops::RangeInclusive;

use tracer_format::{
    Batch, Batches, BlockRef, Columns, Copier, DamagedRange, Gap, HostId, Shift, Skipped, SkippedKind,
    Source, Trace, Writer,
};

use super::clocks::{ClockStep, clocks};
use super::damage::{gap_of, gaps_of, is_elsewhere};
use super::disguised::disguised;
use crate::Result;
use crate::select::{Outcome, Selection};

/// Threads that read ahead; more are quicker than the one that copies.
const MAX_READING: usize = 2;

/// A trace to copy from.
#[derive(Debug, Clone)]
pub struct Input<'t, 'a> {
    /// The trace.
    pub trace: &'t Trace<'a>,
    /// Which of its events.
    pub selection: Selection,
}

/// What was copied.
#[derive(Debug, Clone, Default)]
pub struct Copied {
    /// Events copied, and what is missing among them.
    pub outcome: Outcome,
    /// Events that another input had too, and that were copied once.
    pub repeated: u64,
    /// Events that several inputs may have, and that were copied from each: too many of one time to be compared.
    pub not_compared: u64,
    /// Pairs of inputs that recorded the same processes, of which one is redacted: what both have may have been copied twice.
    pub disguised: Vec<(usize, usize)>,
    /// Where the clock of an input was set, or its machine slept: later events went to another place.
    pub steps: Vec<ClockStep>,
}

/// A part of an input at work, whose events are in order: what of its current batch is still to be copied.
struct Running<'t, 'a> {
    input: &'t Input<'t, 'a>,
    /// Which of the inputs it is of.
    at: usize,
    /// Its times, on the clock of the input.
    window: RangeInclusive<u64>,
    batches: Batches<'t, 'a>,
    shift: Shift,
    columns: Columns,
    /// Selected rows of `columns` that are left, in order, last first.
    rows: Vec<usize>,
    gaps: Vec<Gap>,
    /// What was damaged on the way.
    damaged: Vec<DamagedRange>,
}

/// Copies the selected events of all `inputs` to `writer` in time order; the caller finishes it.
///
/// # Errors
/// [`Error::Missing`](crate::Error::Missing) if one of two inputs of different boots has no clock anchors;
/// [`Error::Format`](crate::Error::Format) if the writer fails. Damage is no error: it is in the outcome.
pub fn copy<W: Write>(inputs: &[Input<'_, '_>], writer: &mut Writer<W>) -> Result<Copied> {
    let mut copier = if inputs.len() > 1 { Copier::each_once() } else { Copier::default() };
    let traces: Vec<&Trace<'_>> = inputs.iter().map(|input| input.trace).collect();
    let clocks = clocks(&traces)?;
    let mut copied = Copied { steps: clocks.steps, ..Copied::default() };
    let mut sources = Vec::new();
    for (input, shift) in inputs.iter().zip(&clocks.shifts) {
        sources.push(begin(input, shift, &mut copier, writer, &mut copied.outcome)?);
    }
    for (at, source) in sources.iter().enumerate() {
        let mut to = Transfer { inputs, copier: &mut copier, writer, copied: &mut copied };
        gaps_of(inputs[at].trace).iter().try_for_each(|gap| to.damaged(at, source, gap))?;
    }
    for (at, from_ns, until_ns) in clocks.between {
        let (kind, reason) = (SkippedKind::Events, "no recorder was at work between two runs".to_owned());
        let skipped = Skipped { host: HostId(0), kind, from_ns, until_ns, reason, ..Skipped::default() };
        copier.skipped(&sources[at], &skipped, writer)?;
        copied.outcome.skipped.push(skipped);
    }
    let windows: Vec<(usize, &RangeInclusive<u64>)> =
        clocks.windows.iter().enumerate().flat_map(|(at, all)| all.iter().map(move |it| (at, it))).collect();
    if let [(at, window)] = windows[..] {
        let mut to = Transfer { inputs, copier: &mut copier, writer, copied: &mut copied };
        to.copy_one(at, window, &mut sources[at])?;
    } else {
        let part = |&(at, window): &(usize, &RangeInclusive<u64>)| {
            Running::new(&inputs[at], at, window.clone(), clocks.shifts[at].clone())
        };
        let running = windows.iter().map(part).collect();
        Transfer { inputs, copier: &mut copier, writer, copied: &mut copied }.merge(running, &mut sources)?;
    }
    for source in &sources {
        copier.finish(source, writer)?;
    }
    copied.not_compared = copier.not_compared();
    copied.disguised = disguised(&traces, copied.repeated > 0);
    Ok(copied)
}

/// Where events go, and what is told of them.
struct Transfer<'c, 't, 'a, W> {
    inputs: &'c [Input<'t, 'a>],
    copier: &'c mut Copier,
    writer: &'c mut Writer<W>,
    copied: &'c mut Copied,
}

impl<W: Write> Transfer<'_, '_, '_, W> {
    fn event(&mut self, source: &mut Source<'_>, columns: &Columns, row: usize) -> Result<()> {
        let is_new = self.copier.event(source, columns, row, self.writer)?;
        *(if is_new { &mut self.copied.outcome.events } else { &mut self.copied.repeated }) += 1;
        Ok(())
    }

    fn gap(&mut self, source: &Source<'_>, gap: &Gap) -> Result<()> {
        if self.copier.gap(source, gap, self.writer)? {
            self.copied.outcome.lost = self.copied.outcome.lost.saturating_add(gap.count);
            self.copied.outcome.gaps += 1;
        }
        Ok(())
    }

    /// Notes in the new trace that events of an input cannot be read: it is complete, and would know nothing of them.
    fn damaged(&mut self, at: usize, source: &Source<'_>, gap: &Gap) -> Result<()> {
        let Input { trace, selection } = &self.inputs[at];
        let others = self.inputs.iter().enumerate().filter(|(other, _)| *other != at);
        if selection.wants_gap(gap) && !is_elsewhere(gap, trace, others.map(|(_, input)| input.trace)) {
            self.copier.gap(source, gap, self.writer)?;
        }
        Ok(())
    }

    /// Copies the one part that there is: nothing is merged with it, and other threads read ahead.
    fn copy_one(&mut self, at: usize, window: &RangeInclusive<u64>, source: &mut Source<'_>) -> Result<()> {
        let Input { trace, selection } = &self.inputs[at];
        let wanted = |block: &BlockRef| wants(selection, window, block);
        trace.walk(wanted, trace.threads().min(MAX_READING), |batch| match batch {
            Batch::Events { columns, rows } => selection.rows(trace, columns, rows, |mut rows| {
                rows.try_for_each(|row| match window.contains(&columns.time_ns[row]) {
                    true => self.event(source, columns, row),
                    false => Ok(()),
                })
            }),
            Batch::Gap(gap) if selection.wants_gap(&gap) && window.contains(&gap.from_ns) => {
                self.gap(source, &gap)
            }
            Batch::Gap(_) => Ok(()),
            Batch::Damaged(range) => {
                self.copied.outcome.damage.push(range);
                self.damaged(at, source, &gap_of(&range, trace))
            }
        })
    }

    /// Copies all parts in the order of time.
    fn merge(&mut self, mut running: Vec<Running<'_, '_>>, sources: &mut [Source<'_>]) -> Result<()> {
        loop {
            for part in &mut running {
                part.fill();
                let at = part.at;
                part.gaps.drain(..).try_for_each(|gap| self.gap(&sources[at], &gap))?;
                for range in part.damaged.drain(..) {
                    self.copied.outcome.damage.push(range);
                    self.damaged(at, &sources[at], &gap_of(&range, part.input.trace))?;
                }
            }
            let Some((first, until_ns)) = next(&running) else { return Ok(()) };
            self.copier.others_from(until_ns);
            let part = &mut running[first];
            while let Some(time_ns) = part.time_ns()
                && time_ns <= until_ns
            {
                let row = part.rows.pop().expect("it has a time");
                self.event(&mut sources[part.at], &part.columns, row)?;
            }
        }
    }
}

/// Whether a block may have events of a window that are selected.
fn wants(selection: &Selection, window: &RangeInclusive<u64>, block: &BlockRef) -> bool {
    selection.wants(block) && block.last_ns >= *window.start() && block.first_ns <= *window.end()
}

/// The part whose event is next, and when those of the others come.
fn next(running: &[Running<'_, '_>]) -> Option<(usize, u64)> {
    let (mut first, mut until_ns) = (None, u64::MAX);
    for (at, part) in running.iter().enumerate() {
        let Some(time_ns) = part.time_ns() else { continue };
        match first {
            Some((first_ns, _)) if time_ns >= first_ns => until_ns = until_ns.min(time_ns),
            _ => {
                until_ns = first.map_or(u64::MAX, |(first_ns, _)| first_ns);
                first = Some((time_ns, at));
            }
        }
    }
    first.map(|(_, at)| (at, until_ns))
}

/// Defines what an input has, and says what is missing in it; lost events are counted where they are copied.
fn begin<'t, W: Write>(
    input: &Input<'t, '_>,
    shift: &Shift,
    copier: &mut Copier,
    writer: &mut Writer<W>,
    outcome: &mut Outcome,
) -> Result<Source<'t>> {
    let found = Outcome::of(input.trace, &input.selection);
    outcome.damage.extend(found.damage);
    outcome.incomplete |= found.incomplete;
    outcome.several_clocks |= found.several_clocks;
    outcome.skipped.extend(found.skipped);
    let wanted = |site| input.selection.wants_site(site);
    let source = copier.source(&input.trace.definitions, shift.clone(), wanted, writer)?;
    for skipped in input.selection.skipped(&input.trace.definitions) {
        copier.skipped(&source, &skipped, writer)?;
    }
    for anchor in &input.trace.clocks {
        copier.clock(&source, anchor, writer)?;
    }
    Ok(source)
}

impl<'t, 'a> Running<'t, 'a> {
    fn new(input: &'t Input<'t, 'a>, at: usize, window: RangeInclusive<u64>, shift: Shift) -> Self {
        let batches = input.trace.batches_where(|block| wants(&input.selection, &window, block));
        let (columns, rows) = (Columns::default(), Vec::new());
        Self { input, at, window, batches, shift, columns, rows, gaps: Vec::new(), damaged: Vec::new() }
    }

    /// Reads on until there are rows, or the end.
    fn fill(&mut self) {
        while self.rows.is_empty() {
            match self.batches.next() {
                Some(Batch::Events { columns, rows }) => {
                    let (selection, selected) = (&self.input.selection, &mut self.rows);
                    let (window, times) = (&self.window, &columns.time_ns);
                    let collected = selection.rows(self.input.trace, columns, rows, |rows| {
                        selected.extend(rows.filter(|&row| window.contains(&times[row])));
                        Ok::<(), std::convert::Infallible>(())
                    });
                    let Ok(()) = collected;
                    self.rows.reverse();
                    if !self.rows.is_empty() {
                        self.columns.clone_from(columns);
                    }
                }
                Some(Batch::Gap(gap)) => {
                    if self.input.selection.wants_gap(&gap) && self.window.contains(&gap.from_ns) {
                        self.gaps.push(gap);
                    }
                }
                // Each part reads over it.
                Some(Batch::Damaged(range)) if *self.window.start() == 0 => self.damaged.push(range),
                Some(Batch::Damaged(_)) => {}
                None => return,
            }
        }
    }

    /// Time of the next row on the clock of the new trace.
    fn time_ns(&self) -> Option<u64> {
        Some(self.shift.apply(self.columns.time_ns[*self.rows.last()?]))
    }
}

#[cfg(test)]
mod tests;
