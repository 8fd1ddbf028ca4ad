//! What keys usually do, learned once: which events follow each other, and what each of them makes known.
//!
//! As long as a key has had each end of each stage at most once, what its next event makes known depends on the order of its
//! events alone, not on when they came. So a key is at a *place*: all keys with the same events in the same order are at the same one.
//! The steps of `keyed.rs` are taken once from each place, with positions instead of times, and what they found and left
//! is kept. A key that does the same again has its moments noted, and goes on to the next place. One that does something else
//! leaves: its slot becomes what the steps would have made of it, and they go on from there.
//!
//! What an event makes known is told when it comes; or, of *late* keys, all at once when each stage of the key is complete, or
//! when the key leaves. Late keys have places of their own.

use std::io;
use std::sync::Arc;

use super::cell::Cell;
use super::chain::{Chains, Slot};
use super::telling::{Made, MadeHandOff, MadeSpan, Telling, ToldSpans, tell_late};
use super::{Arriving, CellState, Step, states};
use crate::pair::identity::Identities;
use crate::pair::out::{KeyRef, Out};
use crate::pair::sink::Sink;
use crate::pair::span::{Class, Edge, HandOff, Point, Side, Span};
use crate::pair::usual_keys::UsualOrder;
use crate::select::LossTimes;
use crate::stage::Scope;
use tracer_format::ThreadId;

/// Stages that a key may have to be usual: a bit stands for each of their ends.
const MAX_STAGES: usize = 32;
/// Places, at most, and cells of all of them: what a trace made for it can make them cost.
const MAX_PLACES: usize = 1 << 10;
const MAX_CELLS: usize = 1 << 14;
/// Events of which it is known where they lead from one place.
const MAX_MOVES: usize = 1 << 8;
/// The first place of late keys.
const LATE: usize = 1;

/// The places of the keys of some stages.
#[derive(Debug)]
pub(super) struct UsualOrders {
    /// The first is that of keys without events, the second that of late ones.
    places: Vec<KeyPlace>,
    /// What each event asks of them.
    rows: Vec<PlaceRow>,
    most: usize,
    /// Numbers of a key.
    key_len: usize,
}

/// Where keys are that have had the same events in the same order.
#[derive(Debug)]
pub(super) struct KeyPlace {
    /// What a slot is that is here, with positions instead of times.
    chains: Chains,
    cells: Vec<Cell>,
    /// The states that there are among the cells, a bit each.
    states: u8,
    /// The ends of stages that were seen, a bit each.
    seen: u64,
    /// The event that leads here.
    last: Option<(usize, Side)>,
    /// What that makes known.
    pub(super) made: Arc<Made>,
    pub(super) telling: Telling,
    /// What the events of late keys made known, from the first on, and which they were.
    pub(super) made_before: Vec<Arc<Made>>,
    pub(super) passed: Vec<(usize, Side)>,
    /// Where further events lead, each with the number of its place; without one if it is not usual.
    next: Vec<(Move, Option<u16>)>,
}

/// What each event asks of a place, in few bytes. No part of it needs a branch that a processor cannot foresee: the events of many
/// keys come mixed.
#[derive(Debug, Clone, Copy)]
pub(super) struct PlaceRow {
    /// The first event that leads on, and the place where it leads.
    step: Move,
    next: u16,
    /// Whether the event that leads here makes a span complete.
    pub(super) completes: bool,
    /// Whether something is told here.
    pub(super) tells: bool,
}

/// An event, as far as it matters where it leads: the stage, its probe and side, and whether the event is at the time of the one
/// before. In one number, which is compared with each event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Move(u64);

impl Move {
    /// No event.
    const NONE: Self = Self(u64::MAX);

    #[inline(always)]
    fn new(event: Arriving, is_tied: bool) -> Self {
        let Arriving { local, side, alternative, .. } = event;
        let probe = (local as u64) << 16 | u64::from(alternative);
        Self(probe << 2 | u64::from(side == Side::End) << 1 | u64::from(is_tied))
    }
}

/// What becomes of a key that does what is usual.
#[derive(Debug, Clone, Copy)]
pub(super) enum Onward {
    /// It goes on to this place.
    To(u16),
    /// It leaves this one.
    Leaves,
    /// It had left before.
    Left,
}

