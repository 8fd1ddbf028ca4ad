//! What takes part: the host, the processes, threads and sites of a plan, as a recorder would define them.
//!
//! Threads are numbered as the actors of the simulation are: source, workers, sink.

use std::sync::Arc;

use super::{Plan, Shape};
use std::io;
use tracer_format::limits::MAX_STRING_ARGUMENT_BYTES;
use tracer_format::{
    ArgKind, ClockAnchor, Definition, Host, HostId, Process, ProcessId, Result, Site, Skipped, SkippedKind,
    Thread, Writer,
};

/// CLOCK_MONOTONIC when the recording begins, ns.
pub(super) const START_NS: u64 = 1_000_000_000_000;
/// Time that the host had been suspended.
const SUSPENDED_NS: u64 = 86_400_000_000_000;
/// International atomic time is ahead of UTC by this.
const TAI_NS: i64 = 37_000_000_000;
/// Process id of the launcher; the programs follow.
const LAUNCHER: u32 = 4241;

/// Sites of the pipeline, in the order in which a buffer passes them.
pub(super) mod site {
    use tracer_format::SiteId;

    pub(in super::super) const BEG_GLOBAL: SiteId = SiteId(0);
    pub(in super::super) const BEG_AWE: SiteId = SiteId(1);
    pub(in super::super) const END_AWE: SiteId = SiteId(2);
    pub(in super::super) const BEG_WRITING: SiteId = SiteId(3);
    pub(in super::super) const END_WRITING: SiteId = SiteId(4);
    pub(in super::super) const END_GLOBAL: SiteId = SiteId(5);
}

const PIPELINE: [(&str, &str); 6] = [
    ("source", "beg_global"),
    ("processor", "beg_awe"),
    ("processor", "end_awe"),
    ("processor", "beg_writing"),
    ("processor", "end_writing"),
    ("sink", "end_global"),
];

/// Defines everything that the events of the plan refer to.
pub(super) fn define<W: io::Write>(plan: &Plan, writer: &mut Writer<W>) -> Result<()> {
    writer.define(Definition::Host(host(plan).into()))?;
    writer.clock(anchor(START_NS, plan.start_ns))?;
    if plan.shape == Shape::Loop {
        let hammer = process(writer, "hammer", LAUNCHER + 1)?;
        (0..u32::from(plan.workers)).try_for_each(|n| thread(writer, hammer, LAUNCHER + 1 + n))?;
        return writer.define(site("hammer", "hammer", "hit", 0, plan)).map(drop);
    }
    let source = process(writer, "source", LAUNCHER + 1)?;
    thread(writer, source, LAUNCHER + 1)?;
    let (first, later) = (LAUNCHER + 2, LAUNCHER + 4);
    let mut processor = process(writer, "processor", first)?;
    for worker in 0..u32::from(plan.workers) {
        let tid = if worker == 0 { first } else { later + worker - 1 };
        if worker > 0 && plan.shape == Shape::Workers {
            processor = process(writer, "processor", tid)?;
        }
        thread(writer, processor, tid)?;
    }
    let sink = process(writer, "sink", LAUNCHER + 3)?;
    thread(writer, sink, LAUNCHER + 3)?;
    for (nth, (program, probe)) in (0..).zip(PIPELINE) {
        writer.define(site("buffer_tracker", program, probe, nth, plan))?;
    }
    let skipped = if plan.skipped { skipped() } else { Vec::new() };
    skipped.into_iter().try_for_each(|skipped| writer.define(Definition::Skipped(skipped)).map(drop))
}

