//! Where a helper writes what it is about to look at, so that it can be named if there is no answer.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of a path that are kept.
const MAX_BYTES: usize = 512;

/// Memory that two processes share.
#[derive(Debug)]
pub(crate) struct Board(File);

/// The board of this process, if it is a helper.
static OWN: OnceLock<Board> = OnceLock::new();
static STEPS: AtomicU64 = AtomicU64::new(0);

impl Board {
    pub(crate) fn new() -> io::Result<Self> {
        let flags = rustix::fs::MemfdFlags::CLOEXEC;
        Ok(Self(rustix::fs::memfd_create(c"tracer-board", flags)?.into()))
    }

    /// The same board in a helper, which writes to it from now on.
    pub(crate) fn write_here(self) {
        let _ = OWN.set(self);
    }

    /// What was written last, and a number that is another one each time.
    pub(crate) fn read(&self) -> (u64, String) {
        let mut bytes = [0; 8 + MAX_BYTES];
        let len = self.0.read_at(&mut bytes, 0).unwrap_or(0);
        let Some((step, text)) = bytes[..len].split_first_chunk() else { return (0, String::new()) };
        let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
        (u64::from_le_bytes(*step), String::from_utf8_lossy(text).into_owned())
    }
}

impl AsFd for Board {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Says, in a helper, what is looked at next; elsewhere nothing.
pub(crate) fn at(path: &Path) {
    let Some(Board(file)) = OWN.get() else { return };
    let step = STEPS.fetch_add(1, Ordering::Relaxed) + 1;
    let path = path.as_os_str().as_bytes();
    let bytes = [&step.to_le_bytes()[..], &path[..path.len().min(MAX_BYTES - 1)], &[0]].concat();
    // Without it, the message is less exact.
    let _ = file.write_at(&bytes, 0);
}
