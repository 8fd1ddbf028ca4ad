//! The way of what was found to the sink.

use std::io;

use super::found::{HandOffRow, SpanRow};
use super::identity::Identities;
use super::sink::Sink;
use super::span::{Class, Edge, Point, Span};
use crate::select::LossTimes;
use crate::stage::{KeyValue, MAX_WORDS, Scope};

/// Where results go, and what must be known to tell them.
pub(super) struct Out<'a, S> {
    pub(super) sink: &'a mut S,
    pub(super) loss: &'a LossTimes,
    pub(super) identities: &'a mut Identities,
    /// Begins and ends of each stage that were given up.
    pub(super) given_up: &'a mut [u64],
    /// Keys that were given up before all of their stages were seen.
    pub(super) keys_given_up: &'a mut u64,
}

/// A key as it is remembered: its last number stands for the thread, process or parent of its scope.
#[derive(Debug, Clone, Copy)]
pub(super) struct KeyRef<'k> {
    pub(super) words: &'k [i64],
    pub(super) scope: Scope,
}

/// What was seen of a span, and the times between which a lost event may have made it what it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    pub(super) begin: Option<Point>,
    pub(super) end: Option<(Point, u16)>,
    pub(super) reach_ns: (u64, u64),
    /// Whether a later span overtook it.
    pub(super) reordered: bool,
}

impl Seen {
    /// A begin without an end, of which it is known at `until_ns`.
    pub(super) fn open(begin: Point, until_ns: u64) -> Self {
        Self { begin: Some(begin), end: None, reach_ns: (begin.time_ns, until_ns), reordered: false }
    }

    /// An end without a begin, which may have been lost since `since_ns`.
    pub(super) fn orphan(end: Point, alternative: u16, since_ns: u64) -> Self {
        Self {
            begin: None,
            end: Some((end, alternative)),
            reach_ns: (since_ns, end.time_ns),
            reordered: false,
        }
    }

    /// Both ends, of which one event tells: none that was lost has to do with it.
    pub(super) fn told(begin: Point, end: Point, alternative: u16) -> Self {
        Self { reach_ns: (end.time_ns, end.time_ns), ..Self::pair(begin, end, alternative) }
    }

    /// A begin and its end.
    pub(super) fn pair(begin: Point, end: Point, alternative: u16) -> Self {
        let reach_ns = (begin.time_ns.min(end.time_ns), begin.time_ns.max(end.time_ns));
        Self { begin: Some(begin), end: Some((end, alternative)), reach_ns, reordered: false }
    }
}

impl<S: Sink> Out<'_, S> {
    /// Hands on a span.
    pub(super) fn span(&mut self, stage: u32, class: Class, key: &KeyRef<'_>, seen: Seen) -> io::Result<()> {
        let span = Span {
            stage,
            class,
            reordered: seen.reordered,
            key: self.shown(key),
            begin: seen.begin,
            end: seen.end.map(|(end, _)| end),
            ended_by: seen.end.map_or(0, |(_, alternative)| alternative),
            near_loss: self.loss.touch(seen.reach_ns.0, seen.reach_ns.1),
        };
        self.sink.span(&span)
    }

    /// Hands on a complete span, as most are, with its begin, its end and the probe that ended it. Inline: what is put together
    /// here goes to the sink in registers.
    #[inline(always)]
    pub(super) fn complete(
        &mut self,
        (stage, reordered): (u32, bool),
        key: &KeyRef<'_>,
        (begin, end, ended_by): (Point, Point, u16),
    ) -> io::Result<()> {
        let near_loss = self.loss.touch(begin.time_ns.min(end.time_ns), begin.time_ns.max(end.time_ns));
        let (ends, flags) = ([begin, end], (reordered, near_loss));
        let row = SpanRow::complete((stage, ended_by), ends, key.words.len(), flags);
        match key.scope {
            Scope::Trace => self.sink.span_row(row, key.words),
            _ => self.sink.span_row(row, self.shown(key).words()),
        }
    }

    /// Hands on a hand-off of `key`, the key of the span before it, that left at one edge and arrived at another.
    #[inline(always)]
    pub(super) fn hand_off(
        &mut self,
        key: &KeyRef<'_>,
        (from, left): (Edge, Point),
        (to, arrived): (Edge, Point),
    ) -> io::Result<()> {
        let (left_ns, arrived_ns) = (left.time_ns, arrived.time_ns);
        let near_loss = self.loss.touch(left_ns.min(arrived_ns), left_ns.max(arrived_ns));
        let row = HandOffRow::between((from, left), (to, arrived), near_loss);
        match key.scope {
            Scope::Trace => self.sink.hand_off_row(row, key.words),
            _ => self.sink.hand_off_row(row, self.shown(key).words()),
        }
    }

    pub(super) fn shown(&self, key: &KeyRef<'_>) -> KeyValue {
        if key.scope == Scope::Trace {
            return KeyValue::new(key.words);
        }
        let mut words = [0; MAX_WORDS];
        let words = &mut words[..key.words.len().min(MAX_WORDS)];
        words.copy_from_slice(&key.words[..words.len()]);
        if let Some(last) = words.last_mut() {
            *last = self.identities.shown(*last, key.scope);
        }
        KeyValue::new(words)
    }
}
