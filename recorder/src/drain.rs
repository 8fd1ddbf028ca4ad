//! The draining thread's work: sleep until there is something to do, then move all lanes and rings into one batch.
//!
//! It sleeps between 1 ms (rings filling fast) and 100 ms; the program wakes it early only when a ring is a
//! quarter full. After a second without an event it sleeps until the next one, which wakes it. It orders nothing: that is `merge.rs`, on another thread.

pub mod batch;
pub(crate) mod lane;
pub mod loss;
pub mod merge;
pub(crate) mod queue;
mod reached;
mod ring;
pub mod started;

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::epoll;
use rustix::time::Timespec;

use crate::abi::{EventHeader, MAX_PAYLOAD_BYTES};
use crate::drain::lane::Lanes;
use crate::drain::loss::LossReader;
use crate::drain::reached::{Mark, Positions, Reached};
use crate::drain::ring::{Reach, Ring};
use crate::error::{Error, Result};
use crate::host::monotonic_ns;
use crate::kernel::program::Program;

pub use batch::{Batch, Part};
pub use started::{Forked, ProcessEvent, Started};

/// Words of a batch where memory is not short: 2 MiB.
pub const BATCH_WORDS: usize = 256 * 1024;

/// Words of the smallest batch: the largest event fits into the quarter that a ring has beside a lane with much in it.
pub const MIN_BATCH_WORDS: usize = 32 * 1024;
const _: () = assert!(MIN_BATCH_WORDS / 4 * 8 > size_of::<EventHeader>() + MAX_PAYLOAD_BYTES);

/// While more than so many full batches wait for an earlier event, only buffers that may have it are read: the others keep theirs, and
/// count what they lose. A thread that is interrupted while it stores an event holds up those of all others.
const MAX_WAITING: usize = 16;

/// How long the clock read by a program may be ahead of what another CPU sees in the ring: the store of the ring's
/// position may wait in the store buffer of its CPU while the clock is read. That takes far below a microsecond.
const VISIBILITY_NS: u64 = 100_000;

/// Shortest and longest sleep.
const SLEEP_NS: (u64, u64) = (1_000_000, 100_000_000);

/// After so long without an event it sleeps until there is one: a wake-up costs the traced program some microseconds.
const AWAKE: Duration = Duration::from_secs(1);

/// How often lost events are looked at in detail, at most.
const LOSS_INTERVAL: Duration = Duration::from_millis(50);

/// Why [`Drain::wait`] returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// Time passed, or a ring is filling.
    Rings,
    /// The caller's descriptor is ready.
    Caller,
}

/// All lanes and rings of a program.
pub struct Drain {
    /// By CPU, and behind them the ring of what happens to processes.
    rings: Vec<Tracked>,
    /// What was moved out of the ring of processes ahead of the next batch.
    waiting: Part,
    /// Of those, how many contradicted themselves.
    malformed: u64,
    /// Processes that were forked or began to run another program, in this order, for the caller to take.
    pub processes: Vec<ProcessEvent>,
    lanes: Lanes,
    losses: LossReader,
    looked_at: Option<Instant>,
    /// Every loss up to this time has been looked at.
    losses_ns: u64,
    is_ending: bool,
    epoll: OwnedFd,
    sleep_ns: u64,
    /// When there was an event, or the caller had something to do.
    busy: Instant,
    /// Where the next batch begins, so that no ring is always last.
    turn: usize,
    /// Times woken, for the cost of the recording.
    pub wakeups: u64,
    /// Bytes moved, for the cost of the recording.
    pub drained_bytes: u64,
}

#[derive(Debug)]
struct Tracked {
    ring: Ring,
    reached: Reached,
}

/// What epoll says of the caller's descriptor.
const CALLER: u64 = u64::MAX;

impl Drain {
    /// Maps the lanes and rings of `program`.
    ///
    /// # Errors
    /// [`Error::System`] when memory or descriptors are short.
    pub fn new(program: &Program) -> Result<Self> {
        let system = |source: io::Error| Error::System { doing: "map the ring buffers", source };
        let mut rings = Vec::with_capacity(program.cpus() + 1);
        for map in program.rings.iter().chain([&program.processes]) {
            let ring = Ring::map(map.as_fd(), map.entries()).map_err(system)?;
            rings.push(Tracked { ring, reached: Reached::default() });
        }
        let lanes = Lanes::map(&program.lanes, program.lane_slots).map_err(system)?;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(|error| system(error.into()))?;
        for (cpu, tracked) in (0..).zip(&rings) {
            // Edge-triggered: only the program's wake-up wakes, not every event in a ring.
            let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
            epoll::add(&epoll, &tracked.ring, epoll::EventData::new_u64(cpu), flags)
                .map_err(|error| system(error.into()))?;
        }
        Ok(Self {
            rings,
            waiting: Part::default(),
            malformed: 0,
            processes: Vec::new(),
            losses: LossReader::new(lanes.clone(), program.sites.clone()),
            lanes,
            looked_at: None,
            losses_ns: 0,
            is_ending: false,
            epoll,
            sleep_ns: SLEEP_NS.0,
            busy: Instant::now(),
            turn: 0,
            wakeups: 0,
            drained_bytes: 0,
        })
    }

