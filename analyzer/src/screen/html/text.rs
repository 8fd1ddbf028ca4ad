//! Texts of a trace as text of a page.

use std::fmt::Write;

use tracer_format::log::escape;

/// How much of a trace a page holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Stages and hand-offs with plots of their own.
    pub(super) plots: usize,
    /// Rows of a table.
    pub(super) rows: usize,
    /// Letters of a text.
    pub(super) letters: usize,
}

impl Limits {
    /// A text with its markup escaped; a mark says how long one was that is cut.
    pub(super) fn text(self, text: &str) -> String {
        let (begin, rest) = cut(text, self.letters);
        let mut out = String::with_capacity(begin.len() + 16);
        push(&mut out, begin);
        self.mark(&mut out, rest);
        out
    }

    fn mark(self, out: &mut String, rest: &str) {
        if !rest.is_empty() {
            write!(out, "… [{} letters]", self.letters + rest.chars().count())
                .expect("a string takes every write");
        }
    }

    /// A name of the trace, whose control characters are escaped as in the log; its direction does not leak.
    pub(super) fn name(self, name: &str) -> String {
        format!("<bdi>{}</bdi>", self.plain_name(name))
    }

    /// The same without markup, for attributes and pictures.
    pub(super) fn plain_name(self, name: &str) -> String {
        let (begin, rest) = cut(name, self.letters);
        let mut out = String::new();
        push(&mut out, &escape(begin));
        self.mark(&mut out, rest);
        out
    }

    /// The same, short enough for a place in a picture.
    pub(super) fn short_name(self, name: &str, letters: usize) -> String {
        let name = escape(cut(name, letters + 1).0);
        let (begin, rest) = cut(&name, letters);
        let mut out = String::new();
        push(&mut out, if rest.is_empty() { begin } else { cut(begin, letters - 1).0 });
        out + if rest.is_empty() { "" } else { "…" }
    }
}

/// The first `letters` of a text, and the rest.
fn cut(text: &str, letters: usize) -> (&str, &str) {
    text.split_at(text.char_indices().nth(letters).map_or(text.len(), |(at, _)| at))
}

/// Appends a text with its markup escaped.
fn push(out: &mut String, text: &str) {
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ if letter.is_control() => out.push('\u{fffd}'),
            _ => out.push(letter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_and_directions_stay_text_and_long_texts_are_cut() {
        let limits = Limits { plots: 1, rows: 1, letters: 9 };
        assert_eq!(limits.text("<a b='\"&>"), "&lt;a b=&#39;&quot;&amp;&gt;");
        assert_eq!(limits.text("0123456789abc"), "012345678… [13 letters]");
        assert_eq!(limits.text("a\u{0}b"), "a\u{fffd}b");
        assert_eq!(limits.name("\u{202e}x"), "<bdi>\\u{202e}x</bdi>");
        assert_eq!(limits.short_name("<<<<<", 4), "&lt;&lt;&lt;…");
    }
}
