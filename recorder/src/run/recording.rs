//! A recording from begin to end: find probes, attach, drain and write until something ends it, detach, sum up.
//! What happens between attaching and detaching stands in `pump.rs`.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use rustix::thread::CapabilitySet;
use tracer_format::{Cost, Site};

use crate::attach::finder::Finder;
use crate::drain::Drain;
use crate::error::{Error, Result};
use crate::find::discover::{Discovery, FoundFile, Scan};
use crate::host;
use crate::host::process;
use crate::kernel::program::{Program, ProgramOptions};
use crate::kernel::signal;
use crate::run::command::Running;
use crate::run::guard::Guard;
use crate::run::notice::Notice;
use crate::run::options::RecordOptions;
use crate::run::pump::{End, Work};
use crate::run::stop::Signals;
use crate::run::summary::{SiteTotal, Summary};
use crate::site::plan::PlannedSite;
use crate::write::output::Output;
use crate::write::threads::Threads;
use crate::write::{Shared, TraceWriter};

/// Most sites of one recording.
pub const MAX_SITES: u32 = 64 * 1024;

/// Room for sites of programs that are started while recording.
const LATER_SITES: u32 = 4096;

/// Records to `output` until something ends it; `notify` is called on this thread.
///
/// # Errors
/// When nothing can be recorded, or writing fails; what was written until then is a trace.
pub fn record(
    options: &RecordOptions,
    output: Output<'_>,
    notify: &mut dyn FnMut(Notice<'_>),
) -> Result<Summary> {
    let signals = Signals::catch().map_err(|source| Error::System { doing: "catch signals", source })?;
    look_outside(options, notify)?;
    let mut discovery = Discovery::new(options.filter.clone());
    let mut scan = first_scan(&mut discovery, options)?;
    let mut tell = |problem: String| notify(Notice::Problem(&problem));
    let max_sites = site_count(&scan.found).saturating_add(LATER_SITES).min(MAX_SITES);
    let program = load(options, max_sites)?;
    let watch = watch(&program, options.only_tree(), &mut tell)?;
    let sites = AtomicU32::new(0);
    let mut finder = Finder::new(options.attaching(), &program, discovery, &sites, max_sites);
    // Who began before they are watched is known by this second look.
    let later = finder.scan();
    scan.found.extend(later.found);
    scan.problems.into_iter().chain(later.problems).for_each(&mut tell);
    let mut threads = Threads::new(options.filter.programs.clone(), host::is_in_pid_namespace());
    later.pids.into_iter().filter_map(process::read).for_each(|process| threads.know(process));
    let (written, probes) = attach_first(&mut finder, scan.found, &mut tell)?;
    if probes == 0 && options.command.is_empty() && !options.wait {
        return Err(Error::NoProbe(if written.is_empty() {
            nothing_found(options)
        } else {
            "none of the probes that were found could be attached".to_owned()
        }));
    }

    let shared = Arc::new(Shared::default());
    let longest = output.flush / 4;
    let mut trace =
        TraceWriter::new(output, host::facts(options.command_line.clone()), threads, shared.clone())?;
    let announced: Vec<Site> =
        written.iter().filter(|it| it.site.announced).map(|it| it.site.clone()).collect();
    trace.add_sites(written)?;
    notify(Notice::Found(&announced));
    let mut drain = Drain::new(&program)?;
    drain.watch(signals.as_fd())?;
    trace.begin(host::clocks())?;

    let started = Instant::now();
    let (mut command, guard) = start_command(options, &program, &drain)?;
    notify(Notice::Ready { probes });
    let work = Work { trace, finder, watch, drain: &mut drain, sites: &sites, longest, shared: &shared };
    let until = options.duration.map(|duration| started + duration);
    let mut end = End { until, signals, command: &mut command };
    let (written, drained) = work.run(&mut end, notify);
    let mut signals = end.signals;
    // Nobody is held any more.
    drop(guard);
    let ended = written.and_then(|mut trace| {
        trace.end(cost(&drain, &program)?)?;
        if let Some(source) = trace.print_failure() {
            return Err(Error::System { doing: "print the log", source });
        }
        drained.map(|duration| (trace, duration))
    });
    let (trace, duration) = match ended {
        Ok(ended) => ended,
        // The command was started to be recorded; who is held would not hear of its end.
        Err(error) => {
            give_up(options, &program, command, &mut signals, notify);
            return Err(error);
        }
    };
    Ok(Summary {
        events: shared.events.load(Ordering::Relaxed),
        lost: shared.lost.load(Ordering::Relaxed),
        duration,
        bytes: shared.bytes.load(Ordering::Relaxed),
        sites: trace.sites.iter().map(SiteTotal::of).collect(),
        command: command.end(&mut signals, &mut |text| notify(Notice::Problem(text)))?,
        malformed: trace.malformed(),
        lost_processes: program.lost_processes()?,
    })
}

/// Whether a process that is stopped can be continued, whatever user it has become.
fn may_signal_anybody() -> bool {
    let capabilities = rustix::thread::capabilities(None);
    capabilities.is_ok_and(|sets| sets.effective.contains(CapabilitySet::KILL))
}

/// Says what cannot be had without a capability, and inside of a PID namespace, where the kernel's programs see other pids
/// than this process.
fn look_outside(options: &RecordOptions, notify: &mut dyn FnMut(Notice<'_>)) -> Result<()> {
    if options.follows() && !may_signal_anybody() {
        let text = "without CAP_KILL the command's children are not stopped until their probes are attached: what \
                    they fire first may be missed";
        notify(Notice::Problem(text));
    }
    if !host::is_in_pid_namespace() {
        return Ok(());
    }
    if !options.filter.pids.is_empty() {
        let text = "-p: the kernel tells other pids inside of a PID namespace (a container); give -x PROGRAM";
        return Err(Error::Request(text.to_owned()));
    }
    if !options.command.is_empty() && !options.everyone {
        let text = "the command's children cannot be told from others inside of a PID namespace (a container): \
                    every process is recorded";
        notify(Notice::Problem(text));
    }
    Ok(())
}

/// Loads the program, and admits the processes that the user named.
fn load(options: &RecordOptions, max_sites: u32) -> Result<Program> {
    let program = Program::load(&ProgramOptions {
        lane_slots: options.ring_bytes / 32,
        ring_bytes: options.ring_bytes,
        max_sites,
        only_admitted: options.only_tree() || !options.filter.pids.is_empty(),
        hold: options.follows() && may_signal_anybody(),
    })?;
    options.filter.pids.iter().try_for_each(|&pid| program.admit(pid))?;
    Ok(program)
}

/// Watches processes if the kernel allows. Without, a recording is poorer, but a command's children cannot be followed.
fn watch(program: &Program, follow: bool, tell: &mut dyn FnMut(String)) -> Result<Vec<OwnedFd>> {
    match program.watch_processes() {
        Ok(links) => Ok(links),
        Err(source) if follow => Err(Error::Unsupported {
            doing: "follow the children of the command",
            needs: "BTF, CONFIG_DEBUG_INFO_BTF; -a records every process instead",
            source,
        }),
        Err(error) => {
            tell(format!(
                "cannot watch processes: {error}; one whose id is reused will not be told from the next"
            ));
            Ok(Vec::new())
        }
    }
}

/// Starts the command, if there is one, and its guard. Its probes are attached, so its first instruction is seen.
fn start_command(
    options: &RecordOptions,
    program: &Program,
    drain: &Drain,
) -> Result<(Running, Option<Guard>)> {
    if !options.follows() {
        return Ok((Running::start(&options.command, options.user.as_ref(), drain)?, None));
    }
    let guard = Guard::start(program).map_err(|source| Error::System { doing: "start a process", source })?;
    // The command is admitted as our child, before it is a process of its own.
    program.follow(std::process::id())?;
    let command = Running::start(&options.command, options.user.as_ref(), drain);
    program.dismiss(std::process::id());
    Ok((command?, Some(guard)))
}

/// Ends the command after an error.
fn give_up(
    options: &RecordOptions,
    program: &Program,
    command: Running,
    signals: &mut Signals,
    notify: &mut dyn FnMut(Notice<'_>),
) {
    if options.follows() {
        program.admitted().into_iter().for_each(signal::resume);
    }
    command.terminate();
    // The error that ended the recording is the one to tell.
    let _ = command.end(signals, &mut |text| notify(Notice::Problem(text)));
}

/// Attaches to all that was found before the recording begins; gives the sites and the number of probes.
fn attach_first(
    finder: &mut Finder<'_>,
    found: Vec<FoundFile>,
    tell: &mut dyn FnMut(String),
) -> Result<(Vec<PlannedSite>, usize)> {
    let (mut sites, mut probes) = (Vec::new(), 0);
    for mut prepared in finder.prepare(found, tell)? {
        if finder.attach(&prepared, tell)? {
            probes += prepared.probes();
        } else {
            prepared.sites.iter_mut().for_each(|site| site.site.announced = false);
        }
        sites.append(&mut prepared.sites);
    }
    Ok((sites, probes))
}

/// Looks for probes: in what runs, and in what the command will run.
fn first_scan(discovery: &mut Discovery, options: &RecordOptions) -> Result<Scan> {
    let Some(command) = options.command.first() else { return Ok(discovery.scan()) };
    let mut scan = discovery.command(command)?;
    let running = if options.everyone {
        discovery.scan()
    } else {
        discovery.scan_processes(options.filter.pids.clone())
    };
    scan.found.extend(running.found);
    scan.problems.extend(running.problems);
    scan.pids.extend(running.pids);
    Ok(scan)
}

fn site_count(found: &[FoundFile]) -> u32 {
    u32::try_from(found.iter().map(|found| found.binary.sites.len()).sum::<usize>()).unwrap_or(u32::MAX)
}

fn nothing_found(options: &RecordOptions) -> String {
    let requests: Vec<String> =
        options.filter.requests.iter().map(|request| request.probe.to_string()).collect();
    format!("no probe matches {} in any running process", requests.join(", "))
}

/// What this process has cost so far.
fn cost(drain: &Drain, program: &Program) -> Result<Cost> {
    let cpu = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let cpu_ns = cpu.tv_sec.saturating_mul(1_000_000_000).saturating_add(cpu.tv_nsec).cast_unsigned();
    let (bpf_ns, bpf_runs) = program.run_time()?;
    Ok(Cost { bpf_ns, bpf_runs, cpu_ns, wakeups: drain.wakeups, drained_bytes: drain.drained_bytes })
}
