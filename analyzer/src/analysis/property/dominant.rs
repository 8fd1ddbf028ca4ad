//! The one value of an argument that has most of a stage's time: which text of SQL, which lock, which method.

use std::collections::{BTreeMap, BTreeSet};

use tracer_format::{Definitions, ThreadId};

use super::sampled::SampledSpan;
use super::value::{Property, PropertyValue};

/// Values of an argument that is no number of its own for each span.
const MAX_VALUES: usize = 64;
/// Share of the time that one of them must have, also without its longest span; and its spans at least.
const MOST: f64 = 0.8;
const LEAST: usize = 8;
/// Share of the spans that may have no value.
const MISSING: f64 = 0.05;
/// Share of the spans up to which a number that has most of the time is no mode or flag; or it is none of so few values.
const MOST_SPANS: f64 = 0.5;
const MODES: usize = 4;
/// Numbers from here on are addresses.
const ADDRESS: i64 = 1 << 32;

/// A value that has most of the time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Dominant {
    pub(super) property: Property,
    pub(super) value: PropertyValue,
    /// Share of the time, and spans.
    pub(super) time_share: f64,
    pub(super) spans: u64,
    /// Values of the argument.
    pub(super) values: usize,
}

/// The value of one of `properties` that has most of the time of `spans`: if several have one, that with most values, of which it
/// says most; then the first.
pub(super) fn dominant(
    spans: &[SampledSpan],
    properties: &[(Property, Vec<PropertyValue>)],
    definitions: &Definitions,
) -> Option<Dominant> {
    let arguments = properties.iter().filter(|(property, _)| matches!(property, Property::Arg(_)));
    let found =
        arguments.filter_map(|(property, values)| of_argument(*property, values, (spans, definitions)));
    found.max_by_key(|found| (found.values, std::cmp::Reverse(found.property)))
}

fn of_argument(
    property: Property,
    values: &[PropertyValue],
    (spans, definitions): (&[SampledSpan], &Definitions),
) -> Option<Dominant> {
    // Time, longest span, spans and threads of each value.
    let mut sums: BTreeMap<PropertyValue, (u64, u64, usize)> = BTreeMap::new();
    let (mut missing, mut all_ns) = (0_usize, 0_u64);
    for (&value, span) in values.iter().zip(spans) {
        missing += usize::from(value == PropertyValue::Missing);
        all_ns = all_ns.saturating_add(span.own_ns);
        let (sum_ns, longest_ns, count) = sums.entry(value).or_default();
        *sum_ns = sum_ns.saturating_add(span.own_ns);
        *longest_ns = span.own_ns.max(*longest_ns);
        *count += 1;
        if sums.len() > MAX_VALUES {
            return None;
        }
    }
    if missing as f64 > MISSING * spans.len() as f64 {
        return None;
    }
    let (&value, &(sum_ns, longest_ns, count)) = sums.iter().max_by_key(|(_, sum)| sum.0)?;
    let share = |part_ns: u64, whole_ns: u64| part_ns as f64 / whole_ns.max(1) as f64;
    let has_most = share(sum_ns, all_ns) >= MOST && share(sum_ns - longest_ns, all_ns - longest_ns) >= MOST;
    let span_share = count as f64 / spans.len().max(1) as f64;
    let is_worth = match value {
        PropertyValue::Missing => false,
        PropertyValue::Text(_) => true,
        // An address stands for one thing. If there is no other, it is one that threads share; forked processes have the same
        // addresses for what is not the same.
        PropertyValue::Number(ADDRESS..) => sums.len() > 1 || is_shared(spans, definitions),
        // A number that nearly all spans have may be a mode or a flag.
        PropertyValue::Number(_) => span_share <= MOST_SPANS || sums.len() > MODES,
    };
    (has_most && count >= LEAST && is_worth).then(|| Dominant {
        property,
        value,
        time_share: share(sum_ns, all_ns),
        spans: count as u64,
        values: sums.len(),
    })
}

/// Whether several threads of one process, and no other process, have these spans.
fn is_shared(spans: &[SampledSpan], definitions: &Definitions) -> bool {
    let threads: BTreeSet<ThreadId> = spans.iter().map(|span| span.begin.thread).collect();
    let process = |thread: &ThreadId| definitions.thread(*thread).map(|thread| thread.process);
    threads.len() > 1 && threads.iter().map(process).collect::<BTreeSet<_>>().len() == 1
}
