//! Some spans of one stage, spread evenly over all of them, with their properties: those of the event that begins each, or
//! of the one that tells all of it.

use std::collections::HashMap;

use tracer_format::ThreadId;

use super::value::{ARGS, PropertyValue};
use crate::analysis::tree::Thinning;
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
    thinning: Thinning,
    begun: HashMap<(ThreadId, u64), BeginValues>,
    pub(super) spans: Vec<SampledSpan>,
    /// Complete spans so far.
    pub(super) count: u64,
}

impl SpanSample {
    /// No spans yet, of at most `most`.
    pub(super) fn new(most: usize) -> Self {
        Self { most, thinning: Thinning::default(), begun: HashMap::new(), spans: Vec::new(), count: 0 }
    }

    /// Whether a span whose properties are told at `time_ns` is kept.
    pub(super) fn wants(&self, time_ns: u64) -> bool {
        self.thinning.wants(time_ns)
    }

    /// A span begins.
    pub(super) fn begin(&mut self, at: Point, values: BeginValues) {
        if self.begun.len() < self.most {
            self.begun.insert((at.thread, at.time_ns), values);
        }
    }

    /// Nothing more comes: forgets what was begun.
    pub(super) fn settle(&mut self) {
        self.begun = HashMap::new();
    }

    /// What is known of a span's begin, which is not asked for again.
    pub(super) fn take(&mut self, begin: Point) -> Option<BeginValues> {
        self.begun.remove(&(begin.thread, begin.time_ns))
    }

    /// At which times something is kept: at fewer, as time goes on.
    pub(super) fn thinning(&self) -> Thinning {
        self.thinning
    }

    /// A span is complete.
    pub(super) fn add(&mut self, span: SampledSpan) {
        if self.spans.len() == self.spans.capacity() {
            // At most one more than are kept.
            self.spans.reserve_exact(
                self.spans.len().clamp(4, (self.most + 1).saturating_sub(self.spans.len()).max(4)),
            );
        }
        self.spans.push(span);
        let before = self.thinning;
        self.thinning.thin(&mut self.spans, self.most, |span| span.told_ns);
        if self.thinning != before {
            let now = self.thinning;
            self.begun.retain(|(_, time_ns), _| now.wants(*time_ns));
        }
    }
}
