//! Watches the spans and events of a path while they pass, in bounded memory.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;

use tracer_format::{Columns, Definitions, Gap, ProcessId};

use super::limit::flow::Flow;
use super::limit::resource::process_of;
use super::limit::silence::Silences;
use super::path::loss::Breaks;
use super::path::numbers::Numbers;
use super::path::passage::{MAX_STAGES, Passages, bit};
use super::path::route::usual_order;
use super::path::sampler::Sampler;
use super::path::slowest::Slowest;
use crate::analysis::Latency;
use crate::pair::{Class, Edge, Point, Side, Sink, Span, difference_ns};
use crate::stage::{KeyValue, ProbeName, Scope, Stage};

/// Buffers by which the order of the path is told.
const TELLING: usize = 4096;
/// Share of the buffers that must pass a probe for it to be on the path.
const USUAL: f64 = 0.5;

/// What is kept of a path while its events pass.
#[derive(Debug)]
pub struct Watch<'a> {
    pub(crate) definitions: &'a Definitions,
    /// Stages of the path, by their number in the analysis.
    pub(crate) stages: Vec<u32>,
    /// Position on the path of each stage of the analysis.
    local: Vec<Option<usize>>,
    /// For each site, whether it is a probe of the path.
    sites: Vec<bool>,
    passages: Passages,
    pub(crate) whole: Option<Whole>,
    pub(crate) breaks: Breaks,
    pub(crate) numbers: Numbers,
    /// Silences of each process, and of all together.
    pub(crate) silences: BTreeMap<ProcessId, Silences>,
    pub(crate) all: Silences,
    processes: Vec<Silences>,
    pub(crate) gaps: Vec<(u64, u64)>,
    time_ns: (u64, u64),
}

/// What is kept of buffers that passed the whole path.
#[derive(Debug)]
pub(crate) struct Whole {
    /// The path: stages by their position, and sides.
    pub(crate) route: Vec<(usize, Side)>,
    pub(crate) flow: Flow,
    pub(crate) sampler: Sampler,
    pub(crate) slowest: Slowest,
    pub(crate) steps: Vec<Latency>,
    pub(crate) total: Latency,
    /// The bits of the path's probes.
    mask: u64,
    /// The moments of the buffer that is being counted.
    hits: Vec<Point>,
}

impl<'a> Watch<'a> {
    /// Watches the path among `stages`; `time_ns` are the first and the last event of the trace.
    #[must_use]
    pub fn new(stages: &[Stage], definitions: &'a Definitions, time_ns: (u64, u64)) -> Self {
        let path = path(stages);
        let mut local = vec![None; stages.len()];
        for (position, &stage) in path.iter().enumerate() {
            local[stage as usize] = Some(position);
        }
        let is_on_path = |site: &tracer_format::Site| {
            let of = |stage: &u32| {
                let stage = &stages[*stage as usize];
                let is = |probe: &ProbeName| probe.provider == site.provider && probe.probe == site.probe;
                stage.begins.iter().chain(&stage.ends).any(is)
            };
            path.iter().any(of)
        };
        Self {
            definitions,
            local,
            sites: definitions.sites.iter().map(is_on_path).collect(),
            passages: Passages::new(path.len()),
            stages: path,
            whole: None,
            breaks: Breaks::default(),
            numbers: Numbers::default(),
            silences: BTreeMap::new(),
            all: Silences::default(),
            processes: vec![Silences::default(); definitions.processes.len()],
            gaps: Vec::new(),
            time_ns,
        }
    }

    /// Nothing more comes.
    pub(crate) fn finish(&mut self) {
        self.settle();
        for (key, slot) in self.passages.all() {
            self.broken(key, slot);
        }
        let processes = std::mem::take(&mut self.processes);
        self.silences =
            (0..).map(ProcessId).zip(processes).filter(|(_, silences)| silences.events > 0).collect();
    }

    /// The order of the path is told by the buffers so far; those that have passed it are counted.
    fn settle(&mut self) {
        if self.whole.is_some() {
            return;
        }
        let under_way = self.passages.all();
        let Some(route) = self.route(&under_way) else { return };
        self.whole = Some(Whole::new(route, self.time_ns));
        for (key, slot) in under_way {
            self.count_whole(key, slot);
        }
    }

    fn route(&self, under_way: &[(KeyValue, usize)]) -> Option<Vec<(usize, Side)>> {
        let mut orders: Vec<Vec<Edge>> =
            under_way.iter().map(|&(_, slot)| self.passages.get(slot).order(&self.stages)).collect();
        let mut uses: BTreeMap<Edge, usize> = BTreeMap::new();
        orders.iter().flatten().for_each(|&edge| *uses.entry(edge).or_default() += 1);
        let least = USUAL * uses.values().copied().max()? as f64;
        orders.iter_mut().for_each(|order| order.retain(|edge| uses[edge] as f64 >= least));
        let order = usual_order(orders.iter().map(|order| &order[..]))?;
        let position = |edge: Edge| Some((self.local[edge.stage as usize]?, edge.side));
        order.into_iter().map(position).collect()
    }

