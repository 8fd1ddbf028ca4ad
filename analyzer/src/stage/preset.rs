//! What to record of well-known programs, and their stages: TOML files in the binary, and a user's own.
//!
//! ```toml
//! title = "Our shop: orders from the till to the store"
//! events = ["shop:*", "shop:beg_order(str)"]     # as -e takes them
//!
//! [stages]                                       # as --stages takes them
//! "pack an order" = "shop:beg_pack -> shop:end_pack by seq"
//!
//! [programs]                                     # stages of other programs than the one that is usually recorded
//! "pack an order" = "the store (shopd)"
//! ```

use std::borrow::Cow;

use toml::Spanned;
use toml::de::DeValue;
use tracer_format::grammar::Request;

use super::draft::Draft;
use super::file::{Problem, document, error, stages};
use crate::Result;

/// The presets in the binary, by name.
pub const PRESETS: [(&str, &str); 6] = [
    ("hotspot", include_str!("preset/hotspot.toml")),
    ("libvirt", include_str!("preset/libvirt.toml")),
    ("php", include_str!("preset/php.toml")),
    ("postgresql", include_str!("preset/postgresql.toml")),
    ("python", include_str!("preset/python.toml")),
    ("ruby", include_str!("preset/ruby.toml")),
];

/// What to record of a program, and its stages.
#[derive(Debug, Clone, Default)]
pub struct Preset {
    /// A line that says what it is for.
    pub title: String,
    /// Probes to record.
    pub events: Vec<Request>,
    /// Stages.
    pub stages: Vec<Draft>,
    /// Names of stages, each with the program that passes it, where that usually runs before the others begin.
    pub programs: Vec<(String, String)>,
}

impl Preset {
    /// Reads a preset.
    ///
    /// # Errors
    /// [`Error::StageFile`](crate::Error::StageFile) with the line that is not understood.
    pub fn parse(text: &str) -> Result<Self> {
        let mut preset = Self::default();
        for (name, value) in document(text)?.get_ref() {
            let read = match &name.get_ref()[..] {
                "title" => string(value).map(|title| title.clone_into(&mut preset.title)),
                "events" => events(value).map(|events| preset.events = events),
                "stages" => stages(value).map(|stages| preset.stages = stages),
                "programs" => programs(value).map(|programs| preset.programs = programs),
                _ => Err("expected title, events or a table [stages] or [programs]".to_owned().into()),
            };
            read.map_err(|problem| error(text, problem.at.unwrap_or(name.span().start), problem.text))?;
        }
        let is_stage = |name: &String| preset.stages.iter().any(|draft| draft.stage.name == *name);
        if let Some((name, _)) = preset.programs.iter().find(|(name, _)| !is_stage(name)) {
            return Err(error(text, 0, format!("[programs] names {name:?}, expected one of [stages]")));
        }
        if preset.events.is_empty() {
            return Err(error(text, 0, "expected events = [\"PROVIDER:PROBE\", ...]".to_owned()));
        }
        Ok(preset)
    }
}

fn string<'v>(value: &'v Spanned<DeValue<'_>>) -> std::result::Result<&'v str, Problem> {
    match value.get_ref() {
        DeValue::String(text) => Ok(text),
        _ => Err(Problem { at: Some(value.span().start), text: "expected a string".to_owned() }),
    }
}

fn events(value: &Spanned<DeValue<'_>>) -> std::result::Result<Vec<Request>, Problem> {
    let DeValue::Array(values) = value.get_ref() else {
        return Err("expected a list of probes".to_owned().into());
    };
    let event = |value| {
        let parsed = string(value)?.parse::<Request>();
        parsed.map_err(|wrong| Problem { at: Some(value.span().start), text: wrong.to_string() })
    };
    values.iter().map(event).collect()
}

fn programs(value: &Spanned<DeValue<'_>>) -> std::result::Result<Vec<(String, String)>, Problem> {
    let DeValue::Table(table) = value.get_ref() else {
        return Err("expected a table [programs]".to_owned().into());
    };
    let one = |(name, value): (&Spanned<Cow<'_, str>>, _)| {
        Ok((name.get_ref().clone().into_owned(), string(value)?.to_owned()))
    };
    table.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_presets_in_the_binary_name_probes_that_they_record() {
        for (name, text) in PRESETS {
            let preset = Preset::parse(text).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(preset.title.len() > 10 && preset.stages.len() > 1, "{name}");
            for Draft { stage, has_key } in &preset.stages {
                assert!(has_key, "{name}: {stage}");
                for probe in stage.begins.iter().chain(&stage.ends) {
                    let records = |event: &Request| event.probe.matches(&probe.provider, &probe.probe);
                    assert!(preset.events.iter().any(records), "{name}: {probe} is not recorded");
                }
            }
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        for (text, expected) in [
            ("", "line 1: found \"\": expected events = [\"PROVIDER:PROBE\", ...]"),
            ("title = 1\n", "line 1: found \"title = 1\": expected a string"),
            ("events = 1\n", "line 1: found \"events = 1\": expected a list of probes"),
            ("events = [\n1]\n", "line 2: found \"1]\": expected a string"),
            (
                "event = []\n",
                "line 1: found \"event = []\": expected title, events or a table [stages] or [programs]",
            ),
            ("programs = 1\n", "line 1: found \"programs = 1\": expected a table [programs]"),
            (
                "events = [\"a:b\"]\n[programs]\nx = \"y\"\n",
                "line 1: found \"events = [\\\"a:b\\\"]\": [programs] names \"x\", expected one of [stages]",
            ),
            ("stages = 1\n", "line 1: found \"stages = 1\": expected a table [stages]"),
        ] {
            assert_eq!(Preset::parse(text).unwrap_err().to_string(), expected);
        }
        let probe = Preset::parse("events = [\"a:b:c\"]\n").unwrap_err().to_string();
        assert!(probe.contains("it has more than one ':'"), "{probe}");
        let stage = Preset::parse("events = [\"a\"]\n[stages]\nx = \"a\"\n").unwrap_err().to_string();
        assert!(stage.starts_with("line 3: found \"x = \\\"a\\\"\": expected NAME = "), "{stage}");
    }
}
