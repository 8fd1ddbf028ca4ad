//! What the kernel does with sites of this program: fired so often, recorded so often, in every way to attach.

use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::machine::System;
use super::target::{self, FIRINGS, HARMLESS, LONG, Target};
use super::{Check, Verdict, finding};
use crate::abi::{KIND_EXEC, KIND_EXIT, KIND_FORK, KIND_SITE};
use crate::drain::merge::Merge;
use crate::drain::{Batch, Drain};
use crate::error::{Error, Result};
use crate::host::{self, monotonic_ns};
use crate::kernel::link::{self, AttachMode};
use crate::kernel::program::{Program, ProgramOptions};
use crate::site::plan::{Plan, Values};

/// Firings between two looks into the rings.
const AT_ONCE: u64 = 100;
/// How long a child may take.
const PATIENCE: Timespec = Timespec { tv_sec: 10, tv_nsec: 0 };
/// How long the trials may sleep between two findings: longer than a child takes.
pub(super) const LIMIT: Duration = Duration::from_secs(15);
/// Any program: the file of this one.
const THIS_FILE: &str = "/proc/self/exe";

/// Loads the program and tries it out; what comes of it is told at once.
pub(super) fn run(machine: &System, child: &dyn Fn() -> Command, tell: &mut dyn FnMut(Check)) {
    let name = "BPF program";
    let mut bench = match Bench::new() {
        Ok(bench) => bench,
        Err(error) => {
            let refused = matches!(error, Error::Permission { .. });
            let check = Check::new(Verdict::Problem, name, finding::chain(&error));
            let seccomp = "this container's seccomp filter may be in the way: record outside of it";
            tell(match refused {
                _ if !machine.has_sysfs() => check.advise("mount sysfs at /sys"),
                true if machine.is_filtered() => check.advise(seccomp),
                _ => check,
            });
            return;
        }
    };
    tell(Check::ok(name, format!("verified and loaded, with {} ring buffers", bench.program.cpus())));
    finding::unwaiting(bench.program.variants.unwaiting()).into_iter().for_each(&mut *tell);
    tell(finding::processes(bench.processes(child)));
    let multi = match &bench.program.variants.multi {
        Ok(_) => bench.harmless(AttachMode::Multi),
        Err(error) => Err(Error::Unsupported {
            doing: "attach many probes at once",
            needs: "Linux 6.6 or newer",
            source: error.kind().into(),
        }),
    };
    let perf = bench.harmless(AttachMode::Perf);
    let mode = if bench.program.variants.multi.is_ok() { AttachMode::Multi } else { AttachMode::Perf };
    finding::harmless("uprobe_multi", multi, mode == AttachMode::Multi).into_iter().for_each(&mut *tell);
    finding::harmless("perf", perf, mode == AttachMode::Perf).into_iter().for_each(&mut *tell);
    for target in LONG {
        let tried = bench.in_child(mode, target, child);
        tell(finding::long(target, tried, host::kernel_version()));
    }
}

/// What came of firing one site.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Count {
    /// Times fired.
    pub(super) fired: u64,
    /// Events with the right site and argument.
    pub(super) recorded: u64,
    /// Times that the program's stack was overwritten.
    pub(super) overwritten: u64,
    /// The semaphore afterwards.
    pub(super) semaphore: u16,
}

/// The loaded program with what is needed to read its events.
struct Bench {
    program: Program,
    drain: Drain,
    merge: Merge,
    plans: Vec<Plan>,
}

impl Bench {
    fn new() -> Result<Self> {
        let options = ProgramOptions {
            lane_slots: 16 << 10,
            ring_bytes: 256 << 10,
            only_admitted: false,
            one_by_one: false,
        };
        let program = Program::load(&options)?;
        let mut plans = Vec::new();
        for target in HARMLESS.iter().chain(LONG) {
            let (plan, spec) = Plan::new(&[target.argument()], &[]);
            assert_eq!(program.add_site(&spec)?, target.site, "in the order of the targets");
            plans.push(plan);
        }
        Ok(Self { drain: Drain::new(&program)?, program, merge: Merge::default(), plans })
    }

