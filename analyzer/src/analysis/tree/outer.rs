//! Spans that no other is around on their thread: which were slowest, and what in them took longer than usual.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::thinning::Thinning;
use crate::pair::Point;
use crate::report::latency;

/// Stages that are told apart inside of one span; the time of further ones counts for the span itself.
const MAX_PARTS: usize = 16;
/// Spans that are kept of all stages together; of one, at most and at least; and how many of these are the slowest.
const KEPT_OF_ALL: usize = 1 << 13;
const KEPT: usize = 256;
const KEPT_LEAST: usize = 32;
/// Spans of a stage without which a median tells nothing.
const LEAST: usize = 20;

/// Times by stage, ns.
pub(super) type PartTimes = Vec<(u32, u64)>;

/// Adds a time to that of its stage.
pub(super) fn add_part(parts: &mut PartTimes, stage: u32, time_ns: u64) {
    if let Some((_, sum_ns)) = parts.iter_mut().find(|(other, _)| *other == stage) {
        *sum_ns = sum_ns.saturating_add(time_ns);
    } else if parts.len() < MAX_PARTS {
        parts.push((stage, time_ns));
    }
}

/// A span that nothing is around.
#[derive(Debug, Clone)]
pub(super) struct OuterSpan {
    pub(super) begin: Point,
    pub(super) total_ns: u64,
    /// The time of each stage inside without what is inside of that, and the rest, which is the span's own.
    pub(super) parts: PartTimes,
}

impl OuterSpan {
    fn part_ns(&self, stage: u32) -> u64 {
        self.parts.iter().find(|(other, _)| *other == stage).map_or(0, |&(_, time_ns)| time_ns)
    }
}

/// Some spans of each stage, spread evenly over all, and the slowest of each.
#[derive(Debug)]
pub(super) struct OuterSpans {
    of_stages: Vec<OfStage>,
    most: usize,
}

#[derive(Debug, Clone, Default)]
struct OfStage {
    thinning: Thinning,
    kept: Vec<OuterSpan>,
    slowest: Vec<OuterSpan>,
    /// A span that took no longer need not be kept.
    floor_ns: u64,
}

/// A slow span, and why it was slow.
#[derive(Debug, Clone)]
pub(super) struct SlowOuter {
    pub(super) stage: u32,
    pub(super) span: OuterSpan,
    pub(super) reason: String,
    excess_ns: u64,
}

impl OuterSpans {
    pub(super) fn new(stages: usize) -> Self {
        let most = (KEPT_OF_ALL / stages.max(1)).clamp(KEPT_LEAST, KEPT);
        Self { of_stages: vec![OfStage::default(); stages], most }
    }

    /// Whether a span that begins at `begin_ns` and takes so long is kept.
    pub(super) fn wants(&self, stage: u32, begin_ns: u64, total_ns: u64) -> bool {
        let of = &self.of_stages[stage as usize];
        total_ns > of.floor_ns || of.thinning.wants(begin_ns)
    }

    pub(super) fn add(&mut self, stage: u32, span: OuterSpan) {
        let (of, most) = (&mut self.of_stages[stage as usize], self.most);
        if span.total_ns > of.floor_ns {
            of.slowest.push(span.clone());
            if of.slowest.len() >= 2 * most {
                of.slowest.sort_by_key(|span| Reverse(span.total_ns));
                of.slowest.truncate(most);
                of.floor_ns = of.slowest[most - 1].total_ns;
            }
        }
        if of.thinning.wants(span.begin.time_ns) {
            of.kept.push(span);
            of.thinning.thin(&mut of.kept, most, |span| span.begin.time_ns);
        }
    }

    /// The spans that took longest beyond what their stage usually takes, those first that exceed it most.
    pub(super) fn slowest(self, names: &[String]) -> Vec<SlowOuter> {
        let mut slow: Vec<SlowOuter> = Vec::new();
        for (stage, of) in (0..).zip(self.of_stages) {
            if of.kept.len() < LEAST {
                continue;
            }
            let usual = UsualTimes::of(&of.kept);
            let slower = of.slowest.into_iter().filter(|span| span.total_ns > usual.total_ns);
            slow.extend(slower.map(|span| SlowOuter {
                stage,
                excess_ns: span.total_ns - usual.total_ns,
                reason: usual.reason(stage, &span, names),
                span,
            }));
        }
        slow.sort_by_key(|it| (Reverse(it.excess_ns), it.span.begin.time_ns, it.stage));
        slow.truncate(self.most);
        slow
    }
}

/// What spans of a stage usually take, and the stages inside of them.
struct UsualTimes {
    total_ns: u64,
    parts: BTreeMap<u32, u64>,
}

impl UsualTimes {
    fn of(kept: &[OuterSpan]) -> Self {
        let stages: BTreeSet<u32> =
            kept.iter().flat_map(|span| &span.parts).map(|&(stage, _)| stage).collect();
        let part = |stage: u32| (stage, median(kept.iter().map(|span| span.part_ns(stage))));
        let total_ns = median(kept.iter().map(|span| span.total_ns));
        Self { total_ns, parts: stages.into_iter().map(part).collect() }
    }

    fn part_ns(&self, stage: u32) -> u64 {
        self.parts.get(&stage).copied().unwrap_or_default()
    }

    /// What took at least half of the time beyond the usual.
    fn reason(&self, stage: u32, span: &OuterSpan, names: &[String]) -> String {
        let excess_ns = |&(part, time_ns): &(u32, u64)| time_ns.saturating_sub(self.part_ns(part));
        let mut parts = span.parts.clone();
        parts.sort_by_key(|part| (Reverse(excess_ns(part)), part.0));
        let shown = |time_ns: u64| latency(i64::try_from(time_ns).unwrap_or(i64::MAX));
        let name = |part: u32| {
            let name = names.get(part as usize).map_or("?", String::as_str);
            if part == stage { format!("{name} itself") } else { name.to_owned() }
        };
        let Some(&first) = parts.first() else { return String::new() };
        if 2 * excess_ns(&first) < span.total_ns - self.total_ns {
            let small =
                parts.iter().take(2).map(|part| format!("{} {}", name(part.0), shown(excess_ns(part))));
            return format!("many small: {}", small.collect::<Vec<_>>().join(", "));
        }
        let usual = match self.part_ns(first.0) {
            0 => "most have none".to_owned(),
            usual_ns => format!("{:.1} times its median", first.1 as f64 / usual_ns as f64),
        };
        format!("{} took {}, {usual}", name(first.0), shown(first.1))
    }
}

fn median(values: impl Iterator<Item = u64>) -> u64 {
    let mut values: Vec<u64> = values.collect();
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or_default()
}
