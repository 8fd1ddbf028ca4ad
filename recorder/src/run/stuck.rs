//! Firings that wait for memory when the recording ends: if it does not come, they are not recorded, and the trace says so.
//!
//! A thread fires before its program has touched an argument's memory, and what brings that in (a file system in user space,
//! `userfaultfd`) does not answer. The thread sleeps inside of the probe, as it would at its own first access.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use tracer_format::{Skipped, SkippedKind};

use crate::drain::lane::Lanes;
use crate::host::process;

/// How long memory is waited for that is on its way; a disk takes a few milliseconds.
const PATIENCE: Duration = Duration::from_millis(200);
const PAUSE: Duration = Duration::from_millis(2);

const REASON: &str = "fired, and not recorded: it waits for memory of its program that something else does not bring in (a file system in \
                      user space, userfaultfd)";

/// What is not recorded because it waits when the recording has ended: by process, as far as the kernel shows which.
pub(super) fn at_end(lanes: &Lanes) -> Vec<Skipped> {
    let latest = Instant::now() + PATIENCE;
    while lanes.waiting() > 0 && Instant::now() < latest {
        std::thread::sleep(PAUSE);
    }
    match lanes.waiting() {
        0 => Vec::new(),
        count => skipped(count, &processes()),
    }
}

/// A fact for each process, and one for firings of which the process is not known.
fn skipped(count: u64, processes: &BTreeMap<u32, u64>) -> Vec<Skipped> {
    let fact =
        |count| Skipped { kind: SkippedKind::Events, count, reason: REASON.to_owned(), ..Skipped::default() };
    // More than that wait in the probes of another tool as well.
    let found: u64 = processes.values().sum();
    let named = if found <= count { processes.clone() } else { BTreeMap::new() };
    let rest = count - named.values().sum::<u64>();
    let of_process = |(pid, count): (u32, u64)| {
        let path = process::executable(pid).unwrap_or_default();
        let program = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Skipped { pid, program, path: path.to_string_lossy().into_owned(), ..fact(count) }
    };
    named.into_iter().map(of_process).chain((rest > 0).then(|| fact(rest))).collect()
}

/// Threads that wait for memory in a probe, counted by process; none where the kernel does not show where threads sleep (without
/// CAP_SYS_ADMIN).
fn processes() -> BTreeMap<u32, u64> {
    /// The helper that reads memory which may have to be brought in.
    const PLACE: &str = "bpf_copy_from_user";
    let waits = |folder: fs::DirEntry| {
        fs::read_to_string(folder.path().join("stack")).is_ok_and(|stack| stack.contains(PLACE))
    };
    let count = |pid: u32| {
        let threads = fs::read_dir(format!("/proc/{pid}/task")).ok()?;
        let count = threads.flatten().filter_map(|thread| waits(thread).then_some(())).count() as u64;
        (count > 0).then_some((pid, count))
    };
    process::pids().unwrap_or_default().into_iter().filter_map(count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_process_is_named_and_none_is_guessed() {
        let counts = |count, processes: &[(u32, u64)]| -> Vec<(u32, u64)> {
            let facts = skipped(count, &processes.iter().copied().collect());
            facts.into_iter().map(|fact| (fact.pid, fact.count)).collect()
        };
        assert_eq!(counts(3, &[(7, 2), (9, 1)]), [(7, 2), (9, 1)]);
        assert_eq!(counts(3, &[(7, 2)]), [(7, 2), (0, 1)]);
        assert_eq!(counts(3, &[]), [(0, 3)]);
        assert_eq!(counts(1, &[(7, 2)]), [(0, 1)], "another tool is at work");
    }
}
