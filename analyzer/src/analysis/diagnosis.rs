//! What an analysis says beyond its figures: the path of the buffers, what limits them, what is wrong, and why the slow
//! ones are slow.

mod finding;
mod findings;
mod limit;
mod path;
mod profile;
mod series;
mod shares;
mod watch;
mod worst;

use std::panic::resume_unwind;
use std::thread;

use tracer_format::Definitions;

use super::{Analysis, Latency};
use crate::pair::{Edge, Side};
use crate::stage::Stage;

pub use finding::{Common, Finding, FindingKind};
pub(crate) use limit::flow::Flow;
pub use limit::flow::Rates;
pub use limit::judge::{Limit, LimitKind};
pub(crate) use limit::quantile::mean;
pub use limit::resource::{Resource, ResourceKind};
pub use path::fan::Fan;
pub use path::following::Following;
pub use path::loss::Losses;
pub(crate) use path::passage::MAX_STAGES as MAX_PATH_STAGES;
pub use path::route::{PathStep, Route};
pub use profile::{Examples, Profile};
pub use shares::Shares;
pub use watch::Watch;
pub use worst::Slow;

use findings::Measured;
use limit::judge::{Case, judge, too_few};
use limit::stall::{Stall, stalls};
use path::buffers::Buffers;
use path::fan::PartCounts;
use path::loss::{Horizon, overtaken};
use profile::profile;
use watch::course::{Course, Whole};

/// Slices of the time that in-flight numbers are given for.
const SLICES: usize = 64;

/// What an analysis says beyond its figures.
#[derive(Debug, Clone)]
pub struct Diagnosis {
    /// The path of the buffers; without steps if there is none.
    pub route: Route,
    /// How many buffers follow it; findings and a verdict need nearly all.
    pub following: Following,
    /// Buffers that passed all of it.
    pub buffers: u64,
    /// How long each step takes.
    pub steps: Vec<Latency>,
    /// From the first probe to the last.
    pub total: Latency,
    /// How they look beyond that.
    pub profile: Profile,
    /// What the time goes to.
    pub shares: Shares,
    /// What limits the buffers.
    pub limit: Limit,
    /// Buffers that did not pass all of it.
    pub losses: Losses,
    /// Buffers that were overtaken at each probe but the first, among those that were looked at.
    pub overtaken: Vec<u64>,
    /// Stages that work on parts of the buffers: one becomes several, or several become one.
    pub fans: Vec<Fan>,
    /// Buffers under way, in slices of the time of the trace.
    pub in_flight: Vec<f64>,
    /// What a reader should know.
    pub findings: Vec<Finding>,
    /// The slowest buffers.
    pub slowest: Vec<Slow>,
    /// The same of the other paths, if there are several: stages of another provider, or with another key.
    pub others: Vec<Diagnosis>,
}

/// Says what `watch` saw of the paths among the stages of `analysis`, that with most probes and buffers first; with the `worst`
/// slowest buffers of each.
#[must_use]
pub fn diagnose(mut watch: Watch<'_>, analysis: &Analysis, worst: usize) -> Diagnosis {
    watch.finish();
    let stages: Vec<Stage> = analysis.stages.iter().map(|report| report.stage.clone()).collect();
    // Where damage hid events, their time may be unknown: nothing is said to be missing.
    let lost_at = if analysis.outcome.damage.is_empty() { watch.gaps.clone() } else { vec![(0, u64::MAX)] };
    let courses = std::mem::take(&mut watch.courses);
    let context = Context {
        analysis,
        stages: &stages,
        definitions: watch.definitions,
        gaps: &lost_at,
        worst,
        parts: &watch.parts,
    };
    let mut found: Vec<Diagnosis> = courses
        .into_iter()
        .enumerate()
        .filter_map(|(at, mut course)| {
            let whole = course.whole.take()?;
            context.diagnose((at, &course), whole)
        })
        .collect();
    let rank = |it: &Diagnosis| (it.following.is_path(), it.route.edges.len(), it.buffers);
    found.sort_by_key(|diagnosis| std::cmp::Reverse(rank(diagnosis)));
    let mut found = found.into_iter();
    let mut first = found.next().unwrap_or_else(Diagnosis::without_path);
    // A stage by itself is no path beside another; its figures stand in the table of stages.
    first.others = found.filter(|it| it.following.is_path() && it.route.edges.len() > 2).collect();
    first.findings.extend(findings::inverted(analysis));
    first
}

/// What all courses have in common.
#[derive(Clone, Copy)]
struct Context<'a> {
    analysis: &'a Analysis,
    stages: &'a [Stage],
    definitions: &'a Definitions,
    /// Times at which events were lost, from and to, ns.
    gaps: &'a [(u64, u64)],
    parts: &'a [PartCounts],
    worst: usize,
}

