//! Ranks and middles of small lists of numbers.

/// The value at share `share` of `values`: the least that so many do not exceed; 0 without values.
pub(crate) fn quantile(values: &[f64], share: f64) -> f64 {
    if values.is_empty() { 0.0 } else { at_rank(&mut values.to_vec(), rank(values.len(), share)) }
}

/// Position of the value at share `share` of `count` values in order.
fn rank(count: usize, share: f64) -> usize {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to the length")]
    let rank = (count as f64 * share).ceil().max(1.0) as usize;
    (rank - 1).min(count - 1)
}

/// The value at position `rank` of `values` in order; they are put in another order.
fn at_rank(values: &mut [f64], rank: usize) -> f64 {
    *values.select_nth_unstable_by(rank, f64::total_cmp).1
}

/// The same of values in order.
pub(crate) fn quantile_of_sorted(sorted: &[f64], share: f64) -> f64 {
    if sorted.is_empty() { 0.0 } else { sorted[rank(sorted.len(), share)] }
}

/// The middle of `values`, or the mean of the two in the middle; 0 without values.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    let middle = values.len() / 2;
    if values.is_empty() {
        return 0.0;
    }
    let upper = at_rank(&mut values, middle);
    if values.len() % 2 == 1 {
        return upper;
    }
    // What stands before it is no greater.
    let lower = values[..middle].iter().copied().fold(f64::NEG_INFINITY, f64::max);
    f64::midpoint(lower, upper)
}

/// The median distance from the median, scaled to the standard deviation of a normal distribution.
pub(crate) fn median_deviation(values: &[f64]) -> f64 {
    let middle = median(values);
    let distances: Vec<f64> = values.iter().map(|value| (value - middle).abs()).collect();
    1.4826 * median(&distances)
}

/// The mean; 0 without values.
pub(crate) fn mean(values: impl IntoIterator<Item = f64>) -> f64 {
    let (sum, count) = values.into_iter().fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    if count > 0.0 { sum / count } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_those_of_values_in_order() {
        for count in 1..40_u32 {
            let values: Vec<f64> = (0..count).map(|at| f64::from(at * 17 % count)).collect();
            let mut sorted = values.clone();
            sorted.sort_by(f64::total_cmp);
            for share in [0.0, 0.05, 0.25, 0.5, 0.9, 0.999, 1.0] {
                assert_eq!(quantile(&values, share), quantile_of_sorted(&sorted, share), "{count} {share}");
            }
            let middle = sorted.len() / 2;
            let even = f64::midpoint(sorted[middle.saturating_sub(1)], sorted[middle]);
            assert_eq!(median(&values), if count % 2 == 1 { sorted[middle] } else { even }, "{values:?}");
        }
        assert_eq!((median(&[]), quantile(&[], 0.5), quantile_of_sorted(&[], 0.5)), (0.0, 0.0, 0.0));
    }
}
