//! The slowest of all buffers, kept while the others pass.

use std::cmp::Reverse;

use super::super::limit::intervals::in_order;
use super::buffers::Buffers;
use crate::pair::Point;
use crate::stage::KeyValue;

/// Buffers that are kept.
const KEPT: usize = 256;

/// The slowest buffers so far.
#[derive(Debug, Clone)]
pub(crate) struct Slowest {
    width: usize,
    kept: Vec<(i64, KeyValue, Vec<Point>)>,
    /// A buffer that took no longer need not be kept.
    floor_ns: i64,
}

impl Slowest {
    pub(crate) fn new(width: usize) -> Self {
        Self { width, kept: Vec::new(), floor_ns: i64::MIN }
    }

    /// Whether one that took so long is among them.
    #[inline]
    pub(crate) fn wants(&self, total_ns: i64) -> bool {
        total_ns > self.floor_ns
    }

    pub(crate) fn add(&mut self, total_ns: i64, key: &[i64], hits: &[Point]) {
        if !self.wants(total_ns) {
            return;
        }
        self.kept.push((total_ns, KeyValue::new(key), hits.to_vec()));
        if self.kept.len() >= 2 * KEPT {
            self.kept.sort_by_key(|&(total_ns, ..)| Reverse(total_ns));
            self.kept.truncate(KEPT);
            self.floor_ns = self.kept[KEPT - 1].0;
        }
    }

    /// `rows`, and those of the slowest that are not among them, as a run of their own at the end.
    pub(crate) fn with(&self, rows: &Buffers) -> Buffers {
        let mut all = rows.clone();
        let known: Vec<u64> = (0..rows.len()).map(|row| rows.entered_ns(row)).collect();
        let known = in_order(&known);
        let start = all.len();
        for (_, key, hits) in &self.kept {
            if hits.len() == self.width && known.binary_search(&hits[0].time_ns).is_err() {
                all.push(*key, hits);
            }
        }
        all.end_run(start);
        all
    }
}
