//! Stages whose keys are of one thread: what was begun last is ended first.
//!
//! A nested stage is open as often as it was begun. If begins and ends agree in an argument, an end unwinds to the last
//! begin of its value: what was begun after that has no end. A flat stage is open once: a later begin closes the earlier as
//! open. Nothing is paired across a time in which events were lost: one lost end would shift all pairs after it.

use std::io;

use super::out::{KeyRef, Out, Seen};
use super::remembered::{Leaving, Packed, Remembered, Room};
use super::sink::Sink;
use super::span::{Census, Class, Point, Side};
use crate::stage::Scope;

/// Begins that one end may unwind.
const MAX_UNWOUND: usize = 64;

/// One stage by thread.
#[derive(Debug)]
pub(super) struct Nested {
    stage: u32,
    flat: bool,
    stacks: Remembered<Stack>,
    pool: Pool,
    /// Times in which events were lost, so far.
    losses: u32,
}

/// The begins of one key that are open.
#[derive(Debug, Clone, Copy, Default)]
struct Stack {
    /// Position plus one of the last begin in the pool; 0 if there is none.
    top: u32,
    /// Times in which events had been lost when the stack was last looked at.
    losses: u32,
}

impl Packed for Stack {
    type Entry = ();

    fn words(_: usize) -> usize {
        1
    }

    fn pack(&self, _: &[()], words: &mut [u64]) {
        words[0] = u64::from(self.top) | u64::from(self.losses) << 32;
    }

    #[expect(clippy::cast_possible_truncation, reason = "the two halves")]
    fn unpack(words: &[u64], _: &mut [()]) -> Self {
        Self { top: words[0] as u32, losses: (words[0] >> 32) as u32 }
    }
}

/// A begin that is open.
#[derive(Debug, Clone, Copy)]
struct OpenBegin {
    point: Point,
    /// The argument that unwinds, if there is one.
    value: Option<i64>,
    /// Position plus one of the begin before.
    below: u32,
}

/// All begins that are open, of all stacks, at most `max_open`.
#[derive(Debug)]
struct Pool {
    begins: Vec<OpenBegin>,
    free: Vec<u32>,
    max_open: usize,
}

/// An event on its way to its stack.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stacking {
    /// What the event is to the stage.
    pub(super) side: Side,
    /// When and where.
    pub(super) point: Point,
    /// Position of its probe among those that may end the stage.
    pub(super) alternative: u16,
    /// The argument that unwinds, if there is one.
    pub(super) value: Option<i64>,
}

impl Nested {
    /// For stage `stage`, whose keys have `words` numbers; as many begins may be open as keys may wait.
    pub(super) fn new(stage: u32, words: usize, flat: bool, room: Room) -> Self {
        let stacks = Remembered::new(words, 0, room);
        let pool = Pool { begins: Vec::new(), free: Vec::new(), max_open: room.waiting };
        Self { stage, flat, stacks, pool, losses: 0 }
    }

    /// Events were lost before what comes now.
    pub(super) fn lost(&mut self) {
        self.losses = self.losses.wrapping_add(1);
    }

