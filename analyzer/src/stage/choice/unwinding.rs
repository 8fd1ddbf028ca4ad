//! Calls that were left without a return, by an exception or a jump: the stack is popped down to the begin whose
//! argument is that of the end.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use tracer_format::ThreadId;

use super::candidate::Candidate;
use super::sample::Sample;
use super::trial::Trial;
use crate::stage::Scope;

/// Begins that an end may leave behind, at most.
const DEEPEST: usize = 64;

/// Share of a thread's begins that must have another value than the begin before, for the value to tell begins apart: the
/// thread's own number does not, though it agrees with every end.
const TELLING: f64 = 0.01;

/// Of the arguments `args`, that which gives most ends their begin; of those, that which has most values, and the first. `None`
/// if none tells the begins of a thread apart.
pub(crate) fn best(sample: &Sample<'_>, args: &[u8]) -> Option<u8> {
    let telling = args.iter().filter_map(|&arg| Some((arg, values(sample, arg)?)));
    let rank = |&(arg, values): &(u8, usize)| (unwound(sample, arg).0.pairs, values, Reverse(arg));
    telling.max_by_key(rank).map(|(arg, _)| arg)
}

/// How many values argument `arg` of the begins has; `None` if it does not tell the begins of a thread apart.
fn values(sample: &Sample<'_>, arg: u8) -> Option<usize> {
    let (mut before, mut values) = (HashMap::new(), HashSet::new());
    let (mut begins, mut changes) = (0_usize, 0_usize);
    for fired in sample.fired.iter().filter(|fired| !fired.is_end) {
        let value = fired.args[usize::from(arg)];
        begins += 1;
        values.insert(value);
        changes += usize::from(before.insert(fired.thread, value).is_some_and(|before| before != value));
    }
    (changes as f64 >= TELLING * begins as f64).then_some(values.len())
}

/// The pairs of a thread's calls when argument `arg` tells which begin an end belongs to; and the begins left behind.
pub(crate) fn unwound(sample: &Sample<'_>, arg: u8) -> (Trial, usize) {
    let mut stacks: HashMap<ThreadId, Vec<u32>> = HashMap::new();
    let mut begin_of = vec![0; sample.fired.len()];
    let mut left = 0;
    let value = |at: usize| sample.fired[at].args[usize::from(arg)];
    let has = |at: u32| sample.fired[at as usize].arity > arg;
    for (at, fired) in sample.fired.iter().enumerate() {
        let stack = stacks.entry(fired.thread).or_default();
        if !fired.is_end {
            stack.push(u32::try_from(at).unwrap_or(u32::MAX));
            continue;
        }
        if fired.arity <= arg {
            continue;
        }
        let fits = |&begin: &u32| has(begin) && value(begin as usize) == value(at);
        let found = stack.iter().rev().take(DEEPEST - 1).position(fits);
        if let Some(above) = found {
            left += above;
            stack.truncate(stack.len() - above);
            begin_of[at] = stack.pop().map_or(0, |begin| begin + 1);
        }
    }
    (Trial::of_pairs(Candidate::new(Scope::Tid, &[]), begin_of), left)
}
