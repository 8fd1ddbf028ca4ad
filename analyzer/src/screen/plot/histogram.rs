//! A distribution in buckets, of which each is as wide as the next on a logarithmic axis.

use crate::analysis::Latency;

use super::scale::LogScale;

/// Counts of values in buckets.
#[derive(Debug, Clone, PartialEq)]
pub struct Histogram {
    /// The axis: the first bucket begins where it does, the last ends where it does.
    pub scale: LogScale,
    /// Values of 0 or less, for which the axis has no place.
    pub below: u64,
    /// Values of each bucket.
    pub counts: Vec<u64>,
}

impl Histogram {
    /// The values of `latency` in `count` buckets; `None` without values.
    #[must_use]
    pub fn new(latency: &Latency, count: usize) -> Option<Self> {
        let summary = latency.summary()?;
        let least = if summary.min > 0 { summary.min } else { least_above_0(latency) };
        let scale = LogScale::around([least, summary.max].into_iter());
        Self::on(latency, scale, count)
    }

    /// The same on a given axis, which holds all values above 0.
    #[must_use]
    pub fn on(latency: &Latency, scale: LogScale, count: usize) -> Option<Self> {
        let mut edges: Vec<i64> = vec![0];
        edges.extend((1..count).map(|at| edge(scale.at(at as f64 / count as f64))));
        edges.push(i64::MAX);
        let up_to = latency.counts_up_to(&edges);
        (latency.count() > 0).then(|| Self {
            scale,
            below: up_to[0],
            counts: up_to.windows(2).map(|two| two[1] - two[0]).collect(),
        })
    }

    /// Between which values a bucket lies, ns: above the first, up to the second.
    #[must_use]
    pub fn edges_ns(&self, bucket: usize) -> (i64, i64) {
        let at = |at: usize| edge(self.scale.at(at as f64 / self.counts.len() as f64));
        (at(bucket), at(bucket + 1))
    }

    /// For each bucket, the share of all values that are not above it.
    #[must_use]
    pub fn shares_up_to(&self) -> Vec<f64> {
        let all = self.below + self.counts.iter().sum::<u64>();
        let mut below = self.below;
        let share = |count: &u64| {
            below += count;
            below as f64 / all.max(1) as f64
        };
        self.counts.iter().map(share).collect()
    }
}

/// About the least value above 0, to the power of ten below it; 1 without one.
fn least_above_0(latency: &Latency) -> i64 {
    let powers: Vec<i64> = (0..19).map(|power| 10_i64.pow(power)).collect();
    let up_to = latency.counts_up_to(&powers);
    let below = latency.counts_up_to(&[0])[0];
    let at = up_to.iter().position(|&count| count > below).unwrap_or_default();
    powers[at.saturating_sub(1)]
}

fn edge(value_ns: f64) -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "at the limits of the type if it is beyond them")]
    let edge = value_ns.round() as i64;
    edge
}

#[cfg(test)]
mod tests {
    use super::*;

    fn latency(values: &[i64]) -> Latency {
        let mut latency = Latency::default();
        values.iter().for_each(|&value| latency.add(value));
        latency
    }

    #[test]
    fn every_value_is_in_one_bucket() {
        let buckets = Histogram::new(&latency(&[-5, 0, 10, 11, 99, 101, 1000]), 4).unwrap();
        assert_eq!((buckets.below, &buckets.counts[..]), (2, &[0, 2, 2, 1][..]));
        let buckets = Histogram::new(&latency(&[10, 11, 99, 101, 1000]), 2).unwrap();
        assert_eq!((buckets.below, &buckets.counts[..]), (0, &[3, 2][..]));
        assert_eq!((buckets.edges_ns(0), buckets.edges_ns(1)), ((10, 100), (100, 1000)));
        assert_eq!(buckets.shares_up_to(), [0.6, 1.0]);
    }

    #[test]
    fn extremes_have_buckets_too() {
        assert_eq!(Histogram::new(&latency(&[]), 8), None);
        let one = Histogram::new(&latency(&[7]), 3).unwrap();
        assert_eq!((one.below, &one.counts[..]), (0, &[0, 1, 0][..]));
        let wide = Histogram::new(&latency(&[i64::MIN, 1, i64::MAX]), 40).unwrap();
        assert_eq!((wide.below, wide.counts[0], wide.counts[39]), (1, 1, 1));
        assert_eq!(Histogram::new(&latency(&[0, 0]), 4).unwrap().below, 2);
    }
}
