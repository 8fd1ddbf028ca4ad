//! The files of a recording: one, or with `--rotate` and `--last` one after the other.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tracer_recorder::write::sink::Open;

use crate::cli::RecordArgs;
use crate::file::output::{Output, Place};

/// The files that a recording has opened so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Opened(Arc<AtomicU32>);

impl Opened {
    /// How many they are.
    pub(super) fn count(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }

    /// Those that are there still.
    pub(super) fn paths(&self, args: &RecordArgs) -> Vec<PathBuf> {
        (0..self.count()).map(|part| numbered(&args.output, part)).filter(|path| path.exists()).collect()
    }
}

/// Opens the files of a recording: the first is there already, later ones have a number.
pub(super) fn files<'a>(args: &RecordArgs, first: Output, opened: Opened) -> Open<'a> {
    let (path, force, sync, keep) = (args.output.clone(), args.force, args.sync, args.keep);
    // A snapshot is written in one go; a further file is part of a recording that has begun.
    let place = if args.last.is_some() { Place::AtEnd } else { Place::AtFlush };
    let (mut first, is_snapshot) = (Some(first), args.last.is_some());
    Box::new(move |part| {
        let output = match first.take() {
            Some(output) if is_snapshot => output.placed(place),
            Some(output) => output,
            None => {
                let output = Output::create(&numbered(&path, part), force, &[]).map_err(io::Error::other)?;
                output.synced(sync).placed(place)
            }
        };
        opened.0.store(part + 1, Ordering::Relaxed);
        if let Some(old) = keep.and_then(|keep| part.checked_sub(keep)) {
            // It may be gone already.
            let _ = std::fs::remove_file(numbered(&path, old));
        }
        Ok(Box::new(output) as Box<dyn Write + Send>)
    })
}

/// `run.trace`, `run.1.trace`, `run.2.trace` and so on.
fn numbered(path: &Path, part: u32) -> PathBuf {
    if part == 0 {
        return path.to_owned();
    }
    match path.extension() {
        Some(extension) => path.with_extension(format!("{part}.{}", extension.to_string_lossy())),
        None => path.with_extension(part.to_string()),
    }
}
