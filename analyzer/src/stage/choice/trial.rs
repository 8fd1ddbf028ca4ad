//! A key tried on a sample: which events it pairs, and whether that looks like the key of the stage.
//!
//! With the thread in the key, the innermost begin comes first: calls nest. Without it, a key has one begin open at a
//! time, and where begins repeat, none of them is paired.

use std::collections::{HashMap, HashSet};

use tracer_format::ThreadId;

use super::candidate::Candidate;
use super::sample::Sample;
use crate::stage::Scope;

/// Share of the rarer side that a key must pair.
const COMPLETE: f64 = 0.98;
/// Share of the begins, and of the ends, that have a value of their own, from which on a key is an identity.
pub(crate) const IDENTITY: f64 = 0.9;
/// A key that is no identity needs this share of the more frequent side in pairs.
const BALANCE: f64 = 0.9;
/// Fewer begins or ends than this decide nothing.
pub(crate) const FEW: usize = 8;

/// What a key makes of a sample.
#[derive(Debug, Clone)]
pub(crate) struct Trial {
    pub(crate) key: Candidate,
    /// For each event that ends a pair: one more than the position of the begin.
    begin_of: Vec<u32>,
    /// Pairs, inverted ones included.
    pub(crate) pairs: usize,
    /// Pairs as a share of the rarer side.
    pub(crate) complete: f64,
    /// Share of the begins, and of the ends, that have a value of their own within their process: the lower one.
    pub(crate) unique: f64,
    /// Pairs between processes.
    pub(crate) crossing: usize,
    /// Begins at a depth above one.
    pub(crate) deep: usize,
    /// Whether this may be the stage's key.
    pub(crate) fits: bool,
}

impl Trial {
    /// Pairs the events of `sample` by `key`.
    pub(crate) fn new(sample: &Sample<'_>, key: Candidate) -> Self {
        let mut pairing = Pairing::new(sample);
        let (mut begin_values, mut end_values) = (HashSet::new(), HashSet::new());
        let mut values = HashSet::new();
        for (at, fired) in (0..).zip(sample.fired) {
            let Some(value) = key.values(fired) else { continue };
            let whole = (key.scope_id(fired), value);
            match (key.scope == Scope::Tid, fired.is_end) {
                (true, false) => pairing.push(whole, at),
                (true, true) => pairing.pop(whole, at),
                (false, false) => pairing.begin(whole, at),
                (false, true) => pairing.end(whole, at),
            }
            if !key.args().is_empty() {
                let own = if fired.is_end { &mut end_values } else { &mut begin_values };
                own.insert((fired.process, value));
                values.insert(value);
            }
        }
        if key.scope != Scope::Trace {
            // An end before its begin is a matter between processes.
            pairing.inverted.clear();
        }
        // A begin that has an end after it is not the begin of the end before it.
        let ended: HashSet<u32> = pairing.begin_of.iter().filter_map(|begin| begin.checked_sub(1)).collect();
        for &(begin, end) in pairing.inverted.iter().filter(|(begin, _)| !ended.contains(begin)) {
            pairing.begin_of[end as usize] = begin + 1;
        }
        let (begins, ends) = sample.counts();
        let share = |of: usize, all: usize| of as f64 / all.max(1) as f64;
        let pairs = pairing.begin_of.iter().filter(|&&begin| begin != 0).count();
        let unique = share(begin_values.len(), begins).min(share(end_values.len(), ends));
        let crossing = crossing(sample, &pairing.begin_of);
        let mut trial = Self {
            key,
            begin_of: pairing.begin_of,
            pairs,
            complete: share(pairs, begins.min(ends)),
            unique,
            crossing,
            deep: pairing.deep,
            fits: false,
        };
        let seldom_repeated = pairing.repeated as f64 <= (1.0 - COMPLETE) * begins as f64;
        trial.fits = trial.complete >= COMPLETE
            && seldom_repeated
            && (key.args().is_empty() || values.len() > 1)
            && (trial.is_balanced(sample) || (trial.is_identity() && begins.min(ends) >= FEW))
            && (key.scope != Scope::Pid || !key.args().is_empty() || crossing == 0);
        trial
    }

    /// Whether nearly every begin, and every end, has a value of its own.
    pub(crate) fn is_identity(&self) -> bool {
        !self.key.args().is_empty() && self.unique >= IDENTITY
    }

