//! Traces of one recording of which one is redacted: what they have in common cannot be told from its names.

use std::collections::HashMap;

use tracer_format::{Host, Process, Trace};

use super::redact::is_redacted;

/// A process of which a trace has events, and its host.
type KnownProcess<'t> = (&'t Process, Option<(&'t str, &'t str)>);

/// Pairs of `traces`, by their numbers, of which one is redacted, and that recorded the same processes at the same time. Where nothing
/// was found to be in both (`has_repeats` is false), or names differ, what both have stands in a merge twice.
pub(super) fn disguised(traces: &[&Trace<'_>], has_repeats: bool) -> Vec<(usize, usize)> {
    if !traces.iter().any(|trace| is_redacted(&trace.definitions)) {
        return Vec::new();
    }
    let processes: Vec<_> = traces.iter().map(|trace| processes(trace)).collect();
    let pairs = (0..traces.len()).flat_map(|one| (one + 1..traces.len()).map(move |other| (one, other)));
    pairs
        .filter(|&(one, other)| {
            let pair = [traces[one], traces[other]];
            let mut shared =
                processes[one].iter().filter_map(|(key, left)| Some((left, processes[other].get(key)?)));
            let is_disguised = shared.any(|(left, right)| !has_repeats || !is_same(left, right));
            is_disguised && pair.iter().any(|trace| is_redacted(&trace.definitions)) && overlap(pair)
        })
        .collect()
}

/// Processes by what no redaction changes: pid and start.
fn processes<'t>(trace: &'t Trace<'_>) -> HashMap<(u32, u64), KnownProcess<'t>> {
    let known = trace.definitions.processes.iter().filter(|process| process.start_ns > 0);
    let host = |host: &'t Host| (&host.name[..], &host.boot_id[..]);
    known
        .map(|process| {
            let of = trace.definitions.hosts.get(process.host.index()).map(host);
            ((process.pid, process.start_ns), (process, of))
        })
        .collect()
}

fn is_same((left, of_left): &KnownProcess<'_>, (right, of_right): &KnownProcess<'_>) -> bool {
    of_left == of_right && left.program == right.program && left.command == right.command
}

/// Whether two traces have events of the same time; a redaction leaves times as they are.
fn overlap([one, other]: [&Trace<'_>; 2]) -> bool {
    let (Some(one), Some(other)) = (one.time_range(), other.time_range()) else { return false };
    one.0 <= other.1 && other.0 <= one.1
}
