//! The files of a recording: one, or with `--rotate` and `--last` one after the other.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tracer_recorder::write::sink::Open;

use crate::cli::RecordArgs;
use crate::file::output::{Output, Place};

/// Opens the files of a recording: the first is there already, later ones have a number.
pub(super) fn files<'a>(args: &RecordArgs, first: Output) -> Open<'a> {
    let (path, force, sync, keep) = (args.output.clone(), args.force, args.sync, args.keep);
    // A snapshot is written in one go; a further file is part of a recording that has begun.
    let place = if args.last.is_some() { Place::AtEnd } else { Place::AtFlush };
    let mut first = Some(if args.last.is_some() { first.placed(place) } else { first });
    Box::new(move |part| {
        let output = match first.take() {
            Some(output) => output,
            None => {
                let output = Output::create(&numbered(&path, part), force, &[]).map_err(io::Error::other)?;
                output.synced(sync).placed(place)
            }
        };
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
