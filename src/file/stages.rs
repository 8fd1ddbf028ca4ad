//! The stages that a user gives: `--stage`, and `--stages FILE.toml`.

use std::fs::File;
use std::io::Read;

use anyhow::{Context, bail};
use tracer_analyzer::Selection;
use tracer_analyzer::stage::choice::{Chosen, choose_keys};
use tracer_analyzer::stage::{self, Draft, ProbeName};
use tracer_format::grammar::nearest;
use tracer_format::{Site, Trace};

use super::input::name;
use crate::cli::StageArgs;

/// Bytes that a file with stages may have.
const MAX_STAGES_BYTES: u64 = 1 << 20;

/// The stages that the user gave, else those of the trace, with keys.
///
/// # Errors
/// If a stage of the command line names a probe that the trace does not have; a file may hold stages of other traces.
pub(crate) fn of(args: &StageArgs, trace: &Trace<'_>, selection: &Selection) -> anyhow::Result<Chosen> {
    known(&args.stages, &trace.definitions.sites).map_err(anyhow::Error::msg)?;
    Ok(choose_keys(trace, selection, &stage::choose(&given(args)?, &trace.definitions)?))
}

/// Refuses a stage that no probe begins, or none ends.
pub(crate) fn known(stages: &[Draft], sites: &[Site]) -> Result<(), String> {
    let is = |name: &ProbeName, site: &Site| (&name.provider, &name.probe) == (&site.provider, &site.probe);
    for Draft { stage, .. } in stages {
        for probes in [&stage.begins, &stage.ends] {
            if probes.iter().any(|probe| sites.iter().any(|site| is(probe, site))) {
                continue;
            }
            let wanted = probes[0].to_string();
            let names: Vec<String> = sites.iter().map(Site::name).collect();
            let nearest = nearest(&wanted, names.iter().map(String::as_str));
            return Err(format!("--stage \"{}\": there is no probe {wanted}{nearest}", stage.name));
        }
    }
    Ok(())
}

/// The stages that the user gave.
pub(crate) fn given(args: &StageArgs) -> anyhow::Result<Vec<Draft>> {
    let mut stages = args.stages.clone();
    if let Some(path) = &args.stages_file {
        let read = || -> anyhow::Result<Vec<Draft>> {
            let mut text = String::new();
            File::open(path)?.take(MAX_STAGES_BYTES + 1).read_to_string(&mut text)?;
            if text.len() as u64 > MAX_STAGES_BYTES {
                bail!("larger than {MAX_STAGES_BYTES} bytes, which no file with stages is");
            }
            Ok(stage::parse(&text)?)
        };
        stages.extend(read().with_context(|| name(path))?);
    }
    Ok(stages)
}
