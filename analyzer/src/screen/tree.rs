//! Where the time of threads goes, as parts of a report.

use serde_json::{Value, json};
use tracer_format::log::escape;

use super::json::latency as latency_members;
use super::verdict::{bars, letters, waterfall};
use crate::analysis::{Analysis, SeenSpan, StageReport, Tree, TreeNode};
use crate::report::{Align, Table, duration, latency};

/// Stages that the headline names.
const NAMED: usize = 4;
/// Rows that are shown: those that take most of the time, and what is around them.
const SHOWN_ROWS: usize = 16;

/// The headline: how many threads, and what their time goes to.
pub(super) fn headline(tree: &Tree, stages: &[StageReport]) -> (String, String) {
    let mut own: Vec<(u64, String)> = vec![(tree.idle_ns, "no stage".to_owned())];
    for node in &tree.nodes {
        let name = &stages[node.stage as usize].stage.name;
        let has_inside = node.own_ns < node.total_ns;
        let name = format!("{}{}", escape(name), if has_inside { " itself" } else { "" });
        match own.iter_mut().find(|(_, other)| *other == name) {
            Some((time_ns, _)) => *time_ns = time_ns.saturating_add(node.own_ns),
            None => own.push((node.own_ns, name)),
        }
    }
    own.sort_by_key(|(time_ns, _)| std::cmp::Reverse(*time_ns));
    let largest = own.iter().take(NAMED).filter(|(time_ns, _)| *time_ns > 0);
    let texts: Vec<String> =
        largest.map(|(time_ns, name)| format!("{name} {}", percent(*time_ns, tree.thread_ns))).collect();
    let threads = if tree.threads == 1 { "1 THREAD".to_owned() } else { format!("{} THREADS", tree.threads) };
    (format!("TIME OF {threads}"), texts.join(", "))
}

/// A row for each place in the tree, the inner ones below the outer ones, and for the stages that overlap others.
pub(super) fn table(tree: &Tree, stages: &[StageReport], start_ns: u64) -> Table {
    let mut columns = vec![("stage of a thread", Align::Left)];
    let right = ["spans", "time", "own", "p50", "p99", "max"].map(|name| (name, Align::Right));
    columns.extend(right);
    columns.push(("over time", Align::Left));
    let mut table = Table::new("Threads", &columns);
    table.optional = vec!["over time"];
    table.narrow = vec!["max", "own", "spans", "time"];
    let least_ns = least_shown(tree);
    let mut left_out: Vec<&str> = Vec::new();
    for node in &tree.nodes {
        let name = &stages[node.stage as usize].stage.name[..];
        if node.total_ns < least_ns {
            if !left_out.contains(&name) {
                left_out.push(name);
            }
            continue;
        }
        let name = format!("{}{}", "  ".repeat(node.depth as usize), escape(name));
        let shares = [node.total_ns, node.own_ns].map(|time_ns| percent(time_ns, tree.thread_ns));
        let mut cells = row(name, shares, &node.latency, &stages[node.stage as usize]);
        let usual_ns = node.latency.at(500).unwrap_or(1) as f64;
        cells.push(bars(&node.over_time_ns, usual_ns.max(1.0)));
        table.rows.push(cells);
    }
    for &stage in &tree.overlapping {
        let report = &stages[stage as usize];
        let name = format!("{} (overlaps)", escape(&report.stage.name));
        let mut cells = row(name, Default::default(), &report.latency, report);
        cells.push(String::new());
        table.rows.push(cells);
    }
    let in_tree = |stage: usize| {
        tree.nodes.iter().any(|node| node.stage as usize == stage)
            || tree.overlapping.iter().any(|&other| other as usize == stage)
    };
    let with_ends =
        stages.iter().enumerate().filter(|&(stage, report)| in_tree(stage) && report.ends.len() > 1);
    table
        .below
        .extend(with_ends.map(|(_, report)| format!("{}: {}", escape(&report.stage.name), ends(report))));
    if !left_out.is_empty() {
        let names: Vec<_> = left_out.iter().map(|name| escape(name)).collect();
        let more = tree.nodes.iter().filter(|node| node.total_ns < least_ns).count();
        let below = percent(least_ns, tree.thread_ns);
        table.below.push(format!("{more} more below {below}: {}", names.join(", ")));
    }
    table.below.extend(like(tree, stages, start_ns));
    table.below.push("a row for each text of SQL, lock or method: --group-by sql, str or argN".to_owned());
    table
}

/// Which spans of the first stage to look at for each percentile, in a trace that begins at `start_ns`.
fn like(tree: &Tree, stages: &[StageReport], start_ns: u64) -> Option<String> {
    let outer = tree.nodes.first()?;
    let [p50, p90, p99, max] = outer.examples?.map(|seen| place(seen, start_ns));
    let name = escape(&stages[outer.stage as usize].stage.name);
    Some(format!("{name} as slow as p50: {p50}; p90: {p90}; p99: {p99}; max: {max}"))
}

fn place(seen: SeenSpan, start_ns: u64) -> String {
    format!("thread {} at {}", seen.tid, duration(seen.begin_ns.saturating_sub(start_ns)))
}

