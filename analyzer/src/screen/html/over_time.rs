//! How a track goes over time: its latencies, and how many are under way at once.

use super::page::Recording;
use super::parts::{TableCell, figure, table};
use super::svg::{Frame, plot};
use super::text::Limits;
use crate::analysis::diagnosis::FindingKind;
use crate::analysis::{Band, SLICES};
use crate::report::{Align, counted, duration};
use crate::screen::plot::tracks::{Track, path_of};
use crate::screen::plot::{LogScale, Trend, even_ticks};

/// Stalls, and gaps, that are shaded.
const MAX_SHADES: usize = 50;

/// A part of the time that is shaded: a stall, or a time in which events were lost.
#[derive(Debug, Clone)]
pub(super) struct Shade {
    class: &'static str,
    time_ns: (u64, u64),
    text: String,
}

/// What is shaded in every plot over time.
pub(super) fn shades(recording: &Recording<'_>, limits: Limits) -> Vec<Shade> {
    let findings = path_of(recording.analysis).map(|path| &path.findings[..]).unwrap_or_default();
    let stalls = findings.iter().filter(|finding| finding.kind == FindingKind::Stall).filter_map(|finding| {
        let (at_ns, len_ns) = (finding.at_ns?, finding.len_ns?);
        let time_ns = (at_ns, at_ns.saturating_add_signed(len_ns));
        Some(Shade { class: "stall", time_ns, text: limits.plain_text(&finding.text) })
    });
    let gaps = recording.trace.gaps.iter().map(|gap| Shade {
        class: "gap",
        time_ns: (gap.from_ns, gap.to_ns),
        text: format!("{} lost", counted(gap.count, "event")),
    });
    stalls.take(MAX_SHADES).chain(gaps.take(MAX_SHADES)).collect()
}

/// Latency over time, and how many are under way; nothing of a track that was not watched.
pub(super) fn over_time(track: &Track<'_>, shades: &[Shade], limits: Limits) -> String {
    let Some(trend) = track.trend else { return String::new() };
    let name = limits.plain_name(&track.name);
    sampled(track, trend) + &latency(trend, shades, &name) + &under_way(track, trend, shades, &name)
}

