//! Buffers that become several, and several that become one: stages whose keys number the parts of a buffer of the path.

use std::collections::{BTreeMap, HashMap, VecDeque};

use super::buffers::Buffers;
use crate::analysis::Latency;
use crate::pair::{Class, SpanRow, difference_ns};
use crate::stage::{KeyValue, Scope, Stage};

/// Stages of parts that are counted.
const MAX_COUNTED: usize = 16;
/// Buffers that are remembered while parts of them may come, over all stages of parts.
const REMEMBERED: usize = 1 << 16;
/// Buffers of which it is looked where on the path their parts are.
const PLACED: usize = 4096;

/// A stage that works on parts of the buffers of a path.
#[derive(Debug, Clone, PartialEq)]
pub struct Fan {
    /// The stage, and its key.
    pub name: String,
    /// See `name`.
    pub key: String,
    /// Buffers that have parts.
    pub buffers: u64,
    /// How many parts most of them have; and how many buffers have so many.
    pub usual: u64,
    /// See `usual`.
    pub usual_buffers: u64,
    /// The fewest parts of a buffer.
    pub least: u64,
    /// The most.
    pub most: u64,
    /// From the begin of a buffer's first part to the end of its last.
    pub spread: Latency,
    /// The step of the path in which the first part begins, of most buffers.
    pub step: Option<usize>,
}

/// Counts the parts of buffers.
#[derive(Debug)]
pub(crate) struct PartCounts {
    /// The group of stages whose buffers they are parts of.
    pub(crate) course: usize,
    stage: u32,
    name: String,
    key: String,
    /// Numbers of a part's key that are those of its buffer.
    words: usize,
    open: HashMap<KeyValue, Known>,
    order: VecDeque<KeyValue>,
    counts: BTreeMap<u64, u64>,
    spread: Latency,
    placed: HashMap<KeyValue, u64>,
}

/// What is known of one buffer's parts.
#[derive(Debug, Clone, Copy)]
struct Known {
    count: u64,
    first_ns: u64,
    last_ns: u64,
}

impl PartCounts {
    /// For each stage of `stages` whose key is that of a group, and more: the group's buffers have parts there.
    pub(crate) fn of(stages: &[Stage], groups: &[Vec<u32>]) -> Vec<Self> {
        let mut all = Vec::new();
        for (course, members) in groups.iter().enumerate() {
            let Some(first) = members.first().and_then(|&first| stages.get(first as usize)) else { continue };
            let words = first.key.parts.len();
            for (number, stage) in (0..).zip(stages).filter(|(number, _)| !members.contains(number)) {
                let is_longer = stage.key.parts.len() > words || stage.key.scope != Scope::Trace;
                let is_of_buffers = first.key.scope == Scope::Trace
                    && stage.key.parts.starts_with(&first.key.parts)
                    && stage.begins[0].provider == first.begins[0].provider;
                if is_longer && is_of_buffers {
                    all.push(Self {
                        course,
                        stage: number,
                        name: stage.name.clone(),
                        key: stage.key_text(),
                        words,
                        open: HashMap::new(),
                        order: VecDeque::new(),
                        counts: BTreeMap::new(),
                        spread: Latency::default(),
                        placed: HashMap::new(),
                    });
                }
            }
        }
        all.truncate(MAX_COUNTED);
        all
    }

    /// Whether these are the parts that stage `stage` works on.
    pub(crate) fn is_of(&self, stage: u32) -> bool {
        self.stage == stage
    }

    /// Takes a span of any stage, whose key has these numbers.
    pub(crate) fn span(&mut self, span: &SpanRow, key: &[i64]) {
        if !self.is_of(span.stage) {
            return;
        }
        let (Class::Complete, Some(begin), Some(end)) = (span.class, span.begin(), span.end()) else {
            return;
        };
        let buffer = KeyValue::new(&key[..self.words]);
        if let Some(known) = self.open.get_mut(&buffer) {
            known.count += 1;
            known.first_ns = known.first_ns.min(begin.time_ns);
            known.last_ns = known.last_ns.max(end.time_ns);
            return;
        }
        self.open.insert(buffer, Known { count: 1, first_ns: begin.time_ns, last_ns: end.time_ns });
        self.order.push_back(buffer);
        if self.order.len() > REMEMBERED / MAX_COUNTED {
            self.settle();
        }
    }

    /// Nothing more comes.
    pub(crate) fn finish(&mut self) {
        while !self.order.is_empty() {
            self.settle();
        }
    }

    /// Nothing more comes of the oldest.
    fn settle(&mut self) {
        let Some(buffer) = self.order.pop_front() else { return };
        let Some(Known { count, first_ns, last_ns }) = self.open.remove(&buffer) else { return };
        *self.counts.entry(count).or_default() += 1;
        self.spread.add(difference_ns(first_ns, last_ns));
        if self.placed.len() < PLACED {
            self.placed.insert(buffer, first_ns);
        }
    }

    /// What the parts of the path's `buffers` come down to; `None` if no buffer has several.
    pub(crate) fn fan(&self, buffers: &Buffers) -> Option<Fan> {
        let (&most, _) = self.counts.last_key_value()?;
        let (&usual, &usual_buffers) = self.counts.iter().max_by_key(|(_, buffers)| **buffers)?;
        let (&least, _) = self.counts.first_key_value()?;
        (most > 1).then(|| Fan {
            name: self.name.clone(),
            key: self.key.clone(),
            buffers: self.counts.values().sum(),
            usual,
            usual_buffers,
            least,
            most,
            spread: self.spread.clone(),
            step: self.step(buffers),
        })
    }

    fn step(&self, buffers: &Buffers) -> Option<usize> {
        let mut begun = vec![0_u64; buffers.steps()];
        for row in 0..buffers.len() {
            let Some(&first_ns) = self.placed.get(buffers.key(row)) else { continue };
            let passed = buffers.hits(row).partition_point(|hit| hit.time_ns <= first_ns);
            if let Some(count) = passed.checked_sub(1).and_then(|step| begun.get_mut(step)) {
                *count += 1;
            }
        }
        let (step, &count) = begun.iter().enumerate().max_by_key(|(_, count)| **count)?;
        (count > 0).then_some(step)
    }
}
