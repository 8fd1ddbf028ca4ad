//! `tracer list`: the USDT probes of running processes or of a file; the presets.

use std::io::{self, Write};

use tracer_analyzer::stage::{PRESETS, Preset};
use tracer_format::log::{escape, skipped_text};
use tracer_recorder::find::discover::{self, Discovery, Filter};
use tracer_recorder::find::{list, unmatched};

use crate::cli::{ListArgs, names_and_files};
use crate::done::Done;
use crate::file::presets;

pub(crate) fn list(args: &ListArgs) -> anyhow::Result<Done> {
    let mut out = io::stdout().lock();
    match &args.presets {
        Some(Some(name)) => {
            out.write_all(presets::source(name)?.0.as_bytes())?;
            return Ok(Done::All);
        }
        Some(None) => return list_presets(&mut out),
        None => {}
    }
    if let Some(path) = &args.file {
        let (binary, problem) = discover::file(path, &args.events)?;
        match &binary {
            Some(binary) => list::write(&mut out, binary, &[])?,
            None => say!("{}: no matching USDT probe", escape(&path.to_string_lossy())),
        }
        return Ok(finish(problem.as_slice()));
    }
    unmatched::pids(&args.pids)?;
    let (programs, files) = names_and_files(&args.programs)?;
    unmatched::files(&files, &args.events)?;
    let filter = Filter { requests: args.events.clone(), pids: args.pids.clone(), programs, files };
    let scan = Discovery::new(filter).scan_settled();
    for found in &scan.found {
        list::write(&mut out, &found.binary, &found.pids)?;
    }
    out.flush()?;
    if scan.found.is_empty() {
        say!("no running process has a matching USDT probe");
    }
    let skipped: Vec<String> = scan.skipped.iter().map(skipped_text).chain(scan.notes).collect();
    Ok(finish(&skipped))
}

/// Lists the presets in the binary and the user's own, each with its title.
fn list_presets(out: &mut impl Write) -> anyhow::Result<Done> {
    let own = presets::own();
    let mut done = Done::All;
    for (name, path) in &own {
        match presets::find(name) {
            Ok(preset) => {
                writeln!(out, "{name:<12}{} ({})", escape(&preset.title), escape(&path.to_string_lossy()))?
            }
            Err(error) => {
                say!("{error:#}");
                done = Done::Lossy;
            }
        }
    }
    for (name, text) in PRESETS.iter().filter(|(name, _)| !own.iter().any(|(own, _)| own == name)) {
        writeln!(out, "{name:<12}{}", Preset::parse(text)?.title)?;
    }
    Ok(done)
}

/// Says what was skipped.
fn finish(problems: &[String]) -> Done {
    for problem in problems {
        say!("skipped: {problem}");
    }
    if problems.is_empty() { Done::All } else { Done::Lossy }
}
