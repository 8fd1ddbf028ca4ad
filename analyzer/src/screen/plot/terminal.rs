//! Plots made of letters: for each track its distribution, its latencies over time, and how many are under way at once.

use tracer_format::log::escape;

use super::histogram::Histogram;
use super::over_time::{Trend, Trends};
use super::scale::LogScale;
use super::tracks::{Track, TrackKind, tracks};
use crate::analysis::{Analysis, Band, Summary};
use crate::report::{duration, in_order, latency, short_names};

/// Letters of a line that a plot needs.
pub const MIN_WIDTH: usize = 40;
/// What stands before the plot in each line.
const MARGIN: usize = 8;
/// Lines of a histogram.
const HEIGHT: usize = 4;
/// Tracks that are plotted: the path's first, then those that take most time.
const MOST: usize = 12;

/// What plots are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Letters {
    /// Blocks of eight heights, and shades.
    Unicode,
    /// For terminals and logs that have nothing else.
    Ascii,
}

impl Letters {
    /// Stands for what is left out of a text.
    #[must_use]
    pub fn dots(self) -> &'static str {
        if self == Self::Unicode { "…" } else { "..." }
    }

    /// Heights of a bar, from none to full.
    fn heights(self) -> &'static [char] {
        match self {
            Self::Unicode => &[' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'],
            Self::Ascii => &[' ', '.', ':', '#'],
        }
    }

    /// Shades, from the least to the greatest.
    fn shades(self) -> &'static [char] {
        match self {
            Self::Unicode => &['·', '░', '▒', '▓', '█'],
            Self::Ascii => &['.', ':', '+', '*', '#'],
        }
    }
}

/// The plots of `analysis` in lines of `width` letters, [`MIN_WIDTH`] at least; no name is longer, and no number is cut.
#[must_use]
pub fn text(analysis: &Analysis, trends: &Trends, width: usize, letters: Letters) -> String {
    let width = width.max(MIN_WIDTH);
    // As many columns as slices of the time fall into evenly.
    let columns = if width >= MARGIN + 64 { 64 } else { 32 };
    let all = tracks(analysis, trends);
    let mut out = String::new();
    let shown = &all[..all.len().min(MOST)];
    let ends: Vec<String> = shown.iter().map(title_end).collect();
    let names: Vec<String> = shown.iter().map(|track| escape(&track.name).into_owned()).collect();
    let room = width.saturating_sub(ends.iter().map(String::len).max().unwrap_or_default());
    let titles = short_names(&names, room, letters.dots())
        .into_iter()
        .zip(ends)
        .map(|(name, end)| format!("{}{end}\n", in_order(&name)));
    for (track, title) in shown.iter().zip(titles) {
        let Some(summary) = track.latency.summary() else { continue };
        out.push('\n');
        out.push_str(&title);
        out.push_str(&distribution(track, &summary, columns, letters));
        if let Some(trend) = track.trend {
            out.push_str(&over_time(track.kind, trend, columns, letters));
        }
    }
    if all.len() > MOST {
        out.push_str(&format!("\nand {} more, which tracer report shows\n", all.len() - MOST));
    }
    out
}

/// What stands above the plots of a track, behind its name.
fn title_end(track: &Track<'_>) -> String {
    let mark = if track.touched { "*" } else { "" };
    format!(", {} {}{mark}", track.kind.name(), track.latency.count())
}

/// A histogram on a logarithmic axis, with the places of percentiles below, and the values of the axis.
fn distribution(track: &Track<'_>, summary: &Summary, columns: usize, letters: Letters) -> String {
    let Some(histogram) = Histogram::new(track.latency, columns) else { return String::new() };
    let mut out = String::new();
    let most = histogram.counts.iter().copied().max().unwrap_or_default().max(1);
    for row in (0..HEIGHT).rev() {
        let line = histogram.counts.iter().map(|&count| {
            // Whatever is there is seen.
            let height = (count as f64 / most as f64 * HEIGHT as f64).max(if count > 0 { 0.01 } else { 0.0 });
            of(letters.heights(), height - row as f64)
        });
        push(&mut out, "", line);
    }
    let column = |value_ns: f64| {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of the columns")]
        let column = (histogram.scale.share(value_ns) * columns as f64) as usize;
        column.min(columns - 1)
    };
    let marks = [("p50", summary.p50), ("p90", summary.p90), ("p99", summary.p99)];
    let marks = marks.map(|(name, value_ns)| (column(value_ns as f64), format!("^{name}")));
    push(&mut out, "", placed(marks.into_iter(), columns).chars());
    let ticks = histogram.scale.ticks();
    push(
        &mut out,
        "",
        placed(ticks.into_iter().map(|(value_ns, text)| (column(value_ns), text)), columns).chars(),
    );
    if histogram.below > 0 {
        out.push_str(&format!("{:MARGIN$}{} at 0 or less\n", "", histogram.below));
    }
    out
}

