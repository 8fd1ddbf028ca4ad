//! Where the time of threads goes, and why their slowest spans were slow.

use super::parts::{TableCell, left_out, table};
use super::svg::put;
use super::text::Limits;
use super::waterfall::{COLOURS, LEGEND_COLUMNS};
use crate::analysis::{Analysis, SeenSpan, Tree, TreeNode};
use crate::report::{Align, duration, latency};
use crate::screen::tree as text;

/// Height of a course over time, and of a column of it, in its own units.
const HEIGHT: f64 = 16.0;
const COLUMN: f64 = 3.0;
/// Width of a bar, in its own units.
const WIDTH: f64 = 400.0;

/// A place in the tree, as a row has it.
struct TreeView<'a> {
    analysis: &'a Analysis,
    tree: &'a Tree,
    start_ns: u64,
    limits: Limits,
}

/// The tree of the stages by thread: a row for each place, with its course over time, and which spans to look at; nothing without.
pub(super) fn tree(analysis: &Analysis, limits: Limits) -> String {
    TreeView::of(analysis, limits)
        .map_or_else(String::new, |rows| rows.tree() + &rows.examples() + &rows.course())
}

/// The slowest spans, what their time went to and why; nothing without.
pub(super) fn slowest(analysis: &Analysis, limits: Limits) -> String {
    let rows = TreeView::of(analysis, limits).filter(|rows| !rows.tree.slowest.is_empty());
    rows.map_or_else(String::new, |rows| rows.slowest())
}

impl<'a> TreeView<'a> {
    fn of(analysis: &'a Analysis, limits: Limits) -> Option<Self> {
        let tree = analysis.tree.as_ref().filter(|tree| !tree.nodes.is_empty())?;
        let start_ns = analysis.time_ns.map_or(0, |(first_ns, _)| first_ns);
        Some(Self { analysis, tree, start_ns, limits })
    }

    fn name(&self, stage: u32) -> String {
        self.limits.plain_name(&self.analysis.stages[stage as usize].stage.name)
    }

    fn nodes(&self) -> impl Iterator<Item = &TreeNode> {
        self.tree.nodes.iter().take(self.limits.rows)
    }

