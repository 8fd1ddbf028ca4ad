//! How a path looks beyond its percentiles: a buffer for each of them, and how the steps took longer over time.

use super::path::buffers::Buffers;
use crate::analysis::{Latency, Slices};
use crate::stage::KeyValue;

/// Slices of the time.
const SLICES: usize = 11;

/// Buffers that took as long as the percentiles say, as nearly as any that was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Examples {
    /// Of the 50th percentile.
    pub p50: KeyValue,
    /// Of the 90th.
    pub p90: KeyValue,
    /// Of the 99th.
    pub p99: KeyValue,
    /// Of the greatest.
    pub max: KeyValue,
}

/// How a path looks beyond its percentiles; each for every step, and then for the whole path.
#[derive(Debug, Clone, Default)]
pub struct Profile {
    /// Buffers that took as long as the percentiles say.
    pub examples: Vec<Option<Examples>>,
    /// Means in slices of the time of the trace, ns; `None` for a slice without buffers.
    pub over_time: Vec<Vec<Option<f64>>>,
    /// From the first probe to the last, of the sampled buffers, by when they entered.
    pub totals: Slices,
    /// How many buffers were sampled.
    pub sampled: u64,
    /// The steps of the buffer of the 50th percentile, ns.
    pub median_steps_ns: Vec<i64>,
}

/// How `rows` look, whose steps take as long as `steps` says, and the whole path as `total`; `sampled` are those of them that were
/// not chosen for their time.
pub(crate) fn profile(
    rows: &Buffers,
    sampled: &Buffers,
    steps: &[Latency],
    total: &Latency,
    time_ns: (u64, u64),
) -> Profile {
    let mut profile = Profile { totals: Slices::new(time_ns), ..Profile::default() };
    profile.sampled = sampled.len() as u64;
    (0..sampled.len()).for_each(|row| profile.totals.add(sampled.entered_ns(row), sampled.total_ns(row)));
    let usual = total.at(500).and_then(|p50| nearest(rows, p50, |row| rows.total_ns(row)));
    profile.median_steps_ns =
        usual.map(|row| (0..rows.steps()).map(|step| rows.step_ns(row, step)).collect()).unwrap_or_default();
    for (step, times) in steps.iter().enumerate() {
        profile.examples.push(examples(rows, times, |row| rows.step_ns(row, step)));
        profile.over_time.push(over_time(rows, time_ns, |row| rows.step_ns(row, step)));
    }
    profile.examples.push(examples(rows, total, |row| rows.total_ns(row)));
    profile.over_time.push(over_time(rows, time_ns, |row| rows.total_ns(row)));
    profile
}

/// Examples for the values that `of` gives of each row, which are distributed as `latency` says; `None` without rows.
fn examples(rows: &Buffers, latency: &Latency, of: impl Fn(usize) -> i64) -> Option<Examples> {
    let summary = latency.summary()?;
    let nearest = |value_ns: i64| Some(*rows.key(nearest(rows, value_ns, &of)?));
    Some(Examples {
        p50: nearest(summary.p50)?,
        p90: nearest(summary.p90)?,
        p99: nearest(summary.p99)?,
        max: nearest(summary.max)?,
    })
}

/// The row for which `of` gives the value that is nearest.
fn nearest(rows: &Buffers, value_ns: i64, of: impl Fn(usize) -> i64) -> Option<usize> {
    (0..rows.len()).min_by_key(|&row| of(row).abs_diff(value_ns))
}

/// The mean of the values that `of` gives of the rows of each slice of the time between `from_ns` and `to_ns`, ns; `None` for
/// a slice without rows.
fn over_time(rows: &Buffers, (from_ns, to_ns): (u64, u64), of: impl Fn(usize) -> i64) -> Vec<Option<f64>> {
    let mut sums = [(0.0, 0_u64); SLICES];
    let whole_ns = u128::from(to_ns.saturating_sub(from_ns)) + 1;
    for row in 0..rows.len() {
        let since_ns = u128::from(rows.entered_ns(row).saturating_sub(from_ns));
        let slice = usize::try_from(since_ns * SLICES as u128 / whole_ns).unwrap_or(SLICES);
        let (sum_ns, count) = &mut sums[slice.min(SLICES - 1)];
        *sum_ns += of(row) as f64;
        *count += 1;
    }
    sums.iter().map(|&(sum_ns, count)| (count > 0).then(|| sum_ns / count as f64)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pair::Point;
    use tracer_format::ThreadId;

    #[test]
    fn every_percentile_has_a_buffer_and_every_slice_a_mean() {
        let mut rows = Buffers::with_room(2, 0);
        let mut latency = Latency::default();
        for number in 0..110_u64 {
            let begin = Point { time_ns: 10 * number, thread: ThreadId(0) };
            let took_ns = if number < 100 { number } else { 1000 };
            let end = Point { time_ns: begin.time_ns + took_ns, thread: ThreadId(0) };
            rows.push(KeyValue::new(&[number.cast_signed()]), &[begin, end]);
            latency.add(took_ns.cast_signed());
        }
        let found = examples(&rows, &latency, |row| rows.total_ns(row)).unwrap();
        let keys = [found.p50, found.p90, found.p99, found.max].map(|key| key.words()[0]);
        assert_eq!(keys, [54, 98, 100, 100]);
        let totals = profile(&rows, &rows, &[Latency::default()], &latency, (0, 1099));
        assert_eq!((totals.median_steps_ns, totals.sampled), (vec![54], 110));
        assert_eq!(totals.totals.bands()[63].map(|band| (band.count, band.max)), Some((1, 1000)));
        let means = over_time(&rows, (0, 1099), |row| rows.total_ns(row));
        assert_eq!((means.len(), means[0], means[9], means[10]), (11, Some(4.5), Some(94.5), Some(1000.0)));
        assert_eq!(over_time(&rows, (0, 10_000), |row| rows.total_ns(row))[5], None);
        assert_eq!(examples(&Buffers::with_room(2, 0), &Latency::default(), |_| 0), None);
    }
}
