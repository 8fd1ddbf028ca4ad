//! Hand-made traces, merged.

use tracer_format::{
    ArgKind, ClockAnchor, Firing, Host, Process, Site, SiteId, Thread, ThreadId, WriterOptions,
};

use super::*;

const SECOND: u64 = 1_000_000_000;

/// A trace of a boot; times in seconds: of the events, and of anchors: on the events' clock, since boot, by the calendar.
fn recorded(boot_id: &str, events: &[u64], anchors: &[(u64, u64, i64)]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), WriterOptions::default()).unwrap();
    writer.host(Host { boot_id: boot_id.into(), ..Host::default() }).unwrap();
    let process = writer.process(Process { pid: 7, ..Process::default() }).unwrap();
    writer.thread(Thread { process, tid: 7 }).unwrap();
    writer
        .site(Site { probe: "p".into(), args: vec![ArgKind::Signed(8)].into(), ..Site::default() })
        .unwrap();
    for &(monotonic, boottime, wall) in anchors {
        let realtime_ns = wall * SECOND.cast_signed();
        let (monotonic_ns, boottime_ns) = (monotonic * SECOND, boottime * SECOND);
        let anchor = ClockAnchor { monotonic_ns, boottime_ns, realtime_ns, ..ClockAnchor::default() };
        writer.clock(anchor).unwrap();
    }
    for &at in events {
        let (thread, site, values) = (ThreadId(0), SiteId(0), &[at]);
        writer.push(&Firing { time_ns: at * SECOND, thread, site, cpu: 0, unreadable: 0, values }).unwrap();
    }
    writer.finish().unwrap()
}

/// What came of merging files, and the merged file.
fn merged(files: &[&Vec<u8>]) -> (Copied, Vec<u8>) {
    let traces: Vec<_> = files.iter().map(|file| Trace::open(file).unwrap()).collect();
    let inputs: Vec<_> = traces.iter().map(|trace| Input { trace, selection: Selection::all() }).collect();
    let mut writer = Writer::new(Vec::new(), WriterOptions::default()).unwrap();
    let copied = copy(&inputs, &mut writer).unwrap();
    (copied, writer.finish().unwrap())
}

/// Times in seconds and arguments of the events, in the order of the file.
fn events(file: &[u8]) -> Vec<(u64, u64)> {
    let trace = Trace::open(file).unwrap();
    let mut batches = trace.batches();
    let mut events = Vec::new();
    while let Some(batch) = batches.next() {
        if let Batch::Events { columns, rows } = batch {
            events.extend(rows.map(|row| (columns.time_ns[row] / SECOND, columns.row_values(row)[0])));
        }
    }
    events
}

#[test]
fn events_from_before_the_boot_of_the_first_trace_keep_their_distance() {
    // The second host was up for 1000 s when the first one booted, and fired 8 s before that.
    let files = [recorded("new", &[2], &[(1, 1, 101)]), recorded("old", &[1002], &[(1000, 1000, 90)])];
    let (copied, merged) = merged(&[&files[0], &files[1]]);
    assert_eq!(copied.outcome.events, 2);
    let (first_ns, last_ns) = Trace::open(&merged).unwrap().time_range().unwrap();
    assert_eq!(last_ns - first_ns, 10 * SECOND, "wall times 92 and 102 s");
}

#[test]
fn what_was_merged_is_merged_with_more_of_its_boot() {
    let files = [recorded("new", &[2], &[(1, 1, 101)]), recorded("old", &[1002], &[(1000, 1000, 90)])];
    let (_, both) = merged(&[&files[0], &files[1]]);
    // By the calendar the events were at 92, 102 and 105 s, of which the one at 102 s is in both.
    let more = recorded("new", &[2, 5], &[(1, 1, 101), (6, 6, 106)]);
    for order in [[&both, &more], [&more, &both]] {
        let (copied, all) = merged(&order);
        let found = events(&all);
        let apart: Vec<u64> = found.iter().map(|event| event.0 - found[0].0).collect();
        assert_eq!((apart, copied.repeated), (vec![0, 10, 13], 1));
    }
}

