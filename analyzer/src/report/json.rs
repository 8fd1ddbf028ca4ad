//! JSON that can be printed on a terminal.
//!
//! JSON escapes the control characters of ASCII and no others. Those above drive a terminal as well, and characters that steer the
//! direction of text or have no width deceive who reads it. Names in it may be anything; whoever parses it gets the same names.

use std::borrow::Cow;
use std::io::{self, Write};

use tracer_format::log::is_deceptive;

/// JSON in which such characters are escaped.
#[must_use]
pub fn plain_json(json: &str) -> Cow<'_, str> {
    // Line ends may stand between its values; others stand in strings only.
    let is_plain = |c: char| c == '\n' || !is_deceptive(c);
    if json.chars().all(is_plain) {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len() + 32);
    for c in json.chars() {
        if is_plain(c) {
            out.push(c);
        } else {
            c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| out += &format!("\\u{unit:04x}"));
        }
    }
    Cow::Owned(out)
}

/// Writes JSON so, whose texts are written as a whole, as `serde_json` does.
#[derive(Debug)]
pub struct PlainJson<W>(pub W);

impl<W: Write> Write for PlainJson<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match str::from_utf8(bytes) {
            Ok(json) => self.0.write_all(plain_json(json).as_bytes())?,
            Err(error) => return Err(io::Error::other(error)),
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_drives_or_deceives_is_escaped_and_means_the_same() {
        let name = "a\u{9b}31m\u{202e}\u{7f}\u{e0041}\u{5d0}\n\"\\";
        let value = serde_json::json!({ name: [name, 1] });
        let mut json = Vec::new();
        serde_json::to_writer_pretty(PlainJson(&mut json), &value).unwrap();
        let json = String::from_utf8(json).unwrap();
        assert!(json.contains("a\\u009b31m\\u202e\\u007f\\udb40\\udc41\u{5d0}\\n"), "{json}");
        assert!(!json.contains(|c| c != '\n' && is_deceptive(c)), "{json:?}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&json).unwrap(), value);
    }
}