    fn attach(&self, mode: AttachMode, targets: &[Target]) -> Result<link::Link> {
        let places: io::Result<Vec<_>> = targets.iter().map(Target::place).collect();
        let places = places.map_err(|source| Error::System { doing: "find the own sites", source })?;
        link::attach(&self.program, mode, Path::new(THIS_FILE), &places)
    }

    /// Fires the harmless sites in this process, all attached together: the cookies tell them apart.
    fn harmless(&mut self, mode: AttachMode) -> Result<[Count; HARMLESS.len()]> {
        let link = self.attach(mode, &HARMLESS)?;
        // Tells these events from those of another trial, here or in another process.
        let base = first_argument();
        let text = format!("tracer doctor {base:x}\0");
        let mut counts = [Count::default(); HARMLESS.len()];
        for begin in (0..FIRINGS).step_by(usize::try_from(AT_ONCE).expect("small")) {
            for i in begin..begin + AT_ONCE {
                for (target, count) in HARMLESS.iter().zip(&mut counts) {
                    let is_text = target.name == "string";
                    let argument = if is_text { text.as_ptr().addr() as u64 } else { base + i };
                    count.fired += target.fire(argument).0;
                }
            }
            self.collect(base, &text, |site| counts[site].recorded += 1)?;
        }
        drop(link);
        self.collect_all(base, &text, |site| counts[site].recorded += 1)?;
        for (target, count) in HARMLESS.iter().zip(&mut counts) {
            count.semaphore = if target.has_semaphore { settled_semaphore() } else { 0 };
        }
        Ok(counts)
    }

    /// Fires a site in a child process.
    fn in_child(
        &mut self,
        mode: AttachMode,
        target: &Target,
        child: &dyn Fn() -> Command,
    ) -> Result<std::result::Result<Count, String>> {
        let system = |source| Error::System { doing: "start a child process", source };
        let mut command = child();
        command.arg(target.name).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut firing = Firing::start(&mut command).map_err(system)?;
        let link = self.attach(mode, std::slice::from_ref(target))?;
        let base = first_argument();
        let answer = firing.fire(base);
        drop(link);
        let mut count = Count { fired: FIRINGS, ..Count::default() };
        self.collect_all(base, "", |_| count.recorded += 1)?;
        Ok(answer.map(|overwritten| Count { overwritten, ..count }))
    }

    /// Starts a child process and waits for its end; gives what was seen of it: begin, program, end.
    fn processes(&mut self, child: &dyn Fn() -> Command) -> Result<[bool; 3]> {
        let system = |source| Error::System { doing: "watch processes", source };
        let watching = self.program.watch_processes().map_err(system)?;
        let mut command = child();
        // Which is no form, so that it ends at once.
        command.arg("none").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(system)?;
        child.wait().map_err(system)?;
        drop(watching);
        let mut seen = [false; 3];
        let mut batch = Batch::default();
        self.drain.collect(self.sites(), &mut batch)?;
        self.merge.push(&mut batch);
        while let Some(raw) = self.merge.next(u64::MAX) {
            let kinds = [KIND_FORK, KIND_EXEC, KIND_EXIT];
            for (seen, kind) in seen.iter_mut().zip(kinds) {
                *seen |= raw.pid == child.id() && raw.kind == kind;
            }
        }
        Ok(seen)
    }

    /// Takes what is complete, and says for each event of this trial which site it is of.
    fn collect(&mut self, base: u64, text: &str, hit: impl FnMut(usize)) -> Result<()> {
        let mut batch = Batch::default();
        self.drain.collect(self.sites(), &mut batch)?;
        let until = batch.complete_ns;
        self.record(&mut batch, until, (base, text), hit);
        Ok(())
    }

