//! A file that is written beside the one whose place it is to take.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Seek};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use rustix::fs::{Mode, Stat, fstat};

use super::spot::{self, Spot};
use super::{MAX_NAMES, left, numbered};
use crate::file::input;

/// When a new file takes its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// When it is finished, or [`Placing`] says so.
    WhenTold,
    /// With the first flush: it is useful from then on.
    AtFlush,
    /// When it is closed, if nothing failed and it replaces another; else with the first flush.
    AtEnd,
}

/// Puts a file in its place that is being written.
#[derive(Debug)]
pub(crate) struct Placing(pub(super) Option<Arc<Mutex<NewFile>>>);

impl Placing {
    /// Puts the file in its place, unless a part of it could not be written. If the system refuses, the next flush of the file fails with the reason.
    pub(crate) fn place(&self) {
        if let Some(new) = &self.0 {
            let mut new = lock(new);
            if !new.has_failed {
                new.failure = new.place().err();
            }
        }
    }
}

/// Where a file stands, once it is in its place.
#[derive(Debug, Clone, Default)]
pub(crate) struct Placed(Arc<OnceLock<(PathBuf, (u64, u64))>>);

impl Placed {
    /// Its path, if it stands there still.
    pub(crate) fn path(&self) -> Option<&Path> {
        let (path, _) = self.0.get()?;
        self.spot().map(|_| path.as_path())
    }

    /// Removes it; `false` if it is gone already, or something else stands there.
    pub(crate) fn remove(&self) -> io::Result<bool> {
        self.spot().map_or(Ok(false), |spot| spot.remove().map(|()| true))
    }

    fn spot(&self) -> Option<Spot> {
        let (path, id) = self.0.get()?;
        let spot = Spot::of(path).ok()?;
        let is_it = spot.facts().ok()?.is_some_and(|facts| spot::id(&facts) == *id);
        is_it.then_some(spot)
    }
}

/// A file that is written beside the one whose place it is to take.
#[derive(Debug)]
pub(crate) struct NewFile {
    pub(super) file: File,
    /// Its own name, until it is in its place.
    own: Option<Spot>,
    target: Spot,
    /// The path of the target, as the caller gave it.
    path: PathBuf,
    pub(super) placed: Placed,
    /// The file that it replaces.
    old: Option<Stat>,
    /// If its name is taken, it takes another: this path with the next number.
    next: Option<(PathBuf, Arc<AtomicU32>)>,
    pub(super) sync: bool,
    due: Place,
    /// Whether something of it could not be written.
    has_failed: bool,
    /// Why it is not in its place.
    failure: Option<io::Error>,
}

impl NewFile {
    pub(super) fn beside(target: Spot, path: &Path, old: Option<Stat>) -> io::Result<Self> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let draft = || target.beside(left::draft_name(MADE.fetch_add(1, Ordering::Relaxed)).into());
        left::remove_left(&target);
        let mut own = draft()?;
        let mut file = own.create_locked();
        // Whoever may write to the folder may have taken the name.
        for _ in 0..MAX_NAMES {
            if !file.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::AlreadyExists) {
                break;
            }
            own = draft()?;
            file = own.create_locked();
        }
        let file = file?;
        Ok(Self {
            file,
            own: Some(own),
            target,
            path: path.to_owned(),
            placed: Placed::default(),
            old,
            next: None,
            sync: false,
            due: Place::WhenTold,
            has_failed: false,
            failure: None,
        })
    }

    /// Has it take another name if its own is taken when it is put there: `path` with the number `next`.
    pub(super) fn or_next(mut self, path: &Path, next: Arc<AtomicU32>) -> Self {
        self.next = Some((path.to_owned(), next));
        self
    }

    /// Has it take its place then. It is useful before it is finished: so nobody takes it for a draft if this process is killed.
    pub(super) fn place_at(&mut self, due: Place) {
        self.due = due;
        if due != Place::WhenTold
            && let Some(own) = &self.own
            && let Ok(kept) = own.beside(left::kept_name(own.name()))
            && kept.fill_by(own).is_ok()
        {
            self.own = Some(kept);
        }
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        if self.due == Place::AtFlush || self.due == Place::AtEnd && self.old.is_none() {
            self.place()?;
        }
        if self.sync { self.file.sync_data() } else { Ok(()) }
    }

    /// What came of an operation, remembered if it failed.
    pub(super) fn noted<T>(&mut self, result: io::Result<T>) -> io::Result<T> {
        self.has_failed |= result.is_err();
        result
    }

    pub(super) fn place(&mut self) -> io::Result<()> {
        let Some(own) = self.own.take() else { return Ok(()) };
        let placed = match self.old.take() {
            None => self.fill(&own),
            Some(old) => self.replace(&own, &old),
        };
        if placed.is_err() {
            let _ = own.remove();
            return placed;
        }
        let _ = self.placed.0.set((self.path.clone(), spot::id(&fstat(&self.file)?)));
        Ok(())
    }

    /// Takes a place where nothing stands.
    fn fill(&mut self, own: &Spot) -> io::Result<()> {
        for _ in 0..MAX_NAMES {
            match (self.target.fill_by(own), &self.next) {
                (Err(error), Some((path, next))) if error.kind() == io::ErrorKind::AlreadyExists => {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    self.path = numbered(path, number);
                    let name = self.path.file_name().map(OsStr::to_owned).unwrap_or_default();
                    self.target = own.beside(name)?;
                }
                (result, _) => return result,
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// Takes the place of the old file.
    fn replace(&mut self, own: &Spot, old: &Stat) -> io::Result<()> {
        // A machine that loses its power must not be left with neither.
        self.file.sync_data()?;
        if old.st_nlink > 1 || !hand_on(old, &self.file)? {
            self.overwrite(old)?;
            return own.remove();
        }
        self.target.replace_by(own)
    }

    /// Writes the content into the old file, whose other names or owner would be lost otherwise.
    fn overwrite(&mut self, old: &Stat) -> io::Result<()> {
        let mut target = self.target.open(old)?;
        let (old_len, len) = (target.metadata()?.len(), self.file.metadata()?.len());
        // All room that it needs comes first, behind the old content.
        target.seek(io::SeekFrom::End(0))?;
        if let Err(error) =
            io::copy(&mut io::Read::take(io::repeat(0), len.saturating_sub(old_len)), &mut target)
        {
            target.set_len(old_len)?;
            return Err(error);
        }
        target.rewind()?;
        self.file.rewind()?;
        io::copy(&mut self.file, &mut target)?;
        target.set_len(len)?;
        self.file = target;
        Ok(())
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if self.due == Place::AtEnd
            && !self.has_failed
            && let Err(error) = self.place()
        {
            say!("cannot write {}: {error}", input::name(&self.path));
        }
        if let Some(own) = &self.own {
            let _ = own.remove();
        }
    }
}

pub(super) fn lock(new: &Mutex<NewFile>) -> MutexGuard<'_, NewFile> {
    new.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Gives a file the mode and owner of another; false if the owner cannot be given.
fn hand_on(old: &Stat, file: &File) -> io::Result<bool> {
    let new = fstat(file)?;
    if (new.st_uid, new.st_gid) != (old.st_uid, old.st_gid)
        && std::os::unix::fs::fchown(file, Some(old.st_uid), Some(old.st_gid)).is_err()
    {
        return Ok(false);
    }
    rustix::fs::fchmod(file, Mode::from_raw_mode(old.st_mode))?;
    Ok(true)
}
