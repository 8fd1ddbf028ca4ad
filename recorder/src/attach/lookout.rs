//! Watches what processes map, and what is written to, so that the looking thread sleeps until there is something to look at.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

use crate::attach::written::Written;
use crate::find::facts::FileId;
use crate::kernel::mapped::{Mapped, MappedFile};

/// How long news are gathered before they are told: a program maps several files when it begins.
const GATHER: Duration = Duration::from_millis(1);

/// What is told.
#[derive(Debug)]
pub(crate) enum Sighting {
    /// Files that processes mapped.
    Mapped(Vec<MappedFile>),
    /// Files that are attached to and were written to.
    Written(Vec<FileId>),
    /// More was mapped than the kernel had room to tell: all processes are to be looked at.
    Missed,
}

/// Watches, as far as the kernel allows it.
#[derive(Debug)]
pub(crate) struct Lookout {
    mapped: Option<Mapped>,
    written: Option<Arc<Written>>,
    stop: OwnedFd,
}

impl Lookout {
    /// Watches what these tell.
    ///
    /// # Errors
    /// When descriptors are short.
    pub(crate) fn new(mapped: Option<Mapped>, written: Option<Arc<Written>>) -> io::Result<Self> {
        Ok(Self { mapped, written, stop: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)? })
    }

    /// Hands on news until [`Lookout::stop`].
    pub(crate) fn listen(&self, hand: &mut dyn FnMut(Sighting)) {
        let mut is_stopped = false;
        loop {
            let mut ready = vec![PollFd::new(&self.stop, PollFlags::IN)];
            ready.extend(self.mapped.iter().map(|mapped| PollFd::new(mapped, PollFlags::IN)));
            ready.extend(self.written.iter().map(|written| PollFd::new(&**written, PollFlags::IN)));
            wait(&mut ready, None);
            // First, as what is mapped then is another file.
            let written = self.written.as_ref().map(|written| written.take()).unwrap_or_default();
            if !written.is_empty() {
                hand(Sighting::Written(written));
            }
            match self.mapped.as_ref().map(Mapped::take) {
                Some(Some(files)) if files.is_empty() => {}
                Some(Some(files)) => hand(Sighting::Mapped(files)),
                Some(None) => hand(Sighting::Missed),
                None => {}
            }
            // What is told until then is handed on as well.
            if is_stopped {
                return;
            }
            is_stopped = wait(&mut [PollFd::new(&self.stop, PollFlags::IN)], Some(GATHER));
        }
    }

    /// Makes [`Lookout::listen`] return, now or when it is called.
    pub(crate) fn stop(&self) {
        // Fails only if it was told very often.
        let _ = rustix::io::write(&self.stop, &1_u64.to_le_bytes());
    }
}

/// Waits for one of them; false if none is ready in time, or the call was interrupted.
fn wait(ready: &mut [PollFd<'_>], limit: Option<Duration>) -> bool {
    let limit = limit.and_then(|limit| Timespec::try_from(limit).ok());
    poll(ready, limit.as_ref()).is_ok_and(|count| count > 0)
}
