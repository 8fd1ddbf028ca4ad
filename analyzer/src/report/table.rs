//! A table of words, lined up for the terminal or as Markdown.

use std::fmt::Write as _;

/// Where the words of a column stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// Rows below a head.
#[derive(Debug)]
pub(crate) struct Table {
    columns: Vec<Align>,
    rows: Vec<Vec<String>>,
    markdown: bool,
}

impl Table {
    pub(crate) fn new(columns: &[(&str, Align)], markdown: bool) -> Self {
        let head = columns.iter().map(|(name, _)| (*name).to_owned()).collect();
        Self { columns: columns.iter().map(|&(_, align)| align).collect(), rows: vec![head], markdown }
    }

    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.len() == 1
    }

    /// The table with a line end after each row.
    pub(crate) fn text(&self) -> String {
        let width =
            |column: usize| self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        let mut out = String::new();
        for (position, row) in self.rows.iter().enumerate() {
            self.push_row(row, &widths, &mut out);
            if self.markdown && position == 0 {
                let rule = |align: &Align| if *align == Align::Left { "| :-- " } else { "| --: " };
                self.columns.iter().for_each(|align| out.push_str(rule(align)));
                out.push_str("|\n");
            }
        }
        out
    }

    fn push_row(&self, row: &[String], widths: &[usize], out: &mut String) {
        for (column, cell) in row.iter().enumerate() {
            let result = match (self.markdown, self.columns[column]) {
                (true, _) => write!(out, "| {} ", cell.replace('|', "\\|")),
                (false, Align::Left) => write!(out, "{cell:<0$}  ", widths[column]),
                (false, Align::Right) => write!(out, "{cell:>0$}  ", widths[column]),
            };
            result.expect("a string takes every write");
        }
        if self.markdown {
            out.push('|');
        }
        out.truncate(out.trim_end().len());
        out.push('\n');
    }
}
