//! What a trace holds: where it is from, how it is stored, whose events are in it, what is missing.
//!
//! All of that stands in headers and definitions, so it is there at once at any size. How many events each probe and each
//! process has is known only when all events are decoded: [`count`] does that. Whether the events are sound is
//! [`verify`](super::verify)'s to say.

use std::collections::HashMap;
use std::convert::Infallible;

use tracer_format::header::FileHeader;
use tracer_format::{ArgKind, Batch, ClockAnchor, Exit, HostId, Process, ProcessId, Site, Trace};

use crate::select::{Outcome, Selection, clock};

mod facts;
mod json;

pub use facts::report;
pub(crate) use json::damaged;
pub use json::write_json;

/// Whether all that was recorded is in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileState {
    /// It ends with a footer.
    Complete,
    /// It has no footer: the recorder died or is still at work.
    Incomplete,
    /// Bytes of it cannot be used.
    Damaged,
}

impl FileState {
    /// The state as far as it shows without decoding the events.
    #[must_use]
    pub fn of(trace: &Trace<'_>) -> Self {
        match (trace.damage.is_empty(), trace.complete) {
            (false, _) => Self::Damaged,
            (true, false) => Self::Incomplete,
            (true, true) => Self::Complete,
        }
    }

    /// Name in texts and JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Incomplete => "incomplete",
            Self::Damaged => "damaged",
        }
    }
}

/// How many events are whose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counts {
    /// Events, and what turned out to be missing.
    pub outcome: Outcome,
    /// Events of each site.
    pub sites: Vec<u64>,
    /// Events of each process.
    pub processes: Vec<u64>,
}

/// Decodes all events and counts them.
#[must_use]
pub fn count(trace: &Trace<'_>) -> Counts {
    let definitions = &trace.definitions;
    let mut outcome = Outcome::of(trace, &Selection::all());
    let mut sites = vec![0; definitions.sites.len()];
    let mut threads = vec![0_u64; definitions.threads.len()];
    let walked = trace.walk(
        |_| true,
        trace.threads(),
        |batch| {
            match batch {
                Batch::Events { columns, rows } => {
                    outcome.events += rows.len() as u64;
                    columns.site[rows.clone()].iter().for_each(|&site| sites[site.index()] += 1);
                    columns.thread[rows].iter().for_each(|&thread| threads[thread.index()] += 1);
                }
                Batch::Gap(_) => {}
                Batch::Damaged(range) => outcome.damage.push(range),
            }
            Ok::<(), Infallible>(())
        },
    );
    let Ok(()) = walked;
    let mut processes = vec![0; definitions.processes.len()];
    for (thread, events) in definitions.threads.iter().zip(threads) {
        if let Some(count) = processes.get_mut(thread.process.index()) {
            *count += events;
        }
    }
    Counts { outcome, sites, processes }
}

/// The version of the format that the file says it has; `None` if its file header is lost.
fn version(trace: &Trace<'_>) -> Option<u16> {
    FileHeader::parse(trace.bytes()).ok().map(|header| header.version.get())
}

/// Times of the first and the last event, CLOCK_MONOTONIC ns, and the same as wall time if that is known.
struct Times {
    first_ns: u64,
    last_ns: u64,
    wall_ns: Option<(i64, i64)>,
}

impl Times {
    fn of(trace: &Trace<'_>) -> Option<Self> {
        let (first_ns, last_ns) = trace.time_range()?;
        let anchors = clock::anchors(trace);
        let wall = |time_ns| clock::realtime_ns(&anchors, time_ns);
        let wall_ns = wall(first_ns).zip(wall(last_ns));
        Some(Self { first_ns, last_ns, wall_ns })
    }
}

/// When processes started and how they ended.
struct Lives<'t> {
    /// First clock anchor of each host.
    anchors: HashMap<HostId, &'t ClockAnchor>,
    exits: HashMap<ProcessId, &'t Exit>,
}

impl<'t> Lives<'t> {
    fn of(trace: &'t Trace<'_>) -> Self {
        Self {
            anchors: trace.clocks.iter().rev().map(|anchor| (anchor.host, anchor)).collect(),
            exits: trace.definitions.exits.iter().map(|exit| (exit.process, exit)).collect(),
        }
    }

    /// When a process started, ns since 1970-01-01 UTC; `None` if that is not known.
    fn started_ns(&self, process: &Process) -> Option<i64> {
        let anchor = self.anchors.get(&process.host).filter(|_| process.start_ns > 0)?;
        let since = i128::from(process.start_ns) - i128::from(anchor.boottime_ns);
        i64::try_from(i128::from(anchor.realtime_ns) + since).ok()
    }

    fn exit(&self, id: usize) -> Option<&'t Exit> {
        self.exits.get(&ProcessId::at(id)).copied()
    }
}

/// Processes that are defined, with their ids: places of lost definitions are empty.
fn processes<'t>(trace: &'t Trace<'_>) -> impl Iterator<Item = (usize, &'t Process)> {
    let is_defined = |process: &Process| process.pid != 0 || !process.program.is_empty();
    let processes = trace.definitions.processes.iter().map(|process| &**process).enumerate();
    processes.filter(move |(_, process)| is_defined(process))
}

/// The sites of one probe in one binary.
struct ProbeSites<'t> {
    /// One of the sites.
    site: &'t Site,
    /// How many there are.
    sites: usize,
    /// Their events, if they were counted.
    events: Option<u64>,
}

/// The probes, in the order of their first sites.
fn probes<'t>(trace: &'t Trace<'_>, counts: Option<&Counts>) -> Vec<ProbeSites<'t>> {
    let sites = &trace.definitions.sites;
    let name = |id: &u32| {
        let site = &*sites[*id as usize];
        (&site.provider, &site.probe, &site.program, &site.build_id, &site.args)
    };
    let events = |id: &u32| counts.and_then(|counts| counts.sites.get(*id as usize).copied());
    // There may be hundreds of thousands.
    let mut ids: Vec<u32> =
        (0..).zip(sites).filter(|(_, site)| !site.probe.is_empty()).map(|(id, _)| id).collect();
    ids.sort_by(|left, right| name(left).cmp(&name(right)));
    let mut probes: Vec<(u32, ProbeSites<'t>)> = ids
        .chunk_by(|left, right| name(left) == name(right))
        .map(|alike| {
            let events = alike.iter().map(events).sum();
            (alike[0], ProbeSites { site: &sites[alike[0] as usize], sites: alike.len(), events })
        })
        .collect();
    probes.sort_unstable_by_key(|(first, _)| *first);
    probes.into_iter().map(|(_, probe)| probe).collect()
}

/// Kinds of arguments as `i64 u32 f64 str`.
fn argument_names(args: &[ArgKind]) -> String {
    let name = |kind: &ArgKind| match kind {
        ArgKind::Signed(size) => format!("i{}", u32::from(*size) * 8),
        ArgKind::Unsigned(size) => format!("u{}", u32::from(*size) * 8),
        ArgKind::Float(size) => format!("f{}", u32::from(*size) * 8),
        ArgKind::Str => "str".to_owned(),
        ArgKind::Unknown(_) => "?".to_owned(),
    };
    args.iter().map(name).collect::<Vec<_>>().join(" ")
}

/// Bytes as hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
