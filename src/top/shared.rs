//! What has come of a trace, between the thread that reads it and the one that shows it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tracer_analyzer::screen::live::{Board, Given, Snapshot, Watching};
use tracer_format::{Rest, Step, Stream};

use crate::file::growing::{Growing, Look};

/// The longest wait until it is seen that all is to end.
const SOON: Duration = Duration::from_millis(50);

/// A trace that is being looked at.
pub(super) struct Shared {
    state: Mutex<Seen>,
    /// The user has seen enough, or a signal ends all.
    pub(super) quit: Arc<AtomicBool>,
    /// Nothing more comes.
    over: AtomicBool,
}

/// How a trace comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coming {
    /// From the recorder in this process, which ends it.
    Recorded,
    /// Through a pipe.
    Piped,
    /// From a file, each event when it is due.
    Played,
    /// From a file that grows until the trace has its end.
    Followed,
}

struct Seen {
    stream: Stream,
    watching: Watching,
    clock: Clock,
    /// What was said meanwhile, beside what the trace has.
    messages: Vec<String>,
}

/// What the clock of the events says, once there was one.
#[derive(Debug, Clone, Copy)]
struct Clock {
    /// Seconds of it that pass in one.
    speed: f64,
    at: Option<(u64, Instant)>,
}

impl Clock {
    fn now_ns(&self) -> u64 {
        let Some((at_ns, since)) = self.at else { return 0 };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
        let passed_ns = (since.elapsed().as_secs_f64() * self.speed * 1e9) as u64;
        at_ns.saturating_add(passed_ns)
    }

    /// There was an event at `time_ns`.
    fn saw(&mut self, time_ns: u64) {
        if self.at.is_none() || self.now_ns() < time_ns {
            self.at = Some((time_ns, Instant::now()));
        }
    }

    /// How long it is until `time_ns`; nothing if that is past, or no event was seen.
    fn until(&self, time_ns: u64) -> Duration {
        let left_ns = if self.at.is_some() { time_ns.saturating_sub(self.now_ns()) } else { 0 };
        Duration::try_from_secs_f64(left_ns as f64 / 1e9 / self.speed).unwrap_or(Duration::MAX)
    }
}

impl Shared {
    /// Nothing has come; a trace that is played passes so many seconds in one.
    pub(super) fn new(given: Given, speed: Option<f64>) -> Self {
        let state = Seen {
            stream: Stream::new(),
            watching: Watching::new(given),
            clock: Clock { speed: speed.unwrap_or(1.0), at: None },
            messages: Vec::new(),
        };
        Self { state: Mutex::new(state), quit: Arc::default(), over: AtomicBool::new(false) }
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_to_quit(&self) -> bool {
        self.quit.load(Ordering::Relaxed)
    }

    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// What is to be shown now, and what was said.
    pub(super) fn board(&self) -> (Board, Vec<String>) {
        let state = self.lock();
        (state.watching.board(state.clock.now_ns()), state.messages.clone())
    }

    /// The last seconds; nothing if no event was seen.
    pub(super) fn snapshot(&self) -> Snapshot {
        let state = self.lock();
        state.watching.snapshot(state.stream.known())
    }

    pub(super) fn say(&self, text: String) {
        let mut state = self.lock();
        if state.messages.last() != Some(&text) {
            state.messages.push(text);
        }
    }

    /// Looks at the end at what was seen.
    pub(super) fn with<T>(&self, look: impl FnOnce(&Watching, &Stream) -> T) -> T {
        let state = self.lock();
        look(&state.watching, &state.stream)
    }

    /// Takes all that comes from `source`, as [`take`](Self::take) does; if that fails, there is nothing to look at any more.
    pub(super) fn take_all(&self, source: Growing, coming: Coming) -> anyhow::Result<()> {
        let taken = self.take(source, coming);
        if taken.is_err() {
            self.quit.store(true, Ordering::Relaxed);
        }
        self.over.store(true, Ordering::Release);
        taken
    }

    /// Takes what comes from `source`, until it ends, or what comes is not wanted any more.
    fn take(&self, mut source: Growing, coming: Coming) -> anyhow::Result<()> {
        loop {
            let rest = match source.next()? {
                Look::Bytes(bytes) => {
                    self.lock().stream.push(bytes);
                    Rest::Comes
                }
                Look::Nothing => Rest::Waits,
                Look::End => break,
            };
            self.steps(rest, coming)?;
            let is_complete = || self.lock().stream.is_complete();
            if self.has_quit(coming) || coming == Coming::Followed && is_complete() {
                break;
            }
        }
        let has_quit = self.has_quit(coming);
        if !has_quit {
            self.steps(Rest::Ends, coming)?;
        }
        let mut state = self.lock();
        let Seen { stream, watching, clock, .. } = &mut *state;
        // What a user did not wait for is not missing.
        watching.finish(stream.known(), has_quit || stream.is_complete())?;
        // It stands still at the last event.
        clock.speed = 0.0;
        clock.at = None;
        Ok(())
    }

    /// Whether what still comes is not wanted any more.
    fn has_quit(&self, coming: Coming) -> bool {
        coming != Coming::Recorded && self.is_to_quit()
    }

    fn steps(&self, rest: Rest, coming: Coming) -> anyhow::Result<()> {
        loop {
            let mut state = self.lock();
            let Seen { stream, watching, .. } = &mut *state;
            let Some(step) = stream.next(rest)? else { return Ok(()) };
            match step {
                Step::Gap(gap) => watching.gap(stream.known(), &gap)?,
                Step::Damaged(range) => watching.damaged(range),
                Step::Events => {
                    drop(state);
                    self.events(coming == Coming::Played)?;
                }
            }
        }
    }

    /// Takes the events of a block, each when it is due.
    fn events(&self, is_paced: bool) -> anyhow::Result<()> {
        let mut done = 0;
        loop {
            let mut state = self.lock();
            let Seen { stream, watching, clock, .. } = &mut *state;
            let times = stream.columns().time_ns.get(done..).unwrap_or_default();
            let (Some(&first_ns), Some(&last_ns)) = (times.first(), times.last()) else { return Ok(()) };
            let is_paced = is_paced && !self.is_to_quit();
            let wait = if is_paced { clock.until(first_ns) } else { Duration::ZERO };
            if !wait.is_zero() {
                drop(state);
                thread::sleep(wait.min(SOON));
                continue;
            }
            clock.saw(if is_paced { first_ns } else { last_ns });
            let now_ns = clock.now_ns();
            let due = if is_paced {
                times.partition_point(|&time_ns| time_ns <= now_ns).max(1)
            } else {
                times.len()
            };
            watching.events(stream.known(), stream.columns(), done..done + due)?;
            done += due;
        }
    }
}
