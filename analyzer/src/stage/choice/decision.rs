//! Which key a stage has, as a sample of its events tells: or why none can be named.
//!
//! 1. If the thread alone fits, it is the key, unless an argument fits as well and pairs differently: then the argument
//!    knows better (asynchronous work on one thread, locks released in the order of taking). Calls left without a return
//!    are no such case: an argument that agrees tells how far to pop.
//! 2. Else the argument that completes most spans; refused if two do and disagree.
//! 3. Else one at a time in each process.
//!
//! Then two processes that live at the same time and count the same numbers are told apart by their parents, or refused.

use super::candidate::{Candidate, arg_sets};
use super::clash::shared_percent;
use super::sample::Sample;
use super::trial::{FEW, IDENTITY, Trial};
use super::unwinding::{best, unwound};
use crate::stage::Scope;

/// Keys as close as this in completeness are equal.
const TIE: f64 = 0.005;
/// Keys that have this share of the pairs in common give the same spans.
const SAME: f64 = 0.98;
/// Share of begins at a depth above one, from which on a stage nests.
const NESTED: f64 = 0.001;
/// Percent of values that two processes of one time may both begin.
const CLASH_PERCENT: f64 = 10.0;

/// What a sample tells of a stage's key.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// Begins and ends in the sample.
    pub counts: (usize, usize),
    /// The key, or why there is none.
    pub key: Result<Candidate, Refusal>,
    /// Whether spans of one thread lie within each other.
    pub nested: bool,
    /// Arguments on which begin and end agree, where the key is the thread.
    pub agreeing: Vec<u8>,
    /// That of them which tells best which begin an end belongs to, if one does.
    pub unwinding: Option<u8>,
    /// Whether an argument confirms the key.
    pub confirmed: bool,
    /// Begins left without an end in the sample, as calls are by an exception.
    pub left: usize,
}

/// Why no key is chosen.
#[derive(Debug, Clone, PartialEq)]
pub enum Refusal {
    /// The sample has too few spans to decide.
    Few,
    /// It has many more events of one side than of the other.
    NotInPairs,
    /// Both keys fit and give different spans.
    Rivals(Candidate, Candidate),
    /// Several processes of one time begin this percentage of their values in common.
    SameNumbers(Candidate, u32),
    /// No key fits: the best, and the percentage that each pairs.
    Unfit(Vec<(Candidate, u32)>),
}

impl Decision {
    fn refused(sample: &Sample<'_>, why: Refusal) -> Self {
        Self {
            counts: sample.counts(),
            key: Err(why),
            nested: false,
            agreeing: Vec::new(),
            unwinding: None,
            confirmed: false,
            left: 0,
        }
    }

    pub(crate) fn chosen(sample: &Sample<'_>, trial: &Trial) -> Self {
        let (begins, ends) = sample.counts();
        let by_thread = trial.key.scope == Scope::Tid;
        Self {
            counts: (begins, ends),
            key: Ok(trial.key),
            nested: by_thread && trial.deep as f64 > NESTED * begins as f64,
            agreeing: Vec::new(),
            unwinding: None,
            confirmed: !trial.key.args().is_empty(),
            left: 0,
        }
    }
}

/// Gives up a key that is narrower than the trace, and was chosen by a few pairs, if the first argument over all processes
/// makes the same pairs: they do not tell the two apart, and a number leads from stage to stage.
pub(crate) fn keep_number(sample: &Sample<'_>, decision: &mut Decision) {
    let (begins, ends) = decision.counts;
    let Ok(key) = decision.key else { return };
    if begins.min(ends) >= FEW || key.scope == Scope::Trace {
        return;
    }
    let number = Trial::new(sample, Candidate::new(Scope::Trace, &[(0, 0)]));
    let chosen = Trial::new(sample, key);
    if number.pairs == chosen.pairs && chosen.missing_in(&number) == 0 {
        *decision = Decision::refused(sample, Refusal::Few);
    }
}

/// Decides on the key of the stage that `sample` is of.
#[must_use]
pub fn decide(sample: &Sample<'_>) -> Decision {
    let (begins, ends) = sample.counts();
    let few = begins.min(ends) < FEW;
    if begins == 0 || ends == 0 {
        let one_sided = begins.max(ends) > 2 * FEW;
        return Decision::refused(sample, if one_sided { Refusal::NotInPairs } else { Refusal::Few });
    }
    let trials = Trials::new(sample);
    let decision = if trials.thread.fits { Ok(trials.by_thread()) } else { trials.by_argument() };
    match decision.and_then(|decision| without_clash(sample, decision)) {
        Ok(decision) => decision,
        Err(_) if few => Decision::refused(sample, Refusal::Few),
        Err(why) => Decision::refused(sample, why),
    }
}

/// Keys tried on one sample.
struct Trials<'a> {
    sample: &'a Sample<'a>,
    thread: Trial,
    /// Uncrossed argument keys.
    plain: Vec<Trial>,
    scopes: Vec<Scope>,
    crossed: Vec<Vec<(u8, u8)>>,
}

impl<'a> Trials<'a> {
    fn new(sample: &'a Sample<'a>) -> Self {
        let arity = |is_end| {
            let side = sample.fired.iter().filter(|fired| fired.is_end == is_end);
            side.map(|fired| fired.arity).max().unwrap_or_default()
        };
        let mut scopes = vec![Scope::Tid, Scope::Pid];
        if sample.fired.windows(2).any(|two| two[0].parent != two[1].parent) {
            scopes.push(Scope::Ppid);
        }
        scopes.push(Scope::Trace);
        let (plain, crossed) = arg_sets(arity(false), arity(true));
        let thread = Trial::new(sample, Candidate::new(Scope::Tid, &[]));
        let plain = tried(sample, &scopes, &plain);
        Self { sample, thread, plain, scopes, crossed }
    }

