//! What is true of a synthetic trace, counted while it is written: what recorder, reader and analysis must find.

use std::fmt;

/// Bits of a latency that tell buckets apart, below its highest set bit: a percentile is at most 1/4096 too low.
const BITS: u32 = 11;

/// What an analysis of the whole trace must find.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Truth {
    /// Probes, in the order of their sites.
    pub probes: Vec<ProbeTruth>,
    /// Stages, in the order of the probes that begin them.
    pub stages: Vec<StageTruth>,
    /// Gaps written.
    pub gaps: u64,
    /// Time of the first and the last event recorded, CLOCK_MONOTONIC ns.
    pub time_ns: Option<(u64, u64)>,
    /// Sequence number in the event recorded last.
    pub last_seq: u64,
}

/// How often a probe fired.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProbeTruth {
    /// `provider:probe`.
    pub name: String,
    /// Firings, lost ones too.
    pub fired: u64,
    /// Firings that are in a gap.
    pub lost: u64,
}

/// What became of the spans of a stage, as far as the recorded events tell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StageTruth {
    /// Name of the stage.
    pub name: &'static str,
    /// Begins recorded whose end was not: lost, or not yet fired when the trace ends.
    pub open: u64,
    /// Ends recorded whose begin was lost.
    pub orphan: u64,
    /// Complete spans that ended after one that had begun later.
    pub reordered: u64,
    /// Latencies of the complete spans.
    pub latencies: Latencies,
    latest_begin_ns: u64,
}

impl StageTruth {
    pub(super) fn new(name: &'static str) -> Self {
        Self { name, ..Self::default() }
    }

    /// A begin was recorded; its span is open until its end is.
    pub(super) fn begun(&mut self) {
        self.open += 1;
    }

    /// An end was recorded; `begin_ns` is `None` if its begin was lost.
    pub(super) fn ended(&mut self, begin_ns: Option<u64>, end_ns: u64) {
        let Some(begin_ns) = begin_ns else {
            self.orphan += 1;
            return;
        };
        self.open -= 1;
        self.reordered += u64::from(begin_ns < self.latest_begin_ns);
        self.latest_begin_ns = self.latest_begin_ns.max(begin_ns);
        self.latencies.add(end_ns - begin_ns);
    }
}

/// A distribution of latencies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Latencies {
    /// Number of latencies.
    pub count: u64,
    /// Sum, ns.
    pub sum_ns: u128,
    /// Greatest, ns.
    pub max_ns: u64,
    /// Least, ns; 0 without any.
    pub min_ns: u64,
    buckets: Vec<u64>,
}

impl Latencies {
    fn add(&mut self, ns: u64) {
        self.min_ns = if self.count == 0 { ns } else { self.min_ns.min(ns) };
        self.max_ns = self.max_ns.max(ns);
        self.count += 1;
        self.sum_ns += u128::from(ns);
        let shift = (u64::BITS - ns.leading_zeros()).saturating_sub(BITS + 1);
        let bucket = usize::try_from((u64::from(shift) << BITS) + (ns >> shift)).unwrap_or(0);
        if bucket >= self.buckets.len() {
            self.buckets.resize(bucket + 1, 0);
        }
        self.buckets[bucket] += 1;
    }

    /// Mean, rounded to the nearest ns; 0 without any.
    #[must_use]
    pub fn mean_ns(&self) -> u128 {
        let count = u128::from(self.count.max(1));
        (self.sum_ns + count / 2) / count
    }

    /// The least latency that `permille` thousandths of all do not exceed, within 1/4096; 0 without any.
    #[must_use]
    pub fn percentile_ns(&self, permille: u64) -> u64 {
        let rank = (u128::from(self.count) * u128::from(permille)).div_ceil(1000).max(1);
        let mut seen = 0;
        let holds = |&count: &u64| {
            seen += u128::from(count);
            seen >= rank
        };
        let bucket = self.buckets.iter().position(holds).unwrap_or(0) as u64;
        let shift = (bucket >> BITS).saturating_sub(1);
        let (low, width) = ((bucket - (shift << BITS)) << shift, 1 << shift);
        (low + width / 2).clamp(self.min_ns, self.max_ns)
    }
}

impl fmt::Display for Truth {
    /// Lines of a word, a name and a number each.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for probe in &self.probes {
            writeln!(f, "fired {} {}", probe.name, probe.fired)?;
            writeln!(f, "lost {} {}", probe.name, probe.lost)?;
        }
        for stage in &self.stages {
            let (name, latencies) = (stage.name, &stage.latencies);
            writeln!(f, "spans {name} {}", latencies.count)?;
            writeln!(f, "open {name} {}", stage.open)?;
            writeln!(f, "orphan {name} {}", stage.orphan)?;
            writeln!(f, "reordered {name} {}", stage.reordered)?;
            writeln!(f, "min {name} {}", latencies.min_ns)?;
            writeln!(f, "mean {name} {}", latencies.mean_ns())?;
            for (word, permille) in [("p50", 500), ("p90", 900), ("p99", 990), ("p999", 999)] {
                writeln!(f, "{word} {name} {}", latencies.percentile_ns(permille))?;
            }
            writeln!(f, "max {name} {}", latencies.max_ns)?;
        }
        let (first_ns, last_ns) = self.time_ns.unwrap_or_default();
        writeln!(f, "gaps trace {}", self.gaps)?;
        writeln!(f, "first_ns trace {first_ns}")?;
        writeln!(f, "last_ns trace {last_ns}")?;
        writeln!(f, "last_seq trace {}", self.last_seq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_near_those_of_the_sorted_latencies() {
        let mut all: Vec<u64> = (0..100_000_u64).map(|i| (i * 7919 % 100_003) * (i % 13) + 1).collect();
        let mut latencies = Latencies::default();
        all.iter().for_each(|&ns| latencies.add(ns));
        all.sort_unstable();
        for permille in [1, 500, 900, 990, 999, 1000] {
            let exact = all[(all.len() * permille).div_ceil(1000) - 1];
            let found = latencies.percentile_ns(permille as u64);
            assert!(found.abs_diff(exact) <= exact / 4096 + 1, "{permille}: {found} instead of {exact}");
        }
        assert_eq!((latencies.min_ns, latencies.max_ns), (all[0], all[99_999]));
        assert!(latencies.percentile_ns(1000).abs_diff(latencies.max_ns) <= latencies.max_ns / 4096);
        assert_eq!(Latencies::default().percentile_ns(500), 0);
    }

    #[test]
    fn every_begin_and_end_is_counted_once() {
        let mut stage = StageTruth::new("awe");
        (0..4).for_each(|_| stage.begun());
        stage.ended(Some(20), 50);
        stage.ended(Some(10), 60);
        stage.ended(None, 70);
        assert_eq!((stage.latencies.count, stage.open, stage.orphan, stage.reordered), (2, 2, 1, 1));
        assert_eq!((stage.latencies.min_ns, stage.latencies.mean_ns(), stage.latencies.max_ns), (30, 40, 50));
    }
}
