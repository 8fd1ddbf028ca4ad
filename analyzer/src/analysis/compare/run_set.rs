//! One side of a comparison: runs, and each stage over all of them.

use std::collections::BTreeSet;

use tracer_format::Definitions;

use super::latencies::{Collected, Latencies};
use crate::analysis::budget::Answer;
use crate::analysis::{Analysis, HandOffReport, Latency, StageReport};
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
    builds: BTreeSet<(String, Vec<u8>)>,
}

impl Machine {
    /// Where the trace with these definitions was recorded.
    #[must_use]
    pub fn of(definitions: &Definitions) -> Self {
        let hosts = || definitions.hosts.iter();
        let builds = definitions.sites.iter().filter(|site| !site.build_id.is_empty());
        Self {
            kernels: hosts().map(|host| host.kernel.clone()).filter(|kernel| !kernel.is_empty()).collect(),
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
    pub(crate) stages: Vec<(String, Pooled)>,
    pub(crate) hand_offs: Vec<(String, Pooled)>,
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
    pub(crate) latency: Latency,
    pub(crate) latencies: Latencies,
}

impl Pooled {
    fn add(&mut self, latency: &Latency, latencies: Latencies) {
        if latency.count() > 0 {
            self.latency.merge(latency);
            self.runs.push(RunOf { latency: latency.clone(), latencies });
        }
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
            stages: Vec::new(),
            hand_offs: Vec::new(),
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
        self.add_path(&run.analysis, is_first);
        for (report, latencies) in run.analysis.stages.iter().zip(std::mem::take(&mut run.collected.stages)) {
            let pooled = entry(&mut self.stages, &report.stage.name);
            pooled.not_complete += not_complete(report);
            pooled.near_loss += report.complete_near_loss;
            pooled.add(&report.latency, latencies);
        }
        let stages: Vec<_> = run.analysis.stages.iter().map(|report| report.stage.clone()).collect();
        for report in &run.analysis.hand_offs {
            let HandOffReport { from, to, latency, near_loss } = report;
            let latencies =
                run.collected.hand_offs.get_mut(*from, *to).map(std::mem::take).unwrap_or_default();
            let pooled = entry(&mut self.hand_offs, &report.name(&stages));
            pooled.near_loss += near_loss;
            pooled.add(latency, latencies);
        }
    }

    fn add_path(&mut self, analysis: &Analysis, is_first: bool) {
        let steps = analysis.diagnosis.iter().flat_map(|it| it.route.steps.iter().zip(&it.steps));
        let steps: Vec<_> = steps.map(|(step, latency)| (step.name.clone(), latency.clone())).collect();
        if is_first {
            self.path = steps;
        } else if self.path.iter().map(|step| &step.0).eq(steps.iter().map(|step| &step.0)) {
            self.path.iter_mut().zip(&steps).for_each(|(all, one)| all.1.merge(&one.1));
        } else {
            self.path.clear();
        }
    }
}

fn entry<'a>(items: &'a mut Vec<(String, Pooled)>, name: &str) -> &'a mut Pooled {
    let at = items.iter().position(|item| item.0 == name).unwrap_or_else(|| {
        items.push((name.to_owned(), Pooled::default()));
        items.len() - 1
    });
    &mut items[at].1
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
    let programs: BTreeSet<&String> =
        base.builds.symmetric_difference(&new.builds).map(|(program, _)| program).collect();
    let both = |program: &&&String| {
        [base, new].iter().all(|side| side.builds.iter().any(|(name, _)| name == **program))
    };
    let changed: Vec<_> = programs.iter().filter(both).map(|program| program.as_str()).collect();
    if !changed.is_empty() {
        found.push(format!("base and new ran different builds of {}", changed.join(", ")));
    }
    found
}
