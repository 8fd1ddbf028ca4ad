//! The verbs that read a trace.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use anyhow::{Context, bail};
use tracer_analyzer::file::{info, verify};
use tracer_analyzer::report::counted;
use tracer_analyzer::stage::choice::{Chosen, Refused, choose_keys};
use tracer_analyzer::stage::{self, Draft};
use tracer_analyzer::{Filter, Outcome, Selection, analysis, replay as analyzer_replay, screen};
use tracer_format::Trace;
use tracer_format::log::escape;

use crate::Done;
use crate::cli::{
    AnalyzeArgs, FilterArgs, InfoArgs, ReplayArgs, ReportFormat, StageArgs, TextFormat, VerifyArgs,
};
use crate::follow;
use crate::input::{Input, is_pipe, name};

/// Bytes that a file with stages may have.
const MAX_STAGES_BYTES: u64 = 1 << 20;

pub(crate) fn replay(args: &ReplayArgs) -> anyhow::Result<Done> {
    let filter = filter(&args.filter)?;
    if args.follow || (args.speed.is_none() && is_pipe(&args.file)) {
        return follow::follow(&args.file, &filter);
    }
    let input = Input::open(&args.file)?;
    let trace = open(&input, &args.file)?;
    let selection = Selection::new(&filter, &trace)?;
    let mut out = io::stdout().lock();
    let outcome = match args.speed {
        Some(speed) => analyzer_replay::replay_paced(&trace, &selection, speed, &mut out)?,
        None => analyzer_replay::replay(&trace, &selection, &mut out)?,
    };
    Ok(done(&args.file, &outcome))
}

pub(crate) fn analyze(args: &AnalyzeArgs) -> anyhow::Result<Done> {
    let input = Input::open(&args.file)?;
    let trace = open(&input, &args.file)?;
    let selection = Selection::new(&filter(&args.filter)?, &trace)?;
    let chosen = stages(&args.stages, &trace, &selection)?;
    if let Some(path) = &args.stages_out {
        fs::write(path, stage::write(&chosen.stages)).with_context(|| name(path))?;
    }
    let analysis = analysis::analyze(&trace, &selection, &chosen.stages, &mut ())?.chosen_by(chosen);
    let report = match args.format {
        ReportFormat::Text => screen::text(&analysis),
        ReportFormat::Json => screen::json(&analysis),
        ReportFormat::Markdown => screen::markdown(&analysis),
    };
    io::stdout().write_all(report.as_bytes())?;
    Ok(done(&args.file, &analysis.outcome).and(refused(&args.file, &analysis.refused)))
}

pub(crate) fn info(args: &InfoArgs) -> anyhow::Result<Done> {
    let input = Input::open(&args.file)?;
    let trace = open(&input, &args.file)?;
    let counts = args.counts.then(|| info::count(&trace));
    let report = match args.format {
        TextFormat::Text => info::text(&trace, counts.as_ref()),
        TextFormat::Json => info::json(&trace, counts.as_ref()),
    };
    io::stdout().write_all(report.as_bytes())?;
    // What is missing is part of the report.
    let outcome = counts.map_or_else(|| Outcome::of(&trace, &Selection::all()), |counts| counts.outcome);
    Ok(if outcome.is_lossy() { Done::Lossy } else { Done::All })
}

pub(crate) fn verify(args: &VerifyArgs) -> anyhow::Result<Done> {
    let input = Input::open(&args.file)?;
    let verification = verify::verify(input.bytes()).with_context(|| name(&args.file))?;
    let report = match args.format {
        TextFormat::Text => verification.text(),
        TextFormat::Json => verification.json(),
    };
    io::stdout().write_all(report.as_bytes())?;
    Ok(if verification.is_sound() { Done::All } else { Done::Lossy })
}

/// The stages that the user gave, else those of the trace, with keys.
pub(crate) fn stages(args: &StageArgs, trace: &Trace<'_>, selection: &Selection) -> anyhow::Result<Chosen> {
    Ok(choose_keys(trace, selection, &stage::choose(&given_stages(args)?, &trace.definitions)?))
}

/// Says for which stages there is no key.
pub(crate) fn refused(path: &Path, refused: &[Refused]) -> Done {
    if refused.is_empty() {
        return Done::All;
    }
    let names: Vec<_> = refused.iter().map(|refused| escape(&refused.stage.name)).collect();
    let stages = counted(refused.len() as u64, "stage");
    say!("{}: {stages} left out, as no key fits: {}", name(path), names.join(", "));
    Done::Lossy
}

/// The stages that the user gave.
pub(crate) fn given_stages(args: &StageArgs) -> anyhow::Result<Vec<Draft>> {
    let mut stages: Vec<Draft> =
        args.stages.iter().map(|text| text.parse()).collect::<tracer_analyzer::Result<_>>()?;
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

/// Opens the trace in `input`; an error names the file.
pub(crate) fn open<'a>(input: &'a Input, path: &Path) -> anyhow::Result<Trace<'a>> {
    Trace::open(input.bytes()).with_context(|| name(path))
}

/// What the user asked for.
pub(crate) fn filter(args: &FilterArgs) -> anyhow::Result<Filter> {
    fn all<T: std::str::FromStr<Err = tracer_analyzer::Error>>(
        texts: &[String],
    ) -> tracer_analyzer::Result<Vec<T>> {
        texts.iter().map(|text| text.parse()).collect()
    }
    fn one<T: std::str::FromStr<Err = tracer_analyzer::Error>>(
        text: Option<&String>,
    ) -> tracer_analyzer::Result<Option<T>> {
        text.map(|text| text.parse()).transpose()
    }
    Ok(Filter {
        probes: all(&args.events)?,
        pids: args.pids.clone(),
        programs: all(&args.programs)?,
        keys: one(args.seq.as_ref())?,
        from: one(args.from.as_ref())?,
        to: one(args.to.as_ref())?,
    })
}

/// Says what is missing, if anything is.
pub(crate) fn done(path: &Path, outcome: &Outcome) -> Done {
    match outcome.loss_text() {
        Some(text) => {
            say!("{}: {text}", name(path));
            Done::Lossy
        }
        None => Done::All,
    }
}
