//! The stages of an analysis with their keys, those for which there is none, and how sure that is.

use std::collections::BTreeMap;

use tracer_format::{Definitions, Trace};

use super::candidate::Candidate;
use super::decision::{Decision, Refusal, decide, keep_number};
use super::gather::{Gathered, Heard, follow, gather, gather_heard};
use super::sample::Sample;
use super::widening::widen;
use crate::select::Selection;
use crate::stage::{Draft, Key, Roles, Scope, Stage};

/// Stages whose keys are known, and those whose keys are not.
#[derive(Debug, Clone, Default)]
pub struct Chosen {
    /// Stages with a key.
    pub stages: Vec<Stage>,
    /// How sure each of these keys is.
    pub evidence: Vec<Evidence>,
    /// Stages for which no key can be named.
    pub refused: Vec<Refused>,
}

/// How sure a key is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Whether the key was chosen; it was given otherwise.
    pub chosen: bool,
    /// Whether an argument confirms it; true of a key that was given.
    pub confirmed: bool,
    /// Whether there are too few events to choose by.
    pub few: bool,
}

/// A stage for which no key can be named.
#[derive(Debug, Clone, PartialEq)]
pub struct Refused {
    /// The stage, with the key `seq`, which is not its key.
    pub stage: Stage,
    /// Begins and ends that were looked at.
    pub counts: (usize, usize),
    /// Why.
    pub why: Refusal,
}

/// Chooses the keys of those `drafts` that have none, from a sample of the selected events.
///
/// Which numbers and which probes are selected does not count: the keys are the same for every part of a trace.
#[must_use]
pub fn choose_keys(trace: &Trace<'_>, selection: &Selection, drafts: &[Draft]) -> Chosen {
    let facts = facts(drafts, &trace.definitions);
    let open = without_key(drafts, &facts);
    let selection = selection.of_every_probe();
    let mut gathered = gather(trace, &selection, &open);
    let mut decisions = decide_all(&gathered);
    let may_reach_far = |&at: &usize| gathered.is_cut[at] && may_reach_far(&decisions[at]);
    let far: Vec<usize> = (0..open.len()).filter(may_reach_far).collect();
    if !far.is_empty() {
        let stages: Vec<&Stage> = far.iter().map(|&at| open[at]).collect();
        let followed = follow(trace, &selection, &stages);
        // It looks at the same events and more.
        gathered.lives = followed.lives;
        for (at, fired) in far.into_iter().zip(followed.fired) {
            let decision = decide(&Sample { fired: &fired, lives: &gathered.lives });
            if decision.key.is_ok() {
                (gathered.fired[at], decisions[at]) = (fired, decision);
            }
        }
    }
    settle((drafts, &facts), &open, &gathered, decisions)
}

/// The same, from what has been heard of a recording so far.
#[must_use]
pub fn choose_keys_heard<'a>(
    definitions: &Definitions,
    drafts: &[Draft],
    heard: impl Iterator<Item = Heard<'a>>,
) -> Chosen {
    let facts = facts(drafts, definitions);
    let open = without_key(drafts, &facts);
    let gathered = gather_heard(definitions, &open, heard);
    let decisions = decide_all(&gathered);
    settle((drafts, &facts), &open, &gathered, decisions)
}

/// Decides on each stage that a sample was gathered of.
fn decide_all(gathered: &Gathered) -> Vec<Decision> {
    gathered.fired.iter().map(|fired| decide(&Sample { fired, lives: &gathered.lives })).collect()
}

/// Whether the ends of a stage may be farther from its begins than its sample reaches.
fn may_reach_far(decision: &Decision) -> bool {
    matches!(decision.key, Err(Refusal::NotInPairs | Refusal::Unfit(_)))
}

/// Those whose key is to be chosen.
fn without_key<'a>(drafts: &'a [Draft], facts: &[SiteFacts]) -> Vec<&'a Stage> {
    let is_open = |(draft, facts): &(&Draft, &SiteFacts)| !draft.has_key && !facts.is_marked;
    drafts.iter().zip(facts).filter(is_open).map(|(draft, _)| &draft.stage).collect()
}

