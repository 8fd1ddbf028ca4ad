//! What sets the slow spans of a stage apart from the others.
//!
//! The slow ones are the slowest hundredth, and twenty at least. A property sets them apart if half of them, or more, have one
//! value of it, or lie beyond one value; if spans that do are slow four times as often as others; and if chance gives such
//! counts less than once in ten million cases, after all values that were tried, and as if there were fewer spans where both come
//! in bunches: a processor that the program stays on for long, in a second in which something else disturbed it, tells little.

use std::collections::BTreeMap;

use super::condition::{Contrast, SpanCondition, bunching, threshold};
use super::order::is_ordered;
use super::sampled::SampledSpan;
use super::value::{Property, PropertyValue};

/// Spans without which there are no slow ones.
const LEAST: usize = 200;
/// The slowest are this share of all, and so many at least.
const SLOWEST: usize = 100;
const SLOWEST_LEAST: usize = 20;
/// The slow ones take so many times as long as the others, and so much longer, at their medians.
const TIMES: f64 = 1.5;
const MORE_NS: u64 = 1000;
/// Share of the slow ones that must have a value, and how many times as often they are slow that have it.
const MOST: f64 = 0.5;
const OFTEN: f64 = 4.0;
/// Least G beyond twice the logarithm of what was tried: 3e-8 of a chi-squared distribution lie above.
const LEAST_G: f64 = 30.0;
/// A property counts as good as the best one from this share of its G on; two tell the same spans if so many are common.
const AS_GOOD: f64 = 0.9;
const SAME: f64 = 0.95;
/// Values without which there is no beyond; greater numbers are addresses.
const LEAST_VALUES: usize = 16;
const ADDRESS: i64 = 1 << 40;
/// Least pause of a thread that may make what comes next slow, ns.
const PAUSE_NS: i64 = 100_000;
/// Share of the numbers that are greater than the one before, from which on they count what comes.
const COUNTING: f64 = 0.8;

/// What sets slow spans apart.
#[derive(Debug)]
pub(super) struct SetApart {
    pub(super) property: Property,
    pub(super) condition: SpanCondition,
    pub(super) contrast: Contrast,
    /// Others that tell the same spans.
    pub(super) same: Vec<(Property, SpanCondition)>,
    /// The slow spans that have it, the slowest first.
    pub(super) slow: Vec<usize>,
}

struct Tried {
    property: Property,
    condition: SpanCondition,
    contrast: Contrast,
    g: f64,
    met: Vec<bool>,
}

/// What sets the slow ones of `spans` apart, which are in the order of time; `values` are those of each of `properties`.
pub(super) fn apart(
    spans: &[SampledSpan],
    properties: &[(Property, Vec<PropertyValue>)],
) -> Option<SetApart> {
    let slow = slow(spans)?;
    let mut tried: Vec<Tried> =
        properties.iter().filter_map(|(property, values)| best(*property, values, &slow)).collect();
    let best_g = tried.iter().map(|tried| tried.g).fold(0.0, f64::max);
    let at = tried.iter().position(|tried| tried.g >= AS_GOOD * best_g)?;
    let Tried { property, condition, contrast, met, .. } = tried.remove(at);
    let is_same = |other: &&Tried| {
        let both = met.iter().zip(&other.met).filter(|(a, b)| **a && **b).count();
        let any = met.iter().zip(&other.met).filter(|(a, b)| **a || **b).count();
        both as f64 >= SAME * any as f64
    };
    let same = tried.iter().filter(is_same).map(|other| (other.property, other.condition)).collect();
    let mut with: Vec<usize> = (0..spans.len()).filter(|&row| slow[row] && met[row]).collect();
    with.sort_by_key(|&row| std::cmp::Reverse(spans[row].own_ns));
    Some(SetApart { property, condition, contrast, same, slow: with })
}

