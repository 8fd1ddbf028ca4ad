//! The path that buffers take: its probes in order, and the steps between them.

use std::collections::BTreeMap;

use crate::pair::{Edge, Side};
use crate::stage::Stage;

/// A step of the path: from one probe to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathStep {
    /// `awe` for the work of a stage, `awe -> writing` for a wait.
    pub name: String,
    /// The stage whose begin and end these are; else the step is a wait.
    pub stage: Option<u32>,
}

/// The probes of a path in order, and the steps between them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Route {
    /// Begins and ends of stages.
    pub edges: Vec<Edge>,
    /// One less than edges.
    pub steps: Vec<PathStep>,
}

impl Route {
    /// The path through `edges`.
    #[must_use]
    pub fn new(edges: Vec<Edge>, stages: &[Stage]) -> Self {
        let steps = edges.windows(2).map(|two| step(two[0], two[1], stages)).collect();
        Self { edges, steps }
    }

    /// Whether step `step` is the work of a stage.
    #[must_use]
    pub fn is_work(&self, step: usize) -> bool {
        self.steps[step].stage.is_some()
    }
}

fn step(from: Edge, to: Edge, stages: &[Stage]) -> PathStep {
    let name = |edge: Edge| stages.get(edge.stage as usize).map_or("?", |stage| &stage.name);
    if from.stage == to.stage && from.side == Side::Begin {
        return PathStep { name: name(from).to_owned(), stage: Some(from.stage) };
    }
    let left = if from.side == Side::Begin { " begin" } else { "" };
    let arrived = if to.side == Side::End { " end" } else { "" };
    PathStep { name: format!("{}{left} -> {}{arrived}", name(from), name(to)), stage: None }
}

/// The order in which most buffers pass the most probes; `None` without buffers.
///
/// `seen` is, for each buffer, its probes in the order in which it passed them first.
pub(crate) fn usual_order<'a>(seen: impl Iterator<Item = &'a [Edge]>) -> Option<Vec<Edge>> {
    let mut orders: BTreeMap<&[Edge], u64> = BTreeMap::new();
    seen.for_each(|order| *orders.entry(order).or_default() += 1);
    let longest = orders.keys().map(|order| order.len()).max()?;
    let whole = orders.into_iter().filter(|(order, _)| order.len() == longest);
    whole.max_by_key(|&(_, count)| count).map(|(order, _)| order.to_vec())
}
