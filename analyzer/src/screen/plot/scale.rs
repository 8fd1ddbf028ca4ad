//! An axis on which each tenfold is as long as the next.

use crate::report::latency;

/// From `low_ns` to `high_ns`, both above 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LogScale {
    /// Where it begins, ns.
    pub low_ns: f64,
    /// Where it ends, ns.
    pub high_ns: f64,
}

impl LogScale {
    /// An axis that holds all of `values_ns` that are above 0, and is never empty.
    #[must_use]
    pub fn around(values_ns: impl Iterator<Item = i64>) -> Self {
        let values = values_ns.filter(|&value_ns| value_ns > 0).map(|value_ns| value_ns as f64);
        let (low, high) = values.fold((f64::INFINITY, 0_f64), |(low, high), it| (low.min(it), high.max(it)));
        if high == 0.0 {
            return Self { low_ns: 1.0, high_ns: 10.0 };
        }
        // One value stands in the middle.
        if low == high {
            Self { low_ns: low / 2.0, high_ns: high * 2.0 }
        } else {
            Self { low_ns: low, high_ns: high }
        }
    }

    /// Where on the axis a value is: 0 at its begin, 1 at its end.
    #[must_use]
    pub fn share(&self, value_ns: f64) -> f64 {
        let share = (value_ns.max(f64::MIN_POSITIVE) / self.low_ns).ln() / (self.high_ns / self.low_ns).ln();
        share.clamp(0.0, 1.0)
    }

    /// Which value is at a place.
    #[must_use]
    pub fn at(&self, share: f64) -> f64 {
        self.low_ns * (self.high_ns / self.low_ns).powf(share)
    }

    /// Round values on the axis, at most about eight, each with how it is written.
    #[must_use]
    pub fn ticks(&self) -> Vec<(f64, String)> {
        let decades = (self.high_ns / self.low_ns).log10();
        let (factors, step): (&[u64], usize) = match decades {
            0.0..0.7 => (&[1, 2, 3, 4, 5, 7], 1),
            0.7..1.5 => (&[1, 2, 5], 1),
            1.5..7.0 => (&[1], 1),
            _ => (&[1], 3),
        };
        let values =
            (0..19_u32).step_by(step).flat_map(|power| factors.iter().map(move |by| by * 10_u64.pow(power)));
        let inside = |&value: &u64| (self.low_ns..=self.high_ns).contains(&(value as f64));
        let ticks: Vec<_> = values.filter(inside).map(|value| (value as f64, round_text(value))).collect();
        if ticks.len() > 1 {
            return ticks;
        }
        // Between round values: the ends.
        #[expect(clippy::cast_possible_truncation, reason = "times in ns")]
        let end = |value: f64| (value, latency(value.round() as i64));
        vec![end(self.low_ns), end(self.high_ns)]
    }
}

/// Round values from 0 to `most`, at even distances: three to five.
#[must_use]
pub fn even_ticks(most: f64) -> Vec<f64> {
    if !(most.is_normal() && most > 0.0) {
        return vec![0.0];
    }
    let decade = 10_f64.powf(most.log10().floor());
    let steps = [2.0, 1.0, 0.5].map(|factor| factor * decade);
    let step = steps.into_iter().find(|step| most / step >= 2.0).unwrap_or(decade / 2.0);
    (0_u32..=5).map(|at| f64::from(at) * step).take_while(|&value| value <= most * 1.000_001).collect()
}

/// `20 us`: of a value that has one digit and zeros.
fn round_text(value_ns: u64) -> String {
    let units = [(1_000_000_000, "s"), (1_000_000, "ms"), (1000, "us"), (1, "ns")];
    let (unit_ns, unit) = units.into_iter().find(|(unit_ns, _)| value_ns >= *unit_ns).unwrap_or((1, "ns"));
    format!("{} {unit}", value_ns / unit_ns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_few_whatever_the_range() {
        let texts = |low: i64, high: i64| {
            let ticks = LogScale::around([low, high].into_iter()).ticks();
            ticks.into_iter().map(|(_, text)| text).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(texts(900, 30_000_000), "1 us 10 us 100 us 1 ms 10 ms");
        assert_eq!(texts(1_300_000, 5_000_000), "2 ms 3 ms 4 ms 5 ms");
        assert_eq!(texts(1_010_000, 1_090_000), "1.010 ms 1.090 ms");
        assert_eq!(texts(1, i64::MAX), "1 ns 1 us 1 ms 1 s 1000 s 1000000 s 1000000000 s");
        assert_eq!(texts(7, 7), "4 ns 5 ns 7 ns 10 ns");
        assert_eq!(texts(-5, 0), "1 ns 2 ns 5 ns 10 ns");
    }

    #[test]
    fn even_ticks_are_round_and_few_whatever_the_range() {
        let cases = [
            (0.988, "0.00 0.20 0.40 0.60 0.80"),
            (2.16, "0.00 1.00 2.00"),
            (1.0, "0.00 0.50 1.00"),
            (0.162, "0.00 0.05 0.10 0.15"),
            (4.99, "0.00 2.00 4.00"),
            (9.99, "0.00 2.00 4.00 6.00 8.00"),
            (10_000.0, "0.00 5000.00 10000.00"),
            (0.0, "0.00"),
            (f64::NAN, "0.00"),
        ];
        for (most, expected) in cases {
            let texts: Vec<String> = even_ticks(most).iter().map(|value| format!("{value:.2}")).collect();
            assert_eq!(texts.join(" "), expected, "{most}");
        }
    }

    #[test]
    fn values_and_places_belong_together() {
        let scale = LogScale::around([10, 1000].into_iter());
        assert!((scale.share(100.0) - 0.5).abs() < 1e-9 && (scale.at(0.5) - 100.0).abs() < 1e-9);
        assert_eq!((scale.share(-3.0), scale.share(1e9)), (0.0, 1.0));
    }
}
