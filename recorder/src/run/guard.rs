//! Lets the command go on if the recorder is killed: a child of the recorder that waits for its end.
//!
//! The command and its children are stopped at each exec until their probes are attached. Nobody would continue one that is
//! stopped when the recorder gets SIGKILL. The guard is not told who is: all of them get SIGCONT, which does
//! nothing to a process that runs.

use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::time::Duration;

use rustix::process::{Pid, WaitOptions, waitpid};

use crate::kernel::bpf::Map;
use crate::kernel::program::Program;
use crate::kernel::signal;

/// For so long processes are continued after the recorder's end: the kernel takes its programs down meanwhile.
const ROUNDS: u32 = 20;
const ROUND: Duration = Duration::from_millis(50);

/// The guard at work; ends without doing anything when this is dropped.
#[derive(Debug)]
pub(crate) struct Guard {
    pid: Pid,
    /// The guard reads from the other end.
    pipe: std::fs::File,
}

impl Guard {
    /// Starts the guard of the processes that `program` admits.
    ///
    /// # Errors
    /// When processes or descriptors are short.
    pub(crate) fn start(program: &Program) -> io::Result<Self> {
        let (end, pipe) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        // SAFETY: the child uses nothing but its stack and system calls until it exits: no allocation, no lock, nothing
        // that another thread of the recorder may have been in the middle of.
        match unsafe { libc::fork() } {
            0 => {
                watch(&end, &program.admitted);
                // SAFETY: ends the child at once, without running what the recorder wants run at its own end.
                unsafe { libc::_exit(0) }
            }
            pid => {
                let pid = Pid::from_raw(pid).filter(|_| pid > 0).ok_or_else(io::Error::last_os_error)?;
                Ok(Self { pid, pipe: pipe.into() })
            }
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // If it is gone already, there is nothing to end.
        let _ = self.pipe.write_all(b"e");
        let _ = waitpid(Some(self.pid), WaitOptions::empty());
    }
}

/// The guard's life: until the recorder says that it ends, or does so without a word.
fn watch(end: &OwnedFd, admitted: &Map) {
    // SAFETY: plain system calls on values of this stack frame. All signals are blocked, so that Ctrl-C ends the recorder
    // and not its guard; descriptors are closed, because those of the programs would keep them in the kernel.
    unsafe {
        let mut all = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::sigprocmask(libc::SIG_BLOCK, &raw const all, std::ptr::null_mut());
        libc::prctl(libc::PR_SET_NAME, c"tracer-guard".as_ptr());
    }
    close_all_but(end.as_raw_fd(), admitted.as_fd().as_raw_fd());
    let mut byte = [0];
    loop {
        match rustix::io::read(end, &mut byte) {
            Ok(0) => break,
            Err(rustix::io::Errno::INTR) => {}
            _ => return,
        }
    }
    for _ in 0..ROUNDS {
        let mut pid = admitted.next_key(None);
        let mut left = crate::kernel::program::MAX_ADMITTED;
        while let Ok(admitted_pid) = pid
            && left > 0
        {
            signal::resume(admitted_pid);
            pid = admitted.next_key(Some(admitted_pid));
            left -= 1;
        }
        std::thread::sleep(ROUND);
    }
}

/// Closes all descriptors but two.
fn close_all_but(one: RawFd, other: RawFd) {
    let (first, second) = (one.min(other).cast_unsigned(), one.max(other).cast_unsigned());
    let ranges =
        [(0, first.checked_sub(1)), (first + 1, second.checked_sub(1)), (second + 1, Some(u32::MAX))];
    for (from, to) in ranges {
        let Some(to) = to.filter(|to| from <= *to) else { continue };
        // SAFETY: nothing in this process uses the descriptors any more. A kernel without the call (5.8 and older) keeps them
        // open until the guard ends.
        unsafe { libc::syscall(libc::SYS_close_range, from, to, 0) };
    }
}