    /// The thread fits.
    fn by_thread(&self) -> Decision {
        let thread = &self.thread;
        let fits = || self.plain.iter().filter(|trial| trial.fits);
        let disagrees = |trial: &&Trial| trial.complete >= thread.complete - TIE && trial.same(thread) < SAME;
        // A few pairs agree with many arguments by chance.
        let (begins, ends) = self.sample.counts();
        let few = begins.min(ends) < FEW;
        let mut against: Vec<&Trial> = fits().filter(disagrees).filter(|_| !few).collect();
        let mut decision = Decision::chosen(self.sample, thread);
        if against.is_empty() {
            let of_thread = fits().filter(|trial| trial.key.scope == Scope::Tid);
            let agrees = of_thread.filter(|trial| trial.same(thread) >= SAME);
            decision.agreeing = agrees.filter_map(|trial| trial.key.one_arg()).collect();
            decision.confirmed = !decision.agreeing.is_empty();
            decision.unwinding = best(self.sample, &decision.agreeing);
            return decision;
        }
        against.sort_by_key(|trial| order(trial));
        let mut explained = Vec::new();
        for trial in against.iter().filter(|trial| trial.key.scope == Scope::Tid) {
            let Some(arg) = trial.key.one_arg() else { continue };
            let (popped, left) = unwound(self.sample, arg);
            let pairs = trial.pairs as f64;
            // Where both differ, begins that were left behind are the reason.
            let is_reason = popped.missing_in(trial) as f64 <= ((1.0 - SAME) * pairs).max(left as f64);
            if is_reason && popped.pairs as f64 >= SAME * pairs {
                explained.push(arg);
            }
        }
        match best(self.sample, &explained) {
            // Nesting is certain: begins were left behind.
            Some(arg) => Decision {
                nested: true,
                agreeing: explained,
                unwinding: Some(arg),
                confirmed: true,
                left: unwound(self.sample, arg).1,
                ..decision
            },
            None => Decision::chosen(self.sample, against[0]),
        }
    }

    /// The thread does not fit.
    fn by_argument(&self) -> Result<Decision, Refusal> {
        let mut fits: Vec<&Trial> = self.plain.iter().filter(|trial| trial.fits).collect();
        let crossed;
        if fits.is_empty() {
            crossed = tried(self.sample, &self.scopes, &self.crossed);
            fits = crossed.iter().filter(|trial| trial.fits).collect();
        }
        if fits.is_empty() {
            let process = Trial::new(self.sample, Candidate::new(Scope::Pid, &[]));
            return if process.fits {
                Ok(Decision::chosen(self.sample, &process))
            } else {
                Err(self.unfit())
            };
        }
        let best = fits.iter().map(|trial| trial.complete).fold(0.0, f64::max);
        fits.retain(|trial| trial.complete >= best - TIE);
        fits.sort_by_key(|trial| (trial.key.crossed(), order(trial)));
        let pick = fits[0];
        let rival = fits.iter().find(|trial| {
            trial.key.args() != pick.key.args()
                && trial.same(pick) < SAME
                && trial.unique_tenths() >= pick.unique_tenths()
        });
        match rival {
            Some(rival) => Err(Refusal::Rivals(pick.key, rival.key)),
            None => Ok(Decision::chosen(self.sample, pick)),
        }
    }

    fn unfit(&self) -> Refusal {
        let (begins, ends) = self.sample.counts();
        let (low, high) = (begins.min(ends), begins.max(ends));
        if 2 * low < high && high > 2 * FEW {
            return Refusal::NotInPairs;
        }
        let mut all: Vec<&Trial> = self.plain.iter().chain([&self.thread]).collect();
        all.sort_by(|a, b| b.complete.total_cmp(&a.complete));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a percentage")]
        let percent = |trial: &Trial| (100.0 * trial.complete) as u32;
        Refusal::Unfit(all.iter().take(2).map(|trial| (trial.key, percent(trial))).collect())
    }
}

/// Values of their own first, then simple keys, then narrow ones.
fn order(trial: &Trial) -> impl Ord + use<> {
    (10 - trial.unique_tenths().min(10), trial.key.shape(), trial.key.scope)
}

fn tried(sample: &Sample<'_>, scopes: &[Scope], args: &[Vec<(u8, u8)>]) -> Vec<Trial> {
    let all = scopes.iter().flat_map(|&scope| args.iter().map(move |args| Candidate::new(scope, args)));
    all.map(|key| Trial::new(sample, key)).collect()
}

/// Tells processes that count the same numbers apart by their parents, or refuses.
fn without_clash(sample: &Sample<'_>, decision: Decision) -> Result<Decision, Refusal> {
    let Ok(key) = decision.key else { return Ok(decision) };
    if key.scope != Scope::Trace {
        return Ok(decision);
    }
    let trial = Trial::new(sample, key);
    let percent = shared_percent(sample, &key);
    if trial.unique < IDENTITY || percent < CLASH_PERCENT {
        return Ok(decision);
    }
    let by_parent = Trial::new(sample, key.in_scope(Scope::Ppid));
    let tells_apart = shared_percent(sample, &by_parent.key) < CLASH_PERCENT;
    if tells_apart && by_parent.fits && by_parent.complete >= trial.complete - TIE {
        return Ok(Decision::chosen(sample, &by_parent));
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a percentage")]
    Err(Refusal::SameNumbers(key, percent as u32))
}
