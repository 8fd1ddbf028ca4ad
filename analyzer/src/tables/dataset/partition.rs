//! Partitions: the folders that the files of a table are in, `date=2026-05-01/suite=nightly`.

use std::fmt;
use std::str::FromStr;

use tracer_format::grammar::Malformed;

use crate::select::clock::{anchors, realtime_ns, rfc3339};
use crate::{Error, Result};
use tracer_format::Known;

/// Letters of a suite's name at most.
const MAX_LETTERS: usize = 64;

/// A day, UTC, as `2026-05-01`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Date(String);

impl Date {
    /// The day of the trace's first event; `None` if the trace has no wall time.
    #[must_use]
    pub fn of(trace: &Known) -> Option<Self> {
        let anchors = anchors(trace);
        let first_ns = trace.time_range().map(|(first_ns, _)| first_ns);
        let wall_ns = realtime_ns(&anchors, first_ns.or_else(|| Some(anchors.first()?.monotonic_ns))?)?;
        rfc3339(wall_ns).get(..10).map(|day| Self(day.to_owned()))
    }
}

impl FromStr for Date {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || Error::Usage(Malformed::new("date", text, "a day such as 2026-05-01"));
        let date: jiff::civil::Date = text.parse().map_err(|_| wrong())?;
        // The parser knows other ways to write one.
        if date.to_string() == text { Ok(Self(text.to_owned())) } else { Err(wrong()) }
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a trace is a run of: a name that means the same in a folder's name, in a pattern and to every engine.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Suite(String);

impl FromStr for Suite {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "_.-".contains(letter);
        let is_name = text.starts_with(|letter: char| letter.is_ascii_alphabetic())
            && text.len() <= MAX_LETTERS
            && text.chars().all(is_plain);
        // Engines guess a column's type from its values, and take "nan" for a number.
        if is_name && text.parse::<f64>().is_err() {
            return Ok(Self(text.to_owned()));
        }
        let expected = "a letter, then up to 63 letters, digits, '_', '.' and '-', that are no number";
        Err(Malformed::new("suite", text, expected).into())
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suites_are_names_that_every_engine_takes_for_text() {
        for good in ["default", "nightly-2", "A", "a.b_c", &"x".repeat(64)] {
            assert!(good.parse::<Suite>().is_ok(), "{good}");
        }
        for bad in
            ["", "7", "2026-01-01", "a b", "a/b", "a=b", ".a", "_a", "nan", "Infinity", "\u{e4}", "a\n"]
        {
            assert!(bad.parse::<Suite>().is_err(), "{bad}");
        }
        assert!("x".repeat(65).parse::<Suite>().is_err());
    }

    #[test]
    fn dates_are_written_one_way() {
        assert_eq!("2026-02-28".parse::<Date>().unwrap().to_string(), "2026-02-28");
        for bad in ["2026-02-30", "20260228", "2026-2-8", "2026-02-28T00:00:00", "", "today"] {
            assert!(bad.parse::<Date>().is_err(), "{bad}");
        }
    }
}
