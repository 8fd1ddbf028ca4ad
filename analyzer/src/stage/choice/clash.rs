//! Processes that count the same numbers at the same time.

use std::collections::{BTreeMap, HashSet};

use tracer_format::ProcessId;

use super::candidate::Candidate;
use super::sample::Sample;

/// Processes of which pairs are compared: many that begin one stage are workers of one program, and a few of them tell.
const COMPARED: usize = 64;

/// The largest percentage of values that two processes whose lives overlap, and whose values `key` does not tell apart,
/// both begin; of the one that begins fewer.
pub(crate) fn shared_percent(sample: &Sample<'_>, key: &Candidate) -> f64 {
    let mut begun: BTreeMap<ProcessId, Begun> = BTreeMap::new();
    for (at, fired) in sample.fired.iter().enumerate().filter(|(_, fired)| !fired.is_end) {
        let Some(value) = key.values(fired) else { continue };
        let process = begun.entry(fired.process).or_insert_with(|| Begun {
            scope: key.scope_id(fired),
            first: at,
            ..Begun::default()
        });
        process.last = at;
        process.values.insert(value);
    }
    let mut percent: f64 = 0.0;
    let all: Vec<Begun> = begun.into_values().take(COMPARED).collect();
    for (at, a) in all.iter().enumerate() {
        let meets = |b: &&Begun| a.scope == b.scope && a.first <= b.last && b.first <= a.last;
        for b in all[at + 1..].iter().filter(meets) {
            let (few, many) = if a.values.len() <= b.values.len() { (a, b) } else { (b, a) };
            let shared = few.values.intersection(&many.values).count();
            percent = percent.max(100.0 * shared as f64 / few.values.len().max(1) as f64);
        }
    }
    percent
}

/// What a process began, and between which positions of the sample.
#[derive(Default)]
struct Begun {
    scope: u32,
    first: usize,
    last: usize,
    values: HashSet<[i64; 2]>,
}
