//! Stages in a file, to be kept beside the program whose stages they are.
//!
//! ```toml
//! [stages]
//! total = "camera:grab -> display:show by seq"
//! "first byte" = "net:accept -> net:send by arg1, tid"
//! ```

use std::borrow::Cow;

use toml::Spanned;
use toml::de::{DeTable, DeValue};
use tracer_format::grammar::Malformed;
use tracer_format::limits::MAX_NAME_BYTES;

use super::definition::Stage;
use super::draft::Draft;
use crate::{Error, Result};

/// Letters of a line that an error shows.
const MAX_SHOWN: usize = 100;

/// What is wrong with a file, and where, if that is known.
pub(crate) struct Problem {
    pub(crate) at: Option<usize>,
    pub(crate) text: String,
}

impl From<String> for Problem {
    fn from(text: String) -> Self {
        Self { at: None, text }
    }
}

/// Reads stages: TOML with one table, `stages`; its keys are their names, its values what `--stage` has after the name.
///
/// # Errors
/// [`Error::StageFile`] with the line that is not understood.
pub fn parse(text: &str) -> Result<Vec<Draft>> {
    let mut all = Vec::new();
    for (key, value) in document(text)?.get_ref() {
        let at = key.span().start;
        if key.get_ref() != "stages" || !matches!(value.get_ref(), DeValue::Table(_)) {
            return Err(error(text, at, "expected nothing but a table [stages]".to_owned()));
        }
        all = stages(value).map_err(|problem| error(text, problem.at.unwrap_or(at), problem.text))?;
    }
    if all.is_empty() {
        Err(error(text, 0, "expected a table [stages] with a stage in it".to_owned()))
    } else {
        Ok(all)
    }
}

/// The top table of a file.
pub(crate) fn document(text: &str) -> Result<Spanned<DeTable<'_>>> {
    DeTable::parse(text)
        .map_err(|wrong| error(text, wrong.span().map_or(0, |span| span.start), wrong.message().to_owned()))
}

/// What is wrong with the line at byte `at`.
pub(crate) fn error(text: &str, at: usize, problem: String) -> Error {
    let line = 1 + text.bytes().take(at).filter(|&byte| byte == b'\n').count();
    let found = text.lines().nth(line - 1).unwrap_or_default().trim().chars().take(MAX_SHOWN).collect();
    Error::StageFile { line, found, problem }
}

/// The stages of a table, in its order.
pub(super) fn stages(value: &Spanned<DeValue<'_>>) -> std::result::Result<Vec<Draft>, Problem> {
    let DeValue::Table(table) = value.get_ref() else {
        return Err("expected a table [stages]".to_owned().into());
    };
    let one = |(name, value): (&Spanned<Cow<'_, str>>, _)| {
        stage(name.get_ref(), value).map_err(|text| Problem { at: Some(name.span().start), text })
    };
    table.iter().map(one).collect()
}

/// Writes stages as [`parse`] reads them.
#[must_use]
pub fn write(stages: &[Stage]) -> String {
    let mut text = "[stages]\n".to_owned();
    for stage in stages {
        let whole = stage.to_string();
        let definition = whole[stage.name.len()..].trim_start_matches(" = ");
        text += &format!("{} = {}\n", quoted(&stage.name), quoted(definition));
    }
    text
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    let mut quoted = "\"".to_owned();
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            letter if letter.is_control() => quoted += &format!("\\u{:04X}", u32::from(letter)),
            letter => quoted.push(letter),
        }
    }
    quoted + "\""
}

/// One stage, or what is wrong with it.
fn stage(name: &str, value: &Spanned<DeValue<'_>>) -> std::result::Result<Draft, String> {
    let form = || "expected NAME = \"PROVIDER:FROM -> PROVIDER:TO by KEY\"".to_owned();
    let DeValue::String(text) = value.get_ref() else { return Err(form()) };
    let mut draft: Draft = format!("stage = {text}").parse().map_err(|error| match error {
        Error::Usage(Malformed { what: "key", expected, .. }) => format!("expected a key such as {expected}"),
        _ => form(),
    })?;
    draft.stage.name = name.trim().to_owned();
    if name.len() > MAX_NAME_BYTES {
        return Err(format!("its name is longer than {MAX_NAME_BYTES} bytes"));
    }
    if name.trim().is_empty() || name.contains('=') { Err(form()) } else { Ok(draft) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_are_read_in_their_order() {
        let text = "# ours\n[stages]\ntotal = \"camera:grab -> display:show\"\n\"first byte\" = 'net:accept -> net:send by arg1, tid'\n";
        let stages: Vec<String> = parse(text).unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(
            stages,
            ["total = camera:grab -> display:show", "first byte = net:accept -> net:send by tid,arg1"]
        );
    }

    #[test]
    fn stages_are_written_as_they_are_read() {
        let texts = ["a\\b = p:x -> p:y|z by tid flat", "\"q\" \u{7} = p:x -> p:y by pid,arg0=arg1"];
        let stages: Vec<Stage> = texts.iter().map(|text| text.parse().unwrap()).collect();
        let read: Vec<Stage> = parse(&write(&stages)).unwrap().into_iter().map(|draft| draft.stage).collect();
        assert_eq!(read, stages);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let form = "NAME = \"PROVIDER:FROM -> PROVIDER:TO by KEY\"";
        let key = "a key such as seq, arg0 to arg11, str, pid, tid or ppid, or up to four of them with commas between";
        for (text, line, expected) in [
            ("", 1, "a table [stages] with a stage in it"),
            ("[stages]\n\n", 1, "a table [stages] with a stage in it"),
            ("[stages]\na = 1\n", 2, form),
            ("[stages]\n\na = \"x:y\"", 3, form),
            ("[stages]\n\"a=b\" = \"x:y -> x:z\"", 2, form),
            ("[stages]\n\" \" = \"x:y -> x:z\"", 2, form),
            ("[stages]\na = \"x:y -> x:z by cpu\"", 2, key),
            ("[stage]\na = \"x:y -> x:z\"", 1, "nothing but a table [stages]"),
            ("stages = 1", 1, "nothing but a table [stages]"),
        ] {
            let found = text.lines().nth(line - 1).unwrap_or_default();
            let message = format!("line {line}: found {found:?}: expected {expected}");
            assert_eq!(parse(text).unwrap_err().to_string(), message);
        }
        let twice = parse("[stages]\na = \"x:y -> x:z\"\na = \"x:y -> x:z\"\n").unwrap_err().to_string();
        assert!(twice.starts_with("line 3: ") && twice.ends_with(": duplicate key"), "{twice}");
        let unclosed = parse("[stages]\na = \"x:y").unwrap_err().to_string();
        assert!(unclosed.starts_with("line 2: "), "{unclosed}");
    }

    #[test]
    fn deep_nesting_is_refused() {
        assert!(parse(&format!("[stages]\na = {}", "[".repeat(100_000))).is_err());
        assert!(parse(&format!("[{}stages]\n", "a.".repeat(100_000))).is_err());
    }
}
