//! `tracer list`: the USDT probes of running processes or of a file.

use std::io::{self, Write};

use tracer_recorder::find::discover::{self, Discovery, Filter};
use tracer_recorder::find::{list, pattern};

use crate::Done;
use crate::cli::{ListArgs, Usage};

pub(crate) fn list(args: &ListArgs) -> anyhow::Result<Done> {
    let usage = |error: tracer_recorder::Error| Usage(error.to_string());
    let requests: Result<Vec<pattern::Request>, _> = args.events.iter().map(|text| text.parse()).collect();
    let requests = requests.map_err(usage)?;
    let mut out = io::stdout().lock();
    if let Some(path) = &args.file {
        let (binary, problem) = discover::file(path, &requests)?;
        match &binary {
            Some(binary) => list::write(&mut out, binary, &[])?,
            None => say!("{}: no matching USDT probe", path.display()),
        }
        return Ok(finish(problem.as_slice()));
    }
    let programs: Result<Vec<_>, _> = args.programs.iter().map(|text| pattern::program(text)).collect();
    let filter = Filter { requests, pids: args.pids.clone(), programs: programs.map_err(usage)? };
    let scan = Discovery::new(filter).scan_settled();
    for found in &scan.found {
        list::write(&mut out, &found.binary, &found.pids)?;
    }
    out.flush()?;
    if scan.found.is_empty() {
        say!("no running process has a matching USDT probe");
    }
    Ok(finish(&scan.problems))
}

/// Says what was skipped.
fn finish(problems: &[String]) -> Done {
    for problem in problems {
        say!("skipped: {problem}");
    }
    if problems.is_empty() { Done::All } else { Done::Lossy }
}
