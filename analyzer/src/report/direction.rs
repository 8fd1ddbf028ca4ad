//! Names that are written from right to left, beside figures.
//!
//! What shows text with such letters puts a number that follows them on their other side, and turns the order of several
//! numbers round: browsers do, the terminals of GNOME and KDE do. Characters that steer directions are escaped in every name
//! (`tracer_format::log::escape`); what is left is to set such names apart from what stands behind them.

use std::borrow::Cow;

/// Goes from left to right, takes no room, and is no letter: what stands behind it is not drawn into the name before it.
const MARK: char = '\u{200e}';

/// A text, which is escaped, with a mark behind each part that is written from right to left.
#[must_use]
pub fn in_order(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut left = 0;
    for (at, letter) in text.char_indices() {
        if left == 0 && is_right_to_left(letter) {
            left = right_to_left_letters(&text[at..]);
        }
        out.push(letter);
        if left > 0 {
            left -= 1;
            if left == 0 {
                out.push(MARK);
            }
        }
    }
    Cow::Owned(out)
}

/// Letters that `text` begins with and that are written from right to left, with what joins their words.
pub(crate) fn right_to_left_letters(text: &str) -> usize {
    let joins = |letter| matches!(letter, ' ' | '_' | '-' | '.' | '\u{200c}' | '\u{200d}');
    let run = text.chars().enumerate().take_while(|&(_, letter)| is_right_to_left(letter) || joins(letter));
    run.filter(|&(_, letter)| is_right_to_left(letter)).last().map_or(0, |(at, _)| at + 1)
}

/// Whether a letter is of a script such as Hebrew and Arabic.
pub(crate) fn is_right_to_left(letter: char) -> bool {
    matches!(letter, '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefe}')
        || matches!(letter, '\u{10800}'..='\u{10fff}' | '\u{1e800}'..='\u{1efff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_behind_a_name_stay_behind_it() {
        for (text, expected) in [
            ("awe 7", "awe 7"),
            ("処理 7", "処理 7"),
            ("כתיבה 100 %", "כתיבה\u{200e} 100 %"),
            ("כתיבה_של קובץ -> معالج 7", "כתיבה_של קובץ\u{200e} -> معالج\u{200e} 7"),
            ("a (כתיבה", "a (כתיבה\u{200e}"),
        ] {
            assert_eq!(in_order(text), expected);
        }
    }
}
