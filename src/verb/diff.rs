//! `tracer diff`: runs of two builds stage by stage, with a verdict for CI.

mod sides;

use std::collections::HashMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use tracer_analyzer::analysis;
use tracer_analyzer::analysis::budget::{Condition, answers, known};
use tracer_analyzer::analysis::compare::{
    Collected, Comparison, Judgment, Machine, Percentile, Run, RunSet, Verdict, compare,
};
use tracer_analyzer::analysis::diagnosis::{Watch, diagnose};
use tracer_analyzer::report::{self, counted, listed};
use tracer_analyzer::stage::choice::{Chosen, choose_keys};
use tracer_analyzer::stage::{Draft, Stage};
use tracer_analyzer::{Selection, screen};
use tracer_format::log::escape;

use crate::cli::{DiffArgs, FilterArgs, Mistake, PercentileArg, ReportFormat, StageArgs};
use crate::done::Done;
use crate::file::input::{Input, is_standard, name};
use crate::file::{budget, stages, trace};
use sides::Sides;

pub(crate) fn diff(args: &DiffArgs) -> anyhow::Result<Done> {
    if !args.more.is_empty() {
        let given = "several files a side are given as --base FILES --new FILES".to_owned();
        return Err(Mistake(given).into());
    }
    let conditions = budget::given(&args.budget)?;
    let base = Given::new(("BASE", args.base.as_slice()), ("--base", &args.base_files));
    let new = Given::new(("NEW", args.new.as_slice()), ("--new", &args.new_files));
    let [base, new] = [(base.files()?, base), (new.files()?, new)];
    if base.0.iter().chain(&new.0).filter(|path| is_standard(path)).count() > 1 {
        return Err(Mistake("only one of the traces can come from standard input".to_owned()).into());
    }
    for (files, given) in [&base, &new] {
        if files.is_empty() {
            let paths: Vec<_> = given.paths.iter().map(|path| name(path)).collect();
            say!("{}: no file matches {}: nothing was compared", given.by, paths.join(", "));
            return Ok(Done::Lossy);
        }
    }
    let (base, new) = (base.0, new.0);
    let inputs: Vec<PathBuf> = base.iter().chain(&new).cloned().collect();
    let junit = budget::junit(&args.budget, args.force, &inputs)?;
    let (mut keys, mut sides) = (None, Sides::default());
    let (base, base_done) = side(args, &base, &[], (&mut keys, &mut sides))?;
    sides.begin_new();
    let (new, new_done) = side(args, &new, &conditions, (&mut keys, &mut sides))?;
    let mut comparison = compare(base, new, &judgment(args));
    comparison.with_itself = sides.with_itself();
    budget::write(&args.budget, junit, &screen::junit::of_comparison(&comparison))?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    match args.format {
        ReportFormat::Text => out.write_all(report::text(&screen::diff::report(&comparison)).as_bytes())?,
        ReportFormat::Json => screen::diff::write_json(&comparison, &mut out)?,
        ReportFormat::Markdown => {
            out.write_all(report::markdown(&screen::diff::report(&comparison)).as_bytes())?;
        }
    }
    out.flush()?;
    drop(out);
    let kept = budget::done(comparison.new.budget.iter().flat_map(|(_, answers)| answers));
    let slower = comparison.with(Verdict::Slower);
    if !slower.is_empty() {
        if let Err(broken) = &kept {
            say!("{broken:#}");
        }
        bail!("{} got slower: {}", counted(slower.len() as u64, "stage"), names(&slower));
    }
    for (verdict, what) in [(Verdict::Gone, "gone"), (Verdict::TooFew, "with too few spans to judge")] {
        let stages = comparison.with(verdict);
        if !stages.is_empty() {
            say!("{} {what}: {}", counted(stages.len() as u64, "stage"), names(&stages));
        }
    }
    if comparison.compared() == 0 {
        say!("nothing was compared: no stage has a complete span on both sides");
    }
    if let Some(with_itself) = &comparison.with_itself {
        say!("{with_itself}");
    }
    let done = if comparison.is_uncertain() { Done::Lossy } else { base_done.and(new_done) };
    Ok(kept?.and(done))
}

/// Compares a run with those before it, as [`diff`] does unless told otherwise.
pub(super) fn compared(
    filter: &FilterArgs,
    given: &StageArgs,
    before: &[PathBuf],
    last: &Path,
) -> anyhow::Result<(Comparison, Done)> {
    let (mut keys, mut sides, mut done, mut base) = (None, Sides::default(), Done::All, Vec::new());
    for path in before {
        let (run, id, this) = analyze(filter, given, path, before.len(), &mut keys)?;
        if sides.is_new(path, id) {
            base.push(run);
        }
        done = done.and(this);
    }
    sides.begin_new();
    let (new, id, this) = analyze(filter, given, last, 1, &mut keys)?;
    sides.is_new(last, id);
    let mut comparison = compare(RunSet::new(base), RunSet::new(vec![new]), &Judgment::default());
    comparison.with_itself = sides.with_itself();
    if let Some(with_itself) = &comparison.with_itself {
        say!("{with_itself}");
    }
    // The page shows no others, and there may be many.
    comparison.hand_offs.retain(|item| matches!(item.verdict, Verdict::Slower | Verdict::Faster));
    comparison.hand_offs.shrink_to_fit();
    let done = if comparison.is_uncertain() { Done::Lossy } else { done.and(this) };
    if comparison.compared() == 0 {
        say!("nothing was compared: no stage has a complete span on both sides");
    }
    Ok((comparison, done))
}

