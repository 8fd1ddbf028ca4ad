//! Where the time of threads goes: stages by thread, each inside of the one that was open when it began.
//!
//! A stage that is still open when the one around it ends is inside of none: it *overlaps*, and stands beside the tree.
//! What began inside of it counts as inside of what is around it.

mod outer;
mod pick;
mod thinning;

use std::collections::HashMap;
use std::io;

use tracer_format::{Definitions, ThreadId};

use super::latency::Latency;
use crate::pair::{Class, Found, Point, Sink, Span};
use crate::stage::{Scope, Stage};
use outer::{OuterSpan, OuterSpans, PartTimes, add_part};
use pick::{Picked, Picks};

pub(super) use thinning::Thinning;

/// Places in the tree at most; deeper ones count where their stage stands above.
const MAX_NODES: usize = 4096;
/// Stages above each other at most.
const MAX_DEPTH: u32 = 24;
/// Begins that are open on one thread, and on all together, at most; more of them are not placed.
const MAX_OPEN: usize = 1 << 12;
const MAX_OPEN_OF_ALL: usize = 1 << 18;
/// Places inside of one among which a look at each finds the right one soonest.
const FEW: usize = 8;
/// Share of a stage's spans that overlap others, from which on it stands beside the tree.
const OVERLAPPING: f64 = 0.01;

/// Where the time of threads goes.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    /// Threads that fired events of these stages.
    pub threads: u64,
    /// Time from the first to the last of these events, over all these threads, ns.
    pub thread_ns: u64,
    /// Part of it in which no stage was open, ns.
    pub idle_ns: u64,
    /// The places, each after the one that it is inside of, those that take longer first.
    pub nodes: Vec<TreeNode>,
    /// Stages that overlap others, by their number in the analysis.
    pub overlapping: Vec<u32>,
    /// Spans that nothing is around, those first that took longest beyond the median of their stage.
    pub slowest: Vec<SlowSpan>,
}

impl Tree {
    /// The same with so many of the slowest spans, at most.
    #[must_use]
    pub fn with_slowest(mut self, count: usize) -> Self {
        self.slowest.truncate(count);
        self
    }
}

/// A slow span that nothing is around on its thread.
#[derive(Debug, Clone)]
pub struct SlowSpan {
    /// Index into the stages of the analysis.
    pub stage: u32,
    /// Which one it is.
    pub seen: SeenSpan,
    /// What its time went to: itself, and each stage inside without what is inside of that; the longest first, ns.
    pub parts: Vec<(u32, u64)>,
    /// Why it was slow.
    pub reason: String,
}

/// One span, so that it is found in the trace.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SeenSpan {
    /// Its process.
    pub pid: u32,
    /// Its thread.
    pub tid: u32,
    /// When it began, ns.
    pub begin_ns: u64,
    /// How long it took, ns.
    pub latency_ns: i64,
}

/// A stage at one place in the tree.
#[derive(Debug, Clone)]
pub struct TreeNode {
    /// Index into the stages of the analysis.
    pub stage: u32,
    /// How many stages are around it.
    pub depth: u32,
    /// Time of its spans, ns.
    pub total_ns: u64,
    /// The same without what is inside, ns.
    pub own_ns: u64,
    /// Latencies of its spans.
    pub latency: Latency,
    /// Spans that took as long as the 50th, 90th and 99th percentile and the greatest say, as nearly as any that was looked at.
    pub examples: Option<[SeenSpan; 4]>,
    /// Means in slices of the time of the trace, ns; `None` for a slice without spans.
    pub over_time_ns: Vec<Option<f64>>,
}

/// Places spans while they pass.
#[derive(Debug)]
pub struct Growth {
    /// Places, those first that others are inside of; the first is the root.
    places: Vec<Place>,
    /// Places by the one that they are inside of, and their stage.
    known: HashMap<(usize, u32), usize>,
    threads: Vec<ThreadTime>,
    /// Begins that are open, on all threads.
    open: usize,
    /// Spans of each stage, and how many of them overlapped what was around them.
    spans: Vec<(u64, u64)>,
    /// Whether any stage is by thread.
    any: bool,
    outer: OuterSpans,
    /// Names of the stages.
    names: Vec<String>,
    /// Process and thread of each thread by their numbers, and the time of the trace.
    ids: Vec<(u32, u32)>,
    time_ns: (u64, u64),
}

