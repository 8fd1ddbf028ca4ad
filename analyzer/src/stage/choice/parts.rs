//! Stages that number the parts of buffers which other stages of their provider count: one buffer becomes several, or several
//! become one.
//!
//! Some stages have a count of buffers as first argument. Each of the others begins with the same numbers, but several times for each:
//! the first argument and another together, or the first argument and the process or thread, name one part. By thread alone, the
//! way of a buffer would be lost.

use std::collections::HashSet;

use super::candidate::Candidate;
use super::decision::Decision;
use super::sample::Sample;
use super::trial::Trial;
use super::widening::{changes_little, counts_up};
use crate::stage::Scope;

/// Begins for each number, on average, from which on they are parts.
const AGAIN: f64 = 1.5;

/// Gives the stages of one provider keys that lead from buffers to their parts; tells whether they are such stages.
pub(super) fn number_parts(stages: &mut [(Sample<'_>, Decision)]) -> bool {
    let number = Candidate::new(Scope::Trace, &[(0, 0)]);
    let has_pairs = |decision: &Decision| decision.counts.0 > 0 && decision.counts.1 > 0;
    let (mut counted, mut chosen, mut parts) = (HashSet::new(), Vec::new(), Vec::new());
    for (at, (sample, decision)) in stages.iter().enumerate().filter(|(_, (_, it))| has_pairs(it)) {
        let is_number = decision.key.as_ref() == Ok(&number) || changes_little(sample, decision, number);
        if is_number && counts_up(sample) {
            counted.extend(sample.fired.iter().filter_map(|fired| fired.args[0]));
            chosen.push((at, number));
        } else {
            parts.push(at);
        }
    }
    if chosen.is_empty() || parts.is_empty() {
        return false;
    }
    let mut has_parts = false;
    for at in parts {
        let (sample, decision) = &stages[at];
        let Some(key) = key_of_numbers(sample, decision, &counted) else { return false };
        has_parts |= key != number;
        chosen.push((at, key));
    }
    if !has_parts {
        return false;
    }
    for (at, key) in chosen {
        let (sample, decision) = &mut stages[at];
        *decision = Decision::chosen(sample, &Trial::new(sample, key));
    }
    true
}

/// The number of a buffer, or what names its parts, of those with the numbers `counted`; `None` if neither is the key.
fn key_of_numbers(sample: &Sample<'_>, decision: &Decision, counted: &HashSet<i64>) -> Option<Candidate> {
    let numbers: Option<HashSet<i64>> = sample.fired.iter().map(|fired| fired.args[0]).collect();
    let numbers = numbers?;
    let common = numbers.intersection(counted).count();
    if 2 * common < numbers.len().min(counted.len()) || numbers.len() < 2 {
        return None;
    }
    let number = Candidate::new(Scope::Trace, &[(0, 0)]);
    // Parts have their buffer's number: it comes again.
    let (begins, _) = sample.counts();
    if AGAIN * numbers.len() as f64 > begins as f64 {
        return changes_little(sample, decision, number).then_some(number);
    }
    let keys = [
        Candidate::new(Scope::Trace, &[(0, 0), (1, 1)]),
        Candidate::new(Scope::Trace, &[(0, 0), (2, 2)]),
        Candidate::new(Scope::Pid, &[(0, 0)]),
        Candidate::new(Scope::Tid, &[(0, 0)]),
    ];
    keys.into_iter().find(|&key| {
        let trial = Trial::new(sample, key);
        trial.fits && trial.is_identity() && changes_little(sample, decision, key)
    })
}
