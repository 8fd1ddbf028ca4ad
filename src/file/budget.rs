//! The budget that a user gives: `--fail-if`, `--budget FILE.toml`; and what comes of it: messages, exit code, JUnit XML.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use tracer_analyzer::analysis::budget::{self, Answer, Condition, Standing};
use tracer_analyzer::report::counted;
use tracer_format::log::escape;

use super::input::name;
use super::output::Output;
use super::presets;
use crate::cli::BudgetArgs;
use crate::done::Done;

/// The conditions that the user gave, those of the file last.
pub(crate) fn given(args: &BudgetArgs) -> anyhow::Result<Vec<Condition>> {
    let mut conditions = args.fail_if.clone();
    if let Some(path) = &args.budget {
        conditions.extend(budget::parse(&presets::text(path)?).with_context(|| name(path))?);
    }
    Ok(conditions)
}

/// The file for JUnit XML, if one is wanted: made before anything is read, so that a long analysis does not end in vain.
pub(crate) fn junit(args: &BudgetArgs, force: bool, inputs: &[PathBuf]) -> anyhow::Result<Option<Output>> {
    let inputs: Vec<&Path> = inputs.iter().chain(&args.budget).map(PathBuf::as_path).collect();
    args.junit.as_ref().map(|path| Output::create(path, force, &inputs)).transpose()
}

/// Writes JUnit XML to the file that was made for it.
pub(crate) fn write(args: &BudgetArgs, output: Option<Output>, xml: &str) -> anyhow::Result<()> {
    let (Some(mut output), Some(path)) = (output, &args.junit) else { return Ok(()) };
    let written = output.write_all(xml.as_bytes());
    written.and_then(|()| output.finish()).with_context(|| format!("cannot write {}", name(path)))
}

/// Says which conditions cannot be judged.
///
/// # Errors
/// If one holds.
pub(crate) fn done<'a>(answers: impl Iterator<Item = &'a Answer> + Clone) -> anyhow::Result<Done> {
    let texts = |wanted: fn(&Standing) -> bool| {
        let mut texts: Vec<String> = Vec::new();
        for answer in answers.clone().filter(|answer| wanted(&answer.standing)) {
            let text = escape(&answer.condition.to_string()).into_owned();
            if !texts.contains(&text) {
                texts.push(text);
            }
        }
        texts
    };
    let unknown = texts(|standing| matches!(standing, Standing::Unknown(_)));
    if !unknown.is_empty() {
        let conditions = counted(unknown.len() as u64, "condition");
        say!("{conditions} of the budget cannot be judged: {}", unknown.join("; "));
    }
    let broken = texts(|standing| *standing == Standing::Broken);
    if !broken.is_empty() {
        bail!("the budget is broken: {}", broken.join("; "));
    }
    Ok(if unknown.is_empty() { Done::All } else { Done::Lossy })
}
