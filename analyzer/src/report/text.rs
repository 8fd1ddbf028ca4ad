//! A report for the terminal.

use super::direction::in_order;
use super::model::{Align, Part, Report, Table};
use super::width::columns;
use super::wrap::wrapped;

/// Renders `report`, as wide as it is.
#[must_use]
pub fn text(report: &Report) -> String {
    text_within(report, usize::MAX)
}

/// Renders `report` in lines of `width` columns of a terminal: columns of a table that may be left out are, texts are broken between
/// words, and a name that is too long has lines of its own, above its figures. No number is cut: what does not fit all the same is wider.
#[must_use]
pub fn text_within(report: &Report, width: usize) -> String {
    let mut blocks: Vec<String> = Vec::new();
    if !report.title.is_empty() {
        blocks.push(lines(&report.title, width));
    }
    blocks.extend(report.parts.iter().map(|part| match part {
        Part::Facts(facts) => facts_text(facts, width),
        Part::Table(table) => table_text(table, width),
        Part::Line(line) => lines(std::slice::from_ref(line), width),
    }));
    if !report.notes.is_empty() {
        blocks.push(lines(&report.notes, width));
    }
    blocks.join("\n")
}

fn lines(lines: &[String], width: usize) -> String {
    lines.iter().map(|line| wrapped(&in_order(line), width, 2) + "\n").collect()
}

fn facts_text(facts: &[(String, String)], width: usize) -> String {
    let indent = facts.iter().map(|(name, _)| columns(name)).max().unwrap_or(0);
    let fact = |(name, fact): &(String, String)| {
        let text = wrapped(&in_order(fact), width.saturating_sub(indent + 2), 0);
        let text = text.replace('\n', &format!("\n{:indent$}  ", ""));
        format!("{}  {text}\n", padded(name, indent, Align::Left))
    };
    facts.iter().map(fact).collect()
}

/// The table with a line end after each row.
fn table_text(table: &Table, width: usize) -> String {
    let mut shown: Vec<usize> = (0..table.columns.len()).collect();
    let mut widths: Vec<usize> = shown.iter().map(|&column| column_width(table, column)).collect();
    // A text at the end may be broken; so much of it stays in a line.
    let last_width = |column: usize| {
        let is_text = column + 1 == table.columns.len() && table.columns[column].1 == Align::Left;
        if is_text { widths[column].min(MIN_TEXT) } else { widths[column] }
    };
    let needs = |shown: &[usize]| shown.iter().map(|&column| last_width(column) + 2).sum::<usize>();
    // A long name may stand above its figures.
    let above = widths[0].saturating_sub(MIN_TEXT);
    let left_out = table.optional.iter().map(|name| (name, 0));
    for (name, spared) in left_out.chain(table.narrow.iter().map(|name| (name, above))) {
        if needs(&shown) - spared > width.saturating_add(2) {
            shown.retain(|&column| table.columns[column].0 != *name);
        }
    }
    if shown.len() > 1 {
        let others = needs(&shown[1..]);
        widths[0] = name_width(table, width.saturating_sub(others).max(MIN_TEXT));
    }
    let head: Vec<String> = table.columns.iter().map(|(name, _)| name.clone()).collect();
    let mut out = String::new();
    for row in std::iter::once(&head).chain(&table.rows) {
        let mut line = String::new();
        if columns(&row[0]) > widths[0] {
            out += &wrapped(&in_order(&row[0]), width, 2);
            out.push('\n');
        }
        for &column in &shown {
            let (cell, column_width) = (&row[column][..], widths[column]);
            let cell = if column == 0 && columns(cell) > column_width { "" } else { cell };
            line += &match table.columns[column].1 {
                Align::Left if column + 1 == table.columns.len() => {
                    let indent = columns(&line);
                    let text = wrapped(&in_order(cell), width.saturating_sub(indent).max(MIN_TEXT), 0);
                    text.replace('\n', &format!("\n{:indent$}", ""))
                }
                align => padded(cell, column_width, align) + "  ",
            };
        }
        out += line.trim_end();
        out.push('\n');
    }
    out + &lines(&table.below, width)
}

