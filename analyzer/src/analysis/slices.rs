//! Latencies over time: the percentiles of each slice of a time, in bounded memory.

/// Slices of the time.
pub const SLICES: usize = 64;
/// Bits of a value that tell counts apart, below its highest set bit: a percentile is at most 1/64 from the value.
const BITS: u32 = 5;

/// Latencies in [`SLICES`] slices of a time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Slices {
    time_ns: (u64, u64),
    slices: Vec<SliceCounts>,
}

/// Counts of values, from the position `first` on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct SliceCounts {
    first: i32,
    counts: Vec<u32>,
    count: u64,
    min_ns: i64,
    max_ns: i64,
}

/// What the latencies of a slice come down to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Band {
    /// Values.
    pub count: u64,
    /// Median, ns; within 2 %, as the 99th percentile.
    pub p50: i64,
    /// 99th percentile, ns.
    pub p99: i64,
    /// Greatest, ns.
    pub max: i64,
}

impl Slices {
    /// Of the time from the first to the last moment, ns.
    #[must_use]
    pub fn new(time_ns: (u64, u64)) -> Self {
        Self { time_ns, slices: Vec::new() }
    }

    /// Adds a latency of something that began at `begin_ns`.
    pub fn add(&mut self, begin_ns: u64, latency_ns: i64) {
        if self.slices.is_empty() {
            self.slices.resize_with(SLICES, SliceCounts::default);
        }
        let (from_ns, to_ns) = self.time_ns;
        let whole_ns = u128::from(to_ns.saturating_sub(from_ns)) + 1;
        let at = u128::from(begin_ns.saturating_sub(from_ns)) * SLICES as u128 / whole_ns;
        let at = usize::try_from(at).unwrap_or(SLICES);
        self.slices[at.min(SLICES - 1)].add(latency_ns);
    }

    /// What each slice comes down to; `None` for one without values.
    #[must_use]
    pub fn bands(&self) -> Vec<Option<Band>> {
        let bands = self.slices.iter().map(SliceCounts::band).collect::<Vec<_>>();
        if bands.is_empty() { vec![None; SLICES] } else { bands }
    }

    /// The time, ns.
    #[must_use]
    pub fn time_ns(&self) -> (u64, u64) {
        self.time_ns
    }

    /// When a slice begins, ns since the begin of the time.
    #[must_use]
    pub fn begin_ns(&self, slice: usize) -> u64 {
        let whole_ns = u128::from(self.time_ns.1.saturating_sub(self.time_ns.0)) + 1;
        u64::try_from(whole_ns * slice as u128 / SLICES as u128).unwrap_or(u64::MAX)
    }
}

impl SliceCounts {
    fn add(&mut self, value_ns: i64) {
        let position = position_of(value_ns);
        if self.counts.is_empty() {
            (self.first, self.min_ns, self.max_ns) = (position, value_ns, value_ns);
        }
        if position < self.first {
            let more = self.first.abs_diff(position) as usize;
            self.counts.splice(0..0, std::iter::repeat_n(0, more));
            self.first = position;
        }
        let at = position.abs_diff(self.first) as usize;
        if at >= self.counts.len() {
            self.counts.resize(at + 1, 0);
        }
        self.counts[at] = self.counts[at].saturating_add(1);
        self.count += 1;
        self.min_ns = self.min_ns.min(value_ns);
        self.max_ns = self.max_ns.max(value_ns);
    }

    fn band(&self) -> Option<Band> {
        let at = |permille: u64| {
            let rank = (self.count * permille).div_ceil(1000).max(1);
            let mut below = 0;
            let is_there = |&&count: &&u32| {
                below += u64::from(count);
                below < rank
            };
            let positions = self.counts.iter().take_while(is_there).count();
            middle_of(self.first + i32::try_from(positions).unwrap_or(i32::MAX))
                .clamp(self.min_ns, self.max_ns)
        };
        (self.count > 0).then(|| Band { count: self.count, p50: at(500), p99: at(990), max: self.max_ns })
    }
}

/// Where a value is counted: the greater the value, the greater the position.
fn position_of(value_ns: i64) -> i32 {
    let magnitude = value_ns.unsigned_abs();
    let shift = (u64::BITS - magnitude.leading_zeros()).saturating_sub(BITS + 1);
    #[expect(clippy::cast_possible_truncation, reason = "less than 64 * 64")]
    let position = ((shift << BITS) + (magnitude >> shift) as u32).cast_signed();
    if value_ns < 0 { -position } else { position }
}

/// The middle of the values that are counted at `position`.
fn middle_of(position: i32) -> i64 {
    let index = position.unsigned_abs();
    let shift = (index >> BITS).saturating_sub(1);
    let sub = u64::from(index - (shift << BITS));
    let magnitude = (sub << shift) + ((1_u64 << shift) >> 1);
    let magnitude = i64::try_from(magnitude).unwrap_or(i64::MAX);
    if position < 0 { -magnitude } else { magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_near_the_middle_of_its_position() {
        let edges = (0..63).flat_map(|bit| [(1_i64 << bit) - 1, 1 << bit, (1 << bit) + 1]);
        let mut values: Vec<i64> = edges.flat_map(|value| [value, -value]).collect();
        values.sort_unstable();
        let mut before = i32::MIN;
        for value in values {
            let (position, middle) = (position_of(value), middle_of(position_of(value)));
            assert!(value.abs_diff(middle) <= value.unsigned_abs() / 64, "{value} {middle}");
            assert!(position >= before, "{value}");
            before = position;
        }
        assert_eq!(middle_of(position_of(i64::MIN)), -i64::MAX);
    }

    #[test]
    fn slices_have_percentiles_of_their_own() {
        let mut slices = Slices::new((1000, 1639));
        assert_eq!(slices.bands(), vec![None; SLICES]);
        (1..=100).rev().for_each(|value| slices.add(1000, value * 1000));
        slices.add(1639, -7);
        slices.add(9999, 3);
        let bands = slices.bands();
        let first = bands[0].unwrap();
        assert_eq!((first.count, first.max), (100, 100_000));
        assert!(first.p50.abs_diff(50_000) <= 50_000 / 64 && first.p99.abs_diff(99_000) <= 99_000 / 64);
        assert_eq!(bands[63], Some(Band { count: 2, p50: -7, p99: 3, max: 3 }));
        assert!(bands[1..63].iter().all(Option::is_none));
        assert_eq!((slices.begin_ns(1), slices.begin_ns(64)), (10, 640));
    }
}
