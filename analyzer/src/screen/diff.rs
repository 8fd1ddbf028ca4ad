//! A comparison as a report and as JSON (`format-spec/diff.schema.json`).

use std::io;

use serde_json::{Value, json as value};
use tracer_format::log::escape;

use super::budget::{self, OfRun};
use super::json::LongDocument;
use super::json::latency as latency_members;
use crate::analysis::Summary;
use crate::analysis::compare::{Comparison, Item, Percentile, Pooled, RunSet, Shift, Verdict};
use crate::report::{Align, Report, Table, counted, latency};

/// Version of the JSON form; it grows when a member changes its meaning or goes away, not when one is added.
pub const VERSION: u32 = 1;

/// Of more runs than these that would be needed the number is not said: nobody records so many.
const MANY_RUNS: u64 = 100;

/// What is shown of `comparison`.
#[must_use]
pub fn report(comparison: &Comparison) -> Report {
    let mut report = Report { title: title(comparison), notes: notes(comparison), ..Report::default() };
    report.table(budget::table(&budgets(comparison)));
    report.table(verdicts(comparison));
    report.table(figures_table(comparison));
    report
}

/// What came of the conditions on each new run.
fn budgets(comparison: &Comparison) -> Vec<OfRun<'_>> {
    comparison.new.budget.iter().map(|(name, answers)| (name.as_str(), answers.as_slice())).collect()
}

/// What came of it all, and what was compared.
fn title(comparison: &Comparison) -> Vec<String> {
    let mut lines = vec![sentence(comparison)];
    lines.extend(comparison.place.as_ref().map(|place| escape(place).into_owned()));
    for (name, side) in [("base", &comparison.base), ("new", &comparison.new)] {
        let loss = side.outcome.loss_text().unwrap_or_else(|| "no events lost".to_owned());
        let runs = counted(side.runs as u64, "run");
        lines.push(format!("{name}: {runs}, {}, {loss}", counted(side.outcome.events, "event")));
    }
    lines.extend(comparison.differences.iter().map(|text| escape(text).into_owned()));
    lines.extend(comparison.with_itself.clone());
    lines
}

/// The verdict on all stages, in words.
fn sentence(comparison: &Comparison) -> String {
    let mut parts = Vec::new();
    for (verdict, word) in [(Verdict::Slower, "slower"), (Verdict::Faster, "faster")] {
        let count = comparison.with(verdict).len() as u64;
        if count > 0 {
            parts.push(format!("{} {word}", counted(count, "stage")));
        }
    }
    if comparison.compared() == 0 {
        return "nothing was compared: no stage has a complete span on both sides".to_owned();
    }
    let open = comparison.with(Verdict::Inconclusive).len();
    let inconclusive = if open > 0 { format!("; {open} inconclusive") } else { String::new() };
    match comparison.stages.len() {
        1 if open > 0 => "it cannot be said whether the one stage got slower".to_owned(),
        1 if parts.is_empty() => "the one stage did not get slower, as far as can be seen".to_owned(),
        all if parts.is_empty() => {
            format!("none of {all} stages got slower, as far as can be seen{inconclusive}")
        }
        all => format!("{}, of {all}{inconclusive}", parts.join(", ")),
    }
}

/// A row for each stage, and for each hand-off that changed.
fn verdicts(comparison: &Comparison) -> Table {
    let columns = [
        ("stage", Align::Left),
        ("change", Align::Right),
        ("99 % range", Align::Right),
        ("could see", Align::Right),
        ("verdict", Align::Left),
    ];
    let mut table = Table::new("", &columns);
    let changed = |item: &&Item| matches!(item.verdict, Verdict::Slower | Verdict::Faster);
    for item in comparison.stages.iter().chain(comparison.hand_offs.iter().filter(changed)) {
        let shift = |of: &dyn Fn(&Shift) -> String| item.shift.as_ref().map_or_else(|| "-".to_owned(), of);
        table.rows.push(vec![
            escape(&item.name).into_owned(),
            shift(&|shift| percent(Some((shift.ratio - 1.0) * 100.0))),
            shift(&|shift| {
                let (low, high) = shift.range;
                format!("{:+.1} to {}", (low - 1.0) * 100.0, percent(Some((high - 1.0) * 100.0)))
            }),
            shift(&|shift| format!("{:.1} %", shift.could_see * 100.0)),
            verdict(item),
        ]);
    }
    table
}

