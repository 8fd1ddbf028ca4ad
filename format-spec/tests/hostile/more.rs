//! More traces with very many of one thing: what is alike, what overlaps, and what looks like chance.

use std::sync::Arc;

use tracer_format::{
    ArgKind, ClockAnchor, Definition, Firing, Gap, Host, HostId, Process, ProcessId, Site, Skipped,
    SkippedKind, ThreadId,
};

use super::Making;
use super::stages::mixed;

/// Two stages whose begins and ends come by turns, without a number that tells spans apart.
pub(super) fn taking_turns(it: &mut Making, count: u32) {
    let (thread, begin, end) = it.pair();
    let [next, last] = ["beg_t", "end_t"].map(|probe| it.number_site(probe));
    it.stage("s", "a:beg_s", "a:end_s", "tid");
    it.stage("t", "a:beg_t", "a:end_t", "tid");
    for round in 0..u64::from(count / 4) {
        [begin, next, end, last].iter().for_each(|&site| it.fire(thread, site, round));
    }
}

/// Each begins before the one before ends.
pub(super) fn half_inside(it: &mut Making, count: u32) {
    let (thread, begin, end) = it.pair();
    it.fire(thread, begin, 0);
    for key in 1..u64::from(count / 2) {
        it.fire(thread, begin, key);
        it.fire(thread, end, key - 1);
    }
}

fn gap(it: &mut Making, from_ns: u64, to_ns: u64) {
    let gap = Gap { host: HostId(0), cpu: 0, site: Gap::ANY_SITE, from_ns, to_ns, count: 1 };
    it.writer.gap(gap).expect("written");
}

pub(super) fn gaps_alike(it: &mut Making, count: u32) {
    it.few_spans();
    (0..count).for_each(|_| gap(it, 1000, 2000));
}

pub(super) fn gaps_in_gaps(it: &mut Making, count: u32) {
    it.few_spans();
    let most = u64::from(count);
    (0..most).for_each(|number| gap(it, number, 2 * most - number));
}

pub(super) fn skipped_alike(it: &mut Making, count: u32) {
    it.few_spans();
    for number in 0..count {
        let reason = "alike".to_owned();
        let skipped = Skipped { kind: SkippedKind::Files, pid: number % 7, reason, ..Skipped::default() };
        it.writer.define(Definition::Skipped(skipped)).expect("written");
    }
}

pub(super) fn long_facts(it: &mut Making, count: u32) {
    it.few_spans();
    for pid in 0..count {
        let [program, path, provider, probe, reason] = [(); 5].map(|()| "\u{1b}".repeat(4000));
        let skipped = Skipped { pid, program, path, provider, probe, reason, ..Skipped::default() };
        it.writer.define(Definition::Skipped(skipped)).expect("written");
    }
}

pub(super) fn long_reasons(it: &mut Making, count: u32) {
    it.few_spans();
    for pid in 0..count {
        let reason = "\u{202e}".repeat(1300);
        let skipped = Skipped { kind: SkippedKind::Files, pid, reason, ..Skipped::default() };
        it.writer.define(Definition::Skipped(skipped)).expect("written");
    }
}

pub(super) fn sites_alike(it: &mut Making, count: u32) {
    it.few_spans();
    for _ in 0..count {
        it.number_site("alike");
    }
}

pub(super) fn processes_alike(it: &mut Making, count: u32) {
    it.few_spans();
    for _ in 0..count {
        let command = ["a", "b"].map(Arc::from).into();
        let process =
            Process { pid: 5, program: "p".into(), executable: "/p".into(), command, ..Process::default() };
        it.writer.process(process).expect("written");
    }
}

/// Those that differ in a number take more bytes of a file each.
pub(super) fn sites_nearly_alike(it: &mut Making, count: u32) {
    it.few_spans();
    for number in 0..count {
        let (provider, probe, program) = ("a".into(), "alike".into(), "p".into());
        let site =
            Site { provider, probe, program, offset: number.into(), announced: true, ..Site::default() };
        it.writer.site(site).expect("written");
    }
}

pub(super) fn processes_nearly_alike(it: &mut Making, count: u32) {
    it.few_spans();
    for pid in 0..count {
        let process = Process { pid, program: "p".into(), ..Process::default() };
        it.writer.process(process).expect("written");
    }
}

