//! What a trace holds, as JSON: times in ns, sizes in bytes.

use std::io::{self, Write};

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Value, json as value};
use tracer_format::{ClockAnchor, Cost, Gap, Host, Process, StageDef, Trace};

use super::{Counts, FileState, Lives, Times, argument_names, hex, probes, processes, version};
use crate::report::{PlainJson, skipped};
use crate::select::Outcome;
use crate::select::clock::rfc3339;

/// Version of the form; it grows when a member changes its meaning or goes away, not when one is added.
const VERSION: u32 = 1;

/// Writes what `trace` holds, with a line end; with the events of each probe and process if `counts` are given.
///
/// # Errors
/// Those of `out`.
pub fn write_json(trace: &Trace<'_>, counts: Option<&Counts>, mut out: impl Write) -> io::Result<()> {
    serde_json::to_writer_pretty(PlainJson(&mut out), &Document { trace, counts })?;
    out.write_all(b"\n")
}

/// What is shown; as values, all of it would take many times the room of the text.
struct Document<'d> {
    trace: &'d Trace<'d>,
    counts: Option<&'d Counts>,
}

impl Serialize for Document<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { trace, counts } = *self;
        let definitions = &trace.definitions;
        let (bytes, events) = (trace.bytes().len() as u64, trace.events());
        let trace_ids: Vec<String> = trace.trace_ids.iter().map(|id| format!("{id:016x}")).collect();
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("version", &VERSION)?;
        map.serialize_entry("state", FileState::of(trace).name())?;
        map.serialize_entry("complete", &trace.complete)?;
        map.serialize_entry("format_version", &version(trace))?;
        map.serialize_entry("trace_ids", &trace_ids)?;
        map.serialize_entry("bytes", &bytes)?;
        map.serialize_entry("events", &events)?;
        map.serialize_entry("bytes_per_event", &(events > 0).then(|| bytes as f64 / events as f64))?;
        map.serialize_entry("time", &time(trace))?;
        map.serialize_entry("blocks", &blocks(trace))?;
        map.serialize_entry("loss", &Loss { trace, decoded: counts.map(|counts| &counts.outcome) })?;
        map.serialize_entry("cut_strings", &trace.cut_strings)?;
        map.serialize_entry("skipped", &OneByOne(|| definitions.skipped.iter().map(skipped::json)))?;
        map.serialize_entry("hosts", &OneByOne(|| definitions.hosts.iter().map(|it| host(it))))?;
        map.serialize_entry("clocks", &OneByOne(|| trace.clocks.iter().map(clock)))?;
        let lives = Lives::of(trace);
        let process = |row| process_row(&lives, counts, row);
        map.serialize_entry("processes", &OneByOne(|| processes(trace).map(process)))?;
        let probes = probes(trace, counts);
        map.serialize_entry("probes", &OneByOne(|| probes.iter().map(probe_row)))?;
        map.serialize_entry("stages", &OneByOne(|| definitions.stages.iter().map(stage)))?;
        map.serialize_entry("cost", &definitions.cost.as_ref().map(cost))?;
        map.end()
    }
}

/// A list whose elements are made one by one.
struct OneByOne<F>(F);

impl<F: Fn() -> I, I: Iterator<Item = Value>> Serialize for OneByOne<F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq((self.0)())
    }
}

fn clock(anchor: &ClockAnchor) -> Value {
    value!({
        "host": anchor.host.0,
        "monotonic_ns": anchor.monotonic_ns,
        "boottime_ns": anchor.boottime_ns,
        "realtime_ns": anchor.realtime_ns,
        "tai_ns": anchor.tai_ns,
    })
}

fn time(trace: &Trace<'_>) -> Value {
    let Some(times) = Times::of(trace) else { return Value::Null };
    value!({
        "first_ns": times.first_ns,
        "last_ns": times.last_ns,
        "first": times.wall_ns.map(|(first_ns, _)| rfc3339(first_ns)),
        "last": times.wall_ns.map(|(_, last_ns)| rfc3339(last_ns)),
    })
}

