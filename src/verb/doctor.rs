//! `tracer doctor`: whether this machine can record, one line for each check.

use std::io::{self, Write};
use std::process::Command;

use anyhow::bail;
use serde_json::json;
use tracer_analyzer::report::PlainJson;
use tracer_recorder::doctor::{self, Check, Verdict};

use crate::cli::{DoctorArgs, TextFormat};
use crate::done::Done;

/// Version of the JSON form; it grows when a member changes its meaning or goes away, not when one is added.
const VERSION: u32 = 1;

pub(crate) fn doctor(args: &DoctorArgs) -> anyhow::Result<Done> {
    if let Some(form) = &args.fire {
        return Ok(doctor::fire(form).map(|()| Done::All)?);
    }
    let checks = doctor::examine(&|| {
        // The very file whose sites are attached, even when there is another one at its path meanwhile.
        let mut child = Command::new("/proc/self/exe");
        child.args(["doctor", "--fire"]);
        child
    });
    let worst = checks.iter().map(|check| check.verdict).max().unwrap_or(Verdict::Ok);
    let mut out = io::stdout().lock();
    match args.format {
        TextFormat::Text => write_text(&mut out, &checks)?,
        TextFormat::Json => write_json(&mut out, &checks, worst)?,
    }
    out.flush()?;
    let count = checks.iter().filter(|check| check.verdict == worst).count();
    let plural = if count == 1 { "" } else { "s" };
    match worst {
        Verdict::Problem => bail!("this machine cannot record: {count} problem{plural}"),
        Verdict::Limit => {
            say!("this machine can record, but not everything: {count} limit{plural}");
            Ok(Done::Lossy)
        }
        Verdict::Note | Verdict::Ok => {
            say!("this machine can record");
            Ok(Done::All)
        }
    }
}

fn write_text(out: &mut dyn Write, checks: &[Check]) -> io::Result<()> {
    let width = checks.iter().map(|check| check.name.len()).max().unwrap_or(0);
    for Check { name, verdict, found, advice } in checks {
        write!(out, "{verdict:<7}  {name:<width$}  {found}")?;
        match advice {
            Some(advice) => writeln!(out, "; {advice}")?,
            None => writeln!(out)?,
        }
    }
    Ok(())
}

fn write_json(out: &mut dyn Write, checks: &[Check], worst: Verdict) -> io::Result<()> {
    let checks: Vec<_> = checks
        .iter()
        .map(|check| {
            json!({
                "name": check.name,
                "verdict": check.verdict.to_string(),
                "found": check.found,
                "advice": check.advice,
            })
        })
        .collect();
    let document = json!({ "version": VERSION, "verdict": worst.to_string(), "checks": checks });
    serde_json::to_writer_pretty(PlainJson(&mut *out), &document)?;
    writeln!(out)
}