impl UsualOrders {
    /// Of a group of so many stages, whose keys have so many numbers.
    pub(super) fn new(width: usize, key_len: usize) -> Self {
        let root = |telling| KeyPlace {
            chains: Chains::default(),
            cells: vec![Cell::default(); width],
            states: states(&[Cell::default()]),
            seen: 0,
            last: None,
            made: Arc::default(),
            telling,
            made_before: Vec::new(),
            passed: Vec::new(),
            next: Vec::new(),
        };
        let most = if width > MAX_STAGES { 1 } else { (MAX_CELLS / width.max(1)).min(MAX_PLACES) };
        let row = PlaceRow { step: Move::NONE, next: 0, completes: false, tells: false };
        Self { places: vec![root(Telling::Now), root(Telling::Later)], rows: vec![row; 2], most, key_len }
    }

    /// Takes `event` of the key whose slot this is, if it is usual: then the key is at the next place. A key that comes `late` is told
    /// all at once.
    #[inline(always)]
    pub(super) fn follow(
        &mut self,
        stages: &[u32],
        (chains, cells): (&mut Chains, &mut [Cell]),
        late: bool,
        event: Arriving,
    ) -> Onward {
        let Some(at) = chains.place() else { return Onward::Left };
        let at = if at == 0 { usize::from(late) } else { at };
        let (row, last_ns, time_ns) = (&self.rows[at], chains.last_ns(), event.point.time_ns);
        if last_ns > time_ns {
            return Onward::Leaves;
        }
        let step = Move::new(event, last_ns == time_ns);
        let next = if row.step == step { Some(row.next) } else { self.next(stages, at, step, event) };
        let Some(next) = next else { return Onward::Leaves };
        cells[event.local].set_at(event.side, event.point);
        chains.go_to(next, time_ns);
        Onward::To(next)
    }

    /// What an event asks of a place.
    #[inline]
    pub(super) fn row(&self, place: u16) -> &PlaceRow {
        &self.rows[usize::from(place)]
    }

    /// All that is known of a place.
    pub(super) fn place(&self, place: u16) -> &KeyPlace {
        &self.places[usize::from(place)]
    }

    /// Where `step` leads from place `at`.
    #[inline(never)]
    fn next(&mut self, stages: &[u32], at: usize, step: Move, event: Arriving) -> Option<u16> {
        let known = self.places[at].next.iter().find(|(known, _)| *known == step).map(|(_, next)| *next);
        known.unwrap_or_else(|| self.learn(stages, at, step, event))
    }

    /// Finds out where `step` leads from place `at`; nowhere if it is no usual one, or if there are too many places.
    #[cold]
    fn learn(&mut self, stages: &[u32], at: usize, step: Move, event: Arriving) -> Option<u16> {
        let Arriving { local, side, is_both, .. } = event;
        let place = &self.places[at];
        let is_full = self.places.len() >= self.most || place.next.len() >= MAX_MOVES;
        if is_full || is_both || place.seen & bit(local, side) != 0 {
            return None;
        }
        let last_ns = place.last.map_or(0, |(local, side)| place.cells[local].at(side).time_ns);
        let is_tied = step == Move::new(event, true);
        let point = Point { time_ns: last_ns + u64::from(!is_tied), thread: ThreadId(0) };
        let (mut chains, mut cells, mut seen) = (place.chains, place.cells.clone(), StepsTold::default());
        let mut out = Out {
            sink: &mut seen,
            loss: &LossTimes::default(),
            identities: &mut Identities::default(),
            given_up: &mut [],
            keys_given_up: &mut 0,
        };
        let mut steps = Step {
            stages,
            told: &mut ToldSpans::new(stages.len()),
            slot: Slot { chains: &mut chains, cells: &mut cells },
            key: KeyRef { words: &[], scope: Scope::Trace },
        };
        steps.take(Arriving { point, ..event }, &mut out).ok()?;
        let made = seen.made(stages);
        let next = made.is_some().then_some(u16::try_from(self.places.len()).ok()?);
        self.places[at].next.push((step, next));
        let made = Arc::new(made?);
        let place = &self.places[at];
        let (seen, states, last) = (place.seen | bit(local, side), states(&cells), Some((local, side)));
        let (mut made_before, mut passed) = (place.made_before.clone(), place.passed.clone());
        let telling = match place.telling {
            Telling::Now => Telling::Now,
            _ => {
                passed.push((local, side));
                made_before.extend(made.complete.is_some().then(|| Arc::clone(&made)));
                let is_all = states == 1 << CellState::Complete as u8;
                let order = UsualOrder::new(self.key_len, &passed, &made_before, stages).filter(|_| is_all);
                order.map_or(Telling::Later, |order| Telling::All(Arc::new(order)))
            }
        };
        let next_place = KeyPlace {
            chains,
            cells,
            states,
            seen,
            last,
            made,
            telling,
            made_before,
            passed,
            next: Vec::new(),
        };
        let (completes, is_later) =
            (next_place.made.complete.is_some(), matches!(next_place.telling, Telling::Later));
        self.rows.push(PlaceRow { step: Move::NONE, next: 0, completes, tells: completes && !is_later });
        self.places.push(next_place);
        let row = &mut self.rows[at];
        if let (Move::NONE, Some(next)) = (row.step, next) {
            (row.step, row.next) = (step, next);
        }
        next
    }