    /// Takes an event of `key`.
    pub(super) fn event(
        &mut self,
        key: &[i64],
        event: Stacking,
        out: &mut Out<'_, impl Sink>,
    ) -> io::Result<()> {
        let (stage, pool) = (self.stage, &mut self.pool);
        let leave = |leaving, words: &[i64], stack: &mut Stack, _: &mut [()]| {
            if leaving == Leaving::Recent {
                return Ok(stack.top != 0);
            }
            let key = &KeyRef { words, scope: Scope::Tid };
            while let Some(open) = pool.pop(stack) {
                out.given_up[stage as usize] += 1;
                out.span(stage, Class::Open, key, Seen::open(open.point, u64::MAX))?;
            }
            Ok::<bool, io::Error>(false)
        };
        let (stack, _) = self.stacks.slot(key, leave)?;
        let key = &KeyRef { words: key, scope: Scope::Tid };
        let open = |open: OpenBegin, out: &mut Out<'_, _>| {
            out.span(stage, Class::Open, key, Seen::open(open.point, event.point.time_ns))
        };
        if stack.losses != self.losses {
            stack.losses = self.losses;
            while let Some(left) = self.pool.pop(stack) {
                open(left, out)?;
            }
        }
        if event.side == Side::End {
            return end(stage, key, (stack, &mut self.pool), event, out);
        }
        if self.flat
            && let Some(left) = self.pool.pop(stack)
        {
            open(left, out)?;
        }
        if self.pool.push(stack, event.point, event.value) {
            return out.sink.begun(stage, event.point);
        }
        out.given_up[stage as usize] += 1;
        out.span(stage, Class::Open, key, Seen::open(event.point, u64::MAX))
    }

    /// Counts the begins that are open, and looks for the oldest among at most so many.
    pub(super) fn count(&self, most: usize, census: &mut Census) {
        let open = &mut census.open[self.stage as usize];
        let mut left = most;
        self.stacks.latest(most, |stack, _| {
            let mut top = stack.top;
            while let Some(position) = top.checked_sub(1).filter(|_| left > 0) {
                let begin = &self.pool.begins[position as usize];
                open.add(begin.point.time_ns);
                (top, left) = (begin.below, left - 1);
            }
        });
        open.count = (self.pool.begins.len() - self.pool.free.len()) as u64;
    }

    /// Nothing more comes.
    pub(super) fn finish(&mut self, out: &mut Out<'_, impl Sink>) -> io::Result<()> {
        let (stage, pool) = (self.stage, &mut self.pool);
        self.stacks.for_each(|words, stack, _| {
            let key = &KeyRef { words, scope: Scope::Tid };
            while let Some(open) = pool.pop(stack) {
                out.span(stage, Class::Open, key, Seen::open(open.point, u64::MAX))?;
            }
            Ok(())
        })
    }
}

/// Seen what was begun last, or what was begun with the same value.
fn end(
    stage: u32,
    key: &KeyRef<'_>,
    (stack, pool): (&mut Stack, &mut Pool),
    event: Stacking,
    out: &mut Out<'_, impl Sink>,
) -> io::Result<()> {
    let Stacking { point, alternative, value, .. } = event;
    let unwound = match value {
        Some(value) => pool.depth_of(*stack, value),
        None => Some(0),
    };
    for _ in 0..unwound.unwrap_or_default() {
        if let Some(left) = pool.pop(stack) {
            out.span(stage, Class::Open, key, Seen::open(left.point, point.time_ns))?;
        }
    }
    let begun = if unwound.is_some() { pool.pop(stack) } else { None };
    let orphan = Seen::orphan(point, alternative, 0);
    let Some(OpenBegin { point: begin, .. }) = begun else {
        return out.span(stage, Class::OrphanEnd, key, orphan);
    };
    if out.loss.touch(begin.time_ns, point.time_ns) {
        out.span(stage, Class::Open, key, Seen::open(begin, point.time_ns))?;
        return out.span(stage, Class::OrphanEnd, key, orphan);
    }
    out.complete((stage, false), key, (begin, point, alternative))
}

impl Pool {
    /// Puts a begin on top of the stack, unless there are too many.
    fn push(&mut self, stack: &mut Stack, point: Point, value: Option<i64>) -> bool {
        let open = OpenBegin { point, value, below: stack.top };
        let position = if let Some(position) = self.free.pop() {
            self.begins[position as usize] = open;
            position
        } else if self.begins.len() < self.max_open {
            self.begins.push(open);
            u32::try_from(self.begins.len() - 1).unwrap_or(u32::MAX)
        } else {
            return false;
        };
        stack.top = position + 1;
        true
    }

    fn pop(&mut self, stack: &mut Stack) -> Option<OpenBegin> {
        let position = stack.top.checked_sub(1)?;
        let open = self.begins[position as usize];
        stack.top = open.below;
        self.free.push(position);
        Some(open)
    }

    /// How many begins are above the last one with `value`; `None` if there is none among the last [`MAX_UNWOUND`].
    fn depth_of(&self, stack: Stack, value: i64) -> Option<usize> {
        let mut top = stack.top;
        for depth in 0..MAX_UNWOUND {
            let open = self.begins[top.checked_sub(1)? as usize];
            if open.value == Some(value) {
                return Some(depth);
            }
            top = open.below;
        }
        None
    }
}
