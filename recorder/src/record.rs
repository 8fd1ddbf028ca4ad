//! A recording from begin to end: find probes, attach, drain and write until something ends it, detach, sum up.
//!
//! Two threads: this one moves bytes out of the rings (`drain.rs`), the other one makes a trace of them (`write.rs`).

use std::ffi::OsString;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::time::{Duration, Instant};

use tracer_format::log::escape;
use tracer_format::{Cost, Definitions, Site};

use crate::attach::{self, AttachMode, Link, Place};
use crate::discover::{Discovery, Filter, Found, Scan};
use crate::drain::{Batch, Drain, Wake, monotonic_ns};
use crate::error::{Error, Result};

use crate::host;
use crate::nop::{self, Hazard};
use crate::pattern::{self, Key};
use crate::plan::Plan;
use crate::program::{Program, ProgramOptions};
use crate::stop::{self, Signals};
use crate::write::{Output, Shared, TraceWriter, WrittenSite};

/// What to record, and how.
#[derive(Debug, Clone)]
pub struct RecordOptions {
    /// Probes and processes.
    pub filter: Filter,
    /// Arguments that are keys.
    pub keys: Vec<Key>,
    /// How to attach.
    pub attach: AttachMode,
    /// Bytes of the ring buffer of each CPU: a power of two.
    pub ring_bytes: u32,
    /// End after this time.
    pub duration: Option<Duration>,
    /// A command to run; the recording ends with it.
    pub command: Vec<OsString>,
    /// Our own command line, for the trace.
    pub command_line: Vec<String>,
}

/// What the recorder tells its user on the way.
#[derive(Debug)]
pub enum Notice<'a> {
    /// Something could not be looked into or attached to; the recording goes on.
    Problem(&'a str),
    /// Probes were found and attached; all definitions so far.
    Found(&'a Definitions),
    /// Every probe is attached: from now on nothing is missed.
    Ready {
        /// Probes (not sites) that are attached.
        probes: usize,
    },
    /// Some time passed.
    Progress {
        /// Events so far.
        events: u64,
        /// Events lost so far.
        lost: u64,
        /// Bytes of the trace so far.
        bytes: u64,
    },
}

impl Notice<'_> {
    fn progress(shared: &Shared) -> Self {
        Self::Progress {
            events: shared.events.load(Ordering::Relaxed),
            lost: shared.lost.load(Ordering::Relaxed),
            bytes: shared.bytes.load(Ordering::Relaxed),
        }
    }
}

/// What a recording came to.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    /// Events in the trace.
    pub events: u64,
    /// Events lost; they are in the trace as gaps.
    pub lost: u64,
    /// From the first moment that every probe was attached to the end.
    pub duration: Duration,
    /// Bytes of the trace.
    pub bytes: u64,
    /// What every site recorded and lost, with its name and program, in the order of the trace.
    pub sites: Vec<SiteTotal>,
    /// How the command ended.
    pub command: Option<ExitStatus>,
    /// Raw events that contradicted themselves: 0 unless the kernel is broken.
    pub malformed: u64,
}

/// What one site recorded and lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteTotal {
    /// `provider:probe`.
    pub name: String,
    /// File name of the binary.
    pub program: String,
    /// Events recorded.
    pub recorded: u64,
    /// Events lost.
    pub lost: u64,
}

impl SiteTotal {
    fn of(site: &WrittenSite) -> Self {
        let program = site.site.program.clone();
        Self { name: site.site.name(), program, recorded: site.recorded, lost: site.lost }
    }
}

/// Most sites of one recording.
pub const MAX_SITES: u32 = 64 * 1024;
/// Batches on their way between the two threads; when all are full, events wait in the rings.
const BATCHES: usize = 8;
/// How long a flight recorder goes on after what it watched for was seen, so that the whole path is there.
const AFTERMATH: Duration = Duration::from_secs(1);

/// Attached sites of all binaries.
#[derive(Default)]
struct Attached {
    links: Vec<Link>,
    probes: usize,
    sites: Vec<WrittenSite>,
}

