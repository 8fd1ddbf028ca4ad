//! `tracer analyze`: stage latencies, hand-offs, anomalies and loss.

use std::fs;
use std::io::{self, Write};

use anyhow::Context;
use tracer_analyzer::analysis::diagnosis::{Watch, diagnose};
use tracer_analyzer::{Selection, analysis, screen, stage};

use crate::cli::{AnalyzeArgs, ReportFormat};
use crate::done::Done;
use crate::file::input::{Input, name};
use crate::file::{stages, trace};

pub(crate) fn analyze(args: &AnalyzeArgs) -> anyhow::Result<Done> {
    let input = Input::open(&args.file)?;
    let trace = trace::open(&input, &args.file)?;
    let selection = Selection::new(&(&args.filter).into(), &trace)?;
    let chosen = stages::of(&args.stages, &trace, &selection)?;
    if let Some(path) = &args.stages_out {
        fs::write(path, stage::write(&chosen.stages)).with_context(|| name(path))?;
    }
    let mut watch = Watch::new(&chosen.stages, &trace.definitions, selection.time_range(&trace));
    let mut analysis = analysis::analyze(&trace, &selection, &chosen.stages, &mut watch)?.chosen_by(chosen);
    analysis.diagnosis = Some(diagnose(watch, &analysis, args.worst));
    let report = match args.format {
        ReportFormat::Text => screen::text(&analysis),
        ReportFormat::Json => screen::json(&analysis),
        ReportFormat::Markdown => screen::markdown(&analysis),
    };
    io::stdout().write_all(report.as_bytes())?;
    Ok(trace::done(&args.file, &analysis.outcome).and(trace::refused(&args.file, &analysis.refused)))
}