    /// Makes of `slot`, if it is usual, what the steps would have made of it, and tells what was not told yet.
    #[inline]
    pub(super) fn leave(
        &self,
        slot: &mut Slot<'_>,
        key: &KeyRef<'_>,
        out: &mut Out<'_, impl Sink>,
    ) -> io::Result<()> {
        match slot.chains.place() {
            Some(at) => self.leave_place(at, slot, key, out),
            None => Ok(()),
        }
    }

    #[inline(never)]
    fn leave_place(
        &self,
        at: usize,
        Slot { chains, cells }: &mut Slot<'_>,
        key: &KeyRef<'_>,
        out: &mut Out<'_, impl Sink>,
    ) -> io::Result<()> {
        let place = &self.places[at];
        if let Telling::Later = place.telling {
            place.made_before.iter().try_for_each(|made| tell_late(made, **chains, cells, key, out))?;
        }
        // At the first, all is as it begins.
        for (local, known) in place.cells.iter().enumerate().filter(|_| at > LATE) {
            let ends = [Side::Begin, Side::End].map(|side| cells[local].at(side));
            let first = known.first().map(|(first, _)| cells[first].begin());
            let before = known.before().map(|(before, _)| cells[before].end());
            let (first, before) = (first.unwrap_or_default(), before.unwrap_or_default());
            cells[local] = known.with_moments(ends, first, before);
        }
        **chains = place.chains.left();
        Ok(())
    }

    /// The states that there are among the cells of a slot, a bit each.
    pub(super) fn states(&self, slot: &Slot<'_>) -> u8 {
        slot.chains.place().map_or_else(|| states(slot.cells), |at| self.places[at].states)
    }

    /// What is known of the cells of a slot but their begins and ends.
    pub(super) fn known<'c>(&'c self, chains: &Chains, cells: &'c [Cell]) -> &'c [Cell] {
        chains.place().map_or(cells, |at| &self.places[at].cells)
    }
}

/// The bit of an end of one of [`MAX_STAGES`] stages.
fn bit(local: usize, side: Side) -> u64 {
    1 << (2 * local + usize::from(side == Side::End))
}

/// Takes what steps make known.
#[derive(Debug, Default)]
struct StepsTold {
    spans: Vec<Span>,
    hand_offs: Vec<HandOff>,
}

impl Sink for StepsTold {
    fn span(&mut self, span: &Span) -> io::Result<()> {
        self.spans.push(*span);
        Ok(())
    }

    fn hand_off(&mut self, hand_off: &HandOff) -> io::Result<()> {
        self.hand_offs.push(*hand_off);
        Ok(())
    }
}

