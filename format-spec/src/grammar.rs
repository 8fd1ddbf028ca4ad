//! What users write on a command line, as values: which probes, programs, sequence numbers and times they mean.
//!
//! `record` and the verbs that read a trace take the same texts with the same meaning, so there is one parser for each
//! kind of text and one form of error, [`Malformed`].

mod nearest;
mod probe;
mod process;
mod quantity;
mod seq;
mod time;

pub use nearest::nearest;
pub use probe::{KeyArgument, ProbePattern, Request, StringArgument, key_argument, requested};
pub use process::{ProgramPattern, process_id};
pub use quantity::{Rotation, Size};
pub use seq::SeqRange;
pub use time::{Moment, TimeSpan};

/// A text that does not say what it should: `sequence numbers "5..1": the first is above the last; expected N or A..B`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} \"{found}\": {}{}expected {expected}", .problem, if .problem.is_empty() { "" } else { "; " })]
pub struct Malformed {
    /// What the text was to be, such as "probe".
    pub what: &'static str,
    /// The text.
    pub found: String,
    /// What is wrong with it; empty if the expectation says it all.
    pub problem: String,
    /// What it should have been.
    pub expected: String,
}

impl Malformed {
    /// A text that is none of what it was to be.
    #[must_use]
    pub fn new(what: &'static str, found: &str, expected: &str) -> Self {
        Self { what, found: found.to_owned(), problem: String::new(), expected: expected.to_owned() }
    }

    /// The same, with what is wrong with it.
    #[must_use]
    pub fn because(self, problem: impl Into<String>) -> Self {
        Self { problem: problem.into(), ..self }
    }
}
