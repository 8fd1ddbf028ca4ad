//! Files to read: mapped into memory, or collected first where they cannot be, as standard input.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use memmap2::Mmap;
use tracer_analyzer::file::begins_log;
use tracer_format::Scanner;

/// The bytes of a file.
#[derive(Debug)]
pub(crate) enum Input {
    /// A file with content, from the first byte that was not read yet.
    Mapped(Arc<Mmap>, usize),
    /// An empty one, which cannot be mapped.
    Empty,
}

impl Input {
    /// Opens a trace at `path`; `-` is standard input.
    ///
    /// # Errors
    /// If it cannot be read; the text names it.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        Self::open_if(path, |begin| Scanner::default().next(begin).is_ok())
    }

    /// The same of a log.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn open_log(path: &Path) -> anyhow::Result<Self> {
        Self::open_if(path, begins_log)
    }

    /// Opens `path`; of what comes out of a pipe only the beginning, if it is not wanted: more would fill a disk.
    fn open_if(path: &Path, is_wanted: impl Fn(&[u8]) -> bool) -> anyhow::Result<Self> {
        let name = name(path);
        let file = open(path).with_context(|| format!("cannot open {name}"))?;
        let kind = file.metadata().with_context(|| name.clone())?.file_type();
        anyhow::ensure!(!kind.is_dir(), "{name} is a directory, expected a file");
        let file = if kind.is_file() {
            file
        } else {
            collect(file, is_wanted).with_context(|| {
                let folder = std::env::temp_dir();
                format!(
                    "cannot keep what {name} holds in a file in {}",
                    tracer_format::log::escape(&folder.to_string_lossy())
                )
            })?
        };
        Self::map(file).with_context(|| format!("cannot map {name}"))
    }

    fn map(mut file: File) -> io::Result<Self> {
        // Another process may have read a part of standard input before.
        let begin = file.stream_position()?;
        if file.metadata()?.len() <= begin {
            return Ok(Self::Empty);
        }
        let begin = usize::try_from(begin).map_err(io::Error::other)?;
        say_if_cut()?;
        // SAFETY: traces are append-only and `tracer` never truncates or rewrites one, it replaces files by new ones. A
        // foreign process that truncates the file while it is read ends this one with SIGBUS, as with every tool that
        // maps its input; it cannot make safe code misbehave, because all content is parsed as untrusted bytes.
        let map = Arc::new(unsafe { Mmap::map(&file) }?);
        #[cfg(target_os = "linux")]
        if map.len() > KEPT_BYTES {
            let map = Arc::clone(&map);
            std::thread::spawn(move || forget_pages(&map));
        }
        Ok(Self::Mapped(map, begin))
    }

    /// The bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Mapped(bytes, begin) => bytes.get(*begin..).unwrap_or_default(),
            Self::Empty => &[],
        }
    }
}

/// Has the signal that comes when a mapped file has become shorter end the process with a message and exit code 1.
fn say_if_cut() -> io::Result<()> {
    const TEXT: &[u8] =
        b"tracer: a file was cut short while it was read; what was written is not all of it\n";
    let end = || {
        // Not `io::stderr`: that takes a lock, which may be held.
        // SAFETY: the descriptor is open, or writing to it is an error; it is never closed.
        let errors = std::mem::ManuallyDrop::new(unsafe { <File as std::os::fd::FromRawFd>::from_raw_fd(2) });
        let _ = io::Write::write_all(&mut &*errors, TEXT);
        signal_hook::low_level::exit(1);
    };
    // SAFETY: the action makes two system calls that are safe in a signal handler, and allocates nothing.
    unsafe { signal_hook::low_level::register(signal_hook::consts::SIGBUS, end) }.map(drop)
}

/// Bytes of a file that stay in this process's memory.
const KEPT_BYTES: usize = 128 << 20;

/// Gives pages of a large file back, again and again: they would count as this process's memory, however large the file.
/// The page cache still has them.
#[cfg(target_os = "linux")]
fn forget_pages(map: &Mmap) {
    loop {
        std::thread::sleep(std::time::Duration::from_millis(100));
        // Field 3: resident pages that are of files.
        let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
        let pages: usize = statm.split(' ').nth(2).and_then(|pages| pages.parse().ok()).unwrap_or(0);
        if pages * 4096 > KEPT_BYTES {
            // SAFETY: the mapping is of a file and read-only, so a page that is gone is read from the file again and
            // holds the same bytes.
            let _ = unsafe { map.unchecked_advise(memmap2::UncheckedAdvice::DontNeed) };
        }
    }
}

/// Bytes that tell whether a pipe holds what is wanted: more than a trace is looked for in.
const BEGIN_BYTES: u64 = 1 << 17;

/// Collects what comes out of a pipe in a file without a name, so that memory stays free; only its beginning, if that is not wanted.
fn collect(mut pipe: File, is_wanted: impl Fn(&[u8]) -> bool) -> io::Result<File> {
    let mut begin = Vec::new();
    io::Read::take(&mut pipe, BEGIN_BYTES).read_to_end(&mut begin)?;
    let mut file = tempfile::tempfile()?;
    file.write_all(&begin)?;
    if is_wanted(&begin) {
        io::copy(&mut pipe, &mut file)?;
    }
    file.rewind()?;
    Ok(file)
}

/// Opens `path` to be read; `-` is standard input.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    if is_standard(path) {
        return Ok(File::from(std::os::fd::AsFd::as_fd(&io::stdin()).try_clone_to_owned()?));
    }
    File::open(path)
}

/// Whether `path` is a pipe or something like it: its bytes come once, maybe slowly.
pub(crate) fn is_pipe(path: &Path) -> bool {
    let facts =
        if is_standard(path) { open(path).and_then(|file| file.metadata()) } else { std::fs::metadata(path) };
    facts.is_ok_and(|facts| !facts.is_file() && !facts.is_dir())
}

/// Whether `path` stands for standard input or output.
pub(crate) fn is_standard(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Whether the file at `path`, or standard input if that is a file, is the one with this device and inode.
pub(crate) fn is_same(path: &Path, file: (u64, u64)) -> bool {
    let own =
        if is_standard(path) { open(path).and_then(|file| file.metadata()) } else { std::fs::metadata(path) };
    own.is_ok_and(|own| own.is_file() && (own.dev(), own.ino()) == file)
}

/// The name of an input for messages.
pub(crate) fn name(path: &Path) -> String {
    if is_standard(path) {
        return "standard input".to_owned();
    }
    tracer_format::log::escape(&path.to_string_lossy()).into_owned()
}
