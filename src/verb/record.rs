//! `tracer record`: into a trace, or through a trace into a table.

use anyhow::Context;

use super::export;
use crate::cli::{Mistake, RecordArgs};
use crate::done::Done;
use crate::file::input::{is_standard, name};
use crate::file::output::Output;
use crate::recording::{self, Opened};
use crate::top::live;

pub(crate) fn record(mut args: Box<RecordArgs>) -> anyhow::Result<Done> {
    let is_table = args.output.extension().is_some_and(|extension| extension == "parquet");
    if args.top {
        let kept = !is_table && !is_standard(&args.output);
        let wrong = "--top needs standard output, and shows a trace; give -o a name that ends with .trace";
        return if kept { live::record(&args) } else { Err(Mistake(wrong.to_owned()).into()) };
    }
    if args.look.batch {
        return Err(Mistake("--batch goes with --top".to_owned()).into());
    }
    if !is_table {
        return recording::record(&args, &Opened::default(), None);
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
    // It is read at the end, and removed.
    anyhow::ensure!(
        journal.symlink_metadata().map_or(true, |facts| facts.is_file()),
        "{} is no file, the recording goes there first; give another -o",
        name(&journal)
    );
    let target = std::mem::replace(&mut args.output, journal);
    let journal = &args.output;
    let opened = Opened::default();
    let result = recording::record(&args, &opened, None).and_then(|done| {
        export::to_parquet(journal, table).with_context(|| {
            format!("cannot write {}; {} has the recording, see tracer export", name(&target), name(journal))
        })?;
        Ok(done)
    });
    if result.is_ok() {
        opened.remove().with_context(|| format!("cannot remove {}", name(journal)))?;
    }
    result
}
