//! A recording while it runs: the threads that work until something ends it.
//!
//! One moves bytes out of the rings (`drain`), one makes a trace of them (`write`), and one looks for programs
//! that are started meanwhile (`attach`). Messages are printed on the caller's thread, so a blocked terminal stalls nothing else.

mod draining;
mod looking;

use std::os::fd::OwnedFd;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, OnceLock};
use std::thread::ScopedJoinHandle;
use std::time::{Duration, Instant};

use rustix::process::Pid;
use tracer_format::{Site, Skipped};

use self::draining::Draining;
use self::looking::{Looking, listen, say_skipped, watch_on};
use crate::attach::closing::Undetached;
use crate::attach::finder::Finder;
use crate::attach::hold::Holder;
use crate::attach::lookout::Lookout;
use crate::attach::missing::LEFT_BEHIND;
use crate::drain::queue::Queue;
use crate::drain::{BATCH_WORDS, Batch, Drain, MIN_BATCH_WORDS};
use crate::error::{Error, Result};
use crate::host::{capability, memory_limit, monotonic_ns};
use crate::kernel::meter::Meter;
use crate::kernel::program::Program;
use crate::run::command::Running;
use crate::run::notice::Notice;
use crate::run::priority::Priority;
use crate::run::spool::Spool;
use crate::run::stop::Signals;
use crate::run::summary::SiteTotal;
use crate::run::totals::Totals;
use crate::site::plan::PlannedSite;
use crate::write::TraceWriter;
use crate::write::control::Control;
use crate::write::progress::{Ending, Progress};
use crate::write::sink::Open;

/// Batches on their way between the two threads; when all are full, events wait in the rings.
const BATCHES: u64 = 8;
/// They take up at most one part in this many of what the control group may use.
const SHARE: u64 = 16;
/// How long a complete trace may take until it is written. After that, what was attached to is detached from all the same.
const DETACH_AFTER: Duration = Duration::from_secs(2);
/// How long the end may take until all is detached; what takes longer goes on without it.
const DETACHED_BY: Duration = Duration::from_millis(500);
/// How often progress is reported.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

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
    /// Records until something ends it. Returns the trace, what is in it of each site, and how long it took or why it failed.
    pub(crate) fn run(
        self,
        end: &mut End,
        notify: &mut dyn FnMut(Notice<'_>),
    ) -> (Result<(TraceWriter<'a>, Vec<SiteTotal>)>, Result<Duration>) {
        let Self { trace, spool, open, finder, watch, mut drain, program, longest, priority, .. } = self;
        let (control, progress) = (&*self.control, &*self.progress);
        let (holder, told) = (self.holder.as_deref(), &self.told);
        // Only a few batches exist, so both are short.
        let (steps, spare, tips) = (Queue::default(), spare_batches(memory_limit()), Queue::default());
        let (steps, spare, tips) = (&steps, &spare, &tips);
        let looks = &OnceLock::new();
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
            let looking = scope.spawn(move || looking.look(looks));
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
            let draining = scope.spawn(move || {
                begin_writing(priority);
                // Whatever happens here, the others end.
                let (_steps, closing_tips) = (steps.closing(), tips.closing());
                let (drain, meter) = (&mut drain, Meter::new());
                let mut draining =
                    Draining { drain, program, steps, spare, tips, longest, control, progress, meter };
                let started = Instant::now();
                let result = begun.and_then(|()| draining.until_end(end));
                let duration = started.elapsed();
                let (ended_ns, detached_by) = (monotonic_ns(), Instant::now() + DETACHED_BY);
                control.end(ended_ns);
                stop_looking(holder, told, (priority, *looks.wait()));
                // What was told until then is looked at, and so is what began since the last step.
                listening.into_iter().chain([watching]).for_each(join);
                let result = result.and_then(|()| draining.step().map(drop));
                drop(closing_tips);
                // The trace is completed before anything is detached, which takes its time where there are many files.
                let is_complete = result.and_then(|()| draining.complete(ended_ns));
                let (result, attached) = draining.hand_on_rest(is_complete, join(looking));
                drop(watch);
                (result.map(|()| duration), (attached, detached_by))
            });
            tell(&news, self.tells_progress.then_some(progress), notify);
            let (drained, (attached, detached_by)) = join(draining);
            // What comes after the recording has none.
            let _priority = priority.take_for_now();
            let (finish, is_finished) = channel::<()>();
            let detaching = scope.spawn(move || detach(attached, &is_finished, (priority, detached_by)));
            let written = join(writing);
            let snapped = join(snapping);
            let carried = join(carrying).map_err(tracer_format::Error::from);
            drop(finish);
            let written = written.map(with_totals);
            join(detaching).iter().for_each(|text| notify(Notice::Problem(text)));
            (written.and_then(|written| Ok(snapped.and(carried).map(|()| written)?)), drained)
        })
    }
}

/// Detaches once the trace is written, which is when `is_finished` is closed, or takes long. Gives what is left for the user to know.
fn detach(
    attached: Option<Finder>,
    is_finished: &Receiver<()>,
    (priority, by): (Priority, Instant),
) -> Option<String> {
    priority.take();
    let _ = is_finished.recv_timeout(DETACH_AFTER);
    Some(match attached?.end(by)? {
        Undetached::Late(process) => format!(
            "detaching goes on in process {process} (tracer-detacher), which ends when it is done: there are many sites, or a traced \
             program stays in its probe or keeps its memory locked; the trace is complete"
        ),
        Undetached::Killed(process) => format!(
            "process {process} (tracer-detacher) was killed before it had detached: {LEFT_BEHIND}; the trace is complete"
        ),
    })
}

/// Lets nothing more be told of processes; the thread that looks goes on with what was.
fn stop_looking(holder: Option<&Holder>, told: &Lookout, (priority, looks): (Priority, Pid)) {
    priority.give(looks);
    holder.into_iter().for_each(Holder::stop);
    told.stop();
}

/// A trace, and what is in it of each site: counted while it is detached from them.
fn with_totals(trace: TraceWriter<'_>) -> (TraceWriter<'_>, Vec<SiteTotal>) {
    let totals = SiteTotal::all(&trace);
    (trace, totals)
}

/// Gives a thread that drains or writes its priority, and takes from it what only others need.
fn begin_writing(priority: Priority) {
    priority.take();
    capability::keep(capability::WRITING);
}

/// Batches that are on their way between the two threads, for a recorder whose control group may use `limit_bytes`. All of them are full
/// when the writing thread gets too little of the processor; a batch keeps up to twice what is in it.
fn spare_batches(limit_bytes: Option<u64>) -> Queue<Batch> {
    let share = limit_bytes.map_or(u64::MAX, |limit| limit / SHARE / 2 / BATCHES / 8);
    let max_words = usize::try_from(share).unwrap_or(usize::MAX).clamp(MIN_BATCH_WORDS, BATCH_WORDS);
    let spare = Queue::default();
    for _ in 0..BATCHES {
        spare.push(Batch::new(max_words));
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
            Step::End(Totals { cost, lost }) => {
                trace.end(cost, &lost)?;
                break;
            }
        }
    }
    Ok(trace)
}
