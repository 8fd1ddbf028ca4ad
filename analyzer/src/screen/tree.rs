//! Where the time of threads goes, as parts of a report.

use serde_json::{Value, json};
use tracer_format::log::escape;

use super::json::latency as latency_members;
use crate::analysis::{Analysis, StageReport, Tree, TreeNode};
use crate::report::{Align, Table, latency};

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
            Some((time_ns, _)) => *time_ns += node.own_ns,
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
pub(super) fn table(tree: &Tree, stages: &[StageReport]) -> Table {
    let mut columns = vec![("stage of a thread", Align::Left)];
    let right = ["spans", "time", "own", "p50", "p99", "max"].map(|name| (name, Align::Right));
    columns.extend(right);
    let mut table = Table::new("Threads", &columns);
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
        table.rows.push(row(name, shares, &node.latency, &stages[node.stage as usize]));
    }
    for &stage in &tree.overlapping {
        let report = &stages[stage as usize];
        let name = format!("{} (overlaps)", escape(&report.stage.name));
        table.rows.push(row(name, Default::default(), &report.latency, report));
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
    table.below.push("a row for each text of SQL, lock or method: --group-by sql, str or argN".to_owned());
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
        })
    };
    json!({
        "threads": tree.threads,
        "thread_ns": tree.thread_ns,
        "no_stage_ns": tree.idle_ns,
        "nodes": tree.nodes.iter().map(node).collect::<Vec<_>>(),
        "overlapping": tree.overlapping.iter().map(|&stage| name(stage)).collect::<Vec<_>>(),
    })
}
