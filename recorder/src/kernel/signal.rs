//! Signals to processes, and the end of a child as a descriptor.

use std::io;
use std::os::fd::OwnedFd;

use rustix::process::{Pid, PidfdFlags, Signal, kill_process, kill_process_group, pidfd_open};

/// A descriptor that is readable once process `pid`, a child of ours, has ended.
///
/// # Errors
/// When descriptors are short.
pub(crate) fn child_end(pid: u32) -> io::Result<OwnedFd> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    Ok(pidfd_open(pid, PidfdFlags::empty())?)
}

/// Asks process `pid` to end; with `is_leader`, all of the group that it leads.
pub(crate) fn terminate(pid: u32, is_leader: bool) {
    send(pid, is_leader, Signal::TERM);
}

/// Ends process `pid`, or the group that it leads.
pub(crate) fn kill(pid: u32, is_leader: bool) {
    send(pid, is_leader, Signal::KILL);
}

fn send(pid: u32, is_leader: bool, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // It may have ended by itself.
        let _ = if is_leader { kill_process_group(pid, signal) } else { kill_process(pid, signal) };
    }
}
