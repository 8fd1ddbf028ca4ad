//! `tracer replay` of a trace that is still coming: `--follow FILE`, and what comes out of a pipe.
//!
//! A followed file is read, never mapped: it may be cut short under our feet. It is looked at every [`POLL`], which costs
//! next to nothing and works on every file system.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

use anyhow::Context;
use signal_hook::consts::SIGINT;
use tracer_analyzer::Filter;
use tracer_analyzer::replay::Live;
use tracer_format::Rest;

use crate::done::Done;
use crate::file::input::{self, name};
use crate::file::trace;

/// A writer that writes nothing for so long has written all of a flush.
const POLL: Duration = Duration::from_millis(50);
/// Bytes that are read at once.
const READ_BYTES: usize = 1 << 18;
/// Reads from a pipe that may wait to be printed.
const READS: usize = 4;
/// Polls after which a file that is no longer at its path is given up: only a process that still has it open could finish it.
const GONE_POLLS: u32 = 40;

/// Prints the selected events of the trace at `path` until it is finished, the pipe ends, or Ctrl-C.
pub(crate) fn follow(path: &Path, filter: &Filter) -> anyhow::Result<Done> {
    let interrupted = Arc::new(AtomicBool::new(false));
    catch_interrupt(&interrupted)?;
    let Some(file) = wait_for(path, &interrupted)? else { return Ok(Done::All) };
    let name = name(path);
    let is_file = file.metadata().with_context(|| name.clone())?.is_file();
    let mut source = if is_file { Source::file(file) } else { Source::pipe(file) };
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

/// Opens `path`, as soon as it exists; `None` if Ctrl-C comes first.
fn wait_for(path: &Path, interrupted: &AtomicBool) -> anyhow::Result<Option<File>> {
    let mut told = false;
    while !interrupted.load(Ordering::Relaxed) {
        match input::open(path) {
            Ok(file) => {
                let is_folder = file.metadata().is_ok_and(|facts| facts.is_dir());
                anyhow::ensure!(!is_folder, "{} is a directory, expected a file", name(path));
                return Ok(Some(file));
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| format!("cannot open {}", name(path))),
        }
        if !told {
            told = true;
            say!("{} does not exist yet, waiting for it", name(path));
        }
        thread::sleep(POLL);
    }
    Ok(None)
}

/// What a look at a source gives.
enum Look<'s> {
    Bytes(&'s [u8]),
    /// Nothing for a while.
    Nothing,
    End,
}

/// Where bytes come from.
enum Source {
    File { file: File, bytes: Vec<u8>, position: u64, polls: u32 },
    Pipe { reads: Receiver<io::Result<Vec<u8>>>, bytes: Vec<u8> },
}

impl Source {
    fn file(file: File) -> Self {
        Self::File { file, bytes: vec![0; READ_BYTES], position: 0, polls: 0 }
    }

    /// Reads on a thread of its own: a pipe that rests must not keep what came before it from being printed.
    fn pipe(mut pipe: File) -> Self {
        let (sender, reads) = sync_channel(READS);
        thread::spawn(move || {
            let mut bytes = vec![0; READ_BYTES];
            loop {
                let read = match pipe.read(&mut bytes) {
                    Ok(0) => return,
                    Ok(len) => Ok(bytes[..len].to_vec()),
                    Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                    Err(error) => Err(error),
                };
                let failed = read.is_err();
                if sender.send(read).is_err() || failed {
                    return;
                }
            }
        });
        Self::Pipe { reads, bytes: Vec::new() }
    }

    fn next(&mut self) -> anyhow::Result<Look<'_>> {
        match self {
            Self::Pipe { reads, bytes } => match reads.recv_timeout(POLL) {
                Ok(read) => {
                    *bytes = read?;
                    Ok(Look::Bytes(bytes))
                }
                Err(RecvTimeoutError::Timeout) => Ok(Look::Nothing),
                Err(RecvTimeoutError::Disconnected) => Ok(Look::End),
            },
            Self::File { file, bytes, position, polls } => {
                let mut len = file.read(bytes)?;
                if len == 0 {
                    thread::sleep(POLL);
                    len = file.read(bytes)?;
                }
                *position += len as u64;
                if len > 0 {
                    *polls = 0;
                    return Ok(Look::Bytes(&bytes[..len]));
                }
                let facts = file.metadata()?;
                anyhow::ensure!(
                    facts.len() >= *position,
                    "it was cut to {} bytes while it was followed, {position} were read",
                    facts.len()
                );
                *polls = if is_gone(&facts) { *polls + 1 } else { 0 };
                anyhow::ensure!(
                    *polls < GONE_POLLS,
                    "it was removed or replaced before its end was written; {position} bytes were read"
                );
                Ok(Look::Nothing)
            }
        }
    }
}

/// Whether the file has no name any more.
fn is_gone(facts: &std::fs::Metadata) -> bool {
    std::os::unix::fs::MetadataExt::nlink(facts) == 0
}
