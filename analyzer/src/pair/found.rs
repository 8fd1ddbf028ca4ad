//! What pairing finds, kept in order on the way from the thread that pairs to the one that looks at it.

use std::io;

use super::sink::Sink;
use super::span::{HandOff, Point, Span};

/// Begins, spans and hand-offs, in the order in which they became known.
#[derive(Debug, Default)]
pub(crate) struct Found {
    order: Vec<Kind>,
    begins: Vec<(u32, Point)>,
    spans: Vec<Span>,
    hand_offs: Vec<HandOff>,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Begin,
    Span,
    HandOff,
}

impl Found {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }

    /// Hands all on to `sink`; there is nothing any more.
    pub(crate) fn hand_on(&mut self, sink: &mut impl Sink) -> io::Result<()> {
        let (mut begins, mut spans, mut hand_offs) =
            (self.begins.drain(..), self.spans.iter(), self.hand_offs.iter());
        for kind in self.order.drain(..) {
            match kind {
                Kind::Begin => begins.next().map_or(Ok(()), |(stage, begin)| sink.begun(stage, begin))?,
                Kind::Span => spans.next().map_or(Ok(()), |span| sink.span(span))?,
                Kind::HandOff => hand_offs.next().map_or(Ok(()), |hand_off| sink.hand_off(hand_off))?,
            }
        }
        drop(begins);
        self.spans.clear();
        self.hand_offs.clear();
        Ok(())
    }
}

impl Sink for Found {
    fn begun(&mut self, stage: u32, begin: Point) -> io::Result<()> {
        self.order.push(Kind::Begin);
        self.begins.push((stage, begin));
        Ok(())
    }

    fn span(&mut self, span: &Span) -> io::Result<()> {
        self.order.push(Kind::Span);
        self.spans.push(*span);
        Ok(())
    }

    fn hand_off(&mut self, hand_off: &HandOff) -> io::Result<()> {
        self.order.push(Kind::HandOff);
        self.hand_offs.push(*hand_off);
        Ok(())
    }
}
