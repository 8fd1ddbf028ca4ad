//! One side of a comparison: runs, and each stage over all of them.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use tracer_format::Definitions;

use super::latencies::{Collected, Latencies};
use crate::analysis::budget::Answer;
use crate::analysis::diagnosis::Diagnosis;
use crate::analysis::{Analysis, HandOffReport, Latency, StageReport, Summary};
use crate::pair::Class;
use crate::select::Outcome;

/// One trace of a side.
#[derive(Debug)]
pub struct Run {
    /// What it is called.
    pub name: String,
    /// What it comes down to.
    pub analysis: Analysis,
    /// Its latencies in order.
    pub collected: Collected,
    /// Where it ran.
    pub machine: Machine,
}

/// What a run ran on, as far as its trace says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Machine {
    kernels: BTreeSet<String>,
    processors: BTreeSet<String>,
    /// Program, and the build of the file that its probes are in.
    builds: BTreeSet<(Arc<str>, Arc<[u8]>)>,
}

impl Machine {
    /// Where the trace with these definitions was recorded.
    #[must_use]
    pub fn of(definitions: &Definitions) -> Self {
        let hosts = || definitions.hosts.iter();
        let builds = definitions.sites.iter().filter(|site| !site.build_id.is_empty());
        Self {
            kernels: hosts()
                .map(|host| host.kernel.to_string())
                .filter(|kernel| !kernel.is_empty())
                .collect(),
            processors: hosts()
                .filter(|host| host.cpus > 0)
                .map(|host| format!("{} x {}", host.cpus, host.machine))
                .collect(),
            builds: builds.map(|site| (site.program.clone(), site.build_id.clone())).collect(),
        }
    }
}

/// One side: all its runs.
#[derive(Debug)]
pub struct RunSet {
    /// How many.
    pub runs: usize,
    /// Events of all, and what is missing.
    pub outcome: Outcome,
    machine: Machine,
    /// What came of the conditions that were given, for each run by its name.
    pub budget: Vec<(String, Vec<Answer>)>,
    /// What is the same item in all runs has the same name.
    pub(crate) stages: NamedItems,
    pub(crate) hand_offs: NamedItems,
    /// The steps of the buffers' path and their latencies, if all runs have the same path.
    pub(crate) path: Vec<(String, Latency)>,
}

/// A stage or hand-off over all runs of a side.
#[derive(Debug, Clone, Default)]
pub struct Pooled {
    /// Latencies.
    pub latency: Latency,
    /// Spans that are not complete.
    pub not_complete: u64,
    /// Complete ones during which events were lost.
    pub near_loss: u64,
    /// Runs in which it has a latency.
    pub(crate) runs: Vec<RunOf>,
}

/// A stage or hand-off in one run.
#[derive(Debug, Clone)]
pub(crate) struct RunOf {
    pub(crate) summary: Summary,
    pub(crate) latencies: Latencies,
}

impl Pooled {
    /// Takes the latency of a run.
    fn add(&mut self, latency: Latency, latencies: Latencies) {
        let Some(summary) = latency.summary() else { return };
        self.runs.push(RunOf { summary, latencies });
        if self.latency.count() == 0 {
            self.latency = latency;
        } else {
            self.latency.merge(&latency);
        }
    }
}

/// Stages or hand-offs by their names, in the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct NamedItems {
    /// In boxes: there may be many, and they are moved about.
    all: Vec<(String, Box<Pooled>)>,
    places: HashMap<String, usize>,
}

impl NamedItems {
    fn of(&mut self, name: String) -> &mut Pooled {
        let next = self.all.len();
        let at = *self.places.entry(name.clone()).or_insert(next);
        if at == next {
            self.all.push((name, Box::default()));
        }
        &mut self.all[at].1
    }

    /// All of them; there are none any more.
    pub(crate) fn take(&mut self) -> Vec<(String, Box<Pooled>)> {
        std::mem::take(self).all
    }
}

impl RunSet {
    /// Takes the runs together.
    #[must_use]
    pub fn new(runs: Vec<Run>) -> Self {
        let mut side = Self {
            runs: runs.len(),
            outcome: Outcome::default(),
            machine: Machine::default(),
            budget: Vec::new(),
            stages: NamedItems::default(),
            hand_offs: NamedItems::default(),
            path: Vec::new(),
        };
        for (at, run) in runs.into_iter().enumerate() {
            side.add(run, at == 0);
        }
        side
    }

    fn add(&mut self, mut run: Run, is_first: bool) {
        self.outcome.add(&run.analysis.outcome);
        self.machine.kernels.append(&mut run.machine.kernels);
        self.machine.processors.append(&mut run.machine.processors);
        self.machine.builds.append(&mut run.machine.builds);
        let answers = std::mem::take(&mut run.analysis.budget);
        if !answers.is_empty() {
            self.budget.push((run.name, answers));
        }
        self.add_path(run.analysis.diagnosis.take(), is_first);
        let mut stages = Vec::new();
        for (report, latencies) in run.analysis.stages.into_iter().zip(run.collected.stages) {
            let pooled = self.stages.of(report.stage.name.clone());
            pooled.not_complete += not_complete(&report);
            pooled.near_loss += report.complete_near_loss;
            pooled.add(report.latency, latencies);
            stages.push(report.stage);
        }
        for report in run.analysis.hand_offs {
            let pooled = self.hand_offs.of(report.name(&stages));
            let HandOffReport { from, to, latency, near_loss } = report;
            let latencies = run.collected.hand_offs.get_mut(from, to).map(std::mem::take).unwrap_or_default();
            pooled.near_loss += near_loss;
            pooled.add(latency, latencies);
        }
    }

    fn add_path(&mut self, diagnosis: Option<Diagnosis>, is_first: bool) {
        let steps = diagnosis.into_iter().flat_map(|it| it.route.steps.into_iter().zip(it.steps));
        let steps: Vec<_> = steps.map(|(step, latency)| (step.name, latency)).collect();
        if is_first {
            self.path = steps;
        } else if self.path.iter().map(|step| &step.0).eq(steps.iter().map(|step| &step.0)) {
            self.path.iter_mut().zip(&steps).for_each(|(all, one)| all.1.merge(&one.1));
        } else {
            self.path.clear();
        }
    }
}

/// Spans that are not complete.
fn not_complete(report: &StageReport) -> u64 {
    report.classes.total() - report.classes.of(Class::Complete)
}

/// What differs in where the two sides ran, in sentences.
pub(crate) fn differences(base: &RunSet, new: &RunSet) -> Vec<String> {
    let list = |of: &BTreeSet<String>| of.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    let (base, new) = (&base.machine, &new.machine);
    let mut found = Vec::new();
    for (what, base, new) in
        [("kernels", &base.kernels, &new.kernels), ("processors", &base.processors, &new.processors)]
    {
        if !base.is_empty() && !new.is_empty() && base != new {
            found.push(format!("base and new ran on different {what}: {}; {}", list(base), list(new)));
        }
    }
    let programs: BTreeSet<&Arc<str>> =
        base.builds.symmetric_difference(&new.builds).map(|(program, _)| program).collect();
    let both = |program: &&&Arc<str>| {
        [base, new].iter().all(|side| side.builds.iter().any(|(name, _)| name == **program))
    };
    let changed: Vec<_> = programs.iter().filter(both).map(|program| &***program).collect();
    if !changed.is_empty() {
        found.push(format!("base and new ran different builds of {}", changed.join(", ")));
    }
    found
}
