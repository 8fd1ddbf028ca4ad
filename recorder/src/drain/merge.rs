//! Puts the raw events of all rings in one order: by time, then CPU, then position in the ring.
//!
//! A ring is nearly sorted: a task that is preempted between reserving and reading the clock leaves an event behind
//! with a later time. So a ring is taken as a sequence of ascending runs, and all runs of all rings are merged; what is
//! later than the batches are complete to is kept for the next one.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::drain::batch::Batch;
use crate::kernel::raw::{self, Raw};

/// Raw events waiting for their turn.
#[derive(Debug, Default)]
pub struct Merge {
    queues: Vec<Queue>,
    /// Runs in the order of their first events; kept between calls only for its memory.
    heap: BinaryHeap<Reverse<Head>>,
    /// Events that contradicted themselves and were left out; always 0 unless the kernel is broken.
    pub malformed: u64,
}

/// The events of one ring.
#[derive(Debug, Default)]
struct Queue {
    words: Vec<u64>,
    /// Parts of `words`, each ascending in time, and not empty.
    runs: Vec<Run>,
}

#[derive(Clone, Copy, Debug)]
struct Run {
    start: usize,
    end: usize,
    /// Time of the last event.
    last_ns: u64,
}

/// The next event of a run, ordered as events are released.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Head {
    time_ns: u64,
    queue: u16,
    start: usize,
    run: usize,
}

impl Merge {
    /// Takes the events of `batch`.
    pub fn push(&mut self, batch: &Batch) {
        let mut begin = 0;
        for part in &batch.parts {
            let words = &batch.words[begin..part.end];
            begin = part.end;
            if self.queues.len() <= usize::from(part.cpu) {
                self.queues.resize_with(usize::from(part.cpu) + 1, Queue::default);
            }
            self.malformed += self.queues[usize::from(part.cpu)].push(words);
        }
    }

    /// Gives all events up to `until_ns` to `each`, in order. Use [`Batch::complete_ns`], or `u64::MAX` at the end.
    pub fn release(&mut self, until_ns: u64, mut each: impl FnMut(Raw<'_>)) {
        let mut heap = std::mem::take(&mut self.heap);
        for (cpu, queue) in (0..).zip(&self.queues) {
            for (index, run) in queue.runs.iter().enumerate() {
                heap.extend(queue.head(cpu, index, run.start, until_ns));
            }
        }
        while let Some(Reverse(mut head)) = heap.pop() {
            let queue = &mut self.queues[usize::from(head.queue)];
            let run = queue.runs[head.run];
            // Stay with this run as long as no other has an earlier event: no heap at all while one CPU is busy.
            let other = heap.peek().map(|Reverse(other)| *other);
            loop {
                let event = &queue.words[head.start..run.end];
                let (count, _) = raw::extent(event).expect("checked by push");
                match Raw::parse(head.queue, &event[..count]) {
                    Some(raw) => each(raw),
                    None => self.malformed += 1,
                }
                queue.runs[head.run].start = head.start + count;
                let Some(Reverse(next)) = queue.head(head.queue, head.run, head.start + count, until_ns)
                else {
                    break;
                };
                head = next;
                if other.is_some_and(|other| other < head) {
                    heap.push(Reverse(head));
                    break;
                }
            }
        }
        self.heap = heap;
        self.queues.iter_mut().for_each(Queue::compact);
    }

    /// Bytes of events that wait.
    #[must_use]
    pub fn waiting_bytes(&self) -> usize {
        self.queues.iter().map(|queue| queue.words.len() * 8).sum()
    }
}

impl Queue {
    /// Appends the events of a part and returns how many words' worth could not be understood (0 or 1: what follows
    /// a broken length is lost).
    fn push(&mut self, words: &[u64]) -> u64 {
        let mut at = self.words.len();
        self.words.extend_from_slice(words);
        while at < self.words.len() {
            let event = &self.words[at..];
            let Some((count, skip)) = raw::extent(event) else {
                self.words.truncate(at);
                return 1;
            };
            let end = at + count;
            match raw::time_ns(&event[..count]) {
                Some(time_ns) if !skip => self.append(at, end, time_ns),
                _ => {}
            }
            at = end;
        }
        0
    }