/// Letters of a name, and of a text at the end of a row, that stand in one line, if it has so many.
const MIN_TEXT: usize = 20;

/// Columns that the first column takes: as many as the longest of its cells that has room, so that others stand above their row.
fn name_width(table: &Table, room: usize) -> usize {
    let cells = table.rows.iter().map(|row| columns(&row[0])).filter(|&width| width <= room);
    cells.chain([columns(&table.columns[0].0)]).max().unwrap_or(0)
}

/// A cell with spaces up to `width` columns.
fn padded(cell: &str, width: usize, align: Align) -> String {
    let spaces = " ".repeat(width.saturating_sub(columns(cell)));
    let cell = in_order(cell);
    if align == Align::Left { format!("{cell}{spaces}") } else { format!("{spaces}{cell}") }
}

fn column_width(table: &Table, column: usize) -> usize {
    let cells = table.rows.iter().map(|row| columns(&row[column]));
    cells.chain([columns(&table.columns[column].0)]).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Report {
        let columns =
            [("a", Align::Left), ("p90", Align::Right), ("max", Align::Right), ("why", Align::Left)];
        let mut table = Table::new("T", &columns);
        table.optional = vec!["p90"];
        table.narrow = vec!["max"];
        let row = ["x", "2.000 ms", "3.000 ms", "one two three four five six seven"];
        table.rows = vec![row.map(str::to_owned).to_vec()];
        Report { parts: vec![Part::Table(table)], ..Report::default() }
    }

    #[test]
    fn where_there_is_room_everything_is_shown() {
        let expected =
            "a       p90       max  why\nx  2.000 ms  3.000 ms  one two three four five six seven\n";
        assert_eq!((text(&table()), text_within(&table(), 56)), (expected.to_owned(), expected.to_owned()));
    }

    #[test]
    fn a_name_from_right_to_left_moves_no_figure() {
        let mut table = Table::new("T", &[("stage", Align::Left), ("spans", Align::Right)]);
        table.rows = vec![vec!["כתיבה".to_owned(), "40".to_owned()]];
        let facts = Part::Facts(vec![("OVERLOAD".to_owned(), "מעבד is 97 % busy (כתיבה 100 %)".to_owned())]);
        let report = Report { parts: vec![facts, Part::Table(table)], ..Report::default() };
        let expected = "OVERLOAD  מעבד\u{200e} is 97 % busy (כתיבה\u{200e} 100 %)\n\n\
                        stage  spans\nכתיבה\u{200e}     40\n";
        assert_eq!(text_within(&report, 80), expected);
    }

    #[test]
    fn wide_letters_take_two_columns_and_long_names_a_line_of_their_own() {
        let mut table =
            Table::new("T", &[("stage", Align::Left), ("kind", Align::Left), ("max", Align::Right)]);
        let names = ["处理", "a stage with a name that is too long for any table", "writing"];
        table.rows =
            names.map(|name| vec![name.to_owned(), "work".to_owned(), "3.000 ms".to_owned()]).to_vec();
        let report = Report { parts: vec![Part::Table(table)], ..Report::default() };
        let expected = "stage    kind       max\n\
                        处理     work  3.000 ms\n\
                        a stage with a name that is too long for\n  any table\n\
                        \u{20}        work  3.000 ms\n\
                        writing  work  3.000 ms\n";
        assert_eq!(text_within(&report, 40), expected);
    }

    #[test]
    fn texts_are_broken_and_columns_left_out_where_there_is_none() {
        let broken = "a       p90       max  why\nx  2.000 ms  3.000 ms  one two three four five six\n                       seven\n";
        assert_eq!(text_within(&table(), 50), broken);
        let without = "a       max  why\nx  3.000 ms  one two three four five six\n             seven\n";
        assert_eq!(text_within(&table(), 40), without);
        let narrow = "a  why\nx  one two three four\n   five six seven\n";
        assert_eq!(text_within(&table(), 24), narrow);
        // Numbers are never cut.
        let Part::Table(table) = &table().parts[0] else { unreachable!("it is one") };
        assert!(table_text(&Table { narrow: Vec::new(), ..table.clone() }, 1).contains("3.000 ms"));
    }
}
