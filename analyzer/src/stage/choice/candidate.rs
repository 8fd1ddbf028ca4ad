//! Keys that may be a stage's.

use std::fmt;

use super::sample::Fired;
use crate::stage::{Key, KeyPart, Scope};

/// An argument of the begin and the one of the end that has the same value.
pub(crate) type ArgPair = (u8, u8);

/// A key that may be a stage's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Candidate {
    /// Among which events.
    pub scope: Scope,
    /// Arguments that are equal, at most two.
    args: [ArgPair; 2],
    len: u8,
}

impl Candidate {
    pub(crate) fn new(scope: Scope, args: &[ArgPair]) -> Self {
        let mut pairs = [(0, 0); 2];
        let mut len = 0;
        for (to, &pair) in pairs.iter_mut().zip(args) {
            *to = pair;
            len += 1;
        }
        Self { scope, args: pairs, len }
    }

    /// Arguments that are equal.
    #[must_use]
    pub fn args(&self) -> &[(u8, u8)] {
        &self.args[..usize::from(self.len)]
    }

    /// The same arguments in another scope.
    pub(crate) fn in_scope(self, scope: Scope) -> Self {
        Self { scope, ..self }
    }

    /// The one argument that stands at the same place in both.
    pub(crate) fn one_arg(&self) -> Option<u8> {
        match self.args() {
            [(begin, end)] if begin == end => Some(*begin),
            _ => None,
        }
    }

    /// Simpler keys first: uncrossed, few arguments, the first ones.
    pub(crate) fn shape(&self) -> (usize, usize, [ArgPair; 2]) {
        (self.crossed(), self.args().len(), self.args)
    }

    pub(crate) fn crossed(&self) -> usize {
        self.args().iter().filter(|(begin, end)| begin != end).count()
    }

    /// The values of the arguments of `fired`; `None` if one is missing.
    pub(crate) fn values(&self, fired: &Fired) -> Option<[i64; 2]> {
        let mut values = [0; 2];
        for (value, &(begin, end)) in values.iter_mut().zip(self.args()) {
            *value = fired.args[usize::from(if fired.is_end { end } else { begin })]?;
        }
        Some(values)
    }

    /// What stands for the scope of `fired`.
    pub(crate) fn scope_id(&self, fired: &Fired) -> u32 {
        match self.scope {
            Scope::Tid => fired.thread.0,
            Scope::Pid => fired.process.0,
            Scope::Ppid => fired.parent,
            Scope::Trace => 0,
        }
    }
}

/// `seq` is the first argument.
impl From<Candidate> for Key {
    fn from(candidate: Candidate) -> Self {
        let part = |&(begin, end): &ArgPair| match (begin, end) {
            (0, 0) => KeyPart::Seq,
            (begin, end) if begin == end => KeyPart::Arg(begin),
            (begin, end) => KeyPart::Crossed { begin, end },
        };
        Self { scope: candidate.scope, parts: candidate.args().iter().map(part).collect() }
    }
}

/// As `by` takes it.
impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Key::from(*self).fmt(f)
    }
}

/// Argument sets to try for probes with so many arguments: those at the same place, and, only if none of these fits,
/// crossed ones.
pub(crate) fn arg_sets(begin_args: u8, end_args: u8) -> (Vec<Vec<ArgPair>>, Vec<Vec<ArgPair>>) {
    const TWO: [[u8; 2]; 3] = [[0, 1], [0, 2], [1, 2]];
    const CROSSED: u8 = 3;
    let both = begin_args.min(end_args);
    let mut plain: Vec<Vec<ArgPair>> = (0..both).map(|arg| vec![(arg, arg)]).collect();
    let two = TWO.iter().filter(|two| two.iter().all(|&arg| arg < both));
    plain.extend(two.map(|two| two.iter().map(|&arg| (arg, arg)).collect()));
    let of = |count: u8| 0..count.min(CROSSED);
    let crossed = of(begin_args).flat_map(|begin| of(end_args).map(move |end| (begin, end)));
    (plain, crossed.filter(|(begin, end)| begin != end).map(|pair| vec![pair]).collect())
}
