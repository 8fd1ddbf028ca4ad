//! What a trace holds, as a report.

use tracer_format::log::{escape, skipped_text};
use tracer_format::{Cost, DamagedRange, Gap, Process, Skipped, Trace};

use super::{Counts, FileState, Lives, Times, argument_names, hex, probes, processes, version};
use crate::report::{Align, Part, Report, Table, counted, duration};
use crate::select::clock::{has_several_clocks, rfc3339};
use crate::select::skipped;

/// Rows of a table that are shown; JSON has all.
const SHOWN_ROWS: usize = 50;

/// What is shown of what `trace` holds; with the events of each probe and process if `counts` are given.
#[must_use]
pub fn report(trace: &Trace<'_>, counts: Option<&Counts>) -> Report {
    let mut lines = Vec::new();
    head(trace, &mut lines);
    size(trace, &mut lines);
    let damage = counts.map_or(&trace.damage, |counts| &counts.outcome.damage);
    loss(trace, damage, &mut lines);
    if let Some(cost) = &trace.definitions.cost {
        lines.push(("cost", cost_text(cost, trace.events())));
    }
    // One width for all traces: facts that are not there do not move the others.
    let facts = lines.into_iter().map(|(name, fact)| (format!("{name:<10}"), fact));
    let mut report = Report { parts: vec![Part::Facts(facts.collect())], ..Report::default() };
    report.table(process_table(trace, counts));
    report.table(probe_table(trace, counts));
    report.table(stage_table(trace));
    report.table(gap_table(trace));
    report.table(skipped_table(trace));
    report.table(damage_table(damage));
    report
}

