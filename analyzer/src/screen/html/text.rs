//! Texts of a trace as text of a page.

use std::fmt::Write;

use tracer_format::log::escape;

use crate::report::{is_right_to_left, right_to_left_letters, short_names};

/// How much of a trace a page holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Stages and hand-offs with plots of their own.
    pub(super) plots: usize,
    /// Rows of a table.
    pub(super) rows: usize,
    /// Rows of the table of all figures.
    pub(super) figures: usize,
    /// Letters of a text.
    pub(super) letters: usize,
}

impl Limits {
    /// A text with its markup escaped; a mark says how long one was that is cut.
    pub(super) fn text(self, text: &str) -> String {
        self.text_apart(text, ELEMENTS)
    }

    /// The same without markup, for pictures.
    pub(super) fn plain_text(self, text: &str) -> String {
        self.text_apart(text, REFERENCES)
    }

    fn text_apart(self, text: &str, apart: [&str; 2]) -> String {
        let (begin, rest) = cut(text, self.letters);
        let mut out = String::with_capacity(begin.len() + 16);
        push(&mut out, begin, apart);
        self.mark(&mut out, rest);
        out
    }

    fn mark(self, out: &mut String, rest: &str) {
        if !rest.is_empty() {
            write!(out, "… [{} letters]", self.letters + rest.chars().count())
                .expect("a string takes every write");
        }
    }

    /// A name of the trace, whose control characters are escaped as in the log; its direction does not leak. As a whole it runs from left
    /// to right: the arrow in the name of a wait turns round otherwise.
    pub(super) fn name(self, name: &str) -> String {
        format!(r#"<bdi dir="ltr">{}</bdi>"#, self.plain_name(name))
    }

    /// The same without markup, for attributes and pictures.
    pub(super) fn plain_name(self, name: &str) -> String {
        let (begin, rest) = cut(name, self.letters);
        let mut out = String::new();
        push(&mut out, &escape(begin), REFERENCES);
        self.mark(&mut out, rest);
        out
    }

    /// The same, short enough for places of so many columns in a picture; different names stay different.
    pub(super) fn short_names<'a>(self, names: impl Iterator<Item = &'a str>, columns: usize) -> Vec<String> {
        let names: Vec<String> = names.map(|name| escape(cut(name, self.letters).0).into_owned()).collect();
        let short = |name: &String| {
            let mut out = String::new();
            push(&mut out, name, REFERENCES);
            out
        };
        short_names(&names, columns, "…").iter().map(short).collect()
    }

    /// One such name.
    pub(super) fn short_name(self, name: &str, columns: usize) -> String {
        self.short_names(std::iter::once(name), columns).concat()
    }
}

/// The first `letters` of a text, and the rest.
fn cut(text: &str, letters: usize) -> (&str, &str) {
    text.split_at(text.char_indices().nth(letters).map_or(text.len(), |(at, _)| at))
}

/// Appends a text with its markup escaped. What is written from right to left is set apart, so that it moves nothing beside it: a
/// number, a bracket, an arrow.
fn push(out: &mut String, text: &str, [begin, end]: [&str; 2]) {
    let mut left = 0;
    for (at, letter) in text.char_indices() {
        if left == 0 && is_right_to_left(letter) {
            left = right_to_left_letters(&text[at..]);
            out.push_str(begin);
        }
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ if letter.is_control() => out.push('\u{fffd}'),
            _ => out.push(letter),
        }
        if left > 0 {
            left -= 1;
            if left == 0 {
                out.push_str(end);
            }
        }
    }
}

/// What sets a text apart from what is beside it: elements where there may be any, else two characters, as references, so that a
/// page that is printed on a terminal does not drive it.
const ELEMENTS: [&str; 2] = ["<bdi>", "</bdi>"];
const REFERENCES: [&str; 2] = ["&#8296;", "&#8297;"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_from_right_to_left_moves_nothing_beside_it() {
        let limits = Limits { plots: 1, rows: 1, figures: 1, letters: 90 };
        assert_eq!(
            limits.text("busiest is معالج (כתיבה 100 %): 7 %"),
            "busiest is <bdi>معالج</bdi> (<bdi>כתיבה</bdi> 100 %): 7 %"
        );
        assert_eq!(limits.name("כתיבה -> a"), r#"<bdi dir="ltr">&#8296;כתיבה&#8297; -&gt; a</bdi>"#);
        assert_eq!(limits.plain_name("כתיבה_של קובץ -> a"), "&#8296;כתיבה_של קובץ&#8297; -&gt; a");
    }

    #[test]
    fn markup_and_directions_stay_text_and_long_texts_are_cut() {
        let limits = Limits { plots: 1, rows: 1, figures: 1, letters: 9 };
        assert_eq!(limits.text("<a b='\"&>"), "&lt;a b=&#39;&quot;&amp;&gt;");
        assert_eq!(limits.text("0123456789abc"), "012345678… [13 letters]");
        assert_eq!(limits.text("a\u{0}b"), "a\u{fffd}b");
        assert_eq!(limits.name("\u{202e}x"), r#"<bdi dir="ltr">\u{202e}x</bdi>"#);
        assert_eq!(limits.short_name("<<<<<", 4), "&lt;&lt;…&lt;");
        assert_eq!(limits.short_name("日本語", 5), "日…語");
    }
}
