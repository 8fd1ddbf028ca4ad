//! What an analysis comes down to: plain counts and distributions.

use super::latency::Latency;
use crate::pair::{Class, Edge, Side, Span};
use crate::select::Outcome;
use crate::stage::Stage;

/// Spans of each stage that an analysis keeps, to be listed: all of them in a small trace.
pub const FIRST_SPANS: usize = 100;

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
    /// Ways between the stages, in the order of the stages.
    pub hand_offs: Vec<HandOffReport>,
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
    /// Spans of each class.
    pub classes: Classes,
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
    /// The first [`FIRST_SPANS`] spans, in the order in which they became known.
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
        self.0[class as usize] += 1;
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
