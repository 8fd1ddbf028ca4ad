//! The priority of the threads that collect and write events: above that of the programs that fire them, or a busy machine
//! would cost events.
//!
//! They work only while there is something to collect, and need about a tenth of the time that the probes themselves take. A nice
//! value alone counts within one session or control group only (autogroups), so they are real-time threads where that is
//! allowed, of the lowest priority; the kernel leaves a part of every processor to others (`sched_rt_runtime_us`). What they start has
//! the usual priority, and the command is started by another thread. Once the recording has ended, so are the others, or the end would take
//! seconds beside a hundred busy programs.

use std::io;

use rustix::process::Pid;

use crate::host::cgroup;

/// The priority of the threads that collect and write.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Priority {
    /// Above all programs that do not ask for more.
    #[default]
    High,
    /// This nice value.
    Nice(i32),
}

/// What a thread got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rank {
    RealTime,
    Nice,
}

/// The highest nice value of all.
const HIGHEST: i32 = -20;

impl Priority {
    /// Gives the calling thread this priority as far as that is allowed; [`Priority::shortfall`] says how far.
    pub(super) fn take(self) {
        let _ = self.try_give(None);
    }

    /// The same until what this gives is dropped.
    pub(super) fn take_for_now(self) -> TakenPriority {
        let nice = rustix::process::getpriority_process(None).unwrap_or(0);
        self.take();
        TakenPriority { nice }
    }

    /// Gives another thread of this process the priority, likewise.
    pub(super) fn give(self, thread: Pid) {
        let _ = self.try_give(Some(thread));
    }

    fn try_give(self, thread: Option<Pid>) -> io::Result<Rank> {
        // The thread's own, not the process's: Linux has it so.
        let renice = |nice| rustix::process::setpriority_process(thread, nice).map_err(io::Error::from);
        match self {
            Self::Nice(nice) => {
                if rustix::process::getpriority_process(thread)? != nice {
                    renice(nice)?;
                }
                Ok(Rank::Nice)
            }
            Self::High => {
                let reniced = renice(HIGHEST);
                match make_real_time(thread) {
                    Ok(()) => Ok(Rank::RealTime),
                    Err(_) => reniced.map(|()| Rank::Nice),
                }
            }
        }
    }

    /// What keeps the threads from having this priority, for the user.
    pub(super) fn shortfall(self) -> Option<String> {
        // A thread of its own may not be able to lower what it has raised.
        let tried = std::thread::spawn(move || self.try_give(None)).join();
        let text = match tried.unwrap_or_else(|panic| std::panic::resume_unwind(panic)) {
            Ok(Rank::RealTime) => return None,
            Ok(Rank::Nice) => {
                let quota = cgroup::cpu_quota()?;
                format!("the control group may use {quota:.2} processors, the recorder included")
            }
            Err(error) => format!(
                "the recorder has no priority over what it records: {error} (needs CAP_SYS_NICE or RLIMIT_NICE)"
            ),
        };
        Some(format!("{text}: on a busy machine events may be lost, which is counted"))
    }
}

/// The calling thread has its former nice value, and no priority beyond that, again when this is dropped.
#[derive(Debug)]
pub(super) struct TakenPriority {
    nice: i32,
}

impl Drop for TakenPriority {
    fn drop(&mut self) {
        // To give a priority up is always allowed; what is started then has none either, as before.
        let _ = set_policy(None, libc::SCHED_OTHER, 0);
        let _ = rustix::process::setpriority_process(None, self.nice);
    }
}

/// Makes a thread, the calling one by default, one that runs before all others without a real-time priority.
fn make_real_time(thread: Option<Pid>) -> io::Result<()> {
    // SAFETY: asks for a number.
    let lowest = unsafe { libc::sched_get_priority_min(libc::SCHED_RR) };
    set_policy(thread, libc::SCHED_RR, lowest)
}

/// Gives a thread, the calling one by default, a policy and a real-time priority, which what it starts does not get.
fn set_policy(thread: Option<Pid>, policy: i32, priority: i32) -> io::Result<()> {
    let thread = thread.map_or(0, Pid::as_raw_pid);
    // SAFETY: all zero is a valid value of the struct, which the call only reads; it concerns that thread's priority alone.
    let result = unsafe {
        let mut wanted: libc::sched_param = std::mem::zeroed();
        wanted.sched_priority = priority;
        libc::sched_setscheduler(thread, policy | libc::SCHED_RESET_ON_FORK, &raw const wanted)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_priority_for_now_is_given_up_again() {
        let rank = || {
            // SAFETY: asks for a number.
            let policy = unsafe { libc::sched_getscheduler(0) } & !libc::SCHED_RESET_ON_FORK;
            (policy, rustix::process::getpriority_process(None).unwrap())
        };
        std::thread::spawn(move || {
            let before = rank();
            drop(Priority::High.take_for_now());
            assert_eq!(rank(), before);
        })
        .join()
        .unwrap();
    }
}
