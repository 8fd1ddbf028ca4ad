//! One sentence: what limits the buffers, and what shows it.

use tracer_format::Definitions;

use super::super::path::buffers::Buffers;
use super::super::path::route::Route;
use super::flow::{Flow, Rates};
use super::intervals::Interval;
use super::quantile::quantile;
use super::resource::{Resource, ResourceKind, program_of, resources};
use super::stall::Stall;
use super::waiting::{delayed, waited};
use crate::report::rate;

/// Whole buffers that a verdict needs.
pub(crate) const LEAST_BUFFERS: u64 = 30;
/// Busy from here on is saturated, or near its limit.
const SATURATED: f64 = 0.90;
const NEAR: f64 = 0.75;
/// Share of buffers that must have waited for what is a bottleneck; and from which on there is none to name.
const WAITED: f64 = 0.80;
const SOME_WAITED: f64 = 0.5;
/// Share of the time that must be spent on buffers, or delay them, for these waits to tell something: buffers that come in bursts
/// wait for each other, though there is time for all.
const SOME_WANTED: f64 = 0.5;
/// Buffers that must have waited for a lock, for it to be one.
const LOCK_WAITED: f64 = 5.0;
/// Least growth of the number under way, in buffers and as a share of their mean; and of what comes over what goes.
const GROWTH: f64 = 5.0;
const GROWTH_SHARE: f64 = 0.25;
const MORE_IN: f64 = 1.02;
/// Steps with less of a resource's time are not named.
const NAMED: f64 = 0.10;

/// What limits the buffers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitKind {
    /// A resource is busy all the time, and buffers wait for it.
    Bottleneck,
    /// And more comes than goes.
    Overload,
    /// A resource is busy most of the time.
    Near,
    /// Buffers wait for a resource whose time is in no stage.
    Untraced,
    /// Buffers wait, but nothing is busy.
    Unclear,
    /// Nothing: what begins the path sets the pace.
    Source,
    /// There is too little to tell.
    None,
}

impl LimitKind {
    /// Name in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Bottleneck => "bottleneck",
            Self::Overload => "overload",
            Self::Near => "near",
            Self::Untraced => "untraced",
            Self::Unclear => "unclear",
            Self::Source => "source",
            Self::None => "none",
        }
    }
}

/// What limits the buffers, and what shows it.
#[derive(Debug, Clone)]
pub struct Limit {
    /// What it is.
    pub kind: LimitKind,
    /// The program that it is about.
    pub program: Option<String>,
    /// The stage that takes most of its time; of a lock, the stage that it guards.
    pub by: Option<String>,
    /// Whether a lock is what is narrow.
    pub lock: bool,
    /// Steps before this one are held up by what is narrow; 0 if nothing is.
    pub held_up: usize,
    /// The sentence.
    pub text: String,
    /// What was measured of all resources.
    pub resources: Vec<Resource>,
    /// What comes, goes, and is under way; `None` if that cannot be told.
    pub rates: Option<Rates>,
}

impl Limit {
    pub(crate) fn none(why: String) -> Self {
        let (program, by) = (None, None);
        Self {
            kind: LimitKind::None,
            program,
            by,
            lock: false,
            held_up: 0,
            text: why,
            resources: Vec::new(),
            rates: None,
        }
    }
}

/// What a verdict is made from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case<'a> {
    /// The buffers.
    pub(crate) buffers: &'a Buffers,
    /// Their path.
    pub(crate) route: &'a Route,
    /// What comes and goes.
    pub(crate) flow: &'a Flow,
    /// Whole buffers, also those that are not among the rows.
    pub(crate) count: u64,
    /// Stalls.
    pub(crate) stalls: &'a [Stall],
    /// Threads and programs.
    pub(crate) definitions: &'a Definitions,
}

/// Why there is no verdict on `count` buffers.
pub(crate) fn too_few(count: u64) -> String {
    format!("{count} whole buffers; a verdict needs {LEAST_BUFFERS}")
}

/// Judges.
#[must_use]
pub(crate) fn judge(case: Case<'_>) -> Limit {
    if case.count < LEAST_BUFFERS {
        return Limit::none(too_few(case.count));
    }
    let Some(rates) = case.flow.rates() else {
        return Limit::none("all buffers enter at once".to_owned());
    };
    let resources = measured(case, &rates);
    let judge = Judge { case, rates, resources: &resources };
    let judged = judge.judge();
    Limit { rates: Some(rates), resources: resources.clone(), ..judged }
}

