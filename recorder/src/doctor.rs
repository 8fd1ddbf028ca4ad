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
use crate::host::helper::channel::Channel;
use crate::host::helper::process::{Helper, NoAnswer};
use crate::host::helper::wire::{Wire, from_bytes, to_bytes, wire_struct};
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

wire_struct! { Check { name, verdict, found, advice } }

impl Wire for Verdict {
    fn put(&self, out: &mut Vec<u8>) {
        (*self as u8).put(out);
    }
    fn take(bytes: &mut &[u8]) -> Option<Self> {
        let all = [Self::Ok, Self::Note, Self::Limit, Self::Problem];
        all.get(usize::from(u8::take(bytes)?)).copied()
    }
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
    if let Some(check) = machine.without_processes() {
        checks.retain(|check| ["kernel", "processor"].contains(&&check.name[..]));
        checks.push(check);
        return checks;
    }
    checks.push(processes(machine.may_look_into_others()));
    checks.push(holding());
    checks.extend(trials(&machine, child));
    checks
}

/// What the trials say. They run in a process of their own, which goes on alone when it does not come to an end: a thread that is kept
/// inside of any tool's probe keeps the kernel from detaching.
fn trials(machine: &machine::System, child: &dyn Fn() -> Command) -> Vec<Check> {
    let work = |channel: Channel| {
        // A doctor that is gone needs no answer.
        trial::run(machine, child, &mut |check| drop(channel.send(&to_bytes(&check), &[])));
        let _ = channel.send(&[], &[]);
    };
    let mut helper = match Helper::start(c"tracer-doctor", &[], work) {
        Ok(helper) => helper,
        Err(error) => {
            let found = format!("cannot start a process: {error}; nothing was tried");
            return vec![Check::new(Verdict::Limit, "trials", found)];
        }
    };
    let mut checks = Vec::new();
    loop {
        let found = match helper.receive_within(trial::LIMIT) {
            Ok((body, _)) if body.is_empty() => return checks,
            Ok((body, _)) => {
                checks.extend(from_bytes(&body));
                continue;
            }
            Err(NoAnswer::Gone) => "ended before all was tried".to_owned(),
            Err(NoAnswer::Slow) => {
                // To be killed it would have to be let go by the kernel as well.
                helper.leave();
                let limit = trial::LIMIT.as_secs();
                format!(
                    "did not go on for {limit} s: the kernel neither attaches nor detaches, as long as a thread is kept inside of a probe"
                )
            }
        };
        let check = Check::new(Verdict::Limit, "trials", found);
        checks.push(check.advise("look for threads with bpf_ in /proc/*/task/*/stack"));
        return checks;
    }
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