fn verdict(item: &Item) -> String {
    let by: Vec<&str> = item.by.iter().map(|percentile| percentile.name()).collect();
    let by = if by.is_empty() { String::new() } else { format!(" ({})", by.join(", ")) };
    let more = match item.more_runs {
        None => String::new(),
        Some(runs) if runs > MANY_RUNS => format!(", more than {MANY_RUNS} runs more would tell"),
        Some(runs) => format!(", {} more would tell", counted(runs, "run")),
    };
    format!("{}{by}{more}", item.verdict.name())
}

/// Three rows for each stage: base, new, and the change.
fn figures_table(comparison: &Comparison) -> Table {
    let columns =
        [("stage", Align::Left), ("", Align::Left), ("spans", Align::Right), ("mean", Align::Right)];
    let percentiles = ["p50", "p90", "p99"].map(|name| (name, Align::Right));
    let columns = [&columns[..], &percentiles].concat();
    let mut table = Table::new("", &columns);
    for item in &comparison.stages {
        let sides =
            [(escape(&item.name).into_owned(), "base", &item.base), (String::new(), "new", &item.new)];
        for (name, side, pooled) in sides {
            table.rows.push(side_cells(name, side, pooled.as_deref()));
        }
        let mut cells = vec![String::new(), "change".to_owned(), String::new()];
        let changes = changes(item);
        cells.extend((0..4).map(|at| changes.map_or_else(|| "-".to_owned(), |changes| percent(changes[at]))));
        table.rows.push(cells);
    }
    table
}

fn side_cells(name: String, side: &str, pooled: Option<&Pooled>) -> Vec<String> {
    let mut cells = vec![name, side.to_owned()];
    let summary = pooled.and_then(|pooled| pooled.latency.summary());
    match (pooled, summary) {
        (Some(pooled), Some(summary)) => {
            let mark = if pooled.near_loss > 0 { "*" } else { "" };
            cells.push(format!("{}{mark}", pooled.latency.count()));
            cells.extend(figures(&summary).map(latency));
        }
        _ => cells.extend(["0", "-", "-", "-", "-"].map(str::to_owned)),
    }
    cells
}

/// The columns of a summary that are compared.
fn figures(summary: &Summary) -> [i64; 4] {
    [summary.mean, summary.p50, summary.p90, summary.p99]
}

/// Changes of mean, p50, p90 and p99 in percent of the base; one is `None` where the base is not above 0.
fn changes(item: &Item) -> Option<[Option<f64>; 4]> {
    let base = figures(&item.base.as_ref()?.latency.summary()?);
    let new = figures(&item.new.as_ref()?.latency.summary()?);
    let change = |at: usize| (base[at] > 0).then(|| (new[at] as f64 / base[at] as f64 - 1.0) * 100.0);
    Some([change(0), change(1), change(2), change(3)])
}

fn percent(change: Option<f64>) -> String {
    change.map_or_else(|| "-".to_owned(), |percent| format!("{percent:+.1} %"))
}

/// The lines below the tables.
fn notes(comparison: &Comparison) -> Vec<String> {
    let mut notes = Vec::new();
    for item in &comparison.stages {
        let name = escape(&item.name);
        let count = |pooled: &Option<Box<Pooled>>| pooled.as_ref().map_or(0, |pooled| pooled.not_complete);
        let (base, new) = (count(&item.base), count(&item.new));
        if base != new {
            notes.push(format!("{name}: {} not complete, {base} in the base", counted(new, "span")));
        }
        for tail in item.tails.iter().filter(|tail| !item.by.contains(&tail.percentile)) {
            if tail.verdict != Verdict::Same {
                let (percentile, change) =
                    (tail.percentile.name(), percent(Some((tail.ratio - 1.0) * 100.0)));
                notes.push(format!(
                    "{name}: {percentile} changed by {change}, beyond its own noise; --judge {percentile} would decide by it"
                ));
            }
        }
    }
    notes.extend(precision(comparison));
    if comparison.hand_offs.iter().any(|item| matches!(item.verdict, Verdict::Slower | Verdict::Faster)) {
        notes.push("Waits between stages (->) are shown where they changed; stages alone decide".to_owned());
    }
    let marked = |pooled: &Option<Box<Pooled>>| pooled.as_ref().is_some_and(|it| it.near_loss > 0);
    if comparison.stages.iter().any(|stage| marked(&stage.base) || marked(&stage.new)) {
        notes.push(
            "Events were lost during some spans of those marked *, which may touch the figures".to_owned(),
        );
    }
    notes
}

