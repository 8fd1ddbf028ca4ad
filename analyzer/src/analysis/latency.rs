//! A distribution of latencies, signed, in bounded memory.
//!
//! Up to [`EXACT`] values are kept as they are, fewer of very many distributions. More go into buckets: 512 to every power of two, so a percentile is at
//! most 1/1024 (0.1 %) from the value; count, sum, least and greatest stay exact.

use std::borrow::Cow;

/// Values that are kept as they are; and of several distributions together.
pub const EXACT: usize = 4096;
const EXACT_OF_ALL: usize = EXACT << 5;
/// Values that wait to be counted together, when there are more: so the buckets of one distribution are fetched into the
/// processor's cache once for all of these. One by one takes twice as long.
const TOGETHER: usize = 1024;
/// Bits of a value that tell buckets apart, below its highest set bit.
const BITS: u32 = 9;
const SUB: usize = 1 << BITS;

/// A distribution of latencies, ns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Latency {
    /// So many values are kept as they are; if there are more, so many wait.
    room: usize,
    /// All values as long as there are few, else the last ones.
    latest: Vec<i64>,
    counted: Counted,
}

/// Values in buckets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Counted {
    count: u64,
    sum: i128,
    min: i64,
    max: i64,
    positive: Buckets,
    negative: Buckets,
}

/// What a distribution comes down to, ns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// Least.
    pub min: i64,
    /// Mean, rounded to the nearest.
    pub mean: i64,
    /// Percentiles: the least value that so many values do not exceed.
    pub p50: i64,
    /// 90th percentile.
    pub p90: i64,
    /// 99th percentile.
    pub p99: i64,
    /// 99.9th percentile.
    pub p999: i64,
    /// Greatest.
    pub max: i64,
}

impl Default for Latency {
    fn default() -> Self {
        Self::one_of(1)
    }
}

impl Latency {
    /// One of so many distributions, without values.
    #[must_use]
    pub fn one_of(count: usize) -> Self {
        let room = (EXACT_OF_ALL / count.max(1)).clamp(TOGETHER, EXACT);
        Self { room, latest: Vec::new(), counted: Counted::default() }
    }

    /// Adds a value.
    #[inline]
    pub fn add(&mut self, value_ns: i64) {
        if self.latest.len() >= self.room {
            self.count_latest();
        }
        self.latest.push(value_ns);
    }

    /// Adds some values.
    pub(crate) fn extend(&mut self, mut values_ns: impl ExactSizeIterator<Item = i64>) {
        while values_ns.len() > 0 {
            if self.latest.len() >= self.room {
                self.count_latest();
            }
            let room = self.room - self.latest.len();
            self.latest.extend(values_ns.by_ref().take(room));
        }
    }

    #[cold]
    fn count_latest(&mut self) {
        self.counted.add(self.latest.iter().copied());
        self.room = TOGETHER;
        if self.latest.len() > TOGETHER {
            self.latest = Vec::with_capacity(TOGETHER);
        }
        self.latest.clear();
    }

