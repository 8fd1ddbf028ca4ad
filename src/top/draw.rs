//! A board as lines of a given width and number.

use ratatui_core::style::{Color, Modifier, Style};
use ratatui_core::text::Line;
use tracer_analyzer::report::{columns, counted, duration, in_order, latency};
use tracer_analyzer::screen::live::{Board, BoardRow, Worst};
use tracer_analyzer::screen::plot::Letters;

use super::fold::{cut, fitted, joined, names};
use super::table::{self, is_wait, rate};
use super::view::View;

/// What is drawn beside the board.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    /// What is looked at.
    pub(super) subject: String,
    /// What was said meanwhile.
    pub(super) messages: Vec<String>,
    pub(super) letters: Letters,
    pub(super) colours: bool,
}

/// Lines of a screen that notes and messages have, at most.
const MAX_NOTES: usize = 4;
/// Lines from which on each step of the slowest buffer has one.
const ROOMY: usize = 16;
/// Columns of the bar of a step.
const BAR: usize = 24;

const HELP: [&str; 10] = [
    "q       end (Ctrl-C as well)",
    "space   pause, go on",
    "s       sort: path, p99, p50, rate, now, name",
    "/       filter by a part of the name; Esc: all",
    "w       write the last seconds to a trace",
    "a       prefer figures since the begin",
    "up down scroll",
    "now     in the stage, or waiting",
    "oldest  how long the oldest of them",
    "*       lost events may have touched it",
];

/// A screen of `width` columns and `height` lines.
pub(super) fn screen(
    board: &Board,
    view: &mut View,
    frame: &Frame,
    (width, height): (u16, u16),
) -> Vec<Line<'static>> {
    let (room, height) = (usize::from(width), usize::from(height));
    let styles = Styles { colours: frame.colours };
    let mut lines = vec![styles.title(title(board, view, frame, room))];
    let footer = footer(board, view, room, frame.letters);
    let mut left = height.saturating_sub(2);
    let mut below: Vec<Line<'static>> = Vec::new();
    if view.shows_help {
        lines.extend(HELP.iter().take(left).map(|text| Line::from(fitted(text, room, frame.letters))));
    } else {
        let rows = view.rows(board);
        let notes = notes(board, frame, room, if left >= ROOMY { MAX_NOTES } else { usize::from(left > 3) });
        left -= notes.len().min(left);
        below.extend(notes.into_iter().map(|note| styles.note(note)));
        // The head and three rows go before the slowest buffer.
        let free = left.saturating_sub(1 + rows.len().max(3).min(left));
        let worst = worst(board, room, free.max(usize::from(left > 4)), frame.letters);
        left -= worst.len().min(left);
        below.splice(0..0, worst.into_iter().map(Line::from));
        lines.extend(table(board, view, &rows, (room, left), frame));
    }
    lines.truncate(height.saturating_sub(1 + below.len()));
    lines.resize(height.saturating_sub(1 + below.len()), Line::default());
    lines.extend(below);
    lines.push(styles.footer(footer));
    lines
}

/// The same as plain lines, as many as it takes.
pub(super) fn plain(board: &Board, view: &View, frame: &Frame, room: usize) -> String {
    let rows = view.rows(board);
    let (head, body) = table::lines(board, &rows, room, frame.letters, view.prefers_all);
    let mut lines = vec![title(board, view, frame, room), head];
    lines.extend(body);
    lines.extend(worst(board, room, usize::MAX, frame.letters));
    lines.extend(notes(board, frame, room, usize::MAX));
    lines.iter().fold(String::new(), |all, line| all + &in_order(line.trim_end()) + "\n") + "\n"
}

struct Styles {
    colours: bool,
}

impl Styles {
    fn styled(&self, text: String, style: Style) -> Line<'static> {
        Line::from(text).style(style)
    }

    fn title(&self, text: String) -> Line<'static> {
        self.styled(text, Style::new().add_modifier(Modifier::BOLD))
    }

    fn head(&self, text: String) -> Line<'static> {
        self.styled(text, Style::new().add_modifier(Modifier::REVERSED))
    }

    fn row(&self, text: String, row: &BoardRow) -> Line<'static> {
        let style =
            if is_wait(row) && self.colours { Style::new().fg(Color::DarkGray) } else { Style::new() };
        self.styled(text, style)
    }

    fn note(&self, text: String) -> Line<'static> {
        let style = if self.colours { Style::new().fg(Color::Yellow) } else { Style::new() };
        self.styled(text, style)
    }

    fn footer(&self, text: String) -> Line<'static> {
        let style = if self.colours { Style::new().fg(Color::Cyan) } else { Style::new() };
        self.styled(text, style)
    }
}

