//! Traces that are read while they come: out of a pipe, or out of a file that grows.
//!
//! A followed file is read, never mapped: it may be cut short under our feet. It is looked at every [`POLL`], which costs
//! next to nothing and works on every file system.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

use anyhow::Context;

use super::input::{self, name};

/// A writer that writes nothing for so long has written all of a flush.
const POLL: Duration = Duration::from_millis(50);
/// Bytes that are read at once.
const READ_BYTES: usize = 1 << 18;
/// Reads from a pipe that may wait to be used.
const READS: usize = 4;
/// Polls after which a file that is no longer at its path is given up: only a process that still has it open could finish it.
const GONE_POLLS: u32 = 40;

/// Opens `path`, as soon as it exists; `None` if Ctrl-C comes first.
pub(crate) fn wait_for(path: &Path, interrupted: &AtomicBool) -> anyhow::Result<Option<File>> {
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
pub(crate) enum Look<'s> {
    Bytes(&'s [u8]),
    /// Nothing for a while.
    Nothing,
    End,
}

/// Where bytes come from.
pub(crate) enum Growing {
    File { file: File, bytes: Vec<u8>, position: u64, polls: u32, grows: bool },
    Pipe { reads: Receiver<io::Result<Vec<u8>>>, bytes: Vec<u8> },
}

impl Growing {
    /// What is in a file, to its end; that is where its writer comes to an end, if `grows`.
    pub(crate) fn file(file: File, grows: bool) -> Self {
        Self::File { file, bytes: vec![0; READ_BYTES], position: 0, polls: 0, grows }
    }

    /// Reads on a thread of its own: a pipe that rests must not keep what came before it from being printed.
    pub(crate) fn pipe(mut pipe: File) -> Self {
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
        Self::of(reads)
    }

    /// What another thread reads, or makes.
    pub(crate) fn of(reads: Receiver<io::Result<Vec<u8>>>) -> Self {
        Self::Pipe { reads, bytes: Vec::new() }
    }

    /// What comes next; waits a little if that is nothing.
    pub(crate) fn next(&mut self) -> anyhow::Result<Look<'_>> {
        match self {
            Self::Pipe { reads, bytes } => match reads.recv_timeout(POLL) {
                Ok(read) => {
                    *bytes = read?;
                    Ok(Look::Bytes(bytes))
                }
                Err(RecvTimeoutError::Timeout) => Ok(Look::Nothing),
                Err(RecvTimeoutError::Disconnected) => Ok(Look::End),
            },
            Self::File { file, bytes, position, polls, grows } => {
                let mut len = file.read(bytes)?;
                if len == 0 && !*grows {
                    return Ok(Look::End);
                }
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
