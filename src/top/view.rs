//! How the user wants to see the stages: sorted, filtered, paused, scrolled.

use std::cmp::Ordering;

use ratatui_crossterm::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use tracer_analyzer::screen::live::{Board, BoardRow};

/// What rows are sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    Path,
    P99,
    P50,
    Rate,
    UnderWay,
    Name,
}

impl Sort {
    const ALL: [Self; 6] = [Self::Path, Self::P99, Self::P50, Self::Rate, Self::UnderWay, Self::Name];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::P99 => "p99",
            Self::P50 => "p50",
            Self::Rate => "rate",
            Self::UnderWay => "now",
            Self::Name => "name",
        }
    }

    fn next(self) -> Self {
        let at = Self::ALL.iter().position(|&sort| sort == self).unwrap_or_default();
        Self::ALL[(at + 1) % Self::ALL.len()]
    }

    /// The larger first; names by the alphabet.
    fn compare(self, a: &BoardRow, b: &BoardRow) -> Ordering {
        let p99 = |row: &BoardRow| row.recent.map(|it| it.p99);
        let p50 = |row: &BoardRow| row.recent.map(|it| it.p50);
        match self {
            Self::Path => Ordering::Equal,
            Self::P99 => p99(b).cmp(&p99(a)),
            Self::P50 => p50(b).cmp(&p50(a)),
            Self::Rate => b.rate.unwrap_or(0.0).total_cmp(&a.rate.unwrap_or(0.0)),
            Self::UnderWay => b.under_way.cmp(&a.under_way),
            Self::Name => a.name.cmp(&b.name),
        }
    }
}

/// How the user wants to see the stages.
#[derive(Debug, Clone)]
pub(super) struct View {
    pub(super) sort: Sort,
    /// A part of the names of those that are shown.
    pub(super) filter: String,
    /// The filter is being typed.
    pub(super) is_typing: bool,
    pub(super) is_paused: bool,
    /// Figures since the begin stand where there is no room for all.
    pub(super) prefers_all: bool,
    pub(super) shows_help: bool,
    /// The first row that is shown.
    pub(super) first: usize,
}

/// What a key asks for beyond the view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    Nothing,
    Quit,
    /// Ctrl-C: what runs gets it, too.
    Interrupt,
    Suspend,
    Snapshot,
    /// All be drawn again.
    Redraw,
}

/// Letters of a filter, at most.
const MAX_FILTER: usize = 100;
/// Rows of a page.
const PAGE: usize = 10;

impl View {
    pub(super) fn new() -> Self {
        Self {
            sort: Sort::Path,
            filter: String::new(),
            is_typing: false,
            is_paused: false,
            prefers_all: false,
            shows_help: false,
            first: 0,
        }
    }

    /// Takes a key.
    pub(super) fn key(&mut self, key: KeyEvent) -> Wish {
        if key.kind == KeyEventKind::Release {
            return Wish::Nothing;
        }
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return match key.code {
                KeyCode::Char('c') => Wish::Interrupt,
                KeyCode::Char('z') => Wish::Suspend,
                KeyCode::Char('l') => Wish::Redraw,
                _ => Wish::Nothing,
            };
        }
        if self.is_typing {
            self.typed(key.code);
            return Wish::Nothing;
        }
        let is_end = matches!(key.code, KeyCode::Char('q') | KeyCode::F(10));
        if self.shows_help && !is_end {
            self.shows_help = false;
            return Wish::Nothing;
        }
        match key.code {
            // The keys of htop do what they do there.
            _ if is_end => return Wish::Quit,
            KeyCode::Char('w') => return Wish::Snapshot,
            KeyCode::Char(' ' | 'p') => self.is_paused = !self.is_paused,
            KeyCode::Char('s') | KeyCode::F(6) => self.sort = self.sort.next(),
            KeyCode::Char('a') => self.prefers_all = !self.prefers_all,
            KeyCode::Char('?' | 'h') | KeyCode::F(1) => self.shows_help = true,
            KeyCode::Char('/') | KeyCode::F(3 | 4) => self.is_typing = true,
            KeyCode::Esc => self.filter.clear(),
            KeyCode::Up | KeyCode::Char('k') => self.first = self.first.saturating_sub(1),
            KeyCode::Down | KeyCode::Char('j') => self.first = self.first.saturating_add(1),
            KeyCode::PageUp => self.first = self.first.saturating_sub(PAGE),
            KeyCode::PageDown => self.first = self.first.saturating_add(PAGE),
            KeyCode::Home => self.first = 0,
            KeyCode::End => self.first = usize::MAX,
            _ => {}
        }
        Wish::Nothing
    }

    fn typed(&mut self, key: KeyCode) {
        self.first = 0;
        match key {
            KeyCode::Enter => self.is_typing = false,
            KeyCode::Esc => {
                self.is_typing = false;
                self.filter.clear();
            }
            KeyCode::Backspace => drop(self.filter.pop()),
            KeyCode::Char(letter) if self.filter.chars().count() < MAX_FILTER => self.filter.push(letter),
            _ => {}
        }
    }

    /// The rows that are wanted, in the order that is wanted.
    pub(super) fn rows<'b>(&self, board: &'b Board) -> Vec<&'b BoardRow> {
        let wanted = self.filter.to_lowercase();
        let fits = |row: &&BoardRow| wanted.is_empty() || row.name.to_lowercase().contains(&wanted);
        let mut rows: Vec<&BoardRow> = board.rows.iter().filter(fits).collect();
        rows.sort_by(|a, b| self.sort.compare(a, b));
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_knows_htop_finds_its_keys() {
        let mut view = View::new();
        let mut press = |code: KeyCode| {
            let wish = view.key(KeyEvent::new(code, KeyModifiers::NONE));
            (wish == Wish::Quit, view.shows_help, view.is_typing)
        };
        assert_eq!(press(KeyCode::F(1)), (false, true, false), "help");
        assert_eq!(press(KeyCode::F(1)), (false, false, false), "and away");
        assert_eq!(press(KeyCode::F(4)), (false, false, true), "filter");
        assert_eq!(press(KeyCode::Esc), (false, false, false));
        assert_eq!(press(KeyCode::F(1)), (false, true, false));
        assert_eq!(press(KeyCode::F(10)), (true, true, false), "end, from the help as well");
    }
}
