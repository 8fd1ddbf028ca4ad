//! What an analysis says beyond its figures: the path of the buffers, what limits them, what is wrong, and why the slow
//! ones are slow.

mod finding;
mod findings;
mod limit;
mod path;
mod series;
mod shares;
mod watch;
mod worst;

use super::{Analysis, Latency};
use crate::stage::Stage;

pub use finding::{Finding, FindingKind};
pub use limit::flow::Rates;
pub use limit::judge::{Limit, LimitKind};
pub use limit::resource::{Resource, ResourceKind};
pub use path::loss::Losses;
pub use path::route::{PathStep, Route};
pub use shares::Shares;
pub use watch::Watch;
pub use worst::Slow;

use findings::Measured;
use limit::judge::{Case, judge};
use limit::stall::stalls;
use path::buffers::Buffers;
use path::loss::{Horizon, overtaken};

/// Slices of the time that in-flight numbers are given for.
const SLICES: usize = 64;

/// What an analysis says beyond its figures.
#[derive(Debug, Clone)]
pub struct Diagnosis {
    /// The path of the buffers; without steps if there is none.
    pub route: Route,
    /// Buffers that passed all of it.
    pub buffers: u64,
    /// How long each step takes.
    pub steps: Vec<Latency>,
    /// From the first probe to the last.
    pub total: Latency,
    /// What the time goes to.
    pub shares: Shares,
    /// What limits the buffers.
    pub limit: Limit,
    /// Buffers that did not pass all of it.
    pub losses: Losses,
    /// Buffers that were overtaken at each probe but the first, among those that were looked at.
    pub overtaken: Vec<u64>,
    /// Buffers under way, in slices of the time of the trace.
    pub in_flight: Vec<f64>,
    /// What a reader should know.
    pub findings: Vec<Finding>,
    /// The slowest buffers.
    pub slowest: Vec<Slow>,
}

/// Says what `watch` saw of the path among the stages of `analysis`; with the `worst` slowest buffers.
#[must_use]
pub fn diagnose(mut watch: Watch<'_>, analysis: &Analysis, worst: usize) -> Diagnosis {
    watch.finish();
    let stages: Vec<Stage> = analysis.stages.iter().map(|report| report.stage.clone()).collect();
    let inverted = findings::inverted(analysis);
    let Some(whole) = &watch.whole else {
        return Diagnosis {
            route: Route::default(),
            buffers: 0,
            steps: Vec::new(),
            total: Latency::default(),
            shares: Shares::default(),
            limit: Limit::none("no buffer passes from stage to stage".to_owned()),
            losses: Losses::default(),
            overtaken: Vec::new(),
            in_flight: Vec::new(),
            findings: inverted,
            slowest: Vec::new(),
        };
    };
    let edge = |&(local, side)| crate::pair::Edge { stage: watch.stages[local], side };
    let route = Route::new(whole.route.iter().map(edge).collect(), &stages);
    let sampled = whole.sampler.buffers();
    let buffers = whole.slowest.with(&sampled);
    let definitions = watch.definitions;
    let stalls = stalls(&buffers, definitions, &watch.silences, &watch.all);
    let start_ns = analysis.time_ns.map_or(0, |(first_ns, _)| first_ns);
    let limit = judge(Case {
        buffers: &sampled,
        route: &route,
        flow: &whole.flow,
        count: whole.total.count(),
        stalls: &stalls,
        definitions,
    });
    let horizon = Horizon {
        time_ns: analysis.time_ns.unwrap_or_default(),
        reach_ns: findings::horizon_ns(&buffers),
        gaps: &watch.gaps,
    };
    let losses = watch.breaks.judge(route.edges.len(), horizon);
    let overtaken = overtaken(&sampled);
    let one_way = one_way(&sampled);
    let ways: Vec<(u64, bool)> = overtaken.iter().copied().zip(one_way).collect();
    let evidence = Measured {
        buffers: &sampled,
        all: &buffers,
        route: &route,
        stages: &stages,
        stalls: &stalls,
        losses: &losses,
        skipped: &watch.numbers.never(),
        overtaken: &ways,
        start_ns,
    };
    let findings = evidence.findings().into_iter().chain(inverted).collect();
    Diagnosis {
        buffers: whole.total.count(),
        steps: whole.steps.clone(),
        total: whole.total.clone(),
        shares: shares::shares(&sampled),
        slowest: worst::worst(&buffers, &route, &stalls, start_ns, worst),
        in_flight: whole.flow.over_time(SLICES),
        route,
        limit,
        losses,
        overtaken,
        findings,
    }
}

/// For each probe of the path but the first, whether one thread takes all buffers there and at the probe before.
fn one_way(buffers: &Buffers) -> Vec<bool> {
    let mut one = vec![true; buffers.steps() + 1];
    if let Some(first) = buffers.all_hits().next() {
        for hits in buffers.all_hits() {
            for (one, (hit, first)) in one.iter_mut().zip(hits.iter().zip(first)) {
                *one &= hit.thread == first.thread;
            }
        }
    }
    // A pool of threads lets buffers overtake each other until one thread takes them in order again.
    let mut so_far = true;
    for one in &mut one {
        so_far &= *one;
        *one = so_far;
    }
    one.split_off(1)
}
