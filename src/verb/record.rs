//! `tracer record`: into a trace, or through a trace into a table.

use anyhow::Context;

use super::export;
use crate::cli::{Mistake, RecordArgs};
use crate::done::Done;
use crate::file::output::Output;
use crate::recording;

pub(crate) fn record(mut args: Box<RecordArgs>) -> anyhow::Result<Done> {
    if args.output.extension().is_none_or(|extension| extension != "parquet") {
        return recording::record(&args);
    }
    if args.rotate.is_some() || args.last.is_some() {
        return Err(Mistake(
            "--rotate and --last write traces; give -o a name that ends with .trace".to_owned(),
        )
        .into());
    }
    // A Parquet file without its end is lost, so a trace is recorded, and converted once it is complete.
    let table = Output::create(&args.output, args.force, &[])?;
    let journal = args.output.with_extension("parquet.trace");
    let target = std::mem::replace(&mut args.output, journal);
    let journal = &args.output;
    let result = recording::record(&args).and_then(|done| {
        export::to_parquet(journal, table).with_context(|| {
            format!(
                "cannot write {}; {} has the recording, see tracer export",
                target.display(),
                journal.display()
            )
        })?;
        Ok(done)
    });
    if result.is_ok() {
        std::fs::remove_file(journal).with_context(|| format!("cannot remove {}", journal.display()))?;
    }
    result
}
