//! One pass over a trace: stages, hand-offs, counts of events, and how far loss may touch them.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;

use tracer_format::{Batch, Columns, DamagedRange, Gap, Trace};

use crate::Result;
use crate::edge_map::EdgeMap;
use crate::filter::Selection;
use crate::latency::Latency;
use crate::loss::LossTimes;
use crate::outcome::Outcome;
use crate::pair::Pairer;
use crate::span::{Class, Edge, HandOff, Side, Sink, Span};
use crate::stage::Stage;

/// Spans of each stage that an analysis keeps, to be listed: all of them in a small trace.
pub const FIRST_SPANS: usize = 100;

/// Threads that decode; more are quicker than the pairing on one.
const MAX_THREADS: usize = 2;

/// What a trace comes down to.
#[derive(Debug, Clone)]
pub struct Analysis {
    /// Events looked at, and what is missing.
    pub outcome: Outcome,
    /// Times of the first and the last event, CLOCK_MONOTONIC ns.
    pub time_ns: Option<(u64, u64)>,
    /// The same as wall time, ns since 1970-01-01 UTC, if the trace has clock anchors.
    pub realtime_ns: Option<(i64, i64)>,
    /// Events of each probe, in the order of the sites.
    pub probes: Vec<ProbeCount>,
    /// Stages, in their order.
    pub stages: Vec<StageReport>,
    /// Ways between the stages, in the order of the stages.
    pub hand_offs: Vec<HandOffReport>,
}

/// Events of one probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeCount {
    /// Provider.
    pub provider: String,
    /// Probe.
    pub probe: String,
    /// Events.
    pub events: u64,
}

/// What became of one stage.
#[derive(Debug, Clone)]
pub struct StageReport {
    /// The stage.
    pub stage: Stage,
    /// Spans of each class.
    pub classes: Classes,
    /// Complete spans that a later one overtook.
    pub reordered: u64,
    /// Events that have no key: it is missing, unreadable, or no integer.
    pub without_key: u64,
    /// Open spans and orphan ends that were given up to bound memory: their other end may have come much later.
    pub given_up: u64,
    /// Complete spans during which events were lost: one of their ends may be another's.
    pub complete_near_loss: u64,
    /// Spans of the other classes at a time when events were lost: their other end may be among those.
    pub other_near_loss: u64,
    /// Latencies of the complete spans.
    pub latency: Latency,
    /// Latencies of the inverted pairs, negative.
    pub inverted: Latency,
    /// The first [`FIRST_SPANS`] spans, in the order in which they became known.
    pub first_spans: Vec<Span>,
}

/// A number for each [`Class`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Classes([u64; Class::ALL.len()]);

impl Classes {
    /// Spans of a class.
    #[must_use]
    pub fn of(&self, class: Class) -> u64 {
        self.0[class as usize]
    }

    /// Spans of all classes.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    fn add(&mut self, class: Class) {
        self.0[class as usize] += 1;
    }
}

/// What went one way between two stages.
#[derive(Debug, Clone)]
pub struct HandOffReport {
    /// Where it begins.
    pub from: Edge,
    /// Where it ends.
    pub to: Edge,
    /// Hand-offs during which events were lost.
    pub near_loss: u64,
    /// Latencies.
    pub latency: Latency,
}

/// Looks at the selected events of `trace` once and hands on to `sink` what it finds.
///
/// # Errors
/// [`Error::Io`](crate::Error::Io) if `sink` fails. Damage is no error: it is in the outcome.
pub fn analyze(
    trace: &Trace<'_>,
    selection: &Selection,
    stages: &[Stage],
    sink: &mut impl Sink,
) -> Result<Analysis> {
    let mut pairer = Pairer::new(stages, &trace.definitions);
    let mut tally = Tally::new(trace, selection, stages, sink);
    let mut damage: Vec<DamagedRange> = Vec::new();
    trace.walk(
        |block| selection.wants(block),
        trace.threads().min(MAX_THREADS),
        |batch| {
            match batch {
                Batch::Events { columns, rows } => selection.rows(trace, columns, rows, |rows| {
                    tally.events(columns, rows.clone())?;
                    pairer.events(columns, rows, &mut tally)
                })?,
                Batch::Gap(gap) if selection.wants_gap(&gap) => tally.gap(&gap)?,
                Batch::Gap(_) => {}
                Batch::Damaged(range) => {
                    tally.loss.add(&range, trace);
                    damage.push(range);
                }
            }
            Ok::<(), io::Error>(())
        },
    )?;
    pairer.finish(&mut tally)?;
    Ok(tally.report(trace, selection, &pairer, damage))
}

/// Counts what passes on its way to a sink.
struct Tally<'a, S> {
    sink: &'a mut S,
    loss: LossTimes,
    site_events: Vec<u64>,
    time_ns: Option<(u64, u64)>,
    stages: Vec<StageReport>,
    hand_offs: EdgeMap<HandOffReport>,
}

impl<'a, S: Sink> Tally<'a, S> {
    fn new(trace: &Trace<'_>, selection: &Selection, stages: &[Stage], sink: &'a mut S) -> Self {
        let report = |stage: &Stage| StageReport {
            stage: stage.clone(),
            classes: Classes::default(),
            reordered: 0,
            without_key: 0,
            given_up: 0,
            complete_near_loss: 0,
            other_near_loss: 0,
            latency: Latency::default(),
            inverted: Latency::default(),
            first_spans: Vec::new(),
        };
        Self {
            sink,
            loss: LossTimes::new(trace, selection),
            site_events: vec![0; trace.definitions.sites.len()],
            time_ns: None,
            stages: stages.iter().map(report).collect(),
            hand_offs: EdgeMap::default(),
        }
    }