    /// Puts the event in `start..end` at the end of the last run, or begins a new one.
    fn append(&mut self, start: usize, end: usize, time_ns: u64) {
        match self.runs.last_mut() {
            Some(run) if run.end == start && run.last_ns <= time_ns => {
                run.end = end;
                run.last_ns = time_ns;
            }
            _ => self.runs.push(Run { start, end, last_ns: time_ns }),
        }
    }

    /// The event at `start` of run `run`, if it is its turn.
    fn head(&self, queue: u16, run: usize, start: usize, until_ns: u64) -> Option<Reverse<Head>> {
        if start >= self.runs[run].end {
            return None;
        }
        let time_ns = raw::time_ns(&self.words[start..])?;
        (time_ns <= until_ns).then_some(Reverse(Head { time_ns, queue, start, run }))
    }

    /// Drops what was released.
    fn compact(&mut self) {
        self.runs.retain(|run| run.start < run.end);
        let Some(first) = self.runs.iter().map(|run| run.start).min() else {
            self.words.clear();
            return;
        };
        // Moving what is left is cheap only when it is little.
        if first >= self.words.len() / 2 {
            self.words.drain(..first);
            for run in &mut self.runs {
                run.start -= first;
                run.end -= first;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drain::batch::Part;
    use crate::kernel::raw::DISCARD_BIT;
    use crate::kernel::raw::tests::event;

    /// A batch with the events (time, site) of each CPU.
    fn batch(parts: &[(u16, &[(u64, u32)])]) -> Batch {
        let mut batch = Batch::default();
        for (cpu, events) in parts {
            events.iter().for_each(|(time_ns, site)| batch.words.extend(event(*time_ns, *site, &[0])));
            batch.parts.push(Part { cpu: *cpu, end: batch.words.len() });
        }
        batch
    }

    fn release(merge: &mut Merge, until_ns: u64) -> Vec<(u64, u16, u32)> {
        let mut out = Vec::new();
        merge.release(until_ns, |raw| out.push((raw.time_ns, raw.cpu, raw.site)));
        out
    }

    #[test]
    fn rings_are_merged_by_time_then_cpu_then_position() {
        let mut merge = Merge::default();
        merge.push(&batch(&[(1, &[(5, 0), (7, 0), (7, 1)]), (0, &[(6, 0), (7, 2), (9, 0)])]));
        let expected = [(5, 1, 0), (6, 0, 0), (7, 0, 2), (7, 1, 0), (7, 1, 1), (9, 0, 0)];
        assert_eq!(release(&mut merge, u64::MAX), expected);
        assert_eq!(merge.waiting_bytes(), 0);
    }

    #[test]
    fn an_event_that_was_overtaken_in_its_ring_is_put_right() {
        let mut merge = Merge::default();
        merge.push(&batch(&[(0, &[(10, 0), (40, 1), (20, 2), (30, 3), (50, 4)])]));
        let sites: Vec<u32> = release(&mut merge, u64::MAX).iter().map(|event| event.2).collect();
        assert_eq!(sites, [0, 2, 3, 1, 4]);
    }

    #[test]
    fn what_is_later_than_complete_waits_for_the_next_batch() {
        let mut merge = Merge::default();
        merge.push(&batch(&[(0, &[(10, 0), (20, 0), (30, 0)])]));
        assert_eq!(release(&mut merge, 20), [(10, 0, 0), (20, 0, 0)]);
        merge.push(&batch(&[(1, &[(15, 0), (25, 0)]), (0, &[(35, 0)])]));
        assert_eq!(release(&mut merge, 30), [(15, 1, 0), (25, 1, 0), (30, 0, 0)]);
        assert_eq!(release(&mut merge, u64::MAX), [(35, 0, 0)]);
    }

    #[test]
    fn what_contradicts_itself_is_counted_and_discarded_is_not() {
        let mut merge = Merge::default();
        let mut damaged = batch(&[(0, &[(1, 0), (2, 0), (3, 0)])]);
        damaged.words[0] |= u64::from(DISCARD_BIT);
        damaged.words[5 + 3] |= 0xff << 56;
        damaged.words[10] = 1 << 20;
        merge.push(&damaged);
        assert_eq!(release(&mut merge, u64::MAX), []);
        assert_eq!(merge.malformed, 2);
        merge.push(&batch(&[(0, &[(4, 0)])]));
        assert_eq!(release(&mut merge, u64::MAX), [(4, 0, 0)]);
    }
}
