//! Escapes in names and strings: what a traced program chose must not drive a terminal, nor break a line apart.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Escapes control characters, characters that reorder or hide text, and backslashes, as Rust writes them in strings.
///
/// [`unescape`] gives the text back. For names that are shown: nothing else needs an escape there.
#[must_use]
pub fn escape(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| (b' '..=b'~').contains(&byte) && byte != b'\\') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        push_in(&mut out, c, rest.as_str());
    }
    Cow::Owned(out)
}

/// Escapes what must not reach a terminal in a line that was put together already: as [`escape`], but a backslash stays one.
#[must_use]
pub fn escape_line(line: &str) -> Cow<'_, str> {
    if line.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return Cow::Borrowed(line);
    }
    let mut out = String::with_capacity(line.len() + 8);
    let mut rest = line.chars();
    while let Some(c) = rest.next() {
        if c == '\\' { out.push(c) } else { push_in(&mut out, c, rest.as_str()) }
    }
    Cow::Owned(out)
}

/// Escapes a name for a place where the characters `special` have a meaning; they become `\xNN`.
pub(super) fn escape_also(text: &str, special: &[char]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if special.contains(&c) {
            push_hex(&mut out, u32::from(c));
        } else {
            push_in(&mut out, c, rest.as_str());
        }
    }
    out
}

/// Appends `bytes` in double quotes; bytes that are not UTF-8 become `\xNN`.
pub(super) fn push_quoted(out: &mut String, bytes: &[u8]) {
    out.push('"');
    for part in bytes.utf8_chunks() {
        let mut rest = part.valid().chars();
        while let Some(c) = rest.next() {
            if c == '"' {
                out.push_str("\\\"");
            } else {
                push_in(out, c, rest.as_str());
            }
        }
        part.invalid().iter().for_each(|&byte| push_hex(out, byte.into()));
    }
    out.push('"');
}

/// What stands before the closing quote of a string that is cut.
const CUT: &str = "\\...";

/// As [`push_quoted`], of a string that is cut.
pub(super) fn push_cut(out: &mut String, bytes: &[u8]) {
    push_quoted(out, bytes);
    out.pop();
    out.push_str(CUT);
    out.push('"');
}

/// What stands between the quotes without the mark of a string that is cut, and whether it is one.
pub(super) fn split_cut(quoted: &str) -> (&str, bool) {
    match quoted.strip_suffix(CUT) {
        // Behind a backslash the one of the mark would be an escaped one.
        Some(string) if (string.len() - string.trim_end_matches('\\').len()) % 2 == 0 => (string, true),
        _ => (quoted, false),
    }
}

/// Appends a character that stands behind `out` and before `rest`: a joiner where it belongs to the spelling stays what it is.
fn push_in(out: &mut String, c: char, rest: &str) {
    if matches!(c, ZWNJ | ZWJ)
        && let (Some(before), Some(after)) = (out.chars().next_back(), rest.chars().next())
        && joins(c, before, after)
    {
        out.push(c);
    } else {
        push_char(out, c);
    }
}

const ZWNJ: char = '\u{200c}';
const ZWJ: char = '\u{200d}';

/// Whether a joiner between these two changes what is seen: in one picture of several emoji, and in scripts whose letters
/// join, from Arabic to those of India. Anywhere else it would make two names that look alike.
fn joins(joiner: char, before: char, after: char) -> bool {
    let is_joining = |c| matches!(c, '\u{620}'..='\u{64a}' | '\u{66e}'..='\u{6d3}' | '\u{6fa}'..='\u{74f}' | '\u{900}'..='\u{dff}');
    let is_emoji = |c| matches!(c, '\u{2190}'..='\u{2bff}' | '\u{1f000}'..='\u{1faff}');
    is_joining(before) && is_joining(after)
        || joiner == ZWJ && (is_emoji(before) || before == '\u{fe0f}') && is_emoji(after)
}

