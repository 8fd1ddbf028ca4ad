//! What pairing finds, kept in order on the way from the thread that pairs to the one that looks at it.
//!
//! In few bytes: each of them moves from one processor to another, and most keys are one number. A sink may take all of one
//! kind at once, one after the other as they lie in memory; most do not ask how spans and hand-offs take turns.

use std::io;
use std::sync::Arc;

use tracer_format::ThreadId;

use super::sink::Sink;
use super::span::{Class, Edge, HandOff, Point, Span, difference_ns};
use super::usual_keys::{UsualKeys, UsualOrder};
use crate::stage::{KeyValue, MAX_WORDS};

/// What is found that is worth to be handed on, of a kind; and moments of usual keys.
const MAX_FOUND: usize = 1 << 11;
const MAX_MOMENTS: usize = 4 * MAX_FOUND;

/// Begins, spans and hand-offs, in the order in which they became known; and keys that did all that is usual, among them but for the begins,
/// which are of other stages.
#[derive(Debug, Default)]
pub struct Found {
    begins: Vec<BeginRow>,
    spans: Vec<SpanRow>,
    hand_offs: Vec<HandOffRow>,
    /// The numbers of the keys of the spans. Each hand-off has the key of the span before it.
    words: Vec<i64>,
    usual: UsualRows,
}

/// Keys that did all that is usual, in runs of one order.
#[derive(Debug, Default)]
struct UsualRows {
    runs: Vec<UsualRun>,
    words: Vec<i64>,
    moments: Vec<Point>,
    reordered: Vec<u32>,
}

/// Keys whose events came in one order, and how many spans of others came before them.
#[derive(Debug)]
struct UsualRun {
    order: Arc<UsualOrder>,
    keys: usize,
    after: usize,
}

/// A begin, and how many spans and hand-offs came before it.
#[derive(Debug, Clone, Copy)]
struct BeginRow {
    stage: u32,
    begin: Point,
    after: (usize, usize),
}

/// A span without its key. 32 bytes: two in a cache line.
#[derive(Debug, Clone, Copy)]
pub struct SpanRow {
    begin_ns: u64,
    end_ns: u64,
    begin_thread: ThreadId,
    end_thread: ThreadId,
    pub(crate) stage: u32,
    pub(crate) ended_by: u16,
    pub(crate) class: Class,
    /// Numbers of its key in the lowest bits; and what is so, a bit each.
    flags: u8,
}

const _: () = assert!(size_of::<SpanRow>() == 32 && MAX_WORDS <= SpanRow::KEY as usize);

/// A hand-off without its key. 48 bytes.
#[derive(Debug, Clone, Copy)]
pub struct HandOffRow {
    left_ns: u64,
    arrived_ns: u64,
    left_thread: ThreadId,
    arrived_thread: ThreadId,
    pub(crate) from: Edge,
    pub(crate) to: Edge,
    pub(crate) near_loss: bool,
    /// How many spans came before it.
    after: u32,
}

const _: () = assert!(size_of::<HandOffRow>() == 48);

impl Found {
    /// Whether there is enough to be handed on. A few hand-offs come after each span, with which they stay: they have its key.
    #[inline(always)]
    pub(crate) fn is_full(&self) -> bool {
        self.spans.len() >= MAX_FOUND
            || self.begins.len() >= MAX_FOUND
            || self.usual.moments.len() >= MAX_MOMENTS
    }

