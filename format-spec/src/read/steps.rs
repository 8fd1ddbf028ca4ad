//! Batches that own their columns: decoded ahead of the reader, with what else is made of them on the same threads.

use std::ops::Range;

use super::ahead::{Outbox, Worker};
use super::ordered::{Batch, Batches, begin, copy_row};
use super::scan::DamagedRange;
use super::share::Share;
use crate::model::{Columns, Definitions, Gap};

/// Rows of [`Steps`] that are worth a hand-over.
const STEP_ROWS: usize = 1 << 14;
/// Batches with less rows are copied, larger ones are passed on as they are.
const MIN_PASSED: usize = 1 << 13;
/// Rows of a piece at most.
const PIECE_ROWS: usize = 1 << 12;

/// Makes something of events on the threads that decode them.
pub trait Maker {
    /// What it makes; memory goes to and fro in it.
    type Made: Default + Send + Sync;

    /// Makes `made` of a piece; what is in it was made before, of another one.
    fn make(&mut self, columns: &Columns, rows: Range<usize>, made: &mut Self::Made);
}

/// Makes nothing.
impl Maker for () {
    type Made = ();

    fn make(&mut self, _: &Columns, _: Range<usize>, (): &mut ()) {}
}

/// Batches in the order of a walk, events in pieces of a few thousand rows.
#[derive(Debug, Default)]
pub struct Steps<T = ()> {
    steps: Vec<Owned>,
    rows: usize,
    /// Step of each piece, and its rows.
    pieces: Vec<(usize, Range<usize>)>,
    /// What was made of each piece, and behind that what was made before.
    made: Vec<T>,
    /// Columns to be used again.
    spares: Vec<Columns>,
}

#[derive(Debug)]
enum Owned {
    Events(Columns, Range<usize>),
    Gap(Gap),
    Damaged(DamagedRange),
}

/// The pieces of rows: each with a few thousand at most.
pub fn pieces(rows: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let end = rows.end;
    rows.step_by(PIECE_ROWS).map(move |start| start..end.min(start + PIECE_ROWS))
}

impl<T: Default> Steps<T> {
    /// Pieces of events, gaps and damage.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pieces.len()
    }

    /// Whether there is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// A piece, and what was made of it.
    ///
    /// # Panics
    /// If there are not so many.
    #[must_use]
    pub fn piece(&self, piece: usize) -> (Batch<'_>, &T) {
        let (step, rows) = &self.pieces[piece];
        (self.steps[*step].batch(rows.clone()), &self.made[piece])
    }

    /// The batches, whole.
    pub(super) fn batches(&self) -> impl Iterator<Item = Batch<'_>> {
        self.steps.iter().map(|step| match step {
            Owned::Events(_, rows) => step.batch(rows.clone()),
            Owned::Gap(_) | Owned::Damaged(_) => step.batch(0..0),
        })
    }

    fn push<M: Maker<Made = T>>(&mut self, step: Owned, maker: &mut M) {
        let at = self.steps.len();
        if let Owned::Events(columns, rows) = &step {
            self.rows += rows.len();
            for rows in pieces(rows.clone()) {
                if self.made.len() == self.pieces.len() {
                    self.made.push(T::default());
                }
                maker.make(columns, rows.clone(), &mut self.made[self.pieces.len()]);
                self.pieces.push((at, rows));
            }
        } else {
            if self.made.len() == self.pieces.len() {
                self.made.push(T::default());
            }
            self.pieces.push((at, 0..0));
        }
        self.steps.push(step);
    }

    /// Forgets the steps and keeps their memory: of large batches, which are few.
    fn clear(&mut self) {
        self.rows = 0;
        self.pieces.clear();
        for step in self.steps.drain(..) {
            if let Owned::Events(columns, _) = step
                && columns.len() >= MIN_PASSED
            {
                self.spares.push(columns);
            }
        }
    }
}

impl Owned {
    fn batch(&self, rows: Range<usize>) -> Batch<'_> {
        match self {
            Self::Events(columns, _) => Batch::Events { columns, rows },
            Self::Gap(gap) => Batch::Gap(*gap),
            Self::Damaged(range) => Batch::Damaged(*range),
        }
    }
}

/// Decodes ahead.
pub(super) struct Decoding<'d, M> {
    definitions: &'d Definitions,
    maker: M,
}

impl<M: Maker> Worker for Decoding<'_, M> {
    type Output = Steps<M::Made>;
    const QUEUE: usize = 2;

    fn share(&mut self, _: &Share, batches: &mut Batches<'_, '_>, out: &mut Outbox<'_, Steps<M::Made>>) {
        let mut steps = out.spare();
        steps.clear();
        while let Some(step) = self.step(batches, &mut steps.spares) {
            steps.push(step, &mut self.maker);
            if steps.rows >= STEP_ROWS || steps.steps.len() >= STEP_ROWS {
                if !out.send(steps) {
                    return;
                }
                steps = out.spare();
                steps.clear();
            }
        }
        // If nothing more is wanted, the thread is told at the end of the share.
        let _ = out.send(steps);
    }
}

impl<'d, M> Decoding<'d, M> {
    pub(super) fn new(definitions: &'d Definitions, maker: M) -> Self {
        Self { definitions, maker }
    }

    fn step(&self, batches: &mut Batches<'_, '_>, spares: &mut Vec<Columns>) -> Option<Owned> {
        let rows = match batches.next()? {
            Batch::Gap(gap) => return Some(Owned::Gap(gap)),
            Batch::Damaged(range) => return Some(Owned::Damaged(range)),
            Batch::Events { columns, rows } if rows.len() < MIN_PASSED => {
                return Some(self.copy(columns, rows));
            }
            Batch::Events { rows, .. } => rows,
        };
        let mut columns = spares.pop().unwrap_or_default();
        if batches.take_columns(&mut columns).is_some() {
            return Some(Owned::Events(columns, rows));
        }
        spares.push(columns);
        Some(self.copy(batches.columns(), rows))
    }

    fn copy(&self, from: &Columns, rows: Range<usize>) -> Owned {
        let mut columns = Columns::default();
        begin(&mut columns);
        rows.for_each(|row| copy_row(from, row, &mut columns, self.definitions));
        let rows = 0..columns.len();
        Owned::Events(columns, rows)
    }
}
