//! What a trace holds, as JSON: times in ns, sizes in bytes.

use serde_json::{Value, json as value};
use tracer_format::{Cost, Host, StageDef, Trace};

use super::{Counts, FileState, Lives, Times, argument_names, hex, probes, processes, version};
use crate::report::skipped;
use crate::select::Outcome;
use crate::select::clock::rfc3339;

/// Version of the form; it grows when a member changes its meaning or goes away, not when one is added.
const VERSION: u32 = 1;

/// Renders what `trace` holds, with a line end; with the events of each probe and process if `counts` are given.
#[must_use]
pub fn json(trace: &Trace<'_>, counts: Option<&Counts>) -> String {
    let definitions = &trace.definitions;
    let bytes = trace.bytes().len() as u64;
    let events = trace.events();
    let document = value!({
        "version": VERSION,
        "state": FileState::of(trace).name(),
        "complete": trace.complete,
        "format_version": version(trace),
        "trace_ids": trace.trace_ids.iter().map(|id| format!("{id:016x}")).collect::<Vec<_>>(),
        "bytes": bytes,
        "events": events,
        "bytes_per_event": (events > 0).then(|| bytes as f64 / events as f64),
        "time": time(trace),
        "blocks": blocks(trace),
        "loss": loss(trace, counts.map(|counts| &counts.outcome)),
        "cut_strings": trace.cut_strings,
        "skipped": definitions.skipped.iter().map(skipped::json).collect::<Vec<_>>(),
        "hosts": definitions.hosts.iter().map(host).collect::<Vec<_>>(),
        "clocks": trace.clocks.iter().map(|anchor| value!({
            "host": anchor.host.0,
            "monotonic_ns": anchor.monotonic_ns,
            "boottime_ns": anchor.boottime_ns,
            "realtime_ns": anchor.realtime_ns,
            "tai_ns": anchor.tai_ns,
        })).collect::<Vec<_>>(),
        "processes": process_list(trace, counts),
        "probes": probe_list(trace, counts),
        "stages": definitions.stages.iter().map(stage).collect::<Vec<_>>(),
        "cost": definitions.cost.as_ref().map(cost),
    });
    let mut text = serde_json::to_string_pretty(&document).expect("the document has string keys only");
    text.push('\n');
    text
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
fn loss(trace: &Trace<'_>, decoded: Option<&Outcome>) -> Value {
    let damage = decoded.map_or(&trace.damage, |outcome| &outcome.damage);
    value!({
        "lost": trace.dropped(),
        "gaps": trace.gaps.iter().map(|gap| value!({
            "host": gap.host.0,
            "cpu": (gap.cpu != tracer_format::Gap::ANY_CPU).then_some(gap.cpu),
            "site": (gap.site != tracer_format::Gap::ANY_SITE).then_some(gap.site.0),
            "from_ns": gap.from_ns,
            "to_ns": gap.to_ns,
            "lost": gap.count,
        })).collect::<Vec<_>>(),
        "damage": damage.iter().map(damaged).collect::<Vec<_>>(),
        "tail_bytes": trace.tail_bytes,
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

fn process_list(trace: &Trace<'_>, counts: Option<&Counts>) -> Vec<Value> {
    let lives = Lives::of(trace);
    let row = |(id, process): (usize, &tracer_format::Process)| {
        let exit = lives.exit(id);
        let mut row = value!({
            "host": process.host.0,
            "pid": process.pid,
            "parent_pid": process.parent_pid,
            "program": process.program,
            "executable": process.executable,
            "command": process.command,
            "started": lives.started_ns(process).map(rfc3339),
            "exit": exit.map(|exit| value!({ "time_ns": exit.time_ns, "status": exit.status })),
        });
        if let Some(counts) = counts {
            row["events"] = value!(counts.processes.get(id));
        }
        row
    };
    processes(trace).map(row).collect()
}

fn probe_list(trace: &Trace<'_>, counts: Option<&Counts>) -> Vec<Value> {
    let row = |probe: &super::ProbeSites<'_>| {
        let site = probe.site;
        let mut row = value!({
            "provider": site.provider,
            "probe": site.probe,
            "program": site.program,
            "path": site.path,
            "build_id": hex(&site.build_id),
            "sites": probe.ids.len(),
            "arguments": argument_names(&site.args),
            "argument_spec": site.spec,
            "key_argument": site.key_arg,
            "semaphore": site.semaphore_offset != 0,
        });
        if let Some(counts) = counts {
            row["events"] = value!(probe.events(counts));
        }
        row
    };
    probes(trace).iter().map(row).collect()
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