#[derive(Debug, Default)]
struct Place {
    stage: u32,
    depth: u32,
    inside: Vec<usize>,
    total_ns: u64,
    latency: Latency,
    picks: Picks,
}

/// What is open on a thread, innermost last, and the times of its first and last event here.
#[derive(Debug, Default)]
struct ThreadTime {
    open: Vec<OpenSpan>,
    /// What ended inside of the outermost that is open.
    parts: PartTimes,
    seen_ns: Option<(u64, u64)>,
}

#[derive(Debug, Clone, Copy)]
struct OpenSpan {
    stage: u32,
    begin_ns: u64,
    place: usize,
    /// Whether the place is one above, so that its time is counted already.
    folded: bool,
    overlaps: bool,
    /// Time of the spans that ended right inside of it, ns.
    inside_ns: u64,
}

/// The place of the innermost of these that what begins now is inside of; the root if there is none. What went on when the
/// one around it ended is around nothing: it overlaps, or was left without an end.
fn innermost(open: &[OpenSpan]) -> usize {
    open.iter().rfind(|around| !around.overlaps).map_or(0, |around| around.place)
}

impl Growth {
    /// A tree without spans, of those of `stages` that are by thread.
    #[must_use]
    pub fn new(stages: &[Stage]) -> Self {
        Self {
            places: vec![Place::default()],
            known: HashMap::new(),
            threads: Vec::new(),
            open: 0,
            spans: vec![(0, 0); stages.len()],
            any: stages.iter().any(|stage| stage.key.scope == Scope::Tid),
            outer: OuterSpans::new(stages.len()),
            names: stages.iter().map(|stage| stage.name.clone()).collect(),
            ids: Vec::new(),
            time_ns: (0, 0),
        }
    }

    /// The same for a trace whose threads are defined so, and whose first and last event are at `time_ns`: spans can be named, and
    /// slices of its time told apart.
    #[must_use]
    pub fn within(self, definitions: &Definitions, time_ns: (u64, u64)) -> Self {
        let pid = |thread| definitions.process_of(thread).map_or(0, |process| process.pid);
        let ids = definitions.threads.iter().enumerate();
        let ids = ids.map(|(index, thread)| (pid(ThreadId::at(index)), thread.tid)).collect();
        Self { ids, time_ns, ..self }
    }

    fn thread(&mut self, point: Point) -> &mut ThreadTime {
        let index = point.thread.index();
        if index >= self.threads.len() {
            self.threads.resize_with(index + 1, ThreadTime::default);
        }
        let thread = &mut self.threads[index];
        let (first_ns, last_ns) = thread.seen_ns.unwrap_or((point.time_ns, point.time_ns));
        thread.seen_ns = Some((first_ns, last_ns.max(point.time_ns)));
        thread
    }

    /// The place of `stage` inside of `around`, and whether it is one above because the tree is full.
    fn place(&mut self, around: usize, stage: u32) -> (usize, bool) {
        let inside = &self.places[around].inside;
        // Mostly there are a few.
        let found = match inside.len() {
            0..=FEW => inside.iter().copied().find(|&place| self.places[place].stage == stage),
            _ => self.known.get(&(around, stage)).copied(),
        };
        if let Some(place) = found {
            return (place, false);
        }
        let depth = self.places[around].depth + 1;
        if self.places.len() >= MAX_NODES || depth > MAX_DEPTH {
            return (around, true);
        }
        self.places.push(Place { stage, depth, ..Place::default() });
        let place = self.places.len() - 1;
        self.places[around].inside.push(place);
        self.known.insert((around, stage), place);
        (place, false)
    }

