//! What a key has open and complete, so that its way from stage to stage is found without a look at all stages.
//!
//! Each cell of a slot is in one of two chains or in none. The complete ones stand in the order of their begins, and know
//! which of those that began before ended last.

use super::cell::{CELL_WORDS, Cell, CellState};
use crate::pair::remembered::Packed;

/// Tops of the two chains: positions plus one of their last cells; 0 if there is none.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Chains {
    complete: u16,
    open: u16,
    /// Number of the place where the key is, if it does what is usual: then of its cells only begins and ends are noted, and nothing is in a
    /// chain; see `usual.rs`.
    place: u16,
    /// Of a key at a place, the stages whose spans a later one overtook, a bit each.
    reordered: u32,
    /// The same: when its last event fired, ns; 0 if none did.
    last_ns: u64,
}

impl Chains {
    /// The number of no place.
    const NOWHERE: u16 = u16::MAX;

    /// Where the key is, if it does what is usual.
    #[inline]
    pub(super) fn place(self) -> Option<usize> {
        (self.place != Self::NOWHERE).then_some(self.place.into())
    }

    /// The key, which does what is usual, is at place `next` since `time_ns`.
    #[inline]
    pub(super) fn go_to(&mut self, next: u16, time_ns: u64) {
        (self.place, self.last_ns) = (next, time_ns);
    }

    /// When the last event fired of a key that does what is usual, ns; 0 if none did.
    #[inline]
    pub(super) fn last_ns(self) -> u64 {
        self.last_ns
    }

    /// Notes whether a later span overtook that of stage `local` of the key, which does what is usual.
    #[inline]
    pub(super) fn set_reordered(&mut self, local: usize, is_reordered: bool) {
        self.reordered |= u32::from(is_reordered) << local;
    }

    /// The stages of the key, which does what is usual, whose spans a later one overtook, a bit each.
    #[inline]
    pub(super) fn reordered(self) -> u32 {
        self.reordered
    }

    /// The same of a key that does not do what is usual.
    pub(super) fn left(self) -> Self {
        Self { place: Self::NOWHERE, ..self }
    }
}

/// Of one stage, no more is known than the end that waits; of several, all is kept.
impl Packed for Chains {
    type Entry = Cell;

    fn words(width: usize) -> usize {
        if width == 1 { 2 } else { 2 + CELL_WORDS * width }
    }

    fn pack(&self, cells: &[Cell], words: &mut [u64]) {
        const IN_USE: u64 = 1 << 63;
        if let [cell] = cells {
            words.copy_from_slice(&cell.to_end());
            // Its state is one that waits.
            return;
        }
        let low = match self.place() {
            Some(_) => self.reordered,
            None => u32::from(self.complete) | u32::from(self.open) << 16,
        };
        words[0] = IN_USE | u64::from(low) | u64::from(self.place) << 32;
        words[1] = self.last_ns;
        for (cell, words) in cells.iter().zip(words[2..].as_chunks_mut().0) {
            *words = cell.to_words();
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "the parts of a word")]
    fn unpack(words: &[u64], cells: &mut [Cell]) -> Self {
        if let (&[rest, time_ns], [cell]) = (words, &mut *cells) {
            *cell = Cell::from_end([rest, time_ns]);
            let open = u16::from(cell.state != CellState::Ended);
            return Self { open, place: Self::NOWHERE, ..Self::default() };
        }
        for (cell, words) in cells.iter_mut().zip(words[2..].as_chunks().0) {
            *cell = Cell::from_words(*words);
        }
        let part = |at: u32| (words[0] >> (16 * at)) as u16;
        let place = part(2);
        match place {
            Self::NOWHERE => Self { complete: part(0), open: part(1), place, ..Self::default() },
            _ => Self { place, reordered: words[0] as u32, last_ns: words[1], ..Self::default() },
        }
    }
}

/// What is known of a key: a cell for each stage of its group.
#[derive(Debug)]
pub(super) struct Slot<'a> {
    pub(super) chains: &'a mut Chains,
    pub(super) cells: &'a mut [Cell],
}

/// Cells of a chain, from its top down, each with its position.
#[derive(Debug, Clone)]
pub(super) struct Chain<'a> {
    cells: &'a [Cell],
    next: u16,
}

