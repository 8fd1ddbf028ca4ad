//! A condition on a property, and how many spans meet it.

use std::cmp::Ordering;

use super::value::{PropertyValue, Texts};
use crate::analysis::diagnosis::mean;

/// A condition that spans meet or do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SpanCondition {
    Is(PropertyValue),
    AtLeast(i64),
    AtMost(i64),
}

impl SpanCondition {
    pub(super) fn is_met(self, value: PropertyValue) -> bool {
        match (self, value) {
            (Self::Is(wanted), value) => value == wanted,
            (Self::AtLeast(least), PropertyValue::Number(number)) => number >= least,
            (Self::AtMost(most), PropertyValue::Number(number)) => number <= most,
            _ => false,
        }
    }

    /// `3`, `>= 4096`.
    pub(super) fn text(self, texts: &Texts) -> String {
        match self {
            Self::Is(PropertyValue::Number(number)) => number.to_string(),
            Self::Is(PropertyValue::Text(number)) => texts.text(number).to_owned(),
            Self::Is(PropertyValue::Missing) => "-".to_owned(),
            Self::AtLeast(least) => format!(">= {least}"),
            Self::AtMost(most) => format!("<= {most}"),
        }
    }
}

/// How many of the slow spans, and of the others, meet a condition.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Contrast {
    pub(super) slow: u64,
    pub(super) slow_with: u64,
    pub(super) others: u64,
    pub(super) others_with: u64,
}

impl Contrast {
    pub(super) fn slow_share(&self) -> f64 {
        self.slow_with as f64 / self.slow.max(1) as f64
    }

    pub(super) fn others_share(&self) -> f64 {
        self.others_with as f64 / self.others.max(1) as f64
    }

    /// How many times as often spans are slow that meet it; half a span is added to each count, so that none is zero.
    pub(super) fn times(&self) -> f64 {
        let risk = |slow: u64, others: u64| (slow as f64 + 0.5) / ((slow + others) as f64 + 1.0);
        risk(self.slow_with, self.others_with)
            / risk(self.slow - self.slow_with, self.others - self.others_with)
    }

    /// The statistic of the G-test: how far the counts are from those of a condition that has nothing to do with it.
    pub(super) fn g(&self) -> f64 {
        let all = (self.slow + self.others) as f64;
        let with = (self.slow_with + self.others_with) as f64;
        let cell = |count: u64, row: u64, column: f64| {
            let expected = row as f64 * column / all;
            if count == 0 { 0.0 } else { count as f64 * (count as f64 / expected).ln() }
        };
        2.0 * (cell(self.slow_with, self.slow, with)
            + cell(self.slow - self.slow_with, self.slow, all - with)
            + cell(self.others_with, self.others, with)
            + cell(self.others - self.others_with, self.others, all - with))
    }
}

/// For spans in the order of time, how much less than so many independent ones they tell of what it has to do with being slow that
/// a condition is met, as both come in bunches: the sum over the lags of the products of both autocorrelations (Bartlett). That of
/// being slow is taken of what the condition does not explain.
pub(super) fn bunching(slow: &[bool], met: &[bool]) -> f64 {
    /// Lags that are looked at.
    const LAGS: usize = 30;
    let number = |value: bool| f64::from(u8::from(value));
    let share =
        |wanted: bool| mean(slow.iter().zip(met).filter(|it| *it.1 == wanted).map(|it| number(*it.0)));
    let (with, without) = (share(true), share(false));
    let rest = slow.iter().zip(met).map(|(&slow, &met)| number(slow) - if met { with } else { without });
    let of_all = mean(met.iter().map(|&met| number(met)));
    let met: Vec<f64> = met.iter().map(|&met| number(met) - of_all).collect();
    let rest: Vec<f64> = rest.collect();
    let lags = 1..LAGS.min(met.len() / 4);
    let sum: f64 = lags.map(|lag| autocorrelation(&met, lag) * autocorrelation(&rest, lag)).sum();
    (1.0 + 2.0 * sum).max(1.0)
}

/// Of values whose mean is 0.
fn autocorrelation(values: &[f64], lag: usize) -> f64 {
    let variance: f64 = values.iter().map(|value| value * value).sum();
    let both: f64 = values.iter().zip(&values[lag..]).map(|(a, b)| a * b).sum();
    if variance > 0.0 { both / variance } else { 0.0 }
}

/// The value that the slow spans are farthest from the others at: from it on, or up to it, there are more of them. `values` are
/// those of all spans, each with whether it is slow, in their order; `None` if there are none.
pub(super) fn threshold(values: &[(i64, bool)]) -> Option<SpanCondition> {
    let slow = values.iter().filter(|(_, is_slow)| *is_slow).count() as f64;
    let others = values.len() as f64 - slow;
    if slow == 0.0 || others == 0.0 {
        return None;
    }
    let (mut below, mut best) = ((0.0, 0.0), (0.0, None));
    for (at, &(value, is_slow)) in values.iter().enumerate() {
        let is_new = at > 0 && values[at - 1].0 < value;
        // Share of the slow ones below this value, less that of the others.
        let more_below: f64 = below.0 / slow - below.1 / others;
        if is_new && more_below.abs() > best.0 {
            let condition = match more_below.total_cmp(&0.0) {
                Ordering::Less => SpanCondition::AtLeast(value),
                _ => SpanCondition::AtMost(values[at - 1].0),
            };
            best = (more_below.abs(), Some(condition));
        }
        if is_slow { below.0 += 1.0 } else { below.1 += 1.0 }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_that_tells_nothing_has_a_g_of_zero() {
        let even = Contrast { slow: 20, slow_with: 5, others: 200, others_with: 50 };
        assert!(even.g().abs() < 1e-9 && (even.times() - 1.0).abs() < 0.1, "{}", even.times());
        let telling = Contrast { slow: 20, slow_with: 20, others: 1000, others_with: 50 };
        // 2 (20 ln(20 / (20 * 70 / 1020)) + 50 ln(50 / (1000 * 70 / 1020)) + 950 ln(950 / (1000 * 950 / 1020)))
        assert!((telling.g() - 113.12).abs() < 0.01, "{}", telling.g());
        assert!(telling.times() > 500.0);
    }

    #[test]
    fn what_comes_in_bunches_tells_less() {
        let each = |of: fn(usize) -> bool| (0..400).map(of).collect::<Vec<bool>>();
        let bunched = each(|at| at / 100 % 2 == 0);
        let slow_in_bunches = each(|at| at / 25 % 5 == 0);
        assert!(bunching(&slow_in_bunches, &bunched) > 10.0);
        // Every fourth, and the slow ones among them: that both come again and again is no bunch.
        let fourth = each(|at| at % 4 == 0);
        let slow = each(|at| at % 4 == 0 && at * at % 7 == 1);
        assert!(bunching(&slow, &fourth) < 1.5, "{}", bunching(&slow, &fourth));
    }

    #[test]
    fn the_threshold_is_where_slow_spans_are_farthest_from_the_others() {
        let values = |is_slow: fn(i64) -> bool| (0..100).map(|at| (at, is_slow(at))).collect::<Vec<_>>();
        assert_eq!(threshold(&values(|at| at >= 90)), Some(SpanCondition::AtLeast(90)));
        assert_eq!(threshold(&values(|at| at < 7)), Some(SpanCondition::AtMost(6)));
        assert_eq!(threshold(&[(3, false), (3, true)]), None);
    }
}
