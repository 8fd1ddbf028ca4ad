//! Room for more descriptors than the usual limit of 1024: each site or file may need one, each processor and each helper several.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The limit that this process was started with; the largest number until it was raised.
static USUAL: AtomicU64 = AtomicU64::new(u64::MAX);

/// Raises the limit as far as this process may, until its end. Where it cannot be raised, few sites fit all the same.
pub(crate) fn make_room() {
    let limit = getrlimit(Resource::Nofile);
    let Some(usual) = limit.current.filter(|current| limit.maximum.is_none_or(|most| *current < most)) else {
        return;
    };
    // No lock: helpers are forked while other threads do the same.
    if USUAL.compare_exchange(u64::MAX, usual, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
        let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    }
}

/// Sets the limit back to what it was, in a process that becomes the command. Makes system calls and nothing else.
///
/// # Errors
/// As the system has it.
pub(crate) fn leave_room() -> io::Result<()> {
    let usual = USUAL.load(Ordering::Relaxed);
    if usual != u64::MAX {
        setrlimit(Resource::Nofile, Rlimit { current: Some(usual), ..getrlimit(Resource::Nofile) })?;
    }
    Ok(())
}