impl<'a> Iterator for Chain<'a> {
    type Item = (usize, &'a Cell);

    fn next(&mut self) -> Option<Self::Item> {
        let at = usize::from(self.next).checked_sub(1)?;
        let cell = &self.cells[at];
        self.next = cell.below;
        Some((at, cell))
    }
}

impl Slot<'_> {
    /// Complete spans, the last to begin first; of those that began together, the last stage first.
    pub(super) fn complete(&self) -> Chain<'_> {
        Chain { cells: self.cells, next: self.chains.complete }
    }

    /// Stages that have begun and not ended, those with several begins among them.
    pub(super) fn open(&self) -> Chain<'_> {
        Chain { cells: self.cells, next: self.chains.open }
    }

    /// When the last of `cell`'s chain from `cell` down ended.
    pub(super) fn last_end_ns(&self, cell: &Cell) -> u64 {
        usize::from(cell.longest).checked_sub(1).map_or(0, |at| self.cells[at].end_ns())
    }

    /// Whether one below complete cell `local` in its chain ended when it did, or later.
    pub(super) fn is_outlasted(&self, local: usize) -> bool {
        usize::from(self.cells[local].longest) != local + 1
    }

    /// Calls `change` with all cells that are open.
    pub(super) fn for_each_open(&mut self, mut change: impl FnMut(&mut Cell)) {
        let mut next = self.chains.open;
        while let Some(at) = usize::from(next).checked_sub(1) {
            next = self.cells[at].below;
            change(&mut self.cells[at]);
        }
    }

    /// Cell `local`, which is in no chain, is open now.
    pub(super) fn add_open(&mut self, local: usize) {
        // A group of more stages has no hand-offs beyond those.
        let Ok(own) = u16::try_from(local + 1) else { return };
        self.cells[local].below = std::mem::replace(&mut self.chains.open, own);
    }

    /// Cell `local` is open no more.
    pub(super) fn remove_open(&mut self, local: usize) {
        let below = self.cells[local].below;
        let mut at = self.chains.open;
        if usize::from(at) == local + 1 {
            self.chains.open = below;
            return;
        }
        while let Some(position) = usize::from(at).checked_sub(1) {
            at = self.cells[position].below;
            if usize::from(at) == local + 1 {
                self.cells[position].below = below;
                return;
            }
        }
    }

    /// Cell `local`, which is in no chain, is complete now.
    pub(super) fn add_complete(&mut self, local: usize) {
        let Ok(own) = u16::try_from(local + 1) else { return };
        let (begin, end_ns) = ((self.cells[local].begin_ns(), local), self.cells[local].end_ns());
        let (mut above, mut next) = (None, self.chains.complete);
        while let Some(at) = usize::from(next).checked_sub(1) {
            if (self.cells[at].begin_ns(), at) < begin {
                break;
            }
            if self.last_end_ns(&self.cells[at]) <= end_ns {
                self.cells[at].longest = own;
            }
            (above, next) = (Some(at), self.cells[at].below);
        }
        match above {
            Some(above) => self.cells[above].below = own,
            None => self.chains.complete = own,
        }
        self.put(local, own, next);
    }

    /// Cell `local` stands on top of `below` in the chain of complete ones.
    fn put(&mut self, local: usize, own: u16, below: u16) {
        let longest = usize::from(below).checked_sub(1).map_or(0, |at| self.cells[at].longest);
        let last_end_ns = usize::from(longest).checked_sub(1).map_or(0, |at| self.cells[at].end_ns());
        let cell = &mut self.cells[local];
        cell.below = below;
        cell.longest = if longest == 0 || last_end_ns < cell.end_ns() { own } else { longest };
    }

    /// Takes out of the chain of complete ones those that began at `from_ns` or later and for which `is_over`.
    pub(super) fn remove_complete(
        &mut self,
        from_ns: u64,
        mut is_over: impl FnMut(usize, &mut Cell) -> bool,
    ) {
        // Those that stay are hung up the other way round, and then put back, the first to begin first.
        let (mut kept, mut next) = (0, self.chains.complete);
        while let Some(at) = usize::from(next).checked_sub(1)
            && self.cells[at].begin_ns() >= from_ns
        {
            let below = self.cells[at].below;
            if !is_over(at, &mut self.cells[at]) {
                self.cells[at].below = std::mem::replace(&mut kept, next);
            }
            next = below;
        }
        while let Some(at) = usize::from(kept).checked_sub(1) {
            let above = self.cells[at].below;
            self.put(at, kept, next);
            (next, kept) = (kept, above);
        }
        self.chains.complete = next;
    }
}

#[cfg(test)]
mod tests {
    use tracer_format::ThreadId;

    use super::*;
    use crate::pair::span::Point;

    fn cell(at: u32, state: CellState) -> Cell {
        let point = |time_ns| Point { time_ns, thread: ThreadId(u32::MAX - at) };
        let mut cell = Cell::default();
        (cell.state, cell.depth, cell.ended_by, cell.below, cell.longest) = (state, 7, u16::MAX, 3, 2);
        cell.set_begin(point(u64::MAX - u64::from(at)));
        cell.set_end(point(11));
        cell.set_before(4, point(12));
        cell.offer_first(5, point(u64::MAX));
        cell
    }

    #[test]
    fn what_is_packed_is_unpacked() {
        let states = [CellState::Unseen, CellState::Begun, CellState::Complete, CellState::Tangled];
        let cells = states.map(|state| cell(state as u32, state));
        let left = Chains { complete: 3, open: u16::MAX, ..Chains::default() }.left();
        let mut placed = Chains::default();
        placed.go_to(u16::MAX - 1, u64::MAX);
        placed.set_reordered(31, true);
        for chains in [left, placed] {
            let mut words = vec![0; Chains::words(cells.len())];
            chains.pack(&cells, &mut words);
            let mut found = [Cell::default(); 4];
            let unpacked = Chains::unpack(&words, &mut found);
            assert_eq!(format!("{unpacked:?}"), format!("{chains:?}"));
            assert_eq!(format!("{found:?}"), format!("{cells:?}"));
            assert_ne!(words[0], 0);
        }
    }

    #[test]
    fn of_one_stage_the_end_that_waits_is_kept() {
        let states = [(CellState::Begun, 1, 0), (CellState::Tangled, 1, 7), (CellState::Ended, 0, 0)];
        for (state, open, depth) in states {
            let waits = cell(9, state);
            let mut words = [0; 2];
            Chains::default().pack(&[waits], &mut words);
            assert_ne!(words[0], 0);
            let mut found = [cell(1, CellState::Closed)];
            let unpacked = Chains::unpack(&words, &mut found);
            assert_eq!((unpacked.complete, unpacked.open, unpacked.place()), (0, open, None));
            let point = |cell: &Cell| if open == 1 { cell.begin() } else { cell.end() };
            assert_eq!((found[0].state, point(&found[0])), (state, point(&waits)));
            assert_eq!((found[0].depth, found[0].below), (depth, 0));
            assert_eq!(found[0].ended_by, if open == 1 { 0 } else { u16::MAX });
        }
    }
}
