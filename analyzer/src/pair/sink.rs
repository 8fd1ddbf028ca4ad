//! Where a walk over a trace hands what it finds.

use std::io;
use std::ops::Range;

use tracer_format::{Columns, Gap};

use super::span::{HandOff, Span};

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

    /// Takes a span: when it is complete, or when nothing more can become of it.
    ///
    /// # Errors
    /// Whatever ends the walk.
    fn span(&mut self, span: &Span) -> io::Result<()> {
        let _ = span;
        Ok(())
    }

    /// Takes a hand-off, after the span that completed it.
    ///
    /// # Errors
    /// Whatever ends the walk.
    fn hand_off(&mut self, hand_off: &HandOff) -> io::Result<()> {
        let _ = hand_off;
        Ok(())
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
impl Sink for () {}
