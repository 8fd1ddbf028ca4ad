//! Stalls: a process stood still while buffers were in it or waited for it, or the source did while buffers were due.

use std::collections::BTreeMap;

use tracer_format::log::escape;
use tracer_format::{Definitions, ProcessId};

use super::super::path::buffers::Buffers;
use super::intervals::within;
use super::quantile::{median, quantile, quantile_of_sorted};
use super::resource::process_of;
use super::silence::{Silence, Silences};
use crate::stage::KeyValue;

/// Fewer silences, or buffers, than this tell nothing of a process.
const LEAST: usize = 20;
/// A silence is a stall from so many times the usual time of a buffer in the process on.
const TIMES: f64 = 5.0;
/// Standard deviations of the logarithm of that time, for processes in which it varies.
const DEVIATIONS: f64 = 6.0;
/// Least standard deviation of the logarithm.
const LEAST_DEVIATION: f64 = 0.1;
/// Share of a silence that a buffer must be held for: some buffer, for it to be a stall; and each, to be counted.
const INSIDE: f64 = 0.5;
const HELD: f64 = 0.2;
/// Share of a silence of one process in which all are silent, for it to be a silence of the machine.
const ALL: f64 = 0.8;
/// Buffers that a stall must hold, and how many times the usual end-to-end time it must last, to be worth a line.
const HEADLINE_HELD: usize = 3;
const HEADLINE_TIMES: f64 = 5.0;
/// Stalls of a source, at most: more gaps of that kind are how it works, in batches for instance.
const RARE: usize = 3;
/// How many times as many buffers as usual, and how many more, come after a stall of the source, in a time as long as that.
const CATCH_UP: f64 = 1.5;
const CATCH_UP_LEAST: f64 = 3.0;
/// Stalls that tell a period.
const PERIODIC: usize = 5;

/// A time in which a process stood still.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stall {
    /// The program; empty if all processes were silent: the machine stood still.
    pub(crate) program: String,
    /// Index of the process.
    pub(crate) process: ProcessId,
    /// Where it begins and how long it is.
    pub(crate) silence: Silence,
    /// Whether it is the source: the buffers came late.
    pub(crate) of_source: bool,
    /// Keys of the buffers that it held, in the order in which they entered.
    pub(crate) held: Vec<KeyValue>,
    /// Buffers of these buffers.
    pub(crate) rows: Vec<usize>,
    /// Whether it is worth a line of its own.
    pub(crate) is_headline: bool,
}

impl Stall {
    /// What stood still.
    pub(crate) fn name(&self) -> std::borrow::Cow<'_, str> {
        if self.program.is_empty() { "the machine".into() } else { escape(&self.program) }
    }
}

/// Stalls that come again and again.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct StallPeriod {
    /// Program.
    pub(crate) program: String,
    /// From stall to stall, ns.
    pub(crate) period_ns: f64,
    /// Stalls.
    pub(crate) count: usize,
    /// Their median length, ns.
    pub(crate) len_ns: f64,
}

/// The stalls of the processes whose silences are `silences`, longest first; `all` are the silences of all together.
pub(crate) fn stalls(
    rows: &Buffers,
    definitions: &Definitions,
    silences: &BTreeMap<ProcessId, Silences>,
    all: &Silences,
) -> Vec<Stall> {
    let totals: Vec<f64> = (0..rows.len()).map(|row| rows.total_ns(row) as f64).collect();
    let usual_ns = quantile(&totals, 0.25);
    let of_all = all.longest();
    let mut found: Vec<Stall> = Vec::new();
    for (&process, own) in silences.iter().filter(|(_, own)| own.events > LEAST as u64) {
        let visits = Visits::new(rows, definitions, process);
        let Some(limit_ns) = visits.limit_ns() else { continue };
        for silence in own.longest().into_iter().filter(|silence| silence.len_ns as f64 >= limit_ns) {
            let Some(held) = visits.held(silence) else { continue };
            let covers = |of_all: &Silence| {
                let bounds = (silence.from_ns, silence.to_ns());
                within((of_all.from_ns, of_all.to_ns()), bounds)
                    .is_some_and(|(from_ns, to_ns)| (to_ns - from_ns) as f64 >= ALL * silence.len_ns as f64)
            };
            let program = if silences.len() > 1 && of_all.iter().any(covers) {
                String::new()
            } else {
                let process = definitions.process(process);
                process.map_or_else(String::new, |process| process.program.to_string())
            };
            let is_headline =
                held.len() >= HEADLINE_HELD && silence.len_ns as f64 >= HEADLINE_TIMES * usual_ns;
            let keys = held.iter().map(|&row| *rows.key(row)).collect();
            found.push(Stall {
                program,
                process,
                silence,
                of_source: false,
                held: keys,
                rows: held,
                is_headline,
            });
        }
    }
    found.sort_by_key(|stall| std::cmp::Reverse(stall.silence));
    // One silence of all is one stall.
    let mut kept: Vec<Stall> = Vec::new();
    for stall in found {
        let same = |other: &Stall| {
            other.program.is_empty()
                && stall.program.is_empty()
                && other.silence.from_ns.abs_diff(stall.silence.from_ns) < other.silence.len_ns
        };
        if !kept.iter().any(same) {
            kept.push(stall);
        }
    }
    let mut kept = not_held_up(kept, rows, definitions);
    let of_sources = of_sources(rows, definitions, silences);
    let hidden = |stall: &Stall| {
        let bounds = (stall.silence.from_ns, stall.silence.to_ns());
        kept.iter().any(|other| within((other.silence.from_ns, other.silence.to_ns()), bounds).is_some())
    };
    let of_sources = of_sources.into_iter().filter(|stall| !hidden(stall)).collect::<Vec<_>>();
    kept.extend(of_sources.into_iter().map(|stall| Stall {
        is_headline: stall.silence.len_ns as f64 >= HEADLINE_TIMES * usual_ns,
        ..stall
    }));
    kept
}

