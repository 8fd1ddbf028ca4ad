//! Pieces of SVG: the frame of a plot, its axes, and the tags around it.

use std::fmt::Write;

/// Width and height of a plot, in its own units.
pub(super) const WIDTH: f64 = 420.0;
const HEIGHT: f64 = 190.0;
/// Room for the labels of the axes.
const LEFT: f64 = 62.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 20.0;
const BOTTOM: f64 = 26.0;

/// The area between the axes of a plot.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame;

impl Frame {
    /// Where a share of the width is.
    pub(super) fn x(self, share: f64) -> f64 {
        LEFT + share * (WIDTH - LEFT - RIGHT)
    }

    /// Where a share of the height is, from the bottom up.
    pub(super) fn y(self, share: f64) -> f64 {
        HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)
    }

    /// A label below the horizontal axis, with a line up.
    pub(super) fn x_tick(self, out: &mut String, share: f64, label: &str) {
        let (x, bottom, top) = (self.x(share), self.y(0.0), self.y(1.0));
        let anchor = if share > 0.93 { "end" } else { "middle" };
        put(out, format_args!(r#"<path class="grid" d="M{x:.1} {bottom:.1}V{top:.1}"/>"#));
        let y = bottom + 16.0;
        put(out, format_args!(r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{label}</text>"#));
    }

    /// A label left of the vertical axis, with a line across.
    pub(super) fn y_tick(self, out: &mut String, share: f64, label: &str) {
        let (y, left, right) = (self.y(share), self.x(0.0), self.x(1.0));
        put(out, format_args!(r#"<path class="grid" d="M{left:.1} {y:.1}H{right:.1}"/>"#));
        let (x, y) = (left - 6.0, y + 4.0);
        put(out, format_args!(r#"<text x="{x:.1}" y="{y:.1}" text-anchor="end">{label}</text>"#));
    }

    /// The horizontal axis.
    pub(super) fn base_line(self, out: &mut String) {
        let (left, right, y) = (self.x(0.0), self.x(1.0), self.y(0.0));
        put(out, format_args!(r#"<path class="axis" d="M{left:.1} {y:.1}H{right:.1}"/>"#));
    }

    /// A line through points, given by their shares; `None` breaks it.
    pub(super) fn line(
        self,
        out: &mut String,
        class: &str,
        points: impl Iterator<Item = Option<(f64, f64)>>,
    ) {
        let points: Vec<Option<(f64, f64)>> = points.collect();
        let mut d = String::new();
        for run in points.split(Option::is_none) {
            for (at, (x, y)) in run.iter().flatten().enumerate() {
                let (x, y) = (self.x(*x), self.y(*y));
                // A point without neighbours is a short line.
                match (at, run.len()) {
                    (_, 1) => put(&mut d, format_args!("M{:.1} {y:.1}h5", x - 2.5)),
                    (0, _) => put(&mut d, format_args!("M{x:.1} {y:.1}")),
                    _ => put(&mut d, format_args!("L{x:.1} {y:.1}")),
                }
            }
        }
        put(out, format_args!(r#"<path class="{class}" d="{d}"/>"#));
    }

    /// What lies between a lower and an upper line, each point with its place and both heights; `None` breaks it.
    pub(super) fn band(self, out: &mut String, points: &[Option<(f64, f64, f64)>]) {
        let mut d = String::new();
        for run in points.split(Option::is_none) {
            let there = run.iter().flatten().map(|&(x, _, high)| (x, high));
            let back = run.iter().flatten().rev().map(|&(x, low, _)| (x, low));
            for (at, (x, y)) in there.chain(back).enumerate() {
                put(
                    &mut d,
                    format_args!("{}{:.1} {:.1}", if at == 0 { 'M' } else { 'L' }, self.x(x), self.y(y)),
                );
            }
        }
        put(out, format_args!(r#"<path class="band" d="{d}"/>"#));
    }

    /// A shade over a part of the time, with what it is.
    pub(super) fn shade(self, out: &mut String, class: &str, shares: (f64, f64), title: &str) {
        let (from, to) = (self.x(shares.0.clamp(0.0, 1.0)), self.x(shares.1.clamp(0.0, 1.0)));
        let (top, height, width) = (self.y(1.0), self.y(0.0) - self.y(1.0), (to - from).max(1.5));
        let rect = format_args!(
            r#"<rect class="{class}" x="{from:.1}" y="{top:.1}" width="{width:.1}" height="{height:.1}"><title>{title}</title></rect>"#
        );
        put(out, rect);
    }
}

/// A plot whose places belong to the rows of the table beside it: `count` places from left to right.
pub(super) fn plot(label: &str, count: usize, drawn: &str) -> String {
    let (left, right) = (Frame.x(0.0), Frame.x(1.0));
    format!(
        r#"<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" tabindex="0" aria-label="{label}" data-left="{left}" data-right="{right}" data-count="{count}">{drawn}<path class="cursor" d=""/></svg>"#
    )
}

/// Appends to a text, which takes every write.
pub(super) fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a string takes every write");
}
