//! `tracer report`: what a trace says, as a page for the browser.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use tracer_analyzer::Selection;
use tracer_analyzer::analysis::diagnosis::{Watch, diagnose};
use tracer_analyzer::analysis::{self, Analysis, Growth, Properties};
use tracer_analyzer::file::info;
use tracer_analyzer::screen::html::{self, Recording};
use tracer_analyzer::screen::plot::{OverTime, Trends};
use tracer_format::Trace;

use super::diff::compared;
use crate::cli::{Mistake, ReportArgs};
use crate::done::Done;
use crate::file::input::{Input, is_standard, name};
use crate::file::output::Output;
use crate::file::{stages, trace};

pub(crate) fn report(args: &ReportArgs) -> anyhow::Result<Done> {
    if args.files.iter().filter(|path| is_standard(path)).count() > usize::from(args.files.len() == 1) {
        return Err(Mistake("traces to compare cannot come from standard input".to_owned()).into());
    }
    let (file, before) = args.files.split_last().context("no trace is given")?;
    let inputs: Vec<&Path> =
        args.stages.stages_file.iter().chain(&args.files).map(PathBuf::as_path).collect();
    let mut output = Output::create(&args.output, args.force, &inputs)?;
    let compared = match before {
        [] => None,
        _ => Some(compared(&args.filter, &args.stages, before, file)?),
    };
    let input = Input::open(file)?;
    let trace = trace::open(&input, file)?;
    let (analysis, trends) = analyzed(args, file, &trace)?;
    let about = info::report(&trace, None);
    let name_shown = shown(file);
    let recording =
        Recording { name: &name_shown, trace: &trace, about: &about, analysis: &analysis, trends: &trends };
    let page = html::page(&recording, compared.as_ref().map(|(comparison, _)| comparison));
    let written = output.write_all(page.as_bytes()).and_then(|()| output.finish());
    written.with_context(|| format!("cannot write {}", name(&args.output)))?;
    Ok(match compared {
        // What is missing was said when it was compared.
        Some((_, done)) => done,
        None => trace::done(file, &analysis.outcome).and(trace::refused(file, &analysis.refused)),
    })
}

/// What the trace says, and how that goes over time.
fn analyzed(args: &ReportArgs, file: &Path, trace: &Trace<'_>) -> anyhow::Result<(Analysis, Trends)> {
    let selection = Selection::new(&(&args.filter).into(), trace).map_err(trace::about(file))?;
    let chosen = stages::of(&args.stages, file, trace, &selection)?;
    let time_ns = selection.time_range(trace);
    let watch = Watch::new(&chosen.stages, &trace.definitions, time_ns);
    let over_time = OverTime::new(chosen.stages.len(), time_ns);
    let properties = Properties::new(&chosen.stages, &trace.definitions);
    let growth = Growth::new(&chosen.stages).within(&trace.definitions, time_ns);
    let mut sinks = (over_time, (watch, (growth, properties)));
    let mut analysis = analysis::analyze(trace, &selection, &chosen.stages, &mut sinks)?.chosen_by(chosen);
    let (over_time, (watch, (growth, properties))) = sinks;
    analysis.tree = Some(growth.tree().with_slowest(args.worst));
    let properties = properties.settled();
    analysis.diagnosis = Some(diagnose(watch, &analysis, args.worst));
    properties.add_findings(&mut analysis);
    let trends = over_time.finish(&analysis);
    Ok((analysis, trends))
}

/// The name of a trace as the page shows it: without its folder.
fn shown(file: &Path) -> String {
    let name = file.file_name().filter(|_| !is_standard(file));
    name.map_or_else(|| "standard input".to_owned(), |name| name.to_string_lossy().into_owned())
}