impl Context<'_> {
    fn diagnose(self, (at, course): (usize, &Course), whole: Whole) -> Option<Diagnosis> {
        let edge = |&(local, side): &(usize, Side)| Edge { stage: course.stages[local], side };
        let route = Route::new(whole.route.iter().map(edge).collect(), self.stages);
        let followed = whole.following(&course.counts);
        let Whole { flow, sampler, slowest, steps, total, .. } = whole;
        let sampled = sampler.into_buffers();
        let buffers = slowest.with(&sampled);
        let horizon = Horizon {
            time_ns: self.analysis.time_ns?,
            reach_ns: findings::horizon_ns(&buffers),
            gaps: self.gaps,
        };
        let (losses, following) = course.breaks.judge(&route.edges, horizon, followed);
        let losses = losses.supported_by(&following);
        let measured = Diagnosis {
            buffers: total.count(),
            steps,
            total,
            in_flight: flow.over_time(SLICES),
            following,
            route: route.clone(),
            losses: losses.clone(),
            ..Diagnosis::without_path()
        };
        if !following.is_path() {
            let text = if following.is_refused() { following.refusal() } else { too_few(measured.buffers) };
            return Some(Diagnosis { limit: Limit::none(text), ..measured });
        }
        let (looks, (stalls, limit)) = side_by_side(
            || Looks::of(&sampled, &buffers, &measured, horizon.time_ns),
            || self.limit(course, (&sampled, &buffers), &flow, &measured),
        );
        let Looks { overtaken, one_way, profile, shares } = looks;
        let ways: Vec<(u64, bool)> = overtaken.iter().copied().zip(one_way).collect();
        let start_ns = horizon.time_ns.0;
        let evidence = Measured {
            buffers: &sampled,
            all: &buffers,
            route: &route,
            stages: self.stages,
            stalls: &stalls,
            losses: &losses,
            skipped: &if self.gaps.is_empty() { course.counts.never() } else { Vec::new() },
            overtaken: if following.is_ordered() { &ways } else { &[] },
            start_ns,
            held_up: limit.held_up,
        };
        let (findings, slowest) = side_by_side(
            || evidence.findings(),
            || worst::worst(&buffers, &route, &stalls, start_ns, self.worst),
        );
        Some(Diagnosis {
            profile,
            shares,
            slowest,
            findings,
            fans: self.parts.iter().filter(|it| it.course == at).filter_map(|it| it.fan(&sampled)).collect(),
            limit,
            overtaken,
            ..measured
        })
    }

    /// What stood still, and what limits the buffers: of these, which were sampled, and which are all that are known.
    fn limit(
        self,
        course: &Course,
        (sampled, all): (&Buffers, &Buffers),
        flow: &Flow,
        measured: &Diagnosis,
    ) -> (Vec<Stall>, Limit) {
        let stalls = stalls(all, self.definitions, &course.silences, &course.all);
        let limit = judge(Case {
            buffers: sampled,
            route: &measured.route,
            flow,
            count: measured.buffers,
            stalls: &stalls,
            definitions: self.definitions,
        });
        (stalls, limit)
    }
}

/// How buffers look, whatever limits them.
struct Looks {
    overtaken: Vec<u64>,
    one_way: Vec<bool>,
    profile: Profile,
    shares: Shares,
}

impl Looks {
    fn of(sampled: &Buffers, all: &Buffers, measured: &Diagnosis, time_ns: (u64, u64)) -> Self {
        Self {
            overtaken: overtaken(sampled),
            one_way: one_way(sampled),
            profile: profile(all, sampled, &measured.steps, &measured.total, time_ns),
            shares: shares::shares(sampled),
        }
    }
}

/// What `here` and `there` give, the latter on another thread meanwhile.
fn side_by_side<A, B: Send>(here: impl FnOnce() -> A, there: impl FnOnce() -> B + Send) -> (A, B) {
    thread::scope(|scope| {
        let there = scope.spawn(there);
        (here(), there.join().unwrap_or_else(|panic| resume_unwind(panic)))
    })
}

impl Diagnosis {
    fn without_path() -> Self {
        Self {
            route: Route::default(),
            following: Following::default(),
            buffers: 0,
            steps: Vec::new(),
            total: Latency::default(),
            profile: Profile::default(),
            shares: Shares::default(),
            limit: Limit::none("no buffer passes from stage to stage".to_owned()),
            losses: Losses::default(),
            overtaken: Vec::new(),
            fans: Vec::new(),
            in_flight: Vec::new(),
            findings: Vec::new(),
            slowest: Vec::new(),
            others: Vec::new(),
        }
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