    /// Adds all values of `other`.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.counted.merge(&other.counted);
        self.latest.extend_from_slice(&other.latest);
        if self.counted.count > 0 || self.latest.len() > self.room {
            self.count_latest();
        }
    }

    /// Number of values.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counted.count + self.latest.len() as u64
    }

    /// Sum of the values, ns.
    #[must_use]
    pub fn sum_ns(&self) -> i128 {
        self.counted.sum + sum_of(self.latest.iter().copied())
    }

    /// All values in buckets, or, if they are few, in order.
    fn settled(&self) -> (Vec<i64>, Cow<'_, Counted>) {
        if self.counted.count == 0 {
            let mut sorted = self.latest.clone();
            sorted.sort_unstable();
            return (sorted, Cow::Borrowed(&self.counted));
        }
        let mut counted = self.counted.clone();
        counted.add(self.latest.iter().copied());
        (Vec::new(), Cow::Owned(counted))
    }

    /// The distribution in a few numbers; `None` without values.
    #[must_use]
    pub fn summary(&self) -> Option<Summary> {
        let (sorted, counted) = self.settled();
        let (min, max, sum) = match (&sorted[..], &*counted) {
            ([], Counted { count: 0, .. }) => return None,
            ([], counted) => (counted.min, counted.max, counted.sum),
            ([min, ..], _) => (*min, sorted[sorted.len() - 1], sum_of(sorted.iter().copied())),
        };
        let [p50, p90, p99, p999] =
            [500, 900, 990, 999].map(|permille| at_rank(&sorted, &counted, self.rank(permille)));
        let count = i128::from(self.count());
        let mean = (sum + sum.signum() * count / 2) / count;
        let mean = i64::try_from(mean).expect("the mean lies between least and greatest");
        Some(Summary { min, mean, p50, p90, p99, p999, max })
    }

    /// A percentile; `None` without values.
    #[must_use]
    pub fn at(&self, permille: u64) -> Option<i64> {
        let (sorted, counted) = self.settled();
        (self.count() > 0).then(|| at_rank(&sorted, &counted, self.rank(permille)))
    }

    /// For each of `edges_ns`, which ascend: how many values are not above it. Of many values, each is as exact as percentiles are.
    #[must_use]
    pub fn counts_up_to(&self, edges_ns: &[i64]) -> Vec<u64> {
        let (sorted, counted) = self.settled();
        if counted.count == 0 {
            return edges_ns.iter().map(|edge| sorted.partition_point(|it| it <= edge) as u64).collect();
        }
        let at = |middle: i64, count: u64| (middle.clamp(counted.min, counted.max), count);
        let negative = counted.negative.counts().rev();
        let positive = counted.positive.counts();
        let mut values = negative
            .map(|(index, count)| at(0_i64.saturating_sub_unsigned(middle_of(index)), count))
            .chain(
                positive.map(|(index, count)| at(i64::try_from(middle_of(index)).unwrap_or(i64::MAX), count)),
            )
            .peekable();
        let mut below = 0;
        let up_to = |edge_ns: &i64| {
            while let Some((_, count)) = values.next_if(|(value_ns, _)| value_ns <= edge_ns) {
                below += count;
            }
            below
        };
        edges_ns.iter().map(up_to).collect()
    }

    /// Nearest rank: that of the least value that `permille` thousandths of the values do not exceed.
    fn rank(&self, permille: u64) -> u64 {
        let rank = (u128::from(self.count()) * u128::from(permille)).div_ceil(1000).max(1);
        u64::try_from(rank).unwrap_or(u64::MAX)
    }

    /// Two values between which a percentile of what was measured lies, unless chance moved it by more than so many standard
    /// deviations: 2.576 for 99 % confidence. They are the values at the ranks that a binomial distribution gives, whatever
    /// the latencies' distribution is, if each is independent of the others. `None` if there are too few values to say.
    #[must_use]
    pub fn bounds(&self, permille: u64, deviations: f64) -> Option<(i64, i64)> {
        let (count, share) = (self.count() as f64, permille as f64 / 1000.0);
        let reach = deviations * (count * share * (1.0 - share)).sqrt();
        let (low, high) = ((count * share - reach).floor(), (count * share + reach).ceil() + 1.0);
        if low < 1.0 || high > count {
            return None;
        }
        let (sorted, counted) = self.settled();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 1 to count")]
        let at = |rank: f64| at_rank(&sorted, &counted, rank as u64);
        Some((at(low), at(high)))
    }
}

/// The value of rank `rank`, from 1 to the number of values: of `sorted`, or, if there are none, of `counted`.
fn at_rank(sorted: &[i64], counted: &Counted, rank: u64) -> i64 {
    if let Some(&value) = usize::try_from(rank - 1).ok().and_then(|at| sorted.get(at)) {
        return value;
    }
    // Negative values from the greatest magnitude down, then the others from the least up.
    let Counted { positive, negative, .. } = counted;
    let value = if rank <= negative.total {
        0_i64.saturating_sub_unsigned(negative.at(negative.total - rank))
    } else {
        i64::try_from(positive.at(rank - negative.total - 1)).unwrap_or(i64::MAX)
    };
    value.clamp(counted.min, counted.max)
}

/// Whether [`EXACT`] such values have a sum of 64 bits.
fn is_small(value_ns: i64) -> bool {
    const { assert!(EXACT as u64 <= 1 << 13) };
    value_ns.unsigned_abs() <= 1 << 50
}

fn sum_of(values_ns: impl Iterator<Item = i64>) -> i128 {
    values_ns.map(i128::from).sum()
}

