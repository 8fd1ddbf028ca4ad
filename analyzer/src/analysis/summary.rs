//! What an analysis comes down to: plain counts and distributions.

use super::budget::Answer;
use super::diagnosis::Diagnosis;
use super::group::{GroupBy, GroupTable};
use super::latency::Latency;
use super::tree::Tree;
use crate::pair::{Class, Edge, Side, Span};
use crate::select::Outcome;
use crate::stage::choice::{Chosen, Evidence, Refused};
use crate::stage::{ProbeName, Stage};

/// Spans of each stage that an analysis keeps, to be listed: all of them in a small trace.
pub const FIRST_SPANS: usize = 100;
/// The same of all stages together: of very many, each has fewer.
pub(super) const FIRST_SPANS_OF_ALL: usize = 1 << 14;

/// What a trace comes down to.
#[derive(Debug, Clone)]
pub struct Analysis {
    /// Events looked at, and what is missing.
    pub outcome: Outcome,
    /// Times of the first and the last event, CLOCK_MONOTONIC ns.
    pub time_ns: Option<(u64, u64)>,
    /// The same as wall time, ns since 1970-01-01 UTC, if the trace has clock anchors.
    pub realtime_ns: Option<(i64, i64)>,
    /// Events of each probe, in the order of the sites.
    pub probes: Vec<ProbeCount>,
    /// Stages, in their order.
    pub stages: Vec<StageReport>,
    /// Stages for which no key can be named, and why.
    pub refused: Vec<Refused>,
    /// Ways between the stages, in the order of the stages.
    pub hand_offs: Vec<HandOffReport>,
    /// Hand-offs that are not among them, as there are too many ways to tell all apart.
    pub hand_offs_left_out: u64,
    /// Keys that were given up, to bound memory, before all of their stages were seen: a hand-off may be missing.
    pub keys_given_up: u64,
    /// What it says beyond its figures, if that was asked for.
    pub diagnosis: Option<Diagnosis>,
    /// Where the time of threads goes, if that was asked for.
    pub tree: Option<Tree>,
    /// The spans of each stage told apart by something, if that was asked for.
    pub groups: Option<(GroupBy, Vec<GroupTable>)>,
    /// What came of the conditions that were given.
    pub budget: Vec<Answer>,
}

impl Analysis {
    /// Adds how the stages' keys were chosen.
    #[must_use]
    pub fn chosen_by(mut self, chosen: Chosen) -> Self {
        for (report, evidence) in self.stages.iter_mut().zip(chosen.evidence) {
            report.evidence = evidence;
        }
        self.refused = chosen.refused;
        self
    }

    /// Events of a probe.
    #[must_use]
    pub fn events_of(&self, name: &ProbeName) -> u64 {
        let is = |count: &&ProbeCount| count.provider == name.provider && count.probe == name.probe;
        self.probes.iter().filter(is).map(|count| count.events).sum()
    }
}

impl StageReport {
    /// Begins and ends that have a key.
    #[must_use]
    pub fn begins_and_ends(&self) -> (u64, u64) {
        let of = |class| self.classes.of(class);
        let both = of(Class::Complete) + of(Class::Inverted);
        (
            both + of(Class::Open) + of(Class::RepeatedBegin),
            both + of(Class::OrphanEnd) + of(Class::RepeatedEnd),
        )
    }

    /// The share of begins, or of ends if there are more, that have their partner; 1 without events.
    #[must_use]
    pub fn complete_share(&self) -> f64 {
        let (begins, ends) = self.begins_and_ends();
        let paired = self.classes.of(Class::Complete) + self.classes.of(Class::Inverted);
        match begins.max(ends) {
            0 => 1.0,
            most => paired as f64 / most as f64,
        }
    }

    /// Whether the latencies mean something: half of the events, or more, have their partner.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.complete_share() >= 0.5
    }
}

/// Events of one probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeCount {
    /// Provider.
    pub provider: String,
    /// Probe.
    pub probe: String,
    /// Events.
    pub events: u64,
}

/// What became of one stage.
#[derive(Debug, Clone)]
pub struct StageReport {
    /// The stage.
    pub stage: Stage,
    /// How sure its key is.
    pub evidence: Evidence,
    /// Spans of each class.
    pub classes: Classes,
    /// Complete spans that each of the probes ended that may end the stage, in their order.
    pub ends: Vec<(ProbeName, u64)>,
    /// Complete spans that a later one overtook.
    pub reordered: u64,
    /// Events that have no key: it is missing, unreadable, or no integer.
    pub without_key: u64,
    /// Open spans and orphan ends that were given up to bound memory: their other end may have come much later.
    pub given_up: u64,
    /// Complete spans during which events were lost: one of their ends may be another's.
    pub complete_near_loss: u64,
    /// Spans of the other classes at a time when events were lost: their other end may be among those.
    pub other_near_loss: u64,
    /// Latencies of the complete spans.
    pub latency: Latency,
    /// Latencies of the inverted pairs, negative.
    pub inverted: Latency,
    /// The first [`FIRST_SPANS`] spans, or fewer if there are very many stages, in the order in which they became known.
    pub first_spans: Vec<Span>,
}

/// A number for each [`Class`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Classes([u64; Class::ALL.len()]);

impl Classes {
    /// Spans of a class.
    #[must_use]
    pub fn of(&self, class: Class) -> u64 {
        self.0[class as usize]
    }

    /// Spans of all classes.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    pub(super) fn add(&mut self, class: Class) {
        self.add_many(class, 1);
    }

    pub(super) fn add_many(&mut self, class: Class, count: u64) {
        self.0[class as usize] += count;
    }
}

/// What went one way between two stages.
#[derive(Debug, Clone)]
pub struct HandOffReport {
    /// Where it begins.
    pub from: Edge,
    /// Where it ends.
    pub to: Edge,
    /// Hand-offs during which events were lost.
    pub near_loss: u64,
    /// Latencies.
    pub latency: Latency,
}

impl HandOffReport {
    /// Name in tables and pictures: `awe -> writing`; where a stage holds others, `total begin -> awe` and
    /// `writing -> total end`.
    #[must_use]
    pub fn name(&self, stages: &[Stage]) -> String {
        hand_off_name(self.from, self.to, stages)
    }
}

/// See [`HandOffReport::name`].
#[must_use]
pub fn hand_off_name(from: Edge, to: Edge, stages: &[Stage]) -> String {
    let name = |edge: Edge| stages.get(edge.stage as usize).map_or("?", |stage| &stage.name);
    let left = if from.side == Side::Begin { " begin" } else { "" };
    let arrived = if to.side == Side::End { " end" } else { "" };
    format!("{}{left} -> {}{arrived}", name(from), name(to))
}