#[test]
fn every_anchor_of_other_hosts_is_followed() {
    let base = recorded("base", &[10, 100], &[(0, 0, 1000)]);
    let step = |slept| ClockStep { input: 1, at_ns: 30 * SECOND, by_ns: 60_000_000_000, slept };
    // Set forward by 60 s, and asleep for as long: wall times 1020, 1095 and 1100 s.
    for (boottime, slept) in [(30, false), (90, true)] {
        let other = recorded("other", &[20, 35, 40], &[(10, 10, 1010), (30, boottime, 1090)]);
        let (copied, file) = merged(&[&base, &other]);
        assert_eq!(copied.steps, [step(slept)]);
        assert_eq!(events(&file), [(10, 10), (20, 20), (95, 35), (100, 40), (100, 100)]);
    }
    // The same where it is the first trace whose clock was set.
    let other = recorded("other", &[20, 35, 40], &[(10, 10, 1010), (30, 30, 1090)]);
    let (_, file) = merged(&[&other, &base]);
    assert_eq!(events(&file), [(10, 10), (20, 20), (95, 35), (100, 40), (100, 100)]);
}

#[test]
fn events_are_in_order_where_a_clock_was_set_back() {
    let base = recorded("base", &[1, 18], &[(0, 0, 1000)]);
    // At 20 s the clock goes from 1020 to 1010 s.
    let back = recorded("back", &[14, 19, 21, 25], &[(0, 0, 1000), (20, 20, 1010)]);
    let (copied, file) = merged(&[&base, &back]);
    assert_eq!(copied.steps[0].by_ns, -10_000_000_000);
    assert_eq!(events(&file), [(1, 1), (11, 21), (14, 14), (15, 25), (18, 18), (19, 19)]);
}

#[test]
fn what_reading_clocks_takes_is_no_step() {
    let mut other = recorded("other", &[10, 40], &[(0, 0, 1000), (20, 20, 1020)]);
    let base = recorded("base", &[1], &[(0, 0, 1000)]);
    let (copied, _) = merged(&[&base, &other]);
    assert_eq!(copied.steps, []);
    // Within one boot nothing moves, whatever the calendar says.
    other = recorded("base", &[10, 40], &[(0, 0, 1000), (20, 20, 5000)]);
    let (copied, file) = merged(&[&base, &other]);
    assert_eq!((copied.steps, events(&file)), (vec![], vec![(1, 1), (10, 10), (40, 40)]));
}

#[test]
fn what_several_traces_have_in_common_is_taken_once() {
    let one = recorded("a", &[1, 2, 3, 3, 4], &[(0, 0, 1000), (5, 5, 1005)]);
    let two = recorded("a", &[3, 4, 5], &[(3, 3, 1003), (6, 6, 1006)]);
    let (copied, file) = merged(&[&one, &two]);
    assert_eq!((copied.repeated, copied.outcome.events), (2, 6));
    assert_eq!(events(&file).iter().map(|event| event.0).collect::<Vec<_>>(), [1, 2, 3, 3, 4, 5]);
    assert!(copied.outcome.skipped.is_empty());
}

proptest::proptest! {
    /// As often as the source has it that has it most often, wherever the events of the others stand.
    #[test]
    fn what_any_traces_have_in_common_is_taken_as_often_as_one_has_it(
        sources in proptest::collection::vec(proptest::collection::vec(1..12_u64, 0..25), 2..5),
    ) {
        let record = |times: &Vec<u64>| {
            let mut times = times.clone();
            times.sort_unstable();
            recorded("a", &times, &[(0, 0, 1000), (20, 20, 1020)])
        };
        let files: Vec<Vec<u8>> = sources.iter().map(record).collect();
        let (copied, file) = merged(&files.iter().collect::<Vec<_>>());
        let count = |times: &Vec<u64>, time: u64| times.iter().filter(|&&it| it == time).count();
        let most = |time| sources.iter().map(|times| count(times, time)).max().unwrap_or_default();
        let expected: Vec<u64> = (1..12).flat_map(|time| vec![time; most(time)]).collect();
        let found: Vec<u64> = events(&file).iter().map(|event| event.0).collect();
        let all: usize = sources.iter().map(Vec::len).sum();
        proptest::prop_assert_eq!(copied.repeated, (all - expected.len()) as u64);
        proptest::prop_assert_eq!(found, expected);
    }
}

#[test]
fn the_time_between_two_runs_was_not_recorded() {
    let one = recorded("a", &[1, 2], &[(0, 0, 1000), (5, 5, 1005)]);
    let two = recorded("a", &[9], &[(8, 8, 1008), (10, 10, 1010)]);
    for order in [[&one, &two], [&two, &one]] {
        let (_, file) = merged(&order);
        let skipped = &Trace::open(&file).unwrap().definitions.skipped[..];
        let [Skipped { from_ns, until_ns, .. }] = skipped else { panic!("{skipped:?}") };
        assert_eq!((*from_ns, *until_ns), (5 * SECOND, 8 * SECOND));
    }
}
