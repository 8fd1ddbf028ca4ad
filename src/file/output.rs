//! Files to write: never over an existing one unless asked, and then only once the new one is there; and only where the caller
//! meant them to be.
//!
//! A file is written beside its target and takes the target's place when it is finished, or, for a recording, when that has
//! begun. Whatever fails before leaves what was there. What is replaced hands on its mode, owner and links. What other users put in
//! the way, in a folder where they may, is not written to: pipes, devices, links, files.

mod left;
mod new_file;
mod new_folder;
pub(crate) mod owner;
mod spot;
mod terminal;

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use anyhow::Context;
use rustix::fs::{FileType, Stat, fstat};

use super::input::{self, is_standard};
use new_file::{NewFile, lock};
pub(crate) use new_file::{Place, Placed, Placing};
pub(crate) use new_folder::NewFolder;
use spot::Spot;
use terminal::Terminal;

/// Names that are tried for one of many files.
const MAX_NAMES: u32 = 100_000;

/// Something to write to.
#[derive(Debug)]
pub(crate) enum Output {
    /// Standard output.
    Standard(io::Stdout),
    /// A pipe, a device or an open descriptor, written to as it is.
    Device(File),
    /// A terminal.
    Terminal(Terminal),
    /// A file that is to take its place.
    NewFile(Arc<Mutex<NewFile>>),
}

impl Output {
    /// Begins a file that is to stand at `path`; `-` is standard output, and `/dev/fd/N` an open descriptor.
    ///
    /// # Errors
    /// If it exists and `force` is not given, is one of the files that are read, is not the caller's, or cannot be made.
    pub(crate) fn create(path: &Path, force: bool, inputs: &[&Path]) -> anyhow::Result<Self> {
        let name = input::name(path);
        if is_standard(path) {
            let stdout = io::stdout();
            refuse_disk(&stdout, "standard output")?;
            return Ok(if stdout.is_terminal() {
                Self::Terminal(Terminal::new(stdout))
            } else {
                Self::Standard(stdout)
            });
        }
        if let Some(number) = descriptor(path) {
            let file = duplicate(number).with_context(|| format!("cannot open {name}"))?;
            refuse_disk(&file, &name)?;
            return Ok(Self::opened(file));
        }
        let spot = spot(path, &name)?;
        let old = spot.facts().with_context(|| format!("cannot create {name}"))?;
        if let Some(facts) = &old {
            check(&spot, facts, &name)?;
            if spot::kind(facts) != FileType::RegularFile {
                let file = spot.open(facts).with_context(|| format!("cannot open {name}"))?;
                return Ok(Self::opened(file));
            }
            let is_read = inputs.iter().any(|input| input::is_same(input, spot::id(facts)));
            anyhow::ensure!(!is_read, "{name} is what is read; give another -o");
            anyhow::ensure!(force, "{name} exists; give --force to overwrite it, or another -o");
        }
        let file = NewFile::beside(spot, path, old).with_context(|| format!("cannot create {name}"))?;
        Ok(Self::NewFile(Arc::new(Mutex::new(file))))
    }

    fn opened(file: File) -> Self {
        if file.is_terminal() { Self::Terminal(Terminal::new(file)) } else { Self::Device(file) }
    }

    /// Begins the next file of several, at the first numbered name of `base` that nothing else has; with `force`, a file
    /// that was left from before may have it. `next` is the number to begin with, and then the one to go on with.
    ///
    /// # Errors
    /// If none can be made.
    pub(crate) fn create_next(base: &Path, force: bool, next: &Arc<AtomicU32>) -> anyhow::Result<Self> {
        for _ in 0..MAX_NAMES {
            let path = numbered(base, next.fetch_add(1, Ordering::Relaxed));
            let name = input::name(&path);
            let spot = match Spot::of(&path) {
                // A link of another user, which no error of the system tells of.
                Err(error) if error.raw_os_error().is_none() => continue,
                spot => spot.with_context(|| format!("cannot create {name}"))?,
            };
            let old = spot.facts().with_context(|| format!("cannot create {name}"))?;
            let is_usable = |facts: &Stat| {
                force && spot::kind(facts) == FileType::RegularFile && check(&spot, facts, &name).is_ok()
            };
            if old.as_ref().is_some_and(|facts| !is_usable(facts)) {
                continue;
            }
            let file = NewFile::beside(spot, &path, old).with_context(|| format!("cannot create {name}"))?;
            return Ok(Self::NewFile(Arc::new(Mutex::new(file.or_next(base, next.clone())))));
        }
        anyhow::bail!("cannot create {}: its numbered names are taken", input::name(base))
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
            lock(new).place_at(place);
        }
        self
    }

    /// Where the file stands, once it is in its place.
    pub(crate) fn whereabouts(&self) -> Option<Placed> {
        if let Self::NewFile(new) = self { Some(lock(new).placed.clone()) } else { None }
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
            Self::Standard(_) | Self::Device(_) | Self::Terminal(_) => Ok(()),
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Standard(stdout) => stdout.write(bytes),
            Self::Device(file) => file.write(bytes),
            Self::Terminal(terminal) => terminal.write(bytes),
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
            Self::Terminal(terminal) => terminal.flush(),
            Self::NewFile(new) => {
                let mut new = lock(new);
                let flushed = new.flush();
                new.noted(flushed)
            }
        }
    }
}

