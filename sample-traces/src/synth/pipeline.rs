//! The demo pipeline, simulated: a source, workers that share a pipe and take turns to write, a sink.
//!
//! Actors are the source (0), the workers (1 to n) and the sink (n + 1). An actor acts at the time on the agenda, fires one
//! probe and says when it acts next, or waits until another one wakes it.

use super::Plan;
use super::agenda::{Agenda, NEVER};
use super::hammer::any_cpu;
use super::recording::{Begin, Recording, Shot};
use super::scene::{START_NS, site};
use super::spread::{Spread, whole};
use crate::random::Random;
use std::collections::VecDeque;
use std::io;
use tracer_format::{Result, SiteId, ThreadId};

/// Mean time until a woken thread runs, ns.
const WAKE_NS: u64 = 4_000;
/// Mean time from one statement of a program to its next probe, ns.
const STEP_NS: u64 = 400;
/// Buffers that a pipe holds.
const PIPE_BUFFERS: usize = 16;
/// One of so many buffers takes several times as long to work on.
const SLOW: u64 = 256;
/// One of so many waits ends on another processor.
const MOVED: u64 = 32;
/// Part of the time between two buffers that the one writer takes; the workers are busy for half of their time.
const WRITING_PART: f64 = 0.25;

/// Simulates until the recording is over.
pub(super) fn run<W: io::Write>(plan: &Plan, recording: &mut Recording<W>) -> Result<()> {
    let (mut pipeline, mut now_ns) = (Pipeline::new(plan, recording), START_NS);
    while !recording.is_over() {
        let (actor, time_ns) = pipeline.agenda.first();
        // Never two events at one time: their order in the trace is their order here.
        now_ns = time_ns.max(now_ns + 1);
        if actor == 0 {
            pipeline.make(now_ns, recording)?;
        } else if actor == pipeline.sink {
            pipeline.receive(now_ns, recording)?;
        } else {
            pipeline.work(actor, now_ns, recording)?;
        }
    }
    Ok(())
}

/// A buffer that is handed on.
#[derive(Debug, Clone, Copy, Default)]
struct Handed {
    seq: u64,
    global: Begin,
}

/// What a worker does when it acts next.
#[derive(Debug, Clone, Copy, Default)]
enum Next {
    #[default]
    BegAwe,
    EndAwe(Begin),
    BegWriting,
    EndWriting(Begin),
}

#[derive(Debug, Clone, Copy, Default)]
struct Worker {
    buffer: Handed,
    next: Next,
}

/// Numbers of the stages in the recording.
struct Stages {
    global: usize,
    awe: usize,
    writing: usize,
}

struct Pipeline<'p> {
    plan: &'p Plan,
    stages: Stages,
    random: Random,
    spread: Spread,
    agenda: Agenda,
    /// Processor of each actor.
    cpus: Vec<u16>,
    workers: Vec<Worker>,
    sink: usize,
    next_seq: u64,
    /// Mean times, ns.
    interval_ns: u64,
    awe_ns: u64,
    writing_ns: u64,
    /// Buffers between the source and the workers; the source waits while it is full.
    pipe: VecDeque<Handed>,
    source_waits: bool,
    /// Workers without a buffer.
    idle: VecDeque<usize>,
    /// Whether a worker writes, and which workers wait for their turn.
    is_writing: bool,
    writers: VecDeque<usize>,
    /// Buffers between the workers and the sink, and when each can be read.
    written: VecDeque<(Handed, u64)>,
}

impl<'p> Pipeline<'p> {
    fn new<W: io::Write>(plan: &'p Plan, recording: &mut Recording<W>) -> Self {
        let actors = usize::from(plan.workers) + 2;
        let interval = 1e9 / plan.rate;
        let mut agenda = Agenda::new(actors);
        agenda.set(0, START_NS + STEP_NS);
        Self {
            plan,
            stages: Stages {
                global: recording.stage("global"),
                awe: recording.stage("awe"),
                writing: recording.stage("writing"),
            },
            random: Random::for_buffer(plan.seed, 0),
            spread: Spread::new(plan.jitter),
            agenda,
            cpus: (0..plan.workers + 2).map(|actor| actor % plan.cpus).collect(),
            workers: vec![Worker::default(); actors],
            sink: actors - 1,
            next_seq: plan.first_seq,
            interval_ns: whole(interval),
            awe_ns: whole(interval * 0.5 * f64::from(plan.workers)),
            writing_ns: whole(interval * WRITING_PART),
            pipe: VecDeque::new(),
            source_waits: false,
            idle: (1..actors - 1).collect(),
            is_writing: false,
            writers: VecDeque::new(),
            written: VecDeque::new(),
        }
    }

    /// The source makes a buffer.
    fn make<W: io::Write>(&mut self, now_ns: u64, recording: &mut Recording<W>) -> Result<()> {
        let mut buffer = Handed { seq: self.next_seq, global: None };
        self.next_seq += 1;
        let shot = self.shot(0, now_ns, site::BEG_GLOBAL, buffer);
        buffer.global = recording.begin(self.stages.global, &shot)?;
        match self.idle.pop_front() {
            Some(worker) => {
                self.workers[worker] = Worker { buffer, next: Next::BegAwe };
                self.wake(worker, now_ns);
            }
            None => self.pipe.push_back(buffer),
        }
        self.source_waits = self.pipe.len() == PIPE_BUFFERS;
        if self.source_waits {
            self.agenda.set(0, NEVER);
        } else {
            self.act_in(0, now_ns, self.interval_ns);
        }
        Ok(())
    }

