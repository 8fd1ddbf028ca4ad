//! What pairing finds, kept in order on the way from the thread that pairs to the one that looks at it.
//!
//! In few bytes: each of them moves from one processor to another, and most keys are one number.

use std::io;

use tracer_format::ThreadId;

use super::sink::Sink;
use super::span::{Class, Edge, HandOff, Point, Span};
use crate::stage::{KeyValue, MAX_WORDS};

/// Begins, spans and hand-offs, in the order in which they became known.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// What comes next, and how many numbers its key has.
    order: Vec<(Kind, u8)>,
    begins: Vec<(u32, Point)>,
    spans: Vec<SpanRow>,
    hand_offs: Vec<HandOffRow>,
    /// The numbers of all keys.
    words: Vec<i64>,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Begin,
    Span,
    HandOff,
}

/// A span without its key.
#[derive(Debug, Clone, Copy)]
struct SpanRow {
    begin_ns: u64,
    end_ns: u64,
    begin_thread: ThreadId,
    end_thread: ThreadId,
    stage: u32,
    ended_by: u16,
    class: Class,
    has_begin: bool,
    has_end: bool,
    reordered: bool,
    near_loss: bool,
}

/// A hand-off without its key.
#[derive(Debug, Clone, Copy)]
struct HandOffRow {
    left_ns: u64,
    arrived_ns: u64,
    left_thread: ThreadId,
    arrived_thread: ThreadId,
    from: Edge,
    to: Edge,
    near_loss: bool,
}

impl Found {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }

    /// Hands all on to `sink`; there is nothing any more.
    pub(crate) fn hand_on(&mut self, sink: &mut impl Sink) -> io::Result<()> {
        let (mut begins, mut spans, mut hand_offs) =
            (self.begins.iter(), self.spans.iter(), self.hand_offs.iter());
        let mut words = &self.words[..];
        for &(kind, len) in &self.order {
            match kind {
                Kind::Begin => begins.next().map_or(Ok(()), |&(stage, begin)| sink.begun(stage, begin))?,
                Kind::Span => {
                    let key = take_key(&mut words, len);
                    spans.next().map_or(Ok(()), |row| sink.span(&row.span(key)))?;
                }
                Kind::HandOff => {
                    let key = take_key(&mut words, len);
                    hand_offs.next().map_or(Ok(()), |row| sink.hand_off(&row.hand_off(key)))?;
                }
            }
        }
        self.order.clear();
        self.begins.clear();
        self.spans.clear();
        self.hand_offs.clear();
        self.words.clear();
        Ok(())
    }

    #[inline]
    fn push(&mut self, kind: Kind, key: &KeyValue) {
        const { assert!(MAX_WORDS <= u8::MAX as usize) };
        let words = key.words();
        #[expect(clippy::cast_possible_truncation, reason = "at most MAX_WORDS")]
        self.order.push((kind, words.len() as u8));
        match words {
            [one] => self.words.push(*one),
            words => self.words.extend_from_slice(words),
        }
    }
}

#[inline]
fn take_key(words: &mut &[i64], len: u8) -> KeyValue {
    let (key, rest) = words.split_at(usize::from(len));
    *words = rest;
    KeyValue::new(key)
}

impl SpanRow {
    fn new(span: &Span) -> Self {
        let (begin, end) = (span.begin.unwrap_or_default(), span.end.unwrap_or_default());
        Self {
            begin_ns: begin.time_ns,
            end_ns: end.time_ns,
            begin_thread: begin.thread,
            end_thread: end.thread,
            stage: span.stage,
            ended_by: span.ended_by,
            class: span.class,
            has_begin: span.begin.is_some(),
            has_end: span.end.is_some(),
            reordered: span.reordered,
            near_loss: span.near_loss,
        }
    }

    fn span(&self, key: KeyValue) -> Span {
        let point = |is_there: bool, time_ns, thread| is_there.then_some(Point { time_ns, thread });
        Span {
            stage: self.stage,
            class: self.class,
            reordered: self.reordered,
            key,
            begin: point(self.has_begin, self.begin_ns, self.begin_thread),
            end: point(self.has_end, self.end_ns, self.end_thread),
            ended_by: self.ended_by,
            near_loss: self.near_loss,
        }
    }
}