pub(super) fn hosts_alike(it: &mut Making, count: u32) {
    it.few_spans();
    for _ in 0..count {
        let (name, kernel, boot_id) = ("h".into(), "k".into(), "b".into());
        let host = Host { name, kernel, boot_id, command: ["a".into()].into(), ..Host::default() };
        it.writer.host(host).expect("written");
    }
}

pub(super) fn anchors_alike(it: &mut Making, count: u32) {
    it.few_spans();
    for number in 0..count {
        let now_ns = u64::from(number);
        let anchor = ClockAnchor {
            host: HostId(0),
            monotonic_ns: now_ns,
            boottime_ns: now_ns,
            realtime_ns: now_ns.cast_signed(),
            tai_ns: 0,
        };
        it.writer.clock(anchor).expect("written");
    }
}

/// A block of an event at each end of its time.
fn block_between(it: &mut Making, from_ns: u64, to_ns: u64, key: u64) {
    let (begin, end) = (tracer_format::SiteId(0), tracer_format::SiteId(1));
    for (site, time_ns) in [(begin, from_ns), (end, to_ns)] {
        let values = &[key][..];
        let firing = Firing { time_ns, thread: ThreadId(0), site, cpu: 0, unreadable: 0, values };
        it.writer.push(&firing).expect("written");
    }
    it.seal();
}

pub(super) fn overlapping_blocks(it: &mut Making, count: u32) {
    it.few_spans();
    it.seal();
    (0..count).for_each(|key| block_between(it, 1000, 1_000_000_000, key.into()));
}

pub(super) fn blocks_in_blocks(it: &mut Making, count: u32) {
    it.few_spans();
    it.seal();
    let most = u64::from(count);
    (0..most).for_each(|number| block_between(it, 1000 + number, 1000 + 2 * most - number, number));
}

pub(super) fn one_number(it: &mut Making, count: u32) {
    let (_, begin, end) = it.pair();
    for number in 0..count {
        let thread = it.process(7, "p", number.into());
        it.spans(thread, begin, end, 1);
    }
}

pub(super) fn children(it: &mut Making, count: u32) {
    let (_, begin, end) = it.pair();
    for pid in 2..count {
        let process = Process { pid, parent_pid: pid - 1, program: "p".into(), ..Process::default() };
        let process = it.writer.process(process).expect("written");
        let thread = it.thread(process, pid);
        it.spans(thread, begin, end, 1);
    }
}

pub(super) fn threads_alike(it: &mut Making, count: u32) {
    let (_, begin, end) = it.pair();
    for number in 0..count {
        it.process(2 + number, "p", 0);
        let last = it.writer.definitions().processes.len() - 1;
        let thread = it.thread(ProcessId::at(last), 1);
        it.spans(thread, begin, end, 1);
    }
}

fn of_kinds(it: &mut Making, probe: &str, kind: ArgKind) -> tracer_format::SiteId {
    let (provider, args) = ("a".to_owned(), vec![kind; 12]);
    let site = Site {
        provider: provider.into(),
        probe: probe.into(),
        args: args.into(),
        announced: true,
        ..Site::default()
    };
    it.writer.site(site).expect("written")
}

fn fire_all(it: &mut Making, site: tracer_format::SiteId, values: &[u64]) {
    it.now_ns += 1000;
    let firing = Firing { time_ns: it.now_ns, thread: ThreadId(0), site, cpu: 0, unreadable: 0, values };
    it.writer.push(&firing).expect("written");
}

pub(super) fn many_strings(it: &mut Making, count: u32) {
    it.few_spans();
    let site = of_kinds(it, "told", ArgKind::Str);
    for number in 0..u64::from(count) {
        let values: Vec<u64> =
            (0..12).map(|at| it.writer.intern(&mixed(number * 12 + at).to_le_bytes()[..7])).collect();
        fire_all(it, site, &values);
    }
}

pub(super) fn chance(it: &mut Making, count: u32) {
    it.few_spans();
    let sites = ["beg_x", "end_x"].map(|probe| of_kinds(it, probe, ArgKind::Unsigned(8)));
    for number in 0..u64::from(count) {
        let values: Vec<u64> = (0..12).map(|at| mixed(number / 2 * 12 + at)).collect();
        fire_all(it, sites[usize::from(number % 2 == 1)], &values);
    }
}
