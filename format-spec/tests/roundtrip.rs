//! Any events pushed come back in time order, with every argument, whatever the block size.

use proptest::prelude::*;
use tracer_format::{
    Arg, ArgKind, Batch, ClockAnchor, Definition, Firing, Gap, Host, Process, ProcessId, Site, SiteId,
    Thread, ThreadId, Trace, Writer, WriterOptions,
};

/// An event as the tests write it.
#[derive(Debug, Clone, PartialEq)]
struct Plain {
    time_ns: u64,
    thread: u32,
    site: u32,
    cpu: u16,
    unreadable: u16,
    values: Vec<u64>,
    text: Vec<u8>,
}

const THREADS: u32 = 5;

/// Kinds of the arguments of the sites: none, one, several with a string.
fn kinds(site: u32) -> Vec<ArgKind> {
    match site {
        0 => vec![],
        1 => vec![ArgKind::Signed(8)],
        2 => vec![ArgKind::Unsigned(4), ArgKind::Str, ArgKind::Float(8)],
        _ => vec![ArgKind::Float(4)],
    }
}

fn plain() -> impl Strategy<Value = Plain> {
    let time = prop_oneof![0..1000_u64, any::<u64>(), Just(u64::MAX)];
    let values = proptest::collection::vec(prop_oneof![0..100_u64, any::<u64>()], 3);
    let text = proptest::collection::vec(any::<u8>(), 0..20);
    (time, 0..THREADS, 0..4_u32, any::<u16>(), any::<u16>(), values, text).prop_map(
        |(time_ns, thread, site, cpu, unreadable, mut values, text)| {
            let kinds = kinds(site);
            values.truncate(kinds.len());
            let unreadable = if unreadable % 3 == 0 { unreadable & ((1 << kinds.len()) - 1) } else { 0 };
            Plain { time_ns, thread, site, cpu, unreadable, values, text }
        },
    )
}

fn write(events: &[Plain], block_events: usize) -> Vec<u8> {
    let options = WriterOptions { block_events, ..WriterOptions::default() };
    let mut writer = Writer::new(Vec::new(), options).expect("a Vec takes all");
    writer.define(Definition::Host(Host { name: "here".into(), ..Host::default() }.into())).expect("defined");
    for thread in 0..THREADS {
        let process =
            Process { pid: 100 + thread, program: format!("p{thread}").into(), ..Process::default() };
        writer.define(Definition::Process(process.into())).expect("defined");
        writer
            .define(Definition::Thread(Thread { process: ProcessId(thread), tid: 100 + thread }))
            .expect("defined");
    }
    for site in 0..4 {
        let probe = format!("probe{site}");
        let site = Site {
            provider: "test".into(),
            probe: probe.into(),
            args: kinds(site).into(),
            ..Site::default()
        };
        writer.define(Definition::Site(site.into())).expect("defined");
    }
    for event in events {
        let mut values = event.values.clone();
        if let Some(at) = kinds(event.site).iter().position(|kind| *kind == ArgKind::Str) {
            values[at] = writer.intern(&event.text);
        }
        let Plain { time_ns, thread, site, cpu, unreadable, .. } = *event;
        writer
            .push(&Firing {
                time_ns,
                thread: ThreadId(thread),
                site: SiteId(site),
                cpu,
                unreadable,
                values: &values,
            })
            .expect("pushed");
    }
    writer.gap(Gap { count: 3, from_ns: 5, to_ns: 9, ..Gap::default() }).expect("taken");
    writer.clock(ClockAnchor { realtime_ns: -1, ..ClockAnchor::default() }).expect("taken");
    writer.finish().expect("finished")
}

fn read(trace: &Trace<'_>) -> Vec<Plain> {
    let mut events = Vec::new();
    let mut batches = trace.batches();
    while let Some(batch) = batches.next() {
        match batch {
            Batch::Events { columns, rows } => events.extend(rows.map(|row| {
                let event = columns.event(row);
                let mut text = Vec::new();
                let mut values = columns.row_values(row).to_vec();
                for (at, arg) in event.args(&trace.definitions).enumerate() {
                    let readable = columns.row_unreadable(row) >> at & 1 == 0;
                    assert_eq!(arg == Arg::Unreadable, !readable, "row {row} argument {at}");
                    if kinds(event.site.0)[at] == ArgKind::Str {
                        text = columns.string(values[at]).expect("a string").to_vec();
                        values[at] = 0;
                    }
                }
                let (time_ns, thread, site, cpu) = (event.time_ns, event.thread, event.site, event.cpu);
                Plain {
                    time_ns,
                    thread: thread.0,
                    site: site.0,
                    cpu,
                    unreadable: columns.row_unreadable(row),
                    values,
                    text,
                }
            })),
            Batch::Gap(gap) => assert_eq!(gap.count, 3),
            Batch::Damaged(range) => panic!("{range:?}"),
        }
    }
    events
}

