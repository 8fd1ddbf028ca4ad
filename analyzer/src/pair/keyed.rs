//! Stages whose keys mean the same across threads: of each key, one thing at a time.
//!
//! An end belongs to the one begin before it that is still open. Only where a key has an end and, later, one begin, and
//! nothing more, is the pair inverted; of a begin and an end at the same time, the begin counts as the earlier. Where a
//! begin repeats, all begins of the key are repeated until as many ends were seen: which is whose cannot be told.
//! But a begin of a process whose program ran before, and fired nothing since the new process came, closes the older as
//! open: the program was started again.

mod cell;
mod chain;
mod hand_off;
mod telling;
mod usual;

use std::io;

use tracer_format::ThreadId;

use super::out::{KeyRef, Out, Seen};
use super::remembered::{Leaving, Remembered, Room};
use super::sink::Sink;
use super::span::{Census, Class, Point, Side};
use crate::stage::{MAX_WORDS, Scope};
use cell::{Cell, CellState};
use chain::{Chains, Slot};
use hand_off::{hand_offs, keep_before};
pub(crate) use telling::FIRST_TOLD;
use telling::{ToldSpans, tell};
use usual::{Onward, UsualOrders};

/// Stages of which a key has one slot in all of them.
#[derive(Debug)]
pub(super) struct Keyed {
    stages: Vec<u32>,
    scope: Scope,
    slots: Remembered<Chains>,
    usual: UsualOrders,
    told: ToldSpans,
}

/// An event on its way into a slot.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arriving {
    /// Position of the stage in its group.
    pub(super) local: usize,
    /// What the event is to the stage.
    pub(super) side: Side,
    /// When and where.
    pub(super) point: Point,
    /// Position of its probe among those that may end the stage.
    pub(super) alternative: u16,
    /// Whether events of its site both end and begin the stage.
    pub(super) is_both: bool,
}

/// What the events of a site mean, where that is simple: the begin or the end of one stage, whose key is one number, an argument.
#[derive(Debug, Clone, Copy)]
pub(super) struct SimpleUse {
    /// Number of the group that takes them; [`NO_GROUP`](Self::NO_GROUP) if they are not simple.
    pub(super) group: u32,
    pub(super) arg: u32,
    /// The event, without its moment.
    pub(super) arriving: Arriving,
}

impl SimpleUse {
    const NO_GROUP: u32 = u32::MAX;
    /// They are not simple.
    pub(super) const NONE: Self = {
        let point = Point { time_ns: 0, thread: ThreadId(0) };
        let arriving = Arriving { local: 0, side: Side::Begin, point, alternative: 0, is_both: false };
        Self { group: Self::NO_GROUP, arg: 0, arriving }
    };
}

/// An event whose key is one number, on its way into a slot.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct SimpleEvent {
    pub(super) key: i64,
    /// Position of its [`SimpleUse`].
    pub(super) used: u32,
}

impl Keyed {
    /// For `stages`, whose keys have `words` numbers.
    pub(super) fn new(stages: Vec<u32>, scope: Scope, words: usize, room: Room) -> Self {
        let width = stages.len();
        let slots = Remembered::new(words, width, room);
        let usual = UsualOrders::new(width, words.min(MAX_WORDS));
        Self { slots, usual, told: ToldSpans::new(width), stages, scope }
    }

    /// Keys that do all that is usual may be told at once, each when all of it is known.
    pub(super) fn allow_late(&mut self) {
        // Of one stage, a span is all that there is.
        if self.stages.len() > 1 {
            self.told.allow_late();
        }
    }

    /// See [`Remembered::is_large`].
    pub(super) fn is_large(&self) -> bool {
        self.slots.is_large()
    }

    /// See [`Remembered::glance`].
    pub(super) fn glance(&self, key: &[i64]) -> Option<usize> {
        self.slots.glance(key)
    }

    /// See [`Remembered::look`].
    pub(super) fn look(&self, places: &[usize], next: usize) {
        self.slots.look(places, next);
    }

