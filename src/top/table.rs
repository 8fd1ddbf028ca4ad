//! The table of stages, in the columns that there is room for.

use tracer_analyzer::report::{columns as columns_of, latency};
use tracer_analyzer::screen::live::{Board, BoardRow, RowKind};
use tracer_analyzer::screen::plot::Letters;

use super::fold::{fitted, names};

/// Columns that a name has at least, unless all are shorter; more in a wide terminal.
const LEAST_NAME: usize = 12;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Rate,
    Recent50,
    Recent90,
    Recent99,
    All50,
    All90,
    All99,
    UnderWay,
    Oldest,
}

/// A column, its head and its cells.
type Filled = (Column, String, Vec<String>);

use Column::{All50, All90, All99, Oldest, Rate, Recent50, Recent90, Recent99, UnderWay};

const COLUMNS: [Column; 9] = [Rate, Recent50, Recent90, Recent99, All50, All90, All99, UnderWay, Oldest];
/// Columns in the order in which they are left out where there is no room.
const LEFT_OUT: [Column; 8] = [Oldest, All90, Recent90, All99, All50, Rate, UnderWay, Recent99];
/// The same, where figures since the begin are preferred.
const LEFT_OUT_OF_ALL: [Column; 8] = [Oldest, Recent90, All90, Recent99, Recent50, Rate, UnderWay, All99];

impl Column {
    fn head(self, seconds: u64) -> String {
        match self {
            Self::Rate => "rate/s".to_owned(),
            Self::Recent50 => format!("{seconds}s p50"),
            Self::Recent90 => format!("{seconds}s p90"),
            Self::Recent99 => format!("{seconds}s p99"),
            Self::All50 => "all p50".to_owned(),
            Self::All90 => "all p90".to_owned(),
            Self::All99 => "all p99".to_owned(),
            Self::UnderWay => "now".to_owned(),
            Self::Oldest => "oldest".to_owned(),
        }
    }

    fn cell(self, row: &BoardRow) -> String {
        let shown = |value_ns: Option<i64>| value_ns.map_or_else(|| "-".to_owned(), latency);
        match self {
            Self::Rate => rate(row.rate),
            Self::Recent50 => shown(row.recent.map(|it| it.p50)),
            Self::Recent90 => shown(row.recent.map(|it| it.p90)),
            Self::Recent99 => shown(row.recent.map(|it| it.p99)),
            Self::All50 => shown(row.all.map(|it| it.p50)),
            Self::All90 => shown(row.all.map(|it| it.p90)),
            Self::All99 => shown(row.all.map(|it| it.p99)),
            Self::UnderWay => {
                let more = if row.at_least { "+" } else { "" };
                row.under_way.map_or_else(|| "-".to_owned(), |count| format!("{count}{more}"))
            }
            Self::Oldest => shown(row.oldest_ns.map(|ns| i64::try_from(ns).unwrap_or(i64::MAX))),
        }
    }
}

/// How many a second, if that can be told.
pub(super) fn rate(rate: Option<f64>) -> String {
    let Some(rate) = rate else { return "-".to_owned() };
    match rate {
        0.0..10.0 => format!("{rate:.1}"),
        10.0..100_000.0 => format!("{rate:.0}"),
        _ => format!("{:.0}k", rate / 1000.0),
    }
}

/// The head of the table, and a line for each of `rows`, in `room` columns: numbers are never cut, columns are left out.
pub(super) fn lines(
    board: &Board,
    rows: &[&BoardRow],
    room: usize,
    letters: Letters,
    prefers_all: bool,
) -> (String, Vec<String>) {
    let mut columns: Vec<Filled> = COLUMNS
        .iter()
        .map(|&column| {
            let cells = rows.iter().map(|row| column.cell(row)).collect();
            (column, column.head(board.seconds), cells)
        })
        .collect();
    let mark = |row: &BoardRow| if row.touched { "*" } else { "" };
    let whole = |row: &BoardRow| columns_of(&fitted(&row.name, room, letters)) + mark(row).len();
    let wanted = rows.iter().map(|row| whole(row)).max().unwrap_or(0).max("stage".len());
    let taken = |columns: &[Filled]| columns.iter().map(|it| 1 + wide(it)).sum::<usize>();
    let left_out = if prefers_all { LEFT_OUT_OF_ALL } else { LEFT_OUT };
    let mut left_out = left_out.into_iter();
    while taken(&columns) + LEAST_NAME.max(2 * room / 7).min(wanted) > room
        && let Some(column) = left_out.next()
    {
        columns.retain(|(other, ..)| *other != column);
    }
    let name_room = room.saturating_sub(taken(&columns)).min(wanted);
    let marked = usize::from(rows.iter().any(|row| row.touched));
    let names = names(rows.iter().map(|row| &row.name[..]), name_room.saturating_sub(marked), letters);
    let line = |name: String, cell: &dyn Fn(&Filled) -> String| {
        let pad = name_room.saturating_sub(columns_of(&name));
        let mut line = format!("{name}{:pad$}", "");
        for column in &columns {
            line.push_str(&format!(" {:>wide$}", cell(column), wide = wide(column)));
        }
        line
    };
    let head = line(fitted("stage", name_room, letters), &|(_, head, _)| head.clone());
    let body = rows
        .iter()
        .zip(names)
        .enumerate()
        .map(|(at, (row, name))| line(name + mark(row), &|(_, _, cells)| cells[at].clone()));
    (head, body.collect())
}

fn wide((_, head, cells): &Filled) -> usize {
    cells.iter().map(String::len).max().unwrap_or(0).max(head.len())
}

/// Whether a row is of a wait, which stands back.
pub(super) fn is_wait(row: &BoardRow) -> bool {
    row.kind == RowKind::Wait
}
