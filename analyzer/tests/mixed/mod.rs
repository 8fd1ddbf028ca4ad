//! A trace in memory with one of everything: kinds of arguments, clock anchors, an exit, a stage, a gap, the cost.

use tracer_format::{
    ArgKind, ClockAnchor, Cost, Definition, Exit, Firing, Gap, Host, HostId, Process, ProcessId, Site,
    SiteId, StageDef, Thread, ThreadId, Writer, WriterOptions,
};

/// 2026-05-01T12:00:00Z.
const NOON_NS: i64 = 1_777_636_800_000_000_000;

/// Six events of two processes, 2000 to 7000 ns; each is in `MIXED` of `tests/tables.rs`.
pub(crate) fn mixed_trace() -> Vec<u8> {
    mixed_trace_of("source")
}

/// The same, with another name of the first program.
pub(crate) fn mixed_trace_of(program: &str) -> Vec<u8> {
    let options = WriterOptions { trace_id: 0xabcd, ..WriterOptions::default() };
    let mut writer = Writer::new(Vec::new(), options).unwrap();
    for definition in definitions(program) {
        writer.define(definition).unwrap();
    }
    let clock = |monotonic_ns, realtime_ns| ClockAnchor {
        monotonic_ns,
        boottime_ns: monotonic_ns,
        realtime_ns,
        ..ClockAnchor::default()
    };
    // The second one is set a second later than the first.
    writer.clock(clock(1000, NOON_NS)).unwrap();
    writer.clock(clock(5000, NOON_NS + 1_000_000_000)).unwrap();
    writer.push(&firing(2000, [0, 0], 3, 0, &[5])).unwrap();
    let text = [writer.intern(b"x,\"y\""), u64::from(0.1_f32.to_bits()), writer.intern(b"\xffz")];
    writer.push(&firing(3000, [1, 1], 0, 0, &[7, text[0], text[1], text[2]])).unwrap();
    let float = u64::from((-2.5_f32).to_bits());
    writer.push(&firing(4000, [1, 1], 0, 0b1011, &[7, 0, float, 0])).unwrap();
    writer
        .gap(Gap { cpu: 2, site: Gap::ANY_SITE, from_ns: 3500, to_ns: 3600, count: 9, host: HostId(0) })
        .unwrap();
    writer.push(&firing(5000, [2, 2], 1, 0, &[])).unwrap();
    writer.push(&firing(6000, [0, 0], 3, 0, &[(-1_i64).cast_unsigned()])).unwrap();
    writer.push(&firing(7000, [0, 3], u16::MAX, 0, &[u64::MAX - 1, 9])).unwrap();
    writer.define(Definition::Exit(Exit { process: ProcessId(0), time_ns: 7500, status: 3 << 8 })).unwrap();
    writer.define(Definition::Exit(Exit { process: ProcessId(1), time_ns: 7600, status: 9 })).unwrap();
    let cost = Cost { bpf_ns: 6600, bpf_runs: 6, cpu_ns: 1_200, wakeups: 2, drained_bytes: 480 };
    writer.define(Definition::Cost(cost)).unwrap();
    writer.finish().unwrap()
}

fn firing(time_ns: u64, [thread, site]: [u32; 2], cpu: u16, unreadable: u16, values: &[u64]) -> Firing<'_> {
    Firing { time_ns, thread: ThreadId(thread), site: SiteId(site), cpu, unreadable, values }
}

fn definitions(program: &str) -> Vec<Definition> {
    let text = |text: &str| text.to_owned();
    let words = |words: &[&str]| words.iter().map(|&word| word.into()).collect();
    let host = Host {
        name: "h".into(),
        kernel: "Linux 6.18".into(),
        machine: "x86_64".into(),
        boot_id: "b".into(),
        cpus: 4,
        tool: "tracer 0".into(),
        command: words(&["tracer", "record"]),
    };
    let process = |pid, program: &str, start_ns| {
        let command = words(&[&format!("./{program}"), "--fast"]);
        Definition::Process(
            Process { pid, program: program.into(), start_ns, command, ..Process::default() }.into(),
        )
    };
    let thread = |process, tid| Definition::Thread(Thread { process, tid });
    let site = |provider: &str, probe: &str, args: &[ArgKind]| {
        Definition::Site(
            Site {
                provider: provider.into(),
                probe: probe.into(),
                program: "bin".into(),
                build_id: [0xbe, 0xef].into(),
                args: args.into(),
                ..Site::default()
            }
            .into(),
        )
    };
    let stage = StageDef { name: text("s"), from: text("p:beg_a"), to: text("q:big"), key: text("pid") };
    vec![
        Definition::Host(host.into()),
        process(11, program, 500),
        process(12, "sink", 0),
        thread(ProcessId(0), 11),
        thread(ProcessId(1), 13),
        thread(ProcessId(1), 12),
        site("p", "beg_a", &[ArgKind::Signed(8)]),
        site("p", "text", &[ArgKind::Unsigned(4), ArgKind::Str, ArgKind::Float(4), ArgKind::Str]),
        site("p", "none", &[]),
        site("q", "big", &[ArgKind::Unsigned(8), ArgKind::Signed(4)]),
        Definition::Stage(stage),
    ]
}
