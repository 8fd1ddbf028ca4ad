//! When it is told what keys that do what is usual make known.

use std::io;
use std::sync::Arc;

use super::cell::Cell;
use super::chain::Chains;
use super::usual::KeyPlace;
use crate::pair::out::{KeyRef, Out};
use crate::pair::sink::Sink;
use crate::pair::span::{Edge, Side};
use crate::pair::usual_keys::{UsualHandOff, UsualOrder, UsualSpan};
use crate::stage::Scope;

/// Complete spans of each stage that are told at once before keys are late.
pub(crate) const FIRST_TOLD: u32 = 100;

/// What an event makes known.
#[derive(Debug, Default)]
pub(super) struct Made {
    /// The span that is complete.
    pub(super) complete: Option<MadeSpan>,
    pub(super) hand_offs: Vec<MadeHandOff>,
}

/// A complete span of the stage at position `local`.
#[derive(Debug, Clone, Copy)]
pub(super) struct MadeSpan {
    pub(super) local: usize,
    pub(super) stage: u32,
    /// Which of the stage's probes ended it.
    pub(super) ended_by: u16,
}

/// A hand-off, from one moment of the key to another.
#[derive(Debug)]
pub(super) struct MadeHandOff {
    pub(super) from: (Edge, usize),
    pub(super) to: (Edge, usize),
}

/// When it is told what is known of a key at a place.
#[derive(Debug)]
pub(super) enum Telling {
    /// At once.
    Now,
    /// Later.
    Later,
    /// Now, with all that was not told before.
    All(Arc<UsualOrder>),
}

/// What was told of each stage.
#[derive(Debug)]
pub(super) struct ToldSpans {
    /// Latest begin of a complete span, for each stage.
    last_begin_ns: Vec<u64>,
    /// Spans that are to be told at once before keys are late, for each stage; empty if none is to be late.
    at_once: Vec<u32>,
    /// Whether keys that come now are late.
    pub(super) is_late: bool,
}

impl ToldSpans {
    /// Nothing, of so many stages.
    pub(super) fn new(width: usize) -> Self {
        Self { last_begin_ns: vec![0; width], at_once: Vec::new(), is_late: false }
    }

    /// Keys may be late.
    pub(super) fn allow_late(&mut self) {
        self.at_once = vec![FIRST_TOLD; self.last_begin_ns.len()];
    }

    /// Whether a later span overtook that of stage `local` that began at `begin_ns`, if it is complete now: one that began later was
    /// complete before. No branch: a processor cannot foresee which events complete a span.
    #[inline]
    pub(super) fn is_reordered(&mut self, local: usize, begin_ns: u64, is_complete: bool) -> bool {
        let latest_ns = self.last_begin_ns[local];
        self.last_begin_ns[local] = latest_ns.max(begin_ns & u64::from(is_complete).wrapping_neg());
        (begin_ns < latest_ns) & is_complete
    }

    /// A span of stage `local` is told at once. When there were enough of each, keys are late from now on.
    #[inline]
    fn told_at_once(&mut self, local: usize) {
        let Some(left) = self.at_once.get_mut(local).filter(|left| **left > 0) else { return };
        *left -= 1;
        self.is_late = self.at_once.iter().all(|&left| left == 0);
    }
}

/// Tells what is known of a key that came to `place`, where it is time.
#[inline(always)]
pub(super) fn tell(
    place: &KeyPlace,
    told: &mut ToldSpans,
    (chains, cells): (Chains, &[Cell]),
    key: &KeyRef<'_>,
    out: &mut Out<'_, impl Sink>,
) -> io::Result<()> {
    match &place.telling {
        Telling::All(order) => tell_all(place, order, (chains, cells), key, out),
        Telling::Now | Telling::Later => {
            if let Some(MadeSpan { local, .. }) = place.made.complete {
                told.told_at_once(local);
            }
            tell_one(&place.made, chains, cells, key, out)
        }
    }
}

/// Tells what an event made known.
#[inline(always)]
fn tell_one(
    made: &Made,
    chains: Chains,
    cells: &[Cell],
    key: &KeyRef<'_>,
    out: &mut Out<'_, impl Sink>,
) -> io::Result<()> {
    let Some(MadeSpan { local, stage, ended_by }) = made.complete else { return Ok(()) };
    let reordered = chains.reordered() >> local & 1 != 0;
    out.complete((stage, reordered), key, (cells[local].begin(), cells[local].end(), ended_by))?;
    made.hand_offs.iter().try_for_each(|MadeHandOff { from, to }| {
        let at = |(edge, local): (Edge, usize)| (edge, cells[local].at(edge.side));
        out.hand_off(key, at(*from), at(*to))
    })
}

/// Tells all of a key of which each stage is complete.
#[inline(always)]
fn tell_all(
    place: &KeyPlace,
    order: &Arc<UsualOrder>,
    (chains, cells): (Chains, &[Cell]),
    key: &KeyRef<'_>,
    out: &mut Out<'_, impl Sink>,
) -> io::Result<()> {
    let time_ns = |at: Option<&(usize, Side)>| at.map_or(0, |&(local, side)| cells[local].at(side).time_ns);
    if out.loss.touch(time_ns(place.passed.first()), time_ns(place.passed.last())) {
        return place.made_before.iter().try_for_each(|made| tell_late(made, chains, cells, key, out));
    }
    let moments = place.passed.iter().map(|&(local, side)| cells[local].at(side));
    match key.scope {
        Scope::Trace => out.sink.usual_key(order, (key.words, chains.reordered()), moments),
        _ => {
            let key = out.shown(key);
            out.sink.usual_key(order, (key.words(), chains.reordered()), moments)
        }
    }
}

/// Tells what an event of a late key made known.
#[inline(never)]
pub(super) fn tell_late(
    made: &Made,
    chains: Chains,
    cells: &[Cell],
    key: &KeyRef<'_>,
    out: &mut Out<'_, impl Sink>,
) -> io::Result<()> {
    tell_one(made, chains, cells, key, out)
}

impl UsualOrder {
    /// That of keys of so many numbers whose moments came as `passed` says, and made known what `made` says; `None` if a moment is
    /// missing.
    pub(super) fn new(
        key_len: usize,
        passed: &[(usize, Side)],
        made: &[Arc<Made>],
        stages: &[u32],
    ) -> Option<Self> {
        let at = |local: usize, side: Side| passed.iter().position(|&moment| moment == (local, side));
        let mut order = Self { key_len, moments: Vec::new(), spans: Vec::new(), hand_offs: Vec::new() };
        order.moments.extend(passed.iter().map(|&(local, side)| Edge { stage: stages[local], side }));
        for made in made {
            let MadeSpan { local, stage, ended_by } = made.complete?;
            let ends = [at(local, Side::Begin)?, at(local, Side::End)?];
            order.spans.push(UsualSpan { stage, ended_by, bit: local, at: ends });
            for &MadeHandOff { from: (from, left), to: (to, arrived) } in &made.hand_offs {
                let ends = [at(left, from.side)?, at(arrived, to.side)?];
                order.hand_offs.push(UsualHandOff { from, to, at: ends, after: order.spans.len() });
            }
        }
        Some(order)
    }
}
