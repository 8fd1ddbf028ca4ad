//! Files to read: mapped into memory, or collected first where they cannot be, as standard input.

use std::fs::File;
use std::io::{self, Seek};
use std::path::Path;

use anyhow::Context;
use memmap2::Mmap;

/// The bytes of a file.
#[derive(Debug)]
pub(crate) enum Input {
    /// A file with content.
    Mapped(Mmap),
    /// An empty one, which cannot be mapped.
    Empty,
}

impl Input {
    /// Opens `path`; `-` is standard input.
    ///
    /// # Errors
    /// If it cannot be read; the text names it.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let name = name(path);
        let file = if is_standard(path) {
            File::from(std::os::fd::AsFd::as_fd(&io::stdin()).try_clone_to_owned()?)
        } else {
            File::open(path).with_context(|| format!("cannot open {name}"))?
        };
        let kind = file.metadata().with_context(|| name.clone())?.file_type();
        anyhow::ensure!(!kind.is_dir(), "{name} is a directory, expected a file");
        let file = if kind.is_file() {
            file
        } else {
            collect(file).with_context(|| format!("cannot read {name}"))?
        };
        Self::map(&file).with_context(|| format!("cannot map {name}"))
    }

    fn map(file: &File) -> io::Result<Self> {
        if file.metadata()?.len() == 0 {
            return Ok(Self::Empty);
        }
        // SAFETY: traces are append-only and `tracer` never truncates or rewrites one, it replaces files by new ones. A
        // foreign process that truncates the file while it is read ends this one with SIGBUS, as with every tool that
        // maps its input; it cannot make safe code misbehave, because all content is parsed as untrusted bytes.
        unsafe { Mmap::map(file) }.map(Self::Mapped)
    }

    /// The bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Mapped(bytes) => bytes,
            Self::Empty => &[],
        }
    }
}

/// Collects what comes out of a pipe in a file without a name, so that memory stays free.
fn collect(mut pipe: File) -> io::Result<File> {
    let mut file = tempfile::tempfile()?;
    io::copy(&mut pipe, &mut file)?;
    file.rewind()?;
    Ok(file)
}

/// Whether `path` stands for standard input or output.
pub(crate) fn is_standard(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// The name of an input for messages.
pub(crate) fn name(path: &Path) -> String {
    if is_standard(path) {
        return "standard input".to_owned();
    }
    tracer_format::log::escape(&path.to_string_lossy()).into_owned()
}
