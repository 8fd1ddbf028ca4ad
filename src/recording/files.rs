//! The files of a recording: one, or with `--rotate` and `--last` one after the other.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex, PoisonError};

use tracer_recorder::write::sink::Open;

use crate::cli::RecordArgs;
use crate::file::output::{Output, Place, Placed};

/// The files that a recording has opened so far: where they stand, or `None` for what is no file of its own.
#[derive(Debug, Clone, Default)]
pub(crate) struct Opened(Arc<Mutex<Vec<Option<Placed>>>>);

impl Opened {
    fn with<T>(&self, look: impl FnOnce(&mut Vec<Option<Placed>>) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// How many they are.
    pub(super) fn count(&self) -> usize {
        self.with(|all| all.len())
    }

    /// Those that are there still.
    pub(super) fn paths(&self) -> Vec<PathBuf> {
        self.with(|all| all.iter().flatten().filter_map(Placed::path).map(PathBuf::from).collect())
    }

    /// Removes them.
    pub(crate) fn remove(&self) -> io::Result<()> {
        self.with(|all| all.iter().flatten().try_for_each(|placed| placed.remove().map(drop)))
    }

    fn forget(&self, part: usize) {
        // It may be gone already.
        let _ = self.with(|all| all.get(part).cloned().flatten()).map(|placed| placed.remove());
    }
}

/// Opens the files of a recording: the first is there already, later ones have a number.
pub(super) fn files<'a>(args: &RecordArgs, first: Output, opened: Opened) -> Open<'a> {
    let (path, force, sync, keep) = (args.output.clone(), args.force, args.sync, args.keep);
    // A snapshot is written in one go; a further file is part of a recording that has begun.
    let place = if args.last.is_some() { Place::AtEnd } else { Place::AtFlush };
    let (mut first, is_snapshot) = (Some(first), args.last.is_some());
    let next = Arc::new(AtomicU32::new(1));
    Box::new(move |part| {
        let output = match first.take() {
            Some(output) if is_snapshot => output.placed(place),
            Some(output) => output,
            None => {
                let output = Output::create_next(&path, force, &next).map_err(io::Error::other)?;
                output.synced(sync).placed(place)
            }
        };
        opened.with(|all| all.push(output.whereabouts()));
        if let Some(old) = keep.and_then(|keep| part.checked_sub(keep)) {
            opened.forget(old as usize);
        }
        Ok(Box::new(output) as Box<dyn Write + Send>)
    })
}

/// Opens those `files`, if there are any, so that `taker` gets the bytes too; it takes those of one file.
pub(super) fn seen<'a>(mut files: Option<Open<'a>>, taker: Option<Box<dyn Write + Send>>) -> Open<'a> {
    let mut taker = match (taker, files) {
        (None, Some(files)) => return files,
        (taker, opening) => {
            files = opening;
            taker
        }
    };
    Box::new(move |part| {
        let taker = taker.take().ok_or_else(|| io::Error::other("one file is looked at"))?;
        Ok(match &mut files {
            Some(open) => Box::new(Both { file: open(part)?, taker }),
            None => taker,
        })
    })
}

/// Writes to a file, and then what was written to something else as well.
struct Both<'a> {
    file: Box<dyn Write + Send + 'a>,
    taker: Box<dyn Write + Send>,
}

impl Write for Both<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.taker.write_all(&bytes[..written])?;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()?;
        self.taker.flush()
    }
}
