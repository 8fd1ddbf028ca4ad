//! What a buffer can wait for: groups of threads that share steps, locks inside of them, and a program that only fires
//! the last probe.

use std::collections::{BTreeMap, BTreeSet};

use tracer_format::{Definitions, ProcessId, ThreadId};

use super::super::path::buffers::Buffers;
use super::super::path::route::Route;
use super::intervals::{Interval, in_order, peak, union_ns, within};
use super::quantile::mean;

/// What kind of a resource it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ResourceKind {
    /// Threads that do the same work.
    Threads,
    /// A stage that is never run twice at a time, though several threads run it.
    Lock,
    /// A program that fires nothing but the last probe: how long it is busy is not known.
    End,
}

/// What a buffer can wait for.
#[derive(Debug, Clone)]
pub struct Resource {
    /// What kind it is.
    pub kind: ResourceKind,
    /// Program.
    pub program: String,
    /// Threads.
    pub threads: usize,
    /// First step of its work; for an end, the position of the last probe.
    pub first: usize,
    /// Last step of its work; one less than `first` for an end.
    pub last: usize,
    /// Share of the time that it has a buffer; `None` for an end.
    pub busy: Option<f64>,
    /// Time that it has a buffer, on average, ns.
    pub mean_ns: f64,
    /// Mean time of each step that lies within its work, ns.
    pub inside: Vec<(usize, f64)>,
    /// Which threads these are: what belongs together has the same.
    pub group: usize,
    /// Share of the buffers that had to wait for it; `None` if that cannot be told.
    pub waited: Option<f64>,
    /// Share of the time that it is idle though a buffer waits for it; `None` if that cannot be told.
    pub delayed: Option<f64>,
}

impl Resource {
    /// Buffers that it can have at a time.
    #[must_use]
    pub fn threads_at_once(&self) -> usize {
        if self.kind == ResourceKind::Threads { self.threads } else { 1 }
    }

    /// Share of the time that it is busy, or has a buffer that waits: the rest it has nothing to do.
    #[must_use]
    pub fn wanted(&self) -> Option<f64> {
        Some(self.busy? + self.delayed.unwrap_or_default())
    }
}

/// The resources of a path, in the order of the path. Time within `pauses`, ns, counts neither as busy nor as idle.
pub(crate) fn resources(
    rows: &Buffers,
    route: &Route,
    definitions: &Definitions,
    pauses: &[Interval],
) -> Vec<Resource> {
    let mut found = Vec::new();
    for (group, (threads, steps)) in groups(rows, route).into_iter().enumerate() {
        let (Some(&first), Some(&last)) = (steps.first(), steps.last()) else { continue };
        let occupied = occupied(rows, (first, last + 1), &steps);
        if occupied.iter().flat_map(BTreeMap::values).any(|intervals| is_at_once(intervals)) {
            continue;
        }
        let of_rows = |step: usize| mean((0..rows.len()).map(|row| rows.step_ns(row, step) as f64));
        let all = || occupied.iter().flat_map(|run| run.values().flatten());
        let count = occupied.iter().map(BTreeMap::len).max().unwrap_or_default();
        let program = threads.first().map(|&thread| program_of(thread, definitions)).unwrap_or_default();
        let busy = busy_share(&occupied, pauses);
        found.push(Resource {
            kind: ResourceKind::Threads,
            program: program.clone(),
            threads: count,
            first,
            last,
            busy: Some(busy),
            mean_ns: mean(all().map(|(from, to)| (to - from) as f64)),
            inside: (first..=last).map(|step| (step, of_rows(step))).collect(),
            group,
            waited: None,
            delayed: None,
        });
        for &step in &steps {
            if let Some(lock) = lock(rows, step, group) {
                found.push(Resource { program: program.clone(), ..lock });
            }
        }
    }
    found.extend(end(rows, route, definitions));
    found.sort_by_key(|resource| (resource.first, resource.last));
    found
}

pub(crate) fn process_of(thread: ThreadId, definitions: &Definitions) -> ProcessId {
    definitions.thread(thread).map_or(ProcessId::NONE, |thread| thread.process)
}

pub(crate) fn program_of(thread: ThreadId, definitions: &Definitions) -> String {
    let process = definitions.process(process_of(thread, definitions));
    process.map_or_else(String::new, |process| process.program.to_string())
}

/// Threads, and the steps of work that they do.
type Team = (BTreeSet<ThreadId>, Vec<usize>);

/// Groups of threads that share steps.
fn groups(rows: &Buffers, route: &Route) -> Vec<Team> {
    let mut groups: Vec<Team> = Vec::new();
    for step in (0..rows.steps()).filter(|&step| route.is_work(step)) {
        let threads: BTreeSet<ThreadId> = rows
            .all_hits()
            .filter(|hits| hits[step].thread == hits[step + 1].thread)
            .map(|hits| hits[step].thread)
            .collect();
        if threads.is_empty() {
            continue;
        }
        let shares = |group: &Team| !group.0.is_disjoint(&threads);
        let (joined, mut others): (Vec<Team>, Vec<Team>) = groups.into_iter().partition(shares);
        let mut group = (threads, Vec::new());
        for (threads, steps) in joined {
            group.0.extend(threads);
            group.1.extend(steps);
        }
        group.1.push(step);
        group.1.sort_unstable();
        others.push(group);
        groups = others;
    }
    groups
}

/// For each run of rows, when each thread has a buffer.
type Occupied = Vec<BTreeMap<ThreadId, Vec<Interval>>>;

