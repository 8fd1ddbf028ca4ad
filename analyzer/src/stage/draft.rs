//! A stage as it is given or learned: its key may still have to be chosen.

use std::fmt;
use std::str::FromStr;

use super::definition::Stage;
use crate::{Error, Result};

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
        Ok(Self {
            stage: text.parse()?,
            has_key: text.split_once("->").is_some_and(|(_, rest)| rest.contains(" by ")),
        })
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