    /// A worker fires its next probe.
    fn work<W: io::Write>(&mut self, actor: usize, now_ns: u64, recording: &mut Recording<W>) -> Result<()> {
        let Worker { buffer, next } = self.workers[actor];
        let shot = |site| self.shot(actor, now_ns, site, buffer);
        self.workers[actor].next = match next {
            Next::BegAwe => {
                let begin = recording.begin(self.stages.awe, &shot(site::BEG_AWE))?;
                let mean_ns = whole((self.awe_ns * self.slowness()) as f64 * self.planted(buffer.seq));
                self.act_in(actor, now_ns, mean_ns);
                Next::EndAwe(begin)
            }
            Next::EndAwe(begin) => {
                recording.end(self.stages.awe, begin, &shot(site::END_AWE))?;
                if self.is_writing {
                    self.writers.push_back(actor);
                    self.agenda.set(actor, NEVER);
                } else {
                    self.is_writing = true;
                    self.act_in(actor, now_ns, STEP_NS);
                }
                Next::BegWriting
            }
            Next::BegWriting => {
                let begin = recording.begin(self.stages.writing, &shot(site::BEG_WRITING))?;
                self.act_in(actor, now_ns, self.writing_ns);
                Next::EndWriting(begin)
            }
            Next::EndWriting(begin) => {
                recording.end(self.stages.writing, begin, &shot(site::END_WRITING))?;
                self.hand_over(buffer, now_ns);
                self.take(actor, now_ns);
                Next::BegAwe
            }
        };
        Ok(())
    }

    /// How many times as long as usual the work on a buffer takes.
    fn slowness(&mut self) -> u64 {
        let bits = self.random.next_u64();
        if self.plan.jitter > 0.0 && bits.is_multiple_of(SLOW) { 4 + (bits >> 60) } else { 1 }
    }

    /// How many times as long as without `--slow` it takes.
    fn planted(&self, seq: u64) -> f64 {
        // Of a sequence of its own: the rest of the trace is as without it.
        let drawn = Random::for_buffer(!self.plan.seed, seq).next_u64() as f64 / u64::MAX as f64;
        if drawn < self.plan.slow_part || self.plan.slow_part >= 1.0 { self.plan.slow } else { 1.0 }
    }

    /// A worker has written: the next one may, and the sink gets the buffer.
    fn hand_over(&mut self, buffer: Handed, now_ns: u64) {
        match self.writers.pop_front() {
            Some(writer) => self.wake(writer, now_ns),
            None => self.is_writing = false,
        }
        let ready_ns = now_ns + self.spread.draw(WAKE_NS, &mut self.random);
        if self.written.is_empty() {
            self.agenda.set(self.sink, ready_ns);
            self.maybe_move(self.sink);
        }
        self.written.push_back((buffer, ready_ns));
    }

    /// A worker takes the next buffer from the pipe, or waits for one.
    fn take(&mut self, actor: usize, now_ns: u64) {
        let Some(buffer) = self.pipe.pop_front() else {
            self.idle.push_back(actor);
            self.agenda.set(actor, NEVER);
            return;
        };
        self.workers[actor].buffer = buffer;
        self.act_in(actor, now_ns, STEP_NS);
        if self.source_waits {
            self.source_waits = false;
            self.wake(0, now_ns);
        }
    }

    /// The sink reads a buffer.
    fn receive<W: io::Write>(&mut self, now_ns: u64, recording: &mut Recording<W>) -> Result<()> {
        let (buffer, _) = self.written.pop_front().expect("the sink is woken when there is a buffer");
        let shot = self.shot(self.sink, now_ns, site::END_GLOBAL, buffer);
        recording.end(self.stages.global, buffer.global, &shot)?;
        let next_ns = self.written.front().map(|&(_, ready_ns)| {
            let free_ns = now_ns + self.spread.draw(STEP_NS, &mut self.random);
            ready_ns.max(free_ns)
        });
        self.agenda.set(self.sink, next_ns.unwrap_or(NEVER));
        Ok(())
    }

    fn shot(&self, actor: usize, time_ns: u64, site: SiteId, buffer: Handed) -> Shot {
        Shot { time_ns, thread: ThreadId::at(actor), site, cpu: self.cpus[actor], seq: buffer.seq }
    }

    fn act_in(&mut self, actor: usize, now_ns: u64, mean_ns: u64) {
        let time_ns = self.spread.draw(mean_ns, &mut self.random);
        self.agenda.set(actor, now_ns + time_ns);
    }

    /// An actor that waited acts soon, maybe on another processor.
    fn wake(&mut self, actor: usize, now_ns: u64) {
        self.maybe_move(actor);
        self.act_in(actor, now_ns, WAKE_NS);
    }

    fn maybe_move(&mut self, actor: usize) {
        if self.random.next_u64().is_multiple_of(MOVED) {
            self.cpus[actor] = any_cpu(self.plan, &mut self.random);
        }
    }
}
