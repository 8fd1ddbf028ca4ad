//! A recording while it runs: the threads that work until something ends it.
//!
//! One moves bytes out of the rings (`drain`), one makes a trace of them (`write`), and one looks for programs
//! that are started meanwhile (`attach`). Messages are printed on the caller's thread, so a blocked terminal stalls nothing else.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::ScopedJoinHandle;
use std::time::{Duration, Instant};

use tracer_format::{Site, Skipped, SkippedKind};

use crate::attach::finder::{Finder, Tip};
use crate::attach::hold::Holder;
use crate::attach::lookout::Lookout;
use crate::drain::lane::Lanes;
use crate::drain::queue::{Popped, Queue};
use crate::drain::{Batch, Drain, Wake};
use crate::error::{Error, Result};
use crate::host::{capability, monotonic_ns};
use crate::kernel::meter::Meter;
use crate::kernel::program::Program;
use crate::run::command::Running;
use crate::run::notice::Notice;
use crate::run::priority::Priority;
use crate::run::spool::Spool;
use crate::run::stop::Signals;
use crate::run::stuck;
use crate::run::totals::Totals;
use crate::site::plan::PlannedSite;
use crate::write::TraceWriter;
use crate::write::control::Control;
use crate::write::progress::{Ending, Progress};
use crate::write::sink::Open;

/// Batches on their way between the two threads; when all are full, events wait in the rings.
const BATCHES: usize = 8;
/// How long the end waits for threads of traced programs that were interrupted while they stored an event.
const STRAGGLERS: Duration = Duration::from_millis(200);
/// How long a complete trace may take until it is written. After that, what was attached to is detached from all the same.
const DETACH_AFTER: Duration = Duration::from_secs(2);
/// How often progress is reported.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);
/// How long a flight recorder continues after it has seen what it watches for, so that the rest of the path is recorded.
const AFTERMATH: Duration = Duration::from_secs(1);

/// What the writing thread gets, in this order.
enum Step {
    /// Raw events.
    Batch(Batch),
    /// Sites of programs that were started meanwhile; their events come later.
    Sites(Vec<PlannedSite>),
    /// Something that was found and is not recorded.
    Skipped(Skipped),
    /// Everything until the end of the recording has been handed on.
    End(Totals),
}

/// What the thread that looks for new programs reports.
enum News {
    Skipped(Skipped),
    Found(Vec<Site>),
}

/// The parts that a recording works with.
pub(crate) struct Work<'w, 'a> {
    pub(crate) trace: TraceWriter<'a>,
    /// Where its bytes wait, and what opens the files that they are for.
    pub(crate) spool: Arc<Spool>,
    pub(crate) open: Open<'a>,
    pub(crate) finder: Finder,
    /// Holds programs until the finder has looked at them, if the kernel allows it.
    pub(crate) holder: Option<Arc<Holder>>,
    /// Starts the command, if there is one.
    pub(crate) start: &'w dyn Fn(&Drain) -> Result<Running>,
    /// Probes (not sites) that are attached.
    pub(crate) probes: usize,
    /// The kernel reports processes while these are open.
    pub(crate) watch: Vec<OwnedFd>,
    /// Tells what processes map and what is written to, as far as the kernel allows it.
    pub(crate) told: Lookout,
    pub(crate) drain: Drain,
    pub(crate) program: Arc<Program>,
    /// Longest sleep.
    pub(crate) longest: Duration,
    pub(crate) priority: Priority,
    pub(crate) control: Arc<Control>,
    pub(crate) progress: Arc<Progress>,
    /// Whether progress is reported.
    pub(crate) tells_progress: bool,
}

/// What ends a recording.
pub(crate) struct End {
    /// From the moment that the command was started.
    pub(crate) duration: Option<Duration>,
    pub(crate) signals: Signals,
    /// The command, once it was started.
    pub(crate) command: Running,
}

