//! The buffers, and which of each second was the slowest, from its first event to its last.

use std::collections::HashMap;

use super::seconds::Seconds;
use crate::pair::{Edge, Point, Side, Span};
use crate::stage::{KeyValue, Scope, Stage};

/// Buffers that are known at least; of one that fires nothing while so many others come, only the rest is measured. As many as a
/// map of 32 768 places holds.
const KNOWN: usize = 7 << 12;
/// Stages of a buffer that are kept, at most.
const MAX_STEPS: usize = 32;

/// Buffers by their course and key.
#[derive(Debug)]
pub(super) struct BufferLives {
    /// What the stages of a buffer have in common, by stage; `None` where each span is a buffer by itself.
    courses: Vec<Option<u32>>,
    latest: HashMap<(u32, KeyValue), BufferLife>,
    before: HashMap<(u32, KeyValue), BufferLife>,
    worst: Seconds<Option<BufferLife>>,
}

/// What is known of a buffer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct BufferLife {
    pub(super) key: Option<KeyValue>,
    /// Its complete spans.
    pub(super) steps: Vec<(u32, Point, Point)>,
    from_ns: u64,
    until_ns: u64,
}

impl BufferLife {
    /// From its first event to its last so far, ns.
    pub(super) fn took_ns(&self) -> u64 {
        self.until_ns.saturating_sub(self.from_ns)
    }

    /// The probes that it passed, in the order of time.
    pub(super) fn passed(&self) -> Vec<(Edge, Point)> {
        let both = |&(stage, begin, end): &(u32, Point, Point)| {
            [(Edge { stage, side: Side::Begin }, begin), (Edge { stage, side: Side::End }, end)]
        };
        let mut passed: Vec<(Edge, Point)> = self.steps.iter().flat_map(both).collect();
        // Of a stage around another that begins or ends at the same moment, the begin is earlier and the end later.
        let len_ns = |edge: Edge| {
            let step = self.steps.iter().find(|step| step.0 == edge.stage);
            step.map_or(0, |(_, begin, end)| end.time_ns.saturating_sub(begin.time_ns))
        };
        passed.sort_by_key(|&(edge, point)| {
            let len_ns = len_ns(edge);
            (
                point.time_ns,
                edge.side == Side::Begin,
                if edge.side == Side::End { len_ns } else { u64::MAX - len_ns },
            )
        });
        passed
    }
}

impl BufferLives {
    pub(super) fn new(stages: &[Stage], kept: u64) -> Self {
        Self {
            courses: courses(stages),
            latest: HashMap::new(),
            before: HashMap::new(),
            worst: Seconds::new(kept),
        }
    }

    /// Takes a complete span.
    pub(super) fn span(&mut self, span: &Span, begin: Point, end: Point) {
        let step = (span.stage, begin, end);
        let new = || BufferLife {
            key: Some(span.key),
            steps: vec![step],
            from_ns: begin.time_ns,
            until_ns: end.time_ns,
        };
        let Some(course) = self.courses[span.stage as usize] else {
            return Self::offer(&mut self.worst, &new());
        };
        let name = (course, span.key);
        if self.latest.len() >= KNOWN && !self.latest.contains_key(&name) {
            self.before = std::mem::take(&mut self.latest);
        }
        let life = self.latest.entry(name).or_insert_with(|| self.before.remove(&name).unwrap_or_default());
        if life.key.is_none() || life.steps.iter().any(|step| step.0 == span.stage) {
            // A new one, or the key is used again.
            *life = new();
        } else {
            life.from_ns = life.from_ns.min(begin.time_ns);
            life.until_ns = life.until_ns.max(end.time_ns);
            if life.steps.len() < MAX_STEPS {
                life.steps.push(step);
            }
        }
        Self::offer(&mut self.worst, life);
    }

    fn offer(worst: &mut Seconds<Option<BufferLife>>, life: &BufferLife) {
        if let Some(worst) = worst.at(life.until_ns)
            && worst.as_ref().is_none_or(|worst| worst.took_ns() < life.took_ns())
        {
            *worst = Some(life.clone());
        }
    }

    /// The slowest of the last seconds.
    pub(super) fn worst(&self, now_ns: u64) -> Option<&BufferLife> {
        self.worst.until(now_ns).flatten().max_by_key(|life| life.took_ns())
    }
}

/// Stages with one key and a provider in common are passed by one buffer; those of a thread are not.
fn courses(stages: &[Stage]) -> Vec<Option<u32>> {
    let mut courses: Vec<Option<u32>> = Vec::new();
    for (number, stage) in (0..).zip(stages) {
        let is_alone = stage.key.scope == Scope::Tid || stage.key.parts.is_empty() || stage.lasting.is_some();
        let related =
            |other: &&Stage| other.key == stage.key && other.begins[0].provider == stage.begins[0].provider;
        let first = stages.iter().take(courses.len()).position(|other| related(&other));
        let course = first.and_then(|first| courses[first]).or(Some(number));
        courses.push(course.filter(|_| !is_alone));
    }
    courses
}
