//! Buffers that did not pass all probes: lost on the way, still under way, begun before the recording; and numbers that
//! the source left out, events that came twice, buffers that were overtaken.

use std::collections::BTreeMap;

use super::super::limit::intervals::in_order;
use super::buffers::Buffers;
use super::following::Following;
use super::passage::{Passage, bit};
use crate::pair::{Edge, Side};
use crate::stage::KeyValue;

/// Buffers that are kept, of each kind.
const KEPT: usize = 1 << 16;

/// A buffer that did not pass all probes of the path.
#[derive(Debug, Clone, Copy)]
struct Broken {
    key: KeyValue,
    /// Positions on the path that it passed, a bit each.
    passed: u64,
    /// Whether it passed other probes too.
    strays: bool,
    first_ns: u64,
    /// At its last position.
    last_ns: u64,
}

/// What was seen of buffers that are not whole.
#[derive(Debug, Clone, Default)]
pub(crate) struct Breaks {
    broken: Vec<Broken>,
    /// Buffers that are not kept.
    pub(crate) more: u64,
    /// Keys that passed no probe of the path, but others.
    pub(crate) elsewhere: u64,
    repeated: BTreeMap<Edge, Vec<KeyValue>>,
}

/// What became of the buffers that are not whole.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Losses {
    /// Lost after a position of the path.
    pub lost: BTreeMap<usize, Vec<KeyValue>>,
    /// Passed later probes but not these positions.
    pub missed: BTreeMap<Vec<usize>, Vec<KeyValue>>,
    /// On their way when the recording ended.
    pub under_way: Vec<KeyValue>,
    /// On their way when it began.
    pub began_before: Vec<KeyValue>,
    /// Lost at a time when events were lost: perhaps only their events were.
    pub unknown: Vec<KeyValue>,
    /// Events that came more often than once for a key.
    pub repeated: BTreeMap<Edge, Vec<KeyValue>>,
    /// Buffers that are not whole and not in these lists: there are too many.
    pub more: u64,
    /// Buffers that are not whole, where that is no fault: many of them are not, or there is no path that nearly all follow.
    pub other_ways: u64,
}

/// The time of the recording, and when events were lost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Horizon<'a> {
    /// First and last event, ns.
    pub(crate) time_ns: (u64, u64),
    /// How long a buffer may be silent and still come, ns.
    pub(crate) reach_ns: u64,
    /// Times at which events were lost, from and to, ns.
    pub(crate) gaps: &'a [(u64, u64)],
}

impl Breaks {
    /// Notes a buffer from which nothing more comes.
    pub(crate) fn add(&mut self, key: KeyValue, passage: &Passage, route: &[(usize, Side)]) {
        let mask = route.iter().fold(0, |mask, &(stage, side)| mask | bit(stage, side));
        let strays = passage.passed & !mask != 0;
        let mut broken = Broken { key, passed: 0, strays, first_ns: u64::MAX, last_ns: 0 };
        for (at, &(stage, side)) in route.iter().enumerate().take(64) {
            if let Some(point) = passage.at(stage, side) {
                broken.passed |= 1 << at;
                broken.first_ns = broken.first_ns.min(point.time_ns);
                broken.last_ns = broken.last_ns.max(point.time_ns);
            }
        }
        if broken.passed == 0 {
            self.elsewhere += 1;
            return;
        }
        if self.broken.len() < KEPT { self.broken.push(broken) } else { self.more += 1 }
    }

    /// Notes an event that came once too often.
    pub(crate) fn repeat(&mut self, edge: Edge, key: KeyValue) {
        let keys = self.repeated.entry(edge).or_default();
        if keys.len() < KEPT && keys.last() != Some(&key) {
            keys.push(key);
        }
    }

