//! The slowest buffers step by step, beside the one in the middle.

use super::parts::{TableCell, left_out, table};
use super::svg::put;
use super::text::Limits;
use crate::analysis::diagnosis::{Diagnosis, Examples};
use crate::report::{Align, latency};

/// Width of a bar, in its own units.
const WIDTH: f64 = 400.0;
/// Colours of steps that are work; later ones begin again.
pub(super) const COLOURS: usize = 6;

/// A buffer: what its row begins with, how long it took, its steps, and why.
struct Row<'a> {
    key: String,
    total_ns: i64,
    steps_ns: &'a [i64],
    reason: &'a str,
    /// Why each step that is a wait took so long; may be shorter.
    waits: &'a [String],
}

/// The slowest buffers of a path; nothing if there are none.
pub(super) fn waterfalls(path: &Diagnosis, limits: Limits) -> String {
    if path.slowest.is_empty() {
        return String::new();
    }
    let middle = path.profile.examples.last().copied().flatten().map(|Examples { p50, .. }| Row {
        key: format!("{p50} (median)"),
        total_ns: path.profile.median_steps_ns.iter().copied().fold(0, i64::saturating_add),
        steps_ns: &path.profile.median_steps_ns,
        reason: "as slow as the median",
        waits: &[],
    });
    // A row has a part for each step.
    let limits = Limits { rows: limits.rows / 4, ..limits };
    let slow = path.slowest.iter().take(limits.rows).map(|slow| Row {
        key: slow.key.to_string(),
        total_ns: slow.total_ns,
        steps_ns: &slow.steps_ns,
        reason: &slow.reason,
        waits: &slow.waits,
    });
    let rows: Vec<Row<'_>> = middle.into_iter().chain(slow).collect();
    let most_ns = rows.iter().map(|row| row.total_ns).max().unwrap_or(1).max(1);
    let names: Vec<String> = path.route.steps.iter().map(|step| limits.plain_name(&step.name)).collect();
    let heads =
        [("buffer", Align::Right), ("took", Align::Right), ("steps", Align::Left), ("why", Align::Left)];
    let cells = rows.iter().map(|row| {
        vec![
            TableCell::new(limits.text(&row.key)),
            TableCell::latency(Some(row.total_ns)),
            TableCell::new(bar(row, most_ns, (&names, path), limits)),
            TableCell::new(limits.plain_name(row.reason)),
        ]
    });
    let shown = table("waterfall", "Slowest buffers", &heads, &cells.collect::<Vec<_>>());
    let all = steps(&rows, &names, limits) + &waits(&rows, &names, limits);
    let values = format!("<details><summary>Values</summary>{all}</details>");
    legend(path, limits) + &shown + &left_out(path.slowest.len(), limits) + &values
}

/// Class of a step: its colour, if it is work.
fn class(path: &Diagnosis, step: usize) -> String {
    let works = (0..step).filter(|&step| path.route.is_work(step)).count();
    if path.route.is_work(step) { format!("s{}", works % COLOURS) } else { "wait".to_owned() }
}

/// Columns of a name in a legend; the whole name stands elsewhere on the page.
pub(super) const LEGEND_COLUMNS: usize = 48;

fn legend(path: &Diagnosis, limits: Limits) -> String {
    let names = limits.short_names(path.route.steps.iter().map(|step| &step.name[..]), LEGEND_COLUMNS);
    let mut out = r#"<p class="legend">"#.to_owned();
    for (step, name) in names.iter().enumerate().filter(|(step, _)| path.route.is_work(*step)) {
        let class = class(path, step);
        put(&mut out, format_args!(r#"<span class="swatch {class}"></span><bdi dir="ltr">{name}</bdi> "#));
    }
    out + r#"<span class="swatch wait"></span>waits</p>"#
}

fn bar(row: &Row<'_>, most_ns: i64, (names, path): (&[String], &Diagnosis), limits: Limits) -> String {
    let mut out = format!(
        r#"<svg class="steps" viewBox="0 0 {WIDTH} 16" preserveAspectRatio="none" aria-hidden="true">"#
    );
    let mut since_ns = 0_i64;
    for (step, (&step_ns, name)) in row.steps_ns.iter().zip(names).enumerate() {
        let (x, width) = (at(since_ns, most_ns), at(step_ns, most_ns));
        since_ns = since_ns.saturating_add(step_ns);
        let (class, took) = (class(path, step), latency(step_ns));
        let why = row.waits.get(step).filter(|why| !why.is_empty());
        let why = why.map_or_else(String::new, |why| format!("; {}", limits.plain_name(why)));
        let rect = format_args!(
            r#"<rect class="{class}" x="{x:.1}" y="1" width="{width:.1}" height="14"><title>{name}: {took}{why}</title></rect>"#
        );
        put(&mut out, rect);
    }
    out + "</svg>"
}

fn at(time_ns: i64, most_ns: i64) -> f64 {
    (WIDTH * time_ns as f64 / most_ns as f64).clamp(0.0, WIDTH)
}

/// How long each step took, in figures.
fn steps(rows: &[Row<'_>], names: &[String], limits: Limits) -> String {
    let mut heads = vec![("buffer", Align::Right)];
    // Names are escaped already where they become heads.
    let steps: Vec<String> = (1..=names.len()).map(|step| format!("step {step}")).collect();
    heads.extend(steps.iter().map(|step| (step.as_str(), Align::Right)));
    let cells = rows.iter().map(|row| {
        let steps = row.steps_ns.iter().map(|&step_ns| TableCell::latency(Some(step_ns)));
        std::iter::once(TableCell::new(limits.text(&row.key))).chain(steps).collect()
    });
    let mut out = table("values", "Steps of the slowest buffers", &heads, &cells.collect::<Vec<_>>());
    out.push_str(r#"<ol class="below">"#);
    names.iter().for_each(|name| put(&mut out, format_args!(r#"<li><bdi dir="ltr">{name}</bdi></li>"#)));
    out + "</ol>"
}

/// Why the slowest buffers waited longer than usual, wait by wait; nothing if none did.
fn waits(rows: &[Row<'_>], names: &[String], limits: Limits) -> String {
    let heads =
        [("buffer", Align::Right), ("wait", Align::Left), ("took", Align::Right), ("why", Align::Left)];
    let of = |row: &Row<'_>| {
        let all = names.iter().zip(row.waits).zip(row.steps_ns);
        let long = all.filter(|((_, why), _)| !why.is_empty());
        let cells = long.map(|((name, why), &step_ns)| {
            vec![
                TableCell::new(limits.text(&row.key)),
                TableCell::new(name.clone()),
                TableCell::latency(Some(step_ns)),
                TableCell::new(limits.plain_name(why)),
            ]
        });
        cells.collect::<Vec<_>>()
    };
    let cells: Vec<_> = rows.iter().flat_map(of).collect();
    if cells.is_empty() {
        return String::new();
    }
    table("waits", "Waits of the slowest buffers that took longer than usual", &heads, &cells)
}