    /// Lets [`Drain::wait`] and [`Drain::sleep`] return when `fd` is readable, until it is read.
    ///
    /// # Errors
    /// [`Error::System`] when it cannot be watched.
    pub fn watch(&self, fd: BorrowedFd<'_>) -> Result<()> {
        self.add(fd, epoll::EventFlags::IN)
    }

    /// The same, once for each time that something is written to it.
    ///
    /// # Errors
    /// As [`Drain::watch`].
    pub fn watch_edge(&self, fd: BorrowedFd<'_>) -> Result<()> {
        self.add(fd, epoll::EventFlags::IN | epoll::EventFlags::ET)
    }

    fn add(&self, fd: BorrowedFd<'_>, flags: epoll::EventFlags) -> Result<()> {
        epoll::add(&self.epoll, fd, epoll::EventData::new_u64(CALLER), flags)
            .map_err(|error| Error::System { doing: "watch a descriptor", source: error.into() })
    }

    /// The lanes, for another thread.
    pub(crate) fn lanes(&self) -> Lanes {
        self.lanes.clone()
    }

    /// Whether there was no event for so long that it may sleep until one comes.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.busy.elapsed() >= AWAKE
    }

    /// Sleeps as long as the rings allow, and at most `limit`.
    ///
    /// # Errors
    /// [`Error::System`] when the kernel refuses to wait, which would be a bug.
    pub fn wait(&mut self, limit: Duration) -> Result<Wake> {
        let limit_ns = u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX);
        self.poll(Some(Duration::from_nanos(self.sleep_ns.min(limit_ns))))
    }

    /// Sleeps until there is an event, and at most `limit`. What happens to processes wakes it only when a program begins, or
    /// when much has happened.
    ///
    /// # Errors
    /// As [`Drain::wait`].
    pub fn sleep(&mut self, limit: Option<Duration>) -> Result<Wake> {
        self.lanes.set_asleep(true);
        let wake = if self.has_events() { Wake::Rings } else { self.poll(limit)? };
        self.lanes.set_asleep(false);
        if wake == Wake::Caller || self.has_events() {
            // Not all of it is submitted yet: it may not sleep again before it has looked.
            self.busy = Instant::now();
            self.sleep_ns = SLEEP_NS.0;
        }
        Ok(wake)
    }

    /// Whether a site has fired, or is about to.
    fn has_events(&self) -> bool {
        (0..self.lanes.cpus()).any(|cpu| !self.lanes.is_empty(cpu) || self.rings[cpu].ring.fill_bytes() > 0)
    }

    fn poll(&mut self, timeout: Option<Duration>) -> Result<Wake> {
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        let mut events = [MaybeUninit::uninit(); 8];
        let caller = match epoll::wait(&self.epoll, &mut events, timeout.as_ref()) {
            Ok((events, _)) => events.iter().any(|event| event.data.u64() == CALLER),
            Err(rustix::io::Errno::INTR) => false,
            Err(error) => {
                return Err(Error::System { doing: "wait for the ring buffers", source: error.into() });
            }
        };
        self.wakeups += 1;
        Ok(if caller { Wake::Caller } else { Wake::Rings })
    }

    /// Moves what is in the rings to `batch`, which is emptied before. `sites` is how many sites are known, for the
    /// losses. Returns false if the rings hold more than the batch can take.
    ///
    /// # Errors
    /// [`Error::System`] when the counters of lost events cannot be read.
    pub fn collect(&mut self, sites: u32, batch: &mut Batch) -> Result<bool> {
        batch.clear();
        batch.malformed = std::mem::take(&mut self.malformed);
        let mut fullest = 0.0_f64;
        let cpus = self.rings.len() - 1;
        let (mut all, mut moved) = (true, 0);
        // No event of another CPU is released before those of the one that is behind: while much waits for that, it has the batch.
        let behind_ns = self.complete_ns();
        let is_held_up = !self.is_ending && batch.waiting_bytes > MAX_WAITING * batch.max_words * 8;
        for i in 0..self.rings.len() {
            let cpu = (self.turn + i) % self.rings.len();
            let tracked = &mut self.rings[cpu];
            let fill = tracked.ring.fill_bytes() as f64 / tracked.ring.size_bytes() as f64;
            fullest = fullest.max(fill).max(if cpu < cpus { self.lanes.fill(cpu) } else { 0.0 });
            if is_held_up && tracked.reached.complete_ns() > behind_ns {
                all = false;
                continue;
            }
            // The time is read before the positions.
            let now_ns = monotonic_ns().saturating_sub(VISIBILITY_NS);
            let slots = if cpu < cpus { self.lanes.written(cpu) } else { 0 };
            let mark =
                Mark { now_ns, positions: Positions { lane: slots, ring: tracked.ring.written_bytes() } };
            let number = u16::try_from(cpu).expect("the loader refuses more CPUs");
            let mut part = batch.part(number);
            let limit = batch.max_words.saturating_sub(moved);
            let lane = if cpu < cpus {
                // Half of the room is the ring's if there is something in it: a lane that is filled as it is read would take all.
                self.lanes.drain(cpu, &mut part, if fill > 0.0 { limit / 2 } else { limit })
            } else {
                std::mem::swap(&mut part, &mut self.waiting);
                part.cpu = number;
                Reach::Complete
            };
            let (begin, ahead) = (part.words().len(), part.len());
            // The head of a ring's event needs as much space as the event.
            let room = limit.saturating_sub(part.size_words()) / 2;
            let ring = tracked.ring.drain(part.words(), begin + room);
            batch.malformed += part.parse_ring(begin);
            let slots = if cpu < cpus { self.lanes.read(cpu) } else { 0 };
            tracked.reached.note(mark, Positions { lane: slots, ring: tracked.ring.read_bytes() });
            all &= lane != Reach::Full && ring != Reach::Full;
            if cpu < cpus && !part.is_empty() {
                self.busy = Instant::now();
            }
            if cpu == cpus {
                self.processes.extend(part.events(ahead).filter_map(|event| ProcessEvent::of(&event)));
            }
            moved += part.size_words();
            batch.add(part);
        }
        self.turn = (self.turn + 1) % self.rings.len();
        self.drained_bytes += moved as u64 * 8;
        batch.complete_ns = self.complete_ns();
        self.pace(fullest);
        let now_ns = monotonic_ns();
        if !self.losses.any() {
            self.losses_ns = now_ns;
        } else if self.looked_at.is_none_or(|at| at.elapsed() >= LOSS_INTERVAL) {
            self.read_losses(sites, batch)?;
            self.losses_ns = now_ns;
        }
        // Losses have a place among the events, so later events wait until that place is known.
        batch.complete_ns = batch.complete_ns.min(self.losses_ns.saturating_sub(VISIBILITY_NS));
        Ok(all)
    }

    /// Every event up to this time has been moved, ns.
    fn complete_ns(&self) -> u64 {
        self.rings.iter().map(|tracked| tracked.reached.complete_ns()).min().unwrap_or(0)
    }

    /// The recording ends: the next [`Drain::collect`] looks at lost events, however short ago that was, and from now on all buffers
    /// are read, whatever waits.
    pub fn begin_end(&mut self) {
        self.looked_at = None;
        self.is_ending = true;
    }

    /// Looks only for processes that began to run another program. For when there is no batch to fill: some of them are held.
    pub fn look_at_processes(&mut self) {
        let (begin, ahead) = (self.waiting.words().len(), self.waiting.len());
        if let Some(tracked) = self.rings.last_mut() {
            // What does not fit any more waits in the ring.
            tracked.ring.drain(self.waiting.words(), BATCH_WORDS / 2);
        }
        self.malformed += self.waiting.parse_ring(begin);
        self.processes.extend(self.waiting.events(ahead).filter_map(|event| ProcessEvent::of(&event)));
    }

    /// Reads the lost events that [`Drain::collect`] has not looked at yet. For the end of a recording, after detaching.
    ///
    /// # Errors
    /// [`Error::System`] when the counters cannot be read.
    pub fn read_losses(&mut self, sites: u32, batch: &mut Batch) -> Result<()> {
        self.looked_at = Some(Instant::now());
        self.losses
            .read(sites, &mut batch.losses)
            .map_err(|source| Error::System { doing: "read the counters of lost events", source })
    }

    /// Chooses the next sleep: rings should be between a 32nd and an 8th full when they are drained.
    fn pace(&mut self, fullest: f64) {
        self.sleep_ns = if fullest > 0.125 {
            (self.sleep_ns / 4).max(SLEEP_NS.0)
        } else if fullest > 1.0 / 32.0 {
            self.sleep_ns
        } else {
            (self.sleep_ns * 2).min(SLEEP_NS.1)
        };
    }
}