    /// Whether its keys are one number each, which is not that of a thread, a process or a parent.
    pub(super) fn is_of_one_number(&self) -> bool {
        self.scope == Scope::Trace && self.slots.is_of_one_number()
    }

    /// Takes the first of `events`, with their times and threads, as long as they are of this group, which has number `group`;
    /// gives how many. Apart: a processor has few registers.
    #[inline(never)]
    pub(super) fn events(
        &mut self,
        (group, uses): (u32, &[SimpleUse]),
        events: &[SimpleEvent],
        (times, threads): (&[u64], &[ThreadId]),
        out: &mut Out<'_, impl Sink>,
    ) -> io::Result<usize> {
        let mut taken = 0;
        for ((event, &time_ns), &thread) in events.iter().zip(times).zip(threads) {
            let used = &uses[event.used as usize];
            if used.group != group {
                break;
            }
            taken += 1;
            let point = Point { time_ns, thread };
            out.identities.fired(thread, time_ns);
            let position = match self.slots.find_one(event.key) {
                Some(position) => position,
                None => self.older_or_new(&[event.key], out)?,
            };
            self.take(position, &[event.key], Arriving { point, ..used.arriving }, out)?;
        }
        Ok(taken)
    }

    /// Takes an event of `key`, of any numbers.
    #[inline(never)]
    pub(super) fn event_of_many(
        &mut self,
        key: &[i64],
        event: Arriving,
        out: &mut Out<'_, impl Sink>,
    ) -> io::Result<()> {
        let position = match self.slots.find(key) {
            Some(position) => position,
            None => self.older_or_new(key, out)?,
        };
        self.take(position, key, event, out)
    }

    /// Takes an event of `key`, whose slot is at `position`.
    #[inline(always)]
    fn take(
        &mut self,
        position: usize,
        key: &[i64],
        event: Arriving,
        out: &mut Out<'_, impl Sink>,
    ) -> io::Result<()> {
        let (chains, cells) = self.slots.at(position);
        let (told, slot) = (&mut self.told, (&mut *chains, &mut *cells));
        let followed = self.usual.follow(&self.stages, slot, told.is_late, event);
        let Onward::To(place) = followed else {
            return self.unusual(position, key, (followed, event), out);
        };
        let (row, begin_ns) = (self.usual.row(place), cells[event.local].begin_ns());
        chains.set_reordered(event.local, told.is_reordered(event.local, begin_ns, row.completes));
        if !row.tells {
            return Ok(());
        }
        let key = KeyRef { words: key, scope: self.scope };
        tell(self.usual.place(place), told, (*chains, cells), &key, out)
    }

    /// Takes an event of a key that does not go on as usual.
    #[inline(never)]
    fn unusual(
        &mut self,
        position: usize,
        key: &[i64],
        (followed, event): (Onward, Arriving),
        out: &mut Out<'_, impl Sink>,
    ) -> io::Result<()> {
        let (chains, cells) = self.slots.at(position);
        let (mut slot, key) = (Slot { chains, cells }, KeyRef { words: key, scope: self.scope });
        if let Onward::Leaves = followed {
            self.usual.leave(&mut slot, &key, out)?;
        }
        Step { stages: &self.stages, told: &mut self.told, slot, key }.take(event, out)
    }

    /// The slot of a key that is not among the latest: it is now, whether it has waited or is new.
    #[inline(never)]
    fn older_or_new(&mut self, key: &[i64], out: &mut Out<'_, impl Sink>) -> io::Result<usize> {
        let (stages, scope, usual) = (&self.stages[..], self.scope, &mut self.usual);
        let leave = |leaving, words: &[i64], chains: &mut Chains, cells: &mut [Cell]| {
            let (key, slot) = (&KeyRef { words, scope }, Slot { chains, cells });
            match leaving {
                Leaving::Recent => retire(stages, usual, key, slot, out),
                Leaving::Waiting => give_up(stages, usual, key, slot, out).map(|()| false),
            }
        };
        self.slots.older_or_new(key, leave)
    }

