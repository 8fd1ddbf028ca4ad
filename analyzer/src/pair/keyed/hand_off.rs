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
use super::chain::Slot;
use crate::pair::span::{Edge, Point, Side};

/// Finds the hand-offs that the complete span in cell `this`, which is in no chain yet, makes known: where each left, and where
/// it arrived.
pub(super) fn hand_offs(
    stages: &[u32],
    slot: &mut Slot<'_>,
    this: usize,
    mut found: impl FnMut((Edge, Point), (Edge, Point)) -> io::Result<()>,
) -> io::Result<()> {
    let begin = slot.cells[this].begin();
    slot.for_each_open(|around| {
        if around.is_open() {
            around.offer_first(this, begin);
        }
    });
    let (slot, own) = (&*slot, &slot.cells[this]);
    let latest = slot.complete().next();
    if latest.is_none() && own.first().is_none() && own.before().is_none() {
        return Ok(());
    }
    let mut hand = |from: (usize, Side, Point), to: (usize, Side, Point)| {
        let edge = |(local, side, _)| Edge { stage: stages[local], side };
        found((edge(from), from.2), (edge(to), to.2))
    };
    if let Some((before, left)) = before(slot, this) {
        hand((before, Side::End, left), (this, Side::Begin, begin))?;
        if let Some(around) = ended_inside(slot, this, before, left.time_ns) {
            hand((this, Side::End, own.end()), (around, Side::End, slot.cells[around].end()))?;
        }
    }
    // They stand in the order of their begins: if the latest is not inside of it, none is.
    if own.first().is_none() && latest.is_none_or(|(_, cell)| cell.begin_ns() < begin.time_ns) {
        return Ok(());
    }
    let inside = || slot.complete().take_while(|(_, cell)| cell.begin_ns() >= begin.time_ns);
    let first = inside().min_by_key(|&(at, cell)| (cell.begin_ns(), Reverse(cell.end_ns()), at));
    let first = first.map(|(first, cell)| (first, cell.begin()));
    // A stage that ran several times inside is remembered by its last time only; the first of all is kept by this one.
    let earlier = own.first().filter(|(_, kept)| first.is_none_or(|(_, first)| kept.time_ns < first.time_ns));
    if let Some((first, arrived)) = earlier.or(first) {
        hand((this, Side::Begin, begin), (first, Side::Begin, arrived))?;
    }
    let last = inside().max_by_key(|&(at, cell)| (cell.end_ns(), Reverse(cell.begin_ns()), at));
    if let Some((last, cell)) = last
        && !slot
            .open()
            .any(|(_, other)| other.state == CellState::Begun && other.begin_ns() > cell.begin_ns())
    {
        hand((last, Side::End, cell.end()), (this, Side::End, own.end()))?;
    }
    Ok(())
}

/// Keeps for cell `this`, which begins, which span hands on to it: later that may have begun again. None does as long as
/// a span is open that began later: that may hand on yet, or this one is inside of it.
pub(super) fn keep_before(slot: &mut Slot<'_>, this: usize) {
    let Some(before) = ended_before(slot, this) else { return };
    let (begin_ns, end) = (slot.cells[before].begin_ns(), slot.cells[before].end());
    let is_later = |cell: &Cell| cell.is_open() && cell.begin_ns() > begin_ns;
    if !slot.open().any(|(other, cell)| other != this && is_later(cell)) {
        slot.cells[this].set_before(before, end);
    }
}

/// Of the spans that ended before cell `this` began, the last to begin that is not inside of another.
fn ended_before(slot: &Slot<'_>, this: usize) -> Option<usize> {
    let begin_ns = slot.cells[this].begin_ns();
    // Of those that began together, the larger is around the other; of two alike, the one that stands first.
    let mut together = (u64::MAX, 0);
    // From the last to begin on: mostly that is the one.
    for (other, cell) in slot.complete().skip_while(|(_, cell)| cell.begin_ns() >= begin_ns) {
        if together.0 != cell.begin_ns() {
            together = (cell.begin_ns(), 0);
        }
        if !slot.is_outlasted(other) && together.1 <= cell.end_ns() {
            return Some(other);
        }
        together.1 = together.1.max(cell.end_ns());
    }
    None
}

/// The span that hands on to cell `this`, and where it ended.
fn before(slot: &Slot<'_>, this: usize) -> Option<(usize, Point)> {
    let begin_ns = slot.cells[this].begin_ns();
    if let Some(kept) = slot.cells[this].before() {
        return Some(kept);
    }
    // It ended after this one began.
    let began_before = slot.complete().skip_while(|(_, cell)| cell.begin_ns() >= begin_ns);
    let mut overlap = began_before.take_while(|(_, cell)| slot.last_end_ns(cell) >= begin_ns);
    let (before, cell) = overlap.find(|(_, cell)| cell.end_ns() >= begin_ns)?;
    let began_between = |other: &Cell| {
        other.state == CellState::Begun && cell.begin_ns() < other.begin_ns() && other.begin_ns() <= begin_ns
    };
    if slot.open().any(|(_, other)| began_between(other)) { None } else { Some((before, cell.end())) }
}

/// The span around cell `this` and the one before it, which ended at `end_ns`, that ended while this one was open.
fn ended_inside(slot: &Slot<'_>, this: usize, before: usize, end_ns: u64) -> Option<usize> {
    let begin_ns = slot.cells[this].begin_ns();
    let is_around = |around_ns: u64| end_ns <= around_ns && begin_ns < around_ns;
    let began_before = slot.complete().skip_while(|(_, cell)| cell.begin_ns() > begin_ns);
    let mut around = began_before.take_while(|(_, cell)| is_around(slot.last_end_ns(cell)));
    around.find(|&(other, cell)| other != before && is_around(cell.end_ns())).map(|(other, _)| other)
}
