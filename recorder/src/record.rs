//! A recording from begin to end: find probes, attach, drain and write until something ends it, detach, sum up.
//!
//! Two threads: this one moves bytes out of the rings (`drain.rs`), the other one makes a trace of them (`write.rs`).

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use tracer_format::{Cost, Definition, Definitions, Site, Writer, WriterOptions};

use crate::attach::{self, AttachMode, Link, Place};
use crate::discover::{Discovery, Filter, Found, Scan};
use crate::drain::{Batch, Drain, Wake, monotonic_ns};
use crate::error::{Error, Result};
use crate::host;
use crate::escape::escape;
use crate::nop::{self, Hazard};
use crate::pattern::{self, Key};
use crate::plan::Plan;
use crate::program::{Program, ProgramOptions};
use crate::stop::{self, Signals};
use crate::write::{Totals, TraceWriter, WrittenSite};

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
    /// An event is in the file at most this long after it fired.
    pub flush: Duration,
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

/// Most sites of one recording.
pub const MAX_SITES: u32 = 64 * 1024;
/// Batches on their way between the two threads; when all are full, events wait in the rings.
const BATCHES: usize = 8;

/// Attached sites of all binaries.
struct Attached {
    links: Vec<Link>,
    probes: usize,
    sites: Vec<WrittenSite>,
}

/// Records to `sink` until something ends it. `synced` is the same file as `sink`, if every flush is to reach the disk;
/// `print` gets the log; `notify` is called on this thread.
///
/// # Errors
/// When nothing can be recorded, or writing fails; what was written until then is a trace.
pub fn record<W: Write + Send>(
    options: &RecordOptions,
    sink: W,
    synced: Option<File>,
    print: Option<Box<dyn Write + Send + '_>>,
    notify: &mut dyn FnMut(Notice<'_>),
) -> Result<Summary> {
    let mut signals = Signals::catch().map_err(|source| Error::System { doing: "catch signals", source })?;
    let mut discovery = Discovery::new(options.filter.clone());
    let scan = first_scan(&mut discovery, options)?;
    scan.problems.iter().for_each(|problem| notify(Notice::Problem(problem)));
    let program = Program::load(&ProgramOptions {
        ring_bytes: options.ring_bytes,
        max_sites: site_count(&scan.found).min(MAX_SITES),
        only_admitted: !options.filter.pids.is_empty(),
    })?;
    options.filter.pids.iter().try_for_each(|&pid| program.admit(pid))?;

    let trace_id = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), monotonic_ns());
    let mut writer = Writer::new(Synced { sink, synced, bytes: 0 }, WriterOptions { trace_id, ..WriterOptions::default() })?;
    writer.define(Definition::Host(host::facts(options.command_line.clone())))?;
    let attached = attach_all(options, &program, scan.found, &mut writer, notify)?;
    notify(Notice::Found(writer.definitions()));
    if attached.probes == 0 {
        return Err(Error::NoProbe(nothing_found(options)));
    }

    let mut drain = Drain::new(&program)?;
    drain.watch(signals.as_fd())?;
    let totals = Totals::default();
    let sites = u32::try_from(attached.sites.len()).unwrap_or(MAX_SITES);
    let mut trace = TraceWriter::new(writer, attached.sites, options.flush, print, &totals);
    trace.begin(host::clocks())?;

    let started = Instant::now();
    let mut child = start(options)?;
    let child_end = child.as_ref().map(|child| stop::child_end(child.id())).transpose();
    let child_end = child_end.map_err(|source| Error::System { doing: "watch the command", source })?;
    if let Some(child_end) = &child_end {
        drain.watch(child_end.as_fd())?;
    }
    notify(Notice::Ready { probes: attached.probes });

    let (mut trace, drained) = std::thread::scope(|scope| {
        let (full, batches) = sync_channel(BATCHES);
        let (free, spare) = sync_channel(BATCHES);
        (0..BATCHES).for_each(|_| free.send(Batch::default()).expect("room for all"));
        let writing = scope.spawn(move || write_batches(trace, &batches, &free));
        let mut draining = Draining { drain: &mut drain, sites, full, spare };
        let ended = draining.until_end(options, started, &mut signals, child.as_mut(), &mut || notify(totals.progress()));
        // Detached first, so that nothing new comes while the rings are emptied.
        drop(attached.links);
        let drained = ended.and_then(|()| draining.rest());
        drop(draining);
        let trace = writing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        trace.map(|trace| (trace, drained))
    })?;
    let duration = started.elapsed();
    trace.end(host::clocks())?;
    drained?;
    finish(trace, &drain, duration, child)
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
    let requests: Vec<String> = options.filter.requests.iter().map(|request| request.probe.to_string()).collect();
    format!("no probe matches {} in any running process", requests.join(", "))
}