/// Without those that lie within a longer one of a process behind theirs on the path: it held them up.
fn not_held_up(stalls: Vec<Stall>, rows: &Buffers, definitions: &Definitions) -> Vec<Stall> {
    let place = |stall: &Stall| {
        let hits = rows.all_hits().next()?;
        hits.iter().position(|hit| process_of(hit.thread, definitions) == stall.process)
    };
    let is_held_up = |stall: &Stall| {
        let bounds = (stall.silence.from_ns, stall.silence.to_ns());
        let holds = |other: &Stall| {
            let both = within((other.silence.from_ns, other.silence.to_ns()), bounds);
            let both_ns = both.map_or(0, |(from_ns, to_ns)| to_ns - from_ns) as f64;
            other.silence.len_ns > stall.silence.len_ns
                && place(other) > place(stall)
                && both_ns >= INSIDE * stall.silence.len_ns as f64
        };
        !stall.program.is_empty() && stalls.iter().any(holds)
    };
    stalls.iter().filter(|stall| !is_held_up(stall)).cloned().collect()
}

/// Rare silences of the processes that buffers come from, after which those come at once that were due. A source that has
/// nothing to do is silent as well; it has nothing to make up for. One that waits for a buffer that comes back to it, as a client
/// for an answer, does not stand still: what took long is that buffer.
fn of_sources(
    rows: &Buffers,
    definitions: &Definitions,
    silences: &BTreeMap<ProcessId, Silences>,
) -> Vec<Stall> {
    let mut found = Vec::new();
    for (&process, own) in silences.iter().filter(|(_, own)| own.events > LEAST as u64) {
        let is_source = |row: &usize| process_of(rows.hits(*row)[0].thread, definitions) == process;
        let mut came: Vec<(u64, usize)> =
            (0..rows.len()).filter(is_source).map(|row| (rows.entered_ns(row), row)).collect();
        came.sort_unstable();
        let (Some(first), Some(last)) = (came.first(), came.last()) else { continue };
        let all_ns = (last.0 - first.0) as f64;
        let returning: Vec<(u64, u64)> = came
            .iter()
            .filter_map(|&(entered_ns, row)| Some((entered_ns, rows.hits(row).last()?)))
            .filter(|(_, left)| process_of(left.thread, definitions) == process)
            .map(|(entered_ns, left)| (entered_ns, left.time_ns))
            .collect();
        let awaits = |silence: &Silence| {
            let covers = |&bounds: &(u64, u64)| {
                within(bounds, (silence.from_ns, silence.to_ns())).is_some_and(|(from_ns, to_ns)| {
                    (to_ns - from_ns) as f64 >= INSIDE * silence.len_ns as f64
                })
            };
            returning.iter().any(covers)
        };
        let longest = own.longest();
        let Some(usual_ns) = longest.get(RARE).map(|silence| silence.len_ns) else { continue };
        for &silence in longest[..RARE].iter().filter(|it| it.len_ns as f64 >= TIMES * usual_ns as f64) {
            let until_ns = silence.to_ns().saturating_add(silence.len_ns);
            let after = came.iter().filter(|(at_ns, _)| (silence.to_ns()..until_ns).contains(at_ns));
            let late: Vec<usize> = after.map(|&(_, row)| row).collect();
            let due = came.len() as f64 * silence.len_ns as f64 / all_ns;
            if awaits(&silence) || (late.len() as f64) < (CATCH_UP * due).max(due + CATCH_UP_LEAST) {
                continue;
            }
            let program = definitions.process(process);
            found.push(Stall {
                program: program.map_or_else(String::new, |process| process.program.to_string()),
                process,
                silence,
                of_source: true,
                held: late.iter().map(|&row| *rows.key(row)).collect(),
                rows: late,
                is_headline: false,
            });
        }
    }
    found
}

