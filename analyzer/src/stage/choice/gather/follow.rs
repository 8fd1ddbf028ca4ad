//! Gathers samples of stages whose spans reach farther than events in a row do: some begins, and what comes later with their
//! values. Where a million buffers are under way, a begin and its end have millions of events between them.

use tracer_format::{Columns, Trace};

use super::super::distinct::Distinct;
use super::super::sample::{ARGS, Fired};
use super::super::trial::{FEW, IDENTITY};
use super::{EventReader, Gather, Gathered, walk};
use crate::select::Selection;
use crate::stage::Stage;

/// Begins of a stage that are followed; of all stages together; and events that are looked at for them, at most.
const FOLLOWED: usize = 2048;
const FOLLOWED_OF_ALL: usize = 1 << 15;
const LOOKED_AT: u64 = 1 << 24;
/// Events that are kept for each begin: of more, the value is no buffer's own.
const KEPT: usize = 4;

/// Follows begins of `stages` through the selected events of `trace`. A stage has no events where less than half of its begins
/// end: what has the same values as few of them has them by chance.
pub(in super::super) fn follow(trace: &Trace<'_>, selection: &Selection, stages: &[&Stage]) -> Gathered {
    let followed = (FOLLOWED_OF_ALL / stages.len().max(1)).min(FOLLOWED);
    let mut follower = Follower {
        source: EventReader::new(&trace.definitions, stages),
        stages: stages.iter().map(|_| Followed::new(followed)).collect(),
    };
    walk(trace, selection, &mut follower);
    let fired = follower.stages.into_iter().map(|stage| stage.best).collect();
    Gathered { fired, lives: follower.source.lives, is_cut: Vec::new() }
}

struct Follower<'a> {
    source: EventReader<'a>,
    stages: Vec<Followed>,
}

impl Gather for Follower<'_> {
    fn event(&mut self, columns: &Columns, row: usize) {
        let stages = &mut self.stages;
        self.source.read(columns, row, |stage, fired| stages[stage].take(fired));
    }

    fn gap(&mut self) {
        self.stages.iter_mut().for_each(Followed::start_again);
    }

    fn has_enough(&self) -> bool {
        self.source.looked_at >= LOOKED_AT || self.stages.iter().all(|stage| stage.is_done)
    }
}

/// The begins of one stage that are followed, and what came with their values.
struct Followed {
    /// Begins that are to be followed.
    wanted: usize,
    fired: Vec<Fired>,
    begins: usize,
    ends: usize,
    /// Values of those arguments of the begins that tell them apart; before there are enough begins, none.
    values: Distinct,
    arguments: [bool; ARGS],
    best: Vec<Fired>,
    is_done: bool,
}

impl Followed {
    fn new(wanted: usize) -> Self {
        Self {
            wanted,
            fired: Vec::new(),
            begins: 0,
            ends: 0,
            values: Distinct::default(),
            arguments: [false; ARGS],
            best: Vec::new(),
            is_done: false,
        }
    }

    fn take(&mut self, fired: Fired) {
        if self.is_done {
            return;
        }
        let is_full = self.begins == self.wanted;
        if is_full && (!self.is_known(&fired) || self.fired.len() >= KEPT * self.wanted) {
            return;
        }
        self.fired.push(fired);
        self.begins += usize::from(!is_full && !fired.is_end);
        self.ends += usize::from(fired.is_end);
        if !is_full && self.begins == self.wanted {
            self.choose_arguments();
        }
        // The last ones may be long in coming.
        self.is_done |= is_full && 50 * self.ends >= 49 * self.begins;
    }

    /// There are enough begins: from now on, what has their values is taken.
    fn choose_arguments(&mut self) {
        let begins = || self.fired.iter().filter(|fired| !fired.is_end);
        for at in 0..ARGS {
            let mut own = Distinct::default();
            begins().for_each(|fired| {
                fired.args[at].map(|value| own.number([value, 0, 0]));
            });
            self.arguments[at] = own.len() as f64 >= IDENTITY * self.begins as f64;
        }
        for fired in begins() {
            keys(fired, self.arguments).for_each(|key| {
                self.values.number(key);
            });
        }
        let mut fired = std::mem::take(&mut self.fired);
        fired.retain(|fired| !fired.is_end || self.is_known(fired));
        self.ends = fired.iter().filter(|fired| fired.is_end).count();
        self.fired = fired;
        self.is_done = self.values.len() == 0;
    }

    fn is_known(&self, fired: &Fired) -> bool {
        keys(fired, self.arguments).any(|key| self.values.has(key))
    }

    /// Events are missing here: what stands before is not paired with what comes.
    fn start_again(&mut self) {
        if self.ends >= FEW.max(self.begins / 2) && self.fired.len() > self.best.len() {
            self.best = std::mem::take(&mut self.fired);
        }
        if !self.is_done {
            *self = Self { best: std::mem::take(&mut self.best), ..Self::new(self.wanted) };
        }
    }
}

/// The values of `fired` at `arguments`, each with the argument.
fn keys(fired: &Fired, arguments: [bool; ARGS]) -> impl Iterator<Item = [i64; 3]> {
    let of = |(at, value): (i64, Option<i64>)| Some([at, value?, 0]);
    let all = (0..).zip(fired.args).zip(arguments);
    all.filter(|(_, is_one)| *is_one).filter_map(move |(argument, _)| of(argument))
}
