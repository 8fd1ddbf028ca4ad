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
pub(crate) fn hand_offs(
    stages: &[u32],
    slot: &[Cell],
    this: usize,
    mut found: impl FnMut(HandOff) -> io::Result<()>,
) -> io::Result<()> {
    if complete(slot, this).next().is_none() {
        return Ok(());
    }
    let mut hand = |from: (usize, Side), to: (usize, Side)| {
        let edge = |(local, side): (usize, Side)| Edge { stage: stages[local], side };
        let point = |(local, side): (usize, Side)| -> Point {
            if side == Side::Begin { slot[local].begin() } else { slot[local].end() }
        };
        let (left, arrived) = (point(from), point(to));
        found(HandOff { from: edge(from), to: edge(to), key: KeyValue::new(&[]), left, arrived })
    };
    if let Some(before) = before(slot, this) {
        hand((before, Side::End), (this, Side::Begin))?;
        if let Some(around) = ended_inside(slot, this, before) {
            hand((this, Side::End), (around, Side::End))?;
        }
    }
    let begin_ns = slot[this].begin_ns();
    let inside = || complete(slot, this).filter(|(_, cell)| cell.begin_ns() >= begin_ns);
    // The first lap of a stage that ran twice is not remembered.
    if let Some((first, cell)) = inside().min_by_key(|(_, cell)| (cell.begin_ns(), Reverse(cell.end_ns())))
        && cell.laps < 2
    {
        hand((this, Side::Begin), (first, Side::Begin))?;
    }
    if let Some((last, cell)) = inside().max_by_key(|(_, cell)| (cell.end_ns(), Reverse(cell.begin_ns())))
        && !slot.iter().any(|other| other.state == CellState::Begun && other.begin_ns() > cell.begin_ns())
    {
        hand((last, Side::End), (this, Side::End))?;
    }
    Ok(())
}

/// Complete spans of the other stages.
fn complete(slot: &[Cell], this: usize) -> impl Iterator<Item = (usize, &Cell)> {
    slot.iter().enumerate().filter(move |&(other, cell)| other != this && cell.state == CellState::Complete)
}

/// The span that hands on to `slot[this]`.
fn before(slot: &[Cell], this: usize) -> Option<usize> {
    let begin_ns = slot[this].begin_ns();
    let candidates = || complete(slot, this).filter(|(_, cell)| cell.begin_ns() < begin_ns);
    // The larger first; of two alike, the one that stands first is around the other.
    let order = |local: usize, cell: &Cell| (cell.begin_ns(), Reverse(cell.end_ns()), local);
    let is_inside = |inner: usize, cell: &Cell| {
        candidates().any(|(outer, around)| {
            around.end_ns() <= begin_ns
                && cell.end_ns() <= around.end_ns()
                && order(outer, around) < order(inner, cell)
        })
    };
    // From the last to begin on: mostly that is the one.
    let mut end = (u64::MAX, usize::MAX);
    let (before, cell) = loop {
        let began = |&(other, cell): &(usize, &Cell)| (cell.begin_ns(), other);
        let (other, cell) = candidates().filter(|found| began(found) < end).max_by_key(began)?;
        if !is_inside(other, cell) {
            break (other, cell);
        }
        end = (cell.begin_ns(), other);
    };
    let began_between = |other: &Cell| {
        other.state == CellState::Begun && cell.begin_ns() < other.begin_ns() && other.begin_ns() <= begin_ns
    };
    if slot.iter().any(began_between) { None } else { Some(before) }
}

/// The span around `slot[this]` and the one before it that ended while this one was open.
fn ended_inside(slot: &[Cell], this: usize, before: usize) -> Option<usize> {
    let around = complete(slot, this).filter(|&(other, cell)| {
        other != before
            && cell.begin_ns() <= slot[before].begin_ns()
            && slot[before].end_ns() <= cell.end_ns()
            && slot[this].begin_ns() < cell.end_ns()
    });
    around.max_by_key(|(_, cell)| cell.begin_ns()).map(|(other, _)| other)
}
