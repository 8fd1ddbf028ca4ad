//! A diagnosis as parts of a report: what limits the buffers, what is wrong, where their time goes, and why the slowest were slow.

use tracer_format::log::escape;

use crate::analysis::Latency;
use crate::analysis::diagnosis::{Diagnosis, FindingKind, LimitKind};
use crate::report::{Align, Table, counted, latency};

/// Findings that are shown.
const SHOWN: usize = 12;

/// The verdict and the findings; nothing if no buffer passes from stage to stage.
pub(super) fn verdict(diagnosis: &Diagnosis) -> Vec<(String, String)> {
    let mut facts = Vec::new();
    if diagnosis.limit.kind != LimitKind::None {
        facts.push((title(diagnosis.limit.kind).to_owned(), escape(&diagnosis.limit.text).into_owned()));
    }
    let findings = diagnosis.findings.iter().take(SHOWN);
    facts.extend(findings.map(|it| (word(it.kind).to_owned(), escape(&it.text).into_owned())));
    if diagnosis.findings.len() > SHOWN {
        let more = counted((diagnosis.findings.len() - SHOWN) as u64, "finding");
        facts.push((String::new(), format!("{more} more: --format json")));
    }
    facts
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

/// The steps of the path with their shares; no row if there is no path.
pub(super) fn steps(diagnosis: &Diagnosis) -> Table {
    let right = ["p50", "p90", "p99", "max", "median", "slowest"].map(|name| (name, Align::Right));
    let columns: Vec<_> =
        [("path of a buffer", Align::Left), ("", Align::Left)].into_iter().chain(right).collect();
    let mut table = Table::new("Path", &columns);
    let shares = diagnosis.shares.median.iter().zip(&diagnosis.shares.slowest);
    for ((step, times), (median, slowest)) in diagnosis.route.steps.iter().zip(&diagnosis.steps).zip(shares) {
        let kind = if step.stage.is_some() { "work" } else { "wait" };
        let mut cells = vec![escape(&step.name).into_owned(), kind.to_owned()];
        cells.extend(times_of(times));
        cells.extend([median, slowest].map(|share| format!("{:.0} %", 100.0 * share)));
        table.rows.push(cells);
    }
    let mut cells = vec!["end to end".to_owned(), "total".to_owned()];
    cells.extend(times_of(&diagnosis.total));
    cells.extend([String::new(), String::new()]);
    table.rows.push(cells);
    table.below = flow(diagnosis);
    table
}

/// Whether there is a path.
pub(super) fn has_path(diagnosis: &Diagnosis) -> bool {
    !diagnosis.shares.median.is_empty()
}

/// Buffers under way, beside what Little's law makes of it, and those that did not pass all of the path as they should.
fn flow(diagnosis: &Diagnosis) -> String {
    let mean_s = diagnosis.total.summary().map_or(0.0, |summary| summary.mean as f64 / 1e9);
    let rates = diagnosis.limit.rates;
    let in_flight = rates.map(|rates| {
        format!("in flight {:.2} mean (Little {:.2}); ", rates.in_flight, rates.in_per_s * mean_s)
    });
    let found = |kinds: &[FindingKind]| -> u64 {
        let of_kind = diagnosis.findings.iter().filter(|finding| kinds.contains(&finding.kind));
        of_kind.map(|finding| finding.count).sum()
    };
    format!(
        "{}lost {}, skipped {}, twice {}, overtaken {}",
        in_flight.unwrap_or_default(),
        found(&[FindingKind::Lost, FindingKind::Missed]),
        found(&[FindingKind::Skipped]),
        found(&[FindingKind::Duplicated]),
        diagnosis.overtaken.iter().max().copied().unwrap_or_default(),
    )
}

fn times_of(times: &Latency) -> [String; 4] {
    times.summary().map_or_else(Default::default, |it| [it.p50, it.p90, it.p99, it.max].map(latency))
}

/// The slowest buffers, each with the reason.
pub(super) fn slowest(diagnosis: &Diagnosis) -> Table {
    let columns = [("slowest", Align::Right), ("took", Align::Right), ("why", Align::Left)];
    let mut table = Table::new("Slowest", &columns);
    for slow in &diagnosis.slowest {
        table.rows.push(vec![
            slow.key.to_string(),
            latency(slow.total_ns),
            escape(&slow.reason).into_owned(),
        ]);
    }
    table
}
