//! `tracer replay` of a trace that is still coming: `--follow FILE`, and what comes out of a pipe.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use signal_hook::consts::SIGINT;
use tracer_analyzer::Filter;
use tracer_analyzer::replay::Live;
use tracer_format::Rest;

use crate::done::Done;
use crate::file::growing::{Growing, Look, wait_for};
use crate::file::input::name;
use crate::file::trace;

/// Prints the selected events of the trace at `path` until it is finished, the pipe ends, or Ctrl-C.
pub(crate) fn follow(path: &Path, filter: &Filter) -> anyhow::Result<Done> {
    let interrupted = Arc::new(AtomicBool::new(false));
    catch_interrupt(&interrupted)?;
    let Some(file) = wait_for(path, &interrupted)? else { return Ok(Done::All) };
    let name = name(path);
    let is_file = file.metadata().with_context(|| name.clone())?.is_file();
    let mut source = if is_file { Growing::file(file, true) } else { Growing::pipe(file) };
    let mut out = io::stdout().lock();
    let mut live = Live::new(filter);
    let mut told = false;
    loop {
        let rest = match source.next().with_context(|| name.clone())? {
            Look::Bytes(bytes) => {
                live.push(bytes);
                Rest::Comes
            }
            Look::Nothing => Rest::Waits,
            Look::End => break,
        };
        live.write(rest, &mut out).map_err(|error| of(error, &name))?;
        if interrupted.load(Ordering::Relaxed) && !is_file && !told {
            told = true;
            say!("reading on to the end of the pipe; Ctrl-C again ends at once");
        }
        if is_file && (live.is_complete() || interrupted.load(Ordering::Relaxed)) {
            break;
        }
    }
    let disordered = live.disordered();
    let mut outcome = live.finish(&mut out).map_err(|error| of(error, &name))?;
    if disordered > 0 {
        say!(
            "{name}: {disordered} events stand behind later ones: blocks overlap, and a stream cannot be sorted; replay a file for the order of time"
        );
    }
    // A user who ends the following of a file knows that the recording goes on.
    outcome.incomplete &= !(is_file && interrupted.load(Ordering::Relaxed));
    Ok(trace::done(path, &outcome))
}

/// An error of the trace names it; that of the output does not.
fn of(error: tracer_analyzer::Error, name: &str) -> anyhow::Error {
    let is_format = matches!(error, tracer_analyzer::Error::Format(_));
    let error = anyhow::Error::from(error);
    if is_format { error.context(name.to_owned()) } else { error }
}

/// Has the first Ctrl-C set `interrupted`, and the second one end the process. A recorder in front of our pipe gets it,
/// too, and has its end to write then.
fn catch_interrupt(interrupted: &Arc<AtomicBool>) -> io::Result<()> {
    signal_hook::flag::register_conditional_default(SIGINT, Arc::clone(interrupted))?;
    signal_hook::flag::register(SIGINT, Arc::clone(interrupted))?;
    Ok(())
}