fn blocks(trace: &Trace<'_>) -> Value {
    let stored = || trace.blocks.iter().map(|block| block.stored_bytes);
    value!({
        "count": trace.block_count,
        "events_blocks": trace.blocks.len(),
        "stored_bytes": stored().map(u64::from).sum::<u64>(),
        "smallest_bytes": stored().min(),
        "largest_bytes": stored().max(),
        "most_events": trace.blocks.iter().map(|block| block.events).max(),
        "compression": "zstd",
    })
}

/// What is missing; as far as it was found when all was decoded, if it was.
struct Loss<'d> {
    trace: &'d Trace<'d>,
    decoded: Option<&'d Outcome>,
}

impl Serialize for Loss<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let damage = self.decoded.map_or(&self.trace.damage, |outcome| &outcome.damage);
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("lost", &self.trace.dropped())?;
        map.serialize_entry("gaps", &OneByOne(|| self.trace.gaps.iter().map(gap)))?;
        map.serialize_entry("damage", &OneByOne(|| damage.iter().map(damaged)))?;
        map.serialize_entry("tail_bytes", &self.trace.tail_bytes)?;
        map.end()
    }
}

fn gap(gap: &Gap) -> Value {
    value!({
        "host": gap.host.0,
        "cpu": (gap.cpu != Gap::ANY_CPU).then_some(gap.cpu),
        "site": (gap.site != Gap::ANY_SITE).then_some(gap.site.0),
        "from_ns": gap.from_ns,
        "to_ns": gap.to_ns,
        "lost": gap.count,
    })
}

/// A damaged range.
pub(crate) fn damaged(range: &tracer_format::DamagedRange) -> Value {
    value!({
        "offset": range.offset,
        "bytes": range.len_bytes,
        "what": range.damage.to_string(),
        "events": range.events,
    })
}

fn host(host: &Host) -> Value {
    value!({
        "name": host.name,
        "kernel": host.kernel,
        "machine": host.machine,
        "boot_id": host.boot_id,
        "cpus": host.cpus,
        "tool": host.tool,
        "command": host.command,
    })
}

fn process_row(lives: &Lives<'_>, counts: Option<&Counts>, (id, process): (usize, &Process)) -> Value {
    let mut row = value!({
        "host": process.host.0,
        "pid": process.pid,
        "parent_pid": process.parent_pid,
        "program": process.program,
        "executable": process.executable,
        "command": process.command,
        "started": lives.started_ns(process).map(rfc3339),
        "exit": lives.exit(id).map(|exit| value!({ "time_ns": exit.time_ns, "status": exit.status })),
    });
    if let Some(counts) = counts {
        row["events"] = value!(counts.processes.get(id));
    }
    row
}

fn probe_row(probe: &super::ProbeSites<'_>) -> Value {
    let site = probe.site;
    let mut row = value!({
        "provider": site.provider,
        "probe": site.probe,
        "program": site.program,
        "path": site.path,
        "build_id": hex(&site.build_id),
        "sites": probe.sites,
        "arguments": argument_names(&site.args),
        "argument_spec": site.spec,
        "key_argument": site.key_arg,
        "semaphore": site.semaphore_offset != 0,
    });
    if let Some(events) = probe.events {
        row["events"] = value!(events);
    }
    row
}

fn stage(stage: &StageDef) -> Value {
    value!({ "name": stage.name, "from": stage.from, "to": stage.to, "key": stage.key })
}

fn cost(cost: &Cost) -> Value {
    value!({
        "bpf_ns": cost.bpf_ns,
        "bpf_runs": cost.bpf_runs,
        "cpu_ns": cost.cpu_ns,
        "wakeups": cost.wakeups,
        "drained_bytes": cost.drained_bytes,
    })
}
