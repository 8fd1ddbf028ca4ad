//! Some spans of one stage, spread evenly over all of them, with their properties: those of the event that begins each, or
//! of the one that tells all of it.

use std::collections::HashMap;

use tracer_format::ThreadId;

use super::value::{ARGS, PropertyValue};
use crate::pair::Point;
use crate::stage::KeyValue;

/// What an event that begins a span tells of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct BeginValues {
    pub(super) cpu: u16,
    /// Since the thread's event before, ns.
    pub(super) pause_ns: Option<u64>,
    pub(super) args: [PropertyValue; ARGS],
}

/// A complete span.
#[derive(Debug, Clone, Copy)]
pub(super) struct SampledSpan {
    pub(super) key: KeyValue,
    pub(super) begin: Point,
    /// When the event came that tells its properties, ns: by this it was chosen.
    pub(super) told_ns: u64,
    /// How long it took; in a nested stage without the spans of the same stage inside, ns.
    pub(super) own_ns: u64,
    pub(super) values: BeginValues,
}

/// Some spans of one stage: whether a span is among them depends on when its properties were told alone.
#[derive(Debug)]
pub(super) struct SpanSample {
    most: usize,
    /// A span is kept if these bits of its mixed time are zero.
    mask: u64,
    begun: HashMap<(ThreadId, u64), BeginValues>,
    pub(super) spans: Vec<SampledSpan>,
    /// Complete spans so far.
    pub(super) count: u64,
}

/// Spreads times evenly.
fn mixed(time_ns: u64) -> u64 {
    time_ns.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32
}

impl SpanSample {
    /// No spans yet, of at most `most`.
    pub(super) fn new(most: usize) -> Self {
        Self { most, mask: 0, begun: HashMap::new(), spans: Vec::new(), count: 0 }
    }

    /// Whether a span whose properties are told at `time_ns` is kept.
    pub(super) fn wants(&self, time_ns: u64) -> bool {
        mixed(time_ns) & self.mask == 0
    }

    /// A span begins.
    pub(super) fn begin(&mut self, at: Point, values: BeginValues) {
        if self.begun.len() < 2 * self.most {
            self.begun.insert((at.thread, at.time_ns), values);
        }
    }

    /// What is known of a span's begin, which is not asked for again.
    pub(super) fn take(&mut self, begin: Point) -> Option<BeginValues> {
        self.begun.remove(&(begin.thread, begin.time_ns))
    }

    /// A span is complete.
    pub(super) fn add(&mut self, span: SampledSpan) {
        self.spans.push(span);
        while self.spans.len() > self.most {
            self.mask = self.mask << 1 | 1;
            let mask = self.mask;
            self.spans.retain(|span| mixed(span.told_ns) & mask == 0);
            self.begun.retain(|(_, time_ns), _| mixed(*time_ns) & mask == 0);
        }
    }
}
