//! One key for the stages of a provider: what a stage keyed by thread would miss is its buffer's way to the others.
//!
//! If one stage needs a key that reaches over processes, or if every stage is begun with a count of buffers, the others
//! take that key too, where it pairs the same events.

use std::cmp::Ordering;

use super::candidate::Candidate;
use super::decision::Decision;
use super::parts::number_parts;
use super::sample::Sample;
use super::trial::{FEW, Trial};
use crate::stage::Scope;

/// Share of the pairs that may change.
const CHANGED: f64 = 0.001;
/// Share of the begins that must count on.
const COUNTING: f64 = 0.8;
/// The next number is at most so much greater than the greatest before.
const STEP: i64 = 16;

/// Gives the stages of one provider, each with its sample and what was decided, one key where that changes nothing.
pub fn widen(stages: &mut [(Sample<'_>, Decision)]) {
    if number_parts(stages) {
        return;
    }
    let Some(wide) = wide_key(stages) else { return };
    let of_others: Vec<Numbering> = stages
        .iter()
        .filter(|(_, decision)| decision.key.as_ref() == Ok(&wide))
        .map(|(sample, _)| Numbering::of(sample, wide))
        .collect();
    for (sample, decision) in stages.iter_mut() {
        let Ok(key) = decision.key else { continue };
        if key == wide {
            continue;
        }
        let widened = Trial::new(sample, wide);
        if counts_the_same(sample, &widened, &of_others) && changes_little(sample, decision, wide) {
            *decision = Decision::chosen(sample, &widened);
        }
    }
}

/// Whether `wide` pairs nearly the same events as the key that was decided on.
pub(super) fn changes_little(sample: &Sample<'_>, decision: &Decision, wide: Candidate) -> bool {
    let Ok(key) = decision.key else { return false };
    let (now, widened) = (Trial::new(sample, key), Trial::new(sample, wide));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a thousandth of a count")]
    let few = 2.max((CHANGED * now.pairs as f64) as usize);
    let crosses = widened.crossing == now.crossing || key.scope > Scope::Pid;
    now.missing_in(&widened) <= few && widened.pairs + few >= now.pairs && crosses
}

/// What a key numbers in one stage.
struct Numbering {
    /// Ascending, each once. All stages together have as many as their samples have events, so that to compare each stage with
    /// each other takes the stages times the events at most.
    values: Vec<[i64; 2]>,
    is_identity: bool,
}

impl Numbering {
    fn of(sample: &Sample<'_>, key: Candidate) -> Self {
        let mut values: Vec<[i64; 2]> = sample.fired.iter().filter_map(|fired| key.values(fired)).collect();
        values.sort_unstable();
        values.dedup();
        Self { values, is_identity: Trial::new(sample, key).is_identity() }
    }

    /// Whether half of the values of the one that has fewer are in both.
    fn has_half_of(&self, other: &Self) -> bool {
        let mut missing = self.values.len().min(other.values.len()).div_ceil(2);
        let (mut ours, mut theirs) = (&self.values[..], &other.values[..]);
        while missing > 0 {
            // As soon as too few are left, no further one is looked at.
            let ([one, ..], [two, ..]) = (ours, theirs) else { return false };
            if ours.len().min(theirs.len()) < missing {
                return false;
            }
            let order = one.cmp(two);
            ours = &ours[usize::from(order != Ordering::Greater)..];
            theirs = &theirs[usize::from(order != Ordering::Less)..];
            missing -= usize::from(order == Ordering::Equal);
        }
        true
    }
}

/// Whether `trial` numbers what some other stage of that key numbers: many values are common, and they are numbers of
/// their own in both or in none. A length is no number of a thread. True if no other stage has the key.
fn counts_the_same(sample: &Sample<'_>, trial: &Trial, others: &[Numbering]) -> bool {
    let ours = Numbering::of(sample, trial.key);
    others.is_empty()
        || others.iter().any(|theirs| theirs.is_identity == ours.is_identity && ours.has_half_of(theirs))
}

/// The key that the stages of a provider may share.
fn wide_key(stages: &[(Sample<'_>, Decision)]) -> Option<Candidate> {
    let keys = || stages.iter().filter_map(|(_, decision)| decision.key.as_ref().ok());
    let needed: Vec<&Candidate> = keys().filter(|key| key.scope >= Scope::Ppid).collect();
    let uses = |key: &Candidate| needed.iter().filter(|other| **other == key).count();
    if let Some(&&key) = needed.iter().rev().max_by_key(|key| uses(key)) {
        // The parent was chosen for a reason.
        let by_parent = key.in_scope(Scope::Ppid);
        return Some(if uses(&by_parent) > 0 { by_parent } else { key });
    }
    let paired = |decision: &Decision| decision.counts.0 > 0 && decision.counts.1 > 0;
    let mut whole = stages.iter().filter(|(_, decision)| paired(decision)).peekable();
    whole.peek()?;
    let counts = whole.all(|(sample, decision)| decision.key.is_ok() && counts_up(sample));
    counts.then(|| Candidate::new(Scope::Trace, &[(0, 0)]))
}

/// Whether the first argument counts buffers: a value of its own each, mostly one more than the greatest before.
pub(super) fn counts_up(sample: &Sample<'_>) -> bool {
    let (mut greatest, mut begins, mut counting) = (None, 0_usize, 0_usize);
    for fired in sample.fired.iter().filter(|fired| !fired.is_end) {
        let Some(value) = fired.args[0] else { return false };
        begins += 1;
        let next = |greatest: i64| value > greatest && value.saturating_sub(greatest) <= STEP;
        counting += usize::from(greatest.is_none_or(next));
        greatest = Some(greatest.map_or(value, |greatest: i64| greatest.max(value)));
    }
    begins >= FEW
        && counting as f64 >= COUNTING * begins as f64
        && Trial::new(sample, Candidate::new(Scope::Trace, &[(0, 0)])).is_identity()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn numbering(values: &HashSet<i64>) -> Numbering {
        let mut values: Vec<[i64; 2]> = values.iter().map(|&value| [value, 0]).collect();
        values.sort_unstable();
        Numbering { values, is_identity: true }
    }

    proptest! {
        #[test]
        fn half_of_the_values_are_common(
            one in prop::collection::hash_set(0_i64..12, 0..12),
            two in prop::collection::hash_set(0_i64..12, 0..12),
        ) {
            let common = one.intersection(&two).count();
            let expected = 2 * common >= one.len().min(two.len());
            prop_assert_eq!(numbering(&one).has_half_of(&numbering(&two)), expected);
        }
    }
}
