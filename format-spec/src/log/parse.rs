//! Reads the log, line by line; every error says in which line, what was found and what was expected.

use std::borrow::Cow;

use super::escape::{push_quoted, split_cut, unescape};
use super::line::{EventLine, FoundLine, Key, Line, LostLine, Value};
use crate::limits::{MAX_ARGUMENTS, MAX_NAME_BYTES, MAX_STRING_ARGUMENT_BYTES};

/// A line that is none of the log's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: found {found}, expected {expected}")]
pub struct ParseError {
    /// Number of the line, from 1.
    pub line: u64,
    /// The text at the place, cut and escaped, in quotes.
    pub found: String,
    /// What should have stood there.
    pub expected: String,
}

/// The lines of a log with their numbers, from 1; ends after the first error.
#[derive(Debug, Clone)]
pub struct Lines<'a> {
    rest: &'a [u8],
    number: u64,
}

/// Reads a log.
#[must_use]
pub fn parse(log: &[u8]) -> Lines<'_> {
    Lines { rest: log.strip_prefix(b"\xef\xbb\xbf").unwrap_or(log), number: 0 }
}

impl Iterator for Lines<'_> {
    type Item = Result<(u64, Line), ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let end = self.rest.iter().position(|&byte| byte == b'\n');
        let (line, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest.get(1..).unwrap_or_default();
        self.number += 1;
        let parsed = parse_line(line).map_err(|wrong| wrong.in_line(self.number));
        if parsed.is_err() {
            self.rest = &[];
        }
        Some(parsed.map(|line| (self.number, line)))
    }
}

/// What does not fit, before the line's number is known.
#[derive(Debug)]
struct Wrong<'a> {
    found: Cow<'a, str>,
    expected: Cow<'static, str>,
}

impl Wrong<'_> {
    fn in_line(self, line: u64) -> ParseError {
        let mut found = String::new();
        match self.found.char_indices().nth(40) {
            _ if self.found.is_empty() => found.push_str("the end of the line"),
            Some((end, _)) => push_quoted(&mut found, format!("{}...", &self.found[..end]).as_bytes()),
            None => push_quoted(&mut found, self.found.as_bytes()),
        }
        ParseError { line, found, expected: self.expected.into_owned() }
    }
}

fn wrong<'a>(found: &'a str, expected: &'static str) -> Wrong<'a> {
    Wrong { found: Cow::Borrowed(found), expected: Cow::Borrowed(expected) }
}

/// A part of the line's form that is missing.
fn missing<'a>(found: &'a str, part: &str) -> Wrong<'a> {
    Wrong { found: Cow::Borrowed(found), expected: Cow::Owned(format!("{part:?}")) }
}

/// The rest of a line.
#[derive(Clone, Copy)]
struct Text<'a>(&'a str);

