//! Events of one or several traces go to a new one: what `repair`, `cut` and `merge` do.
//!
//! Streams: at most one batch of each source is in memory. Traces of other boots or hosts are put on the clock of the first one by
//! their clock anchors; what several traces of one recorder have in common is copied once.

use std::io::Write;
use std::ops::RangeInclusive;

use tracer_format::{
    Batch, Batches, BlockRef, Columns, Copier, Gap, HostId, Shift, Skipped, SkippedKind, Source, Trace,
    Writer,
};

use super::clocks::{ClockStep, clocks};
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
    for (at, from_ns, until_ns) in clocks.between {
        let (kind, reason) = (SkippedKind::Events, "no recorder was at work between two runs".to_owned());
        let skipped = Skipped { host: HostId(0), kind, from_ns, until_ns, reason, ..Skipped::default() };
        copier.skipped(&sources[at], &skipped, writer)?;
        copied.outcome.skipped.push(skipped);
    }
    let windows: Vec<(usize, &RangeInclusive<u64>)> =
        clocks.windows.iter().enumerate().flat_map(|(at, all)| all.iter().map(move |it| (at, it))).collect();
    if let [(at, window)] = windows[..] {
        let mut to = Transfer { copier: &mut copier, writer, copied: &mut copied };
        to.copy_one(&inputs[at], window, &mut sources[at])?;
    } else {
        let part = |&(at, window): &(usize, &RangeInclusive<u64>)| {
            Running::new(&inputs[at], at, window.clone(), clocks.shifts[at].clone())
        };
        let running = windows.iter().map(part).collect();
        Transfer { copier: &mut copier, writer, copied: &mut copied }.merge(running, &mut sources)?;
    }
    for source in &sources {
        copier.finish(source, writer)?;
    }
    copied.not_compared = copier.not_compared();
    copied.disguised = disguised(&traces, copied.repeated > 0);
    Ok(copied)
}

/// Where events go, and what is told of them.
struct Transfer<'c, W> {
    copier: &'c mut Copier,
    writer: &'c mut Writer<W>,
    copied: &'c mut Copied,
}

