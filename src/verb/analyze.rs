//! `tracer analyze`: stage latencies, hand-offs, anomalies and loss.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use tracer_analyzer::analysis::budget::{answers, known};
use tracer_analyzer::analysis::diagnosis::{Watch, diagnose};
use tracer_analyzer::analysis::group::{GroupBy, Grouping};
use tracer_analyzer::analysis::{Growth, Properties};
use tracer_analyzer::screen::Detail;
use tracer_analyzer::screen::plot::{self, OverTime};
use tracer_analyzer::{Selection, analysis, report, screen, stage};

use crate::cli::{AnalyzeArgs, Mistake, ReportFormat};
use crate::done::Done;
use crate::file::input::{Input, name};
use crate::file::output::Output;
use crate::file::{budget, stages, trace};
use crate::terminal::{letters, room};

pub(crate) fn analyze(args: &AnalyzeArgs) -> anyhow::Result<Done> {
    if args.plot && !matches!(args.format, ReportFormat::Text) {
        return Err(Mistake("--plot goes with --format text; tracer report draws a page".to_owned()).into());
    }
    let input = Input::open(&args.file)?;
    let trace = trace::open(&input, &args.file)?;
    let selection = Selection::new(&(&args.filter).into(), &trace).map_err(trace::about(&args.file))?;
    let conditions = budget::given(&args.budget)?;
    if conditions.is_empty() && args.budget.junit.is_some() {
        return Err(Mistake("--junit needs a condition: --fail-if or --budget".to_owned()).into());
    }
    let junit = budget::junit(&args.budget, args.force, std::slice::from_ref(&args.file))?;
    let chosen = stages::of(&args.stages, &args.file, &trace, &selection)?;
    known(&conditions, &chosen.stages, &chosen.refused)?;
    if let Some(path) = &args.stages_out {
        let inputs: Vec<&Path> =
            args.stages.stages_file.iter().chain([&args.file]).map(PathBuf::as_path).collect();
        let mut output = Output::create(path, args.force, &inputs)?;
        let written = output.write_all(stage::write(&chosen.stages).as_bytes());
        written.and_then(|()| output.finish()).with_context(|| format!("cannot write {}", name(path)))?;
    }
    let watch = Watch::new(&chosen.stages, &trace.definitions, selection.time_range(&trace));
    let wanted: Vec<(u32, GroupBy)> =
        (0..).zip(&chosen.stages).filter_map(|(stage, _)| Some((stage, args.group_by?))).collect();
    let grouping = Grouping::new(&chosen.stages, &trace.definitions, &wanted);
    let over_time = args.plot.then(|| OverTime::new(chosen.stages.len(), selection.time_range(&trace)));
    let properties = Properties::new(&chosen.stages, &trace.definitions);
    let growth = Growth::new(&chosen.stages).within(&trace.definitions, selection.time_range(&trace));
    let mut sinks = ((grouping, over_time), (watch, (growth, properties)));
    let mut analysis = analysis::analyze(&trace, &selection, &chosen.stages, &mut sinks)?.chosen_by(chosen);
    let ((grouping, over_time), (watch, (growth, properties))) = sinks;
    analysis.groups = args.group_by.map(|by| (by, grouping.tables()));
    analysis.tree = Some(growth.tree().with_slowest(args.worst));
    let properties = properties.settled();
    analysis.diagnosis = Some(diagnose(watch, &analysis, args.worst));
    properties.add_findings(&mut analysis);
    analysis.budget = answers(&conditions, &analysis);
    let detail = if args.all { Detail::All } else { Detail::Usual };
    let plots = over_time.map(|over_time| {
        let trends = over_time.finish(&analysis);
        plot::text(&analysis, &trends, room().unwrap_or(USUAL), letters())
    });
    let report = match args.format {
        ReportFormat::Text => {
            let report = &screen::report(&analysis, detail);
            report::text_within(report, room().unwrap_or(USUAL).max(plot::MIN_WIDTH))
                + &plots.unwrap_or_default()
        }
        ReportFormat::Json => screen::json(&analysis),
        ReportFormat::Markdown => report::markdown(&screen::report(&analysis, detail)),
    };
    budget::write(&args.budget, junit, &screen::junit::of_budget(&name(&args.file), &analysis.budget))?;
    io::stdout().write_all(report.as_bytes())?;
    let done = trace::done(&args.file, &analysis.outcome).and(trace::refused(&args.file, &analysis.refused));
    Ok(budget::done(analysis.budget.iter())?.and(done))
}

/// Letters of a line where standard output is no terminal.
const USUAL: usize = 80;
