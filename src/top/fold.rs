//! Texts in the room there is.

use tracer_analyzer::report::{columns, short_names};
use tracer_analyzer::screen::plot::Letters;
use tracer_format::log::escape;

/// `text`, escaped, in at most `room` columns; a mark stands for what is left out.
pub(super) fn fitted(text: &str, room: usize, letters: Letters) -> String {
    // What is beyond all room need not be looked at: names may have a megabyte.
    let end = text.char_indices().nth(4 * room + 4).map_or(text.len(), |(at, _)| at);
    let shown = drawable(&text[..end], letters);
    if end == text.len() { cut(shown, room, letters) } else { ended(shown, room, letters.dots()) }
}

/// Names, escaped, each in at most `room` columns; different ones stay different.
pub(super) fn names<'a>(names: impl Iterator<Item = &'a str>, room: usize, letters: Letters) -> Vec<String> {
    let names: Vec<String> = names.map(|name| drawable(name, letters)).collect();
    short_names(&names, room, letters.dots())
}

/// `text`, escaped, and of letters that the terminal has.
fn drawable(text: &str, letters: Letters) -> String {
    let shown = escape(text).into_owned();
    if letters == Letters::Unicode || shown.is_ascii() {
        return shown;
    }
    let letter = |letter: char| {
        if letter.is_ascii() { letter.to_string() } else { letter.escape_unicode().to_string() }
    };
    shown.chars().map(letter).collect()
}

/// `shown`, which is escaped, in at most `room` columns.
pub(super) fn cut(shown: String, room: usize, letters: Letters) -> String {
    if columns(&shown) <= room { shown } else { ended(shown, room, letters.dots()) }
}

/// The begin of `shown`, with the mark `dots` for what is left out.
fn ended(mut shown: String, room: usize, dots: &str) -> String {
    while columns(&shown) + columns(dots) > room && shown.pop().is_some() {}
    shown.push_str(dots);
    if columns(&shown) > room { String::new() } else { shown }
}

/// `parts` with `between` in a line of `room` columns: as many of them, from the first on, as fit; of the first, what fits.
pub(super) fn joined(parts: &[String], between: &str, room: usize, letters: Letters) -> String {
    let mut line = String::new();
    for part in parts {
        let between = if line.is_empty() { "" } else { between };
        let part = fitted(part, room, letters);
        if columns(&line) + columns(between) + columns(&part) > room {
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
        assert_eq!(fitted("a\u{1b}[31m ü", 30, Letters::Ascii), "a\\x1b[31m \\u{fc}");
        // Wide letters take two columns.
        assert_eq!(fit("日本語", 5), "日本…");
        assert!(columns(&fit(&"x".repeat(1 << 20), 40)) == 40);
        let alike = |letters| names(["处理 -> frame", "写入 -> frame"].into_iter(), 12, letters);
        assert_eq!(alike(Letters::Unicode), ["处理 -> …ame", "写入 -> …ame"]);
        assert_ne!(alike(Letters::Ascii)[0], alike(Letters::Ascii)[1]);
        let parts = ["one".to_owned(), "two".to_owned(), "three".to_owned()];
        assert_eq!(joined(&parts, ", ", 9, Letters::Unicode), "one, two");
        assert_eq!(joined(&parts, ", ", 2, Letters::Ascii), "");
    }
}
