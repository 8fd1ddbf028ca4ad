//! Files to write: never over an existing one unless asked, and owned by the user behind `sudo`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::input::is_standard;

/// A file being written, or standard output.
#[derive(Debug)]
pub(crate) enum Output {
    /// Standard output.
    Standard(io::Stdout),
    /// A file.
    File {
        /// Open for writing.
        file: File,
        /// Its path, if it was made by us.
        made: Option<PathBuf>,
        /// Whether every flush is to reach the disk.
        sync: bool,
    },
}

impl Output {
    /// Makes a new file at `path`; `-` is standard output. A pipe or a device is written to as it is.
    ///
    /// # Errors
    /// If it exists and `force` is not given, or cannot be made.
    pub(crate) fn create(path: &Path, force: bool) -> anyhow::Result<Self> {
        if is_standard(path) {
            return Ok(Self::Standard(io::stdout()));
        }
        let name = path.display();
        match fs::metadata(path) {
            Ok(facts) if facts.is_dir() => anyhow::bail!("{name} is a directory, expected a file name"),
            Ok(facts) if !facts.is_file() => {
                let file = OpenOptions::new().write(true).open(path);
                let file = file.with_context(|| format!("cannot open {name}"))?;
                return Ok(Self::File { file, made: None, sync: false });
            }
            Ok(_) if !force => anyhow::bail!("{name} exists; give --force to overwrite it, or another -o"),
            // A new file, so that who has mapped the old one can go on reading it.
            Ok(_) => fs::remove_file(path).with_context(|| format!("cannot replace {name}"))?,
            Err(_) => {}
        }
        let file = OpenOptions::new().write(true).create_new(true).open(path);
        let file = file.with_context(|| format!("cannot create {name}"))?;
        give_to_invoker(&file);
        Ok(Self::File { file, made: Some(path.to_owned()), sync: false })
    }

    /// Has every flush reach the disk, if this is a file.
    #[must_use]
    pub(crate) fn synced(mut self, wanted: bool) -> Self {
        if let Self::File { sync, .. } = &mut self {
            *sync = wanted;
        }
        self
    }

    /// Path of the file, if it was made by us.
    pub(crate) fn made(&self) -> Option<PathBuf> {
        match self {
            Self::File { made, .. } => made.clone(),
            Self::Standard(_) => None,
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Standard(stdout) => stdout.write(bytes),
            Self::File { file, .. } => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Standard(stdout) => stdout.flush(),
            Self::File { file, sync: true, .. } => file.sync_data(),
            Self::File { file, .. } => file.flush(),
        }
    }
}

/// The error of a target that takes no more.
pub(crate) fn cannot_write(error: tracer_analyzer::Error, path: &Path) -> anyhow::Error {
    let name = if is_standard(path) { "standard output".into() } else { path.to_string_lossy() };
    anyhow::Error::new(error).context(format!("cannot write {name}"))
}

/// Under `sudo` the file belongs to the user who called it.
fn give_to_invoker(file: &File) {
    let id = |name: &str| std::env::var(name).ok()?.parse::<u32>().ok();
    #[cfg(unix)]
    if let (Some(uid), Some(gid)) = (id("SUDO_UID"), id("SUDO_GID")) {
        // Only root may; for anybody else the variables mean nothing.
        let _ = std::os::unix::fs::fchown(file, Some(uid), Some(gid));
    }
}