/// Records to `output` until something ends it; `notify` is called on this thread.
///
/// # Errors
/// When nothing can be recorded, or writing fails; what was written until then is a trace.
pub fn record(
    options: &RecordOptions,
    output: Output<'_>,
    notify: &mut dyn FnMut(Notice<'_>),
) -> Result<Summary> {
    let mut signals = Signals::catch().map_err(|source| Error::System { doing: "catch signals", source })?;
    let mut discovery = Discovery::new(options.filter.clone());
    let scan = first_scan(&mut discovery, options)?;
    scan.problems.iter().for_each(|problem| notify(Notice::Problem(problem)));
    let program = Program::load(&ProgramOptions {
        lane_slots: options.ring_bytes / 32,
        ring_bytes: options.ring_bytes,
        max_sites: site_count(&scan.found).min(MAX_SITES),
        only_admitted: !options.filter.pids.is_empty(),
    })?;
    options.filter.pids.iter().try_for_each(|&pid| program.admit(pid))?;
    let attached = attach_all(options, &program, scan.found, notify)?;
    if attached.probes == 0 {
        return Err(Error::NoProbe(nothing_found(options)));
    }

    let shared = Arc::new(Shared::default());
    let longest = output.flush / 4;
    let mut trace = TraceWriter::new(output, host::facts(options.command_line.clone()), shared.clone())?;
    let sites = u32::try_from(attached.sites.len()).unwrap_or(MAX_SITES);
    trace.add_sites(attached.sites)?;
    notify(Notice::Found(trace.definitions()));
    let mut drain = Drain::new(&program)?;
    drain.watch(signals.as_fd())?;
    trace.begin(host::clocks())?;

    let started = Instant::now();
    let mut command = Running::start(options, &drain)?;
    notify(Notice::Ready { probes: attached.probes });
    let (written, drained, duration) = std::thread::scope(|scope| {
        let (full, batches) = sync_channel(BATCHES);
        let (free, spare) = sync_channel(BATCHES);
        (0..BATCHES).for_each(|_| free.send(Batch::default()).expect("room for all"));
        let writing = scope.spawn(move || write_batches(trace, &batches, &free));
        let mut draining = Draining { drain: &mut drain, sites, full, spare, longest, shared: &shared };
        let until = options.duration.map(|duration| started + duration);
        let ended = draining.until_end(until, &mut signals, &mut command, notify);
        let duration = started.elapsed();
        // Detached first, so that nothing new comes while the rings are emptied.
        drop(attached.links);
        let drained = ended.and_then(|()| draining.rest());
        drop(draining);
        (writing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), drained, duration)
    });
    let mut trace = written?;
    trace.end(cost(&drain))?;
    drained?;
    Ok(Summary {
        events: shared.events.load(Ordering::Relaxed),
        lost: shared.lost.load(Ordering::Relaxed),
        duration,
        bytes: shared.bytes.load(Ordering::Relaxed),
        sites: trace.sites.iter().map(SiteTotal::of).collect(),
        command: command.end()?,
        malformed: trace.malformed(),
    })
}

/// Looks for probes: in what runs, and in what the command will run.
fn first_scan(discovery: &mut Discovery, options: &RecordOptions) -> Result<Scan> {
    let Some(command) = options.command.first() else { return Ok(discovery.scan()) };
    let mut scan = discovery.command(command)?;
    let running = discovery.scan();
    scan.found.extend(running.found);
    scan.problems.extend(running.problems);
    scan.pids.extend(running.pids);
    Ok(scan)
}

fn site_count(found: &[Found]) -> u32 {
    u32::try_from(found.iter().map(|found| found.binary.sites.len()).sum::<usize>()).unwrap_or(u32::MAX)
}

fn nothing_found(options: &RecordOptions) -> String {
    let requests: Vec<String> =
        options.filter.requests.iter().map(|request| request.probe.to_string()).collect();
    format!("no probe matches {} in any running process", requests.join(", "))
}

