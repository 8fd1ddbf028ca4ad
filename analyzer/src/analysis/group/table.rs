//! The values of one stage, each with its spans.

use std::collections::HashMap;

use crate::analysis::Latency;

/// Values of a table that are told apart; spans of later ones are counted together.
const MAX_VALUES: usize = 256;
/// The same for all tables together.
pub(super) const MAX_ALL_VALUES: usize = 1024;

/// The complete spans of a stage, told apart by a value.
#[derive(Debug, Clone, Default)]
pub struct GroupTable {
    /// Index into the stages of the analysis.
    pub stage: u32,
    /// The values, those first whose spans take longer together.
    pub groups: Vec<SpanGroup>,
    /// Spans of values that came when there was no room for more.
    pub others: Latency,
    /// Spans without a value: the argument is not there, was unreadable, or is not known any more.
    pub without: Latency,
    numbers: HashMap<String, usize>,
}

/// A value, and the latencies of its spans.
#[derive(Debug, Clone)]
pub struct SpanGroup {
    /// The value as it is shown; not escaped.
    pub value: String,
    /// Latencies of the complete spans.
    pub latency: Latency,
}

impl GroupTable {
    /// A table of a stage, without values.
    pub(super) fn new(stage: u32) -> Self {
        Self { stage, ..Self::default() }
    }

    /// The number of a value, new if `may_grow`; `None` if there is no room for it.
    pub(super) fn number(&mut self, value: &str, may_grow: bool) -> Option<usize> {
        if let Some(&number) = self.numbers.get(value) {
            return Some(number);
        }
        (may_grow && self.groups.len() < MAX_VALUES).then(|| {
            let latency = Latency::one_of(self.groups.len() + 1);
            self.groups.push(SpanGroup { value: value.to_owned(), latency });
            self.numbers.insert(value.to_owned(), self.groups.len() - 1);
            self.groups.len() - 1
        })
    }

    /// The table when nothing more comes: without values of which no span was complete.
    pub(super) fn finish(mut self) -> Self {
        self.numbers = HashMap::new();
        self.groups.retain(|group| group.latency.count() > 0);
        self.groups.sort_by(|a, b| b.latency.sum_ns().cmp(&a.latency.sum_ns()).then(a.value.cmp(&b.value)));
        self
    }

    /// Time of all spans, ns.
    #[must_use]
    pub fn sum_ns(&self) -> i128 {
        let groups = self.groups.iter().map(|group| group.latency.sum_ns());
        groups.sum::<i128>() + self.others.sum_ns() + self.without.sum_ns()
    }
}