    /// Counts where the keys are, of the older ones at most `most`.
    pub(super) fn count(&self, most: usize, census: &mut Census) {
        census.is_partial |= self.slots.latest(most, |chains, cells| {
            let mut last: Option<(u64, u32, Side)> = None;
            let known = self.usual.known(chains, cells);
            for ((cell, known), &stage) in cells.iter().zip(known).zip(&self.stages) {
                let seen = match known.state {
                    CellState::Begun | CellState::Swapped | CellState::Tangled => {
                        census.open[stage as usize].add(cell.begin_ns());
                        (cell.begin_ns(), stage, Side::Begin)
                    }
                    CellState::Complete => (cell.end_ns(), stage, Side::End),
                    CellState::Unseen | CellState::Ended | CellState::Closed => continue,
                };
                last = last.filter(|&(time_ns, ..)| time_ns > seen.0).or(Some(seen));
            }
            if let Some((time_ns, stage, side)) = last {
                census.resting[stage as usize][side as usize].add(time_ns);
            }
        });
    }

    /// Nothing more comes.
    pub(super) fn finish(&mut self, out: &mut Out<'_, impl Sink>) -> io::Result<()> {
        let (stages, scope, usual) = (&self.stages, self.scope, &self.usual);
        self.slots.for_each(|words, chains, cells| {
            let key = &KeyRef { words, scope };
            usual.leave(&mut Slot { chains, cells }, key, out)?;
            cells.iter().zip(stages).try_for_each(|(cell, &stage)| last_word(cell, stage, key, out))
        })
    }
}

/// A key is not among the latest any more: inverted pairs are decided. Whether it goes on waiting: for the other end of
/// an event, or for a stage that it has not seen, to which it may be handed on.
fn retire(
    stages: &[u32],
    usual: &UsualOrders,
    key: &KeyRef<'_>,
    mut slot: Slot<'_>,
    out: &mut Out<'_, impl Sink>,
) -> io::Result<bool> {
    let states = usual.states(&slot);
    if states & 1 << CellState::Swapped as u8 != 0 {
        usual.leave(&mut slot, key, out)?;
        for (local, &stage) in stages.iter().enumerate() {
            if slot.cells[local].state == CellState::Swapped {
                last_word(&slot.cells[local], stage, key, out)?;
                slot.cells[local].state = CellState::Closed;
                slot.remove_open(local);
            }
        }
    }
    let waiting = 1 << CellState::Begun as u8 | 1 << CellState::Ended as u8 | 1 << CellState::Tangled as u8;
    let goes_on = states & waiting != 0 || may_be_handed_on(states);
    if goes_on && stages.len() == 1 {
        // Of one stage, what waits is kept, and no place.
        usual.leave(&mut slot, key, out)?;
    }
    Ok(goes_on)
}

/// The states that there are among the cells, a bit each.
fn states(cells: &[Cell]) -> u8 {
    cells.iter().fold(0, |states, cell| states | 1 << cell.state as u8)
}

/// Whether a stage is complete and another was not seen.
fn may_be_handed_on(states: u8) -> bool {
    let both = 1 << CellState::Unseen as u8 | 1 << CellState::Complete as u8;
    states & both == both
}

fn give_up(
    stages: &[u32],
    usual: &UsualOrders,
    key: &KeyRef<'_>,
    mut slot: Slot<'_>,
    out: &mut Out<'_, impl Sink>,
) -> io::Result<()> {
    usual.leave(&mut slot, key, out)?;
    *out.keys_given_up += u64::from(may_be_handed_on(states(slot.cells)));
    for (cell, &stage) in slot.cells.iter().zip(stages) {
        out.given_up[stage as usize] += u64::from(cell.waits());
        last_word(cell, stage, key, out)?;
    }
    Ok(())
}

