//! A picture of the path: a column for each program, from the top down a box for each stage and an arrow for each wait.

use super::page::Recording;
use super::svg::put;
use super::text::Limits;
use crate::analysis::diagnosis::Diagnosis;
use crate::analysis::{Analysis, Latency};
use crate::pair::{Edge, Side};
use crate::report::latency;

const LANE: f64 = 284.0;
const ROW: f64 = 54.0;
const TOP: f64 = 52.0;
/// Width of a box.
const BOX: f64 = 200.0;
/// Columns of a name that fit into a box.
const LETTERS: usize = 26;

/// The picture; nothing without steps.
pub(super) fn picture(path: &Diagnosis, recording: &Recording<'_>, limits: Limits) -> String {
    let places: Vec<String> = path.route.edges.iter().map(|&edge| place(edge, recording)).collect();
    let mut lanes: Vec<&String> = Vec::new();
    places.iter().for_each(|place| {
        if !lanes.contains(&place) {
            lanes.push(place);
        }
    });
    let at: Vec<f64> = places
        .iter()
        .map(|place| center(lanes.iter().position(|lane| *lane == place).unwrap_or_default()))
        .collect();
    let (width, height) = (LANE * lanes.len() as f64 + 20.0, TOP + ROW * path.steps.len() as f64 + 26.0);
    let mut out = format!(
        r#"<svg class="map" width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img" aria-label="The path of a buffer; the table of its steps follows"><defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path class="tip" d="M0 0L8 4L0 8z"/></marker></defs>"#
    );
    let heads = limits.short_names(lanes.iter().map(|name| &name[..]), LETTERS);
    for (lane, name) in heads.iter().enumerate() {
        let (x, left) = (center(lane), center(lane) - LANE / 2.0 + 4.0);
        let (lane_width, lane_height) = (LANE - 8.0, height - 4.0);
        put(
            &mut out,
            format_args!(
                r#"<rect class="lane" x="{left}" y="2" width="{lane_width}" height="{lane_height}" rx="6"/><text class="head" x="{x}" y="22" text-anchor="middle">{name}</text>"#
            ),
        );
    }
    let hottest = (0..path.shares.median.len())
        .max_by(|&a, &b| path.shares.median[a].total_cmp(&path.shares.median[b]));
    let names = || path.route.steps.iter().map(|step| &step.name[..]);
    let names = limits.short_names(names(), letters_of_boxes(names()));
    // Arrows lie below the labels of the steps around them.
    for is_work in [false, true] {
        for step in (0..path.steps.len()).filter(|&step| path.route.is_work(step) == is_work) {
            let share = path.shares.median.get(step).copied().unwrap_or_default();
            let y = TOP + ROW * step as f64;
            let drawn = DrawnStep {
                name: if is_work {
                    names[step].clone()
                } else {
                    limits.plain_name(&path.route.steps[step].name)
                },
                times: times(&path.steps[step]),
                share: format!("{:.0} %", 100.0 * share),
                from: (at[step], y),
                to: (at[step + 1], y + ROW),
                is_hottest: hottest == Some(step),
            };
            out.push_str(&if is_work { drawn.work() } else { drawn.wait() });
        }
    }
    ends(&mut out, path, &at, recording.analysis, limits);
    out + "</svg>"
}

/// Columns of names that fit into boxes: fewer of wide letters.
fn letters_of_boxes<'a>(names: impl Iterator<Item = &'a str>) -> usize {
    let tenths = |letter: char| match letter {
        'm' | 'w' | 'M' | 'W' | '@' | '%' => 15,
        'A'..='Z' => 12,
        _ => 10,
    };
    let widest = |name: &str| {
        let letters = name.chars().take(LETTERS).collect::<Vec<_>>();
        if letters.len() < LETTERS / 2 {
            10
        } else {
            letters.iter().map(|&it| tenths(it)).sum::<usize>() / letters.len()
        }
    };
    (LETTERS - 3) * 10 / names.map(widest).max().unwrap_or(10)
}

fn center(lane: usize) -> f64 {
    LANE * (lane as f64 + 0.5) + 10.0
}

