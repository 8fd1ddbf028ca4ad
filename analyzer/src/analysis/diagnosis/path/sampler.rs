//! Buffers for what needs their neighbours: all of them in a small trace, runs that are spread evenly over a large one.

use super::buffers::Buffers;
use crate::pair::Point;
use crate::stage::KeyValue;

/// Buffers in a run.
const RUN: usize = 4096;
/// Moments in a row of a run, at most: rows of very many probes are fewer.
const RUN_MOMENTS: usize = 6 * RUN;
/// Runs that are kept.
const RUNS: usize = 16;

/// Keeps at most [`RUNS`] runs of [`RUN`] rows.
#[derive(Debug, Clone)]
pub(crate) struct Sampler {
    width: usize,
    /// Rows of a run.
    run: usize,
    runs: Vec<Buffers>,
    /// Number of the present run, and its buffers so far.
    at: u64,
    filled: usize,
    /// Every how many runs one is kept.
    every: u64,
}

impl Sampler {
    pub(crate) fn new(width: usize) -> Self {
        let run = (RUN_MOMENTS / width.max(1)).min(RUN);
        Self { width, run, runs: Vec::new(), at: 0, filled: 0, every: 1 }
    }

    /// Whether the next row is kept: then it is given to [`keep`](Self::keep).
    #[inline]
    pub(crate) fn takes(&mut self) -> bool {
        if self.filled == self.run {
            (self.at, self.filled) = (self.at + 1, 0);
        }
        let is_first = self.filled == 0;
        self.filled += 1;
        self.is_kept() && (!is_first || self.begin_run())
    }

    /// Whether the present run is. `every` is a power of two.
    fn is_kept(&self) -> bool {
        self.at & (self.every - 1) == 0
    }

    /// The present run begins, if it is kept when there is room for it.
    #[cold]
    fn begin_run(&mut self) -> bool {
        if self.runs.len() == RUNS {
            let mut at = 0;
            self.runs.retain(|_| {
                at += 1;
                at % 2 == 1
            });
            self.every *= 2;
        }
        if self.is_kept() {
            // The first may stay short.
            let room = if self.runs.is_empty() { 0 } else { self.run };
            self.runs.push(Buffers::with_room(self.width, room));
        }
        self.is_kept()
    }

    /// Keeps a row.
    pub(crate) fn keep(&mut self, key: &[i64], hits: &[Point]) {
        if let Some(rows) = self.runs.last_mut() {
            rows.push(KeyValue::new(key), hits);
        }
    }

    /// The rows, each run in the order in which its buffers entered. Runs that follow each other become one.
    pub(crate) fn into_buffers(self) -> Buffers {
        let mut all = Buffers::with_room(self.width, self.runs.iter().map(Buffers::len).sum());
        let mut joined: Vec<Vec<(&Buffers, usize)>> = Vec::new();
        for rows in &self.runs {
            let these = (0..rows.len()).map(|row| (rows, row));
            match joined.last_mut() {
                Some(last) if self.every == 1 => last.extend(these),
                _ => joined.push(these.collect()),
            }
        }
        for mut run in joined {
            // Of those that entered at one time, by key: in which order they were told of says nothing.
            run.sort_by_key(|(rows, row)| (rows.entered_ns(*row), rows.key(*row).words()));
            let start = all.len();
            run.iter().for_each(|(rows, row)| all.push(*rows.key(*row), rows.hits(*row)));
            all.end_run(start);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use tracer_format::ThreadId;

    use super::*;

    fn sampled(count: u64) -> Buffers {
        let mut sampler = Sampler::new(1);
        for at in 0..count {
            if sampler.takes() {
                sampler.keep(&[], &[Point { time_ns: at, thread: ThreadId(0) }]);
            }
        }
        sampler.into_buffers()
    }

    #[test]
    fn all_rows_are_kept_of_a_few_and_even_runs_of_many() {
        let few = sampled(10_000);
        assert_eq!((few.len(), few.runs.len()), (10_000, 1));
        let many = sampled(1_000_000);
        assert!((RUNS / 2 * RUN..=RUNS * RUN).contains(&many.len()), "{}", many.len());
        let starts: Vec<u64> = many.runs.iter().map(|run| many.entered_ns(run.start)).collect();
        let apart: Vec<u64> = starts.windows(2).map(|two| two[1] - two[0]).collect();
        assert!(apart.windows(2).all(|two| two[0] == two[1]), "{starts:?}");
        assert!(many.runs.iter().all(|run| run.len() <= RUN));
    }
}
