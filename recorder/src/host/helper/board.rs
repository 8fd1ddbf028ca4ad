//! Where a helper writes what it is about to look at, so that it can be named if there is no answer.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Bytes of a path that are kept.
const MAX_BYTES: usize = 512;
/// Where the step and the path are; before them is for how long the helper has slept by itself, ns.
const STEP_AT: u64 = 8;

/// Memory that two processes share.
#[derive(Debug)]
pub(crate) struct Board(File);

/// The board of this process, if it is a helper.
static OWN: OnceLock<Board> = OnceLock::new();
static STEPS: AtomicU64 = AtomicU64::new(0);
static RESTED: AtomicU64 = AtomicU64::new(0);

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
        let len = self.0.read_at(&mut bytes, STEP_AT).unwrap_or(0);
        let Some((step, text)) = bytes[..len].split_first_chunk() else { return (0, String::new()) };
        let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
        (u64::from_le_bytes(*step), String::from_utf8_lossy(text).into_owned())
    }

    /// How long the helper has slept by itself, for a process that was not ready yet.
    pub(crate) fn rested(&self) -> Duration {
        let mut bytes = [0; 8];
        // Nothing is there before the first time.
        let _ = self.0.read_at(&mut bytes, 0);
        Duration::from_nanos(u64::from_le_bytes(bytes))
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
    let _ = file.write_at(&bytes, STEP_AT);
}

/// Sleeps, which counts for no file.
pub(crate) fn rest(time: Duration) {
    let begun = Instant::now();
    std::thread::sleep(time);
    let Some(Board(file)) = OWN.get() else { return };
    let slept = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
    let rested = RESTED.fetch_add(slept, Ordering::Relaxed) + slept;
    let _ = file.write_at(&rested.to_le_bytes(), 0);
}
