//! A key tried on a sample: which events it pairs, and whether that looks like the key of the stage.
//!
//! With the thread in the key, the innermost begin comes first: calls nest. Without it, a key has one begin open at a
//! time, and where begins repeat, none of them is paired.

use super::candidate::Candidate;
use super::distinct::Distinct;
use super::sample::{Fired, Sample};
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
        let mut values = Values::default();
        for (at, fired) in (0..).zip(sample.fired) {
            let Some(value) = key.values(fired) else { continue };
            let whole = [key.scope_id(fired).into(), value[0], value[1]];
            match (key.scope == Scope::Tid, fired.is_end) {
                (true, false) => pairing.push(whole, at),
                (true, true) => pairing.pop(whole, at),
                (false, false) => pairing.begin(whole, at),
                (false, true) => pairing.end(whole, at),
            }
            if !key.args().is_empty() {
                values.add(fired, value);
            }
        }
        if key.scope != Scope::Trace {
            // An end before its begin is a matter between processes.
            pairing.inverted.clear();
        }
        pairing.invert();
        let (begins, ends) = sample.counts();
        let share = |of: usize, all: usize| of as f64 / all.max(1) as f64;
        let pairs = pairing.begin_of.iter().filter(|&&begin| begin != 0).count();
        let unique = share(values.begins, begins).min(share(values.ends, ends));
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
            && (key.args().is_empty() || values.vary)
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
        let mut threads = Distinct::default();
        for fired in sample.fired {
            threads.number([fired.thread.0.into(), 0, 0]);
        }
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

/// What the values of a key are like, whatever its scope.
#[derive(Default)]
struct Values {
    /// Values of each process, and whether one begins and ends with each.
    known: Distinct,
    seen: Vec<[bool; 2]>,
    /// Values of their own that begin, and that end, in each process.
    begins: usize,
    ends: usize,
    first: Option<[i64; 2]>,
    /// Whether there are several.
    vary: bool,
}

impl Values {
    fn add(&mut self, fired: &Fired, value: [i64; 2]) {
        self.vary |= *self.first.get_or_insert(value) != value;
        let (number, is_new) = self.known.number([fired.process.0.into(), value[0], value[1]]);
        if is_new {
            self.seen.push([false; 2]);
        }
        let seen = &mut self.seen[number][usize::from(fired.is_end)];
        let count = if fired.is_end { &mut self.ends } else { &mut self.begins };
        *count += usize::from(!*seen);
        *seen = true;
    }
}

/// The scope and the values of a key.
type ScopedKey = [i64; 3];

/// What is open of a key. Positions of events are one more than they are; 0 if there is none.
#[derive(Debug, Clone, Copy, Default)]
struct Open {
    /// The begin that is open; with the thread in the key, the innermost.
    begin: u32,
    /// So many begins: which end is whose cannot be told.
    tangled: u32,
    /// An end that may be that of a later begin.
    early: u32,
}

struct Pairing<'a> {
    sample: &'a Sample<'a>,
    begin_of: Vec<u32>,
    keys: Distinct,
    open: Vec<Open>,
    /// With the thread in the key: the begin around each.
    around: Vec<u32>,
    inverted: Vec<(u32, u32)>,
    repeated: usize,
    deep: usize,
}

impl<'a> Pairing<'a> {
    fn new(sample: &'a Sample<'a>) -> Self {
        Self {
            sample,
            begin_of: vec![0; sample.fired.len()],
            keys: Distinct::default(),
            open: Vec::new(),
            around: vec![0; sample.fired.len()],
            inverted: Vec::new(),
            repeated: 0,
            deep: 0,
        }
    }

    fn open(&mut self, key: ScopedKey) -> &mut Open {
        let (number, is_new) = self.keys.number(key);
        if is_new {
            self.open.push(Open::default());
        }
        &mut self.open[number]
    }

    fn push(&mut self, key: ScopedKey, at: u32) {
        let around = std::mem::replace(&mut self.open(key).begin, at + 1);
        self.around[at as usize] = around;
        self.deep += usize::from(around != 0);
    }

    fn pop(&mut self, key: ScopedKey, at: u32) {
        let begin = self.open(key).begin;
        if begin != 0 {
            self.begin_of[at as usize] = begin;
            self.open(key).begin = self.around[begin as usize - 1];
        }
    }

    fn begin(&mut self, key: ScopedKey, at: u32) {
        let sample = self.sample;
        let process = |at: u32| sample.fired[at as usize].process;
        let open = self.open(key);
        if open.tangled > 0 {
            open.tangled += 1;
            self.repeated += 1;
        } else if open.begin == 0 {
            open.begin = at + 1;
            let early = std::mem::take(&mut open.early);
            if early != 0 {
                self.inverted.push((at, early - 1));
            }
        } else if sample.replaced(process(open.begin - 1), process(at)) {
            open.begin = at + 1;
        } else {
            (open.begin, open.tangled) = (0, 2);
            self.repeated += 2;
        }
    }

    fn end(&mut self, key: ScopedKey, at: u32) {
        let open = self.open(key);
        if open.tangled > 0 {
            open.tangled -= 1;
        } else if open.begin == 0 {
            open.early = at + 1;
        } else {
            let begin = std::mem::take(&mut open.begin);
            self.begin_of[at as usize] = begin;
        }
    }

    /// A begin after its end is the pair's, unless it has an end after it.
    fn invert(&mut self) {
        if self.inverted.is_empty() {
            return;
        }
        let mut ended = vec![false; self.begin_of.len()];
        for begin in self.begin_of.iter().filter_map(|begin| begin.checked_sub(1)) {
            ended[begin as usize] = true;
        }
        for &(begin, end) in self.inverted.iter().filter(|(begin, _)| !ended[*begin as usize]) {
            self.begin_of[end as usize] = begin + 1;
        }
    }
}
