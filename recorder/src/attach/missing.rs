//! What is not recorded, or not whole, and why: the words for the user and the trace.

use std::path::Path;
use std::time::Duration;

use tracer_format::{Skipped, SkippedKind};

use crate::attach::closing::Undetached;
use crate::attach::prepared::in_file;
use crate::find::binary::{self, Binary};

/// What is said of a site whose semaphore is not raised in all processes.
pub(super) const SHADOWED: &str = "the linker put its semaphore in a page that is loaded twice (lld and mold do), and the kernel raises the \
                        wrong one in processes that start while recording; what those fire only while it is raised is missed";

/// What is said of a program that the kernel did not ask about before it ran.
const UNHELD: &str = "not held until its probes were attached (a program in memory, on a network or FUSE file system, on one that was \
                      mounted just before): what it fired first may be missing";

/// What the kernel does not undo for a process that is being killed.
pub(crate) const LEFT_BEHIND: &str = "processes that were traced may keep breakpoints, which cost them one trap each, and raised semaphores, \
                                      with which they go on as if they were traced";

/// What to do where a file was attached to late.
const FIRST: &str = "-x with its path attaches to it first";

/// A site of a file that is not recorded, or not whole.
pub(super) fn at(site: &binary::Site, binary: &Binary, reason: String) -> Skipped {
    Skipped {
        count: 1,
        provider: site.provider.clone(),
        probe: site.probe.clone(),
        offset: site.offset,
        ..in_file(binary, reason)
    }
}

/// A file that a process had mapped before it was attached to: from when, 0 if that is not known, to when, CLOCK_MONOTONIC.
pub(super) fn late(binary: &Binary, (from_ns, until_ns): (u64, u64)) -> Skipped {
    Skipped { from_ns, until_ns, ..in_file(binary, late_reason(from_ns, until_ns)) }
}

/// The words for it.
pub(super) fn late_reason(from_ns: u64, until_ns: u64) -> String {
    if from_ns == 0 {
        return format!(
            "attached to after a process that ran had mapped it, nothing tells when: what it fired before may be missing ({FIRST})"
        );
    }
    let after = Duration::from_nanos(until_ns.saturating_sub(from_ns)).as_secs_f64() * 1e3;
    format!(
        "attached to {after:.1} ms after a process that ran had mapped it: what it fired meanwhile may be missing ({FIRST})"
    )
}

/// Files that processes had mapped which ended before these were looked at, and that nothing leads to any more; one of them was at this
/// path.
pub(super) fn lost(count: u64, path: &Path) -> Skipped {
    let path = path.to_string_lossy();
    Skipped {
        kind: SkippedKind::Files,
        count,
        reason: format!(
            "such as {path}, mapped by processes that ended before they were looked at, and gone since: what these fired may be missing"
        ),
        ..Skipped::default()
    }
}

/// A program that was not held.
pub(super) fn unheld(pid: u32, path: &Path) -> Skipped {
    process(pid, path, UNHELD)
}

fn process(pid: u32, path: &Path, reason: &str) -> Skipped {
    Skipped {
        kind: SkippedKind::Processes,
        count: 1,
        pid,
        program: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        path: path.to_string_lossy().into_owned(),
        reason: reason.to_owned(),
        ..Skipped::default()
    }
}

/// A file that was written to while a process, number 0 if it is not known, ran it.
pub(super) fn rewritten(path: &Path, pid: u32) -> Skipped {
    Skipped {
        kind: SkippedKind::Sites,
        pid,
        program: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        path: path.to_string_lossy().into_owned(),
        reason: "written to while it ran, so it was detached from: what fired from then until it was attached to as it is now is \
                 missing, or may be wrong"
            .to_owned(),
        ..Skipped::default()
    }
}

/// A file, if it is known which, that a process was to detach from and has not.
pub(super) fn undetached(path: &str, detacher: Undetached) -> Skipped {
    let name = Path::new(path).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let reason = match detacher {
        Undetached::Late(process) => format!(
            "detaching did not come to an end in 2 s (a thread stays in its probe, or a process keeps its memory locked) and goes on in \
             process {process} (tracer-detacher): what fires until then may be recorded twice, or be wrong"
        ),
        Undetached::Killed(process) => format!(
            "process {process} (tracer-detacher) was killed before it had detached: {LEFT_BEHIND}; what they fire may be recorded twice, \
             or be wrong"
        ),
    };
    Skipped {
        kind: SkippedKind::Files,
        count: u64::from(!path.is_empty()),
        program: name,
        path: path.to_owned(),
        reason,
        ..Skipped::default()
    }
}

/// What was attached to for some processes alone, and is for all from now on: from when to when it was not, CLOCK_MONOTONIC.
pub(super) fn widened((from_ns, until_ns): (u64, u64)) -> Skipped {
    let after = Duration::from_nanos(until_ns.saturating_sub(from_ns)).as_secs_f64() * 1e3;
    Skipped {
        kind: SkippedKind::Sites,
        from_ns,
        until_ns,
        reason: format!(
            "attached to again, for {after:.1} ms to none, as a process that was named may run another program from a thread of its own: \
             what fired meanwhile is missing"
        ),
        ..Skipped::default()
    }
}

/// A file that is left out as long as a translator runs it.
pub(super) fn spared(path: &Path, translator: &Path, pid: u32) -> Skipped {
    let translator = translator.to_string_lossy();
    Skipped {
        kind: SkippedKind::Sites,
        program: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        path: path.to_string_lossy().into_owned(),
        reason: format!(
            "left out while {translator} (PID {pid}) runs it, which takes breakpoints for its own"
        ),
        ..Skipped::default()
    }
}

/// What was told of processes until the end of the recording, and not looked at.
pub(super) fn unseen(count: u64) -> Skipped {
    Skipped {
        kind: SkippedKind::Processes,
        count,
        reason: "began, or mapped files, just before the end, and were not looked at any more: what they fired may be missing"
            .to_owned(),
        ..Skipped::default()
    }
}

/// Processes that were not held for as long as it took, from when to when, CLOCK_MONOTONIC.
pub(super) fn released(count: u64, (from_ns, until_ns): (u64, u64)) -> Skipped {
    Skipped {
        kind: SkippedKind::Processes,
        count,
        from_ns,
        until_ns,
        reason: "started while the recorder was stopped or busy, and were not held until it had looked at them: what they \
                 fired first may be missing"
            .to_owned(),
        ..Skipped::default()
    }
}