fn names(stages: &[&str]) -> String {
    listed(stages.iter().map(|name| escape(name)))
}

fn judgment(args: &DiffArgs) -> Judgment {
    let by = |percentile: &PercentileArg| match percentile {
        PercentileArg::P50 => Percentile::P50,
        PercentileArg::P90 => Percentile::P90,
        PercentileArg::P99 => Percentile::P99,
    };
    Judgment {
        min_change_percent: args.min_change.0,
        min_difference_ns: i64::try_from(args.min_difference.0.as_nanos()).unwrap_or(i64::MAX),
        min_spans: args.min_spans,
        by: args.judge.as_ref().map(|judge| judge.iter().map(by).collect()),
    }
}

/// What names the traces of a side.
struct Given<'a> {
    /// The argument or option.
    by: &'static str,
    paths: &'a [PathBuf],
}

impl<'a> Given<'a> {
    fn new(one: (&'static str, &'a [PathBuf]), several: (&'static str, &'a [PathBuf])) -> Self {
        let (by, paths) = if one.1.is_empty() { several } else { one };
        Self { by, paths }
    }

    /// The traces: those that patterns name, in the order of their names.
    fn files(&self) -> anyhow::Result<Vec<PathBuf>> {
        let by = self.by;
        let mut files = Vec::new();
        for path in self.paths {
            if path.is_dir() {
                let (folder, all) = (name(path), name(&path.join("*.trace")));
                return Err(Mistake(format!(
                    "{by}: {folder} is a directory; give the traces in it: '{all}'"
                ))
                .into());
            }
            let pattern = path.to_str().filter(|text| text.contains(['*', '?', '[']) && !path.exists());
            let Some(pattern) = pattern else {
                files.push(path.clone());
                continue;
            };
            let found = glob::glob(pattern).map_err(|error| Mistake(format!("{by}: {pattern}: {error}")))?;
            for path in found {
                files.push(path.with_context(|| by.to_owned())?);
            }
        }
        Ok(files)
    }
}

/// Analyzes the traces of a side, by the keys of the first of all where they are known.
fn side(
    args: &DiffArgs,
    paths: &[PathBuf],
    conditions: &[Condition],
    (keys, sides): (&mut Option<Chosen>, &mut Sides),
) -> anyhow::Result<(RunSet, Done)> {
    let (mut runs, mut done) = (Vec::new(), Done::All);
    for path in paths {
        let (mut run, id, this) = analyze(&args.filter, &args.stages, path, paths.len(), keys)?;
        if !sides.is_new(path, id) {
            continue;
        }
        // A stage that only the base has is gone, which is an answer.
        let of_base = keys.iter().flat_map(|keys| &keys.stages);
        let stages: Vec<Stage> =
            run.analysis.stages.iter().map(|report| &report.stage).chain(of_base).cloned().collect();
        known(conditions, &stages, &run.analysis.refused).with_context(|| name(path))?;
        run.analysis.budget = answers(conditions, &run.analysis);
        runs.push(run);
        done = done.and(this);
    }
    Ok((RunSet::new(runs), done))
}

fn analyze(
    filter: &FilterArgs,
    given: &StageArgs,
    path: &Path,
    runs: usize,
    keys: &mut Option<Chosen>,
) -> anyhow::Result<(Run, u64, Done)> {
    let input = Input::open(path)?;
    let trace = trace::open(&input, path)?;
    let selection = Selection::new(&filter.into(), &trace).map_err(trace::about(path))?;
    let mut drafts = stages::chosen(given, &stages::given(given)?, path, &trace)?;
    // A later trace may lack a stage, which is a verdict.
    if keys.is_none() {
        stages::known(&given.stages, &trace.definitions.sites).map_err(anyhow::Error::msg)?;
    }
    let known: HashMap<&str, &Stage> =
        keys.iter().flat_map(|keys| &keys.stages).map(|stage| (&stage.name[..], stage)).collect();
    for draft in &mut drafts {
        let same =
            |theirs: &&&Stage| (&theirs.begins, &theirs.ends) == (&draft.stage.begins, &draft.stage.ends);
        if let Some(&stage) = known.get(&draft.stage.name[..]).filter(same) {
            *draft = Draft::given(stage.clone());
        }
    }
    let chosen = choose_keys(&trace, &selection, &drafts);
    let watch = Watch::new(&chosen.stages, &trace.definitions, selection.time_range(&trace));
    let mut sinks = (watch, Collected::new(chosen.stages.len(), runs));
    let mut analysis = analysis::analyze(&trace, &selection, &chosen.stages, &mut sinks)?;
    let (watch, collected) = sinks;
    analysis = analysis.chosen_by(chosen.clone());
    analysis.diagnosis = Some(diagnose(watch, &analysis, 0));
    keys.get_or_insert(chosen);
    let done = trace::done(path, &analysis.outcome).and(trace::refused(path, &analysis.refused));
    let identity = sides::identity(input.bytes());
    Ok((
        Run { name: name(path), analysis, collected, machine: Machine::of(&trace.definitions) },
        identity,
        done,
    ))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: DiffArgs,
    }

    #[test]
    fn a_page_compares_as_diff_does_without_options() {
        let line = Line::parse_from(["diff", "base.trace", "new.trace"]);
        assert_eq!(judgment(&line.args), Judgment::default());
    }
}