    /// Keys that did all that is usual, in order.
    pub(crate) fn usual_keys(&self) -> impl Iterator<Item = UsualKeys<'_>> {
        let UsualRows { runs, words, moments, reordered } = &self.usual;
        let (mut words, mut moments, mut reordered) = (&words[..], &moments[..], &reordered[..]);
        runs.iter().map(move |UsualRun { order, keys, after }| UsualKeys {
            order,
            after: *after,
            words: take(&mut words, keys * order.key_len),
            moments: take(&mut moments, keys * order.moments.len()),
            reordered: take(&mut reordered, *keys),
        })
    }

    /// Spans with their keys, in order.
    pub(crate) fn spans(&self) -> impl Iterator<Item = (&SpanRow, &[i64])> {
        let mut words = &self.words[..];
        self.spans.iter().map(move |span| (span, take(&mut words, span.key_len())))
    }

    /// Hand-offs, in order.
    pub(crate) fn hand_offs(&self) -> impl Iterator<Item = &HandOffRow> {
        self.hand_offs.iter()
    }

    /// The same with their keys.
    pub(crate) fn keyed_hand_offs(&self) -> impl Iterator<Item = (&HandOffRow, &[i64])> {
        let (mut spans, mut seen, mut last) = (self.spans(), 0, &[][..]);
        self.hand_offs.iter().map(move |row| {
            while seen < row.after {
                (seen, last) = (seen + 1, spans.next().map_or(last, |(_, key)| key));
            }
            (row, last)
        })
    }

    /// Hands all on to `sink`, one by one in order.
    pub(crate) fn hand_on<S: Sink + ?Sized>(&self, sink: &mut S) -> io::Result<()> {
        let mut begins = self.begins.iter().peekable();
        let mut hand_offs = self.hand_offs.iter().enumerate().peekable();
        let (mut spans, mut last) = (self.spans(), &[][..]);
        let mut usual = self.usual_keys().peekable();
        for seen in 0..=self.spans.len() {
            loop {
                let passed = hand_offs.peek().map_or(self.hand_offs.len(), |&(at, _)| at);
                if let Some(row) = begins.next_if(|row| row.after == (seen, passed)) {
                    sink.begun(row.stage, row.begin)?;
                } else if let Some((_, row)) = hand_offs.next_if(|(_, row)| row.after as usize == seen) {
                    sink.hand_off(&row.hand_off(last))?;
                } else {
                    break;
                }
            }
            while let Some(keys) = usual.next_if(|keys| keys.after == seen) {
                (0..keys.len()).try_for_each(|row| keys.tell(row, sink))?;
            }
            if let Some((row, key)) = spans.next() {
                sink.span(&row.span(key))?;
                last = key;
            }
        }
        Ok(())
    }

    /// Forgets all, and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.begins.clear();
        self.spans.clear();
        self.hand_offs.clear();
        self.words.clear();
        self.usual.runs.clear();
        self.usual.words.clear();
        self.usual.moments.clear();
        self.usual.reordered.clear();
    }

    /// Whether `key` is that of the last span.
    fn is_last(&self, key: &[i64]) -> bool {
        self.spans.last().is_some_and(|last| self.words.ends_with(key) && last.key_len() == key.len())
    }
}

#[inline]
fn take<'t, T>(all: &mut &'t [T], len: usize) -> &'t [T] {
    let (taken, rest) = all.split_at(len);
    *all = rest;
    taken
}

#[inline(always)]
fn push_key(words: &mut Vec<i64>, key: &[i64]) {
    match key {
        [one] => words.push(*one),
        key => words.extend_from_slice(key),
    }
}

impl SpanRow {
    const KEY: u8 = 7;
    const HAS_BEGIN: u8 = 1 << 3;
    const HAS_END: u8 = 1 << 4;
    const REORDERED: u8 = 1 << 5;
    const NEAR_LOSS: u8 = 1 << 6;

    /// A complete span of a key of so many numbers.
    #[inline(always)]
    pub(crate) fn complete(
        (stage, ended_by): (u32, u16),
        [begin, end]: [Point; 2],
        key_len: usize,
        (reordered, near_loss): (bool, bool),
    ) -> Self {
        let flag = |is_so: bool, flag: u8| if is_so { flag } else { 0 };
        #[expect(clippy::cast_possible_truncation, reason = "at most MAX_WORDS")]
        let key_len = key_len as u8;
        Self {
            begin_ns: begin.time_ns,
            end_ns: end.time_ns,
            begin_thread: begin.thread,
            end_thread: end.thread,
            stage,
            ended_by,
            class: Class::Complete,
            flags: key_len
                | Self::HAS_BEGIN
                | Self::HAS_END
                | flag(reordered, Self::REORDERED)
                | flag(near_loss, Self::NEAR_LOSS),
        }
    }

    #[inline(always)]
    pub(crate) fn new(span: &Span) -> Self {
        let (begin, end) = (span.begin.unwrap_or_default(), span.end.unwrap_or_default());
        let flag = |is_so: bool, flag: u8| if is_so { flag } else { 0 };
        #[expect(clippy::cast_possible_truncation, reason = "at most MAX_WORDS")]
        let key_len = span.key.words().len() as u8;
        Self {
            begin_ns: begin.time_ns,
            end_ns: end.time_ns,
            begin_thread: begin.thread,
            end_thread: end.thread,
            stage: span.stage,
            ended_by: span.ended_by,
            class: span.class,
            flags: key_len
                | flag(span.begin.is_some(), Self::HAS_BEGIN)
                | flag(span.end.is_some(), Self::HAS_END)
                | flag(span.reordered, Self::REORDERED)
                | flag(span.near_loss, Self::NEAR_LOSS),
        }
    }

    /// See [`Span::begin`].
    pub(crate) fn begin(&self) -> Option<Point> {
        let begin = Point { time_ns: self.begin_ns, thread: self.begin_thread };
        self.is(Self::HAS_BEGIN).then_some(begin)
    }

    /// See [`Span::end`].
    pub(crate) fn end(&self) -> Option<Point> {
        let end = Point { time_ns: self.end_ns, thread: self.end_thread };
        self.is(Self::HAS_END).then_some(end)
    }