/// What becomes of a cell when nothing more comes.
fn last_word(cell: &Cell, stage: u32, key: &KeyRef<'_>, out: &mut Out<'_, impl Sink>) -> io::Result<()> {
    match cell.state {
        CellState::Begun => out.span(stage, Class::Open, key, Seen::open(cell.begin(), u64::MAX)),
        CellState::Ended => out.span(stage, Class::OrphanEnd, key, cell.orphan()),
        CellState::Swapped => {
            // The begin of the end and the end of the begin may have been lost.
            let seen =
                Seen { reach_ns: (0, u64::MAX), ..Seen::pair(cell.begin(), cell.end(), cell.ended_by) };
            out.span(stage, Class::Inverted, key, seen)
        }
        CellState::Unseen | CellState::Complete | CellState::Closed | CellState::Tangled => Ok(()),
    }
}

impl Cell {
    /// Its end, whose begin was never seen.
    fn orphan(&self) -> Seen {
        Seen::orphan(self.end(), self.ended_by, 0)
    }
}

/// Cell `local`, which is open, begins at `point`.
#[inline]
fn begin(slot: &mut Slot<'_>, local: usize, point: Point, state: CellState) {
    let cell = &mut slot.cells[local];
    cell.set_begin(point);
    cell.state = state;
    // What is complete may hand on to it.
    if slot.complete().next().is_some() {
        keep_before(slot, local);
    }
}

/// The slot of a key, and what taking an event into it needs.
struct Step<'a> {
    stages: &'a [u32],
    told: &'a mut ToldSpans,
    slot: Slot<'a>,
    key: KeyRef<'a>,
}

