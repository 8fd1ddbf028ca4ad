//! A report, as text shows it, as parts of a page.

use super::svg::put;
use super::text::Limits;
use crate::report::{Align, Part, Report, Table};

/// A cell of a table of the page.
pub(super) struct TableCell {
    /// What is shown; markup.
    pub(super) shown: String,
    /// The exact value, by which rows are sorted.
    pub(super) value: Option<String>,
}

impl TableCell {
    pub(super) fn new(shown: String) -> Self {
        Self { shown, value: None }
    }

    pub(super) fn exact(shown: String, value: impl ToString) -> Self {
        Self { shown, value: Some(value.to_string()) }
    }

    /// A latency, or nothing.
    pub(super) fn latency(latency_ns: Option<i64>) -> Self {
        match latency_ns {
            Some(latency_ns) => Self::exact(crate::report::latency(latency_ns), latency_ns),
            None => Self::new("-".to_owned()),
        }
    }
}

/// The lines above the tables of a report.
pub(super) fn lines(lines: &[String], limits: Limits) -> String {
    let mut out = String::new();
    for line in lines.iter().take(limits.rows) {
        put(&mut out, format_args!("<p>{}</p>", limits.text(line)));
    }
    out + &left_out(lines.len(), limits)
}

/// The parts of a report that are `wanted`.
pub(super) fn parts(report: &Report, limits: Limits, wanted: impl Fn(&Part) -> bool) -> String {
    let mut out = String::new();
    for part in report.parts.iter().filter(|part| wanted(part)) {
        match part {
            Part::Facts(facts) => out.push_str(&self::facts(facts, limits)),
            Part::Table(table) => out.push_str(&report_table(table, limits)),
            Part::Line(line) => put(&mut out, format_args!("<p>{}</p>", limits.text(line))),
        }
    }
    out
}

fn facts(facts: &[(String, String)], limits: Limits) -> String {
    let mut out = r#"<dl class="facts">"#.to_owned();
    for (name, fact) in facts.iter().take(limits.rows) {
        let name = limits.text(name.trim());
        let class = if name.starts_with('!') { r#" class="finding""# } else { "" };
        let name = name.trim_start_matches('!').trim();
        put(&mut out, format_args!("<div{class}><dt>{name}</dt><dd>{}</dd></div>", limits.text(fact)));
    }
    out + "</dl>" + &left_out(facts.len(), limits)
}

/// Columns that are pictures made of letters, where the page has plots.
const DRAWN: [&str; 1] = ["over time"];

fn report_table(table: &Table, limits: Limits) -> String {
    let is_shown = |at: &usize| !DRAWN.contains(&table.columns[*at].0.as_str());
    let shown: Vec<usize> = (0..table.columns.len()).filter(is_shown).collect();
    let heads: Vec<(&str, Align)> =
        shown.iter().map(|&at| (table.columns[at].0.as_str(), table.columns[at].1)).collect();
    let row = |row: &Vec<String>| {
        shown.iter().map(|&at| TableCell::new(limits.text(&row[at]))).collect::<Vec<TableCell>>()
    };
    let rows: Vec<Vec<TableCell>> = table.rows.iter().take(limits.rows).map(row).collect();
    // The rows of a table without a title belong together.
    let class = if table.title.is_empty() { "grouped" } else { "sortable" };
    let mut out = self::table(class, table.title, &heads, &rows);
    out.push_str(&left_out(table.rows.len(), limits));
    for line in &table.below {
        put(&mut out, format_args!(r#"<p class="below">{}</p>"#, limits.text(line)));
    }
    out
}

/// Says how many are not shown.
pub(super) fn left_out(count: usize, limits: Limits) -> String {
    match count.checked_sub(limits.rows) {
        Some(more @ 1..) => format!(r#"<p class="below">and {more} more, which the other verbs list</p>"#),
        _ => String::new(),
    }
}

/// A table; names of columns are escaped here, cells are markup.
pub(super) fn table(class: &str, title: &str, heads: &[(&str, Align)], rows: &[Vec<TableCell>]) -> String {
    let caption = if title.is_empty() { String::new() } else { format!("<caption>{title}</caption>") };
    let mut out = format!(r#"<div class="scroll"><table class="{class}">{caption}<thead><tr>"#);
    let align = |align: Align| if align == Align::Right { r#" class="number""# } else { "" };
    for &(head, at) in heads {
        let head = Limits { plots: 0, rows: 0, figures: 0, letters: 200 }.text(head);
        put(&mut out, format_args!(r#"<th scope="col"{}>{head}</th>"#, align(at)));
    }
    out.push_str("</tr></thead><tbody>");
    for row in rows {
        out.push_str("<tr>");
        for (at, (cell, head)) in row.iter().zip(heads).enumerate() {
            let tag = if at == 0 { "th" } else { "td" };
            let scope = if at == 0 { r#" scope="row""# } else { "" };
            let value = cell.value.as_ref().map_or_else(String::new, |value| format!(r#" data-v="{value}""#));
            put(&mut out, format_args!("<{tag}{scope}{}{value}>{}</{tag}>", align(head.1), cell.shown));
        }
        out.push_str("</tr>");
    }
    out + "</tbody></table></div>"
}

/// A plot with what it shows, and the table behind it.
pub(super) fn figure(caption: &str, plot: &str, table: &str) -> String {
    format!(
        r#"<figure><figcaption>{caption}</figcaption><div class="scroll">{plot}</div><details><summary>Values</summary>{table}</details></figure>"#
    )
}
