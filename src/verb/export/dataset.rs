//! `tracer export --dataset`: traces become rows of a dataset.

use std::path::Path;

use anyhow::{Context, bail};
use tracer_analyzer::Selection;
use tracer_analyzer::report::counted;
use tracer_analyzer::tables::dataset::{Date, Label, TraceName, measure};

use crate::cli::{DatasetArgs, ExportArgs};
use crate::dataset::{Addition, Dataset, Presence};
use crate::done::Done;
use crate::file::input::{Input, name};
use crate::file::{stages, trace};

/// Adds the traces to the dataset in `folder`, and merges its files if that is asked for.
pub(crate) fn export(args: &ExportArgs, folder: &Path) -> anyhow::Result<Done> {
    if args.files.is_empty() && !Dataset::is_in(folder) {
        bail!("{}: there is no dataset whose files could be merged", name(folder));
    }
    let mut dataset = Dataset::open(folder)?;
    let (mut added, mut there, mut failed, mut done) = (0, 0, 0_u64, Done::All);
    for path in &args.files {
        // What keeps one from being added may keep all of them out, such as a full disk; those before it are there.
        let before = |_: &anyhow::Error| {
            if added > 0 {
                say!("{}: {} added before that", name(folder), counted(added, "trace"));
            }
        };
        match add(args, &mut dataset, path).inspect_err(before)? {
            Ok((Presence::Added, this)) => (added, done) = (added + 1, done.and(this)),
            Ok((Presence::WasThere, this)) => (there, done) = (there + 1, done.and(this)),
            // One file that cannot be added does not keep the others out.
            Err(error) if args.files.len() > 1 => {
                say!("{error:#}");
                failed += 1;
            }
            Err(error) => return Err(error),
        }
    }
    if !args.files.is_empty() {
        let was_there = if there > 0 { format!(", {there} there already") } else { String::new() };
        let left_out = if failed > 0 { format!(", {failed} left out") } else { String::new() };
        say!("{}: {} added{was_there}{left_out}", name(folder), counted(added, "trace"));
    }
    if args.dataset.compact {
        let merged = dataset.compact()?;
        let (files, into) = (counted(merged.files, "file"), counted(merged.into, "file"));
        say!("{}: {files} became {into}", name(folder));
    }
    Ok(if failed > 0 { Done::Failed } else { done })
}

/// Adds the trace at `path`. The inner error is the trace's, the outer one of the dataset or the command line.
fn add(
    args: &ExportArgs,
    dataset: &mut Dataset,
    path: &Path,
) -> anyhow::Result<anyhow::Result<(Presence, Done)>> {
    let input = match Input::open(path) {
        Ok(input) => input,
        Err(error) => return Ok(Err(error)),
    };
    let trace = match trace::open(&input, path) {
        Ok(trace) => trace,
        Err(error) => return Ok(Err(error)),
    };
    let DatasetArgs { suite, commit, date, .. } = &args.dataset;
    let Some(date) = Date::of(&trace).or_else(|| date.clone()) else {
        let text = "the trace has no wall time; say with --date YYYY-MM-DD when it was recorded";
        return Ok(Err(anyhow::anyhow!("{}: {text}", name(path))));
    };
    let bytes = input.bytes();
    let label = Label { trace: TraceName::of(bytes), bytes: bytes.len() as u64, commit: commit.clone() };
    let addition = Addition { trace: &trace, bytes, label, date, suite: suite.clone() };
    match dataset.has(&addition).with_context(|| name(path)) {
        Ok(false) => {}
        Ok(true) => return Ok(Ok((Presence::WasThere, Done::All))),
        Err(error) => return Ok(Err(error)),
    }
    let chosen = stages::of(&args.stages, path, &trace, &Selection::all())?;
    let refused = chosen.refused.clone();
    let measured = match measure(&trace, chosen).with_context(|| name(path)) {
        Ok(measured) => measured,
        Err(error) => return Ok(Err(error)),
    };
    let placed = dataset.add(&addition, &measured)?;
    let done = trace::done(path, measured.outcome()).and(trace::refused(path, &refused));
    Ok(Ok((placed, done)))
}
