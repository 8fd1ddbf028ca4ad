//! What the spans and hand-offs of a recording come down to, since its begin and in each of the last seconds.

use std::io;
use std::ops::Range;

use tracer_format::Columns;

use super::lives::BufferLives;
use super::seconds::Seconds;
use crate::analysis::{EdgeMap, Latency};
use crate::pair::{Class, Edge, HandOff, Point, Sink, Span};
use crate::stage::Stage;

/// Hand-offs that are told apart; the first ones.
const MAX_HAND_OFFS: usize = 4096;

/// The figures of some stages.
#[derive(Debug)]
pub(super) struct Figures {
    kept: u64,
    pub(super) stages: Vec<Figure>,
    pub(super) hand_offs: EdgeMap<Figure>,
    hand_off_count: usize,
    pub(super) lives: BufferLives,
    /// Spans that are not complete, and those of them near lost events.
    pub(super) incomplete: u64,
}

/// The latencies of a stage or hand-off.
#[derive(Debug, Clone)]
pub(super) struct Figure {
    pub(super) all: Latency,
    pub(super) seconds: Seconds<Latency>,
    /// Whether lost events may have touched one of them.
    pub(super) touched: bool,
}

impl Figure {
    fn new(kept: u64) -> Self {
        Self { all: Latency::default(), seconds: Seconds::new(kept), touched: false }
    }

    fn add(&mut self, time_ns: u64, latency_ns: i64, near_loss: bool) {
        self.all.add(latency_ns);
        if let Some(second) = self.seconds.at(time_ns) {
            second.add(latency_ns);
        }
        self.touched |= near_loss;
    }

    /// The latencies of the last seconds.
    pub(super) fn recent(&self, now_ns: u64) -> Latency {
        let mut recent = Latency::default();
        self.seconds.until(now_ns).for_each(|second| recent.merge(second));
        recent
    }
}

impl Figures {
    /// Of `stages`, with the last `kept` seconds.
    pub(super) fn new(stages: &[Stage], kept: u64) -> Self {
        Self {
            kept,
            stages: vec![Figure::new(kept); stages.len()],
            hand_offs: EdgeMap::default(),
            hand_off_count: 0,
            lives: BufferLives::new(stages, kept),
            incomplete: 0,
        }
    }

    /// The same figures, where the stages are `stages` now; `place` tells where a stage is among them.
    pub(super) fn moved(self, stages: &[Stage], place: impl Fn(u32) -> Option<u32>) -> Self {
        let mut moved = Self { incomplete: self.incomplete, ..Self::new(stages, self.kept) };
        for (old, figure) in (0..).zip(self.stages) {
            if let Some(new) = place(old) {
                moved.stages[new as usize] = figure;
            }
        }
        let at = |edge: Edge| place(edge.stage).map(|stage| Edge { stage, ..edge });
        for (from, to, figure) in self.hand_offs.into_ways() {
            if let (Some(from), Some(to)) = (at(from), at(to)) {
                moved.hand_off_count += 1;
                moved.hand_offs.get_or_insert(from, to, || figure);
            }
        }
        moved
    }
}

impl Sink for Figures {
    fn events(&mut self, _: &Columns, _: Range<usize>) -> io::Result<()> {
        Ok(())
    }

    fn span(&mut self, span: &Span) -> io::Result<()> {
        let (Class::Complete, Some(begin), Some(end)) = (span.class, span.begin, span.end) else {
            self.incomplete += 1;
            return Ok(());
        };
        let latency_ns = span.latency_ns().unwrap_or_default();
        self.stages[span.stage as usize].add(end.time_ns, latency_ns, span.near_loss);
        self.lives.span(span, begin, end);
        Ok(())
    }

    fn hand_off(&mut self, hand_off: &HandOff) -> io::Result<()> {
        let HandOff { from, to, arrived: Point { time_ns, .. }, near_loss, .. } = *hand_off;
        let (kept, count) = (self.kept, &mut self.hand_off_count);
        if *count >= MAX_HAND_OFFS && self.hand_offs.get(from, to).is_none() {
            return Ok(());
        }
        let figure = self.hand_offs.get_or_insert(from, to, || {
            *count += 1;
            Figure::new(kept)
        });
        figure.add(time_ns, hand_off.latency_ns(), near_loss);
        Ok(())
    }
}
