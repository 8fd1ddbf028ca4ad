//! Adding a trace to a dataset.

use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use tracer_analyzer::tables::dataset::{
    self, Date, KnownRun, Label, MeasuredTrace, SharedTable, Suite, TraceName, recording_of,
};
use tracer_format::Trace;

use super::folder::{Dataset, paths_in};
use super::staging::{Staging, make_folder, sync};
use crate::file::input::name;

/// A trace that is to be added.
pub(crate) struct Addition<'t, 'a> {
    pub(crate) trace: &'t Trace<'a>,
    /// Bytes of its file.
    pub(crate) bytes: &'a [u8],
    pub(crate) label: Label,
    pub(crate) date: Date,
    pub(crate) suite: Suite,
}

/// Where a trace is in a dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Presence {
    /// It is there now.
    Added,
    /// It was there, with other folders or another commit maybe: nothing was changed.
    WasThere,
}

impl Dataset {
    /// Whether the trace is in the dataset.
    ///
    /// # Errors
    /// If an earlier or later state of the same recording is: its events would be there twice.
    pub(crate) fn has(&mut self, addition: &Addition<'_, '_>) -> anyhow::Result<bool> {
        let _lock = self.lock()?;
        self.holds(addition)
    }

    /// Adds the trace, of which `measured` is known.
    ///
    /// # Errors
    /// If something cannot be written; the trace is not in the dataset then.
    pub(crate) fn add(
        &mut self,
        addition: &Addition<'_, '_>,
        measured: &MeasuredTrace,
    ) -> anyhow::Result<Presence> {
        let lock = self.lock()?;
        let staging =
            Staging::begin(&self.own()).with_context(|| format!("cannot write to {}", name(&self.root)))?;
        drop(lock);
        self.write(addition, measured, &staging)
            .with_context(|| format!("cannot write to {}", name(&staging.folder)))?;
        let _lock = self.lock()?;
        if self.holds(addition)? {
            return Ok(Presence::WasThere);
        }
        self.place(addition, &staging).with_context(|| format!("cannot write to {}", name(&self.root)))?;
        Ok(Presence::Added)
    }

    /// Whether the trace is there; the lock is held.
    fn holds(&mut self, addition: &Addition<'_, '_>) -> anyhow::Result<bool> {
        let Addition { trace, bytes, label, date, .. } = addition;
        let recording = recording_of(trace);
        let begin_ns = trace.time_range().map(|(first_ns, _)| i64::try_from(first_ns).unwrap_or(i64::MAX));
        let of_recording = |run: &KnownRun| run.recording == recording && run.begin_ns == begin_ns;
        let mut state = None;
        for (file, run) in self.known(date)? {
            if run.trace == label.trace {
                return Ok(true);
            }
            // A file only grows: what is there begins it, or it has no end yet.
            let is_earlier = || {
                let begin = usize::try_from(run.bytes).ok().and_then(|bytes_then| bytes.get(..bytes_then));
                begin.is_some_and(|begin| TraceName::of(begin) == run.trace)
            };
            let is_later = !trace.complete && run.bytes > label.bytes;
            if of_recording(run) && (is_later || is_earlier()) {
                state = Some((if is_later { "a later" } else { "an earlier" }, file, &run.trace));
            }
        }
        if let Some((which, file, trace)) = state {
            bail!("{which} state of this recording is in the dataset, as {trace} in {}", name(file));
        }
        Ok(false)
    }

    /// Writes the files of a trace, which are on the disk then.
    fn write(
        &self,
        addition: &Addition<'_, '_>,
        measured: &MeasuredTrace,
        staging: &Staging,
    ) -> Result<(), tracer_analyzer::Error> {
        let mut files = Vec::new();
        for table in SharedTable::ALL {
            let file = staging.create(&file_name(&addition.label.trace, table))?;
            let mut out = BufWriter::with_capacity(1 << 18, file);
            dataset::write(addition.trace, measured, &addition.label, table, &mut out)?;
            files.push(out.into_inner().map_err(io::IntoInnerError::into_error)?);
        }
        Ok(sync(&files)?)
    }

    /// Puts the files of a trace in their places, that of `runs` when the others are there for good; the lock is held.
    fn place(&self, addition: &Addition<'_, '_>, staging: &Staging) -> io::Result<()> {
        let (runs, others) = SharedTable::ALL.split_last().expect("there are tables");
        for tables in [others, &[*runs]] {
            let mut folders = Vec::new();
            for &table in tables {
                let of_day = self.folder(table, Some(&addition.date));
                let folder = of_day.join(format!("suite={}", addition.suite));
                let path = folder.join(format!("{}.parquet", addition.label.trace));
                remove_left(&of_day, &path)?;
                make_folder(&folder)?;
                fs::rename(staging.folder.join(file_name(&addition.label.trace, table)), &path)?;
                folders.extend([folder, of_day, self.folder(table, None)]);
            }
            folders.extend([self.root.clone(), self.root.join("..")]);
            let folders: Vec<File> = folders.iter().map(File::open).collect::<io::Result<_>>()?;
            sync(&folders)?;
        }
        Ok(())
    }
}

/// Removes what a process that was killed left of the trace in other suites of the day.
fn remove_left(of_day: &Path, path: &Path) -> io::Result<()> {
    let Some(file) = path.file_name() else { return Ok(()) };
    let others = paths_in(of_day)?.into_iter().map(|suite| suite.join(file)).filter(|other| other != path);
    others.filter(|other| other.exists()).try_for_each(fs::remove_file)
}

/// Name of the file of a table while it is written.
fn file_name(trace: &TraceName, table: SharedTable) -> String {
    format!("{trace}.{}", table.name())
}

/// The file at `path`, to be read.
pub(super) fn open(path: &PathBuf) -> anyhow::Result<File> {
    File::open(path).with_context(|| name(path))
}
