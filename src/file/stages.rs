//! The stages that a user gives: `--stage`, and `--stages FILE.toml`.

use std::fs::File;
use std::io::Read;

use anyhow::{Context, bail};
use tracer_analyzer::Selection;
use tracer_analyzer::stage::choice::{Chosen, choose_keys};
use tracer_analyzer::stage::{self, Draft};
use tracer_format::Trace;

use super::input::name;
use crate::cli::StageArgs;

/// Bytes that a file with stages may have.
const MAX_STAGES_BYTES: u64 = 1 << 20;

/// The stages that the user gave, else those of the trace, with keys.
pub(crate) fn of(args: &StageArgs, trace: &Trace<'_>, selection: &Selection) -> anyhow::Result<Chosen> {
    Ok(choose_keys(trace, selection, &stage::choose(&given(args)?, &trace.definitions)?))
}

/// The stages that the user gave.
pub(crate) fn given(args: &StageArgs) -> anyhow::Result<Vec<Draft>> {
    let mut stages = args.stages.clone();
    if let Some(path) = &args.stages_file {
        let read = || -> anyhow::Result<Vec<Draft>> {
            let mut text = String::new();
            File::open(path)?.take(MAX_STAGES_BYTES + 1).read_to_string(&mut text)?;
            if text.len() as u64 > MAX_STAGES_BYTES {
                bail!("larger than {MAX_STAGES_BYTES} bytes, which no file with stages is");
            }
            Ok(stage::parse(&text)?)
        };
        stages.extend(read().with_context(|| name(path))?);
    }
    Ok(stages)
}
