//! A report as Markdown: for the summary of a CI job.

use super::model::{Align, Part, Report, Table};

/// Renders `report`.
#[must_use]
pub fn markdown(report: &Report) -> String {
    let title: Vec<String> = report.title.iter().map(|line| escaped(line)).collect();
    let mut out = format!("{}\n", title.join("  \n"));
    for part in &report.parts {
        out.push('\n');
        match part {
            Part::Facts(facts) => {
                for (name, fact) in facts {
                    out += &format!("- **{}** {}\n", escaped(name), escaped(fact));
                }
            }
            Part::Table(table) => push_table(table, &mut out),
            Part::Line(line) => out += &format!("{}\n", escaped(line)),
        }
    }
    for note in &report.notes {
        out += &format!("\n- {note}");
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

fn escaped(text: &str) -> String {
    text.replace('*', "\\*")
}

fn push_table(table: &Table, out: &mut String) {
    if !table.title.is_empty() {
        *out += &format!("### {}\n\n", table.title);
    }
    let head: Vec<String> = table.columns.iter().map(|(name, _)| name.clone()).collect();
    let rule = |(_, align): &(String, Align)| if *align == Align::Left { ":--" } else { "--:" }.to_owned();
    let rule: Vec<String> = table.columns.iter().map(rule).collect();
    for row in [&head, &rule].into_iter().chain(&table.rows) {
        row.iter().for_each(|cell| *out += &format!("| {} ", cell.replace('|', "\\|")));
        *out += "|\n";
    }
    for line in &table.below {
        *out += &format!("\n{}\n", escaped(line));
    }
}
