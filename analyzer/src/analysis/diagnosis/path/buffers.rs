//! Buffers that passed every probe of the path.

use std::cmp::Reverse;
use std::ops::Range;

use crate::pair::{Point, difference_ns};
use crate::stage::KeyValue;

/// Buffers, each with the moments at which it passed the probes of the path, in the order of the path.
#[derive(Debug, Clone, Default)]
pub(crate) struct Buffers {
    /// Probes of the path.
    width: usize,
    keys: Vec<KeyValue>,
    hits: Vec<Point>,
    /// Buffers between which no buffer is left out; they cover all rows.
    pub(crate) runs: Vec<Range<usize>>,
}

impl Buffers {
    /// No rows yet, of `width` probes, with room for so many.
    pub(crate) fn with_room(width: usize, rows: usize) -> Self {
        let (keys, hits) = (Vec::with_capacity(rows), Vec::with_capacity(rows * width));
        Self { width, keys, hits, runs: Vec::new() }
    }

    /// Makes the rows from `start` on a run of their own.
    pub(crate) fn end_run(&mut self, start: usize) {
        let end = self.len();
        if let Some(last) = self.runs.last_mut() {
            last.end = last.end.min(start);
        }
        self.runs.retain(|run| !run.is_empty());
        if start < end {
            self.runs.push(start..end);
        }
    }

    /// Adds a row to the last run.
    ///
    /// # Panics
    /// If `hits` is not of this width.
    pub(crate) fn push(&mut self, key: KeyValue, hits: &[Point]) {
        assert_eq!(hits.len(), self.width, "a row has a moment for each probe");
        self.keys.push(key);
        self.hits.extend_from_slice(hits);
        match self.runs.last_mut() {
            Some(run) => run.end = self.keys.len(),
            None => self.runs.push(0..1),
        }
    }

    /// Number of rows.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Steps from probe to probe.
    #[must_use]
    pub(crate) fn steps(&self) -> usize {
        self.width.saturating_sub(1)
    }

    /// The key of a row.
    #[must_use]
    pub(crate) fn key(&self, row: usize) -> &KeyValue {
        &self.keys[row]
    }

    /// The moments of a row.
    #[must_use]
    pub(crate) fn hits(&self, row: usize) -> &[Point] {
        &self.hits[row * self.width..][..self.width]
    }

    /// The moments of all rows.
    pub(crate) fn all_hits(&self) -> impl Iterator<Item = &[Point]> {
        self.hits.chunks_exact(self.width.max(1))
    }

    /// When a row entered the path, ns.
    #[must_use]
    pub(crate) fn entered_ns(&self, row: usize) -> u64 {
        self.hits(row).first().map_or(0, |point| point.time_ns)
    }

    /// From the first probe of the path to the last, ns.
    #[must_use]
    pub(crate) fn total_ns(&self, row: usize) -> i64 {
        match self.hits(row) {
            [first, .., last] => difference_ns(first.time_ns, last.time_ns),
            _ => 0,
        }
    }

    /// The `count` rows that took longest, the slowest first; of two alike, the first.
    pub(crate) fn slowest(&self, count: usize) -> Vec<usize> {
        let mut order: Vec<(Reverse<i64>, usize)> =
            (0..self.len()).map(|row| (Reverse(self.total_ns(row)), row)).collect();
        if count < order.len() {
            order.select_nth_unstable(count);
            order.truncate(count);
        }
        order.sort_unstable();
        order.into_iter().map(|(_, row)| row).collect()
    }

    /// How long step `step` of a row took, ns.
    #[must_use]
    pub(crate) fn step_ns(&self, row: usize, step: usize) -> i64 {
        let hits = self.hits(row);
        difference_ns(hits[step].time_ns, hits[step + 1].time_ns)
    }
}