    /// The span of `stage` that began at `begin` is open no more; it took `len_ns` if it is complete. What began after it and goes
    /// on is not inside of it, and overlaps it if it is complete.
    fn close(&mut self, stage: u32, begin: Point, len_ns: Option<u64>) -> Option<OpenSpan> {
        let mut open = std::mem::take(&mut self.thread(begin).open);
        let is = |begun: &OpenSpan| begun.stage == stage && begun.begin_ns == begin.time_ns;
        let position = open.iter().rposition(is);
        let closed = position.map(|position| open.remove(position));
        if let Some(position) = position {
            self.open -= 1;
            let crosses = len_ns.is_some() && closed.is_some_and(|closed| !closed.overlaps);
            let mut around = innermost(&open[..position]);
            if let Some(closed) = closed.filter(|closed| !closed.overlaps) {
                let around = open[..position].iter_mut().rfind(|around| !around.overlaps);
                self.account(closed, begin, len_ns, around);
            }
            for begun in &mut open[position..] {
                begun.overlaps |= crosses;
                (begun.place, begun.folded) = self.place(around, begun.stage);
                around = begun.place;
            }
        }
        self.threads[begin.thread.index()].open = open;
        closed
    }

    /// Counts the time of a span that ended, for the one around it, or for itself if there is none.
    fn account(
        &mut self,
        closed: OpenSpan,
        begin: Point,
        len_ns: Option<u64>,
        around: Option<&mut OpenSpan>,
    ) {
        let parts = &mut self.threads[begin.thread.index()].parts;
        match (around, len_ns) {
            (Some(around), Some(len_ns)) => {
                around.inside_ns = around.inside_ns.saturating_add(len_ns);
                add_part(parts, closed.stage, len_ns.saturating_sub(closed.inside_ns));
            }
            (Some(around), None) => around.inside_ns = around.inside_ns.saturating_add(closed.inside_ns),
            (None, Some(total_ns)) if !self.outer.wants(closed.stage, begin.time_ns, total_ns) => {
                parts.clear()
            }
            (None, Some(total_ns)) => {
                let mut parts = std::mem::take(parts);
                let inside_ns: u64 =
                    parts.iter().fold(0, |sum_ns, (_, time_ns)| sum_ns.saturating_add(*time_ns));
                add_part(&mut parts, closed.stage, total_ns.saturating_sub(inside_ns));
                self.outer.add(closed.stage, OuterSpan { begin, total_ns, parts });
            }
            (None, None) => parts.clear(),
        }
    }

    /// The span as it is found in the trace.
    fn seen(&self, begin: Point, latency_ns: i64) -> SeenSpan {
        let (pid, tid) = self.ids.get(begin.thread.index()).copied().unwrap_or_default();
        SeenSpan { pid, tid, begin_ns: begin.time_ns, latency_ns }
    }

    /// The slowest spans that nothing is around, but those of stages beside the tree.
    fn slowest(&mut self, overlapping: &[u32]) -> Vec<SlowSpan> {
        let outer = std::mem::replace(&mut self.outer, OuterSpans::new(0));
        let slow = outer.slowest(&self.names).into_iter().filter(|slow| !overlapping.contains(&slow.stage));
        slow.map(|slow| {
            let mut parts = slow.span.parts;
            parts.sort_by_key(|&(stage, time_ns)| (std::cmp::Reverse(time_ns), stage));
            let latency_ns = i64::try_from(slow.span.total_ns).unwrap_or(i64::MAX);
            SlowSpan {
                stage: slow.stage,
                seen: self.seen(slow.span.begin, latency_ns),
                parts,
                reason: slow.reason,
            }
        })
        .collect()
    }

    /// The tree, when nothing more comes.
    #[must_use]
    pub fn tree(mut self) -> Tree {
        let overlaps = |&(spans, overlapping): &(u64, u64)| overlapping as f64 > OVERLAPPING * spans as f64;
        let overlapping: Vec<u32> =
            (0..).zip(&self.spans).filter(|(_, spans)| overlaps(spans)).map(|(stage, _)| stage).collect();
        let seen = || self.threads.iter().filter_map(|thread| thread.seen_ns);
        let thread_ns =
            seen().map(|(first_ns, last_ns)| last_ns.saturating_sub(first_ns)).fold(0, u64::saturating_add);
        let threads = seen().count() as u64;
        let slowest = self.slowest(&overlapping);
        let mut tree = Tree { threads, thread_ns, idle_ns: 0, nodes: Vec::new(), overlapping, slowest };
        let inside = std::mem::take(&mut self.places[0].inside);
        let roots_ns = self.add(&inside, 0, &mut tree);
        tree.idle_ns = thread_ns.saturating_sub(roots_ns);
        tree
    }

