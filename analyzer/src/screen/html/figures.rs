//! The table of all figures, which can be sorted.

use super::parts::{TableCell, left_out, table};
use super::text::Limits;
use crate::report::Align;
use crate::screen::plot::tracks::Track;

/// Count and latencies of every track; exactly those of the JSON. Nothing where there is none.
pub(super) fn figures(tracks: &[Track<'_>], limits: Limits) -> String {
    if tracks.is_empty() {
        return String::new();
    }
    let mut heads = vec![("name", Align::Left), ("what", Align::Left)];
    let numbers = ["count", "min", "mean", "p50", "p90", "p99", "p99.9", "max"];
    heads.extend(numbers.map(|name| (name, Align::Right)));
    let row = |track: &Track<'_>| {
        let mark = if track.touched { "*" } else { "" };
        let count = track.latency.count();
        let mut cells = vec![
            TableCell::new(limits.name(&track.name)),
            TableCell::new(track.kind.name().to_owned()),
            TableCell::exact(format!("{count}{mark}"), count),
        ];
        let summary = track.latency.summary();
        let values = summary.map(|it| [it.min, it.mean, it.p50, it.p90, it.p99, it.p999, it.max]);
        cells.extend((0..7).map(|at| TableCell::latency(values.map(|values| values[at]))));
        cells
    };
    let rows: Vec<Vec<TableCell>> = tracks.iter().take(limits.figures).map(row).collect();
    let mut out = table("sortable figures", "Latencies of all stages and waits", &heads, &rows);
    out.push_str(&left_out(tracks.len(), Limits { rows: limits.figures, ..limits }));
    if tracks.iter().any(|track| track.touched) {
        out.push_str(r#"<p class="below">* lost events may touch these figures</p>"#);
    }
    out
}