/// The resources with the share of buffers that waited for each. What a stall held does not count.
fn measured(case: Case<'_>, rates: &Rates) -> Vec<Resource> {
    let rows = case.buffers;
    let pauses: Vec<Interval> =
        case.stalls.iter().map(|stall| (stall.silence.from_ns, stall.silence.to_ns())).collect();
    let mut held = vec![false; rows.len()];
    for &row in case.stalls.iter().flat_map(|stall| &stall.rows) {
        // The slowest of all buffers stand behind those that are looked at here.
        if let Some(held) = held.get_mut(row) {
            *held = true;
        }
    }
    if 2 * held.iter().filter(|&&held| held).count() >= rows.len() {
        held.fill(false);
    }
    let entered = |row: usize| (rates.from_ns..=rates.to_ns).contains(&rows.entered_ns(row));
    let mut resources = resources(rows, case.route, case.definitions, &pauses);
    for resource in &mut resources {
        resource.waited = waited(rows, resource, |row| !held[row] && entered(row));
        resource.delayed = delayed(rows, resource);
    }
    // That threads never meet in a stage may be chance where they seldom come; a lock is seen by those that wait for it.
    let is_seen = |lock: &Resource| lock.waited.unwrap_or_default() * rows.len() as f64 >= LOCK_WAITED;
    resources.retain(|resource| resource.kind != ResourceKind::Lock || is_seen(resource));
    resources
}

struct Judge<'a> {
    case: Case<'a>,
    rates: Rates,
    resources: &'a [Resource],
}

