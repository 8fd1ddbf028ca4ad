//! Keys that did all that is usual, told at once: which spans and hand-offs there are follows from the order of a key's events,
//! and that is the same for many.

use std::io;

use super::found::{HandOffRow, SpanRow};
use super::sink::Sink;
use super::span::{Edge, Point, difference_ns};

/// What keys do whose events come in one order: each stage is complete, once.
#[derive(Debug)]
pub struct UsualOrder {
    /// Numbers of a key.
    pub(super) key_len: usize,
    /// The ends of the stages, in the order of their times.
    pub(crate) moments: Vec<Edge>,
    /// The spans, in the order in which they are complete.
    pub(crate) spans: Vec<UsualSpan>,
    /// The hand-offs, likewise.
    pub(crate) hand_offs: Vec<UsualHandOff>,
}

/// A complete span.
#[derive(Debug)]
pub(crate) struct UsualSpan {
    pub(crate) stage: u32,
    /// Which of the stage's probes ended it.
    pub(crate) ended_by: u16,
    /// The bit that says whether it is reordered.
    pub(super) bit: usize,
    /// Where its begin and its end stand among the moments.
    pub(crate) at: [usize; 2],
}

/// A hand-off.
#[derive(Debug)]
pub(crate) struct UsualHandOff {
    pub(crate) from: Edge,
    pub(crate) to: Edge,
    /// Where it leaves and arrives, among the moments.
    pub(crate) at: [usize; 2],
    /// How many spans are told before it.
    pub(super) after: usize,
}

/// Keys whose events came in one order, as they became complete. None of them is near a loss.
#[derive(Debug, Clone, Copy)]
pub(crate) struct UsualKeys<'f> {
    pub(crate) order: &'f UsualOrder,
    /// How many spans of other keys were told before them.
    pub(super) after: usize,
    /// The numbers of each key, and its moments, in their order.
    pub(super) words: &'f [i64],
    pub(super) moments: &'f [Point],
    /// The spans of each key that a later one overtook, a bit each.
    pub(super) reordered: &'f [u32],
}

impl<'f> UsualKeys<'f> {
    /// How many keys.
    pub(crate) fn len(&self) -> usize {
        self.reordered.len()
    }

    /// How many spans of other keys were told before them.
    pub(crate) fn after(&self) -> usize {
        self.after
    }

    /// Those from `row` on.
    pub(crate) fn since(&self, row: usize) -> Self {
        Self {
            words: &self.words[row * self.order.key_len..],
            moments: &self.moments[row * self.order.moments.len()..],
            reordered: &self.reordered[row..],
            ..*self
        }
    }

    /// The numbers of a key.
    #[inline]
    pub(crate) fn key(&self, row: usize) -> &'f [i64] {
        &self.words[row * self.order.key_len..][..self.order.key_len]
    }

    /// The moments of a key.
    #[inline]
    pub(crate) fn moments(&self, row: usize) -> &'f [Point] {
        let width = self.order.moments.len();
        &self.moments[row * width..][..width]
    }

    /// From one moment of each key to another, ns.
    pub(crate) fn differences_ns(&self, [from, to]: [usize; 2]) -> impl ExactSizeIterator<Item = i64> {
        let moments = self.moments.chunks_exact(self.order.moments.len());
        moments.map(move |of_key| difference_ns(of_key[from].time_ns, of_key[to].time_ns))
    }

    /// How many of these spans a later one overtook.
    pub(crate) fn reordered(&self, span: &UsualSpan) -> u64 {
        self.reordered.iter().map(|bits| u64::from(bits >> span.bit & 1)).sum()
    }

    /// A span of a key.
    #[inline]
    pub(crate) fn span(&self, row: usize, span: &UsualSpan) -> SpanRow {
        let ends = span.at.map(|at| self.moments(row)[at]);
        let is_reordered = self.reordered[row] >> span.bit & 1 != 0;
        SpanRow::complete((span.stage, span.ended_by), ends, self.order.key_len, (is_reordered, false))
    }

    /// Hands on all that is known of a key, one by one in order.
    pub(super) fn tell<S: Sink + ?Sized>(&self, row: usize, sink: &mut S) -> io::Result<()> {
        let key = self.key(row);
        let mut hand_offs = self.order.hand_offs.iter().peekable();
        for (seen, span) in (1..).zip(&self.order.spans) {
            sink.span_row(self.span(row, span), key)?;
            while let Some(UsualHandOff { from, to, at, .. }) = hand_offs.next_if(|it| it.after == seen) {
                let [left, arrived] = at.map(|at| self.moments(row)[at]);
                sink.hand_off_row(HandOffRow::between((*from, left), (*to, arrived), false), key)?;
            }
        }
        Ok(())
    }
}
