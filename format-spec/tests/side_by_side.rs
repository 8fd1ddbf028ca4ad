//! A trace is the same, byte for byte, whether its blocks are compressed on the thread that writes or on others.

use proptest::prelude::*;
use tracer_format::{
    ArgKind, ClockAnchor, Firing, Gap, HostId, Process, Site, SiteId, Thread, ThreadId, Trace, Writer,
    WriterOptions,
};

/// What is done to a writer.
#[derive(Debug, Clone)]
enum Deed {
    /// An event: of which of the processes so far, time, number, text, and whether that is cut.
    Fire(prop::sample::Index, u64, u64, Vec<u8>, bool),
    Process,
    Gap(u64, u64),
    Clock(u64),
    Flush,
}

fn deed() -> impl Strategy<Value = Deed> {
    let text = prop::collection::vec(0..4_u8, 0..9);
    let fire = (any::<prop::sample::Index>(), 0..5000_u64, any::<u64>(), text, any::<bool>());
    prop_oneof![
        20 => fire.prop_map(|(of, time_ns, number, text, cut)| Deed::Fire(of, time_ns, number, text, cut)),
        2 => Just(Deed::Process),
        1 => (0..5000_u64, 0..50_u64).prop_map(|(from_ns, len_ns)| Deed::Gap(from_ns, len_ns)),
        1 => (0..5000_u64).prop_map(Deed::Clock),
        1 => Just(Deed::Flush),
    ]
}

fn begun(block_events: usize, threads: usize) -> Writer<Vec<u8>> {
    let options = WriterOptions { trace_id: 5, block_events, threads, ..WriterOptions::default() };
    let mut writer = Writer::new(Vec::new(), options).unwrap();
    let args = vec![ArgKind::Signed(8), ArgKind::Str];
    writer
        .site(Site { provider: "p".into(), probe: "q".into(), args: args.into(), ..Site::default() })
        .unwrap();
    writer
}

/// Defines a process with a thread.
fn process(writer: &mut Writer<Vec<u8>>) -> ThreadId {
    let pid = u32::try_from(writer.definitions().processes.len()).unwrap();
    let program = format!("program {}", pid % 3);
    let process = writer
        .process(Process { host: HostId(0), pid, program: program.into(), ..Process::default() })
        .unwrap();
    writer.thread(Thread { process, tid: pid }).unwrap()
}

fn fire(writer: &mut Writer<Vec<u8>>, thread: ThreadId, time_ns: u64, values: [u64; 2]) {
    let cpu = u16::try_from(time_ns % 3).unwrap();
    let firing = Firing { time_ns, thread, site: SiteId(0), cpu, unreadable: 0, values: &values };
    writer.push(&firing).unwrap();
}

fn written(deeds: &[Deed], block_events: usize, threads: usize) -> Vec<u8> {
    let mut writer = begun(block_events, threads);
    let mut known = vec![process(&mut writer)];
    for deed in deeds {
        match deed {
            Deed::Fire(of, time_ns, number, text, is_cut) => {
                let text = if *is_cut { writer.intern_cut(text) } else { writer.intern(text) };
                fire(&mut writer, known[of.index(known.len())], *time_ns, [*number, text]);
            }
            Deed::Process => known.push(process(&mut writer)),
            Deed::Gap(from_ns, len_ns) => {
                let (from_ns, to_ns) = (*from_ns, from_ns + len_ns);
                writer.gap(Gap { from_ns, to_ns, count: 2, ..Gap::default() }).unwrap();
            }
            Deed::Clock(monotonic_ns) => {
                writer.clock(ClockAnchor { monotonic_ns: *monotonic_ns, ..ClockAnchor::default() }).unwrap();
            }
            Deed::Flush => {
                writer.flush().unwrap();
                let bytes = writer.written_bytes();
                assert_eq!(writer.sink_mut().len() as u64, bytes, "all of it is written by now");
            }
        }
    }
    writer.finish().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn any_number_of_threads_writes_the_same(
        deeds in prop::collection::vec(deed(), 1..200),
        block_events in 1..20_usize,
        threads in 1..5_usize,
    ) {
        prop_assert_eq!(written(&deeds, block_events, 0), written(&deeds, block_events, threads));
    }
}

/// So large that the definitions are written again in between, while later ones are known already.
#[test]
fn definitions_that_are_written_again_are_those_of_that_time() {
    let write = |threads| {
        let mut writer = begun(1000, threads);
        let mut state = 1_u64;
        for block in 0..2000 {
            let thread = process(&mut writer);
            for at in 0..1000 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                fire(&mut writer, thread, 1000 * block + at, [state, u64::MAX]);
            }
        }
        writer.finish().unwrap()
    };
    let here = write(0);
    assert_eq!(Trace::open(&here).unwrap().definitions.processes.len(), 2000);
    assert!(here.len() > 12 << 20, "{} bytes: too few for definitions to be written again", here.len());
    let there = write(3);
    let differs = here.iter().zip(&there).position(|(here, there)| here != there);
    assert!(here == there, "{} and {} bytes, which differ from {differs:?} on", here.len(), there.len());
}
