//! An analysis as text: tables for the terminal.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use tracer_format::log::{escape, skipped_text};

use super::verdict::{path, verdict};
use crate::analysis::{Analysis, Latency, StageReport};
use crate::pair::Class;
use crate::report::{Align, Table, counted, duration, latency};
use crate::stage::Stage;

/// How much of what was not recorded is shown; `info` has all.
const SHOWN_SKIPPED: usize = 10;
/// Mark of a figure that lost events may have touched.
const LOSS_MARK: &str = "*";

/// Renders `analysis`.
#[must_use]
pub fn text(analysis: &Analysis) -> String {
    let mut out = head(analysis);
    out.push_str(&verdict(analysis));
    let (fired, silent): (Vec<&StageReport>, Vec<&StageReport>) =
        analysis.stages.iter().partition(|report| has_events(report, analysis));
    if fired.is_empty() && analysis.refused.is_empty() {
        out.push_str(
            "\nNo stage was seen. Give one with --stage 'NAME = PROVIDER:FROM -> PROVIDER:TO by KEY'.\n",
        );
    } else {
        out.push('\n');
        out.push_str(&stage_table(&fired, false).text());
    }
    if !analysis.hand_offs.is_empty() {
        out.push('\n');
        out.push_str(&hand_off_table(analysis, false).text());
    }
    out.push_str(&path(analysis, false));
    let irregular = class_table(&fired, false);
    if !irregular.is_empty() {
        out.push('\n');
        out.push_str(&irregular.text());
    }
    out.push_str(&notes(analysis, &fired, &silent));
    out
}

/// The lines above the tables.
pub(crate) fn head(analysis: &Analysis) -> String {
    let mut out = String::new();
    let probes = analysis.probes.iter().filter(|count| count.events > 0).count();
    let (events, probes) = (counted(analysis.outcome.events, "event"), counted(probes as u64, "probe"));
    let duration = analysis.time_ns.map(|(first_ns, last_ns)| duration(last_ns - first_ns));
    let over = duration.map(|duration| format!(" in {duration}")).unwrap_or_default();
    writeln!(out, "{events} of {probes}{over}").expect("a string takes every write");
    match analysis.outcome.holes_text() {
        None => out.push_str("no events lost\n"),
        Some(loss) => {
            let marked = "figures that this may touch are marked *";
            writeln!(out, "{loss}; {marked}").expect("a string takes every write");
        }
    }
    let skipped = &analysis.outcome.skipped;
    for skipped in skipped.iter().take(SHOWN_SKIPPED) {
        writeln!(out, "not recorded: {}", skipped_text(skipped)).expect("a string takes every write");
    }
    if let Some(more @ 1..) = skipped.len().checked_sub(SHOWN_SKIPPED) {
        writeln!(out, "and {more} more, which tracer info lists").expect("a string takes every write");
    }
    out
}

/// Latencies of the stages.
pub(crate) fn stage_table(reports: &[&StageReport], markdown: bool) -> Table {
    let mut table = latency_table("stage", "spans", markdown);
    for report in reports {
        let touched = report.complete_near_loss > 0;
        let name = escape(&report.stage.name);
        if report.is_usable() {
            table.row(latency_cells(&name, &report.latency, touched));
        } else {
            let (begins, ends) = report.begins_and_ends();
            let mut cells = latency_cells(&name, &Latency::default(), touched);
            cells[1] = format!("{} of {}", report.latency.count(), begins.max(ends));
            table.row(cells);
        }
    }
    table
}

/// Latencies of the hand-offs.
pub(crate) fn hand_off_table(analysis: &Analysis, markdown: bool) -> Table {
    let stages: Vec<Stage> = analysis.stages.iter().map(|report| report.stage.clone()).collect();
    let mut table = latency_table("hand-off", "count", markdown);
    for report in &analysis.hand_offs {
        let name = report.name(&stages);
        table.row(latency_cells(&escape(&name), &report.latency, report.near_loss > 0));
    }
    table
}

/// Spans that are not complete, for the stages that have any, and those that were overtaken.
pub(crate) fn class_table(reports: &[&StageReport], markdown: bool) -> Table {
    let mut columns = vec![("not complete", Align::Left)];
    let classes = &Class::ALL[1..];
    columns.extend(classes.iter().map(|class| (title(*class), Align::Right)));
    columns.extend([("inverted by", Align::Right), ("reordered", Align::Right)]);
    let mut table = Table::new(&columns, markdown);
    for report in reports {
        let counts: Vec<u64> = classes.iter().map(|&class| report.classes.of(class)).collect();
        if counts.iter().all(|&count| count == 0) && report.reordered == 0 {
            continue;
        }
        let mark = if report.other_near_loss > 0 { LOSS_MARK } else { "" };
        let mut cells = vec![format!("{}{mark}", escape(&report.stage.name))];
        cells.extend(counts.iter().map(ToString::to_string));
        let by = report.inverted.summary().map(|by| match (latency(by.max), latency(by.min)) {
            (least, most) if least == most => most,
            (least, most) => format!("{least} to {most}"),
        });
        cells.extend([by.unwrap_or_else(|| "-".to_owned()), report.reordered.to_string()]);
        table.row(cells);
    }
    table
}

