//! Lines no wider than there is room for; a number and its unit stay together.

use super::width::{columns, head};

/// Columns of a word that is never broken, whatever room there is.
const WORD: usize = 24;

/// `text` in lines of at most `width` columns, as far as its words allow; those after the first begin with `indent` spaces. A word that is
/// wider than a line, such as a name of thousands of letters, is broken where the line ends.
pub(super) fn wrapped(text: &str, width: usize, indent: usize) -> String {
    let mut out = String::new();
    let (mut used, mut begins_line) = (0, true);
    for word in words(text) {
        let len = columns(word);
        let spaces = if begins_line { 0 } else { 1 };
        if !begins_line && used + spaces + len > width {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', indent));
            used = indent;
        } else {
            out.extend(std::iter::repeat_n(' ', spaces));
            used += spaces;
        }
        let most = width.saturating_sub(indent).max(WORD);
        let mut rest = word;
        while columns(rest) > most {
            let part = head(rest, most);
            if part.is_empty() {
                break;
            }
            out.push_str(part);
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', indent));
            used = indent;
            rest = &rest[part.len()..];
        }
        out.push_str(rest);
        used += columns(rest);
        begins_line = false;
    }
    out
}

/// The words between spaces; a number and the unit behind it are one.
fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut from = 0;
    for (at, _) in text.match_indices(' ') {
        let before = &text[text[..at].rfind(' ').map_or(0, |space| space + 1)..at];
        let after = text[at + 1..].split(' ').next().unwrap_or_default();
        if !(is_number(before) && is_unit(after)) {
            words.push(&text[from..at]);
            from = at + 1;
        }
    }
    words.push(&text[from..]);
    words
}

fn is_number(word: &str) -> bool {
    word.ends_with(|letter: char| letter.is_ascii_digit())
}

fn is_unit(word: &str) -> bool {
    matches!(word.trim_end_matches([',', ';', '.', ':', ')']), "ns" | "us" | "ms" | "s" | "%")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_between_words_but_not_before_a_unit() {
        assert_eq!(wrapped("took 28.89 ms, 2.1 times", 14, 2), "took 28.89 ms,\n  2.1 times");
        assert_eq!(wrapped("took 28.89 ms, 2.1 times", 13, 2), "took\n  28.89 ms,\n  2.1 times");
        assert_eq!(wrapped("averylongword b", 4, 0), "averylongword\nb");
        assert_eq!(wrapped("a  b", 80, 0), "a  b");
        assert_eq!(
            wrapped(&format!("of {}", "x".repeat(70)), 32, 2),
            format!("of\n  {0}\n  {0}\n  {1}", "x".repeat(30), "x".repeat(10))
        );
        assert_eq!(wrapped("", 80, 2), "");
    }
}