    /// If the buffer in `slot` has passed the whole path, it is counted, and its slot given back.
    fn count_whole(&mut self, key: KeyValue, slot: usize) -> bool {
        let Some(whole) = &mut self.whole else { return false };
        if self.passages.passed(slot) & whole.mask != whole.mask {
            return false;
        }
        whole.add(key, self.passages.points(slot));
        self.note(key, slot);
        self.passages.remove(&key, slot);
        true
    }

    /// Nothing more comes of the buffer in `slot`.
    fn broken(&mut self, key: KeyValue, slot: usize) {
        if self.count_whole(key, slot) {
            return;
        }
        self.note(key, slot);
        if let Some(whole) = &self.whole {
            self.breaks.add(key, &self.passages.get(slot), &whole.route);
        }
        self.passages.remove(&key, slot);
    }

    /// Notes the number of a buffer, and the events that came twice.
    fn note(&mut self, key: KeyValue, slot: usize) {
        if let [number] = key.words() {
            self.numbers.add(*number);
        }
        if !self.passages.has_repeated(slot) {
            return;
        }
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
            route,
            flow: Flow::new(from_ns, to_ns),
            sampler: Sampler::new(width),
            slowest: Slowest::new(width),
            steps: vec![Latency::default(); width.saturating_sub(1)],
            total: Latency::default(),
            hits: Vec::new(),
        }
    }

    /// Counts a buffer by its moments at the probes of all stages.
    fn add(&mut self, key: KeyValue, points: &[Point]) {
        self.hits.clear();
        let at = |&(stage, side): &(usize, Side)| points[2 * stage + usize::from(side == Side::End)];
        self.hits.extend(self.route.iter().map(at));
        for (latency, two) in self.steps.iter_mut().zip(self.hits.windows(2)) {
            latency.add(difference_ns(two[0].time_ns, two[1].time_ns));
        }
        let (Some(first), Some(last)) = (self.hits.first(), self.hits.last()) else { return };
        let total_ns = difference_ns(first.time_ns, last.time_ns);
        self.total.add(total_ns);
        self.flow.add(first.time_ns, last.time_ns);
        self.slowest.add(total_ns, key, &self.hits);
        self.sampler.push(key, &self.hits);
    }
}

/// The stages that buffers pass one after the other: those with one key that is not the thread's, and a provider in
/// common; of several such groups, the largest.
fn path(stages: &[Stage]) -> Vec<u32> {
    let mut groups: Vec<(&Stage, Vec<u32>)> = Vec::new();
    for (number, stage) in (0..).zip(stages) {
        if stage.key.scope == Scope::Tid || stage.key.parts.is_empty() {
            continue;
        }
        let related = |(first, _): &&mut (&Stage, Vec<u32>)| {
            first.key == stage.key && first.begins[0].provider == stage.begins[0].provider
        };
        match groups.iter_mut().find(related) {
            Some((_, members)) => members.push(number),
            None => groups.push((stage, vec![number])),
        }
    }
    let largest = groups.into_iter().rev().max_by_key(|(_, members)| members.len());
    let mut members = largest.map(|(_, members)| members).unwrap_or_default();
    members.truncate(MAX_STAGES);
    members
}

impl Sink for Watch<'_> {
    fn events(&mut self, columns: &Columns, rows: Range<usize>) -> io::Result<()> {
        if self.stages.is_empty() {
            return Ok(());
        }
        for row in rows {
            if self.sites.get(columns.site[row].index()).copied().unwrap_or_default() {
                let time_ns = columns.time_ns[row];
                let process = process_of(columns.thread[row], self.definitions);
                if let Some(silences) = self.processes.get_mut(process.index()) {
                    silences.event(time_ns);
                }
                self.all.event(time_ns);
            }
        }
        Ok(())
    }

    fn span(&mut self, span: &Span) -> io::Result<()> {
        let Some(local) = self.local[span.stage as usize] else { return Ok(()) };
        if span.class == Class::RepeatedEnd && self.passages.find(&span.key).is_none() {
            self.breaks.repeat(Edge { stage: span.stage, side: Side::End }, span.key);
            return Ok(());
        }
        let mut slot = self.passages.slot(span.key);
        if self.passages.is_again(slot, local, span) {
            // Numbers that are used again tell the path by their first lap.
            self.settle();
            if let Some(slot) = self.passages.find(&span.key) {
                self.broken(span.key, slot);
            }
            slot = self.passages.slot(span.key);
        }
        self.passages.add(slot, local, span);
        if self.whole.is_none() {
            if self.passages.len() >= TELLING {
                self.settle();
            }
        } else if !self.count_whole(span.key, slot)
            && let Some((key, slot)) = self.passages.too_many()
        {
            self.broken(key, slot);
        }
        Ok(())
    }

    fn gap(&mut self, gap: &Gap) -> io::Result<()> {
        self.gaps.push((gap.from_ns, gap.to_ns));
        Ok(())
    }
}