impl HandOffRow {
    fn new(hand_off: &HandOff) -> Self {
        let HandOff { from, to, left, arrived, near_loss, .. } = *hand_off;
        Self {
            left_ns: left.time_ns,
            arrived_ns: arrived.time_ns,
            left_thread: left.thread,
            arrived_thread: arrived.thread,
            from,
            to,
            near_loss,
        }
    }

    fn hand_off(&self, key: KeyValue) -> HandOff {
        HandOff {
            from: self.from,
            to: self.to,
            key,
            left: Point { time_ns: self.left_ns, thread: self.left_thread },
            arrived: Point { time_ns: self.arrived_ns, thread: self.arrived_thread },
            near_loss: self.near_loss,
        }
    }
}

impl Sink for Found {
    fn begun(&mut self, stage: u32, begin: Point) -> io::Result<()> {
        self.order.push((Kind::Begin, 0));
        self.begins.push((stage, begin));
        Ok(())
    }

    #[inline]
    fn span(&mut self, span: &Span) -> io::Result<()> {
        self.push(Kind::Span, &span.key);
        self.spans.push(SpanRow::new(span));
        Ok(())
    }

    #[inline]
    fn hand_off(&mut self, hand_off: &HandOff) -> io::Result<()> {
        self.push(Kind::HandOff, &hand_off.key);
        self.hand_offs.push(HandOffRow::new(hand_off));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::span::Side;
    use super::*;

    #[derive(Debug, Clone, Default, PartialEq)]
    struct Seen {
        begins: Vec<(u32, Point)>,
        spans: Vec<Span>,
        hand_offs: Vec<HandOff>,
        order: String,
    }

    impl Sink for Seen {
        fn begun(&mut self, stage: u32, begin: Point) -> io::Result<()> {
            self.begins.push((stage, begin));
            self.order.push('b');
            Ok(())
        }

        fn span(&mut self, span: &Span) -> io::Result<()> {
            self.spans.push(*span);
            self.order.push('s');
            Ok(())
        }

        fn hand_off(&mut self, hand_off: &HandOff) -> io::Result<()> {
            self.hand_offs.push(*hand_off);
            self.order.push('h');
            Ok(())
        }
    }

    /// Spans of every class, with and without ends, with keys of every length; a begin and a hand-off with each.
    fn feed(sink: &mut impl Sink) -> io::Result<()> {
        for (at, class) in (1_u16..).zip(Class::ALL) {
            let key = KeyValue::new(&[i64::from(at), -5, i64::MIN, 8][..usize::from(at) % 5]);
            let point = |time_ns| Point { time_ns, thread: ThreadId(70 + u32::from(at)) };
            let (begin, end) = (point(u64::from(at)), point(u64::MAX - u64::from(at)));
            sink.begun(3, begin)?;
            sink.span(&Span {
                stage: u32::from(at) << 20,
                class,
                reordered: at == 2,
                key,
                begin: (at != 3).then_some(begin),
                end: (at != 4).then_some(end),
                ended_by: u16::MAX - at,
                near_loss: at % 2 == 0,
            })?;
            let from = Edge { stage: at.into(), side: Side::End };
            let to = Edge { stage: u32::MAX, side: Side::Begin };
            sink.hand_off(&HandOff { from, to, key, left: begin, arrived: end, near_loss: at % 2 == 1 })?;
        }
        Ok(())
    }

    #[test]
    fn what_goes_in_comes_out_in_order_and_once() {
        let mut expected = Seen::default();
        feed(&mut expected).unwrap();
        let mut found = Found::default();
        for _ in 0..2 {
            let mut seen = Seen::default();
            feed(&mut found).unwrap();
            assert_eq!(found.len(), expected.order.len());
            found.hand_on(&mut seen).unwrap();
            assert_eq!((seen, found.len()), (expected.clone(), 0));
        }
    }
}
