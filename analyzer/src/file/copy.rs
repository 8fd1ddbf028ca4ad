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
    for (input, shift_ns) in inputs.iter().zip(shifts(inputs)?) {
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

/// What to add to the times of each input to have them on one clock: that of the first, or, where another one has times from
/// before that clock began, one that began earlier.
fn shifts(inputs: &[Input<'_, '_>]) -> Result<Vec<i64>> {
    let mut shifts = Vec::with_capacity(inputs.len());
    let mut earliest = 0;
    for Input { trace, .. } in inputs {
        let shift_ns = shift(inputs[0].trace, trace)?;
        let times = trace.blocks.iter().map(|block| block.first_ns);
        let times = times.chain(trace.gaps.iter().map(|gap| gap.from_ns));
        let times = times.chain(trace.clocks.iter().map(|anchor| anchor.monotonic_ns));
        let first = times.min().map_or(0, |first_ns| i128::from(first_ns) + i128::from(shift_ns));
        earliest = first.min(earliest);
        shifts.push(shift_ns);
    }
    let later = |shift_ns| i64::try_from(i128::from(shift_ns) - earliest).map_err(|_| TOO_FAR);
    shifts.into_iter().map(later).collect()
}

const TOO_FAR: Error = Error::Missing("the clocks of the traces are too far apart");

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
    i64::try_from(other - base).map_err(|_| TOO_FAR)
}

#[cfg(test)]
mod tests {
    use tracer_format::{
        ArgKind, Firing, Host, HostId, Process, Site, SiteId, Thread, ThreadId, WriterOptions,
    };

    use super::*;

    /// A trace of another boot each, with one event; times in seconds: of the event, of the anchor, its wall time.
    fn recorded(boot_id: &str, at: u64, anchor: u64, wall: i64) -> Vec<u8> {
        const SECOND: u64 = 1_000_000_000;
        let mut writer = Writer::new(Vec::new(), WriterOptions::default()).unwrap();
        writer.host(Host { boot_id: boot_id.into(), ..Host::default() }).unwrap();
        let process = writer.process(Process { pid: 7, ..Process::default() }).unwrap();
        writer.thread(Thread { process, tid: 7 }).unwrap();
        writer.site(Site { probe: "p".into(), args: vec![ArgKind::Signed(8)], ..Site::default() }).unwrap();
        let realtime_ns = wall * SECOND.cast_signed();
        let monotonic_ns = anchor * SECOND;
        writer
            .clock(ClockAnchor { host: HostId(0), monotonic_ns, realtime_ns, ..ClockAnchor::default() })
            .unwrap();
        let (thread, site, values) = (ThreadId(0), SiteId(0), &[1]);
        writer.push(&Firing { time_ns: at * SECOND, thread, site, cpu: 0, unreadable: 0, values }).unwrap();
        writer.finish().unwrap()
    }

    #[test]
    fn events_from_before_the_boot_of_the_first_trace_keep_their_distance() {
        // The second host was up for 1000 s when the first one booted, and fired 8 s before that.
        let files = [recorded("new", 2, 1, 101), recorded("old", 1002, 1000, 90)];
        let traces = [Trace::open(&files[0]).unwrap(), Trace::open(&files[1]).unwrap()];
        let inputs: Vec<_> =
            traces.iter().map(|trace| Input { trace, selection: Selection::all() }).collect();
        let mut writer = Writer::new(Vec::new(), WriterOptions::default()).unwrap();
        assert_eq!(copy(&inputs, &mut writer).unwrap().events, 2);
        let bytes = writer.finish().unwrap();
        let merged = Trace::open(&bytes).unwrap();
        let (first_ns, last_ns) = merged.time_range().unwrap();
        assert_eq!(last_ns - first_ns, 10_000_000_000, "wall times 92 and 102 s");
    }
}