    fn report(
        self,
        trace: &Trace<'_>,
        selection: &Selection,
        pairer: &Pairer,
        damage: Vec<DamagedRange>,
    ) -> Analysis {
        let mut outcome = Outcome::of(trace, selection);
        outcome.events = self.site_events.iter().sum();
        outcome.damage.extend(damage);
        let mut probes: Vec<ProbeCount> = Vec::new();
        let mut positions = BTreeMap::new();
        for (site, &events) in trace.definitions.sites.iter().zip(&self.site_events) {
            let at = *positions.entry((&site.provider, &site.probe)).or_insert(probes.len());
            if at == probes.len() {
                let (provider, probe) = (site.provider.clone(), site.probe.clone());
                probes.push(ProbeCount { provider, probe, events: 0 });
            }
            probes[at].events += events;
        }
        let mut stages = self.stages;
        for ((report, &without_key), &given_up) in
            stages.iter_mut().zip(&pairer.without_key).zip(&pairer.given_up)
        {
            (report.without_key, report.given_up) = (without_key, given_up);
        }
        let anchors = crate::wall::anchors(trace);
        let wall = |time_ns| crate::wall::realtime_ns(&anchors, time_ns);
        let realtime_ns =
            self.time_ns.and_then(|(first_ns, last_ns)| Some((wall(first_ns)?, wall(last_ns)?)));
        let hand_offs = self.hand_offs.into_values();
        Analysis { outcome, time_ns: self.time_ns, realtime_ns, probes, stages, hand_offs }
    }
}

impl<S: Sink> Sink for Tally<'_, S> {
    fn events(&mut self, columns: &Columns, rows: Range<usize>) -> io::Result<()> {
        let times = &columns.time_ns[rows.clone()];
        if let (Some(&first_ns), Some(&last_ns)) = (times.first(), times.last()) {
            self.time_ns = Some((self.time_ns.map_or(first_ns, |(first_ns, _)| first_ns), last_ns));
        }
        for &site in &columns.site[rows.clone()] {
            if let Some(count) = self.site_events.get_mut(site as usize) {
                *count += 1;
            }
        }
        self.sink.events(columns, rows)
    }

    fn span(&mut self, span: &Span) -> io::Result<()> {
        let report = &mut self.stages[span.stage as usize];
        report.classes.add(span.class);
        if report.first_spans.len() < FIRST_SPANS {
            report.first_spans.push(*span);
        }
        report.reordered += u64::from(span.reordered);
        let latency_ns = span.latency_ns();
        match (span.class, latency_ns) {
            (Class::Complete, Some(latency_ns)) => report.latency.add(latency_ns),
            (Class::Inverted, Some(latency_ns)) => report.inverted.add(latency_ns),
            _ => {}
        }
        let begin_ns = span.begin.or(span.end).map_or(0, |point| point.time_ns);
        let end_ns = span.end.or(span.begin).map_or(0, |point| point.time_ns);
        let near_loss = match span.class {
            // The end may come until the trace ends, and the begin may have come from its start on.
            Class::Open => self.loss.touch(begin_ns, u64::MAX),
            Class::OrphanEnd => self.loss.touch(0, end_ns),
            _ => self.loss.touch(begin_ns.min(end_ns), begin_ns.max(end_ns)),
        };
        if span.class == Class::Complete {
            report.complete_near_loss += u64::from(near_loss);
        } else {
            report.other_near_loss += u64::from(near_loss);
        }
        self.sink.span(span)
    }

    fn hand_off(&mut self, hand_off: &HandOff) -> io::Result<()> {
        let (from, to) = (hand_off.from, hand_off.to);
        let report = self.hand_offs.get_or_insert(from, to, || HandOffReport {
            from,
            to,
            near_loss: 0,
            latency: Latency::default(),
        });
        report.latency.add(hand_off.latency_ns());
        let (left_ns, arrived_ns) = (hand_off.left.time_ns, hand_off.arrived.time_ns);
        report.near_loss += u64::from(self.loss.touch(left_ns.min(arrived_ns), left_ns.max(arrived_ns)));
        self.sink.hand_off(hand_off)
    }

    fn gap(&mut self, gap: &Gap) -> io::Result<()> {
        self.sink.gap(gap)
    }
}

impl HandOffReport {
    /// Name in tables and pictures: `awe -> writing`; where a stage holds others, `total begin -> awe` and
    /// `writing -> total end`.
    #[must_use]
    pub fn name(&self, stages: &[Stage]) -> String {
        hand_off_name(self.from, self.to, stages)
    }
}

/// See [`HandOffReport::name`].
#[must_use]
pub fn hand_off_name(from: Edge, to: Edge, stages: &[Stage]) -> String {
    let name = |edge: Edge| stages.get(edge.stage as usize).map_or("?", |stage| &stage.name);
    let left = if from.side == Side::Begin { " begin" } else { "" };
    let arrived = if to.side == Side::End { " end" } else { "" };
    format!("{}{left} -> {}{arrived}", name(from), name(to))
}
