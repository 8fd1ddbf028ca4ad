//! All stages and hand-offs of two sides.

use std::collections::HashMap;

use super::judge::{Judged, Judgment, Percentile, Tail, Verdict, judge};
use super::rank::Shift;
use super::run_set::{Pooled, RunSet, differences};
use crate::analysis::Latency;
use crate::report::latency;

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ItemKind {
    /// A stage; it decides.
    Stage,
    /// A wait between two stages. It is shown, and does not decide: what it costs a buffer is in the stage around it.
    HandOff,
}

/// A stage or hand-off on both sides.
#[derive(Debug, Clone)]
pub struct Item {
    /// What it is.
    pub kind: ItemKind,
    /// Its name, by which it is found.
    pub name: String,
    /// In the base, if it is there.
    pub base: Option<Box<Pooled>>,
    /// On the new side, if it is there.
    pub new: Option<Box<Pooled>>,
    /// What became of it.
    pub verdict: Verdict,
    /// The percentiles that say so, if it is slower or faster.
    pub by: Vec<Percentile>,
    /// How far apart the two are, if both can be judged.
    pub shift: Option<Shift>,
    /// Its percentiles above the median, as far as there are enough spans.
    pub tails: Vec<Tail>,
    /// If it is inconclusive: so many more runs on each side would decide.
    pub more_runs: Option<u64>,
}

/// Two sides, stage by stage.
#[derive(Debug)]
pub struct Comparison {
    /// How it was judged.
    pub judgment: Judgment,
    /// The base.
    pub base: RunSet,
    /// The new side.
    pub new: RunSet,
    /// Stages with a complete span on either side, in the order of the base, then those that are new.
    pub stages: Vec<Item>,
    /// Hand-offs, likewise.
    pub hand_offs: Vec<Item>,
    /// What differs in where they ran, in sentences.
    pub differences: Vec<String>,
    /// Which traces are on both sides, in a sentence for terminals: of those nothing is learned. The caller knows.
    pub with_itself: Option<String>,
    /// Where on the buffers' path the difference is, in a sentence, if a stage got slower or faster.
    pub place: Option<String>,
}

impl Comparison {
    /// Names of the stages with this verdict.
    #[must_use]
    pub fn with(&self, verdict: Verdict) -> Vec<&str> {
        let stages = self.stages.iter().filter(|stage| stage.verdict == verdict);
        stages.map(|stage| stage.name.as_str()).collect()
    }

    /// Whether that no stage is slower is not quite certain: something was lost, or could not be compared, or nothing was.
    #[must_use]
    pub fn is_uncertain(&self) -> bool {
        let uncompared = |stage: &Item| matches!(stage.verdict, Verdict::Gone | Verdict::TooFew);
        self.compared() == 0
            || self.with_itself.is_some()
            || self.base.outcome.is_lossy()
            || self.new.outcome.is_lossy()
            || self.stages.iter().any(uncompared)
    }

    /// Stages that both sides have.
    #[must_use]
    pub fn compared(&self) -> usize {
        let both = |stage: &&Item| !matches!(stage.verdict, Verdict::Gone | Verdict::New);
        self.stages.iter().filter(both).count()
    }
}

/// Compares two sides.
#[must_use]
pub fn compare(mut base: RunSet, mut new: RunSet, judgment: &Judgment) -> Comparison {
    let mut stages = items(ItemKind::Stage, base.stages.take(), new.stages.take(), judgment);
    // As buffers pass them. In a trace they stand as their probes were found, which differs from run to run.
    let passed: HashMap<&str, usize> =
        base.path.iter().enumerate().map(|(at, (name, _))| (name.as_str(), at)).collect();
    stages.sort_by_key(|stage| passed.get(stage.name.as_str()).copied().unwrap_or(usize::MAX));
    let hand_offs = items(ItemKind::HandOff, base.hand_offs.take(), new.hand_offs.take(), judgment);
    let has = |verdict| stages.iter().any(|stage| stage.verdict == verdict);
    let place = if has(Verdict::Slower) {
        place(&base, &new, 1)
    } else if has(Verdict::Faster) {
        place(&base, &new, -1)
    } else {
        None
    };
    let differences = differences(&base, &new);
    Comparison {
        judgment: judgment.clone(),
        base,
        new,
        stages,
        hand_offs,
        differences,
        with_itself: None,
        place,
    }
}

