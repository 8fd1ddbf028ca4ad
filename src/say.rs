//! What the tool says to its user, on standard error. Whatever was named in it, it drives no terminal.

use std::borrow::Cow;

/// Writes a line to standard error, behind `tracer: `. If standard error is closed, the work goes on.
macro_rules! say {
    ($($text:tt)*) => {
        $crate::say::message(&tracer_format::log::escape_line(&format!("tracer: {}", format_args!($($text)*))))
    };
}

/// Bytes of a text that is said whole, and of the beginning and the end of a longer one: what the user gave may be quoted in it,
/// however long, and what is wrong with it stands before or behind that.
const MOST_BYTES: usize = 2000;
const HEAD_BYTES: usize = 1200;
const TAIL_BYTES: usize = 600;

/// Writes what it says, in a line or several; what is longer than a screen without its middle.
pub(crate) fn message(text: &str) {
    line(&clipped(text));
}

/// Writes a line, or several, to standard error.
pub(crate) fn line(text: &str) {
    use std::io::Write;
    let mut lines: Vec<_> = text.split('\n').map(tracer_format::log::escape_line).collect();
    lines.push("".into());
    // In one piece: two processes may write to one terminal.
    let _ = std::io::stderr().write_all(lines.join("\n").as_bytes());
}

fn clipped(text: &str) -> Cow<'_, str> {
    if text.len() <= MOST_BYTES {
        return Cow::Borrowed(text);
    }
    let head = &text[..text.floor_char_boundary(HEAD_BYTES)];
    let tail = &text[text.ceil_char_boundary(text.len() - TAIL_BYTES)..];
    let left_out = text.len() - head.len() - tail.len();
    Cow::Owned(format!("{head}… ({left_out} bytes left out) …{tail}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An argument of 240 KB made a line of 240 KB.
    #[test]
    fn a_long_text_is_said_without_its_middle() {
        let whole = "é".repeat(MOST_BYTES / 2);
        assert_eq!(clipped(&whole), whole);
        let long = format!("tracer: {}: no such file", "é".repeat(120_000));
        let said = clipped(&long);
        assert!(
            said.len() < MOST_BYTES && said.starts_with("tracer: éé") && said.ends_with("éé: no such file")
        );
        let left_out = long.len() - (said.len() - "… (238225 bytes left out) …".len());
        assert!(said.contains(&format!("é… ({left_out} bytes left out) …é")), "{said}");
    }
}