fn title(class: Class) -> &'static str {
    match class {
        Class::Complete => "complete",
        Class::Open => "open",
        Class::OrphanEnd => "orphan end",
        Class::RepeatedBegin => "repeated begin",
        Class::RepeatedEnd => "repeated end",
        Class::Inverted => "inverted",
    }
}

fn latency_table(what: &'static str, count: &'static str, markdown: bool) -> Table {
    let mut columns = vec![(what, Align::Left)];
    columns
        .extend([count, "min", "mean", "p50", "p90", "p99", "p99.9", "max"].map(|name| (name, Align::Right)));
    Table::new(&columns, markdown)
}

fn latency_cells(name: &str, distribution: &Latency, touched: bool) -> Vec<String> {
    let mark = if touched { LOSS_MARK } else { "" };
    let mut cells = vec![name.to_owned(), format!("{}{mark}", distribution.count())];
    match distribution.summary() {
        Some(it) => cells.extend([it.min, it.mean, it.p50, it.p90, it.p99, it.p999, it.max].map(latency)),
        None => cells.extend(std::iter::repeat_n("-".to_owned(), 7)),
    }
    cells
}

/// The lines below the tables.
pub(crate) fn notes(analysis: &Analysis, fired: &[&StageReport], silent: &[&StageReport]) -> String {
    let mut notes = Vec::new();
    for report in fired {
        let name = escape(&report.stage.name);
        if report.without_key > 0 {
            let key = &report.stage.key;
            let events = counted(report.without_key, "event");
            notes.push(format!("{name}: {events} without a key ({key}) left out"));
        }
        if report.given_up > 0 {
            let given_up = counted(report.given_up, "event");
            notes.push(format!("{name}: {given_up} given up unpaired, to bound memory"));
        }
    }
    notes.extend(key_notes(analysis, fired));
    if analysis.keys_given_up > 0 {
        let keys = counted(analysis.keys_given_up, "key");
        notes.push(format!(
            "{keys} forgotten before all stages were seen, to bound memory: hand-offs may be missing"
        ));
    }
    if !silent.is_empty() {
        let names: Vec<_> = silent.iter().map(|report| escape(&report.stage.name)).collect();
        notes.push(format!("no events of the stages {}", names.join(", ")));
    }
    let unused = analysis.probes.iter().filter(|count| count.events == 0).count();
    if unused > 0 {
        notes.push(format!("no events of {unused} of {}", counted(analysis.probes.len() as u64, "probe")));
    }
    if notes.is_empty() { String::new() } else { format!("\n{}\n", notes.join("\n")) }
}

/// By which keys stages are paired, where that is not `seq` for all; and what is wrong with them.
fn key_notes(analysis: &Analysis, fired: &[&StageReport]) -> Vec<String> {
    let mut notes = Vec::new();
    let mut by_key: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for report in fired {
        by_key.entry(report.stage.key_text()).or_default().push(escape(&report.stage.name).into_owned());
    }
    if by_key.keys().any(|key| key != "seq") {
        let lists = by_key.iter().map(|(key, names)| format!("{key}: {}", names.join(", ")));
        notes.push(format!("paired by {}", lists.collect::<Vec<_>>().join("; by ")));
    }
    let named = |wanted: fn(&StageReport) -> bool| {
        let wanted = fired.iter().filter(|report| wanted(report));
        wanted.map(|report| escape(&report.stage.name)).collect::<Vec<_>>().join(", ")
    };
    let unconfirmed = named(|report| !report.evidence.confirmed && !report.evidence.few);
    if !unconfirmed.is_empty() {
        notes.push(format!("no argument confirms the key of {unconfirmed}"));
    }
    let few = named(|report| report.evidence.few);
    if !few.is_empty() {
        notes.push(format!("too few events to choose the key of {few}"));
    }
    for report in fired.iter().filter(|report| !report.is_usable()) {
        let (begins, ends) = report.begins_and_ends();
        let (complete, key) = (report.latency.count(), &report.stage.key);
        notes.push(format!(
            "{}: only {complete} of {begins} begins and {ends} ends belong together by {key}",
            escape(&report.stage.name)
        ));
    }
    let refused = analysis.refused.iter();
    notes.extend(refused.map(|refused| format!("{}: {}", escape(&refused.stage.name), refused.text())));
    notes
}

pub(crate) fn has_events(report: &StageReport, analysis: &Analysis) -> bool {
    let of = || report.stage.begins.iter().chain(&report.stage.ends);
    let is_of = |provider: &str, probe: &str| of().any(|it| it.provider == provider && it.probe == probe);
    analysis.probes.iter().any(|count| count.events > 0 && is_of(&count.provider, &count.probe))
}
