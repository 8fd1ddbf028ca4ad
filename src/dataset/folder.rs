//! The folder of a dataset: what is in it, and the lock that those who change it hold.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use tracer_analyzer::tables::dataset::{Date, KnownRun, SharedTable};

use super::staging::{Staging, make_folder};
use crate::file::input::name;
use crate::file::output::owner;

/// The version of the layout, which stands in the dataset.
const VERSION: &str = "1\n";
/// Where files are written, below the dataset.
const OWN: &str = ".tracer";

/// A dataset.
#[derive(Debug)]
pub(crate) struct Dataset {
    pub(super) root: PathBuf,
    /// What files of the table `runs` hold, of those that were read.
    read: HashMap<PathBuf, Vec<KnownRun>>,
}

impl Dataset {
    /// Opens the dataset in the folder `root`, or begins one if there is no folder or an empty one.
    ///
    /// # Errors
    /// If the folder has something else in it, or may not be written to.
    pub(crate) fn open(root: &Path) -> anyhow::Result<Self> {
        let text = name(root);
        let dataset = Self { root: root.to_owned(), read: HashMap::new() };
        dataset.begin().with_context(|| format!("cannot open the dataset {text}"))?;
        let lock = dataset.lock()?;
        dataset.check_version().with_context(|| text.clone())?;
        for left in paths_in(&dataset.own()).with_context(|| text)? {
            Staging::remove_if_left(&left);
        }
        drop(lock);
        Ok(dataset)
    }

    /// Whether a dataset is in the folder `root`.
    pub(crate) fn is_in(root: &Path) -> bool {
        root.join(OWN).join("version").exists()
    }

    fn begin(&self) -> anyhow::Result<()> {
        if !self.root.exists() {
            let above = self.root.ancestors().find(|above| above.exists()).unwrap_or(Path::new("."));
            owner::check_way(above)?;
            make_folder(&self.root)?;
        }
        ensure!(self.root.is_dir(), "it is no folder");
        owner::check(&self.root)?;
        if !self.own().exists() {
            let is_empty = fs::read_dir(&self.root)?.next().is_none();
            // Another process may have begun it since.
            ensure!(
                is_empty || self.own().exists(),
                "expected a new or empty folder, or one that has a dataset"
            );
            make_folder(&self.own())?;
        }
        Ok(())
    }

    fn check_version(&self) -> anyhow::Result<()> {
        let path = self.own().join("version");
        match fs::read_to_string(&path) {
            Ok(version) if version == VERSION => Ok(()),
            Ok(version) => bail!(
                "the dataset has version {:?}, this tracer knows {}",
                version.trim_end(),
                VERSION.trim_end()
            ),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let draft = self.own().join("version.new");
                let mut file = File::create(&draft)?;
                file.write_all(VERSION.as_bytes())?;
                file.sync_all()?;
                owner::hand_over(&draft);
                Ok(fs::rename(draft, path)?)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Where files are written.
    pub(super) fn own(&self) -> PathBuf {
        self.root.join(OWN)
    }

    /// Waits until no other process changes the dataset; what is returned keeps others from it.
    pub(super) fn lock(&self) -> anyhow::Result<File> {
        let path = self.own().join("lock");
        let lock = || {
            let file = File::options().create(true).truncate(false).write(true).open(&path)?;
            owner::hand_over(&path);
            file.lock().map(|()| file)
        };
        lock().with_context(|| format!("cannot lock {}", name(&path)))
    }

    /// The folder of a table, or of what begins on a day.
    pub(super) fn folder(&self, table: SharedTable, date: Option<&Date>) -> PathBuf {
        let table = self.root.join(table.name());
        date.map_or_else(|| table.clone(), |date| table.join(format!("date={date}")))
    }

    /// The traces of a day, with the files of the table `runs` that have them; the lock is held.
    pub(super) fn known(&mut self, date: &Date) -> anyhow::Result<Vec<(&Path, &KnownRun)>> {
        let mut files = Vec::new();
        for suite in paths_in(&self.folder(SharedTable::Runs, Some(date)))? {
            files.extend(tables_in(&suite)?);
        }
        for file in &files {
            if !self.read.contains_key(file) {
                let runs = File::open(file).map_err(Into::into).and_then(KnownRun::read);
                self.read.insert(file.clone(), runs.with_context(|| name(file))?);
            }
        }
        let read = files.iter().filter_map(|file| self.read.get_key_value(file));
        Ok(read.flat_map(|(file, runs)| runs.iter().map(move |run| (file.as_path(), run))).collect())
    }
}

/// What is in a folder, by name; nothing if there is none.
pub(super) fn paths_in(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let found = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        found => found?,
    };
    let mut paths = found.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

/// The Parquet files in a folder, by name.
pub(super) fn tables_in(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = paths_in(folder)?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "parquet"));
    Ok(paths)
}
