//! What ends a recording: a signal, the end of the command, or time. All of it is a descriptor or a deadline, so that the
//! draining thread sleeps in one place.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::event::epoll;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};

/// Signals, as bytes in pipes.
#[derive(Debug)]
pub(crate) struct Signals {
    ends: UnixStream,
    snapshots: UnixStream,
    /// Readable if one of them is.
    any: OwnedFd,
    ids: Vec<signal_hook::SigId>,
}

/// Signals that came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Came {
    /// SIGINT, SIGTERM or SIGHUP: end the recording.
    pub(crate) ends: usize,
    /// SIGUSR1: take a snapshot.
    pub(crate) snapshots: usize,
}

impl Signals {
    /// Catches SIGINT, SIGTERM, SIGHUP and SIGUSR1 until this is dropped.
    ///
    /// # Errors
    /// When descriptors are short.
    pub(crate) fn catch() -> io::Result<Self> {
        let mut ids = Vec::new();
        let ends = pipe(&[SIGINT, SIGTERM, SIGHUP], &mut ids)?;
        let snapshots = pipe(&[SIGUSR1], &mut ids)?;
        let any = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        for pipe in [&ends, &snapshots] {
            epoll::add(&any, pipe, epoll::EventData::new_u64(0), epoll::EventFlags::IN)?;
        }
        Ok(Self { ends, snapshots, any, ids })
    }

    /// What came since the last call.
    pub(crate) fn take(&mut self) -> Came {
        let mut bytes = [0; 64];
        let mut count = |pipe: &mut UnixStream| pipe.read(&mut bytes).unwrap_or(0);
        Came { ends: count(&mut self.ends), snapshots: count(&mut self.snapshots) }
    }
}

/// A pipe that gets a byte for each of `signals` that comes.
fn pipe(signals: &[i32], ids: &mut Vec<signal_hook::SigId>) -> io::Result<UnixStream> {
    let (pipe, end) = UnixStream::pair()?;
    pipe.set_nonblocking(true)?;
    for &signal in signals {
        ids.push(signal_hook::low_level::pipe::register(signal, end.try_clone()?)?);
    }
    Ok(pipe)
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.any.as_fd()
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        for id in self.ids.drain(..) {
            signal_hook::low_level::unregister(id);
        }
        // Without this they would be ignored from now on, and what comes after the recording could not be ended.
        for signal in [SIGINT, SIGTERM, SIGHUP, SIGUSR1] {
            // SAFETY: the default is no code of ours; nobody else in this crate handles these signals.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
    }
}
