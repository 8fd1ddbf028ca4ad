//! A recording in four steps: `prepare` finds probes and loads the program,
//! `attach` attaches to them, `run` records until something ends it,
//! `finish` sums up. What happens while it runs stands in `pump.rs`.

use std::os::fd::{AsFd, OwnedFd};
use std::panic::resume_unwind;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tracer_format::{Site, Skipped};

use crate::attach::finder::Finder;
use crate::attach::hold::Holder;
use crate::attach::lookout::Lookout;
use crate::drain::Drain;
use crate::error::{Error, Result};
use crate::find::discover::{Discovery, Filter, FoundFile, Scan};
use crate::find::look::Query;
use crate::find::look::lookers::Lookers;
use crate::find::unmatched::{self, Scope};
use crate::host;
use crate::host::descriptors::make_room;
use crate::host::process;
use crate::kernel::link::{self, AttachMode};
use crate::kernel::mapped::Mapped;
use crate::kernel::program::{Program, ProgramOptions};
use crate::run::command::Running;
use crate::run::notice::Notice;
use crate::run::options::RecordOptions;
use crate::run::pump::{End, Work};
use crate::run::spool::Spool;
use crate::run::stop::Signals;
use crate::run::summary::{SiteTotal, Summary};
use crate::site::plan::PlannedSite;
use crate::write::TraceWriter;
use crate::write::control::Control;
use crate::write::output::Output;
use crate::write::progress::Progress;
use crate::write::threads::{ReadCommand, Threads};
use crate::write::trace::Surroundings;

/// Records to `output` until something ends it; `notify` is called on this thread.
///
/// # Errors
/// When nothing can be recorded, or writing fails; what was written until then is a trace.
pub fn record(
    options: &RecordOptions,
    output: Output<'_>,
    notify: &mut dyn FnMut(Notice<'_>),
) -> Result<Summary> {
    Recording::prepare(options, notify)?.attach(notify)?.run(output, notify)?.finish(notify)
}

/// Probes were found and the program is loaded; nothing is attached yet.
struct Recording<'o> {
    options: &'o RecordOptions,
    signals: Signals,
    program: Arc<Program>,
    /// The kernel reports processes while these are open.
    watch: Vec<OwnedFd>,
    /// Tells what processes map, if the kernel allows it; without, all are looked at again and again.
    mapped: Option<Mapped>,
    finder: Finder,
    found: Vec<FoundFile>,
    /// What is not recorded, as far as it is known.
    skipped: Vec<Skipped>,
    threads: Threads,
}

impl<'o> Recording<'o> {
    fn prepare(options: &'o RecordOptions, notify: &mut dyn FnMut(Notice<'_>)) -> Result<Self> {
        let signals = Signals::catch().map_err(|source| Error::System { doing: "catch signals", source })?;
        make_room();
        process::pids().map_err(|source| Error::System { doing: "see processes in /proc", source })?;
        let mut skipped = Vec::new();
        look_outside(options, notify)?;
        options.priority.shortfall().iter().for_each(|text| notify(Notice::Problem(text)));
        unmatched::pids(&options.filter.pids)?;
        unmatched::files(&options.filter.files, &options.filter.requests)?;
        let scope = match (&options.filter.files[..], &options.command[..]) {
            ([], []) => Scope::Running,
            ([], _) => Scope::Command,
            _ => Scope::Files,
        };
        if scope == Scope::Running && !options.wait {
            unmatched::programs(&options.filter.programs)?;
        }
        let mut discovery = Discovery::new(options.filter.clone());
        // Begun before the first look: what is mapped after that is told.
        let mapped = Mapped::open().ok();
        let (scan, program) = look_and_load(&mut discovery, options);
        let (mut scan, program) = (scan?, Arc::new(program?));
        link::check_mode(&program, options.attach)?;
        let watch = watch(&program, options.only_tree(), notify)?;
        let was_waiting = discovery.is_waiting();
        discovery.settle();
        let mut finder = Finder::new(options.attaching(), program.clone(), discovery);
        // Second look: catches processes started before the tracepoints were attached.
        scan.extend(finder.catch_up(mapped.as_ref()));
        if was_waiting {
            scan.extend(finder.scan());
        }
        let pids = scan.pids.clone();
        if !options.wait || scope == Scope::Files {
            unmatched::probes(&options.filter, &scan.found, scope, || all_probes(options))?;
        }
        let key_scope = if options.wait && scope == Scope::Running { Scope::Command } else { scope };
        unmatched::arguments(&options.filter.requests, &options.keys, &scan.found, key_scope)?;
        scan.notes.iter().for_each(|note| notify(Notice::Problem(note)));
        scan.skipped.into_iter().for_each(|it| skip(it, &mut skipped, notify));
        let mut threads = Threads::new(options.filter.programs.clone(), host::is_in_pid_namespace());
        threads.read_commands(read_command());
        pids.into_iter().for_each(|pid| threads.know(pid));
        Ok(Self { options, signals, program, watch, mapped, finder, found: scan.found, skipped, threads })
    }

    /// Attaches to all that was found.
    fn attach(mut self, notify: &mut dyn FnMut(Notice<'_>)) -> Result<Attached<'o>> {
        let skipped = &mut self.skipped;
        let mut skip = |it: Skipped| skip(it, skipped, notify);
        let (mut sites, mut probes) = (Vec::new(), 0);
        let mut prepared = self.finder.prepare(std::mem::take(&mut self.found), &mut skip)?;
        self.finder.attach(&mut prepared, &mut skip);
        if self.program.sites.has_of_memory()
            && let Some((text, true)) = self.program.variants.unwaiting()
        {
            // Each of them shows in the trace.
            notify(Notice::Problem(&text));
        }
        for mut prepared in prepared {
            probes += prepared.probes();
            sites.append(&mut prepared.sites);
        }
        if probes == 0 && self.options.command.is_empty() && !self.options.wait {
            return Err(Error::NoProbe("none of the probes that were found could be attached".to_owned()));
        }
        Ok(Attached { recording: self, sites, probes })
    }
}

/// Every probe that was found is attached; events wait in the kernel's buffers.
struct Attached<'o> {
    recording: Recording<'o>,
    sites: Vec<PlannedSite>,
    /// Probes (not sites) that are attached.
    probes: usize,
}

