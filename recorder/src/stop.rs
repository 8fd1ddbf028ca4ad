//! What ends a recording: a signal, the end of the command, or time. All of it is a descriptor or a deadline, so that the
//! draining thread sleeps in one place.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// Signals that ask for the end, as bytes in a pipe.
#[derive(Debug)]
pub struct Signals {
    pipe: UnixStream,
    ids: Vec<signal_hook::SigId>,
}

impl Signals {
    /// Catches SIGINT, SIGTERM and SIGHUP until this is dropped.
    ///
    /// # Errors
    /// When descriptors are short.
    pub fn catch() -> io::Result<Self> {
        let (pipe, end) = UnixStream::pair()?;
        pipe.set_nonblocking(true)?;
        let mut ids = Vec::new();
        for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM, signal_hook::consts::SIGHUP] {
            ids.push(signal_hook::low_level::pipe::register(signal, end.try_clone()?)?);
        }
        Ok(Self { pipe, ids })
    }

    /// How many signals came since the last call.
    pub fn take(&mut self) -> usize {
        let mut bytes = [0; 64];
        self.pipe.read(&mut bytes).unwrap_or(0)
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        for id in self.ids.drain(..) {
            signal_hook::low_level::unregister(id);
        }
    }
}

/// A descriptor that is readable once process `pid`, a child of ours, has ended.
///
/// # Errors
/// When descriptors are short.
pub fn child_end(pid: u32) -> io::Result<OwnedFd> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    Ok(pidfd_open(pid, PidfdFlags::empty())?)
}

/// Asks process `pid` to end.
pub fn terminate(pid: u32) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // It may have ended by itself.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
}
