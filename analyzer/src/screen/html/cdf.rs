//! Two sides of a comparison: for each stage, which share took no longer, before and after.

use super::parts::{TableCell, figure, left_out, table};
use super::svg::{Frame, plot};
use super::text::Limits;
use crate::analysis::compare::{Comparison, Item};
use crate::report::Align;
use crate::screen::plot::{Histogram, LogScale};

const BUCKETS: usize = 60;

/// A plot for each stage that both sides have.
pub(super) fn cdfs(comparison: &Comparison, limits: Limits) -> String {
    let limits_here = Limits { rows: limits.plots, ..limits };
    let mut plots = comparison.stages.iter().filter_map(|item| cdf(item, limits));
    let shown: Vec<String> = plots.by_ref().take(limits.plots).collect();
    // Those that are left out are counted, not kept.
    let count = shown.len() + plots.count();
    format!(r#"<div class="plots">{}</div>"#, shown.concat()) + &left_out(count, limits_here)
}

fn cdf(item: &Item, limits: Limits) -> Option<String> {
    let (base, new) = (&item.base.as_ref()?.latency, &item.new.as_ref()?.latency);
    let ends = [base.summary()?, new.summary()?];
    let scale = LogScale::around(ends.iter().flat_map(|summary| [summary.min, summary.max]));
    let sides = [Histogram::on(base, scale, BUCKETS)?, Histogram::on(new, scale, BUCKETS)?];
    let shares = [sides[0].shares_up_to(), sides[1].shares_up_to()];
    let mut drawn = String::new();
    for (value_ns, text) in scale.ticks() {
        Frame.x_tick(&mut drawn, scale.share(value_ns), &text);
    }
    for percent in [0, 50, 90, 100] {
        Frame.y_tick(&mut drawn, f64::from(percent) / 100.0, &format!("{percent} %"));
    }
    for (class, shares) in [("line base", &shares[0]), ("line new", &shares[1])] {
        let points =
            shares.iter().enumerate().map(|(at, &share)| Some(((at + 1) as f64 / BUCKETS as f64, share)));
        Frame.line(&mut drawn, class, std::iter::once(Some((0.0, 0.0))).chain(points));
    }
    Frame.base_line(&mut drawn);
    let heads = [("up to", Align::Right), ("base", Align::Right), ("new", Align::Right)];
    let rows = (0..BUCKETS).map(|at| {
        let share = |side: usize| TableCell::new(format!("{:.1} %", 100.0 * shares[side][at]));
        vec![TableCell::latency(Some(sides[0].edges_ns(at).1)), share(0), share(1)]
    });
    let table = table("values", "Share that took no longer", &heads, &rows.collect::<Vec<_>>());
    let (name, verdict) = (limits.plain_name(&item.name), item.verdict.name());
    let caption = format!(
        r#"<bdi dir="ltr">{name}</bdi>: {verdict} — share that took no longer, <span class="key base">base</span> and <span class="key new">new</span>"#
    );
    Some(figure(&caption, &plot(&format!("{name}, base and new: {verdict}"), BUCKETS, &drawn), &table))
}