/// The slowest spans that nothing is around, with what their time went to and the reason.
pub(super) fn slowest(tree: &Tree, stages: &[StageReport], start_ns: u64) -> Table {
    let (left, right) = (Align::Left, Align::Right);
    let columns =
        [("slowest", left), ("thread", right), ("at", right), ("took", right), ("time", left), ("why", left)];
    let mut table = Table::new("Slowest", &columns);
    table.optional = vec!["time", "at"];
    table.narrow = vec!["thread"];
    let mut inside: Vec<u32> = Vec::new();
    for &(stage, _) in tree.slowest.iter().flat_map(|slow| &slow.parts) {
        if !inside.contains(&stage) {
            inside.push(stage);
        }
    }
    let name = |stage: u32| &stages[stage as usize].stage.name[..];
    let letters = letters(inside.iter().map(|&stage| Some(name(stage))));
    let most_ns = tree.slowest.iter().map(|slow| slow.seen.latency_ns).max().unwrap_or(1);
    for slow in &tree.slowest {
        let letter =
            |stage: u32| inside.iter().position(|&other| other == stage).map_or('#', |at| letters[at]);
        let (parts, letters): (Vec<i64>, Vec<char>) =
            slow.parts.iter().map(|&(stage, time_ns)| (time_ns.cast_signed(), letter(stage))).unzip();
        table.rows.push(vec![
            escape(name(slow.stage)).into_owned(),
            slow.seen.tid.to_string(),
            duration(slow.seen.begin_ns.saturating_sub(start_ns)),
            latency(slow.seen.latency_ns),
            waterfall(&parts, most_ns, &letters),
            escape(&slow.reason).into_owned(),
        ]);
    }
    table
}

/// The time of the last row that is shown.
fn least_shown(tree: &Tree) -> u64 {
    let mut times: Vec<u64> = tree.nodes.iter().map(|node| node.total_ns).collect();
    times.sort_unstable_by_key(|&time_ns| std::cmp::Reverse(time_ns));
    times.get(SHOWN_ROWS - 1).copied().unwrap_or(0)
}

fn row(
    name: String,
    shares: [String; 2],
    times: &crate::analysis::Latency,
    report: &StageReport,
) -> Vec<String> {
    let mut cells = vec![name, times.count().to_string()];
    cells.extend(shares);
    let figures =
        times.summary().filter(|_| report.is_usable()).map(|it| [it.p50, it.p99, it.max].map(latency));
    cells.extend(figures.unwrap_or_else(|| ["-"; 3].map(str::to_owned)));
    cells
}

/// How often each of several alternatives ended the stage.
fn ends(report: &StageReport) -> String {
    let shared =
        report.ends[0].0.probe.find(&report.stage.name[..]).map_or(0, |at| at + report.stage.name.len());
    let word = |probe: &str| {
        let rest = probe.get(shared..).unwrap_or(probe).trim_matches(['_', '-', '.']);
        escape(if rest.is_empty() { probe } else { rest }).into_owned()
    };
    let texts: Vec<String> =
        report.ends.iter().map(|(end, count)| format!("{count} {}", word(&end.probe))).collect();
    texts.join(", ")
}

fn percent(part_ns: u64, whole_ns: u64) -> String {
    format!("{:.0} %", 100.0 * part_ns as f64 / whole_ns.max(1) as f64)
}

/// The member `tree` of the JSON of an analysis; null without stages by thread.
pub(super) fn members(analysis: &Analysis) -> Value {
    let Some(tree) = analysis.tree.as_ref().filter(|tree| tree.threads > 0) else { return Value::Null };
    let name = |stage: u32| analysis.stages[stage as usize].stage.name.clone();
    let node = |node: &TreeNode| {
        json!({
            "stage": name(node.stage),
            "depth": node.depth,
            "total_ns": node.total_ns,
            "own_ns": node.own_ns,
            "spans": node.latency.count(),
            "latency_ns": latency_members(&node.latency),
            "examples": node.examples.map_or(Value::Null, |[p50, p90, p99, max]| json!({
                "p50": seen(p50), "p90": seen(p90), "p99": seen(p99), "max": seen(max),
            })),
            "over_time_ns": node.over_time_ns.iter().map(|mean| mean.map(f64::round)).collect::<Vec<_>>(),
        })
    };
    json!({
        "threads": tree.threads,
        "thread_ns": tree.thread_ns,
        "no_stage_ns": tree.idle_ns,
        "nodes": tree.nodes.iter().map(node).collect::<Vec<_>>(),
        "overlapping": tree.overlapping.iter().map(|&stage| name(stage)).collect::<Vec<_>>(),
        "worst": tree.slowest.iter().map(|slow| json!({
            "stage": name(slow.stage),
            "span": seen(slow.seen),
            "parts_ns": slow.parts.iter().map(|&(stage, ns)| (name(stage).to_owned(), ns.into()))
                .collect::<serde_json::Map<String, Value>>(),
            "reason": slow.reason,
        })).collect::<Vec<_>>(),
    })
}

/// A span as it is found in the trace.
fn seen(span: SeenSpan) -> Value {
    let SeenSpan { pid, tid, begin_ns, latency_ns } = span;
    json!({ "pid": pid, "tid": tid, "begin_ns": begin_ns, "latency_ns": latency_ns })
}
