//! A folder of files that is written beside its place, and takes it when it is whole.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use anyhow::Context;
use rustix::fs::FileType;

use super::spot::{self, Spot};
use super::{MAX_NAMES, left};
use crate::file::input;

/// A folder that is written beside the one whose place it is to take.
#[derive(Debug)]
pub(crate) struct NewFolder {
    files: OwnedFd,
    names: BTreeSet<String>,
    /// Its own name, until it is in its place.
    own: Option<Spot>,
    target: Spot,
    /// Whether a folder stands in its place.
    replaces: bool,
}

impl NewFolder {
    /// Begins a folder that is to stand at `path`. One that is there is replaced if `force` is given and it has no files but those that
    /// `is_own` knows.
    ///
    /// # Errors
    /// If something else is there, or it cannot be made.
    pub(crate) fn create(path: &Path, force: bool, is_own: fn(&str) -> bool) -> anyhow::Result<Self> {
        let name = input::name(path);
        let failed = || format!("cannot create {name}");
        let target = Spot::of(&without_slash(path)).with_context(failed)?;
        let old = target.facts().with_context(failed)?;
        if let Some(facts) = &old {
            anyhow::ensure!(
                spot::kind(facts) == FileType::Directory,
                "{name} is a file, expected a folder name"
            );
            anyhow::ensure!(force, "{name} exists; give --force to replace it, or another -o");
            anyhow::ensure!(
                spot::is_trusted(facts.st_uid),
                "{name} is a folder of another user (uid {}), expected a name that is free",
                facts.st_uid
            );
            let others =
                target.names().with_context(failed)?.into_iter().find(|it| !it.to_str().is_some_and(is_own));
            if let Some(other) = others {
                let other = tracer_format::log::escape(&other.to_string_lossy()).into_owned();
                anyhow::bail!("{name} holds something else, {other}; expected another -o");
            }
        }
        let (own, files) = draft(&target).with_context(failed)?;
        Ok(Self { files, names: BTreeSet::new(), own: Some(own), target, replaces: old.is_some() })
    }

    /// Adds bytes at the end of one of its files.
    ///
    /// # Errors
    /// If the system refuses.
    pub(crate) fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let is_new = !self.names.contains(name);
        let open = if is_new { spot::create } else { spot::append };
        let mut file = open(&self.files, OsStr::new(name))?;
        if is_new {
            self.names.insert(name.to_owned());
        }
        file.write_all(bytes)
    }

    /// Puts the folder in its place.
    ///
    /// # Errors
    /// If the system refuses; what was there is there still.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        let Some(own) = self.own.take() else { return Ok(()) };
        let placed = if self.replaces { self.replace(&own) } else { self.target.replace_by(&own) };
        if placed.is_err() {
            self.own = Some(own);
        }
        placed
    }

    /// Takes the place of the old folder, which is moved away first: the system replaces only folders that are empty.
    fn replace(&self, own: &Spot) -> io::Result<()> {
        let (aside, _) = draft(&self.target)?;
        aside.replace_by(&self.target)?;
        if let Err(error) = self.target.replace_by(own) {
            self.target.replace_by(&aside)?;
            return Err(error);
        }
        aside.remove_folder()
    }
}

impl Drop for NewFolder {
    fn drop(&mut self) {
        if let Some(own) = &self.own {
            let _ = own.remove_folder();
        }
    }
}

/// `out/` is `out`: it is a folder in any case.
fn without_slash(path: &Path) -> PathBuf {
    path.components().collect()
}

/// A new folder beside `target`.
fn draft(target: &Spot) -> io::Result<(Spot, OwnedFd)> {
    left::remove_left(target);
    for number in 0..MAX_NAMES {
        let own = target.beside(left::folder_name(number).into())?;
        match own.create_folder() {
            Ok(files) => return Ok((own, files)),
            // Whoever may write to the folder may have taken the name.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}
