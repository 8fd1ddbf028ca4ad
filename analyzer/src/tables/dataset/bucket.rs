//! Buckets of latencies: each 1 % wider than the one before, the same on every machine, so that counts of any traces add up.
//!
//! Bucket `n` from 1 on holds the latencies from 1.01^(n-1) to below 1.01^n ns, 0 holds 0, and -n what is as long and negative: a
//! latency in a lower bucket is lower.

use std::sync::OnceLock;

/// How many times as wide as the one before a bucket is.
const GROWTH: f64 = 1.01;

/// Where each bucket begins, ns. By multiplication alone, whose result is the same on every processor.
fn begins() -> &'static [f64] {
    static BEGINS: OnceLock<Vec<f64>> = OnceLock::new();
    BEGINS.get_or_init(|| {
        let next = |begin: &f64| Some(begin * GROWTH).filter(|&next| next < 2.0_f64.powi(64));
        std::iter::successors(Some(1.0), next).collect()
    })
}

/// The bucket of a latency.
#[must_use]
pub fn bucket_of(latency_ns: i64) -> i32 {
    let magnitude = latency_ns.unsigned_abs() as f64;
    let bucket = begins().partition_point(|&begin| begin <= magnitude);
    let bucket = i32::try_from(bucket).unwrap_or(i32::MAX);
    if latency_ns < 0 { -bucket } else { bucket }
}

/// The latency that stands for those in a bucket, ns: at most 0.5 % and 1 ns from each of them.
#[must_use]
pub fn value_ns_of(bucket: i32) -> i64 {
    let Some(at) = bucket.unsigned_abs().checked_sub(1) else { return 0 };
    let begins = begins();
    let begin = begins[usize::try_from(at).unwrap_or(usize::MAX).min(begins.len() - 1)];
    #[expect(clippy::cast_possible_truncation, reason = "what is beyond the type becomes its greatest")]
    let value_ns = (begin * f64::midpoint(1.0, GROWTH)).round() as i64;
    if bucket < 0 { -value_ns } else { value_ns }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_within_half_a_percent_of_its_bucket() {
        for latency_ns in (0..2_000_000).step_by(7).chain((0..62).map(|bit| 3 << bit >> 1)) {
            let bucket = bucket_of(latency_ns);
            let error = (value_ns_of(bucket) - latency_ns).abs();
            assert!(error * 200 <= latency_ns + 200, "{latency_ns} is in {bucket}, {error} ns off");
            assert_eq!(bucket_of(-latency_ns), -bucket);
            assert_eq!(value_ns_of(-bucket), -value_ns_of(bucket));
        }
    }

    #[test]
    fn buckets_ascend_with_latencies_to_the_ends_of_the_type() {
        let latencies = [i64::MIN, i64::MIN / 2, -1_000_000, -101, -100, -1, 0, 1, 2, 100, 102, i64::MAX];
        let buckets = latencies.map(bucket_of);
        assert!(buckets.is_sorted(), "{buckets:?}");
        assert_eq!([-1, 0, 1].map(bucket_of), [-1, 0, 1]);
        // These numbers are in datasets: they never change.
        assert_eq!([2, 1000, 1_000_000, 1_000_000_000, i64::MAX].map(bucket_of), [70, 695, 1389, 2083, 4389]);
        assert_eq!(value_ns_of(i32::MAX), i64::MAX);
    }
}