/// Attaches to every binary found and defines its sites. One that cannot be attached to is told and left out.
fn attach_all<W: Write>(
    options: &RecordOptions,
    program: &Program,
    found: Vec<Found>,
    writer: &mut Writer<W>,
    notify: &mut dyn FnMut(Notice<'_>),
) -> Result<Attached> {
    let kernel = host::kernel_version();
    let mut attached = Attached { links: Vec::new(), probes: 0, sites: Vec::new() };
    for Found { binary, .. } in found {
        let mut places = Vec::with_capacity(binary.sites.len());
        let mut definitions = Vec::with_capacity(binary.sites.len());
        for site in &binary.sites {
            if let Some(hazard) = nop::hazard(site.nop).filter(|hazard| hazard.applies_to(kernel.0, kernel.1)) {
                let path = escape(&binary.path.to_string_lossy()).into_owned();
                let left_out = if hazard == Hazard::RedZone { "; left out" } else { "" };
                notify(Notice::Problem(&format!("{}:{} in {path}: {hazard}{left_out}", site.provider, site.probe)));
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
        for (plan, site) in definitions {
            let program = site.program.clone();
            attached.sites.push(WrittenSite { plan, program, recorded: 0, lost: 0 });
            writer.define(Definition::Site(site))?;
        }
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

/// Starts the command, if there is one. Its probes are attached, so its first instruction is seen.
fn start(options: &RecordOptions) -> Result<Option<Child>> {
    let Some((name, arguments)) = options.command.split_first() else { return Ok(None) };
    let child = Command::new(name).args(arguments).spawn();
    child.map(Some).map_err(|source| Error::System { doing: "start the command", source })
}

/// The draining thread's side of the two channels.
struct Draining<'a> {
    drain: &'a mut Drain,
    sites: u32,
    full: SyncSender<Batch>,
    spare: Receiver<Batch>,
}

impl Draining<'_> {
    /// Drains until something ends the recording.
    fn until_end(
        &mut self,
        options: &RecordOptions,
        started: Instant,
        signals: &mut Signals,
        mut child: Option<&mut Child>,
        tell: &mut dyn FnMut(),
    ) -> Result<()> {
        let longest = options.flush / 4;
        let mut told = Instant::now();
        let mut asked = 0;
        loop {
            let left = options.duration.map(|duration| duration.saturating_sub(started.elapsed()));
            let wake = self.drain.wait(left.unwrap_or(longest).min(longest))?;
            if !self.step()? {
                return Ok(());
            }
            if left == Some(Duration::ZERO) {
                child.iter().for_each(|child| stop::terminate(child.id()));
                return Ok(());
            }
            if wake == Wake::Caller {
                let signals = signals.take();
                asked += signals;
                match &mut child {
                    None if asked > 0 => return Ok(()),
                    // The command ends, and then the recording; asked twice, the recording ends at once.
                    Some(_) if asked > 1 => return Ok(()),
                    Some(child) => {
                        if signals > 0 {
                            stop::terminate(child.id());
                        }
                        let ended = child.try_wait();
                        if ended.map_err(|source| Error::System { doing: "wait for the command", source })?.is_some() {
                            return Ok(());
                        }
                    }
                    None => {}
                }
            }
            if told.elapsed() >= Duration::from_millis(100) {
                told = Instant::now();
                tell();
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
            Err(std::sync::mpsc::TryRecvError::Empty) => {
                std::thread::sleep(Duration::from_micros(200));
                Ok(true)
            }
            Err(std::sync::mpsc::TryRecvError::Disconnected) => Ok(false),
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
fn write_batches<'a, W: Write>(
    mut trace: TraceWriter<'a, W>,
    batches: &Receiver<Batch>,
    free: &SyncSender<Batch>,
) -> Result<TraceWriter<'a, W>> {
    for batch in batches {
        trace.take(&batch, monotonic_ns())?;
        // The draining thread may have ended already.
        let _ = free.send(batch);
    }
    Ok(trace)
}

/// Writes the end of the trace and sums up.
fn finish<W: Write>(
    mut trace: TraceWriter<'_, Synced<W>>,
    drain: &Drain,
    duration: Duration,
    child: Option<Child>,
) -> Result<Summary> {
    let command = child.map(|mut child| child.wait()).transpose();
    let command = command.map_err(|source| Error::System { doing: "wait for the command", source })?;
    let cost = cost(drain);
    trace.writer.define(Definition::Cost(cost))?;
    let named = trace.writer.definitions().sites.iter().zip(&trace.sites);
    let sites = named.map(|(site, total)| SiteTotal {
        name: site.name(),
        program: site.program.clone(),
        recorded: total.recorded,
        lost: total.lost,
    });
    let mut summary = Summary { sites: sites.collect(), duration, command, ..Summary::default() };
    summary.malformed = trace.malformed();
    summary.events = trace.writer.sealed_events();
    summary.lost = trace.writer.dropped();
    let mut sink = trace.writer.finish()?;
    sink.flush().map_err(tracer_format::Error::from)?;
    summary.bytes = sink.bytes;
    Ok(summary)
}

/// What this process has cost so far.
fn cost(drain: &Drain) -> Cost {
    let cpu = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let cpu_ns = cpu.tv_sec.saturating_mul(1_000_000_000).saturating_add(cpu.tv_nsec).cast_unsigned();
    Cost { cpu_ns, wakeups: drain.wakeups, drained_bytes: drain.drained_bytes, ..Cost::default() }
}

/// Counts what is written, and has it reach the disk if that was asked for.
struct Synced<W> {
    sink: W,
    synced: Option<File>,
    bytes: u64,
}

impl<W: Write> Write for Synced<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.sink.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()?;
        self.synced.as_ref().map_or(Ok(()), File::sync_data)
    }
}
