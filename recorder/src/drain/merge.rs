//! Puts the raw events of all buffers in one order: by time, then CPU, then position in the buffer.
//!
//! All ascending runs of all parts are merged. The caller pulls events; those later than the time that all buffers are
//! complete to stay until a later call. Parts are moved in, and given back empty once all their events were pulled.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::drain::batch::{Batch, Part};
use crate::kernel::raw::Raw;

/// Raw events waiting for their turn.
#[derive(Debug, Default)]
pub struct Merge {
    /// Parts with events that wait; a place without any is used again.
    parts: Vec<Waiting>,
    free: Vec<usize>,
    /// Runs by their next event, except the current one.
    heap: BinaryHeap<Reverse<Run>>,
    current: Option<Run>,
    /// Whether the next event of `current` was returned already.
    given: bool,
    runs: u64,
    spare: Vec<Part>,
    /// Events that contradicted themselves and were left out; always 0 unless the kernel is broken.
    pub malformed: u64,
}

#[derive(Debug, Default)]
struct Waiting {
    part: Part,
    /// Runs that are not used up.
    runs: usize,
}

/// Events of one part that ascend in time; runs are ordered by their next event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Run {
    time_ns: u64,
    cpu: u16,
    /// Number of the run, in the order of the buffers.
    number: u64,
    /// Index of the part, of the next event in it, and behind the last one.
    part: usize,
    next: usize,
    end: usize,
}

impl Merge {
    /// Moves the events of `batch` in; leaves spare parts instead.
    pub fn push(&mut self, batch: &mut Batch) {
        self.malformed += batch.malformed;
        for part in batch.parts.drain(..) {
            let place = self.free.pop().unwrap_or_else(|| {
                self.parts.push(Waiting::default());
                self.parts.len() - 1
            });
            for (next, end) in part.runs() {
                let (time_ns, cpu, number) = (part.time_ns(next), part.cpu, self.runs);
                self.runs += 1;
                self.heap.push(Reverse(Run { time_ns, cpu, number, part: place, next, end }));
            }
            let runs = part.runs().len();
            self.parts[place] = Waiting { part, runs };
        }
        batch.spare.append(&mut self.spare);
    }

