//! Can this machine record? What it is and allows is read (`machine.rs`); what its kernel does is tried (`trial.rs`) and
//! judged (`finding.rs`).
//!
//! The trials fire sites in this program itself (`target.rs`). They have no ELF notes, so other recordings do not find them.
//! Those that may do harm are fired in a child process. Without privilege everything that needs none is still checked.

mod finding;
mod machine;
mod target;
mod trial;

use std::fmt;
use std::process::Command;

use crate::attach::hold;
use crate::host::process;

pub use target::fire;

/// Result of one check, in the order of its weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// Slower, or worth knowing; nothing is missed but what says so.
    Note,
    /// Recording works, but some probes or processes are missed.
    Limit,
    /// Nothing can be recorded.
    Problem,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What was looked at.
    pub name: String,
    /// What came of it.
    pub verdict: Verdict,
    /// What was found; with anything but [`Verdict::Ok`], also what it means.
    pub found: String,
    /// What to do about it, if anything.
    pub advice: Option<String>,
}

impl Check {
    fn new(verdict: Verdict, name: impl Into<String>, found: impl Into<String>) -> Self {
        Self { name: name.into(), verdict, found: found.into(), advice: None }
    }

    fn ok(name: impl Into<String>, found: impl Into<String>) -> Self {
        Self::new(Verdict::Ok, name, found)
    }

    fn advise(self, advice: impl Into<String>) -> Self {
        Self { advice: Some(advice.into()), ..self }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Verdict::Ok => "ok",
            Verdict::Note => "note",
            Verdict::Limit => "limit",
            Verdict::Problem => "problem",
        })
    }
}

/// Looks at this machine and tries it out. `child` starts this program so that it calls [`fire`]; the name of a form is
/// added as its last argument.
pub fn examine(child: &dyn Fn() -> Command) -> Vec<Check> {
    let machine = machine::System::this();
    let mut checks = machine.checks();
    if machine.is_too_old() {
        // One line says it all; nothing else would be possible.
        checks.retain(|check| check.verdict == Verdict::Problem);
        return checks;
    }
    checks.push(processes(machine.may_look_into_others()));
    checks.push(holding());
    trial::run(&machine, child, &mut checks);
    checks
}

/// Whether programs that start can be held.
fn holding() -> Check {
    let name = "hold at exec";
    let Err(error) = hold::check() else {
        return Check::ok(name, "programs that start wait until their probes are attached");
    };
    let found =
        format!("not possible: {error}; what programs that start fire in their first milliseconds is missed");
    Check::new(Verdict::Limit, name, found)
        .advise("needs CAP_SYS_ADMIN, and a kernel with CONFIG_FANOTIFY_ACCESS_PERMISSIONS")
}

/// Whether the processes that run can be looked into for probes.
fn processes(privileged: bool) -> Check {
    let name = "processes";
    let pids = match process::pids() {
        Ok(pids) => pids,
        Err(error) => {
            let found = format!("/proc cannot be read: {error}; no running process is found");
            return Check::new(Verdict::Limit, name, found).advise("mount proc at /proc");
        }
    };
    let denied = |pid: &&u32| {
        process::executable(**pid).is_err_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied)
    };
    let (all, forbidden) = (pids.len(), pids.iter().filter(denied).count());
    if forbidden == 0 {
        return Check::ok(name, format!("{all}, none of them closed to this one"));
    }
    let found = format!("{forbidden} of {all} cannot be looked into");
    if privileged {
        // Even root may not look into some, such as the first process of some sandboxes.
        return Check::new(Verdict::Note, name, found);
    }
    Check::new(Verdict::Limit, name, found).advise("run as root, or give tracer CAP_SYS_PTRACE")
}