/// What a recorder would say of a probe, a file, processes and events that it could not record.
fn skipped() -> Vec<Skipped> {
    let probe = Skipped {
        count: 1,
        program: "processor".to_owned(),
        path: path("processor"),
        provider: "buffer_tracker".to_owned(),
        probe: "checked".to_owned(),
        offset: 0x2345,
        reason: "a bare five-byte nop, which this kernel must not attach to; left out".to_owned(),
        ..Skipped::default()
    };
    let of =
        |kind, count, reason: &str| Skipped { kind, count, reason: reason.to_owned(), ..Skipped::default() };
    let file = of(SkippedKind::Files, 1, "note at byte 0 of .note.stapsdt: it is cut off");
    let process = of(SkippedKind::Processes, 1, "permission denied (needs CAP_SYS_PTRACE)");
    vec![
        probe,
        Skipped { path: path("broken"), ..file },
        Skipped { pid: LAUNCHER + 900, from_ns: START_NS + 1_000_000, ..process },
        of(SkippedKind::Events, 3, "they contradicted themselves and were left out"),
    ]
}

/// The clocks of the host at a moment of a recording that began at `start_ns`, wall time.
pub(super) fn anchor(monotonic_ns: u64, start_ns: i64) -> ClockAnchor {
    let realtime_ns = start_ns.saturating_add_unsigned(monotonic_ns - START_NS);
    ClockAnchor {
        host: HostId(0),
        monotonic_ns,
        boottime_ns: monotonic_ns + SUSPENDED_NS,
        realtime_ns,
        tai_ns: realtime_ns + TAI_NS,
    }
}

fn host(plan: &Plan) -> Host {
    let shape = format!("{:?}", plan.shape).to_lowercase();
    let mut command = vec![
        "synth".to_owned(),
        format!("--shape={shape}"),
        format!("--events={}", plan.events),
        format!("--workers={}", plan.workers),
        format!("--rate={}", plan.rate),
        format!("--jitter={}", plan.jitter),
        format!("--loss={}", plan.loss),
        format!("--seed={}", plan.seed),
        format!("--first-seq={}", plan.first_seq),
        format!("--cpus={}", plan.cpus),
        format!("--block-events={}", plan.block_events),
    ];
    if plan.max_string < MAX_STRING_ARGUMENT_BYTES {
        command.push(format!("--max-string={}", plan.max_string));
    }
    command.extend(plan.skipped.then(|| "--skipped".to_owned()));
    Host {
        name: plan.host.as_str().into(),
        kernel: "none (synthetic trace)".into(),
        machine: "none".into(),
        boot_id: format!("00000000-0000-4000-8000-{:012x}", plan.seed & 0xffff_ffff_ffff).into(),
        cpus: plan.cpus.into(),
        tool: concat!("synth ", env!("CARGO_PKG_VERSION")).into(),
        command: command.into_iter().map(Arc::from).collect(),
    }
}

fn path(program: &str) -> String {
    format!("/usr/local/bin/{program}")
}

fn process<W: io::Write>(writer: &mut Writer<W>, program: &str, pid: u32) -> Result<ProcessId> {
    writer.process(Process {
        host: HostId(0),
        pid,
        parent_pid: LAUNCHER,
        // The kernel tells the start in steps of 10 ms.
        start_ns: START_NS + SUSPENDED_NS - 2_000_000_000 + u64::from(pid - LAUNCHER) / 8 * 10_000_000,
        program: program.into(),
        executable: path(program).into(),
        command: [program.into()].into(),
    })
}

fn thread<W: io::Write>(writer: &mut Writer<W>, process: ProcessId, tid: u32) -> Result<()> {
    writer.thread(Thread { process, tid }).map(drop)
}

fn site(provider: &str, program: &str, probe: &str, nth: u64, plan: &Plan) -> Definition {
    let (spec, args) = match plan.shape {
        Shape::Strings => ("-8@%rdi 8@%rsi", vec![ArgKind::Signed(8), ArgKind::Str]),
        Shape::Pipeline | Shape::Loop | Shape::Workers => ("-8@%rdi", vec![ArgKind::Signed(8)]),
    };
    Definition::Site(
        Site {
            provider: provider.into(),
            probe: probe.into(),
            program: program.into(),
            path: path(program).into(),
            offset: 0x1_2000 + 0x40 * nth,
            spec: spec.into(),
            args: args.into(),
            announced: true,
            ..Site::default()
        }
        .into(),
    )
}