    /// Adds the places `inside` of one, without those of overlapping stages; gives their time.
    fn add(&mut self, inside: &[usize], depth: u32, tree: &mut Tree) -> u64 {
        // What is inside of an overlapping stage moves up, where its stage may stand already.
        let mut places: Vec<(u32, Vec<usize>)> = Vec::new();
        let mut left = inside.to_vec();
        while let Some(place) = left.pop() {
            let stage = self.places[place].stage;
            // Nothing at a place without spans ever ended there.
            if tree.overlapping.contains(&stage) || self.places[place].latency.count() == 0 {
                left.extend(&self.places[place].inside);
            } else if let Some((_, same)) = places.iter_mut().find(|(other, _)| *other == stage) {
                same.push(place);
            } else {
                places.push((stage, vec![place]));
            }
        }
        let time = |same: &[usize]| {
            same.iter().map(|&place| self.places[place].total_ns).fold(0, u64::saturating_add)
        };
        let mut order: Vec<(u64, u32, Vec<usize>)> =
            places.into_iter().map(|(stage, same)| (time(&same), stage, same)).collect();
        order.sort_by_key(|&(total_ns, stage, _)| (std::cmp::Reverse(total_ns), stage));
        let mut sum_ns = 0;
        for (total_ns, stage, same) in order {
            let mut latency = Latency::default();
            let mut picks = Picks::default();
            let mut inner = Vec::new();
            for place in same {
                latency.merge(&self.places[place].latency);
                picks.merge(&self.places[place].picks);
                inner.extend(std::mem::take(&mut self.places[place].inside));
            }
            let at = tree.nodes.len();
            let examples = picks.examples(&latency);
            let examples = examples.map(|of| of.map(|it| self.seen(it.begin, it.latency_ns)));
            let over_time_ns = picks.means_ns();
            tree.nodes.push(TreeNode { stage, depth, total_ns, own_ns: 0, latency, examples, over_time_ns });
            let inner_ns = self.add(&inner, depth + 1, tree);
            tree.nodes[at].own_ns = total_ns.saturating_sub(inner_ns);
            sum_ns = u64::saturating_add(sum_ns, total_ns);
        }
        sum_ns
    }
}

impl Sink for Growth {
    /// None is by thread.
    fn takes_usual_keys(&self) -> bool {
        true
    }

    fn found(&mut self, found: &Found) -> io::Result<()> {
        if self.any { found.hand_on(self) } else { Ok(()) }
    }

    fn begun(&mut self, stage: u32, begin: Point) -> io::Result<()> {
        if !self.any {
            return Ok(());
        }
        let is_full = self.open >= MAX_OPEN_OF_ALL;
        let thread = self.thread(begin);
        if is_full || thread.open.len() >= MAX_OPEN {
            return Ok(());
        }
        let around = innermost(&thread.open);
        self.open += 1;
        let (place, folded) = self.place(around, stage);
        let begin_ns = begin.time_ns;
        let begun = OpenSpan { stage, begin_ns, place, folded, overlaps: false, inside_ns: 0 };
        self.threads[begin.thread.index()].open.push(begun);
        Ok(())
    }

    fn span(&mut self, span: &Span) -> io::Result<()> {
        if !self.any {
            return Ok(());
        }
        let Some(begin) = span.begin else { return Ok(()) };
        let len_ns = span.latency_ns().filter(|_| span.class == Class::Complete).map(i64::unsigned_abs);
        let Some(closed) = self.close(span.stage, begin, len_ns) else { return Ok(()) };
        let (Class::Complete, Some(end), Some(latency_ns)) = (span.class, span.end, span.latency_ns()) else {
            return Ok(());
        };
        self.thread(Point { thread: begin.thread, ..end });
        let spans = &mut self.spans[span.stage as usize];
        spans.0 += 1;
        spans.1 += u64::from(closed.overlaps);
        if !closed.folded {
            let place = &mut self.places[closed.place];
            place.total_ns = place.total_ns.saturating_add(latency_ns.unsigned_abs());
            place.latency.add(latency_ns);
            place.picks.add(Picked { begin, latency_ns }, self.time_ns);
        }
        Ok(())
    }
}