    /// As [`unique`](Self::unique), in tenths: what is nearly the same is the same.
    pub(crate) fn unique_tenths(&self) -> u32 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 10")]
        let tenths = (self.unique * 10.0).round_ties_even() as u32;
        tenths
    }

    /// Whether about as many events end the stage as begin it.
    fn is_balanced(&self, sample: &Sample<'_>) -> bool {
        let (begins, ends) = sample.counts();
        let (low, high) = (begins.min(ends), begins.max(ends));
        let threads: HashSet<ThreadId> = sample.fired.iter().map(|fired| fired.thread).collect();
        // What began before the sample or ends after it: not more than the threads have at a time.
        let slack = FEW.max(2 * threads.len());
        let edge = if high > 4 * slack || self.key.scope == Scope::Tid { slack } else { 2 };
        let left = (high - self.pairs.min(high)) as f64;
        left <= (edge as f64).max((1.0 - BALANCE) * high as f64) && (2 * low >= high || high <= slack)
    }

    /// The share of the pairs that both have, of those of the key that has fewer.
    pub(crate) fn same(&self, other: &Self) -> f64 {
        let both = self.begin_of.iter().zip(&other.begin_of).filter(|(a, b)| **a != 0 && a == b).count();
        both as f64 / self.pairs.min(other.pairs).max(1) as f64
    }

    /// Pairs of this key that `other` does not have.
    pub(crate) fn missing_in(&self, other: &Self) -> usize {
        self.begin_of.iter().zip(&other.begin_of).filter(|(a, b)| **a != 0 && a != b).count()
    }

    /// A trial of these pairs.
    pub(crate) fn of_pairs(key: Candidate, begin_of: Vec<u32>) -> Self {
        let pairs = begin_of.iter().filter(|&&begin| begin != 0).count();
        Self { key, begin_of, pairs, complete: 0.0, unique: 0.0, crossing: 0, deep: 0, fits: false }
    }
}

fn crossing(sample: &Sample<'_>, begin_of: &[u32]) -> usize {
    let pairs = begin_of.iter().zip(sample.fired).filter(|(begin, _)| **begin != 0);
    pairs.filter(|(begin, end)| sample.fired[**begin as usize - 1].process != end.process).count()
}

type ScopedKey = (u32, [i64; 2]);

/// What is open of a key without the thread.
enum Open {
    /// One begin.
    One(u32),
    /// So many begins: which end is whose cannot be told.
    Tangled(u32),
}

struct Pairing<'a> {
    sample: &'a Sample<'a>,
    begin_of: Vec<u32>,
    stacks: HashMap<ScopedKey, Vec<u32>>,
    open: HashMap<ScopedKey, Open>,
    /// Ends that may be those of a later begin.
    early: HashMap<ScopedKey, u32>,
    inverted: Vec<(u32, u32)>,
    repeated: usize,
    deep: usize,
}

impl<'a> Pairing<'a> {
    fn new(sample: &'a Sample<'a>) -> Self {
        Self {
            sample,
            begin_of: vec![0; sample.fired.len()],
            stacks: HashMap::new(),
            open: HashMap::new(),
            early: HashMap::new(),
            inverted: Vec::new(),
            repeated: 0,
            deep: 0,
        }
    }

    fn push(&mut self, key: ScopedKey, at: u32) {
        let stack = self.stacks.entry(key).or_default();
        stack.push(at);
        self.deep += usize::from(stack.len() > 1);
    }

    fn pop(&mut self, key: ScopedKey, at: u32) {
        if let Some(begin) = self.stacks.get_mut(&key).and_then(Vec::pop) {
            self.begin_of[at as usize] = begin + 1;
        }
    }

    fn begin(&mut self, key: ScopedKey, at: u32) {
        let process = |at: u32| self.sample.fired[at as usize].process;
        match self.open.get_mut(&key) {
            None => {
                self.open.insert(key, Open::One(at));
                if let Some(end) = self.early.remove(&key) {
                    self.inverted.push((at, end));
                }
            }
            Some(Open::Tangled(depth)) => {
                *depth += 1;
                self.repeated += 1;
            }
            Some(open @ Open::One(_)) => {
                let Open::One(old) = *open else { return };
                if self.sample.replaced(process(old), process(at)) {
                    *open = Open::One(at);
                } else {
                    *open = Open::Tangled(2);
                    self.repeated += 2;
                }
            }
        }
    }

    fn end(&mut self, key: ScopedKey, at: u32) {
        match self.open.get_mut(&key) {
            None => {
                self.early.insert(key, at);
            }
            Some(Open::One(begin)) => {
                self.begin_of[at as usize] = *begin + 1;
                self.open.remove(&key);
            }
            Some(Open::Tangled(depth)) => {
                *depth -= 1;
                if *depth == 0 {
                    self.open.remove(&key);
                }
            }
        }
    }
}