    /// Begin and end of a span that has both.
    #[inline(always)]
    pub(crate) fn both(&self) -> [Point; 2] {
        let begin = Point { time_ns: self.begin_ns, thread: self.begin_thread };
        [begin, Point { time_ns: self.end_ns, thread: self.end_thread }]
    }

    /// See [`Span::latency_ns`].
    pub(crate) fn latency_ns(&self) -> Option<i64> {
        let latency_ns = difference_ns(self.begin_ns, self.end_ns);
        (self.is(Self::HAS_BEGIN) && self.is(Self::HAS_END)).then_some(latency_ns)
    }

    /// See [`Span::reordered`].
    pub(crate) fn is_reordered(&self) -> bool {
        self.is(Self::REORDERED)
    }

    /// See [`Span::near_loss`].
    pub(crate) fn is_near_loss(&self) -> bool {
        self.is(Self::NEAR_LOSS)
    }

    /// The whole span, whose key has these numbers.
    pub(crate) fn span(&self, key: &[i64]) -> Span {
        Span {
            stage: self.stage,
            class: self.class,
            reordered: self.is_reordered(),
            key: KeyValue::new(key),
            begin: self.begin(),
            end: self.end(),
            ended_by: self.ended_by,
            near_loss: self.is_near_loss(),
        }
    }

    fn is(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    fn key_len(&self) -> usize {
        usize::from(self.flags & Self::KEY)
    }
}

impl HandOffRow {
    #[inline(always)]
    pub(crate) fn new(hand_off: &HandOff) -> Self {
        let HandOff { from, to, left, arrived, near_loss, .. } = *hand_off;
        Self::between((from, left), (to, arrived), near_loss)
    }

    /// From one moment to another.
    #[inline(always)]
    pub(crate) fn between(
        (from, left): (Edge, Point),
        (to, arrived): (Edge, Point),
        near_loss: bool,
    ) -> Self {
        Self {
            left_ns: left.time_ns,
            arrived_ns: arrived.time_ns,
            left_thread: left.thread,
            arrived_thread: arrived.thread,
            from,
            to,
            near_loss,
            after: 0,
        }
    }

    /// See [`HandOff::left`] and [`HandOff::arrived`], ns.
    pub(crate) fn time_ns(&self) -> (u64, u64) {
        (self.left_ns, self.arrived_ns)
    }

    /// See [`HandOff::latency_ns`].
    pub(crate) fn latency_ns(&self) -> i64 {
        difference_ns(self.left_ns, self.arrived_ns)
    }

    /// The whole hand-off, whose key has these numbers.
    pub(crate) fn hand_off(&self, key: &[i64]) -> HandOff {
        HandOff {
            from: self.from,
            to: self.to,
            key: KeyValue::new(key),
            left: Point { time_ns: self.left_ns, thread: self.left_thread },
            arrived: Point { time_ns: self.arrived_ns, thread: self.arrived_thread },
            near_loss: self.near_loss,
        }
    }
}

impl Sink for Found {
    fn begun(&mut self, stage: u32, begin: Point) -> io::Result<()> {
        self.begins.push(BeginRow { stage, begin, after: (self.spans.len(), self.hand_offs.len()) });
        Ok(())
    }

    fn span(&mut self, span: &Span) -> io::Result<()> {
        self.span_row(SpanRow::new(span), span.key.words())
    }

    fn hand_off(&mut self, hand_off: &HandOff) -> io::Result<()> {
        self.hand_off_row(HandOffRow::new(hand_off), hand_off.key.words())
    }

    #[inline(always)]
    fn span_row(&mut self, row: SpanRow, key: &[i64]) -> io::Result<()> {
        push_key(&mut self.words, key);
        self.spans.push(row);
        Ok(())
    }

    #[inline(always)]
    fn hand_off_row(&mut self, row: HandOffRow, key: &[i64]) -> io::Result<()> {
        debug_assert!(self.is_last(key), "a hand-off has the key of the span that completed it");
        #[expect(clippy::cast_possible_truncation, reason = "a few thousand spans")]
        let after = self.spans.len() as u32;
        self.hand_offs.push(HandOffRow { after, ..row });
        Ok(())
    }

    #[inline(always)]
    fn usual_key(
        &mut self,
        order: &Arc<UsualOrder>,
        (key, reordered): (&[i64], u32),
        moments: impl Iterator<Item = Point>,
    ) -> io::Result<()> {
        let (usual, after) = (&mut self.usual, self.spans.len());
        match usual.runs.last_mut() {
            Some(run) if run.after == after && Arc::ptr_eq(&run.order, order) => run.keys += 1,
            _ => usual.runs.push(UsualRun { order: Arc::clone(order), keys: 1, after }),
        }
        push_key(&mut usual.words, key);
        usual.moments.extend(moments);
        usual.reordered.push(reordered);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