fn items(
    kind: ItemKind,
    base: Vec<(String, Box<Pooled>)>,
    new: Vec<(String, Box<Pooled>)>,
    judgment: &Judgment,
) -> Vec<Item> {
    let both = on_both(base, new);
    let comparisons = both.len() * judgment.judged().len();
    let item = |(name, mut base, mut new): OnBoth| {
        let none = Pooled::default();
        let judged =
            judge(base.as_deref().unwrap_or(&none), new.as_deref().unwrap_or(&none), judgment, comparisons);
        // It is judged: the latencies of each run are not asked for any more.
        base.iter_mut().chain(&mut new).for_each(|pooled| pooled.runs = Vec::new());
        let Judged { verdict, by, shift, tails, more_runs } = judged;
        Item { kind, name, base, new, verdict, by, shift, tails, more_runs }
    };
    both.into_iter().map(item).collect()
}

/// A name, and what has it in the base and on the new side.
type OnBoth = (String, Option<Box<Pooled>>, Option<Box<Pooled>>);

/// What has a span on either side: those of the base in its order, then the others.
fn on_both(base: Vec<(String, Box<Pooled>)>, new: Vec<(String, Box<Pooled>)>) -> Vec<OnBoth> {
    let has_spans = |(_, pooled): &(String, Box<Pooled>)| pooled.latency.count() > 0;
    let (base, idle): (Vec<_>, Vec<_>) = base.into_iter().partition(has_spans);
    let mut idle: HashMap<String, Box<Pooled>> = idle.into_iter().collect();
    let places: HashMap<String, usize> =
        new.iter().enumerate().map(|(at, (name, _))| (name.clone(), at)).collect();
    let mut new: Vec<Option<(String, Box<Pooled>)>> = new.into_iter().map(Some).collect();
    let mut both = Vec::new();
    for (name, base) in base {
        let of_new = places.get(&name).and_then(|&at| new[at].take()).map(|(_, pooled)| pooled);
        both.push((name, Some(base), of_new));
    }
    for (name, of_new) in new.into_iter().flatten().filter(has_spans) {
        let of_base = idle.remove(&name);
        both.push((name, of_base, Some(of_new)));
    }
    both
}

/// The step of the path whose median grew most, or shrank most with a `sign` of -1, and its share of all that grew or shrank.
fn place(base: &RunSet, new: &RunSet, sign: i64) -> Option<String> {
    let same = base.path.iter().map(|step| &step.0).eq(new.path.iter().map(|step| &step.0));
    if !same || base.path.len() < 2 {
        return None;
    }
    let steps = base.path.iter().zip(&new.path);
    let change = |base: &Latency, new: &Latency| Some(new.at(500)?.saturating_sub(base.at(500)?));
    let changes: Vec<(&String, i64)> = steps
        .filter_map(|(base, new)| Some((&base.0, change(&base.1, &new.1)?.saturating_mul(sign))))
        .filter(|step| step.1 > 0)
        .collect();
    let all: f64 = changes.iter().map(|step| step.1 as f64).sum();
    let (name, change_ns) = changes.into_iter().max_by_key(|step| step.1)?;
    let share = change_ns as f64 / all * 100.0;
    let (verb, sign, kind) = if sign > 0 { ("grew", "+", "growth") } else { ("shrank", "-", "shrinking") };
    let size = latency(change_ns);
    Some(format!("on the path, {name} {verb} most: {sign}{size} at the median, {share:.0} % of all {kind}"))
}
