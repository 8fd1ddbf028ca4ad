//! The stages that a user gives: `--stage`, `--stages FILE.toml`, `--preset NAME`.

use std::borrow::Borrow;
use std::path::Path;

use anyhow::{Context, bail};
use tracer_analyzer::Selection;
use tracer_analyzer::stage::choice::{Chosen, choose_keys};
use tracer_analyzer::stage::{self, Draft};
use tracer_format::grammar::nearest;
use tracer_format::{Site, Trace};

use super::input::name;
use super::presets;
use crate::cli::StageArgs;

/// The stages that the user gave, else those of the trace at `path`, with keys.
///
/// # Errors
/// If a stage of the command line names a probe that the trace does not have; a file may hold stages of other traces.
pub(crate) fn of(
    args: &StageArgs,
    path: &Path,
    trace: &Trace<'_>,
    selection: &Selection,
) -> anyhow::Result<Chosen> {
    known(&args.stages, &trace.definitions.sites).map_err(anyhow::Error::msg)?;
    let mut given = given(args)?;
    if let Some(preset) = &args.preset {
        // A preset has stages of probes that this trace need not have.
        given.retain(|draft| known(std::slice::from_ref(draft), &trace.definitions.sites).is_ok());
        if given.is_empty() {
            bail!("--preset {preset}: the trace has none of the probes of its stages");
        }
    }
    Ok(choose_keys(trace, selection, &chosen(args, &given, path, trace)?))
}

/// Those of `given`, else those of the trace at `path`; an error names the file that it is about.
pub(crate) fn chosen(
    args: &StageArgs,
    given: &[Draft],
    path: &Path,
    trace: &Trace<'_>,
) -> anyhow::Result<Vec<Draft>> {
    let file = if given.is_empty() { Some(path) } else { args.stages_file.as_deref() };
    let chosen = stage::choose(given, &trace.definitions);
    match file {
        Some(file) => chosen.with_context(|| name(file)),
        None => Ok(chosen?),
    }
}

/// Refuses a stage that no probe begins, or none ends.
pub(crate) fn known(stages: &[Draft], sites: &[impl Borrow<Site>]) -> Result<(), String> {
    for Draft { stage, .. } in stages {
        for probes in [&stage.begins, &stage.ends] {
            if probes.iter().any(|probe| sites.iter().any(|site| probe.is_of(site.borrow()))) {
                continue;
            }
            let wanted = probes[0].to_string();
            let names: Vec<String> = sites.iter().map(|site| site.borrow().name()).collect();
            let nearest = nearest(&wanted, names.iter().map(String::as_str));
            return Err(format!("--stage \"{}\": there is no probe {wanted}{nearest}", stage.name));
        }
    }
    Ok(())
}

/// The stages that the user gave; one that is given by itself stands for the preset's of its name.
pub(crate) fn given(args: &StageArgs) -> anyhow::Result<Vec<Draft>> {
    let mut stages = args.stages.clone();
    if let Some(path) = &args.stages_file {
        stages.extend(stage::parse(&presets::text(path)?).with_context(|| name(path))?);
    }
    if let Some(preset) = &args.preset {
        let is_new = |draft: &Draft| !stages.iter().any(|own| own.stage.name == draft.stage.name);
        let new: Vec<Draft> = presets::find(preset)?.stages.into_iter().filter(is_new).collect();
        stages.extend(new);
    }
    Ok(stages)
}