/// Shades for median and 99th percentile, and bars for the number under way, from the begin to the end.
fn over_time(kind: TrackKind, trend: &Trend, columns: usize, letters: Letters) -> String {
    let bands = trend.latency.bands();
    let slices = bands.len() / columns;
    let scale = LogScale::around(bands.iter().flatten().flat_map(|band| [band.p50, band.p99]));
    let mut out = String::new();
    for (name, value) in [("p50", (|band| band.p50) as fn(&Band) -> i64), ("p99", |band| band.p99)] {
        let shade = |slices: &[Option<Band>]| {
            let most_ns = slices.iter().flatten().map(value).max();
            most_ns.map_or(' ', |most_ns| {
                let shades = letters.shades();
                of(shades, scale.share(most_ns as f64) * 0.999)
            })
        };
        push(&mut out, name, bands.chunks(slices).map(shade));
    }
    let shades: String = letters.shades().iter().collect();
    let (from_ns, to_ns) = trend.latency.time_ns();
    let range = format!("{shades} {} to {}", about(scale.low_ns), about(scale.high_ns));
    let over = duration(to_ns.saturating_sub(from_ns));
    let most = trend.under_way.iter().copied().fold(0.0, f64::max);
    let slices = trend.under_way.len().div_ceil(columns).max(1);
    let height = |values: &[f64]| {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        of(letters.heights(), if most > 0.0 { mean / most } else { 0.0 })
    };
    let what = if kind == TrackKind::HandOff { "queue" } else { "flight" };
    push(&mut out, what, trend.under_way.chunks(slices).map(height));
    for line in [range, format!("over {over}, at most {most:.2}")] {
        out.push_str(&format!("{:MARGIN$}{line}\n", ""));
    }
    out
}

fn about(value_ns: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "a time in ns")]
    latency(value_ns.round() as i64)
}

/// The letter for a share of the whole: the first for nothing, the last for all.
fn of(letters: &[char], share: f64) -> char {
    let last = letters.len() - 1;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "limited")]
    let at = (share.clamp(0.0, 1.0) * last as f64).ceil() as usize;
    letters[at.min(last)]
}

fn push(out: &mut String, name: &str, line: impl Iterator<Item = char>) {
    let line: String = line.collect();
    let line = format!("{name:<MARGIN$}{line}");
    out.push_str(line.trim_end());
    out.push('\n');
}

/// Texts at their places in a line of `columns` letters; one that would not fit behind the one before is left out.
fn placed(texts: impl Iterator<Item = (usize, String)>, columns: usize) -> String {
    let mut line = String::new();
    for (at, text) in texts {
        let at = at.min(columns.saturating_sub(text.len()));
        if at < line.len() + usize::from(!line.is_empty()) {
            continue;
        }
        line = format!("{line:<at$}{text}");
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_do_not_cover_each_other_and_stay_in_the_line() {
        let marks = [(0, "^p50".to_owned()), (2, "^p90".to_owned()), (30, "^p99".to_owned())];
        assert_eq!(placed(marks.into_iter(), 32), "^p50                        ^p99");
        assert_eq!(placed(std::iter::empty(), 32), "");
    }

    #[test]
    fn letters_go_from_nothing_to_all() {
        let heights = Letters::Ascii.heights();
        assert_eq!(
            [-1.0, 0.0, 0.01, 0.5, 1.0, 9.0].map(|share| of(heights, share)),
            [' ', ' ', '.', ':', '#', '#']
        );
    }
}
