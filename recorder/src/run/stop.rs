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
    caught: Vec<(i32, signal_hook::SigId)>,
}

/// How many signals arrived.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Arrived {
    /// SIGINT, SIGTERM or SIGHUP: end the recording.
    pub(crate) ends: usize,
    /// SIGUSR1: take a snapshot.
    pub(crate) snapshots: usize,
}

impl Signals {
    /// Catches SIGINT, SIGTERM, SIGHUP and SIGUSR1 until this is dropped. A SIGHUP that is ignored, as `nohup` has it, stays so.
    ///
    /// # Errors
    /// When descriptors are short.
    pub(crate) fn catch() -> io::Result<Self> {
        let hangup: &[i32] = if is_ignored(SIGHUP) { &[] } else { &[SIGHUP] };
        let mut caught = Vec::new();
        let ends = pipe(&[&[SIGINT, SIGTERM], hangup].concat(), &mut caught)?;
        let snapshots = pipe(&[SIGUSR1], &mut caught)?;
        let any = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        for pipe in [&ends, &snapshots] {
            epoll::add(&any, pipe, epoll::EventData::new_u64(0), epoll::EventFlags::IN)?;
        }
        Ok(Self { ends, snapshots, any, caught })
    }

    /// The signals since the last call.
    pub(crate) fn arrived(&mut self) -> Arrived {
        let mut bytes = [0; 64];
        let mut count = |pipe: &mut UnixStream| pipe.read(&mut bytes).unwrap_or(0);
        Arrived { ends: count(&mut self.ends), snapshots: count(&mut self.snapshots) }
    }
}

/// A pipe that gets a byte for each of `signals` that comes.
fn pipe(signals: &[i32], caught: &mut Vec<(i32, signal_hook::SigId)>) -> io::Result<UnixStream> {
    let (pipe, end) = UnixStream::pair()?;
    pipe.set_nonblocking(true)?;
    for &signal in signals {
        caught.push((signal, signal_hook::low_level::pipe::register(signal, end.try_clone()?)?));
    }
    Ok(pipe)
}

fn is_ignored(signal: i32) -> bool {
    // SAFETY: all zero is a valid value of the struct, which the call only writes to; nothing is set.
    unsafe {
        let mut now: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, std::ptr::null(), &raw mut now) == 0 && now.sa_sigaction == libc::SIG_IGN
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.any.as_fd()
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        for (signal, id) in self.caught.drain(..) {
            signal_hook::low_level::unregister(id);
            // Unregistering leaves the signal ignored; it must end the process again after the recording.
            // SAFETY: the default is no code of ours; nothing else in this crate handles these signals.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
    }
}