impl<'a> Text<'a> {
    fn expect(&mut self, part: &'static str) -> Result<(), Wrong<'a>> {
        self.0 = self.0.strip_prefix(part).ok_or_else(|| missing(self.0, part))?;
        Ok(())
    }

    fn accept(&mut self, part: &str) -> bool {
        let rest = self.0.strip_prefix(part);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    /// A number without a sign, spaces before it.
    fn unsigned<T: std::str::FromStr>(&mut self, expected: &'static str) -> Result<T, Wrong<'a>> {
        let text = self.0.trim_start_matches(' ');
        let end = text.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
        let number = text[..end].parse().map_err(|_| wrong(text, expected))?;
        self.0 = &text[end..];
        Ok(number)
    }

    /// The text before `end`, and steps over both.
    fn before(&mut self, end: &'static str) -> Result<&'a str, Wrong<'a>> {
        let (before, after) = self.0.split_once(end).ok_or_else(|| missing(self.0, end))?;
        self.0 = after;
        Ok(before)
    }
}

fn parse_line(line: &[u8]) -> Result<Line, Wrong<'_>> {
    let line = std::str::from_utf8(line)
        .map_err(|_| Wrong { found: String::from_utf8_lossy(line), expected: "UTF-8 text".into() })?;
    let mut text = Text(line.trim_end_matches(['\r', ' ', '\t']));
    if text.0.is_empty() {
        return Ok(Line::Blank);
    }
    if text.0 == super::STARTED {
        return Ok(Line::Started);
    }
    if !text.accept("[") {
        return Err(wrong(text.0, "a line of the log: [TIME] [PID: N] PROGRAM PROVIDER:PROBE | Seq: N"));
    }
    let number = text.unsigned("a time in ns or an index")?;
    text.expect("] ")?;
    if text.accept("[PID:") {
        event(number, text).map(Line::Event)
    } else if text.accept("Found probe ") {
        found(number, text).map(Line::Found)
    } else if text.accept("Lost ") {
        lost(number, text).map(Line::Lost)
    } else {
        Err(wrong(text.0, "\"[PID:\", \"Found probe\" or \"Lost\""))
    }
}

fn found(index: u64, mut text: Text<'_>) -> Result<FoundLine, Wrong<'_>> {
    let probe = name(text.before(" ")?)?;
    text.0 = text.0.trim_start_matches(' ');
    text.expect("in '")?;
    let program =
        text.0.strip_suffix('\'').ok_or(wrong(text.0, "a program, then \"'\" and the end of the line"))?;
    Ok(FoundLine { index, probe, program: name(program)? })
}

fn event(time_ns: u64, mut text: Text<'_>) -> Result<EventLine, Wrong<'_>> {
    let pid = text.unsigned("a process id")?;
    text.expect("] ")?;
    let names = text.before(" | Seq: ")?.trim_end_matches(' ');
    let (program, probe) = names.rsplit_once(' ').ok_or(wrong(names, "PROGRAM PROVIDER:PROBE"))?;
    let (provider, probe) = provider_and_probe(probe)?;
    let program = name(program.trim_end_matches(' '))?;
    let key = key(&mut text)?;
    let args = args(key, &mut text)?;
    Ok(EventLine { time_ns, pid, program, provider, probe, key, args })
}

/// The arguments but the key: their indexes rise by one, over one place that is the key's.
fn args<'a>(key: Key, text: &mut Text<'a>) -> Result<Vec<(u8, Value)>, Wrong<'a>> {
    let mut args = Vec::new();
    let mut next = 0_u8;
    let mut key_is_due = key != Key::Absent;
    while !text.0.is_empty() {
        text.expect(" | arg")?;
        let before = text.0;
        let index = text.unsigned("the index of an argument")?;
        if key_is_due && index == next + 1 {
            key_is_due = false;
            next = index;
        }
        if index != next || usize::from(next) + usize::from(key_is_due) >= MAX_ARGUMENTS {
            return Err(wrong(before, "the next argument, of 12 at most with the key"));
        }
        next += 1;
        text.expect(": ")?;
        args.push((index, value(text)?));
    }
    Ok(args)
}

fn lost(to_ns: u64, mut text: Text<'_>) -> Result<LostLine, Wrong<'_>> {
    let count = text.unsigned("the number of events lost")?;
    text.expect(" events")?;
    let probe = if text.accept(" of ") {
        let end = text.0.find(' ').ok_or(wrong(text.0, "PROVIDER:PROBE since TIME"))?;
        let probe = provider_and_probe(&text.0[..end])?;
        text.0 = &text.0[end..];
        Some(probe)
    } else {
        None
    };
    let cpu = if text.accept(" on CPU ") { Some(text.unsigned("the number of a processor")?) } else { None };
    text.expect(" since ")?;
    let since = text.0;
    let from_ns = text.unsigned("a time in ns")?;
    if from_ns > to_ns {
        return Err(wrong(since, "a time that is not later than the line's"));
    }
    if !text.0.is_empty() {
        return Err(wrong(text.0, "the end of the line"));
    }
    Ok(LostLine { from_ns, to_ns, count, cpu, probe })
}

/// Characters that stand for one byte, at most: `\x1b`.
const LONGEST_ESCAPE: usize = 4;

fn name(text: &str) -> Result<String, Wrong<'_>> {
    const TOO_LONG: &str = "a name of at most 4096 bytes";
    if text.len() > MAX_NAME_BYTES * LONGEST_ESCAPE {
        return Err(wrong(text, TOO_LONG));
    }
    let bytes = unescape(text).ok_or(wrong(text, "a name; a backslash is written \\\\"))?;
    if bytes.len() > MAX_NAME_BYTES {
        return Err(wrong(text, TOO_LONG));
    }
    String::from_utf8(bytes).map_err(|_| wrong(text, "a name in UTF-8"))
}

fn provider_and_probe(text: &str) -> Result<(String, String), Wrong<'_>> {
    let (provider, probe) = text.split_once(':').ok_or(wrong(text, "PROVIDER:PROBE"))?;
    Ok((name(provider)?, name(probe)?))
}

fn key<'a>(text: &mut Text<'a>) -> Result<Key, Wrong<'a>> {
    let end = text.0.find(' ').unwrap_or(text.0.len());
    let (token, rest) = text.0.split_at(end);
    let key = match token {
        "-" => Key::Absent,
        "?" => Key::Unreadable,
        _ => match integer(token) {
            Some(Value::Signed(number)) => Key::Signed(number),
            Some(Value::Unsigned(number)) => Key::Unsigned(number),
            _ => return Err(wrong(text.0, "a sequence number, \"-\" or \"?\"")),
        },
    };
    text.0 = rest;
    Ok(key)
}

fn value<'a>(text: &mut Text<'a>) -> Result<Value, Wrong<'a>> {
    const EXPECTED: &str = "a number, a string in quotes or \"?\"";
    const TOO_LONG: &str = "a string of at most 4096 bytes";
    if let Some(quoted) = text.0.strip_prefix('"') {
        let mut escaped = false;
        let end = quoted.bytes().position(|byte| {
            let ends = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            ends
        });
        let (string, rest) = quoted.split_at(end.ok_or(wrong(text.0, "a string that ends with a quote"))?);
        let (string, is_cut) = split_cut(string);
        if string.len() > MAX_STRING_ARGUMENT_BYTES * LONGEST_ESCAPE {
            return Err(wrong(string, TOO_LONG));
        }
        let bytes = unescape(string).ok_or(wrong(string, "a string with escapes that the log uses"))?;
        if bytes.len() > MAX_STRING_ARGUMENT_BYTES {
            return Err(wrong(string, TOO_LONG));
        }
        text.0 = &rest[1..];
        return Ok(if is_cut { Value::CutStr(bytes) } else { Value::Str(bytes) });
    }
    let end = text.0.find(' ').unwrap_or(text.0.len());
    let (token, rest) = text.0.split_at(end);
    let value = match token {
        "?" => Value::Unreadable,
        _ => integer(token).or_else(|| float(token)).ok_or(wrong(text.0, EXPECTED))?,
    };
    text.0 = rest;
    Ok(value)
}

/// Digits with or without a minus, nothing else.
fn integer(token: &str) -> Option<Value> {
    let digits = token.strip_prefix('-').unwrap_or(token);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    token.parse().map(Value::Signed).or_else(|_| token.parse().map(Value::Unsigned)).ok()
}

/// A number as the writer prints it: always with a point, an exponent, or one of the three names.
fn float(token: &str) -> Option<Value> {
    let marked = token.contains(['.', 'e']) || matches!(token, "inf" | "-inf" | "NaN");
    if marked { token.parse().ok().map(Value::Float) } else { None }
}