impl<W: Write> Transfer<'_, W> {
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

    /// Copies the one part that there is: nothing is merged with it, and other threads read ahead.
    fn copy_one(
        &mut self,
        input: &Input<'_, '_>,
        window: &RangeInclusive<u64>,
        source: &mut Source<'_>,
    ) -> Result<()> {
        let (trace, selection) = (input.trace, &input.selection);
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
                Ok(())
            }
        })
    }

    /// Copies all parts in the order of time.
    fn merge(&mut self, mut running: Vec<Running<'_, '_>>, sources: &mut [Source<'_>]) -> Result<()> {
        loop {
            for part in &mut running {
                part.fill(&mut self.copied.outcome);
                let at = part.at;
                part.gaps.drain(..).try_for_each(|gap| self.gap(&sources[at], &gap))?;
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
        let (columns, rows, gaps) = (Columns::default(), Vec::new(), Vec::new());
        Self { input, at, window, batches, shift, columns, rows, gaps }
    }

    /// Reads on until there are rows, or the end.
    fn fill(&mut self, outcome: &mut Outcome) {
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
                Some(Batch::Damaged(range)) if *self.window.start() == 0 => outcome.damage.push(range),
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
mod tests {
    use tracer_format::{
        ArgKind, ClockAnchor, Firing, Host, Process, Site, SiteId, Thread, ThreadId, WriterOptions,
    };

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    /// A trace of a boot; times in seconds: of the events, and of anchors: on the events' clock, since boot, by the calendar.
    fn recorded(boot_id: &str, events: &[u64], anchors: &[(u64, u64, i64)]) -> Vec<u8> {
        let mut writer = Writer::new(Vec::new(), WriterOptions::default()).unwrap();
        writer.host(Host { boot_id: boot_id.into(), ..Host::default() }).unwrap();
        let process = writer.process(Process { pid: 7, ..Process::default() }).unwrap();
        writer.thread(Thread { process, tid: 7 }).unwrap();
        writer.site(Site { probe: "p".into(), args: vec![ArgKind::Signed(8)], ..Site::default() }).unwrap();
        for &(monotonic, boottime, wall) in anchors {
            let realtime_ns = wall * SECOND.cast_signed();
            let (monotonic_ns, boottime_ns) = (monotonic * SECOND, boottime * SECOND);
            let anchor = ClockAnchor { monotonic_ns, boottime_ns, realtime_ns, ..ClockAnchor::default() };
            writer.clock(anchor).unwrap();
        }
        for &at in events {
            let (thread, site, values) = (ThreadId(0), SiteId(0), &[at]);
            writer
                .push(&Firing { time_ns: at * SECOND, thread, site, cpu: 0, unreadable: 0, values })
                .unwrap();
        }
        writer.finish().unwrap()
    }

    /// What came of merging files, and the merged file.
    fn merged(files: &[&Vec<u8>]) -> (Copied, Vec<u8>) {
        let traces: Vec<_> = files.iter().map(|file| Trace::open(file).unwrap()).collect();
        let inputs: Vec<_> =
            traces.iter().map(|trace| Input { trace, selection: Selection::all() }).collect();
        let mut writer = Writer::new(Vec::new(), WriterOptions::default()).unwrap();
        let copied = copy(&inputs, &mut writer).unwrap();
        (copied, writer.finish().unwrap())
    }

    /// Times in seconds and arguments of the events, in the order of the file.
    fn events(file: &[u8]) -> Vec<(u64, u64)> {
        let trace = Trace::open(file).unwrap();
        let mut batches = trace.batches();
        let mut events = Vec::new();
        while let Some(batch) = batches.next() {
            if let Batch::Events { columns, rows } = batch {
                events.extend(rows.map(|row| (columns.time_ns[row] / SECOND, columns.row_values(row)[0])));
            }
        }
        events
    }

    #[test]
    fn events_from_before_the_boot_of_the_first_trace_keep_their_distance() {
        // The second host was up for 1000 s when the first one booted, and fired 8 s before that.
        let files = [recorded("new", &[2], &[(1, 1, 101)]), recorded("old", &[1002], &[(1000, 1000, 90)])];
        let (copied, merged) = merged(&[&files[0], &files[1]]);
        assert_eq!(copied.outcome.events, 2);
        let (first_ns, last_ns) = Trace::open(&merged).unwrap().time_range().unwrap();
        assert_eq!(last_ns - first_ns, 10 * SECOND, "wall times 92 and 102 s");
    }

    #[test]
    fn what_was_merged_is_merged_with_more_of_its_boot() {
        let files = [recorded("new", &[2], &[(1, 1, 101)]), recorded("old", &[1002], &[(1000, 1000, 90)])];
        let (_, both) = merged(&[&files[0], &files[1]]);
        // By the calendar the events were at 92, 102 and 105 s, of which the one at 102 s is in both.
        let more = recorded("new", &[2, 5], &[(1, 1, 101), (6, 6, 106)]);
        for order in [[&both, &more], [&more, &both]] {
            let (copied, all) = merged(&order);
            let found = events(&all);
            let apart: Vec<u64> = found.iter().map(|event| event.0 - found[0].0).collect();
            assert_eq!((apart, copied.repeated), (vec![0, 10, 13], 1));
        }
    }

    #[test]
    fn every_anchor_of_other_hosts_is_followed() {
        let base = recorded("base", &[10, 100], &[(0, 0, 1000)]);
        let step = |slept| ClockStep { input: 1, at_ns: 30 * SECOND, by_ns: 60_000_000_000, slept };
        // Set forward by 60 s, and asleep for as long: wall times 1020, 1095 and 1100 s.
        for (boottime, slept) in [(30, false), (90, true)] {
            let other = recorded("other", &[20, 35, 40], &[(10, 10, 1010), (30, boottime, 1090)]);
            let (copied, file) = merged(&[&base, &other]);
            assert_eq!(copied.steps, [step(slept)]);
            assert_eq!(events(&file), [(10, 10), (20, 20), (95, 35), (100, 40), (100, 100)]);
        }
        // The same where it is the first trace whose clock was set.
        let other = recorded("other", &[20, 35, 40], &[(10, 10, 1010), (30, 30, 1090)]);
        let (_, file) = merged(&[&other, &base]);
        assert_eq!(events(&file), [(10, 10), (20, 20), (95, 35), (100, 40), (100, 100)]);
    }

    #[test]
    fn events_are_in_order_where_a_clock_was_set_back() {
        let base = recorded("base", &[1, 18], &[(0, 0, 1000)]);
        // At 20 s the clock goes from 1020 to 1010 s.
        let back = recorded("back", &[14, 19, 21, 25], &[(0, 0, 1000), (20, 20, 1010)]);
        let (copied, file) = merged(&[&base, &back]);
        assert_eq!(copied.steps[0].by_ns, -10_000_000_000);
        assert_eq!(events(&file), [(1, 1), (11, 21), (14, 14), (15, 25), (18, 18), (19, 19)]);
    }

    #[test]
    fn what_reading_clocks_takes_is_no_step() {
        let mut other = recorded("other", &[10, 40], &[(0, 0, 1000), (20, 20, 1020)]);
        let base = recorded("base", &[1], &[(0, 0, 1000)]);
        let (copied, _) = merged(&[&base, &other]);
        assert_eq!(copied.steps, []);
        // Within one boot nothing moves, whatever the calendar says.
        other = recorded("base", &[10, 40], &[(0, 0, 1000), (20, 20, 5000)]);
        let (copied, file) = merged(&[&base, &other]);
        assert_eq!((copied.steps, events(&file)), (vec![], vec![(1, 1), (10, 10), (40, 40)]));
    }

    #[test]
    fn what_several_traces_have_in_common_is_taken_once() {
        let one = recorded("a", &[1, 2, 3, 3, 4], &[(0, 0, 1000), (5, 5, 1005)]);
        let two = recorded("a", &[3, 4, 5], &[(3, 3, 1003), (6, 6, 1006)]);
        let (copied, file) = merged(&[&one, &two]);
        assert_eq!((copied.repeated, copied.outcome.events), (2, 6));
        assert_eq!(events(&file).iter().map(|event| event.0).collect::<Vec<_>>(), [1, 2, 3, 3, 4, 5]);
        assert!(copied.outcome.skipped.is_empty());
    }

    proptest::proptest! {
        /// As often as the source has it that has it most often, wherever the events of the others stand.
        #[test]
        fn what_any_traces_have_in_common_is_taken_as_often_as_one_has_it(
            sources in proptest::collection::vec(proptest::collection::vec(1..12_u64, 0..25), 2..5),
        ) {
            let record = |times: &Vec<u64>| {
                let mut times = times.clone();
                times.sort_unstable();
                recorded("a", &times, &[(0, 0, 1000), (20, 20, 1020)])
            };
            let files: Vec<Vec<u8>> = sources.iter().map(record).collect();
            let (copied, file) = merged(&files.iter().collect::<Vec<_>>());
            let count = |times: &Vec<u64>, time: u64| times.iter().filter(|&&it| it == time).count();
            let most = |time| sources.iter().map(|times| count(times, time)).max().unwrap_or_default();
            let expected: Vec<u64> = (1..12).flat_map(|time| vec![time; most(time)]).collect();
            let found: Vec<u64> = events(&file).iter().map(|event| event.0).collect();
            let all: usize = sources.iter().map(Vec::len).sum();
            proptest::prop_assert_eq!(copied.repeated, (all - expected.len()) as u64);
            proptest::prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn the_time_between_two_runs_was_not_recorded() {
        let one = recorded("a", &[1, 2], &[(0, 0, 1000), (5, 5, 1005)]);
        let two = recorded("a", &[9], &[(8, 8, 1008), (10, 10, 1010)]);
        for order in [[&one, &two], [&two, &one]] {
            let (_, file) = merged(&order);
            let skipped = &Trace::open(&file).unwrap().definitions.skipped[..];
            let [Skipped { from_ns, until_ns, .. }] = skipped else { panic!("{skipped:?}") };
            assert_eq!((*from_ns, *until_ns), (5 * SECOND, 8 * SECOND));
        }
    }
}
