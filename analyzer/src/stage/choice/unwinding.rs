//! Calls that were left without a return, by an exception or a jump: the stack is popped down to the begin whose
//! argument is that of the end.

use std::collections::HashMap;

use tracer_format::ThreadId;

use super::candidate::Candidate;
use super::sample::Sample;
use super::trial::Trial;
use crate::stage::Scope;

/// Begins that an end may leave behind, at most.
const DEEPEST: usize = 64;

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