fn expected(events: &[Plain]) -> Vec<Plain> {
    let mut events = events.to_vec();
    events.sort_by_key(|event| (event.time_ns, event.cpu));
    for event in &mut events {
        match kinds(event.site).iter().position(|kind| *kind == ArgKind::Str) {
            Some(at) => event.values[at] = 0,
            None => event.text.clear(),
        }
    }
    events
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn events_come_back_in_time_order(events in proptest::collection::vec(plain(), 0..300)) {
        let bytes = write(&events, 1 << 16);
        let indexed = Trace::open(&bytes).expect("a trace");
        prop_assert!(indexed.complete);
        prop_assert_eq!(read(&indexed), expected(&events));
        let scanned = Trace::scan(&bytes).expect("a trace");
        prop_assert!(scanned.complete);
        prop_assert_eq!(&scanned.definitions, &indexed.definitions);
        prop_assert_eq!(&scanned.blocks, &indexed.blocks);
        prop_assert_eq!((&scanned.gaps, &scanned.clocks), (&indexed.gaps, &indexed.clocks));
        prop_assert_eq!(read(&scanned), expected(&events));
    }

    #[test]
    fn overlapping_blocks_are_merged(events in proptest::collection::vec(plain(), 0..100), block in 1..40_usize) {
        // Ties of time and processor go by block, which is the order they were pushed in.
        let bytes = write(&events, block);
        prop_assert_eq!(read(&Trace::open(&bytes).expect("a trace")), expected(&events));
    }

    #[test]
    fn traces_one_after_the_other_are_a_trace(
        one in proptest::collection::vec(plain(), 0..50),
        two in proptest::collection::vec(plain(), 0..50),
    ) {
        let mut bytes = write(&one, 16);
        bytes.extend(write(&two, 16));
        let (indexed, scanned) = (Trace::open(&bytes).expect("a trace"), Trace::scan(&bytes).expect("a trace"));
        prop_assert_eq!(&indexed.definitions, &scanned.definitions);
        prop_assert_eq!(&indexed.blocks, &scanned.blocks);
        prop_assert_eq!(indexed.definitions.hosts.len(), 2);
        prop_assert_eq!(indexed.events(), (one.len() + two.len()) as u64);
        prop_assert_eq!(indexed.dropped(), 6);
    }
}

#[test]
fn traces_without_hosts_are_joined_too() {
    let one = |pid: u32| {
        let mut writer = Writer::new(Vec::new(), WriterOptions::default()).expect("a Vec takes all");
        writer.define(Definition::Process(Process { pid, ..Process::default() }.into())).expect("defined");
        writer.define(Definition::Thread(Thread { process: ProcessId(0), tid: pid })).expect("defined");
        writer
            .define(Definition::Site(Site { probe: "p".into(), ..Site::default() }.into()))
            .expect("defined");
        let event = Firing {
            time_ns: pid.into(),
            thread: ThreadId(0),
            site: SiteId(0),
            cpu: 0,
            unreadable: 0,
            values: &[],
        };
        writer.push(&event).expect("pushed");
        writer.finish().expect("finished")
    };
    let bytes = [one(7), one(8)].concat();
    let trace = Trace::open(&bytes).expect("a trace");
    let (mut batches, mut pids) = (trace.batches(), Vec::new());
    while let Some(batch) = batches.next() {
        let Batch::Events { columns, rows } = batch else { panic!("{batch:?}") };
        pids.extend(
            rows.map(|row| trace.definitions.process_of(columns.thread[row]).map(|process| process.pid)),
        );
    }
    assert_eq!(pids, [Some(7), Some(8)]);
}

#[test]
fn so_many_gaps_that_they_are_not_restated_are_read_all_the_same() {
    const MANY: u64 = (1 << 18) + 1;
    for (count, restated) in [(MANY - 1, true), (MANY, false)] {
        let mut writer = Writer::new(Vec::new(), WriterOptions::default()).expect("a Vec takes all");
        for from_ns in 0..count {
            writer.gap(Gap { from_ns, to_ns: from_ns, count: 1, ..Gap::default() }).expect("taken");
        }
        let bytes = writer.finish().expect("finished");
        let rows = usize::try_from(count).expect("a small number") * 40;
        assert_eq!(bytes.len() > 2 * rows, restated, "{} bytes of {count} gaps", bytes.len());
        for trace in [Trace::open(&bytes), Trace::scan(&bytes)] {
            assert_eq!(trace.expect("a trace").dropped(), count);
        }
    }
}
