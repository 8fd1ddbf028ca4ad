//! A comparison as a report and as JSON (`format-spec/diff.schema.json`).

use serde_json::{Value, json as value};
use tracer_format::log::escape;

use super::json::latency as latency_members;
use crate::Outcome;
use crate::analysis::diff::{Diff, Percentile, StageDiff, Verdict, not_complete};
use crate::analysis::{StageReport, Summary};
use crate::report::{Align, Report, Table, counted, latency};

/// Version of the JSON form; it grows when a member changes its meaning or goes away, not when one is added.
pub const VERSION: u32 = 1;

/// What is shown of `diff`.
#[must_use]
pub fn report(diff: &Diff) -> Report {
    let mut report = Report { title: title(diff), notes: notes(diff), ..Report::default() };
    report.table(table(diff));
    report
}

/// What came of it all, and what was compared.
fn title(diff: &Diff) -> Vec<String> {
    let mut lines = vec![sentence(diff)];
    for (name, outcome) in [("base", &diff.base), ("new", &diff.new)] {
        let loss = outcome.loss_text().unwrap_or_else(|| "no events lost".to_owned());
        lines.push(format!("{name}: {}, {loss}", counted(outcome.events, "event")));
    }
    lines
}

/// The verdict on all stages, in words.
fn sentence(diff: &Diff) -> String {
    let mut parts = Vec::new();
    for (verdict, word) in [(Verdict::Slower, "slower"), (Verdict::Faster, "faster")] {
        let count = diff.with(verdict).len() as u64;
        if count > 0 {
            parts.push(format!("{} {word}", counted(count, "stage")));
        }
    }
    if parts.is_empty() && diff.stages.is_empty() {
        return "no stage was seen in either trace".to_owned();
    }
    let all = counted(diff.stages.len() as u64, "stage");
    if parts.is_empty() {
        format!("none of {all} got slower")
    } else {
        format!("{}, of {all}", parts.join(", "))
    }
}

/// Three rows for each stage: base, new, and the change with the verdict.
fn table(diff: &Diff) -> Table {
    let columns =
        [("stage", Align::Left), ("", Align::Left), ("spans", Align::Right), ("mean", Align::Right)];
    let percentiles = ["p50", "p90", "p99"].map(|name| (name, Align::Right));
    let mut columns = [&columns[..], &percentiles].concat();
    columns.push(("verdict", Align::Left));
    let mut table = Table::new("", &columns);
    for stage in &diff.stages {
        let sides =
            [(escape(&stage.name).into_owned(), "base", &stage.base), (String::new(), "new", &stage.new)];
        for (name, side, report) in sides {
            table.rows.push(side_cells(name, side, report.as_ref()));
        }
        let mut cells = vec![String::new(), "change".to_owned(), String::new()];
        let changes = changes(stage);
        cells.extend((0..4).map(|at| changes.map_or_else(|| "-".to_owned(), |changes| percent(changes[at]))));
        cells.push(verdict(stage));
        table.rows.push(cells);
    }
    table
}

fn side_cells(name: String, side: &str, report: Option<&StageReport>) -> Vec<String> {
    let mut cells = vec![name, side.to_owned()];
    let summary = report.and_then(|report| report.latency.summary());
    match (report, summary) {
        (Some(report), Some(summary)) => {
            let mark = if report.complete_near_loss > 0 { "*" } else { "" };
            cells.push(format!("{}{mark}", report.latency.count()));
            cells.extend(figures(&summary).map(latency));
        }
        _ => cells.extend(["0", "-", "-", "-", "-"].map(str::to_owned)),
    }
    cells.push(String::new());
    cells
}

/// The columns of a summary that are compared.
fn figures(summary: &Summary) -> [i64; 4] {
    [summary.mean, summary.p50, summary.p90, summary.p99]
}

/// Changes of mean, p50, p90 and p99 in percent of the base; one is `None` where the base is not above 0.
fn changes(stage: &StageDiff) -> Option<[Option<f64>; 4]> {
    let base = figures(&stage.base.as_ref()?.latency.summary()?);
    let new = figures(&stage.new.as_ref()?.latency.summary()?);
    let change = |at: usize| (base[at] > 0).then(|| (new[at] as f64 / base[at] as f64 - 1.0) * 100.0);
    Some([change(0), change(1), change(2), change(3)])
}

fn percent(change: Option<f64>) -> String {
    change.map_or_else(|| "-".to_owned(), |percent| format!("{percent:+.1} %"))
}

fn verdict(stage: &StageDiff) -> String {
    let by: Vec<&str> = stage.by.iter().map(|percentile| percentile.name()).collect();
    let by = if by.is_empty() { String::new() } else { format!(" ({})", by.join(", ")) };
    format!("{}{by}", stage.verdict.name())
}

/// The lines below the table.
fn notes(diff: &Diff) -> Vec<String> {
    let mut notes = Vec::new();
    for stage in &diff.stages {
        let count = |report: &Option<StageReport>| report.as_ref().map_or(0, not_complete);
        let (base, new) = (count(&stage.base), count(&stage.new));
        if base != new {
            let name = escape(&stage.name);
            notes.push(format!("{name}: {} not complete, {base} in the base", counted(new, "span")));
        }
    }
    let marked = |report: &Option<StageReport>| report.as_ref().is_some_and(|it| it.complete_near_loss > 0);
    if diff.stages.iter().any(|stage| marked(&stage.base) || marked(&stage.new)) {
        notes.push(
            "Events were lost during some spans of those marked *, which may touch the figures".to_owned(),
        );
    }
    notes
}

/// Renders `diff` as JSON, with a line end.
#[must_use]
pub fn json(diff: &Diff) -> String {
    let names = |by: &[Percentile]| by.iter().map(|percentile| percentile.name()).collect::<Vec<_>>();
    let loss = |outcome: &Outcome| {
        value!({
            "events": outcome.events,
            "lost": outcome.lost,
            "gaps": outcome.gaps,
            "damaged_bytes": outcome.damaged_bytes(),
            "complete_file": !outcome.incomplete,
        })
    };
    let side = |report: &Option<StageReport>| {
        report.as_ref().map(|report| {
            value!({
                "complete": report.latency.count(),
                "not_complete": not_complete(report),
                "complete_near_loss": report.complete_near_loss,
                "latency_ns": latency_members(&report.latency),
            })
        })
    };
    let stage = |stage: &StageDiff| {
        let changes = changes(stage);
        value!({
            "name": stage.name,
            "verdict": stage.verdict.name(),
            "by": names(&stage.by),
            "base": side(&stage.base),
            "new": side(&stage.new),
            "change_percent": changes.map(|[mean, p50, p90, p99]| {
                value!({ "mean": mean, "p50": p50, "p90": p90, "p99": p99 })
            }),
        })
    };
    let document = value!({
        "version": VERSION,
        "threshold_percent": diff.judgment.threshold_percent,
        "min_spans": diff.judgment.min_spans,
        "by": names(&diff.judgment.by),
        "slower": diff.with(Verdict::Slower),
        "uncertain": diff.is_uncertain(),
        "base": loss(&diff.base),
        "new": loss(&diff.new),
        "stages": diff.stages.iter().map(stage).collect::<Vec<Value>>(),
    });
    let mut text = serde_json::to_string_pretty(&document).expect("the document has string keys only");
    text.push('\n');
    text
}
