//! A report before it has a form: lines, tables and notes, made of words.

/// A report.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Lines above everything.
    pub title: Vec<String>,
    /// What the report is made of, in order.
    pub parts: Vec<Part>,
    /// Lines below everything.
    pub notes: Vec<String>,
}

/// A part of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Names, each with what is said of it.
    Facts(Vec<(String, String)>),
    /// A table; one without rows is not shown.
    Table(Table),
    /// A line.
    Line(String),
}

/// Where the words of a column stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// At the left.
    Left,
    /// At the right.
    Right,
}

/// Rows below a head.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    /// What stands above it where there is no other way to tell tables apart.
    pub title: &'static str,
    /// Names of the columns, and where their words stand.
    pub columns: Vec<(String, Align)>,
    /// Rows, each with a cell for each column.
    pub rows: Vec<Vec<String>>,
    /// Lines below the last row.
    pub below: Vec<String>,
    /// Names of columns that are left out where there is no room, the first first.
    pub optional: Vec<&'static str>,
    /// The same, where even a short name does not fit beside the others.
    pub narrow: Vec<&'static str>,
}

impl Report {
    /// Adds facts, if there are any.
    pub fn facts(&mut self, facts: Vec<(String, String)>) {
        if !facts.is_empty() {
            self.parts.push(Part::Facts(facts));
        }
    }

    /// Adds a table, if it has rows.
    pub fn table(&mut self, table: Table) {
        if !table.rows.is_empty() {
            self.parts.push(Part::Table(table));
        }
    }
}

impl Report {
    /// Has every column shown, whether there is room or not.
    pub fn keep_all_columns(&mut self) {
        for part in &mut self.parts {
            if let Part::Table(table) = part {
                table.optional.clear();
                table.narrow.clear();
            }
        }
    }
}

impl Table {
    /// A table without rows.
    #[must_use]
    pub fn new(title: &'static str, columns: &[(&'static str, Align)]) -> Self {
        Self {
            title,
            columns: columns.iter().map(|&(name, align)| (name.to_owned(), align)).collect(),
            ..Self::default()
        }
    }
}
