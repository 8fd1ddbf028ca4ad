//! What was not recorded, where not all of it is shown.

use tracer_format::Skipped;

/// Facts that stand for others which are not listed, and are shown at any rate: there is one for each kind.
const SHOWN_RESTS: usize = 8;

/// The first `most` facts, and those behind them that stand for others which are not listed: these say how much there is.
pub(crate) fn first(skipped: &[Skipped], most: usize) -> impl Iterator<Item = &Skipped> {
    let (first, others) = skipped.split_at(most.min(skipped.len()));
    first.iter().chain(others.iter().filter(|fact| fact.is_rest()).take(SHOWN_RESTS))
}

/// How many there are, with those that are not listed.
pub(crate) fn number(skipped: &[Skipped]) -> u64 {
    let count = |fact: &Skipped| if fact.is_rest() { fact.count } else { 1 };
    skipped.iter().map(count).fold(0, u64::saturating_add)
}