impl Attached<'_> {
    /// Starts the command, if there is one, and records until something ends it.
    fn run<'a>(self, mut output: Output<'a>, notify: &mut dyn FnMut(Notice<'_>)) -> Result<Ended<'a>> {
        let Recording { options, signals, program, watch, mapped, mut finder, skipped, threads, .. } =
            self.recording;
        let holder = hold(options, &program, notify).map(Arc::new);
        if let Some(holder) = &holder {
            finder.hold(holder.clone());
        }
        let (control, progress) = (Arc::new(Control::default()), Arc::new(Progress::default()));
        let spool = Spool::new(output.spool_bytes);
        let open = std::mem::replace(&mut output.open, spool.opener());
        let longest = output.flush / 4;
        let host = host::facts(options.command_line.clone());
        let surroundings = Surroundings { host, threads, read_clocks: host::clocks };
        let announced: Vec<Site> =
            self.sites.iter().filter(|it| it.site.announced).map(|it| it.site.clone()).collect();
        if let Some(accept) = output.accept.take() {
            accept(&announced).map_err(Error::Request)?;
        }
        let mut trace = TraceWriter::new(output, surroundings, control.clone(), progress.clone())?;
        trace.add_sites(self.sites)?;
        skipped.into_iter().try_for_each(|skipped| trace.skip(skipped))?;
        notify(Notice::Found(&announced));
        drop(announced);
        let drain = Drain::new(&program)?;
        drain.watch(signals.as_fd())?;
        progress.bell().map_or(Ok(()), |bell| drain.watch_edge(bell))?;
        trace.begin()?;

        let mut end = End { duration: options.duration, signals, command: Running::default() };
        let told = Lookout::new(mapped, finder.written())
            .map_err(|source| Error::System { doing: "watch what processes map", source })?;
        let start = |drain: &Drain| start_command(options, &program, drain);
        let work = Work {
            trace,
            spool,
            open,
            finder,
            holder,
            start: &start,
            probes: self.probes,
            watch,
            told,
            drain,
            program: program.clone(),
            longest,
            priority: options.priority,
            control,
            progress,
            tells_progress: options.progress,
        };
        let (trace, drained) = work.run(&mut end, notify);
        Ok(Ended { end, trace, drained })
    }
}

/// Everything is detached, and the trace is finished.
struct Ended<'a> {
    end: End,
    trace: Result<(TraceWriter<'a>, Vec<SiteTotal>)>,
    /// Time from when every probe was attached to the end, or why the recording failed.
    drained: Result<Duration>,
}

impl Ended<'_> {
    /// Waits for the command, and sums up.
    fn finish(self, notify: &mut dyn FnMut(Notice<'_>)) -> Result<Summary> {
        let Self { end, trace, drained } = self;
        let End { mut signals, command, .. } = end;
        let ended = trace.and_then(|(mut trace, sites)| {
            trace.skipped_at_end().iter().for_each(|skipped| notify(Notice::Skipped(skipped)));
            if let Some(source) = trace.print_failure() {
                return Err(Error::System { doing: "print the log", source });
            }
            drained.map(|duration| (trace, sites, duration))
        });
        let mut told = |text: &str| notify(Notice::Problem(text));
        let (trace, sites, duration) = match ended {
            Ok(ended) => ended,
            Err(error) => {
                // It was started to be recorded. The error that ended the recording is the one to tell.
                command.terminate();
                let _ = command.end(&mut signals, &mut told);
                return Err(error);
            }
        };
        let progress = trace.progress();
        let summary = Summary {
            events: progress.events(),
            lost: progress.lost(),
            duration,
            bytes: progress.bytes(),
            sites,
            command: command.end(&mut signals, &mut told)?,
            skipped: trace.skipped().to_vec(),
        };
        // All is written. To free what it knows of hundreds of thousands of sites, which somebody else's programs may have, takes longer
        // than the rest of the end.
        std::mem::forget(trace);
        Ok(summary)
    }
}