/// Says of how many latencies over time are, if not of all.
fn sampled(track: &Track<'_>, trend: &Trend) -> String {
    let (all, bands) = (track.latency.count(), trend.latency.bands());
    let shown: u64 = bands.iter().flatten().map(|band| band.count).sum();
    if shown >= all {
        return String::new();
    }
    let why = "runs of them at even distances; the distribution is of all";
    format!(r#"<p class="sampled">Latency over time is of {shown} of {all} buffers, {why}.</p>"#)
}

fn latency(trend: &Trend, shades: &[Shade], name: &str) -> String {
    let bands = trend.latency.bands();
    let values = bands.iter().flatten().flat_map(|band| [band.p50, band.p99, band.max]);
    let scale = LogScale::around(values);
    let mut drawn = drawn_shades(trend, shades);
    for (value_ns, text) in scale.ticks() {
        Frame.y_tick(&mut drawn, scale.share(value_ns), &text);
    }
    times(&mut drawn, trend);
    let point = |of: fn(&Band) -> i64| {
        bands.iter().enumerate().map(move |(at, band)| {
            band.as_ref().map(|band| ((at as f64 + 0.5) / SLICES as f64, scale.share(of(band) as f64)))
        })
    };
    let both = point(|band| band.p50).zip(point(|band| band.p99));
    let both: Vec<_> = both.map(|(p50, p99)| Some((p50?.0, p50?.1, p99?.1))).collect();
    Frame.band(&mut drawn, &both);
    Frame.line(&mut drawn, "line most", point(|band| band.max));
    Frame.line(&mut drawn, "line p99", point(|band| band.p99));
    Frame.line(&mut drawn, "line p50", point(|band| band.p50));
    Frame.base_line(&mut drawn);
    let heads = ["from", "count", "p50", "p99", "max"].map(|name| (name, Align::Right));
    let row = |(at, band): (usize, &Option<Band>)| {
        let begin_ns = trend.latency.begin_ns(at);
        let count = band.map_or(0, |band| band.count);
        vec![
            TableCell::exact(duration(begin_ns), begin_ns),
            TableCell::exact(count.to_string(), count),
            TableCell::latency(band.map(|band| band.p50)),
            TableCell::latency(band.map(|band| band.p99)),
            TableCell::latency(band.map(|band| band.max)),
        ]
    };
    let rows: Vec<Vec<TableCell>> = bands.iter().enumerate().map(row).collect();
    let table = table("values", "Latency over time, by the begin; percentiles within 2 %", &heads, &rows);
    let caption = r#"When: <span class="key p50">p50</span>, <span class="key p99">p99</span> and <span class="key most">max</span>"#;
    figure(caption, &plot(&format!("Latency of {name} over time"), SLICES, &drawn), &table)
}

fn under_way(track: &Track<'_>, trend: &Trend, shades: &[Shade], name: &str) -> String {
    let values = &trend.under_way;
    let most = values.iter().copied().fold(0.0, f64::max).max(0.01);
    let mut drawn = drawn_shades(trend, shades);
    for value in even_ticks(most) {
        Frame.y_tick(&mut drawn, value / most, &round(value));
    }
    times(&mut drawn, trend);
    let count = values.len().max(1);
    let point =
        |(at, value): (usize, &f64)| Some(((at as f64 + 0.5) / count as f64, (value / most).clamp(0.0, 1.0)));
    Frame.line(&mut drawn, "line flow", values.iter().enumerate().map(point));
    Frame.base_line(&mut drawn);
    let heads = ["from", "on average"].map(|name| (name, Align::Right));
    let row = |(at, value): (usize, &f64)| {
        let begin_ns = trend.latency.begin_ns(at);
        vec![
            TableCell::exact(duration(begin_ns), begin_ns),
            TableCell::exact(number(*value), format!("{value:.4}")),
        ]
    };
    let what = track.kind.under_way();
    let rows: Vec<Vec<TableCell>> = values.iter().enumerate().map(row).collect();
    let table = table("values", what, &heads, &rows);
    figure(&format!("How many: {what}"), &plot(&format!("{name}, {what}, over time"), count, &drawn), &table)
}

fn drawn_shades(trend: &Trend, shades: &[Shade]) -> String {
    let (from_ns, to_ns) = trend.latency.time_ns();
    let whole = (to_ns - from_ns) as f64 + 1.0;
    let share = |time_ns: u64| time_ns.saturating_sub(from_ns) as f64 / whole;
    let mut drawn = String::new();
    for shade in shades.iter().filter(|shade| shade.time_ns.0 <= to_ns && shade.time_ns.1 >= from_ns) {
        Frame.shade(&mut drawn, shade.class, (share(shade.time_ns.0), share(shade.time_ns.1)), &shade.text);
    }
    drawn
}

/// The axis of the time since the begin. Of a long time not each label has room.
fn times(drawn: &mut String, trend: &Trend) {
    const ROOM: usize = 9;
    let (from_ns, to_ns) = trend.latency.time_ns();
    let whole = (to_ns - from_ns) as f64;
    for (at, value_ns) in even_ticks(whole).into_iter().enumerate() {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within a time in ns")]
        let text = if at == 0 { "0".to_owned() } else { short(&duration(value_ns.round() as u64)) };
        let has_room = text.len() <= ROOM || at.is_multiple_of(2);
        Frame.x_tick(drawn, value_ns / whole.max(1.0), if has_room { &text } else { "" });
    }
}

/// A time without zeros that tell nothing: `200 ms` of `200.0 ms`.
fn short(duration: &str) -> String {
    match duration.split_once(' ') {
        Some((number, unit)) if number.contains('.') => {
            format!("{} {unit}", number.trim_end_matches('0').trim_end_matches('.'))
        }
        _ => duration.to_owned(),
    }
}

/// A round number with the digits that it has.
fn round(value: f64) -> String {
    let text = format!("{value:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A number with as many digits as it is worth.
fn number(value: f64) -> String {
    let digits = if value >= 100.0 {
        0
    } else if value >= 10.0 {
        1
    } else if value >= 1.0 {
        2
    } else {
        3
    };
    format!("{value:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::{Latency, Slices};
    use crate::screen::plot::tracks::TrackKind;

    #[test]
    fn labels_have_no_digits_that_tell_nothing() {
        let times = [("200.0 ms", "200 ms"), ("1.500 s", "1.5 s"), ("10.00 s", "10 s"), ("500 ns", "500 ns")];
        for (duration, expected) in times {
            assert_eq!(short(duration), expected);
        }
        let numbers = [(0.0, "0"), (2.0, "2"), (0.15, "0.15"), (0.1 * 3.0, "0.3"), (5000.0, "5000")];
        for (value, expected) in numbers {
            assert_eq!(round(value), expected);
        }
    }

    #[test]
    fn a_sample_is_said_to_be_one() {
        let (mut all, mut slices) = (Latency::default(), Slices::new((0, 100)));
        for at_ns in 0..5 {
            all.add(7);
            if at_ns < 3 {
                slices.add(at_ns, 7);
            }
        }
        let trend = Trend { latency: slices, under_way: Vec::new() };
        let track = |latency| Track {
            name: "end to end".to_owned(),
            kind: TrackKind::Path,
            latency,
            trend: Some(&trend),
            touched: false,
        };
        assert!(sampled(&track(&all), &trend).contains("is of 3 of 5 buffers"));
        let mut three = Latency::default();
        (0..3).for_each(|_| three.add(7));
        assert_eq!(sampled(&track(&three), &trend), "");
    }
}