/// Attaches to every binary found and defines its sites. One that cannot be attached to is told and left out.
fn attach_all(
    options: &RecordOptions,
    program: &Program,
    found: Vec<Found>,
    notify: &mut dyn FnMut(Notice<'_>),
) -> Result<Attached> {
    let kernel = host::kernel_version();
    let mut attached = Attached::default();
    for Found { binary, .. } in found {
        let mut places = Vec::with_capacity(binary.sites.len());
        let mut definitions = Vec::with_capacity(binary.sites.len());
        for site in &binary.sites {
            if let Some(hazard) = nop::hazard(site.nop).filter(|hazard| hazard.applies_to(kernel.0, kernel.1))
            {
                let path = escape(&binary.path.to_string_lossy()).into_owned();
                let left_out = if hazard == Hazard::RedZone { "; left out" } else { "" };
                notify(Notice::Problem(&format!(
                    "{}:{} in {path}: {hazard}{left_out}",
                    site.provider, site.probe
                )));
                if hazard == Hazard::RedZone {
                    continue;
                }
            }
            let id = u32::try_from(attached.sites.len() + definitions.len()).unwrap_or(u32::MAX);
            let (plan, spec) = Plan::new(&site.arguments);
            program.set_site(id, &spec)?;
            places.push(Place { offset: site.offset, semaphore_offset: site.semaphore_offset, site: id });
            definitions.push((plan, definition(site, &binary, options)));
        }
        if places.is_empty() {
            continue;
        }
        let path = PathBuf::from(format!("/proc/self/fd/{}", binary.file.as_raw_fd()));
        match attach::attach(program, options.attach, &path, &places) {
            Ok(link) => attached.links.push(link),
            Err(Error::Attach { source, .. }) => {
                let path = escape(&binary.path.to_string_lossy()).into_owned();
                notify(Notice::Problem(&format!("cannot attach to {path}: {source}")));
                continue;
            }
            Err(error) => return Err(error),
        }
        let mut names: Vec<String> = definitions.iter().map(|(_, site)| site.name()).collect();
        names.sort_unstable();
        names.dedup();
        attached.probes += names.len();
        let written = |(plan, site)| WrittenSite { plan, site, recorded: 0, lost: 0 };
        attached.sites.extend(definitions.into_iter().map(written));
    }
    Ok(attached)
}

fn definition(site: &crate::binary::Site, binary: &crate::binary::Binary, options: &RecordOptions) -> Site {
    Site {
        provider: site.provider.clone(),
        probe: site.probe.clone(),
        program: binary.program.clone(),
        path: binary.path.to_string_lossy().into_owned(),
        build_id: binary.build_id.clone(),
        offset: site.offset,
        semaphore_offset: site.semaphore_offset,
        spec: site.spec.clone(),
        args: site.arguments.iter().map(|argument| argument.kind).collect(),
        key_arg: pattern::key_argument(&options.keys, &site.provider, &site.probe),
        announced: true,
    }
}

/// The command that is recorded, if there is one.
struct Running {
    child: Option<Child>,
    /// Readable once it has ended.
    _end: Option<OwnedFd>,
}

impl Running {
    /// Starts the command. Its probes are attached, so its first instruction is seen.
    fn start(options: &RecordOptions, drain: &Drain) -> Result<Self> {
        let Some((name, arguments)) = options.command.split_first() else {
            return Ok(Self { child: None, _end: None });
        };
        let child = Command::new(name).args(arguments).spawn();
        let child = child.map_err(|source| Error::System { doing: "start the command", source })?;
        let end = stop::child_end(child.id());
        let end = end.map_err(|source| Error::System { doing: "watch the command", source })?;
        drain.watch(end.as_fd())?;
        Ok(Self { child: Some(child), _end: Some(end) })
    }

    fn terminate(&self) {
        self.child.iter().for_each(|child| stop::terminate(child.id()));
    }

    fn is_over(&mut self) -> Result<bool> {
        let Some(child) = &mut self.child else { return Ok(false) };
        let status = child.try_wait();
        Ok(status.map_err(|source| Error::System { doing: "wait for the command", source })?.is_some())
    }

    /// Waits for the command's end.
    fn end(self) -> Result<Option<ExitStatus>> {
        let status = self.child.map(|mut child| child.wait()).transpose();
        status.map_err(|source| Error::System { doing: "wait for the command", source })
    }
}

/// The draining thread's side of the two channels.
struct Draining<'a> {
    drain: &'a mut Drain,
    sites: u32,
    full: SyncSender<Batch>,
    spare: Receiver<Batch>,
    /// Longest sleep.
    longest: Duration,
    shared: &'a Shared,
}

