//! A stage as it is given or learned: its key may still have to be chosen.

use std::fmt;
use std::str::FromStr;

use tracer_format::StageDef;

use super::definition::Stage;
use crate::{Error, Result};

/// Before the argument that tells how long a stage of one probe took, where it is stored.
const LASTING: &str = "lasting ";

/// A stage whose key is given, or is to be chosen from the events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// The stage; with the key `seq` if none is given.
    pub stage: Stage,
    /// Whether its key is given.
    pub has_key: bool,
}

impl Draft {
    /// A stage whose key is given.
    #[must_use]
    pub fn given(stage: Stage) -> Self {
        Self { stage, has_key: true }
    }
}

/// As [`Stage`] is read; without `by` the key is to be chosen.
impl FromStr for Draft {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let stage: Stage = text.parse()?;
        let by = |(_, rest): (&str, &str)| rest.contains(" by ");
        // One event is a span by itself: there is nothing to choose a key from.
        let has_key = stage.lasting.is_some() || text.split_once("->").is_some_and(by);
        Ok(Self { stage, has_key })
    }
}

/// A stage as a trace has it: without a key if none was given, so that every reader chooses from the events.
impl TryFrom<&StageDef> for Draft {
    type Error = Error;

    fn try_from(stored: &StageDef) -> Result<Self> {
        let by = if stored.key.is_empty() { String::new() } else { format!(" by {}", stored.key) };
        let arrow = if stored.to.starts_with(LASTING) { "" } else { "-> " };
        let text = format!("{} = {} {arrow}{}{by}", stored.name, stored.from, stored.to);
        text.parse().map_err(|error| match error {
            Error::Usage(malformed) => Error::StoredStage(malformed),
            error => error,
        })
    }
}

impl From<&Draft> for StageDef {
    fn from(draft: &Draft) -> Self {
        let Draft { stage, has_key } = draft;
        Self {
            name: stage.name.clone(),
            from: stage.begins_text(),
            to: stage.lasting.map_or_else(|| stage.ends_text(), |lasting| format!("{LASTING}{lasting}")),
            key: if *has_key { stage.key_text() } else { String::new() },
        }
    }
}

impl fmt::Display for Draft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.has_key {
            return self.stage.fmt(f);
        }
        write!(f, "{} = {} -> {}", self.stage.name, self.stage.begins_text(), self.stage.ends_text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_are_stored_as_they_were_given() {
        for text in [
            "x = a:b -> a:c|d",
            "x = a:b -> a:c by seq",
            "x = a:b -> a:c by tid unwinding arg3",
            "x = a:b lasting arg1 us by seq",
        ] {
            let draft: Draft = text.parse().unwrap();
            let stored = StageDef::from(&draft);
            let read = Draft::try_from(&stored).unwrap();
            assert_eq!((read.to_string(), &read), (text.to_owned(), &draft), "{stored:?}");
        }
    }
}
