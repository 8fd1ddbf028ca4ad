//! The draining thread: moves what is in the rings to the writing thread until something ends the recording.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{End, Step};
use crate::attach::finder::{Finder, Tip};
use crate::drain::queue::{Popped, Queue};
use crate::drain::{Batch, Drain, Wake};
use crate::error::Result;
use crate::kernel::meter::Meter;
use crate::kernel::program::Program;
use crate::run::totals::Totals;
use crate::write::control::Control;
use crate::write::progress::{Ending, Progress};

/// How long the end waits for threads of traced programs that were interrupted while they stored an event.
const STRAGGLERS: Duration = Duration::from_millis(200);
/// How long a flight recorder continues after it has seen what it watches for, so that the rest of the path is recorded.
const AFTERMATH: Duration = Duration::from_secs(1);

/// The draining thread's side of the queues.
pub(super) struct Draining<'a> {
    pub(super) drain: &'a mut Drain,
    pub(super) program: Arc<Program>,
    pub(super) steps: &'a Queue<Step>,
    pub(super) spare: &'a Queue<Batch>,
    /// To the looking thread; closed once the recording has ended.
    pub(super) tips: &'a Queue<Tip>,
    /// Longest sleep.
    pub(super) longest: Duration,
    pub(super) control: &'a Control,
    pub(super) progress: &'a Progress,
    pub(super) meter: Meter,
}

impl Draining<'_> {
    /// Drains until something ends the recording.
    pub(super) fn until_end(&mut self, end: &mut End) -> Result<()> {
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
    pub(super) fn step(&mut self) -> Result<bool> {
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

    /// Tells the looking thread of processes that were forked or began to run a program.
    fn tell_started(&mut self) {
        let processes = std::mem::take(&mut self.drain.processes);
        if !processes.is_empty() {
            // That thread is gone before the end only after an error, which ends the recording.
            let _ = self.tips.push(Tip::Processes(processes));
        }
    }

    /// Hands on all events until the end of the recording, while sites are attached still. False if a
    /// thread of a traced program was interrupted while it stored an event, for too long to wait for it.
    pub(super) fn complete(&mut self, ended_ns: u64) -> Result<bool> {
        let latest = Instant::now() + STRAGGLERS;
        self.drain.begin_end();
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
    pub(super) fn hand_on_rest(
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
