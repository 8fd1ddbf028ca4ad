//! How each stage is drawn: as slices on its thread, or as asynchronous slices beside the threads.
//!
//! Viewers drop slices that overlap on one thread without nesting. So a stage whose spans begin and end on different
//! threads, or overlap others on their thread, is drawn asynchronously, all of it. So is one with a span of no length: no
//! arrow finds it on a thread. Where buffers have tracks, all stages with a key of buffers are drawn on those.

use std::io;

use super::SpanPlace;
use super::buffers::key_groups;
use super::on_threads::OnThreads;
use crate::analysis::EdgeMap;
use crate::pair::{Class, Edge, Found, HandOff, HandOffRow, Sink, Span, SpanRow};
use crate::stage::Stage;

/// How a stage is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// On the thread, nested by time.
    OnThread,
    /// On a track of its own.
    Async,
    /// On the track of its buffer, with other stages of the same key.
    OnBuffer,
}

/// Learns the shapes from complete spans, which come in the order of their ends, and the ways between stages.
#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) shapes: Vec<Shape>,
    /// Spans of those stages that are drawn on threads.
    on_threads: OnThreads,
    ways: EdgeMap<(Edge, Edge)>,
}

impl Layout {
    pub(crate) fn new(stages: &[Stage], threads: usize, place: SpanPlace) -> Self {
        let on_buffer = |group: &Option<u32>| place == SpanPlace::Buffers && group.is_some();
        let groups = key_groups(stages);
        let shape = |group| if on_buffer(group) { Shape::OnBuffer } else { Shape::OnThread };
        Self::of_shapes(groups.iter().map(shape).collect(), threads)
    }

    fn of_shapes(shapes: Vec<Shape>, threads: usize) -> Self {
        Self { shapes, on_threads: OnThreads::new(threads), ways: EdgeMap::default() }
    }

    fn look_at(&mut self, span: &SpanRow) {
        let (Class::Complete, Some(begin), Some(end)) = (span.class, span.begin(), span.end()) else {
            return;
        };
        let stage = span.stage as usize;
        if self.shapes[stage] == Shape::OnThread
            && (begin.thread != end.thread
                || begin.time_ns == end.time_ns
                || !self.on_threads.fits(span.stage, begin.thread, begin.time_ns, end.time_ns))
        {
            self.shapes[stage] = Shape::Async;
            // They do not overlap any more.
            self.on_threads.forget(span.stage);
        }
    }

    /// The ways between stages on which there are hand-offs, ordered by their edges.
    pub(crate) fn take_ways(&mut self) -> Vec<(Edge, Edge)> {
        std::mem::take(&mut self.ways).into_values()
    }
}

impl Sink for Layout {
    fn span(&mut self, span: &Span) -> io::Result<()> {
        self.look_at(&SpanRow::new(span));
        Ok(())
    }

    fn hand_off(&mut self, hand_off: &HandOff) -> io::Result<()> {
        let HandOff { from, to, .. } = *hand_off;
        self.ways.get_or_insert(from, to, || (from, to));
        Ok(())
    }

    fn found(&mut self, found: &Found) -> io::Result<()> {
        found.spans().for_each(|(span, _)| self.look_at(span));
        for &HandOffRow { from, to, .. } in found.hand_offs() {
            self.ways.get_or_insert(from, to, || (from, to));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tracer_format::ThreadId;

    use super::*;
    use crate::pair::Point;
    use crate::stage::KeyValue;

    /// Shapes of two stages after the spans `(stage, thread of the begin, begin, end)` on thread 0.
    fn shapes(spans: &[(u32, u32, u64, u64)]) -> [Shape; 2] {
        let mut layout = Layout::of_shapes(vec![Shape::OnThread; 2], 2);
        for &(stage, thread, begin_ns, end_ns) in spans {
            let (begin, end) = (
                Point { time_ns: begin_ns, thread: ThreadId(thread) },
                Point { time_ns: end_ns, thread: ThreadId(0) },
            );
            let span = Span {
                stage,
                class: Class::Complete,
                reordered: false,
                key: KeyValue::new(&[]),
                begin: Some(begin),
                end: Some(end),
                ended_by: 0,
                near_loss: false,
            };
            layout.span(&span).unwrap();
        }
        [layout.shapes[0], layout.shapes[1]]
    }

    #[test]
    fn spans_that_nest_stay_on_their_thread() {
        let nested = [(1, 0, 2, 3), (1, 0, 4, 5), (0, 0, 1, 6), (0, 0, 6, 7), (1, 0, 8, 9)];
        assert_eq!(shapes(&nested), [Shape::OnThread, Shape::OnThread]);
    }

    #[test]
    fn a_span_without_length_holds_no_arrow_on_a_thread() {
        assert_eq!(shapes(&[(0, 0, 1, 1), (1, 0, 2, 3)]), [Shape::Async, Shape::OnThread]);
    }

    #[test]
    fn spans_that_overlap_or_change_threads_are_asynchronous() {
        assert_eq!(shapes(&[(0, 0, 1, 3), (0, 0, 2, 4)]), [Shape::Async, Shape::OnThread]);
        assert_eq!(shapes(&[(0, 0, 1, 3), (1, 0, 2, 4)]), [Shape::OnThread, Shape::Async]);
        assert_eq!(shapes(&[(0, 0, 2, 3), (1, 0, 2, 4)]), [Shape::OnThread, Shape::Async]);
        assert_eq!(shapes(&[(0, 1, 1, 3), (1, 0, 2, 4)]), [Shape::Async, Shape::OnThread]);
        // Overlaps one that is inside of another, also if that one is not on the thread after all.
        let around_goes = [(1, 0, 2, 4), (0, 0, 1, 5), (0, 1, 1, 5), (1, 0, 3, 6)];
        assert_eq!(shapes(&around_goes), [Shape::Async, Shape::Async]);
        assert_eq!(shapes(&[(1, 0, 1, 4), (1, 0, 5, 8), (0, 0, 3, 9)]), [Shape::Async, Shape::OnThread]);
    }
}