    /// The name of a node, as far in as it stands in the tree.
    fn place(&self, node: &TreeNode) -> TableCell {
        let (depth, name) = (node.depth.min(12), self.name(node.stage));
        TableCell::new(format!(r#"<span class="d{depth}"></span><bdi dir="ltr">{name}</bdi>"#))
    }

    fn share(&self, time_ns: u64) -> TableCell {
        let share = 100.0 * time_ns as f64 / self.tree.thread_ns.max(1) as f64;
        TableCell::exact(format!("{share:.0} %"), time_ns)
    }

    fn tree(&self) -> String {
        let (left, right) = (Align::Left, Align::Right);
        let heads = [
            ("stage of a thread", left),
            ("spans", right),
            ("time", right),
            ("own", right),
            ("p50", right),
            ("p99", right),
            ("max", right),
            ("over time", left),
        ];
        let rows = self.nodes().enumerate().map(|(at, node)| {
            // Those whose figures stand in the table of the courses.
            let course = if at < self.limits.plots { course(&node.over_time_ns) } else { String::new() };
            let summary = node.latency.summary();
            let figure =
                |of: fn(&crate::analysis::Summary) -> i64| TableCell::latency(summary.as_ref().map(of));
            let count = node.latency.count();
            vec![
                self.place(node),
                TableCell::exact(count.to_string(), count),
                self.share(node.total_ns),
                self.share(node.own_ns),
                figure(|it| it.p50),
                figure(|it| it.p99),
                figure(|it| it.max),
                TableCell::new(course),
            ]
        });
        let mut out = table("tree", "Stages of threads", &heads, &rows.collect::<Vec<_>>());
        out.push_str(&left_out(self.tree.nodes.len(), self.limits));
        for line in text::table(self.tree, &self.analysis.stages, self.start_ns).below {
            put(&mut out, format_args!(r#"<p class="below">{}</p>"#, self.limits.text(&line)));
        }
        out
    }

    /// Which spans took as long as the percentiles say.
    fn examples(&self) -> String {
        let mut heads = vec![("stage of a thread", Align::Left)];
        heads.extend(["as slow as p50", "p90", "p99", "max"].map(|name| (name, Align::Left)));
        let rows = self.nodes().filter_map(|node| {
            let examples = node.examples?.map(|seen| TableCell::exact(self.seen(seen), seen.begin_ns));
            Some(std::iter::once(self.place(node)).chain(examples).collect::<Vec<_>>())
        });
        let rows: Vec<_> = rows.collect();
        if rows.is_empty() {
            return String::new();
        }
        let shown = table("examples", "Which span is as slow as each percentile says", &heads, &rows);
        format!("<details><summary>A span for each percentile</summary>{shown}</details>")
    }

    fn seen(&self, seen: SeenSpan) -> String {
        let at = duration(seen.begin_ns.saturating_sub(self.start_ns));
        format!("thread {} at {at}, {}", seen.tid, latency(seen.latency_ns))
    }

    /// The means over time, in figures.
    fn course(&self) -> String {
        let first: Vec<&TreeNode> = self.nodes().take(self.limits.plots).collect();
        let slices = first.iter().map(|node| node.over_time_ns.len()).max().unwrap_or(0);
        let names: Vec<String> = (1..=first.len()).map(|row| format!("row {row}")).collect();
        let mut heads = vec![("slice", Align::Right)];
        heads.extend(names.iter().map(|name| (name.as_str(), Align::Right)));
        let rows = (0..slices).map(|slice| {
            let mean = |node: &&TreeNode| {
                #[expect(clippy::cast_possible_truncation, reason = "a time in ns")]
                let mean = node.over_time_ns.get(slice).copied().flatten().map(|mean| mean.round() as i64);
                TableCell::latency(mean)
            };
            std::iter::once(TableCell::new((slice + 1).to_string())).chain(first.iter().map(mean)).collect()
        });
        let shown = table("values", "Means over time", &heads, &rows.collect::<Vec<Vec<_>>>());
        format!("<details><summary>Values over time</summary>{shown}</details>")
    }

    fn slowest(&self) -> String {
        let (left, right) = (Align::Left, Align::Right);
        let heads = [
            ("span", left),
            ("took", right),
            ("what its time went to", left),
            ("thread", right),
            ("at", right),
            ("why", left),
        ];
        let slowest: Vec<_> = self.tree.slowest.iter().take(self.limits.rows / 4).collect();
        let mut inside: Vec<u32> = Vec::new();
        for &(stage, _) in slowest.iter().flat_map(|slow| &slow.parts) {
            if !inside.contains(&stage) {
                inside.push(stage);
            }
        }
        let class = |stage: u32| inside.iter().position(|&other| other == stage).unwrap_or(0) % COLOURS;
        let most_ns = slowest.iter().map(|slow| slow.seen.latency_ns).max().unwrap_or(1).max(1);
        let rows = slowest.iter().map(|slow| {
            let parts = slow.parts.iter().map(|&(stage, part_ns)| (class(stage), self.name(stage), part_ns));
            vec![
                TableCell::new(format!(r#"<bdi dir="ltr">{}</bdi>"#, self.name(slow.stage))),
                TableCell::latency(Some(slow.seen.latency_ns)),
                TableCell::new(bar(parts, most_ns)),
                TableCell::new(slow.seen.tid.to_string()),
                TableCell::exact(
                    duration(slow.seen.begin_ns.saturating_sub(self.start_ns)),
                    slow.seen.begin_ns,
                ),
                TableCell::new(self.limits.plain_name(&slow.reason)),
            ]
        });
        let mut out = r#"<p class="legend">"#.to_owned();
        let names = inside.iter().map(|&stage| &self.analysis.stages[stage as usize].stage.name[..]);
        for (&stage, name) in inside.iter().zip(self.limits.short_names(names, LEGEND_COLUMNS)) {
            let class = class(stage);
            put(
                &mut out,
                format_args!(r#"<span class="swatch s{class}"></span><bdi dir="ltr">{name}</bdi> "#),
            );
        }
        out.push_str("</p>");
        out += &table("spans", "Slowest spans of threads", &heads, &rows.collect::<Vec<_>>());
        out + &left_out(self.tree.slowest.len(), Limits { rows: self.limits.rows / 4, ..self.limits })
            + &self.parts(&inside)
    }

    /// What the time of the slowest spans went to, in figures.
    fn parts(&self, inside: &[u32]) -> String {
        let names: Vec<String> =
            inside.iter().map(|&stage| self.analysis.stages[stage as usize].stage.name.clone()).collect();
        let shown = self.limits.plots.min(inside.len());
        let mut heads = vec![("span", Align::Right)];
        heads.extend(names.iter().take(shown).map(|name| (name.as_str(), Align::Right)));
        let rows = self.tree.slowest.iter().take(self.limits.rows / 4).enumerate().map(|(at, slow)| {
            let part = |stage: &u32| {
                let part = slow.parts.iter().find(|part| part.0 == *stage);
                TableCell::latency(part.map(|part| part.1.cast_signed()))
            };
            std::iter::once(TableCell::new((at + 1).to_string()))
                .chain(inside.iter().take(shown).map(part))
                .collect()
        });
        let all = table("values", "Parts of the slowest spans", &heads, &rows.collect::<Vec<Vec<_>>>());
        format!("<details><summary>Values</summary>{all}</details>")
    }
}

/// Parts of a span one after the other, as long as they took.
fn bar(parts: impl Iterator<Item = (usize, String, u64)>, most_ns: i64) -> String {
    let mut out = format!(
        r#"<svg class="steps" viewBox="0 0 {WIDTH} 16" preserveAspectRatio="none" aria-hidden="true">"#
    );
    let width = |time_ns: u64| (WIDTH * time_ns as f64 / most_ns as f64).clamp(0.0, WIDTH);
    let mut since_ns = 0_u64;
    for (class, name, part_ns) in parts {
        let (x, width, took) = (width(since_ns), width(part_ns), duration(part_ns));
        since_ns = since_ns.saturating_add(part_ns);
        put(
            &mut out,
            format_args!(
                r#"<rect class="s{class}" x="{x:.1}" y="1" width="{width:.1}" height="14"><title>{name}: {took}</title></rect>"#
            ),
        );
    }
    out + "</svg>"
}

/// Means over time as columns, the longest as high as there is room; the table behind has the figures.
fn course(over_time_ns: &[Option<f64>]) -> String {
    let most_ns = over_time_ns.iter().flatten().fold(1.0_f64, |most, &mean| most.max(mean));
    let width = COLUMN * over_time_ns.len() as f64;
    let mut out = format!(
        r#"<svg class="course" width="{width}" height="{HEIGHT}" viewBox="0 0 {width} {HEIGHT}" aria-hidden="true">"#
    );
    out.push_str(r#"<path class="bar" d=""#);
    for (slice, mean) in over_time_ns.iter().enumerate() {
        let Some(mean) = mean else { continue };
        let (x, y) = (COLUMN * slice as f64, HEIGHT - (HEIGHT * mean / most_ns).clamp(1.0, HEIGHT));
        put(&mut out, format_args!("M{x} {HEIGHT}V{y:.1}h{:.1}V{HEIGHT}", COLUMN - 0.5));
    }
    out + r#""/></svg>"#
}