impl Draining<'_> {
    /// Drains until something ends the recording.
    fn until_end(
        &mut self,
        mut until: Option<Instant>,
        signals: &mut Signals,
        command: &mut Running,
        notify: &mut dyn FnMut(Notice<'_>),
    ) -> Result<()> {
        let mut told = Instant::now();
        let mut asked = 0;
        loop {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            let wake = self.drain.wait(left.map_or(self.longest, |left| left.min(self.longest)))?;
            if !self.step()? {
                return Ok(());
            }
            if self.shared.enough.load(Ordering::Relaxed) {
                // A flight recorder waits for the rest of what it saw; the others end at once.
                let aftermath =
                    if self.shared.aftermath.load(Ordering::Relaxed) { AFTERMATH } else { Duration::ZERO };
                let end = Instant::now() + aftermath;
                until = Some(until.map_or(end, |until| until.min(end)));
            }
            if left == Some(Duration::ZERO) {
                command.terminate();
                return Ok(());
            }
            if wake == Wake::Caller {
                let signals = signals.take();
                self.shared.snapshot.fetch_or(signals.snapshots > 0, Ordering::Relaxed);
                asked += signals.ends;
                // With a command, it is the command that is asked to end; asked twice, the recording ends at once.
                if asked > usize::from(command.child.is_some()) || command.is_over()? {
                    return Ok(());
                }
                if signals.ends > 0 {
                    command.terminate();
                }
            }
            if told.elapsed() >= Duration::from_millis(100) {
                told = Instant::now();
                notify(Notice::progress(self.shared));
            }
        }
    }

    /// Moves what is in the rings to the writing thread; false if that has ended.
    fn step(&mut self) -> Result<bool> {
        // No spare batch: the writing thread is behind, and events wait in the rings, where losses are counted.
        match self.spare.try_recv() {
            Ok(mut batch) => {
                self.drain.collect(self.sites, &mut batch)?;
                Ok(self.full.send(batch).is_ok())
            }
            Err(TryRecvError::Empty) => {
                std::thread::sleep(Duration::from_micros(200));
                Ok(true)
            }
            Err(TryRecvError::Disconnected) => Ok(false),
        }
    }

    /// Empties the rings after detaching.
    fn rest(&mut self) -> Result<()> {
        // A program that was running when its site was detached has a few instructions to go.
        std::thread::sleep(Duration::from_millis(2));
        loop {
            let Ok(mut batch) = self.spare.recv() else { return Ok(()) };
            let all = self.drain.collect(self.sites, &mut batch)?;
            if all && batch.words.is_empty() {
                self.drain.read_losses(self.sites, &mut batch)?;
                let _ = self.full.send(batch);
                return Ok(());
            }
            if self.full.send(batch).is_err() {
                return Ok(());
            }
        }
    }
}

/// The writing thread: takes batches until there are no more.
fn write_batches<'a>(
    mut trace: TraceWriter<'a>,
    batches: &Receiver<Batch>,
    free: &SyncSender<Batch>,
) -> Result<TraceWriter<'a>> {
    for batch in batches {
        trace.take(&batch, monotonic_ns())?;
        // The draining thread may have ended already.
        let _ = free.send(batch);
    }
    Ok(trace)
}

/// What this process has cost so far.
fn cost(drain: &Drain) -> Cost {
    let cpu = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let cpu_ns = cpu.tv_sec.saturating_mul(1_000_000_000).saturating_add(cpu.tv_nsec).cast_unsigned();
    Cost { cpu_ns, wakeups: drain.wakeups, drained_bytes: drain.drained_bytes, ..Cost::default() }
}
