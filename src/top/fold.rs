//! Texts in the room there is.

use ratatui_core::text::Line;
use tracer_analyzer::screen::plot::Letters;
use tracer_format::log::escape;

/// Columns that a text takes on the screen.
pub(super) fn width(text: &str) -> usize {
    Line::from(text).width()
}

fn dots(letters: Letters) -> &'static str {
    if letters == Letters::Unicode { "…" } else { "..." }
}

/// `text`, escaped, in at most `room` columns; a mark stands for what is left out.
pub(super) fn fitted(text: &str, room: usize, letters: Letters) -> String {
    let dots = dots(letters);
    // What is beyond all room need not be looked at: names may have a megabyte.
    let end = text.char_indices().nth(4 * room + 4).map_or(text.len(), |(at, _)| at);
    let mut shown = escape(&text[..end]).into_owned();
    if letters == Letters::Ascii {
        shown = shown.chars().map(|letter| if letter.is_ascii() { letter } else { '?' }).collect();
    }
    if end == text.len() { cut(shown, room, letters) } else { ended(shown, room, dots) }
}

/// `shown`, which is escaped, in at most `room` columns.
pub(super) fn cut(shown: String, room: usize, letters: Letters) -> String {
    if width(&shown) <= room { shown } else { ended(shown, room, dots(letters)) }
}

/// The begin of `shown`, with the mark `dots` for what is left out.
fn ended(mut shown: String, room: usize, dots: &str) -> String {
    while width(&shown) + width(dots) > room && shown.pop().is_some() {}
    shown.push_str(dots);
    if width(&shown) > room { String::new() } else { shown }
}

/// `parts` with `between` in a line of `room` columns: as many of them, from the first on, as fit; of the first, what fits.
pub(super) fn joined(parts: &[String], between: &str, room: usize, letters: Letters) -> String {
    let mut line = String::new();
    for part in parts {
        let between = if line.is_empty() { "" } else { between };
        let part = fitted(part, room, letters);
        if width(&line) + width(between) + width(&part) > room {
            break;
        }
        line.push_str(between);
        line.push_str(&part);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_room_is_left_out_and_marked() {
        let fit = |text: &str, room| fitted(text, room, Letters::Unicode);
        assert_eq!([fit("writing", 7), fit("writing", 5), fit("writing", 0)], ["writing", "writ…", ""]);
        assert_eq!(fitted("a\u{1b}[31m ü", 30, Letters::Ascii), "a\\x1b[31m ?");
        // Wide letters take two columns.
        assert_eq!(fit("日本語", 5), "日本…");
        assert!(width(&fit(&"x".repeat(1 << 20), 40)) == 40);
        let parts = ["one".to_owned(), "two".to_owned(), "three".to_owned()];
        assert_eq!(joined(&parts, ", ", 9, Letters::Unicode), "one, two");
        assert_eq!(joined(&parts, ", ", 2, Letters::Ascii), "");
    }
}
