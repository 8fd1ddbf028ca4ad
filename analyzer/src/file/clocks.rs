//! Several traces on one clock.
//!
//! Within one boot of one host all times are of one clock, and stay as they are. Others are compared by wall time, as the clock
//! anchors of each tell it; the new clock is that of the first trace, from its begin on.

use std::ops::RangeInclusive;

use tracer_format::{ClockAnchor, Shift, Trace};

use crate::select::clock::anchors;
use crate::{Error, Result};

/// An anchor's clocks are read one after the other; differences up to here say nothing, ns.
const READ_NS: u128 = 100_000;
/// How often the clock of a trace may have been set back.
const MAX_PARTS: usize = 256;
const TOO_FAR: Error = Error::Missing("the clocks of the traces are too far apart");

/// A place where wall time went on by more, or by less, than the clock of the events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockStep {
    /// Which of the inputs.
    pub input: usize,
    /// When, on the clock of its events, as far as anchors tell.
    pub at_ns: u64,
    /// By how much wall time went on in addition, ns.
    pub by_ns: i64,
    /// Whether the machine slept, and its clock was not set.
    pub slept: bool,
}

/// How several traces come on one clock.
#[derive(Debug, Default)]
pub(super) struct Clocks {
    /// For each trace.
    pub(super) shifts: Vec<Shift>,
    /// Parts of each trace that are in order on the new clock: a new one begins where its clock was set back.
    pub(super) windows: Vec<Vec<RangeInclusive<u64>>>,
    pub(super) steps: Vec<ClockStep>,
    /// Times between two runs on one boot: the later trace, and from and to on its clock.
    pub(super) between: Vec<(usize, u64, u64)>,
}

/// Puts `traces` on the clock of the first one, or, where another one has times from before that clock began, on one that began
/// earlier.
///
/// # Errors
/// [`Error::Missing`] if one of two traces of different boots has no clock anchors, or they are centuries apart.
pub(super) fn clocks(traces: &[&Trace<'_>]) -> Result<Clocks> {
    let boots: Vec<usize> = (0..traces.len()).map(|at| first_of_boot(traces, at)).collect();
    let mut clocks = Clocks { between: between(traces, &boots), ..Clocks::default() };
    let has_anchors = |trace: &&Trace<'_>| !trace.clocks.is_empty();
    let without = traces.iter().filter(|trace| !has_anchors(trace)).count();
    // Imported logs know of no clock but the one that their times are of.
    if boots.iter().all(|&boot| boot == 0) || without == traces.len() {
        clocks.shifts = vec![Shift::default(); traces.len()];
        clocks.windows = vec![vec![0..=u64::MAX]; traces.len()];
        return Ok(clocks);
    }
    if (0..traces.len()).any(|at| boot_anchors(traces, &boots, at).is_empty()) {
        return Err(Error::Missing(
            "the traces are of different boots and one has no clock anchors: their times cannot be compared",
        ));
    }
    let offsets: Vec<Vec<Offset>> =
        (0..traces.len()).map(|at| offsets(&boot_anchors(traces, &boots, at))).collect();
    let base = offsets[0][0].offset_ns;
    let earliest =
        traces.iter().zip(&offsets).filter_map(|(trace, offsets)| earliest(trace, offsets, base)).min();
    let later = -earliest.unwrap_or(0).min(0);
    for (at, offsets) in offsets.iter().enumerate() {
        let step = |it: &Offset| {
            let shift_ns = i64::try_from(it.offset_ns - base + later).map_err(|_| TOO_FAR)?;
            Ok((it.from_ns, shift_ns))
        };
        clocks.shifts.push(Shift::in_steps(offsets.iter().map(step).collect::<Result<_>>()?));
        clocks.windows.push(windows(offsets)?);
        clocks.steps.extend(steps(traces[at], at, offsets));
    }
    Ok(clocks)
}

/// From when on the clock of the events and wall time are so far apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Offset {
    from_ns: u64,
    offset_ns: i128,
    /// How far CLOCK_BOOTTIME is ahead of the events' clock: so long the machine has slept.
    slept_ns: i128,
}