impl Step<'_> {
    #[inline(never)]
    fn take(&mut self, event: Arriving, out: &mut Out<'_, impl Sink>) -> io::Result<()> {
        match event.side {
            Side::Begin => self.begin(event, out),
            Side::End => self.end(event, out),
        }
    }

    fn end(&mut self, event: Arriving, out: &mut Out<'_, impl Sink>) -> io::Result<()> {
        let Arriving { local, point, alternative, .. } = event;
        let (stage, key, cell) = (self.stages[local], &self.key, &mut self.slot.cells[local]);
        match cell.state {
            CellState::Begun => self.complete(local, point, alternative, out),
            CellState::Swapped => {
                out.span(stage, Class::OrphanEnd, key, cell.orphan())?;
                self.complete(local, point, alternative, out)
            }
            CellState::Unseen => {
                cell.set_end(point);
                (cell.state, cell.ended_by) = (CellState::Ended, alternative);
                Ok(())
            }
            CellState::Ended => {
                cell.state = CellState::Closed;
                out.span(stage, Class::OrphanEnd, key, cell.orphan())?;
                let repeated = Seen::orphan(point, alternative, cell.end().time_ns);
                cell.set_end(point);
                out.span(stage, Class::RepeatedEnd, key, repeated)
            }
            CellState::Complete => {
                let repeated = Seen::orphan(point, alternative, cell.end().time_ns);
                out.span(stage, Class::RepeatedEnd, key, repeated)
            }
            CellState::Closed => {
                let repeated = Seen::orphan(point, alternative, cell.end().time_ns);
                cell.set_end(point);
                out.span(stage, Class::RepeatedEnd, key, repeated)
            }
            CellState::Tangled => {
                let repeated = Seen::orphan(point, alternative, cell.begin().time_ns);
                cell.depth -= 1;
                if cell.depth == 0 {
                    cell.state = CellState::Closed;
                    cell.set_end(point);
                    self.slot.remove_open(local);
                }
                out.span(stage, Class::RepeatedEnd, key, repeated)
            }
        }
    }

    fn begin(&mut self, event: Arriving, out: &mut Out<'_, impl Sink>) -> io::Result<()> {
        let Arriving { local, point, .. } = event;
        let before = self.slot.cells[local].state;
        if matches!(before, CellState::Unseen | CellState::Closed) {
            self.set_begin(local, point, CellState::Begun);
            return Ok(());
        }
        let (stage, key, cell) = (self.stages[local], &self.key.clone(), self.slot.cells[local]);
        match before {
            CellState::Unseen | CellState::Closed => {}
            CellState::Complete => {
                self.begin_again(local);
                self.set_begin(local, point, CellState::Begun);
            }
            CellState::Ended => {
                let end = cell.end();
                if event.is_both && end == point {
                    self.set_begin(local, point, CellState::Begun);
                    return out.span(stage, Class::OrphanEnd, key, cell.orphan());
                }
                self.set_begin(local, point, CellState::Swapped);
                if end.time_ns == point.time_ns {
                    return self.complete(local, end, cell.ended_by, out);
                }
            }
            CellState::Begun | CellState::Swapped => {
                if cell.state == CellState::Swapped {
                    out.span(stage, Class::OrphanEnd, key, cell.orphan())?;
                }
                let before = cell.begin();
                if out.identities.is_next_life(before.thread, point.thread) {
                    self.end_lap();
                    self.set_begin(local, point, CellState::Begun);
                    return out.span(stage, Class::Open, key, Seen::open(before, point.time_ns));
                }
                let cell = &mut self.slot.cells[local];
                (cell.state, cell.depth) = (CellState::Tangled, 2);
                out.span(stage, Class::RepeatedBegin, key, Seen::open(before, point.time_ns))?;
                return self.repeated_begin(local, point, out);
            }
            CellState::Tangled if out.identities.is_next_life(cell.begin().thread, point.thread) => {
                self.end_lap();
                self.set_begin(local, point, CellState::Begun);
            }
            CellState::Tangled => {
                self.slot.cells[local].depth = cell.depth.saturating_add(1);
                return self.repeated_begin(local, point, out);
            }
        }
        Ok(())
    }

    #[inline]
    fn set_begin(&mut self, local: usize, point: Point, state: CellState) {
        let slot = &mut self.slot;
        match slot.cells[local].state {
            CellState::Begun | CellState::Swapped | CellState::Tangled => {}
            before => {
                if before == CellState::Complete {
                    slot.remove_complete(slot.cells[local].begin_ns(), |at, _| at == local);
                }
                slot.add_open(local);
            }
        }
        begin(slot, local, point, state);
    }

    fn repeated_begin(&mut self, local: usize, point: Point, out: &mut Out<'_, impl Sink>) -> io::Result<()> {
        // What was lost since the first of these begins may have been its end.
        let since_ns = self.slot.cells[local].begin().time_ns;
        let seen = Seen { reach_ns: (since_ns, point.time_ns), ..Seen::open(point, point.time_ns) };
        out.span(self.stages[local], Class::RepeatedBegin, &self.key, seen)
    }

    /// Stage `local`, which is complete, begins again. What was inside of it is over with it. If it was the first of the
    /// key's lap, and nothing is open, a new lap begins: what comes is handed on by nothing of the lap before.
    fn begin_again(&mut self, local: usize) {
        let (begin_ns, end_ns) = (self.slot.cells[local].begin_ns(), self.slot.cells[local].end_ns());
        self.slot.remove_complete(begin_ns, |_, cell| {
            let is_inside = cell.begin_ns() > begin_ns && cell.end_ns() <= end_ns;
            if is_inside {
                cell.state = CellState::Closed;
            }
            is_inside
        });
        let mut complete = self.slot.complete();
        let goes_on =
            self.slot.open().next().is_some() || complete.any(|(_, cell)| cell.begin_ns() < begin_ns);
        if !goes_on {
            self.end_lap();
        }
    }

    /// Nothing complete hands on any more.
    fn end_lap(&mut self) {
        self.slot.remove_complete(0, |_, cell| {
            cell.state = CellState::Closed;
            true
        });
    }

    fn complete(
        &mut self,
        local: usize,
        end: Point,
        alternative: u16,
        out: &mut Out<'_, impl Sink>,
    ) -> io::Result<()> {
        let (stages, key) = (self.stages, &self.key);
        self.slot.remove_open(local);
        let cell = &mut self.slot.cells[local];
        cell.set_end(end);
        (cell.state, cell.ended_by) = (CellState::Complete, alternative);
        let begin = cell.begin();
        let reordered = self.told.is_reordered(local, begin.time_ns, true);
        out.complete((stages[local], reordered), key, (begin, end, alternative))?;
        hand_offs(stages, &mut self.slot, local, |left, arrived| out.hand_off(key, left, arrived))?;
        self.slot.add_complete(local);
        Ok(())
    }
}
