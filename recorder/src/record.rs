//! A recording from begin to end: find probes, attach, drain and write until something ends it, detach, sum up.
//!
//! Three threads: this one moves bytes out of the rings (`drain.rs`), one makes a trace of them (`write.rs`), and one looks
//! for programs that are started meanwhile (`find.rs`).

use std::ffi::OsString;
use std::os::fd::AsFd;
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, TryRecvError, channel, sync_channel};
use std::time::{Duration, Instant};

use tracer_format::{Cost, Site};

use crate::attach::AttachMode;
use crate::command::Running;
use crate::discover::{Discovery, Filter, Found, Scan};
use crate::drain::{Batch, Drain, Wake, monotonic_ns};
use crate::error::{Error, Result};
use crate::find::Finder;
use crate::host;
use crate::output::Output;
use crate::pattern::Key;
use crate::program::{Program, ProgramOptions};
use crate::stop::Signals;
use crate::write::{Shared, TraceWriter, WrittenSite};

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
    /// Begin even if there is no matching probe yet, and wait for programs that have one.
    pub wait: bool,
    /// Our own command line, for the trace.
    pub command_line: Vec<String>,
}

/// What the recorder tells its user on the way.
#[derive(Debug)]
pub enum Notice<'a> {
    /// Something could not be looked into or attached to; the recording goes on.
    Problem(&'a str),
    /// Probes were found, before the recording began or meanwhile.
    Found(&'a [Site]),
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

/// Room for sites of programs that are started while recording.
const LATER_SITES: u32 = 4096;

/// What the writing thread gets, in this order.
enum Step {
    /// Raw events.
    Batch(Batch),
    /// Sites of programs that were started meanwhile; their events come later.
    Sites(Vec<WrittenSite>),
}

/// What the thread that looks for new programs has to say.
enum News {
    Problem(String),
    Found(Vec<Site>),
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
    let mut tell = |problem: String| notify(Notice::Problem(&problem));
    scan.problems.into_iter().for_each(&mut tell);
    let max_sites = site_count(&scan.found).saturating_add(LATER_SITES).min(MAX_SITES);
    let program = Program::load(&ProgramOptions {
        lane_slots: options.ring_bytes / 32,
        ring_bytes: options.ring_bytes,
        max_sites,
        only_admitted: !options.filter.pids.is_empty(),
    })?;
    options.filter.pids.iter().try_for_each(|&pid| program.admit(pid))?;
    let sites = AtomicU32::new(0);
    let mut finder = Finder::new(options, &program, discovery, &sites, max_sites);
    let (written, probes) = attach_first(&mut finder, scan.found, &mut tell)?;
    if probes == 0 && options.command.is_empty() && !options.wait {
        return Err(Error::NoProbe(nothing_found(options)));
    }

    let shared = Arc::new(Shared::default());
    let longest = output.flush / 4;
    let mut trace = TraceWriter::new(output, host::facts(options.command_line.clone()), shared.clone())?;
    let announced: Vec<Site> =
        written.iter().filter(|it| it.site.announced).map(|it| it.site.clone()).collect();
    trace.add_sites(written)?;
    notify(Notice::Found(&announced));
    let mut drain = Drain::new(&program)?;
    drain.watch(signals.as_fd())?;
    trace.begin(host::clocks())?;

    let started = Instant::now();
    let mut command = Running::start(&options.command, &drain)?;
    notify(Notice::Ready { probes });
    let until = options.duration.map(|duration| started + duration);
    let (written, drained, duration) = std::thread::scope(|scope| {
        let (full, steps) = sync_channel(BATCHES);
        let (free, spare) = sync_channel(BATCHES);
        (0..BATCHES).for_each(|_| free.send(Batch::default()).expect("room for all"));
        let writing = scope.spawn(move || write_steps(trace, &steps, &free));
        let (say, news) = channel();
        let (end, ended) = channel::<()>();
        let found = full.clone();
        let looking = scope.spawn(move || look(&mut finder, &ended, &found, &say).map(|()| finder));
        let mut draining =
            Draining { drain: &mut drain, sites: &sites, full, spare, news, longest, shared: &shared };
        let result = draining.until_end(until, &mut signals, &mut command, notify);
        let duration = started.elapsed();
        shared.ended_ns.store(monotonic_ns(), Ordering::Relaxed);
        // Detached first, so that nothing new comes while the rings are emptied.
        drop(end);
        let looked = looking.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)).map(drop);
        let drained = result.and_then(|()| draining.rest()).and(looked);
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

/// Attaches to all that was found before the recording begins; gives the sites and the number of probes.
fn attach_first(
    finder: &mut Finder<'_>,
    found: Vec<Found>,
    tell: &mut dyn FnMut(String),
) -> Result<(Vec<WrittenSite>, usize)> {
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

/// The looking thread: until the other end of `ended` is gone.
fn look(
    finder: &mut Finder<'_>,
    ended: &Receiver<()>,
    steps: &SyncSender<Step>,
    say: &Sender<News>,
) -> Result<()> {
    let is_ended = |wait| ended.recv_timeout(wait) != Err(RecvTimeoutError::Timeout);
    // Who does not listen any more has ended the recording.
    let mut announce = |sites: &[WrittenSite]| {
        let _ = steps.send(Step::Sites(sites.to_vec()));
        let _ = say.send(News::Found(sites.iter().map(|site| site.site.clone()).collect()));
    };
    let mut tell = |problem| {
        let _ = say.send(News::Problem(problem));
    };
    finder.keep_looking(&is_ended, &mut announce, &mut tell)
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

/// The draining thread's side of the two channels.
struct Draining<'a> {
    drain: &'a mut Drain,
    sites: &'a AtomicU32,
    full: SyncSender<Step>,
    spare: Receiver<Batch>,
    news: Receiver<News>,
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
                if asked > usize::from(command.is_some()) || command.is_over()? {
                    return Ok(());
                }
                if signals.ends > 0 {
                    command.terminate();
                }
            }
            if told.elapsed() >= Duration::from_millis(100) {
                told = Instant::now();
                for news in self.news.try_iter() {
                    match news {
                        News::Problem(problem) => notify(Notice::Problem(&problem)),
                        News::Found(sites) => notify(Notice::Found(&sites)),
                    }
                }
                notify(Notice::progress(self.shared));
            }
        }
    }

    /// Moves what is in the rings to the writing thread; false if that has ended.
    fn step(&mut self) -> Result<bool> {
        // No spare batch: the writing thread is behind, and events wait in the rings, where losses are counted.
        match self.spare.try_recv() {
            Ok(mut batch) => {
                self.drain.collect(self.sites.load(Ordering::Relaxed), &mut batch)?;
                Ok(self.full.send(Step::Batch(batch)).is_ok())
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
            let sites = self.sites.load(Ordering::Relaxed);
            let all = self.drain.collect(sites, &mut batch)?;
            if all && batch.words.is_empty() {
                self.drain.read_losses(sites, &mut batch)?;
                let _ = self.full.send(Step::Batch(batch));
                return Ok(());
            }
            if self.full.send(Step::Batch(batch)).is_err() {
                return Ok(());
            }
        }
    }
}

/// The writing thread: takes steps until there are no more.
fn write_steps<'a>(
    mut trace: TraceWriter<'a>,
    steps: &Receiver<Step>,
    free: &SyncSender<Batch>,
) -> Result<TraceWriter<'a>> {
    for step in steps {
        match step {
            Step::Batch(batch) => {
                trace.take(&batch, monotonic_ns())?;
                // The draining thread may have ended already.
                let _ = free.send(batch);
            }
            Step::Sites(sites) => trace.add_sites(sites)?,
        }
    }
    Ok(trace)
}

/// What this process has cost so far.
fn cost(drain: &Drain) -> Cost {
    let cpu = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let cpu_ns = cpu.tv_sec.saturating_mul(1_000_000_000).saturating_add(cpu.tv_nsec).cast_unsigned();
    Cost { cpu_ns, wakeups: drain.wakeups, drained_bytes: drain.drained_bytes, ..Cost::default() }
}
