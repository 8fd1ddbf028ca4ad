//! A report as Markdown: for the summary of a CI job.

use super::direction::in_order;
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
        out += &format!("\n- {}", escaped_cell(note));
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

/// A text in which nothing is markup. What would become a link, an image or a mention by itself, as addresses and `@name` do, stands
/// as code: names come from traced programs, and the page may be shown by a site where a mention wakes its owner up.
fn escaped(text: &str) -> String {
    escaped_where(text, |_| true)
}

/// The same for cells and notes, where a star behind a figure stays as it is: it opens no emphasis.
fn escaped_cell(text: &str) -> String {
    escaped_where(text, |next| !matches!(next, ' ' | ','))
}

fn escaped_where(text: &str, is_star_markup: impl Fn(char) -> bool) -> String {
    let text = &in_order(text);
    if is_reference(text) {
        return code(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let next = rest.peek().copied().unwrap_or(' ');
        let is_markup = match c {
            '*' => is_star_markup(next),
            '`' => true,
            '\\' => next.is_ascii_punctuation(),
            ']' => matches!(next, '(' | '[' | ':'),
            '<' => next.is_alphabetic() || matches!(next, '/' | '!' | '?'),
            '&' => next.is_alphabetic() || next == '#',
            '~' => next == '~',
            _ => false,
        };
        if is_markup {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// Whether a site makes a link of a part of the text though it has no markup: an address, a name behind `@`, a number behind `#`.
fn is_reference(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let follows = |mark: char, is: fn(char) -> bool| {
        text.match_indices(mark).any(|(at, _)| text[at + mark.len_utf8()..].starts_with(is))
    };
    ["://", "www.", "mailto:", "xmpp:", "gh-"].iter().any(|mark| lower.contains(mark))
        || follows('@', char::is_alphanumeric)
        || follows('#', |c| c.is_ascii_digit())
}

/// A text as code, within more backticks than it has in a row.
fn code(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    let pad = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{fence}{pad}{text}{pad}{fence}")
}

fn push_table(table: &Table, out: &mut String) {
    if !table.title.is_empty() {
        *out += &format!("### {}\n\n", escaped(table.title));
    }
    let head: Vec<String> = table.columns.iter().map(|(name, _)| name.clone()).collect();
    let rule = |(_, align): &(String, Align)| if *align == Align::Left { ":--" } else { "--:" }.to_owned();
    let rule: Vec<String> = table.columns.iter().map(rule).collect();
    for row in [&head, &rule].into_iter().chain(&table.rows) {
        row.iter().for_each(|cell| *out += &format!("| {} ", escaped_cell(cell).replace('|', "\\|")));
        *out += "|\n";
    }
    for line in &table.below {
        *out += &format!("\n{}\n", escaped(line));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_no_markup() {
        for (text, expected) in [
            ("awe -> writing, p50 < 3 ms & 5 %", "awe -> writing, p50 < 3 ms & 5 %"),
            ("buffer_tracker:beg_awe [seq]", "buffer_tracker:beg_awe [seq]"),
            ("![x](y)", "![x\\](y)"),
            ("<img src=x>", "\\<img src=x>"),
            ("&lt;b&gt;", "\\&lt;b\\&gt;"),
            ("**a** `b`", "\\*\\*a\\*\\* \\`b\\`"),
            ("a\\*b\\x1b", "a\\\\\\*b\\x1b"),
            ("@owner", "`@owner`"),
            ("see http://x.y", "`see http://x.y`"),
            ("WWW.x.y", "`WWW.x.y`"),
            ("fixes #12", "`fixes #12`"),
            ("a`@b", "``a`@b``"),
            ("`@b", "`` `@b ``"),
        ] {
            assert_eq!(escaped(text), expected);
        }
    }
}