    /// Tells what became of them on the path through `edges`, and how far they follow it; `whole` is that of the others.
    pub(crate) fn judge(
        &self,
        edges: &[Edge],
        horizon: Horizon<'_>,
        whole: Following,
    ) -> (Losses, Following) {
        let mut following = Following { laps: whole.laps + self.elsewhere, ..whole };
        let on_path = |(edge, _): &(&Edge, &Vec<KeyValue>)| edges.contains(edge);
        let repeated = self.repeated.iter().filter(on_path).map(|(&edge, keys)| (edge, keys.clone()));
        let mut losses = Losses { more: self.more, repeated: repeated.collect(), ..Losses::default() };
        for broken in &self.broken {
            let fate = losses.sort(broken, edges.len(), horizon);
            following.laps += u64::from(fate != Fate::Unknown);
            following.along += u64::from(fate == Fate::Lost && !broken.strays);
        }
        let lists = losses.lost.values_mut().chain(losses.missed.values_mut());
        let others = [&mut losses.under_way, &mut losses.began_before, &mut losses.unknown];
        for keys in lists.chain(others).chain(losses.repeated.values_mut()) {
            keys.sort_unstable_by_key(|key| key.words().to_vec());
        }
        (losses, following)
    }
}

/// What is known of a buffer that is not whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It passed the first probes, and none after.
    Lost,
    /// It left probes out.
    Missed,
    /// The recording, or its loss, may have hidden the rest.
    Unknown,
}

impl Losses {
    /// Without what the buffers do not support: on a path that not nearly all of them follow, nothing is amiss with the others.
    pub(crate) fn supported_by(mut self, following: &Following) -> Self {
        let mut withheld = 0;
        let mut support = |keys: &Vec<KeyValue>| {
            let supported = following.supports(keys.len() as u64);
            withheld += if supported { 0 } else { keys.len() as u64 };
            supported
        };
        self.lost.retain(|_, keys| support(keys));
        self.missed.retain(|_, keys| support(keys));
        self.repeated.retain(|_, keys| following.supports(keys.len() as u64));
        self.other_ways = withheld;
        self
    }

    fn sort(&mut self, broken: &Broken, width: usize, horizon: Horizon<'_>) -> Fate {
        let Broken { key, passed, first_ns, last_ns, .. } = *broken;
        let reach_ns = horizon.reach_ns;
        let has_passed = |at: &usize| passed >> at & 1 != 0;
        let missing: Vec<usize> = (0..width).filter(|at| !has_passed(at)).collect();
        let last = (0..width).rev().find(has_passed).unwrap_or_default();
        if !has_passed(&0) && first_ns < horizon.time_ns.0.saturating_add(reach_ns) {
            self.began_before.push(key);
            Fate::Unknown
        } else if missing.iter().all(|&at| at > last) && last_ns.saturating_add(reach_ns) > horizon.time_ns.1
        {
            self.under_way.push(key);
            Fate::Unknown
        } else if horizon.gaps.iter().any(|&(from_ns, to_ns)| {
            to_ns.saturating_add(reach_ns) >= first_ns && from_ns <= last_ns.saturating_add(reach_ns)
        }) {
            self.unknown.push(key);
            Fate::Unknown
        } else if missing.iter().all(|&at| at > last) {
            self.lost.entry(last).or_default().push(key);
            Fate::Lost
        } else {
            self.missed.entry(missing).or_default().push(key);
            Fate::Missed
        }
    }
}

/// For each probe of the path but the first: how many buffers a later one had overtaken when they came there.
pub(crate) fn overtaken(rows: &Buffers) -> Vec<u64> {
    let mut counts = vec![0; rows.steps()];
    for run in &rows.runs {
        for (step, count) in counts.iter_mut().enumerate() {
            // Buffers stand in the order in which they entered.
            let came: Vec<(u64, usize)> =
                run.clone().map(|row| (rows.hits(row)[step + 1].time_ns, row)).collect();
            let mut latest = 0;
            for &(_, row) in &*in_order(&came) {
                *count += u64::from(row < latest);
                latest = latest.max(row);
            }
        }
    }
    counts
}
