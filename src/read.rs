//! The verbs that read a trace.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use anyhow::Context;
use tracer_analyzer::{Filter, Outcome, Selection, import as analyzer_import, replay as analyzer_replay};
use tracer_format::{Trace, Writer, WriterOptions};

use crate::Done;
use crate::cli::{FilterArgs, ImportArgs, ReplayArgs};
use crate::input::{Input, name};
use crate::output::Output;

pub(crate) fn replay(args: &ReplayArgs) -> anyhow::Result<Done> {
    let input = Input::open(&args.file)?;
    let trace = open(&input, &args.file)?;
    let selection = Selection::new(&filter(&args.filter)?, &trace)?;
    let outcome = analyzer_replay::replay(&trace, &selection, &mut io::stdout().lock())?;
    Ok(done(&args.file, &outcome))
}

pub(crate) fn import(args: &ImportArgs) -> anyhow::Result<Done> {
    let input = Input::open(&args.log)?;
    let output = Output::create(&args.output, args.force)?;
    let made = output.made();
    let mut writer = Writer::new(BufWriter::new(output), WriterOptions::default())?;
    let imported = analyzer_import::import(input.bytes(), &mut writer).with_context(|| name(&args.log));
    if imported.is_err()
        && let Some(made) = made
    {
        // Half a log is no trace of it.
        let _ = std::fs::remove_file(made);
    }
    imported?;
    writer.finish()?.flush()?;
    Ok(Done::All)
}

/// Opens the trace in `input`; an error names the file.
fn open<'a>(input: &'a Input, path: &Path) -> anyhow::Result<Trace<'a>> {
    Trace::open(input.bytes()).with_context(|| name(path))
}

/// What the user asked for.
fn filter(args: &FilterArgs) -> anyhow::Result<Filter> {
    fn all<T: std::str::FromStr<Err = tracer_analyzer::Error>>(
        texts: &[String],
    ) -> tracer_analyzer::Result<Vec<T>> {
        texts.iter().map(|text| text.parse()).collect()
    }
    fn one<T: std::str::FromStr<Err = tracer_analyzer::Error>>(
        text: Option<&String>,
    ) -> tracer_analyzer::Result<Option<T>> {
        text.map(|text| text.parse()).transpose()
    }
    Ok(Filter {
        probes: all(&args.events)?,
        pids: args.pids.clone(),
        programs: all(&args.programs)?,
        keys: one(args.seq.as_ref())?,
        from: one(args.from.as_ref())?,
        to: one(args.to.as_ref())?,
    })
}

/// Says what is missing, if anything is.
fn done(path: &Path, outcome: &Outcome) -> Done {
    match outcome.loss_text() {
        Some(text) => {
            eprintln!("tracer: {}: {text}", name(path));
            Done::Lossy
        }
        None => Done::All,
    }
}
