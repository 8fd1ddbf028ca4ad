//! What stands on the page, in order.

use tracer_format::Trace;

use super::document::document;
use super::over_time::{Shade, over_time, shades};
use super::parts::{left_out, lines, parts};
use super::svg::put;
use super::text::Limits;
use super::{cdf, distribution, figures, path, threads, waterfall};
use crate::analysis::Analysis;
use crate::analysis::compare::Comparison;
use crate::analysis::diagnosis::Diagnosis;
use crate::report::{Part, Report, counted};
use crate::screen::plot::Trends;
use crate::screen::plot::tracks::{Track, path_of, tracks};
use crate::screen::verdict::NO_BOTTLENECK;
use crate::screen::{self, Detail};

/// Bytes that a page has at most.
pub const MAX_BYTES: usize = 1_000_000;

/// How much a page may hold: the first that keeps it below [`MAX_BYTES`].
const LIMITS: [Limits; 5] = [
    Limits { plots: 24, rows: 200, figures: 1000, letters: 400 },
    Limits { plots: 12, rows: 100, figures: 1000, letters: 200 },
    Limits { plots: 6, rows: 50, figures: 1000, letters: 100 },
    Limits { plots: 6, rows: 20, figures: 500, letters: 60 },
    Limits { plots: 2, rows: 20, figures: 20, letters: 40 },
];

/// A recording and what was found in it.
#[derive(Debug, Clone, Copy)]
pub struct Recording<'a> {
    /// What it is called, such as the name of its file.
    pub name: &'a str,
    /// The trace.
    pub trace: &'a Trace<'a>,
    /// What it holds, and where it is from.
    pub about: &'a Report,
    /// Its analysis, with a diagnosis.
    pub analysis: &'a Analysis,
    /// How its stages and hand-offs go over time.
    pub trends: &'a Trends,
}

/// The page of `recording`; with what `comparison` says of it beside others, if that is given. At most [`MAX_BYTES`] long.
#[must_use]
pub fn page(recording: &Recording<'_>, comparison: Option<&Comparison>) -> String {
    let report = screen::report(recording.analysis, Detail::Usual);
    let page = |limits: Limits| {
        document(&limits.plain_name(recording.name), &sections(recording, &report, comparison, limits))
    };
    let mut pages = LIMITS.into_iter().map(page).skip_while(|page| page.len() > MAX_BYTES);
    pages.next().unwrap_or_else(|| page(LIMITS[LIMITS.len() - 1]))
}

/// Parts of the page, each with the name that its link has, and its title.
fn sections(
    recording: &Recording<'_>,
    report: &Report,
    comparison: Option<&Comparison>,
    limits: Limits,
) -> Vec<(&'static str, &'static str, String)> {
    let all = tracks(recording.analysis, recording.trends);
    let shades = shades(recording, limits);
    let mut sections = vec![("verdict", "Verdict", verdict(recording, report, limits))];
    if let Some(comparison) = comparison {
        let diff = screen::diff::report(comparison);
        let text = lines(&diff.title, limits) + &parts(&diff, limits, |_| true) + &lines(&diff.notes, limits);
        sections.push(("compared", "Compared with the base", text + &cdf::cdfs(comparison, limits)));
    }
    sections.push(("path", "Where the time goes", where_time_goes(recording, report, limits)));
    sections.push(("figures", "Figures", figures::figures(&all, limits)));
    sections.push(slowest_section(recording.analysis, limits));
    sections.push(("plots", "Distributions, and over time", plots(&all, &shades, limits)));
    let info = recording.about;
    let is_loss = |part: &Part| matches!(part, Part::Table(table) if LOSS.contains(&table.title));
    let loss = parts(report, limits, is_loss) + &parts(info, limits, is_loss);
    sections.push(("loss", "Not complete, lost, not recorded", loss));
    let is_info = |part: &Part| !is_loss(part);
    sections.push(("recording", "The recording", parts(info, limits, is_info)));
    sections.retain(|(_, _, text)| !text.is_empty());
    sections
}

/// Titles of tables about what is missing.
const LOSS: [&str; 4] = ["Not complete", "Gaps", "Not recorded", "Damage"];
/// Titles of tables of which the page has its own.
const OWN: [&str; 4] = ["Stages", "Hand-offs", "Slowest", "Threads"];

