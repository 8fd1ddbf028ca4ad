//! `tracer info`: what a trace holds, and what is missing; `tracer verify`: whether every byte of it is sound.

use std::io::{self, BufWriter, Write};

use anyhow::Context;
use tracer_analyzer::file::{info, verify};
use tracer_analyzer::{Outcome, Selection, report};

use crate::cli::{InfoArgs, TextFormat, VerifyArgs};
use crate::done::Done;
use crate::file::input::{Input, name};
use crate::file::trace;

pub(crate) fn info(args: &InfoArgs) -> anyhow::Result<Done> {
    let input = Input::open(&args.file)?;
    let trace = trace::open(&input, &args.file)?;
    let counts = args.counts.then(|| info::count(&trace));
    let mut out = BufWriter::new(io::stdout().lock());
    match args.format {
        TextFormat::Text => {
            out.write_all(report::text(&info::report(&trace, counts.as_ref())).as_bytes())?;
        }
        TextFormat::Json => info::write_json(&trace, counts.as_ref(), &mut out)?,
    }
    out.flush()?;
    // What is missing is part of the report.
    let outcome = counts.map_or_else(|| Outcome::of(&trace, &Selection::all()), |counts| counts.outcome);
    Ok(if outcome.is_lossy() { Done::Lossy } else { Done::All })
}

pub(crate) fn verify(args: &VerifyArgs) -> anyhow::Result<Done> {
    let input = Input::open(&args.file)?;
    let verification = verify::verify(input.bytes()).with_context(|| name(&args.file))?;
    let report = match args.format {
        TextFormat::Text => verification.text(),
        TextFormat::Json => verification.json(),
    };
    io::stdout().write_all(report.as_bytes())?;
    Ok(if verification.is_sound() { Done::All } else { Done::Lossy })
}