impl Counted {
    fn add(&mut self, values_ns: impl ExactSizeIterator<Item = i64> + Clone) {
        let seen = |(min, max, sum): (i64, i64, i64), value: i64| {
            (value.min(min), value.max(max), sum.wrapping_add(value))
        };
        let (min, max, sum) = values_ns.clone().fold((i64::MAX, i64::MIN, 0), seen);
        if min > max {
            return;
        }
        self.widen(min, max);
        self.count += values_ns.len() as u64;
        self.sum += if is_small(min) && is_small(max) && values_ns.len() <= EXACT {
            sum.into()
        } else {
            sum_of(values_ns.clone())
        };
        let magnitudes = |is_negative: bool| {
            let of_sign = values_ns.clone().filter(move |&value_ns| (value_ns < 0) == is_negative);
            of_sign.map(i64::unsigned_abs)
        };
        if min < 0 {
            self.negative.add(min.unsigned_abs(), magnitudes(true));
        }
        if min >= 0 {
            self.positive.add(max.unsigned_abs(), values_ns.map(i64::unsigned_abs));
        } else if max >= 0 {
            self.positive.add(max.unsigned_abs(), magnitudes(false));
        }
    }

    /// Takes the least and the greatest of further values, before they are counted.
    fn widen(&mut self, min: i64, max: i64) {
        if self.count == 0 {
            (self.min, self.max) = (min, max);
        }
        (self.min, self.max) = (self.min.min(min), self.max.max(max));
    }

    fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        self.widen(other.min, other.max);
        self.count += other.count;
        self.sum += other.sum;
        self.positive.merge(&other.positive);
        self.negative.merge(&other.negative);
    }
}

/// Counts by magnitude, in pages: most distributions are narrow, and there may be very many.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Buckets {
    pages: Vec<Option<Box<Page>>>,
    total: u64,
}

/// Buckets of a page.
const PAGE: usize = 64;
type Page = [u64; PAGE];

impl Buckets {
    /// Counts some more, of which `greatest` is the greatest.
    fn add(&mut self, greatest: u64, magnitudes: impl Iterator<Item = u64>) {
        let pages = index_of(greatest) / PAGE + 1;
        self.pages.resize(self.pages.len().max(pages), None);
        let pages = &mut self.pages[..];
        let count = |count: u64, magnitude: u64| {
            let index = index_of(magnitude);
            let page = pages[index / PAGE].get_or_insert_with(|| Box::new([0; PAGE]));
            page[index % PAGE] += 1;
            count + 1
        };
        self.total += magnitudes.fold(0, count);
    }

    fn merge(&mut self, other: &Self) {
        self.pages.resize(self.pages.len().max(other.pages.len()), None);
        for (page, more) in self.pages.iter_mut().zip(&other.pages) {
            match (page, more) {
                (Some(page), Some(more)) => {
                    page.iter_mut().zip(&**more).for_each(|(count, more)| *count += more)
                }
                (page @ None, more) => page.clone_from(more),
                (Some(_), None) => {}
            }
        }
        self.total += other.total;
    }

    /// Buckets and their counts, from the least magnitude up; not all of those that are empty.
    fn counts(&self) -> impl DoubleEndedIterator<Item = (usize, u64)> {
        let pages = self.pages.iter().enumerate().filter_map(|(at, page)| Some((at, page.as_ref()?)));
        pages.flat_map(|(at, page)| {
            page.iter().enumerate().map(move |(bucket, &count)| (at * PAGE + bucket, count))
        })
    }

    /// The middle of the bucket with the value of rank `rank`, from 0.
    fn at(&self, rank: u64) -> u64 {
        let mut below = 0;
        let holds = |&(_, count): &(usize, u64)| {
            below += count;
            below > rank
        };
        self.counts().find(holds).map_or(0, |(bucket, _)| middle_of(bucket))
    }
}

/// Values below `SUB` have a bucket each; then each power of two has `SUB`.
#[expect(clippy::cast_possible_truncation, reason = "less than 2 * SUB")]
fn index_of(magnitude: u64) -> usize {
    // Of a number that is not 0, a processor tells the highest bit at once.
    let shift = (u64::BITS - 1 - BITS) - (magnitude | SUB as u64).leading_zeros();
    let sub = magnitude >> shift;
    shift as usize * SUB + sub as usize
}