/// A thread has a buffer from the first begin to the last end, what lies between included; if most buffers change
/// threads in between, only while it works on it.
fn occupied(rows: &Buffers, (first, last): (usize, usize), steps: &[usize]) -> Occupied {
    let between = |pairs: &[(usize, usize)]| -> Occupied {
        let of_run = |run: &std::ops::Range<usize>| {
            let mut by_thread: BTreeMap<ThreadId, Vec<Interval>> = BTreeMap::new();
            for hits in run.clone().map(|row| rows.hits(row)) {
                for &(from, to) in pairs {
                    let (begin, end) = (hits[from], hits[to]);
                    if begin.thread == end.thread && begin.time_ns <= end.time_ns {
                        by_thread.entry(begin.thread).or_default().push((begin.time_ns, end.time_ns));
                    }
                }
            }
            by_thread
        };
        rows.runs.iter().map(of_run).collect()
    };
    let whole = between(&[(first, last)]);
    let count: usize = whole.iter().flat_map(BTreeMap::values).map(Vec::len).sum();
    if count as f64 >= 0.9 * rows.len() as f64 {
        return whole;
    }
    between(&steps.iter().map(|&step| (step, step + 1)).collect::<Vec<_>>())
}

/// Whether a thread works on several buffers at a time: then its spans are waits, and tell nothing of how busy it is.
fn is_at_once(intervals: &[Interval]) -> bool {
    /// Share of the spans that may begin before the one before has ended.
    const FEW: f64 = 0.01;
    let overlapping = in_order(intervals).windows(2).filter(|two| two[1].0 < two[0].1).count();
    overlapping as f64 > FEW * intervals.len() as f64
}

/// Share of the time of all threads that they have a buffer.
fn busy_share(occupied: &Occupied, pauses: &[Interval]) -> f64 {
    /// Least share of a run that is no pause, for the pauses to be taken out.
    const LEAST: f64 = 0.1;
    let (mut busy_ns, mut all_ns) = (0.0, 0.0);
    for run in occupied {
        let all = || run.values().flatten();
        let from_ns = all().map(|interval| interval.0).min().unwrap_or_default();
        let to_ns = all().map(|interval| interval.1).max().unwrap_or_default();
        let threads = run.len() as f64;
        let paused: Vec<Interval> =
            pauses.iter().filter_map(|&pause| within(pause, (from_ns, to_ns))).collect();
        let (wall_ns, paused_ns) = ((to_ns - from_ns) as f64, union_ns(&paused) as f64);
        let mut run_ns: f64 = run.values().map(|intervals| union_ns(intervals) as f64).sum();
        if paused_ns > (1.0 - LEAST) * wall_ns {
            all_ns += threads * wall_ns;
        } else {
            for (intervals, &pause) in
                run.values().flat_map(|all| paused.iter().map(move |pause| (all, pause)))
            {
                let inside: Vec<Interval> =
                    intervals.iter().filter_map(|&interval| within(interval, pause)).collect();
                run_ns -= union_ns(&inside) as f64;
            }
            all_ns += threads * (wall_ns - paused_ns);
        }
        busy_ns += run_ns.max(0.0);
    }
    if all_ns > 0.0 { busy_ns / all_ns } else { 0.0 }
}

/// A step that several threads do, but never two at a time.
fn lock(rows: &Buffers, step: usize, group: usize) -> Option<Resource> {
    let (mut busy_ns, mut wall_ns) = (0.0, 0.0);
    let (mut threads, mut total_ns, mut count) = (BTreeSet::new(), 0.0, 0_usize);
    for run in &rows.runs {
        let mut all: Vec<Interval> = Vec::new();
        for hits in run.clone().map(|row| rows.hits(row)) {
            let (begin, end) = (hits[step], hits[step + 1]);
            if begin.thread == end.thread && begin.time_ns <= end.time_ns {
                threads.insert(begin.thread);
                all.push((begin.time_ns, end.time_ns));
            }
        }
        if peak(&all) > 1 {
            return None;
        }
        let from_ns = all.iter().map(|interval| interval.0).min().unwrap_or_default();
        let to_ns = all.iter().map(|interval| interval.1).max().unwrap_or_default();
        wall_ns += (to_ns - from_ns) as f64;
        busy_ns += union_ns(&all) as f64;
        total_ns += all.iter().map(|(from, to)| (to - from) as f64).sum::<f64>();
        count += all.len();
    }
    (threads.len() > 1 && count > 0).then(|| Resource {
        kind: ResourceKind::Lock,
        program: String::new(),
        threads: threads.len(),
        first: step,
        last: step,
        busy: Some(if wall_ns > 0.0 { busy_ns / wall_ns } else { 0.0 }),
        mean_ns: total_ns / count as f64,
        inside: vec![(step, total_ns / count as f64)],
        group,
        waited: None,
        delayed: None,
    })
}

/// A program that fires nothing but the last probe.
fn end(rows: &Buffers, route: &Route, definitions: &Definitions) -> Option<Resource> {
    let last = rows.steps().checked_sub(1)?;
    let hits = rows.all_hits().next()?;
    let process = |at: usize| process_of(hits[at].thread, definitions);
    if route.is_work(last) || process(last) == process(last + 1) {
        return None;
    }
    Some(Resource {
        kind: ResourceKind::End,
        program: program_of(hits[last + 1].thread, definitions),
        threads: 1,
        first: last + 1,
        last,
        busy: None,
        mean_ns: 0.0,
        inside: Vec::new(),
        group: usize::MAX,
        waited: None,
        delayed: None,
    })
}