impl StepsTold {
    /// The same of any key, if it is usual: at most a complete span, and hand-offs.
    fn made(&self, stages: &[u32]) -> Option<Made> {
        let local = |stage: u32| stages.iter().position(|&other| other == stage);
        let complete = match self.spans[..] {
            [] => None,
            [Span { class: Class::Complete, stage, ended_by, .. }] => {
                Some(MadeSpan { local: local(stage)?, stage, ended_by })
            }
            _ => return None,
        };
        let end = |edge: Edge| Some((edge, local(edge.stage)?));
        let way = |it: &HandOff| Some(MadeHandOff { from: end(it.from)?, to: end(it.to)? });
        Some(Made { complete, hand_offs: self.hand_offs.iter().map(way).collect::<Option<_>>()? })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Keyed;
    use super::*;
    use crate::pair::remembered::Room;
    use crate::pair::span::{Census, UnderWay};

    /// What is told of events, in order, and then where the keys are.
    fn told(stages: usize, most: usize, events: &[(i64, Arriving)]) -> (Vec<String>, Census) {
        let (seen, counts, census) = seen(stages, (most, false), events);
        (seen.iter().zip(counts).map(|(seen, counts)| format!("{seen:?} {counts}")).collect(), census)
    }

    /// The same with each event, and what was given up; of keys that are `late` or not.
    fn seen(
        stages: usize,
        (most, late): (usize, bool),
        events: &[(i64, Arriving)],
    ) -> (Vec<StepsTold>, Vec<String>, Census) {
        let numbers: Vec<u32> = (10..).take(stages).collect();
        let room = Room { recent: 4, waiting: 6 };
        let mut keyed = Keyed::new(numbers, Scope::Trace, 1, room);
        keyed.usual.most = most.min(keyed.usual.most);
        keyed.told.is_late = late;
        let (mut seen, mut all, mut counts) = (StepsTold::default(), Vec::new(), Vec::new());
        let mut given_up = vec![0; 10 + stages];
        let mut count = 0;
        let (mut loss, mut identities) = (LossTimes::default(), Identities::default());
        loss.add(40, 45);
        let mut census = Census {
            open: vec![UnderWay::default(); 10 + stages],
            resting: vec![[UnderWay::default(); 2]; 10 + stages],
            is_partial: false,
        };
        for at in 0..=events.len() {
            let mut out = Out {
                sink: &mut seen,
                loss: &loss,
                identities: &mut identities,
                given_up: &mut given_up,
                keys_given_up: &mut count,
            };
            match events.get(at) {
                Some((key, event)) => keyed.event_of_many(&[*key], *event, &mut out).unwrap(),
                None => {
                    keyed.count(100, &mut census);
                    keyed.finish(&mut out).unwrap();
                }
            }
            all.push(std::mem::take(&mut seen));
            counts.push(format!("{given_up:?} {count}"));
        }
        (all, counts, census)
    }

    /// What is told of each key, in order.
    fn of_keys(seen: Vec<StepsTold>) -> std::collections::BTreeMap<i64, (Vec<Span>, Vec<HandOff>)> {
        let mut keys: std::collections::BTreeMap<i64, (Vec<Span>, Vec<HandOff>)> = Default::default();
        for told in seen {
            told.spans.iter().for_each(|it| keys.entry(it.key.words()[0]).or_default().0.push(*it));
            told.hand_offs.iter().for_each(|it| keys.entry(it.key.words()[0]).or_default().1.push(*it));
        }
        keys
    }

    /// Events of a few keys: in the usual order with something else now and then, or in any order.
    fn events(stages: usize) -> impl Strategy<Value = Vec<(i64, Arriving)>> {
        let event = (0..9_i64, 0..12_u8, 0..stages, any::<bool>(), 0..2_u16, 0..3_u64, 0..8_u8);
        prop::collection::vec(event, 1..200).prop_map(move |drawn| {
            let (mut time_ns, mut passed) = (1, std::collections::BTreeMap::new());
            let event = |(key, odd, local, ends, alternative, step_ns, thread)| {
                time_ns += step_ns;
                let at: &mut usize = passed.entry(key).or_default();
                // Each stage is inside of the one before.
                let usual = if *at < stages { (*at, Side::Begin) } else { (2 * stages - 1 - *at, Side::End) };
                let (local, side) = match odd {
                    0 => (local, if ends { Side::End } else { Side::Begin }),
                    _ => usual,
                };
                *at = (*at + usize::from(odd > 1)) % (2 * stages);
                let point = Point { time_ns, thread: ThreadId(u32::from(thread)) };
                let alternative = if side == Side::End { alternative } else { 0 };
                (key, Arriving { local, side, point, alternative, is_both: odd == 1 && ends })
            };
            drawn.into_iter().map(event).collect()
        })
    }

    /// Stages: a few, or about as many as may be usual.
    fn few_or_many() -> impl Strategy<Value = usize> {
        prop_oneof![9 => 1..5_usize, 1 => MAX_STAGES - 1..MAX_STAGES + 3]
    }

    proptest! {
        /// What is usual is told as the steps tell it, however many places there are.
        #[test]
        fn places_make_no_difference(
            (stages, events) in few_or_many().prop_flat_map(|stages| (Just(stages), events(stages))),
            most in 2..40_usize,
        ) {
            let steps = told(stages, 1, &events);
            prop_assert_eq!(&told(stages, most, &events), &steps);
            prop_assert_eq!(&told(stages, MAX_PLACES, &events), &steps);
        }

        /// Of each key, the same is told late, and no less.
        #[test]
        fn late_keys_are_told_the_same(
            (stages, events) in few_or_many().prop_flat_map(|stages| (Just(stages), events(stages))),
            most in 2..40_usize,
        ) {
            let (seen_now, counts, census) = seen(stages, (most, false), &events);
            let (seen_late, late_counts, late_census) = seen(stages, (most, true), &events);
            prop_assert_eq!((of_keys(seen_late), late_counts, late_census), (of_keys(seen_now), counts, census));
        }
    }
}