fn middle_of(index: usize) -> u64 {
    let shift = (index / SUB).saturating_sub(1);
    let sub = (index - shift * SUB) as u64;
    (sub << shift) + ((1_u64 << shift) >> 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_values_give_exact_percentiles() {
        let mut latency = Latency::default();
        assert_eq!(latency.summary(), None);
        [30, -10, 20, 40].iter().for_each(|&value| latency.add(value));
        let expected = Summary { min: -10, mean: 20, p50: 20, p90: 40, p99: 40, p999: 40, max: 40 };
        assert_eq!(latency.summary(), Some(expected));
    }

    #[test]
    fn the_mean_is_rounded_to_the_nearest() {
        let mean = |values: &[i64]| {
            let mut latency = Latency::default();
            values.iter().for_each(|&value| latency.add(value));
            latency.summary().unwrap().mean
        };
        assert_eq!((mean(&[1, 2]), mean(&[-1, -2]), mean(&[1, 1, 2])), (2, -2, 1));
        assert_eq!(mean(&[i64::MAX, i64::MAX]), i64::MAX);
        assert_eq!(mean(&[i64::MIN, i64::MIN]), i64::MIN);
    }

    #[test]
    fn many_values_give_percentiles_within_a_thousandth() {
        let mut latency = Latency::default();
        let mut values: Vec<i64> = Vec::new();
        let mut state = 1_u64;
        for round in 0..100_000_u32 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let value = (state >> (20 + round % 40)).cast_signed();
            let value = if round % 3 == 0 { -value } else { value };
            values.push(value);
            latency.add(value);
        }
        values.sort_unstable();
        let summary = latency.summary().unwrap();
        let close = |found: i64, permille: usize| {
            let exact = values[(values.len() * permille).div_ceil(1000) - 1];
            let error = (found - exact).unsigned_abs() as f64;
            assert!(error <= exact.unsigned_abs() as f64 / 1024.0, "{permille}: {found}, exactly {exact}");
        };
        close(summary.p50, 500);
        close(summary.p90, 900);
        close(summary.p99, 990);
        close(summary.p999, 999);
        assert_eq!((summary.min, summary.max), (values[0], values[values.len() - 1]));
    }

    #[test]
    fn bounds_are_the_values_that_chance_may_swap_with_a_percentile() {
        let of = |count: i64| {
            let mut latency = Latency::default();
            (1..=count).rev().for_each(|value| latency.add(value));
            latency
        };
        // 50 and 5 either way, 2.576 of them; a binomial table gives 37 and 64.
        assert_eq!(of(100).bounds(500, 2.576), Some((37, 64)));
        assert_eq!(of(1000).bounds(990, 2.576), Some((981, 1000)));
        assert_eq!(
            (of(5).bounds(500, 2.576), of(100).bounds(990, 2.576), of(0).bounds(500, 2.576)),
            (None, None, None)
        );
        // The same from buckets, which are exact to a thousandth.
        let (low, high) = of(10_000).bounds(500, 2.576).unwrap();
        assert!(low.abs_diff(4871) <= 5 && high.abs_diff(5130) <= 5, "{low} {high}");
    }

    #[test]
    fn values_are_counted_up_to_edges() {
        let of = |values: std::ops::Range<i64>| {
            let mut latency = Latency::default();
            values.for_each(|value| latency.add(value));
            latency
        };
        assert_eq!(of(-5..5).counts_up_to(&[-6, -5, 0, 4, 9]), [0, 1, 6, 10, 10]);
        assert_eq!(of(0..0).counts_up_to(&[1]), [0]);
        // From buckets: the middles of those of the magnitude 512 are exact.
        let many = of(-5000..5000);
        assert_eq!(many.counts_up_to(&[i64::MIN, -512, 511, i64::MAX])[1..], [4489, 5512, 10_000]);
        let near = many.counts_up_to(&[-2500, 2500]);
        assert!(near[0].abs_diff(2501) <= 4 && near[1].abs_diff(7501) <= 4, "{near:?}");
    }

    #[test]
    fn every_magnitude_is_near_the_middle_of_its_bucket() {
        let edges = (0..64).flat_map(|bit| [(1_u64 << bit) - 1, 1 << bit, (1 << bit) + 1]);
        for magnitude in edges.chain([u64::MAX]) {
            let middle = middle_of(index_of(magnitude));
            assert!(magnitude.abs_diff(middle) <= magnitude / 1024, "{magnitude} {middle}");
        }
    }
}
