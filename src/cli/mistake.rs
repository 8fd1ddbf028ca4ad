//! Command lines that are wrong, and what is said about them.

use std::error::Error;
use std::process::ExitCode;

use clap::error::{ContextKind, ErrorKind};
use tracer_format::grammar::Malformed;

use crate::say;

/// A mistake that only a verb can see, such as two options that do not go together.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Mistake(pub(crate) String);

/// Says what clap found: help and versions as it prints them, a malformed value on one line as the verbs would.
pub(crate) fn report(error: &clap::Error) -> ExitCode {
    match malformed_value(error) {
        Some(text) => say!("{text}"),
        // It repeats what was given.
        None if error.use_stderr() => say::line(error.render().to_string().trim_end()),
        // A closed pipe is no failure.
        None => drop(error.print()),
    }
    ExitCode::from(if error.use_stderr() { 2 } else { 0 })
}

/// `OPTION: what was found and what is expected`.
fn malformed_value(error: &clap::Error) -> Option<String> {
    if error.kind() != ErrorKind::ValueValidation {
        return None;
    }
    // `--seq <A..B>`: the name without what it takes.
    let argument = error.get(ContextKind::InvalidArg)?.to_string();
    let argument = argument.split(" <").next()?;
    let source = error.source()?;
    let tells_all = source.is::<Malformed>() || source.is::<tracer_analyzer::Error>();
    Some(if tells_all {
        format!("{argument}: {source}")
    } else {
        format!("{argument}: \"{}\": {source}", error.get(ContextKind::InvalidValue)?)
    })
}