fn verdict(recording: &Recording<'_>, report: &Report, limits: Limits) -> String {
    // It is short, and says nothing if it is cut.
    let limits = Limits { letters: LIMITS[0].letters, ..limits };
    let is_said = |part: &Part| !matches!(part, Part::Table(_));
    let notes = lines(&report.notes, limits);
    let notes = if notes.is_empty() { notes } else { format!(r#"<div class="notes">{notes}</div>"#) };
    let class = if recording.analysis.outcome.is_lossy() { "lossy" } else { "whole" };
    let title = format!(r#"<div class="{class}">{}</div>"#, lines(&report.title, limits));
    let said = Report { parts: verdicts(report), ..Report::default() };
    parts(&said, limits, is_said) + &title + &notes
}

/// What is said of the paths. Of many that have no bottleneck, and nothing else, all but the first are only counted: what is said of
/// each stands above its table in the text, and here below each other.
fn verdicts(report: &Report) -> Vec<Part> {
    const MANY: usize = 3;
    let is_calm = |part: &&Part| matches!(part, Part::Facts(facts) if matches!(&facts[..], [(name, _)] if name == NO_BOTTLENECK));
    let calm = report.parts.iter().filter(is_calm).count();
    if calm < MANY {
        return report.parts.clone();
    }
    let mut seen = 0;
    let is_kept = |part: &&Part| {
        seen += usize::from(is_calm(part));
        seen < 2 || !is_calm(part)
    };
    let mut kept: Vec<Part> = report.parts.iter().filter(is_kept).cloned().collect();
    let more = format!("the same in {}", counted(calm as u64 - 1, "more path"));
    kept.push(Part::Facts(vec![(NO_BOTTLENECK.to_owned(), more)]));
    kept
}

/// The path, or several, and the tables that are not elsewhere on the page.
fn where_time_goes(recording: &Recording<'_>, report: &Report, limits: Limits) -> String {
    let mut out = String::new();
    for path in paths(recording.analysis).take(DRAWN) {
        let picture = path::picture(path, recording, limits);
        put(&mut out, format_args!(r#"<div class="scroll">{picture}</div>"#));
    }
    out.push_str(&left_out(paths(recording.analysis).count(), Limits { rows: DRAWN, ..limits }));
    if !out.is_empty() {
        out.push_str(r#"<p class="below">Columns are programs, boxes stages, arrows waits; each with its median / 99th percentile and its share of the time of a buffer in the middle.</p>"#);
    }
    let is_here = |part: &Part| matches!(part, Part::Table(table) if !LOSS.contains(&table.title) && !OWN.contains(&table.title));
    out + &parts(report, limits, is_here) + &threads::tree(recording.analysis, limits)
}

/// Paths that are drawn, with their slowest buffers.
const DRAWN: usize = 4;

fn paths(analysis: &Analysis) -> impl Iterator<Item = &Diagnosis> {
    let first = path_of(analysis).into_iter();
    let others = first.clone().flat_map(|path| path.others.iter().filter(|it| !it.shares.median.is_empty()));
    first.chain(others)
}

/// The slowest buffers of the paths, and the slowest spans of threads.
fn slowest_section(analysis: &Analysis, limits: Limits) -> (&'static str, &'static str, String) {
    let buffers: String =
        paths(analysis).take(DRAWN).map(|path| waterfall::waterfalls(path, limits)).collect();
    let title = if buffers.is_empty() { "Slowest spans" } else { "Slowest buffers" };
    ("slowest", title, buffers + &threads::slowest(analysis, limits))
}

const READING: &str = r#"<p class="below">How long: bars are counts on a logarithmic axis, the line is the share that took no longer. When: the latencies in slices of the time. How many: how many are under way at once. Shades are <span class="swatch stall"></span>stalls and <span class="swatch gap"></span>times in which events were lost. The pointer, or the arrow keys on a plot, show the values.</p>"#;

fn plots(tracks: &[Track<'_>], shades: &[Shade], limits: Limits) -> String {
    let mut out = if tracks.is_empty() { String::new() } else { READING.to_owned() };
    for track in tracks.iter().take(limits.plots) {
        let name = limits.name(&track.name);
        put(&mut out, format_args!("<h3>{name} <small>{}</small></h3>", track.kind.name()));
        let plots = distribution::distribution(track, limits) + &over_time(track, shades, limits);
        put(&mut out, format_args!(r#"<div class="plots">{plots}</div>"#));
    }
    out + &left_out(tracks.len(), Limits { rows: limits.plots, ..limits })
}