    /// Takes everything, once nothing is attached any more.
    fn collect_all(&mut self, base: u64, text: &str, mut hit: impl FnMut(usize)) -> Result<()> {
        // A program that was running when its site was detached has a few instructions to go.
        std::thread::sleep(Duration::from_millis(5));
        let mut batch = Batch::default();
        while !self.drain.collect(self.sites(), &mut batch)? {
            let until = batch.complete_ns;
            self.record(&mut batch, until, (base, text), &mut hit);
        }
        self.record(&mut batch, u64::MAX, (base, text), hit);
        Ok(())
    }

    fn sites(&self) -> u32 {
        u32::try_from(self.plans.len()).expect("a few")
    }

    fn record(
        &mut self,
        batch: &mut Batch,
        until_ns: u64,
        (base, text): (u64, &str),
        mut hit: impl FnMut(usize),
    ) {
        self.merge.push(batch);
        while let Some(raw) = self.merge.next(until_ns) {
            let site = self.plans.get(raw.site.index()).filter(|_| raw.kind == KIND_SITE);
            let Some(plan) = site else { continue };
            let (mut values, mut is_text) = (Values::default(), false);
            plan.values(&raw, &mut values, |bytes, _| {
                is_text |= !text.is_empty() && bytes == text.trim_end_matches('\0').as_bytes();
                0
            });
            let is_value = |value: &u64| (base..base + FIRINGS).contains(value);
            if values.unreadable == 0 && (is_text || values.values.first().is_some_and(is_value)) {
                hit(raw.site.index());
            }
        }
    }
}

/// A number that no other trial on this machine uses, nor any of the [`FIRINGS`] after it.
fn first_argument() -> u64 {
    monotonic_ns() << 12
}

/// The value of the semaphore afterwards. Another doctor may raise it too, during its own trials.
fn settled_semaphore() -> u16 {
    let until = Instant::now() + Duration::from_secs(2);
    while target::semaphore() != 0 && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(10));
    }
    target::semaphore()
}

/// A child process that fires when it is told to; it ends with this value.
struct Firing {
    child: Child,
    input: ChildStdin,
    output: ChildStdout,
}

impl Firing {
    fn start(command: &mut Command) -> io::Result<Self> {
        let mut child = command.spawn()?;
        let piped = child.stdin.take().zip(child.stdout.take());
        let (input, output) = piped.ok_or_else(|| io::Error::from(io::ErrorKind::BrokenPipe))?;
        Ok(Self { child, input, output })
    }

    /// Has it fire; gives how often its stack was overwritten, or how it ended instead.
    fn fire(&mut self, base: u64) -> std::result::Result<u64, String> {
        // A child that is gone does not answer either, which is looked at below.
        let _ = writeln!(self.input, "{base}");
        let mut ready = [PollFd::new(&self.output, PollFlags::IN)];
        if !poll(&mut ready, Some(&PATIENCE)).is_ok_and(|count| count > 0) {
            return Err("did not end".to_owned());
        }
        let mut answer = String::new();
        let read = BufReader::new(&mut self.output).read_line(&mut answer);
        let status = self.child.wait();
        match (read, answer.trim().parse(), status) {
            (Ok(_), Ok(count), Ok(status)) if status.success() => Ok(count),
            (_, _, Ok(status)) => Err(format!("ended with {status}")),
            (_, _, Err(error)) => Err(error.to_string()),
        }
    }
}

impl Drop for Firing {
    fn drop(&mut self) {
        // It has ended, unless something went wrong.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_that_ends_or_never_answers_is_no_failure_of_ours() {
        let mut gone = Command::new("false");
        gone.stdin(Stdio::piped()).stdout(Stdio::piped());
        let ended = Firing::start(&mut gone).expect("started").fire(1);
        assert_eq!(ended, Err("ended with exit status: 1".to_owned()));
    }
}