    /// The next event in order, if it is not later than `until_ns`. Use [`Batch::complete_ns`], or `u64::MAX` at the end.
    pub fn next(&mut self, until_ns: u64) -> Option<Raw<'_>> {
        if std::mem::take(&mut self.given) {
            self.step();
        }
        // Stay with this run as long as no other has an earlier event: no heap at all while one CPU is busy.
        let other = self.heap.peek().map(|Reverse(run)| run);
        if self.current.as_ref().is_none_or(|run| other.is_some_and(|other| other < run)) {
            let next = self.heap.pop().map(|Reverse(run)| run);
            self.heap.extend(std::mem::replace(&mut self.current, next).map(Reverse));
        }
        let run = self.current.filter(|run| run.time_ns <= until_ns)?;
        self.given = true;
        Some(self.parts[run.part].part.event(run.next))
    }

    /// Moves past the event that was returned last.
    fn step(&mut self) {
        let Some(run) = &mut self.current else { return };
        run.next += 1;
        let waiting = &mut self.parts[run.part];
        if run.next < run.end {
            run.time_ns = waiting.part.time_ns(run.next);
            return;
        }
        waiting.runs -= 1;
        if waiting.runs == 0 {
            let mut part = std::mem::take(&mut waiting.part);
            part.clear();
            self.spare.push(part);
            self.free.push(run.part);
        }
        self.current = None;
    }

    /// Bytes of parts with events that wait.
    #[must_use]
    pub fn waiting_bytes(&self) -> usize {
        self.parts.iter().map(|waiting| waiting.part.size_words() * 8).sum()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::kernel::raw::RawHead;
    use tracer_format::SiteId;

    /// A batch with the events (time, site) of each CPU.
    fn batch(parts: &[(u16, &[(u64, u32)])]) -> Batch {
        let mut batch = Batch::default();
        for (cpu, events) in parts {
            let mut part = Part::new(*cpu);
            for &(time_ns, site) in *events {
                part.push(RawHead { time_ns, site: SiteId(site), count: 1, ..RawHead::default() }, &[0]);
            }
            batch.parts.push(part);
        }
        batch
    }

    fn release(merge: &mut Merge, until_ns: u64) -> Vec<(u64, u16, u32)> {
        let mut out = Vec::new();
        while let Some(raw) = merge.next(until_ns) {
            out.push((raw.time_ns, raw.cpu, raw.site.0));
        }
        out
    }

    #[test]
    fn buffers_are_merged_by_time_then_cpu_then_position() {
        let mut merge = Merge::default();
        merge.push(&mut batch(&[(1, &[(5, 0), (7, 0), (7, 1)]), (0, &[(6, 0), (7, 2), (9, 0)])]));
        let expected = [(5, 1, 0), (6, 0, 0), (7, 0, 2), (7, 1, 0), (7, 1, 1), (9, 0, 0)];
        assert_eq!(release(&mut merge, u64::MAX), expected);
        assert_eq!(merge.waiting_bytes(), 0);
    }

    #[test]
    fn an_event_that_was_overtaken_in_its_buffer_is_put_right() {
        let mut merge = Merge::default();
        merge.push(&mut batch(&[(0, &[(10, 0), (40, 1), (20, 2), (30, 3), (50, 4)])]));
        let sites: Vec<u32> = release(&mut merge, u64::MAX).iter().map(|event| event.2).collect();
        assert_eq!(sites, [0, 2, 3, 1, 4]);
    }

    #[test]
    fn what_is_later_than_complete_waits_for_the_next_batch() {
        let mut merge = Merge::default();
        merge.push(&mut batch(&[(0, &[(10, 0), (20, 0), (30, 0)])]));
        assert_eq!(release(&mut merge, 20), [(10, 0, 0), (20, 0, 0)]);
        merge.push(&mut batch(&[(1, &[(15, 0), (25, 0)]), (0, &[(35, 0)])]));
        assert_eq!(release(&mut merge, 30), [(15, 1, 0), (25, 1, 0), (30, 0, 0)]);
        assert_eq!(release(&mut merge, u64::MAX), [(35, 0, 0)]);
    }

    #[test]
    fn memory_goes_round() {
        let mut merge = Merge::default();
        for lap in 0..3 {
            let mut batch = batch(&[(0, &[(lap, 0)]), (1, &[(lap, 1)])]);
            merge.push(&mut batch);
            assert_eq!(batch.spare.len(), if lap == 0 { 0 } else { 2 }, "used up in the lap before");
            assert_eq!(release(&mut merge, lap), [(lap, 0, 0), (lap, 1, 1)]);
            assert_eq!(merge.next(u64::MAX), None);
        }
        assert_eq!(merge.parts.len(), 2);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Each batch is complete to ten times its number, and has events from there on, in any order.
        #[test]
        fn all_events_come_out_in_order(
            batches in prop::collection::vec(prop::collection::vec((0_u16..3, 1_u64..26), 0..40), 1..6),
        ) {
            let (mut merge, mut expected, mut got, mut number) = (Merge::default(), Vec::new(), Vec::new(), 0);
            for (complete_ns, events) in (0..).step_by(10).zip(&batches) {
                let mut parts = [const { Vec::new() }; 3];
                for &(cpu, after_ns) in events {
                    let time_ns = complete_ns + after_ns;
                    parts[usize::from(cpu)].push((time_ns, number));
                    expected.push((time_ns, cpu, number));
                    number += 1;
                }
                let parts = [0, 1, 2].map(|cpu| (cpu, &parts[usize::from(cpu)][..]));
                merge.push(&mut batch(&parts));
                got.extend(release(&mut merge, complete_ns + 10));
                prop_assert!(got.last().is_none_or(|last| last.0 <= complete_ns + 10));
            }
            got.extend(release(&mut merge, u64::MAX));
            expected.sort_unstable();
            prop_assert_eq!(got, expected);
        }
    }
}
