//! Watches what processes map, so that the looking thread sleeps until there is something to look at.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

use crate::kernel::mapped::{Mapped, MappedFile};

/// How long news are gathered before they are told: a program maps several files when it begins.
const GATHER: Duration = Duration::from_millis(5);

/// What is told.
#[derive(Debug)]
pub(crate) enum Sighting {
    /// Files that processes mapped.
    Mapped(Vec<MappedFile>),
    /// More was mapped than the kernel had room to tell: all processes are to be looked at.
    Missed,
}

/// Watches what processes map.
#[derive(Debug)]
pub(crate) struct Lookout {
    mapped: Mapped,
    stop: OwnedFd,
}

impl Lookout {
    /// Watches what `mapped` tells.
    ///
    /// # Errors
    /// When descriptors are short.
    pub(crate) fn new(mapped: Mapped) -> io::Result<Self> {
        Ok(Self { mapped, stop: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)? })
    }

    /// Hands on news until [`Lookout::stop`].
    pub(crate) fn listen(&self, hand: &mut dyn FnMut(Sighting)) {
        loop {
            let mut ready =
                [PollFd::new(&self.stop, PollFlags::IN), PollFd::new(&self.mapped, PollFlags::IN)];
            wait(&mut ready, None);
            match self.mapped.take() {
                Some(files) if files.is_empty() => {}
                Some(files) => hand(Sighting::Mapped(files)),
                None => hand(Sighting::Missed),
            }
            if wait(&mut [PollFd::new(&self.stop, PollFlags::IN)], Some(GATHER)) {
                return;
            }
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