impl<'a> Work<'_, 'a> {
    /// Records until something ends it. Returns the trace, and how long it took or why it failed.
    pub(crate) fn run(
        self,
        end: &mut End,
        notify: &mut dyn FnMut(Notice<'_>),
    ) -> (Result<TraceWriter<'a>>, Result<Duration>) {
        let Self { trace, spool, open, finder, watch, mut drain, program, longest, priority, .. } = self;
        let (control, progress) = (&*self.control, &*self.progress);
        let (holder, told) = (self.holder.as_deref(), &self.told);
        // Only a few batches exist, so both are short.
        let (steps, spare, tips) = (Queue::default(), spare_batches(), Queue::default());
        let (steps, spare, tips) = (&steps, &spare, &tips);
        std::thread::scope(|scope| {
            let (closing, waiting, snapshots) = (spool.closing(), &*spool, trace.snapshots());
            let taken = snapshots.clone();
            // Without a priority: it has time.
            let snapping = scope.spawn(move || {
                capability::keep(capability::WRITING);
                // Dropped last, whatever happens.
                let _closing = closing;
                taken.write(progress)
            });
            let carrying = scope.spawn(move || {
                begin_writing(priority);
                waiting.carry(open, &|| progress.end(Ending::Enough))
            });
            let writing = scope.spawn(move || {
                begin_writing(priority);
                let _closing = snapshots.closing();
                write_steps(trace, steps, spare)
            });
            let (say, news) = channel();
            let listening = holder.map(|holder| {
                let say = say.clone();
                scope.spawn(move || listen(holder, tips, &|skipped| say_skipped(skipped, steps, &say)))
            });
            let looking = Looking { finder, tips, steps, say, progress, lanes: drain.lanes() };
            let looking = scope.spawn(move || looking.look());
            let watching = scope.spawn(|| watch_on(told, tips));
            // Nothing begins that cannot be written: the first blocks are in the file. Only now is the command answered when it
            // runs its program.
            let begun = if waiting.settle() { (self.start)(&drain) } else { Err(cannot_write()) };
            let begun = begun.map(|command| end.command = command);
            // The command has what it is to have.
            capability::keep(capability::WRITING);
            if begun.is_ok() {
                notify(Notice::Ready { probes: self.probes });
            }
            let drain = &mut drain;
            let draining = scope.spawn(move || {
                begin_writing(priority);
                // Whatever happens here, the others end.
                let (_steps, closing_tips) = (steps.closing(), tips.closing());
                let meter = Meter::new();
                let mut draining =
                    Draining { drain, program, steps, spare, tips, longest, control, progress, meter };
                let started = Instant::now();
                let result = begun.and_then(|()| draining.until_end(end));
                let duration = started.elapsed();
                let ended_ns = monotonic_ns();
                control.end(ended_ns);
                holder.into_iter().for_each(Holder::stop);
                told.stop();
                // What was told until then is looked at, and so is what began since the last step.
                listening.into_iter().chain([watching]).for_each(join);
                let result = result.and_then(|()| draining.step().map(drop));
                drop(closing_tips);
                // The trace is completed before anything is detached, which takes its time where there are many files.
                let is_complete = result.and_then(|()| draining.complete(ended_ns));
                let (result, attached) = draining.hand_on_rest(is_complete, join(looking));
                drop(watch);
                (result.map(|()| duration), attached)
            });
            tell(&news, self.tells_progress.then_some(progress), notify);
            let (drained, attached) = join(draining);
            let (finish, is_finished) = channel::<()>();
            let detaching = scope.spawn(move || detach(attached, &is_finished));
            let written = join(writing);
            let snapped = join(snapping);
            let carried = join(carrying).map_err(tracer_format::Error::from);
            drop(finish);
            join(detaching).iter().for_each(|text| notify(Notice::Problem(text)));
            (written.and_then(|trace| Ok(snapped.and(carried).map(|()| trace)?)), drained)
        })
    }
}

/// Detaches once the trace is written, which is when `is_finished` is closed, or takes long. Gives what is left for the user to know.
fn detach(attached: Option<Finder>, is_finished: &Receiver<()>) -> Option<String> {
    let _ = is_finished.recv_timeout(DETACH_AFTER);
    let detacher = attached?.end()?;
    Some(format!(
        "what was attached stays attached until a thread of a traced program leaves its probe, or gives its memory free; process \
         {detacher} (tracer-detacher) waits for that and ends then; the trace is complete"
    ))
}

/// Gives a thread that drains or writes its priority, and takes from it what only others need.
fn begin_writing(priority: Priority) {
    priority.take();
    capability::keep(capability::WRITING);
}

/// Batches that are on their way between the two threads.
fn spare_batches() -> Queue<Batch> {
    let spare = Queue::default();
    for _ in 0..BATCHES {
        spare.push(Batch::default());
    }
    spare
}

/// Why nothing begins; what the system said is told by what writes.
fn cannot_write() -> Error {
    let source = std::io::Error::other("the first block could not be written");
    Error::System { doing: "write the trace", source }
}

