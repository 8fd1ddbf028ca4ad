//! Damage in a trace that is copied: the new one is sound, and has a gap where events could not be read.

use tracer_format::{DamagedRange, Gap, HostId, Trace};

use crate::select::time_of_damage;

/// The gap that stands for damaged bytes: as many events as a sound header tells, within the time of the trace. Where no events are left,
/// its clock anchors tell that time.
pub(super) fn gap_of(range: &DamagedRange, trace: &Trace<'_>) -> Gap {
    let anchors = || trace.clocks.iter().map(|anchor| anchor.monotonic_ns);
    let (first_ns, last_ns) = trace
        .time_range()
        .unwrap_or_else(|| (anchors().min().unwrap_or_default(), anchors().max().unwrap_or_default()));
    let (from_ns, to_ns) = time_of_damage(range, trace);
    let [from_ns, to_ns] = [from_ns, to_ns].map(|time_ns| time_ns.clamp(first_ns, last_ns));
    let (cpu, site, count) = (Gap::ANY_CPU, Gap::ANY_SITE, u64::from(range.events));
    Gap { host: HostId(0), cpu, site, from_ns, to_ns, count }
}

/// The gaps that stand for what was found to be damaged when a trace was opened. Bytes that are damaged, and the block that is
/// missing there, are one.
pub(super) fn gaps_of(trace: &Trace<'_>) -> Vec<Gap> {
    let mut gaps: Vec<Gap> = trace.damage.iter().map(|range| gap_of(range, trace)).collect();
    gaps.dedup();
    gaps
}

/// Whether one of the others recorded on the same boot at that time: what is damaged here is there.
pub(super) fn is_elsewhere<'t, 'a: 't>(
    gap: &Gap,
    trace: &Trace<'_>,
    mut others: impl Iterator<Item = &'t Trace<'a>>,
) -> bool {
    let boot = trace.definitions.hosts.first().map(|host| &host.boot_id);
    others.any(|other| {
        let covers = |(first_ns, last_ns)| first_ns <= gap.from_ns && gap.to_ns <= last_ns;
        boot.is_some_and(|boot| !boot.is_empty())
            && other.definitions.hosts.first().map(|host| &host.boot_id) == boot
            && other.time_range().is_some_and(covers)
    })
}
