//! The way of a key from stage to stage, told by the times of its complete spans.
//!
//! When a span is complete:
//! - The span of another stage that began last before it hands on to it, end to begin, even if it ended a little later:
//!   then the hand-off is negative. Spans inside of one that ended before are left out, and nothing is handed on if an
//!   open span began in between: then this one is inside of that.
//! - A span with others inside of it hands on to the first of them, begin to begin, and the last hands back, end to end;
//!   also if that one ends a little later than the span around it.
//!
//! So the time of a stage with others inside is the sum of those and of the hand-offs between them.

use std::cmp::Reverse;
use std::io;

use super::cell::{Cell, CellState};
use super::span::{Edge, HandOff, Point, Side};
use crate::stage::KeyValue;

/// Finds the hand-offs that the complete span in `slot[this]` makes known; their keys are left empty.
pub(super) fn hand_offs(
    stages: &[u32],
    slot: &mut [Cell],
    this: usize,
    mut found: impl FnMut(HandOff) -> io::Result<()>,
) -> io::Result<()> {
    let begin = slot[this].begin();
    for around in slot.iter_mut().filter(|cell| cell.is_open()) {
        around.offer_first(this, begin);
    }
    let slot = &*slot;
    if complete(slot, this).next().is_none() && slot[this].first().is_none() && slot[this].before().is_none()
    {
        return Ok(());
    }
    let mut hand = |from: (usize, Side, Point), to: (usize, Side, Point)| {
        let edge = |(local, side, _)| Edge { stage: stages[local], side };
        let (from, to, left, arrived) = (edge(from), edge(to), from.2, to.2);
        found(HandOff { from, to, key: KeyValue::new(&[]), left, arrived, near_loss: false })
    };
    if let Some((before, left)) = before(slot, this) {
        hand((before, Side::End, left), (this, Side::Begin, begin))?;
        if let Some(around) = ended_inside(slot, this, before, left.time_ns) {
            hand((this, Side::End, slot[this].end()), (around, Side::End, slot[around].end()))?;
        }
    }
    let inside = || complete(slot, this).filter(|(_, cell)| cell.begin_ns() >= begin.time_ns);
    let first = inside().min_by_key(|(_, cell)| (cell.begin_ns(), Reverse(cell.end_ns())));
    let first = first.map(|(first, cell)| (first, cell.begin()));
    // A stage that ran several times inside is remembered by its last time only; the first of all is kept by this one.
    let earlier =
        slot[this].first().filter(|(_, kept)| first.is_none_or(|(_, first)| kept.time_ns < first.time_ns));
    if let Some((first, arrived)) = earlier.or(first) {
        hand((this, Side::Begin, begin), (first, Side::Begin, arrived))?;
    }
    if let Some((last, cell)) = inside().max_by_key(|(_, cell)| (cell.end_ns(), Reverse(cell.begin_ns())))
        && !slot.iter().any(|other| other.state == CellState::Begun && other.begin_ns() > cell.begin_ns())
    {
        hand((last, Side::End, cell.end()), (this, Side::End, slot[this].end()))?;
    }
    Ok(())
}

/// Complete spans of the other stages.
fn complete(slot: &[Cell], this: usize) -> impl Iterator<Item = (usize, &Cell)> {
    slot.iter().enumerate().filter(move |&(other, cell)| other != this && cell.state == CellState::Complete)
}

/// Keeps for `slot[this]`, which begins, which span hands on to it: later that may have begun again. None does as long as
/// a span is open that began later: that may hand on yet, or this one is inside of it.
pub(super) fn keep_before(slot: &mut [Cell], this: usize) {
    let Some((before, cell)) = ended_before(slot, this) else { return };
    let (begin_ns, end) = (cell.begin_ns(), cell.end());
    let is_later =
        |(other, cell): (usize, &Cell)| other != this && cell.is_open() && cell.begin_ns() > begin_ns;
    if !slot.iter().enumerate().any(is_later) {
        slot[this].set_before(before, end);
    }
}

/// Of the spans that ended before `slot[this]` began, the last to begin that is not inside of another.
fn ended_before(slot: &[Cell], this: usize) -> Option<(usize, &Cell)> {
    let begin_ns = slot[this].begin_ns();
    let candidates = || complete(slot, this).filter(|(_, cell)| cell.begin_ns() < begin_ns);
    // The larger first; of two alike, the one that stands first is around the other.
    let order = |local: usize, cell: &Cell| (cell.begin_ns(), Reverse(cell.end_ns()), local);
    let is_inside = |inner: usize, cell: &Cell| {
        candidates().any(|(outer, around)| {
            cell.end_ns() <= around.end_ns() && order(outer, around) < order(inner, cell)
        })
    };
    // From the last to begin on: mostly that is the one.
    let mut end = (u64::MAX, usize::MAX);
    loop {
        let began = |&(other, cell): &(usize, &Cell)| (cell.begin_ns(), other);
        let (other, cell) = candidates().filter(|found| began(found) < end).max_by_key(began)?;
        if !is_inside(other, cell) {
            return Some((other, cell));
        }
        end = (cell.begin_ns(), other);
    }
}

/// The span that hands on to `slot[this]`, and where it ended.
fn before(slot: &[Cell], this: usize) -> Option<(usize, Point)> {
    let begin_ns = slot[this].begin_ns();
    if let Some(kept) = slot[this].before() {
        return Some(kept);
    }
    // It ended after this one began.
    let overlap =
        complete(slot, this).filter(|(_, cell)| cell.begin_ns() < begin_ns && cell.end_ns() >= begin_ns);
    let (before, cell) = overlap.max_by_key(|&(other, cell)| (cell.begin_ns(), other))?;
    let began_between = |other: &Cell| {
        other.state == CellState::Begun && cell.begin_ns() < other.begin_ns() && other.begin_ns() <= begin_ns
    };
    if slot.iter().any(began_between) { None } else { Some((before, cell.end())) }
}

/// The span around `slot[this]` and the one before it, which ended at `end_ns`, that ended while this one was open.
fn ended_inside(slot: &[Cell], this: usize, before: usize, end_ns: u64) -> Option<usize> {
    let begin_ns = slot[this].begin_ns();
    let around = complete(slot, this).filter(|&(other, cell)| {
        other != before && cell.begin_ns() <= begin_ns && end_ns <= cell.end_ns() && begin_ns < cell.end_ns()
    });
    around.max_by_key(|(_, cell)| cell.begin_ns()).map(|(other, _)| other)
}