/// Which spans are slow; `None` if there are too few, or they are not much slower than the others.
fn slow(spans: &[SampledSpan]) -> Option<Vec<bool>> {
    if spans.len() < LEAST {
        return None;
    }
    let mut times: Vec<u64> = spans.iter().map(|span| span.own_ns).collect();
    times.sort_unstable();
    let count = (times.len() / SLOWEST).max(SLOWEST_LEAST);
    let (others, slowest) = times.split_at(times.len() - count);
    let (of_others, of_slow) = (others[others.len() / 2], slowest[slowest.len() / 2]);
    // If many spans take as long as the least slow one, it is none of the slow ones.
    let least_ns = if others.last() == slowest.first() { slowest[0].saturating_add(1) } else { slowest[0] };
    let is_slow = of_slow as f64 >= TIMES * of_others as f64 && of_slow - of_others >= MORE_NS;
    is_slow.then(|| spans.iter().map(|span| span.own_ns >= least_ns).collect())
}

/// The condition on a property that tells most of the slow spans, if it tells enough.
fn best(property: Property, values: &[PropertyValue], slow: &[bool]) -> Option<Tried> {
    let mut counts: BTreeMap<PropertyValue, u64> = BTreeMap::new();
    let mut all: BTreeMap<PropertyValue, u64> = BTreeMap::new();
    for (&value, &is_slow) in values.iter().zip(slow) {
        *all.entry(value).or_default() += 1;
        *counts.entry(value).or_default() += u64::from(is_slow);
    }
    let usual = counts.iter().filter(|(value, _)| **value != PropertyValue::Missing);
    let usual = usual.max_by_key(|(_, count)| **count).map(|(&value, _)| SpanCondition::Is(value));
    let beyond = if all.len() >= LEAST_VALUES { beyond(property, values, slow) } else { None };
    let tried = usual.into_iter().filter(|_| all.len() > 1).chain(beyond).map(|condition| {
        let met: Vec<bool> = values.iter().map(|&value| condition.is_met(value)).collect();
        let count = |wanted: bool| {
            let of = slow.iter().zip(&met).filter(|(is_slow, _)| **is_slow == wanted);
            let (all, with) = of.fold((0, 0), |(all, with), (_, met)| (all + 1, with + u64::from(*met)));
            (all, with)
        };
        let ((slow_all, slow_with), (others, others_with)) = (count(true), count(false));
        let contrast = Contrast { slow: slow_all, slow_with, others, others_with };
        Tried { property, condition, contrast, g: contrast.g() / bunching(slow, &met), met }
    });
    let limit = LEAST_G + 2.0 * (all.len() as f64).ln();
    let tells = |tried: &Tried| {
        tried.g >= limit && tried.contrast.slow_share() >= MOST && tried.contrast.times() >= OFTEN
    };
    tried.filter(tells).max_by(|a, b| a.g.total_cmp(&b.g))
}

/// The number beyond which the slow spans lie. Addresses and other names have no order that tells anything, and what counts up is
/// the time.
fn beyond(property: Property, values: &[PropertyValue], slow: &[bool]) -> Option<SpanCondition> {
    if !matches!(property, Property::Arg(_) | Property::Pause) {
        return None;
    }
    let number = |value: &PropertyValue| match value {
        PropertyValue::Number(number) if number.abs() < ADDRESS => Some(*number),
        _ => None,
    };
    let numbers: Option<Vec<i64>> =
        values.iter().filter(|value| **value != PropertyValue::Missing).map(number).collect();
    let numbers = numbers?;
    let greater = numbers.windows(2).filter(|two| two[0] < two[1]).count();
    if greater as f64 >= COUNTING * numbers.len() as f64 {
        return None;
    }
    let pairs = values.iter().zip(slow).filter_map(|(value, &is_slow)| Some((number(value)?, is_slow)));
    let mut pairs: Vec<(i64, bool)> = pairs.collect();
    pairs.sort_unstable();
    let condition = threshold(&pairs)?;
    let tells = match (property, condition) {
        // A long pause makes the next span slow: memory is cold, the processor sleeps. A short one tells no more than that the span
        // before was slow too, or who called.
        (Property::Pause, _) => matches!(condition, SpanCondition::AtLeast(PAUSE_NS..)),
        _ => is_ordered(&pairs, matches!(condition, SpanCondition::AtMost(_))),
    };
    tells.then_some(condition)
}
