//! The course of buffers through a group of stages, watched while their spans and events pass, in bounded memory.

use std::collections::BTreeMap;

use tracer_format::{ProcessId, ThreadId};

use super::super::limit::flow::Flow;
use super::super::limit::silence::Silences;
use super::super::path::following::Following;
use super::super::path::loss::Breaks;
use super::super::path::numbers::Tallies;
use super::super::path::passage::{Passage, Passages, bit};
use super::super::path::route::usual_order;
use super::super::path::sampler::Sampler;
use super::super::path::slowest::Slowest;
use crate::analysis::Latency;
use crate::pair::{Class, Edge, Point, Side, SpanRow, UsualKeys, difference_ns};
use crate::stage::KeyValue;

/// No place.
const NONE: u32 = u32::MAX;

/// Buffers by which the order of the path is told.
const TELLING: usize = 4096;
/// The same, if they pass very many stages: entries, a buffer and a stage each.
const TELLING_ENTRIES: usize = 1 << 16;
/// Share of the buffers that must pass a probe for it to be on the path.
const USUAL: f64 = 0.5;

/// What is kept of the buffers of a group of stages.
#[derive(Debug)]
pub(crate) struct Course {
    /// Its stages, by their number in the analysis.
    pub(crate) stages: Vec<u32>,
    passages: Passages,
    /// Laps that ended before the order of the path was told.
    early: Vec<(KeyValue, Passage)>,
    pub(crate) whole: Option<Whole>,
    pub(crate) breaks: Breaks,
    pub(crate) counts: Tallies,
    /// Silences of each process, and of all together.
    pub(crate) silences: BTreeMap<ProcessId, Silences>,
    pub(crate) all: Silences,
    /// For each thread, the place of its process among those that fired; [`NONE`] if it did not fire.
    places: Vec<u32>,
    of_processes: BTreeMap<ProcessId, usize>,
    processes: Vec<(ProcessId, Silences)>,
    time_ns: (u64, u64),
}

/// What is kept of buffers that passed the whole path.
#[derive(Debug)]
pub(crate) struct Whole {
    /// The path: stages by their position, and sides.
    pub(crate) route: Vec<(usize, Side)>,
    /// Where the moments of its probes stand among those of all stages.
    places: Vec<usize>,
    pub(crate) flow: Flow,
    pub(crate) sampler: Sampler,
    pub(crate) slowest: Slowest,
    pub(crate) steps: Vec<Latency>,
    pub(crate) total: Latency,
    /// The bits of the path's probes.
    mask: u64,
    /// Buffers that passed them in the order of the path; and those that passed other probes too.
    pub(crate) in_order: u64,
    pub(crate) detours: u64,
    /// The moments of the buffer that is being counted.
    hits: Vec<Point>,
}

impl Course {
    /// Of `stages`, whose keys have `parts` numbers; the recording has so many threads, and its first and last event are at
    /// `time_ns`.
    pub(super) fn new(stages: Vec<u32>, parts: usize, threads: usize, time_ns: (u64, u64)) -> Self {
        Self {
            passages: Passages::new(stages.len(), parts),
            early: Vec::new(),
            stages,
            whole: None,
            breaks: Breaks::default(),
            counts: Tallies::default(),
            silences: BTreeMap::new(),
            all: Silences::default(),
            places: vec![NONE; threads],
            of_processes: BTreeMap::new(),
            processes: Vec::new(),
            time_ns,
        }
    }

    /// Its probes fired at these times on these threads, which are of these processes.
    pub(super) fn events(&mut self, times: &[u64], threads: &[ThreadId], of_threads: &[ProcessId]) {
        for (thread, &time_ns) in threads.iter().zip(times) {
            self.all.event(time_ns);
            let place = match self.places.get(thread.index()) {
                Some(&place) if place != NONE => place,
                Some(_) => self.new_place(*thread, of_threads),
                None => continue,
            };
            if let Some((_, silences)) = self.processes.get_mut(place as usize) {
                silences.event(time_ns);
            }
        }
    }

    /// The place of the process of `thread`, which fired for the first time.
    #[cold]
    fn new_place(&mut self, thread: ThreadId, of_threads: &[ProcessId]) -> u32 {
        let process = of_threads.get(thread.index()).copied().unwrap_or(ProcessId::NONE);
        if process == ProcessId::NONE {
            return NONE;
        }
        let place = *self.of_processes.entry(process).or_insert(self.processes.len());
        if place == self.processes.len() {
            self.processes.push((process, Silences::default()));
        }
        let place = u32::try_from(place).unwrap_or(NONE);
        self.places[thread.index()] = place;
        place
    }

