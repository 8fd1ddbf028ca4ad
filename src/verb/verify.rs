//! `tracer verify`: every byte of a trace.

use std::io::{self, Write};

use anyhow::Context;
use tracer_analyzer::file::verify;

use crate::cli::{TextFormat, VerifyArgs};
use crate::done::Done;
use crate::file::input::{Input, name};

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