/// Reports what the looking thread finds, and progress if that is wanted, until that thread ends.
fn tell(news: &Receiver<News>, progress: Option<&Progress>, notify: &mut dyn FnMut(Notice<'_>)) {
    let mut progress_at = Instant::now() + PROGRESS_INTERVAL;
    loop {
        let received = match progress {
            Some(_) => news.recv_timeout(progress_at.saturating_duration_since(Instant::now())),
            None => news.recv().map_err(RecvTimeoutError::from),
        };
        match received {
            Ok(News::Skipped(skipped)) => notify(Notice::Skipped(&skipped)),
            Ok(News::Found(sites)) => notify(Notice::Found(&sites)),
            Err(RecvTimeoutError::Timeout) => {
                progress.into_iter().for_each(|progress| notify(Notice::progress(progress)));
                progress_at = Instant::now() + PROGRESS_INTERVAL;
            }
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// Waits for a thread and returns its result; if it panicked, so does this one.
fn join<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// The listening thread: hands on the processes that wait, until the holder is stopped.
fn listen(holder: &Holder, tips: &Queue<Tip>, skip: &dyn Fn(Skipped)) {
    capability::keep(capability::LOOKING);
    let result = holder.listen(&mut |told| {
        // A process that cannot be handed on runs its program.
        let _ = tips.push(Tip::Told(told));
    });
    if let Err(error) = result {
        let reason = format!(
            "not held any more until their probes are attached: {error}: what they fire first may be missing"
        );
        skip(Skipped { kind: SkippedKind::Processes, reason, ..Skipped::default() });
    }
}

/// The watching thread: hands on what processes map, until it is stopped.
fn watch_on(lookout: &Lookout, tips: &Queue<Tip>) {
    capability::keep(capability::LOOKING);
    lookout.listen(&mut |news| {
        let _ = tips.push(Tip::Seen(news));
    });
}

/// Tells the trace and the user of something that is not recorded.
fn say_skipped(skipped: Skipped, steps: &Queue<Step>, say: &Sender<News>) {
    let _ = steps.push(Step::Skipped(skipped.clone()));
    let _ = say.send(News::Skipped(skipped));
}

/// The looking thread.
struct Looking<'a> {
    finder: Finder,
    tips: &'a Queue<Tip>,
    steps: &'a Queue<Step>,
    say: Sender<News>,
    progress: &'a Progress,
    lanes: Lanes,
}

impl Looking<'_> {
    /// Looks until the tips are closed. Gives what is attached.
    fn look(self) -> Result<Finder> {
        let Self { mut finder, tips, steps, say, progress, lanes } = self;
        capability::keep(capability::ATTACHING);
        // The steps are closed only when the recording has ended.
        let mut announce = |sites: &[PlannedSite]| {
            let _ = steps.push(Step::Sites(sites.to_vec()));
            let _ = say.send(News::Found(sites.iter().map(|site| site.site.clone()).collect()));
        };
        let mut skip = |skipped| say_skipped(skipped, steps, &say);
        let result = finder.keep_looking(tips, &mut announce, &mut skip);
        // After an error, processes that wait run their programs.
        tips.close();
        while tips.pop().is_some() {}
        if result.is_err() {
            // A recording does not continue without this thread.
            progress.end(Ending::Enough);
        }
        stuck::at_end(&lanes).into_iter().for_each(skip);
        result.map(|()| finder)
    }
}

/// The draining thread's side of the queues.
struct Draining<'a> {
    drain: &'a mut Drain,
    program: Arc<Program>,
    steps: &'a Queue<Step>,
    spare: &'a Queue<Batch>,
    /// To the looking thread; closed once the recording has ended.
    tips: &'a Queue<Tip>,
    /// Longest sleep.
    longest: Duration,
    control: &'a Control,
    progress: &'a Progress,
    meter: Meter,
}

impl Draining<'_> {
    /// Drains until something ends the recording.
    fn until_end(&mut self, end: &mut End) -> Result<()> {
        let End { duration, signals, command } = end;
        let mut until = duration.map(|duration| Instant::now() + duration);
        let mut asked = 0;
        loop {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            let wake = if self.drain.is_idle() {
                self.meter.rest();
                self.drain.sleep(left)?
            } else {
                self.drain.wait(left.map_or(self.longest, |left| left.min(self.longest)))?
            };
            if !self.step()? {
                return Ok(());
            }
            self.meter.tick();
            if let Some(ending) = self.progress.ending() {
                // A flight recorder waits for the rest of the path; other recordings end at once.
                let aftermath = if ending == Ending::Aftermath { AFTERMATH } else { Duration::ZERO };
                let latest = Instant::now() + aftermath;
                until = Some(until.map_or(latest, |until| until.min(latest)));
            }
            if left == Some(Duration::ZERO) {
                command.terminate();
                return Ok(());
            }
            if wake == Wake::Caller {
                let signals = signals.arrived();
                if signals.snapshots > 0 {
                    self.control.ask_snapshot();
                }
                asked += signals.ends;
                // The first signal asks the command to end, if there is one; the second ends the recording at once.
                if asked > usize::from(command.is_some()) || command.is_over()? {
                    return Ok(());
                }
                if signals.ends > 0 {
                    command.terminate();
                }
            }
        }
    }

    /// Moves what is in the rings to the writing thread; false if that has ended.
    fn step(&mut self) -> Result<bool> {
        // No spare batch: the writing thread is behind. Events wait in the rings, where losses are counted.
        match self.spare.pop_until(Instant::now()) {
            Popped::Item(mut batch) => {
                self.drain.collect(self.program.site_count(), &mut batch)?;
                self.tell_started();
                Ok(self.steps.push(Step::Batch(batch)))
            }
            Popped::Empty => {
                // A program that began does not wait for a slow reader of the trace.
                self.drain.look_at_processes();
                self.tell_started();
                std::thread::sleep(Duration::from_micros(200));
                Ok(true)
            }
            Popped::Closed => Ok(false),
        }
    }

    /// Tells the looking thread of processes that began to run a program.
    fn tell_started(&mut self) {
        let started = std::mem::take(&mut self.drain.started);
        if !started.is_empty() {
            // That thread is gone before the end only after an error, which ends the recording.
            let _ = self.tips.push(Tip::Started(started));
        }
    }

    /// Hands on all events until the end of the recording, while sites are attached still. False if a
    /// thread of a traced program was interrupted while it stored an event, for too long to wait for it.
    fn complete(&mut self, ended_ns: u64) -> Result<bool> {
        let latest = Instant::now() + STRAGGLERS;
        self.drain.look_again();
        loop {
            // What has an earlier time is visible by then.
            std::thread::sleep(Duration::from_micros(200));
            let Some(mut batch) = self.spare.pop() else { return Ok(true) };
            self.drain.collect(self.program.site_count(), &mut batch)?;
            let is_complete = batch.complete_ns >= ended_ns;
            if !self.steps.push(Step::Batch(batch)) {
                return Ok(true);
            }
            if is_complete {
                return Ok(true);
            }
            if latest <= Instant::now() {
                return Ok(false);
            }
        }
    }

    /// Hands on what `finder` found last, which is part of the trace, and what is left. Gives the finder if the trace is complete without
    /// what its sites fire now: then it is written before anything is detached.
    fn hand_on_rest(
        &mut self,
        is_complete: Result<bool>,
        finder: Result<Finder>,
    ) -> (Result<()>, Option<Finder>) {
        let is_whole = matches!(is_complete, Ok(true));
        let completed = if is_whole { self.end() } else { Ok(()) };
        let (attached, looked) = match completed.and(finder) {
            Ok(finder) if is_whole => (Some(finder), Ok(())),
            other => (None, other.map(drop)),
        };
        let emptied = is_complete.and_then(|is| if is { Ok(()) } else { self.empty() });
        // What was recorded until an error is a whole trace as well.
        (self.end().and(emptied).and(looked), attached)
    }

    /// Lets the trace be finished, if it is not yet.
    fn end(&mut self) -> Result<()> {
        let totals = Totals::of(self.drain, &self.program)?;
        self.steps.push(Step::End(totals));
        self.steps.close();
        Ok(())
    }

    /// Empties the rings after detaching.
    fn empty(&mut self) -> Result<()> {
        // A program that was running when its site was detached executes a few more instructions.
        std::thread::sleep(Duration::from_millis(2));
        loop {
            let Some(mut batch) = self.spare.pop() else { return Ok(()) };
            let sites = self.program.site_count();
            let all = self.drain.collect(sites, &mut batch)?;
            if all && batch.is_empty() {
                self.drain.read_losses(sites, &mut batch)?;
                let _ = self.steps.push(Step::Batch(batch));
                return Ok(());
            }
            if !self.steps.push(Step::Batch(batch)) {
                return Ok(());
            }
        }
    }
}

/// The writing thread: handles steps until they are closed. Gives the batches back.
fn write_steps<'a>(
    mut trace: TraceWriter<'a>,
    steps: &Queue<Step>,
    spare: &Queue<Batch>,
) -> Result<TraceWriter<'a>> {
    let _ends = (steps.closing(), spare.closing());
    while let Some(step) = steps.pop() {
        match step {
            Step::Batch(mut batch) => {
                trace.write(&mut batch, monotonic_ns())?;
                // The draining thread may have ended already.
                let _ = spare.push(batch);
            }
            Step::Sites(sites) => trace.add_sites(sites)?,
            Step::Skipped(skipped) => trace.skip(skipped)?,
            Step::End(Totals { cost, lost_processes }) => {
                trace.end(cost, lost_processes)?;
                break;
            }
        }
    }
    Ok(trace)
}
