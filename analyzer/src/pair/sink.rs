//! Where a walk over a trace hands what it finds.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use tracer_format::{Columns, Gap};

use super::found::{Found, HandOffRow, SpanRow};
use super::span::{HandOff, Point, Span};
use super::usual_keys::{UsualKeys, UsualOrder};

/// Takes what a walk finds, in the order it is found; does nothing by default.
pub trait Sink {
    /// Takes the selected rows `rows` of `columns`.
    ///
    /// # Errors
    /// Whatever ends the walk.
    fn events(&mut self, columns: &Columns, rows: Range<usize>) -> io::Result<()> {
        let _ = (columns, rows);
        Ok(())
    }

    /// Takes the begin of a stage by thread, when it fires; what becomes of it is in a span later.
    ///
    /// # Errors
    /// Whatever ends the walk.
    fn begun(&mut self, stage: u32, begin: Point) -> io::Result<()> {
        let _ = (stage, begin);
        Ok(())
    }

    /// Takes a span: when it is complete, or when nothing more can become of it.
    ///
    /// # Errors
    /// Whatever ends the walk.
    fn span(&mut self, span: &Span) -> io::Result<()> {
        let _ = span;
        Ok(())
    }

    /// Takes a hand-off, after the span that completed it, which has the same key.
    ///
    /// # Errors
    /// Whatever ends the walk.
    fn hand_off(&mut self, hand_off: &HandOff) -> io::Result<()> {
        let _ = hand_off;
        Ok(())
    }

    /// Takes a span as few bytes tell it, with the numbers of its key: as [`span`](Self::span).
    ///
    /// # Errors
    /// Whatever ends the walk.
    #[inline(always)]
    fn span_row(&mut self, row: SpanRow, key: &[i64]) -> io::Result<()> {
        self.span(&row.span(key))
    }

    /// Takes a hand-off as few bytes tell it, with the numbers of its key: as [`hand_off`](Self::hand_off).
    ///
    /// # Errors
    /// Whatever ends the walk.
    #[inline(always)]
    fn hand_off_row(&mut self, row: HandOffRow, key: &[i64]) -> io::Result<()> {
        self.hand_off(&row.hand_off(key))
    }

    /// Takes what pairing found of some events, all at once: what comes of it is what comes of each by itself, in order.
    ///
    /// # Errors
    /// Whatever ends the walk.
    fn found(&mut self, found: &Found) -> io::Result<()> {
        found.hand_on(self)
    }

    /// Whether it may get keys that did all that is usual at once, when all is known of each, in place of span by span.
    fn takes_usual_keys(&self) -> bool {
        false
    }

    /// Takes a key, with its numbers, that did what is usual in the order `order`, and its moments: what comes of it is what comes
    /// of its spans and hand-offs. The spans that a later one overtook have their bits in `reordered`.
    ///
    /// # Errors
    /// Whatever ends the walk.
    fn usual_key(
        &mut self,
        order: &Arc<UsualOrder>,
        (key, reordered): (&[i64], u32),
        moments: impl Iterator<Item = Point>,
    ) -> io::Result<()> {
        let (moments, reordered) = (&*moments.collect::<Vec<_>>(), &[reordered]);
        UsualKeys { order, after: 0, words: key, moments, reordered }.tell(0, self)
    }

    /// Takes a place where events are missing; later events come after it.
    ///
    /// # Errors
    /// Whatever ends the walk.
    fn gap(&mut self, gap: &Gap) -> io::Result<()> {
        let _ = gap;
        Ok(())
    }
}

/// Takes everything and does nothing.
impl Sink for () {
    fn takes_usual_keys(&self) -> bool {
        true
    }

    fn found(&mut self, _: &Found) -> io::Result<()> {
        Ok(())
    }
}

/// Hands everything on.
impl<S: Sink> Sink for &mut S {
    fn events(&mut self, columns: &Columns, rows: Range<usize>) -> io::Result<()> {
        (**self).events(columns, rows)
    }

    fn begun(&mut self, stage: u32, begin: Point) -> io::Result<()> {
        (**self).begun(stage, begin)
    }

    fn span(&mut self, span: &Span) -> io::Result<()> {
        (**self).span(span)
    }

    fn hand_off(&mut self, hand_off: &HandOff) -> io::Result<()> {
        (**self).hand_off(hand_off)
    }

    fn takes_usual_keys(&self) -> bool {
        (**self).takes_usual_keys()
    }

    fn found(&mut self, found: &Found) -> io::Result<()> {
        (**self).found(found)
    }

    fn gap(&mut self, gap: &Gap) -> io::Result<()> {
        (**self).gap(gap)
    }
}

/// Hands everything on, if there is something to hand it to.
impl<S: Sink> Sink for Option<S> {
    fn events(&mut self, columns: &Columns, rows: Range<usize>) -> io::Result<()> {
        self.as_mut().map_or(Ok(()), |sink| sink.events(columns, rows))
    }

    fn begun(&mut self, stage: u32, begin: Point) -> io::Result<()> {
        self.as_mut().map_or(Ok(()), |sink| sink.begun(stage, begin))
    }

    fn span(&mut self, span: &Span) -> io::Result<()> {
        self.as_mut().map_or(Ok(()), |sink| sink.span(span))
    }

    fn hand_off(&mut self, hand_off: &HandOff) -> io::Result<()> {
        self.as_mut().map_or(Ok(()), |sink| sink.hand_off(hand_off))
    }

    fn takes_usual_keys(&self) -> bool {
        self.as_ref().is_none_or(Sink::takes_usual_keys)
    }

    fn found(&mut self, found: &Found) -> io::Result<()> {
        self.as_mut().map_or(Ok(()), |sink| sink.found(found))
    }

    fn gap(&mut self, gap: &Gap) -> io::Result<()> {
        self.as_mut().map_or(Ok(()), |sink| sink.gap(gap))
    }
}

/// Hands everything to both, the first first.
impl<A: Sink, B: Sink> Sink for (A, B) {
    fn events(&mut self, columns: &Columns, rows: Range<usize>) -> io::Result<()> {
        self.0.events(columns, rows.clone())?;
        self.1.events(columns, rows)
    }

    fn begun(&mut self, stage: u32, begin: Point) -> io::Result<()> {
        self.0.begun(stage, begin)?;
        self.1.begun(stage, begin)
    }

    fn span(&mut self, span: &Span) -> io::Result<()> {
        self.0.span(span)?;
        self.1.span(span)
    }

    fn hand_off(&mut self, hand_off: &HandOff) -> io::Result<()> {
        self.0.hand_off(hand_off)?;
        self.1.hand_off(hand_off)
    }

    fn takes_usual_keys(&self) -> bool {
        self.0.takes_usual_keys() && self.1.takes_usual_keys()
    }

    fn found(&mut self, found: &Found) -> io::Result<()> {
        self.0.found(found)?;
        self.1.found(found)
    }

    fn gap(&mut self, gap: &Gap) -> io::Result<()> {
        self.0.gap(gap)?;
        self.1.gap(gap)
    }
}