/// When buffers arrived at a process and left it.
struct Visits {
    /// Row, arrival and leaving, ns; in the order of the rows.
    stays: Vec<(usize, u64, u64)>,
    /// Logarithms of the times that they were in it, in order.
    logs: Vec<f64>,
}

impl Visits {
    fn new(rows: &Buffers, definitions: &Definitions, process: ProcessId) -> Self {
        let (mut stays, mut logs) = (Vec::new(), Vec::new());
        for (row, hits) in rows.all_hits().enumerate() {
            let is_here = |at: &usize| process_of(hits[*at].thread, definitions) == process;
            let mut here = (0..hits.len()).filter(is_here);
            let Some(first) = here.next().filter(|&first| first > 0) else { continue };
            let last = here.next_back().unwrap_or(first);
            let (arrived_ns, left_ns) = (hits[first - 1].time_ns, hits[last].time_ns);
            let began_ns = if last > first { hits[first].time_ns } else { arrived_ns };
            stays.push((row, arrived_ns, left_ns));
            logs.push((left_ns.saturating_sub(began_ns).max(1) as f64).ln());
        }
        logs.sort_by(f64::total_cmp);
        Self { stays, logs }
    }

    /// The least length of a silence that is a stall. What stalls do to the times does not move it: it depends on the
    /// lower quartile and on what is below.
    fn limit_ns(&self) -> Option<f64> {
        if self.logs.len() < LEAST {
            return None;
        }
        let [low, middle] = [0.05, 0.25].map(|share| quantile_of_sorted(&self.logs, share));
        let deviation = ((middle - low) / 0.97).max(LEAST_DEVIATION);
        Some((TIMES * middle.exp()).max((middle + DEVIATIONS * deviation).exp()))
    }

    /// The rows that a silence held; `None` if it held none for long.
    fn held(&self, silence: Silence) -> Option<Vec<usize>> {
        let len_ns = silence.len_ns as f64;
        let share = |&(_, arrived_ns, left_ns): &(usize, u64, u64)| {
            let held = within((arrived_ns, left_ns), (silence.from_ns, silence.to_ns()));
            held.map_or(0.0, |(from_ns, to_ns)| (to_ns - from_ns) as f64 / len_ns)
        };
        self.stays
            .iter()
            .any(|stay| share(stay) >= INSIDE)
            .then(|| self.stays.iter().filter(|stay| share(stay) >= HELD).map(|&(row, ..)| row).collect())
    }
}

/// Whether the stalls of a program come again and again.
pub(crate) fn period(stalls: &[Stall]) -> Option<StallPeriod> {
    let mut by_process: BTreeMap<ProcessId, Vec<Silence>> = BTreeMap::new();
    for stall in stalls.iter().filter(|stall| !stall.program.is_empty()) {
        by_process.entry(stall.process).or_default().push(stall.silence);
    }
    by_process.into_iter().find_map(|(process, mut silences)| {
        silences.sort_unstable_by_key(|silence| silence.from_ns);
        if silences.len() < PERIODIC {
            return None;
        }
        let apart: Vec<f64> =
            silences.windows(2).map(|two| (two[1].from_ns - two[0].from_ns) as f64).collect();
        let period_ns = median(&apart);
        let fits = |apart: &&f64| {
            let times = (**apart / period_ns).round();
            (1.0..=3.0).contains(&times) && (**apart - times * period_ns).abs() <= 0.1 * period_ns
        };
        let lens: Vec<f64> = silences.iter().map(|silence| silence.len_ns as f64).collect();
        let program = stalls.iter().find(|stall| stall.process == process)?.program.clone();
        let regular = apart.iter().filter(fits).count() as f64 >= 0.8 * apart.len() as f64;
        regular.then(|| StallPeriod { program, period_ns, count: silences.len(), len_ns: median(&lens) })
    })
}