impl Judge<'_> {
    fn judge(&self) -> Limit {
        let measured = self.resources.iter().filter(|resource| resource.busy.is_some());
        let Some(top) = measured.max_by(|a, b| a.busy.unwrap_or(0.0).total_cmp(&b.busy.unwrap_or(0.0)))
        else {
            return Limit::none("no stage begins and ends on one thread".to_owned());
        };
        let saturated: Vec<&Resource> = self.resources.iter().filter(|r| self.is_saturated(r)).collect();
        match saturated.last() {
            Some(last) => self.bottleneck(narrowest(&saturated, last), &saturated),
            None => self.no_bottleneck(top),
        }
    }

    fn is_saturated(&self, resource: &Resource) -> bool {
        let full = match resource.busy {
            Some(busy) => busy >= SATURATED,
            None => self.shortest_wait_ns(resource) >= 0.5e9 / self.rates.out_per_s.max(f64::MIN_POSITIVE),
        };
        resource.waited.is_some_and(|waited| waited >= WAITED) && full
    }

    /// What nearly all buffers wait for a resource at least, ns.
    fn shortest_wait_ns(&self, resource: &Resource) -> f64 {
        let Some(step) = resource.first.checked_sub(1) else { return 0.0 };
        let rows = self.case.buffers;
        quantile(&(0..rows.len()).map(|row| rows.step_ns(row, step) as f64).collect::<Vec<_>>(), 0.05)
    }

    fn bottleneck(&self, best: &Resource, saturated: &[&Resource]) -> Limit {
        let rates = &self.rates;
        let grows = rates.growth >= GROWTH.max(GROWTH_SHARE * rates.in_flight)
            && rates.in_per_s > MORE_IN * rates.out_per_s;
        let busy = best.busy.map(|busy| format!("{} % busy, ", percent(busy))).unwrap_or_default();
        let mut text = format!(
            "{}: {busy}{} % of the buffers had to wait for it, it lets {:.0}/s through",
            self.label(best),
            percent(best.waited.unwrap_or_default()),
            rates.out_per_s,
        );
        if grows {
            let piling = rates.growth / rates.seconds;
            text += &format!("; {:.0}/s arrive, {piling:.0} a second pile up", rates.in_per_s);
        }
        let mut before: Vec<&str> = saturated
            .iter()
            .filter(|r| r.kind != ResourceKind::Lock && r.group != best.group && r.first < best.first)
            .map(|r| &r.program[..])
            .collect();
        before.dedup();
        if !before.is_empty() {
            let is = if before.len() == 1 { "is" } else { "are" };
            text += &format!("; {} before it {is} held up", before.join(", "));
        }
        let kind = if grows { LimitKind::Overload } else { LimitKind::Bottleneck };
        let team = self.resources.iter().filter(|resource| resource.group == best.group);
        let held_up = team.map(|resource| resource.first).min().unwrap_or(best.first);
        Limit { held_up, ..self.about(kind, best, text) }
    }

    fn no_bottleneck(&self, top: &Resource) -> Limit {
        let busy = top.busy.unwrap_or_default();
        if busy >= NEAR {
            let waited =
                top.waited.map(|waited| format!("; {} % of the buffers had to wait for it", percent(waited)));
            let text = format!("{}: {} % busy{}", self.label(top), percent(busy), waited.unwrap_or_default());
            return self.about(LimitKind::Near, top, text);
        }
        let waits = |r: &&Resource, share| r.waited.is_some_and(|waited| waited >= share);
        let is_wanted = |r: &&Resource, share| r.wanted().is_some_and(|wanted| wanted >= share);
        let awaited = self.resources.iter().rfind(|r| waits(r, WAITED) && is_wanted(r, SATURATED));
        if let Some(awaited) = awaited {
            let text = format!(
                "{} % of the buffers wait for {}, which is {} % busy: the rest of its time is in no stage",
                percent(awaited.waited.unwrap_or_default()),
                self.label(awaited),
                percent(awaited.busy.unwrap_or_default()),
            );
            return self.about(LimitKind::Untraced, awaited, text);
        }
        let label = self.label(top);
        let some = |r: &Resource| waits(&r, SOME_WAITED + f64::EPSILON) && is_wanted(&r, SOME_WANTED);
        if self.resources.iter().any(some) {
            let text = format!("half of the buffers wait, yet {label} is only {} % busy", percent(busy));
            return self.about(LimitKind::Unclear, top, text);
        }
        let pace = self.rates.in_per_s;
        let text = format!(
            "the source sets the pace, {} buffers/s; busiest is {label}: {} %",
            rate(pace),
            percent(busy)
        );
        let source = self.case.buffers.all_hits().next().map(|hits| hits[0].thread);
        let program = source.map(|thread| program_of(thread, self.case.definitions));
        Limit { kind: LimitKind::Source, program, ..Limit::none(text) }
    }

    fn about(&self, kind: LimitKind, resource: &Resource, text: String) -> Limit {
        let most = resource.inside.iter().max_by(|a, b| a.1.total_cmp(&b.1));
        let by = most.map(|&(step, _)| self.case.route.steps[step].name.clone());
        let lock = resource.kind == ResourceKind::Lock;
        Limit { kind, program: Some(resource.program.clone()), by, lock, ..Limit::none(text) }
    }

    fn label(&self, resource: &Resource) -> String {
        let (route, program) = (self.case.route, &resource.program);
        let threads = resource.threads;
        match resource.kind {
            ResourceKind::Lock => {
                let stage = &route.steps[resource.first].name;
                format!("{stage} of {program}, one at a time though {threads} threads do it")
            }
            ResourceKind::End => format!("{program}, which only ends the path"),
            ResourceKind::Threads => {
                let of = if threads == 1 { String::new() } else { format!(", {threads} threads") };
                format!("{program}{of} ({})", self.shares(resource))
            }
        }
    }

    /// What the time of a resource goes to: `awe 80 %, writing 20 %`.
    fn shares(&self, resource: &Resource) -> String {
        let total: f64 = resource.inside.iter().map(|(_, time_ns)| time_ns).sum();
        let mut parts = resource.inside.clone();
        parts.sort_by(|a, b| b.1.total_cmp(&a.1));
        let share = |time_ns: f64| if total > 0.0 { time_ns / total } else { 0.0 };
        let named = parts.iter().filter(|(_, time_ns)| share(*time_ns) >= NAMED).count().max(1);
        let name = |&(step, time_ns): &(usize, f64)| {
            format!("{} {} %", self.case.route.steps[step].name, percent(share(time_ns)))
        };
        parts.iter().take(named).map(name).collect::<Vec<_>>().join(", ")
    }
}

/// A saturated lock is the narrower reason for a busy group of threads.
fn narrowest<'a>(saturated: &[&'a Resource], last: &'a Resource) -> &'a Resource {
    let is_inside = |r: &&&Resource| r.kind == ResourceKind::Lock && r.group == last.group;
    match last.kind {
        ResourceKind::Threads => saturated.iter().rev().find(is_inside).copied().unwrap_or(last),
        ResourceKind::Lock | ResourceKind::End => last,
    }
}

fn percent(share: f64) -> String {
    format!("{:.0}", 100.0 * share)
}