/// A step as it is drawn: from one place to the next.
struct DrawnStep {
    name: String,
    times: String,
    share: String,
    from: (f64, f64),
    to: (f64, f64),
    is_hottest: bool,
}

impl DrawnStep {
    fn work(&self) -> String {
        let (left, right) = (self.from.0.min(self.to.0) - BOX / 2.0, self.from.0.max(self.to.0) + BOX / 2.0);
        let (x, y, width, height) = (f64::midpoint(left, right), self.from.1, right - left, ROW);
        let class = if self.is_hottest { "work hot" } else { "work" };
        let (name_y, times_y) = (y + 23.0, y + 40.0);
        let Self { name, times, share, .. } = self;
        format!(
            r#"<rect class="{class}" x="{left}" y="{y}" width="{width}" height="{height}" rx="4"/><text class="strong" x="{x}" y="{name_y}" text-anchor="middle">{name}</text><text x="{x}" y="{times_y}" text-anchor="middle">{times} · {share}</text>"#
        )
    }

    fn wait(&self) -> String {
        let ((from, y), (to, end)) = (self.from, self.to);
        let class = if self.is_hottest { "way hot" } else { "way" };
        let (middle, bend) = (f64::midpoint(y, end), if from == to { 0.0 } else { 16.0 });
        // Down, across, and down again; the words stand on the right of the part that is down.
        let d = if from == to {
            format!("M{from} {y}V{end}")
        } else {
            format!("M{from} {y}V{}H{to}V{end}", y + bend)
        };
        let (x, name_y, times_y) = (to + 8.0, middle + 4.0 + bend / 4.0, middle + 20.0);
        let Self { name, times, share, .. } = self;
        let name_y = name_y.min(times_y - 15.0);
        format!(
            r#"<path class="{class}" d="{d}" marker-end="url(#tip)"/><g class="words"><title>{name}</title><text x="{x}" y="{name_y}">wait · {share}</text><text x="{x}" y="{times_y}">{times}</text></g>"#
        )
    }
}

fn times(times: &Latency) -> String {
    times.summary().map_or_else(String::new, |it| format!("{} / {}", latency(it.p50), latency(it.p99)))
}

/// The first and the last probe, where no box stands.
fn ends(out: &mut String, path: &Diagnosis, at: &[f64], analysis: &Analysis, limits: Limits) {
    let steps = path.steps.len();
    for (edge, step, label) in [(0, 0, -6.0), (steps, steps.saturating_sub(1), 16.0)] {
        if steps == 0 || path.route.is_work(step) {
            continue;
        }
        let Edge { stage, side } = path.route.edges[edge];
        let side = if side == Side::Begin { "begin" } else { "end" };
        let name = limits.short_name(&analysis.stages[stage as usize].stage.name, LETTERS - 6);
        let (x, y) = (at[edge], TOP + ROW * edge as f64);
        let text_y = y + label;
        put(
            out,
            format_args!(
                r#"<circle class="end" cx="{x}" cy="{y}" r="4"/><text class="strong" x="{x}" y="{text_y}" text-anchor="middle">{name} {side}</text>"#
            ),
        );
    }
}

/// The program in which most of the first spans have this end; with its host, if there are several.
fn place(edge: Edge, recording: &Recording<'_>) -> String {
    let definitions = &recording.trace.definitions;
    let spans = &recording.analysis.stages[edge.stage as usize].first_spans;
    let mut places: Vec<(String, usize)> = Vec::new();
    for span in spans {
        let point = if edge.side == Side::Begin { span.begin } else { span.end };
        let thread = point.and_then(|point| definitions.thread(point.thread));
        let Some(process) = thread.and_then(|thread| definitions.process(thread.process)) else { continue };
        let host = definitions.hosts.get(process.host.index()).filter(|_| definitions.hosts.len() > 1);
        let name = host.map_or_else(
            || process.program.to_string(),
            |host| format!("{}: {}", host.name, process.program),
        );
        match places.iter_mut().find(|(place, _)| *place == name) {
            Some((_, count)) => *count += 1,
            None => places.push((name, 1)),
        }
    }
    let most = places.into_iter().max_by_key(|(_, count)| *count);
    most.map_or_else(|| "?".to_owned(), |(name, _)| name)
}
