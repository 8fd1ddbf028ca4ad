//! Traces of one recording of which one is redacted: what they have in common cannot be told from its names.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use tracer_format::{Batch, Definitions, Host, Process, Thread, Trace};

use super::redact::is_redacted;

/// An event by what no redaction changes: its time, pid and tid.
type Fingerprint = (u64, u32, u32);

/// Events of the smaller of two traces that are looked for in the other, at most.
const MAX_SAMPLE: usize = 1 << 16;

/// Of so many events of one trace, one at least is in the other if they are of one recording. Of two hosts, whose processes have the same
/// numbers because they started in the same way, next to none is.
const ONE_OF: usize = 100;

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
            is_disguised
                && pair.iter().any(|trace| is_redacted(&trace.definitions))
                && overlap(pair)
                && (pair.iter().any(|trace| trace.definitions.hosts.len() > 1) || share_events(pair))
        })
        .collect()
}

/// Processes by what no redaction changes: pid and start.
fn processes<'t>(trace: &'t Trace<'_>) -> HashMap<(u32, u64), KnownProcess<'t>> {
    let known = trace.definitions.processes.iter().filter(|process| process.start_ns > 0);
    let host = |host: &'t Arc<Host>| (&host.name[..], &host.boot_id[..]);
    known
        .map(|process| {
            let of = trace.definitions.hosts.get(process.host.index()).map(host);
            ((process.pid, process.start_ns), (&**process, of))
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

/// Whether two traces have events in common: at the same time, of the same thread. In what was merged before times may have moved: that
/// is not asked about.
fn share_events(mut pair: [&Trace<'_>; 2]) -> bool {
    pair.sort_by_key(|trace| trace.events());
    let [less, more] = pair;
    // Those whose hashes are least: wherever the two overlap, and whatever else is in the one alone.
    let mut sample = BTreeSet::new();
    let window = |trace: &Trace<'_>| trace.time_range().unwrap_or_default();
    each_fired(less, window(more), |fired| {
        let entry = (hash(fired), fired);
        if sample.len() < MAX_SAMPLE || sample.last().is_some_and(|last| entry < *last) {
            sample.insert(entry);
        }
        if sample.len() > MAX_SAMPLE {
            sample.pop_last();
        }
    });
    let mut found = BTreeSet::new();
    each_fired(more, window(less), |fired| {
        if sample.contains(&(hash(fired), fired)) {
            found.insert(fired);
        }
    });
    !found.is_empty() && found.len() * ONE_OF >= sample.len()
}

/// The events of `trace` within a time range.
fn each_fired(trace: &Trace<'_>, (from_ns, until_ns): (u64, u64), mut fired: impl FnMut(Fingerprint)) {
    let Definitions { threads, processes, .. } = &trace.definitions;
    let pid = |thread: &Thread| processes.get(thread.process.index()).map_or(0, |process| process.pid);
    let ids: Vec<(u32, u32)> = threads.iter().map(|thread| (pid(thread), thread.tid)).collect();
    let mut batches = trace.batches_where(|block| block.first_ns <= until_ns && from_ns <= block.last_ns);
    while let Some(batch) = batches.next() {
        let Batch::Events { columns, rows } = batch else { continue };
        for row in rows {
            let event = columns.event(row);
            if let Some(&(pid, tid)) = ids.get(event.thread.index())
                && (from_ns..=until_ns).contains(&event.time_ns)
            {
                fired((event.time_ns, pid, tid));
            }
        }
    }
}

/// A number that says nothing of the order of events; the same in every process.
fn hash((time_ns, pid, tid): Fingerprint) -> u64 {
    let mixed = (time_ns ^ u64::from(pid).rotate_left(40) ^ u64::from(tid).rotate_left(20))
        .wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ (mixed >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93)
}

#[cfg(test)]
mod tests {
    use tracer_format::{ArgKind, Firing, Site, SiteId, ThreadId, Writer, WriterOptions};

    use super::*;

    /// A trace of a process that fires at these times; of a redacted host, and of one more if it was merged.
    fn recorded(boot_id: &str, times: impl Iterator<Item = u64>, hosts: usize) -> Vec<u8> {
        let mut writer = Writer::new(Vec::new(), WriterOptions::default()).unwrap();
        for host in 0..hosts {
            let boot_id = format!("{boot_id}{host}");
            writer
                .host(Host { boot_id: boot_id.into(), tool: "tracer, redacted".into(), ..Host::default() })
                .unwrap();
        }
        let process = writer.process(Process { pid: 7, start_ns: 5, ..Process::default() }).unwrap();
        writer.thread(Thread { process, tid: 8 }).unwrap();
        writer
            .site(Site { probe: "p".into(), args: vec![ArgKind::Signed(8)].into(), ..Site::default() })
            .unwrap();
        for time_ns in times {
            let (thread, site, values) = (ThreadId(0), SiteId(0), &[1][..]);
            writer.push(&Firing { time_ns, thread, site, cpu: 0, unreadable: 0, values }).unwrap();
        }
        writer.finish().unwrap()
    }

    /// Two hosts that start the same programs in the same way have processes of the same pid and start: they were said to be one.
    #[test]
    fn runs_that_are_only_alike_are_not_the_same() {
        let all = || (1..300_000).map(|at| at * 1000);
        let pairs = |other: Vec<u8>| {
            let files = [recorded("a", all(), 1), other];
            let traces: Vec<Trace<'_>> = files.iter().map(|file| Trace::open(file).unwrap()).collect();
            let found = disguised(&traces.iter().collect::<Vec<_>>(), false);
            let other_way = disguised(&traces.iter().rev().collect::<Vec<_>>(), false);
            assert_eq!(found, other_way);
            found.len()
        };
        assert_eq!(pairs(recorded("b", all(), 1)), 1, "the same");
        assert_eq!(pairs(recorded("b", all().skip(200_000), 1)), 1, "its second half");
        assert_eq!(pairs(recorded("b", all().step_by(7), 1)), 1, "a part of its events");
        assert_eq!(pairs(recorded("b", all().map(|at| at + 1), 1)), 0, "another run");
        let chance = all().map(|at| if at % 1_000_000 == 0 { at } else { at + 1 });
        assert_eq!(
            pairs(recorded("b", chance, 1)),
            0,
            "another run, a few of whose events have the same time"
        );
        assert_eq!(pairs(recorded("b", all().map(|at| at + 1), 2)), 1, "merged: its times may have moved");
    }
}