type Facts = Vec<(&'static str, String)>;

fn head(trace: &Trace<'_>, lines: &mut Facts) {
    let state = match FileState::of(trace) {
        FileState::Complete => "complete",
        FileState::Incomplete => "incomplete: the recorder died or is still at work",
        FileState::Damaged => "damaged: see below, and tracer verify",
    };
    lines.push(("state", state.to_owned()));
    let version =
        version(trace).map_or("unknown, the file header is damaged".to_owned(), |it| it.to_string());
    let ids: Vec<String> = trace.trace_ids.iter().map(|id| format!("{id:016x}")).collect();
    let parts = if ids.len() == 1 { String::new() } else { format!(", {} traces in one file", ids.len()) };
    lines.push(("format", format!("version {version}, trace id {}{parts}", ids.join(" "))));
    let hosts = &trace.definitions.hosts;
    for host in hosts.iter().take(SHOWN_ROWS) {
        let cpus = if host.cpus > 0 { counted(host.cpus.into(), "processor") } else { String::new() };
        let texts = [&*host.name, &host.kernel, &host.machine, &cpus];
        lines.push(("host", joined(&texts.map(|text| escape(text)))));
        let command: Vec<_> = host.command.iter().map(|word| escape(word)).collect();
        lines.push(("tool", joined(&[escape(&host.tool)])));
        lines.push(("command", if command.is_empty() { "unknown".to_owned() } else { command.join(" ") }));
    }
    if hosts.len() > SHOWN_ROWS {
        lines.push(("hosts", format!("and {} more, which --format json lists", hosts.len() - SHOWN_ROWS)));
    }
    if let Some(times) = Times::of(trace) {
        let length = duration(times.last_ns - times.first_ns);
        let text = match times.wall_ns {
            Some((first_ns, last_ns)) => format!("{} to {}, {length}", rfc3339(first_ns), rfc3339(last_ns)),
            None => format!("{length}; when is unknown, there are no clock anchors"),
        };
        lines.push(("time", text));
        lines.push(("clock", format!("CLOCK_MONOTONIC {} to {} ns", times.first_ns, times.last_ns)));
    }
    if !trace.clocks.is_empty() {
        lines.push(("anchors", format!("{} of MONOTONIC, BOOTTIME, REALTIME, TAI", trace.clocks.len())));
    }
    if has_several_clocks(trace) {
        let text = "of several boots, one in each part of the file: times of two parts do not compare";
        lines.push(("clocks", text.to_owned()));
    }
}

fn size(trace: &Trace<'_>, lines: &mut Facts) {
    let (bytes, events) = (trace.bytes().len() as u64, trace.events());
    let rate = Times::of(trace).filter(|times| times.last_ns > times.first_ns).map(|times| {
        let seconds = (times.last_ns - times.first_ns) as f64 / 1e9;
        format!(", {:.0} a second", events as f64 / seconds)
    });
    lines.push(("events", format!("{events}{}", rate.unwrap_or_default())));
    let each =
        if events > 0 { format!(", {:.2} an event", bytes as f64 / events as f64) } else { String::new() };
    lines.push(("bytes", format!("{bytes}{each}")));
    let mut blocks = format!("{}, {} of events", trace.block_count, trace.blocks.len());
    let stored = || trace.blocks.iter().map(|block| block.stored_bytes);
    if let (Some(least), Some(most)) = (stored().min(), stored().max()) {
        let most_events = trace.blocks.iter().map(|block| block.events).max().unwrap_or_default();
        blocks.push_str(&format!(": {least} to {most} bytes, up to {most_events} events, zstd"));
    }
    lines.push(("blocks", blocks));
}

fn loss(trace: &Trace<'_>, damage: &[DamagedRange], lines: &mut Facts) {
    let lost = if trace.gaps.is_empty() {
        "no events".to_owned()
    } else {
        format!(
            "{} in {} while recording",
            counted(trace.dropped(), "event"),
            counted(trace.gaps.len() as u64, "gap")
        )
    };
    lines.push(("lost", lost));
    if !trace.definitions.skipped.is_empty() {
        lines.push(("skipped", format!("{}, listed below", trace.definitions.skipped.len())));
    }
    if trace.cut_strings > 0 {
        let strings = counted(trace.cut_strings, "string");
        lines.push(("cut", format!("{strings}, of which only the beginning was recorded")));
    }
    if !damage.is_empty() {
        let bytes: u64 = damage.iter().map(|range| range.len_bytes).sum();
        lines.push((
            "damage",
            format!("{} in {}", counted(bytes, "byte"), counted(damage.len() as u64, "place")),
        ));
    }
    if trace.tail_bytes > 0 {
        lines.push(("tail", format!("{} bytes of a block that is not all there", trace.tail_bytes)));
    }
}

/// `eBPF 70 ns a run (20 runs measured); recorder 1.2 s of CPU (80 ns an event); 500 wake-ups, ...`
fn cost_text(cost: &Cost, events: u64) -> String {
    let mut parts = Vec::new();
    if let Some(ns) = cost.bpf_ns.checked_div(cost.bpf_runs) {
        parts.push(format!("eBPF {ns} ns a run ({} measured)", counted(cost.bpf_runs, "run")));
    }
    let an_event = cost.cpu_ns.checked_div(events).map(|ns| format!(" ({ns} ns an event)"));
    parts.push(format!("recorder {} of CPU{}", duration(cost.cpu_ns), an_event.unwrap_or_default()));
    parts.push(format!("{} wake-ups, {} bytes drained", cost.wakeups, cost.drained_bytes));
    parts.join("; ")
}

/// Makes the texts of those rows alone that are shown: a trace may have very many gaps.
fn shown(mut table: Table, count: usize, rows: impl Iterator<Item = Vec<String>>) -> Table {
    let left_out = count.saturating_sub(SHOWN_ROWS);
    table.rows.extend(rows.take(SHOWN_ROWS));
    if left_out > 0 {
        table.below.push(format!("and {left_out} more, which --format json lists"));
    }
    table
}

fn process_table(trace: &Trace<'_>, counts: Option<&Counts>) -> Table {
    let mut columns = vec![("pid", Align::Right), ("program", Align::Left), ("started", Align::Left)];
    columns.push(("ended", Align::Left));
    if counts.is_some() {
        columns.push(("events", Align::Right));
    }
    columns.push(("command", Align::Left));
    let lives = Lives::of(trace);
    let ended = |id: usize| {
        let exit = lives.exit(id)?;
        let signal = exit.status & 0x7f;
        Some(if signal == 0 { format!("exit {}", exit.status >> 8) } else { format!("signal {signal}") })
    };
    let row = |(id, process): (usize, &Process)| {
        let command: Vec<_> = process.command.iter().map(|word| escape(word)).collect();
        let started = lives.started_ns(process).map(rfc3339);
        let mut row = vec![process.pid.to_string(), escape(&process.program).into_owned()];
        row.extend([started, ended(id)].map(|text| text.unwrap_or_else(|| "-".to_owned())));
        row.extend(counts.map(|counts| counts.processes[id].to_string()));
        row.push(command.join(" "));
        row
    };
    let count = processes(trace).count();
    shown(Table::new("Processes", &columns), count, processes(trace).map(row))
}

fn probe_table(trace: &Trace<'_>, counts: Option<&Counts>) -> Table {
    let mut columns = vec![("probe", Align::Left), ("program", Align::Left), ("sites", Align::Right)];
    columns.extend(["arguments", "semaphore", "build id"].map(|name| (name, Align::Left)));
    if counts.is_some() {
        columns.insert(3, ("events", Align::Right));
    }
    let row = |probe: &super::ProbeSites<'_>| {
        let site = probe.site;
        let mut row = vec![
            escape(&site.name()).into_owned(),
            escape(&site.program).into_owned(),
            probe.sites.to_string(),
        ];
        row.extend(probe.events.map(|events| events.to_string()));
        let semaphore = if site.semaphore_offset == 0 { "no" } else { "yes" };
        row.extend([argument_names(&site.args), semaphore.to_owned(), hex(&site.build_id)]);
        row
    };
    let probes = probes(trace, counts);
    shown(Table::new("Probes", &columns), probes.len(), probes.iter().map(row))
}

