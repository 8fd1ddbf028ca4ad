//! How many buffers come, go, and are on their way, over time.

use super::quantile::{mean, median};

/// Slices of time.
const BINS: usize = 1024;
/// Slices in which growth is looked for.
const GROWTH_BINS: usize = 50;

/// Counts of what came and went in each slice of a time.
#[derive(Debug, Clone)]
pub(crate) struct Flow {
    from_ns: u64,
    bin_ns: f64,
    bins_per_ns: f64,
    came: Vec<Passed>,
    went: Vec<Passed>,
}

/// What passed in a slice of time.
#[derive(Debug, Clone, Copy, Default)]
struct Passed {
    count: u64,
    /// Time from each passage to the end of the slice, summed, ns.
    left_ns: f64,
}

/// Rates and numbers between two slices.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rates {
    /// Buffers that come, a second.
    pub in_per_s: f64,
    /// Buffers that go, a second.
    pub out_per_s: f64,
    /// Buffers on their way, on average.
    pub in_flight: f64,
    /// By how many that number grows over the time.
    pub growth: f64,
    /// The time, s.
    pub seconds: f64,
    /// Where the time begins, ns.
    pub from_ns: u64,
    /// Where it ends, ns.
    pub to_ns: u64,
}

impl Flow {
    /// Of the time from `from_ns` to `to_ns`.
    #[must_use]
    pub(crate) fn new(from_ns: u64, to_ns: u64) -> Self {
        let bin_ns = ((to_ns.saturating_sub(from_ns) as f64 + 1.0) / BINS as f64).max(1.0);
        let [came, went] = [vec![Passed::default(); BINS], vec![Passed::default(); BINS]];
        Self { from_ns, bin_ns, bins_per_ns: bin_ns.recip(), came, went }
    }

    /// A buffer came and went.
    pub(crate) fn add(&mut self, came_ns: u64, went_ns: u64) {
        for (bins, time_ns) in [(&mut self.came, came_ns), (&mut self.went, went_ns)] {
            // Signed, and cast when limited: a processor has instructions for those.
            let since_ns = i64::try_from(time_ns.saturating_sub(self.from_ns)).unwrap_or(i64::MAX);
            let at = since_ns as f64 * self.bins_per_ns;
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "limited here")]
            let bin = at.min((BINS - 1) as f64) as i32 as usize;
            bins[bin].count += 1;
            bins[bin].left_ns += (bin as f64 + 1.0 - at).clamp(0.0, 1.0) * self.bin_ns;
        }
    }

    /// Rates, without the first twentieth of what comes and without the time after the last came: `None` if all come at
    /// once.
    #[must_use]
    pub(crate) fn rates(&self) -> Option<Rates> {
        let total: u64 = self.came.iter().map(|bin| bin.count).sum();
        let mut seen = 0;
        let mut skipped = |bin: &Passed| {
            seen += bin.count;
            seen <= total / 20
        };
        let first = self.came.iter().take_while(|bin| bin.count == 0).count();
        let start = self.came.iter().map_while(|bin| skipped(bin).then_some(())).count().max(first);
        let end = self.came.iter().rposition(|bin| bin.count > 0)? + 1;
        if end <= start + 1 {
            return None;
        }
        let in_flight = self.in_flight(start, end);
        let of = |bins: &[Passed]| bins[start..end].iter().map(|bin| bin.count).sum::<u64>() as f64;
        let seconds = (end - start) as f64 * self.bin_ns / 1e9;
        let (coarse, bins) = resampled(&in_flight);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the time")]
        let at_ns = |bin: usize| self.from_ns + (bin as f64 * self.bin_ns) as u64;
        Some(Rates {
            in_per_s: of(&self.came) / seconds,
            out_per_s: of(&self.went) / seconds,
            in_flight: mean(in_flight.iter().copied()),
            growth: slope(&coarse) * bins as f64,
            seconds,
            from_ns: at_ns(start),
            to_ns: at_ns(end),
        })
    }

    /// Buffers on their way in each slice, on average over the slice.
    fn in_flight(&self, start: usize, end: usize) -> Vec<f64> {
        let mut now = 0.0;
        let mut of_all = Vec::with_capacity(end);
        for (came, went) in self.came[..end].iter().zip(&self.went) {
            of_all.push(now + (came.left_ns - went.left_ns) / self.bin_ns);
            now += came.count as f64 - went.count as f64;
        }
        of_all.split_off(start)
    }

    /// Buffers on their way, on average, in `bins` slices of the whole time.
    #[must_use]
    pub(crate) fn over_time(&self, bins: usize) -> Vec<f64> {
        let all = self.in_flight(0, BINS);
        all.chunks(BINS.div_ceil(bins.max(1))).map(|bins| mean(bins.iter().copied())).collect()
    }
}

/// `values` in [`GROWTH_BINS`] slices, or as they are if there are fewer.
fn resampled(values: &[f64]) -> (Vec<f64>, usize) {
    let bins = GROWTH_BINS.min(values.len());
    let slice = |bin: usize| bin * values.len() / bins..(bin + 1) * values.len() / bins;
    ((0..bins).map(|bin| mean(values[slice(bin)].iter().copied())).collect(), bins)
}

/// Growth a slice: the median of the slopes between slices that are far apart (Theil and Sen), which single bursts do
/// not move.
fn slope(values: &[f64]) -> f64 {
    let count = values.len();
    let mut slopes = Vec::new();
    for from in (0..count).step_by(2) {
        for to in (from + (count / 4).max(1)..count).step_by(3) {
            slopes.push((values[to] - values[from]) / (to - from) as f64);
        }
    }
    median(&slopes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_flow_does_not_grow() {
        let mut flow = Flow::new(0, 1_000_000);
        (0..1000).for_each(|at| flow.add(at * 1000, at * 1000 + 2500));
        let rates = flow.rates().unwrap();
        assert!((rates.in_flight - 2.5).abs() < 0.05, "{rates:?}");
        assert!(rates.growth.abs() < 0.5, "{rates:?}");
        assert!((rates.in_per_s / rates.out_per_s - 1.0).abs() < 0.02, "{rates:?}");
        assert!((rates.in_per_s - 1e6).abs() < 2e4, "{rates:?}");
    }

    #[test]
    fn a_backlog_grows() {
        let mut flow = Flow::new(0, 3_000_000);
        (0..1000).for_each(|at| flow.add(at * 1000, at * 3000 + 500));
        let rates = flow.rates().unwrap();
        assert!(rates.growth > 500.0, "{rates:?}");
        assert!(rates.in_per_s > 2.5 * rates.out_per_s, "{rates:?}");
        assert_eq!(Flow::new(0, 10).rates(), None);
    }
}
