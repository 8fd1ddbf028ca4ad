//! `tracer report`: what a trace says, as a page for the browser.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use tracer_analyzer::Selection;
use tracer_analyzer::analysis::diagnosis::{Watch, diagnose};
use tracer_analyzer::analysis::{self, Growth, Properties};
use tracer_analyzer::file::info;
use tracer_analyzer::screen::html::{self, Recording};
use tracer_analyzer::screen::plot::OverTime;

use crate::cli::ReportArgs;
use crate::done::Done;
use crate::file::input::{Input, is_standard, name};
use crate::file::output::Output;
use crate::file::{stages, trace};

pub(crate) fn report(args: &ReportArgs) -> anyhow::Result<Done> {
    let input = Input::open(&args.file)?;
    let trace = trace::open(&input, &args.file)?;
    let selection = Selection::new(&(&args.filter).into(), &trace)?;
    let chosen = stages::of(&args.stages, &trace, &selection)?;
    let inputs: Vec<&Path> =
        args.stages.stages_file.iter().chain([&args.file]).map(PathBuf::as_path).collect();
    let mut output = Output::create(&args.output, args.force, &inputs)?;
    let time_ns = selection.time_range(&trace);
    let watch = Watch::new(&chosen.stages, &trace.definitions, time_ns);
    let over_time = OverTime::new(chosen.stages.len(), time_ns);
    let properties = Properties::new(&chosen.stages, &trace.definitions);
    let mut sinks = (over_time, (watch, (Growth::new(&chosen.stages), properties)));
    let mut analysis = analysis::analyze(&trace, &selection, &chosen.stages, &mut sinks)?.chosen_by(chosen);
    let (over_time, (watch, (growth, properties))) = sinks;
    analysis.tree = Some(growth.tree());
    analysis.diagnosis = Some(diagnose(watch, &analysis, args.worst));
    properties.add_findings(&mut analysis);
    let trends = over_time.finish(&analysis);
    let file_name = args.file.file_name().filter(|_| !is_standard(&args.file));
    let name_shown = file_name.map_or_else(|| "standard input".into(), |name| name.to_string_lossy());
    let about = info::report(&trace, None);
    let recording =
        Recording { name: &name_shown, trace: &trace, about: &about, analysis: &analysis, trends: &trends };
    let page = html::page(&recording, None);
    let written = output.write_all(page.as_bytes()).and_then(|()| output.finish());
    written.with_context(|| format!("cannot write {}", name(&args.output)))?;
    Ok(trace::done(&args.file, &analysis.outcome).and(trace::refused(&args.file, &analysis.refused)))
}