fn push_char(out: &mut String, c: char) {
    match c {
        '\\' => out.push_str("\\\\"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        _ if c.is_ascii_control() => push_hex(out, c.into()),
        _ if is_deceptive(c) => {
            write!(out, "\\u{{{:x}}}", u32::from(c)).expect("a string takes every write");
        }
        _ => out.push(c),
    }
}

fn push_hex(out: &mut String, byte: u32) {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    out.push_str("\\x");
    [byte >> 4, byte].iter().for_each(|digit| out.push(DIGITS[(digit & 15) as usize]));
}

/// Controls beyond ASCII, line separators, and characters that have no width or change the direction of the text.
#[must_use]
pub fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Undoes [`escape`] and its kin; `None` if there is an escape that they do not make.
#[must_use]
pub fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.extend_from_slice(&rest.as_bytes()[..at]);
        let mut after = rest[at + 1..].chars();
        let escape = after.next()?;
        rest = after.as_str();
        match escape {
            '\\' | '"' => out.push(escape as u8),
            'n' => out.push(b'\n'),
            'r' => out.push(b'\r'),
            't' => out.push(b'\t'),
            'x' => {
                out.push(u8::try_from(hex(rest.get(..2)?)?).ok()?);
                rest = &rest[2..];
            }
            'u' => {
                let (digits, after) = rest.strip_prefix('{')?.split_once('}')?;
                let c = char::from_u32(hex(digits)?)?;
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                rest = after;
            }
            _ => return None,
        }
    }
    out.extend_from_slice(rest.as_bytes());
    Some(out)
}

/// Hexadecimal digits and nothing else: the standard library would take a sign.
fn hex(digits: &str) -> Option<u32> {
    if digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        u32::from_str_radix(digits, 16).ok()
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn plain_names_stay_as_they_are() {
        assert!(matches!(escape("beg_global"), Cow::Borrowed("beg_global")));
        assert_eq!(escape("Grüße 'x'"), "Grüße 'x'");
    }

    #[test]
    fn a_name_cannot_drive_the_terminal() {
        assert_eq!(escape("a\x1b[2J\x07\n"), "a\\x1b[2J\\x07\\n");
        assert_eq!(escape_line("a\x1b\\n\n\u{9b}"), "a\\x1b\\n\\n\\u{9b}");
        assert_eq!(escape("\u{9b}1m\u{202e}back\\"), "\\u{9b}1m\\u{202e}back\\\\");
    }

    #[test]
    fn joiners_stay_where_they_belong_to_the_spelling() {
        let spelled = ["👩‍💻dev", "👨‍👩‍👧‍👦", "🏳️‍🌈", "👩🏽‍🚒", "می‌خواهم", "क्‍ष"];
        for name in spelled {
            assert_eq!((&*escape(name), &*escape_line(name)), (name, name));
            assert_eq!(escape_also(name, &[' ']), name);
        }
        let hidden = [
            "beg\u{200d}_a",
            "👩\u{200d}",
            "\u{200d}💻",
            "👩\u{200c}💻",
            "👩\u{200d}\u{200d}💻",
            "م\u{200c}a",
        ];
        for name in hidden {
            assert_ne!(escape(name), name);
        }
        assert_eq!(escape(hidden[0]), "beg\\u{200d}_a");
    }

    #[test]
    fn unknown_escapes_are_refused() {
        for text in ["\\", "\\q", "\\x1", "\\xzz", "\\x+1", "\\u{110000}", "\\u{41", "\\xé"] {
            assert_eq!(unescape(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn escapes_are_undone(bytes: Vec<u8>, name: String) {
            let mut quoted = String::new();
            push_quoted(&mut quoted, &bytes);
            prop_assert_eq!(unescape(&quoted[1..quoted.len() - 1]), Some(bytes));
            prop_assert_eq!(unescape(&escape(&name)), Some(name.clone().into_bytes()));
            prop_assert_eq!(unescape(&escape_also(&name, &[' ', ':', '|'])), Some(name.into_bytes()));
        }
    }
}
