//! A report for the terminal.

use super::model::{Align, Part, Report, Table};

/// Renders `report`.
#[must_use]
pub fn text(report: &Report) -> String {
    let mut blocks: Vec<String> = Vec::new();
    if !report.title.is_empty() {
        blocks.push(lines(&report.title));
    }
    blocks.extend(report.parts.iter().map(|part| match part {
        Part::Facts(facts) => facts_text(facts),
        Part::Table(table) => table_text(table),
        Part::Line(line) => format!("{line}\n"),
    }));
    if !report.notes.is_empty() {
        blocks.push(lines(&report.notes));
    }
    blocks.join("\n")
}

fn lines(lines: &[String]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn facts_text(facts: &[(String, String)]) -> String {
    let width = facts.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    facts.iter().map(|(name, fact)| format!("{name:<width$}  {fact}\n")).collect()
}

/// The table with a line end after each row.
fn table_text(table: &Table) -> String {
    let head: Vec<String> = table.columns.iter().map(|(name, _)| name.clone()).collect();
    let rows = || std::iter::once(&head).chain(&table.rows);
    let width = |column: usize| rows().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..table.columns.len()).map(width).collect();
    let mut out = String::new();
    for row in rows() {
        for ((cell, (_, align)), &width) in row.iter().zip(&table.columns).zip(&widths) {
            out += &match align {
                Align::Left => format!("{cell:<width$}  "),
                Align::Right => format!("{cell:>width$}  "),
            };
        }
        out.truncate(out.trim_end().len());
        out.push('\n');
    }
    if !table.below.is_empty() {
        out += &format!("{}\n", table.below);
    }
    out
}