    /// Takes a span of the stage at position `local`, whose key is `key`.
    #[inline]
    pub(super) fn span(&mut self, local: usize, span: &SpanRow, key: &[i64]) {
        let slot = match self.passages.find(key) {
            Some(slot) if self.passages.is_again(slot, local, span) => {
                self.broken(slot);
                self.passages.new_slot(key)
            }
            Some(slot) => slot,
            None if span.class == Class::RepeatedEnd => {
                self.breaks.repeat(Edge { stage: span.stage, side: Side::End }, KeyValue::new(key));
                return;
            }
            None => self.passages.new_slot(key),
        };
        self.passages.add(slot, local, span);
        match &self.whole {
            None => self.settle_if_told(),
            Some(whole) if whole.is_passed(self.passages.passed(slot)) => self.is_whole(slot),
            Some(_) => {
                if let Some(slot) = self.passages.too_many() {
                    self.broken(slot);
                }
            }
        }
    }

    /// Takes all that these keys did: they passed the probes in `passed`, in this order.
    pub(super) fn usual_keys(&mut self, passed: &[(usize, Side)], keys: UsualKeys<'_>) {
        let bits = passed.iter().fold(0, |bits, &(stage, side)| bits | bit(stage, side));
        let mut row = 0;
        while row < keys.len() && !self.whole.as_ref().is_some_and(|whole| whole.is_passed(bits)) {
            for span in &keys.order.spans {
                self.span(passed[span.at[0]].0, &keys.span(row, span), keys.key(row));
            }
            row += 1;
        }
        for row in row..keys.len() {
            let key = keys.key(row);
            // What is known of it is of a lap before.
            if self.passages.len() > 0
                && let Some(slot) = self.passages.find(key)
            {
                self.broken(slot);
            }
            self.counts.add(key);
        }
        if let Some(whole) = &mut self.whole {
            whole.add_usual(passed, keys.since(row), bits);
        }
    }

    #[cold]
    fn settle_if_told(&mut self) {
        let telling = (TELLING_ENTRIES / self.stages.len().max(1)).min(TELLING);
        if self.passages.len() + self.early.len() >= telling {
            self.settle();
        }
    }

    /// Nothing more comes.
    pub(crate) fn finish(&mut self) {
        self.settle();
        for slot in self.passages.all() {
            self.broken(slot);
        }
        self.passages = Passages::new(0, 0);
        self.silences = std::mem::take(&mut self.processes).into_iter().collect();
    }

    /// The order of the path is told by the buffers so far; those that have passed it are counted.
    fn settle(&mut self) {
        if self.whole.is_some() {
            return;
        }
        let early = std::mem::take(&mut self.early);
        let under_way = self.passages.all();
        let seen = under_way.iter().map(|&slot| self.passages.get(slot));
        let orders: Vec<Vec<Edge>> = early
            .iter()
            .map(|(_, passage)| passage.order(&self.stages))
            .chain(seen.map(|passage| passage.order(&self.stages)))
            .collect();
        let Some(route) = self.route(orders) else { return };
        self.whole = Some(Whole::new(route, self.time_ns));
        for (key, passage) in early {
            self.count_lap(key, &passage);
        }
        for slot in under_way {
            self.count_whole(slot);
        }
    }

    /// The usual one of `orders`, as stages by their position, and sides.
    fn route(&self, mut orders: Vec<Vec<Edge>>) -> Option<Vec<(usize, Side)>> {
        let mut uses: BTreeMap<Edge, usize> = BTreeMap::new();
        orders.iter().flatten().for_each(|&edge| *uses.entry(edge).or_default() += 1);
        let least = USUAL * uses.values().copied().max()? as f64;
        orders.iter_mut().for_each(|order| order.retain(|edge| uses[edge] as f64 >= least));
        let order = usual_order(orders.iter().map(|order| &order[..]))?;
        let position =
            |edge: Edge| Some((self.stages.iter().position(|&stage| stage == edge.stage)?, edge.side));
        order.into_iter().map(position).collect()
    }

    /// If the buffer in `slot` has passed the whole path, it is counted, and its slot given back.
    fn count_whole(&mut self, slot: usize) -> bool {
        let passed = self.passages.passed(slot);
        let is_whole = self.whole.as_ref().is_some_and(|whole| whole.is_passed(passed));
        if is_whole {
            self.is_whole(slot);
        }
        is_whole
    }

    /// The buffer in `slot`, which has passed the whole path, is counted, and its slot given back.
    fn is_whole(&mut self, slot: usize) {
        if let Some(whole) = &mut self.whole {
            whole.add(self.passages.key(slot), self.passages.points(slot), self.passages.passed(slot));
        }
        self.note(slot);
        self.passages.remove(slot);
    }

    /// Nothing more comes of the buffer in `slot`.
    fn broken(&mut self, slot: usize) {
        if self.count_whole(slot) {
            return;
        }
        self.note(slot);
        let key = KeyValue::new(self.passages.key(slot));
        let passage = self.passages.get(slot);
        match &self.whole {
            Some(whole) => self.breaks.add(key, &passage, &whole.route),
            None => self.early.push((key, passage)),
        }
        self.passages.remove(slot);
    }