/// Reads command lines of processes, which are in their memory. After a few that do not answer there are none any more: the thread
/// that writes waits for them.
fn read_command() -> ReadCommand {
    const MAX_SILENT: usize = 3;
    let (mut lookers, mut silent) = (Lookers::default(), 0);
    Box::new(move |pid, folder| {
        if silent >= MAX_SILENT {
            return Vec::new();
        }
        let answer = lookers.ask::<Vec<u8>>(pid, &Query::Command(folder.to_owned()), None);
        silent += usize::from(answer.is_err());
        answer.map(|(text, _)| text).unwrap_or_default()
    })
}

/// Holds programs from now on until they were looked at, if the kernel allows it.
fn hold(options: &RecordOptions, program: &Program, notify: &mut dyn FnMut(Notice<'_>)) -> Option<Holder> {
    let admitted = options.only_admitted().then_some(&program.admitted);
    let error = match Holder::start(admitted) {
        Ok(holder) => return Some(holder),
        Err(error) => error,
    };
    let text = format!(
        "programs that start are not held until their probes are attached: {error} (needs CAP_SYS_ADMIN and \
         CONFIG_FANOTIFY_ACCESS_PERMISSIONS): what they fire in their first milliseconds may be missed"
    );
    notify(Notice::Problem(&text));
    None
}

/// Tells the user of something that is not recorded, and keeps it for the trace.
fn skip(it: Skipped, skipped: &mut Vec<Skipped>, notify: &mut dyn FnMut(Notice<'_>)) {
    notify(Notice::Skipped(&it));
    skipped.push(it);
}

/// Reports what does not work inside of a PID namespace, where the eBPF program sees other pids than this process.
fn look_outside(options: &RecordOptions, notify: &mut dyn FnMut(Notice<'_>)) -> Result<()> {
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

/// Looks for probes while the kernel verifies the program.
fn look_and_load(discovery: &mut Discovery, options: &RecordOptions) -> (Result<Scan>, Result<Program>) {
    thread::scope(|scope| {
        let loading =
            thread::Builder::new().name("tracer-program".to_owned()).spawn_scoped(scope, || load(options));
        let scan = first_scan(discovery, options);
        let program = match loading {
            Ok(loading) => loading.join().unwrap_or_else(|panic| resume_unwind(panic)),
            Err(_) => load(options),
        };
        (scan, program)
    })
}

/// Loads the program, and admits the processes that the user named.
fn load(options: &RecordOptions) -> Result<Program> {
    let program = Program::load(&ProgramOptions {
        lane_slots: options.ring_bytes / 32,
        ring_bytes: options.ring_bytes,
        only_admitted: options.only_admitted(),
        one_by_one: options.attach == AttachMode::Perf,
    })?;
    options.filter.pids.iter().try_for_each(|&pid| program.admit(pid))?;
    Ok(program)
}

/// Watches processes if the kernel allows it. A recording works without, unless it has to follow a command's children.
fn watch(program: &Program, follow: bool, notify: &mut dyn FnMut(Notice<'_>)) -> Result<Vec<OwnedFd>> {
    match program.watch_processes() {
        Ok(links) => Ok(links),
        Err(source) if follow => Err(Error::Unsupported {
            doing: "follow the children of the command",
            needs: "BTF, CONFIG_DEBUG_INFO_BTF; -a records every process instead",
            source,
        }),
        Err(error) => {
            let text = format!(
                "cannot watch processes: {error}; one whose id is reused will not be told from the next"
            );
            notify(Notice::Problem(&text));
            Ok(Vec::new())
        }
    }
}

/// Starts the command, if there is one. Its probes are attached, so its first instruction is seen.
fn start_command(options: &RecordOptions, program: &Program, drain: &Drain) -> Result<Running> {
    if !options.follows() {
        return Running::start(&options.command, options.user.as_ref(), drain);
    }
    // The command is admitted as our child, before it is a process of its own.
    program.follow(std::process::id())?;
    let command = Running::start(&options.command, options.user.as_ref(), drain);
    program.dismiss(std::process::id());
    command
}

/// Looks for probes: in what runs, and in what the command will run.
fn first_scan(discovery: &mut Discovery, options: &RecordOptions) -> Result<Scan> {
    if options.command.is_empty() {
        return Ok(discovery.scan());
    }
    let mut scan = discovery.command(&options.command)?;
    let running = if options.everyone {
        discovery.scan()
    } else {
        discovery.scan_processes(options.filter.pids.clone())
    };
    scan.extend(running);
    Ok(scan)
}

/// Looks for all probes where those that were asked for were looked for.
fn all_probes(options: &RecordOptions) -> Vec<FoundFile> {
    let requests = "*".parse().into_iter().collect();
    let options = RecordOptions { filter: Filter { requests, ..options.filter.clone() }, ..options.clone() };
    first_scan(&mut Discovery::new(options.filter.clone()), &options)
        .map(|scan| scan.found)
        .unwrap_or_default()
}