/// Chooses the keys of `open`, which are those of `drafts` without one, from their samples and what each by itself decides.
fn settle(
    (drafts, facts): (&[Draft], &[SiteFacts]),
    open: &[&Stage],
    gathered: &Gathered,
    alone: Vec<Decision>,
) -> Chosen {
    let sample = |at: usize| Sample { fired: &gathered.fired[at], lives: &gathered.lives };
    let mut providers: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (at, stage) in open.iter().enumerate() {
        providers.entry(&stage.begins[0].provider).or_default().push(at);
    }
    let mut alone: Vec<Option<Decision>> = alone.into_iter().map(Some).collect();
    let mut decisions: BTreeMap<&str, Decision> = BTreeMap::new();
    for of_provider in providers.values() {
        let mut decided: Vec<(Sample<'_>, Decision)> =
            of_provider.iter().filter_map(|&at| Some((sample(at), alone[at].take()?))).collect();
        widen(&mut decided);
        decided.iter_mut().for_each(|(sample, decision)| keep_number(sample, decision));
        let decided = decided.into_iter().map(|(_, decision)| decision);
        decisions.extend(of_provider.iter().map(|&at| &open[at].name[..]).zip(decided));
    }
    let mut chosen = Chosen::default();
    for (draft, facts) in drafts.iter().zip(facts) {
        match decisions.remove(&draft.stage.name[..]) {
            Some(decision) => chosen.add(&draft.stage, decision, facts.has_argument),
            None => chosen.push(draft.stage.clone(), Evidence { chosen: false, confirmed: true, few: false }),
        }
    }
    chosen
}

impl Chosen {
    fn push(&mut self, stage: Stage, evidence: Evidence) {
        self.stages.push(stage);
        self.evidence.push(evidence);
    }

    fn add(&mut self, stage: &Stage, decision: Decision, has_argument: bool) {
        let stage = stage.clone();
        match decision.key {
            Ok(candidate) => {
                let evidence = Evidence { chosen: true, confirmed: decision.confirmed, few: false };
                self.push(with_key(stage, candidate, &decision), evidence);
            }
            Err(Refusal::Few) => {
                let key =
                    if has_argument { Key::seq() } else { Key { scope: Scope::Tid, parts: Vec::new() } };
                let nested = key.scope == Scope::Tid;
                let evidence = Evidence { chosen: true, confirmed: false, few: true };
                self.push(Stage { key, nested, ..stage }, evidence);
            }
            Err(why) => self.refused.push(Refused { stage, counts: decision.counts, why }),
        }
    }
}

fn with_key(stage: Stage, candidate: Candidate, decision: &Decision) -> Stage {
    let unwinds = decision.nested && candidate.args().is_empty();
    Stage {
        key: candidate.into(),
        nested: decision.nested,
        unwinding: decision.unwinding.filter(|_| unwinds),
        ..stage
    }
}

/// What the sites of a stage tell of its key.
struct SiteFacts {
    /// Whether the recording was told which argument is the key.
    is_marked: bool,
    /// Whether each of them has an argument.
    has_argument: bool,
}

fn facts(drafts: &[Draft], definitions: &Definitions) -> Vec<SiteFacts> {
    let mut facts: Vec<SiteFacts> =
        drafts.iter().map(|_| SiteFacts { is_marked: false, has_argument: true }).collect();
    let roles = Roles::new(drafts.iter().map(|draft| &draft.stage));
    for site in &definitions.sites {
        for role in roles.of(site) {
            let facts = &mut facts[role.stage];
            facts.is_marked |= site.key_arg != 0;
            facts.has_argument &= !site.args.is_empty();
        }
    }
    facts
}

impl Refused {
    /// Why, and what to do.
    #[must_use]
    pub fn text(&self) -> String {
        let (begins, ends) = self.counts;
        let give = |key: &str| {
            let stage = &self.stage;
            format!("--stage '{} = {} -> {} by {key}'", stage.name, stage.begins_text(), stage.ends_text())
        };
        match &self.why {
            Refusal::Few => format!("{begins} begins and {ends} ends are too few to choose a key"),
            Refusal::NotInPairs => format!("{begins} begins and {ends} ends: they do not come in pairs"),
            Refusal::Rivals(one, other) => format!(
                "by {one} and by {other}, which both fit, the spans differ; give one: {}",
                give(&one.to_string())
            ),
            Refusal::SameNumbers(key, percent) => format!(
                "several processes use the same numbers at a time ({percent} % of them), and their parents do not \
                 tell them apart; select the processes that belong together with -p, or mix them: {}",
                give(&key.to_string())
            ),
            Refusal::Unfit(best) => {
                let shown = |(key, percent): &(Candidate, u32)| format!("by {key} {percent} % are complete");
                let best_text = best.iter().map(shown).collect::<Vec<_>>().join(", ");
                let key = best.first().map_or_else(|| "tid".to_owned(), |(key, _)| key.to_string());
                format!("no key fits: {best_text}; to use one all the same: {}", give(&key))
            }
        }
    }
}
