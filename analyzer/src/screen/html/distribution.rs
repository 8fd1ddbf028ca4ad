//! How the latencies of a track are distributed: a histogram with percentiles, and the share up to each latency.

use super::parts::{TableCell, figure, table};
use super::svg::{Frame, plot, put};
use super::text::Limits;
use crate::analysis::Summary;
use crate::report::Align;
use crate::screen::plot::Histogram;
use crate::screen::plot::tracks::Track;

/// Histogram, each as wide as the next.
const BUCKETS: usize = 40;

/// The distribution of a track; nothing without values.
pub(super) fn distribution(track: &Track<'_>, limits: Limits) -> String {
    let (Some(buckets), Some(summary)) = (Histogram::new(track.latency, BUCKETS), track.latency.summary())
    else {
        return String::new();
    };
    let shares = buckets.shares_up_to();
    let most = buckets.counts.iter().copied().max().unwrap_or_default().max(1);
    let mut drawn = String::new();
    for (value_ns, text) in buckets.scale.ticks() {
        Frame.x_tick(&mut drawn, buckets.scale.share(value_ns), &text);
    }
    for percent in [0, 50, 100] {
        Frame.y_tick(&mut drawn, f64::from(percent) / 100.0, &format!("{percent} %"));
    }
    let width = Frame.x(1.0 / BUCKETS as f64) - Frame.x(0.0);
    for (at, &count) in buckets.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        let (x, y) = (Frame.x(at as f64 / BUCKETS as f64), Frame.y(count as f64 / most as f64));
        let (height, width) = ((Frame.y(0.0) - y).max(1.0), width - 1.0);
        let y = Frame.y(0.0) - height;
        let bar =
            format_args!(r#"<path class="bar" d="M{x:.1} {y:.1}h{width:.1}v{height:.1}h-{width:.1}z"/>"#);
        put(&mut drawn, bar);
    }
    let first = buckets.below as f64 / track.latency.count() as f64;
    let up_to = shares.iter().enumerate().map(|(at, &share)| Some(((at + 1) as f64 / BUCKETS as f64, share)));
    Frame.line(&mut drawn, "line cdf", std::iter::once(Some((0.0, first))).chain(up_to));
    percentiles(&mut drawn, &buckets, &summary);
    Frame.base_line(&mut drawn);
    let name = limits.plain_name(&track.name);
    let label = format!(
        "Distribution of {name}: half take up to {}, 99 % up to {}, at most {}",
        crate::report::latency(summary.p50),
        crate::report::latency(summary.p99),
        crate::report::latency(summary.max)
    );
    figure("How long", &plot(&label, BUCKETS, &drawn), &values(&buckets, &shares))
}

/// Marks of the percentiles.
fn percentiles(drawn: &mut String, buckets: &Histogram, summary: &Summary) {
    let marks = [("p50", summary.p50), ("p90", summary.p90), ("p99", summary.p99), ("max", summary.max)];
    let mut free = f64::NEG_INFINITY;
    let (bottom, top) = (Frame.y(0.0), Frame.y(1.0));
    for (name, value_ns) in marks {
        let x = Frame.x(buckets.scale.share(value_ns as f64));
        put(drawn, format_args!(r#"<path class="mark" d="M{x:.1} {bottom:.1}V{top:.1}"/>"#));
        // A label that would cover the one before is left out; the table of figures has all.
        if x > free {
            let y = top - 6.0;
            put(
                drawn,
                format_args!(
                    r#"<text class="strong" x="{x:.1}" y="{y:.1}" text-anchor="middle">{name}</text>"#
                ),
            );
            free = x + 28.0;
        }
    }
}

fn values(buckets: &Histogram, shares: &[f64]) -> String {
    let heads = [
        ("above", Align::Right),
        ("up to", Align::Right),
        ("count", Align::Right),
        ("share up to", Align::Right),
    ];
    let rows = buckets.counts.iter().zip(shares).enumerate().map(|(at, (&count, share))| {
        let (low, high) = buckets.edges_ns(at);
        vec![
            TableCell::latency(Some(low)),
            TableCell::latency(Some(high)),
            TableCell::exact(count.to_string(), count),
            TableCell::new(format!("{:.1} %", 100.0 * share)),
        ]
    });
    let mut out = table("values", "Distribution", &heads, &rows.collect::<Vec<_>>());
    if buckets.below > 0 {
        put(
            &mut out,
            format_args!(
                r#"<p class="below">{} of 0 or less, for which the axis has no place</p>"#,
                buckets.below
            ),
        );
    }
    out
}
