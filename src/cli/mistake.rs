//! Command lines that are wrong, and what is said about them.

use std::error::Error;
use std::ffi::{OsStr, OsString};
use std::num::ParseIntError;
use std::process::ExitCode;

use clap::Parser;
use clap::error::{ContextKind, ErrorKind};
use tracer_format::grammar::Malformed;

use super::Cli;
use crate::say;

/// A mistake that only a verb can see, such as two options that do not go together.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Mistake(pub(crate) String);

/// Parses a command line; `Err` is what to end with, once it is said what is wrong.
pub(crate) fn parse(words: &[OsString]) -> Result<Cli, ExitCode> {
    let error = match Cli::try_parse_from(words) {
        Ok(cli) => return Ok(cli),
        Err(error) => error,
    };
    let Some((option, given)) = with_value(words, &error) else { return Err(report(&error)) };
    match Cli::try_parse_from(given) {
        Ok(_) => {
            let option = option.display();
            say!("{option}: a value that begins with \"-\" is given as {option}=VALUE");
            Err(ExitCode::from(2))
        }
        Err(about) if matches!(about.kind(), ErrorKind::ValueValidation | ErrorKind::InvalidValue) => {
            Err(report(&about))
        }
        Err(_) => Err(report(&error)),
    }
}

/// The option and the command line that may be meant where an option is unknown: clap takes the value of `--from -5s` for one, and
/// says nothing of what `--from` expects.
fn with_value<'w>(words: &'w [OsString], error: &clap::Error) -> Option<(&'w OsStr, Vec<OsString>)> {
    if error.kind() != ErrorKind::UnknownArgument {
        return None;
    }
    let unknown = error.get(ContextKind::InvalidArg)?.to_string();
    let is_option = |word: &OsStr| match word.as_encoded_bytes() {
        [b'-', b'-', name @ ..] => !name.is_empty() && !name.contains(&b'='),
        [b'-', _] => true,
        _ => false,
    };
    let is_value = |word: &OsStr| word.as_encoded_bytes().starts_with(unknown.as_bytes());
    let at = words.windows(2).position(|pair| is_option(&pair[0]) && is_value(&pair[1]))?;
    let mut given = words.to_vec();
    let value = given.remove(at + 1);
    given[at].push("=");
    given[at].push(value);
    Some((&words[at], given))
}

/// Says what clap found: help and versions as it prints them, a malformed value on one line as the verbs would.
fn report(error: &clap::Error) -> ExitCode {
    match malformed_value(error) {
        Some(text) => say!("{text}"),
        // It repeats what was given.
        None if error.use_stderr() => say::message(error.render().to_string().trim_end()),
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
    let value = error.get(ContextKind::InvalidValue)?;
    if source.is::<ParseIntError>() {
        return Some(format!("{argument}: \"{value}\": expected a whole number"));
    }
    let tells_all = source.is::<Malformed>() || source.is::<tracer_analyzer::Error>();
    Some(if tells_all {
        format!("{argument}: {source}")
    } else {
        format!("{argument}: \"{value}\": {source}")
    })
}
