//! Traces that a verb reads.

use std::path::Path;

use anyhow::Context;
use tracer_analyzer::Outcome;
use tracer_analyzer::report::{counted, listed};
use tracer_analyzer::stage::choice::Refused;
use tracer_format::Trace;
use tracer_format::log::escape;

use super::input::{Input, name};
use crate::done::Done;

/// Opens the trace in `input`; an error names the file.
pub(crate) fn open<'a>(input: &'a Input, path: &Path) -> anyhow::Result<Trace<'a>> {
    Trace::open(input.bytes()).with_context(|| name(path))
}

/// An error of the trace at `path` names it; one of the output, or of the command line, does not.
pub(crate) fn about(path: &Path) -> impl Fn(tracer_analyzer::Error) -> anyhow::Error {
    use tracer_analyzer::Error;
    move |error| match error {
        error @ (Error::Format(_) | Error::Missing(_)) => anyhow::Error::new(error).context(name(path)),
        error => error.into(),
    }
}

/// Says what is missing, if anything is.
pub(crate) fn done(path: &Path, outcome: &Outcome) -> Done {
    match outcome.loss_text() {
        Some(text) => {
            say!("{}: {text}", name(path));
            Done::Lossy
        }
        None => Done::All,
    }
}

/// Says for which stages there is no key.
pub(crate) fn refused(path: &Path, refused: &[Refused]) -> Done {
    if refused.is_empty() {
        return Done::All;
    }
    let names = listed(refused.iter().map(|refused| escape(&refused.stage.name)));
    let stages = counted(refused.len() as u64, "stage");
    say!("{}: {stages} left out, as no key fits: {names}", name(path));
    Done::Lossy
}