fn stage_table(trace: &Trace<'_>) -> Table {
    let table = Table::new("Stages", &["stage", "from", "to", "key"].map(|name| (name, Align::Left)));
    let row = |stage: &tracer_format::StageDef| {
        let key = if stage.key.is_empty() { "chosen by the reader" } else { &stage.key };
        [&stage.name, &stage.from, &stage.to, key].map(|text| escape(text).into_owned()).into()
    };
    shown(table, trace.definitions.stages.len(), trace.definitions.stages.iter().map(row))
}

fn gap_table(trace: &Trace<'_>) -> Table {
    let columns = ["lost", "from", "length", "cpu"].map(|name| (name, Align::Right));
    let columns = [&columns[..], &[("probe", Align::Left)]].concat();
    let start_ns = trace.time_range().map_or(0, |(first_ns, _)| first_ns);
    let row = |gap: &Gap| {
        let site = trace.definitions.site(gap.site).filter(|_| gap.site != Gap::ANY_SITE);
        vec![
            gap.count.to_string(),
            duration(gap.from_ns.saturating_sub(start_ns)),
            duration(gap.to_ns.saturating_sub(gap.from_ns)),
            if gap.cpu == Gap::ANY_CPU { "any".to_owned() } else { gap.cpu.to_string() },
            site.map_or("any".to_owned(), |site| escape(&site.name()).into_owned()),
        ]
    };
    shown(Table::new("Gaps", &columns), trace.gaps.len(), trace.gaps.iter().map(row))
}

fn skipped_table(trace: &Trace<'_>) -> Table {
    let columns = [("not recorded", Align::Left)];
    let row = |skipped: &Skipped| vec![skipped_text(skipped)];
    let skipped = &trace.definitions.skipped;
    let mut table = shown(Table::new("Not recorded", &columns), skipped.len(), skipped.iter().map(row));
    let rests = skipped::first(skipped, SHOWN_ROWS).skip(SHOWN_ROWS);
    table.below.extend(rests.map(|rest| format!("with {}", skipped_text(rest))));
    table
}

fn damage_table(damage: &[DamagedRange]) -> Table {
    let columns = [("at byte", Align::Right), ("bytes", Align::Right), ("events", Align::Right)];
    let columns = [&columns[..], &[("damage", Align::Left)]].concat();
    let row = |range: &DamagedRange| {
        let numbers = [range.offset, range.len_bytes, range.events.into()];
        numbers.iter().map(ToString::to_string).chain([range.damage.to_string()]).collect()
    };
    shown(Table::new("Damage", &columns), damage.len(), damage.iter().map(row))
}

fn joined(texts: &[std::borrow::Cow<'_, str>]) -> String {
    let known: Vec<&str> = texts.iter().map(|text| &**text).filter(|text| !text.is_empty()).collect();
    if known.is_empty() { "unknown".to_owned() } else { known.join(", ") }
}
