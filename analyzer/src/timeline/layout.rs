//! How each stage is drawn: as slices on its thread, or as asynchronous slices beside the threads.
//!
//! Viewers drop slices that overlap on one thread without nesting. So a stage whose spans begin and end on different
//! threads, or overlap others on their thread, is drawn asynchronously, all of it.

use std::io;

use crate::span::{Class, Sink, Span};

/// Spans remembered on a thread; one that begins before those that were forgotten counts as overlapping.
const REMEMBERED: usize = 1 << 16;

/// How a stage is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// On the thread, nested by time.
    OnThread,
    /// On a track of its own.
    Async,
}

/// Learns the shapes from complete spans, which come in the order of their ends.
#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) shapes: Vec<Shape>,
    threads: Vec<ThreadSpans>,
    /// Complete spans and hand-offs seen, to be compared with what is written.
    pub(crate) spans: u64,
}

/// Spans of a thread that are inside of no other so far: begins and ends ascend.
#[derive(Debug, Clone, Default)]
struct ThreadSpans {
    spans: Vec<(u64, u64, u32)>,
    /// End of the last span that was forgotten.
    forgotten_ns: u64,
}

impl Layout {
    pub(crate) fn new(stages: usize, threads: usize) -> Self {
        let threads = vec![ThreadSpans::default(); threads];
        Self { shapes: vec![Shape::OnThread; stages], threads, spans: 0 }
    }

    /// Whether the span fits on its thread among those seen; remembers it if it does.
    fn fits(&mut self, stage: u32, thread: u32, begin_ns: u64, end_ns: u64) -> bool {
        let Some(ThreadSpans { spans, forgotten_ns }) = self.threads.get_mut(thread as usize) else {
            return false;
        };
        while let Some(&(inner_ns, _, inner)) = spans.last()
            && (inner_ns > begin_ns || self.shapes[inner as usize] == Shape::Async)
        {
            spans.pop();
        }
        let before = spans.last().copied().unwrap_or((0, *forgotten_ns, stage));
        // Of two that begin together, viewers may take the shorter for the outer one.
        if before.1 > begin_ns || (before.0 == begin_ns && !spans.is_empty()) {
            return false;
        }
        if spans.len() == REMEMBERED {
            *forgotten_ns = spans[REMEMBERED / 2 - 1].1;
            spans.drain(..REMEMBERED / 2);
        }
        spans.push((begin_ns, end_ns, stage));
        true
    }
}

impl Sink for Layout {
    fn span(&mut self, span: &Span) -> io::Result<()> {
        let (Class::Complete, Some(begin), Some(end)) = (span.class, span.begin, span.end) else {
            return Ok(());
        };
        self.spans += 1;
        let stage = span.stage as usize;
        if self.shapes[stage] == Shape::OnThread
            && (begin.thread != end.thread
                || !self.fits(span.stage, begin.thread, begin.time_ns, end.time_ns))
        {
            self.shapes[stage] = Shape::Async;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Key;
    use crate::span::Point;

    /// Shapes of two stages after the spans `(stage, thread of the begin, begin, end)` on thread 0.
    fn shapes(spans: &[(u32, u32, u64, u64)]) -> [Shape; 2] {
        let mut layout = Layout::new(2, 2);
        for &(stage, thread, begin_ns, end_ns) in spans {
            let (begin, end) = (Point { time_ns: begin_ns, thread }, Point { time_ns: end_ns, thread: 0 });
            let span = Span {
                stage,
                class: Class::Complete,
                reordered: false,
                key: Key::new(&[]),
                begin: Some(begin),
                end: Some(end),
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
    fn spans_that_overlap_or_change_threads_are_asynchronous() {
        assert_eq!(shapes(&[(0, 0, 1, 3), (0, 0, 2, 4)]), [Shape::Async, Shape::OnThread]);
        assert_eq!(shapes(&[(0, 0, 1, 3), (1, 0, 2, 4)]), [Shape::OnThread, Shape::Async]);
        assert_eq!(shapes(&[(0, 0, 2, 3), (1, 0, 2, 4)]), [Shape::OnThread, Shape::Async]);
        assert_eq!(shapes(&[(0, 1, 1, 3), (1, 0, 2, 4)]), [Shape::Async, Shape::OnThread]);
        // Overlaps one that is inside of another.
        assert_eq!(shapes(&[(1, 0, 1, 4), (1, 0, 5, 8), (0, 0, 3, 9)]), [Shape::Async, Shape::OnThread]);
    }
}
