//! Files to write: never over an existing one unless asked, and then only once the new one is there.
//!
//! A file is written beside its target and takes the target's place when it is finished, or, for a recording, when that has
//! begun. Whatever fails before leaves what was there. What is replaced hands on its mode, owner and links.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context;
use tempfile::TempPath;

use super::input::{self, is_standard};

/// Something to write to.
#[derive(Debug)]
pub(crate) enum Output {
    /// Standard output.
    Standard(io::Stdout),
    /// A pipe or a device, written to as it is.
    Device(File),
    /// A file that is to take its place.
    NewFile(Arc<Mutex<NewFile>>),
}

impl Output {
    /// Begins a file that is to stand at `path`; `-` is standard output.
    ///
    /// # Errors
    /// If it exists and `force` is not given, is one of the files that are read, or cannot be made.
    pub(crate) fn create(path: &Path, force: bool, inputs: &[&Path]) -> anyhow::Result<Self> {
        if is_standard(path) {
            return Ok(Self::Standard(io::stdout()));
        }
        let name = input::name(path);
        let target = resolve(path).with_context(|| format!("cannot create {name}"))?;
        let old = fs::metadata(&target).ok();
        if let Some(facts) = &old {
            anyhow::ensure!(!facts.is_dir(), "{name} is a directory, expected a file name");
            if !facts.is_file() {
                let file = OpenOptions::new().write(true).open(path);
                return Ok(Self::Device(file.with_context(|| format!("cannot open {name}"))?));
            }
            let is_read = inputs.iter().any(|input| input::is_same(input, facts));
            anyhow::ensure!(!is_read, "{name} is what is read; give another -o");
            anyhow::ensure!(force, "{name} exists; give --force to overwrite it, or another -o");
        }
        let file = NewFile::beside(target, old).with_context(|| format!("cannot create {name}"))?;
        Ok(Self::NewFile(Arc::new(Mutex::new(file))))
    }

    /// Has every flush reach the disk, if this is a file.
    #[must_use]
    pub(crate) fn synced(self, wanted: bool) -> Self {
        if let Self::NewFile(new) = &self {
            lock(new).sync = wanted;
        }
        self
    }

    /// Says when the file takes its place without being told.
    #[must_use]
    pub(crate) fn placed(self, place: Place) -> Self {
        if let Self::NewFile(new) = &self {
            lock(new).due = place;
        }
        self
    }

    /// What puts the file in its place while another part of the program writes it.
    pub(crate) fn placing(&self) -> Placing {
        Placing(if let Self::NewFile(new) = self { Some(Arc::clone(new)) } else { None })
    }

    /// Puts the finished file in its place.
    ///
    /// # Errors
    /// If the system refuses; what was there is there still.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.flush()?;
        match &self {
            Self::NewFile(new) => lock(new).place(),
            Self::Standard(_) | Self::Device(_) => Ok(()),
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Standard(stdout) => stdout.write(bytes),
            Self::Device(file) => file.write(bytes),
            Self::NewFile(new) => {
                let mut new = lock(new);
                let written = new.file.write(bytes);
                new.noted(written)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Standard(stdout) => stdout.flush(),
            Self::Device(file) => file.flush(),
            Self::NewFile(new) => {
                let mut new = lock(new);
                let flushed = new.flush();
                new.noted(flushed)
            }
        }
    }
}

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
pub(crate) struct Placing(Option<Arc<Mutex<NewFile>>>);

impl Placing {
    /// Puts the file in its place. If the system refuses, the next flush of the file fails with the reason.
    pub(crate) fn place(&self) {
        if let Some(new) = &self.0 {
            let mut new = lock(new);
            new.failure = new.place().err();
        }
    }
}

/// A file that is written beside the one whose place it is to take.
#[derive(Debug)]
pub(crate) struct NewFile {
    file: File,
    /// Its own name, until it is in its place.
    own: Option<TempPath>,
    target: PathBuf,
    /// The file that it replaces.
    old: Option<Metadata>,
    sync: bool,
    due: Place,
    /// Whether something of it could not be written.
    has_failed: bool,
    /// Why it is not in its place.
    failure: Option<io::Error>,
}

