//! `tracer diff`: two traces stage by stage, with a verdict for CI.

use std::io::{self, Write};
use std::path::Path;

use anyhow::bail;
use tracer_analyzer::analysis::diff::{self as analyzer_diff, Judgment, Percentile, Verdict};
use tracer_analyzer::analysis::{self, Analysis};
use tracer_analyzer::report::counted;
use tracer_analyzer::{Selection, screen};
use tracer_format::log::escape;

use crate::Done;
use crate::cli::{DiffArgs, PercentileArg, ReportFormat, Usage};
use crate::input::{Input, is_standard};
use crate::read::{done, filter, open, stages};

pub(crate) fn diff(args: &DiffArgs) -> anyhow::Result<Done> {
    if is_standard(&args.base) && is_standard(&args.new) {
        return Err(Usage("only one of the two traces can come from standard input".to_owned()).into());
    }
    let (base, new) = (analyze(args, &args.base)?, analyze(args, &args.new)?);
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
        ReportFormat::Text => screen::diff::text(&diff),
        ReportFormat::Json => screen::diff::json(&diff),
        ReportFormat::Markdown => screen::diff::markdown(&diff),
    };
    io::stdout().write_all(report.as_bytes())?;
    // What was lost is told also where a slower stage decides.
    done(&args.base, &diff.base);
    done(&args.new, &diff.new);
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
    Ok(if diff.is_uncertain() { Done::Lossy } else { Done::All })
}

fn names(stages: &[&str]) -> String {
    stages.iter().map(|name| escape(name)).collect::<Vec<_>>().join(", ")
}

fn analyze(args: &DiffArgs, path: &Path) -> anyhow::Result<Analysis> {
    let input = Input::open(path)?;
    let trace = open(&input, path)?;
    let selection = Selection::new(&filter(&args.filter)?, &trace)?;
    let stages = stages(&args.stages, &trace)?;
    Ok(analysis::analyze(&trace, &selection, &stages, &mut ())?)
}
