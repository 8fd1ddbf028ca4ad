//! Snapshots of a flight recorder on their way to files: taken by the writing thread, which does not wait for them, and written
//! by another, which has the usual priority. Several may be on their way.

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};

use tracer_format::{Result, Writer, WriterOptions};

use crate::drain::queue::{Closing, Queue};
use crate::write::flight::Snapshot;
use crate::write::progress::{Ending, Progress};
use crate::write::sink::Sink;

/// Snapshots on their way at a time: each may keep as much memory as the flight recorder itself. A further one waits until it is
/// taken.
const MAX_PENDING: usize = 4;

/// Snapshots on their way.
#[derive(Default)]
pub(crate) struct Snapshots<'a> {
    queue: Queue<Pending<'a>>,
    /// Those that are not written yet.
    pending: AtomicUsize,
}

/// A snapshot, and where it goes.
struct Pending<'a> {
    snapshot: Snapshot,
    sink: Sink<'a>,
    options: WriterOptions,
}

impl<'a> Snapshots<'a> {
    /// Whether another one may be taken.
    pub(crate) fn has_room(&self) -> bool {
        self.pending.load(Ordering::Relaxed) < MAX_PENDING
    }

    /// Hands one on to the thread that writes them.
    pub(crate) fn push(&self, snapshot: Snapshot, sink: Sink<'a>, options: WriterOptions) {
        self.pending.fetch_add(1, Ordering::Relaxed);
        // That thread takes all of them, also after a failure.
        self.queue.push(Pending { snapshot, sink, options });
    }

    /// Lets [`Snapshots::write`] end when this is dropped: none is taken any more.
    pub(crate) fn closing(&self) -> Closing<'_, impl Sized + use<'a>> {
        self.queue.closing()
    }

    /// Writes snapshots until there will be none. If one fails, the recording is to end, and no further one is written.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub(crate) fn write(&self, progress: &Progress) -> Result<()> {
        let mut result = Ok(());
        while let Some(pending) = self.queue.pop() {
            if result.is_ok() {
                result = pending.write().map(|bytes| progress.add_bytes(bytes));
                if result.is_err() {
                    progress.end(Ending::Enough);
                }
            }
            self.pending.fetch_sub(1, Ordering::Relaxed);
        }
        result
    }
}

impl Pending<'_> {
    /// Writes it; gives the bytes of its file.
    fn write(self) -> Result<u64> {
        let mut writer = Writer::new(self.sink, self.options)?;
        self.snapshot.copy(&mut writer)?;
        let mut sink = writer.finish()?;
        sink.flush()?;
        Ok(sink.file_bytes())
    }
}
