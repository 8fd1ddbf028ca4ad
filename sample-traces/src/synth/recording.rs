//! What a recorder would make of the firings: some are lost, the others are written, and the truth is counted.

use std::sync::Arc;

use super::loss::Loss;
use super::topic::Topics;
use super::truth::{ProbeTruth, StageTruth, Truth};
use super::{Plan, Shape, scene};
use std::io;
use tracer_format::{Firing, Gap, Result, SiteId, ThreadId, Writer};

/// The clocks are read together so often, ns.
const ANCHOR_NS: u64 = 60_000_000_000;

/// A firing of a probe.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shot {
    pub(super) time_ns: u64,
    pub(super) thread: ThreadId,
    pub(super) site: SiteId,
    pub(super) cpu: u16,
    pub(super) seq: u64,
}

/// The begin of a span: its time, if it was recorded.
pub(super) type Begin = Option<u64>;

/// A trace on its way to `W`.
pub(super) struct Recording<W> {
    writer: Writer<W>,
    truth: Truth,
    loss: Loss,
    over: Vec<Gap>,
    topics: Option<Topics>,
    /// Bytes of a string that are recorded.
    max_string: usize,
    left: u64,
    anchor_ns: u64,
    /// Wall time when it began.
    start_ns: i64,
}

impl<W: io::Write> Recording<W> {
    /// Begins the recording of a plan whose definitions are written.
    pub(super) fn new(plan: &Plan, writer: Writer<W>) -> Result<Self> {
        let probe = |site: &Arc<tracer_format::Site>| ProbeTruth { name: site.name(), fired: 0, lost: 0 };
        let probes = writer.definitions().sites.iter().map(probe).collect();
        Ok(Self {
            writer,
            truth: Truth { probes, ..Truth::default() },
            loss: Loss::new(plan.loss, plan.seed),
            over: Vec::new(),
            max_string: plan.max_string,
            topics: (plan.shape == Shape::Strings).then(|| Topics::new(plan.seed)),
            left: plan.events,
            anchor_ns: scene::START_NS + ANCHOR_NS,
            start_ns: plan.start_ns,
        })
    }

    /// Counts the spans of a stage; gives the number by which [`begin`](Self::begin) and [`end`](Self::end) know it.
    pub(super) fn stage(&mut self, name: &'static str) -> usize {
        self.truth.stages.push(StageTruth::new(name));
        self.truth.stages.len() - 1
    }

    /// Whether as many events have fired as were planned.
    pub(super) fn is_over(&self) -> bool {
        self.left == 0
    }

    /// A probe fires that begins `stage`.
    pub(super) fn begin(&mut self, stage: usize, shot: &Shot) -> Result<Begin> {
        if !self.fire(shot)? {
            return Ok(None);
        }
        self.truth.stages[stage].begun();
        Ok(Some(shot.time_ns))
    }

    /// A probe fires that ends `stage`.
    pub(super) fn end(&mut self, stage: usize, begin: Begin, shot: &Shot) -> Result<()> {
        if self.fire(shot)? {
            self.truth.stages[stage].ended(begin, shot.time_ns);
        }
        Ok(())
    }

    /// A probe fires; whether that is recorded.
    pub(super) fn fire(&mut self, shot: &Shot) -> Result<bool> {
        let &Shot { time_ns, thread, site, cpu, seq } = shot;
        self.left -= 1;
        let probe = &mut self.truth.probes[site.index()];
        probe.fired += 1;
        if self.loss.takes(time_ns, cpu, site, &mut self.over) {
            probe.lost += 1;
            self.write_gaps()?;
            return Ok(false);
        }
        if time_ns >= self.anchor_ns {
            self.writer.clock(scene::anchor(time_ns, self.start_ns))?;
            self.anchor_ns = time_ns + ANCHOR_NS;
        }
        let first_ns = self.truth.time_ns.map_or(time_ns, |(first_ns, _)| first_ns);
        self.truth.time_ns = Some((first_ns, time_ns));
        self.truth.last_seq = seq;
        let firing = Firing { time_ns, thread, site, cpu, unreadable: 0, values: &[seq] };
        match &mut self.topics {
            None => self.writer.push(&firing)?,
            Some(topics) => {
                let topic = topics.of(seq);
                let topic = match topic.get(..self.max_string) {
                    Some(beginning) if beginning.len() < topic.len() => self.writer.intern_cut(beginning),
                    _ => self.writer.intern(topic),
                };
                self.writer.push(&Firing { values: &[seq, topic], ..firing })?;
            }
        }
        Ok(true)
    }

    fn write_gaps(&mut self) -> Result<()> {
        self.truth.gaps += self.over.len() as u64;
        self.over.drain(..).try_for_each(|gap| self.writer.gap(gap))
    }

    /// Completes the trace.
    pub(super) fn finish(mut self) -> Result<(W, Truth)> {
        let loss = std::mem::replace(&mut self.loss, Loss::new(0.0, 0));
        self.over.extend(loss.finish());
        self.write_gaps()?;
        if let Some((_, last_ns)) = self.truth.time_ns {
            self.writer.clock(scene::anchor(last_ns, self.start_ns))?;
        }
        Ok((self.writer.finish()?, self.truth))
    }
}
