//! A diagnosis as text: what limits the buffers, what is wrong, where their time goes, and why the slowest were slow.

use std::fmt::Write as _;

use tracer_format::log::escape;

use crate::analysis::diagnosis::{Diagnosis, FindingKind, LimitKind};
use crate::analysis::{Analysis, Latency};
use crate::report::{Align, Table, counted, latency};

/// Findings that are shown.
const SHOWN: usize = 12;

/// The verdict and the findings, a line each; nothing if no buffer passes from stage to stage.
pub(super) fn verdict(analysis: &Analysis) -> String {
    let Some(diagnosis) = &analysis.diagnosis else { return String::new() };
    let mut lines = Vec::new();
    if diagnosis.limit.kind != LimitKind::None {
        lines.push((title(diagnosis.limit.kind), escape(&diagnosis.limit.text).into_owned()));
    }
    for finding in diagnosis.findings.iter().take(SHOWN) {
        lines.push((word(finding.kind), escape(&finding.text).into_owned()));
    }
    if diagnosis.findings.len() > SHOWN {
        let more = counted((diagnosis.findings.len() - SHOWN) as u64, "finding");
        lines.push(("", format!("{more} more: --format json")));
    }
    let width = lines.iter().map(|(title, _)| title.len()).max().unwrap_or_default();
    let mut out = if lines.is_empty() { String::new() } else { "\n".to_owned() };
    for (title, text) in lines {
        writeln!(out, "{title:<width$}  {text}").expect("a string takes every write");
    }
    out
}

fn title(kind: LimitKind) -> &'static str {
    match kind {
        LimitKind::Bottleneck => "BOTTLENECK",
        LimitKind::Overload => "OVERLOAD",
        LimitKind::Near => "NEAR ITS LIMIT",
        LimitKind::Untraced => "UNTRACED TIME",
        LimitKind::Unclear => "UNCLEAR",
        LimitKind::Source | LimitKind::None => "NO BOTTLENECK",
    }
}

fn word(kind: FindingKind) -> &'static str {
    match kind {
        FindingKind::Stall => "! STALL",
        FindingKind::PeriodicStall => "! PERIODIC STALL",
        FindingKind::Lost => "! LOST",
        FindingKind::Missed => "! MISSED",
        FindingKind::Skipped => "! SKIPPED",
        FindingKind::Duplicated => "! TWICE",
        FindingKind::Overtaken => "! OVERTAKEN",
        FindingKind::Inverted => "! INVERTED",
        FindingKind::Period => "! PERIODIC",
        FindingKind::Modes => "! TWO MODES",
        FindingKind::Change => "! CHANGE",
        FindingKind::OneValue => "! ONE VALUE",
        FindingKind::SetApart => "! SET APART",
    }
}

/// The steps of the path with their shares, and the slowest buffers.
pub(super) fn path(analysis: &Analysis, markdown: bool) -> String {
    let Some(diagnosis) = analysis.diagnosis.as_ref().filter(|it| !it.shares.median.is_empty()) else {
        return String::new();
    };
    let mut out = format!("\n{}", steps(diagnosis, markdown).text());
    let slowest = slowest(diagnosis, markdown);
    if !slowest.is_empty() {
        out += &format!("\n{}", slowest.text());
    }
    out
}

fn steps(diagnosis: &Diagnosis, markdown: bool) -> Table {
    let right = ["p50", "p90", "p99", "max", "median", "slowest"].map(|name| (name, Align::Right));
    let columns: Vec<_> =
        [("path of a buffer", Align::Left), ("", Align::Left)].into_iter().chain(right).collect();
    let mut table = Table::new(&columns, markdown);
    let shares = diagnosis.shares.median.iter().zip(&diagnosis.shares.slowest);
    for ((step, times), (median, slowest)) in diagnosis.route.steps.iter().zip(&diagnosis.steps).zip(shares) {
        let kind = if step.stage.is_some() { "work" } else { "wait" };
        let mut cells = vec![escape(&step.name).into_owned(), kind.to_owned()];
        cells.extend(times_of(times));
        cells.extend([median, slowest].map(|share| format!("{:.0} %", 100.0 * share)));
        table.row(cells);
    }
    let mut cells = vec!["end to end".to_owned(), "total".to_owned()];
    cells.extend(times_of(&diagnosis.total));
    cells.extend([String::new(), String::new()]);
    table.row(cells);
    table
}

fn times_of(times: &Latency) -> [String; 4] {
    times.summary().map_or_else(Default::default, |it| [it.p50, it.p90, it.p99, it.max].map(latency))
}

fn slowest(diagnosis: &Diagnosis, markdown: bool) -> Table {
    let columns = [("slowest", Align::Right), ("took", Align::Right), ("why", Align::Left)];
    let mut table = Table::new(&columns, markdown);
    for slow in &diagnosis.slowest {
        table.row(vec![slow.key.to_string(), latency(slow.total_ns), escape(&slow.reason).into_owned()]);
    }
    table
}
