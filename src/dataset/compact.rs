//! Making few large files of many small ones.
//!
//! Engines read a folder's list of files first, and the files later. So the files of a folder are never replaced one by one: a new folder
//! with the same rows is made beside it, and the two change places in one step. A reader has the old list or the new one.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use tracer_analyzer::tables::dataset::{Date, SharedTable, TraceName, concatenate};

use super::add::open;
use super::folder::{Dataset, paths_in};
use super::staging::{Staging, sync};
use crate::file::input::name;

/// Size of a file from which on it stays as it is, bytes.
const LARGE_BYTES: u64 = 128 << 20;
/// Bytes of the files that become one, at most.
const MERGED_BYTES: u64 = 256 << 20;
/// What the names of files begin with that were made of several.
const MERGED: &str = "merged-";

/// What was done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Merged {
    /// Files that went.
    pub(crate) files: u64,
    /// Files that came instead.
    pub(crate) into: u64,
}

impl Dataset {
    /// Merges small files; the rows stay the same.
    ///
    /// # Errors
    /// If something cannot be written, or the file system cannot exchange folders.
    pub(crate) fn compact(&mut self) -> anyhow::Result<Merged> {
        let mut merged = Merged::default();
        for table in SharedTable::ALL {
            for day in paths_in(&self.folder(table, None)).with_context(|| name(&self.root))? {
                let Some(date) = date_of(&day) else { continue };
                for suite in paths_in(&day).with_context(|| name(&day))? {
                    let _lock = self.lock()?;
                    let of_suite = self.compact_folder(table, &date, &suite);
                    let of_suite =
                        of_suite.with_context(|| format!("cannot merge the files in {}", name(&suite)))?;
                    merged.files += of_suite.files;
                    merged.into += of_suite.into;
                }
            }
        }
        Ok(merged)
    }

    /// Merges the small files of a folder; the lock is held.
    fn compact_folder(&mut self, table: SharedTable, date: &Date, folder: &Path) -> anyhow::Result<Merged> {
        let known: HashSet<String> = self.known(date)?.iter().map(|(_, run)| run.trace.to_string()).collect();
        let files = paths_in(folder)?;
        let groups = groups(&files, &known)?;
        if groups.is_empty() {
            return Ok(Merged::default());
        }
        let staging = Staging::begin(&self.own())?;
        let new = staging.folder.join("folder");
        fs::create_dir(&new)?;
        fs::set_permissions(&new, fs::metadata(folder)?.permissions())?;
        crate::file::output::owner::hand_over(&new);
        for group in &groups {
            write_merged(table, group, &staging, &new)?;
        }
        let gone: HashSet<&PathBuf> = groups.iter().flatten().collect();
        for file in files.iter().filter(|file| !gone.contains(file)) {
            ensure!(file.is_file(), "{} is there, which is no file of a dataset", name(file));
            fs::hard_link(file, new.join(file.file_name().unwrap_or_default()))?;
        }
        sync(&[File::open(&new)?])?;
        exchange(&new, folder).context("the file system cannot exchange two folders")?;
        let above = folder.parent().unwrap_or(folder);
        sync(&[File::open(above)?])?;
        Ok(Merged { files: gone.len() as u64, into: groups.len() as u64 })
    }
}

/// Has two folders change places, in one step.
#[cfg(any(target_os = "linux", target_os = "macos"))]
fn exchange(one: &Path, other: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    Ok(renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)?)
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
fn exchange(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// The files that are to become one, several times. What a kill left of a trace that is not in the dataset is not among them.
fn groups(files: &[PathBuf], known: &HashSet<String>) -> anyhow::Result<Vec<Vec<PathBuf>>> {
    let mut groups = vec![(Vec::new(), 0)];
    for file in files {
        let stem = file.file_stem().unwrap_or_default().to_string_lossy();
        let is_table = file.extension().is_some_and(|extension| extension == "parquet");
        let bytes = fs::metadata(file)?.len();
        if !is_table || !(stem.starts_with(MERGED) || known.contains(&*stem)) || bytes >= LARGE_BYTES {
            continue;
        }
        let (group, so_far) = groups.last_mut().context("there is one")?;
        if *so_far + bytes <= MERGED_BYTES {
            group.push(file.clone());
            *so_far += bytes;
        } else {
            groups.push((vec![file.clone()], bytes));
        }
    }
    Ok(groups.into_iter().map(|(group, _)| group).filter(|group| group.len() > 1).collect())
}

/// Writes the rows of the files to one of the folder `new`.
fn write_merged(table: SharedTable, group: &[PathBuf], staging: &Staging, new: &Path) -> anyhow::Result<()> {
    let names: Vec<u8> = group.iter().flat_map(|file| file.as_os_str().as_encoded_bytes()).copied().collect();
    let target = format!("{MERGED}{}.parquet", TraceName::of(&names));
    let files: Vec<File> = group.iter().map(open).collect::<anyhow::Result<_>>()?;
    let mut out = BufWriter::with_capacity(1 << 18, staging.create(&target)?);
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    concatenate(table, files, processors, &mut out)?;
    out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
    Ok(fs::rename(staging.folder.join(&target), new.join(&target))?)
}

/// The day that a folder is of.
fn date_of(folder: &Path) -> Option<Date> {
    folder.file_name()?.to_str()?.strip_prefix("date=")?.parse().ok()
}