/// The first trace that is of the same boot of the same host as that at `at`, by whose clock its times are.
fn first_of_boot(traces: &[&Trace<'_>], at: usize) -> usize {
    let boot = |trace: &Trace<'_>| trace.definitions.hosts.first().map(|host| host.boot_id.clone());
    let own = boot(traces[at]).filter(|id| !id.is_empty() && !is_moved(traces[at]));
    let boot = |trace: &Trace<'_>| boot(trace).filter(|_| !is_moved(trace));
    let same = |other: &&Trace<'_>| std::ptr::eq(*other, traces[at]) || own.is_some() && boot(other) == own;
    traces.iter().position(same).unwrap_or(at)
}

/// Whether the times of a trace are later than its clock's, as those of a merge are with traces from before that clock began: no clock is
/// ahead of that which counts the sleep as well.
fn is_moved(trace: &Trace<'_>) -> bool {
    let ahead = |anchor: &ClockAnchor| anchor.monotonic_ns.saturating_sub(anchor.boottime_ns);
    // 0 where it was not read.
    anchors(trace).iter().any(|anchor| anchor.boottime_ns > 0 && u128::from(ahead(anchor)) > READ_NS)
}

/// The anchors of all traces of the boot that the trace at `at` is of, ascending.
fn boot_anchors(traces: &[&Trace<'_>], boots: &[usize], at: usize) -> Vec<ClockAnchor> {
    let same = traces.iter().zip(boots).filter(|(_, boot)| **boot == boots[at]);
    let mut all: Vec<ClockAnchor> = same.flat_map(|(trace, _)| anchors(trace)).collect();
    all.sort_by_key(|anchor| anchor.monotonic_ns);
    all
}

/// The offsets that the anchors tell, without what reading the clocks one after the other makes of them.
fn offsets(anchors: &[ClockAnchor]) -> Vec<Offset> {
    let mut found: Vec<Offset> = Vec::new();
    for anchor in anchors {
        let offset_ns = anchor.offset_ns();
        if found.last().is_none_or(|last| last.offset_ns.abs_diff(offset_ns) > READ_NS) {
            let slept_ns = i128::from(anchor.boottime_ns) - i128::from(anchor.monotonic_ns);
            found.push(Offset { from_ns: anchor.monotonic_ns, offset_ns, slept_ns });
        }
    }
    found
}

/// The offset that serves a time: the last one that is not later, or else the first.
fn at(offsets: &[Offset], time_ns: u64) -> i128 {
    let after = offsets.partition_point(|offset| offset.from_ns <= time_ns);
    offsets[after.saturating_sub(1)].offset_ns
}

/// The earliest time of a trace on the clock of the base.
fn earliest(trace: &Trace<'_>, offsets: &[Offset], base: i128) -> Option<i128> {
    let times = || {
        let times = trace.blocks.iter().flat_map(|block| [block.first_ns, block.last_ns]);
        let times = times.chain(trace.gaps.iter().map(|gap| gap.from_ns));
        times.chain(trace.clocks.iter().map(|anchor| anchor.monotonic_ns))
    };
    let (first, last) = (times().min()?, times().max()?);
    let stepped = offsets.iter().map(|offset| offset.from_ns).filter(|from| (first..=last).contains(from));
    times().chain(stepped).map(|time_ns| i128::from(time_ns) + at(offsets, time_ns) - base).min()
}

/// Times between places where the clock was set back.
fn windows(offsets: &[Offset]) -> Result<Vec<RangeInclusive<u64>>> {
    let set_back = offsets.windows(2).filter(|pair| pair[1].offset_ns < pair[0].offset_ns);
    let mut windows = Vec::new();
    let mut begin_ns = 0;
    for pair in set_back {
        let Some(last_ns) = pair[1].from_ns.checked_sub(1) else { continue };
        windows.push(begin_ns..=last_ns);
        begin_ns = pair[1].from_ns;
    }
    windows.push(begin_ns..=u64::MAX);
    if windows.len() > MAX_PARTS {
        return Err(Error::Missing("the clock of a trace was set back more than 255 times"));
    }
    Ok(windows)
}

/// The steps within the time of a trace.
fn steps(trace: &Trace<'_>, input: usize, offsets: &[Offset]) -> Vec<ClockStep> {
    let (first_ns, last_ns) = trace.time_range().unwrap_or_default();
    let within = |pair: &&[Offset]| (first_ns..=last_ns).contains(&pair[1].from_ns);
    let step = |pair: &[Offset]| {
        let by = pair[1].offset_ns - pair[0].offset_ns;
        let slept = pair[1].slept_ns - pair[0].slept_ns;
        let by_ns = i64::try_from(by).unwrap_or(i64::MAX);
        ClockStep { input, at_ns: pair[1].from_ns, by_ns, slept: slept.abs_diff(by) <= READ_NS }
    };
    offsets.windows(2).filter(within).map(step).collect()
}

/// When no recorder was at work between runs of one boot, as far as their clock anchors and events tell.
fn between(traces: &[&Trace<'_>], boots: &[usize]) -> Vec<(usize, u64, u64)> {
    let mut found = Vec::new();
    for (first, _) in boots.iter().enumerate().filter(|(at, boot)| at == *boot) {
        let mut runs: Vec<(u64, u64, usize)> = Vec::new();
        for (at, trace) in traces.iter().enumerate().filter(|(at, _)| boots[*at] == first) {
            let anchors = trace.clocks.iter().map(|anchor| anchor.monotonic_ns);
            let times =
                || anchors.clone().chain(trace.time_range().into_iter().flat_map(|(from, to)| [from, to]));
            // Without anchors nothing tells how long it was recorded.
            if let (false, Some(from), Some(to)) = (trace.clocks.is_empty(), times().min(), times().max()) {
                runs.push((from, to, at));
            }
        }
        runs.sort_unstable();
        let mut end_ns = u64::MAX;
        for (from_ns, to_ns, at) in runs {
            if from_ns > end_ns {
                found.push((at, end_ns, from_ns));
            }
            end_ns = if end_ns == u64::MAX { to_ns } else { end_ns.max(to_ns) };
        }
    }
    found
}