fn title(board: &Board, view: &View, frame: &Frame, room: usize) -> String {
    let mut parts = Vec::new();
    if view.is_paused {
        parts.push("PAUSED".to_owned());
    }
    match board.time_ns {
        Some((from_ns, now_ns)) => {
            parts.push(tenths(now_ns.saturating_sub(from_ns)));
            if board.has_ended {
                parts.push("ended".to_owned());
            }
            parts.push(format!("lost {}", board.lost));
            parts.extend(board.rate.map(|_| format!("{} events/s", rate(board.rate))));
            parts.push(counted(board.events, "event"));
        }
        None if board.has_ended => parts.push("no events; ended".to_owned()),
        None => parts.push("waiting for events".to_owned()),
    }
    parts.push(frame.subject.clone());
    joined(&parts, "  ", room, frame.letters)
}

/// Seconds with a tenth.
fn tenths(time_ns: u64) -> String {
    format!("{}.{} s", time_ns / 1_000_000_000, time_ns / 100_000_000 % 10)
}

fn footer(board: &Board, view: &View, room: usize, letters: Letters) -> String {
    if view.is_typing {
        return fitted(&format!("/{}_", view.filter), room, letters);
    }
    let mut parts = vec!["q end".to_owned(), format!("s sort:{}", view.sort.name())];
    if !view.filter.is_empty() {
        parts.push(format!("/ {}", view.filter));
    }
    let rest = ["space pause", "w write", "? help", "/ filter", "a since begin"];
    parts.extend(rest.iter().map(|part| (*part).to_owned()));
    if board.has_ended {
        parts[0] = "ENDED: q".to_owned();
    }
    joined(&parts, "  ", room, letters)
}

/// The table in so many columns and lines, scrolled as it is wanted.
fn table(
    board: &Board,
    view: &mut View,
    rows: &[&BoardRow],
    (room, height): (usize, usize),
    frame: &Frame,
) -> Vec<Line<'static>> {
    let styles = Styles { colours: frame.colours };
    let shown = height.saturating_sub(1);
    view.first = view.first.min(rows.len().saturating_sub(shown));
    let visible: Vec<&BoardRow> = rows.iter().skip(view.first).take(shown).copied().collect();
    let (head, body) = table::lines(board, &visible, room, frame.letters, view.prefers_all);
    let pad = room.saturating_sub(columns(&head));
    let mut lines = vec![styles.head(format!("{head}{:pad$}", ""))];
    lines.extend(body.into_iter().zip(&visible).map(|(text, row)| styles.row(text, row)));
    lines
}

/// The slowest buffer, with its steps: each with a line where there is room, else the longest in one.
fn worst(board: &Board, room: usize, height: usize, letters: Letters) -> Vec<String> {
    let Some(Worst { key, took_ns, steps }) = board.worst.as_ref().filter(|_| height > 0) else {
        return Vec::new();
    };
    let key = fitted(key, room / 3, letters);
    let head = format!("slowest in {} s: {key}, {}", board.seconds, duration(*took_ns));
    if height < steps.len() + 1 {
        let mut longest: Vec<&(String, i64)> = steps.iter().collect();
        longest.sort_by_key(|(_, took_ns)| std::cmp::Reverse(*took_ns));
        let short = names(longest.iter().map(|(name, _)| &name[..]), room / 2, letters);
        let named =
            short.iter().zip(&longest).map(|(name, (_, took_ns))| format!("{name} {}", latency(*took_ns)));
        let parts: Vec<String> = std::iter::once(head).chain(named).collect();
        return vec![joined(&parts, ", ", room, letters)];
    }
    let names = names(steps.iter().map(|(name, _)| &name[..]), room / 2, letters);
    let wide = names.iter().map(|name| columns(name)).max().unwrap_or_default();
    let full = if letters == Letters::Unicode { "█" } else { "#" };
    let step = |((_, step_ns), name): (&(String, i64), &String)| {
        let share = (*step_ns).max(0) as f64 / (*took_ns).max(1) as f64;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to BAR")]
        let bar = full.repeat((share.min(1.0) * BAR as f64).round() as usize);
        let pad = wide.saturating_sub(columns(name));
        cut(format!("  {name}{:pad$} {:>10}  {bar}", "", latency(*step_ns)), room, letters)
    };
    std::iter::once(fitted(&head, room, letters)).chain(steps.iter().zip(&names).map(step)).collect()
}

/// What is missing, and what was said last, in at most so many lines.
fn notes(board: &Board, frame: &Frame, room: usize, most: usize) -> Vec<String> {
    let all: Vec<&String> = board.notes.iter().chain(&frame.messages).collect();
    let shown = if all.len() > most { most.saturating_sub(1) } else { all.len() };
    let mut lines: Vec<String> =
        all.iter().take(shown).map(|note| fitted(note, room, frame.letters)).collect();
    if all.len() > shown && most > 0 {
        let last = all[all.len() - 1];
        let more = format!("({} more) {last}", all.len() - shown - 1);
        lines.push(fitted(if all.len() - shown > 1 { &more } else { last }, room, frame.letters));
    }
    lines
}
