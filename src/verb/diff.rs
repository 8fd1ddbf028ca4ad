//! `tracer diff`: two traces stage by stage, with a verdict for CI.

use std::io::{self, Write};
use std::path::Path;

use anyhow::bail;
use tracer_analyzer::analysis::diff::{self as analyzer_diff, Judgment, Percentile, Verdict};
use tracer_analyzer::analysis::{self, Analysis};
use tracer_analyzer::report::{self, counted};
use tracer_analyzer::stage::choice::{Chosen, choose_keys};
use tracer_analyzer::stage::{self, Draft, Stage};
use tracer_analyzer::{Selection, screen};
use tracer_format::log::escape;

use crate::cli::{DiffArgs, Mistake, PercentileArg, ReportFormat};
use crate::done::Done;
use crate::file::input::{Input, is_standard};
use crate::file::{stages, trace};

pub(crate) fn diff(args: &DiffArgs) -> anyhow::Result<Done> {
    if is_standard(&args.base) && is_standard(&args.new) {
        return Err(Mistake("only one of the two traces can come from standard input".to_owned()).into());
    }
    let (base, keys) = analyze(args, &args.base, None)?;
    let (new, _) = analyze(args, &args.new, Some(&keys))?;
    let left_out = trace::refused(&args.base, &base.refused).and(trace::refused(&args.new, &new.refused));
    let by = |percentile: &PercentileArg| match percentile {
        PercentileArg::P50 => Percentile::P50,
        PercentileArg::P90 => Percentile::P90,
        PercentileArg::P99 => Percentile::P99,
    };
    let judgment = Judgment {
        threshold_percent: args.threshold.0,
        min_spans: args.min_spans,
        by: args.by.iter().map(by).collect(),
    };
    let diff = analyzer_diff::diff(&base, &new, &judgment);
    let report = match args.format {
        ReportFormat::Text => report::text(&screen::diff::report(&diff)),
        ReportFormat::Json => screen::diff::json(&diff),
        ReportFormat::Markdown => report::markdown(&screen::diff::report(&diff)),
    };
    io::stdout().write_all(report.as_bytes())?;
    // What was lost is told also where a slower stage decides.
    trace::done(&args.base, &diff.base);
    trace::done(&args.new, &diff.new);
    let slower = diff.with(Verdict::Slower);
    if !slower.is_empty() {
        bail!("{} got slower: {}", counted(slower.len() as u64, "stage"), names(&slower));
    }
    for (verdict, what) in [(Verdict::Gone, "gone"), (Verdict::TooFew, "with too few spans to judge")] {
        let stages = diff.with(verdict);
        if !stages.is_empty() {
            say!("{} {what}: {}", counted(stages.len() as u64, "stage"), names(&stages));
        }
    }
    Ok(if diff.is_uncertain() { Done::Lossy } else { left_out })
}

fn names(stages: &[&str]) -> String {
    stages.iter().map(|name| escape(name)).collect::<Vec<_>>().join(", ")
}

/// Analyzes the trace at `path`, by the keys of the base where they are known.
fn analyze(args: &DiffArgs, path: &Path, keys: Option<&Chosen>) -> anyhow::Result<(Analysis, Chosen)> {
    let input = Input::open(path)?;
    let trace = trace::open(&input, path)?;
    let selection = Selection::new(&(&args.filter).into(), &trace)?;
    let mut drafts = stage::choose(&stages::given(&args.stages)?, &trace.definitions)?;
    // The new trace may lack a stage, which is a verdict.
    if keys.is_none() {
        stages::known(&args.stages.stages, &trace.definitions.sites).map_err(anyhow::Error::msg)?;
    }
    for draft in &mut drafts {
        let same = |stage: &&Stage| {
            let (theirs, ours) = (*stage, &draft.stage);
            (&theirs.name, &theirs.begins, &theirs.ends) == (&ours.name, &ours.begins, &ours.ends)
        };
        if let Some(stage) = keys.iter().flat_map(|keys| &keys.stages).find(same) {
            *draft = Draft::given(stage.clone());
        }
    }
    let chosen = choose_keys(&trace, &selection, &drafts);
    let analysis = analysis::analyze(&trace, &selection, &chosen.stages, &mut ())?;
    Ok((analysis.chosen_by(chosen.clone()), chosen))
}