impl NewFile {
    fn beside(target: PathBuf, old: Option<Metadata>) -> io::Result<Self> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let own = target.with_file_name(format!(".tracer-{}-{number}", std::process::id()));
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&own)?;
        let own = Some(TempPath::try_from_path(own)?);
        give_to_invoker(&file);
        Ok(Self {
            file,
            own,
            target,
            old,
            sync: false,
            due: Place::WhenTold,
            has_failed: false,
            failure: None,
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        if self.due == Place::AtFlush || self.due == Place::AtEnd && self.old.is_none() {
            self.place()?;
        }
        if self.sync { self.file.sync_data() } else { Ok(()) }
    }

    /// What came of an operation, remembered if it failed.
    fn noted<T>(&mut self, result: io::Result<T>) -> io::Result<T> {
        self.has_failed |= result.is_err();
        result
    }

    fn place(&mut self) -> io::Result<()> {
        let Some(own) = self.own.take() else { return Ok(()) };
        let Some(old) = &self.old else {
            return own.persist_noclobber(&self.target).map_err(|error| error.error);
        };
        // A machine that loses its power must not be left with neither.
        self.file.sync_data()?;
        if has_other_names(old) || !hand_on(old, &self.file)? {
            return self.overwrite();
        }
        own.persist(&self.target).map_err(|error| error.error)
    }

    /// Writes the content into the old file, whose other names or owner would be lost otherwise.
    fn overwrite(&mut self) -> io::Result<()> {
        let mut target = OpenOptions::new().write(true).open(&self.target)?;
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
            say!("cannot write {}: {error}", self.target.display());
        }
    }
}

fn lock(new: &Mutex<NewFile>) -> MutexGuard<'_, NewFile> {
    new.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The path that `path` stands for: where a symbolic link points, also if nothing is there.
fn resolve(path: &Path) -> io::Result<PathBuf> {
    /// As many links as Linux follows.
    const MAX_LINKS: u32 = 40;
    let mut target = path.to_owned();
    for _ in 0..MAX_LINKS {
        if !target.symlink_metadata().is_ok_and(|facts| facts.is_symlink()) {
            return Ok(target);
        }
        let to = fs::read_link(&target)?;
        target = target.parent().unwrap_or(Path::new("")).join(to);
    }
    Err(io::Error::other("too many symbolic links, one after the other"))
}

/// Writes what a buffer holds, and puts the finished file in its place.
///
/// # Errors
/// If the system refuses; what was there is there still.
pub(crate) fn finish(buffer: io::BufWriter<Output>) -> io::Result<()> {
    buffer.into_inner().map_err(io::IntoInnerError::into_error)?.finish()
}

/// The error of a target that takes no more.
pub(crate) fn cannot_write(error: tracer_analyzer::Error, path: &Path) -> anyhow::Error {
    let name = if is_standard(path) { "standard output".into() } else { path.to_string_lossy() };
    anyhow::Error::new(error).context(format!("cannot write {name}"))
}

/// Under `sudo` the file belongs to the user who called it.
fn give_to_invoker(file: &File) {
    let id = |name: &str| std::env::var(name).ok()?.parse::<u32>().ok();
    if let (Some(uid), Some(gid)) = (id("SUDO_UID"), id("SUDO_GID")) {
        // Only root may; for any other user the variables mean nothing.
        let _ = std::os::unix::fs::fchown(file, Some(uid), Some(gid));
    }
}

fn has_other_names(facts: &Metadata) -> bool {
    std::os::unix::fs::MetadataExt::nlink(facts) > 1
}

/// Gives a file the mode and owner of another; false if the owner cannot be given.
fn hand_on(old: &Metadata, file: &File) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let new = file.metadata()?;
    if (new.uid(), new.gid()) != (old.uid(), old.gid())
        && std::os::unix::fs::fchown(file, Some(old.uid()), Some(old.gid())).is_err()
    {
        return Ok(false);
    }
    file.set_permissions(old.permissions())?;
    Ok(true)
}