/// How far the verdicts can be trusted.
fn precision(comparison: &Comparison) -> Vec<String> {
    let shifts = || comparison.stages.iter().filter_map(|stage| stage.shift.as_ref());
    let mut notes = Vec::new();
    let paired = shifts().filter(|shift| shift.is_paired).count() as u64;
    if paired > 0 {
        notes.push(format!(
            "{} compared key by key: both sides carry the same work",
            counted(paired, "stage")
        ));
    }
    let holds_none = |item: &Item| {
        let range = item.shift.as_ref().map(|shift| shift.range);
        item.by.contains(&Percentile::P50) && range.is_some_and(|(low, high)| low <= 1.0 && high >= 1.0)
    };
    if comparison.stages.iter().chain(&comparison.hand_offs).any(holds_none) {
        notes.push(
            "Where a stage is slower or faster though its 99 % range holds 0: its spans changed for sure, and chance from run to run \
             explains that with less than 5 %; more runs narrow the range"
                .to_owned(),
        );
    }
    if comparison.base.runs.min(comparison.new.runs) < 3 && shifts().next().is_some() {
        notes.push(
            "With fewer than 3 runs on a side, what differs from run to run of one build is not known: it may look like a change"
                .to_owned(),
        );
    }
    if shifts().any(|shift| shift.could_see > 0.1) {
        notes.push(
            "Changes below 10 % may stay unseen in some stages: record longer, or more runs".to_owned(),
        );
    }
    notes
}

/// Writes `comparison` as JSON, with a line end.
///
/// # Errors
/// If `out` fails.
pub fn write_json(comparison: &Comparison, out: &mut impl io::Write) -> io::Result<()> {
    let mut document = value!({
        "version": VERSION,
        "threshold_percent": comparison.judgment.min_change_percent,
        "min_difference_ns": comparison.judgment.min_difference_ns,
        "min_spans": comparison.judgment.min_spans,
        "by": names(comparison.judgment.judged()),
        "slower": comparison.with(Verdict::Slower),
        "uncertain": comparison.is_uncertain(),
        "base": side(&comparison.base),
        "new": side(&comparison.new),
        "differences": comparison.differences,
        "with_itself": comparison.with_itself,
        "place": comparison.place,
        "stages": null,
        "hand_offs": null,
    });
    if !comparison.new.budget.is_empty() {
        document["budget"] = budget::members(&budgets(comparison));
    }
    LongDocument::of(document)
        .with_list("stages", || comparison.stages.iter().map(item))
        .with_list("hand_offs", || comparison.hand_offs.iter().map(item))
        .write(out)
}

fn names(by: &[Percentile]) -> Vec<&'static str> {
    by.iter().map(|percentile| percentile.name()).collect()
}

fn side(side: &RunSet) -> Value {
    value!({
        "runs": side.runs,
        "events": side.outcome.events,
        "lost": side.outcome.lost,
        "gaps": side.outcome.gaps,
        "damaged_bytes": side.outcome.damaged_bytes(),
        "complete_file": !side.outcome.incomplete,
    })
}

fn item(item: &Item) -> Value {
    let side = |pooled: &Option<Box<Pooled>>| {
        pooled.as_ref().map(|pooled| {
            value!({
                "complete": pooled.latency.count(),
                "not_complete": pooled.not_complete,
                "complete_near_loss": pooled.near_loss,
                "latency_ns": latency_members(&pooled.latency),
            })
        })
    };
    let tails = item.tails.iter().map(|tail| {
        value!({
            "percentile": tail.percentile.name(),
            "ratio": tail.ratio,
            "verdict": tail.verdict.name(),
        })
    });
    value!({
        "name": item.name,
        "verdict": item.verdict.name(),
        "by": names(&item.by),
        "base": side(&item.base),
        "new": side(&item.new),
        "change_percent": changes(item).map(|[mean, p50, p90, p99]| {
            value!({ "mean": mean, "p50": p50, "p90": p90, "p99": p99 })
        }),
        "shift": item.shift.as_ref().map(|shift| {
            value!({
                "ratio": shift.ratio,
                "low": shift.range.0,
                "high": shift.range.1,
                "deviations": shift.deviations,
                "design_effect": shift.design_effect,
                "could_see": shift.could_see,
                "by_key": shift.is_paired,
            })
        }),
        "tails": tails.collect::<Vec<_>>(),
        "more_runs": item.more_runs,
    })
}