/// Writes what a buffer holds, and puts the finished file in its place.
///
/// # Errors
/// If the system refuses; what was there is there still.
pub(crate) fn finish(buffer: io::BufWriter<Output>) -> io::Result<()> {
    buffer.into_inner().map_err(io::IntoInnerError::into_error)?.finish()
}

/// The error of a target that takes no more, or of what was to be written.
pub(crate) fn cannot_write(error: tracer_analyzer::Error, path: &Path) -> anyhow::Error {
    if let tracer_analyzer::Error::Missing(_) = error {
        return error.into();
    }
    let name = if is_standard(path) { "standard output".to_owned() } else { input::name(path) };
    anyhow::Error::new(error).context(format!("cannot write {name}"))
}

/// The place that a path stands for.
fn spot(path: &Path, name: &str) -> anyhow::Result<Spot> {
    Spot::of(path).map_err(|error| {
        if error.kind() == io::ErrorKind::IsADirectory {
            return anyhow::anyhow!("{name} is a directory, expected a file name");
        }
        anyhow::Error::new(error).context(format!("cannot create {name}"))
    })
}

/// Refuses to write to what stands there, or over it, if it is no file, pipe or device, or another user may have put it there.
fn check(spot: &Spot, facts: &Stat, name: &str) -> anyhow::Result<()> {
    let uid = facts.st_uid;
    let other = "expected a name that is free";
    let what = match spot::kind(facts) {
        FileType::Directory => anyhow::bail!("{name} is a directory, expected a file name"),
        FileType::BlockDevice => anyhow::bail!("{name} is a disk (a block device), expected a file name"),
        FileType::RegularFile if !spot.is_shared() => return Ok(()),
        FileType::RegularFile if spot::is_trusted(uid) && facts.st_nlink == 1 => return Ok(()),
        FileType::RegularFile if spot::is_trusted(uid) => {
            anyhow::bail!("{name} has other names and is in a folder of all users, {other}")
        }
        _ if spot::is_trusted(uid) => return Ok(()),
        FileType::RegularFile => "file, in a folder of all users",
        FileType::Fifo => "pipe",
        _ => "device",
    };
    anyhow::bail!("{name} is a {what}, of another user (uid {uid}), {other} or /dev/fd/N")
}

fn refuse_disk(file: &impl std::os::fd::AsFd, name: &str) -> anyhow::Result<()> {
    let kind = fstat(file).map(|facts| spot::kind(&facts));
    anyhow::ensure!(
        kind != Ok(FileType::BlockDevice),
        "{name} is a disk (a block device), expected a file name"
    );
    Ok(())
}

/// The number of the open descriptor that a path names.
fn descriptor(path: &Path) -> Option<u32> {
    match path.to_str()? {
        "/dev/stdout" => Some(1),
        "/dev/stderr" => Some(2),
        path => path.strip_prefix("/dev/fd/").or_else(|| path.strip_prefix("/proc/self/fd/"))?.parse().ok(),
    }
}

fn duplicate(number: u32) -> io::Result<File> {
    let number = i32::try_from(number).map_err(io::Error::other)?;
    // SAFETY: it is only duplicated, which fails if it is not open; nothing here closes it.
    Ok(unsafe { BorrowedFd::borrow_raw(number) }.try_clone_to_owned()?.into())
}

/// `run.trace`, `run.1.trace`, `run.2.trace` and so on.
pub(crate) fn numbered(path: &Path, number: u32) -> PathBuf {
    if number == 0 {
        return path.to_owned();
    }
    match path.extension() {
        Some(extension) => path.with_extension(format!("{number}.{}", extension.to_string_lossy())),
        None => path.with_extension(number.to_string()),
    }
}