    /// Tallies a lap that ended before the path was told.
    fn count_lap(&mut self, key: KeyValue, passage: &Passage) {
        let Some(whole) = &mut self.whole else { return };
        if whole.is_passed(passage.passed) {
            whole.add(key.words(), &passage.points, passage.passed);
        } else {
            self.breaks.add(key, passage, &whole.route);
        }
    }

    /// Notes the number of a buffer, and the events that came twice.
    fn note(&mut self, slot: usize) {
        self.counts.add(self.passages.key(slot));
        if !self.passages.has_repeated(slot) {
            return;
        }
        let key = KeyValue::new(self.passages.key(slot));
        let passage = self.passages.get(slot);
        for (local, &stage) in self.stages.iter().enumerate() {
            for side in [Side::Begin, Side::End] {
                if passage.is_repeated(local, side) {
                    self.breaks.repeat(Edge { stage, side }, key);
                }
            }
        }
    }
}

impl Whole {
    fn new(route: Vec<(usize, Side)>, (from_ns, to_ns): (u64, u64)) -> Self {
        let width = route.len();
        Self {
            mask: route.iter().fold(0, |mask, &(stage, side)| mask | bit(stage, side)),
            places: route.iter().map(|&(stage, side)| 2 * stage + usize::from(side == Side::End)).collect(),
            route,
            flow: Flow::new(from_ns, to_ns),
            sampler: Sampler::new(width),
            slowest: Slowest::new(width),
            steps: vec![Latency::one_of(width); width.saturating_sub(1)],
            total: Latency::default(),
            in_order: 0,
            detours: 0,
            hits: Vec::new(),
        }
    }

    /// How far these buffers follow the path.
    pub(crate) fn following(&self, counts: &Tallies) -> Following {
        let whole = self.total.count();
        let (along, counted) = (whole - self.detours, counts.is_count());
        Following { laps: whole, along, whole, in_order: self.in_order, counted }
    }

    /// Whether a buffer that passed these probes passed those of the path.
    fn is_passed(&self, passed: u64) -> bool {
        passed & self.mask == self.mask
    }

    /// Tallies a buffer by its moments at the probes of all stages, of which it passed those in `passed`.
    fn add(&mut self, key: &[i64], points: &[Point], passed: u64) {
        self.hits.clear();
        self.hits.extend(self.places.iter().map(|&at| points[at]));
        let mut in_order = true;
        for (latency, two) in self.steps.iter_mut().zip(self.hits.array_windows()) {
            let [from, to] = two.map(|point: Point| point.time_ns);
            in_order &= from <= to;
            latency.add(difference_ns(from, to));
        }
        self.in_order += u64::from(in_order);
        self.detours += u64::from(passed & !self.mask != 0);
        let (Some(first), Some(last)) = (self.hits.first(), self.hits.last()) else { return };
        let total_ns = difference_ns(first.time_ns, last.time_ns);
        self.total.add(total_ns);
        self.flow.add(first.time_ns, last.time_ns);
        self.slowest.add(total_ns, key, &self.hits);
        if self.sampler.takes() {
            self.sampler.keep(key, &self.hits);
        }
    }

    /// The same for all of `keys`, which passed the probes in `passed` in this order.
    fn add_usual(&mut self, passed: &[(usize, Side)], keys: UsualKeys<'_>, bits: u64) {
        let at = |probe: &(usize, Side)| passed.iter().position(|other| other == probe);
        let Some(places) = self.route.iter().map(at).collect::<Option<Vec<usize>>>() else { return };
        let (Some(&first), Some(&last)) = (places.first(), places.last()) else { return };
        for (latency, &step) in self.steps.iter_mut().zip(places.array_windows()) {
            latency.extend(keys.differences_ns(step));
        }
        self.total.extend(keys.differences_ns([first, last]));
        let count = keys.len() as u64;
        self.detours += if bits & !self.mask == 0 { 0 } else { count };
        // Their moments are in the order of time.
        let is_ordered = places.is_sorted();
        for row in 0..keys.len() {
            let moments = keys.moments(row);
            let (came_ns, went_ns) = (moments[first].time_ns, moments[last].time_ns);
            let total_ns = difference_ns(came_ns, went_ns);
            self.in_order += u64::from(is_ordered || places.is_sorted_by_key(|&at| moments[at].time_ns));
            self.flow.add(came_ns, went_ns);
            let (is_slow, is_sampled) = (self.slowest.wants(total_ns), self.sampler.takes());
            if is_slow || is_sampled {
                self.hits.clear();
                self.hits.extend(places.iter().map(|&at| moments[at]));
                if is_slow {
                    self.slowest.add(total_ns, keys.key(row), &self.hits);
                }
                if is_sampled {
                    self.sampler.keep(keys.key(row), &self.hits);
                }
            }
        }
    }
}
