//! `--when 'STAGE > TIME'`.

use std::str::FromStr;
use std::time::Duration;

use tracer_format::grammar::{Malformed, TimeSpan};

/// A stage and how long it may take.
#[derive(Debug, Clone)]
pub(crate) struct When {
    /// The stage's name.
    pub(crate) stage: String,
    /// What it may take.
    pub(crate) limit: Duration,
}

impl FromStr for When {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let malformed = || Malformed::new("condition", text, "'STAGE > TIME' such as 'awe > 50ms'");
        let (stage, limit) = text.rsplit_once('>').ok_or_else(malformed)?;
        let TimeSpan(limit) = limit.trim().parse().map_err(|_| malformed())?;
        let stage = stage.trim().to_owned();
        if stage.is_empty() { Err(malformed()) } else { Ok(Self { stage, limit }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_condition_is_refused() {
        for text in ["work", "work > fast", "> 5ms"] {
            assert_eq!(
                text.parse::<When>().expect_err("refused"),
                Malformed::new("condition", text, "'STAGE > TIME' such as 'awe > 50ms'")
            );
        }
    }
}
