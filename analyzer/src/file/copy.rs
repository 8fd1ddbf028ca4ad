//! Events of one or several traces go to a new one: what `repair`, `cut` and `merge` do.
//!
//! Streams: at most one batch of each source is in memory. Traces of other boots or hosts are shifted to the clock of the
//! first one by their clock anchors.

use std::io::Write;

use tracer_format::{Batch, Batches, ClockAnchor, Columns, Copier, Gap, Source, Trace, Writer};

use crate::select::{Outcome, Selection};
use crate::{Error, Result};

/// A trace to copy from.
#[derive(Debug, Clone)]
pub struct Input<'t, 'a> {
    /// The trace.
    pub trace: &'t Trace<'a>,
    /// Which of its events.
    pub selection: Selection,
}

/// A source at work: what of its current batch is still to be copied.
struct Running<'t, 'a> {
    input: &'t Input<'t, 'a>,
    batches: Batches<'t, 'a>,
    source: Source<'t>,
    shift_ns: i64,
    columns: Columns,
    /// Selected rows of `columns` that are left, in order, last first.
    rows: Vec<usize>,
    gaps: Vec<Gap>,
}

/// Copies the selected events of all `inputs` to `writer` in time order; the caller finishes it.
///
/// # Errors
/// [`Error::Missing`] if one of two inputs of different boots has no clock anchors; [`Error::Format`] if the writer fails. Damage is
/// no error: it is in the outcome.
pub fn copy<W: Write>(inputs: &[Input<'_, '_>], writer: &mut Writer<W>) -> Result<Outcome> {
    let mut copier = Copier::default();
    let mut outcome = Outcome::default();
    let mut running = Vec::with_capacity(inputs.len());
    for input in inputs {
        let shift_ns = shift(inputs[0].trace, input.trace)?;
        let found = Outcome::of(input.trace, &input.selection);
        outcome.lost = outcome.lost.saturating_add(found.lost);
        outcome.gaps += found.gaps;
        outcome.damage.extend(found.damage);
        outcome.incomplete |= found.incomplete;
        outcome.skipped.extend(found.skipped);
        let wanted = |site| input.selection.wants_site(site);
        let source = copier.source(&input.trace.definitions, shift_ns, wanted, writer)?;
        for skipped in input.selection.skipped(&input.trace.definitions) {
            copier.skipped(&source, &skipped, writer)?;
        }
        for anchor in &input.trace.clocks {
            copier.clock(&source, anchor, writer)?;
        }
        let batches = input.trace.batches_where(|block| input.selection.wants(block));
        let columns = Columns::default();
        running.push(Running {
            input,
            batches,
            source,
            shift_ns,
            columns,
            rows: Vec::new(),
            gaps: Vec::new(),
        });
    }
    loop {
        for source in &mut running {
            source.fill(&mut outcome);
            for gap in source.gaps.drain(..) {
                copier.gap(&source.source, &gap, writer)?;
            }
        }
        let mut times: Vec<(u64, usize)> =
            running.iter().enumerate().filter_map(|(at, source)| Some((source.time_ns()?, at))).collect();
        times.sort_unstable();
        let Some(&(_, first)) = times.first() else { break };
        let until_ns = times.get(1).map_or(u64::MAX, |&(time_ns, _)| time_ns);
        let source = &mut running[first];
        while let Some(time_ns) = source.time_ns()
            && time_ns <= until_ns
        {
            let row = source.rows.pop().expect("it has a time");
            copier.event(&mut source.source, &source.columns, row, writer)?;
            outcome.events += 1;
        }
    }
    for source in &running {
        copier.finish(&source.source, writer)?;
    }
    Ok(outcome)
}

impl Running<'_, '_> {
    /// Reads on until there are rows, or the end.
    fn fill(&mut self, outcome: &mut Outcome) {
        while self.rows.is_empty() {
            match self.batches.next() {
                Some(Batch::Events { columns, rows }) => {
                    let (selection, selected) = (&self.input.selection, &mut self.rows);
                    let collected = selection.rows(self.input.trace, columns, rows, |rows| {
                        selected.extend(rows);
                        Ok::<(), std::convert::Infallible>(())
                    });
                    let Ok(()) = collected;
                    self.rows.reverse();
                    if !self.rows.is_empty() {
                        self.columns.clone_from(columns);
                    }
                }
                Some(Batch::Gap(gap)) if self.input.selection.wants_gap(&gap) => self.gaps.push(gap),
                Some(Batch::Gap(_)) => {}
                Some(Batch::Damaged(range)) => outcome.damage.push(range),
                None => return,
            }
        }
    }

    /// Time of the next row on the clock of the new trace.
    fn time_ns(&self) -> Option<u64> {
        let row = *self.rows.last()?;
        Some(self.columns.time_ns[row].saturating_add_signed(self.shift_ns))
    }
}

/// What to add to times of `other` to have them on the clock of `base`: 0 within one boot of one host.
fn shift(base: &Trace<'_>, other: &Trace<'_>) -> Result<i64> {
    let boot = |trace: &Trace<'_>| trace.definitions.hosts.first().map(|host| host.boot_id.clone());
    if std::ptr::eq(base, other) || (boot(base).is_some_and(|id| !id.is_empty()) && boot(base) == boot(other))
    {
        return Ok(0);
    }
    let offset_ns = |trace: &Trace<'_>| trace.clocks.first().map(ClockAnchor::offset_ns);
    let (base, other) = match (offset_ns(base), offset_ns(other)) {
        (Some(base), Some(other)) => (base, other),
        // Imported logs know of no clock but the one that their times are of.
        (None, None) => return Ok(0),
        _ => {
            return Err(Error::Missing(
                "the traces are of different boots and one has no clock anchors: their times cannot be compared",
            ));
        }
    };
    i64::try_from(other - base).map_err(|_| Error::Missing("the clocks of the traces are too far apart"))
}
